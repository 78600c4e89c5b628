"""Gathering: what may be done a moment later, done together with others of its kind while there are many."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall

from webrtcproxy.runtime.schedule import Clock

T = TypeVar("T")


class Batcher(Generic[T]):
    """Hands things on at once while they are few, and together while they are many, a moment later: what is done behind
    another of its kind finds code and data in the caches, and costs a fraction of what is done alone.

    :param clock: tells the time, and when a moment is over.
    :param hand_on: takes one thing.
    """

    __slots__ = ("_clock", "_hand_on", "_last", "_timer", "_waiting")

    MOMENT: ClassVar[float] = 0.25
    """Seconds that a thing may wait."""
    MOST: ClassVar[int] = 1_000
    """Things that wait, at most."""

    def __init__(self, clock: Clock, hand_on: Callable[[T], object]) -> None:
        self._clock = clock
        self._hand_on = hand_on
        self._waiting: list[T] = []
        self._last = float("-inf")
        self._timer: IDelayedCall | None = None

    def add(self, thing: T) -> None:
        """Take a thing.

        :raises Exception: as `hand_over`.
        """
        self._waiting.append(thing)
        if self._clock.seconds() - self._last >= self.MOMENT or len(self._waiting) >= self.MOST:
            self.hand_over()
        elif self._timer is None:
            self._timer = self._clock.callLater(self.MOMENT, self.hand_over)

    def hand_over(self) -> None:
        """Hand on all that waits, in order.

        :raises Exception: the first that was raised over one of them; the others were handed on all the same.
        """
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        self._last = self._clock.seconds()
        waiting, self._waiting = self._waiting, []
        wrong: Exception | None = None
        for thing in waiting:
            try:
                self._hand_on(thing)
            except Exception as error:
                wrong = wrong or error
        if wrong is not None:
            raise wrong
