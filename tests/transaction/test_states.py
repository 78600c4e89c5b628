"""Every cell of the four state tables: the machines do what `webrtcproxy.transaction.states` says."""

from __future__ import annotations

from collections.abc import Callable

from twisted.logger import LogLevel, capturedLogs

from tests.support.fakes import FakeFlow
from tests.support.messages import ack, ours, response
from tests.transaction.case import TransactionCase, state
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.sip.message import Request, Response, read
from webrtcproxy.transaction import client, server, states
from webrtcproxy.transaction.states import Machine

TIMED = {
    "Timer A": (0.4, 0.2),
    "Timer E": (0.4, 0.2),
    "Timer G": (0.4, 0.2),
    "150 ms": (0.1, 0.1),
    "3.5 s": (3.4, 0.2),
    "Timer I": (4.9, 0.2),
    "Timer K": (4.9, 0.2),
    "64*T1": (28.4, 0.2),
    "last resort": (300.1, 0.1),
}
"""Seconds until just before such an event, and for it to happen; the others take 64*T1."""

MESSAGES = {
    *("100", "1xx", "101 to 199", "2xx", "2xx to 6xx", "3xx to 6xx", "INVITE", "request", "ACK"),
    *("1xx of user", "2xx of user", "2xx to 6xx of user", "3xx to 6xx of user", "408 of user"),
}
"""Events that every state of a machine has to know, where one of them does."""

UDP_ONLY = {"Timer A", "Timer E", "Timer G", "Timer D", "Timer I", "Timer J", "Timer K"}
"""Events that a connection does not have."""

FIRE = {
    "InviteClient": {
        "Calling": {"Timer A", "Timer B", "connection lost"},
        "Proceeding": {"64*T1 after cancel", "connection lost"},
        "Completed": {"Timer D"},
        "Accepted": {"Timer M", "connection lost"},
    },
    "NonInviteClient": {
        "Trying": {"Timer E", "Timer F", "connection lost"},
        "Proceeding": {"Timer E", "Timer F", "connection lost"},
        "Completed": {"Timer K"},
    },
    "InviteServer": {
        "Proceeding": {"150 ms", "last resort", "connection lost"},
        "Completed": {"Timer G", "Timer H", "connection lost"},
        "Confirmed": {"Timer I"},
        "Accepted": {"Timer L", "connection lost"},
    },
    "NonInviteServer": {
        "Trying": {"3.5 s", "connection lost"},
        "Proceeding": {"64*T1", "connection lost"},
        "Completed": {"Timer J"},
    },
}
"""The timers that fire in each state of each machine (RFC 3261 figures 5 to 8, RFC 6026), and where a flow can end."""


class Flow(FakeFlow):
    """Notes what is sent among the actions.

    :ivar actions: what was done.
    """

    actions: list[str]

    def send(self, data: bytes) -> None:
        super().send(data)
        message = read(data)
        if isinstance(message, Response):
            self.actions.append(states.SEND_RESPONSE)
        else:
            kind = {"CANCEL": states.SEND_CANCEL, "ACK": states.SEND_ACK}
            self.actions.append(kind.get(message.method, states.SEND_REQUEST))


def possible(machine: Machine, name: str, event: str, reliable: bool) -> bool:
    """Whether there is such a cell on UDP, or on a connection."""
    if reliable:
        return name != machine.skipped and event not in UDP_ONLY
    return event != "connection lost"


class Cells(TransactionCase):
    """The tables, cell by cell."""

    def setUp(self) -> None:
        super().setUp()
        self.actions: list[str] = []

    def new_flow(self, *, reliable: bool) -> Flow:
        """A flow that notes what is sent."""
        flow = Flow.wss() if reliable else Flow.udp()
        assert isinstance(flow, Flow)
        flow.actions = self.actions
        self.flows.append(flow)
        return flow

    def cell(self, start: Callable[[bool], Client | Server], name: str, event: str, reliable: bool) -> tuple[str, ...]:
        """What the machine does in a state when something happens: its next state, and the actions."""
        self.layer.stop()
        self.renew()
        driver = start(reliable)
        driver.reach(name)
        self.assertEqual(driver.state, name)
        before, during = TIMED.get(event, (31.9, 0.2))
        if event in driver.events:
            self.actions.clear()
            driver.events[event]()
        else:
            driver.prepare(event)
            self.times(driver.flow, before)
            self.actions.clear()
            with capturedLogs() as events:
                self.times(driver.flow, during)
            if any(one["log_level"] is LogLevel.error for one in events):
                self.actions.insert(0, states.LOG_ERROR)
        return driver.state, *self.actions

    def walk(self, machine: Machine, start: Callable[[bool], Client | Server]) -> None:
        """Every cell, on UDP and on a connection."""
        for reliable in (False, True):
            for name, events in machine.cells.items():
                for event, cell in events.items():
                    if (event == "connection lost") > reliable or (
                        reliable and (name == machine.skipped or event in UDP_ONLY)
                    ):
                        continue
                    after = states.TERMINATED if reliable and cell.state == machine.skipped else cell.state
                    found = self.cell(start, name, event, reliable)
                    self.assertEqual(found, (after, *cell.actions), (machine.name, name, event, reliable))

    def test_invite_client(self) -> None:
        """Figure 5, and RFC 6026 figure 2."""
        self.walk(states.INVITE_CLIENT, lambda reliable: Client(self, "INVITE", reliable))

    def test_non_invite_client(self) -> None:
        """Figure 6."""
        self.walk(states.NON_INVITE_CLIENT, lambda reliable: Client(self, "OPTIONS", reliable))

    def test_invite_server(self) -> None:
        """Figure 7, and RFC 6026 figure 1."""
        self.walk(states.INVITE_SERVER, lambda reliable: Server(self, "INVITE", reliable))

    def test_non_invite_server(self) -> None:
        """Figure 8, and RFC 4320."""
        self.walk(states.NON_INVITE_SERVER, lambda reliable: Server(self, "OPTIONS", reliable))

    def test_complete(self) -> None:
        """The tables have every state of the machines but Terminated, every state knows each message, and each table
        has the name of a class."""
        clients = {one.value for one in client.ClientState}
        servers = {one.value for one in server.ServerState}
        for machines, module, names in (
            ((states.INVITE_CLIENT, states.NON_INVITE_CLIENT), client, clients),
            ((states.INVITE_SERVER, states.NON_INVITE_SERVER), server, servers),
        ):
            seen = {name for machine in machines for name in machine.cells}
            self.assertEqual(seen, names - {states.TERMINATED})
            self.assertTrue(all(hasattr(module, machine.name) for machine in machines))
        for machine in states.MACHINES:
            of_messages = set().union(*machine.cells.values()) & MESSAGES
            for name, events in machine.cells.items():
                self.assertEqual(of_messages - events.keys(), set(), (machine.name, name))

    def test_timers(self) -> None:
        """Each state has its timers, and the loss of its connection: no cell of theirs is missing or too many."""
        by_user = {"cancel", "1xx after cancel"}
        found = {
            machine.name: {name: events.keys() - MESSAGES - by_user for name, events in machine.cells.items()}
            for machine in states.MACHINES
        }
        self.assertEqual(found, FIRE)


