"""WebSocket frames that are a whole message (RFC 6455 section 5.2; Autobahn handles all others), and the SIP message in
each (RFC 7118 section 5)."""

from __future__ import annotations

import re
from struct import pack

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.framing import MAX_MESSAGE
from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.message import Request, Response, read


def frame(data: bytes) -> bytes:
    """An unmasked frame with a whole message: text if it is UTF-8, else binary (RFC 6455 section 5.2)."""
    kind = 0x81
    if not data.isascii():
        try:
            data.decode()
        except UnicodeDecodeError:
            kind = 0x82
    size = len(data)
    if size < 126:
        head = pack("!BB", kind, size)
    elif size < 65536:
        head = pack("!BBH", kind, 126, size)
    else:
        head = pack("!BBQ", kind, 127, size)
    return head + data


def whole_message(data: bytes) -> bytes | None:
    """The payload if `data` is one masked frame with a whole message, text in UTF-8 or binary; else None (RFC 6455
    section 5.2)."""
    if len(data) < 7 or data[0] not in (0x81, 0x82) or data[1] < 0x80:
        return None
    size, start = data[1] & 0x7F, 2
    if size == 126:
        size, start = int.from_bytes(data[2:4], "big"), 4
        if size < 126:
            return None  # the length has more octets than it needs
    elif size == 127:
        return None
    if len(data) != start + 4 + size:
        return None
    mask = data[start : start + 4]
    key = mask * (size // 4 + 1)
    masked = int.from_bytes(data[start + 4 :], "big")
    payload = (masked ^ int.from_bytes(key[:size], "big")).to_bytes(size, "big")
    if data[0] == 0x81 and not payload.isascii():
        try:
            payload.decode()
        except UnicodeDecodeError:
            return None
    return payload


_begins_message = re.compile(rb"[\r\n\0]*(?:SIP/2\.0 [1-6][0-9]{2} |[!-9;-~]+ \S+ SIP/2\.0\s)", re.IGNORECASE).match


class TwoMessages(BadMessage):
    """More than one SIP message in one WebSocket message (RFC 7118 section 5)."""


def read_one(payload: bytes) -> Request | Response:
    """Parse the SIP message in a WebSocket message. What follows the headers is the body, whatever its Content-Length:
    some clients count characters. Line ends after the message are no part of it.

    :raises BadMessage: it is malformed.
    :raises TwoMessages: there is more than one.
    """
    message = read(payload, framed=True)
    body = message.body
    if body and message.headers.get("Content-Length") != str(len(body)):
        _measure(message)
    return message


def _measure(message: Request | Response) -> None:
    """Compare the body with a Content-Length that is missing, or another than its own."""
    length = message.headers.get("Content-Length")
    if length is None:
        if _begins_message(message.body) and not message.content_type.startswith("message/"):
            raise _two_messages(message)
        return
    octets = number(length, MAX_MESSAGE)
    rest = b"" if octets is None else message.body[octets:]
    if octets is not None and not rest.strip(b"\r\n\0"):
        if rest:
            message.body = message.body[:octets]
            return
        if octets == len(message.body):
            return
    if octets is not None and (_begins_message(rest) or _begins_message(_after_characters(message.body, octets))):
        raise _two_messages(message)
    message.headers.note("Bad Content-Length")


def _after_characters(body: bytes, count: int) -> bytes:
    """What follows so many characters, as JavaScript counts them."""
    text = body.decode("utf-8", "surrogateescape").encode("utf-16-le", "surrogatepass")
    return text[2 * count :].decode("utf-16-le", "replace").encode("utf-8", "replace")


def _two_messages(message: Request | Response) -> TwoMessages:
    request = message if isinstance(message, Request) and message.method != "ACK" else None
    return TwoMessages("More Than One Message", 400, request)
