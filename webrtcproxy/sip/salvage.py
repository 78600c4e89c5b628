"""Salvage: what can be read of a message that is malformed, to refuse it, or to use it all the same."""

from __future__ import annotations

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers, canonical
from webrtcproxy.sip.framing import MAX_MESSAGE, MAX_VALUE, any_lines
from webrtcproxy.sip.grammar import is_token, number
from webrtcproxy.sip.names import AT_MOST_ONE, REQUIRED
from webrtcproxy.sip.request import Request, Response

ENDING = frozenset({"ACK", "BYE", "CANCEL"})
"""The requests whose refusal costs a call: the ones that end something, which nobody ends otherwise. They need no more
than Via, CSeq, and what names the dialog."""


def malformed(data: bytes, why: str, status: int = 400) -> BadMessage:
    """The error for a malformed message, with what could be read of it.

    A response is usable, since nobody can be told that it is not: who has sent it would repeat it. So is a request of
    `ENDING` that names its transaction and its dialog.

    :param data: the message, as far as it has arrived.
    :param why: the reason phrase.
    :param status: the status code.
    """
    message = _salvage(data)
    usable = isinstance(message, Response)
    if isinstance(message, Request) and message.method in ENDING:
        usable = status == 400 and why != BAD_REQUEST_LINE and all(name in message.headers for name in REQUIRED)
        if message.method == "ACK" and not usable:
            message = None  # nobody is answered
    return BadMessage(why, status, message, usable)


BAD_REQUEST_LINE = "Bad Request Line"


def status_of(line: str) -> tuple[int, str] | None:
    """The status code and the reason phrase of a status line; None if it is none (RFC 3261 section 7.2)."""
    code, _, reason = line[8:].rstrip(" \t").partition(" ")
    status = number(code, 699) if len(code) == 3 else None
    return None if status is None or status < 100 else (status, reason)


def _salvage(data: bytes) -> Request | Response | None:
    """What can be read of a message; None where it is no SIP, or has no Via."""
    lines, body = any_lines(data)
    headers = _headers(lines[1:])
    if "Via" not in headers:
        return None
    if lines[0][:8].upper() == "SIP/2.0 ":
        found = status_of(lines[0])
        if found is None:
            return None
        response = Response(found[0], found[1], headers, _body(headers, body))
        response.reason = found[1]
        return response
    words = lines[0].split()
    if len(words) < 3 or not is_token(words[0]) or words[-1][:4].upper() != "SIP/":
        return None
    return Request(words[0], words[1], headers, _body(headers, body) if words[0] in ENDING else b"")


def _headers(lines: list[str]) -> Headers:
    """The header lines that can be read; the first of those that must be alone."""
    headers = Headers()
    for line in lines:
        name, colon, value = line.partition(":")
        name = canonical(name.strip())
        value = value.strip(" \t")
        if not colon or not is_token(name) or len(value) > MAX_VALUE:
            continue
        if name not in AT_MOST_ONE or name not in headers:
            headers.add(name, value)
        elif name == "Content-Length" and value != headers.get(name):
            headers.set(name, "")  # the body is what is there
    return headers


def _body(headers: Headers, octets: bytes) -> bytes:
    """The body, as far as it is there."""
    length = number(headers.get("Content-Length") or "", MAX_MESSAGE)
    return octets if length is None else octets[:length]
