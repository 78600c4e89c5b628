"""What has one owner is done by that module only: the referee reads it from the sources. Imports are checked in
tests/test_layers.py, private names in tests/test_private.py."""

from __future__ import annotations

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.test_layers import ROOT, imports, modules

PRIVATE_KEY = re.compile(rb"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY-----")
"""The first line of a private key (RFC 7468)."""
NOT_OURS = {".git", ".venv", "build", "dist", "node_modules", "run"}
"""Folders that are not part of the sources."""

SENT_IN_DIALOGS = {
    "dialog.leg": {"BYE"},
    "dialog.relay": {"request.method"},  # of the other leg; call/call.py keeps INVITE and UPDATE from it
    "dialog.reliable": {"PRACK"},
    "session.connected_line": {"UPDATE"},
    "session.refresher": {"UPDATE", "OPTIONS"},
    "session.reinvite": {"method"},  # INVITE or UPDATE
    "subscription.subscription": {"NOTIFY", "SUBSCRIBE"},
    "transfer.local": {"NOTIFY"},
    "transfer.transfer": {"request.method"},  # REFER or NOTIFY
}
"""The modules that send requests within a dialog, and the methods or what stands for them."""

READ_BROWSER = {
    "access.relayed_login": (2, "only browsers log in"),
    "access.scanners": (1, "the peer of a dialog on the SIP side may be known later"),
    "call.calls": (1, "a browser's calls have other limits than a trunk's"),
    "call.router": (8, "who may send what to whom"),
    "cluster.remote": (1, "tells another process of a flow"),
    "dialog.context": (3, "makes the profile; the metrics have a direction; whom a browser may name as its referrer"),
    "dialog.table": (1, "the peer of a connection is known by it"),
    "dialog.replaces": (4, "who may take over a dialog"),
    "invite.replaced_dialog": (1, "who may take over a dialog"),
    "invite.target_set": (1, "a browser calls a trunk or a browser, a SIP peer browsers"),
    "routing.admission": (10, "who may send what to whom"),
    "routing.peer_profile": (12, "the profile"),
    "routing.sequence": (1, "URIs are written otherwise for a browser"),
    "subscription.out_of_dialog": (2, "a browser has a limit of requests under way"),
    "subscription.subscribe": (2, "a browser has limits, and where its REFER leads is checked"),
    "transaction.table": (2, "the limits of a flow; one is called so"),
    "transfer.transfer": (1, "where a browser's REFER leads is checked"),
}
"""The modules that ask whether something is a browser, how often, and why the profile does not say it."""

