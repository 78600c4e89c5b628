"""Timers: the base values, and queues of timers that one `callLater` runs."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.schedule import GRAIN, Schedule
from webrtcproxy.transaction.timers import RFC3261, Timers


class Values(SynchronousTestCase):
    """RFC 3261 table 4."""

    def test_defaults(self) -> None:
        """T1 0.5 s, T2 4 s, T4 5 s; 64*T1; Timer E has grown to T2 after 3.5 s (RFC 4320 section 4.1)."""
        self.assertEqual((RFC3261.t1, RFC3261.t2, RFC3261.t4), (0.5, 4.0, 5.0))
        self.assertEqual((RFC3261.patience, RFC3261.hesitation), (32.0, 3.5))

    def test_other(self) -> None:
        """All follow from the base values."""
        timers = Timers(t1=1.0)
        self.assertEqual((timers.patience, timers.hesitation), (64.0, 3.0))


class Scheduled(SynchronousTestCase):
    """Timers of one delay share one `callLater`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.schedule = Schedule(self.clock)
        self.fired: list[tuple[str, float]] = []

    def after(self, delay: float, name: str) -> object:
        return self.schedule.after(delay, lambda: self.fired.append((name, round(self.clock.seconds(), 6))))

    def waiting(self) -> int:
        return len(self.clock.getDelayedCalls())

    def test_to_the_tick(self) -> None:
        """Each fires after its delay, whatever else waits."""
        self.after(5.0, "a")
        self.clock.advance(1)
        self.after(5.0, "b")
        self.after(2.0, "c")
        self.assertEqual(self.waiting(), 2)
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.fired, [("c", 3.0), ("a", 5.0), ("b", 6.0)])
        self.assertEqual(self.waiting(), 0)

    def test_one_reactor_timer(self) -> None:
        """A thousand timers of one delay cost one `callLater`."""
        for number in range(1000):
            self.after(32.0, str(number))
        self.assertEqual(self.waiting(), 1)
        self.clock.advance(32)
        self.assertEqual(len(self.fired), 1000)
        self.assertEqual(self.waiting(), 0)

    def test_cancelled(self) -> None:
        """A cancelled one never fires; without any other, the clock is left alone. Twice is once."""
        first = self.schedule.after(1.0, self.fail)
        first.cancel()
        first.cancel()
        self.assertEqual(self.waiting(), 0)
        self.after(1.0, "kept")
        second = self.schedule.after(1.0, self.fail)
        self.after(1.0, "behind")
        second.cancel()
        self.clock.advance(1)
        self.assertEqual([name for name, _ in self.fired], ["kept", "behind"])
        second.cancel()
        self.assertEqual(self.waiting(), 0)

    def test_cancelled_in_front(self) -> None:
        """When the first is cancelled the next one still fires at its own time."""
        first = self.schedule.after(1.0, self.fail)
        self.clock.advance(0.5)
        self.after(1.0, "next")
        first.cancel()
        self.clock.advance(0.5)
        self.assertEqual(self.fired, [])
        self.clock.advance(0.5)
        self.assertEqual(self.fired, [("next", 1.5)])

    def test_nothing_of_a_cancelled_one_is_kept(self) -> None:
        """What was to be called is let go at once: a timer of 32 s must not hold a transaction that is over."""
        self.after(32.0, "first")
        second = self.schedule.after(32.0, self.fail)
        second.cancel()
        self.assertIsNone(second.call)

    def test_again_while_firing(self) -> None:
        """A timer that starts the same one anew, as Timer E does every T2."""

        def again() -> None:
            self.fired.append(("again", self.clock.seconds()))
            if len(self.fired) < 4:
                self.schedule.after(4.0, again)

        self.schedule.after(4.0, again)
        self.clock.pump([4.0] * 6)
        self.assertEqual([at for _, at in self.fired], [4.0, 8.0, 12.0, 16.0])

    def test_cancels_another_while_firing(self) -> None:
        """One that is due may cancel the next that is due."""
        first = self.schedule.after(1.0, lambda: second.cancel())
        second = self.schedule.after(1.0, self.fail)
        self.clock.advance(1)
        self.assertIsNone(first.call)
        self.assertEqual(self.waiting(), 0)

    def test_failure(self) -> None:
        """An exception out of one is logged, and the others fire."""

        def fail() -> None:
            raise RuntimeError("broken")

        self.schedule.after(1.0, fail)
        self.after(1.0, "other")
        self.clock.advance(1)
        self.assertEqual([name for name, _ in self.fired], ["other"])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_batched(self) -> None:
        """Under load, what falls due within a grain fires together: sweeps are bounded, whatever the rate."""
        for number in range(20):
            self.after(1.0, str(number))
            self.clock.advance(GRAIN / 10)
        self.clock.advance(1.0 - self.clock.seconds())
        self.assertEqual(len(self.fired), 1)
        self.clock.advance(GRAIN / 2)
        self.assertEqual(len(self.fired), 1)
        self.clock.advance(GRAIN * 0.55)
        self.assertEqual(len(self.fired), 11)
        self.clock.advance(GRAIN * 1.05)
        self.assertEqual(len(self.fired), 20)

    def test_clear(self) -> None:
        """Nothing fires any more."""
        self.schedule.after(1.0, self.fail)
        self.schedule.after(2.0, self.fail)
        self.schedule.clear()
        self.assertEqual(self.waiting(), 0)
        self.clock.advance(5)
