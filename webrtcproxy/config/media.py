"""What a trunk's section may say about media: codecs, encryption, address family, digits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal

from webrtcproxy.config.ini import Section

TRANSCODED: Final = ("PCMU", "PCMA", "G722", "G729", "G723", "GSM", "speex", "opus")
"""Codecs that rtpengine makes out of others."""
PASSED: Final = ("telephone-event", "CN", "iLBC", "AMR", "AMR-WB", "EVS", "L16", "G726-32")
"""What else may stand in audio: a trunk gets it where the browser has it."""
VIDEO: Final = ("VP8", "VP9", "H264", "H265", "AV1", "rtx", "red", "ulpfec")
"""What may stand in video; never made out of something else."""

_CODECS: Final = {name.lower(): name for name in (*TRANSCODED, *PASSED, *VIDEO)}


@dataclass(frozen=True, slots=True)
class TrunkMedia:
    """The media of a trunk.

    :param codecs: all that it is offered, the preferred ones first; None: whatever the browser offers.
    :param srtp: media is encrypted, with keys in the SDP (SDES, RFC 4568); else plain RTP.
    :param family: of the addresses that it is sent, None for those of the browser's SDP.
    :param interfaces: of rtpengine, by name: that towards browsers, and that towards the trunk; None: the first one.
    :param dtmf: what becomes of digits that a browser sends by INFO: they pass as they are, or rtpengine makes events
        in the audio of them (RFC 4733).
    """

    codecs: tuple[str, ...] | None = None
    srtp: bool = False
    family: Literal["ipv4", "ipv6"] | None = None
    interfaces: tuple[str, str] | None = None
    dtmf: Literal["pass", "rfc4733"] = "pass"

    @property
    def video(self) -> bool:
        """Whether it takes video."""
        return self.codecs is None or any(name in VIDEO for name in self.codecs)


def trunk_media(section: Section) -> TrunkMedia:
    """Read the keys of a trunk's section.

    :raises ConfigError: there is a mistake in them.
    """
    family = section.choice("address-family", "", ("ipv4", "ipv6"))
    return TrunkMedia(
        codecs=_codecs(section),
        srtp=section.choice("media", "rtp", ("rtp", "srtp")) == "srtp",
        family="ipv4" if family == "ipv4" else "ipv6" if family else None,
        interfaces=_interfaces(section),
        dtmf="rfc4733" if section.choice("dtmf", "pass", ("pass", "rfc4733")) == "rfc4733" else "pass",
    )


def _interfaces(section: Section) -> tuple[str, str] | None:
    remedy = "write two names out of rtpengine's --interface=NAME/ADDRESS: for browsers, and for this trunk"
    names = section.words("interfaces", remedy)
    if names and len(names) != 2:
        raise section.error("interfaces", "these are not two", remedy)
    return (names[0], names[1]) if names else None


def _codecs(section: Section) -> tuple[str, ...] | None:
    remedy = "write codecs such as PCMU PCMA telephone-event, or * for whatever browsers offer"
    names = section.each("codecs", remedy, str)
    if not names or names == ("*",):
        return None
    return _checked(section, [_codec(section, name, remedy) for name in names])


def _codec(section: Section, name: str, remedy: str) -> str:
    if name == "*":
        raise section.error("codecs", "'*' does not go with others", remedy, name)
    known = _CODECS.get(name.lower())
    if known is None:
        raise section.error("codecs", "this codec is not known", f"known are {', '.join(_CODECS.values())}", name)
    return known


def _checked(section: Section, names: Sequence[str]) -> tuple[str, ...]:
    if not any(name in TRANSCODED for name in names):
        remedy = f"name at least one of {', '.join(TRANSCODED)}"
        raise section.error("codecs", "there is no codec for speech that can be made of any other", remedy)
    return tuple(dict.fromkeys(names))
