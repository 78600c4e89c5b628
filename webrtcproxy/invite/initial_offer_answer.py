"""InitialOfferAnswer: the offer/answer exchange of the INVITE of a call, in its 1xx, PRACKs, 2xx and ACK (RFC 3264, RFC
3261 section 13, RFC 3262).

On each leg the first SDP in a reliable message counts, and SDP in an unreliable 1xx is a preview (see
`webrtcproxy.dialog.negotiation`). So the caller may have had the answer in a reliable 183 before the callee's 2xx. The
tables list the SDP that the caller gets of a fork, that is of one early dialog with a callee.

The INVITE has the offer
------------------------

==================  =======================================  ========================================================
Message             Caller wants reliable 1xx                Caller gets none
==================  =======================================  ========================================================
callee's 1xx        of the first fork: its answer; later     of the first branch: a preview, each time; of another
                    1xx of it, and other forks: no SDP       branch: no SDP
caller's PRACK      confirms the answer; a further offer     -
                    crosses as UPDATE, or is answered here
2xx of that fork    the same SDP again; none where an        the answer
                    UPDATE or a PRACK has changed it
2xx of another      in a dialog of its own, unless it says   the answer
                    the same
==================  =======================================  ========================================================

The callee's leg is agreed from a reliable 1xx on, else from the 2xx.

The INVITE has none: delayed offer
----------------------------------

==================  =======================================  ========================================================
Message             Caller wants reliable 1xx                Caller gets none
==================  =======================================  ========================================================
callee's 1xx        reliable, of the first fork: its offer;  no SDP
                    else no SDP
caller's PRACK      its answer goes into the proxy's PRACK   -
2xx of that fork    no SDP once it is answered               the offer
2xx of another      the offer, in a dialog of its own        the offer
caller's ACK        its answer to the offer in the 2xx goes into the proxy's ACK
==================  =======================================  ========================================================

The caller has one dialog as long as the SDP that it got in a reliable message is still valid. A 2xx with other SDP is
sent to it as that of another fork, with another To tag (RFC 3261 section 13.2.2.4).
"""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.dialog.background import run_and_respond
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.negotiation import NegotiationState
from webrtcproxy.dialog.reliable import LatePrackHandler, ReliableProvisionals, send_prack
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.branch import Branch, BranchAnswered, BranchProgress
from webrtcproxy.invite.call_during_setup import CallDuringSetup
from webrtcproxy.invite.fork_answers import EarlyOffer, EarlySdp, ForkAnswers, check_unanswered
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import BadResponse, Refusal
from webrtcproxy.session.description import sdp_in
from webrtcproxy.session.offer_answer import is_no_news
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.sdp.questions import same_session
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transaction.timers import RFC3261

log = Logger()


