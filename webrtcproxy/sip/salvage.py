"""Salvage: what can be read of a message that is malformed, to refuse it, or to use it all the same."""

from __future__ import annotations

import re

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers, canonical
from webrtcproxy.sip.framing import MAX_MESSAGE, MAX_VALUE, any_lines, content_length
from webrtcproxy.sip.grammar import is_token, number
from webrtcproxy.sip.names import AT_MOST_ONE, REQUIRED
from webrtcproxy.sip.request import Request, Response

ENDING = frozenset({"ACK", "BYE", "CANCEL"})
"""The requests whose refusal costs a call: the ones that end something, which nobody ends otherwise. They need no more
than what makes plain what they end."""


def malformed(data: bytes, why: str, status: int = 400) -> BadMessage:
    """The error for a malformed message, with what could be read of it.

    A response is usable, since nobody can be told that it is not: who has sent it would repeat it. So is an ACK, for
    the same reason, and a BYE or CANCEL that names its transaction and its dialog; what another one of these ends is
    the user's to find out.

    :param data: the message, as far as it has arrived.
    :param why: the reason phrase.
    :param status: the status code.
    """
    message = _salvage(data)
    if isinstance(message, Response) and not message.status:
        return BadMessage(why, status, unusable=message)
    usable = isinstance(message, Response)
    if isinstance(message, Request) and message.method in ENDING:
        whole = why != BAD_REQUEST_LINE and all(name in message.headers for name in REQUIRED)
        usable = status == 400 and (whole or message.method == "ACK")  # of whose first line the method counts only
    return BadMessage(why, status, message, usable)


BAD_REQUEST_LINE = "Bad Request Line"

_status_line = re.compile(
    r"[ \t]*SIP[ \t]*/[ \t]*[0-9.]*[ \t]+(?:([1-6][0-9]{2})(?![0-9]))?[ \t]*(.*)", re.IGNORECASE
).match
"""A status line in any state, with the status code, if it is one of a class that exists, and the reason phrase."""


def status_of(line: str) -> tuple[int, str] | None:
    """The status code and the reason phrase of a status line; None if it is none (RFC 3261 section 7.2)."""
    code, _, reason = line[8:].rstrip(" \t").partition(" ")
    status = number(code, 699) if len(code) == 3 else None
    return None if status is None or status < 100 else (status, reason)


def _salvage(data: bytes) -> Request | Response | None:
    """What can be read of a message; None where it is no SIP, or a request without a Via that is not of `ENDING`. A
    response without one, or whose status can't be read, has the status 0."""
    lines, body = any_lines(data)
    headers = _headers(lines[1:])
    response = _status_line(lines[0])
    if response is not None:
        status = int(response[1] or 0) if "Via" in headers else 0
        return Response(status, response[2].rstrip(" \t"), headers, _body(headers, body))
    words = lines[0].split()
    if words and words[0] in ENDING and len(headers):
        return Request(words[0], words[1] if len(words) > 1 else "", headers, _body(headers, body))
    is_request = len(words) > 2 and is_token(words[0]) and words[-1][:4].upper() == "SIP/"
    return Request(words[0], words[1], headers) if is_request and "Via" in headers else None


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
    length = content_length(headers.get("Content-Length") or "", MAX_MESSAGE)
    return octets if length is None else octets[:length]
