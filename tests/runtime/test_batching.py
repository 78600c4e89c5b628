"""Gathering: what may be done a moment later."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.batching import Batcher


class GatheringTests(SynchronousTestCase):
    """What may be done a moment later."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[str] = []
        self.gathering: Batcher[str] = Batcher(self.clock, self.do)

    def do(self, thing: str) -> None:
        if thing.isupper():
            raise ValueError(thing)
        self.done.append(thing)

    def add(self, things: str) -> None:
        for thing in things:
            self.gathering.add(thing)

    def test_alone(self) -> None:
        """What comes alone is done at once."""
        for thing in "abc":
            self.add(thing)
            self.assertEqual((self.done.pop(), self.clock.getDelayedCalls()), (thing, []))
            self.clock.advance(Batcher.MOMENT)

    def test_together(self) -> None:
        """What comes within a moment of another waits until one has passed, with one timer for all of it."""
        self.add("abc")
        self.assertEqual((self.done, len(self.clock.getDelayedCalls())), (["a"], 1))
        self.clock.advance(Batcher.MOMENT)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (["a", "b", "c"], []))

    def test_asked_for(self) -> None:
        """What waits is done when it is asked for, once."""
        self.add("abc")
        self.gathering.hand_over()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (["a", "b", "c"], []))
        self.gathering.hand_over()
        self.assertEqual(self.done, ["a", "b", "c"])

    def test_within_a_turn(self) -> None:
        """A moment is a moment, whether or not the reactor has had a turn meanwhile."""
        self.add("ab")
        self.clock.rightNow += Batcher.MOMENT
        self.add("c")
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (["a", "b", "c"], []))

    def test_most(self) -> None:
        """There is a bound to what waits."""
        self.add("a" * Batcher.MOST)
        self.assertEqual(len(self.done), 1)
        self.add("b")
        self.assertEqual((len(self.done), self.clock.getDelayedCalls()), (Batcher.MOST + 1, []))

    def test_failures(self) -> None:
        """Those that fail keep none of the others, and the first is told to who hands over; nothing of it is left."""
        self.assertRaises(ValueError, self.add, "B")
        self.add("aCdEf")
        with self.assertRaisesRegex(ValueError, "C"):
            self.gathering.hand_over()
        self.assertEqual(self.done, ["a", "d", "f"])
        self.clock.advance(Batcher.MOMENT)
        self.add("g")
        self.assertEqual((self.done[-1], self.clock.getDelayedCalls()), ("g", []))
