"""Server transactions: the state machines of RFC 3261 figures 7 and 8, with Accepted and Timer L of RFC 6026.

The user holds a :class:`ServerTransaction`. The table of the layer holds its machine, which outlives the final
response to absorb retransmissions. From then on it keeps only the octets of that response: the request with all of its
headers is not kept for the half minute of Timer J or L. :mod:`webrtcproxy.transaction.states` has the complete state
tables.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import Enum
from typing import Protocol

from twisted.logger import Logger

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.message import Request, Response, respond
from webrtcproxy.transaction.match import Key, MergeKey
from webrtcproxy.transaction.timers import Timers
from webrtcproxy.transport.flow import Flow

log = Logger()

TRYING_DELAY = 0.15
"""Seconds until an INVITE that has had no response gets a 100; 200 ms at most (RFC 3261 section 17.2.1)."""


class ServerState(Enum):
    """The states of both machines, named as in the figures."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class ServerLayer(Protocol):
    """The part of the layer that the machines use."""

    @property
    def timers(self) -> Timers:
        """T1, T2, T4, and the values derived from them."""

    @property
    def schedule(self) -> Schedule:
        """Runs the timers."""

    @property
    def mark(self) -> str:
        """The beginning of our tags."""

    @property
    def last_resort(self) -> float:
        """Seconds until an INVITE that its user has not answered gets a 500."""

    def server_answered(self, machine: ServerMachine) -> None:
        """The transaction has its final response."""

    def server_ended(self, machine: ServerMachine) -> None:
        """The machine is terminated: no message matches it any more."""


OnFinal = Callable[["ServerTransaction", int, str], None]


