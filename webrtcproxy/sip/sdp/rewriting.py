"""Descriptions that are made of others: an answer that refuses all, an offer from nowhere, another DTLS role.

Descriptions are octets here, as in messages and in commands to rtpengine.
"""

from __future__ import annotations

from webrtcproxy.sip.sdp.description import DISCARD_PORT, Description, Media
from webrtcproxy.sip.sdp.reading import BadSdp, read
from webrtcproxy.sip.sdp.writing import write

_LOOPBACK = "127.0.0.1"


def sent_nowhere(sdp: bytes) -> bytes:
    """`sdp` with an address at which nobody listens in place of its sender's (port 9, RFC 863, of the loopback
    interface), so that its sender is sent nothing. What is on hold or refused stays so. What can't be read stays as it
    is."""
    try:
        described = read(sdp)
    except BadSdp:
        return sdp
    for media in described.media:
        if media.is_usable:
            media.port = DISCARD_PORT
            media.attributes = [each for each in media.attributes if each[0] != "rtcp"]
            if not media.is_nowhere:
                media.address = "::1" if ":" in media.address else _LOOPBACK
    return write(described)


def offer_from_nowhere() -> bytes:
    """An offer to send audio from an address at which nobody is."""
    audio = Media("audio", DISCARD_PORT, "RTP/AVP", ["0"], {"0": "PCMU/8000"}, address=_LOOPBACK, direction="sendonly")
    return write(Description([audio]))


def refuse_all(offer: bytes) -> bytes:
    """The answer that refuses all media of `offer` (RFC 3264 section 6); without any where it can't be read."""
    try:
        media = read(offer).media
    except BadSdp:
        return write(Description([]))
    for each in media:
        each.refuse()
    return write(Description(media))


def as_offer(sdp: bytes) -> bytes:
    """A description that may have been an answer, as an offer: an offer leaves the DTLS role open (RFC 8842 section
    5.2)."""
    return sdp.replace(b"a=setup:active", b"a=setup:actpass").replace(b"a=setup:passive", b"a=setup:actpass")
