"""When garbage is collected. What the collector and the C library do is theirs."""

from __future__ import annotations

import gc

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime import gc_policy
from webrtcproxy.runtime.gc_policy import (
    INTERVAL,
    MAX_ENDED,
    MIN_ENDED,
    OLD_THRESHOLD,
    OPEN_PER_ENDED,
    YOUNG_THRESHOLD,
    GcPolicy,
    malloc_trim,
)


class GcPolicyTests(SynchronousTestCase):
    """What has ended is freed in a quiet moment."""

    def setUp(self) -> None:
        self.addCleanup(gc.set_threshold, *gc.get_threshold())
        self.addCleanup(gc.unfreeze)
        self.clock = Clock()
        self.calls, self.ended, self.open_now, self.trimmed, self.dropped = 0, 0, 0, 0, 0
        self.patch(gc_policy, "malloc_trim", self.malloc_trim)
        self.policy = GcPolicy(
            self.clock, lambda: self.calls > 0, lambda: self.ended, lambda: self.open_now, self.drop_caches
        )
        self.policy.startService()
        self.addCleanup(self.policy.stopService)

    def malloc_trim(self) -> None:
        self.trimmed += 1

    def drop_caches(self) -> None:
        self.dropped += 1

    def after(self, ended: int, calls: int = 0) -> int:
        """How often memory was freed at the next check, when so many more have ended."""
        self.ended += ended
        self.calls, self.trimmed = calls, 0
        self.clock.advance(INTERVAL)
        return self.trimmed

    def test_collector(self) -> None:
        """What is there at the start is exempt, and the older generations are collected rarely."""
        self.assertGreater(gc.get_freeze_count(), 1000)
        self.assertEqual(gc.get_threshold(), (YOUNG_THRESHOLD, OLD_THRESHOLD, OLD_THRESHOLD))

    def test_many_have_ended(self) -> None:
        """Once for all that have ended, not for each of them, and not while there are calls."""
        self.assertEqual([self.after(0), self.after(MIN_ENDED - 1), self.after(1), self.after(0)], [0, 0, 1, 0])
        self.assertEqual([self.after(MIN_ENDED, calls=1), self.after(0), self.after(0)], [0, 1, 0])
        self.assertEqual(self.dropped, 2)

    def test_never_quiet(self) -> None:
        """Where there are calls all the time, what connections leave is bounded all the same."""
        self.assertEqual(
            [self.after(MAX_ENDED - 1, calls=1), self.after(1, calls=1), self.after(0, calls=1)], [0, 1, 0]
        )

    def test_few_of_many_have_ended(self) -> None:
        """Where many are open, a collection waits until it is worth going through what they hold; not for ever."""
        self.open_now = OPEN_PER_ENDED * 2 * MIN_ENDED
        self.assertEqual([self.after(MIN_ENDED), self.after(MIN_ENDED - 1), self.after(1), self.after(0)], [0, 0, 1, 0])
        self.open_now = OPEN_PER_ENDED * MAX_ENDED * 10
        self.assertEqual([self.after(MAX_ENDED - 1), self.after(1)], [0, 1])
        self.open_now = MIN_ENDED
        self.assertEqual([self.after(MIN_ENDED - 1), self.after(1)], [0, 1])

    def test_stopped(self) -> None:
        """No check after the end."""
        self.policy.stopService()
        self.assertEqual((self.after(MIN_ENDED), self.clock.getDelayedCalls()), (0, []))
        self.policy.startService()

    def test_malloc_trim(self) -> None:
        """It may be called on any system."""
        malloc_trim()
