"""From bytes to messages and back: `read`, `check`, `respond` (RFC 3261 sections 7, 8.1.1, 8.2.6, 18.3).

`read` splits a message at once and looks at its frame only; values are read where they are needed. `check` reads what
every request must have. A faulty request is not lost: BadMessage carries what could be read, so that it is answered.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from webrtcproxy.sip.fields import Headers, canonical
from webrtcproxy.sip.grammar import BadMessage, is_token, number
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
    "BadMessage",
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
"""Characters of one header value."""

_fold = re.compile(r"\n[ \t]+")
_is_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE).fullmatch
_single = ("From", "To", "Call-ID", "CSeq")
_required = frozenset(["Via", *_single])
_at_most_one = (*_single, "Max-Forwards", "Content-Length", "Content-Type", "Expires")


def read(data: bytes, *, stream: bool = False, exact: bool = False) -> Request | Response:
    """Read one message: its frame, not the values of its headers.

    Tolerated are bare LF as line end, empty lines before the first, whitespace behind it.

    :param data: a datagram, a WebSocket message, or a message that `stream.StreamReader` cut out.
    :param stream: Content-Length must be there (RFC 3261 section 18.3).
    :param exact: octets behind Content-Length are an error (RFC 7118 section 5: a frame is a message) instead of being
        ignored.
    :raises BadMessage: 400, 505 (another version of SIP), 513 (too large); its `request` is what could be read.
    """
    try:
        return _read(data, stream, exact)
    except BadMessage as error:
        error.request = salvage(data)
        raise


def _read(data: bytes, stream: bool, exact: bool) -> Request | Response:
    if len(data) > MAX_MESSAGE:
        raise BadMessage("Message Too Large", 513)
    if data[:1] in (b"\r", b"\n"):
        data = data.lstrip(b"\r\n")
    end, begin = find_end(data)
    if end < 0:
        raise BadMessage("Missing Empty Line")
    lines = _header_lines(data[:end].decode("utf-8", "surrogateescape"))
    message = _start(lines[0])
    if len(lines) > MAX_HEADERS + 1:
        raise BadMessage("Too Many Headers", 513)
    names: list[str] = []
    values: list[str] = []
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        known = SPELLINGS.get(name)
        if known is None or not colon:
            known = canonical(name.rstrip(" \t"))
            if not colon or not is_token(known):
                raise BadMessage("Bad Header Line")
        names.append(known)
        values.append(value.strip(" \t"))
    if end > MAX_VALUE and max(map(len, values), default=0) > MAX_VALUE:
        raise BadMessage("Header Too Long", 513)
    _count(names)
    message.headers = Headers.of(names, values)
    message.body = _body(data[begin:], message.headers.get("Content-Length"), stream, exact)
    return message


def find_end(data: bytes | bytearray, start: int = 0) -> tuple[int, int]:
    """Where the header block ends and where the body begins; -1 twice where there is no empty line behind `start`.

    The line end of the last header line belongs to neither.
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


def _header_lines(head: str) -> list[str]:
    """The lines of a header block, unfolded (RFC 3261 section 7.3.1)."""
    lines = head.split("\r\n")
    breaks = len(lines) - 1
    odd = head.count("\n") != breaks or head.count("\r") != breaks or "\0" in head
    if not odd and "\n " not in head and "\n\t" not in head:
        return lines
    head = _fold.sub(" ", head.replace("\r\n", "\n"))
    if "\0" in head:  # allowed behind the backslash of a quoted string, but never sent on
        head = head.replace("\\\0", "\\ ")
    if "\r" in head or "\0" in head:
        raise BadMessage("Bad Header Line")
    return head.split("\n")


def _start(line: str) -> Request | Response:
    """The message that this first line begins."""
    words = line.rstrip(" \t").split(" ", 2)
    if len(words) > 1 and words[0].upper() == "SIP/2.0":
        status = number(words[1], 699)
        if status is None or len(words[1]) != 3 or status < 100:
            raise BadMessage("Bad Status Line")
        response = Response(status)
        response.reason = words[2] if len(words) > 2 else ""
        return response
    if len(words) != 3 or not words[1] or not is_token(words[0]):
        raise BadMessage("Bad Request Line")
    method, uri, version = words
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        raise BadMessage("Version Not Supported", 505) if _is_version(version) else BadMessage("Bad Request Line")
    if len(uri) > MAX_URI:
        raise BadMessage("Request-URI Too Long", 513)
    return Request(method, uri)


