"""Server transactions: the machines of RFC 3261 figures 7 and 8, with Accepted and Timer L of RFC 6026 section 7.1.

What the user holds is a :class:`ServerTransaction`. What the layer's table holds is its machine, which outlives the
user's interest: it absorbs and repeats. Behind the final response the machine has nothing but the octets to repeat, so
that a request with all of its headers is not kept for the half minute of Timer J or L.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from twisted.logger import Logger

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.message import Message, Request, Response, respond
from webrtcproxy.transaction.match import Key, MergeKey
from webrtcproxy.transaction.timers import Timers
from webrtcproxy.transport.flow import Flow

log = Logger()

TRYING = 0.15
"""Seconds until an INVITE that has had no response gets a 100; 200 ms at most (RFC 3261 section 17.2.1)."""


class ServerState(Enum):
    """The states of both machines, by their names in the figures."""

    TRYING = "Trying"
    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class ServerHooks(Protocol):
    """What the machines need of the layer."""

    @property
    def timers(self) -> Timers:
        """T1, T2, T4."""

    @property
    def schedule(self) -> Schedule:
        """Runs the timers."""

    @property
    def last_resort(self) -> float:
        """Seconds until an INVITE that nobody answers is given up."""

    def server_answered(self, machine: ServerMachine) -> None:
        """The user has no more part in this transaction."""

    def server_ended(self, machine: ServerMachine) -> None:
        """The machine is terminated: nothing is to find it any more."""


class ServerTransaction:
    """A request that arrived, to be answered.

    :ivar request: the request.
    :ivar to_tag: our tag: in every response above 100, one for all of them (RFC 3261 section 8.2.6.2).
    """

    __slots__ = ("_machine", "_repeat", "request", "to_tag")

    def __init__(self, request: Request, machine: ServerMachine) -> None:
        self.request = request
        self.to_tag = machine.to_tag
        self._machine = machine
        self._repeat: tuple[Response, bytes] | None = None

    @property
    def flow(self) -> Flow:
        """Where the responses go. It may be set, when the peer came back on another connection."""
        return self._machine.flow

    @flow.setter
    def flow(self, flow: Flow) -> None:
        self._machine.flow = flow

    @property
    def answered(self) -> bool:
        """Whether a final response was given, or none may be given any more (RFC 4320)."""
        return self._machine.final != 0

    def respond(self, response: Response) -> None:
        """Send a response; never raises.

        A second final response is logged and not sent; but a 2xx to an INVITE may be given again and again, as the core
        has to until its ACK comes (RFC 3261 section 13.3.1.4): it is serialised once. A response that can't be written
        becomes a 500, where it is a final one.
        """
        repeat = self._repeat
        if repeat is not None and repeat[0] is response:
            self._give(response.status, repeat[1])
            return
        try:
            data = response.to_bytes()
        except ValueError:
            self._unwritable(response.status)
            return
        if 200 <= response.status <= 299 and self.request.method == "INVITE":
            self._repeat = response, data
        self._give(response.status, data)

    def reply(self, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Build a response with our To tag, and give it as `respond` does.

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
        log.failure("{call}: a {status} can not be written", status=status, call=call_of(self.request))
        if status >= 200:
            self._give(500, respond(self.request, 500, to_tag=self.to_tag).to_bytes())

    def _give(self, status: int, data: bytes) -> None:
        if not self._machine.respond(status, data) and status >= 200:
            log.warn("{call}: a second final response is not sent: {status}", status=status, call=call_of(self.request))

    def __repr__(self) -> str:
        return f"<ServerTransaction {self.request.method} {self._machine.state.value}>"


class ServerMachine:
    """What both machines have in common.

    :param keeper: the layer.
    :param request: the request.
    :param flow: where it came from.
    :param key: names this transaction.
    :param alias: what a merged request, or a CANCEL with another branch, has in common with this one.
    :ivar final: the status of the final response; 0 before it.
    :ivar to_tag: our tag in the responses.
    :ivar home: the flow that the request came from, which `flow` need not be for ever.
    :ivar transaction: what the user holds; None behind the final response.
    """

    __slots__ = (
        "_keeper",
        "_last",
        "_lost",
        "_timer",
        "alias",
        "final",
        "flow",
        "home",
        "key",
        "state",
        "to_tag",
        "transaction",
    )

    def __init__(self, keeper: ServerHooks, request: Request, flow: Flow, key: Key, alias: MergeKey) -> None:
        self._keeper = keeper
        self._last = b""
        self._lost = False
        self._timer: Timer | None = None
        self.alias = alias
        self.final = 0
        self.flow = flow
        self.home = flow
        self.key = key
        self.state = ServerState.PROCEEDING
        self.to_tag = request.to.tag or random_token(8)
        self.transaction: ServerTransaction | None = ServerTransaction(request, self)

    def start(self) -> None:
        """The request arrived for the first time."""
        raise NotImplementedError

    def again(self) -> None:
        """The request arrived once more."""
        raise NotImplementedError

    def respond(self, status: int, data: bytes) -> bool:
        """The user gives a response.

        :param data: the whole message.
        :returns: False where the final response is out already.
        """
        raise NotImplementedError

    def lost(self) -> None:
        """The flow is gone, and nothing can match any more. The user may still answer, on the flow that he sets."""
        self._stop()
        self._lost = True
        if self.final:
            self.state = ServerState.TERMINATED

    def _settle(self, status: int, state: ServerState, data: bytes) -> None:
        """The final response is here: from now on the user's part is over, and the machine is light."""
        self.final = status
        self.state = state
        self.transaction = None
        self._last = data
        self._stop()
        self._keeper.server_answered(self)

    def _linger(self, delay: float) -> None:
        """Stay in this state for `delay` seconds, then end; where there is nothing to wait for, end at once."""
        if delay and not self._lost:
            self._timer = self._keeper.schedule.after(delay, self._end)
        else:
            self._end()

    def _end(self) -> None:
        self._stop()
        self.state = ServerState.TERMINATED
        self._last = b""
        if not self._lost:
            self._keeper.server_ended(self)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _send(self) -> None:
        """A response that does not leave is repeated with the request, or by Timer G."""
        if self._last:
            try:
                self.flow.send(self._last)
            except FlowLost as why:
                log.debug("A response has no way: {why}", why=why)


