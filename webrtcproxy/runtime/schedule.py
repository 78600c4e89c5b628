"""Schedule: protocol timers, nearly all of which are cancelled; setting one costs no more than an append.

A call uses the same few delays again and again: T1, 64*T1, the timeout of a command to rtpengine. So each delay has a
queue, in which timers fall due in the order in which they were set, with one `callLater` of the reactor.

Use `Schedule.after` if the delay is a constant or an option of the configuration, and the timer may be late by `GRAIN`.
Use ``clock.callLater`` if the delay is computed (a peer's Expires, a random pause: each would leave a queue), is 0 (the
next turn of the reactor), or belongs to a service that lives as long as the process.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

log = Logger()

GRAIN = 0.01
"""The shortest interval between two sweeps of a queue, in seconds: timers that fall due in between fire together, a
little late."""

PER_TURN = 100
"""Timers of one delay that fire in one turn of the reactor: thousands may be due at once, as after the machine was
suspended, and all else is to be served meanwhile."""

_ROUNDING = 1e-6


class Clock(Protocol):
    """The part of `IReactorTime` that this module uses."""

    def seconds(self) -> float:
        """The time."""

    def callLater(self, delay: float, callable: Callable[[], None]) -> IDelayedCall:
        """Call `callable` in `delay` seconds."""


class Timer:
    """One pending call."""

    __slots__ = ("_queue", "call", "when")

    def __init__(self, queue: Queue, when: float, call: Callable[[], None]) -> None:
        self._queue = queue
        self.when = when
        self.call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Cancel the call; no error if it was made or cancelled already."""
        if self.call is not None:
            self.call = None
            self._queue.cancelled()


class Queue:
    """The timers of one delay.

    :param schedule: the schedule that it belongs to.
    :param clock: runs the timers.
    :ivar waiting: its timers, the first one pending; cancelled ones may follow.
    :ivar alarm: calls `sweep`; None while it is not set.
    """

    __slots__ = ("_clock", "_schedule", "alarm", "waiting")

    def __init__(self, schedule: Schedule, clock: Clock) -> None:
        self._schedule = schedule
        self._clock = clock
        self.waiting: deque[Timer] = deque()
        self.alarm: IDelayedCall | None = None

    def cancelled(self) -> None:
        """A timer of this queue was cancelled: drop cancelled timers at the front. The alarm stays for the next one;
        when no timer of any queue is left, all alarms are cancelled, unless they linger."""
        waiting, schedule = self.waiting, self._schedule
        while waiting and waiting[0].call is None:
            waiting.popleft()
        schedule.running -= 1
        if not schedule.running and not schedule.lingers:
            schedule.clear()

    def rest(self) -> None:
        """Cancel all timers and the alarm."""
        for timer in self.waiting:
            timer.call = None
        self.waiting.clear()
        if self.alarm is not None and self.alarm.active():
            self.alarm.cancel()
            self.alarm = None

    def sweep(self) -> None:
        """Make the calls that are due, the rest of many in the next turn of the reactor."""
        # The alarm that fired stays set meanwhile, so that no other is started.
        waiting, schedule = self.waiting, self._schedule
        due = self._clock.seconds() + _ROUNDING
        fired = 0
        while waiting and (waiting[0].call is None or waiting[0].when <= due):
            timer = waiting.popleft()
            call, timer.call = timer.call, None
            if call is not None:
                fired += 1
                schedule.running -= 1  # before the call, which may clear everything
                _safely(call)
                if not schedule.running:
                    schedule.clear()
                if fired == PER_TURN:
                    break
        self.alarm = None
        if fired == PER_TURN and waiting:
            self.alarm = self._clock.callLater(0, self.sweep)
        elif waiting:
            self.alarm = self._clock.callLater(max(waiting[0].when - self._clock.seconds(), GRAIN), self.sweep)


class Schedule:
    """Timers with a few different delays, one queue for each.

    :param clock: runs the timers.
    :param lingers: alarms stay until they are due where the last timer was cancelled: for timers that are often alone,
        and followed by another one soon.
    :ivar running: how many timers are pending.
    """

    __slots__ = ("_clock", "_queues", "lingers", "running")

    def __init__(self, clock: Clock, *, lingers: bool = False) -> None:
        self._clock = clock
        self._queues: dict[float, Queue] = {}
        self.lingers = lingers
        self.running = 0

    def after(self, delay: float, call: Callable[[], None]) -> Timer:
        """Call `call` after `delay` seconds; an exception from it is logged.

        :param delay: one of a few recurring values: each one's queue is kept for ever.
        """
        queue, clock = self._queues.get(delay), self._clock
        if queue is None:
            queue = self._queues[delay] = Queue(self, clock)
        timer = Timer(queue, clock.seconds() + delay, call)
        queue.waiting.append(timer)
        self.running += 1
        if queue.alarm is None:
            queue.alarm = clock.callLater(delay, queue.sweep)
        return timer

    def seconds(self) -> float:
        """The time of the clock."""
        return self._clock.seconds()

    def clear(self) -> None:
        """Cancel every timer."""
        self.running = 0
        for queue in self._queues.values():
            queue.rest()


def _safely(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.failure("A timer failed")
