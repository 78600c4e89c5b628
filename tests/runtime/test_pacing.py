"""Things that are done a few at a time."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.pacing import Pace


class Paced(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pace = Pace(self.clock, 3, 0.5)
        self.done: list[int] = []

    def add(self, *numbers: int) -> None:
        for number in numbers:
            self.pace.add(lambda number=number: self.done.append(number))  # type: ignore[misc]

    def test_a_few_at_a_time(self) -> None:
        """In order, three in each half second, the first three in the next turn."""
        self.add(*range(8))
        self.assertEqual(([], 8), (self.done, len(self.pace)))
        for seconds, count in ((0, 3), (0.4, 3), (0.1, 6), (0.5, 8), (5, 8)):
            self.clock.advance(seconds)
            self.assertEqual(list(range(count)), self.done)
        self.assertEqual([], self.clock.getDelayedCalls())
        self.add(8)
        self.clock.advance(0)
        self.assertEqual(9, len(self.done))

    def test_added_while_others_are_done(self) -> None:
        """What is added by one of them waits for the next interval."""
        self.pace.add(lambda: self.add(1))
        self.clock.advance(0)
        self.clock.advance(0.5)
        self.assertEqual([1], self.done)
        self.assertEqual([], self.clock.getDelayedCalls())

    def test_fault(self) -> None:
        """One that fails is logged, and the others are done."""
        self.pace.add(lambda: 1 // 0)  # type: ignore[arg-type, return-value]
        self.add(1)
        self.clock.advance(0)
        self.assertEqual(([1], 1), (self.done, len(self.flushLoggedErrors(ZeroDivisionError))))

    def test_stop(self) -> None:
        """At the end nothing is done any more, and it may be stopped twice."""
        self.add(1)
        self.pace.stop()
        self.pace.stop()
        self.clock.advance(5)
        self.assertEqual(([], []), (self.done, self.clock.getDelayedCalls()))
