"""The service module beside its wiring: the level of the log, and what /health tells."""

from types import SimpleNamespace

from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher, formatEvent
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.exposition import samples
from webrtcproxy.log import LogLevelLimit, Printable
from webrtcproxy.metrics import Metrics
from webrtcproxy.service import health, watch


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
            limit = LogLevelLimit(level, self.publisher, self.clock)
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
        limit = LogLevelLimit("error", self.publisher, self.clock)
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


class SomeCalls:
    """Two calls."""

    def __init__(self, draining: bool) -> None:
        self.draining = draining

    def __len__(self) -> int:
        return 2


class HealthTests(SynchronousTestCase):
    """Calls can be taken while an rtpengine answers."""

    def healthy(self, *nodes: tuple[bool, int], draining: bool = False) -> tuple[object, object]:
        """Of nodes that count as alive and have answered so many times."""
        media = SimpleNamespace(nodes=[SimpleNamespace(alive=alive, answered=times) for alive, times in nodes])
        state = health(media, SomeCalls(draining), SimpleNamespace(connections=3), [1])  # type: ignore[arg-type]
        self.assertEqual((state["calls"], state["sockets"], state["bindings"]), (2, 3, 1))
        return state["healthy"], state["rtpengine"]

    def test_one_is_enough(self) -> None:
        """One that answers, beside others."""
        self.assertEqual(self.healthy((True, 5), (False, 9)), (True, "1 of 2"))

    def test_draining(self) -> None:
        """A proxy that ends takes no calls: a load balancer is to send them elsewhere."""
        self.assertEqual(self.healthy((True, 5), draining=True), (False, "1 of 1"))

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
