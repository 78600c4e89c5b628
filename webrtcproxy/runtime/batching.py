"""Batcher: collects work that may wait a moment, so that under load it is done in batches."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall

from webrtcproxy.runtime.schedule import Clock

T = TypeVar("T")


class Batcher(Generic[T]):
    """Passes items on at once while they are few, and in batches while they are many: an item that is handled right
    after another finds code and data in the CPU caches, and costs a fraction of a single one.

    :param clock: for the delay.
    :param hand_on: takes a batch, in the order in which the items were added; never an empty one.
    :param delay: seconds that an item may wait.
    :param max_waiting: the number of waiting items at which the batch is passed on.
    :param eager: an item is passed on at once if none was added for `delay` seconds; otherwise it waits for others too.
    """

    __slots__ = ("_clock", "_delay", "_eager", "_hand_on", "_last", "_max_waiting", "_timer", "_waiting")

    DELAY: ClassVar[float] = 0.25
    """The default of `delay`."""
    MAX_WAITING: ClassVar[int] = 1_000
    """The default of `max_waiting`."""

    def __init__(
        self,
        clock: Clock,
        hand_on: Callable[[list[T]], object],
        *,
        delay: float = DELAY,
        max_waiting: int = MAX_WAITING,
        eager: bool = True,
    ) -> None:
        self._clock = clock
        self._hand_on = hand_on
        self._delay = delay
        self._max_waiting = max_waiting
        self._eager = eager
        self._waiting: list[T] = []
        self._last = float("-inf")
        self._timer: IDelayedCall | None = None

    def idle(self) -> bool:
        """Whether an item need not wait now: none was added for the delay, and none waits. The caller then handles it
        itself; it counts as passed on."""
        now = self._clock.seconds()
        if self._waiting or now - self._last < self._delay:
            return False
        self._last = now
        return True

    def add(self, thing: T) -> None:
        """Add an item.

        :raises Exception: as `flush`.
        """
        self._waiting.append(thing)
        quiet = self._eager and self._clock.seconds() - self._last >= self._delay
        if quiet or len(self._waiting) >= self._max_waiting:
            self.flush()
        elif self._timer is None:
            self._timer = self._clock.callLater(self._delay, self.flush)

    def flush(self) -> None:
        """Pass on all waiting items.

        :raises Exception: any from `hand_on`; the batch is then lost.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._last = self._clock.seconds()
        if self._waiting:
            waiting, self._waiting = self._waiting, []
            self._hand_on(waiting)


def one_by_one(take: Callable[[T], object]) -> Callable[[list[T]], None]:
    """Makes a `hand_on` that calls `take` for one item after the other.

    If `take` raises, it is still called for the other items, and the first exception is raised at the end.
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
