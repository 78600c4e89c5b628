"""Imports point down only: the referee reads them from the sources."""

import ast
import re
import sys
from collections.abc import Iterator
from configparser import RawConfigParser
from pathlib import Path
from typing import NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.packages import DISTRIBUTIONS

ROOT = Path(__file__).parents[1]
LEAVES = {"config", "runtime"}
BELOW_ROUTING = {"access", "users", "sip", "transaction", "media", "transport.flow", *LEAVES}
MAY_IMPORT = {
    "sip": set(),
    "config": {"sip.errors", "sip.telephone", "sip.uri"},
    "runtime": set(),
    "transport": {"sip", *LEAVES},
    "transaction": {"sip", "transport.flow", *LEAVES},
    "media": {"sip", *LEAVES},
    "users": {"sip", *LEAVES},
    "access": {"users", "sip", "transport.flow", *LEAVES},
    "routing": BELOW_ROUTING,
    "registration": {"routing", *BELOW_ROUTING},
    "dialog": {"registration", "routing", *BELOW_ROUTING},
    "session": {"dialog", "registration", "routing", *BELOW_ROUTING},
    "invite": {"session", "dialog", "registration", "routing", *BELOW_ROUTING},
    "transfer": {"invite", "session", "dialog", "registration", "routing", *BELOW_ROUTING},
    "subscription": {"invite", "session", "dialog", "registration", "routing", *BELOW_ROUTING},
    "call": {
        "transfer",
        "subscription",
        "invite",
        "session",
        "dialog",
        "registration",
        "routing",
        *BELOW_ROUTING,
    },
    "admin": {
        "call",
        "access",
        "users",
        "subscription",
        "registration",
        "media",
        "transaction",
        "transport.certificate",
        "transport.connection",
        "transport.flow",
        "transport.wss",
        *LEAVES,
    },
    "demo": {"sip", "transport", "transaction", *LEAVES},
    "cluster": {"access", "sip", "transport", "transaction.match", "registration", "dialog.referred", *LEAVES},
    "standalone": {"transport", "access", "registration", "dialog", *LEAVES},
    "proxy": {
        "standalone",
        "sip",
        "transport",
        "transaction",
        "media",
        "users",
        "access",
        "routing",
        "registration",
        "dialog",
        "subscription",
        "call",
        "admin",
        "cluster",
        *LEAVES,
    },
    "self_signed": {"demo", *LEAVES},
    "preflight": {"self_signed", "access", "users", "transport", *LEAVES},
    "service": {
        "preflight",
        "access",
        "proxy",
        "standalone",
        "users",
        "transport",
        "admin",
        "demo",
        "cluster",
        *LEAVES,
    },
    "command": {"users", *LEAVES},
    "tap": {"service", "packages"},
    "__main__": {"command", "packages"},
    "packages": set(),
}
"""Each part of the package and the parts of the package that it may import, beside itself."""

BASE_OF_TRANSPORT = ("flow", "source", "local", "connection", "tls", "certificate")
"""The files of transport/ itself, each of which imports those before it only."""
FOLDERS_OF_TRANSPORT = ("dns", "sip", "wss")
"""Its folders, which may import all of these, and not one another."""

SOCKETS = {
    "asyncio",
    "autobahn",
    "select",
    "socket",
    "twisted.internet.endpoints",
    "twisted.internet.protocol",
    "twisted.internet.ssl",
    "twisted.names",
    "twisted.web",
}
CLOCK_AND_LOG = {"asyncio", "logging", "sched", "select", "socket", "threading", "time"}
ABOVE_THE_FLOW = (
    "transaction", "access", "routing", "registration", "dialog", "session", "invite", "transfer", "subscription",
    "call",
)  # fmt: skip
SDP_LINES = re.compile(r"""splitlines\(|(split|partition)\(\s*[rb]{0,2}["'](\\r\??)?\\n|["'](\\n)?[acmo]=""")
"""What cuts or writes the lines of a session description."""
NO_SDP = {
    "webrtcproxy.cluster.link": "the messages between processes",
    "webrtcproxy.config.ini": "the values of the configuration",
    "webrtcproxy.config.reference": "docstrings",
    "webrtcproxy.runtime.child_process": "what a process writes",
    "webrtcproxy.runtime.log": "tracebacks",
    "webrtcproxy.runtime.metrics": "what Prometheus reads",
    "webrtcproxy.sip.body": "the headers of a message that is quoted",
    "webrtcproxy.sip.framing": "the headers of a message",
    "webrtcproxy.sip.message": "the headers of a message",
}
"""Modules that cut lines of something else."""

MAY_NOT_IMPORT = {**dict.fromkeys(ABOVE_THE_FLOW, SOCKETS), "sip": CLOCK_AND_LOG}
"""Modules of others that a part must do without."""

FOR_TWISTED = {"pyopenssl", "service-identity"}
"""What Twisted needs for TLS, whether or not it is named here."""


class Import(NamedTuple):
    """One imported name, as a full dotted path."""

    line: int
    target: str


