"""Leg: one side of a call: its dialog, its offer/answer state, and the flow to the peer; sends 2xx, ACK and BYE."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.calls import PermittedCall
from webrtcproxy.access.identity import holder
from webrtcproxy.access.policy import Permitted
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.accepted_invite import AcceptedInvite
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.client import DialogClient, HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.negotiation import Negotiation
from webrtcproxy.dialog.peers import is_from_peer
from webrtcproxy.routing.admission import UNREGISTERED, BrowserUser
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.routing.policy import account_of
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import MAX_CSEQ
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()


class TransferController(Protocol):
    """Carries out a transfer, and moves legs between calls."""

    def survives(self, leg: Leg) -> bool:
        """Whether the call goes on though the peer of `leg` has hung up."""

    def close(self) -> None:
        """The call has ended."""


class TransferableCall(Protocol):
    """A call as a transfer sees it."""

    @property
    def id(self) -> str:
        """Identifies the call in logs."""

    @property
    def permitted(self) -> Permitted | None:
        """What the access policy has permitted last; None where it was not asked."""

    def other(self, leg: Leg) -> Leg | None:
        """The other leg of the call; None while it has only one."""

    def dialog_terminated(self, leg: Leg) -> None:
        """The peer of `leg` has no such dialog any more, or does not respond."""

    def unreachable(self, leg: Leg) -> None:
        """The ACK for a 2xx has no way to the peer of `leg`."""

    def busy(self) -> bool:
        """Whether its session is being changed, is not negotiated yet, or is already in a transfer."""

    def begin_transfer(self, controller: TransferController) -> None:
        """From now on only `controller` changes the session."""

    def end_transfer(self) -> None:
        """The transfer has ended, successfully or not."""

    def replace_leg(self, old: Leg, new: Leg, media: CallMedia, branch: str) -> None:
        """Replace `old` by `new`; `old` no longer belongs to the call.

        :param media: the media session between `new` and the remaining leg; the call's former one is deleted.
        :param branch: its branch at rtpengine.
        """

    @property
    def caller(self) -> Leg:
        """The leg of the caller."""

    @property
    def limits(self) -> PermittedCall:
        """What keeps its limits."""

    def take_limits(self, other: TransferableCall, left: Leg) -> None:
        """The call goes on with an end of `other`, which is over by itself: the limits of both hold until this call is.

        :param left: the end of `other` that does not go on.
        """

    def goes_to(self, trunk: Trunk | None, permitted: Permitted | None) -> None:
        """The target of a transfer is found, to be called next.

        :param trunk: where it leads, or None.
        :param permitted: what the access policy has permitted, where it was asked.
        :raises Denied: a limit of calls is reached.
        """

    def end(self, why: EndedBy) -> None:
        """End the call: every leg that belongs to it gets a BYE."""


class DialogUser(Protocol):
    """The call or subscription that a leg belongs to."""

    def transferable(self) -> TransferableCall | None:
        """The call where its legs may be moved; else None."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request has arrived within the dialog of `leg`."""

    def bye_arrived(self, leg: Leg, bye: Request) -> None:
        """The peer of `leg` has ended its dialog. The BYE is answered, perhaps refused."""

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL has arrived for a re-INVITE that has no final response yet."""

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is now reached on another flow."""


