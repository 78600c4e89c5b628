"""Leg: one side of a call. Its dialog, the flow that leads to the peer, and what ends it properly."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.call.background import background
from webrtcproxy.call.context import Context
from webrtcproxy.call.dialog import Dialog
from webrtcproxy.call.trunk import Authentication
from webrtcproxy.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.media.profile import BROWSER, TRUNK, Profile
from webrtcproxy.schedule import Schedule, Timer
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transaction.timers import RFC3261, Timers
from webrtcproxy.transport.flow import Flow

log = Logger()

HeaderList = Iterable[tuple[str, str]]

_CREDENTIALS = ("Authorization", "Proxy-Authorization")


def profile_of(flow: Flow) -> Profile:
    """The media profile of a leg: it follows from the transport, never from the direction of the call."""
    return BROWSER if flow.browser else TRUNK


class Answer:
    """The wait for the ACK of a 2xx, which is repeated meanwhile on every transport (RFC 3261 section 13.3.1.4).

    :param schedule: runs the timers.
    :param repeat: sends the 2xx once more.
    :param unacknowledged: called when no ACK came within 64*T1.
    """

    __slots__ = ("_elapsed", "_interval", "_repeat", "_schedule", "_timer", "_timers", "_unacknowledged")

    def __init__(
        self,
        schedule: Schedule,
        repeat: Callable[[], None],
        unacknowledged: Callable[[], None],
        timers: Timers = RFC3261,
    ) -> None:
        self._schedule = schedule
        self._repeat = repeat
        self._unacknowledged = unacknowledged
        self._timers = timers
        self._interval = timers.t1
        self._elapsed = timers.t1
        self._timer: Timer | None = schedule.after(timers.t1, self._time_up)

    def _time_up(self) -> None:
        left = self._timers.patience - self._elapsed
        if left <= 0:
            self._timer = None
            self._unacknowledged()
            return
        self._repeat()
        self._interval = min(2 * self._interval, self._timers.t2)
        wait = min(self._interval, left)
        self._elapsed += wait
        self._timer = self._schedule.after(wait, self._time_up)

    def acknowledge(self) -> None:
        """The ACK is here: no more repeats."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


class Owner(Protocol):
    """The call that a leg belongs to."""

    def request_in_dialog(self, leg: Leg, transaction: ServerTransaction) -> None:
        """A request arrived within the dialog of `leg`."""

    def moved(self, leg: Leg, flow: Flow) -> None:
        """The peer of `leg` was heard on another flow: it is reached there from now on."""


