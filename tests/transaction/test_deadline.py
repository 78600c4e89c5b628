"""Deadline: how long one request waits for what it needs."""

from __future__ import annotations

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.errors import TimedOut
from webrtcproxy.runtime.schedule import Schedule
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE, Deadline


class Waiting(SynchronousTestCase):
    """One time for all that is waited for."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.deadline = Deadline(Schedule(self.clock))

    def test_below_timer_f(self) -> None:
        """It ends while the peer still listens (RFC 4320 section 4.2)."""
        self.assertLess(NON_INVITE_DEADLINE, 32)

    def test_in_time(self) -> None:
        """What comes in time is handed on, a failure too."""
        one: Deferred[int] = Deferred()
        waiting = self.deadline.wait(one)
        one.callback(1)
        self.assertEqual(self.successResultOf(waiting), 1)
        two: Deferred[int] = Deferred()
        waiting = self.deadline.wait(two)
        two.errback(ValueError())
        self.failureResultOf(waiting, ValueError)
        with self.deadline:
            pass
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_too_late(self) -> None:
        """All waits together have the time; what comes after it is nobody's, a failure too."""
        first: Deferred[None] = Deferred()
        waiting = self.deadline.wait(first)
        self.clock.advance(NON_INVITE_DEADLINE - 1)
        first.callback(None)
        self.successResultOf(waiting)
        second: Deferred[None] = Deferred()
        waiting = self.deadline.wait(second)
        self.assertNoResult(waiting)
        self.clock.advance(1)
        self.failureResultOf(waiting, TimedOut)
        second.errback(ValueError())
        self.failureResultOf(self.deadline.wait(Deferred()), TimedOut)
