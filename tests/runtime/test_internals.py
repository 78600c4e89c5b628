"""What is used of Twisted's and Autobahn's internals, and what happens where a version has them no more."""

from __future__ import annotations

import ast
import inspect
import socket
from io import StringIO
from pathlib import Path
from types import ModuleType

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol, wrapClientTLS
from twisted.internet.protocol import Protocol
from twisted.internet.ssl import Certificate, optionsForClientTLS
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import Logger, LogLevel, LogPublisher, formatEvent, globalLogPublisher, textFileLogObserver
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.tls import TlsCase
from tests.support.versions import other_version
from tests.support.wire import Recorder, Wire, frame, frames, options, upgrade
from webrtcproxy.config import WssConfig
from webrtcproxy.demo.certificate import write_certificate
from webrtcproxy.runtime import internals
from webrtcproxy.runtime.internals import GROUPS, LOG, SERVICE, TCP, TLS, WEBSOCKET, LeanWebSocket, observers_of
from webrtcproxy.runtime.log import escape_first
from webrtcproxy.runtime.shortcut import Shortcut
from webrtcproxy.transport.wss.websocket import FrameLimit

CLOSE, PING, PONG = 8, 9, 10

SHORTCUT, INTERNALS = "webrtcproxy.runtime.shortcut", "webrtcproxy.runtime.internals"
LINK = "webrtcproxy.cluster.link"
LOGGING, SERVER = "webrtcproxy.runtime.log", "webrtcproxy.transport.wss.server"

SHORTCUTS = {"TCP": TCP, "TLS": TLS, "WEBSOCKET": WEBSOCKET, "LOG": LOG, "SERVICE": SERVICE, "GROUPS": GROUPS}


def names_of(shortcut: Shortcut) -> list[str]:
    """All names that it needs."""
    return [*shortcut.attributes, *shortcut.methods]


USERS = {
    "TCP": [internals.ImmediateWriteServer, internals._send, internals.write_at_once],
    "TLS": [internals.ImmediateWriteTLS],
    "WEBSOCKET": [LeanWebSocket],
    "LOG": [internals.observers_of],
    "SERVICE": [internals.fail_at_start],
    "GROUPS": [internals.limit_groups],
}
"""What uses the names of each shortcut."""


