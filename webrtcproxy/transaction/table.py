"""Table: all machines that are going on, by what their messages have in common, and by the flow that they depend on."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from twisted.logger import Logger

from webrtcproxy.transaction.client import ClientMachine
from webrtcproxy.transaction.match import Key, MergeKey
from webrtcproxy.transaction.server import ServerMachine
from webrtcproxy.transport.flow import Flow

log = Logger()


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """How many server transactions there may be at once.

    :ivar browser: unanswered requests of one WebSocket.
    :ivar flow: of one other flow, those included that only absorb repeats (half a minute for each request on UDP).
    :ivar total: of all.
    """

    browser: int = 200
    flow: int = 20_000
    total: int = 50_000


class FlowTransactions:
    """The machines of one flow.

    :ivar unanswered: how many requests of its peer wait for the user.
    """

    __slots__ = ("clients", "forget", "servers", "unanswered")

    def __init__(self) -> None:
        self.servers: set[ServerMachine] = set()
        self.clients: set[ClientMachine] = set()
        self.unanswered = 0
        self.forget: Callable[[], None] | None = None


class Table:
    """The machines of one layer.

    :param limits: of server transactions.
    """

    def __init__(self, limits: TransactionLimits) -> None:
        self._limits = limits
        self.servers: dict[Key, ServerMachine] = {}
        self.aliases: dict[MergeKey, ServerMachine] = {}
        self.clients: dict[tuple[str, str], ClientMachine] = {}
        self._flows: dict[Flow, FlowTransactions] = {}

    def __len__(self) -> int:
        return len(self.servers) + len(self.clients)

    def is_full(self, flow: Flow) -> bool:
        """Whether a request that comes by `flow` would be one too many."""
        limits = self._limits
        if len(self.servers) >= limits.total:
            return True
        members = self._flows.get(flow)
        if members is None:
            return False
        return members.unanswered >= limits.browser if flow.browser else len(members.servers) >= limits.flow

    def add_server(self, machine: ServerMachine) -> None:
        """From now on its request is going on."""
        self.servers[machine.key] = machine
        self.aliases[machine.alias] = machine
        members = self._members(machine.home)
        members.servers.add(machine)
        members.unanswered += 1

    def answered(self, machine: ServerMachine) -> None:
        """Its request waits for nobody any more."""
        members = self._flows.get(machine.home)
        if members is not None and machine in members.servers:
            members.unanswered -= 1

    def remove_server(self, machine: ServerMachine) -> None:
        """It is over; no error where it was removed before."""
        if self.servers.get(machine.key) is not machine:
            return
        members = self._flows[machine.home]
        members.servers.remove(machine)
        if not machine.final:
            members.unanswered -= 1
        self._forget_server(machine)
        self._leave(machine.home, members)

    def add_client(self, machine: ClientMachine) -> None:
        """From now on its responses are expected."""
        self.clients[machine.key] = machine
        if machine.flow.reliable:
            self._members(machine.flow).clients.add(machine)

    def remove_client(self, machine: ClientMachine) -> None:
        """It is over; no error where it was removed before."""
        if self.clients.pop(machine.key, None) is None or not machine.flow.reliable:
            return
        members = self._flows[machine.flow]
        members.clients.remove(machine)
        self._leave(machine.flow, members)

    def clear(self) -> None:
        """Remove all, as if every flow was lost."""
        for flow in list(self._flows):
            self._lost(flow)
        for client in list(self.clients.values()):
            _end(client.lost)

    def _members(self, flow: Flow) -> FlowTransactions:
        members = self._flows.get(flow)
        if members is None:
            members = self._flows[flow] = FlowTransactions()
            if flow.reliable:
                members.forget = flow.on_lost(lambda: self._lost(flow))
        return members

    def _leave(self, flow: Flow, members: FlowTransactions) -> None:
        """Nothing is kept for a flow without machines: there are thousands of idle browsers."""
        if not members.servers and not members.clients:
            del self._flows[flow]
            if members.forget is not None:
                members.forget()

    def _forget_server(self, machine: ServerMachine) -> None:
        del self.servers[machine.key]
        if self.aliases.get(machine.alias) is machine:
            del self.aliases[machine.alias]

    def _lost(self, flow: Flow) -> None:
        """Every machine of the flow hears of its end, when nothing finds any of them any more."""
        members = self._flows.pop(flow)
        if members.forget is not None:
            members.forget()
        for server in members.servers:
            self._forget_server(server)
        for client in members.clients:
            del self.clients[client.key]
        for server in members.servers:
            _end(server.lost)
        for client in members.clients:
            _end(client.lost)


def _end(lost: Callable[[], None]) -> None:
    try:
        lost()
    except Exception:
        log.failure("A transaction could not bear the loss of its connection")
