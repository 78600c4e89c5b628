"""Pace: does many things a few at a time, so that a thousand calls that need something at once are no storm."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from webrtcproxy.runtime.schedule import Clock

log = Logger()


class Pace:
    """A queue of things to do, in order.

    :param clock: for the intervals.
    :param at_once: how many are done in a row.
    :param interval: seconds from one such row to the next; where the process is busy, more pass.
    """

    def __init__(self, clock: Clock, at_once: int, interval: float) -> None:
        self._clock = clock
        self._at_once = at_once
        self._interval = interval
        self._waiting: deque[Callable[[], None]] = deque()
        self._timer: IDelayedCall | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def add(self, do: Callable[[], None]) -> None:
        """Do something when its turn comes, never before this returns. An exception of it is logged."""
        self._waiting.append(do)
        if self._timer is None:
            self._timer = self._clock.callLater(0, self._next)

    def stop(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _next(self) -> None:
        self._timer = None
        for _ in range(min(self._at_once, len(self._waiting))):
            do = self._waiting.popleft()
            try:
                do()
            except Exception:
                log.failure("something in a queue failed")
        if self._timer is None and self._waiting:
            self._timer = self._clock.callLater(self._interval, self._next)
