"""OfferAnswer: one offer/answer exchange in an established call, by re-INVITE or UPDATE of either side (RFC 3261
section 14, RFC 3311, RFC 3264 section 8).

In an exchange rtpengine makes the offer for the other side, the request is relayed, rtpengine makes the answer, and the
requester gets that. Where anything refuses it, the session stays as agreed before: rtpengine gets the old descriptions
again, and so does a side that had accepted the new ones. The requester gets the refusal at once; responses that arrive
later only lead to the roll-back.

Where the other side would be offered the session that it has already (after an ICE restart of the requester, or new
ports of a trunk), nothing is relayed: its last description is the answer. The same is true for a refresh, which offers
the old description unchanged.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.negotiation import Negotiation
from webrtcproxy.runtime.errors import NgError, Refusal, TimedOut
from webrtcproxy.session.description import NegotiationContext, required_sdp
from webrtcproxy.session.reinvite import Purpose, ReInvite, restore_session
from webrtcproxy.session.requester import Requester
from webrtcproxy.sip.message import Response
from webrtcproxy.sip.sdp.questions import has_only_formats_of, is_ice_restart, same_but_for_order, same_session
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE, Deadline

log = Logger()

RESTORE_DELAY = 0.5
"""Seconds that a peer has to roll back its refused offer before it gets an offer of the proxy: a browser rolls back
asynchronously, and might take an earlier offer for an answer."""


class OfferAnswer:
    """One exchange.

    :param session: what the exchanges of the call share.
    :param requester: the side whose request it is.
    :param other: the leg to which the request is relayed.
    :ivar requester: as given.
    """

    def __init__(self, session: NegotiationContext, requester: Requester, other: Leg) -> None:
        self.requester = requester
        self.other = other
        self._session = session
        self._branch = session.branch
        self._offers: list[Negotiation] = []  # those with an offer of this exchange
        self._offered = False  # rtpengine has an offer that both sides have not agreed on
        self._switched = False  # the other side has accepted it
        self._reinvite: ReInvite | None = None  # the last one

    async def run(self, offer: bytes) -> None:
        """Run the exchange.

        :param offer: the requester's; empty where its request asks for one.
        """
        try:
            await self.other.when_acknowledged()
            self._check_wanted()
            if offer:
                await self._relay_offer(offer)
            else:
                await self._relay_offerless()
        except Refusal as refusal:
            self.requester.refuse(refusal)
        except Exception:
            log.failure("{call}: a change of the session broke", call=self._call)
            self.requester.refuse(Refusal(500))
        self._send_held_ack()
        superseded = self._is_superseded()
        for negotiation in self._offers:
            negotiation.rollback()
        if self._reinvite is not None and self._reinvite.ended_dialog:
            self._session.dialog_terminated(self.other)
        elif (self._offered or self._switched) and not (superseded or self._session.closed):
            await self._rollback(offer)

    # The steps of the exchange

    async def _relay_offer(self, offer: bytes) -> None:
        """Relay the requester's offer, and the answer to it."""
        session, requester, other = self._session, self.requester, self.other
        negotiation = requester.leg.negotiation
        unchanged = offer == negotiation.remote_description  # a refresh (RFC 4028 section 7.4)
        answer = negotiation.local_description
        negotiation.offer_received(offer)
        self._offers.append(negotiation)
        if unchanged and has_only_formats_of(answer, offer):
            negotiation.answer_sent(answer)
            requester.send_2xx(answer)
            return
        relayed = await session.offer(offer, requester.leg, other)
        self._offered = True
        self._check_wanted()
        response: Response | None = None
        if unchanged or is_no_news(relayed, other.negotiation):
            others = other.negotiation.remote_description
        else:
            response = await self._request(relayed)
            others = required_sdp(response)
        answer = await session.answer(others, other, requester.leg)
        self._check_wanted()
        self._offered = self._switched = False
        negotiation.answer_sent(answer)
        if response is not None:
            other.negotiation.answer_received(others)
        requester.send_2xx(answer, response)

    async def _relay_offerless(self) -> None:
        """Relay the offer in the other side's 2xx, and the answer in the requester's ACK (RFC 3261 section 14.1)."""
        session, requester, other = self._session, self.requester, self.other
        leg = requester.leg
        response = await self._request(b"")
        offer = required_sdp(response)
        other.negotiation.offer_received(offer)
        self._offers.append(other.negotiation)
        relayed = await session.offer(offer, other, leg)
        self._offered = True
        self._check_wanted()
        leg.negotiation.offer_sent(relayed)
        self._offers.append(leg.negotiation)
        requester.send_2xx(relayed, response)
        ack = await requester.ack
        if ack is None:
            return
        answer = required_sdp(ack)
        local = await session.answer(answer, leg, other)
        self._offered = False
        leg.negotiation.answer_received(answer)
        other.negotiation.answer_sent(local)
        self._send_held_ack()

    async def _request(self, sdp: bytes) -> Response:
        """Relay the request to the other side, and return its 2xx.

        :param sdp: the offer; empty where the other side is to make one.
        :raises Refusal: the response is not a 2xx, or none has arrived.
        """
        requester, other, context = self.requester, self.other, self._session.context
        if not other.negotiation.agreed:
            await self._wait_for_prack()
        if not (other.negotiation.agreed and (other.dialog.confirmed or other.takes_update)):
            raise Refusal(504)  # no offer may be made there (RFC 3311 section 5.2)
        if requester.request.method == "INVITE":
            method, limit = "INVITE", context.limits.ring
        else:
            method, limit = "UPDATE" if other.takes_update else "INVITE", NON_INVITE_DEADLINE
        reinvite = ReInvite(
            context, other, Purpose.RELAY, limit, self._dialog_terminated, requester.send_1xx, self._expired
        )
        self._reinvite = reinvite
        response = await reinvite.request(sdp, method, requester.headers_across())
        if response.status >= 300:
            raise requester.refusal_of(response)
        if sdp:
            self._switched = True
            self._offers.append(other.negotiation)
        self._check_wanted()
        return response

    async def _wait_for_prack(self) -> None:
        """Wait until the caller, to whom the request is relayed, has confirmed the answer in a reliable 1xx.

        :raises Refusal: 504 where no PRACK comes in time.
        """
        try:
            with Deadline(self._session.context.transactions.schedule) as deadline:
                await deadline.wait(self._session.pracked())
        except TimedOut as why:
            raise Refusal(504) from why
        self._check_wanted()

    # Events from outside

    def withdraw(self, refusal: Refusal, headers: HeaderList) -> None:
        """Refuse the requester, and cancel the relayed request.

        :param headers: for the CANCEL.
        """
        self.requester.refuse(refusal)
        if self._reinvite is not None:
            self._reinvite.withdraw(headers)

    def close(self, headers: HeaderList) -> None:
        """The call has ended."""
        self.withdraw(Refusal(487), headers)
        self._send_held_ack()
        self.requester.end_wait(None)

    def _expired(self) -> None:
        self.requester.refuse(Refusal(504))

    def _dialog_terminated(self, leg: Leg) -> None:
        self._session.dialog_terminated(leg)

    # Refusals, and the roll-back

    @property
    def _call(self) -> str:
        return self.requester.leg.dialog.call_id

    def _check_wanted(self) -> None:
        """Check that the exchange goes on; called after every wait.

        :raises Refusal: the requester was refused meanwhile, or the session has ended.
        """
        if self.requester.answered or self._is_superseded():
            raise Refusal(487)

    def _is_superseded(self) -> bool:
        """Whether, in an unanswered call, one of the two dialogs belongs to another fork meanwhile."""
        reoffered = all(negotiation.reoffered for negotiation in self._offers)
        return not reoffered or self._branch != self._session.branch

    def _send_held_ack(self) -> None:
        """Send the held ACK of a failed exchange: it answers the other side's offer with the old description."""
        if self._reinvite is not None:
            self._reinvite.send_held_ack(self.other.negotiation.local_description)

    async def _rollback(self, offer: bytes) -> None:
        """Return both sides and rtpengine to the old session."""
        requester, answer = self.requester.leg, b""
        if self._switched:
            answer = await self._restore(self.other, requester)
        else:
            forgotten = self._forget()
            if is_ice_restart(offer, requester.negotiation.remote_description):
                answer = await forgotten
        if answer and is_ice_restart(answer, requester.negotiation.local_description):
            # The ICE restart was refused, but rtpengine has done it: its credentials differ from the requester's.
            await self._restore(requester, self.other, RESTORE_DELAY)

    def _forget(self) -> Deferred[bytes]:
        """Have rtpengine drop the offer. Both commands are in its queue before those of the next exchange.

        :returns: fires with the answer for the requester, which that has already; empty where rtpengine makes none.
        """
        session, requester, other = self._session, self.requester.leg, self.other
        offered = session.offer(requester.negotiation.remote_description, requester, other)
        answered = session.answer(other.negotiation.remote_description, other, requester)
        offered.addErrback(self._not_restored)
        return answered.addErrback(self._not_restored)

    async def _restore(self, to: Leg, of: Leg, pause: float = 0.0) -> bytes:
        """Offer the old session with `of` to a side whose session differs from it."""
        context = self._session.context
        limit = context.limits.ring if to.dialog.confirmed else NON_INVITE_DEADLINE
        self._reinvite = ReInvite(context, to, Purpose.RESTORE, limit, self._dialog_terminated)
        return await restore_session(self._session, self._reinvite, of, pause)

    def _not_restored(self, failure: Failure) -> bytes:
        failure.trap(NgError)
        if not self._session.closed:
            log.warn("{call}: the old session is not restored: {why}", why=failure.value, call=self._call)
        return b""


def is_no_news(offer: bytes, negotiation: Negotiation) -> bool:
    """Whether a peer that was offered this would have the session that it has."""
    last = negotiation.local_description
    return same_session(offer, last) or same_but_for_order(offer, last, negotiation.remote_description)