class Leg(DialogClient):
    """One established side of a call.

    :param context: the shared objects of the process.
    :param dialog: the leg's dialog.
    :param flow: the flow that reached the peer last. A browser is reached only there; a trunk at its dialog's next hop.
    :param party_tag: identifies this party to rtpengine (the from-tag of its ng commands).
    :param owner: the call or subscription; None for a dialog that only awaits its end.
    :param profile: the profile of the peer.
    :param authentication: answers challenges with the trunk's credentials, where the leg may use them.
    :param user: the user of the peer, where that is a browser that has registered.
    :ivar negotiation: its offer/answer state.
    :ivar answer_pending: whether the peer has answered the proxy's first offer in a reliable response, and that answer
        is still on its way to the other side of the call: an offer of the peer's own may follow at once (RFC 3311
        section 5.1), and waits.
    :ivar session_timer: how long the session lasts without a refresh.
    """

    def __init__(
        self,
        context: Context,
        dialog: Dialog,
        flow: Flow,
        party_tag: str,
        owner: DialogUser | None,
        profile: PeerProfile,
        authentication: Authentication | None = None,
        user: BrowserUser = UNREGISTERED,
    ) -> None:
        super().__init__(context, dialog, flow, profile, authentication)
        self.party_tag = party_tag
        self.owner = owner
        self.user = user
        self.contact = dialog.remote_target
        self.negotiation = Negotiation()
        self.answer_pending = False
        self._usages = 0
        self._ended = False
        self._accepted: AcceptedInvite | None = None
        self._acknowledged = False
        self._bye_headers: HeaderList | None = None
        self._finished: list[Callable[[Leg], None]] = []

    @property
    def key(self) -> tuple[str, str, str]:
        """The dialog's identity: Call-ID, local tag, remote tag."""
        return self.dialog.call_id, self.dialog.local_tag, self.dialog.remote_tag

    @property
    def trunk(self) -> Trunk | None:
        """The trunk of the peer."""
        return self.profile.trunk

    @property
    def caller(self) -> Caller:
        """On whose behalf the peer, a browser, is in this dialog: the caller that was identified when it began, or the
        user that was called, as far as its present connection proves it."""
        return holder(self._context.proofs, self.flow, self.user.aor)

    def is_from_peer(self, flow: Flow) -> bool:
        """Whether a message on `flow` is from the peer: see `routing.admission.is_peer`."""
        return is_from_peer(self._context, self, flow)

    def answer_challenges_for(self, other: Leg) -> None:
        """Answer challenges of the trunk that has called, or subscribed, with the credentials of its section, where the
        user of `other` may use them (`answer_challenges`). No effect for a peer that belongs to no trunk."""
        if self.trunk is not None:
            caller = other.caller
            allowed = self._context.policy.may_use_trunk_credentials(self.trunk, caller)
            self.answer_challenges(allowed, account_of(self.trunk, caller))

    def when_finished(self, call: Callable[[Leg], None]) -> None:
        """Have `call` called with this leg once its dialog has ended and no usage shares it."""
        self._finished.append(call)

    def target_refresh(self, request: Request) -> None:
        """Take in an INVITE or UPDATE of the peer: its Contact becomes the remote target (RFC 3261 section 12.2.2), its
        Allow lists the methods that the peer supports, and it may say who the peer is.

        :raises BadMessage: 400 where its Contact leads nowhere.
        :raises Refusal: 422 where the interval is too short.
        """
        self.dialog.refresh(request)
        self.session_timer.check(request)
        self.learn(request, within=True)
        if not self.dialog.names_peer(request):
            self.identity.rename(request.headers.get("From") or "")
            if self.identity.takes_from_change:
                self.dialog.rename_peer(request)

    def add_usage(self) -> None:
        """Another usage shares the dialog, which then lasts until `drop_usage` (RFC 5057 section 4)."""
        self._usages += 1

    def drop_usage(self) -> None:
        """A usage that was added has ended."""
        self._usages -= 1
        if self._ended:
            self._finish()

    # As the UAS

    @property
    def awaits_ack(self) -> bool:
        """Whether the peer has a 2xx of this leg to acknowledge."""
        return self._accepted is not None

    def when_acknowledged(self) -> Deferred[None]:
        """Fires with None once no 2xx of this leg awaits its ACK: before that, no INVITE may be sent (RFC 3261 section
        14.1)."""
        return succeed(None) if self._accepted is None else self._accepted.when_acknowledged()

    def answer(
        self,
        transaction: ServerTransaction,
        response: Response,
        unacknowledged: Callable[[], None],
        on_ack: Callable[[Request], None] | None = None,
    ) -> None:
        """Answer the INVITE of `transaction` with a 2xx, and repeat it until the ACK, on the peer's current flow.

        Where the INVITE already has another final response, that is logged, and nothing is sent.

        A peer that sends a further INVITE has received the 2xx of the last one, which is then no longer repeated.

        :param unacknowledged: called when no ACK arrives within 64*T1; the caller of this method has to hang up then.
        :param on_ack: called with the ACK.
        """
        if transaction.answered:
            transaction.respond(response)
            return
        data, home = response.to_bytes(), transaction.flow

        def repeat() -> None:
            with suppress(FlowLost):
                (self.flow if self.profile.flow_bound else home).send(data)

        transaction.respond(response)
        schedule, number = self._context.transactions.schedule, transaction.request.cseq.number
        self._accepted = AcceptedInvite(schedule, number, repeat, unacknowledged, on_ack, self._accepted)

    def ack_arrived(self, ack: Request) -> None:
        """The peer's ACK for a 2xx has arrived; one for an earlier 2xx is ignored.

        A browser has only one 2xx to acknowledge, which its connection has delivered: whatever CSeq number its ACK has,
        it means that one (JsSIP 3.10.9 sends another one than its re-INVITE had). So does an ACK of any peer whose
        number is missing or can't be read, or can't be that of an earlier 2xx. Where the 2xx has the offer, such an ACK
        has to have the answer.
        """
        accepted = self._accepted
        if accepted is None or not self._means(ack, accepted):
            return
        self._acknowledged = True
        self._confirm()
        if accepted.on_ack is not None:
            accepted.on_ack(ack)
        if self._bye_headers is not None:
            self._send_bye(self._bye_headers)

    def _means(self, ack: Request, accepted: AcceptedInvite) -> bool:
        number = _number_of(ack)
        if number == accepted.number:
            return True
        any_number = self.profile.flow_bound or not self._acknowledged or number > accepted.number
        return any_number and (accepted.on_ack is None or bool(ack.body))

    def _confirm(self) -> None:
        """No 2xx awaits its ACK any more."""
        accepted, self._accepted = self._accepted, None
        if accepted is not None:
            accepted.end()

    # The end of the dialog

    def hang_up(self, headers: HeaderList = ()) -> None:
        """End the dialog with a BYE; where the leg's 2xx still awaits its ACK, after that (RFC 3261 section 15)."""
        if self.over:
            return
        self.over = True
        self.send_held_ack()
        if self._accepted is not None:
            self._bye_headers = headers
            return
        self._send_bye(headers)

    def unacknowledged(self) -> None:
        """No ACK has arrived within 64*T1: now the BYE may be sent (RFC 3261 section 13.3.1.4)."""
        self._confirm()
        if self._bye_headers is not None:
            self._send_bye(self._bye_headers)

    def unreachable(self) -> None:
        """The ACK for a 2xx can't be sent to the peer by any flow: the call ends, in the next turn of the reactor."""
        self._context.clock.callLater(0, self._end_call)

    def _end_call(self) -> None:
        call = None if self.over or self.owner is None else self.owner.transferable()
        if call is not None:
            call.unreachable(self)

    def hung_up(self) -> None:
        """The peer has ended the dialog, or does not know it any more: nothing more is sent."""
        self._confirm()
        self.send_held_ack()
        if not self.over or self._bye_headers is not None:
            self.over = True
            self._bye_headers = None
            self._finish()

    def _send_bye(self, headers: HeaderList) -> None:
        self._bye_headers = None
        maybeDeferred(self.send_request, "BYE", headers).addBoth(self._bye_ended)

    def _bye_ended(self, outcome: Response | Failure) -> None:
        if isinstance(outcome, Failure):
            if outcome.check(FlowLost, TimedOut, Refusal):
                log.info("{call}: the BYE was not answered: {why!r}", why=outcome.value, call=self.dialog.call_id)
            else:
                log.failure("{call}: the BYE failed", outcome, call=self.dialog.call_id)
        self._finish()

    def _finish(self) -> None:
        self._ended = True
        if self._usages:
            return
        self.owner = None  # breaks the reference cycle between call and leg
        waiting, self._finished = self._finished, []
        for call in waiting:
            call(self)


def _number_of(ack: Request) -> int:
    """Its CSeq number; the greatest where there is none."""
    try:
        return ack.cseq.number
    except BadMessage:
        return MAX_CSEQ
