"""LoopLag: measures how late the reactor runs its timers."""

from __future__ import annotations

from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class LoopLag(Service):
    """Measures once a second how late a timer fires; all other work of the reactor is as late.

    :param clock: the reactor.
    :param late: called with the delay in seconds.
    """

    INTERVAL = 1.0
    """Seconds between two measurements."""

    def __init__(self, clock: IReactorTime, late: Callable[[float], None]) -> None:
        self._clock = clock
        self._late = late
        self._due = 0.0
        self._timer: IDelayedCall | None = None

    def startService(self) -> None:
        """Start measuring."""
        super().startService()  # type: ignore[no-untyped-call]
        self._wait()

    def stopService(self) -> None:
        """Stop measuring."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        self._due = self._clock.seconds() + self.INTERVAL
        self._timer = self._clock.callLater(self.INTERVAL, self._measure)

    def _measure(self) -> None:
        self._late(max(0.0, self._clock.seconds() - self._due))
        self._wait()
