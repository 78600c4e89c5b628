"""The values of a session description (RFC 8866): a `Description` with its `Media`.

They are what a description says, not how it was written: text without line ends, each attribute in one form, and all
that is said for the session as a whole also said in each medium that it is about. `webrtcproxy.sip.sdp.reading` makes
them of octets, `webrtcproxy.sip.sdp.writing` octets of them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

DIRECTIONS = frozenset(("sendrecv", "sendonly", "recvonly", "inactive"))
"""The directions of media, from the view of the sender of a description (RFC 8866 section 6.7)."""

OVER_TCP = {
    "TCP/DTLS/RTP/SAVP": "UDP/TLS/RTP/SAVP",
    "TCP/DTLS/RTP/SAVPF": "UDP/TLS/RTP/SAVPF",
    "TCP/TLS/RTP/SAVP": "UDP/TLS/RTP/SAVP",
    "TCP/TLS/RTP/SAVPF": "UDP/TLS/RTP/SAVPF",
}
"""What a browser may write whose default candidate is one of TCP (RFC 7850, RFC 8829 section 5.1.2), and the same over
UDP: ICE decides which it is."""

RTP_PROTOCOLS = frozenset(
    ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF", "UDP/TLS/RTP/SAVP", "UDP/TLS/RTP/SAVPF", *OVER_TCP)
)  # fmt: skip
"""Transport protocols whose formats are payload types (RFC 3551, 3711, 4585, 5124, 5764, 7850)."""

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
"""Attributes that begin with the payload type that they are about, or with ``*`` for all."""

NO_AUDIO_OR_VIDEO = frozenset(("telephone-event", "cn", "red", "rtx", "ulpfec", "flexfec", "flexfec-03"))
"""The names of codecs that carry neither sound nor pictures, in lower case."""

NOWHERE = "0.0.0.0"  # noqa: S104 - an address that is never sent to
NOWHERES = (NOWHERE, "::")
"""Addresses to which nothing can be sent."""
DISCARD_PORT = 9
"""The port of a medium without a default candidate (RFC 8839 section 4.4); at it nobody listens (RFC 863)."""

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
    :ivar unnamed: payload types whose codec is not known, and their places among all.
    :ivar of_unnamed: those of `FORMAT_ATTRIBUTES` that are about these.
    :ivar address: an IP address, or the name of a host; ``""`` if there is none.
    :ivar direction: one of `DIRECTIONS`.
    :ivar mid: its name among the media of the session (RFC 5888); ``""`` if it has none.
    :ivar of_formats: those of `FORMAT_ATTRIBUTES`, in order.
    :ivar attributes: all others, in order.
    :ivar bandwidths: kind and value of each b= line.
    :ivar offered_protocol: as its sender has written it, where `protocol` is what rtpengine is told; else empty.
    :ivar numbers: in an answer: the payload types that its sender gave to codecs that were offered with another number,
        by the number that was offered; None if there are none.
    :ivar misnamed_key: in an answer: tag and suite of its key, as its sender has written them, where that suite was
        offered with another tag; else empty.
    :ivar joined: it has no transport but that of another medium, of a browser's offer (`webrtcproxy.sip.sdp.bundling`).
    """

    kind: str
    port: int
    protocol: str
    formats: list[str]
    codecs: dict[str, str] = field(default_factory=dict)
    unnamed: dict[str, int] = field(default_factory=dict)
    of_unnamed: Sequence[Attribute] = ()
    address: str = ""
    direction: str = "sendrecv"
    mid: str = ""
    of_formats: list[Attribute] = field(default_factory=list)
    attributes: list[Attribute] = field(default_factory=list)
    bandwidths: list[Attribute] = field(default_factory=list)
    offered_protocol: str = ""
    numbers: dict[str, str] | None = None
    misnamed_key: str = ""
    joined: bool = False

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
        return self.address in NOWHERES

    @property
    def is_usable(self) -> bool:
        """Whether it is not refused, and has a format."""
        return bool(self.formats) and not self.is_refused

    def has(self, name: str) -> bool:
        """Whether there is an attribute of this name, one of `attributes`."""
        return name in dict(self.attributes)

    @property
    def has_sound_or_pictures(self) -> bool:
        """Whether any of its codecs carries either."""
        for codec in self.codecs.values():  # noqa: SIM110 - as above
            if codec.partition("/")[0].lower() not in NO_AUDIO_OR_VIDEO:
                return True
        return False

    def keep(self, formats: Collection[str]) -> None:
        """Drop all other payload types, and what is said about them."""
        if len(self.formats) == len(formats):
            return
        self.formats = [number for number in self.formats if number in formats]
        self.codecs = {number: self.codecs[number] for number in self.formats}
        self.of_formats = about(self.of_formats, self.codecs)

    def renumber(self, numbers: Mapping[str, str]) -> None:
        """Give payload types other numbers; one whose number is then another's is dropped.

        :param numbers: the new ones, by those of now.
        """
        self.keep([each for each in self.formats if each in numbers or each not in numbers.values()])
        self.formats = [numbers.get(each, each) for each in self.formats]
        self.codecs = {numbers.get(each, each): codec for each, codec in self.codecs.items()}
        self.of_formats = [_renumbered(each, numbers) for each in self.of_formats]

    def refuse(self) -> None:
        """Refuse it: port 0, and nothing is left that would be about it but its mid (RFC 3264 section 6, RFC 9143
        section 7.3)."""
        self.port = 0
        self.codecs = {}
        self.unnamed = {}
        self.of_unnamed = ()
        self.formats = self.formats[:1] if self.formats and not self.is_rtp else ["0"]
        self.address = NOWHERE
        self.direction = "sendrecv"
        self.of_formats = []
        self.attributes = []
        self.bandwidths = []


@dataclass(slots=True)
class Description:
    """A session description.

    :ivar media: at least one.
    :ivar attributes: those that concern several media together.
    :ivar bandwidths: kind and value of each b= line.
    :ivar of_firefox: whether it has groups, and is of Firefox, as its origin says.
    :ivar not_offered: in an answer: media that were not offered, and are dropped.
    """

    media: list[Media]
    attributes: list[Attribute] = field(default_factory=list)
    bandwidths: list[Attribute] = field(default_factory=list)
    of_firefox: bool = field(default=False, compare=False)
    not_offered: Sequence[Media] = field(default=(), compare=False)

    @property
    def is_usable(self) -> bool:
        """Whether a medium is usable."""
        for media in self.media:  # noqa: SIM110 - asked several times a call, and a generator takes four times as long
            if media.is_usable:
                return True
        return False


def _renumbered(attribute: Attribute, numbers: Mapping[str, str]) -> Attribute:
    """The attribute about the payload type with its new number. What a format says of others (``apt`` of RFC 4588, the
    parts of RFC 2198) is about these, too."""
    name, value = attribute
    about, blank, rest = value.partition(" ")
    if name == "fmtp":
        rest = _OTHERS.sub(lambda found: numbers.get(found[0], found[0]), rest)
    return name, numbers.get(about, about) + blank + rest


def about(attributes: Iterable[Attribute], formats: Collection[str]) -> list[Attribute]:
    """Those of `FORMAT_ATTRIBUTES` that are about one of these payload types, or about all."""
    return [(name, value) for name, value in attributes if value.partition(" ")[0] in formats or value[:2] == "* "]
