"""ExpiryWheel: removes many things when they expire, a few in each turn of the reactor.

Time is divided into slots, and each thing is put into the slot in which it may expire. A thing whose expiry was put
off, such as a refreshed binding, goes into a later slot when it is checked: so a refresh costs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SWEEP_INTERVAL = 10.0
"""Seconds of a slot, and between two sweeps. A thing may be kept for so long after it has expired."""

MAX_PER_TURN = 50
"""Things that are checked in one turn: takes some milliseconds where all of them have expired and are logged."""

HORIZON = 360
"""Number of slots (one hour); what expires later is checked after an hour, and put into another slot."""

_ROUNDING = 1e-6


class Expirable:
    """Something that expires.

    :ivar slot: the sweep at which it is due; 0 where it is not watched. Set by `ExpiryWheel` only.
    """

    __slots__ = ("slot",)

    def __init__(self) -> None:
        self.slot = 0


class ExpiryWheel:
    """Checks things when they may have expired.

    :param clock: runs the sweeps; none is scheduled while nothing is watched.
    :param check: called with a thing that may have expired, and the time; returns when it may expire next, or None to
        stop watching it.
    """

    def __init__(self, clock: IReactorTime, check: Callable[[Expirable, float], float | None]) -> None:
        self._clock = clock
        self._check = check
        self._slots: dict[int, dict[Expirable, None]] = {}
        self._due: dict[Expirable, None] = {}
        self._count = 0
        self._began = 0.0
        self._sweeps = 0
        self._timer: IDelayedCall | None = None

    def watch(self, what: Expirable, until: float) -> None:
        """Have `what` checked after `until`, in seconds of the clock; earlier where it is already watched with an
        earlier time."""
        if not self._count:
            self._began = self._clock.seconds()
            self._sweeps = 0
        ahead = min((until - self._began - _ROUNDING) / SWEEP_INTERVAL, float(self._sweeps + HORIZON))
        slot = max(ceil(ahead), self._sweeps + 1)
        if what.slot:
            if what.slot <= slot:
                return
            self.forget(what)
        what.slot = slot
        self._slots.setdefault(slot, {})[what] = None
        self._count += 1
        self._schedule()

    def forget(self, what: Expirable) -> None:
        """Stop watching `what`; no error where it is not watched."""
        if what.slot:
            among = self._due if what.slot <= self._sweeps else self._slots[what.slot]
            del among[what]
            if not among:
                self._slots.pop(what.slot, None)
            self._removed(what)
            if not self._count and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def clear(self) -> None:
        """Stop watching everything."""
        for among in (self._due, *self._slots.values()):
            for what in tuple(among):
                self.forget(what)

    def _removed(self, what: Expirable) -> None:
        what.slot = 0
        self._count -= 1

    def _schedule(self) -> None:
        if self._timer is None and self._count:
            wait = 0.0
            if not self._due:
                wait = self._began + (self._sweeps + 1) * SWEEP_INTERVAL - self._clock.seconds()
            self._timer = self._clock.callLater(min(max(wait, 0.0), SWEEP_INTERVAL), self._sweep)

    def _sweep(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if not self._due:
            self._sweeps = max(self._sweeps, int((now - self._began + _ROUNDING) / SWEEP_INTERVAL))
            for slot in sorted(self._slots):
                if slot <= self._sweeps:
                    self._due.update(self._slots.pop(slot))
        try:
            for _ in range(MAX_PER_TURN):
                if not self._due:
                    break
                self._check_next(now)
        finally:
            self._schedule()

    def _check_next(self, now: float) -> None:
        what, _ = self._due.popitem()
        self._removed(what)
        until = self._check(what, now)
        if until is not None:
            self.watch(what, until)