def _count(names: list[str]) -> None:
    distinct = set(names)
    if not _required <= distinct:
        raise BadMessage("Missing " + next(name for name in ("Via", *_single) if name not in distinct))
    if len(distinct) != len(names):
        for name in _at_most_one:
            if names.count(name) > 1:
                raise BadMessage(f"Multiple {name}")


def _body(data: bytes, length: str | None, stream: bool, exact: bool) -> bytes:
    """The body: as many octets as Content-Length says (RFC 3261 section 18.3)."""
    if length is None:
        if stream:
            raise BadMessage("Missing Content-Length")
        return data
    octets = number(length, MAX_MESSAGE)
    if octets is None or octets > len(data) or (exact and octets < len(data)):
        raise BadMessage("Bad Content-Length")
    return data[:octets]


def salvage(data: bytes) -> Request | None:
    """What an answer needs, out of a request that `read` refused; None where nothing can or may be answered."""
    data = data[:MAX_MESSAGE].lstrip(b"\r\n")
    end, _ = find_end(data)
    head = data[:end] if end >= 0 else data
    text = _fold.sub(" ", head.decode("utf-8", "surrogateescape").replace("\r\n", "\n"))
    lines = text.replace("\r", " ").replace("\0", " ").split("\n", MAX_HEADERS + 1)[: MAX_HEADERS + 1]
    words = lines[0].split()
    if len(words) < 3 or not is_token(words[0]) or words[0] == "ACK" or words[-1][:4].upper() != "SIP/":
        return None
    headers = Headers()
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        name = name.strip()
        if colon and is_token(name) and len(value) <= MAX_VALUE:
            headers.add(name, value.strip(" \t"))
    return Request(words[0], words[1], headers) if "Via" in headers else None


def check(message: Message) -> None:
    """Read what every request must have, and a response as far as it has the same.

    Via, From, To, Call-ID, CSeq with the method of the request, Max-Forwards 0 to 255 (it may be absent, RFC 2543),
    Expires, Contact, and the Request-URI: sip, sips or tel, no headers in it (RFC 3261 sections 8.1.1 and 19.1.1).

    :raises BadMessage: 400, 416 (scheme), 513 (URI too long); its `request` is the request, None where it may not be
        answered.
    """
    try:
        cseq = message.cseq
        _ = message.via, message.from_, message.to, message.call_id, message.max_forwards, message.expires
        _check_contacts(message)
        if isinstance(message, Request):
            if cseq.method != message.method:
                raise BadMessage("Bad CSeq")
            _check_target(message)
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


def _check_target(request: Request) -> None:
    target = request.target
    if target.scheme not in ("sip", "sips", "tel"):
        raise BadMessage("Unsupported URI Scheme", 416)
    if target.headers:
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
    """The response to a request (RFC 3261 section 8.2.6), also to a broken one, as far as its headers are there.

    :param reason: the reason phrase; empty for the standard one.
    :param to_tag: put into To where it has no tag; not into a 100.
    :param headers: names and values to add.
    :raises ValueError: a header to add has CR, LF or NUL.
    """
    asked = request.headers
    response = Response(status, reason, body=body)
    answer = response.headers
    for via in asked.lines("Via"):
        answer.add("Via", via)
    if status == 100:
        _copy(asked, answer, "Timestamp")
    elif 180 <= status <= 189 or 200 <= status <= 299:
        for route in asked.lines("Record-Route"):
            answer.add("Record-Route", route)
    for name in _single:
        _copy(asked, answer, name)
    to = answer.get("To")
    if to and to_tag and status > 100:
        try:
            if request.to.tag is None:
                answer.set("To", f"{to.rstrip('; ')};tag={to_tag}")
        except BadMessage:
            pass  # an unreadable To goes back as it came
    for name, value in headers:
        answer.add(name, value)
    return response


def _copy(asked: Headers, answer: Headers, name: str) -> None:
    value = asked.get(name)
    if value is not None:
        answer.add(name, value)
