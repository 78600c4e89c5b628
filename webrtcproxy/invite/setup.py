"""CallSetup: sets up a call, from the caller's INVITE to the 2xx.

Every target gets an INVITE; the events of the branches are handled one after the other: provisional responses are
relayed, and the first 2xx wins, else the best refusal goes to the caller. `InitialOfferAnswer` handles the SDP.
"""

from __future__ import annotations

from twisted.internet.defer import CancelledError
from twisted.logger import Logger

from webrtcproxy.access.relayed_login import report_login
from webrtcproxy.dialog.background import background
from webrtcproxy.dialog.call_record import CallRecord, EndedBy
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.connected_identity import supported_with
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.dialog.relay import NOT_OURS
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.branch import Branch, BranchAnswered, BranchFailed, BranchProgress
from webrtcproxy.invite.call_during_setup import CallDuringSetup
from webrtcproxy.invite.fork import Fork
from webrtcproxy.invite.initial_offer_answer import InitialOfferAnswer
from webrtcproxy.invite.redirection import Redirection, contacts_across, follows
from webrtcproxy.invite.request import contact_on, invite_for
from webrtcproxy.invite.target import Target, TargetResolver
from webrtcproxy.registration.binding import Binding
from webrtcproxy.routing.header_policy import ASSERTED_IDENTITY
from webrtcproxy.routing.peer_profile import filter_headers
from webrtcproxy.routing.sequence import CHALLENGE_KEPT, RequestSequence
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.schedule import Timer
from webrtcproxy.session.connected_line import add_connected_identity, show_identity
from webrtcproxy.sip.capabilities import ALLOW, SUPPORTED
from webrtcproxy.sip.message import Headers, Response, respond
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()


