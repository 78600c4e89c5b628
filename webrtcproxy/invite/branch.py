"""Branch: one INVITE of the proxy to one target of a call, up to its final response, and the dialogs that its responses
create (RFC 3261 section 13.2.2)."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.identity import holder
from webrtcproxy.dialog.client import HeaderList
from webrtcproxy.dialog.connected_identity import shown_in
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.dialog import Dialog, tag_of
from webrtcproxy.dialog.leg import DialogUser, Leg
from webrtcproxy.dialog.peers import Addressee, is_from_peer
from webrtcproxy.dialog.reliable import rseq_of, send_prack
from webrtcproxy.dialog.session_timer import SessionTimer
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.target import Target
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.failover import SentRequest
from webrtcproxy.routing.header_policy import ASSERTED_IDENTITY
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.routing.sequence import RequestSequence
from webrtcproxy.runtime.errors import BadResponse, FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.schedule import Timer
from webrtcproxy.sip.body import sdp_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Address, Flow

log = Logger()

MAX_DIALOGS = 16
"""Most dialogs of one branch. Further early dialogs share a party tag; a further 2xx is not acknowledged."""


@dataclass(frozen=True, slots=True)
class BranchProgress:
    """A provisional response, 101 to 199, has arrived; for a reliable one, `leg` is the leg of its early dialog."""

    branch: Branch
    response: Response
    leg: Leg | None


@dataclass(frozen=True, slots=True)
class BranchAnswered:
    """The first 2xx has arrived; `leg` is the callee's. The ACK was sent, unless it has to carry the answer."""

    branch: Branch
    response: Response
    leg: Leg


@dataclass(frozen=True, slots=True)
class BranchFailed:
    """No branch was answered. `response` is the best final response; where there is none `status` says why."""

    branch: Branch
    status: int
    reason: str
    response: Response | None

    @staticmethod
    def of(branch: Branch, refusal: Refusal) -> BranchFailed:
        """The failure of a branch without a final response to relay."""
        return BranchFailed(branch, refusal.status, refusal.reason, None)


BranchEvent = BranchProgress | BranchAnswered | BranchFailed


