"""Demo: the demo's SIP server, which routes requests to the registrar, to the echo, or to a registered name."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.demo.bindings import DemoBindings
from webrtcproxy.demo.echo import Echo
from webrtcproxy.demo.forking import DemoFork
from webrtcproxy.demo.guard import Guard
from webrtcproxy.demo.registrar import DemoRegistrar
from webrtcproxy.demo.rtp import RtpPorts
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, check
from webrtcproxy.sip.uri import normal_user
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow

log = Logger()

ECHO = "echo"
"""The user name of the echo."""
FORKS = 200
"""Calls between registered names that may be ringing at once."""

HostPort = tuple[str, int | None]


class Demo:
    """The transaction user of the demo.

    :param clock: runs all timers.
    :param transactions: the transaction layer.
    :param ports: for the audio of the echo.
    :param guard: authenticates users.
    :param domains: the hosts (and ports) of Request-URIs that the demo serves.
    """

    def __init__(
        self,
        clock: IReactorTime,
        transactions: Transactions,
        ports: RtpPorts,
        guard: Guard,
        domains: Collection[HostPort],
    ) -> None:
        self._clock = clock
        self._transactions = transactions
        self._guard = guard
        self._domains = frozenset(_without_default_port(domain) for domain in domains)
        self._bindings = DemoBindings(clock)
        self._registrar = DemoRegistrar(self._bindings, guard, frozenset((ECHO,)))
        self._forks: dict[ServerTransaction, DemoFork] = {}
        self.echo = Echo(clock, transactions, ports)

    def admits(self, request: Request, flow: Flow) -> bool:
        """Every request that reaches the socket is admitted."""
        return True

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """Any request but ACK and CANCEL; it always gets a response."""
        try:
            check(transaction.request)
            self._answer(transaction)
        except BadMessage as error:
            transaction.reply(error.status, error.why)
        except Refusal as refusal:
            transaction.reply(refusal.status, refusal.reason, refusal.headers)

    def refused(self, request: Request, flow: Flow, status: int, reason: str) -> None:
        """The demo has no records."""

    def owns(self, transaction: ServerTransaction, flow: Flow) -> bool:
        """A CANCEL has to come on the flow of its INVITE."""
        return False

    def is_same_peer(self, flow: Flow, other: Flow) -> bool:
        """The demo knows each peer by its address only."""
        return False

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        """The ACK of an echo's 200; those of other calls do not pass the demo."""
        with suppress(BadMessage):  # an ACK is never answered
            self.echo.ack_arrived(ack)

    def hung_up(self, bye: Request, flow: Flow) -> None:
        """Do nothing: an echo ends by itself."""

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """The caller has cancelled."""
        fork = self._forks.get(transaction)
        if fork is not None:
            fork.cancel()
        else:
            self.echo.cancelled(transaction)

    def _answer(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        target = request.request_uri
        if _without_default_port(target.hostport) not in self._domains:
            raise Refusal(404, "Not A Domain Of The Demo")
        name = normal_user(target.user or "")
        if request.method == "REGISTER":
            transaction.reply(200, headers=self._registrar.register(request, transaction.flow))
        elif request.method == "INVITE" and request.to.tag is None:
            self._guard.user(request, "Proxy-Authorization")
            if name == ECHO:
                self.echo.request_arrived(transaction)
            else:
                self._call(transaction, name)
        else:
            self.echo.request_arrived(transaction)

    def _call(self, transaction: ServerTransaction, name: str) -> None:
        request = transaction.request
        if request.max_forwards == 0:
            raise Refusal(483)
        if "Proxy-Require" in request.headers:
            unsupported = ", ".join(request.headers.all("Proxy-Require"))
            raise Refusal(420, headers=[("Unsupported", unsupported)])
        bindings = self._bindings.of(name)
        if not bindings:
            raise Refusal(480 if self._bindings.known(name) else 404)
        if len(self._forks) >= FORKS:
            raise Refusal(503, headers=[("Retry-After", "10")])
        fork = DemoFork(self._transactions, self._clock, transaction, lambda: self._over(transaction))
        self._forks[transaction] = fork
        fork.start(bindings)

    def _over(self, transaction: ServerTransaction) -> None:
        self._forks.pop(transaction, None)


def _without_default_port(domain: HostPort) -> HostPort:
    """The same text for a host with and without the default port."""
    host, port = domain
    return host.lower().strip("[]"), None if port == 5060 else port