class CallSetup:
    """The set-up of one call.

    :param context: the shared objects of the process.
    :param legs: the index of dialogs.
    :param transaction: the caller's INVITE.
    :param caller: the leg on which it arrived.
    :param media: the media session of the call.
    :param record: notes the first 18x.
    :param user: user part of the proxy's Contacts in this call.
    :param owner: the call.
    :ivar offer_answer: the first offer/answer exchange.
    """

    def __init__(
        self,
        context: Context,
        legs: DialogTable,
        transaction: ServerTransaction,
        caller: Leg,
        media: CallMedia,
        record: CallRecord,
        user: str,
        owner: CallDuringSetup,
    ) -> None:
        request = transaction.request
        self.offer_answer = InitialOfferAnswer(context, legs, transaction, caller, media, owner)
        self._context = context
        self._legs = legs
        self._transaction = transaction
        self._caller = caller
        self._media = media
        self._record = record
        self._user = user
        self._owner: CallDuringSetup | None = owner
        self._sequence_key = ("INVITE", request.call_id, request.from_.tag or "")
        self._sequence = context.sequences.get(self._sequence_key)
        self._fork = Fork()
        self._redirection: Redirection | None = None
        self._last_progress: BranchProgress | None = None  # the last one relayed to the caller
        schedule = context.transactions.schedule
        self._ringing: Timer | None = schedule.after(context.limits.ring, self._rang_too_long)

    # The steps of the set-up

    async def run(self, find_targets: TargetResolver) -> Response:
        """Send the offer to every target, and wait for the first 2xx; provisional responses are relayed meanwhile.

        :returns: the 2xx for the caller, which is not sent yet.
        :raises Refusal: the final response for the caller, where no target answers.
        :raises CancelledError: the caller has its final response.
        """
        self._caller.session_timer.check(self._transaction.request)
        self.offer_answer.begin()
        targets = await find_targets()
        if self._owner is not None:
            self._owner.goes_to(targets[0].profile.trunk, targets[0].permitted)
            if targets[0].binding is not None:
                self._owner.callee_found(targets[0].binding.aor)
        for target in targets:
            if self._fork.settled:
                break
            await self._try(self._branch(target))
        self._fork.complete()
        while True:
            event = await self._fork.next()
            self.offer_answer.check_wanted()
            if isinstance(event, BranchProgress):
                await self._progress(event)
            elif isinstance(event, BranchAnswered):
                return await self._connect(event)
            else:
                await self._refused(event)

    def join(self, target: Target) -> None:
        """A browser of the callee has registered while others ring: let it ring, too.

        The branch of a browser that has reconnected on another socket replaces its old branch; where only the newest
        binding of a user is kept, the new branch replaces all others. A browser that rings already or has refused gets
        no further INVITE.
        """
        if not self._fork.open or target.binding is None:
            return
        replaced = []
        for branch in self._fork.branches:
            there = branch.target.binding
            if there is not None and there.instance == target.binding.instance:
                if branch.refused or (not branch.ended and _rings_already(there, target.binding)):
                    return
                replaced.append(branch)
            elif not self._context.policy.multiple:
                replaced.append(branch)
        branch = self._branch(target)
        for old in replaced:
            old.cancel()
        background(self._join(branch), "An INVITE to a browser that joins in", self._record.call)

    async def _join(self, branch: Branch) -> None:
        try:
            await self._try(branch)
        except Refusal as why:
            log.warn("{call}: a browser can't join in: {why}", why=getattr(why, "why", why), call=self._record.call)
            self._fork.report(BranchFailed(branch, 480, "", None))
        except CancelledError:
            log.debug("{call}: a browser joins in too late", call=self._record.call)
        except Exception:
            log.failure("{call}: a browser could not join in", call=self._record.call)
            self._fork.report(BranchFailed(branch, 500, "", None))

    def last_early_dialog(self) -> Leg | None:
        """The leg of the early dialog whose response the caller got last; None where it has none, or has ended."""
        last = self._last_progress
        return None if last is None else last.branch.early(last.response.to.tag or "")

    def early_dialogs(self) -> list[Leg]:
        """The legs of the early dialogs with the callees."""
        return [leg for branch in self._fork.branches for leg in branch.early_dialogs()]

    def hung_up(self, leg: Leg) -> bool:
        """A callee has ended a dialog before it has answered; other branches, and other early dialogs, go on.

        :returns: whether `leg` is of an early dialog; else nothing is done.
        """
        return any(branch.hung_up(leg) for branch in self._fork.branches)

    def close(self, headers: HeaderList) -> None:
        """The call has ended: cancel ringing branches, and send a BYE to a callee that has answered.

        :param headers: for CANCEL and BYE.
        """
        self._stop_ringing()
        answered = self._fork.answered
        if answered is not None and answered.leg.owner is self._owner:
            answered.leg.hang_up(headers)
        self._fork.close(headers)
        self._last_progress = None
        self.offer_answer.close()
        self._owner = None

    def _rang_too_long(self) -> None:
        self._ringing = None
        if self._owner is not None:
            self._owner.interrupt(Refusal(408), EndedBy.NO_ANSWER)

    def _stop_ringing(self) -> None:
        if self._ringing is not None:
            self._ringing.cancel()
            self._ringing = None

    def _branch(self, target: Target) -> Branch:
        assert self._owner is not None
        branch = Branch(self._context, self._legs, self._owner, target, self._fork.report)
        self._fork.add(branch)
        return branch

    async def _try(self, branch: Branch) -> None:
        """Send the INVITE of a branch."""
        target = branch.target
        sdp = await self.offer_answer.offer_for(branch, target.profile)
        sequence = self._sequence
        if not target.profile.keeps_call_id:
            sequence = RequestSequence(from_tag=self._context.new_token())
        source, contact = self._transaction.request, contact_on(target.flow, self._user)
        reliable = bool(sdp) or self.offer_answer.provisionals.reliable
        invite = invite_for(source, self._caller.profile, target, sequence, contact, sdp, reliable)
        if self._context.location.service_routes and not target.route_set:
            leg, trunk = self._caller, target.profile.trunk
            self._context.add_service_route(invite, leg.flow, trunk, leg.caller, source.from_.address)
        self._record.callee_call = invite.call_id
        branch.invite(invite, sequence)

    async def _progress(self, event: BranchProgress) -> None:
        """Relay a 1xx."""
        response = event.response
        sdp = await self.offer_answer.early(event)
        self.offer_answer.check_wanted()
        headers = self._dialog_headers(response, event.branch, sdp, event.leg)
        self.offer_answer.provisionals.send(response.status, response.reason, headers, sdp)
        self._last_progress = event
        self._record.progress(self._context.clock.seconds())
        if event.leg is not None:
            event.leg.answer_pending = False
        if self._owner is not None:
            self._owner.answer_relayed()

    async def _connect(self, answered: BranchAnswered) -> Response:
        """The 2xx for the caller, made of the first 2xx of a branch."""
        self._last_progress = None
        for branch in self._fork.branches:
            if branch is not answered.branch:
                self._media.drop(branch.id)
        sdp = await self.offer_answer.connect(answered)
        self._stop_ringing()
        self._context.sequences.forget(self._sequence_key)
        response = answered.response
        self._record.callee_call = answered.leg.dialog.call_id
        headers = self._dialog_headers(response, answered.branch, sdp, answered.leg)
        supported = supported_with(SUPPORTED, answered.leg.identity.takes_from_change)
        for name, value in (supported, *self._caller.session_timer.accept(self._transaction.request)):
            headers.add(name, value)
        request, tag = self._transaction.request, self._transaction.to_tag
        return respond(request, response.status, response.reason, to_tag=tag, headers=headers, body=sdp)

    async def _refused(self, failed: BranchFailed) -> None:
        """Every branch has failed: try the next target of a redirect that is followed; else refuse the caller."""
        if self._redirection is None and follows(failed):
            request, host = self._transaction.request, self._transaction.flow.peer.host
            self._redirection = Redirection(self._context, request, self._caller.caller, host)
        target = None if self._redirection is None else await self._redirection.next(failed)
        self.offer_answer.check_wanted()
        if target is None:
            await self._fail(failed)
        else:
            if self._owner is not None:
                self._owner.goes_to(target.profile.trunk, target.permitted)
            self._fork.reopen(failed)
            self.offer_answer.reset_early()
            await self._try(self._branch(target))

    async def _fail(self, failed: BranchFailed) -> None:
        """Refuse the caller with the best final response."""
        response = self._fork.combined_response(failed)
        if response is None:
            raise Refusal(failed.status, failed.reason)
        if failed.branch.credentials_refused:
            raise Refusal(502, "Trunk Refuses Our Credentials")
        headers = self._relayed_headers(response, failed.branch)
        if 300 <= response.status < 400:
            redirects, request = self._fork.redirects(failed), self._transaction.request
            contacts = await contacts_across(self._context, redirects, request, self._caller.profile)
            self.offer_answer.check_wanted()
            if contacts is None:
                raise Refusal(480, "Redirected To Nowhere", headers)
            headers.extend(contacts)
        context, transaction = self._context, self._transaction
        report_login(context.guard, context.proofs, transaction.request, response, transaction.flow)
        if response.status in (401, 407):
            self._context.sequences.remember(self._sequence_key, self._sequence, CHALLENGE_KEPT)
        if response.status in NOT_OURS:
            raise Refusal(500, response.reason, headers)
        raise Refusal(response.status, response.reason, headers)

    def _relayed_headers(self, response: Response, branch: Branch) -> Headers:
        headers = filter_headers(response, branch.profile, self._caller.profile)
        if response.headers.has_any(ASSERTED_IDENTITY):
            show_identity(headers, response, branch.callee, self._caller)
        return headers

    def _dialog_headers(self, response: Response, branch: Branch, sdp: bytes, leg: Leg | None) -> Headers:
        """The headers of a response within the dialog with the caller.

        :param leg: the callee's; None where it has none as yet.
        """
        headers = Headers.of(["Allow", "Contact"], [ALLOW[1], self._caller.dialog.contact])
        headers.extend(self._relayed_headers(response, branch))
        if leg is not None and leg.identity.stated is not None:
            add_connected_identity(headers, leg, self._caller)
        if sdp:
            headers.add("Content-Type", "application/sdp")
        return headers


def _rings_already(one: Binding, other: Binding) -> bool:
    """Whether a browser that rings at `one` need not ring at `other`: both have the same socket, or `other` is a
    further flow of the same browser (RFC 5626)."""
    return one.flow is other.flow or one.reg_id != other.reg_id
