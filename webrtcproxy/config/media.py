"""The options of a trunk for media: codecs, encryption, address family, interfaces, DTMF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from webrtcproxy.config.ini import Section
from webrtcproxy.config.kinds import choice, custom, flag, word
from webrtcproxy.config.mistakes import InvalidValue
from webrtcproxy.config.option import option

TRANSCODED: Final = ("PCMU", "PCMA", "G722", "G729", "G723", "GSM", "speex", "opus")
"""Codecs that rtpengine transcodes to."""
PASSED: Final = ("telephone-event", "CN", "iLBC", "AMR", "AMR-WB", "EVS", "L16", "G726-32")
"""Other formats of audio: a trunk is offered them if the browser offers them."""
VIDEO: Final = ("VP8", "VP9", "H264", "H265", "AV1", "rtx", "red", "ulpfec")
"""Formats of video; never transcoded."""

_CODECS: Final = {name.lower(): name for name in (*TRANSCODED, *PASSED, *VIDEO)}


def _interfaces(section: Section, key: str, remedy: str) -> tuple[str, str]:
    names = section.words(key, remedy)
    if len(names) != 2:
        raise section.error(key, "these are not two", remedy)
    return names[0], names[1]


def _codecs(section: Section, key: str, remedy: str) -> tuple[str, ...] | None:
    names = section.words(key, remedy)
    if names == ("*",):
        return None
    return _checked(section, key, section.parsed(key, remedy, names, _codec))


def _codec(name: str) -> str:
    if name == "*":
        raise ValueError("'*' does not go with others")
    known = _CODECS.get(name.lower())
    if known is None:
        raise InvalidValue("this codec is not known", f"known are {', '.join(_CODECS.values())}")
    return known


def _checked(section: Section, key: str, names: Sequence[str]) -> tuple[str, ...]:
    if not any(name in TRANSCODED for name in names):
        remedy = f"name at least one of {', '.join(TRANSCODED)}"
        raise section.error(key, "there is no codec for speech that can be made of any other", remedy)
    return tuple(dict.fromkeys(names))


@dataclass(frozen=True, slots=True)
class TrunkMedia:
    """The media of a trunk.

    :ivar codecs: the codecs that it is offered, in order of preference; None for those of the browser.
    :ivar interfaces: names of rtpengine's interfaces: towards browsers, and towards the trunk.
    """

    codecs: tuple[str, ...] | None = option(
        custom(_codecs, "write codecs such as PCMU PCMA telephone-event, or * for whatever browsers offer"),
        "The codecs that it is offered, in order of preference. If codecs are listed, nothing else is offered (no video"
        " unless a video codec is listed), and rtpengine transcodes if the browser has none of them.",
        default=None,
        absent="``*``",
    )
    srtp: bool = option(
        choice({"rtp": False, "srtp": True}),
        "With ``srtp`` its media is encrypted with keys in the SDP (SDES, RFC 4568), and the proxy accepts nothing else"
        " from it.",
        default=False,
        key="media",
    )
    family: Literal["ipv4", "ipv6"] | None = option(
        word("ipv4", "ipv6"),
        "The address family of its media; rtpengine needs an address of this family.",
        default=None,
        key="address-family",
        absent="that of the browser",
    )
    interfaces: tuple[str, str] | None = option(
        custom(
            _interfaces, "write two names out of rtpengine's --interface=NAME/ADDRESS: for browsers, and for this trunk"
        ),
        "The names of two interfaces of rtpengine: towards browsers, and towards the trunk.",
        default=None,
        absent="rtpengine's first one, for both",
    )
    dtmf: Literal["pass", "rfc4733"] = option(
        word("pass", "rfc4733"),
        "With ``rfc4733`` digits that browsers send by INFO become telephone-events in the audio (RFC 4733), which"
        " rtpengine then decodes and encodes throughout; with ``pass`` they cross as INFO.",
        default="pass",
    )
    nat: bool = option(
        flag(),
        "Whether its media comes from another address or port than its SDP says, since it is behind NAT. rtpengine then"
        " sends to where packets came from during the first three seconds after each offer and answer. This opens the"
        " call to strangers: whoever sends RTP to the port of the call in that time may hear and be heard in place of"
        " the trunk. With ``no`` packets from other addresses are dropped.",
        default=False,
        key="media-nat",
    )

    @property
    def video(self) -> bool:
        """Whether the trunk accepts video."""
        return self.codecs is None or any(name in VIDEO for name in self.codecs)
