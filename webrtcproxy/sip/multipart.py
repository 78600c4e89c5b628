"""Multipart bodies: their parts, as far as they can be told apart (RFC 2046 section 5.1, RFC 5621)."""

from __future__ import annotations

import binascii
import re
from base64 import b64decode
from collections.abc import Iterator
from dataclasses import dataclass
from quopri import decodestring

from webrtcproxy.sip.grammar import media_type

MAX_PARTS = 16
"""Parts of one multipart body that are looked at."""
MAX_DEPTH = 3
"""Multipart bodies within each other that are looked into."""
_MAX_BOUNDARY = 200
"""Characters of a boundary; it should have 70 at most."""

_fold = re.compile(rb"\r?\n[ \t]+")
_header = re.compile(rb"[A-Za-z0-9\-]+[ \t]*:([^\n]*\n[ \t])*[^\n]*(?:\n|\Z)").match
_empty_line = re.compile(rb"[ \t]*\r?(?:\n|\Z)").match
_boundary = re.compile(r'[;,]\s*boundary\s*=\s*(?:"([^"]*)"|([^;]*))', re.IGNORECASE).search
_first_line = re.compile(rb"(?:\A|\n)--([^\r\n]+)").search


@dataclass(frozen=True, slots=True)
class Part:
    """One part of a multipart body.

    :ivar headers: by their names in lower case.
    :ivar octets: its content, as it is encoded.
    """

    headers: dict[bytes, bytes]
    octets: bytes

    @property
    def content_type(self) -> str:
        """The value of Content-Type; empty where there is none."""
        return self.headers.get(b"content-type", self.headers.get(b"c", b"")).decode("utf-8", "surrogateescape")

    @property
    def kind(self) -> str:
        """The media type in lower case without parameters; empty where there is none."""
        return media_type(self.content_type)

    @property
    def disposition(self) -> bytes:
        """Content-Disposition in lower case without parameters; empty where there is none."""
        return self.headers.get(b"content-disposition", b"").partition(b";")[0].strip().lower()

    @property
    def content(self) -> bytes | None:
        """The content, decoded; None where its encoding is unknown or broken (RFC 2045 section 6)."""
        headers = self.headers
        if headers.get(b"content-encoding", headers.get(b"e", b"identity")).lower() != b"identity":
            return None
        encoding = headers.get(b"content-transfer-encoding", b"binary").lower()
        if encoding == b"base64":
            try:
                return b64decode(self.octets)
            except binascii.Error:
                return None
        if encoding == b"quoted-printable":
            return decodestring(self.octets)
        return self.octets if encoding in (b"7bit", b"8bit", b"binary") else None


def parts_of(content_type: str, body: bytes) -> list[Part] | None:
    """The parts of a multipart body, in order: one more than `MAX_PARTS` at most, of which the last may be several.

    Line ends may be LF alone, the last boundary may be missing, and so may the empty line of a part.

    :param content_type: the value of the header, with the boundary; one that the body does not have is made up for by
        that with which the body begins.
    :returns: None where neither says what the boundary is.
    """
    boundaries = list(_boundaries(content_type))
    if not boundaries:
        return None
    first = _first_line(body)
    if first is not None:
        boundaries.append(first[1].rstrip(b" \t"))
    for boundary in boundaries:
        pieces = re.split(
            rb"(?:\A|\r?\n)--%b(--)?[ \t]*(?=\r?\n|\Z)" % re.escape(boundary), body, maxsplit=MAX_PARTS + 1
        )
        if len(pieces) > 1:
            closed = pieces[1::2]
            count = next((at for at, mark in enumerate(closed) if mark), len(closed))
            return [_part(piece) for piece in pieces[2::2][:count]]
    return []


def _boundaries(content_type: str) -> Iterator[bytes]:
    """What the boundary may be, the likeliest first."""
    found = _boundary(content_type)
    if found is None:
        return
    quoted, bare = found[1] or "", (found[2] or "").strip()
    for text in (quoted, bare, quoted.strip(), bare.strip("\"'"), bare.partition(" ")[0]):
        if text and len(text) <= _MAX_BOUNDARY:
            yield text.encode("utf-8", "surrogateescape")


def _part(text: bytes) -> Part:
    """A part, from the line end after its boundary on."""
    at = text.find(b"\n") + 1
    headers: dict[bytes, bytes] = {}
    while (found := _header(text, at)) is not None:
        name, _, value = _fold.sub(b" ", found[0]).partition(b":")
        headers.setdefault(name.strip().lower(), value.strip())
        at = found.end()
    empty = _empty_line(text, at)
    return Part(headers, text[empty.end() if empty is not None else at :])
