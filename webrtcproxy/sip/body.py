"""Message bodies: finds the session description, alone or as a part of a multipart body (RFC 2046, RFC 5621), and keeps
it out of what is no offer or answer."""

from __future__ import annotations

import re
from collections.abc import Iterator

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import is_token, media_type
from webrtcproxy.sip.multipart import MAX_DEPTH, MAX_PARTS, parts_of
from webrtcproxy.sip.request import Message, Request, Response

_sdp_line = re.compile(rb"(?:\A|[\r\n])[ \t]*[vomca][ \t]*=").search
_secret = re.compile(
    rb"(?:\A|[\r\n])[ \t]*(?:v[ \t]*=[ \t]*0[ \t]*[\r\n]+[ \t]*o[ \t]*=|c[ \t]*=[ \t]*IN[ \t]|"
    rb"m[ \t]*=[ \t]*[a-z]+ +[0-9]+ |"
    rb"a[ \t]*=[ \t]*(?:ice-ufrag|ice-pwd|fingerprint|candidate|crypto|remote-candidates|tls-id):)",
    re.IGNORECASE,
).search
"""Finds the lines of a description that tell of addresses and keys, or with which it begins."""
_names_sdp = re.compile(rb"application[ \t]*/[ \t]*[a-z0-9.+\-]*sdp", re.IGNORECASE).search
_of_the_body = re.compile(rb"(?:content-[a-z\-]+|[cel])[ \t]*:|[ \t]*[a-z]=", re.IGNORECASE).match
"""Finds the headers of a body, and the lines of a description."""


def sdp_of(message: Message) -> bytes:
    """The SDP that `message` carries; empty if it has no body. In a response, which nobody can refuse, a body that
    begins as SDP does is one, whatever its type says.

    :raises BadMessage: 415 if the body is encoded, or neither is SDP nor has a part that is; 400 for a multipart body
        without a boundary; 413 where none of its first `MAX_PARTS` parts is SDP, and there are more.
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
    """Whether the body of `message` is a session description, or has one as a part, however it is encoded; by its type,
    or by its look."""
    if not message.body:
        return False
    if _is_encoded(message):
        kind = message.content_type
        return "sdp" in kind or kind.startswith(("multipart/", "message/"))
    return _without(message.headers.get("Content-Type") or "", message.body, MAX_DEPTH) is None


def crossing_body(message: Message) -> bytes:
    """The body that crosses, of a request or response outside of offer and answer: without what describes media, which
    are addresses and keys of one side, and say nothing of those that the proxy would offer the other one (as a 200 to
    OPTIONS does, RFC 3261 section 11.2). A message that is quoted, as in a NOTIFY of a REFER, crosses without its body;
    another body that has a description, not at all."""
    if not message.body:
        return b""
    if _is_encoded(message):
        return b"" if has_description(message) else message.body
    return _without(message.headers.get("Content-Type") or "", message.body, MAX_DEPTH) or b""


def _is_encoded(message: Message) -> bool:
    words = ",".join(message.headers.lines("Content-Encoding")).lower().split(",")
    return any(word.strip() not in ("", "identity") for word in words)


def _without(content_type: str, body: bytes, depth: int) -> bytes | None:
    """A body without the descriptions in messages that it quotes; None where it is, or has, another one.

    :param depth: how many bodies within each other are looked into.
    """
    kind = media_type(content_type)
    if kind.startswith("message/"):
        return _without_body(body)
    if kind.startswith("multipart/"):
        return _without_in_parts(content_type, body, depth)
    if _secret(body) or ((not kind or "sdp" in kind) and _sdp_line(body)):
        return None
    return body


def _without_body(text: bytes) -> bytes:
    """A quoted message, or a part of one (RFC 3420), without its body and the headers of that, where it may have a
    description."""
    if not _secret(text) and not _names_sdp(text):
        return text
    kept = []
    is_kept = True
    for line in text.lstrip(b"\r\n").splitlines():
        if not line.strip():
            break
        if line[:1] not in b" \t":  # else it goes on with the one before
            is_kept = not _of_the_body(line)
        if is_kept:
            kept.append(line + b"\r\n")
    return b"".join(kept)


def _without_in_parts(content_type: str, body: bytes, depth: int) -> bytes | None:
    """A multipart body in which messages are quoted without their bodies; None where a part is a description, or where
    nobody can tell."""
    parts = parts_of(content_type, body) or []
    if not depth or len(parts) > MAX_PARTS:
        return None
    for part in parts:
        content = part.content
        if content is None:
            if "sdp" in part.kind or part.kind.startswith(("multipart/", "message/")):
                return None
            continue
        left = None if "sdp" in part.kind else _without(part.content_type, content, depth - 1)
        if left is None or (left != content and content != part.octets):
            return None
        if left != content:
            body = body.replace(content, left, 1)
    return None if _secret(body) or (not parts and _names_sdp(body)) else body


def _sdp_in(message: Message) -> bytes:
    kind = message.content_type
    by_look = isinstance(message, Response)
    if _is_encoded(message):
        raise BadMessage("Unsupported Content-Encoding", 415)
    if kind == "application/sdp" or ((by_look or not _is_media_type(kind)) and _looks_like_sdp(message.body)):
        return message.body
    if kind.startswith("multipart/"):
        content_type = message.headers.get("Content-Type") or ""
        parts = parts_of(content_type, message.body)
        if parts is None:
            raise BadMessage("Bad Content-Type")
        found = list(_descriptions(content_type, message.body, MAX_DEPTH))
        if not found and by_look:
            found = list(_descriptions(content_type, message.body, MAX_DEPTH, by_look))
        if found:
            return min(found, key=lambda each: each[0])[1]
        if len(parts) > MAX_PARTS:
            raise BadMessage("Too Many Parts", 413)
    raise BadMessage("Unsupported Content-Type", 415)


def _descriptions(content_type: str, body: bytes, depth: int, by_look: bool = False) -> Iterator[tuple[int, bytes]]:
    """The parts that are SDP, in order, those of multipart parts included; each with a number that is lower if it is
    more likely the description of the session (RFC 5621 section 4.2).

    :param depth: how many multipart bodies within each other are looked into.
    :param by_look: whether a part that begins as SDP does is one, whatever its type says.
    """
    for part in (parts_of(content_type, body) or [])[:MAX_PARTS]:
        kind = part.kind
        if kind == "application/sdp" or ((by_look or not _is_media_type(kind)) and _looks_like_sdp(part.octets)):
            sdp = part.content
            if sdp:
                yield {b"session": 0, b"": 1}.get(part.disposition, 2), sdp
        elif kind.startswith("multipart/") and depth > 1:
            yield from _descriptions(part.content_type, part.octets, depth - 1, by_look)


def _looks_like_sdp(body: bytes) -> bool:
    return body.lstrip().startswith(b"v=0")


def _is_media_type(kind: str) -> bool:
    """Whether this is a media type at all; where it is none, a body is what it looks like."""
    main, _, sub = kind.partition("/")
    return is_token(main) and is_token(sub)
