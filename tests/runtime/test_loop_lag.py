"""How late the reactor is."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.loop_lag import LoopLag


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

    def test_stopped(self) -> None:
        """It leaves no timer behind."""
        self.lag.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
