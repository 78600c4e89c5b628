"""The words of the program are the field's (docs/glossary.rst): none that was retired comes back."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
SOURCES = ("webrtcproxy", "tests", "bench", "etc", "docs", "twisted")
TEXTS = ("webrtcproxy", "tests", "bench", "etc", "docs", "changes")
PAGES = ("README.rst", "CONTRIBUTING.rst", "NEWS.rst")

ANYWHERE = frozenset(
    [
        "afterglow",
        "aftermath",
        "anew",
        "census",
        "entrance",
        "errand",
        "errands",
        "farewell",
        "gathering",
        "handover",
        "handovers",
        "heir",
        "heirs",
        "hesitation",
        "hunt",
        "keeper",
        "office",
        "outlives",
        "owed",
        "pairing",
        "pairings",
        "parted",
        "passage",
        "passages",
        "patience",
        "seat",
        "stock",
        "stocks",
        "teller",
    ]
)
"""Words that no identifier may have as a part."""

IN_THE_PACKAGE = ANYWHERE | frozenset(["blame", "hears", "heard", "ledger", "naps", "presence", "swap", "told"])
"""Those that no identifier of the package may have; tests of real endpoints hear, tell and see."""

CLASSES = frozenset(
    [
        "Aftermath",
        "Agreement",
        "Asker",
        "Attempt",
        "Browsers",
        "Census",
        "Child",
        "Consulted",
        "Datagrams",
        "Entrance",
        "Errand",
        "Exchange",
        "Exchanges",
        "Expiry",
        "Final",
        "FindTargets",
        "FollowingCertificate",
        "Gathered",
        "Gathering",
        "Guest",
        "Handover",
        "Heir",
        "Host",
        "Hunt",
        "Keeper",
        "Lasting",
        "Launch",
        "Ledger",
        "Legs",
        "LogLevelLimit",
        "Members",
        "Memory",
        "Missing",
        "Office",
        "Opening",
        "Orders",
        "Owner",
        "Pair",
        "Pairings",
        "Passage",
        "Passages",
        "Places",
        "PlainClient",
        "PlainServer",
        "Pressure",
        "Printable",
        "PromptServer",
        "PromptTLS",
        "Provisionals",
        "Race",
        "Record",
        "Referral",
        "Refresh",
        "Refresher",
        "Registrar",
        "Reoffer",
        "Restore",
        "Running",
        "Seat",
        "SetUp",
        "Sockets",
        "Standing",
        "State",
        "Stock",
        "Stocks",
        "Terms",
        "Told",
        "Triggered",
        "Trust",
        "TurnedAway",
        "Way",
        "Wrong",
    ]
)
"""Names that no class of the package may have."""

NAMES = frozenset(
    [
        "ASKED",
        "BAD",
        "FEW",
        "GOOD",
        "LONGEST",
        "MOST",
        "NONE",
        "SHORTEST",
        "across",
        "alias",
        "alike",
        "along",
        "ask",
        "begin_anew",
        "beside",
        "carry_out",
        "coming",
        "facts",
        "fetch",
        "give_back",
        "go_back",
        "going",
        "hand_over",
        "hops_left",
        "label",
        "large",
        "look",
        "marks",
        "mend",
        "of_answer",
        "of_invited",
        "of_notified",
        "owe",
        "owed",
        "pay",
        "prove",
        "proven",
        "restarts",
        "say_farewell",
        "settle",
        "stand_up",
        "token_for",
        "unwanted",
        "watching",
        "ways",
        "ways_of",
        "why_not",
    ]
)
"""Names that no function, parameter, variable or attribute of the package may have."""

MODULES = frozenset(
    [
        "agreement",
        "answer",
        "entrance",
        "exchange",
        "exchanges",
        "gathering",
        "handover",
        "heirs",
        "host",
        "legs",
        "marks",
        "memory",
        "opening",
        "pairing",
        "passage",
        "patience",
        "places",
        "presence",
        "referral",
        "registrar",
        "replacing",
        "restore",
        "seat",
        "secure",
        "targets",
        "trunk",
        "triggered",
        "watching",
        "ways",
    ]
)
"""Names that no module above ``sip/`` and ``transport/`` may have, but in demo/ and config/."""

PROSE = re.compile(
    r"\banew\b|\bin stock\b|\bwhose affair\b|\bnobody's affair\b|\b[Bb]ehind (?:the|a|its|that) (?:\d{3}|2xx|final)\b"
)
"""Phrases that are not said so any more."""

ALLOWED = {"is_heard"}
"""Identifiers that are as they should be: whether a request is heard at all (docs/access.rst)."""


def words(name: str) -> set[str]:
    """The words of an identifier, in lower case."""
    return {word.lower() for word in re.findall(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+", name)}


def identifiers(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """What a source names by itself: functions, classes, parameters, variables, attributes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            yield node.lineno, node.name
        elif isinstance(node, ast.arg):
            yield node.lineno, node.arg
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.attr
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.lineno, node.id