class InitialOfferAnswer:
    """The first offer/answer exchange of one call.

    :param context: the shared objects of the process.
    :param legs: the index of dialogs.
    :param transaction: the caller's INVITE.
    :param caller: the leg on which it arrived.
    :param media: the media session of the call.
    :param owner: the call.
    :ivar callee: the leg that has answered, or that of the early dialog with an agreement; None before.
    :ivar branch: name of its branch at rtpengine; empty before.
    :ivar provisionals: the caller's provisional responses.
    """

    def __init__(
        self,
        context: Context,
        legs: DialogTable,
        transaction: ServerTransaction,
        caller: Leg,
        media: CallMedia,
        owner: CallDuringSetup,
    ) -> None:
        self.callee: Leg | None = None
        self.branch = ""
        self.provisionals = ReliableProvisionals(context.transactions.schedule, transaction, self._unacknowledged)
        self._schedule = context.transactions.schedule
        self._new_tag = context.new_token
        self._legs = legs
        self._transaction = transaction
        self._caller = caller
        self._media = media
        self._owner: CallDuringSetup | None = owner
        self._answers = ForkAnswers(transaction, caller, media)
        self._early_sdp: EarlySdp | None = None
        self._early_offer: EarlyOffer | None = None
        self._further_offer: tuple[str, bytes] | None = None  # for which party, and what it was not offered
        self._answered = False  # a 2xx has arrived
        self._new_fork = False  # which needs a separate dialog
        self._ack: Deferred[Request | None] | None = None  # with the answer

    @property
    def delayed_offer(self) -> bool:
        """Whether the callee is to make the offer."""
        return not self._answers.offer

    @property
    def early_branch(self) -> Branch | None:
        """The branch whose early media the caller gets."""
        return None if self._early_sdp is None else self._early_sdp.branch

    def begin(self) -> None:
        """Read the caller's offer.

        :raises BadMessage: 415 where the body is not SDP.
        """
        offer = self._answers.offer = sdp_of(self._transaction.request)
        if offer:
            self._caller.negotiation.offer_received(offer)

    async def offer_for(self, branch: Branch, profile: PeerProfile) -> bytes:
        """The offer for `branch`; as :meth:`ForkAnswers.offer_for`."""
        return await self._answers.offer_for(branch, profile)

    async def early(self, event: BranchProgress) -> bytes:
        """The SDP for the caller in a 1xx; empty where it has none, or nothing new.

        Where rtpengine can't make an answer, the 1xx has none: the 2xx will have it.

        :raises Refusal: rtpengine can't make an offer.
        """
        try:
            sdp = sdp_in(event.response)
            if sdp and not self.delayed_offer:
                return await self._answer_early(event, sdp)
        except Refusal as why:
            log.warn("{call}: no early media: {why}", why=getattr(why, "why", why), call=self._call)
            return b""
        if not sdp or event.leg is None:
            return b""
        return await self._offer_early(EarlyOffer(event.branch, event.leg, event.response), sdp)

    async def connect(self, answered: BranchAnswered) -> bytes:
        """The SDP for the caller in the first 2xx; returns when that may be sent.

        :raises Refusal: no SDP can be made for the caller.
        """
        leg, branch = answered.leg, answered.branch
        agreed = leg is self.callee  # since a reliable 1xx
        self.callee, self.branch, self._early_offer, self._answered = leg, branch.id, None, True
        if not self.delayed_offer:
            sdp = await self._answer_for_caller(answered, agreed)
        else:
            sdp = b"" if agreed else await self._offer_for_caller(answered)
        self.check_wanted()
        if self.provisionals.pending:
            await self.provisionals.settled()
            self.check_wanted()
        self.provisionals.stop()
        if self._new_fork:
            self._transaction.to_tag = self._new_tag()
            self._legs.rename(self._caller, self._transaction.to_tag)
        return sdp

    async def complete(self) -> None:
        """Complete the exchange after the caller's 2xx, which confirms the answer. Where the 2xx has the offer, wait
        for the answer in the caller's ACK, and relay it to the callee.

        :raises Refusal: 488 where the answer is missing or can't be used.
        :raises BadMessage: 415 where the body of the ACK is not SDP.
        """
        caller, callee, branch = self._caller, self.callee, self.branch
        assert callee is not None
        if self._ack is not None:
            ack = await self._ack
            if ack is None:
                return
            answer = sdp_of(ack)
            if not answer:
                raise Refusal(488, "No Answer In The ACK")
            local = await self._answer_of_caller(callee, branch, answer)
            callee.send_held_ack(local)
            caller.negotiation.answer_received(answer)
            callee.negotiation.answer_sent(local)
        self._agree(callee, branch)
        caller.negotiation.answer_confirmed()
        callee.answer_pending = False
        if self._owner is not None:
            self._owner.answer_relayed()

    @property
    def is_callee_behind(self) -> bool:
        """Whether the callee who has answered was not offered what the caller has offered last."""
        callee, further = self.callee, self._further_offer
        if callee is None or further is None or further[0] != callee.party_tag:
            return False
        return not is_no_news(further[1], callee.negotiation)

    def reset_early(self) -> None:
        """All branches have failed, and another one is tried: a preview that the caller has is no longer valid."""
        if not self.provisionals.reliable:
            self._early_sdp = None

    def close(self) -> None:
        """The call has ended."""
        self.provisionals.stop()
        self.ack_arrived(None)
        self._early_sdp = self._early_offer = self._owner = None

    def leave(self) -> None:
        """The caller was refused. Where its PRACK may be on the way, the dialog stays until that arrives, or for
        64*T1."""
        caller, schedule = self._caller, self._schedule
        if self.provisionals.pending and not caller.over:
            caller.owner = LatePrackHandler(self.provisionals)
            schedule.after(RFC3261.timeout_64t1, caller.hung_up)
        else:
            caller.hung_up()

    def check_wanted(self) -> None:
        """As `check_unanswered`, for the caller's INVITE."""
        check_unanswered(self._transaction)

    # From the caller

    def ack_arrived(self, ack: Request | None) -> None:
        """The caller's ACK has arrived; None where none will."""
        if self._ack is not None and not self._ack.called:
            self._ack.callback(ack)

    def prack_arrived(self, transaction: ServerTransaction) -> None:
        """The caller's PRACK has arrived (RFC 3262 section 3), with an answer or a further offer in some cases (section
        5).

        :raises Refusal: 481 where no response awaits it, 400 where the answer is missing; as of `modify_session`, where
            a further offer can't be taken. The response is acknowledged then, too.
        :raises BadMessage: 415 where its body is not SDP.
        """
        response, offer = self.provisionals.match(transaction.request), self._early_offer
        if response is None:
            raise Refusal(481)
        sdp = sdp_of(transaction.request)
        if self.delayed_offer and response.body:
            if not sdp:
                raise Refusal(400, "No Answer In PRACK")
            if offer is not None:
                self._early_offer = None
                run_and_respond(self._relay_early_answer(transaction, sdp, response, offer), transaction)
                return
            sdp = b""  # another fork has answered the INVITE, or another PRACK has the answer
        elif response.body:
            self._caller.negotiation.answer_confirmed()
        early = self._early_sdp
        if not sdp:
            transaction.reply(200)
        elif early is not None and self._is_answered_here(early):
            run_and_respond(self._answer_further_offer(transaction, sdp, response, early), transaction)
            return
        elif self._owner is not None:
            try:
                self._owner.modify_session(self._caller, transaction)
            except (Refusal, BadMessage):
                self.provisionals.acknowledge(response, refused=True)
                raise
        self.provisionals.acknowledge(response)

    def _is_answered_here(self, early: EarlySdp) -> bool:
        """Whether a further offer in a PRACK is answered for the callee, which can't be offered anything before its
        2xx."""
        callee = self.callee
        if self._answered or self._caller.negotiation.state is not NegotiationState.STABLE:
            return False
        return callee is None or (callee.party_tag == early.party_tag and not callee.takes_update)

    async def _answer_further_offer(
        self, transaction: ServerTransaction, offer: bytes, acknowledged: Response, early: EarlySdp
    ) -> None:
        """Answer the offer in the caller's PRACK with what the callee has answered to the first one. A PRACK can't well
        be refused (RFC 6337 section 3.1): the response that it acknowledges would be repeated.

        :param transaction: the PRACK.
        :param acknowledged: the 1xx that it acknowledges.
        """
        negotiation = self._caller.negotiation
        negotiation.offer_received(offer)
        try:
            local, relayed = await self._answers.answer_further_offer(early.branch, early.party_tag, offer)
        except Refusal:
            negotiation.rollback()
            self.provisionals.acknowledge(acknowledged, refused=True)
            raise
        negotiation.answer_sent(local)
        self._further_offer = early.party_tag, relayed
        transaction.reply(200, "", [("Content-Type", "application/sdp")], local)
        self.provisionals.acknowledge(acknowledged)

    def _unacknowledged(self) -> None:
        log.warn("{call}: no PRACK came", call=self._call)
        if self._owner is not None:
            self._owner.interrupt(Refusal(504, "No PRACK"), EndedBy.UNACKNOWLEDGED)

    # The caller's offer

    async def _answer_early(self, event: BranchProgress, sdp: bytes) -> bytes:
        """The answer for the caller made of that in a 1xx; see the first table, first row."""
        leg, branch, early = event.leg, event.branch, self._early_sdp
        tag = branch.party_tag(event.response)
        if leg is not None:
            sdp = _first_answer(leg, sdp)
        reliable = self.provisionals.reliable
        if early is not None and (early.party_tag != tag if reliable else early.branch is not branch):
            return b""
        if leg is not None and leg is self.callee and self._answers.is_applied(tag):
            answer = self._answers.local(tag)  # an UPDATE may have changed it since: rtpengine is left alone
        else:
            answer = await self._answers.answer(branch, tag, sdp)
            if leg is not None:
                self._agree(leg, branch.id)
        if early is not None and reliable:
            return b""
        self._early_sdp = EarlySdp(branch, tag, answer)
        self._caller.negotiation.answer_sent(answer, early=True)
        return answer

    async def _answer_for_caller(self, answered: BranchAnswered, agreed: bool) -> bytes:
        """The answer for the caller's 2xx; empty where the caller has a newer one.

        :param agreed: whether the answer of this fork is valid since a reliable 1xx.
        """
        leg, tag, negotiation = answered.leg, answered.leg.party_tag, self._caller.negotiation
        if agreed and self._answers.is_applied(tag):
            answer = self._answers.local(tag)
        else:
            sdp = leg.negotiation.remote_description or sdp_in(answered.response)
            answer = await self._answers.answer(answered.branch, tag, sdp)
            _first_answer(leg, self._answers.remote(tag))
        early, has = self._early_sdp, negotiation.local_description
        if early is not None and self.provisionals.reliable:
            if agreed or same_session(answer, has):
                return has if has == early.sdp else b""
            self._begin_new_fork()
            negotiation.offer_received(self._answers.offer)
        negotiation.answer_sent(answer, early=True)
        return answer

    # The callee's offer

    async def _offer_early(self, offer: EarlyOffer, sdp: bytes) -> bytes:
        """The offer for the caller made of that in a reliable 1xx; until the PRACK, offers of other forks can't be
        answered."""
        if self._early_sdp is not None or not self.provisionals.reliable:
            log.warn("{call}: an offer of another fork can't be answered", call=self._call)
            return b""
        local = await self._offer_of(offer.leg, offer.branch, sdp)
        self._early_sdp, self._early_offer = EarlySdp(offer.branch, offer.leg.party_tag, local), offer
        return local

    async def _relay_early_answer(
        self, transaction: ServerTransaction, sdp: bytes, acknowledged: Response, offer: EarlyOffer
    ) -> None:
        """Relay the answer in the caller's PRACK in a PRACK to the callee.

        :param transaction: the caller's PRACK.
        :param acknowledged: the 1xx to the caller that had the offer.
        """
        caller, leg = self._caller, offer.leg
        try:
            local = await self._answer_of_caller(leg, offer.branch.id, sdp)
        except Refusal as refusal:
            if self._owner is not None:
                self._owner.interrupt(refusal, EndedBy.MEDIA)
            raise
        transaction.reply(200)
        send_prack(leg, offer.response, local)
        if not self._answered:  # else another offer counts
            caller.negotiation.answer_received(sdp)
            leg.negotiation.answer_sent(local)
            self._agree(leg, offer.branch.id)
        self.provisionals.acknowledge(acknowledged)

    async def _offer_for_caller(self, answered: BranchAnswered) -> bytes:
        """The offer for the caller made of that in the 2xx."""
        sdp = sdp_in(answered.response)
        if not sdp:
            raise BadResponse("No Offer")
        local = await self._offer_of(answered.leg, answered.branch, sdp)
        self._ack = Deferred()
        return local

    async def _offer_of(self, leg: Leg, branch: Branch, sdp: bytes) -> bytes:
        """The offer for the caller made of that of a callee."""
        caller = self._caller
        to = caller.profile.media_from(leg.profile)
        local = await self._media.offer(sdp, from_tag=leg.party_tag, branch=branch.id, to=to)
        leg.negotiation.offer_received(sdp)
        if caller.negotiation.state is not NegotiationState.INITIAL:
            self._begin_new_fork()
        caller.negotiation.offer_sent(local)
        return local

    def _answer_of_caller(self, callee: Leg, branch: str, sdp: bytes) -> Deferred[bytes]:
        """Fires with the answer for a callee made of the caller's."""
        caller = self._caller
        to = callee.profile.media_from(caller.profile)
        return self._media.answer(sdp, from_tag=callee.party_tag, to_tag=caller.party_tag, branch=branch, to=to)

    # Both

    def _begin_new_fork(self) -> None:
        """The SDP that the caller has got in a reliable 1xx is not that of the fork which has answered: give the caller
        a new dialog."""
        self._new_fork = True
        self._caller.negotiation.new_dialog()

    def _agree(self, callee: Leg, branch: str) -> None:
        self.callee, self.branch = callee, branch
        callee.negotiation.answer_confirmed()
        if self._owner is not None:
            self._owner.session_agreed(branch)

    @property
    def _call(self) -> str:
        return self._caller.dialog.call_id


def _first_answer(leg: Leg, sdp: bytes) -> bytes:
    """The answer of a callee's dialog: the one in its first reliable response with SDP, else `sdp`."""
    if not leg.negotiation.remote_description:
        leg.negotiation.answer_received(sdp, early=True)
    return leg.negotiation.remote_description
