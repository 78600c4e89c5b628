"""What the echo endpoint says in SDP: the offered codecs back, so that a packet can return as it came (RFC 3264)."""

from __future__ import annotations

from dataclasses import dataclass, field

CODECS = frozenset(("pcmu", "pcma", "g722", "opus", "telephone-event"))
STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}
"""Payload types that need no rtpmap (RFC 3551 section 6)."""
DIRECTIONS = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
"""The offered direction, and ours (RFC 3264 section 6.1)."""


@dataclass(slots=True)
class _Media:
    """One m= line of an offer: its words and the attributes below it."""

    words: list[str]
    attributes: list[str] = field(default_factory=list)

    @property
    def usable(self) -> bool:
        """Plain RTP audio that is not switched off."""
        return len(self.words) > 3 and self.words[0] == "audio" and self.words[1] != "0" and self.words[2] == "RTP/AVP"


@dataclass(frozen=True, slots=True)
class Answer:
    """An SDP body, and whether it lets us send.

    :ivar body: the SDP.
    :ivar sends: False where the offer put us on hold.
    """

    body: bytes
    sends: bool


def answer(offer: bytes, host: str, port: int, session: int, version: int) -> Answer | None:
    """Answer an offer: its first usable audio with the codecs that we know, all else refused.

    :param host: our IP address, without brackets.
    :param port: our RTP port.
    :param session: sess-id of our o= line, the same throughout a call.
    :param version: sess-version, one more with each answer.
    :returns: None where there is nothing in common (488).
    """
    common, media = _parse(offer.decode("utf-8", "replace"))
    chosen = next((each for each in media if each.usable and _formats(each)), None)
    if chosen is None or all(name.lower().startswith("telephone") for name in _formats(chosen).values()):
        return None
    direction = DIRECTIONS[_direction(chosen.attributes, _direction(common, "sendrecv"))]
    lines = _session(host, session, version)
    for each in media:
        lines += _audio(each, port, direction) if each is chosen else [_refused(each)]
    return Answer("\r\n".join([*lines, ""]).encode("utf-8"), direction.startswith("send"))


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


def _parse(text: str) -> tuple[list[str], list[_Media]]:
    """The attributes of the session, and its media."""
    common: list[str] = []
    media: list[_Media] = []
    for line in text.splitlines():
        if line.startswith("m="):
            media.append(_Media(line[2:].split()))
        elif line.startswith("a="):
            (media[-1].attributes if media else common).append(line[2:].strip())
    return common, media


def _formats(media: _Media) -> dict[str, str]:
    """The payload types that we take, in the offer's order, each with its ``name/rate``."""
    names = dict(STATIC)
    for attribute in media.attributes:
        if attribute.startswith("rtpmap:"):
            payload, _, encoding = attribute[7:].partition(" ")
            names[payload] = encoding.strip()
    formats = {payload: names.get(payload, "") for payload in media.words[3:]}
    return {payload: name for payload, name in formats.items() if name.partition("/")[0].lower() in CODECS}


def _direction(attributes: list[str], default: str) -> str:
    return next((attribute for attribute in attributes if attribute in DIRECTIONS), default)


def _audio(media: _Media, port: int, direction: str) -> list[str]:
    formats = _formats(media)
    lines = [f"m=audio {port} RTP/AVP {' '.join(formats)}"]
    for payload, name in formats.items():
        lines.append(f"a=rtpmap:{payload} {name}")
        lines += [f"a={each}" for each in media.attributes if each.startswith(f"fmtp:{payload} ")][:1]
    return [*lines, f"a={direction}"]


def _refused(media: _Media) -> str:
    kind, _, protocol, *formats = media.words + ["audio", "0", "RTP/AVP", "0"][len(media.words) :]
    return f"m={kind} 0 {protocol} {' '.join(formats)}"