def sources(*folders: str) -> Iterator[Path]:
    """The Python files below some folders, but this one."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            if "node_modules" not in path.parts and path != Path(__file__):
                yield path


def texts() -> Iterator[Path]:
    """What is read by people: sources, pages, scripts, configuration."""
    yield from (ROOT / page for page in PAGES)
    for folder in TEXTS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix not in (".py", ".rst", ".ini", ".txt", ".sh") or "node_modules" in path.parts:
                continue
            if path != Path(__file__) and path.is_file():
                yield path


def retired(path: Path, source: str) -> Iterator[str]:
    """Retired words in the identifiers of a source."""
    inside = path.parts[0] == "webrtcproxy"
    banned = IN_THE_PACKAGE if inside else ANYWHERE
    for line, name in identifiers(ast.parse(source)):
        bad = words(name) & banned - ({"heard"} if name in ALLOWED else set())
        if bad or (inside and name.lstrip("_") in CLASSES | NAMES):
            yield f"{path}:{line}: {name}"


def twins(trees: dict[str, ast.Module]) -> Iterator[str]:
    """The names that several classes have, whether or not they begin with an underscore.

    :param trees: the sources by path.
    """
    names: dict[str, str] = {}
    for path, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                name = node.name.lstrip("_")
                if name in names:
                    yield f"{name}: {names[name]}, {path}"
                names[name] = path


class WordsTests(SynchronousTestCase):
    """The tree."""

    def test_identifiers(self) -> None:
        """No identifier has a retired word."""
        found = [
            complaint for path in sources(*SOURCES) for complaint in retired(path.relative_to(ROOT), path.read_text())
        ]
        self.assertEqual([], found)

    def test_classes_once(self) -> None:
        """No two classes of the package have one name, nor names that differ in the underscore only."""
        trees = {str(path.relative_to(ROOT)): ast.parse(path.read_text()) for path in sources("webrtcproxy")}
        self.assertEqual([], list(twins(trees)))

    def test_modules(self) -> None:
        """No module has a retired name."""
        found = [
            str(path.relative_to(ROOT))
            for path in sources("webrtcproxy")
            if path.stem in MODULES and path.parent.name not in ("demo", "config")
        ]
        self.assertEqual([], found)

    def test_prose(self) -> None:
        """No text says what is said otherwise now."""
        found = []
        paths = list(texts())
        for path in paths:
            text = re.sub(r"\s+", " ", path.read_text("utf-8", "replace"))
            found += [f"{path.relative_to(ROOT)}: {match[0]}" for match in PROSE.finditer(text)]
        self.assertEqual([], found)
        for name in (*PAGES, "docs/glossary.rst", "etc/proxy.ini", "webrtcproxy/service.py"):
            self.assertIn(ROOT / name, paths)

    def test_referee(self) -> None:
        """A retired word is found in any spelling, and not within another word."""
        source = "class SharedHeirs:\n    def take_seat(self, patience): self._office = 1\nHEIR = inheritance = 2\n"
        found = list(retired(Path("tests/x.py"), source))
        self.assertEqual(
            [line.rpartition(" ")[2] for line in found], ["SharedHeirs", "take_seat", "HEIR", "patience", "_office"]
        )
        self.assertEqual(list(retired(Path("webrtcproxy/x.py"), "class Hunt: pass")), ["webrtcproxy/x.py:1: Hunt"])
        for name in ("_owe", "pay", "ways_of"):
            source = f"def {name}(): payload = powers = 1"
            self.assertEqual(list(retired(Path("webrtcproxy/x.py"), source)), [f"webrtcproxy/x.py:1: {name}"])

    def test_twins(self) -> None:
        """Twins are found within a file and between files, private or nested; other names are not."""
        trees = {"a": ast.parse("class Branch: pass\nclass Site: pass"), "b": ast.parse("class Branches: pass")}
        self.assertEqual(list(twins(trees)), [])
        trees["c"] = ast.parse("class _Branch:\n class Site: pass\nclass Site: pass")
        self.assertEqual(list(twins(trees)), ["Branch: a, c", "Site: a, c", "Site: c, c"])