class ServerTransaction:
    """A request that was received; the user answers it.

    :ivar request: the request.
    :ivar to_tag: our tag, the same in every response above 100 (RFC 3261 section 8.2.6.2).
    :ivar callee: the address-of-record that the request is for, where its user has had to look that up; else empty.
    :ivar on_final: called once with this object, the status and the reason phrase when the final response is sent; None
        for nobody.
    """

    __slots__ = ("_last_2xx", "_machine", "callee", "on_final", "request", "to_tag")

    def __init__(self, request: Request, machine: ServerMachine) -> None:
        self.request = request
        self.to_tag = machine.to_tag
        self.callee = ""
        self.on_final: OnFinal | None = None
        self._machine = machine
        self._last_2xx: tuple[Response, bytes] | None = None

    @property
    def flow(self) -> Flow:
        """Where the responses go. It may be set when the peer has reconnected."""
        return self._machine.flow

    @flow.setter
    def flow(self, flow: Flow) -> None:
        self._machine.flow = flow

    @property
    def answered(self) -> bool:
        """Whether a final response was sent, or none may be sent any more (RFC 4320)."""
        return self._machine.final_status != 0

    def respond(self, response: Response) -> None:
        """Send a response; never raises.

        A second final response is logged and not sent; but the user retransmits a 2xx to an INVITE until its ACK
        arrives (RFC 3261 section 13.3.1.4), and it is serialised once. A final response that can't be serialised
        becomes a 500.
        """
        last = self._last_2xx
        if last is not None and last[0] is response:
            self._pass_on(response, last[1])
            return
        try:
            data = response.to_bytes()
        except ValueError:
            self._unwritable(response.status)
            return
        if 200 <= response.status <= 299 and self.request.method == "INVITE":
            self._last_2xx = response, data
        self._pass_on(response, data)

    def reply(self, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Build a response with our To tag, and send it as `respond` does.

        :param reason: the reason phrase; empty for the standard one.
        :param headers: names and values to add.
        """
        try:
            response = respond(self.request, status, reason, to_tag=self.to_tag, headers=headers, body=body)
        except ValueError:
            self._unwritable(status)
            return
        self.respond(response)

    def _unwritable(self, status: int) -> None:
        log.failure("{call}: a {status} can't be written", status=status, call=self.request.log_id)
        if status >= 200 and status != 500:
            self.reply(500)

    def _pass_on(self, response: Response, data: bytes) -> None:
        status = response.status
        if not self._machine.respond(status, data):
            if status >= 200:
                call = self.request.log_id
                log.warn("{call}: a second final response is not sent: {status}", status=status, call=call)
        elif status >= 200 and self.on_final is not None:
            on_final, self.on_final = self.on_final, None
            on_final(self, status, response.reason)

    def __repr__(self) -> str:
        return f"<ServerTransaction {self.request.method} {self._machine.state.value}>"


class ServerMachine:
    """The base of both server machines.

    :param layer: the layer that it belongs to.
    :param request: the request.
    :param flow: the flow that it came from.
    :param key: matches its retransmissions.
    :param merge_key: matches a merged request, or a CANCEL with another branch.
    :ivar final_status: of the final response; 0 before it.
    :ivar to_tag: our tag in the responses.
    :ivar source_flow: the flow that the request came from; `flow` may change.
    :ivar transaction: the user's object; None after the final response.
    """

    __slots__ = (
        "_flow_is_lost",
        "_last_response",
        "_layer",
        "_timer",
        "final_status",
        "flow",
        "key",
        "merge_key",
        "source_flow",
        "state",
        "to_tag",
        "transaction",
    )

    def __init__(self, layer: ServerLayer, request: Request, flow: Flow, key: Key, merge_key: MergeKey) -> None:
        self._layer = layer
        self._last_response = b""
        self._flow_is_lost = False
        self._timer: Timer | None = None
        self.merge_key = merge_key
        self.final_status = 0
        self.flow = flow
        self.source_flow = flow
        self.key = key
        self.state = ServerState.PROCEEDING
        self.to_tag = request.to.tag or layer.mark + random_token(8)
        self.transaction: ServerTransaction | None = ServerTransaction(request, self)

    def start(self) -> None:
        """Start the timer of the first response."""
        raise NotImplementedError

    def retransmitted(self) -> None:
        """The request was retransmitted."""
        raise NotImplementedError

    def respond(self, status: int, data: bytes) -> bool:
        """The user sends a response.

        :param data: the whole message.
        :returns: False if there was a final response already.
        """
        raise NotImplementedError

    def flow_lost(self) -> None:
        """The flow is lost: no message can match any more. The user may still answer on another flow, which it sets."""
        self._stop()
        self._flow_is_lost = True
        if self.final_status:
            self.state = ServerState.TERMINATED

    def _conclude(self, status: int, state: ServerState, data: bytes) -> None:
        """The user has sent its final response: release the request."""
        self.final_status = status
        self.state = state
        self.transaction = None
        self._last_response = data
        self._stop()
        self._layer.server_answered(self)

    def _linger(self, delay: float) -> None:
        """Stay in this state for `delay` seconds, then terminate; at once if nothing can arrive any more."""
        if delay and not self._flow_is_lost:
            self._timer = self._layer.schedule.after(delay, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._stop()
        self.state = ServerState.TERMINATED
        self._last_response = b""
        if not self._flow_is_lost:
            self._layer.server_ended(self)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        """Send the last response. One that can't be sent is sent with the next retransmission, or by Timer G."""
        if self._last_response:
            try:
                self.flow.send(self._last_response)
            except FlowLost as why:
                log.debug("A response was not sent: {why}", why=why)


class NonInviteServer(ServerMachine):
    """A non-INVITE server transaction (figure 8, as changed by RFC 4320): Trying, Proceeding, Completed, Terminated."""

    __slots__ = ()

    def start(self) -> None:
        """A 100 follows once Timer E of the client has grown to T2 (RFC 4320 section 4.1)."""
        self.state = ServerState.TRYING
        self._timer = self._layer.schedule.after(self._layer.timers.provisional_delay, self._send_provisional)

    def retransmitted(self) -> None:
        """Trying: absorbed. Proceeding, Completed: the last response is sent again (section 17.2.2)."""
        self._send()

    def respond(self, status: int, data: bytes) -> bool:
        """Send a final response; a provisional one is dropped: the machine sends the only one that is allowed (RFC 4320
        section 4.1)."""
        if self.final_status:
            return False
        if status < 200:
            return True
        if status == 408 or self.state is ServerState.TERMINATED:
            # The client times out by itself then; a later response matches no transaction (RFC 4320 sections 4.2, 4.3).
            self._conclude(status, ServerState.COMPLETED, b"")
            self._end()
        else:
            self._conclude(status, ServerState.COMPLETED, data)
            self._send()
            self._linger(0 if self.flow.reliable else self._layer.timers.timeout_64t1)  # Timer J
        return True

    def _send_provisional(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self.state = ServerState.PROCEEDING
        self._last_response = respond(transaction.request, 100).to_bytes()
        timers = self._layer.timers
        self._timer = self._layer.schedule.after(timers.timeout_64t1 - timers.provisional_delay, self._client_timed_out)
        self._send()

    def _client_timed_out(self) -> None:
        """Timer F of the client fires now: a response would come too late (RFC 4320 section 4.2).

        A user that itself waits 64*T1 for a response notices the timeout a moment later; so an error is logged only
        after T4.
        """
        self._end()
        self._timer = self._layer.schedule.after(self._layer.timers.t4, self._report_unanswered)

    def _report_unanswered(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        request = transaction.request
        log.error("{call}: {method} was never answered", method=request.method, call=request.log_id)
        self._conclude(408, ServerState.TERMINATED, b"")


class InviteServer(ServerMachine):
    """An INVITE server transaction (figure 7 as changed by RFC 6026 figure 1): Proceeding, Completed, Confirmed,
    Accepted, Terminated.

    :ivar cancelled: whether the user was notified of a CANCEL.
    """

    __slots__ = ("_interval", "_timer_g", "cancelled")

    def __init__(self, layer: ServerLayer, request: Request, flow: Flow, key: Key, merge_key: MergeKey) -> None:
        super().__init__(layer, request, flow, key, merge_key)
        self._interval = layer.timers.t1
        self._timer_g: Timer | None = None
        self.cancelled = False

    def start(self) -> None:
        """A 100 follows within 200 ms unless the user responds before (section 17.2.1). Most calls ring before that
        and need no 100."""
        self._timer = self._layer.schedule.after(TRYING_DELAY, self._trying)

    def retransmitted(self) -> None:
        """Proceeding, Completed: the last response is sent again, or a 100 if there was none. Accepted, Confirmed:
        absorbed (section 17.2.1, RFC 6026 section 7.1)."""
        if self.state is ServerState.PROCEEDING and not self._last_response:
            self._send_100()
        else:
            self._send()

    def respond(self, status: int, data: bytes) -> bool:
        """Send a provisional response, the final one, or in Accepted the 2xx again."""
        if self.state is ServerState.ACCEPTED and status == self.final_status:
            self._last_response = data
            self._send()
            self._last_response = b""
        elif self.final_status:
            return False
        elif status < 200:
            self._last_response = data
            self._send()
        elif status < 300:
            self._conclude(status, ServerState.ACCEPTED, data)
            self._send()
            self._last_response = b""
            if not self._flow_is_lost:
                self._linger(self._layer.timers.timeout_64t1)  # Timer L, on every transport
        else:
            self._conclude(status, ServerState.COMPLETED, data)
            self._send()
            if not self.flow.reliable:
                self._timer_g = self._layer.schedule.after(self._interval, self._retransmission_due)
            self._linger(self._layer.timers.timeout_64t1)  # Timer H
        return True

    def ack_received(self) -> bool:
        """An ACK with the branch of the INVITE has arrived.

        :returns: whether it belongs to the transaction; the ACK of a 2xx belongs to the user.
        """
        if self.state is ServerState.COMPLETED:
            self._stop()
            self.state = ServerState.CONFIRMED
            self._last_response = b""
            self._linger(0 if self.flow.reliable else self._layer.timers.t4)  # Timer I
        return self.state is not ServerState.ACCEPTED

    def _trying(self) -> None:
        self._timer = self._layer.schedule.after(self._layer.last_resort, self._report_unanswered)
        if not self._last_response:
            self._send_100()

    def _send_100(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self._last_response = respond(transaction.request, 100).to_bytes()
        self._send()

    def _retransmission_due(self) -> None:
        """Timer G: doubles up to T2, until the ACK (section 17.2.1)."""
        timers = self._layer.timers
        self._interval = min(2 * self._interval, timers.t2)
        self._timer_g = self._layer.schedule.after(self._interval, self._retransmission_due)
        self._send()

    def _report_unanswered(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        log.error("{call}: INVITE was never answered", call=transaction.request.log_id)
        transaction.reply(500)

    def _stop(self) -> None:
        super()._stop()
        if self._timer_g is not None:
            self._timer_g.cancel()
            self._timer_g = None
