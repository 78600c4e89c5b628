"""Parses and checks messages, and builds responses: `read`, `check`, `respond` (RFC 3261 sections 7, 8.1.1, 8.2.6).

`read` splits a message into start line, headers and body (RFC 3261 section 18.3); header values are parsed on demand.
`check` parses what every request must have. BadMessage carries what could be parsed of a faulty request, so that it
gets a response.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers, canonical
from webrtcproxy.sip.grammar import is_token, number
from webrtcproxy.sip.headers import STAR, Star
from webrtcproxy.sip.names import PHRASES, SPELLINGS
from webrtcproxy.sip.request import Message, Request, Response
from webrtcproxy.sip.uri import MAX_URI

__all__ = [
    "MAX_HEADERS",
    "MAX_MESSAGE",
    "MAX_VALUE",
    "PHRASES",
    "STAR",
    "Headers",
    "Message",
    "Request",
    "Response",
    "Star",
    "check",
    "read",
    "respond",
]

MAX_MESSAGE = 65536
"""Octets of a whole message."""
MAX_HEADERS = 200
"""Header lines of a message."""
MAX_VALUE = 8192
"""Characters of one header line."""

_fold = re.compile(rb"\n[ \t]+")
_is_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE).fullmatch
_controls = bytes([*range(9), 11, 12, *range(14, 32), 127])  # but TAB, LF and CR
_blanks = bytes.maketrans(_controls, b" " * len(_controls))
_is_c1 = re.compile(rb"\xc2[\x80-\x9f]")  # U+0080 to U+009F in UTF-8
_single = ("From", "To", "Call-ID", "CSeq")
_required = frozenset(["Via", *_single])
_with_timestamp = _required | {"Timestamp"}
_with_route = _required | {"Record-Route"}
_at_most_one = (*_single, "Max-Forwards", "Content-Length", "Content-Type", "Expires")


def read(data: bytes, *, stream: bool = False, exact: bool = False) -> Request | Response:
    """Split one message into start line, headers and body; header values are not parsed.

    Bare LF as line end, empty lines before the start line and whitespace after it are tolerated. Control characters in
    the headers, which have no place there (section 25.1) and which a peer's terminal or display might obey, are read as
    blanks.

    :param data: a datagram, a WebSocket message, or a message from `stream.StreamReader`.
    :param stream: Content-Length is required (RFC 3261 section 18.3).
    :param exact: octets after Content-Length are an error (RFC 7118 section 5: a frame is a message); otherwise they
        are ignored.
    :raises BadMessage: 400, 505 (another version of SIP), 513 (too large); its `request` is what could be parsed.
    """
    try:
        if len(data) > MAX_MESSAGE:
            raise BadMessage("Message Too Large", 513)
        return _read(data, stream, exact)
    except BadMessage as error:
        error.request = salvage(data)
        raise


def _read(data: bytes, stream: bool, exact: bool) -> Request | Response:
    head, empty, body = data.partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    joined = "".join(lines)  # searching one string for single characters is quick
    if not empty or not breaks or "\n" in joined or "\r" in joined or head.translate(_blanks) != head:
        return _read(_tidy(data), stream, exact)
    if not text.isascii() and _is_c1.search(head) is not None:
        return _read(_tidy(data), stream, exact)
    if breaks > MAX_HEADERS:
        raise BadMessage("Too Many Headers", 513)
    if len(text) > MAX_VALUE and max(map(len, lines)) > MAX_VALUE:
        raise BadMessage("Header Too Long", 513)
    first = lines.pop(0)
    method = uri = reason = ""
    status = 0
    if first[:8].upper() == "SIP/2.0 ":
        status, reason = _status_line(first)
    else:
        method, uri = _request_line(first)
    headers = _headers(lines)
    if headers is None:
        return _read(_tidy(data), stream, exact)
    body = _body(body, headers.get("Content-Length"), stream, exact)
    if method:
        return Request(method, uri, headers, body)
    response = Response(status, reason, headers, body)
    response.reason = reason
    return response


def _without_controls(head: bytes) -> bytes:
    return _is_c1.sub(b" ", head.translate(_blanks))


def _headers(lines: list[str]) -> Headers | None:
    """The header fields; None if one is folded."""
    names: list[str] = []
    values: list[str] = []
    spelling = SPELLINGS.get
    for line in lines:
        name, colon, value = line.partition(": ")
        known = spelling(name)
        if known is None or not colon:
            if line[:1] in (" ", "\t"):
                return None
            name, colon, value = line.partition(":")
            known = canonical(name.rstrip(" \t"))
            if not colon or not is_token(known):
                raise BadMessage("Bad Header Line")
        names.append(known)
        values.append(value.strip(" \t"))
    distinct = set(names)
    if not _required <= distinct:
        raise BadMessage("Missing " + next(name for name in ("Via", *_single) if name not in distinct))
    if len(distinct) != len(names):
        for name in _at_most_one:
            if names.count(name) > 1:
                raise BadMessage(f"Multiple {name}")
    return Headers.of(names, values)


def _tidy(data: bytes) -> bytes:
    """The same message with CRLF line ends, without folds (RFC 3261 section 7.3.1), leading empty lines and control
    characters."""
    data = data.lstrip(b"\r\n")
    end, begin = find_end(data)
    if end < 0:
        raise BadMessage("Missing Empty Line")
    head = _fold.sub(b" ", data[:end].replace(b"\r\n", b"\n"))
    head = head.replace(b"\\\0", b"\\ ")  # a quoted string may have a NUL, but what we send must not
    if b"\r" in head or b"\0" in head or b"\n" not in head:
        raise BadMessage("Bad Header Line")
    head = _without_controls(head)
    return b"\r\n\r\n".join([head.replace(b"\n", b"\r\n"), data[begin:]])


def find_end(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """Where the header block ends and where the body begins; both -1 if no empty line follows `start`.

    The line end of the last header line is part of neither.
    """
    end = data.find(b"\n\r\n", start)
    bare = data.find(b"\n\n", start, end if end >= 0 else len(data))
    if bare >= 0:
        end, begin = bare, bare + 2
    elif end >= 0:
        begin = end + 3
    else:
        return -1, -1
    return end - 1 if end and data[end - 1] == 13 else end, begin


def _status_line(line: str) -> tuple[int, str]:
    code, _, reason = line[8:].rstrip(" \t").partition(" ")
    status = number(code, 699) if len(code) == 3 else None
    if status is None or status < 100:
        raise BadMessage("Bad Status Line")
    return status, reason


def _request_line(line: str) -> tuple[str, str]:
    words = line.rstrip(" \t").split(" ", 2)
    if len(words) != 3 or not words[1] or not is_token(words[0]):
        raise BadMessage("Bad Request Line")
    method, uri, version = words
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        raise BadMessage("Version Not Supported", 505) if _is_version(version) else BadMessage("Bad Request Line")
    if len(uri) > MAX_URI:
        raise BadMessage("Request-URI Too Long", 513)
    return method, uri


def _body(data: bytes, length: str | None, stream: bool, exact: bool) -> bytes:
    """The body, of the length that Content-Length states (RFC 3261 section 18.3)."""
    if length is None:
        if stream:
            raise BadMessage("Missing Content-Length")
        return data
    octets = number(length, MAX_MESSAGE)
    if octets is None or octets > len(data) or (exact and octets < len(data)):
        raise BadMessage("Bad Content-Length")
    return data[:octets]


def salvage(data: bytes) -> Request | None:
    """What a response needs, out of a request that `read` refused; None if no response can or may be sent."""
    data = data[:MAX_MESSAGE].lstrip(b"\r\n")
    end, _ = find_end(data)
    head = _fold.sub(b" ", (data[:end] if end >= 0 else data).replace(b"\r\n", b"\n"))
    text = _without_controls(head.replace(b"\r", b" ")).decode("utf-8", "surrogateescape")
    lines = text.split("\n", MAX_HEADERS + 1)[: MAX_HEADERS + 1]
    words = lines[0].split()
    if len(words) < 3 or not is_token(words[0]) or words[0] == "ACK" or words[-1][:4].upper() != "SIP/":
        return None
    headers = Headers()
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = canonical(name.strip())
        if colon and is_token(name) and len(value) <= MAX_VALUE and not (name in _single and name in headers):
            headers.add(name, value.strip(" \t"))
    return Request(words[0], words[1], headers) if "Via" in headers else None


def check(message: Message) -> None:
    """Parse what every request must have, or the same headers of a response.

    Via, From, To, Call-ID, CSeq with the method of the request, Max-Forwards 0 to 255 (absent from RFC 2543 peers),
    Expires, Contact, and the Request-URI: sip, sips or tel, without headers (RFC 3261 sections 8.1.1 and 19.1.1).

    :raises BadMessage: 400, 416 (scheme), 513 (URI too long); its `request` is the request, None if it must not get a
        response.
    """
    try:
        cseq = message.cseq
        _ = message.via, message.from_, message.to, message.call_id, message.max_forwards, message.expires
        _check_contacts(message)
        if isinstance(message, Request):
            if cseq.method != message.method:
                raise BadMessage("Bad CSeq")
            _check_request_uri(message)
    except BadMessage as error:
        if isinstance(message, Request) and message.method != "ACK":
            error.request = message
        raise


def _check_contacts(message: Message) -> None:
    contacts = message.contacts
    if contacts is STAR:
        return
    try:
        for contact in contacts:
            _ = contact.address
    except BadMessage as error:
        raise BadMessage("Bad Contact", error.status) from error


def _check_request_uri(request: Request) -> None:
    uri = request.request_uri
    if uri.scheme not in ("sip", "sips", "tel"):
        raise BadMessage("Unsupported URI Scheme", 416)
    if uri.headers:
        raise BadMessage("Bad Request-URI")


def respond(
    request: Request,
    status: int,
    reason: str = "",
    *,
    to_tag: str = "",
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
) -> Response:
    """The response to a request (RFC 3261 section 8.2.6), even to a malformed one, as far as its headers exist.

    :param reason: the reason phrase; empty for the standard one.
    :param to_tag: added to a To without a tag, except in a 100.
    :param headers: names and values to add.
    :raises ValueError: a header to add has CR, LF or NUL.
    """
    answer = request.headers.only(_echoed_by(status))
    response = Response(status, reason, answer, body)
    if to_tag and status > 100:
        to = answer.get("To")
        try:
            if to is not None and request.to.tag is None:
                answer.set("To", f"{to.rstrip('; ')};tag={to_tag}")
        except BadMessage:
            pass  # a malformed To is returned unchanged
    if isinstance(headers, Headers):
        answer.extend(headers)
    else:
        for name, value in headers:
            answer.add(name, value)
    return response


def _echoed_by(status: int) -> frozenset[str]:
    """The headers of a request that its response repeats (RFC 3261 sections 8.2.6.1, 8.2.6.2 and 12.1.1)."""
    if status == 100:
        return _with_timestamp
    if 180 <= status <= 189 or 200 <= status <= 299:
        return _with_route
    return _required
