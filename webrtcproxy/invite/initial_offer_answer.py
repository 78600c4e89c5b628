"""InitialOfferAnswer: the first offer and answer of a call, that of its INVITE (RFC 3264, RFC 3261 section 13, RFC
3262).

On each leg for itself, the first SDP in a reliable message counts, and that in an unreliable 1xx is a preview (see
`webrtcproxy.dialog.negotiation`): the answer in a callee's 2xx may be the caller's since a reliable 183. What the SDP
of a fork, that is of one early dialog with a callee, becomes to the caller:

The INVITE has the offer
------------------------

==================  =======================================  ========================================================
Message             Caller wants reliable 1xx                Caller gets none
==================  =======================================  ========================================================
callee's 1xx        of the first fork: its answer; later     of the first branch: a preview, each time; of another
                    1xx of it, and other forks: no SDP       branch: no SDP
caller's PRACK      confirms the answer                      -
2xx of that fork    the same SDP again; none where an        the answer
                    UPDATE has changed it
2xx of another      in a dialog of its own, unless it says   the answer
                    the same
==================  =======================================  ========================================================

Where the callee's 1xx is reliable, its leg is agreed from then on, and so is it with the 2xx of the caller.

The INVITE has none: delayed offer
----------------------------------

==================  =======================================  ========================================================
Message             Caller wants reliable 1xx                Caller gets none
==================  =======================================  ========================================================
callee's 1xx        reliable, of the first fork: its offer;  no SDP
                    else no SDP
caller's PRACK      has the answer, which goes into ours     -
2xx of that fork    no SDP once it is answered               the offer
2xx of another      the offer, in a dialog of its own        the offer
caller's ACK        has the answer to the offer in the 2xx, which goes into ours
==================  =======================================  ========================================================

The caller has one dialog as long as the SDP that it got in a reliable message is still true. A 2xx that has other
SDP is that of another fork to it, and has another To tag (RFC 3261 section 13.2.2.4).
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
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.session.description import sdp_in
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.sdp.questions import same_session
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transaction.timers import RFC3261

log = Logger()


class InitialOfferAnswer:
    """The first offer and answer of one call.

    :param context: what calls work with.
    :param legs: the index of dialogs.
    :param transaction: the caller's INVITE.
    :param caller: the leg that it came by.
    :param media: the media session of the call.
    :param owner: the call.
    :ivar callee: the leg that answered, or the one of the early dialog that has an agreement; None before.
    :ivar branch: name of its branch towards rtpengine; empty before.
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
        self._legs = legs
        self._transaction = transaction
        self._caller = caller
        self._media = media
        self._owner: CallDuringSetup | None = owner
        self._answers = ForkAnswers(transaction, caller, media)
        self._early_sdp: EarlySdp | None = None
        self._early_offer: EarlyOffer | None = None
        self._answered = False  # there is a 2xx
        self._new_fork = False  # which needs a dialog of its own
        self._ack: Deferred[Request | None] | None = None  # with the answer

    @property
    def delayed_offer(self) -> bool:
        """Whether the callee is to make the offer."""
        return not self._answers.offer

    @property
    def early_branch(self) -> Branch | None:
        """The branch whose early media the caller has."""
        return None if self._early_sdp is None else self._early_sdp.branch

    def begin(self) -> None:
        """Read the caller's offer.

        :raises BadMessage: 415: the body is something else.
        """
        offer = self._answers.offer = sdp_of(self._transaction.request)
        if offer:
            self._caller.negotiation.offer_received(offer)

    async def offer_for(self, branch: Branch, profile: PeerProfile) -> bytes:
        """The offer for `branch`; as :meth:`ForkAnswers.offer_for`."""
        return await self._answers.offer_for(branch, profile)

    async def early(self, event: BranchProgress) -> bytes:
        """The SDP for the caller in a 1xx; empty where there is none, or none that is new.

        Where an answer can't be made, there is none as yet: the one that counts is that of the 2xx.

        :raises Refusal: an offer can't be made.
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
        """The SDP for the caller in the first 2xx, when that may go out.

        :raises Refusal: there is none that the caller could use.
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
            self._transaction.to_tag = random_token(8)
            self._legs.rename(self._caller, self._transaction.to_tag)
        return sdp

    async def complete(self) -> None:
        """To be called after the caller's 2xx: it confirms the answer. Where it has the offer, the answer is in the
        caller's ACK, and goes to the callee.

        :raises Refusal: 488: it is not there, or no use.
        :raises BadMessage: 415: the ACK has something else.
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

    def reset_early(self) -> None:
        """All branches have refused, and another one is tried: a preview that the caller has counts no more."""
        if not self.provisionals.reliable:
            self._early_sdp = None

    def close(self) -> None:
        """The call is over."""
        self.provisionals.stop()
        self.ack_arrived(None)
        self._early_sdp = self._early_offer = self._owner = None

    def leave(self) -> None:
        """The caller was refused. Where its PRACK may be on the way, the dialog stays until that comes, or 64*T1."""
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
        """The caller's ACK; None: there will be none."""
        if self._ack is not None and not self._ack.called:
            self._ack.callback(ack)

    def prack_arrived(self, transaction: ServerTransaction) -> None:
        """The caller's PRACK (RFC 3262 section 3): an answer, or a further offer may be in it (section 5).

        :raises Refusal: 481 where no response waits for it, 400 where the answer is missing.
        :raises BadMessage: 415: its body is something else.
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
        if not sdp:
            transaction.reply(200)
        elif self._owner is not None:
            self._owner.modify_session(self._caller, transaction)
        self.provisionals.acknowledge(response)

    def _unacknowledged(self) -> None:
        log.warn("{call}: no PRACK came", call=self._call)
        if self._owner is not None:
            self._owner.interrupt(Refusal(504, "No PRACK"), EndedBy.UNACKNOWLEDGED)

    # The caller's offer

    async def _answer_early(self, event: BranchProgress, sdp: bytes) -> bytes:
        """The answer in a 1xx, as the caller gets it; see the first table, first row."""
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
        """The answer in the 2xx; empty where the caller has a newer one.

        :param agreed: the answer of this fork is in force since a reliable 1xx.
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
        """The offer in a reliable 1xx, as the caller gets it; without its PRACK, there is no answer for other forks."""
        if self._early_sdp is not None or not self.provisionals.reliable:
            log.warn("{call}: an offer of another fork can't be answered", call=self._call)
            return b""
        local = await self._offer_of(offer.leg, offer.branch, sdp)
        self._early_sdp, self._early_offer = EarlySdp(offer.branch, offer.leg.party_tag, local), offer
        return local

    async def _relay_early_answer(
        self, transaction: ServerTransaction, sdp: bytes, acknowledged: Response, offer: EarlyOffer
    ) -> None:
        """The answer in the caller's PRACK goes into ours.

        :param transaction: the PRACK.
        :param acknowledged: our 1xx, which had the offer.
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
        if not self._answered:  # or else another offer counts
            caller.negotiation.answer_received(sdp)
            leg.negotiation.answer_sent(local)
            self._agree(leg, offer.branch.id)
        self.provisionals.acknowledge(acknowledged)

    async def _offer_for_caller(self, answered: BranchAnswered) -> bytes:
        """The offer in the 2xx, as the caller gets it."""
        sdp = sdp_in(answered.response)
        if not sdp:
            raise BadResponse("No Offer")
        local = await self._offer_of(answered.leg, answered.branch, sdp)
        self._ack = Deferred()
        return local

    async def _offer_of(self, leg: Leg, branch: Branch, sdp: bytes) -> bytes:
        """A callee's offer as the caller gets it."""
        caller = self._caller
        to = caller.profile.media_from(leg.profile)
        local = await self._media.offer(sdp, from_tag=leg.party_tag, branch=branch.id, to=to)
        leg.negotiation.offer_received(sdp)
        if caller.negotiation.state is not NegotiationState.INITIAL:
            self._begin_new_fork()
        caller.negotiation.offer_sent(local)
        return local

    def _answer_of_caller(self, callee: Leg, branch: str, sdp: bytes) -> Deferred[bytes]:
        """The caller's answer as a callee gets it."""
        caller = self._caller
        to = callee.profile.media_from(caller.profile)
        return self._media.answer(sdp, from_tag=callee.party_tag, to_tag=caller.party_tag, branch=branch, to=to)

    # Both

    def _begin_new_fork(self) -> None:
        """What the caller has got in a reliable 1xx is not true of the fork that has answered."""
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
    """The answer of a callee's dialog: the first one that was in a reliable response; `sdp` where there was none."""
    if not leg.negotiation.remote_description:
        leg.negotiation.answer_received(sdp, early=True)
    return leg.negotiation.remote_description