class Leg:
    """One established side of a call.

    :param context: what calls work with.
    :param dialog: the leg's dialog.
    :param flow: where the peer was reached last. A browser is reached nowhere else; a trunk by its dialog's next hop.
    :param label: the name of this party towards rtpengine.
    :param owner: the call, or None for a dialog that only waits for its end.
    :param authentication: answers challenges with the trunk's credentials, where the leg may use them.
    :param aor: the peer's address-of-record, where it is a browser.
    """

    def __init__(
        self,
        context: Context,
        dialog: Dialog,
        flow: Flow,
        label: str,
        owner: Owner | None,
        authentication: Authentication | None = None,
        aor: str | None = None,
    ) -> None:
        self._context = context
        self.dialog = dialog
        self.flow = flow
        self.label = label
        self.owner = owner
        self.aor = aor
        self.contact = dialog.remote_target
        self.profile = profile_of(flow)
        self.browser = flow.browser
        self.over = False
        self._authentication = authentication
        self._answer: Answer | None = None
        self._ack: Request | None = None
        self._farewell: HeaderList | None = None
        self._finished: list[Callable[[Leg], None]] = []

    @property
    def key(self) -> tuple[str, str, str]:
        """The dialog's identity: Call-ID, our tag, the peer's tag."""
        return self.dialog.call_id, self.dialog.local_tag, self.dialog.remote_tag

    def when_finished(self, call: Callable[[Leg], None]) -> None:
        """Have `call` called with this leg once its dialog is gone for good."""
        self._finished.append(call)

    # As the answering side

    def answer(self, transaction: ServerTransaction, response: Response, unacknowledged: Callable[[], None]) -> None:
        """Answer the INVITE of `transaction` with a 2xx, and repeat it until the ACK, wherever the peer is by then.

        Behind another final response it is logged, and neither sent nor repeated.

        :param unacknowledged: called when none came within 64*T1; hanging up is then the caller's part.
        """
        if transaction.answered:
            transaction.respond(response)
            return
        data = response.to_bytes()

        def repeat() -> None:
            with suppress(FlowLost):
                self.flow.send(data)

        transaction.respond(response)
        self._answer = Answer(self._context.transactions.schedule, repeat, unacknowledged)

    def acknowledged(self) -> None:
        """The peer's ACK for our 2xx arrived."""
        if self._answer is not None:
            self._answer.acknowledge()
            self._answer = None
            if self._farewell is not None:
                self._say_farewell(self._farewell)

    # As the asking side

    def acknowledge(self, invite: Request) -> None:
        """Send the ACK for a 2xx to `invite`; again for each repeat of the 2xx (RFC 3261 section 13.2.2.4)."""
        flow = self._at_once()
        if flow is None:
            background(self._acknowledge(invite), "The ACK", self.dialog.call_id)
        else:
            self._send_ack(invite, flow)

    async def _acknowledge(self, invite: Request) -> None:
        try:
            self._send_ack(invite, await self._towards())
        except (FlowLost, Refusal) as why:
            log.info("{call}: the ACK has no way: {why}", why=why, call=self.dialog.call_id)

    def _send_ack(self, invite: Request, flow: Flow) -> None:
        if self._ack is None:
            self._ack = self.dialog.ack(invite.cseq.number)
            for name in _CREDENTIALS if self._is_trunk(flow) else ():
                for value in invite.headers.lines(name):
                    self._ack.headers.add(name, value)
        self._context.transactions.send_ack(self._ack, flow)

    # Both

    def ask(
        self, method: str, headers: HeaderList = (), body: bytes = b"", content_type: str = ""
    ) -> Deferred[Response]:
        """Send a request within the dialog.

        :returns: fires with the final response; challenges are answered where the leg may use its trunk's credentials.
            Fails with FlowLost (the peer can't be reached), TimedOut (no answer within 64*T1) or Refusal (its host name
            can't be resolved).
        """
        request = self.dialog.request(method)
        for name, value in headers:
            request.headers.add(name, value)
        if body:
            request.body = body
            request.headers.set("Content-Type", content_type)
        flow = self._at_once()
        if flow is None:
            return Deferred.fromCoroutine(self._towards()).addCallback(self._ask, request)
        return self._ask(flow, request)

    def _ask(self, flow: Flow, request: Request) -> Deferred[Response]:
        authentication = self._authentication if self._is_trunk(flow) else None
        if authentication is not None:
            authentication.prepare(request)
        return self._asked(request, flow, authentication)

    def _asked(self, request: Request, flow: Flow, authentication: Authentication | None) -> Deferred[Response]:
        final = self._context.transactions.request(request, flow).final
        return final if authentication is None else final.addCallback(self._answered, request, flow, authentication)

    def _answered(
        self, response: Response, request: Request, flow: Flow, authentication: Authentication
    ) -> Response | Deferred[Response]:
        again = authentication.answer(request, response)
        if again is None:
            return response
        self.dialog.local_cseq = again.cseq.number
        return self._asked(again, flow, authentication)

    def _at_once(self) -> Flow | None:
        """The way to the peer where it takes no look-up; None where it does, or where there is none."""
        if self.browser or (self.flow.reliable and not self.flow.closed):
            return self.flow
        return self._context.upstream.at_once(self.dialog.next_hop, self.flow)

    async def _towards(self) -> Flow:
        return self._at_once() or await self._context.upstream.toward(self.dialog.next_hop, self.flow)

    def _is_trunk(self, flow: Flow) -> bool:
        """Whether `flow` leads to who the INVITE was sent to, or to another address of the same trunk.

        The Contact of an answer may lead anywhere; credentials do not follow it there.
        """
        host = flow.peer.host
        if host == self.flow.peer.host:
            return True
        trunk = None if self._authentication is None else self._authentication.trunk
        return trunk is not None and trunk in self._context.sources.trunks_of(host)

    def hang_up(self, headers: HeaderList = ()) -> None:
        """End the dialog with a BYE; when our 2xx still waits for its ACK, behind that (RFC 3261 section 15)."""
        if self.over:
            return
        self.over = True
        if self._answer is not None:
            self._farewell = headers
            return
        self._say_farewell(headers)

    def unacknowledged(self) -> None:
        """No ACK came within 64*T1: the BYE may go out all the same (RFC 3261 section 13.3.1.4)."""
        self._answer = None
        if self._farewell is not None:
            self._say_farewell(self._farewell)

    def hung_up(self) -> None:
        """The peer ended the dialog, or says that it has none: nothing more is sent."""
        if self._answer is not None:
            self._answer.acknowledge()
            self._answer = None
        if not self.over or self._farewell is not None:
            self.over = True
            self._farewell = None
            self._finish()

    def _say_farewell(self, headers: HeaderList) -> None:
        self._farewell = None
        said = maybeDeferred(self.ask, "BYE", headers)
        said.addErrback(self._unheard).addBoth(lambda _: self._finish())

    def _unheard(self, failure: Failure) -> None:
        if failure.check(FlowLost, TimedOut, Refusal):
            why = failure.value
            log.info("{call}: the BYE was not answered: {why!r}", why=why, call=self.dialog.call_id)
        else:
            log.failure("{call}: the BYE failed", failure, call=self.dialog.call_id)

    def _finish(self) -> None:
        self.owner = None  # the call has this leg: nothing is to wait for the garbage collector
        waiting, self._finished = self._finished, []
        for call in waiting:
            call(self)
