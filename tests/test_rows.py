"""The tables of what has to hold, tests/data/rows.txt and tests/data/field.txt: each row has its tests, and they are
there."""

from __future__ import annotations

import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from unittest import TestCase

from twisted.trial.unittest import SynchronousTestCase

TABLE = Path(__file__).parent / "data" / "rows.txt"
FIELD = Path(__file__).parent / "data" / "field.txt"
REAL = frozenset(["asterisk", "browser", "integration"])
"""The folders of tests with real parts."""
DOCS = Path(__file__).parents[1] / "docs"


def rows(table: Path = TABLE) -> Iterator[tuple[str, str, list[str], str]]:
    """Section, row, its tests, and why it has none."""
    section = row = why = ""
    tests: list[str] = []
    for line in [*table.read_text("utf-8").splitlines(), "== end"]:
        if line.startswith("#") or not line.strip():
            continue
        if line.startswith("    - "):
            why = line[6:]
        elif line.startswith("    "):
            tests.append(line.strip())
        else:
            if row:
                yield section, row, tests, why
            row, tests, why = ("", [], "") if line.startswith("==") else (line, [], "")
            section = line[3:] if line.startswith("==") else section


def corners() -> Iterator[tuple[str, str]]:
    """Section and row of docs/corners.rst, but for section 6, which is tested with the libraries themselves."""
    for title, body in re.findall(
        r"(?ms)^([1-5]\. [^\n]+)\n-+\n(.*?)(?=^\d\. |\Z)", (DOCS / "corners.rst").read_text()
    ):
        for row in re.findall(r"(?m)^   \* - (.+)$", body)[1:]:
            yield title, row


def of_the_original() -> Iterator[tuple[str, str]]:
    """Section and row of the table of features in docs/original.rst."""
    features = (DOCS / "original.rst").read_text().partition("\nFigures\n")[0]
    area = ""
    for named, case in re.findall(r"(?m)^   \* -(?: (.+))?\n     - (.+(?:\n       .+)*)$", features)[1:]:
        area = named or area
        yield f"The original: {area}", re.sub(r"\s+", " ", case).replace("``", "")


def kinds() -> Iterator[tuple[str, str]]:
    """Section and row of docs/field.rst."""
    for title, body in re.findall(r"(?ms)^([^\n]+)\n-+\n(.*?)(?=^[^\n]+\n-+$|\Z)", (DOCS / "field.rst").read_text()):
        for row in re.findall(r"(?m)^   \* - (.+)$", body)[1:]:
            yield title, row


def found(name: str) -> tuple[type[TestCase], str]:
    """The class and the method of a test, by its dotted name. Raises ImportError or AttributeError."""
    module, case, method = name.rsplit(".", 2)
    kind = getattr(import_module(module), case)
    getattr(kind, method)
    return kind, method


class RowsTests(SynchronousTestCase):
    """The table."""

    def test_every_row_is_proven(self) -> None:
        """Each row has tests, or says why it needs none; no row is there twice."""
        names = [(section, row) for section, row, _, _ in rows()]
        self.assertEqual(sorted(set(names)), sorted(names))
        self.assertEqual([], [f"{section}: {row}" for section, row, tests, why in rows() if bool(tests) == bool(why)])

    def test_rows_of_the_pages(self) -> None:
        """The rows are those of docs/original.rst and docs/corners.rst, by the same names and in the same order."""
        self.assertEqual([(section, row) for section, row, _, _ in rows()], [*of_the_original(), *corners()])

    def test_every_test_is_there(self) -> None:
        """Each test can be imported, is one that trial runs, and is not skipped or expected to fail."""
        wrong = []
        for name in {name for table in (TABLE, FIELD) for _, _, tests, _ in rows(table) for name in tests}:
            try:
                kind, method = found(name)
            except (ImportError, AttributeError) as error:
                wrong.append(f"{name}: {error}")
                continue
            if not (issubclass(kind, TestCase) and method.startswith("test")):
                wrong.append(f"{name}: nothing that trial runs")
                continue
            places = (getattr(kind, method), kind, import_module(kind.__module__))
            wrong += [f"{name}: {mark}" for mark in ("skip", "todo") if any(getattr(at, mark, None) for at in places)]
        self.assertEqual([], sorted(wrong))

    def test_the_original_is_named(self) -> None:
        """A test that proves a row about the original system cites docs/original.rst in its docstring."""
        unnamed = []
        for section, row, tests, why in rows():
            if section.startswith("The original") and not why:
                texts = [getattr(*found(name)).__doc__ or "" for name in tests]
                if not any("original.rst" in re.sub(r"\s+", " ", text) for text in texts):
                    unnamed.append(f"{section}: {row}")
        self.assertEqual([], unnamed)


class FieldTests(SynchronousTestCase):
    """The kinds of odd peers."""

    def test_rows_of_the_page(self) -> None:
        """The rows are those of docs/field.rst, by the same names and in the same order."""
        self.assertEqual([(section, row) for section, row, _, _ in rows(FIELD)], [*kinds()])

    def test_unit_and_real_part(self) -> None:
        """Each kind has a test of a unit, and one with the real parts."""
        lacking = [
            row
            for _, row, tests, why in rows(FIELD)
            if why or {name.split(".")[1] in REAL for name in tests} != {True, False}
        ]
        self.assertEqual([], lacking)

    def test_named(self) -> None:
        """A test of a kind has its name in a docstring: of the test, its class or its module."""
        unnamed = []
        for _, row, tests, _ in rows(FIELD):
            cited = f"field.rst {row.replace(' ', ': ', 1)}"
            for name in tests:
                kind, method = found(name)
                places = (getattr(kind, method), kind, import_module(kind.__module__))
                if not any(cited in re.sub(r"\s+", " ", place.__doc__ or "") for place in places):
                    unnamed.append(f"{row}: {name}")
        self.assertEqual([], unnamed)
