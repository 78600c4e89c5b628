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
from webrtcproxy.sip.framing import (
    BLANKS,
    MAX_HEADERS,
    MAX_MESSAGE,
    MAX_VALUE,
    content_length,
    is_c1,
    is_no_number,
    tidy,
)
from webrtcproxy.sip.grammar import find_param, is_token
from webrtcproxy.sip.headers import STAR, CSeq, Star
from webrtcproxy.sip.mending import MAX_TIMER, NEEDS_CONTACT, NEEDS_EXPIRES, likely_request_uri
from webrtcproxy.sip.names import AT_MOST_ONE, PHRASES, REQUIRED, SPELLINGS
from webrtcproxy.sip.request import Message, Request, Response
from webrtcproxy.sip.salvage import BAD_REQUEST_LINE, ENDING, malformed, status_of
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

_is_version = re.compile(r"SIP/[0-9]+\.[0-9]+", re.IGNORECASE).fullmatch
_required = frozenset(REQUIRED)
_with_timestamp = _required | {"Timestamp"}
_with_route = _required | {"Record-Route"}
_first_counts = frozenset(["Expires", "Max-Forwards"])


def read(data: bytes, *, stream: bool = False, framed: bool = False) -> Request | Response:
    """Split one message into start line, headers and body; header values are not parsed.

    Bare LF as line end, empty lines before the start line and whitespace after it are tolerated. Control characters in
    the headers, which have no place there (section 25.1) and which a peer's terminal or display might obey, are read as
    blanks.

    :param data: a datagram, a WebSocket message, or a message from `stream.StreamReader`.
    :param stream: Content-Length is required (RFC 3261 section 18.3).
    :param framed: all octets are the message (RFC 7118 section 5: a WebSocket message is a SIP message), whatever its
        Content-Length says; otherwise those after Content-Length are ignored.
    :raises BadMessage: 400, 505 (another version of SIP), 513 (too large); its `request` is what could be parsed.
    """
    try:
        if len(data) > MAX_MESSAGE:
            raise BadMessage("Message Too Large", 513)
        return _read(data, stream, framed)
    except BadMessage as error:
        raise malformed(data, error.why, error.status) from error


def _read(data: bytes, stream: bool, framed: bool) -> Request | Response:
    head, empty, body = data.partition(b"\r\n\r\n")
    text = head.decode("utf-8", "surrogateescape")
    lines = text.split("\r\n")
    breaks = len(lines) - 1
    joined = "".join(lines)  # searching one string for single characters is quick
    if not empty or not breaks or "\n" in joined or "\r" in joined or head.translate(BLANKS) != head:
        return _read(tidy(data), stream, framed)
    if not text.isascii() and is_c1(head) is not None:
        return _read(tidy(data), stream, framed)
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
    headers = _headers(lines, method)
    if headers is None:
        return _read(tidy(data), stream, framed)
    if not framed:
        body = _body(body, headers, stream)
    if method:
        return Request(method, uri, headers, body)
    response = Response(status, reason, headers, body)
    response.reason = reason
    return response


def _headers(lines: list[str], method: str) -> Headers | None:
    """The header fields, without the lines that are none; None if one is folded.

    :param method: of a request; empty for a response.
    """
    names: list[str] = []
    values: list[str] = []
    odd = ""
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
                odd = "Bad Header Line"
                continue
        names.append(known)
        values.append(value.strip(" \t"))
    distinct = set(names)
    if not _required <= distinct:
        raise BadMessage("Missing " + next(name for name in REQUIRED if name not in distinct))
    if len(distinct) != len(names):
        for name in AT_MOST_ONE:
            if names.count(name) > 1:
                odd = f"Multiple {name}"
                _keep_first(name, names, values, method)
    headers = Headers.of(names, values)
    if odd:
        headers.note(odd)
    return headers


def _keep_first(name: str, names: list[str], values: list[str], method: str) -> None:
    """Remove all headers of this name but the first.

    :raises BadMessage: 400: they differ, and decide something.
    """
    where = [at for at, other in enumerate(names) if other == name]
    agree = len({values[at].lower() if name == "Content-Type" else values[at] for at in where}) == 1
    if not agree and (name not in _first_counts or not method or (name == "Expires" and method in NEEDS_EXPIRES)):
        raise BadMessage(f"Multiple {name}")
    for at in reversed(where[1:]):
        del names[at], values[at]


