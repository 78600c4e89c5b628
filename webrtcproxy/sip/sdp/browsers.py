"""What browsers refuse in a medium, although it is well-formed: Chromium and Firefox then take nothing of the whole
description."""

from __future__ import annotations

from webrtcproxy.sip.sdp.description import Media

_RESERVED = frozenset(("1", "2", "19", *map(str, range(64, 96))))
"""Payload types that are nobody's (RFC 3551 section 6), though phones have G726-32 at 2, or that could be taken for
RTCP where it shares the port (RFC 5761 section 4)."""

_MOST_CHANNELS = 16
"""More channels of sound Chromium refuses."""

_NEVER_REPEATED = frozenset(("rtx", "ulpfec", "flexfec", "flexfec-03"))


def keep_what_browsers_take(media: Media) -> None:
    """Drop the payload types for which browsers refuse a description: reserved ones, sound in too many channels, and
    repeated packets (RFC 4588) of none that is there. A medium that has no sound or no pictures left is refused."""
    is_video = media.kind == "video"
    wide = [] if is_video else _wide(media)
    if not media.codecs or (not is_video and not wide and _RESERVED.isdisjoint(media.codecs)):
        return
    media.keep([payload for payload in media.codecs if payload not in _RESERVED and payload not in wide])
    if is_video:
        repeats = _repeats(media)
        media.keep([payload for payload in media.codecs if payload not in repeats or _is_kept(media, repeats[payload])])
    if not media.has_sound_or_pictures:
        media.refuse()


def _wide(media: Media) -> list[str]:
    """The payload types with more channels than `_MOST_CHANNELS`."""
    return [
        payload
        for payload, codec in media.codecs.items()
        if codec[-3:-2] == "/" and codec.count("/") == 2 and int(codec[-2:]) > _MOST_CHANNELS
    ]


def _repeats(media: Media) -> dict[str, str]:
    """The payload types of repeated packets, with the one that each repeats; ``""`` where it says none."""
    found = {payload: "" for payload, codec in media.codecs.items() if _name(codec) == "rtx"}
    for kind, value in media.of_formats:
        payload, _, said = value.partition(" ")
        if kind == "fmtp" and payload in found:
            for each in said.lower().replace(" ", "").split(";"):
                if each.startswith("apt="):
                    found[payload] = each[4:]
    return found


def _is_kept(media: Media, payload: str) -> bool:
    return payload in media.codecs and _name(media.codecs[payload]) not in _NEVER_REPEATED


def _name(codec: str) -> str:
    return codec.partition("/")[0].lower()
