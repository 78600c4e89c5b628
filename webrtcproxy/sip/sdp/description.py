"""SessionDescription: a session description that is split into lines and media on demand (RFC 8866).

Parsing is liberal: it never raises, ignores what is malformed, and looks at a bounded number of lines. What is not
changed is written as it was received, octet for octet. Lines are octets; parsed values are text.
"""

from __future__ import annotations

from collections.abc import Iterable

from webrtcproxy.sip.grammar import number

MAX_LINES = 2000
"""Lines of a section that are looked at."""
MAX_MEDIA = 64
"""Media that are looked at."""

DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))
"""The directions of media, from the view of the sender of a description (RFC 8866 section 6.7)."""

STATIC_CODECS = {
    "0": "PCMU/8000",
    "3": "GSM/8000",
    "4": "G723/8000",
    "8": "PCMA/8000",
    "9": "G722/8000",
    "13": "CN/8000",
    "15": "G728/8000",
    "18": "G729/8000",
}
"""Payload types that are defined without an rtpmap (RFC 3551 section 6)."""

Attributes = tuple[tuple[str, str], ...]
"""Name and value of each a= line, in order; ``""`` for the value of a flag."""


class SdpSection:
    """A part of a description: the lines before the first m= line, or an m= line and those after it. Immutable.

    :ivar lines: as written, line ends included.
    """

    __slots__ = ("_attributes", "lines")

    def __init__(self, lines: Iterable[bytes] = ()) -> None:
        self.lines = tuple(lines)
        self._attributes: Attributes | None = None

    @property
    def attributes(self) -> Attributes:
        """The attributes of this section."""
        if self._attributes is None:
            found = []
            for line in self.lines[:MAX_LINES]:
                if line.startswith(b"a="):
                    name, _, value = text_of(line).partition(":")
                    found.append((name, value.strip()))
            self._attributes = tuple(found)
        return self._attributes

    def has(self, name: str) -> bool:
        """Whether there is an attribute of this name."""
        return any(other == name for other, _ in self.attributes)

    def all(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return [value for other, value in self.attributes if other == name]

    @property
    def own_address(self) -> str:
        """The address of the first c= line, without TTL; ``""`` if it is absent."""
        for line in self.lines[:MAX_LINES]:
            if line.startswith(b"c="):
                words = text_of(line).split()
                return words[2].partition("/")[0] if len(words) > 2 else ""
        return ""

    @property
    def own_direction(self) -> str:
        """The first direction among the attributes; ``""`` if it is absent."""
        return next((name for name, _ in self.attributes if name in DIRECTIONS), "")


class MediaSection(SdpSection):
    """One m= line and the lines that belong to it (RFC 8866 section 5.14).

    :param lines: the m= line first.
    :param session: the section for all media.
    """

    __slots__ = ("_session", "_words")

    def __init__(self, lines: Iterable[bytes], session: SdpSection) -> None:
        super().__init__(lines)
        self._session = session
        self._words: list[str] = []

    @property
    def words(self) -> list[str]:
        """Kind, port, protocol and formats of the m= line; ``""`` for each of the first three that is missing."""
        if not self._words:
            words = text_of(self.lines[0]).split()
            self._words = words + [""] * (3 - len(words))
        return self._words

    @property
    def kind(self) -> str:
        """``audio``, ``video``, ``application`` ..."""
        return self.words[0]

    @property
    def port(self) -> int:
        """0 if the medium is rejected, or only carried in the bundle of another."""
        return number(self.words[1].partition("/")[0], 65535) or 0

    @property
    def protocol(self) -> str:
        """As written: ``RTP/AVP``, ``UDP/TLS/RTP/SAVPF``."""
        return self.words[2]

    @property
    def formats(self) -> tuple[str, ...]:
        """Payload types, in order of preference."""
        return tuple(self.words[3:])

    @property
    def address(self) -> str:
        """The address of its c= line, or of the session's; ``""`` if there is neither."""
        return self.own_address or self._session.own_address

    @property
    def direction(self) -> str:
        """One of `DIRECTIONS`, from the view of the sender of the description."""
        return self.own_direction or self._session.own_direction or "sendrecv"

    @property
    def is_rejected(self) -> bool:
        """True if the medium is rejected (RFC 3264 section 6)."""
        return self.port == 0 and not self.has("bundle-only")

    @property
    def is_held(self) -> bool:
        """True if the sender does not want to receive: by direction, or by the address 0.0.0.0 (RFC 2543).

        With ICE, that address does not mean hold (RFC 8840 section 4.1.1).
        """
        if self.direction in ("sendonly", "inactive"):
            return True
        return self.address == "0.0.0.0" and self.protocol.startswith("RTP/") and not self.has("ice-ufrag")  # noqa: S104

    @property
    def codecs(self) -> dict[str, str]:
        """``name/rate`` of each payload type, ``""`` if it is unknown; in order of preference."""
        named = dict(STATIC_CODECS)
        for value in self.all("rtpmap"):
            payload, _, encoding = value.partition(" ")
            named[payload] = encoding.strip()
        return {payload: named.get(payload, "") for payload in self.formats}

    def rejected(self) -> MediaSection:
        """A copy with port 0 (RFC 3264 section 6) that keeps only its c= line and its mid. A section without a port is
        returned unchanged."""
        m_line = reject_m_line(self.lines[0])
        if m_line is None:
            return self
        below = [line for line in self.lines[1:] if line.startswith((b"c=", b"a=mid:"))]
        return MediaSection([m_line, *below], self._session)


class SessionDescription:
    """A body of type application/sdp. Immutable; equal to another with the same octets.

    :param octets: as received; they are split on demand.
    :ivar octets: the same.
    """

    __slots__ = ("_media", "_session", "octets")

    def __init__(self, octets: bytes) -> None:
        self.octets = octets
        self._session: SdpSection | None = None
        self._media: tuple[MediaSection, ...] = ()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, SessionDescription) and self.octets == other.octets

    def __hash__(self) -> int:
        return hash(self.octets)

    @property
    def session(self) -> SdpSection:
        """The section for all media."""
        return self._session or self._cut()

    @property
    def sections(self) -> tuple[MediaSection, ...]:
        """All media, in order; use `media` for a description from a peer."""
        _ = self._session or self._cut()
        return self._media

    @property
    def media(self) -> tuple[MediaSection, ...]:
        """The first `MAX_MEDIA` media."""
        return self.sections[:MAX_MEDIA]

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of media that are not rejected."""
        return tuple(media.kind for media in self.media if not media.is_rejected)

    @staticmethod
    def of(session: SdpSection, media: Iterable[MediaSection]) -> SessionDescription:
        """A description made of these sections, each unchanged."""
        return SessionDescription(b"".join([line for section in (session, *media) for line in section.lines]))

    def _cut(self) -> SdpSection:
        lines = self.octets.splitlines(keepends=True)
        starts = [at for at, line in enumerate(lines) if line.startswith(b"m=")]
        session = self._session = SdpSection(lines[: starts[0]] if starts else lines)
        ends = [*starts, len(lines)][1:]
        self._media = tuple([
            MediaSection(lines[start:end], session) for start, end in zip(starts, ends, strict=True)
        ])  # fmt: skip
        return session


def text_of(line: bytes) -> str:
    """The value of a line, without its type, line end and surrounding blanks; octets outside UTF-8 as surrogates."""
    return line[2:].decode("utf-8", "surrogateescape").strip()


def reject_m_line(line: bytes) -> bytes | None:
    """An m= line with port 0 and the same line end; None if it has no port and protocol."""
    words = line.split(b" ", 2)
    return b"%b 0 %b" % (words[0], words[2]) if len(words) == 3 else None


def new_session(
    address: str, *, user: str = "-", session_id: int = 1, version: int = 1, name: str = "-"
) -> SdpSection:  # fmt: skip
    """The lines before the first medium (RFC 8866 section 5).

    :param address: an IP address, without brackets.
    :param user: of the o= line.
    :param session_id: the same throughout a session.
    :param version: increased by one with each different description of the session.
    :param name: of the s= line; not empty.
    """
    where = f"IN {'IP6' if ':' in address else 'IP4'} {address}"
    return SdpSection(
        _written(["v=0", f"o={user} {session_id} {version} {where}", f"s={name}", f"c={where}", "t=0 0"])
    )  # fmt: skip


def new_media(
    kind: str,
    port: int,
    protocol: str,
    formats: Iterable[str],
    attributes: Iterable[tuple[str, str]] = (),
    session: SdpSection | None = None,
) -> MediaSection:
    """A new medium; the parameters are those of an m= line, as in `MediaSection`.

    :param attributes: names and values, ``""`` for the value of a flag.
    :param session: the section for all media, if it matters.
    """
    lines = [" ".join((f"m={kind} {port} {protocol}", *formats))]
    lines += [f"a={name}:{value}" if value else f"a={name}" for name, value in attributes]
    return MediaSection(_written(lines), session or SdpSection())


def _written(lines: Iterable[str]) -> list[bytes]:
    return [f"{line}\r\n".encode("utf-8", "surrogateescape") for line in lines]
