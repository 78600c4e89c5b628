"""Timers: T1, T2, T4 and what follows from them (RFC 3261 section 17, table 4), and the schedule that runs them all."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

log = Logger()

GRAIN = 0.01
"""Seconds between two sweeps of one queue, at least: what falls due in between is a little late, all at once."""

_ROUNDING = 1e-6


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values, in seconds, and the derived ones.

    :ivar t1: estimate of a round trip; first interval of timers A, E and G.
    :ivar t2: longest interval of timers E and G.
    :ivar t4: how long a message stays in the network: timers I and K.
    :ivar patience: 64*T1: timers B, D, F, H, J, and L and M of RFC 6026.
    :ivar hesitation: when the client's timer E has grown to T2: a non-INVITE request gets its 100 then, and not earlier
        on UDP (RFC 4320 section 4.1).
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    patience: float = field(init=False)
    hesitation: float = field(init=False)

    def __post_init__(self) -> None:
        hesitation, interval = 0.0, self.t1
        while interval < self.t2:
            hesitation += interval
            interval *= 2
        object.__setattr__(self, "patience", 64 * self.t1)
        object.__setattr__(self, "hesitation", hesitation)


RFC3261 = Timers()


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
            self._queue.trim()


class Queue:
    """Everything that waits for one and the same time: first come, first due.

    A `callLater` for each transaction, nearly always cancelled, would cost more than the transaction; this is an append
    and one `callLater` for all.

    :param clock: runs it.
    :param delay: seconds that each timer waits.
    """

    __slots__ = ("_alarm", "_clock", "_delay", "_waiting")

    def __init__(self, clock: IReactorTime, delay: float) -> None:
        self._clock = clock
        self._delay = delay
        self._waiting: deque[Timer] = deque()
        self._alarm: IDelayedCall | None = None

    def add(self, call: Callable[[], None]) -> Timer:
        """Have `call` called after the delay of this queue."""
        timer = Timer(self, self._clock.seconds() + self._delay, call)
        self._waiting.append(timer)
        if self._alarm is None:
            self._alarm = self._clock.callLater(self._delay, self._sweep)
        return timer

    def trim(self) -> None:
        """Forget the cancelled timers in front; without any other, the clock is left alone."""
        waiting = self._waiting
        while waiting and waiting[0].call is None:
            waiting.popleft()
        if not waiting and self._alarm is not None and self._alarm.active():
            self._alarm.cancel()
            self._alarm = None

    def clear(self) -> None:
        """Cancel all."""
        for timer in self._waiting:
            timer.call = None
        self.trim()

    def _sweep(self) -> None:
        # The alarm that fired stays in its place meanwhile, so that nobody sets another.
        waiting = self._waiting
        due = self._clock.seconds() + _ROUNDING
        while waiting and (waiting[0].call is None or waiting[0].when <= due):
            timer = waiting.popleft()
            call, timer.call = timer.call, None
            if call is not None:
                _safely(call)
        self._alarm = None
        if waiting:
            self._alarm = self._clock.callLater(max(waiting[0].when - self._clock.seconds(), GRAIN), self._sweep)


class Schedule:
    """All timers of the transactions. Their delays are few, so each delay is one queue.

    :param clock: runs them.
    """

    __slots__ = ("_clock", "_queues")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._queues: dict[float, Queue] = {}

    def after(self, delay: float, call: Callable[[], None]) -> Timer:
        """Have `call` called after `delay` seconds; an exception out of it is logged.

        :param delay: one of a few values that come again and again: each has a queue of its own, for ever.
        """
        queue = self._queues.get(delay)
        if queue is None:
            queue = self._queues[delay] = Queue(self._clock, delay)
        return queue.add(call)

    def clear(self) -> None:
        """Cancel every timer."""
        for queue in self._queues.values():
            queue.clear()


def _safely(call: Callable[[], None]) -> None:
    try:
        call()
    except Exception:
        log.failure("A timer of a transaction failed")
