"""Schedule: timers that are nearly always cancelled, as those of a protocol are, at the cost of an append.

What a call waits for is a few delays that come again and again: T1, 64*T1, the time for one command to rtpengine. So
each delay is one queue, first come, first due, with one `callLater` of the reactor for all of it.

Which one to use: `Schedule.after` where the delay is a constant or an option of the configuration, and may be late by
`GRAIN`. ``clock.callLater`` where the delay is computed (Expires of a peer, a random pause: each would leave a queue),
is 0 (the next turn of the reactor), or is one of a service that lives as long as the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

log = Logger()

GRAIN = 0.01
"""Seconds between two sweeps of one queue, at least: what falls due in between is a little late, all at once."""

_ROUNDING = 1e-6


class Clock(Protocol):
    """The part of `IReactorTime` that is needed here."""

    def seconds(self) -> float:
        """The time."""

    def callLater(self, delay: float, callable: Callable[[], None]) -> IDelayedCall:
        """Have `callable` called in `delay` seconds."""


class Timer:
    """One thing to do later, unless it is cancelled."""

    __slots__ = ("_queue", "call", "when")

    def __init__(self, queue: Queue, when: float, call: Callable[[], None]) -> None:
        self._queue = queue
        self.when = when
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Don't do it; no error where it is done or cancelled already."""
        if self.call is not None:
            self.call = None
            self._queue.cancelled()


class Queue:
    """Everything that waits for one and the same time.

    :param schedule: the one that it belongs to.
    :param clock: runs it.
    :param delay: seconds that each timer waits.
    """

    __slots__ = ("_alarm", "_clock", "_delay", "_schedule", "_waiting")

    def __init__(self, schedule: Schedule, clock: Clock, delay: float) -> None:
        self._schedule = schedule
        self._clock = clock
        self._delay = delay
        self._waiting: deque[Timer] = deque()
        self._alarm: IDelayedCall | None = None

    def add(self, call: Callable[[], None]) -> Timer:
        """Have `call` called after the delay of this queue."""
        timer = Timer(self, self._clock.seconds() + self._delay, call)
        self._waiting.append(timer)
        self._schedule.running += 1
        if self._alarm is None:
            self._alarm = self._clock.callLater(self._delay, self._sweep)
        return timer

    def cancelled(self) -> None:
        """A timer of this queue was cancelled: those in front are dropped. The alarm stays, for the next one."""
        waiting = self._waiting
        while waiting and waiting[0].call is None:
            waiting.popleft()
        self._schedule.ended()

    def rest(self) -> None:
        """Cancel what still runs, and leave the clock alone."""
        for timer in self._waiting:
            timer.call = None
        self._waiting.clear()
        if self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
            self._alarm = None

    def _sweep(self) -> None:
        # The alarm that fired stays in its place meanwhile, so that nobody sets another.
        waiting, schedule = self._waiting, self._schedule
        due = self._clock.seconds() + _ROUNDING
        while waiting and (waiting[0].call is None or waiting[0].when <= due):
            timer = waiting.popleft()
            call, timer.call = timer.call, None
            if call is not None:
                schedule.running -= 1  # before the call, which may clear all
                _safely(call)
                if not schedule.running:
                    schedule.clear()
        self._alarm = None
        if waiting:
            self._alarm = self._clock.callLater(max(waiting[0].when - self._clock.seconds(), GRAIN), self._sweep)


class Schedule:
    """Timers of a few delays; each delay is one queue.

    :param clock: runs them.
    :ivar running: how many timers wait.
    """

    __slots__ = ("_clock", "_queues", "running")

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._queues: dict[float, Queue] = {}
        self.running = 0

    def after(self, delay: float, call: Callable[[], None]) -> Timer:
        """Have `call` called after `delay` seconds; an exception out of it is logged.

        :param delay: one of a few values that come again and again: each has a queue of its own, for ever.
        """
        queue = self._queues.get(delay)
        if queue is None:
            queue = self._queues[delay] = Queue(self, self._clock, delay)
        return queue.add(call)

    def seconds(self) -> float:
        """The time of the clock."""
        return self._clock.seconds()

    def clear(self) -> None:
        """Cancel every timer."""
        self.running = 0
        for queue in self._queues.values():
            queue.rest()

    def ended(self) -> None:
        """One timer less; after the last one the clock is left alone. For the queues."""
        self.running -= 1
        if not self.running:
            self.clear()


def _safely(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.failure("A timer failed")