class Client:
    """Brings a client transaction into a state, and makes something happen.

    :ivar events: what a peer, the user or the flow do.
    """

    def __init__(self, case: Cells, method: str, reliable: bool) -> None:
        self.flow = case.new_flow(reliable=reliable)
        self.case = case
        made = ours(method)
        done = case.actions.append
        self.transaction = case.layer.request(
            made,
            self.flow,
            on_provisional=lambda message: done(states.PROVISIONAL),
            on_answer=lambda message: done(states.PROVISIONAL),
        )
        self.transaction.final.addCallbacks(
            lambda message: done(states.FINAL),
            lambda failure: done({TimedOut: states.TIMED_OUT, FlowLost: states.FLOW_LOST}[failure.type]),
        )
        self.events: dict[str, Callable[[], object]] = {
            "100": lambda: self.answer(100),
            "1xx": lambda: self.answer(183),
            "101 to 199": lambda: self.answer(180),
            "2xx": lambda: self.answer(200),
            "2xx to 6xx": lambda: self.answer(404),
            "3xx to 6xx": lambda: self.answer(486),
            "cancel": self.transaction.cancel,
            "1xx after cancel": self.ring_after_cancel,
            "connection lost": self.flow.lose,
        }

    @property
    def state(self) -> str:
        """The state."""
        return state(self.transaction)

    def answer(self, status: int) -> None:
        """A response arrives."""
        self.case.receive(response(self.transaction.request, status), self.flow)

    def ring_after_cancel(self) -> None:
        """The user has cancelled; then the first provisional response arrives."""
        self.transaction.cancel()
        self.case.actions.clear()
        self.answer(180)

    def reach(self, name: str) -> None:
        """Go there."""
        for status in {"Proceeding": [100], "Completed": [486], "Accepted": [200]}.get(name, []):
            self.answer(status)

    def prepare(self, event: str) -> None:
        """What goes before the time."""
        if event == "64*T1 after cancel":
            self.transaction.cancel()


class Server:
    """The same for a server transaction."""

    def __init__(self, case: Cells, method: str, reliable: bool) -> None:
        self.flow = case.new_flow(reliable=reliable)
        self.case = case
        self.request, self.transaction = case.arrive(method, self.flow)
        case.user.on_ack = lambda ack: case.actions.append(states.TO_USER)
        reply = self.transaction.reply
        self.events: dict[str, Callable[[], object]] = {
            method if method == "INVITE" else "request": lambda: case.receive(self.request, self.flow),
            "ACK": lambda: case.receive(self.acknowledge(), self.flow),
            "1xx of user": lambda: reply(180),
            "2xx of user": lambda: reply(200),
            "2xx to 6xx of user": lambda: reply(404),
            "3xx to 6xx of user": lambda: reply(486),
            "408 of user": lambda: reply(408),
            "connection lost": self.flow.lose,
        }

    @property
    def state(self) -> str:
        """The state."""
        return state(self.transaction)

    def acknowledge(self) -> Request:
        """The ACK of the last response."""
        return ack(self.request, response(self.request, 486, to_tag=self.transaction.to_tag))

    def reach(self, name: str) -> None:
        """Go there."""
        invite = self.request.method == "INVITE"
        if name == "Proceeding" and not invite:
            self.case.clock.advance(3.5)
        elif name in ("Completed", "Confirmed"):
            self.transaction.reply(486 if invite else 200)
        elif name == "Accepted":
            self.transaction.reply(200)
        if name == "Confirmed":
            self.case.receive(self.acknowledge(), self.flow)

    def prepare(self, event: str) -> None:
        """Nothing goes before."""
