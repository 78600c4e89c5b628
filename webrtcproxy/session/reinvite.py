"""ReInvite: a request of the proxy that makes an offer to one leg, or asks it for one: a re-INVITE or an UPDATE (RFC
3261 section 14, RFC 3311). Nothing else sends an INVITE within a dialog. A refresh without an offer, an UPDATE or an
OPTIONS, is sent by `webrtcproxy.session.refresher` itself.

========  ====================================================================  ====================
Purpose   What is offered                                                       A 491 (RFC 3261 14.1)
========  ====================================================================  ====================
RELAY     what the other side of the call offers; nothing, where it asks for    crosses
          an offer
REFRESH   what is agreed, so that the session timer begins again (RFC 4028 7.4)  tried with the next one
RESTORE   what is agreed, since the peer or rtpengine has something else        given up
MOVE      what is agreed, at another rtpengine                                  tried again
TRANSFER  the session with another party (RFC 3725); what is agreed, where the  tried again
          transfer fails after this party has accepted the other session
========  ====================================================================  ====================
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from enum import Enum

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.relay import ENDS_DIALOG
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.runtime.errors import FlowLost, NgError, Refusal, TimedOut
from webrtcproxy.session.description import NegotiationContext, required_sdp
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.capabilities import ALLOW
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.sip.sdp.questions import same_session
from webrtcproxy.sip.sdp.rewriting import as_offer
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE

log = Logger()

GLARE_TRIES = 3
"""How often an offer is made that collides with one of the peer (RFC 3261 section 14.1)."""


class Purpose(Enum):
    """What a `ReInvite` is sent for."""

    RELAY = "relay"
    REFRESH = "refresh"
    RESTORE = "restore"
    MOVE = "move"
    TRANSFER = "transfer"


_OWN = (Purpose.REFRESH, Purpose.RESTORE, Purpose.MOVE)
"""Those that nobody but the proxy itself has asked for."""

_TRIED_AGAIN = (Purpose.MOVE, Purpose.TRANSFER)
"""Those that are tried again after a collision."""


def _ignore_response(response: Response) -> None:
    """Do nothing: the owner does not need provisional responses."""


def _ignore_leg(leg: Leg) -> None:
    """Do nothing: the owner need not know that the peer does not respond."""


def _ignore() -> None:
    """Do nothing: the owner need not know that the limit has passed."""


class ReInvite:
    """One offer that the proxy makes to a leg, or asks it for.

    :param context: the shared objects of the process.
    :param leg: the leg.
    :param purpose: why it is sent; see the table above.
    :param limit: seconds that the peer has for its final response.
    :param dialog_terminated: called with the leg when the limit of an UPDATE has passed, which can't be cancelled.
    :param progress: called with each provisional response, 101 to 199.
    :param expired: called when the limit has passed, before the request is withdrawn.
    :ivar leg: as given.
    :ivar ended_dialog: whether the peer has no such dialog any more, or has not responded (RFC 5057 section 5.1) though
        the request was not withdrawn.
    """

    def __init__(
        self,
        context: Context,
        leg: Leg,
        purpose: Purpose,
        limit: float = NON_INVITE_DEADLINE,
        dialog_terminated: Callable[[Leg], None] = _ignore_leg,
        progress: Callable[[Response], None] = _ignore_response,
        expired: Callable[[], None] = _ignore,
    ) -> None:
        self.leg = leg
        self.ended_dialog = False
        self._context = context
        self._purpose = purpose
        self._limit = limit
        self._dialog_terminated = dialog_terminated
        self._progress = progress
        self._expired = expired
        self._sent: ClientRequest | None = None
        self._accepted: Request | None = None  # an INVITE, after its 2xx
        self._withdrawn: HeaderList | None = None

    async def offer(self, sdp: bytes, method: str = "INVITE") -> bytes:
        """Offer `sdp`, and return the answer. The caller of this method has to complete the leg's negotiation.

        :raises Refusal: the peer has refused it, or does not respond; the offer is rolled back.
        """
        response = await self.request(sdp, method)
        if response.status >= 300:
            raise Refusal(response.status, response.reason)
        try:
            return required_sdp(response)
        except Refusal:
            self.leg.negotiation.rollback()
            raise

    async def request(self, sdp: bytes, method: str = "INVITE", headers: Headers | None = None) -> Response:
        """Send the request, and return its final response, or a 408 where none arrives (RFC 3261 section 8.1.3.1).

        The ACK for a 2xx is sent; where the 2xx has the offer, the ACK is held until the answer is known. Where the
        response is not a 2xx, the offer is rolled back.

        :param sdp: the offer; empty where the peer is to make one.
        :param headers: further headers; None for Allow alone.
        :raises Refusal: the peer can't be reached.
        """
        leg = self.leg
        await leg.when_acknowledged()
        if sdp:
            leg.negotiation.offer_sent(sdp)
        tries = GLARE_TRIES if self._purpose in _TRIED_AGAIN else 1
        accepted = False
        try:
            response = await self._send(sdp, method, headers)
            while response.status == 491 and tries > 1 and self._withdrawn is None:
                tries -= 1
                if await self._wait_out_glare():
                    response = await self._send(sdp, method, headers)
            accepted = response.status < 300
        finally:
            self._dialog_terminated, self._progress, self._expired = _ignore_leg, _ignore_response, _ignore
            if not accepted:
                leg.negotiation.rollback()
        self.ended_dialog = response.status in ENDS_DIALOG and self._withdrawn is None
        if accepted and method == "INVITE":
            self._acknowledge(response, offered=bool(sdp))
        return response

    async def _send(self, sdp: bytes, method: str, headers: Headers | None) -> Response:
        leg = self.leg
        body = as_offer(sdp) if self._purpose is Purpose.REFRESH else sdp
        limit = self._context.transactions.schedule.after(self._limit, self._time_up)
        own = self._purpose in _OWN
        try:
            return await leg.send_request(method, headers or (ALLOW,), body, "application/sdp", self, own)
        except FlowLost as why:
            raise leg.profile.unreachable() from why
        except TimedOut:
            return Response(408, "", Headers.of([], []))
        finally:
            limit.cancel()

    async def _wait_out_glare(self) -> bool:
        """Wait until the colliding offer of the peer has been handled. The side that has not chosen the Call-ID waits
        2 s at most, the other one longer; a time in between suits both (RFC 3261 section 14.1).

        :returns: whether the offer is still wanted.
        """
        passed: Deferred[None] = Deferred()
        self._context.clock.callLater(1.9 + secrets.randbelow(11) / 10, passed.callback, None)
        await passed
        return self._withdrawn is None

    def _acknowledge(self, response: Response, offered: bool) -> None:
        assert self._sent is not None
        self._accepted = self._sent.request
        if offered:
            self.leg.acknowledge(self._accepted)
            return
        try:
            offer = sdp_of(response)
        except BadMessage:
            offer = b""
        self.leg.hold_ack(self._accepted, offer)

    def send_held_ack(self, answer: bytes) -> None:
        """Send the held ACK, if any, with `answer`."""
        if self._accepted is not None:
            self.leg.send_held_ack(answer)

    def withdraw(self, headers: HeaderList = ()) -> None:
        """Give up the request: cancel an INVITE. A 2xx that still arrives is acknowledged.

        :param headers: for the CANCEL.
        """
        self._withdrawn = headers
        if self._sent is not None:
            self._sent.cancel(headers)

    def _time_up(self) -> None:
        self._expired()
        self.withdraw()
        if self._sent is not None and self._sent.request.method != "INVITE":
            self._dialog_terminated(self.leg)

    # From the leg

    def sent(self, transaction: ClientRequest) -> None:
        """The request was sent."""
        self._sent = transaction
        if self._withdrawn is not None:
            transaction.cancel(self._withdrawn)

    def progress(self, response: Response) -> None:
        """A provisional response to an INVITE has arrived."""
        self._progress(response)

    def answered_again(self, response: Response) -> None:
        """The 2xx has arrived again, since the ACK was lost."""
        invite = self._accepted
        if invite is not None and invite.cseq.number == response.cseq.number:
            self.leg.acknowledge(invite)


async def refresh_session(session: NegotiationContext, reinvite: ReInvite, other: Leg, headers: HeaderList = ()) -> int:
    """Offer a peer its current session with the same version, and return the status of its final response. Only
    rtpengine gets new ports in its answer.

    :param session: what the exchanges of the call share.
    :param other: the other leg, which gets no request.
    :param headers: further ones of the request; none for Allow alone.
    :raises Refusal: the peer can't be reached.
    """
    leg = reinvite.leg
    negotiation = leg.negotiation
    response = await reinvite.request(negotiation.local_description, headers=Headers(headers))
    if response.status >= 300:
        return response.status
    try:
        answer = sdp_of(response)
        if answer and not same_session(answer, negotiation.remote_description) and not session.closed:
            await session.offer(other.negotiation.remote_description, other, leg)
            await session.answer(answer, leg, other)
            negotiation.answer_received(answer)
    except (BadMessage, NgError) as why:
        log.warn("{call}: a session refresh has an odd answer: {why!r}", why=why, call=leg.dialog.call_id)
    finally:
        negotiation.rollback()
    return response.status


async def restore_session(session: NegotiationContext, reinvite: ReInvite, of: Leg, pause: float = 0.0) -> bytes:
    """Offer a peer the agreed session, since its own or that of rtpengine differs from it.

    :param session: what the exchanges of the call share.
    :param of: the other leg, whose session is offered.
    :param pause: seconds to wait before the offer.
    :returns: the answer for the peer of `of`; empty where that fails, which is logged.
    """
    leg = reinvite.leg
    try:
        if pause:
            paused: Deferred[None] = Deferred()
            session.context.transactions.schedule.after(pause, lambda: paused.callback(None))
            await paused
        offer = await session.offer(of.negotiation.remote_description, of, leg)
        if session.closed:
            return b""
        answer = await reinvite.offer(offer, "INVITE" if leg.dialog.confirmed else "UPDATE")
        local = await session.answer(answer, leg, of)
    except Refusal as why:
        leg.negotiation.rollback()
        log.warn("{call}: the old session is not restored: {why}", why=why, call=leg.dialog.call_id)
        if reinvite.ended_dialog:
            session.dialog_terminated(leg)
        return b""
    leg.negotiation.answer_received(answer)
    return local
