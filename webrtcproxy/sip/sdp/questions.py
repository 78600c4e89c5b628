"""What is asked of descriptions on the way of a call, and how two of them compare (RFC 3264).

Descriptions are octets here, as they come in messages; they are cut into lines only where one search does not do.
"""

from __future__ import annotations

_PTIME = b"a=ptime:"
_CREDENTIALS = (b"a=ice-ufrag:", b"a=ice-pwd:")


def is_srtp(sdp: bytes) -> bool:
    """Whether there is a medium over SRTP, whatever brings its keys (RFC 4568, RFC 5764)."""
    return b"RTP/SAVP" in sdp


def has_protocol(sdp: bytes, protocol: bytes) -> bool:
    """Whether there is a medium over a transport protocol that is this one or begins so: ``RTP/AVP``, and ``RTP/AVPF``
    with it."""
    return b" " + protocol in sdp


def m_lines(sdp: bytes) -> tuple[bytes, ...]:
    """The m= lines, in order, without their line ends; empty where there is but one."""
    if sdp.count(b"\nm=") < 2:
        return ()
    return tuple(all_m_lines(sdp))


def all_m_lines(sdp: bytes) -> list[bytes]:
    """The m= lines, in order, without their line ends."""
    return [line for line in sdp.splitlines() if line.startswith(b"m=")]


def same_session(one: bytes, other: bytes) -> bool:
    """Whether two descriptions say the same to the same peer: but for the version; the DTLS roles, which an offer
    leaves open and an answer does not; and a ptime that rtpengine has taken from the other side since."""
    ignored = [b"o=", b"a=setup:"]
    if one.count(_PTIME) != other.count(_PTIME):
        ignored.append(_PTIME)
    return _but(one, ignored) == _but(other, ignored)


def _but(sdp: bytes, ignored: list[bytes]) -> list[bytes]:
    starts = tuple(ignored)
    return [line for line in sdp.splitlines() if not line.startswith(starts)]


def is_ice_restart(sdp: bytes, last: bytes) -> bool:
    """Whether a description is an ICE restart, seen from the last one of the same sender (RFC 8839 section 4.4.3.1.1):
    credentials that were there are gone."""
    return bool(_credentials(last) - _credentials(sdp))


def _credentials(sdp: bytes) -> set[bytes]:
    return {line for line in sdp.splitlines() if line.startswith(_CREDENTIALS)}


def has_only_formats_of(sdp: bytes, offer: bytes) -> bool:
    """Whether a description has no formats but those of an offer, medium by medium: then it may answer that offer (RFC
    3264 section 6.1)."""
    return all(ours <= offered for ours, offered in zip(_formats(sdp), _formats(offer), strict=False))


def _formats(sdp: bytes) -> list[set[bytes]]:
    return [set(line.split()[3:]) for line in all_m_lines(sdp)]
