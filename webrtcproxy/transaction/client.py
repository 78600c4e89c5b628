"""Client transactions: the machines of RFC 3261 figures 5 and 6, with Accepted of RFC 6026 section 8.4.

A machine is its `state`, the response or the timer that moves it, and nothing else. States and timers have their
names from the RFC.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred

from webrtcproxy.errors import FlowLost, TimedOut
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.transaction.timers import Timers
from webrtcproxy.transport.flow import Flow

OnResponse = Callable[[Response], None]


class State(Enum):
    """The states of both machines; `CALLING` is called Trying in figure 6."""

    CALLING = "Calling"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Surroundings(Protocol):
    """What a client transaction asks of the layer."""

    timers: Timers

    def wait(self, transaction: ClientTransaction, seconds: float) -> None:
        """Have `transaction.resend` called after `seconds`, in place of any other wait for it."""

    def wait_no_more(self, transaction: ClientTransaction) -> None:
        """Forget the wait for `resend`."""

    def limit(self, transaction: ClientTransaction, seconds: float) -> None:
        """Have `transaction.time_up` called after `seconds`, in place of any other limit; never, where it is 0."""

    def gone(self, transaction: ClientTransaction) -> None:
        """The transaction is terminated: forget it."""

    def start_cancel(self, cancel: Request, flow: Flow) -> None:
        """Start a transaction for a CANCEL, whose Via stands already."""


class ClientTransaction:
    """What both kinds have in common.

    :ivar request: as it was sent, our Via on top.
    :ivar flow: where it was sent.
    :ivar final: fires once with the first final response; fails with TimedOut (timers B and F, or no final response
        behind a CANCEL) or FlowLost.
    """

    __slots__ = ("__weakref__", "_data", "_interval", "_layer", "branch", "final", "flow", "request", "state")

    def __init__(self, layer: Surroundings, request: Request, flow: Flow, branch: str) -> None:
        self._layer = layer
        self.request = request
        self.flow = flow
        self.branch = branch
        self.state = State.CALLING
        self.final: Deferred[Response] = Deferred()
        self._data = request.to_bytes()
        self._interval = layer.timers.t1

    def start(self) -> None:
        """Send the request; on an unreliable flow, again and again (timers A and E)."""
        self._layer.limit(self, self._layer.timers.patience)  # timers B and F
        if not self.flow.reliable:
            self._layer.wait(self, self._interval)
        self._send(self._data)

    def resend(self) -> None:
        """Timer A or E fired."""
        raise NotImplementedError

    def receive(self, response: Response) -> None:
        """A response with our branch."""
        raise NotImplementedError

    def time_up(self) -> None:
        """Timer B, D, F, K or M fired."""
        if self.state in (State.CALLING, State.PROCEEDING):
            self._fail(TimedOut(f"no final response to {self.request.method}"))
        else:
            self._terminate()

    def flow_lost(self) -> None:
        """The connection is gone: a response can't come any more (RFC 3261 section 17.1.4)."""
        if self.state in (State.CALLING, State.PROCEEDING):
            self._fail(FlowLost("the connection is lost"))
        else:
            self._terminate()

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Take the request back; only an INVITE can be (RFC 3261 section 9.1)."""

    def _send(self, data: bytes) -> None:
        try:
            self.flow.send(data)
        except FlowLost as lost:
            if self.state in (State.CALLING, State.PROCEEDING):
                self._fail(lost)

    def _fail(self, why: TimedOut | FlowLost) -> None:
        self._terminate()
        self.final.errback(why)

    def _linger(self, state: State, seconds: float) -> None:
        """Absorb what still comes for `seconds`."""
        self.state = state
        self._data = b""
        self._layer.wait_no_more(self)
        if seconds:
            self._layer.limit(self, seconds)
        else:
            self._terminate()

    def _terminate(self) -> None:
        if self.state is not State.TERMINATED:
            self.state = State.TERMINATED
            self._data = b""
            self._layer.gone(self)


class PlainClient(ClientTransaction):
    """A non-INVITE request (figure 6)."""

    __slots__ = ()

    def resend(self) -> None:
        """Timer E: doubling up to T2; every T2 in Proceeding (section 17.1.2.2)."""
        t2 = self._layer.timers.t2
        self._interval = t2 if self.state is State.PROCEEDING else min(2 * self._interval, t2)
        self._layer.wait(self, self._interval)
        self._send(self._data)

    def receive(self, response: Response) -> None:
        if self.state not in (State.CALLING, State.PROCEEDING):
            return
        if response.status < 200:
            self.state = State.PROCEEDING
            return
        self._linger(State.COMPLETED, 0 if self.flow.reliable else self._layer.timers.t4)  # timer K
        self.final.callback(response)


class InviteClient(ClientTransaction):
    """An INVITE (figure 5, and RFC 6026 figure 2).

    :param on_provisional: told of each 1xx but 100.
    :param on_answer: told of each 2xx behind the first.
    """

    __slots__ = ("_ack", "_cancel", "_cancelled", "_on_answer", "_on_provisional")

    def __init__(
        self,
        layer: Surroundings,
        request: Request,
        flow: Flow,
        branch: str,
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
    ) -> None:
        super().__init__(layer, request, flow, branch)
        self._on_provisional = on_provisional
        self._on_answer = on_answer
        self._ack = b""
        self._cancel: Request | None = None
        self._cancelled = False

    def resend(self) -> None:
        """Timer A: doubles without a cap (section 17.1.1.2)."""
        self._interval *= 2
        self._layer.wait(self, self._interval)
        self._send(self._data)

    def receive(self, response: Response) -> None:
        status = response.status
        if self.state in (State.CALLING, State.PROCEEDING):
            if status < 200:
                self._provisional(response)
            elif status < 300:
                self._linger(State.ACCEPTED, self._layer.timers.patience)  # timer M
                self.final.callback(response)
            else:
                self._refused(response)
        elif self.state is State.ACCEPTED and 200 <= status < 300:
            if self._on_answer is not None:
                self._on_answer(response)
        elif self.state is State.COMPLETED and status >= 300:
            self._send(self._ack)

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """CANCEL, once the first 1xx is here; nothing behind a final response (section 9.1).

        :param headers: what the CANCEL carries besides, such as Reason.
        """
        if self._cancelled or self.state not in (State.CALLING, State.PROCEEDING):
            return
        self._cancelled = True
        self._cancel = cancel_for(self.request, headers)
        if self.state is State.PROCEEDING:
            self._send_cancel()

    def _provisional(self, response: Response) -> None:
        if self.state is State.CALLING:
            self.state = State.PROCEEDING
            self._layer.wait_no_more(self)
            if not self._cancelled:
                self._layer.limit(self, 0)  # timer B ends; how long it may ring is the core's affair (timer C)
        if self._cancel is not None:
            self._send_cancel()
        elif response.status > 100 and self._on_provisional is not None:
            self._on_provisional(response)

    def _send_cancel(self) -> None:
        """Behind a CANCEL the final response has 64*T1 to come (section 9.1)."""
        cancel, self._cancel = self._cancel, None
        assert cancel is not None
        self._layer.limit(self, self._layer.timers.patience)
        self._layer.start_cancel(cancel, self.flow)

    def _refused(self, response: Response) -> None:
        self._ack = ack_for(self.request, response).to_bytes()
        self._send(self._ack)
        if self.state is not State.TERMINATED:
            self._linger(State.COMPLETED, 0 if self.flow.reliable else self._layer.timers.patience)  # timer D
        self.final.callback(response)


def cancel_for(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL of a request of ours (RFC 3261 section 9.1): its Via, Route, identity and CSeq number, no Require."""
    cancel = _same_branch(invite, "CANCEL", invite.headers.get("To") or "")
    for name, value in headers:
        cancel.headers.add(name, value)
    return cancel


def ack_for(invite: Request, response: Response) -> Request:
    """The ACK for a final response that is no 2xx (RFC 3261 section 17.1.1.3)."""
    return _same_branch(invite, "ACK", response.headers.get("To") or invite.headers.get("To") or "")


def _same_branch(invite: Request, method: str, to: str) -> Request:
    headers = Headers()
    headers.add("Via", str(invite.via))
    for route in invite.headers.lines("Route"):
        headers.add("Route", route)
    headers.add("Max-Forwards", "70")
    headers.add("From", invite.headers.get("From") or "")
    headers.add("To", to)
    headers.add("Call-ID", invite.call_id)
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return Request(method, invite.uri, headers)
