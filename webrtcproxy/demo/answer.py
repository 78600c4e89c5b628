"""The SDP of the echo endpoint: answers with the offered codecs, so that packets can return unchanged (RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.sip.sdp.description import MediaSection, SessionDescription, new_media, new_session

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
    media = SessionDescription(offer).media
    chosen = next((each for each in media if _is_usable(each) and _formats(each)), None)
    if chosen is None or all(name.lower().startswith("telephone") for name in _formats(chosen).values()):
        return None
    direction = DIRECTIONS[chosen.direction]
    sections = [_audio(each, port, direction) if each is chosen else _rejected(each) for each in media]
    return EchoAnswer(_written(host, session, version, sections), direction.startswith("send"))


def offer(host: str, port: int, session: int, version: int) -> bytes:
    """An offer, for an INVITE without one. Parameters as of `answer`."""
    attributes = [
        ("rtpmap", "0 PCMU/8000"),
        ("rtpmap", "8 PCMA/8000"),
        ("rtpmap", "101 telephone-event/8000"),
        ("fmtp", "101 0-16"),
        ("sendrecv", ""),
    ]
    return _written(host, session, version, [new_media("audio", port, "RTP/AVP", ("0", "8", "101"), attributes)])


def _written(host: str, session: int, version: int, media: list[MediaSection]) -> bytes:
    common = new_session(host, user="echo", session_id=session, version=version, name="echo")
    return SessionDescription.of(common, media).octets


def _is_usable(media: MediaSection) -> bool:
    """Whether this is plain RTP audio that is not rejected."""
    return media.kind == "audio" and media.port != 0 and media.protocol == "RTP/AVP"


def _formats(media: MediaSection) -> dict[str, str]:
    """The payload types of known codecs, in the offer's order, each with its ``name/rate``."""
    return {payload: name for payload, name in media.codecs.items() if name.partition("/")[0].lower() in CODECS}


def _audio(media: MediaSection, port: int, direction: str) -> MediaSection:
    formats = _formats(media)
    attributes: list[tuple[str, str]] = []
    for payload, name in formats.items():
        attributes.append(("rtpmap", f"{payload} {name}"))
        attributes += [("fmtp", each) for each in media.all("fmtp") if each.startswith(f"{payload} ")][:1]
    return new_media("audio", port, "RTP/AVP", formats, [*attributes, (direction, "")])


def _rejected(media: MediaSection) -> MediaSection:
    return new_media(media.kind or "audio", 0, media.protocol or "RTP/AVP", media.formats or ("0",))
