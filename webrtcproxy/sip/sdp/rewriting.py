"""Descriptions that are made of others: an answer that refuses all, an offer from nowhere, another DTLS role.

Descriptions are octets here, as in messages and in commands to rtpengine.
"""

from __future__ import annotations

from secrets import token_hex

from webrtcproxy.sip.sdp.description import NOWHERE, Description, Media
from webrtcproxy.sip.sdp.reading import BadSdp, read
from webrtcproxy.sip.sdp.writing import write

_DISCARD_PORT = 9
_LOOPBACK = "127.0.0.1"
_OF_ICE = ("candidate", "end-of-candidates", "ice-pwd", "ice-ufrag", "rtcp")


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
            media.port = _DISCARD_PORT
            media.attributes = [each for each in media.attributes if each[0] != "rtcp"]
            if not media.is_nowhere:
                media.address = "::1" if ":" in media.address else _LOOPBACK
    return write(described)


def before_ice(sdp: bytes) -> bytes:
    """`sdp` as its sender might have written it before it had gathered candidates of ICE (RFC 8840 section 4.1.1), with
    credentials that it has never used. Media without ICE, and what can't be read, stay as they are."""
    if b"a=ice-ufrag:" not in sdp:
        return sdp
    try:
        described = read(sdp)
    except BadSdp:
        return sdp
    credentials = [("ice-ufrag", token_hex(4)), ("ice-pwd", token_hex(16))]
    for media in described.media:
        if media.is_usable and media.has("ice-ufrag"):
            media.port, media.address = _DISCARD_PORT, NOWHERE
            media.attributes = [each for each in media.attributes if each[0] not in _OF_ICE] + credentials
    return write(described)


def offer_from_nowhere() -> bytes:
    """An offer to send audio from an address at which nobody is."""
    audio = Media("audio", _DISCARD_PORT, "RTP/AVP", ["0"], {"0": "PCMU/8000"}, address=_LOOPBACK, direction="sendonly")
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
