"""Batcher: what may be done a moment later, done together with others of its kind while there are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall

from webrtcproxy.runtime.schedule import Clock

T = TypeVar("T")


class Batcher(Generic[T]):
    """Hands things on at once while they are few, and in batches while they are many: what is done right after another
    of its kind finds code and data in the caches, and costs a fraction of what is done alone.

    :param clock: tells the time, and when a delay is over.
    :param hand_on: takes a batch, in the order in which the things came; never an empty one.
    :param delay: seconds that a thing may wait.
    :param most: things that wait, at most.
    :param eager: a thing is handed on at once where none came for `delay` seconds; else it waits for others, too.
    """

    __slots__ = ("_clock", "_delay", "_eager", "_hand_on", "_last", "_most", "_timer", "_waiting")

    DELAY: ClassVar[float] = 0.25
    """Seconds that a thing may wait, where nothing else is said."""
    MOST: ClassVar[int] = 1_000
    """Things that wait at most, where nothing else is said."""

    def __init__(
        self,
        clock: Clock,
        hand_on: Callable[[list[T]], object],
        *,
        delay: float = DELAY,
        most: int = MOST,
        eager: bool = True,
    ) -> None:
        self._clock = clock
        self._hand_on = hand_on
        self._delay = delay
        self._most = most
        self._eager = eager
        self._waiting: list[T] = []
        self._last = float("-inf")
        self._timer: IDelayedCall | None = None

    def idle(self) -> bool:
        """Whether what comes now need not wait: nothing came for the delay, and nothing waits. Its caller hands that on
        by itself; it counts as handed on."""
        now = self._clock.seconds()
        if self._waiting or now - self._last < self._delay:
            return False
        self._last = now
        return True

    def add(self, thing: T) -> None:
        """Take a thing.

        :raises Exception: as `flush`.
        """
        self._waiting.append(thing)
        quiet = self._eager and self._clock.seconds() - self._last >= self._delay
        if quiet or len(self._waiting) >= self._most:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._delay, self.flush)

    def flush(self) -> None:
        """Hand on all that waits.

        :raises Exception: what the taker raises; the batch is gone.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._last = self._clock.seconds()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._hand_on(waiting)


def one_by_one(take: Callable[[T], object]) -> Callable[[list[T]], None]:
    """A taker of batches that gives `take` one thing after the other.

    Where `take` raises, the others are given to it all the same, and the first exception is raised in the end.
    """

    def hand_on(things: list[T]) -> None:
        first: Exception | None = None
        for thing in things:
            try:
                take(thing)
            except Exception as error:
                first = first or error
        if first is not None:
            raise first

    return hand_on
