"""Memory: when it is looked after. What the collector and the C library do is theirs."""

from __future__ import annotations

import gc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime import gc_policy
from webrtcproxy.runtime.gc_policy import EVERY, MANY, RARELY, SHARE, TOO_MANY, YOUNG, GcPolicy, give_back


class MemoryTests(SynchronousTestCase):
    """What has gone is given back in a quiet moment."""

    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        self.clock = Clock()
        self.calls, self.departed, self.present, self.given, self.forgotten = 0, 0, 0, 0, 0
        self.patch(gc_policy, "give_back", self.give_back)
        self.memory = GcPolicy(
            self.clock, lambda: self.calls > 0, lambda: self.departed, lambda: self.present, self.forget
        )
        self.memory.startService()
        self.addCleanup(self.memory.stopService)

    def give_back(self) -> None:
        self.given += 1

    def forget(self) -> None:
        self.forgotten += 1

    def after(self, departed: int, calls: int = 0) -> int:
        """How often something was given back at the next look, when so many have gone."""
        self.departed += departed
        self.calls, self.given = calls, 0
        self.clock.advance(EVERY)
        return self.given

    def test_collector(self) -> None:
        """What is there at the start is never looked at again, and the older generations rarely."""
        self.assertGreater(gc.get_freeze_count(), 1000)
        self.assertEqual(gc.get_threshold(), (YOUNG, RARELY, RARELY))

    def test_many_have_gone(self) -> None:
        """Once for those who have gone, not for each of them, and not while there are calls."""
        self.assertEqual([self.after(0), self.after(MANY - 1), self.after(1), self.after(0)], [0, 0, 1, 0])
        self.assertEqual([self.after(MANY, calls=1), self.after(0), self.after(0)], [0, 1, 0])
        self.assertEqual(self.forgotten, 2)

    def test_never_quiet(self) -> None:
        """Where there are calls all the time, what connections leave behind is bounded all the same."""
        self.assertEqual([self.after(TOO_MANY - 1, calls=1), self.after(1, calls=1), self.after(0, calls=1)], [0, 1, 0])

    def test_few_of_many_have_gone(self) -> None:
        """Where many are there, a look waits until it is worth going through what they hold; not for ever."""
        self.present = SHARE * 2 * MANY
        self.assertEqual([self.after(MANY), self.after(MANY - 1), self.after(1), self.after(0)], [0, 0, 1, 0])
        self.present = SHARE * TOO_MANY * 10
        self.assertEqual([self.after(TOO_MANY - 1), self.after(1)], [0, 1])
        self.present = MANY
        self.assertEqual([self.after(MANY - 1), self.after(1)], [0, 1])

    def test_stopped(self) -> None:
        """No look after the end."""
        self.memory.stopService()
        self.assertEqual((self.after(MANY), self.clock.getDelayedCalls()), (0, []))
        self.memory.startService()

    def test_give_back(self) -> None:
        """It may be asked for wherever we run."""
        give_back()
