"""Checks of session descriptions that a call needs, and the comparison of two of them (RFC 3264).

Descriptions are octets here, as in messages; they are split into lines only if a single search is not enough.
"""

from __future__ import annotations

_PTIME = b"a=ptime:"
_CREDENTIALS = (b"a=ice-ufrag:", b"a=ice-pwd:")


def is_srtp(sdp: bytes) -> bool:
    """Whether there is a medium over SRTP, with keys from SDES (RFC 4568) or DTLS (RFC 5764)."""
    return b"RTP/SAVP" in sdp


def has_protocol(sdp: bytes, protocol: bytes) -> bool:
    """Whether there is a medium whose transport protocol begins with this text: ``RTP/AVP`` matches ``RTP/AVPF``
    too."""
    return b" " + protocol in sdp


def m_lines(sdp: bytes) -> tuple[bytes, ...]:
    """The m= lines, in order, without their line ends; empty if there is only one."""
    if sdp.count(b"\nm=") < 2:
        return ()
    return tuple(all_m_lines(sdp))


def all_m_lines(sdp: bytes) -> list[bytes]:
    """The m= lines, in order, without their line ends."""
    return [line for line in sdp.splitlines() if line.startswith(b"m=")]


def same_session(one: bytes, other: bytes) -> bool:
    """Whether two descriptions mean the same to the same peer. Ignored are the version; the DTLS role, which an offer
    leaves open and an answer does not; and a ptime that rtpengine has taken from the other side meanwhile."""
    ignored = [b"o=", b"a=setup:"]
    if one.count(_PTIME) != other.count(_PTIME):
        ignored.append(_PTIME)
    return _lines_without(one, ignored) == _lines_without(other, ignored)


def _lines_without(sdp: bytes, ignored: list[bytes]) -> list[bytes]:
    starts = tuple(ignored)
    return [line for line in sdp.splitlines() if not line.startswith(starts)]


def is_ice_restart(sdp: bytes, last: bytes) -> bool:
    """Whether a description is an ICE restart, compared with the sender's last one (RFC 8839 section 4.4.3.1.1): some
    of its credentials have changed."""
    return bool(_credentials(last) - _credentials(sdp))


def _credentials(sdp: bytes) -> set[bytes]:
    return {line for line in sdp.splitlines() if line.startswith(_CREDENTIALS)}


def has_only_formats_of(sdp: bytes, offer: bytes) -> bool:
    """Whether a description has only formats of an offer, medium by medium, so that it may answer that offer (RFC 3264
    section 6.1)."""
    return all(ours <= offered for ours, offered in zip(_formats(sdp), _formats(offer), strict=False))


def _formats(sdp: bytes) -> list[set[bytes]]:
    return [set(line.split()[3:]) for line in all_m_lines(sdp)]
