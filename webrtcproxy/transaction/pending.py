"""Pending: which transaction waits for which of its timers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.transaction.timers import Delay, Timers


class Timed(Protocol):
    """A transaction, as far as its timers go."""

    def resend(self) -> None:
        """Timer A, E or G fired."""

    def time_up(self) -> None:
        """Any other timer fired."""

    def __hash__(self) -> int: ...


class Pending:
    """Two timers a transaction: one to send again, one that limits its state. All waits are of a few fixed lengths, so
    each length is one queue.

    :param clock: runs the queues.
    :param guard: calls a timer's method, so that an exception out of it goes no further.
    """

    def __init__(
        self, clock: IReactorTime, timers: Timers, last_resort: float, guard: Callable[[Callable[[], None]], None]
    ) -> None:
        self._clock = clock
        self._guard = guard
        self._waits: dict[float, Delay[Timed]] = {}
        self._limits: dict[float, Delay[Timed]] = {}
        self._waiting: dict[Timed, Delay[Timed]] = {}
        self._limited: dict[Timed, Delay[Timed]] = {}

    def wait(self, transaction: Timed, seconds: float) -> None:
        """Have `resend` called after `seconds`, in place of any other wait for it."""
        self.wait_no_more(transaction)
        queue = self._waits.get(seconds)
        if queue is None:
            queue = self._waits[seconds] = Delay(self._clock, seconds, self._resend)
        queue.add(transaction)
        self._waiting[transaction] = queue

    def wait_no_more(self, transaction: Timed) -> None:
        """Forget the wait for `resend`."""
        queue = self._waiting.pop(transaction, None)
        if queue is not None:
            queue.discard(transaction)

    def limit(self, transaction: Timed, seconds: float) -> None:
        """Have `time_up` called after `seconds`, in place of any other limit; never, where it is 0."""
        queue = self._limited.pop(transaction, None)
        if queue is not None:
            queue.discard(transaction)
        if not seconds:
            return
        queue = self._limits.get(seconds)
        if queue is None:
            queue = self._limits[seconds] = Delay(self._clock, seconds, self._time_up)
        queue.add(transaction)
        self._limited[transaction] = queue

    def forget(self, transaction: Timed) -> None:
        """Neither."""
        self.wait_no_more(transaction)
        self.limit(transaction, 0)

    def stop(self) -> None:
        """No timer runs any more."""
        for queue in (*self._waits.values(), *self._limits.values()):
            queue.stop()

    def _resend(self, transaction: Timed) -> None:
        self._waiting.pop(transaction, None)
        self._guard(transaction.resend)

    def _time_up(self, transaction: Timed) -> None:
        self._limited.pop(transaction, None)
        self._guard(transaction.time_up)