class NonInviteServer(ServerMachine):
    """A non-INVITE request (figure 8), with what RFC 4320 has changed."""

    __slots__ = ()

    def start(self) -> None:
        """No 100 as yet; there will be one when the client's Timer E has reached T2 (RFC 4320 section 4.1)."""
        self.state = ServerState.TRYING
        self._timer = self._keeper.schedule.after(self._keeper.timers.hesitation, self._hesitate)

    def again(self) -> None:
        """Trying: absorbed. Proceeding and Completed: the last response is repeated (section 17.2.2)."""
        self._send()

    def respond(self, status: int, data: bytes) -> bool:
        """Only a final response: the one provisional that is allowed is sent by the machine (RFC 4320 section 4.1)."""
        if self.final:
            return False
        if status < 200:
            return True
        if status == 408 or self.state is ServerState.TERMINATED:
            # The client gives up by itself at that time, and what comes later hits nobody (RFC 4320 sections 4.2, 4.3).
            self._settle(status, ServerState.COMPLETED, b"")
            self._end()
        else:
            self._settle(status, ServerState.COMPLETED, data)
            self._send()
            self._linger(0 if self.flow.reliable else self._keeper.timers.patience)  # Timer J
        return True

    def _hesitate(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self.state = ServerState.PROCEEDING
        self._last = respond(transaction.request, 100).to_bytes()
        timers = self._keeper.timers
        self._timer = self._keeper.schedule.after(timers.patience - timers.hesitation, self._give_up)
        self._send()

    def _give_up(self) -> None:
        """The client's Timer F fires now: an answer would come too late (RFC 4320 section 4.2).

        A user who relays a silence of 64*T1 notices it a moment later than this, so he has a little more time before
        he is to blame.
        """
        self._end()
        self._timer = self._keeper.schedule.after(self._keeper.timers.t4, self._blame)

    def _blame(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        request = transaction.request
        log.error("{call}: {method} was never answered", method=request.method, call=call_of(request))
        self._settle(408, ServerState.TERMINATED, b"")


class InviteServer(ServerMachine):
    """An INVITE (figure 7, and RFC 6026 figure 1).

    :ivar cancelled: the user was told of a CANCEL.
    """

    __slots__ = ("_interval", "_timer_g", "cancelled")

    def __init__(self, keeper: ServerHooks, request: Request, flow: Flow, key: Key, alias: MergeKey) -> None:
        super().__init__(keeper, request, flow, key, alias)
        self._interval = keeper.timers.t1
        self._timer_g: Timer | None = None
        self.cancelled = False

    def start(self) -> None:
        """100 within 200 ms, where the user has said nothing by then (section 17.2.1): most calls ring before that, and
        spare themselves a message."""
        self._timer = self._keeper.schedule.after(TRYING, self._trying)

    def again(self) -> None:
        """Proceeding and Completed: the last response is repeated, 100 where there was none. Accepted and Confirmed:
        there is nothing to repeat (section 17.2.1, RFC 6026 section 7.1)."""
        if self.state is ServerState.PROCEEDING and not self._last:
            self._send_100()
        else:
            self._send()

    def respond(self, status: int, data: bytes) -> bool:
        """A provisional response, the final one, or the 2xx of Accepted once more."""
        if self.state is ServerState.ACCEPTED and status == self.final:
            self._last = data
            self._send()
            self._last = b""
        elif self.final:
            return False
        elif status < 200:
            self._last = data
            self._send()
        elif status < 300:
            self._settle(status, ServerState.ACCEPTED, data)
            self._send()
            self._last = b""
            if not self._lost:
                self._linger(self._keeper.timers.patience)  # Timer L, on every transport
        else:
            self._settle(status, ServerState.COMPLETED, data)
            self._send()
            if not self.flow.reliable:
                self._timer_g = self._keeper.schedule.after(self._interval, self._repeat)
            self._linger(self._keeper.timers.patience)  # Timer H
        return True

    def acknowledged(self) -> bool:
        """An ACK with our branch came.

        :returns: whether it was the transaction's; the ACK of a 2xx is the user's.
        """
        if self.state is ServerState.COMPLETED:
            self._stop()
            self.state = ServerState.CONFIRMED
            self._last = b""
            self._linger(0 if self.flow.reliable else self._keeper.timers.t4)  # Timer I
        return self.state is not ServerState.ACCEPTED

    def _trying(self) -> None:
        self._timer = self._keeper.schedule.after(self._keeper.last_resort, self._blame)
        if not self._last:
            self._send_100()

    def _send_100(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        self._last = respond(transaction.request, 100).to_bytes()
        self._send()

    def _repeat(self) -> None:
        """Timer G: doubles up to T2, until the ACK (section 17.2.1)."""
        timers = self._keeper.timers
        self._interval = min(2 * self._interval, timers.t2)
        self._timer_g = self._keeper.schedule.after(self._interval, self._repeat)
        self._send()

    def _blame(self) -> None:
        transaction = self.transaction
        assert transaction is not None
        log.error("{call}: INVITE was never answered", call=call_of(transaction.request))
        transaction.reply(500)

    def _stop(self) -> None:
        super()._stop()
        if self._timer_g is not None:
            self._timer_g.cancel()
            self._timer_g = None


def call_of(message: Message) -> str:
    """The Call-ID for a log line."""
    return message.headers.get("Call-ID") or "-"