class Branch:
    """One INVITE of the proxy, with all its tries.

    :param context: the shared objects of the process.
    :param legs: the index of the dialogs that it creates.
    :param owner: the call.
    :param target: where the INVITE goes.
    :param report: called with each event.
    :ivar target: as given.
    :ivar cancelled: whether it was cancelled.
    :ivar ended: whether no more events will come.
    :ivar refused: whether it has ended because its target refused.
    """

    def __init__(
        self,
        context: Context,
        legs: DialogTable,
        owner: DialogUser,
        target: Target,
        report: Callable[[BranchEvent], None],
    ) -> None:
        self.id = random_token(8)
        self.cancelled = False
        self.ended = False
        self.refused = False
        self.target = target
        self._context = context
        self._index = legs
        self._owner = owner
        self._report = report
        self._party_tags: dict[str, str] = {}
        self._previews: dict[str, Response] = {}
        self._early: dict[str, Leg] = {}
        self._legs: dict[str, Leg] = {}
        self._request: ClientRequest | None = None
        self._rang = False
        self._parked: Timer | None = None
        self._session_timer = SessionTimer(context.clock, context.limits.session_expires)

    @property
    def profile(self) -> PeerProfile:
        """The profile of the target."""
        return self.target.profile

    @property
    def callee(self) -> Caller:
        """The user who is called, as far as the present connection of the browser proves it."""
        return holder(self._context.proofs, self.target.flow, self.target.user.aor)

    @property
    def credentials_refused(self) -> bool:
        """Whether the trunk has refused the configured credentials."""
        return self.target.authentication is not None and self.target.authentication.refused

    @property
    def _call(self) -> str:
        return "" if self._request is None else self._request.request.call_id

    def party_tag(self, response: Response) -> str:
        """Identifies, to rtpengine, the party that sent `response`: one for each To tag, since the INVITE may have
        forked upstream."""
        tag = response.to.tag or ""
        party_tag = self._party_tags.get(tag)
        if party_tag is None:
            party_tag = f"{self.id}-{len(self._party_tags)}"
            if len(self._party_tags) < MAX_DIALOGS:
                self._party_tags[tag] = party_tag
        return party_tag

    def invite(self, invite: Request, sequence: RequestSequence) -> None:
        """Send the INVITE, with the proxy's proposal for the session timer.

        :param sequence: has numbered it.
        """
        for name, value in self._session_timer.proposal():
            invite.headers.add(name, value)
        if self.cancelled:
            self.ended = True
            return
        key = invite.call_id, invite.from_.tag or ""
        self._request = ClientRequest(
            self._context.transactions,
            invite,
            sequence,
            self.target.to,
            authentication=self.target.authentication,
            session_interval=self._session_timer,
            on_retry=self._retried,
            on_provisional=self._progress,
            on_answer=self._answered_again,
            on_late_answer=self._answered_late,
        )
        self._index.pending_invites[key] = self
        self._request.final.addBoth(self._called, key)

    def _retried(self) -> bool:
        """The INVITE is sent again: the early dialogs of the last try have ended."""
        self._forget_early()
        self._early, self._previews = {}, {}
        return True

    def _called(self, outcome: Response | Failure, key: tuple[str, str]) -> None:
        self._index.pending_invites.pop(key, None)
        try:
            if isinstance(outcome, Failure):
                self._failed(outcome)
            else:
                self._final(outcome)
        except Exception:
            self._broken(Failure())
        self._previews = {}

    def cancel(self, headers: HeaderList = ()) -> None:
        """Cancel the INVITE, whatever its state; a 2xx that still arrives gets an ACK and a BYE."""
        if self._parked is not None:
            self._parked.cancel()
            self._browser_lost()
        if self.cancelled or self.ended:
            return
        self.cancelled = True
        for leg in self._early.values():
            leg.owner, leg.answer_pending = None, False
        if self._request is not None:
            self._request.cancel(headers)

    def hung_up(self, leg: Leg) -> bool:
        """The callee has ended a dialog. It has no right to a BYE before it has answered (RFC 3261 section 15), but
        means that it will not: where this was the last early dialog, the branch has failed, and is cancelled.

        :returns: whether `leg` is of an early dialog of this branch; else nothing is done.
        """
        tag = leg.dialog.remote_tag
        if self.ended or self._early.get(tag) is not leg:
            return False
        leg.hung_up()
        self._previews.pop(tag, None)
        if not self._previews and all(other.over for other in self._early.values()):
            self.refused = True
            report, self._report = self._report, _ignore_event
            self.cancel()
            report(BranchFailed(self, 480, "", None))
        return True

    def _progress(self, response: Response) -> None:
        if self.cancelled:
            return
        try:
            self.party_tag(response)
            number = rseq_of(response)
            leg = None if number is None else self._early_leg(response)
        except BadMessage as error:
            log.info("{call}: a provisional response is dropped: {why}", why=error.why, call=self._call)
            return
        self._rang = True
        if number is None:
            self._remember(response)
        else:
            if leg is None or not leg.is_next_rseq(number):
                return
            sdp = _sdp(response)
            if leg.negotiation.local_description or not sdp:  # else the answer to its offer is awaited
                leg.answer_pending = leg.answer_pending or (bool(sdp) and not leg.negotiation.remote_description)
                send_prack(leg, response)
        self._report(BranchProgress(self, response, leg))

    def _remember(self, response: Response) -> None:
        """Remember an unreliable response, which creates an early dialog, too (RFC 3261 section 12.1): `early` makes
        its leg when a request within it is to be sent or has arrived."""
        tag = response.to.tag
        if tag and (tag in self._previews or len(self._previews) < MAX_DIALOGS):
            self._previews[tag] = response

    def is_from_peer(self, flow: Flow) -> bool:
        """Whether a message on `flow` is from where its INVITE was sent."""
        target, request = self.target, self._request
        sent_to = target.flow if request is None else request.flow
        return is_from_peer(self._context, Addressee(sent_to, target.user, target.profile.trunk), flow)

    def early(self, tag: str) -> Leg | None:
        """The leg of the early dialog that a 1xx with this To tag has created; None where no such 1xx has arrived, or
        the dialog has ended."""
        if self.cancelled or self.ended:
            return None
        leg, preview = self._early.get(tag), self._previews.get(tag)
        if leg is None and preview is not None:
            try:
                leg = self._early_leg(preview)
            except BadMessage as error:
                del self._previews[tag]
                log.info("{call}: a provisional response opens no dialog: {why}", why=error.why, call=self._call)
        return None if leg is None or leg.over else leg

    def early_dialogs(self) -> list[Leg]:
        """The legs of all early dialogs that have not ended."""
        return [leg for tag in {**self._previews, **self._early} if (leg := self.early(tag)) is not None]

    def _early_leg(self, response: Response) -> Leg | None:
        """The leg of the early dialog that a provisional response belongs to; None where there are too many.

        :raises BadMessage: the response can't create a dialog.
        """
        assert self._request is not None
        tag = response.to.tag or ""
        leg = self._early.get(tag)
        if leg is None and len(self._early) < MAX_DIALOGS:
            invite = self._request.request
            sent = self._request.sent
            contact = invite.headers.get("Contact") or ""
            dialog = Dialog.from_response(invite, response, contact, self._route_needed(sent))
            leg = self._early[tag] = self._leg(sent, dialog, self.party_tag(response), self._owner)
        if leg is not None:
            leg.learn(response)
        return leg

    def _final(self, response: Response) -> None:
        assert self._request is not None
        self._session_timer.answered(response)
        self.ended = True
        if response.status < 300:
            leg = self._open(self._request.sent, response)
            leg.session_timer = self._session_timer
            self._forget_early()
            if self.cancelled:
                leg.hang_up()
                self._report(BranchFailed(self, 487, "", None))
            else:
                self._report(BranchAnswered(self, response, leg))
            return
        self._forget_early()
        self.refused = True
        refusal = self.profile.challenge_refusal() if response.status in (401, 407) else None
        if refusal is not None:
            self._report(BranchFailed.of(self, refusal))
            return
        self._report(BranchFailed(self, response.status, response.reason, response))

    def _open(self, sent: SentRequest, response: Response) -> Leg:
        """The leg of the dialog that a 2xx creates.

        :param sent: the request that it answers.
        :raises BadMessage: the 2xx can't be read; its sender gets an ACK and a BYE.
        """
        invite = sent.request
        contact = invite.headers.get("Contact") or ""
        try:
            leg = self._confirmed(sent, response)
            if leg is None:
                dialog = Dialog.from_response(invite, response, contact, self._route_needed(sent))
                leg = self._leg(sent, dialog, self.party_tag(response), self._owner)
            self._legs[leg.dialog.remote_tag] = leg
            preview = self._previews.get(leg.dialog.remote_tag)
            if preview is not None:
                leg.learn(preview)
            leg.learn(response)
            leg.answer_pending = bool(leg.negotiation.local_description) and not leg.negotiation.agreed
            offer = b"" if leg.negotiation.local_description else _sdp(response)
            if offer:
                leg.hold_ack(invite, offer)
            else:
                leg.acknowledge(invite)
            return leg
        except BadMessage:
            # For its sender the dialog exists all the same, and has to be ended with a BYE.
            dialog = Dialog.from_unreadable(invite, response, contact, self._route_needed(sent))
            leg = self._leg(sent, dialog, "", None)
            self._legs[leg.dialog.remote_tag] = leg
            leg.acknowledge(invite)
            leg.hang_up()
            raise

    def _route_needed(self, sent: SentRequest) -> Address | None:
        """Where a request was sent to, as the route of those that have no other way; None for a browser's, which go by
        its connection."""
        return None if self.profile.flow_bound else sent.flow.peer

    def _leg(self, sent: SentRequest, dialog: Dialog, party_tag: str, owner: DialogUser | None) -> Leg:
        target = self.target
        leg = Leg(
            self._context, dialog, sent.flow, party_tag, owner, target.profile, target.authentication, target.user
        )
        if sent.request.headers.has_any(ASSERTED_IDENTITY):
            leg.identity.shown = shown_in(sent.request.headers)
        if sent.request.body:
            leg.negotiation.offer_sent(sent.request.body)
        self._index.add(leg)
        return leg

    def _confirmed(self, sent: SentRequest, response: Response) -> Leg | None:
        """The leg of the early dialog that a 2xx confirms; None where it had no early dialog.

        :raises BadMessage: its new Record-Route leads nowhere.
        """
        tag = response.to.tag or ""
        leg = self._early.get(tag)
        if leg is None:
            return None
        leg.dialog.confirm(response)
        del self._early[tag]
        if leg.over:  # another one was answered first
            return self._leg(sent, leg.dialog, leg.party_tag, self._owner)
        return leg

    def _forget_early(self) -> None:
        """The INVITE has its final response: the remaining early dialogs end. They stay remembered, since a further 2xx
        may belong to one."""
        for leg in self._early.values():
            leg.hung_up()

    def _answered_again(self, response: Response) -> None:
        """Acknowledge a repeat of the 2xx again; a 2xx with a new To tag is of another fork, and gets an ACK and a
        BYE."""
        sent = None if self._request is None else self._request.answered_by(response)
        if sent is None:
            return
        leg = self._legs.get(tag_of(response))
        if leg is None and len(self._legs) >= MAX_DIALOGS:
            log.warn("{call}: too many answers to one INVITE", call=self._call)
        elif leg is None:
            self._answered_late(sent, response)
        else:
            leg.acknowledge(sent.request)

    def _answered_late(self, sent: SentRequest, response: Response) -> None:
        """Answer a 2xx that comes too late with an ACK and a BYE."""
        with suppress(BadMessage):
            leg = self._open(sent, response)
            leg.owner = None
            leg.hang_up()

    def _failed(self, failure: Failure) -> None:
        failure.trap(FlowLost, TimedOut)
        self.ended = True
        self._forget_early()
        if failure.check(TimedOut):
            self._report(BranchFailed(self, 408, "", None))
        elif not self.profile.flow_bound:
            self._report(BranchFailed.of(self, self.profile.unreachable()))
        elif self._rang and not self.cancelled:
            # After a reload of the page, or a change of the network, the browser may register and ring again.
            self._parked = self._context.transactions.schedule.after(self._context.limits.grace, self._browser_lost)
        else:
            self._browser_lost()

    def _browser_lost(self) -> None:
        """The browser that rang has lost its connection."""
        self._parked = None
        self._report(BranchFailed(self, 480, "", None))

    def _broken(self, failure: Failure) -> None:
        self.ended = True
        self._forget_early()
        for leg in self._legs.values():
            leg.hang_up()
        if isinstance(failure.value, BadMessage):
            self._report(BranchFailed.of(self, BadResponse(failure.value.why)))
            return
        log.failure("{call}: a branch broke", failure, call=self._call)
        self._report(BranchFailed(self, 500, "", None))


def _ignore_event(event: BranchEvent) -> None:
    """Do nothing: the end of the branch was reported."""


def _sdp(response: Response) -> bytes:
    """The description in a response; empty where it has none, or the body can't be read."""
    try:
        return sdp_of(response)
    except BadMessage:
        return b""
