"""What the negotiations of a call work on, and the description that a message has to carry."""

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
    """What the changes of the session of a call work on.

    :ivar context: what calls work with.
    :ivar media: the media session of the call.
    :ivar dialog_terminated: called with a leg whose peer has no such dialog any more, or does not answer.
    :ivar unacknowledged: called with a leg whose peer sends no ACK for a 2xx.
    :ivar branch: name of the callee's branch towards rtpengine; empty while the call is not up.
    :ivar closed: the call is over.
    """

    context: Context
    media: CallMedia
    dialog_terminated: Callable[[Leg], None]
    unacknowledged: Callable[[Leg], None]
    branch: str = ""
    closed: bool = False

    def offer(self, sdp: bytes, of: Leg, to: Leg) -> Deferred[bytes]:
        """Give rtpengine an offer of one leg.

        :returns: fires with the offer for the other leg; fails with NgError.
        """
        media = to.profile.media_from(of.profile)
        return self.media.offer(sdp, from_tag=of.party_tag, branch=self.branch, to=media)

    def answer(self, sdp: bytes, of: Leg, to: Leg) -> Deferred[bytes]:
        """Give rtpengine the answer of one leg to the offer of the other.

        :returns: fires with the answer for the other leg; fails with NgError.
        """
        media = to.profile.media_from(of.profile)
        return self.media.answer(sdp, from_tag=to.party_tag, to_tag=of.party_tag, branch=self.branch, to=media)


def sdp_in(message: Request | Response) -> bytes:
    """The description in `message`; empty where it has none.

    :raises Refusal: 502: it can't be read.
    """
    try:
        return sdp_of(message)
    except BadMessage as error:
        raise BadResponse(error.why) from error


def required_sdp(message: Request | Response) -> bytes:
    """The description that has to be in `message`.

    :raises Refusal: 502 where it is not.
    """
    sdp = sdp_in(message)
    if not sdp:
        raise BadResponse("No SDP")
    return sdp
