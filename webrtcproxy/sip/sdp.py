"""Questions about a session description (RFC 8866, RFC 3264). It is never rewritten: rtpengine does that.

Reading is liberal: whatever is broken is left out, nothing raises, and what is looked at is bounded.
"""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.sip.grammar import number

MAX_LINES = 2000
"""Lines that are looked at."""
MAX_MEDIA = 64
"""Media that are looked at."""

DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))

STATIC = {
    "0": "PCMU/8000",
    "3": "GSM/8000",
    "4": "G723/8000",
    "8": "PCMA/8000",
    "9": "G722/8000",
    "13": "CN/8000",
    "15": "G728/8000",
    "18": "G729/8000",
}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""

Attributes = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class SdpMedia:
    """One m= line and what stands below it; what the session says for all media is counted in.

    :ivar kind: ``audio``, ``video``, ``application`` ...
    :ivar port: 0 where the medium is refused, or only carried in the bundle of another.
    :ivar protocol: as written, ``RTP/AVP``, ``UDP/TLS/RTP/SAVPF``.
    :ivar formats: payload types, in the order of preference.
    :ivar address: of the c= line; ``""`` where there is none.
    :ivar direction: what the sender of the description wants to do: ``sendrecv``, ``sendonly``, ``recvonly``,
        ``inactive``.
    :ivar attributes: name and value of each a= line, in order; ``""`` for the value of a flag.
    """

    kind: str
    port: int = 0
    protocol: str = ""
    formats: tuple[str, ...] = ()
    address: str = ""
    direction: str = "sendrecv"
    attributes: Attributes = ()

    @property
    def refused(self) -> bool:
        """True where there is to be no such medium."""
        return self.port == 0 and not self.has("bundle-only")

    @property
    def held(self) -> bool:
        """True where the sender does not want to hear us: by direction, or by the address 0.0.0.0 of RFC 2543.

        With ICE that address says nothing (RFC 8840 section 4.1.1).
        """
        if self.direction in ("sendonly", "inactive"):
            return True
        return self.address == "0.0.0.0" and self.protocol.startswith("RTP/") and not self.has("ice-ufrag")  # noqa: S104

    @property
    def codecs(self) -> dict[str, str]:
        """``name/rate`` of each payload type, ``""`` where it is unknown; in the order of preference."""
        named = dict(STATIC)
        for value in self.all("rtpmap"):
            payload, _, encoding = value.partition(" ")
            named[payload] = encoding.strip()
        return {payload: named.get(payload, "") for payload in self.formats}

    def has(self, name: str) -> bool:
        """Whether there is an attribute of this name."""
        return any(other == name for other, _ in self.attributes)

    def all(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return [value for other, value in self.attributes if other == name]


@dataclass(frozen=True, slots=True)
class Sdp:
    """A session description.

    :ivar attributes: of the session.
    :ivar media: in order.
    """

    attributes: Attributes = ()
    media: tuple[SdpMedia, ...] = ()

    @staticmethod
    def read(data: bytes) -> Sdp:
        """Read a body of type application/sdp; never raises."""
        text = data.decode("utf-8", "surrogateescape").replace("\r\n", "\n").replace("\r", "\n")
        lines = text.split("\n", MAX_LINES)[:MAX_LINES]
        sections: list[list[str]] = [[]]
        for line in lines:
            if line.startswith("m="):
                if len(sections) > MAX_MEDIA:
                    break
                sections.append([])
            sections[-1].append(line)
        common = _attributes(sections[0])
        address, direction = _address(sections[0], ""), _direction(common, "sendrecv")
        return Sdp(common, tuple(_media(section, address, direction) for section in sections[1:]))

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kinds of media that are not refused."""
        return tuple(media.kind for media in self.media if not media.refused)


def _media(lines: list[str], address: str, direction: str) -> SdpMedia:
    kind, port, protocol, *formats = lines[0][2:].split() + [""] * 3
    attributes = _attributes(lines)
    return SdpMedia(
        kind,
        number(port.partition("/")[0], 65535) or 0,
        protocol,
        tuple(name for name in formats if name),
        _address(lines, address),
        _direction(attributes, direction),
        attributes,
    )


def _attributes(lines: list[str]) -> Attributes:
    found = []
    for line in lines:
        if line.startswith("a="):
            name, _, value = line[2:].strip().partition(":")
            found.append((name, value.strip()))
    return tuple(found)


def _address(lines: list[str], default: str) -> str:
    """The address of the first c= line, without TTL."""
    for line in lines:
        if line.startswith("c="):
            words = line[2:].split()
            return words[2].partition("/")[0] if len(words) > 2 else default
    return default


def _direction(attributes: Attributes, default: str) -> str:
    return next((name for name, _ in attributes if name in DIRECTIONS), default)
