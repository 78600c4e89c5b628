"""Agreement: the session that both sides of a call have, and how descriptions of it compare."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import BadResponse
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response

_PTIME = b"a=ptime:"
_CREDENTIALS = (b"a=ice-ufrag:", b"a=ice-pwd:")


@dataclass(slots=True)
class NegotiationContext:
    """What the exchanges of a call work on.

    :ivar context: what calls work with.
    :ivar media: the media session of the call.
    :ivar gone: called with a leg whose peer has no such dialog any more, or does not answer.
    :ivar unacknowledged: called with a leg whose peer sends no ACK for a 2xx.
    :ivar branch: name of the callee's branch towards rtpengine; empty while the call is not up.
    :ivar closed: the call is over.
    """

    context: Context
    media: CallMedia
    gone: Callable[[Leg], None]
    unacknowledged: Callable[[Leg], None]
    branch: str = ""
    closed: bool = False


def same_session(one: bytes, other: bytes) -> bool:
    """Whether two descriptions say the same to the same peer: but for the version; the DTLS roles, which an offer
    leaves open and an answer does not; and a ptime that rtpengine has taken from the other side since."""
    passing = [b"o=", b"a=setup:"]
    if one.count(_PTIME) != other.count(_PTIME):
        passing.append(_PTIME)
    return _but(one, passing) == _but(other, passing)


def _but(sdp: bytes, passing: list[bytes]) -> list[bytes]:
    return [line for line in sdp.splitlines() if not line.startswith(tuple(passing))]


def is_ice_restart(sdp: bytes, last: bytes) -> bool:
    """Whether a description is an ICE restart, seen from the last one of the same sender (RFC 8839 section 4.4.3.1.1):
    credentials that were there are gone."""
    return bool(_credentials(last) - _credentials(sdp))


def _credentials(sdp: bytes) -> set[bytes]:
    return {line for line in sdp.splitlines() if line.startswith(_CREDENTIALS)}


def is_answer(sdp: bytes, offer: bytes) -> bool:
    """Whether a description has no formats but those of an offer: then it may be the answer to it once more."""
    return all(mine <= theirs for mine, theirs in zip(_formats(sdp), _formats(offer), strict=False))


def _formats(sdp: bytes) -> list[set[bytes]]:
    return [set(line.split()[3:]) for line in sdp.splitlines() if line.startswith(b"m=")]


def as_answer(sdp: bytes) -> bytes:
    """A description that may have been an offer, as rtpengine gets it for an answer: of two ends that leave the DTLS
    role open, rtpengine is the passive one."""
    return sdp.replace(b"a=setup:actpass", b"a=setup:active")


def as_offer(sdp: bytes) -> bytes:
    """A description that may have been an answer, as it is offered again: an offer leaves the DTLS role open (RFC 8842
    section 5.2)."""
    return sdp.replace(b"a=setup:active", b"a=setup:actpass").replace(b"a=setup:passive", b"a=setup:actpass")


def required_sdp(message: Request | Response) -> bytes:
    """The description that has to be in `message`.

    :raises Refusal: 502 where it is not.
    """
    try:
        sdp = sdp_of(message)
    except BadMessage as error:
        raise BadResponse(error.why) from error
    if not sdp:
        raise BadResponse("No SDP")
    return sdp
