"""Expiry: what ends at a time of its own is looked at when that has come, a little of it in one turn of the reactor.

Time is cut into pieces, and each thing is noted with the piece in which it may end. What ends later after all, as a
binding does that was refreshed, is noted anew when it is looked at: so a refresh costs nothing here.
"""

from __future__ import annotations

from collections.abc import Callable
from math import ceil

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SWEEP_INTERVAL = 10.0
"""Seconds between two looks for what has expired, and so long it may be kept beyond its end."""

MAX_PER_TURN = 50
"""Things that are looked at in one turn: some milliseconds, where all of them have ended and are logged."""

HORIZON = 360
"""Looks into the future that are told apart (an hour); what ends later is looked at then, and noted anew."""

_ROUNDING = 1e-6


class Expirable:
    """Something that ends when its time has come.

    :ivar piece: the look at which it is due; 0 where it is not watched. For `ExpiryWheel`.
    """

    __slots__ = ("piece",)

    def __init__(self) -> None:
        self.piece = 0


class ExpiryWheel:
    """Watches over what ends.

    :param clock: runs the looks; it is left alone where nothing is watched.
    :param look: called with a thing that may have ended, and the time; returns when it may end next, None where it is
        to be watched no more.
    """

    def __init__(self, clock: IReactorTime, look: Callable[[Expirable, float], float | None]) -> None:
        self._clock = clock
        self._look = look
        self._pieces: dict[int, dict[Expirable, None]] = {}
        self._due: dict[Expirable, None] = {}
        self._count = 0
        self._began = 0.0
        self._looks = 0
        self._timer: IDelayedCall | None = None

    def watch(self, what: Expirable, until: float) -> None:
        """Have `what` looked at once `until` is over, in seconds of the clock; or before, where it is watched already
        and due before."""
        if not self._count:
            self._began = self._clock.seconds()
            self._looks = 0
        ahead = min((until - self._began - _ROUNDING) / SWEEP_INTERVAL, float(self._looks + HORIZON))
        piece = max(ceil(ahead), self._looks + 1)
        if what.piece:
            if what.piece <= piece:
                return
            self.forget(what)
        what.piece = piece
        self._pieces.setdefault(piece, {})[what] = None
        self._count += 1
        self._wake()

    def forget(self, what: Expirable) -> None:
        """Watch `what` no more; no error where it is not watched."""
        if what.piece:
            among = self._due if what.piece <= self._looks else self._pieces[what.piece]
            del among[what]
            if not among:
                self._pieces.pop(what.piece, None)
            self._left(what)
            if not self._count and self._timer is not None:
                self._timer.cancel()
                self._timer = None

    def clear(self) -> None:
        """Watch nothing any more."""
        for among in (self._due, *self._pieces.values()):
            for what in tuple(among):
                self.forget(what)

    def _left(self, what: Expirable) -> None:
        what.piece = 0
        self._count -= 1

    def _wake(self) -> None:
        if self._timer is None and self._count:
            wait = 0.0
            if not self._due:
                wait = self._began + (self._looks + 1) * SWEEP_INTERVAL - self._clock.seconds()
            self._timer = self._clock.callLater(min(max(wait, 0.0), SWEEP_INTERVAL), self._turn)

    def _turn(self) -> None:
        self._timer = None
        now = self._clock.seconds()
        if not self._due:
            self._looks = max(self._looks, int((now - self._began + _ROUNDING) / SWEEP_INTERVAL))
            for piece in sorted(self._pieces):
                if piece <= self._looks:
                    self._due.update(self._pieces.pop(piece))
        try:
            for _ in range(MAX_PER_TURN):
                if not self._due:
                    break
                self._next(now)
        finally:
            self._wake()

    def _next(self, now: float) -> None:
        what, _ = self._due.popitem()
        self._left(what)
        until = self._look(what, now)
        if until is not None:
            self.watch(what, until)
