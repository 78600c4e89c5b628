"""The service module beside its wiring: the level of the log, and what /health tells."""

import ast
from pathlib import Path
from string import Formatter
from types import SimpleNamespace

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

import webrtcproxy
from tests.support.exposition import samples
from webrtcproxy.errors import FlowLost
from webrtcproxy.metrics import Metrics
from webrtcproxy.service import LogLevelLimit, Printable, _text, health, watch
from webrtcproxy.transport.flow import Address


@implementer(ILogObserver)
class Observer:
    """Keeps the levels of the events that reach it."""

    def __init__(self) -> None:
        self.levels: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        self.levels.append(event["log_level"].name)


class LogLevelLimitTests(SynchronousTestCase):
    """`LogLevelLimit` stands between the log and the observers that twistd has set up."""

    def setUp(self) -> None:
        self.observers = (Observer(), Observer())
        self.publisher = LogPublisher(*self.observers)
        self.log = Logger(namespace="somebody", observer=self.publisher)

    def logged(self) -> list[str]:
        """Log once at each level and tell what came through to every observer."""
        for name in ("debug", "info", "warn", "error", "critical"):
            getattr(self.log, name)("x")
        first, second = (observer.levels[:] for observer in self.observers)
        self.assertEqual(first, second)
        for observer in self.observers:
            observer.levels.clear()
        return first

    def test_levels(self) -> None:
        """From the level of the configuration upward events pass, whoever logs them."""
        for level, passed in (("debug", 5), ("info", 4), ("warn", 3), ("error", 2), ("critical", 1)):
            limit = LogLevelLimit(level, self.publisher, Clock())
            limit.startService()
            self.assertEqual(self.logged(), ["debug", "info", "warn", "error", "critical"][-passed:])
            limit.stopService()

    def test_printable(self) -> None:
        """What passes is printable."""
        events: list[LogEvent] = []
        publisher = LogPublisher(events.append)  # type: ignore[arg-type]
        limit = LogLevelLimit("info", publisher, Clock())
        limit.startService()
        Logger(namespace="somebody", observer=publisher).info("{call}", call="a\x1b[31m\r\nforged")
        limit.stopService()
        self.assertEqual([formatEvent(event) for event in events], ["a\\x1b[31m\\r\\nforged"])

    def test_stopped(self) -> None:
        """When it stops, the observers are those of before, so that twistd can take its own away."""
        limit = LogLevelLimit("error", self.publisher, Clock())
        limit.startService()
        limit.stopService()
        self.assertEqual(len(self.logged()), 5)
        self.publisher.removeObserver(self.observers[0])
        self.publisher.removeObserver(self.observers[1])
        self.assertEqual(self.logged(), [])


class PrintableTests(SynchronousTestCase):
    """What a peer wrote can't act on a terminal, forge a line, or make one vanish."""

    def logged(self, **fields: object) -> str:
        events: list[LogEvent] = []
        log = Logger(namespace="somebody", observer=Printable(events.append))  # type: ignore[arg-type]
        log.info("{call}: over, {why}", **fields)
        return formatEvent(events[0])

    def test_harmless(self) -> None:
        """Text stays as it is, letters of all languages included."""
        self.assertEqual(self.logged(call="c1", why="très {bien}"), "c1: over, très {bien}")

    def test_formatted_once(self) -> None:
        """The event that observers get has the text in its format, whatever braces are in it, and all its fields."""
        events: list[LogEvent] = []
        log = Logger(namespace="somebody", observer=Printable(events.append))  # type: ignore[arg-type]
        log.info("{call}: {why}", call="c1", why="{x} {{y}} }{")
        self.assertEqual(events[0]["log_format"], "c1: {{x}} {{{{y}}}} }}{{")
        self.assertEqual(formatEvent(events[0]), "c1: {x} {{y}} }{")
        self.assertEqual((events[0]["call"], events[0]["log_namespace"]), ("c1", "somebody"))

    def test_event_is_the_loggers(self) -> None:
        """The event itself is not changed: other observers get it, too."""
        event: LogEvent = {"log_format": "{why}", "why": "x\n", "log_level": LogLevel.info}
        Printable(lambda event: None)(event)  # type: ignore[arg-type]
        self.assertEqual(event["log_format"], "{why}")

    def test_escaped(self) -> None:
        """Octets that are no UTF-8, escape sequences and line ends are written as escapes, wherever they come from."""
        text = self.logged(call="a\udcff\x1b[31m", why=ValueError("x\r\nforged"))
        self.assertEqual(text, "a\\udcff\\x1b[31m: over, x\\r\\nforged")
        text.encode("utf-8")


