"""docs/: what the pages name is there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layers import MAY_IMPORT

ROOT = Path(__file__).parents[1]
PAGES = [*sorted((ROOT / "docs").glob("*.rst")), ROOT / "CONTRIBUTING.rst", ROOT / "README.rst"]
_LITERAL = re.compile(r"``([^`]+)``")
_FILE = re.compile(r"(?P<path>[\w./-]+\.(?:rst|sh|ini|txt|md|cfg|yaml|toml|py(?:: (?P<names>[\w.]+(?:, [\w.]+)*))?))")
_FOLDER = re.compile(r"[\w/]+/")
_TEST = re.compile(r"tests(\.\w+)+")
_CITED = re.compile(r"corners\.rst (\d): ([^;()\"]+)")
_KIND = re.compile(r"field\.rst (\w+): ([^;()\"]+)")


@cache
def defined(path: Path) -> frozenset[str]:
    """The names that a source defines: functions, classes, ``Class.method``, ``Class.attribute``, constants."""
    names = set()
    for node in ast.parse(path.read_text()).body:
        names |= _names(node)
        if isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{name}" for inner in node.body for name in _names(inner)}
    return frozenset(names)


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        return {node.name}
    if isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        return {target.id for target in targets if isinstance(target, ast.Name)}
    return set()


def located(path: str) -> Path | None:
    """The file or folder of the project that a page calls `path`: below webrtcproxy/, below docs/, or from the root."""
    return next((base / path for base in (ROOT / "webrtcproxy", ROOT, ROOT / "docs") if (base / path).exists()), None)


def wrong(text: str) -> Iterator[str]:
    """What the literals of a page name, and is not there."""
    for literal in _LITERAL.findall(text):
        literal = re.sub(r"\s+", " ", literal)
        file = _FILE.fullmatch(literal)
        if file is not None:
            path = located(file["path"].partition(":")[0])
            if literal.startswith("/"):
                continue  # of the machine, not of the project
            if path is None:
                yield literal
            elif file["names"]:
                yield from (f"{literal}: {name}" for name in file["names"].split(", ") if name not in defined(path))
        elif (_FOLDER.fullmatch(literal) and located(literal) is None) or (
            _TEST.fullmatch(literal) and not _is_test(literal)
        ):
            yield literal


def _is_test(name: str) -> bool:
    """Whether a dotted name is a folder, module, class or method of the tests."""
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        base = ROOT.joinpath(*parts[:count])
        rest = ".".join(parts[count:])
        if base.is_dir():
            return not rest
        if base.with_suffix(".py").exists():
            return not rest or rest in defined(base.with_suffix(".py"))
    return False


class PagesTests(SynchronousTestCase):
    """The pages and the tree."""

    def test_names(self) -> None:
        """Each file, folder, function and test that a page names exists."""
        self.assertEqual([], [f"{page.name}: {what}" for page in PAGES for what in wrong(page.read_text())])

    def test_referee(self) -> None:
        """What is not there is found: a file, a folder, a name in a file, a test."""
        self.assertEqual(
            list(
                wrong(
                    "``sip/uri.py`` ``sip/nothing.py`` ``nowhere/`` ``sip/uri.py: Uri.parse`` ``sip/uri.py: Uri.no``"
                    "``tests.sip.test_uri`` ``tests.sip.test_nothing`` ``tests.test_docs.PagesTests.test_names``"
                )
            ),
            ["sip/nothing.py", "nowhere/", "sip/uri.py: Uri.no: Uri.no", "tests.sip.test_nothing"],
        )

    def test_drawing(self) -> None:
        """In the drawing of the folders every import points down, and every folder of the package is in it."""
        text = (ROOT / "docs" / "architecture.rst").read_text()
        drawn = text.partition("know them. ::\n")[2].partition("\n.. list-table::")[0]
        lines = [re.findall(r"\b([a-z_]+)(?:/|\.py)(?=\s|$)", line[:40]) for line in drawn.splitlines()]
        place = {part: number for number, parts in enumerate(lines) for part in parts}
        self.assertEqual(set(place), set(MAY_IMPORT))
        beside = {"admin", "cluster", "demo"}
        wrong_way = [
            f"{part} imports {target}"
            for part, targets in MAY_IMPORT.items()
            for target in {name.partition(".")[0] for name in targets}
            if place[target] <= place[part] and part not in beside
        ]
        self.assertEqual([], wrong_way)

    def test_state_tables(self) -> None:
        """Each table of states that the program has is shown once by docs/states.rst."""
        shown = re.findall(r"(?m)^\.\. state-table:: webrtcproxy\.(\S+)$", (ROOT / "docs" / "states.rst").read_text())
        tables = [
            f"{'.'.join(path.relative_to(ROOT / 'webrtcproxy').with_suffix('').parts)}.{name}"
            for path in (ROOT / "webrtcproxy").rglob("*.py")
            for name in re.findall(r"(?m)^(TRANSITIONS|\w+(?=: Final = Machine\())", path.read_text())
        ]
        self.assertEqual(len(tables), 6)
        self.assertEqual(sorted(shown), sorted(tables))

    def test_cited_corners(self) -> None:
        """Each row of docs/corners.rst that a test cites is a row of that section."""
        text = (ROOT / "docs" / "corners.rst").read_text()
        rows: dict[str, set[str]] = {}
        for number, body in re.findall(r"(?ms)^(\d)\. [^\n]+\n-+\n(.*?)(?=^\d\. |\Z)", text):
            rows[number] = {row.strip().lower() for row in re.findall(r"(?m)^   \* - (.+)$", body)}
        missing = []
        for path in sorted((ROOT / "tests").rglob("test_*.py")):
            if "node_modules" in path.parts or path == Path(__file__):
                continue
            for number, cited in _CITED.findall(re.sub(r"\s+", " ", path.read_text())):
                name = cited.strip().lower()
                if not any(name.startswith(row) or row.startswith(name) for row in rows[number]):
                    missing.append(f"{path.relative_to(ROOT)}: {number}: {cited}")
        self.assertEqual([], missing)

    def test_cited_kinds(self) -> None:
        """Each row of docs/field.rst that a test cites is there, by that name."""
        text = (ROOT / "docs" / "field.rst").read_text()
        rows = set(re.findall(r"(?m)^   \* - ([A-Z]\d*) (.+)$", text))
        cited = [
            (kind, name.strip().removesuffix("."), path.name)
            for path in sorted((ROOT / "tests").rglob("test_*.py"))
            if "node_modules" not in path.parts and path != Path(__file__)
            for kind, name in _KIND.findall(re.sub(r"\s+", " ", path.read_text()))
        ]
        self.assertGreater(len(cited), 30)
        self.assertEqual([], [each for each in cited if each[:2] not in rows])
