"""Server transactions: the machines of RFC 3261 figures 7 and 8, with Accepted of RFC 6026 section 8.3.

States and timers have their names from the RFC. A response is serialised once; a retransmission repeats the bytes.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from enum import Enum
from typing import Protocol

from twisted.logger import Logger

from webrtcproxy.errors import FlowLost
from webrtcproxy.sip.message import Request, Response, respond
from webrtcproxy.transaction.timers import Timers
from webrtcproxy.transport.flow import Flow

log = Logger()

Key = tuple[object, ...]


class State(Enum):
    """The states of both machines; `PROCEEDING` is also Trying of figure 8."""

    PROCEEDING = "Proceeding"
    COMPLETED = "Completed"
    CONFIRMED = "Confirmed"
    ACCEPTED = "Accepted"
    TERMINATED = "Terminated"


class Surroundings(Protocol):
    """What a server transaction asks of the layer."""

    timers: Timers
    last_resort: float

    def wait(self, transaction: ServerTransaction, seconds: float) -> None:
        """Have `transaction.resend` called after `seconds`, in place of any other wait for it."""

    def wait_no_more(self, transaction: ServerTransaction) -> None:
        """Forget the wait for `resend`."""

    def limit(self, transaction: ServerTransaction, seconds: float) -> None:
        """Have `transaction.time_up` called after `seconds`, in place of any other limit; never, where it is 0."""

    def gone(self, transaction: ServerTransaction) -> None:
        """The transaction is terminated: forget it."""


class ServerTransaction:
    """What both kinds have in common.

    :ivar request: the request.
    :ivar flow: where its responses go.
    :ivar to_tag: our tag: in every response but 100, one for all of them (RFC 3261 section 8.2.6.2).
    :ivar answered: a final response was given.
    """

    __slots__ = ("_last", "_layer", "answered", "call_id", "flow", "key", "merge_key", "request", "state", "to_tag")

    def __init__(self, layer: Surroundings, request: Request, flow: Flow, key: Key, merge_key: Key) -> None:
        self._layer = layer
        self.request = request
        self.flow = flow
        self.key = key
        self.merge_key = merge_key
        self.call_id = request.call_id
        self.to_tag = secrets.token_hex(10)
        self.answered = False
        self.state = State.PROCEEDING
        self._last = b""

    def start(self) -> None:
        """The request arrived for the first time."""
        raise NotImplementedError

    def reply(self, status: int, reason: str = "", headers: Iterable[tuple[str, str]] = (), body: bytes = b"") -> None:
        """Build a response with our To tag, and give it as :meth:`respond` does."""
        self.respond(respond(self.request, status, reason, to_tag=self.to_tag, headers=headers, body=body))

    def respond(self, response: Response) -> None:
        """Send a response; never raises. A second final response is logged and not sent."""
        raise NotImplementedError

    def retransmitted(self) -> None:
        """The request arrived once more: the last response is repeated."""
        if self._last and self.state in (State.PROCEEDING, State.COMPLETED):
            self._send()

    def resend(self) -> None:
        """Timer G fired."""

    def time_up(self) -> None:
        """Timer H, I, J or L fired, or nobody has answered the request."""
        if not self.answered:
            self._last_resort()
        elif self.state is not State.TERMINATED:
            self._terminate()

    def flow_lost(self) -> None:
        """The connection is gone; whoever works on the request goes on, and its response goes nowhere."""
        if self.answered and self.state is not State.TERMINATED:
            self._terminate()

    def _last_resort(self) -> None:
        raise NotImplementedError

    def _may(self, response: Response) -> bool:
        """Whether `response` may still be given."""
        if self.state is State.TERMINATED:
            return False
        if self.answered:
            log.warn(
                "{call}: a second final response is not sent: {status}", status=response.status, call=self.call_id
            )
            return False
        return True

    def _send(self) -> None:
        try:
            self.flow.send(self._last)
        except FlowLost as lost:
            log.debug("{call}: a response has no way: {why}", why=lost, call=self.call_id)

    def _linger(self, state: State, seconds: float) -> None:
        self.state = state
        if seconds:
            self._layer.limit(self, seconds)
        else:
            self._terminate()

    def _terminate(self) -> None:
        self.state = State.TERMINATED
        self._last = b""
        self._layer.gone(self)


class PlainServer(ServerTransaction):
    """A non-INVITE request (figure 8)."""

    __slots__ = ()

    def start(self) -> None:
        """No 100: a non-INVITE request is answered in the end or not at all (RFC 4320 section 4.1)."""
        self._layer.limit(self, self._layer.timers.patience)

    def respond(self, response: Response) -> None:
        if response.status < 200 or not self._may(response):
            return
        self.answered = True
        self._last = response.to_bytes()
        self._send()
        self._linger(State.COMPLETED, 0 if self.flow.reliable else self._layer.timers.patience)  # timer J

    def _last_resort(self) -> None:
        """The client has given up (timer F): an answer now would only do harm (RFC 4320 section 4.2)."""
        self.answered = True
        log.error("{call}: {method} was never answered", method=self.request.method, call=self.call_id)
        self._terminate()


class InviteServer(ServerTransaction):
    """An INVITE (figure 7, and RFC 6026 figure 1)."""

    __slots__ = ("_interval",)

    def start(self) -> None:
        """100 at once: whatever is asked of rtpengine and the trunk may take more than 200 ms."""
        self._interval = self._layer.timers.t1
        self._layer.limit(self, self._layer.last_resort)
        self._last = respond(self.request, 100).to_bytes()
        self._send()

    def respond(self, response: Response) -> None:
        if self.state is State.ACCEPTED and 200 <= response.status < 300:
            self._last = response.to_bytes()  # a 2xx is repeated by the core (RFC 3261 section 13.3.1.4)
            self._send()
            return
        if not self._may(response):
            return
        self._last = response.to_bytes()
        self._send()
        if response.status < 200:
            return
        self.answered = True
        if response.status < 300:
            self._linger(State.ACCEPTED, self._layer.timers.patience)  # timer L
            return
        if not self.flow.reliable:
            self._layer.wait(self, self._interval)  # timer G
        self._linger(State.COMPLETED, self._layer.timers.patience)  # timer H

    def resend(self) -> None:
        """Timer G: doubling up to T2 until the ACK (section 17.2.1)."""
        self._interval = min(2 * self._interval, self._layer.timers.t2)
        self._layer.wait(self, self._interval)
        self._send()

    def acknowledged(self) -> bool:
        """An ACK came that names this transaction.

        :returns: whether it was ours: the ACK of a 2xx is the core's.
        """
        if self.state is State.COMPLETED:
            self._layer.wait_no_more(self)
            self._last = b""
            self._linger(State.CONFIRMED, 0 if self.flow.reliable else self._layer.timers.t4)  # timer I
        return self.state is not State.ACCEPTED

    def _last_resort(self) -> None:
        log.error("{call}: INVITE was never answered", call=self.call_id)
        self.reply(500)
