"""Client transactions: the state machines of RFC 3261 figures 5 and 6, with Accepted and Timer M of RFC 6026.

The user holds a :class:`ClientTransaction`. The table of the layer holds its machine, which outlives the final
response, and from then on keeps only the octets of the ACK. :mod:`webrtcproxy.transaction.states` has the complete
state tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred

from webrtcproxy.runtime.deferred import errback
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.transaction.timers import Timers
from webrtcproxy.transport.flow import Flow

OnResponse = Callable[[Response], object]


class ClientState(Enum):
    """The states of both machines, named as in the figures."""

    CALLING = "Calling"
    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


UNANSWERED = (ClientState.CALLING, ClientState.TRYING, ClientState.PROCEEDING)


class ClientLayer(Protocol):
    """The part of the layer that the machines use."""

    @property
    def timers(self) -> Timers:
        """T1, T2, T4, and the values derived from them."""

    @property
    def schedule(self) -> Schedule:
        """Runs the timers."""

    def client_ended(self, machine: ClientMachine) -> None:
        """The machine is terminated: no message matches it any more."""

    def send_cancel(self, cancel: Request, flow: Flow) -> None:
        """Send a CANCEL, which has its Via already."""

    def notify_user(self, user: OnResponse, response: Response) -> None:
        """Call the user with a response; never raises."""


class ClientTransaction:
    """A request that was sent.

    :ivar request: as sent, with our Via.
    :ivar flow: where it was sent.
    :ivar provisional_seen: a provisional response has come.
    :ivar final: fires once, with the first final response; or fails with TimedOut (none within 64*T1, of the request or
        of its CANCEL) or FlowLost.
    """

    __slots__ = ("_machine", "final", "flow", "provisional_seen", "request")

    def __init__(self, request: Request, flow: Flow, machine: ClientMachine) -> None:
        self.request = request
        self.flow = flow
        self.provisional_seen = False
        self.final: Deferred[Response] = Deferred()
        self._machine = machine

    def cancel(self, headers: Iterable[tuple[str, str]] = ()) -> None:
        """Send a CANCEL of an INVITE, as soon as the first provisional response has come (RFC 3261 section 9.1).

        Nothing happens after a final response, the second time, or for another method.

        :param headers: names and values that the CANCEL carries as well, such as Reason.
        """
        self._machine.cancel(headers)

    def abandon(self) -> None:
        """Stop retransmitting, since the peer has not responded and the request goes elsewhere. If it still responds
        within 64*T1, an INVITE is cancelled, and `final` fires."""
        self._machine.abandon()

    def __repr__(self) -> str:
        return f"<ClientTransaction {self.request.method} {self._machine.state.value}>"


class ClientMachine:
    """The base of both client machines.

    :param layer: the layer that it belongs to.
    :param request: with our Via.
    :param key: branch and method, by which its responses are matched (section 17.1.3).
    :ivar cseq: of the request.
    :ivar sent_by: the sent-by of our Via, which the top Via of a response must have.
    :ivar request_uri: as written.
    :ivar transaction: the user's object; None after the final response.
    """

    __slots__ = (
        "_data",
        "_interval",
        "_layer",
        "_retransmission",
        "_timeout",
        "cseq",
        "flow",
        "key",
        "request_uri",
        "sent_by",
        "state",
        "transaction",
    )

    def __init__(self, layer: ClientLayer, request: Request, flow: Flow, key: tuple[str, str]) -> None:
        self._layer = layer
        self._data = request.to_bytes()
        self._interval = layer.timers.t1
        self._retransmission: Timer | None = None
        self._timeout: Timer | None = None
        self.cseq = request.cseq
        self.flow = flow
        self.key = key
        self.sent_by = flow.sent_by
        self.request_uri = request.uri
        self.state = ClientState.TRYING
        self.transaction: ClientTransaction | None = ClientTransaction(request, flow, self)

    def start(self) -> None:
        """Send the request, and start the timers: B or F, and on UDP A or E, which retransmit it."""
        schedule, timers = self._layer.schedule, self._layer.timers
        self._timeout = schedule.after(timers.timeout_64t1, self._timed_out)
        if not self.flow.reliable:
            self._retransmission = schedule.after(self._interval, self._retransmission_due)
        self._send_request()

    def receive(self, response: Response) -> None:
        """A response has arrived."""
        raise NotImplementedError

    def cancel(self, headers: Iterable[tuple[str, str]]) -> None:
        """Cancel the request; no effect unless it is an INVITE (section 9.1)."""

    def abandon(self) -> None:
        """See :meth:`ClientTransaction.abandon`."""
        self._stop_retransmission()
        self.cancel(())

    def flow_lost(self) -> None:
        """The connection is lost: no response can arrive (section 17.1.4)."""
        self._fail(FlowLost("the connection is lost"))

    def undelivered(self, why: str) -> None:
        """The request was not delivered. Once a response has come, that counts for nothing: another datagram may have
        been lost."""
        if self.state in (ClientState.CALLING, ClientState.TRYING):
            self._fail(FlowLost(why))

    def _retransmission_due(self) -> None:
        """Timer A or E has fired."""
        raise NotImplementedError

    def _retransmit(self, interval: float) -> None:
        self._interval = interval
        self._retransmission = self._layer.schedule.after(interval, self._retransmission_due)
        self._send_request()

    def _send_request(self) -> None:
        try:
            self.flow.send(self._data)
        except FlowLost as why:
            self._fail(why)

    def _timed_out(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self._fail(TimedOut(f"no final response to {transaction.request.method}"))

    def _fail(self, why: TimedOut | FlowLost) -> None:
        """Terminate; if there was no final response, `final` fails."""
        transaction = self.transaction
        self._end()
        if transaction is not None:
            errback(transaction.final, why)

    def _conclude(self, state: ClientState, delay: float) -> ClientTransaction:
        """The final response has arrived: stay in `state` for `delay` seconds to absorb retransmissions.

        :returns: the user's transaction, whose `final` the caller fires.
        """
        transaction = self.transaction
        assert transaction is not None
        self._stop()
        self._data = b""
        self.state = state
        self.transaction = None
        if delay:
            self._timeout = self._layer.schedule.after(delay, self._end)
        else:
            self._end()
        return transaction

    def _end(self) -> None:
        self._stop()
        self._data = b""
        self.state = ClientState.TERMINATED
        self.transaction = None
        self._layer.client_ended(self)

    def _stop(self) -> None:
        self._stop_retransmission()
        if self._timeout is not None:
            self._timeout.cancel()
            self._timeout = None

    def _stop_retransmission(self) -> None:
        if self._retransmission is not None:
            self._retransmission.cancel()
            self._retransmission = None


class NonInviteClient(ClientMachine):
    """A non-INVITE client transaction (figure 6): Trying, Proceeding, Completed, Terminated."""

    __slots__ = ()

    def receive(self, response: Response) -> None:
        """Trying, Proceeding: a final response completes the transaction. Completed: absorbed (section 17.1.2.2)."""
        if self.state not in UNANSWERED:
            return
        if response.status < 200:
            self.state = ClientState.PROCEEDING
            if self.transaction is not None:
                self.transaction.provisional_seen = True
            return
        timer_k = 0 if self.flow.reliable else self._layer.timers.t4
        transaction = self._conclude(ClientState.COMPLETED, timer_k)
        transaction.final.callback(response)

    def _retransmission_due(self) -> None:
        """Timer E: doubles up to T2; in Proceeding it is T2."""
        t2 = self._layer.timers.t2
        self._retransmit(t2 if self.state is ClientState.PROCEEDING else min(2 * self._interval, t2))


class InviteClient(ClientMachine):
    """An INVITE client transaction (figure 5 as changed by RFC 6026 figure 2): Calling, Proceeding, Completed,
    Accepted, Terminated.

    :param on_provisional: called with each 1xx but 100.
    :param on_answer: called with each 2xx after the first, while in Accepted.
    """

    __slots__ = ("_ack", "_cancel", "_cancelled", "_on_answer", "_on_provisional")

    def __init__(
        self,
        layer: ClientLayer,
        request: Request,
        flow: Flow,
        key: tuple[str, str],
        on_provisional: OnResponse | None = None,
        on_answer: OnResponse | None = None,
    ) -> None:
        super().__init__(layer, request, flow, key)
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
                self._layer.notify_user(self._on_answer, response)
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
        """The first one stops timers A and B: the user decides how long the callee may ring.

        After a CANCEL, the user gets no provisional responses.
        """
        if self.state is ClientState.CALLING:
            self.state = ClientState.PROCEEDING
            if self.transaction is not None:
                self.transaction.provisional_seen = True
            self._stop()
            if self._cancel is not None:
                self._send_cancel()
        if response.status > 100 and self._on_provisional is not None and not self._cancelled:
            self._layer.notify_user(self._on_provisional, response)

    def _accepted(self, response: Response) -> None:
        # Timer M, on every transport
        transaction = self._conclude(ClientState.ACCEPTED, self._layer.timers.timeout_64t1)
        self._on_provisional = self._cancel = None
        transaction.final.callback(response)

    def _refused(self, response: Response) -> None:
        transaction = self.transaction
        assert transaction is not None
        self._ack = ack_for(transaction.request, response).to_bytes()
        self._on_provisional = self._on_answer = self._cancel = None
        timer_d = 0 if self.flow.reliable else self._layer.timers.timeout_64t1
        self._conclude(ClientState.COMPLETED, timer_d)
        self._send_ack()
        transaction.final.callback(response)

    def _send_cancel(self) -> None:
        """Send the CANCEL, and wait 64*T1 for the final response to the INVITE (section 9.1)."""
        cancel, self._cancel = self._cancel, None
        assert cancel is not None
        self._timeout = self._layer.schedule.after(self._layer.timers.timeout_64t1, self._timed_out)
        self._layer.send_cancel(cancel, self.flow)

    def _send_ack(self) -> None:
        """Send the ACK; one that can't be sent is sent with the next retransmission of the response."""
        with suppress(FlowLost):
            self.flow.send(self._ack)

    def _retransmission_due(self) -> None:
        """Timer A: doubles without a limit."""
        self._retransmit(2 * self._interval)


def cancel_for(invite: Request, headers: Iterable[tuple[str, str]] = ()) -> Request:
    """The CANCEL of an INVITE that we sent (section 9.1): its Via, Route, identity and CSeq number; no Require.

    :param headers: names and values to add.
    """
    cancel = _follower(invite, "CANCEL", invite.headers.get("To") or "")
    for name, value in headers:
        cancel.headers.add(name, value)
    return cancel


def ack_for(invite: Request, response: Response) -> Request:
    """The ACK of a final response other than 2xx (section 17.1.1.3): it has the To of the response, with its tag."""
    return _follower(invite, "ACK", response.headers.get("To") or "")


def _follower(invite: Request, method: str, to: str) -> Request:
    """A request that takes the same route as `invite` and belongs to it."""
    asked = invite.headers
    routes = asked.lines("Route")
    names = ["Via", *["Route"] * len(routes), "Max-Forwards", "From", "To", "Call-ID", "CSeq"]
    via, sender, call_id = asked.first("Via") or "", asked.get("From") or "", asked.get("Call-ID") or ""
    values = [via, *routes, "70", sender, to, call_id, f"{invite.cseq.number} {method}"]
    return Request(method, invite.uri, Headers.of(names, values))
