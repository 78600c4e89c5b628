"""The life of a binding: each cell of the table in docs/states.rst."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from pathlib import Path

from tests.registration.test_location import ALICE, REGISTRAR, LocationCase
from tests.support.fakes import FakeFlow
from webrtcproxy.registration.expiry import SWEEP_INTERVAL

PAGE = Path(__file__).parents[2] / "docs" / "states.rst"
BINDING, CONTACT = 60.0, 600.0
"""Seconds for which the browser and the registrar keep what they have."""


def table() -> dict[tuple[str, str], str]:
    """The table: what follows on each event (column) in each state (row)."""
    section = PAGE.read_text().partition("\nBinding\n-------\n")[2]
    rule, head, _, body = re.findall(r"(?ms)^(=[= ]+)\n(.+?)\n(=[= ]+)\n(.+?)\n=[= ]+$", section)[0]
    columns = [slice(*pair) for pair in pairwise([*(match.start() for match in re.finditer("=+", rule)), None])]
    events = [head[column].strip() for column in columns[1:]]
    rows = [[line[column].strip() for column in columns] for line in body.splitlines()]
    return {(row[0], event): cell for row in rows for event, cell in zip(events, row[1:], strict=True)}


class BindingStates(LocationCase):
    """An address-of-record with one browser."""

    def state(self) -> str:
        """How the directory knows it; what is over is forgotten at the next sweep."""
        self.clock.pump([SWEEP_INTERVAL] * 3)
        if self.all():
            return "registered"
        return "known" if self.location.find(ALICE).known else "unknown"

    def accept(self) -> None:
        """200 to a REGISTER, by the connection that is there, or a new one."""
        if self.flow.closed:
            self.flow = FakeFlow.wss()
        self.location.bind((self.binding(self.flow, seconds=BINDING),))
        self.location.registered(ALICE, REGISTRAR, CONTACT)

    def remove(self) -> None:
        """200 to an un-REGISTER."""
        self.location.unbind(ALICE)
        self.location.registered(ALICE, REGISTRAR, 0)

    def reach(self, state: str) -> None:
        """Begin again, in a state."""
        self.location.stop()
        self.flow = FakeFlow.wss()
        if state != "unknown":
            self.accept()
        if state == "known":
            self.flow.lose()
        self.assertEqual(self.state(), state)

    def contact_over(self) -> None:
        """The registrar's time is over. A browser that is there refreshes its binding meanwhile."""
        for _ in range(int(CONTACT / BINDING) + 1):
            if self.all():
                self.location.bind((self.binding(self.flow, seconds=CONTACT),))
            self.clock.advance(BINDING)

    def test_cells(self) -> None:
        """Each event in each state leads where the page says."""
        events: dict[str, Callable[[], object]] = {
            "accepted": self.accept,
            "removed": self.remove,
            "expired": partial(self.clock.advance, BINDING),
            "connection lost": lambda: self.flow.lose(),
            "registrar's time over": self.contact_over,
        }
        cells = table()
        self.assertEqual(len(cells), 3 * len(events))
        for (before, event), after in cells.items():
            self.reach(before)
            events[event]()
            self.assertEqual(self.state(), after, (before, event))