IMPORT_LOCATION = {
    "cluster.cluster", "cluster.directory", "cluster.worker", "registration.local_directory", "standalone",
}  # fmt: skip
"""The modules that know how bindings are kept; all others know `ILocation` and `IDirectory`."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    """The modules of the package, named from its folder on."""
    for path, module in modules("webrtcproxy"):
        yield module.removeprefix("webrtcproxy").removeprefix("."), ast.parse(path.read_text())


def sent_methods(tree: ast.AST) -> set[str]:
    """The methods that a source gives to `send_request`, directly or by way of another function; an expression where
    it is not a constant, or where the function is stored."""
    found: set[str] = set()
    seen: set[ast.expr] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        for index, called in enumerate([node.func, *node.args]):
            if isinstance(called, ast.Attribute) and called.attr == "send_request":
                seen.add(called)
                arguments = [*node.args[index:], *(word.value for word in node.keywords if word.arg == "method")]
                method = arguments[0] if arguments else None
                found.add(str(method.value) if isinstance(method, ast.Constant) else ast.unparse(method or node))
    others = (node for node in ast.walk(tree) if isinstance(node, ast.Attribute) and node.attr == "send_request")
    return found | {ast.unparse(node) for node in others if node not in seen}


def reads_browser(tree: ast.AST) -> int:
    """How often a source reads an attribute `browser`."""
    return sum(
        (isinstance(node, ast.Attribute) and node.attr == "browser" and isinstance(node.ctx, ast.Load))
        or (isinstance(node, ast.Call) and ast.unparse(node.func) == "getattr" and "'browser'" in ast.unparse(node))
        for node in ast.walk(tree)
    )


def lists_separators(tree: ast.AST) -> bool:
    """Whether a source has a regular expression that lists the visual separators of telephone numbers."""
    texts = [node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    lists = [set(signs) for text in texts for signs in re.findall(r"\[([^]A-Za-z]*)\]", text)]
    return any(signs >= set("-.()") for signs in lists)


def answers_challenges(tree: ast.AST) -> bool:
    """Whether a source calls `answer` of an `Authentication`, whatever holds it."""
    return any(
        isinstance(node, ast.Attribute)
        and node.attr == "answer"
        and ast.unparse(node.value).lower().endswith("authentication")
        for node in ast.walk(tree)
    )


def imports_location(source: str, module: str) -> bool:
    """Whether a source imports the class `Location`, or the module that has it as a whole."""
    module_of = "webrtcproxy.registration.location"
    return any(
        target in (module_of, f"{module_of}.Location", f"{module_of}.*") for _, target in imports(source, module)
    )


def tracked() -> list[Path]:
    """The files under version control; where there is no repository, all but what is made."""
    try:
        listed = subprocess.run(("git", "ls-files", "-z"), cwd=ROOT, capture_output=True, text=True, check=False)
        names = [name for name in listed.stdout.split("\0") if name]
    except FileNotFoundError:
        names = []
    if not names:
        return [path for path in ROOT.rglob("*") if not NOT_OURS & set(path.relative_to(ROOT).parts) and path.is_file()]
    return [ROOT / name for name in names if (ROOT / name).is_file()]


class OwnersTests(SynchronousTestCase):
    """The tree as it is."""

    def test_visual_separators(self) -> None:
        """The visual separators of telephone numbers (RFC 3966 section 5.1.1) are listed in sip/telephone.py only."""
        self.assertEqual([], [module for module, tree in trees() if lists_separators(tree)])
        for pattern, lists in (("[-.() ]", True), (r"+[\\-.()/0-9]*", True), ("[A-Z.()-]", False), ("(.)[-]", False)):
            self.assertEqual(lists_separators(ast.parse(f'pattern = r"{pattern}"')), lists, pattern)

    def test_no_private_key(self) -> None:
        """No file of the project has a private key: each installation makes its own."""
        files = tracked()
        self.assertIn(ROOT / "setup.py", files)
        self.assertEqual([str(path) for path in files if PRIVATE_KEY.search(path.read_bytes())], [])

    def test_pem_is_ignored(self) -> None:
        """A key that somebody makes for trying is not taken up by accident."""
        self.assertIn("*.pem", (ROOT / ".gitignore").read_text().splitlines())

    def test_challenges(self) -> None:
        """401 and 407 are answered by `ClientRequest` only (RFC 3261 section 22)."""
        self.assertEqual([name for name, tree in trees() if answers_challenges(tree)], ["routing.client_request"])

    def test_requests_within_dialogs(self) -> None:
        """Each module sends its own methods; a re-INVITE is sent by `ReInvite` only."""
        self.assertEqual({name: sent for name, tree in trees() if (sent := sent_methods(tree))}, SENT_IN_DIALOGS)

    def test_browser_or_not(self) -> None:
        """No further code asks whether a peer is a browser: `PeerProfile` has a method for what differs."""
        counts = {name: count for name, tree in trees() if (count := reads_browser(tree))}
        more = {name: count for name, count in counts.items() if count > READ_BROWSER.get(name, (0, ""))[0]}
        self.assertEqual(more, {})
        self.assertEqual(READ_BROWSER.keys() - counts.keys(), set())

    def test_location(self) -> None:
        """How bindings are kept is known to the stores, and to what chooses one of them."""
        found = {
            module.removeprefix("webrtcproxy.")
            for path, module in modules("webrtcproxy")
            if imports_location(path.read_text(), module)
        }
        self.assertEqual(found, IMPORT_LOCATION)


class RefereeTests(SynchronousTestCase):
    """The referee sees what it shall see."""

    def test_private_key(self) -> None:
        """Keys of all kinds are found, certificates and public keys are not."""
        for kind in (b"", b"RSA ", b"EC ", b"ENCRYPTED ", b"OPENSSH "):
            self.assertTrue(PRIVATE_KEY.search(b"x\n-----BEGIN " + kind + b"PRIVATE KEY-----\n"), kind)
        for kind in (b"CERTIFICATE", b"PUBLIC KEY"):
            self.assertFalse(PRIVATE_KEY.search(b"-----BEGIN " + kind + b"-----\n"), kind)

    def test_sent_methods(self) -> None:
        """Called, handed on, or named by keyword."""
        for source, methods in (
            ("leg.send_request('INVITE', headers)", {"INVITE"}),
            ("maybeDeferred(self.leg.send_request, 'INVITE')", {"INVITE"}),
            ("leg.send_request(method='INVITE')", {"INVITE"}),
            ("leg.send_request(self.method)", {"self.method"}),
            ("send = leg.send_request", {"leg.send_request"}),
            ("leg.request('INVITE')", set()),
        ):
            self.assertEqual(sent_methods(ast.parse(source)), methods, source)

    def test_reads_browser(self) -> None:
        """Reading counts, setting does not."""
        tree = ast.parse("a.browser = b.c.browser or getattr(d, 'browser')\nbrowser = 1")
        self.assertEqual(reads_browser(tree), 2)

    def test_answers_challenges(self) -> None:
        """Whatever holds the authentication; the answer of something else is no matter."""
        for source in ("authentication.answer(x)", "self._authentication.answer(x)", "f = leg.authentication.answer"):
            self.assertTrue(answers_challenges(ast.parse(source)), source)
        self.assertFalse(answers_challenges(ast.parse("session.answer(x)")))

    def test_imports_location(self) -> None:
        """The class or its module, absolute or relative; its interface is for everybody."""
        module = "webrtcproxy.registration.relay"
        for source in (
            "from webrtcproxy.registration.location import Location",
            "from webrtcproxy.registration import location",
            "from .location import Location as Store",
            "import webrtcproxy.registration.location",
        ):
            self.assertTrue(imports_location(source, module), source)
        self.assertFalse(imports_location("from webrtcproxy.registration.location import ILocation", module))
