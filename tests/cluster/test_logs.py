"""The log of workers, as the hub has it."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import LogEvent, Logger, LogLevel, eventAsText, formatEvent
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.cluster.logs import DELAY, MAX_EVENTS, LogForwarder, events_of
from webrtcproxy.runtime.log import EscapingObserver


class ForwarderTests(SynchronousTestCase):
    """From a worker's logger to the hub's events."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.sent: list[bytes] = []
        self.forwarder = LogForwarder(self.clock, self.sent.append)
        self.log = Logger(namespace="a.b", observer=self.forwarder)

    def events(self) -> list[LogEvent]:
        self.forwarder.flush()
        return [event for data in self.sent for event in events_of(2, data)]

    def test_event(self) -> None:
        """Level, time, namespace and words are as they were; the line says whose it is."""
        self.log.warn("{call}: {why!r}", call="c1", why="très")
        (event,) = self.events()
        self.assertEqual((event["log_level"], event["log_namespace"], event["worker"]), (LogLevel.warn, "a.b", 2))
        self.assertEqual(formatEvent(event), "c1: 'très'")
        self.assertTrue(eventAsText(event).endswith("[a.b#warn worker 2] c1: 'très'"), eventAsText(event))
        self.assertGreater(event["log_time"], 1e9)

    def test_only_words(self) -> None:
        """Values beside the text stay where they are."""
        self.log.info("fine", password="hunter2")
        self.events()
        self.assertNotIn(b"hunter2", b"".join(self.sent))

    def test_failure(self) -> None:
        """A traceback comes along, in lines of its own."""
        try:
            raise ValueError("broken")
        except ValueError:
            self.log.failure("it {what}", Failure(), what="broke")
        text = eventAsText(self.events()[0])
        self.assertIn("a.b#critical worker 2] it broke\n", text)
        self.assertIn("Traceback (most recent call last)", text)
        self.assertIn("ValueError: broken", text)

    def test_harmless(self) -> None:
        """What a peer wrote can't forge a line in the hub's log either."""
        self.log.info("{call}", call="x\r\n\udcff\x1b")
        (event,) = self.events()
        shown: list[LogEvent] = []
        EscapingObserver(shown.append)(event)  # type: ignore[arg-type]
        self.assertEqual(formatEvent(shown[0]), "x\\r\\n\\udcff\\x1b")

    def test_old_kind(self) -> None:
        """Events without level and namespace, of Twisted's old log, are passed on, too."""
        self.forwarder({"log_format": "old", "log_system": "Link,0,"})
        (event,) = self.events()
        self.assertTrue(eventAsText(event).endswith("[- worker 2] old"))

    def test_batched(self) -> None:
        """Several events are one frame: after a moment, or when there are many."""
        for _ in range(3):
            self.log.info("x")
        self.assertEqual(self.sent, [])
        self.clock.advance(DELAY)
        self.assertEqual(len(self.sent), 1)
        for _ in range(MAX_EVENTS):
            self.log.info("x")
        self.assertEqual(len(self.sent), 2)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(len(self.events()), 3 + MAX_EVENTS)
