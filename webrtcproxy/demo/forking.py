"""DemoFork: forks a call to all contacts of a registered name, and returns the best response (RFC 3261 section 16).

It is a minimal stateful proxy without Record-Route, so that ACK, BYE and the rest of the dialog bypass it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.demo.bindings import DemoBinding
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.sip.message import Request, Response, respond
from webrtcproxy.transaction.client import ClientTransaction
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction

log = Logger()

TIMER_C = 181.0
"""Seconds that a call may ring (section 16.6 step 11); a 180 does not restart the timer, so that every call ends."""
_RETRIABLE = (401, 407, 415, 420, 484)
"""The 4xx with which the caller can try again, preferred to others (section 16.7 step 6)."""


class DemoFork:
    """One INVITE, forked to the contacts of a name.

    :param transactions: sends the branches.
    :param clock: for Timer C.
    :param server: the caller's transaction; it gets every 2xx, or exactly one other final response.
    :param done: called once, when no branch is left.
    """

    def __init__(
        self, transactions: Transactions, clock: IReactorTime, server: ServerTransaction, done: Callable[[], None]
    ) -> None:
        self._transactions = transactions
        self._clock = clock
        self._server = server
        self._done = done
        self._open: list[ClientTransaction] = []
        self._worse: list[Response] = []
        self._given_up = 0  # the status for the caller if no branch accepts after the call was ended
        self._starting = True
        self._timer: IDelayedCall | None = None

    def start(self, bindings: Iterable[DemoBinding]) -> None:
        """Send the INVITE to all contacts at once."""
        self._timer = self._clock.callLater(TIMER_C, self._give_up, 408)
        for binding in bindings:
            client = self._transactions.request(
                self._branch(binding), binding.flow, on_provisional=self._provisional, on_answer=self._relay
            )
            self._open.append(client)
            client.final.addCallbacks(self._final, self._failed, callbackArgs=(client,), errbackArgs=(client,))
            client.final.addErrback(lambda failure: log.failure("A branch failed", failure))
        self._starting = False
        self._finish()

    def cancel(self) -> None:
        """The caller has cancelled."""
        self._give_up(487)

    def _give_up(self, status: int) -> None:
        self._given_up = status
        self._cancel_open()

    def _cancel_open(self) -> None:
        for client in list(self._open):
            client.cancel()

    def _branch(self, binding: DemoBinding) -> Request:
        """The caller's request, rewritten for `binding`."""
        request = self._server.request
        hops = request.max_forwards
        headers = request.headers.without({"Route", "Proxy-Authorization", "Max-Forwards"})
        headers.add("Max-Forwards", str(70 if hops is None else hops - 1))
        return Request(request.method, binding.contact.uri, headers, request.body)

    def _provisional(self, response: Response) -> None:
        if not self._server.answered:
            self._relay(response)

    def _final(self, response: Response, client: ClientTransaction) -> None:
        self._open.remove(client)
        if 200 <= response.status <= 299:
            self._relay(response)
            self._cancel_open()
        else:
            self._worse.append(response)
            if response.status >= 600:
                self._cancel_open()
        self._finish()

    def _failed(self, failure: Failure, client: ClientTransaction) -> None:
        """A branch without a response counts as a 408, an unreachable contact as a 480."""
        failure.trap(TimedOut, FlowLost)
        self._open.remove(client)
        self._worse.append(self._own(408 if failure.check(TimedOut) else 480))
        self._finish()

    def _finish(self) -> None:
        if self._open or self._starting or self._timer is None:
            return
        if self._timer.active():
            self._timer.cancel()
        self._timer = None
        if not self._server.answered:
            self._relay(self._own(self._given_up) if self._given_up else best(self._worse) or self._own(480))
        self._done()

    def _own(self, status: int) -> Response:
        return respond(self._server.request, status, to_tag=self._server.to_tag)

    def _relay(self, response: Response) -> None:
        """Relay a response with the Vias of the request (section 16.7 steps 3 and 9)."""
        headers = response.headers.without({"Via"})
        for via in reversed(self._server.request.headers.lines("Via")):
            headers.prepend("Via", via)
        self._server.respond(Response(response.status, response.reason, headers, response.body))


def best(responses: list[Response]) -> Response | None:
    """The final response to relay if no branch accepted (section 16.7 step 6); a 503 becomes a 500."""
    if not responses:
        return None
    chosen = min(responses, key=_rank)
    if chosen.status == 503:
        return Response(500, "", chosen.headers, chosen.body)
    return chosen


def _rank(response: Response) -> tuple[int, int, int]:
    status = response.status
    return (
        0 if status >= 600 else status // 100,
        0 if status in _RETRIABLE else 1,
        1 if status in (408, 480, 487, 503) else 0,
    )