def imports(source: str, module: str, package: bool = False) -> Iterator[Import]:
    """Everything that a source imports, wherever the import stands.

    :param module: the full name of the module that it is, for relative imports.
    :param package: it is the ``__init__`` of a package.
    """
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (Import(node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                above = module.split(".")[: -node.level + package or None]
                base = ".".join([*above, base] if base else above)
            yield from (Import(node.lineno, f"{base}.{alias.name}") for alias in node.names)


def within(target: str, names: set[str]) -> bool:
    """True where `target` is one of `names` or inside one of them."""
    return any(target == name or target.startswith(name + ".") for name in names)


def part_of(module: str) -> str:
    """The folder or file of the package that `module` belongs to; empty for the package itself."""
    return module.partition(".")[2].partition(".")[0]


def complaint(module: str, target: str) -> str:
    """Why `module` may not import `target`; empty where it may."""
    part = part_of(module)
    if within(target, {"twisted.internet.reactor"}) and module != "webrtcproxy.service":
        return "the reactor is imported in service.py only, everybody else is given it"
    if within(target, MAY_NOT_IMPORT.get(part, set())):
        return f"{part}/ does without it"
    if part == "sip" and target.split(".")[0] not in {*sys.stdlib_module_names, "webrtcproxy"}:
        return "sip/ stands on the standard library only"
    if not target.startswith("webrtcproxy."):
        return ""
    inside = target.removeprefix("webrtcproxy.")
    if part == "transport" and within(inside, {"transport"}):
        return "" if inside.split(".")[1] in below_in_transport(module) else "no arrow points there within transport/"
    if inside.startswith("__") or within(inside, {part}) or within(inside, MAY_IMPORT.get(part, set())):
        return ""
    return f"no arrow points from {part} to it"


def below_in_transport(module: str) -> set[str]:
    """The files and folders of transport/ that one of its modules may import."""
    name = module.split(".")[2]
    if name in FOLDERS_OF_TRANSPORT:
        return {name, *BASE_OF_TRANSPORT}
    return set(BASE_OF_TRANSPORT[: BASE_OF_TRANSPORT.index(name)])


def modules(folder: str) -> Iterator[tuple[Path, str]]:
    """The sources below a folder of the project with their full module names."""
    for path in sorted((ROOT / folder).rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        if "node_modules" not in parts:
            yield path, ".".join(parts).removesuffix(".__init__")


def circles(imported: dict[str, set[str]]) -> list[str]:
    """The modules that import themselves by way of others.

    :param imported: each module and those that it imports.
    """

    def reachable(module: str) -> set[str]:
        found: set[str] = set()
        left = [module]
        while left:
            new = imported[left.pop()] - found
            found |= new
            left += new
        return found

    return sorted(module for module in imported if module in reachable(module))


def imported_modules(folder: str) -> dict[str, set[str]]:
    """The modules of a folder, and those of them that each imports, if only for its types."""
    sources = {module: path for path, module in modules(folder)}
    found: dict[str, set[str]] = {}
    for module, path in sources.items():
        targets = {target for _line, target in imports(path.read_text(), module, path.name == "__init__.py")}
        named = {target if target in sources else target.rpartition(".")[0] for target in targets}
        found[module] = (named & sources.keys()) - {module, "webrtcproxy"}
    return found


class LayersTests(SynchronousTestCase):
    """The package as it is."""

    def test_no_circle(self) -> None:
        """No module imports itself by way of others, if only for its types."""
        self.assertEqual(circles(imported_modules("webrtcproxy")), [])

    def test_every_import_points_down(self) -> None:
        """No module imports from a layer above it, nor what its layer does without."""
        complaints = [
            f"{path.relative_to(ROOT)}:{line}: {target}: {why}"
            for folder in ("webrtcproxy", "twisted")
            for path, module in modules(folder)
            for line, target in imports(path.read_text(), module, path.name == "__init__.py")
            if (why := complaint(module, target))
        ]
        self.assertEqual(complaints, [])

    def test_sdp_in_one_place(self) -> None:
        """Nobody but sip/sdp cuts or writes lines of session descriptions (RFC 8866)."""
        found = {
            module
            for path, module in modules("webrtcproxy")
            if SDP_LINES.search(path.read_text()) and not module.startswith("webrtcproxy.sip.sdp.")
        }
        self.assertEqual(found, set(NO_SDP))

    def test_every_part_has_a_rule(self) -> None:
        """A new folder or file of the package needs its place among the layers."""
        parts = {part_of(module) for _path, module in modules("webrtcproxy")}
        self.assertEqual(parts - {""} - set(MAY_IMPORT), set())

    def test_dependencies_are_declared(self) -> None:
        """Whatever the package imports stands in install_requires of setup.cfg, and nothing else does."""
        setup = RawConfigParser()
        setup.read(ROOT / "setup.cfg")
        names = re.findall(r"(?m)^[\w.-]+", setup["options"]["install_requires"])
        declared = {name.lower().replace("_", "-") for name in names}
        tops = {
            target.split(".")[0]
            for path, module in modules("webrtcproxy")
            for _line, target in imports(path.read_text(), module)
        }
        used = {DISTRIBUTIONS.get(top, top) for top in tops - sys.stdlib_module_names - {"webrtcproxy"}}
        self.assertEqual(declared - FOR_TWISTED, used - FOR_TWISTED)


class RefereeTests(SynchronousTestCase):
    """The referee sees what it shall see."""

    def complaints(self, module: str, source: str) -> list[str]:
        found = [(target, complaint(module, target)) for _line, target in imports(source, module)]
        return [target for target, why in found if why]

    def test_circles(self) -> None:
        """A circle of two or of three modules is found; what only leads to one is not in it."""
        self.assertEqual(circles({"a": {"b"}, "b": {"c"}, "c": set()}), [])
        self.assertEqual(circles({"a": {"b"}, "b": {"a"}, "c": {"a"}}), ["a", "b"])
        self.assertEqual(circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": set()}), ["a", "b", "c"])

    def test_sdp_lines(self) -> None:
        """What cuts or writes lines of a description is seen, in octets or text; parameters and media types are not."""
        for source in (
            "sdp.splitlines()",
            'sdp.split(b"\\r\\n")',
            "sdp.rsplit('\\n', 1)",
            're.split(rb"\\r?\\n", sdp)',
            'sdp.partition(b"\\n")',
            'line.startswith(b"m=")',
            "b'a=mid:'",
            'sdp.count(b"\\nm=")',
            'f"o={user}"',
        ):
            self.assertTrue(SDP_LINES.search(source), source)
        for source in ('"application/sdp"', '";q="', '"lr=on"', "a = 1", 'print("am=")', "line.split(b' ')"):
            self.assertFalse(SDP_LINES.search(source), source)

    def test_upward(self) -> None:
        """An arrow upward is found, absolute or relative, at the top or within a function."""
        for source in (
            "import webrtcproxy.call.router",
            "from webrtcproxy.call import router",
            "from webrtcproxy import call",
            "from ..call.router import Router",
            "from .. import call",
            "def f():\n    from webrtcproxy.call.router import Router",
            "if TYPE_CHECKING:\n    from webrtcproxy.call.router import Router",
        ):
            self.assertEqual(len(self.complaints("webrtcproxy.transaction.layer", source)), 1, source)

    def test_flow_only(self) -> None:
        """Transactions and calls see the interface of flows, and no socket."""
        for module in ("webrtcproxy.transaction.layer", "webrtcproxy.call.router"):
            self.assertEqual(self.complaints(module, "from webrtcproxy.transport.flow import Flow"), [])
            self.assertEqual(self.complaints(module, "from ..transport.flow import Flow"), [])
            for source in (
                "from webrtcproxy.transport.sip.udp import Udp",
                "from webrtcproxy.transport.sip import udp",
                "from twisted.internet.protocol import DatagramProtocol",
                "import socket",
                "from autobahn.twisted.websocket import WebSocketServerProtocol",
            ):
                self.assertEqual(len(self.complaints(module, source)), 1, source)

    def test_within_transport(self) -> None:
        """The folders of transport/ stand beside each other, on its files, which have an order."""
        for module, source, wrong in (
            ("wss.server", "from webrtcproxy.transport.sip.tcp import TcpFlow", True),
            ("sip.tcp", "from webrtcproxy.transport.wss.server import WebSocketServer", True),
            ("dns.locate", "from webrtcproxy.transport import wss", True),
            ("flow", "from webrtcproxy.transport.source import address_of", True),
            ("connection", "from webrtcproxy.transport.sip.tcp import TcpFlow", True),
            ("source", "from webrtcproxy.transport.flow import Flow", False),
            ("wss.server", "from webrtcproxy.transport.certificate import server_endpoint", False),
            ("wss.server", "from webrtcproxy.transport.wss.site import answer", False),
        ):
            self.assertEqual(bool(self.complaints(f"webrtcproxy.transport.{module}", source)), wrong, (module, source))

    def test_sip_stands_alone(self) -> None:
        """sip/ has no Twisted, no clock, no log, not even one of our leaves."""
        for source in (
            "from twisted.logger import Logger",
            "import time",
            "import logging",
            "from webrtcproxy.runtime.errors import Refusal",
        ):
            self.assertEqual(len(self.complaints("webrtcproxy.sip.message", source)), 1, source)
        self.assertEqual(self.complaints("webrtcproxy.sip.message", "import re\nfrom .uri import Uri"), [])

    def test_reactor(self) -> None:
        """The reactor is imported in service.py only, in whatever spelling."""
        for source in ("from twisted.internet import reactor", "import twisted.internet.reactor"):
            self.assertEqual(self.complaints("webrtcproxy.service", source), [])
            self.assertEqual(len(self.complaints("webrtcproxy.transport.sip.udp", source)), 1, source)

    def test_nobody_imports_the_service(self) -> None:
        """The service knows all and is known by none, but for what twistd loads."""
        for part in MAY_IMPORT.keys() - {"service", "tap"}:
            self.assertEqual(len(self.complaints(f"webrtcproxy.{part}.x", "from webrtcproxy import service")), 1, part)
