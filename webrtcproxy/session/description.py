"""NegotiationContext: what all changes of a call's session share; and reading the SDP of a message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.internet.defer import Deferred

from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.errors import BadResponse
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response


@dataclass(slots=True)
class NegotiationContext:
    """What all changes of the session of one call share.

    :ivar context: the shared objects of the process.
    :ivar media: the media session of the call.
    :ivar dialog_terminated: called with a leg whose peer has no such dialog any more, or does not respond.
    :ivar unacknowledged: called with a leg whose peer sends no ACK for a 2xx.
    :ivar pracked: returns a Deferred that fires with None once no SDP for the caller awaits its PRACK.
    :ivar branch: name of the callee's branch at rtpengine; empty while the call is not up.
    :ivar closed: whether the call has ended.
    """

    context: Context
    media: CallMedia
    dialog_terminated: Callable[[Leg], None]
    unacknowledged: Callable[[Leg], None]
    pracked: Callable[[], Deferred[None]]
    branch: str = ""
    closed: bool = False

    def offer(self, sdp: bytes, of: Leg, to: Leg) -> Deferred[bytes]:
        """Send rtpengine the offer of one leg.

        :returns: fires with the offer for the other leg; fails with NgError.
        """
        media = to.profile.media_from(of.profile)
        return self.media.offer(sdp, from_tag=of.party_tag, branch=self.branch, to=media)

    def answer(self, sdp: bytes, of: Leg, to: Leg) -> Deferred[bytes]:
        """Send rtpengine the answer of one leg to the offer of the other.

        :returns: fires with the answer for the other leg; fails with NgError.
        """
        media = to.profile.media_from(of.profile)
        return self.media.answer(sdp, from_tag=to.party_tag, to_tag=of.party_tag, branch=self.branch, to=media)


def sdp_in(message: Request | Response) -> bytes:
    """The description in `message`; empty where it has none.

    :raises Refusal: 502 where it can't be read.
    """
    try:
        return sdp_of(message)
    except BadMessage as error:
        raise BadResponse(error.why) from error


def required_sdp(message: Request | Response) -> bytes:
    """The description in `message`, which must have one.

    :raises Refusal: 502 where it is missing or can't be read.
    """
    sdp = sdp_in(message)
    if not sdp:
        raise BadResponse("No SDP")
    return sdp
