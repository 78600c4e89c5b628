"""Exchange: one offer and answer in the middle of a call, by re-INVITE or UPDATE of either side (RFC 3261 section 14,
RFC 3311, RFC 3264 section 8).

It runs through: rtpengine makes the offer for the other side, the other side is asked, rtpengine makes the answer, the
asker gets it. Whatever refuses it, the session stays what both sides agreed upon last: rtpengine is told the old
descriptions again, and so is a side that had accepted the new ones. The asker hears of a refusal at once; what is still
waited for then comes into an exchange that is only to be taken back.

Where the other side would be offered what it has already (an ICE restart of the other one, new ports of a trunk), it is
not asked: its last description is the answer. The same holds for a refresh, which offers the old description to the
letter.
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.leg import HeaderList, Leg
from webrtcproxy.dialog.negotiation import Negotiation
from webrtcproxy.dialog.relay import ENDS_DIALOG, NON_INVITE_DEADLINE, NOT_OURS
from webrtcproxy.dialog.reliable import requires
from webrtcproxy.routing.failover import ClientRequest
from webrtcproxy.routing.header_policy import order_challenges
from webrtcproxy.routing.peer_profile import filter_headers
from webrtcproxy.runtime.errors import FlowLost, NgError, Refusal, TimedOut
from webrtcproxy.session.description import (
    NegotiationContext,
    required_sdp,
)
from webrtcproxy.session.restore import Restore
from webrtcproxy.sip.capabilities import ALLOW, SUPPORTED
from webrtcproxy.sip.message import Headers, Request, Response, respond
from webrtcproxy.sip.sdp.questions import has_only_formats_of, is_ice_restart, same_session
from webrtcproxy.sip.sdp.rewriting import as_answer
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()

RESTORE_DELAY = 0.5
"""Seconds that a peer has to go back from an offer that was refused, before it gets one of ours: a browser does so at
its leisure, and may take what comes before for an answer."""


class OfferAnswer:
    """One exchange.

    :param session: of the call.
    :param asker: the leg that the request came by.
    :param other: the leg that it crosses to.
    :param transaction: the request.
    """

    def __init__(self, session: NegotiationContext, asker: Leg, other: Leg, transaction: ServerTransaction) -> None:
        self.asker = asker
        self.other = other
        self.transaction = transaction
        self._session = session
        self._media = session.media
        self._to_other = other.profile.media_from(asker.profile)
        self._to_asker = asker.profile.media_from(other.profile)
        self._sent: ClientRequest | None = None
        self._withdrawn: HeaderList | None = None
        self._invite: Request | None = None  # ours, behind its 2xx
        self._acknowledged = False
        self._offered = False  # rtpengine has an offer that nobody has agreed upon
        self._switched = False  # the other side has agreed upon it
        self._ended = False  # the other side has no such dialog
        self._offers: list[Negotiation] = []  # that have an offer of this exchange
        self._restoring: Restore | None = None
        self._ack: Deferred[Request | None] = Deferred()

    async def run(self, offer: bytes) -> None:
        """The life of the exchange.

        :param offer: of the asker; empty where the request asks for one.
        """
        try:
            await self.other.confirmed()
            self._check_wanted()
            if offer:
                await self._carry(offer)
            else:
                await self._fetch()
        except Refusal as refusal:
            self._refuse(refusal)
        except Exception:
            log.failure("{call}: a change of the session broke", call=self._call)
            self._refuse(Refusal(500))
        if self._invite is not None and not self._acknowledged:
            self._acknowledge(self.other.negotiation.local_description)
        superseded = self._is_superseded()
        for negotiation in self._offers:
            negotiation.rollback()
        if self._ended:
            self._session.gone(self.other)
        elif (self._offered or self._switched) and not (superseded or self._session.closed):
            await self._go_back(offer)

    # The story

    async def _carry(self, offer: bytes) -> None:
        """The asker's offer crosses, the answer comes back."""
        asker, other, branch = self.asker, self.other, self._session.branch
        unchanged = offer == asker.negotiation.remote_description  # a refresh (RFC 4028 section 7.4)
        agreed = asker.negotiation.local_description
        asker.negotiation.offer_received(offer)
        self._offers = [asker.negotiation]
        if unchanged and has_only_formats_of(agreed, offer):
            self._offers = []
            asker.negotiation.answer_sent(agreed)
            self._accept(None, agreed)
            return
        sdp = await self._media.offer(offer, from_tag=asker.party_tag, branch=branch, to=self._to_other)
        self._offered = True
        self._check_wanted()
        response: Response | None = None
        if unchanged or same_session(sdp, other.negotiation.local_description):
            answer = as_answer(other.negotiation.remote_description)
        else:
            response = await self._ask(sdp)
            answer = required_sdp(response)
        told = await self._media.answer(
            answer, from_tag=asker.party_tag, to_tag=other.party_tag, branch=branch, to=self._to_asker
        )
        self._check_wanted()
        self._offered = self._switched = False
        self._offers = []
        asker.negotiation.answer_sent(told)
        if response is not None:
            other.negotiation.answer_received(answer)
        self._accept(response, told)

    async def _fetch(self) -> None:
        """The offer is in the other side's 2xx, the answer in the asker's ACK (RFC 3261 section 14.1)."""
        asker, other, branch = self.asker, self.other, self._session.branch
        response = await self._ask(b"")
        offer = required_sdp(response)
        other.negotiation.offer_received(offer)
        self._offers = [other.negotiation]
        sdp = await self._media.offer(offer, from_tag=other.party_tag, branch=branch, to=self._to_asker)
        self._offered = True
        self._check_wanted()
        asker.negotiation.offer_sent(sdp)
        self._offers.append(asker.negotiation)
        self._accept(response, sdp)
        ack = await self._ack
        if ack is None:
            return
        answer = required_sdp(ack)
        told = await self._media.answer(
            answer, from_tag=other.party_tag, to_tag=asker.party_tag, branch=branch, to=self._to_other
        )
        self._offered = False
        self._offers = []
        asker.negotiation.answer_received(answer)
        other.negotiation.answer_sent(told)
        if not self._acknowledged:
            self._acknowledge(told)

    async def _ask(self, sdp: bytes) -> Response:
        """Ask the other side: its 2xx. The ACK is sent where it needs no answer in it.

        :raises Refusal: it is none, or none came.
        """
        request, other = self.transaction.request, self.other
        update = request.method != "INVITE"
        if not (other.negotiation.agreed and (other.dialog.confirmed or other.takes_update)):
            raise Refusal(504)  # nobody can be asked (RFC 3311 section 5.2)
        headers = Headers.of([ALLOW[0]], [ALLOW[1]])
        headers.extend(filter_headers(request, self.asker.profile, other.profile))
        method = "UPDATE" if update and other.takes_update else "INVITE"
        if sdp:
            other.negotiation.offer_sent(sdp)
            self._offers.append(other.negotiation)
        asked = other.send_request(method, headers, sdp, "application/sdp", self)
        response = await self._await(asked, NON_INVITE_DEADLINE if update else self._session.context.limits.ring)
        self._agreed(bool(sdp))
        self._check_wanted()
        return response

    async def _await(self, asked: Deferred[Response], patience: float) -> Response:
        """The 2xx that `asked` fires with.

        :param patience: seconds that the other side has.
        :raises Refusal: it is none, or none came.
        """
        limit = self._session.context.transactions.schedule.after(patience, self._time_up)
        try:
            response = await asked
        except FlowLost as why:
            raise self.other.profile.unreachable() from why
        except TimedOut as silence:
            self._ended = self._withdrawn is None
            raise Refusal(408 if self.transaction.request.method == "INVITE" else 504) from silence
        finally:
            limit.cancel()
        if response.status >= 300:
            raise self._refusal(response)
        return response

    def _agreed(self, at_once: bool) -> None:
        """The other side gave a 2xx."""
        assert self._sent is not None
        self._switched = at_once
        if self._sent.request.method == "INVITE":
            self._invite, self._acknowledged = self._sent.request, False
            if at_once:
                self._acknowledge(b"")

    def _acknowledge(self, answer: bytes) -> None:
        assert self._invite is not None
        self._acknowledged = True
        self.other.acknowledge(self._invite, answer)

    def _accept(self, response: Response | None, sdp: bytes) -> None:
        """Give the asker his 2xx.

        :param response: what the other side said; None where it was not asked.
        """
        asker, transaction = self.asker, self.transaction
        status, reason = (200, "") if response is None else (response.status, response.reason)
        headers = Headers.of(["Allow", "Contact"], [ALLOW[1], asker.dialog.contact])
        if response is not None:
            headers.extend(filter_headers(response, self.other.profile, self.asker.profile))
        if transaction.request.method != "PRACK":  # which refreshes nothing (RFC 4028 section 7.4)
            for name, value in (SUPPORTED, *asker.session_timer.accept(transaction.request)):
                headers.add(name, value)
        headers.add("Content-Type", "application/sdp")
        if transaction.request.method != "INVITE":
            transaction.reply(status, reason, headers, sdp)
            return
        reply = respond(transaction.request, status, reason, to_tag=transaction.to_tag, headers=headers, body=sdp)
        asker.answer(transaction, reply, self._unacknowledged, self._ack_arrived)

    # What comes from outside

    def sent(self, transaction: ClientRequest) -> None:
        """Our request is out."""
        self._sent = transaction
        if self._withdrawn is not None:
            transaction.cancel(self._withdrawn)

    def progress(self, response: Response) -> None:
        """A 1xx crosses without SDP: what counts is the answer in the 2xx. To who requires them to be reliable there is
        none: no re-INVITE is in need of it (RFC 3262)."""
        transaction = self.transaction
        request = transaction.request
        if request.method == "INVITE" and not transaction.answered and not requires(request):
            headers = Headers.of(["Contact"], [self.asker.dialog.contact])
            headers.extend(filter_headers(response, self.other.profile, self.asker.profile))
            transaction.reply(response.status, response.reason, headers)

    def answered_again(self, response: Response) -> None:
        """The ACK was lost."""
        invite = self._invite
        if invite is not None and self._acknowledged and invite.cseq.number == response.cseq.number:
            self.other.acknowledge(invite)

    def withdraw(self, refusal: Refusal, headers: HeaderList) -> None:
        """The asker gets `refusal`, and the other side hears that it is not to answer any more.

        :param headers: for the CANCEL.
        """
        self._refuse(refusal)
        self._withdrawn = headers
        if self._restoring is not None:
            self._restoring.withdraw(headers)
        if self._sent is not None:
            self._sent.cancel(headers)

    def close(self, headers: HeaderList) -> None:
        """The call is over."""
        self.withdraw(Refusal(487), headers)
        if self._invite is not None and not self._acknowledged:
            self._acknowledge(self.other.negotiation.local_description)
        self._ack_arrived(None)

    def _ack_arrived(self, ack: Request | None) -> None:
        if not self._ack.called:
            self._ack.callback(ack)

    def _unacknowledged(self) -> None:
        self.asker.unacknowledged()
        self._session.unacknowledged(self.asker)

    def _time_up(self) -> None:
        self.withdraw(Refusal(504), ())
        if self._sent is not None and self._sent.request.method != "INVITE":
            self._session.gone(self.other)

    # Refusals, and the way back

    @property
    def _call(self) -> str:
        return self.asker.dialog.call_id

    def _check_wanted(self) -> None:
        """To be called behind every wait: the asker may have been refused meanwhile.

        :raises Refusal: it is so, or the session that was to be changed is no more.
        """
        if self.transaction.answered or self._is_superseded():
            raise Refusal(487)

    def _is_superseded(self) -> bool:
        """Whether another fork of an unanswered call has got one of the two dialogs meanwhile."""
        return not all(negotiation.reoffered for negotiation in self._offers)

    def _refusal(self, response: Response) -> Refusal:
        """What the other side's refusal is for the asker."""
        self._ended = response.status in ENDS_DIALOG and self._withdrawn is None
        headers = filter_headers(response, self.other.profile, self.asker.profile)
        if response.status in (401, 407):
            order_challenges(headers)
        return Refusal(500 if response.status in NOT_OURS else response.status, response.reason, headers)

    def _refuse(self, refusal: Refusal) -> None:
        refusal.__traceback__ = None  # it leads to what has waited for the failure, and so to itself
        if self.transaction.answered:
            return
        if isinstance(refusal, NgError):
            why = getattr(refusal, "why", refusal)
            log.error("{call}: the session could not be changed: {why}", why=why, call=self._call)
        self.transaction.reply(refusal.status, refusal.reason, refusal.headers)

    async def _go_back(self, offer: bytes) -> None:
        """Have everybody back in the old session."""
        asker, told = self.asker, b""
        if self._switched:
            told = await self._restore(self.other, asker)
        else:
            forgotten = self._forget()
            if is_ice_restart(offer, asker.negotiation.remote_description):
                told = await forgotten
        if told and is_ice_restart(told, asker.negotiation.local_description):
            # His ICE restart came to nothing, but rtpengine has made it: it has other credentials than he knows.
            await self._restore(asker, self.other, RESTORE_DELAY)

    def _forget(self) -> Deferred[bytes]:
        """Have rtpengine forget the offer. Both commands are in its queue before those of the next exchange.

        :returns: fires with the answer for the asker, which he has had; empty where there is none.
        """
        asker, other, branch = self.asker, self.other, self._session.branch
        media, answer = self._media, as_answer(other.negotiation.remote_description)
        offered = media.offer(
            asker.negotiation.remote_description, from_tag=asker.party_tag, branch=branch, to=self._to_other
        )
        answered = media.answer(
            answer, from_tag=asker.party_tag, to_tag=other.party_tag, branch=branch, to=self._to_asker
        )
        offered.addErrback(self._not_restored)
        return answered.addErrback(self._not_restored)

    async def _restore(self, to: Leg, of: Leg, pause: float = 0.0) -> bytes:
        """Offer the old session with `of` to a side that has or needs another one."""
        self._restoring = Restore(self._session, to, of)
        return await self._restoring.run(pause)

    def _not_restored(self, failure: Failure) -> bytes:
        failure.trap(NgError)
        if not self._session.closed:
            log.warn("{call}: the old session is not restored: {why}", why=failure.value, call=self._call)
        return b""
