"""LoopLag: measures how late the reactor runs its timers, and spreads those that are overdue."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

HELD_UP = 5.0
"""Seconds by which a timer is late when the process has not run meanwhile: the machine or the process was suspended, or
something kept it busy."""

PER_STEP, STEP = 50, 0.01
"""So many timers that are overdue then are run in each step, in seconds."""


class LoopLag(Service):
    """Measures once a second how late a timer fires; all other work of the reactor is as late.

    After the process has not run for a while, the other timers that are overdue are put off by moments: what waits in
    the sockets is read before, and messages that they send do not leave all at once.

    :param clock: the reactor.
    :param late: called with the delay in seconds.
    """

    INTERVAL = 1.0
    """Seconds between two measurements."""

    def __init__(self, clock: IReactorTime, late: Callable[[float], None]) -> None:
        self._clock = clock
        self._late = late
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def startService(self) -> None:
        """Start measuring."""
        super().startService()  # type: ignore[no-untyped-call]
        self._wait()

    def stopService(self) -> None:
        """Stop measuring."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._due = self._clock.seconds() + self.INTERVAL
        self._timer = self._clock.callLater(self.INTERVAL, self._measure)

    def _measure(self) -> None:
        late = max(0.0, self._clock.seconds() - self._due)
        self._late(late)
        if late >= HELD_UP:
            log.warn("The process has not run for {seconds} s", seconds=round(late))
            spread_overdue(self._clock)
        self._wait()


def spread_overdue(clock: IReactorTime) -> None:
    """Put off the timers that have been due for a second or more, in their order."""
    before = clock.seconds() - 1.0
    overdue = [call for call in clock.getDelayedCalls() if call.getTime() <= before]
    for place, call in enumerate(sorted(overdue, key=lambda call: call.getTime())):
        call.reset(place // PER_STEP * STEP)
