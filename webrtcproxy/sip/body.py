"""Message bodies: finds the session description, alone or as a part of a multipart body (RFC 2046, RFC 5621)."""

from __future__ import annotations

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.request import Message, Request

MAX_PARTS = 16


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


def _sdp_in(message: Message) -> bytes:
    kind = message.content_type
    encoding = message.headers.get("Content-Encoding")
    if encoding and encoding.strip().lower() != "identity":
        raise BadMessage("Unsupported Content-Encoding", 415)
    if kind == "application/sdp":
        return message.body
    if kind.startswith("multipart/"):
        for part in _parts(message):
            head, _, body = part.partition(b"\r\n\r\n")
            if _is_sdp(head):
                return body
    raise BadMessage("Unsupported Content-Type", 415)


def _parts(message: Message) -> list[bytes]:
    """The parts between the boundaries, in order."""
    boundary = _boundary(message.headers.get("Content-Type") or "")
    if not boundary:
        raise BadMessage("Bad Content-Type")
    pieces = (b"\r\n" + message.body).split(b"\r\n--" + boundary.encode("utf-8", "surrogateescape"), MAX_PARTS)
    return [piece.partition(b"\r\n")[2] for piece in pieces[1:] if not piece.startswith(b"--")]


def _boundary(content_type: str) -> str:
    for parameter in content_type.split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "boundary":
            return value.strip().strip('"')
    return ""


def _is_sdp(head: bytes) -> bool:
    for line in head.split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name.strip().lower() in (b"content-type", b"c"):
            return value.split(b";")[0].strip().lower() == b"application/sdp"
    return False
