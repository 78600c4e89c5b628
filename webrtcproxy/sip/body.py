"""Message bodies: finds the session description, alone or as a part of a multipart body (RFC 2046, RFC 5621)."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from quopri import decodestring

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.request import Message, Request

MAX_PARTS = 16
"""Parts of one multipart body that are looked at."""
MAX_DEPTH = 3
"""Multipart bodies within each other that are looked into."""

_fold = re.compile(rb"\r?\n[ \t]+")
_line_end = re.compile(rb"\r?\n")
_sdp_line = re.compile(rb"(?:\A|[\r\n])[ \t]*[vomca]=")
_empty_line = re.compile(rb"(?:\A|\r?\n)\r?\n")


def sdp_of(message: Message) -> bytes:
    """The SDP that `message` carries; empty if it has no body.

    :raises BadMessage: 415 if the body is encoded, or neither is SDP nor has a part that is; 400 for a multipart body
        without a boundary.
    """
    if not message.body:
        return b""
    try:
        return _sdp_in(message)
    except BadMessage as error:
        if isinstance(message, Request):
            error.request = message
        raise


def has_description(message: Message) -> bool:
    """Whether the body of `message` is a session description, or a multipart body with one, however it is encoded."""
    kind = message.content_type
    if kind.startswith("multipart/"):
        return b"application/sdp" in message.body.lower()
    if kind == "application/sdp" and "Content-Encoding" in message.headers:
        return True
    return kind in ("application/sdp", "") and _sdp_line.search(message.body) is not None


def _sdp_in(message: Message) -> bytes:
    kind = message.content_type
    encoding = message.headers.get("Content-Encoding")
    if encoding and encoding.strip().lower() != "identity":
        raise BadMessage("Unsupported Content-Encoding", 415)
    if kind == "application/sdp" or (not kind and message.body.startswith(b"v=0")):
        return message.body
    if kind.startswith("multipart/"):
        boundary = _boundary(message.headers.get("Content-Type") or "")
        if not boundary:
            raise BadMessage("Bad Content-Type")
        found = list(_descriptions(message.body, boundary, MAX_DEPTH))
        if found:
            return min(found, key=lambda each: each[0])[1]
    raise BadMessage("Unsupported Content-Type", 415)


def _descriptions(body: bytes, boundary: str, depth: int) -> Iterator[tuple[int, bytes]]:
    """The parts that are SDP, in order, those of multipart parts included; each with a number that is lower if it is
    more likely the description of the session (RFC 5621 section 4.2).

    :param depth: how many multipart bodies within each other are looked into.
    """
    for part in _parts(body, boundary):
        head, octets = _split(part)
        content_type = head.get(b"content-type", head.get(b"c", b"")).decode("utf-8", "surrogateescape")
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "application/sdp":
            sdp = _decoded(head, octets)
            if sdp is not None:
                disposition = head.get(b"content-disposition", b"").partition(b";")[0].strip().lower()
                yield {b"session": 0, b"": 1}.get(disposition, 2), sdp
        elif kind.startswith("multipart/") and depth > 1 and (inner := _boundary(content_type)):
            yield from _descriptions(octets, inner, depth - 1)


def _parts(body: bytes, boundary: str) -> list[bytes]:
    """The parts between the boundaries, in order, whatever their line ends; the last may lack its end."""
    octets = re.escape(boundary.encode("utf-8", "surrogateescape"))
    pieces = re.split(rb"(?:\A|\r?\n)--%b(--)?[ \t]*(?=\r?\n|\Z)" % octets, body, maxsplit=MAX_PARTS)
    closed = pieces[1::2]
    count = next((at for at, mark in enumerate(closed) if mark), len(closed))
    return [_line_end.sub(b"", piece, count=1) for piece in pieces[2::2][:count]]


def _split(part: bytes) -> tuple[dict[bytes, bytes], bytes]:
    """The headers of a part, by their names in lower case, and its octets."""
    empty = _empty_line.search(part)
    head = part[: empty.start()] if empty else part
    lines = [line.partition(b":") for line in _line_end.split(_fold.sub(b" ", head))]
    return {name.strip().lower(): value.strip() for name, _, value in lines}, part[empty.end() :] if empty else b""


def _decoded(head: dict[bytes, bytes], octets: bytes) -> bytes | None:
    """The content of a part; None where its encoding is unknown or broken (RFC 2045 section 6)."""
    if head.get(b"content-encoding", head.get(b"e", b"identity")).lower() != b"identity":
        return None
    encoding = head.get(b"content-transfer-encoding", b"binary").lower()
    if encoding == b"base64":
        try:
            return b64decode(octets)
        except binascii.Error:
            return None
    if encoding == b"quoted-printable":
        return decodestring(octets)
    return octets if encoding in (b"7bit", b"8bit", b"binary") else None


def _boundary(content_type: str) -> str:
    found = re.search(r';\s*boundary\s*=\s*(?:"([^"]*)"|([^\s;]*))', content_type, re.IGNORECASE)
    return (found[1] or found[2] or "") if found else ""
