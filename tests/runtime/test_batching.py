"""What may be done a moment later."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.batching import Batcher, one_by_one


class BatcherTests(SynchronousTestCase):
    """What may be done a moment later."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.done: list[str] = []
        self.batcher: Batcher[str] = Batcher(self.clock, one_by_one(self.do))

    def do(self, thing: str) -> None:
        if thing.isupper():
            raise ValueError(thing)
        self.done.append(thing)

    def add(self, things: str) -> None:
        for thing in things:
            self.batcher.add(thing)

    def test_alone(self) -> None:
        """What comes alone is done at once."""
        for thing in "abc":
            self.add(thing)
            self.assertEqual((self.done.pop(), self.clock.getDelayedCalls()), (thing, []))
            self.clock.advance(Batcher.DELAY)

    def test_together(self) -> None:
        """What comes within a moment of another waits until one has passed, with one timer for all of it."""
        self.add("abc")
        self.assertEqual((self.done, len(self.clock.getDelayedCalls())), (["a"], 1))
        self.clock.advance(Batcher.DELAY)
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (["a", "b", "c"], []))

    def test_idle(self) -> None:
        """What comes alone needs no batch, and counts as done: another within a moment has to wait, and whoever comes
        while it waits has to, too."""
        self.assertTrue(self.batcher.idle())
        self.assertFalse(self.batcher.idle())
        self.add("a")
        self.assertEqual(self.done, [])
        self.clock.rightNow += Batcher.DELAY
        self.assertFalse(self.batcher.idle())
        self.clock.advance(0)
        self.assertEqual(self.done, ["a"])
        self.clock.advance(Batcher.DELAY)
        self.assertTrue(self.batcher.idle())

    def test_asked_for(self) -> None:
        """What waits is done when it is asked for, once."""
        self.add("abc")
        self.batcher.flush()
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (["a", "b", "c"], []))
        self.batcher.flush()
        self.assertEqual(self.done, ["a", "b", "c"])

    def test_within_a_turn(self) -> None:
        """A moment is a moment, whether or not the reactor has had a turn meanwhile."""
        self.add("ab")
        self.clock.rightNow += Batcher.DELAY
        self.add("c")
        self.assertEqual((self.done, self.clock.getDelayedCalls()), (["a", "b", "c"], []))

    def test_most(self) -> None:
        """There is a bound to what waits."""
        self.add("a" * Batcher.MAX_WAITING)
        self.assertEqual(len(self.done), 1)
        self.add("b")
        self.assertEqual((len(self.done), self.clock.getDelayedCalls()), (Batcher.MAX_WAITING + 1, []))

    def test_failures(self) -> None:
        """Those that fail keep none of the others, and `flush` raises the first exception; nothing of it is left."""
        self.assertRaises(ValueError, self.add, "B")
        self.add("aCdEf")
        with self.assertRaisesRegex(ValueError, "C"):
            self.batcher.flush()
        self.assertEqual(self.done, ["a", "d", "f"])
        self.clock.advance(Batcher.DELAY)
        self.add("g")
        self.assertEqual((self.done[-1], self.clock.getDelayedCalls()), ("g", []))


class BatchTests(SynchronousTestCase):
    """Things that are taken as a batch, by settings of one's own."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.taken: list[list[str]] = []
        self.batcher: Batcher[str] = Batcher(self.clock, self.taken.append, delay=2, max_waiting=3, eager=False)

    def test_waits_for_others(self) -> None:
        """One that is not eager keeps even what comes alone, for its delay."""
        self.batcher.add("a")
        self.clock.advance(1)
        self.batcher.add("b")
        self.assertEqual(self.taken, [])
        self.clock.advance(1)
        self.assertEqual((self.taken, self.clock.getDelayedCalls()), ([["a", "b"]], []))

    def test_full(self) -> None:
        """A full batch goes at once."""
        for thing in "abcd":
            self.batcher.add(thing)
        self.assertEqual((self.taken, len(self.clock.getDelayedCalls())), ([["a", "b", "c"]], 1))
        self.batcher.flush()
        self.assertEqual((self.taken[1:], self.clock.getDelayedCalls()), ([["d"]], []))

    def test_nothing(self) -> None:
        """There is no empty batch."""
        self.batcher.flush()
        self.assertEqual(self.taken, [])

    def test_taker_fails(self) -> None:
        """What the taker raises goes to who flushes; the next batch is taken all the same."""
        batcher: Batcher[str] = Batcher(self.clock, self.fail_once)
        self.assertRaises(ValueError, batcher.add, "a")
        self.clock.advance(batcher.DELAY)
        batcher.add("b")
        self.assertEqual((self.taken, self.clock.getDelayedCalls()), ([["a"], ["b"]], []))

    def fail_once(self, things: list[str]) -> None:
        self.taken.append(things)
        if things == ["a"]:
            raise ValueError
