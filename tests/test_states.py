"""docs/states.rst: each cell of its tables is what the code does."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from tests.support.messages import ack, response
from tests.transaction.case import ClientCase, TransactionCase, state
from webrtcproxy.call.states import TRANSITIONS as CALL
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.server import ServerTransaction

PAGE = Path(__file__).parents[1] / "docs" / "states.rst"
NEVER = "--"

Table = dict[tuple[str, str], str]


def table(title: str) -> Table:
    """The table below a title: what follows on each event (column) in each state (row)."""
    text = PAGE.read_text()
    section = text[text.index(f"\n{title}\n{'-' * len(title)}\n") :]
    rule, head, _, body = re.findall(r"(?ms)^(=[= ]+)\n(.+?)\n(=[= ]+)\n(.+?)\n=[= ]+$", section)[0]
    starts = [match.start() for match in re.finditer(r"=+", rule)] + [None]
    columns = [slice(*pair) for pair in pairwise(starts)]
    events = [head[column].strip() for column in columns[1:]]
    rows = [[line[column].strip() for column in columns] for line in body.splitlines()]
    return {(row[0], event): cell for row in rows for event, cell in zip(events, row[1:], strict=True)}


class PageTests(SynchronousTestCase):
    """How the page is read."""

    def test_table(self) -> None:
        """A cell is found by its row and column, and no cell is empty."""
        cells = table("Client transaction of an INVITE")
        self.assertEqual(cells["Calling", "3xx to 6xx"], "Completed")
        self.assertEqual(len(cells), 4 * 5)
        self.assertTrue(all(cells.values()))


class Client(ClientCase):
    """Client transactions: the events are responses, time, and the loss of the connection."""

    title = "Client transaction of an INVITE"
    reach: ClassVar[dict[str, list[int]]] = {"Calling": [], "Proceeding": [180], "Completed": [486], "Accepted": [200]}
    timer = 33.0

    def test_cells(self) -> None:
        """Each event in each state leads where the page says."""
        for (before, event), after in table(self.title).items():
            if after == NEVER:
                continue
            flow = self.flow(reliable=event == "connection lost")
            transaction = self.send(flow)
            for status in self.reach[before]:
                self.answer(status, flow)
            self.assertEqual(state(transaction), before)
            events: dict[str, Callable[[], object]] = {
                "1xx": partial(self.answer, 183, flow),
                "2xx": partial(self.answer, 200, flow),
                "3xx to 6xx": partial(self.answer, 486, flow),
                "timer": partial(self.clock.advance, self.timer),
                "connection lost": flow.lose,
            }
            events[event]()
            self.assertEqual(state(transaction), after, (before, event))
            self.answer(487, flow)


class NonInviteClient(Client):
    """The same for a request that is no INVITE."""

    method = "OPTIONS"
    title = "Client transaction of any other request"
    reach: ClassVar[dict[str, list[int]]] = {"Trying": [], "Proceeding": [180], "Completed": [200]}


class Server(TransactionCase):
    """Server transactions: the events are responses of the user, ACK, time, and the loss of the connection."""

    method = "INVITE"
    title = "Server transaction of an INVITE"
    timer = 33.0

    def reach(self, transaction: ServerTransaction, before: str, acknowledge: Callable[[], object]) -> None:
        """Bring a new transaction into a state."""
        if before in ("Completed", "Confirmed"):
            transaction.reply(486)
        if before == "Confirmed":
            acknowledge()
        if before == "Accepted":
            transaction.reply(200)

    def acknowledge(self, asked: Request, transaction: ServerTransaction, flow: FakeFlow) -> None:
        """The ACK of a final response other than 2xx arrives."""
        final = response(asked, 486, to_tag=transaction.to_tag)
        self.receive(ack(asked, final, branch=asked.via.branch), flow)

    def test_cells(self) -> None:
        """Each event in each state leads where the page says."""
        for (before, event), after in table(self.title).items():
            if after == NEVER:
                continue
            flow = self.flow(reliable=event == "connection lost")
            asked, transaction = self.arrive(self.method, flow)
            acknowledge = partial(self.acknowledge, asked, transaction, flow)
            self.reach(transaction, before, acknowledge)
            self.assertEqual(state(transaction), before)
            events: dict[str, Callable[[], object]] = {
                "1xx": partial(transaction.reply, 183),
                "2xx": partial(transaction.reply, 200),
                "3xx to 6xx": partial(transaction.reply, 486),
                "ACK": acknowledge,
                "timer": partial(self.clock.advance, self.timer),
                "connection lost": flow.lose,
            }
            events[event]()
            self.assertEqual(state(transaction), after, (before, event))
            transaction.reply(500)


class NonInviteServer(Server):
    """The same for a request that is no INVITE."""

    method = "OPTIONS"
    title = "Server transaction of any other request"

    def reach(self, transaction: ServerTransaction, before: str, acknowledge: Callable[[], object]) -> None:
        if before == "Proceeding":
            self.clock.advance(3.5)
        if before == "Completed":
            transaction.reply(200)


class CallTests(SynchronousTestCase):
    """The states of a call."""

    def test_cells(self) -> None:
        """The page has the table of call/states.py."""
        found = {(before.value, event.value): after.value for (before, event), after in CALL.items()}
        self.assertEqual(table("Call"), found)
