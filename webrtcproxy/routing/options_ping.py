"""OPTIONS pings to every hop of a trunk, so that a failed hop is known before a call needs it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from random import SystemRandom
from typing import ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.routing.failover import MAX_HOPS
from webrtcproxy.routing.policy import Policy, Route
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.runtime.errors import FlowLost, Refusal, TimedOut
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.transaction.client import ClientTransaction
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Flow, Hop

log = Logger()

_random = SystemRandom().random


@dataclass(slots=True)
class _PingedHop:
    """A hop that is pinged.

    :ivar alive: the result of the last ping; None before the first one.
    :ivar transaction: the ping that awaits its response.
    :ivar timeout: ends the wait for the response.
    """

    hop: Hop
    alive: bool | None = None
    transaction: ClientTransaction | None = None
    timeout: IDelayedCall | None = None


class OptionsPings:
    """Pings the hops of all trunks whose section asks for it. Of several processes each does so for itself: what can
    be reached from its sockets says little about those of the others.

    :param clock: for the intervals.
    :param transactions: sends the pings.
    :param upstream: finds the hops, and records which of them are down.
    :param policy: has the profiles of the trunks.
    :param trunks: all trunks.
    :param metrics: shows which hops are up.
    :param spread: returns a random number from 0 to 1, so that not all pings are sent at the same time.
    """

    PING_TIMEOUT: ClassVar[float] = 10.0
    """Seconds that a ping may take; it always ends before the next one."""
    SPREAD: ClassVar[float] = 0.1
    """The fraction of the interval that is random."""

    def __init__(
        self,
        clock: IReactorTime,
        transactions: Transactions,
        upstream: Upstream,
        policy: Policy,
        trunks: Iterable[Trunk],
        metrics: Metrics,
        spread: Callable[[], float] = _random,
    ) -> None:
        self._clock = clock
        self._transactions = transactions
        self._upstream = upstream
        self._policy = policy
        self._metrics = metrics
        self._spread = spread
        self._targets: dict[str, dict[Hop, _PingedHop]] = {trunk.name: {} for trunk in trunks if trunk.ping}
        self._trunks = [trunk for trunk in trunks if trunk.ping]
        self._timers: dict[str, IDelayedCall] = {}
        self._running = False

    def start(self) -> None:
        """Begin to ping, not all trunks at once."""
        self._running = True
        for trunk in self._trunks:
            self._wait(trunk, self._spread() * min(trunk.ping, 1.0))

    def stop(self) -> None:
        """Stop pinging; outstanding pings are given up."""
        self._running = False
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
        for targets in self._targets.values():
            for target in targets.values():
                self._give_up(target)

    def _wait(self, trunk: Trunk, seconds: float) -> None:
        self._timers[trunk.name] = self._clock.callLater(seconds, self._round, trunk)

    def _round(self, trunk: Trunk) -> None:
        """Time to ping a trunk."""
        self._wait(trunk, trunk.ping * (1 + self.SPREAD * (self._spread() - 0.5)))
        route = Route(self._policy.profile(trunk), *trunk.servers[0], trunk.transport)
        looked_up = Deferred.fromCoroutine(self._upstream.resolve(route))
        looked_up.addCallbacks(partial(self._ping_all, trunk), partial(self._lookup_failed, trunk)).addErrback(
            lambda failure: log.failure("Trunk {trunk} can't be pinged", failure, trunk=trunk.name)
        )

    def _lookup_failed(self, trunk: Trunk, failure: Failure) -> None:
        failure.trap(Refusal)
        log.warn("Trunk {trunk} can't be pinged: {why}", trunk=trunk.name, why=failure.value)

    def _ping_all(self, trunk: Trunk, hops: list[Hop]) -> None:
        """Ping the current hops of the trunk; forget former ones."""
        if not self._running:
            return
        targets, found = self._targets[trunk.name], list(dict.fromkeys(hops))
        wanted = (list(filter(self._can_be_sent_to, found)) or found)[:MAX_HOPS]
        for hop in [hop for hop in targets if hop not in wanted]:
            self._give_up(targets.pop(hop))
            self._metrics.trunk_forgotten(trunk.name, str(hop))
        for hop in wanted:
            target = targets.setdefault(hop, _PingedHop(hop))
            if target.transaction is None:
                self._ping(trunk, target)

    def _can_be_sent_to(self, hop: Hop) -> bool:
        """Whether a local socket can send to this hop. One of another address family is not pinged, and is not
        reported as down."""
        try:
            self._upstream.flow_to(hop)
        except FlowLost:
            return False
        return True

    def _ping(self, trunk: Trunk, target: _PingedHop) -> None:
        try:
            flow = self._upstream.flow_to(target.hop)
        except FlowLost as why:
            self._record(trunk, target, str(why))
            return
        transaction = target.transaction = self._transactions.request(options_for(trunk, flow), flow)
        seconds = min(self.PING_TIMEOUT, trunk.ping * (1 - self.SPREAD))
        target.timeout = self._clock.callLater(seconds, self._silent, trunk, target)
        transaction.final.addCallbacks(
            partial(self._answered, trunk, target, transaction), partial(self._failed, trunk, target, transaction)
        ).addErrback(lambda failure: log.failure("The ping of trunk {trunk} broke", failure, trunk=trunk.name))

    def _answered(self, trunk: Trunk, target: _PingedHop, transaction: ClientTransaction, response: Response) -> None:
        """Any response but 503 shows that the hop is up (RFC 3261 section 21.5.4)."""
        if self._is_over(target, transaction):
            self._record(trunk, target, "" if response.status != 503 else f"503 {response.reason}")

    def _failed(self, trunk: Trunk, target: _PingedHop, transaction: ClientTransaction, failure: Failure) -> None:
        failure.trap(FlowLost, TimedOut)
        if self._is_over(target, transaction):
            self._record(trunk, target, str(failure.value))

    def _silent(self, trunk: Trunk, target: _PingedHop) -> None:
        self._give_up(target)
        self._record(trunk, target, "no answer")

    def _is_over(self, target: _PingedHop, transaction: ClientTransaction) -> bool:
        """Whether `transaction` is the outstanding ping, which is then ended."""
        if target.transaction is not transaction:
            return False
        target.transaction = None
        if target.timeout is not None:
            target.timeout.cancel()
            target.timeout = None
        return True

    def _give_up(self, target: _PingedHop) -> None:
        transaction, target.transaction = target.transaction, None
        if transaction is not None:
            transaction.abandon()
        if target.timeout is not None and target.timeout.active():
            target.timeout.cancel()
        target.timeout = None

    def _record(self, trunk: Trunk, target: _PingedHop, wrong: str) -> None:
        """Record the result of a ping. A success undoes the marks of failed pings only, not those made by calls.

        :param wrong: the reason of the failure; empty for success.
        """
        before, target.alive = target.alive, not wrong
        health, name = self._upstream.health, str(target.hop)
        self._metrics.trunk_is(trunk.name, name, up=not wrong)
        if wrong:
            health.mark_down(target.hop, 3 * trunk.ping)  # until the next pings confirm or correct it
        elif before is False:
            health.mark_up(target.hop)
        if wrong and before is not False:
            log.warn("Trunk {trunk}: {target} is out of order: {why}", trunk=trunk.name, target=name, why=wrong)
        elif not wrong and before is not True:
            log.info("Trunk {trunk}: {target} is there", trunk=trunk.name, target=name)


def options_for(trunk: Trunk, flow: Flow) -> Request:
    """A ping (RFC 3261 section 11.1)."""
    uri = f"sip:{HostPort(trunk.host, trunk.port)}"
    transport = "" if flow.via_transport == "UDP" else f";transport={flow.via_transport.lower()}"
    fields = {
        "Max-Forwards": "70",
        "From": f"<sip:{flow.sent_by}>;tag={random_token(8)}",
        "To": f"<{uri}>",
        "Call-ID": random_token(16),
        "CSeq": "1 OPTIONS",
        "Contact": f"<sip:{flow.sent_by}{transport}>",
        "Accept": "application/sdp",
    }
    return Request("OPTIONS", uri, Headers.of(list(fields), list(fields.values())))
