"""Opening: the first offer and answer of a call, that of its INVITE (RFC 3264, RFC 3261 section 13, RFC 3262).

The offer is in the caller's INVITE, and the answer in the first reliable 1xx or the 2xx; or the INVITE has none, the
callee's offer is in the first reliable 1xx or the 2xx, and the caller's answer in PRACK or ACK. SDP in other responses
is a preview. Each leg does it in its own way: the answer in a callee's 2xx may be the caller's since a reliable 183.

The caller has one dialog as long as what he was told for good is still true. Where another fork answers with something
else, his 2xx has another To tag, and is to him what it is: the answer of another one.
"""

from __future__ import annotations

from typing import Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from webrtcproxy.dialog.background import run_and_respond as answering
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import DialogUser, Leg
from webrtcproxy.dialog.negotiation import NegotiationState
from webrtcproxy.dialog.reliable import LatePrackHandler, ReliableProvisionals, prack
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.branch import Branch, BranchAnswered, BranchProgress
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import BadResponse, Refusal
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.sdp.questions import same_session
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transaction.timers import RFC3261

log = Logger()


class CallDuringSetup(DialogUser, Protocol):
    """The call, as its set-up sees it."""

    def callee_found(self, aor: str) -> None:
        """The callee is a user with this address-of-record: the browsers of it are called."""

    def agreed(self, branch: str) -> None:
        """There is a session, which may be changed from now on.

        :param branch: name of the callee's branch towards rtpengine.
        """

    def exchange(self, leg: Leg, transaction: ServerTransaction) -> None:
        """The request of `transaction` offers a change of the session."""

    def interrupt(self, refusal: Refusal, why: EndedBy) -> None:
        """The set-up is over, the caller gets `refusal`."""


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
    :ivar provisionals: what the caller hears before his 2xx.
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
        self._offer = b""
        self._answers: dict[str, tuple[bytes, bytes]] = {}
        self._heard = ""  # whose answer rtpengine has had last
        self._shown: tuple[Branch, str, bytes] | None = None  # whose SDP the caller has, and what it is
        self._offered: tuple[Branch, Leg, Response] | None = None  # by a callee, and to be answered in the PRACK
        self._acked: Deferred[Request | None] | None = None
        self._connecting = False

    @property
    def late(self) -> bool:
        """Whether the callee is to offer."""
        return not self._offer

    @property
    def shown(self) -> Branch | None:
        """The branch whose early media the caller has."""
        return None if self._shown is None else self._shown[0]

    def begin(self) -> None:
        """Read the caller's offer.

        :raises BadMessage: 415: the body is something else.
        """
        self._offer = sdp_of(self._transaction.request)
        if self._offer:
            self._caller.negotiation.offer_received(self._offer)

    async def offer_for(self, branch: Branch, profile: PeerProfile) -> bytes:
        """The offer for `branch`; empty where the callee is to make one.

        :param profile: what holds there.
        :raises NgError: rtpengine can't make it.
        """
        if self.late:
            return b""
        to = profile.media_from(self._caller.profile)
        sdp = await self._media.offer(self._offer, from_tag=self._caller.party_tag, branch=branch.id, to=to)
        self.check_wanted()
        return sdp

    async def early(self, event: BranchProgress) -> bytes:
        """What a 1xx has for the caller; empty where that is nothing, or nothing new.

        Where an answer can't be made, he gets none as yet: the one that counts is that of the 2xx.

        :raises Refusal: an offer can't be made.
        """
        try:
            sdp = self._sdp(event.response)
            if sdp and not self.late:
                return await self._early_answer(event, sdp)
        except Refusal as why:
            log.warn("{call}: no early media: {why}", why=getattr(why, "why", why), call=self._call)
            return b""
        if not sdp or event.leg is None:
            return b""
        return await self._early_offer(event.branch, event.leg, event.response, sdp)

    async def connect(self, answered: BranchAnswered) -> bytes:
        """What the first 2xx has for the caller, when it may go out.

        :raises Refusal: it has nothing that he could use.
        """
        leg, branch, early = answered.leg, answered.branch, self.callee
        self.callee, self.branch, self._offered, self._connecting = leg, branch.id, None, True
        if self.late:
            sdp = b"" if leg is early else await self._offer_for_caller(answered)
            news = leg is not early and self._shown is not None
        else:
            sdp, news = await self._answer_for_caller(answered, leg is early)
        self.check_wanted()
        await self.provisionals.settled()
        self.check_wanted()
        self.provisionals.stop()
        if news:  # for a caller who has something else for good, this is another fork (RFC 3261 section 13.2.2.4)
            self._transaction.to_tag = random_token(8)
            self._legs.rename(self._caller, self._transaction.to_tag)
        return sdp

    async def settle(self) -> None:
        """To be called behind the caller's 2xx: where that has the offer, the answer in his ACK is the callee's.

        :raises Refusal: 488: it is not there, or no use.
        :raises BadMessage: 415: the ACK has something else.
        """
        caller, callee, branch = self._caller, self.callee, self.branch
        assert callee is not None
        if self._acked is not None:
            ack = await self._acked
            if ack is None:
                return
            answer = sdp_of(ack)
            if not answer:
                raise Refusal(488, "No Answer In The ACK")
            to = callee.profile.media_from(caller.profile)
            told = await self._media.answer(
                answer, from_tag=callee.party_tag, to_tag=caller.party_tag, branch=branch, to=to
            )
            callee.send_held_ack(told)
            caller.negotiation.answer_received(answer)
            callee.negotiation.answer_sent(told)
        self._agree(callee, branch)
        caller.negotiation.answer_confirmed()

    def begin_anew(self) -> None:
        """Who had early media has refused, and somebody else is tried: to a caller who has nothing for good, what was
        shown counts no more."""
        if not self.provisionals.reliable:
            self._shown = None

    def close(self) -> None:
        """The call is over."""
        self.provisionals.stop()
        self.acknowledged(None)
        self._shown = self._offered = self._owner = None

    def leave(self) -> None:
        """The caller was refused. Where a PRACK of his may be on its way, his dialog stays until it comes, or 64*T1."""
        caller, schedule = self._caller, self._schedule
        if self.provisionals.pending and not caller.over:
            caller.owner = LatePrackHandler(self.provisionals)
            schedule.after(RFC3261.timeout_64t1, caller.hung_up)
        else:
            caller.hung_up()

    def check_wanted(self) -> None:
        """To be called behind every wait: an interruption has answered the caller at once, and what was waited for may
        come before the turn of the reactor in which it ends the story.

        :raises CancelledError: the caller has his final response.
        """
        if self._transaction.answered:
            raise CancelledError

    # From the caller

    def acknowledged(self, ack: Request | None) -> None:
        """The caller's ACK; None: there will be none."""
        if self._acked is not None and not self._acked.called:
            self._acked.callback(ack)

    def prack(self, transaction: ServerTransaction) -> None:
        """The caller's PRACK (RFC 3262 section 3): an answer, or a further offer may be in it (section 5).

        :raises Refusal: 481 where no response waits for it, 400 where the answer is missing.
        :raises BadMessage: 415: its body is something else.
        """
        response, offered = self.provisionals.match(transaction.request), self._offered
        if response is None:
            raise Refusal(481)
        sdp = sdp_of(transaction.request)
        if self.late and response.body:
            if not sdp:
                raise Refusal(400, "No Answer In PRACK")
            if offered is not None:
                self._offered = None
                answering(self._answered_early(transaction, sdp, response, *offered), transaction)
                return
            sdp = b""  # somebody else has answered, or another PRACK has it
        elif response.body:
            self._caller.negotiation.answer_confirmed()
        if not sdp:
            transaction.reply(200)
        elif self._owner is not None:
            self._owner.exchange(self._caller, transaction)
        self.provisionals.acknowledge(response)

    def _unacknowledged(self) -> None:
        log.warn("{call}: no PRACK came", call=self._call)
        if self._owner is not None:
            self._owner.interrupt(Refusal(504, "No PRACK"), EndedBy.UNACKNOWLEDGED)

    # The caller's offer

    async def _early_answer(self, event: BranchProgress, sdp: bytes) -> bytes:
        leg, branch, shown = event.leg, event.branch, self._shown
        tag = branch.party_tag(event.response)
        if leg is not None:
            sdp = self._answered(leg, sdp)
        reliable = self.provisionals.reliable
        if leg is not None and leg is self.callee and self._heard == tag:
            return b"" if reliable else self._answers[tag][1]
        if shown is not None and (shown[1] != tag if reliable else shown[0] is not branch):
            return b""
        told = await self._answer(branch, tag, sdp)
        if shown is None or not reliable:
            self._shown = branch, tag, told
            self._caller.negotiation.answer_sent(told, early=True)
        if leg is not None:
            self._agree(leg, branch.id)
        return told if shown is None or not reliable else b""

    @staticmethod
    def _answered(leg: Leg, sdp: bytes) -> bytes:
        """Note the answer of the callee's dialog `leg`, where it has none yet: the first one counts."""
        if not leg.negotiation.remote_description:
            leg.negotiation.answer_received(sdp, early=True)
        return leg.negotiation.remote_description

    async def _answer_for_caller(self, answered: BranchAnswered, again: bool) -> tuple[bytes, bool]:
        """The answer in the 2xx, and whether it is another one than the caller has for good.

        :param again: the answer of this dialog is in force since a reliable 1xx.
        """
        caller, leg, branch = self._caller, answered.leg, answered.branch
        if again and self._heard == leg.party_tag:
            told = self._answers[leg.party_tag][1]
        else:
            told = await self._answer(
                branch, leg.party_tag, leg.negotiation.remote_description or self._sdp(answered.response)
            )
            self._answered(leg, self._answers[leg.party_tag][0])
        for_good = self._shown if self._shown is not None and self.provisionals.reliable else None
        if for_good is not None:
            known = caller.negotiation.local_description
            if again or same_session(told, known):
                return for_good[2] if known is for_good[2] else b"", False
            caller.negotiation.new_dialog()
            caller.negotiation.offer_received(self._offer)
        caller.negotiation.answer_sent(told, early=True)
        return told, for_good is not None

    async def _answer(self, branch: Branch, tag: str, answer: bytes) -> bytes:
        """An answer as the caller gets it; a 2xx without SDP stands by what the 18x said."""
        known = self._answers.get(tag)
        if known is not None and answer in (b"", known[0]):
            if self._heard == tag:
                return known[1]
            answer = known[0]
        if not answer:
            raise BadResponse("No Answer")
        caller = self._caller
        if self._heard not in ("", tag):  # rtpengine is to forget the codecs of the other one's answer
            await self.offer_for(branch, branch.profile)
        to = caller.profile.media_from(branch.profile)
        told = await self._media.answer(answer, from_tag=caller.party_tag, to_tag=tag, branch=branch.id, to=to)
        self._answers[tag] = answer, told
        self._heard = tag
        return told

    # The callee's offer

    async def _early_offer(self, branch: Branch, leg: Leg, response: Response, offer: bytes) -> bytes:
        """The offer in a reliable 1xx. The caller gets one: without his PRACK, there is no answer for others."""
        if self._shown is not None or not self.provisionals.reliable:
            log.warn("{call}: an offer of another fork can't be answered", call=self._call)
            return b""
        to = self._caller.profile.media_from(leg.profile)
        sdp = await self._media.offer(offer, from_tag=leg.party_tag, branch=branch.id, to=to)
        self._shown = branch, leg.party_tag, sdp
        self._offered = branch, leg, response
        leg.negotiation.offer_received(offer)
        self._caller.negotiation.offer_sent(sdp)
        return sdp

    async def _answered_early(
        self, transaction: ServerTransaction, sdp: bytes, ours: Response, branch: Branch, leg: Leg, theirs: Response
    ) -> None:
        """The answer is in the caller's PRACK for `ours`, and goes into ours for `theirs`."""
        caller = self._caller
        try:
            to = leg.profile.media_from(caller.profile)
            told = await self._media.answer(
                sdp, from_tag=leg.party_tag, to_tag=caller.party_tag, branch=branch.id, to=to
            )
        except Refusal as refusal:
            if self._owner is not None:
                self._owner.interrupt(refusal, EndedBy.MEDIA)
            raise
        transaction.reply(200)
        prack(leg, theirs, told)
        if not self._connecting:  # or else somebody else has answered
            caller.negotiation.answer_received(sdp)
            leg.negotiation.answer_sent(told)
            self._agree(leg, branch.id)
        self.provisionals.acknowledge(ours)

    async def _offer_for_caller(self, answered: BranchAnswered) -> bytes:
        """The offer in the 2xx."""
        leg = answered.leg
        offer = self._sdp(answered.response)
        if not offer:
            raise BadResponse("No Offer")
        to = self._caller.profile.media_from(leg.profile)
        sdp = await self._media.offer(offer, from_tag=leg.party_tag, branch=answered.branch.id, to=to)
        self._acked = Deferred()
        leg.negotiation.offer_received(offer)
        negotiation = self._caller.negotiation
        if negotiation.state is not NegotiationState.INITIAL:
            negotiation.new_dialog()
        negotiation.offer_sent(sdp)
        return sdp

    # Both

    def _agree(self, callee: Leg, branch: str) -> None:
        self.callee, self.branch = callee, branch
        callee.negotiation.answer_confirmed()
        if self._owner is not None:
            self._owner.agreed(branch)

    def _sdp(self, response: Response) -> bytes:
        try:
            return sdp_of(response)
        except BadMessage as error:
            raise BadResponse(error.why) from error

    @property
    def _call(self) -> str:
        return self._caller.dialog.call_id
