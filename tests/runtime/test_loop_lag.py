"""How late the reactor is."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.loop_lag import HELD_UP, PER_STEP, STEP, LoopLag


class LoopLagTests(SynchronousTestCase):
    """How late the reactor is."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.late: list[float] = []
        self.lag = LoopLag(self.clock, self.late.append)
        self.lag.startService()

    def test_in_time(self) -> None:
        """Once a second, and nothing is late."""
        self.clock.pump([0.5] * 6)
        self.assertEqual(self.late, [0, 0, 0])

    def test_late(self) -> None:
        """What kept the reactor busy when the second was over shows, and the next second begins after it."""
        self.clock.advance(1.25)
        self.clock.advance(1)
        self.assertEqual(self.late, [0.25, 0])

    def test_clock_set_back(self) -> None:
        """A clock that is set back is no lag below nothing."""
        self.clock.advance(0.5)
        (call,) = self.clock.getDelayedCalls()
        self.clock.rightNow = 0.0
        call.func()
        self.assertEqual(self.late, [0])
        call.cancel()

    def test_suspended(self) -> None:
        """When the machine was suspended, what is overdue is put off by moments, in its order: sockets are read before,
        and not everything happens at once. What has just been set, or is not due, stays."""
        fired: list[tuple[int, float]] = []
        for number in range(3 * PER_STEP):
            self.clock.callLater(2 + number / 1000, lambda number=number: fired.append((number, self.clock.seconds())))
        later = self.clock.callLater(7200, self.fail)
        at_once: list[float] = []
        self.patch(
            self.lag, "_late", lambda late: self.clock.callLater(0, lambda: at_once.append(self.clock.seconds()))
        )
        with capturedLogs() as events:
            self.clock.advance(3600)
        self.assertEqual(len(fired), PER_STEP)
        self.assertEqual(at_once, [3600.0])
        self.clock.pump([STEP] * 2)
        self.assertEqual([number for number, _ in fired], list(range(3 * PER_STEP)))
        self.assertEqual(sorted({round(when - 3600, 3) for _, when in fired}), [0.0, STEP, 2 * STEP])
        self.assertEqual(later.getTime(), 7200)
        later.cancel()
        (event,) = events
        self.assertEqual(formatEvent(event), "The process has not run for 3599 s")

    def test_busy(self) -> None:
        """A second or two are no reason to put anything off."""
        fired: list[float] = []
        for _ in range(2 * PER_STEP):
            self.clock.callLater(1.5, lambda: fired.append(self.clock.seconds()))
        with capturedLogs() as events:
            self.clock.advance(HELD_UP)
        self.assertEqual((len(fired), events), (2 * PER_STEP, []))

    def test_stopped(self) -> None:
        """It leaves no timer behind."""
        self.lag.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
