"""What an object keeps to itself is used by its class only, and what a library does not promise in one module only: the
referee reads it from the sources."""

import ast
import importlib
from collections.abc import Iterator
from pathlib import Path
from types import FunctionType

from twisted.logger import LogPublisher
from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parents[1]
ALLOWED = "webrtcproxy.runtime.internals"
"""The module that may."""

OF_TUPLES = {"_asdict", "_fields", "_make", "_replace"}
"""What a named tuple promises, though it begins with an underscore."""

SELF = {"self", "cls"}


def is_private(name: str) -> bool:
    """Whether a name is one that its owner keeps to itself."""
    return name.startswith("_") and not (name.startswith("__") and name.endswith("__"))


def is_own(node: ast.expr) -> bool:
    """Whether an attribute of `node` is one of the class that the code stands in."""
    called = node.func if isinstance(node, ast.Call) else None
    return (isinstance(node, ast.Name) and node.id in SELF) or (isinstance(called, ast.Name) and called.id == "super")


def defined(tree: ast.AST) -> set[str]:
    """The private names that a source defines: classes, functions, attributes of its own objects, slots."""
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store) and is_own(node.value):
            names.add(node.attr)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
    return {name for name in names if is_private(name)}


def foreign(tree: ast.AST, own: frozenset[str] = frozenset()) -> Iterator[tuple[int, str]]:
    """The private names of other objects that a source reads, sets, or imports: line and name.

    :param own: the private names that the class defines in which it stands: its methods may use them on another object
        of the class.
    """
    for node in ast.iter_child_nodes(tree):
        yield from foreign(node, frozenset(defined(node)) if isinstance(node, ast.ClassDef) else own)
        if isinstance(node, ast.Attribute) and is_private(node.attr) and not is_own(node.value):
            if node.attr not in own | OF_TUPLES:
                yield node.lineno, node.attr
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            if node.func.id in ("getattr", "setattr", "hasattr", "delattr"):
                name = node.args[1]
                if isinstance(name, ast.Constant) and is_private(str(name.value)) and name.value not in own:
                    yield node.lineno, str(name.value)
        elif isinstance(node, ast.ImportFrom) and not (node.level or (node.module or "").startswith("webrtcproxy")):
            parts = [*(node.module or "").split("."), *(alias.name for alias in node.names)]
            yield from ((node.lineno, part) for part in parts if is_private(part))


def inherited(kind: type) -> set[str]:
    """The private names that a class has from the libraries that its bases are of: attributes of these classes, and
    those that their methods set or read on `self`."""
    names: set[str] = set()
    for base in getattr(kind, "__mro__", ()):  # an interface of zope's has none
        if base.__module__.partition(".")[0] in ("webrtcproxy", "tests", "builtins", "typing", "abc", "enum"):
            continue
        names.update(vars(base))
        for value in vars(base).values():
            if isinstance(value, FunctionType):
                names.update(value.__code__.co_names)
    return {name for name in names if is_private(name)}


def taken(kind: type, tree: ast.ClassDef) -> set[str]:
    """The private names of libraries that a class uses or defines as its own."""
    used = {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and is_private(node.attr) and is_own(node.value)
    }
    return (used | defined(tree)) & inherited(kind)


def sources() -> Iterator[tuple[str, ast.Module]]:
    """Every module of the package: its full name, and its source as a tree."""
    for path in sorted((ROOT / "webrtcproxy").rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "node_modules" not in parts:
            yield ".".join(parts).removesuffix(".__init__"), ast.parse(path.read_text())


class PrivateTests(SynchronousTestCase):
    """The package as it is."""

    def test_between_modules(self) -> None:
        """No module imports what is private to another module of the package."""
        found = [
            f"{module}:{node.lineno}: {alias.name}"
            for module, tree in sources()
            for node in ast.walk(tree)
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
            if is_private(alias.name)
        ]
        self.assertEqual(found, [])

    def test_objects_of_others(self) -> None:
        """Nobody reads, sets or imports what is private to an object of another class, be it ours or a library's."""
        found = [
            f"{module}:{line}: {name}"
            for module, tree in sources()
            if module != ALLOWED
            for line, name in foreign(tree)
        ]
        self.assertEqual(found, [])

    def test_subclasses(self) -> None:
        """None of our classes uses, or happens to define, a private name of a class of a library that it derives
        from."""
        found = [
            f"{module}.{node.name}: {name}"
            for module, tree in sources()
            if module != ALLOWED
            for node in tree.body
            if isinstance(node, ast.ClassDef)
            for name in sorted(taken(getattr(importlib.import_module(module), node.name), node))
        ]
        self.assertEqual(found, [])


class RefereeTests(SynchronousTestCase):
    """The referee sees what it shall see."""

    def found(self, source: str) -> list[str]:
        return [name for _line, name in foreign(ast.parse(source))]

    def test_foreign(self) -> None:
        """Reading, setting, calling, in whatever spelling; and imports."""
        for source in (
            "transport._buffer",
            "self.transport._buffer.clear()",
            "transport._buffer = []",
            "del transport._buffer",
            "getattr(transport, '_buffer', None)",
            "setattr(transport, '_buffer', [])",
            "from twisted.internet import _buffer",
            "from twisted._buffer import Buffer",
            "class A:\n def f(self, other): other._buffer = b''",
            "class A:\n def f(self): return self.transport._buffer",
            "class A:\n def f(self): self._buffer = []\nclass B:\n def f(self, a): return a._buffer",
            "class A:\n def f(self): self._buffer = []\ndef f(a): return a._buffer",
        ):
            self.assertEqual(self.found(source), ["_buffer"], source)

    def test_ours(self) -> None:
        """What is ours, public or promised is no matter."""
        for source in ("self._buffer", "cls._buffer", "transport.buffer", "pair._replace(x=1)", "x.__class__"):
            self.assertEqual(self.found(source), [], source)
        for source in (
            "class A:\n def f(self, other): self._buffer = other._buffer",
            "class A:\n def _buffer(self): pass\n @classmethod\n def f(cls): cls()._buffer()",
            "class A:\n _buffer: bytes\n def f(self, other): return other._buffer",
        ):
            self.assertEqual(self.found(source), [], source)

    def test_taken(self) -> None:
        """A name of the library's class counts, whether it is read, overridden or set; one of our own does not."""

        class Library:
            """Of another module."""

            def run(self) -> None:
                self._theirs = 1

        Library.__module__ = "twisted.library"
        for source, names in (
            ("class A:\n def f(self): return self._theirs", {"_theirs"}),
            ("class A:\n def f(self): self._theirs = 2", {"_theirs"}),
            ("class A:\n def _theirs(self): pass", {"_theirs"}),
            ("class A:\n def f(self): super()._theirs()", {"_theirs"}),
            ("class A:\n _theirs = 1", {"_theirs"}),
            ("class A:\n def f(self): self._own = 1", set()),
        ):
            (node,) = ast.parse(source).body
            assert isinstance(node, ast.ClassDef)
            self.assertEqual(taken(type("A", (Library,), {}), node), names, source)

    def test_inherited(self) -> None:
        """What the methods of a real class set on their object is seen."""
        self.assertIn("_observers", inherited(LogPublisher))
