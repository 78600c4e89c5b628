"""The values of a session description (RFC 8866): a `Description` with its `Media`.

They are what a description says, not how it was written: text without line ends, each attribute in one form, and all
that is said for the session as a whole also said in each medium that it is about. `webrtcproxy.sip.sdp.reading` makes
them of octets, `webrtcproxy.sip.sdp.writing` octets of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field

DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))
"""The directions of media, from the view of the sender of a description (RFC 8866 section 6.7)."""

RTP_PROTOCOLS = frozenset(
    ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF")
)  # fmt: skip
"""Transport protocols whose formats are payload types (RFC 3551, 3711, 4585, 5124, 5764)."""

STATIC_CODECS = {
    "0": "PCMU/8000",
    "3": "GSM/8000",
    "4": "G723/8000",
    "5": "DVI4/8000",
    "6": "DVI4/16000",
    "7": "LPC/8000",
    "8": "PCMA/8000",
    "9": "G722/8000",
    "10": "L16/44100/2",
    "11": "L16/44100",
    "12": "QCELP/8000",
    "13": "CN/8000",
    "14": "MPA/90000",
    "15": "G728/8000",
    "16": "DVI4/11025",
    "17": "DVI4/22050",
    "18": "G729/8000",
    "25": "CelB/90000",
    "26": "JPEG/90000",
    "28": "nv/90000",
    "31": "H261/90000",
    "32": "MPV/90000",
    "33": "MP2T/90000",
    "34": "H263/90000",
}
"""Payload types that are defined without an rtpmap (RFC 3551 section 6)."""

FORMAT_ATTRIBUTES = frozenset(("fmtp", "imageattr", "rtcp-fb"))
"""Attributes that begin with the payload type that they are about."""

_NO_AUDIO_OR_VIDEO = frozenset(("telephone-event", "cn", "red", "rtx", "ulpfec", "flexfec", "flexfec-03"))

NOWHERE = "0.0.0.0"  # noqa: S104 - an address that is never sent to
_NOWHERES = (NOWHERE, "::")

_OTHERS = re.compile(r"(?<=\bapt=)\d+\b|^\d+(?=/)|(?<=\d/)\d+\b")
"""The numbers of other payload types in the parameters of a format."""

Attribute = tuple[str, str]
"""Name and value; ``""`` for the value of a flag."""


@dataclass(slots=True)
class Media:
    """One medium: an m= line and what belongs to it (RFC 8866 section 5.14).

    :ivar kind: ``audio``, ``video``, ``application`` ...
    :ivar port: 0 if the medium is refused, or only carried in the bundle of another.
    :ivar protocol: ``RTP/AVP``, ``UDP/TLS/RTP/SAVPF`` ...
    :ivar formats: in order of preference; payload types where the protocol is one of RTP. Only those whose codec is
        known.
    :ivar codecs: ``name/rate`` or ``name/rate/channels`` of each payload type.
    :ivar unnamed: payload types whose codec is not known.
    :ivar address: an IP address, or the name of a host; ``""`` if there is none.
    :ivar direction: one of `DIRECTIONS`.
    :ivar attributes: all others, in order.
    :ivar bandwidths: kind and value of each b= line.
    :ivar numbers: in an answer: the payload types that its sender gave to codecs that were offered with another number,
        by the number that was offered; None if there are none.
    """

    kind: str
    port: int
    protocol: str
    formats: list[str]
    codecs: dict[str, str] = field(default_factory=dict)
    unnamed: list[str] = field(default_factory=list)
    address: str = ""
    direction: str = "sendrecv"
    attributes: list[Attribute] = field(default_factory=list)
    bandwidths: list[Attribute] = field(default_factory=list)
    numbers: dict[str, str] | None = None

    @property
    def is_refused(self) -> bool:
        """Whether it is refused (RFC 3264 section 6)."""
        return self.port == 0 and not self.has("bundle-only")

    @property
    def is_rtp(self) -> bool:
        """Whether it is carried in RTP."""
        return self.protocol in RTP_PROTOCOLS

    @property
    def is_nowhere(self) -> bool:
        """Whether nothing can be sent to its address (RFC 2543; with ICE: RFC 8840 section 4.1.1)."""
        return self.address in _NOWHERES

    @property
    def is_usable(self) -> bool:
        """Whether it is not refused, and has a format."""
        return bool(self.formats) and not self.is_refused

    def has(self, name: str) -> bool:
        """Whether there is an attribute of this name."""
        return any(other == name for other, _ in self.attributes)

    def value(self, name: str) -> str:
        """The value of the first attribute of this name; ``""`` if it is absent."""
        return next((value for other, value in self.attributes if other == name), "")

    def values(self, name: str) -> list[str]:
        """The values of all attributes of this name."""
        return [value for other, value in self.attributes if other == name]

    def codec_names(self) -> set[str]:
        """The names of its codecs, in lower case, without those that carry neither sound nor pictures."""
        return {codec.partition("/")[0].lower() for codec in self.codecs.values()} - _NO_AUDIO_OR_VIDEO

    def keep(self, formats: Collection[str]) -> None:
        """Drop all other payload types, and what is said about them."""
        if len(self.formats) == len(formats):
            return
        self.formats = [number for number in self.formats if number in formats]
        self.codecs = {number: self.codecs[number] for number in self.formats}
        self.attributes = about(self.attributes, self.codecs)

    def renumber(self, numbers: Mapping[str, str]) -> None:
        """Give payload types other numbers; one whose number is then another's is dropped.

        :param numbers: the new ones, by those of now.
        """
        self.keep([each for each in self.formats if each in numbers or each not in numbers.values()])
        self.formats = [numbers.get(each, each) for each in self.formats]
        self.codecs = {numbers.get(each, each): codec for each, codec in self.codecs.items()}
        self.attributes = [_renumbered(each, numbers) for each in self.attributes]

    def refuse(self) -> None:
        """Refuse it: port 0, and nothing is left that would be about it but its mid (RFC 3264 section 6, RFC 9143
        section 7.3)."""
        self.port = 0
        self.codecs = {}
        self.unnamed = []
        self.formats = self.formats[:1] if self.formats and not self.is_rtp else ["0"]
        self.address = NOWHERE
        self.direction = "sendrecv"
        self.attributes = [each for each in self.attributes if each[0] == "mid"]
        self.bandwidths = []


@dataclass(slots=True)
class Description:
    """A session description.

    :ivar media: at least one.
    :ivar attributes: those that concern several media together.
    :ivar bandwidths: kind and value of each b= line.
    """

    media: list[Media]
    attributes: list[Attribute] = field(default_factory=list)
    bandwidths: list[Attribute] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether a medium is usable."""
        return any(media.is_usable for media in self.media)


def _renumbered(attribute: Attribute, numbers: Mapping[str, str]) -> Attribute:
    """The attribute about the payload type with its new number. What a format says of others (``apt`` of RFC 4588, the
    parts of RFC 2198) is about these, too."""
    name, value = attribute
    if name not in FORMAT_ATTRIBUTES:
        return attribute
    about, blank, rest = value.partition(" ")
    if name == "fmtp":
        rest = _OTHERS.sub(lambda found: numbers.get(found[0], found[0]), rest)
    return name, numbers.get(about, about) + blank + rest


def about(attributes: Iterable[Attribute], formats: Collection[str]) -> list[Attribute]:
    """The attributes without those that are about other payload types than these."""
    return [
        (name, value)
        for name, value in attributes
        if name not in FORMAT_ATTRIBUTES or value[:2] == "* " or value.partition(" ")[0] in formats
    ]