class TextTests(SynchronousTestCase):
    """The text of our own lines is made on a shorter way, which leads to the same."""

    def event(self, format: str, namespace: str = "webrtcproxy.call.call", **fields: object) -> LogEvent:
        """As it reaches an observer."""
        events: list[LogEvent] = []
        Logger(namespace=namespace, observer=events.append).info(format, **fields)  # type: ignore[arg-type]
        return events[0]

    def check(self, text: str, format: str, **fields: object) -> None:
        """The line is `text`, and Twisted finds the same, whoever writes it."""
        for namespace in ("webrtcproxy.call.call", "webrtcproxyd", "somebody", ""):
            event = self.event(format, namespace, **fields)
            self.assertEqual((_text(event), formatEvent(event)), (text, text), namespace)

    def test_fields(self) -> None:
        """A field as it is, its `repr`, a number with its digits, an attribute, an item."""
        self.check("c1: over", "{call}: {why}", call="c1", why="over")
        self.check(
            "c1: FlowLost('gone'), 0.125 s", "{call}: {why!r}, {x:.3f} s", call="c1", why=FlowLost("gone"), x=0.12496
        )
        self.check("192.0.2.1 b", "{peer.host} {words[1]}", peer=Address("192.0.2.1", 5060), words=["a", "b"])

    def test_braces(self) -> None:
        """Braces in a value stay as they are; those of the format are doubled there."""
        self.check("{call}: {{x}} }{ {}", "{call}: {why} {{}}", call="{call}", why="{{x}} }{")

    def test_long_way(self) -> None:
        """What Python alone can't fill in is filled in by Twisted: calls; fields that are missing are told."""
        self.check("c1: 3", "{call}: {count()}", call="c1", count=lambda: 3)
        event = self.event("{call}: {why} of {others}", call="c1", why="over")
        self.assertEqual(_text(event), formatEvent(event))
        self.assertIn("c1", _text(event))

    def test_nothing_is_raised(self) -> None:
        """Nor do a wrong format, or a value that has no text, cost the line, or an exception."""

        class Odd:
            def __repr__(self) -> str:
                raise RuntimeError

            __str__ = __repr__

        for format, value in (("{", 1), ("{}", 1), ("{0}", 1), ("{x:d}", "text"), ("{x.y}", 1), ("{x}", Odd())):
            event = self.event(format, x=value)
            self.assertEqual(_text(event), formatEvent(event), format)
            self.assertTrue(_text(event), format)

    def test_no_format(self) -> None:
        """An event without one has no text."""
        for namespace in ("webrtcproxy.service", "somebody"):
            self.assertEqual(_text({"log_namespace": namespace}), "")
            self.assertEqual(_text({"log_namespace": namespace, "log_format": None}), "")
        self.assertEqual(_text({"log_format": "{x}", "x": 1}), "1")

    def test_our_lines(self) -> None:
        """Whatever our own code logs, both ways agree about it: every format that stands in the package."""
        package = Path(webrtcproxy.__file__).parent
        formats = {
            call.args[0].value
            for file in package.rglob("*.py")
            for call in ast.walk(ast.parse(file.read_text()))
            if isinstance(call, ast.Call)
            and isinstance(call.func, ast.Attribute)
            and isinstance(call.func.value, ast.Name)
            and call.func.value.id == "log"
            and call.args
            and isinstance(call.args[0], ast.Constant)
        }
        self.assertGreater(len(formats), 40)
        for format in formats:
            names = {name for _, name, spec, _ in Formatter().parse(format) if name and not spec}
            numbers = {name for _, name, spec, _ in Formatter().parse(format) if name and spec}
            self.assertTrue(all(name.isidentifier() for name in names | numbers), format)
            fields = {**dict.fromkeys(names, "it"), **dict.fromkeys(numbers, 1.5)}
            event = self.event(format, **fields)
            self.assertEqual(_text(event), formatEvent(event))
            self.assertEqual(_text(event), format.format(**fields))


class HealthTests(SynchronousTestCase):
    """Calls can be taken while an rtpengine answers."""

    def healthy(self, *nodes: tuple[bool, int]) -> tuple[object, object]:
        """Of nodes that count as alive and have answered so many times."""
        media = SimpleNamespace(nodes=[SimpleNamespace(alive=alive, answered=times) for alive, times in nodes])
        state = health(media, [1, 2], SimpleNamespace(connections=3), [1])  # type: ignore[arg-type]
        self.assertEqual((state["calls"], state["sockets"], state["bindings"]), (2, 3, 1))
        return state["healthy"], state["rtpengine"]

    def test_one_is_enough(self) -> None:
        """One that answers, beside others."""
        self.assertEqual(self.healthy((True, 5), (False, 9)), (True, "1 of 2"))

    def test_none_has_answered(self) -> None:
        """At the start nothing is known of a node: no calls until it has answered."""
        self.assertEqual(self.healthy((True, 0)), (False, "0 of 1"))


class WatchTests(SynchronousTestCase):
    """Metrics read what there is when they are asked."""

    def test_moment(self) -> None:
        """Each number is that of the object that has it, at that moment."""

        class Calls(list[int]):
            up = 1

        metrics, calls = Metrics(), Calls([1, 2, 3])
        browsers = SimpleNamespace(connections=4)
        transactions = SimpleNamespace(servers=5, clients=6)
        watch(metrics, calls, browsers, [1, 2], transactions)  # type: ignore[arg-type]
        for there, connections in ((3, 4), (1, 7)):
            del calls[there:]
            browsers.connections = connections
            found = samples(metrics.text())
            for name, value in (
                ('active_calls{state="up"}', 1),
                ('active_calls{state="setup"}', there - 1),
                ("sockets", connections),
                ("bindings", 2),
                ('transactions{kind="server"}', 5),
                ('transactions{kind="client"}', 6),
            ):
                self.assertEqual(found[name], value, name)
