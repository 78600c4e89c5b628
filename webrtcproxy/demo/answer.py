"""The SDP of the echo endpoint: answers with the offered codecs, so that packets can return unchanged (RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.sip.sdp.description import Description, Media
from webrtcproxy.sip.sdp.reading import BadSdp, read
from webrtcproxy.sip.sdp.writing import write

CODECS = frozenset(("pcmu", "pcma", "g722", "opus", "telephone-event"))
DIRECTIONS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""The direction to answer for each offered one (RFC 3264 section 6.1)."""


@dataclass(frozen=True, slots=True)
class EchoAnswer:
    """An SDP body, and whether the echo may send.

    :ivar body: the SDP.
    :ivar sends: False if the offer puts the echo on hold.
    """

    body: bytes
    sends: bool


def answer(offer: bytes, host: str, port: int, session: int, version: int) -> EchoAnswer | None:
    """Answer an offer: accept its first usable audio with the codecs of `CODECS`, reject all other media.

    :param host: our IP address, without brackets.
    :param port: our RTP port.
    :param session: sess-id of our o= line, the same throughout a call.
    :param version: sess-version, increased with each answer.
    :returns: None if there is no common codec (488).
    """
    try:
        media = read(offer).media
    except BadSdp:
        return None
    chosen = next((each for each in media if _is_usable(each)), None)
    if chosen is None:
        return None
    direction = DIRECTIONS[chosen.direction]
    for each in media:
        if each is chosen:
            _accept(each, host, port, direction)
        else:
            each.refuse()
    return EchoAnswer(write(Description(media), session, version), direction.startswith("send"))


def offer(host: str, port: int, session: int, version: int) -> bytes:
    """An offer, for an INVITE without one. Parameters as of `answer`."""
    codecs = {"0": "PCMU/8000", "8": "PCMA/8000", "101": "telephone-event/8000"}
    audio = Media("audio", port, "RTP/AVP", list(codecs), codecs, address=host, of_formats=[("fmtp", "101 0-16")])
    return write(Description([audio]), session, version)


def _is_usable(media: Media) -> bool:
    """Whether this is plain RTP audio that is not refused, with a codec that is known."""
    return (
        media.kind == "audio"
        and media.is_usable
        and media.protocol == "RTP/AVP"
        and any(_name(codec) in CODECS for codec in media.codecs.values() if _name(codec) != "telephone-event")
    )


def _name(codec: str) -> str:
    return codec.partition("/")[0].lower()


def _accept(media: Media, host: str, port: int, direction: str) -> None:
    """Accept what is known of it."""
    media.keep([payload for payload, codec in media.codecs.items() if _name(codec) in CODECS])
    media.of_formats = [each for each in media.of_formats if each[0] == "fmtp"]
    media.attributes, media.bandwidths = [], []
    media.address, media.port, media.direction = host, port, direction
