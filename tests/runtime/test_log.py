"""The log: which events reach the observers of twistd, in what shape, and when."""

import ast
import gc
import weakref
from pathlib import Path
from string import Formatter

from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogEvent, Logger, LogLevel, LogPublisher, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

import webrtcproxy
from webrtcproxy.runtime.batching import Batcher
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.log import (
    LONGEST_LINE,
    BatchingObserver,
    EscapedFailure,
    EscapingObserver,
    FailureLimit,
    LogFilter,
    _text,
)
from webrtcproxy.transport.flow import Address


@implementer(ILogObserver)
class Observer:
    """Keeps the levels of the events that reach it."""

    def __init__(self) -> None:
        self.levels: list[str] = []

    def __call__(self, event: LogEvent) -> None:
        self.levels.append(event["log_level"].name)


class FailureLimitTests(SynchronousTestCase):
    """A failure that repeats does not fill the disk (docs/decisions.rst)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.events: list[LogEvent] = []
        publisher = LogPublisher(self.events.append)  # type: ignore[arg-type]
        self.filter = LogFilter("info", publisher, self.clock)
        self.filter.startService()
        self.log = Logger(namespace="webrtcproxy.somewhere", observer=publisher)

    def fail(self, count: int, error: Exception | None = None, text: str = "A datagram of {host} failed") -> None:  # type: ignore[override]
        """Log as many failures of one kind."""
        for number in range(count):
            self.log.failure(text, Failure(error or ValueError("x")), host=f"192.0.2.{number}")

    def taken(self) -> tuple[int, list[str]]:
        """How many tracebacks came through since the last time, and the other lines."""
        events, self.events[:] = self.events[:], []
        with_traceback = [event for event in events if event.get("log_failure") is not None]
        return len(with_traceback), [formatEvent(event) for event in events if event not in with_traceback]

    def test_repeated(self) -> None:
        """The first five of a kind pass, whatever else is in their text; a minute later one line has the number of the
        others; then they pass again."""
        self.fail(2000)
        self.assertEqual(self.taken(), (5, []))
        self.clock.advance(60)
        self.assertEqual(self.taken(), (0, ["1995 more of these within 60 seconds: A datagram of 192.0.2.0 failed"]))
        self.fail(1)
        self.assertEqual(self.taken(), (1, []))
        self.clock.advance(60)
        self.assertEqual(self.taken(), (0, []))

    def test_kinds(self) -> None:
        """Failures with another exception, or from another line of the program, are of another kind; what is no failure
        always passes."""
        self.fail(9)
        self.fail(9, KeyError("y"))
        self.fail(9, text="Something else failed")
        self.assertEqual(self.taken(), (15, []))
        for _ in range(9):
            self.log.error("No failure")
        self.assertEqual(self.taken(), (0, ["No failure"] * 9))

    def test_bounded(self) -> None:
        """So many kinds are known, and no more are kept: failures of others are dropped."""
        for number in range(FailureLimit.KINDS + 10):
            self.fail(1, text=f"Number {number} failed")
        self.assertEqual(self.taken(), (FailureLimit.KINDS, []))

    def test_nothing_kept(self) -> None:
        """What the traceback of a failure refers to is not kept for the period."""

        class Large:
            """Stands for a call and all that belongs to it."""

        error = ValueError(Large())
        kept = weakref.ref(error.args[0])
        self.fail(7, error)
        self.taken()
        del error
        gc.collect()
        self.assertIsNone(kept())

    def test_end(self) -> None:
        """What has not passed is told when the log ends; no timer is left."""
        self.fail(7)
        self.filter.stopService()
        tracebacks, lines = self.taken()
        self.assertEqual((tracebacks, len(lines)), (5, 1))
        self.assertEqual(self.clock.getDelayedCalls(), [])


class LogLevelLimitTests(SynchronousTestCase):
    """`LogFilter` stands between the log and the observers that twistd has set up."""

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
            limit = LogFilter(level, self.publisher, Clock())
            limit.startService()
            self.assertEqual(self.logged(), ["debug", "info", "warn", "error", "critical"][-passed:])
            limit.stopService()

    def test_printable(self) -> None:
        """What passes is printable."""
        events: list[LogEvent] = []
        publisher = LogPublisher(events.append)  # type: ignore[arg-type]
        limit = LogFilter("info", publisher, Clock())
        limit.startService()
        Logger(namespace="somebody", observer=publisher).info("{call}", call="a\x1b[31m\r\nforged")
        limit.stopService()
        self.assertEqual([formatEvent(event) for event in events], ["a\\x1b[31m\\r\\nforged"])

    def test_last_lines(self) -> None:
        """What waits when it stops is written before."""
        limit = LogFilter("info", self.publisher, Clock())
        limit.startService()
        for _ in range(3):
            self.log.info("x")
        self.assertEqual(self.observers[0].levels, ["info"])
        limit.stopService()
        self.assertEqual(self.observers[0].levels, ["info"] * 3)

    def test_observer_fails(self) -> None:
        """An observer that fails, as on a full disk, is asked once for each line, and the others are told of it once
        for each batch; what its failure leaves in the log is no reason for another."""
        asked: list[LogEvent] = []

        def full(event: LogEvent) -> None:
            asked.append(event)
            raise OSError(28, "No space left on device")

        publisher, clock, others = LogPublisher(full), Clock(), Observer()  # type: ignore[arg-type]
        publisher.addObserver(others)
        limit = LogFilter("info", publisher, clock)
        limit.startService()
        log = Logger(observer=publisher)
        log.info("alone")
        self.assertEqual(len(asked), 1)
        for _ in range(3):
            log.info("together")
        self.assertRaises(OSError, clock.advance, Batcher.DELAY)
        clock.pump([Batcher.DELAY] * 4)
        self.assertEqual(len(asked), 4)
        self.assertEqual(others.levels, ["info", "critical", "info", "info", "info"])

    def test_stopped(self) -> None:
        """When it stops, the observers are those of before, so that twistd can take its own away."""
        limit = LogFilter("error", self.publisher, Clock())
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
        log = Logger(namespace="somebody", observer=EscapingObserver(events.append))  # type: ignore[arg-type]
        log.info("{call}: over, {why}", **fields)
        return formatEvent(events[0])

    def test_harmless(self) -> None:
        """Text stays as it is, letters of all languages included."""
        self.assertEqual(self.logged(call="c1", why="très {bien}"), "c1: over, très {bien}")

    def test_long(self) -> None:
        """A Call-ID of thousands of characters does not fill the disk: beginning and end of the line stay."""
        line = self.logged(call="c1" + "y" * 60_000, why="it has not registered")
        self.assertEqual(len(line), LONGEST_LINE)
        self.assertTrue(line.startswith("c1yyy"))
        self.assertTrue(line.endswith("yyy: over, it has not registered"))
        self.assertLessEqual(len(self.logged(call="\udcff" * 60_000, why="{x}" * 60_000)), LONGEST_LINE)
        line = "x" * LONGEST_LINE
        self.assertEqual(EscapedFailure(f"a\n{line}\n{line}x").getTraceback().split("\n")[:2], ["a", line])
        self.assertEqual(len(EscapedFailure(f"{line}x").getTraceback()), LONGEST_LINE)
        events: list[LogEvent] = []
        log = Logger(namespace="somebody", observer=EscapingObserver(events.append))  # type: ignore[arg-type]
        log.failure("broke", Failure(ValueError(line)))
        self.assertIn(" ... ", events[0]["log_failure"].getTraceback())

    def test_formatted_once(self) -> None:
        """The event that observers get has the text in its format, whatever braces are in it, and all its fields."""
        events: list[LogEvent] = []
        log = Logger(namespace="somebody", observer=EscapingObserver(events.append))  # type: ignore[arg-type]
        log.info("{call}: {why}", call="c1", why="{x} {{y}} }{")
        self.assertEqual(events[0]["log_format"], "c1: {{x}} {{{{y}}}} }}{{")
        self.assertEqual(formatEvent(events[0]), "c1: {x} {{y}} }{")
        self.assertEqual((events[0]["call"], events[0]["log_namespace"]), ("c1", "somebody"))

    def test_event_is_the_loggers(self) -> None:
        """The event itself is not changed: other observers get it, too."""
        event: LogEvent = {"log_format": "{why}", "why": "x\n", "log_level": LogLevel.info}
        EscapingObserver(lambda event: None)(event)  # type: ignore[arg-type]
        self.assertEqual(event["log_format"], "{why}")

    def test_traceback(self) -> None:
        """The text of an exception may be a peer's: in the traceback it is escaped as well; a harmless Failure stays
        what it is."""
        events: list[LogEvent] = []
        log = Logger(namespace="somebody", observer=EscapingObserver(events.append))  # type: ignore[arg-type]
        harmless, other = Failure(ValueError("x")), Failure(ValueError("x\x1b[31m\ny\x07"))
        log.failure("broke", harmless)
        log.failure("broke", other)
        self.assertIs(events[0]["log_failure"], harmless)
        written = events[1]["log_failure"].getTraceback()
        self.assertEqual(written, other.getTraceback().replace("\x1b", "\\x1b").replace("\x07", "\\x07"))

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


class GatheredTests(SynchronousTestCase):
    """Lines are written in batches while there are many."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1)
        self.heard: list[str] = []
        self.gathered = BatchingObserver(lambda event: self.heard.append(event["text"]), self.clock)  # type: ignore[arg-type]

    def log(self, text: str, level: str = "info") -> None:
        self.gathered({"text": text, "log_level": LogLevel.levelWithName(level)})

    def test_few(self) -> None:
        """A line that comes alone is written at once."""
        for text in "abc":
            self.log(text)
            self.assertEqual(self.heard.pop(), text)
            self.clock.advance(Batcher.DELAY)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_many(self) -> None:
        """What comes within a moment of a line waits until the moment is over, and keeps its order."""
        for text in "abc":
            self.log(text)
        self.assertEqual(self.heard, ["a"])
        self.clock.advance(Batcher.DELAY)
        self.assertEqual((self.heard, self.clock.getDelayedCalls()), (["a", "b", "c"], []))

    def test_warnings(self) -> None:
        """A warning does not wait, nor does what came before it; nor does an event without a level."""
        for level in ("warn", "error", "critical"):
            self.log("a")
            self.log("b")
            self.log("c", level)
            self.assertEqual(self.heard[-2:], ["b", "c"])
        self.gathered({"text": "d"})
        self.assertEqual((self.heard[-1], self.clock.getDelayedCalls()), ("d", []))
