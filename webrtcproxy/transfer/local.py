"""Local transfer: the proxy carries out a REFER itself where the trunk refuses it (RFC 3515, RFC 5589).

The transferee keeps its leg. In a blind transfer the proxy calls the target of the REFER on the transferee's behalf. In
an attended transfer the target is the other end of another call of the transferor through this proxy. Either way
transferee and target get a new media session (RFC 3725), in which rtpengine learns the transferee's address from its
answer only: it would else send it whatever anybody sends to the port of a target that has not answered. When both have
agreed to it, the target's leg replaces the transferor's in the call, and the transferor gets the last NOTIFY and a BYE.
Until then the old session is not touched, and a failed transfer leaves it unchanged. The transferor may hang up
meanwhile; then a failed transfer ends the call.
"""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg, TransferableCall
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.branch import Branch, BranchAnswered, BranchFailed, BranchProgress
from webrtcproxy.invite.fork import Fork
from webrtcproxy.invite.redirection import Redirection
from webrtcproxy.invite.request import contact_on, invite_for
from webrtcproxy.invite.target import Target
from webrtcproxy.routing.sequence import RequestSequence
from webrtcproxy.runtime.errors import BadResponse, FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.schedule import Timer
from webrtcproxy.session.description import sdp_in
from webrtcproxy.session.reinvite import Purpose, ReInvite
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import PHRASES, Request, Response
from webrtcproxy.sip.sdp.rewriting import sent_nowhere
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transfer.triggered_invite import ReferTargetResolver
from webrtcproxy.transport.flow import Flow

log = Logger()

SIPFRAG = "message/sipfrag;version=2.0"


@dataclass(frozen=True, slots=True)
class ConsultationCall:
    """The call between transferor and target of an attended transfer.

    :ivar call: the call.
    :ivar own: the transferor's leg.
    :ivar leg: the target's leg.
    """

    call: TransferableCall
    own: Leg
    leg: Leg


