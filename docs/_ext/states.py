"""The directive ``state-table``: a table of states made of the data that the program or its tests use.

Its argument names a dictionary of (state, event) to state, or a machine of ``transaction/states.py``.
"""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from typing import ClassVar

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata


def rows(table: object) -> Iterator[tuple[str, ...]]:
    """State, event, next state, and what is done, where the table says so."""
    cells = getattr(table, "cells", None)
    if cells is not None:
        for state, events in cells.items():
            for event, cell in events.items():
                yield state, event, cell.state, ", ".join(cell.actions)
    elif isinstance(table, dict):
        order = list(type(next(iter(table))[0]))
        for (state, event), after in sorted(table.items(), key=lambda item: order.index(item[0][0])):
            yield state.value, event.value, after.value


class StateTable(SphinxDirective):
    """Stands for one table; a state is named in its first row only."""

    required_arguments = 1
    heads: ClassVar = ("State", "Event", "Next state", "What is done")

    def run(self) -> list[nodes.Node]:
        module, _, name = self.arguments[0].rpartition(".")
        found = list(rows(getattr(import_module(module), name)))
        lines = [".. list-table::", "   :header-rows: 1", ""]
        before = ""
        for row in (self.heads[: len(found[0])], *found):
            shown = row if row[0] != before else ("", *row[1:])
            before = row[0]
            lines += [f"   {'* ' if not index else '  '}- {cell}" for index, cell in enumerate(shown)]
        return self.parse_text_to_nodes("\n".join(lines))


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("state-table", StateTable)
    return {"parallel_read_safe": True}
