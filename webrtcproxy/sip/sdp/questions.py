"""How two session descriptions compare (RFC 3264). They are octets here, as in messages."""

from __future__ import annotations

_PTIME = b"a=ptime:"
_CREDENTIALS = (b"a=ice-ufrag:", b"a=ice-pwd:")


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
    return [set(line.split()[3:]) for line in sdp.splitlines() if line.startswith(b"m=")]
