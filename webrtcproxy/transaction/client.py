"""Client transactions: the machines of RFC 3261 figures 5 and 6, with Accepted and Timer M of RFC 6026 section 7.2.

What the user holds is a :class:`ClientTransaction`. What the layer's table holds is its machine, which outlives the
final response, and then has nothing but the octets of the ACK to repeat.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred

from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.transaction.timers import Timers
from webrtcproxy.transport.flow import Flow

OnResponse = Callable[[Response], object]


class ClientState(Enum):
    """The states of both machines, by their names in the figures."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


_OPEN = (ClientState.CALLING, ClientState.TRYING, ClientState.PROCEEDING)


class ClientHooks(Protocol):
    """What the machines need of the layer."""

    @property
    def timers(self) -> Timers:
        """T1, T2, T4."""

    @property
    def schedule(self) -> Schedule:
        """Runs the timers."""

    def client_ended(self, machine: ClientMachine) -> None:
        """The machine is terminated: nothing is to find it any more."""

    def send_cancel(self, cancel: Request, flow: Flow) -> None:
        """Send a CANCEL, whose Via is in place."""

    def tell(self, user: OnResponse, response: Response) -> None:
        """Hand a response to the user; an exception out of him is the layer's affair."""


class ClientTransaction:
    """A request of ours.

    :ivar request: as it was sent, with our Via.
    :ivar flow: where it was sent.
    :ivar provisional_seen: a provisional response has come.
    :ivar final: fires once, with the first final response; or fails with TimedOut (no final response within 64*T1, in
        the end or behind a CANCEL) or FlowLost.
    """

    __slots__ = ("_machine", "final", "flow", "provisional_seen", "request")

    def __init__(self, request: Request, flow: Flow, machine: ClientMachine) -> None:
        self.request = request
        self.flow = flow
        self.provisional_seen = False
        self.final: Deferred[Response] = Deferred()
        self._machine = machine

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Take an INVITE back: with a CANCEL, as soon as the first provisional response is here (RFC 3261 section 9.1).

        Nothing happens behind a final response, the second time, or to another method.

        :param headers: what the CANCEL carries besides, such as Reason.
        """
        self._machine.cancel(headers)

    def abandon(self) -> None:
        """Give a peer up that has said nothing: the request is repeated no more. Should the peer wake up before 64*T1
        are over, it hears that an INVITE is taken back, and `final` fires."""
        self._machine.abandon()

    def __repr__(self) -> str:
        return f"<ClientTransaction {self.request.method} {self._machine.state.value}>"


class ClientMachine:
    """What both machines have in common.

    :param keeper: the layer.
    :param request: with our Via.
    :param key: branch and method, which its responses have in common (section 17.1.3).
    :ivar sent_by: of our Via, which its responses must have on top.
    :ivar request_uri: as written.
    :ivar transaction: what the user holds; None behind the final response.
    """

    __slots__ = (
        "_data",
        "_interval",
        "_keeper",
        "_limit",
        "_resend",
        "flow",
        "key",
        "request_uri",
        "sent_by",
        "state",
        "transaction",
    )

    def __init__(self, keeper: ClientHooks, request: Request, flow: Flow, key: tuple[str, str]) -> None:
        self._keeper = keeper
        self._data = request.to_bytes()
        self._interval = keeper.timers.t1
        self._resend: Timer | None = None
        self._limit: Timer | None = None
        self.flow = flow
        self.key = key
        self.sent_by = flow.sent_by
        self.request_uri = request.uri
        self.state = ClientState.TRYING
        self.transaction: ClientTransaction | None = ClientTransaction(request, flow, self)

    def start(self) -> None:
        """Send the request: once on a reliable transport, else again with timers A and E. Timers B and F limit it."""
        schedule, timers = self._keeper.schedule, self._keeper.timers
        self._limit = schedule.after(timers.patience, self._time_out)
        if not self.flow.reliable:
            self._resend = schedule.after(self._interval, self._repeat)
        self._send_request()

    def receive(self, response: Response) -> None:
        """A response to the request."""
        raise NotImplementedError

    def cancel(self, headers: Iterable[tuple[str, str]]) -> None:
        """The user takes the request back: he can't (section 9.1)."""

    def abandon(self) -> None:
        """The user gives the peer up."""
        self._stop_resending()
        self.cancel(())

    def lost(self) -> None:
        """The connection is gone: no response can come (section 17.1.4)."""
        self._fail(FlowLost("the connection is lost"))

    def _repeat(self) -> None:
        """Timer A or E fired."""
        raise NotImplementedError

    def _again(self, interval: float) -> None:
        self._interval = interval
        self._resend = self._keeper.schedule.after(interval, self._repeat)
        self._send_request()

    def _send_request(self) -> None:
        try:
            self.flow.send(self._data)
        except FlowLost as why:
            self._fail(why)

    def _time_out(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self._fail(TimedOut(f"no final response to {transaction.request.method}"))

    def _fail(self, why: TimedOut | FlowLost) -> None:
        """Behind the final response, this is just the end."""
        transaction = self.transaction
        self._end()
        if transaction is not None:
            transaction.final.errback(why)

    def _settle(self, state: ClientState, delay: float) -> ClientTransaction:
        """The final response is here: the user's part is over. Absorb what still comes for `delay` seconds."""
        transaction = self.transaction
        assert transaction is not None
        self._stop()
        self._data = b""
        self.state = state
        self.transaction = None
        if delay:
            self._limit = self._keeper.schedule.after(delay, self._end)
        else:
            self._end()
        return transaction

    def _end(self) -> None:
        self._stop()
        self._data = b""
        self.state = ClientState.TERMINATED
        self.transaction = None
        self._keeper.client_ended(self)

    def _stop(self) -> None:
        self._stop_resending()
        if self._limit is not None:
            self._limit.cancel()
            self._limit = None

    def _stop_resending(self) -> None:
        if self._resend is not None:
            self._resend.cancel()
            self._resend = None


class NonInviteClient(ClientMachine):
    """A non-INVITE request (figure 6)."""

    __slots__ = ()

    def receive(self, response: Response) -> None:
        """Trying and Proceeding: the final response counts. Completed: all are absorbed (section 17.1.2.2)."""
        if self.state not in _OPEN:
            return
        if response.status < 200:
            self.state = ClientState.PROCEEDING
            if self.transaction is not None:
                self.transaction.provisional_seen = True
            return
        transaction = self._settle(
            ClientState.COMPLETED, 0 if self.flow.reliable else self._keeper.timers.t4
        )  # Timer K
        transaction.final.callback(response)

    def _repeat(self) -> None:
        """Timer E: doubles up to T2; T2 in Proceeding."""
        t2 = self._keeper.timers.t2
        self._again(t2 if self.state is ClientState.PROCEEDING else min(2 * self._interval, t2))


class InviteClient(ClientMachine):
    """An INVITE (figure 5, and RFC 6026 figure 2).

    :param on_provisional: told of each 1xx but 100.
    :param on_answer: told of each 2xx behind the first, while in Accepted.
    """

    __slots__ = ("_ack", "_cancel", "_cancelled", "_on_answer", "_on_provisional")

    def __init__(
        self,
        keeper: ClientHooks,
        request: Request,
        flow: Flow,
        key: tuple[str, str],
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
    ) -> None:
        super().__init__(keeper, request, flow, key)
        self._on_provisional = on_provisional
        self._on_answer = on_answer
        self._ack = b""
        self._cancel: Request | None = None
        self._cancelled = False
        self.state = ClientState.CALLING

    def receive(self, response: Response) -> None:
        """Section 17.1.1.2, RFC 6026 section 7.2."""
        status, state = response.status, self.state
        if state is ClientState.CALLING or state is ClientState.PROCEEDING:
            if status < 200:
                self._provisional(response)
            elif status < 300:
                self._accepted(response)
            else:
                self._refused(response)
        elif state is ClientState.ACCEPTED:
            if 200 <= status < 300 and self._on_answer is not None:
                self._keeper.tell(self._on_answer, response)
        elif state is ClientState.COMPLETED and status >= 300:
            self._send_ack()

    def cancel(self, headers: Iterable[tuple[str, str]]) -> None:
        """CANCEL at once in Proceeding; in Calling with the first provisional response (section 9.1)."""
        transaction = self.transaction
        if transaction is None or self._cancelled:
            return
        self._cancel = cancel_for(transaction.request, headers)
        self._cancelled = True
        if self.state is ClientState.PROCEEDING:
            self._send_cancel()

    def _end(self) -> None:
        self._on_provisional = self._on_answer = None
        super()._end()

    def _provisional(self, response: Response) -> None:
        """The first one stops timers A and B: how long it may ring is the core's affair.

        Behind his CANCEL the user hears of none.
        """
        if self.state is ClientState.CALLING:
            self.state = ClientState.PROCEEDING
            if self.transaction is not None:
                self.transaction.provisional_seen = True
            self._stop()
            if self._cancel is not None:
                self._send_cancel()
        if response.status > 100 and self._on_provisional is not None and not self._cancelled:
            self._keeper.tell(self._on_provisional, response)

    def _accepted(self, response: Response) -> None:
        transaction = self._settle(ClientState.ACCEPTED, self._keeper.timers.patience)  # Timer M, on every transport
        self._on_provisional = self._cancel = None
        transaction.final.callback(response)

    def _refused(self, response: Response) -> None:
        transaction = self.transaction
        assert transaction is not None
        self._ack = ack_for(transaction.request, response).to_bytes()
        self._on_provisional = self._on_answer = self._cancel = None
        self._settle(ClientState.COMPLETED, 0 if self.flow.reliable else self._keeper.timers.patience)  # Timer D
        self._send_ack()
        transaction.final.callback(response)

    def _send_cancel(self) -> None:
        """Behind a CANCEL the final response has 64*T1 to come (section 9.1)."""
        cancel, self._cancel = self._cancel, None
        assert cancel is not None
        self._limit = self._keeper.schedule.after(self._keeper.timers.patience, self._time_out)
        self._keeper.send_cancel(cancel, self.flow)

    def _send_ack(self) -> None:
        """An ACK that does not leave goes out with the next repeat of the response."""
        with suppress(FlowLost):
            self.flow.send(self._ack)

    def _repeat(self) -> None:
        """Timer A: doubles without a cap."""
        self._again(2 * self._interval)


def cancel_for(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL of a request of ours (section 9.1): its Via, Route, identity and CSeq number; no Require.

    :param headers: names and values to add.
    """
    cancel = _follower(invite, "CANCEL", invite.headers.get("To") or "")
    for name, value in headers:
        cancel.headers.add(name, value)
    return cancel


def ack_for(invite: Request, response: Response) -> Request:
    """The ACK of a final response that is no 2xx (section 17.1.1.3): To is the response's, with its tag."""
    return _follower(invite, "ACK", response.headers.get("To") or "")


def _follower(invite: Request, method: str, to: str) -> Request:
    """What goes the same way as `invite` and belongs to it."""
    asked = invite.headers
    routes = asked.lines("Route")
    names = ["Via", *["Route"] * len(routes), "Max-Forwards", "From", "To", "Call-ID", "CSeq"]
    via, sender, call_id = asked.first("Via") or "", asked.get("From") or "", asked.get("Call-ID") or ""
    values = [via, *routes, "70", sender, to, call_id, f"{invite.cseq.number} {method}"]
    return Request(method, invite.uri, Headers.of(names, values))
