"""Table: all transactions, by key and by the flow that they depend on."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from twisted.logger import Logger

from webrtcproxy.sip.capabilities import KNOWN_METHODS
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Response
from webrtcproxy.transaction.client import ClientMachine
from webrtcproxy.transaction.match import Key, MergeKey, is_sent_by
from webrtcproxy.transaction.server import ServerMachine
from webrtcproxy.transport.flow import Flow

log = Logger()


@dataclass(frozen=True, slots=True)
class TransactionLimits:
    """The most server transactions that may exist at once.

    :ivar browser: unanswered requests of one WebSocket.
    :ivar flow: transactions of any other flow, including those that only absorb retransmissions (each for half a
        minute on UDP).
    :ivar total: transactions of all flows.
    """

    browser: int = 200
    flow: int = 20_000
    total: int = 50_000


class FlowTransactions:
    """The machines of one flow.

    :ivar unanswered: requests of its peer without a final response.
    :ivar unwatch: withdraws the callback for the loss of the flow.
    """

    __slots__ = ("clients", "servers", "unanswered", "unwatch")

    def __init__(self) -> None:
        self.servers: set[ServerMachine] = set()
        self.clients: set[ClientMachine] = set()
        self.unanswered = 0
        self.unwatch: Callable[[], None] | None = None


class Table:
    """The machines of one layer.

    :param limits: of server transactions.
    """

    def __init__(self, limits: TransactionLimits) -> None:
        self._limits = limits
        self.servers: dict[Key, ServerMachine] = {}
        self.by_merge_key: dict[MergeKey, ServerMachine] = {}
        self.clients: dict[tuple[str, str], ClientMachine] = {}
        self._flows: dict[Flow, FlowTransactions] = {}

    def __len__(self) -> int:
        return len(self.servers) + len(self.clients)

    def is_full(self, flow: Flow) -> bool:
        """Whether one more request from `flow` would exceed a limit."""
        limits = self._limits
        if len(self.servers) >= limits.total:
            return True
        of_flow = self._flows.get(flow)
        if of_flow is None:
            return False
        return of_flow.unanswered >= limits.browser if flow.browser else len(of_flow.servers) >= limits.flow

    def add_server(self, machine: ServerMachine) -> None:
        """Add a machine whose request is being handled."""
        self.servers[machine.key] = machine
        self.by_merge_key[machine.merge_key] = machine
        of_flow = self._transactions_of(machine.source_flow)
        of_flow.servers.add(machine)
        of_flow.unanswered += 1

    def servers_on(self, flow: Flow) -> Iterable[ServerMachine]:
        """The machines whose requests have come on a flow."""
        of_flow = self._flows.get(flow)
        return () if of_flow is None else of_flow.servers

    def answered(self, machine: ServerMachine) -> None:
        """The request of a machine has its final response."""
        of_flow = self._flows.get(machine.source_flow)
        if of_flow is not None and machine in of_flow.servers:
            of_flow.unanswered -= 1

    def remove_server(self, machine: ServerMachine) -> None:
        """Remove a terminated machine; no effect if it was removed before."""
        if self.servers.get(machine.key) is not machine:
            return
        of_flow = self._flows[machine.source_flow]
        of_flow.servers.remove(machine)
        if not machine.final_status:
            of_flow.unanswered -= 1
        self._forget_server(machine)
        self._release(machine.source_flow, of_flow)

    def client_of(self, response: Response) -> ClientMachine | None:
        """The machine that a response belongs to (RFC 3261 sections 17.1.3 and 18.1.2); None where there is none, or
        its Via or CSeq can't be read."""
        try:
            via = response.via
            machine = self.clients.get((via.branch or "", response.cseq.method))
        except BadMessage as error:
            response.headers.note(error.why)
            return None
        return machine if machine is not None and is_sent_by(via, machine.sent_by) else None

    def clients_of(self, branch: str, methods: Iterable[str] = KNOWN_METHODS) -> list[ClientMachine]:
        """The machines with this branch that expect responses, to any of these methods: one, or that of an INVITE and
        that of its CANCEL."""
        clients = self.clients
        return [clients[branch, method] for method in methods if (branch, method) in clients]

    def add_client(self, machine: ClientMachine) -> None:
        """Add a machine that expects responses."""
        self.clients[machine.key] = machine
        if machine.flow.reliable:
            self._transactions_of(machine.flow).clients.add(machine)

    def remove_client(self, machine: ClientMachine) -> None:
        """Remove a terminated machine; no effect if it was removed before."""
        if self.clients.pop(machine.key, None) is None or not machine.flow.reliable:
            return
        of_flow = self._flows[machine.flow]
        of_flow.clients.remove(machine)
        self._release(machine.flow, of_flow)

    def clear(self) -> None:
        """Remove all machines, as if every flow were lost."""
        for flow in list(self._flows):
            self._flow_lost(flow)
        for client in list(self.clients.values()):
            _end(client.flow_lost)

    def _transactions_of(self, flow: Flow) -> FlowTransactions:
        of_flow = self._flows.get(flow)
        if of_flow is None:
            of_flow = self._flows[flow] = FlowTransactions()
            if flow.reliable:
                of_flow.unwatch = flow.on_lost(lambda: self._flow_lost(flow))
        return of_flow

    def _release(self, flow: Flow, of_flow: FlowTransactions) -> None:
        """Drop the entry of a flow that has no transactions: there are thousands of idle browsers."""
        if not of_flow.servers and not of_flow.clients:
            del self._flows[flow]
            if of_flow.unwatch is not None:
                of_flow.unwatch()

    def _forget_server(self, machine: ServerMachine) -> None:
        del self.servers[machine.key]
        if self.by_merge_key.get(machine.merge_key) is machine:
            del self.by_merge_key[machine.merge_key]

    def _flow_lost(self, flow: Flow) -> None:
        """End every machine of a flow, after removing all of them from the table."""
        of_flow = self._flows.pop(flow)
        if of_flow.unwatch is not None:
            of_flow.unwatch()
        for server in of_flow.servers:
            self._forget_server(server)
        for client in of_flow.clients:
            del self.clients[client.key]
        for server in of_flow.servers:
            _end(server.flow_lost)
        for client in of_flow.clients:
            _end(client.flow_lost)


def _end(lost: Callable[[], None]) -> None:
    try:
        lost()
    except Exception:
        log.failure("A transaction failed when its connection was lost")
