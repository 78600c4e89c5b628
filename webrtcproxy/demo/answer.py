"""What the echo endpoint says in SDP: the offered codecs back, so that a packet can return as it came (RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.sip.sdp import Sdp, SdpMedia

CODECS = frozenset(("pcmu", "pcma", "g722", "opus", "telephone-event"))
DIRECTIONS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""The offered direction, and ours (RFC 3264 section 6.1)."""


@dataclass(frozen=True, slots=True)
class EchoAnswer:
    """An SDP body, and whether it lets us send.

    :ivar body: the SDP.
    :ivar sends: False where the offer put us on hold.
    """

    body: bytes
    sends: bool


def answer(offer: bytes, host: str, port: int, session: int, version: int) -> EchoAnswer | None:
    """Answer an offer: its first usable audio with the codecs that we know, all else refused.

    :param host: our IP address, without brackets.
    :param port: our RTP port.
    :param session: sess-id of our o= line, the same throughout a call.
    :param version: sess-version, one more with each answer.
    :returns: None where there is nothing in common (488).
    """
    media = Sdp.read(offer).media
    chosen = next((each for each in media if _is_usable(each) and _formats(each)), None)
    if chosen is None or all(name.lower().startswith("telephone") for name in _formats(chosen).values()):
        return None
    direction = DIRECTIONS[chosen.direction]
    lines = _session(host, session, version)
    for each in media:
        lines += _audio(each, port, direction) if each is chosen else [_refused(each)]
    return EchoAnswer("\r\n".join([*lines, ""]).encode("utf-8", "surrogateescape"), direction.startswith("send"))


def offer(host: str, port: int, session: int, version: int) -> bytes:
    """An offer of ours, for an INVITE that had none. Parameters as of `answer`."""
    audio = [
        f"m=audio {port} RTP/AVP 0 8 101",
        "a=rtpmap:0 PCMU/8000",
        "a=rtpmap:8 PCMA/8000",
        "a=rtpmap:101 telephone-event/8000",
        "a=fmtp:101 0-16",
        "a=sendrecv",
    ]
    return "\r\n".join([*_session(host, session, version), *audio, ""]).encode("ascii")


def _session(host: str, session: int, version: int) -> list[str]:
    address = f"IN {'IP6' if ':' in host else 'IP4'} {host}"
    return ["v=0", f"o=echo {session} {version} {address}", "s=echo", f"c={address}", "t=0 0"]


def _is_usable(media: SdpMedia) -> bool:
    """Plain RTP audio that is not switched off."""
    return media.kind == "audio" and media.port != 0 and media.protocol == "RTP/AVP"


def _formats(media: SdpMedia) -> dict[str, str]:
    """The payload types that we take, in the offer's order, each with its ``name/rate``."""
    return {payload: name for payload, name in media.codecs.items() if name.partition("/")[0].lower() in CODECS}


def _audio(media: SdpMedia, port: int, direction: str) -> list[str]:
    formats = _formats(media)
    lines = [f"m=audio {port} RTP/AVP {' '.join(formats)}"]
    for payload, name in formats.items():
        lines.append(f"a=rtpmap:{payload} {name}")
        lines += [f"a=fmtp:{each}" for each in media.all("fmtp") if each.startswith(f"{payload} ")][:1]
    return [*lines, f"a={direction}"]


def _refused(media: SdpMedia) -> str:
    formats = " ".join(media.formats) or "0"
    return f"m={media.kind or 'audio'} 0 {media.protocol or 'RTP/AVP'} {formats}"
