"""Leg: one side of a call. Its dialog, the flow that leads to the peer, and what ends it properly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.dialog.background import background
from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import CallMedia, Context
from webrtcproxy.dialog.dialog import Dialog
from webrtcproxy.dialog.negotiation import Negotiation
from webrtcproxy.dialog.retransmission import OkRetransmission
from webrtcproxy.dialog.session_timer import REFRESHING, SessionTimer
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Message, Request, Response
from webrtcproxy.sip.sdp.rewriting import refuse_all
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

HeaderList = Iterable[tuple[str, str]]

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


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

    def gone(self, leg: Leg) -> None:
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


class RequestObserver(Protocol):
    """Gets more of a request within a dialog than its final response."""

    def sent(self, request: ClientRequest) -> None:
        """The request is out."""

    def progress(self, response: Response) -> None:
        """A 101 to 199 to an INVITE."""

    def answered_again(self, response: Response) -> None:
        """A repeat of the 2xx to an INVITE."""


class Leg:
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
        self._context = context
        self.dialog = dialog
        self.flow = flow
        self.party_tag = party_tag
        self.owner = owner
        self.aor = aor
        self.contact = dialog.remote_target
        self.profile = profile
        self.over = False
        self.negotiation = Negotiation()
        self._rseq = 0
        self._usages = 0
        self._ended = False
        self.session_timer = SessionTimer(context.clock, context.limits.session_expires)
        self._allow: list[str] = []
        self._authentication = authentication
        self._answer: OkRetransmission | None = None
        self._answered_number = 0
        self._on_ack: Callable[[Request], None] | None = None
        self._confirmed: list[Deferred[None]] = []
        self._ack: Request | None = None
        self._held_ack: tuple[Request, bytes] | None = None
        self._bye_headers: HeaderList | None = None
        self._finished: list[Callable[[Leg], None]] = []

    @property
    def key(self) -> tuple[str, str, str]:
        """The dialog's identity: Call-ID, our tag, the peer's tag."""
        return self.dialog.call_id, self.dialog.local_tag, self.dialog.remote_tag

    def when_finished(self, call: Callable[[Leg], None]) -> None:
        """Have `call` called with this leg once its dialog is over, and no usage shares it."""
        self._finished.append(call)

    def learn(self, message: Message) -> None:
        """Note which methods the peer takes, where `message` says so (RFC 3261 section 20.5)."""
        allow = message.headers.lines("Allow")
        if allow:
            self._allow = allow

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

    @property
    def takes_update(self) -> bool:
        """Whether the peer lists UPDATE among the methods that it takes (RFC 3311 section 4)."""
        return self._takes("UPDATE")

    def refuses(self, method: str) -> bool:
        """Whether the peer has said which methods it takes, and left this one out."""
        return bool(self._allow) and not self._takes(method)

    def _takes(self, method: str) -> bool:
        return any(name.strip() == method for line in self._allow for name in line.split(","))

    def is_next_rseq(self, rseq: int) -> bool:
        """Whether a reliable response to our INVITE is the next one in order, which counts from then on: it is neither
        a repeat, nor has it overtaken another one (RFC 3262 section 4)."""
        if self._rseq and rseq != self._rseq + 1:
            return False
        self._rseq = rseq
        return True

    def answer_challenges(self, allowed: bool) -> None:
        """Answer challenges of the trunk that has called, with the credentials of its section.

        :param allowed: whether the peer across may use them; if not, challenges cross.
        """
        self._authentication = Authentication(self.profile.trunk, allowed)

    # As the UAS

    def when_acknowledged(self) -> Deferred[None]:
        """Fires with None once no 2xx of ours waits for its ACK, or none will come: before that, no INVITE may go out
        (RFC 3261 section 14.1)."""
        if self._answer is None:
            return succeed(None)
        self._confirmed.append(Deferred())
        return self._confirmed[-1]

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
        if self._answer is not None:
            self._answer.acknowledge()
        self._answer = OkRetransmission(self._context.transactions.schedule, repeat, unacknowledged)
        self._answered_number = transaction.request.cseq.number
        self._on_ack = on_ack

    def ack_arrived(self, ack: Request) -> None:
        """The peer's ACK for our 2xx arrived; a repeat of an earlier one says nothing of the last 2xx."""
        if self._answer is not None and ack.cseq.number == self._answered_number:
            on_ack = self._on_ack
            self._confirm()
            if on_ack is not None:
                on_ack(ack)
            if self._bye_headers is not None:
                self._send_bye(self._bye_headers)

    def _confirm(self) -> None:
        """No 2xx waits for its ACK any more."""
        if self._answer is not None:
            self._answer.acknowledge()
        self._answer = self._on_ack = None
        waiting, self._confirmed = self._confirmed, []
        for confirmed in waiting:
            confirmed.callback(None)

    # As the UAC

    def acknowledge(self, invite: Request, answer: bytes = b"") -> None:
        """Send the ACK for a 2xx to `invite`; again for each repeat of the 2xx (RFC 3261 section 13.2.2.4).

        :param answer: the SDP for the first ACK, where the 2xx had the offer; the repeats have it, too. While it is
            owed, nothing else is sent.
        """
        if self._held_ack is not None:
            if not answer:
                return
            self._held_ack = None
        if self._ack is None or self._ack.cseq.number != invite.cseq.number:
            self._ack = self.dialog.ack(invite.cseq.number)
            if answer:
                self._ack.body = answer
                self._ack.headers.set("Content-Type", "application/sdp")
        flow = self._flow_without_lookup()
        if flow is None:
            background(self._acknowledge(invite), "The ACK", self.dialog.call_id)
        else:
            self._send_ack(invite, flow)

    def hold_ack(self, invite: Request, offer: bytes) -> None:
        """The 2xx to `invite` has an offer: its ACK waits for the answer. Where the dialog ends before there is one,
        the answer is that there is to be no medium (RFC 3261 section 13.2.2.4)."""
        self._held_ack = invite, offer

    def send_held_ack(self, answer: bytes = b"") -> None:
        """Send the ACK that is owed, if there is one: with `answer`, or with one that refuses everything."""
        if self._held_ack is not None:
            invite, offer = self._held_ack
            self.acknowledge(invite, answer or refuse_all(offer))

    async def _acknowledge(self, invite: Request) -> None:
        try:
            self._send_ack(invite, await self.flow_to_peer())
        except (FlowLost, Refusal) as why:
            log.info("{call}: the ACK has no way: {why}", why=why, call=self.dialog.call_id)

    def _send_ack(self, invite: Request, flow: Flow) -> None:
        ack = self._ack
        if ack is None or ack.cseq.number != invite.cseq.number:
            return
        if "Via" not in ack.headers:  # it is the first time
            for name in _CREDENTIALS if self._is_trunk(flow) else ():
                for value in invite.headers.lines(name):
                    ack.headers.add(name, value)
        self._context.transactions.send_ack(ack, flow)

    # Both

    def send_request(
        self,
        method: str,
        headers: HeaderList = (),
        body: bytes = b"",
        content_type: str = "",
        observer: RequestObserver | None = None,
    ) -> Deferred[Response]:
        """Send a request within the dialog.

        :param content_type: of the body, where it is not among `headers`.
        :param observer: gets all else that becomes of it, and sends the ACK for the 2xx to an INVITE.
        :returns: fires with the final response; challenges are answered where the leg may use its trunk's credentials.
            Fails with FlowLost (the peer can't be reached), TimedOut (no answer within 64*T1) or Refusal (its host name
            can't be resolved).
        """
        request = self.dialog.request(method)
        for name, value in headers:
            request.headers.add(name, value)
        if method in REFRESHING:
            for name, value in self.session_timer.proposal():
                request.headers.add(name, value)
        if body:
            request.body = body
            if content_type:
                request.headers.set("Content-Type", content_type)
        flow = self._flow_without_lookup()
        if flow is None:
            return Deferred.fromCoroutine(self.flow_to_peer()).addCallback(self._send_towards, request, observer)
        return self._send_towards(flow, request, observer)

    def _send_towards(self, flow: Flow, request: Request, observer: RequestObserver | None) -> Deferred[Response]:
        if observer is not None and self.over:  # while its host was looked up
            return fail(Refusal(481))
        context, refreshing = self._context, request.method in REFRESHING
        sent = ClientRequest(
            context.transactions,
            request,
            self.dialog,
            context.upstream.hops_of_flow(flow, self.profile.trunk) or flow,
            authentication=self._authentication if self._is_trunk(flow) else None,
            session_interval=self.session_timer if refreshing else None,
            on_retry=None if observer is None else self._is_open,
            on_provisional=None if observer is None else observer.progress,
            on_answer=None if observer is None else observer.answered_again,
        )
        if observer is not None:
            observer.sent(sent)
        return sent.final.addCallback(self._refreshed) if refreshing else sent.final

    def _is_open(self) -> bool:
        return not self.over

    def _refreshed(self, response: Response) -> Response:
        """The final response to our INVITE or UPDATE. The Contact of a 2xx is the remote target from now on (RFC 3261
        section 12.2.1.2)."""
        self.session_timer.answered(response)
        if response.status >= 300:
            return response
        self.learn(response)
        try:
            self.dialog.refresh(response)
        except BadMessage as error:
            log.info("{call}: the remote target stays: {why}", why=error.why, call=self.dialog.call_id)
        return response

    def _flow_without_lookup(self) -> Flow | None:
        """The way to the peer where it takes no look-up; None where it does, or where there is none."""
        if self.profile.flow_bound or (self.flow.reliable and not self.flow.closed):
            return self.flow
        return self._context.upstream.flow_without_lookup(self.dialog.next_hop, self.flow, self.profile.trunk)

    async def flow_to_peer(self) -> Flow:
        """The way to the peer.

        :raises Refusal: its host name can't be resolved.
        :raises FlowLost: no socket of ours can send there.
        """
        return self._flow_without_lookup() or await self._context.upstream.flow_to_uri(
            self.dialog.next_hop, self.flow, self.profile.trunk
        )

    def _is_trunk(self, flow: Flow) -> bool:
        """Whether `flow` leads to the host that the INVITE was sent to, or to another address of the same trunk.

        The Contact of an answer may lead anywhere; credentials do not follow it there.
        """
        host = flow.peer.host
        if host == self.flow.peer.host:
            return True
        trunk = None if self._authentication is None else self._authentication.trunk
        return trunk is not None and trunk in self._context.sources.trunks_of(host)

    def hang_up(self, headers: HeaderList = ()) -> None:
        """End the dialog with a BYE; when our 2xx still waits for its ACK, after that (RFC 3261 section 15)."""
        if self.over:
            return
        self.over = True
        self.send_held_ack()
        if self._answer is not None:
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
        said = maybeDeferred(self.send_request, "BYE", headers)
        said.addErrback(self._bye_failed).addBoth(lambda _: self._finish())

    def _bye_failed(self, failure: Failure) -> None:
        if failure.check(FlowLost, TimedOut, Refusal):
            why = failure.value
            log.info("{call}: the BYE was not answered: {why!r}", why=why, call=self.dialog.call_id)
        else:
            log.failure("{call}: the BYE failed", failure, call=self.dialog.call_id)

    def _finish(self) -> None:
        self._ended = True
        if self._usages:
            return
        self.owner = None  # the call has this leg: nothing is to wait for the garbage collector
        waiting, self._finished = self._finished, []
        for call in waiting:
            call(self)