def _status_line(line: str) -> tuple[int, str]:
    found = status_of(line)
    if found is None:
        raise BadMessage("Bad Status Line")
    return found


def _request_line(line: str) -> tuple[str, str]:
    words = line.rstrip(" \t").split(" ", 2)
    if len(words) != 3 or not words[1] or not is_token(words[0]):
        raise BadMessage(BAD_REQUEST_LINE)
    method, uri, version = words
    if version != "SIP/2.0" and version.upper() != "SIP/2.0":
        raise BadMessage("Version Not Supported", 505) if _is_version(version) else BadMessage(BAD_REQUEST_LINE)
    if len(uri) > MAX_URI:
        raise BadMessage("Request-URI Too Long", 513)
    return method, uri


def _body(data: bytes, headers: Headers, stream: bool) -> bytes:
    """The body, of the length that Content-Length states (RFC 3261 section 18.3). A datagram with one that is no number
    is the frame itself."""
    length = headers.get("Content-Length")
    if length is None or not (length or stream):
        if stream:
            raise BadMessage("Missing Content-Length")
        return data
    octets = content_length(length, MAX_MESSAGE)
    if octets is None and not stream and is_no_number(length):
        headers.note("Bad Content-Length")
        return data
    if octets is None or octets > len(data):
        raise BadMessage("Bad Content-Length")
    return data[:octets]


def check(message: Message) -> None:
    """Parse what every request must have, or the same headers of a response.

    Via, From, To, Call-ID, CSeq with the method of the request, Max-Forwards 0 to 255 (absent from RFC 2543 peers),
    Expires, Contact, and the Request-URI: sip, sips or tel, without headers (RFC 3261 sections 8.1.1 and 19.1.1). Of an
    INVITE, an Expires above `MAX_TIMER` is taken out.

    :raises BadMessage: 400, 416 (scheme), 513 (URI too long); its `request` is the request, None if it must not get a
        response.
    """
    try:
        cseq = message.cseq
        _ = message.via, message.from_, message.to, message.call_id, message.max_forwards
        expires = message.expires
        _check_contacts(message)
        if isinstance(message, Request):
            if cseq.method != message.method:
                _mend_method(message, cseq)
            if expires is not None and expires > MAX_TIMER and message.method == "INVITE":
                message.headers.remove("Expires")
            if message.method not in ENDING:  # those are found by their tags or their branch
                _check_request_uri(message)
    except BadMessage as error:
        if isinstance(message, Request) and message.method != "ACK":
            error.request = message
        raise


def _mend_method(request: Request, cseq: CSeq) -> None:
    """Take a method in CSeq that is written in another case.

    :raises BadMessage: 400: it is another one.
    """
    if cseq.method.upper() != request.method.upper():
        raise BadMessage("Bad CSeq")
    request.headers.note("Bad CSeq")
    request.headers.typed["CSeq"] = CSeq(cseq.number, request.method)


def _check_contacts(message: Message) -> None:
    if isinstance(message, Request) and message.method not in NEEDS_CONTACT:
        return
    contacts = message.contacts
    if contacts is STAR:
        return
    try:
        for contact in contacts:
            _ = contact.address
    except BadMessage as error:
        message.readable_contacts(error)


def _check_request_uri(request: Request) -> None:
    """Check the Request-URI. Where only what decides nothing is malformed after it, that is taken out; not of a
    REGISTER, whose digest depends on it."""
    try:
        uri = request.request_uri
        if uri.scheme not in ("sip", "sips", "tel"):
            raise BadMessage("Unsupported URI Scheme", 416)
        if uri.headers:
            raise BadMessage("Bad Request-URI")
    except BadMessage as error:
        mended = likely_request_uri(request.uri) if error.status == 400 and request.method != "REGISTER" else None
        if mended is None:
            raise
        request.uri = mended
        request.headers.note(error.why)


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
    :param to_tag: added to a To without a tag, or in place of an empty one, except in a 100.
    :param headers: names and values to add.
    :raises ValueError: a header to add has CR, LF or NUL.
    """
    answer = request.headers.only(_echoed_by(status))
    response = Response(status, reason, answer, body)
    if to_tag and status > 100:
        to = answer.get("To")
        try:
            if to is not None and request.to.tag is None:
                is_empty = find_param(request.to.params, "tag") is not None
                answer.set("To", str(request.to.with_tag(to_tag)) if is_empty else f"{to.rstrip('; ')};tag={to_tag}")
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
