"""Leg: one side of a call. Its dialog, the flow that leads to the peer, and what ends it properly."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.accepted_invite import AcceptedInvite
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.client import DialogClient, HeaderList
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.negotiation import Negotiation
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()


class TransferController(Protocol):
    """What carries out a transfer, and is about to move legs of a call."""

    def survives(self, leg: Leg) -> bool:
        """Whether the call goes on though the peer of `leg` has hung up."""

    def close(self) -> None:
        """The call is over."""


class TransferableCall(Protocol):
    """A call as what moves its legs sees it."""

    @property
    def id(self) -> str:
        """Its name in logs."""

    def other(self, leg: Leg) -> Leg | None:
        """The leg across from `leg`; None while there is none."""

    def dialog_terminated(self, leg: Leg) -> None:
        """The peer of `leg` says that it has no such dialog, or does not answer."""

    def busy(self) -> bool:
        """Whether its session is being changed, is not negotiated yet, or is in a transfer already."""

    def begin_transfer(self, controller: TransferController) -> None:
        """From now on only `controller` changes the session."""

    def end_transfer(self) -> None:
        """The transfer is over, carried out or not."""

    def replace_leg(self, old: Leg, new: Leg, media: CallMedia, branch: str) -> None:
        """Put `new` in the place of `old`, which belongs to the call no longer.

        :param media: the media session between `new` and the leg that stays; that of the call is deleted.
        :param branch: its branch towards rtpengine.
        """

    def end(self, why: EndedBy) -> None:
        """End the call: every leg that belongs to it gets a BYE."""


class DialogUser(Protocol):
    """The call or subscription that a leg belongs to."""

    def transferable(self) -> TransferableCall | None:
        """The call, where its legs may be moved; None for anything else."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request arrived within the dialog of `leg`."""

    def cancelled_in_dialog(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for an INVITE within a dialog of the call, which has no final response yet."""

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` is on another flow: it is reached there from now on."""


class Leg(DialogClient):
    """One established side of a call.

    :param context: what calls work with.
    :param dialog: the leg's dialog.
    :param flow: where the peer was reached last. A browser is reached nowhere else; a trunk by its dialog's next hop.
    :param party_tag: the ng from-tag of this party towards rtpengine.
    :param owner: the call, or None for a dialog that only waits for its end.
    :param profile: what holds for the peer.
    :param authentication: answers challenges with the trunk's credentials, where the leg may use them.
    :param aor: the peer's address-of-record, where it is a browser.
    :ivar negotiation: its offer/answer state.
    :ivar session_timer: how long the session lives without a refresh.
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
        aor: str | None = None,
    ) -> None:
        super().__init__(context, dialog, flow, profile, authentication)
        self.party_tag = party_tag
        self.owner = owner
        self.aor = aor
        self.contact = dialog.remote_target
        self.negotiation = Negotiation()
        self._usages = 0
        self._ended = False
        self._accepted: AcceptedInvite | None = None
        self._bye_headers: HeaderList | None = None
        self._finished: list[Callable[[Leg], None]] = []

    @property
    def key(self) -> tuple[str, str, str]:
        """The dialog's identity: Call-ID, our tag, the peer's tag."""
        return self.dialog.call_id, self.dialog.local_tag, self.dialog.remote_tag

    def when_finished(self, call: Callable[[Leg], None]) -> None:
        """Have `call` called with this leg once its dialog is over, and no usage shares it."""
        self._finished.append(call)

    def target_refresh(self, request: Request) -> None:
        """An INVITE or UPDATE of the peer's: its Contact is the remote target from now on (RFC 3261 section 12.2.2),
        and it says which methods the peer takes.

        :raises BadMessage: 400: its Contact leads nowhere, or its session interval can't be read.
        :raises Refusal: 422: the interval is too short.
        """
        self.dialog.refresh(request)
        self.learn(request)
        self.session_timer.check(request)

    def add_usage(self) -> None:
        """Something else than the call shares the dialog, which lasts until `drop_usage` then (RFC 5057 section 4)."""
        self._usages += 1

    def drop_usage(self) -> None:
        """The counterpart of `add_usage`."""
        self._usages -= 1
        if self._ended:
            self._finish()

    # As the UAS

    def when_acknowledged(self) -> Deferred[None]:
        """Fires with None once no 2xx of ours waits for its ACK, or none will come: before that, no INVITE may go out
        (RFC 3261 section 14.1)."""
        return succeed(None) if self._accepted is None else self._accepted.when_acknowledged()

    def answer(
        self,
        transaction: ServerTransaction,
        response: Response,
        unacknowledged: Callable[[], None],
        on_ack: Callable[[Request], None] | None = None,
    ) -> None:
        """Answer the INVITE of `transaction` with a 2xx, and repeat it until the ACK, wherever the peer is by then.

        After another final response it is logged, and neither sent nor repeated.

        A peer that has come to a further INVITE has seen the 2xx of the one before: that is repeated no more.

        :param unacknowledged: called when none came within 64*T1; hanging up is then the caller's part.
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
        """The peer's ACK for our 2xx arrived; a repeat of an earlier one says nothing of the last 2xx."""
        accepted = self._accepted
        if accepted is not None and ack.cseq.number == accepted.number:
            self._confirm()
            if accepted.on_ack is not None:
                accepted.on_ack(ack)
            if self._bye_headers is not None:
                self._send_bye(self._bye_headers)

    def _confirm(self) -> None:
        """No 2xx waits for its ACK any more."""
        accepted, self._accepted = self._accepted, None
        if accepted is not None:
            accepted.end()

    # Its end

    def hang_up(self, headers: HeaderList = ()) -> None:
        """End the dialog with a BYE; when our 2xx still waits for its ACK, after that (RFC 3261 section 15)."""
        if self.over:
            return
        self.over = True
        self.send_held_ack()
        if self._accepted is not None:
            self._bye_headers = headers
            return
        self._send_bye(headers)

    def unacknowledged(self) -> None:
        """No ACK came within 64*T1: the BYE may go out all the same (RFC 3261 section 13.3.1.4)."""
        self._confirm()
        if self._bye_headers is not None:
            self._send_bye(self._bye_headers)

    def hung_up(self) -> None:
        """The peer ended the dialog, or says that it has none: nothing more is sent."""
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
        self.owner = None  # the call has this leg: nothing is to wait for the garbage collector
        waiting, self._finished = self._finished, []
        for call in waiting:
            call(self)
