"""Timers: T1, T2, T4 and what follows from them (RFC 3261 section 17, table 4), and the waiting for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from twisted.internet.interfaces import IDelayedCall, IReactorTime

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values, in seconds.

    :ivar t1: estimate of a round trip.
    :ivar t2: longest interval between two sends of a non-INVITE request or an INVITE response.
    :ivar t4: how long a message stays in the network.
    """

    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0

    @property
    def patience(self) -> float:
        """64*T1: timers B, D, F, H, J, L and M."""
        return 64 * self.t1


RFC3261 = Timers()


class Delay(Generic[Item]):
    """Everything that waits for one and the same time, first come first due: one reactor timer for all of it, since a
    `callLater` per transaction that is nearly always cancelled costs more than the transaction.

    :param clock: runs the one timer.
    :param seconds: how long each item waits.
    :param due: called with each item whose time is up.
    """

    __slots__ = ("_clock", "_due", "_items", "_seconds", "_timer")

    def __init__(self, clock: IReactorTime, seconds: float, due: Callable[[Item], None]) -> None:
        self._clock = clock
        self._seconds = seconds
        self._due = due
        self._items: dict[Item, float] = {}
        self._timer: IDelayedCall | None = None

    def add(self, item: Item) -> None:
        """Let `item` wait from now on; an item waits once, from when it was added last."""
        self._items.pop(item, None)
        self._items[item] = self._clock.seconds() + self._seconds
        if self._timer is None:
            self._timer = self._clock.callLater(self._seconds, self._sweep)

    def discard(self, item: Item) -> None:
        """Let `item` wait no more; no error where it does not."""
        self._items.pop(item, None)

    def __len__(self) -> int:
        return len(self._items)

    def stop(self) -> None:
        """Nothing waits any more."""
        self._items.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        while self._items:
            item, deadline = next(iter(self._items.items()))
            if deadline > now:
                break
            del self._items[item]
            self._due(item)
        if self._items and self._timer is None:
            self._timer = self._clock.callLater(max(0.0, next(iter(self._items.values())) - now), self._sweep)