class LocalTransfer:
    """One transfer.

    :param context: the shared objects of the process.
    :param legs: the index of dialogs.
    :param call: the call in which a leg is to be replaced.
    :param transferor: that leg.
    :param stays: the transferee's leg.
    :param number: CSeq number of the REFER; None where the transferor wants no NOTIFY (RFC 4488).
    """

    def __init__(
        self,
        context: Context,
        legs: DialogTable,
        call: TransferableCall,
        transferor: Leg,
        stays: Leg,
        number: int | None,
    ) -> None:
        self._context = context
        self._legs = legs
        self._call = call
        self._transferor = transferor
        self._stays = stays
        self._number = number
        self._media = context.nodes.session(call.id)
        self._fork = Fork()
        self._early: dict[str, bytes] = {}
        self._consulted: ConsultationCall | None = None
        self._reinvite: ReInvite | None = None
        self._ringing: Timer | None = None
        self._waiting: ServerTransaction | None = None  # the target's, until the call takes its leg over
        self._done = False
        call.begin_transfer(self)
        transferor.add_usage()

    # The steps of a transfer

    def call(self, find: ReferTargetResolver, source: Request, redirection: Redirection) -> None:
        """Begin a blind transfer: call the target.

        :param find: finds the target's next hop, or raises Refusal.
        :param source: the INVITE that the transferee would send.
        :param redirection: follows the redirects of a trunk, where it is configured to.
        """
        Deferred.fromCoroutine(self._blind(find, source, redirection)).addErrback(self._failed)

    def join(self, consulted: ConsultationCall) -> None:
        """Begin an attended transfer: connect the transferee with the target of `consulted`."""
        self._consulted = consulted
        consulted.call.begin_transfer(self)
        Deferred.fromCoroutine(self._attended(consulted)).addErrback(self._failed)

    async def _blind(self, find: ReferTargetResolver, source: Request, redirection: Redirection) -> None:
        self._notify(100)
        target: Target | None = await find()
        self._ringing = self._context.transactions.schedule.after(self._context.limits.ring, self._rang_too_long)
        while target is not None:
            self._call.goes_to(target.profile.trunk, target.permitted)
            await self._try(target, source)
            event = await self._outcome()
            if isinstance(event, BranchAnswered):
                leg, branch = event.leg, event.branch
                if not leg.negotiation.remote_description:
                    answer = sdp_in(event.response) or self._early.get(branch.party_tag(event.response), b"")
                    leg.negotiation.answer_received(answer, early=True)
                await self._bring_together(leg, leg.negotiation.remote_description, branch.id)
                leg.negotiation.answer_confirmed()
                self._succeed(leg, branch.id)
                return
            target = await redirection.next(event)
            self._check_wanted()
            if target is None:
                raise Refusal(event.status, event.reason)
            self._fork.reopen(event)

    async def _try(self, target: Target, source: Request) -> None:
        """Send the INVITE."""
        self._check_wanted()
        branch = Branch(self._context, self._legs, self, target, self._fork.report)
        self._fork.add(branch)
        self._fork.complete()
        stays = self._stays
        sdp = await self._media.offer(
            sent_nowhere(stays.negotiation.remote_description),
            from_tag=stays.party_tag,
            branch=branch.id,
            to=target.profile.media_from(stays.profile),
        )
        self._check_wanted()
        contact = contact_on(target.flow, self._context.new_token())
        sequence = RequestSequence(from_tag=self._context.new_token())
        payer = self._transferor
        invite = invite_for(source, payer.profile, target, sequence, contact, sdp, True)
        if self._context.location.service_routes:
            own = NameAddr.parse(payer.dialog.remote).address
            self._context.add_service_route(invite, payer.flow, target.profile.trunk, payer.caller, own)
        branch.invite(invite, sequence)

    async def _outcome(self) -> BranchAnswered | BranchFailed:
        """The outcome of the INVITE; its provisional responses are reported to the transferor by NOTIFY."""
        while True:
            event = await self._fork.next()
            self._check_wanted()
            if not isinstance(event, BranchProgress):
                return event
            self._note(event)
            self._notify(event.response.status, event.response.reason)

    def _note(self, event: BranchProgress) -> None:
        """Take the SDP of a 1xx. It is the answer in a reliable one (RFC 3262 section 5), else a preview, which is used
        where the 2xx of the same dialog has no SDP."""
        try:
            sdp = sdp_of(event.response)
        except BadMessage:
            return
        if sdp and event.leg is not None:
            if not event.leg.negotiation.remote_description:
                event.leg.negotiation.answer_received(sdp, early=True)
        elif sdp:
            self._early[event.branch.party_tag(event.response)] = sdp

    async def _attended(self, consulted: ConsultationCall) -> None:
        self._notify(100)
        leg, stays, branch = consulted.leg, self._stays, random_token(8)
        sdp = await self._media.offer(
            sent_nowhere(stays.negotiation.remote_description),
            from_tag=stays.party_tag,
            branch=branch,
            to=leg.profile.media_from(stays.profile),
        )
        self._check_wanted()
        answer = await self._agree(leg, sdp)
        try:
            await self._bring_together(leg, answer, branch)
        except Refusal:
            await self._take_back(leg)
            raise
        leg.negotiation.answer_received(answer)
        self._succeed(leg, branch)

    async def _bring_together(self, leg: Leg, accepted: bytes, branch: str) -> None:
        """The target has answered `accepted`: offer the transferee the new session, and connect both."""
        stays, media = self._stays, self._media
        to_stays, to_leg = stays.profile.media_from(leg.profile), leg.profile.media_from(stays.profile)
        self._check_wanted()
        await media.answer(accepted, from_tag=stays.party_tag, to_tag=leg.party_tag, branch=branch, to=to_stays)
        sdp = await media.offer(accepted, from_tag=leg.party_tag, branch=branch, to=to_stays)
        self._check_wanted()
        answer = await self._agree(stays, sdp)
        try:
            self._check_wanted()
            await media.answer(answer, from_tag=leg.party_tag, to_tag=stays.party_tag, branch=branch, to=to_leg)
            self._check_wanted()
        except Refusal:
            await self._take_back(stays)
            raise
        stays.negotiation.answer_received(answer)

    async def _agree(self, leg: Leg, sdp: bytes) -> bytes:
        self._reinvite = ReInvite(self._context, leg, Purpose.TRANSFER)
        try:
            return await self._reinvite.offer(sdp)
        finally:
            self._reinvite = None

    async def _take_back(self, leg: Leg) -> None:
        """Offer a party that has agreed its former session again."""
        leg.negotiation.rollback()
        if leg.over:
            return
        try:
            await ReInvite(self._context, leg, Purpose.TRANSFER).offer(leg.negotiation.local_description)
            leg.negotiation.rollback()
        except Refusal as why:
            log.warn("{call}: the old session is not restored: {why}", why=why, call=leg.dialog.call_id)

    def _check_wanted(self) -> None:
        """Check that the transfer goes on; called after every wait.

        :raises Refusal: the transfer has ended meanwhile.
        """
        if self._done:
            raise Refusal(487)

    # The end

    def _succeed(self, leg: Leg, branch: str) -> None:
        call, consulted = self._call, self._consulted
        log.info("{call}: transferred to {to}", to=leg.dialog.remote_target, call=call.id)
        waiting, self._waiting = self._waiting, None
        leg.answer_pending = False
        call.replace_leg(self._transferor, leg, self._media, branch)
        self._finish()
        if waiting is not None and not waiting.answered:
            _hand_on(leg, waiting)
        if consulted is not None:
            call.take_limits(consulted.call, consulted.own)
            consulted.call.end(EndedBy.TRANSFERRED)
        self._notify(200, last=True).addBoth(self._hang_up)

    def _hang_up(self, _: object) -> None:
        self._transferor.hang_up()
        self._transferor.drop_usage()

    def _failed(self, failure: Failure) -> None:
        why = failure.value
        if isinstance(why, Refusal):
            self._fail(why)
        elif isinstance(why, BadMessage):
            self._fail(BadResponse(why.why))
        else:
            log.failure("{call}: a transfer broke", failure, call=self._call.id)
            self._fail(Refusal(500))

    def _fail(self, refusal: Refusal) -> None:
        """Notify the transferor of the failure. The calls go on unchanged, but those where it has hung up end."""
        if self._done:
            return
        log.info("{call}: the transfer failed: {why}", why=refusal, call=self._call.id)
        self._finish()
        self._media.delete()
        self._notify(refusal.status, refusal.reason, last=True).addBoth(lambda _: self._transferor.drop_usage())
        if self._transferor.over:
            self._call.end(EndedBy.TRANSFER_FAILED)
        if self._consulted is not None and self._consulted.own.over:
            self._consulted.call.end(EndedBy.TRANSFER_FAILED)

    def _finish(self) -> None:
        """Cancel what is under way, and give the calls back the control of their sessions."""
        self._done = True
        if self._ringing is not None:
            self._ringing.cancel()
        if self._waiting is not None and not self._waiting.answered:
            self._waiting.reply(487)
        answered = self._fork.answered
        if answered is not None and answered.leg.owner is self:
            answered.leg.hang_up()
        for branch in self._fork.branches:
            self._fork.report(BranchFailed(branch, 487, "", None))  # wakes the coroutine that waits for an event
        self._fork.close()
        if self._reinvite is not None:
            self._reinvite.withdraw()
        self._call.end_transfer()
        if self._consulted is not None:
            self._consulted.call.end_transfer()

    def _rang_too_long(self) -> None:
        self._fail(Refusal(408))

    def _notify(self, status: int, reason: str = "", *, last: bool = False) -> Deferred[None]:
        """NOTIFY the transferor (RFC 3515 section 2.4.5).

        :returns: a Deferred that fires with None at its response or failure; never fails.
        """
        if self._number is None:
            return succeed(None)
        state = "terminated;reason=noresource" if last else f"active;expires={int(self._context.limits.ring)}"
        headers = ("Event", f"refer;id={self._number}"), ("Subscription-State", state)
        fragment = f"SIP/2.0 {status} {reason or PHRASES.get(status, '')}\r\n".encode("utf-8", "surrogateescape")
        sent = maybeDeferred(self._transferor.send_request, "NOTIFY", headers, fragment, SIPFRAG)
        return sent.addCallbacks(self._notified, self._not_notified)

    def _notified(self, response: Response) -> None:
        if response.status == 481:  # the subscription is terminated
            self._number = None

    def _not_notified(self, failure: Failure) -> None:
        if not failure.check(FlowLost, TimedOut, Refusal):
            log.failure("{call}: the NOTIFY failed", failure, call=self._call.id)

    # As the controller of the calls

    def survives(self, leg: Leg) -> bool:
        """Whether the call goes on though the peer of `leg` has hung up."""
        return leg is self._transferor or (self._consulted is not None and leg is self._consulted.own)

    def close(self) -> None:
        """One of the calls has ended."""
        self._fail(Refusal(487))

    # As the owner of the target's leg, until the call takes it over

    def transferable(self) -> None:
        """None: the leg can't be transferred until it belongs to the call."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """Accept a BYE of the target; refuse any other request for the time being. An offer that follows its 2xx at
        once (`Leg.answer_pending`) waits."""
        method = transaction.request.method
        if method == "BYE":
            transaction.reply(200)
            self.bye_arrived(leg, transaction.request)
        elif method in ("INVITE", "UPDATE") and self._waits(leg):
            self._waiting = transaction
        else:
            transaction.reply(491)

    def bye_arrived(self, leg: Leg, bye: Request) -> None:
        """The target has hung up."""
        leg.hung_up()
        self._fail(Refusal(480))

    def _waits(self, leg: Leg) -> bool:
        return leg.answer_pending and leg.dialog.confirmed and self._waiting is None and not self._done

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """Answer 487: a re-INVITE of the target has not begun."""
        transaction.reply(487)

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The target is reached on another flow."""
        if self._waiting is not None:
            self._waiting.flow = flow
        self._legs.move(leg, flow)


def _hand_on(leg: Leg, transaction: ServerTransaction) -> None:
    """Hand a request of the target that has waited to the call to which its leg belongs now."""
    try:
        if leg.owner is None:
            raise Refusal(481)
        leg.owner.request_in_dialog(leg, transaction)
    except Refusal as refusal:
        transaction.reply(refusal.status, refusal.reason, refusal.headers)
    except BadMessage as error:
        transaction.reply(error.status, error.why)