def attributes_of(user: object) -> tuple[set[str], set[str]]:
    """The attributes that a class or function uses, and those among them that it defines itself."""
    tree = ast.parse(inspect.getsource(user))  # type: ignore[arg-type]
    used = {node.attr for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    own = {
        target.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    return used, own


class NamesTests(SynchronousTestCase):
    """The names that a shortcut checks, and those that it uses."""

    def test_agree(self) -> None:
        """Each private attribute that is used is checked, and nothing is checked that is not used."""
        for name, shortcut in SHORTCUTS.items():
            checked, used = set(names_of(shortcut)), set[str]()
            for user in USERS[name]:
                attributes, own = attributes_of(user)
                used |= attributes - (own - checked)
            private = {one for one in used if one.startswith("_") and not one.startswith("__")}
            self.assertEqual((name, private - checked), (name, set()))
            self.assertEqual((name, checked - used), (name, set()))

    def test_all_users(self) -> None:
        """No other class or function of the module uses private attributes of a library."""
        known = {user.__name__ for users in USERS.values() for user in users}
        tree = ast.parse(inspect.getsource(internals))
        own = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        others = {
            f"{node.name}: {one.attr}"
            for node in tree.body
            if isinstance(node, ast.ClassDef | ast.FunctionDef) and node.name not in known
            for one in ast.walk(node)
            if isinstance(one, ast.Attribute) and one.attr.startswith("_") and not one.attr.startswith("__")
            if one.attr not in own
        }
        self.assertEqual(others, set())


class VersionCase(SynchronousTestCase):
    """Has the log at hand."""

    def setUp(self) -> None:
        self.lines: list[str] = []
        globalLogPublisher.addObserver(self.keep)
        self.addCleanup(globalLogPublisher.removeObserver, self.keep)

    def keep(self, event: dict[str, object]) -> None:
        if event.get("log_namespace") == SHORTCUT and event.get("log_level") is LogLevel.warn:
            self.lines.append(formatEvent(event))

    def assert_said(self, name: str, shortcut: Shortcut) -> None:
        """One line says what is missing and what that costs."""
        (line,) = self.lines
        self.assertIn(name, line)
        self.assertIn(shortcut.cost, line)
        self.lines.clear()


class ShortcutTests(VersionCase):
    """What is checked."""

    class Library:
        """A class of a library."""

        fixed = 1

        def connect(self) -> None:
            self._buffer: list[bytes] = []

        def _flush(self, data: bytes, more: bool = False) -> None:
            """Takes one argument or two."""

    def test_attributes(self) -> None:
        """An attribute may be the class's or be set by one of its methods, inherited or not."""

        class Derived(self.Library):  # type: ignore[name-defined,misc]
            """Has all of it, too."""

        for kind in (self.Library, Derived):
            self.assertEqual(Shortcut(kind, ("fixed", "_buffer", "_bluff"), {}, "").missing(), ["_bluff"])

    def test_methods(self) -> None:
        """A method has to take as many arguments as it will get; an attribute is none."""
        for arguments, missing in ((0, ["_flush"]), (1, []), (2, []), (3, ["_flush"])):
            self.assertEqual(Shortcut(self.Library, (), {"_flush": arguments}, "").missing(), missing)
        self.assertEqual(Shortcut(self.Library, (), {"fixed": 0, "none": 0}, "").missing(), ["fixed", "none"])

    def test_said(self) -> None:
        """What is missing is said once, with what it costs; nothing is said where all is there."""
        self.assertTrue(Shortcut(self.Library, ("_buffer",), {}, "nothing").usable())
        self.assertEqual(self.lines, [])
        shortcut = Shortcut(self.Library, ("_bluff",), {}, "a turn more")
        self.assertFalse(shortcut.usable())
        self.assert_said("_bluff", shortcut)

    def test_installed(self) -> None:
        """The versions that are installed have everything."""
        for name, shortcut in SHORTCUTS.items():
            self.assertEqual(shortcut.missing(), [], name)
        self.assertIs(internals.WebSocket, LeanWebSocket)


class TlsVersions(VersionCase, TlsCase):
    """Versions of Twisted without one of the names that TLS on the short way needs."""

    def setUp(self) -> None:
        VersionCase.setUp(self)
        TlsCase.setUp(self)

    def test_each(self) -> None:
        """Twisted's TLS is used: messages go both ways, of any size, and the connection ends in good order."""
        for name in names_of(TLS):
            with other_version("TLS", [name]) as ours:
                self.assertFalse(ours[INTERNALS].HAS_TLS, name)
                self.assert_said(name, TLS)
                self.protocol = ours[INTERNALS].TlsProtocol
                self.assertEqual(self.protocol.__module__, "twisted.protocols.tls")
                self.start()
                self.shake()
                self.wire.deliver(self.seal(b"one", b"x" * 40_000), 1460)
                self.assertEqual(b"".join(self.app.got), b"one" + b"x" * 40_000)
                for data in (b"two", b"y" * 40_000):
                    self.app.transport.write(data)
                self.clock.advance(0)
                self.assertEqual(self.hear(), b"two" + b"y" * 40_000)
                self.client.shutdown()
                self.wire.deliver(self.pending())
                self.assertTrue(self.wire.disconnecting)


class WebSocketVersions(VersionCase):
    """Versions of Autobahn without one of the names that the lean WebSocket needs."""

    def start(self, server: ModuleType) -> None:
        """A server of that module."""
        self.reactor, self.receiver = MemoryReactorClock(), Recorder()
        config, limit = WssConfig(("tcp:8443",), max_message=1000, ping=0), FrameLimit(rate=10, burst=20)
        self.server = server.WebSocketServer(
            self.reactor, self.receiver, config, frame_limit=limit, advertise="203.0.113.7"
        )
        self.server.startService()

    def open(self) -> Wire:
        """An open WebSocket."""
        wire = Wire()
        wire.attach(self.server.site.buildProtocol(wire.getPeer()))
        wire.deliver(upgrade())
        self.assertIn(b"HTTP/1.1 101", wire.take())
        return wire

    def test_each(self) -> None:
        """Autobahn's own way is taken: messages arrive, whole, cut and in fragments, pings are answered, limits hold,
        and both sides can close."""
        for name in names_of(WEBSOCKET):
            with other_version("WEBSOCKET", [name]) as ours:
                self.assertFalse(ours[INTERNALS].HAS_WEBSOCKET, name)
                self.assert_said(name, WEBSOCKET)
                self.assertIs(ours[INTERNALS].WebSocket, ours[INTERNALS].PlainWebSocket)
                self.start(ours[SERVER])
                self.talk()
                self.limits()
                self.close()

    def talk(self) -> None:
        wire, message = self.open(), options()
        fragments = frame(message[:50], fin=False) + frame(message[50:], 0)
        for data, size in ((frame(message), 0), (frame(message), 7), (fragments, 0)):
            wire.deliver(data, size)
            (answer,) = frames(wire.take())
            self.assertIn(b" 200 ", answer.payload)
        wire.deliver(frame(b"hello", PING))
        self.assertEqual([(one.opcode, one.payload) for one in frames(wire.take())], [(PONG, b"hello")])
        wire.deliver(frame(b"\r\n\r\n"))
        self.assertEqual([one.payload for one in frames(wire.take())], [b"\r\n"])
        wire.lose()

    def limits(self) -> None:
        for data, code in (
            (frame(b"x" * 1001), 1009),
            (frame(b"\xff"), 1007),
            (frame(b"x", fin=False) + frame(b"x", 0, fin=False) * 512, 1008),
            (frame(b"\r\n") * 21, 1008),
            (frame(b"", PING) * 21, 1008),
            (frame(b"", PONG) * 21, 1008),
        ):
            wire = self.open()
            wire.deliver(data)
            last = frames(wire.take())[-1]
            self.assertEqual((last.opcode, last.code), (CLOSE, code))
            self.reactor.advance(2)
            self.assertTrue(wire.disconnecting)
            wire.settle()

    def close(self) -> None:
        wire = self.open()
        wire.deliver(frame(b"\x03\xe8", CLOSE))
        self.assertEqual(frames(wire.take())[-1].code, 1000)
        self.assertTrue(wire.disconnecting)
        wire.settle()
        wire = self.open()
        stopped = self.server.stopService()
        self.assertEqual(frames(wire.take())[-1].code, 1012)
        self.reactor.advance(2)
        self.assertTrue(wire.aborted)
        wire.settle()
        self.successResultOf(stopped)
        self.assertEqual(self.reactor.getDelayedCalls(), [])


class LogVersions(VersionCase):
    """A version of Twisted whose publisher of log events hides its observers."""

    def test_unfiltered(self) -> None:
        """The log goes on as twistd has set it up, whatever its level."""
        with other_version("LOG", names_of(LOG)) as ours:
            self.assert_said("_observers", LOG)
            events: list[object] = []
            from twisted.logger import LogPublisher

            publisher = LogPublisher(events.append)  # type: ignore[arg-type]
            limit = ours[LOGGING].LogFilter("error", publisher, Clock())
            limit.startService()
            Logger(observer=publisher).info("hello")
            limit.stopService()
            self.assertEqual(len(events), 1)

    def test_escaped(self) -> None:
        """What peers wrote is escaped all the same, on every observer that twistd adds later, and in tracebacks."""
        with other_version("LOG", names_of(LOG)) as ours:
            from twisted.logger import LogPublisher

            publisher = LogPublisher()
            ours[LOGGING].escape_first(publisher)
            files = StringIO(), StringIO()
            for file in files:
                publisher.addObserver(textFileLogObserver(file, timeFormat=None))
            limit = ours[LOGGING].LogFilter("info", publisher, Clock())
            limit.startService()
            log = Logger(namespace="webrtcproxy.call", observer=publisher)
            log.info("{call}: {why}", call="a\x1b[31m{call}", why="x\r\nforged\x07")
            log.failure("{call}: broke", Failure(ValueError("\x08\x9b {x}")), call="c\x7f")
            limit.stopService()
            for file in files:
                first, *rest = file.getvalue().replace("\t", "").split("\n")
                self.assertEqual(first, "- [webrtcproxy.call#info] a\\x1b[31m{call}: x\\r\\nforged\\x07")
                self.assertEqual(rest[0], "- [webrtcproxy.call#critical] c\\x7f: broke")
                self.assertIn("Failure: builtins.ValueError: \\x08\\x9b {x}", rest)
                self.assertTrue("".join(rest).isprintable())

    def test_not_twice(self) -> None:
        """Where the observers can be replaced, nothing is added to the publisher."""
        publisher = LogPublisher()
        escape_first(publisher)
        self.assertEqual(observers_of(publisher), ())


class ServiceVersions(VersionCase):
    """A version of Twisted whose services of endpoints can't be told to raise."""

    def test_left_alone(self) -> None:
        """The service stays as it is."""
        with other_version("SERVICE", names_of(SERVICE)) as ours:
            self.assert_said("_raiseSynchronously", SERVICE)
            service = object()
            ours[INTERNALS].fail_at_start(service)


class User:
    """Of a link: nothing interests it."""

    def frame(self, header: object, body: bytes, raw: bytes) -> None:
        """A frame."""

    def link_ended(self) -> None:
        """The end."""


class Client(Protocol):
    """Keeps what arrives."""

    def __init__(self) -> None:
        self.got = b""
        self.closed: Deferred[None] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.got += data

    def connectionLost(self, reason: object = None) -> None:
        self.closed.callback(None)


class Loopback(TestCase):
    """Real sockets, on versions without any of the names."""

    timeout = 20

    async def until(self, reached: object) -> None:
        """Wait until `reached()` is true."""
        while not reached():  # type: ignore[operator]
            await deferLater(reactor, 0.005)  # type: ignore[arg-type]

    async def talk(self, ours: dict[str, ModuleType]) -> None:
        """A WebSocket over TLS: a message, its answer, and the end of both."""
        key, certificate = write_certificate(Path(self.mktemp()).absolute(), ["localhost"])
        module = ours[SERVER]
        line = f"ssl:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        server = module.WebSocketServer(reactor, Recorder(), WssConfig((line,), ping=0))
        server.startService()
        trust = Certificate.loadPEM(certificate.read_bytes())
        plain = TCP4ClientEndpoint(reactor, "127.0.0.1", server.addresses[0].port)
        client = await connectProtocol(wrapClientTLS(optionsForClientTLS("localhost", trust), plain), Client())
        host = f"localhost:{server.addresses[0].port}"
        client.transport.write(upgrade(host=host, origin=f"https://{host}"))
        await self.until(lambda: b"\r\n\r\n" in client.got)
        self.assertIn(b"HTTP/1.1 101", client.got)
        client.got = client.got.partition(b"\r\n\r\n")[2]
        for _ in range(3):
            client.transport.write(frame(options()))
            await self.until(lambda: b"CSeq" in client.got)
            self.assertIn(b" 200 ", client.got)
            client.got = b""
        client.transport.write(frame(b"\x03\xe8", CLOSE))
        await client.closed
        await server.stopService()

    async def test_plain(self) -> None:
        """A WebSocket over TLS works without any shortcut, as it does with all of them."""
        for shortcut in ("TCP", "TLS", "WEBSOCKET"):
            with other_version(shortcut, names_of(SHORTCUTS[shortcut])) as ours:
                self.assertFalse(getattr(ours[INTERNALS], f"HAS_{shortcut}"))
                await self.talk(ours)

    async def test_link(self) -> None:
        """A link between two processes works where nothing can be written at once."""
        for name in names_of(TCP):
            with other_version("TCP", [name]) as ours:
                self.assertFalse(ours[INTERNALS].HAS_TCP)
                here, there = socket.socketpair()
                link = ours[LINK].Link(User())
                with here:
                    factory = ours[LINK].LinkFactory(lambda link=link: link)
                    reactor.adoptStreamConnection(here.fileno(), socket.AF_UNIX, factory)  # type: ignore[attr-defined]
                link.send({"do": "one"})
                there.settimeout(0)
                self.assertRaises(BlockingIOError, there.recv, 100)
                await deferLater(reactor, 0.01)  # type: ignore[arg-type]
                self.assertIn(b'{"do":"one"}', there.recv(100))
                there.close()
                await link.when_ended()
