"""Presence: whether the browsers of a call are still there. A lost socket parks the call for a grace time, in which the
same browser may come back on a new one."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.interfaces import IDelayedCall, IReactorTime

from webrtcproxy.dialog.leg import Leg


class FlowMonitor:
    """Watches the sockets under the legs of one call.

    :param clock: runs the grace time.
    :param grace: seconds from the loss of a socket until its leg counts as gone.
    :param abandoned: called with the leg then.
    """

    def __init__(self, clock: IReactorTime, grace: float, abandoned: Callable[[Leg], None]) -> None:
        self._clock = clock
        self._grace = grace
        self._abandoned = abandoned
        self._watched: dict[Leg, Callable[[], None]] = {}
        self._parked: dict[Leg, IDelayedCall] = {}

    def watch(self, leg: Leg) -> None:
        """Watch the flow that `leg` has now, in place of the one it had; a leg of a trunk needs no watching."""
        if not leg.browser:
            return
        self.unwatch(leg)
        if leg.flow.closed:
            self._lost(leg)
        else:
            self._watched[leg] = leg.flow.on_lost(lambda: self._lost(leg))

    def stop(self) -> None:
        """Watch nothing any more."""
        for leg in (*self._watched, *self._parked):
            self.unwatch(leg)
        self._abandoned = _ignore

    def _lost(self, leg: Leg) -> None:
        self._watched.pop(leg, None)
        self._parked[leg] = self._clock.callLater(self._grace, self._time_up, leg)

    def _time_up(self, leg: Leg) -> None:
        del self._parked[leg]
        self._abandoned(leg)

    def unwatch(self, leg: Leg) -> None:
        """Watch this leg no more."""
        if (unsubscribe := self._watched.pop(leg, None)) is not None:
            unsubscribe()
        if (timer := self._parked.pop(leg, None)) is not None:
            timer.cancel()


def _ignore(leg: Leg) -> None:
    """Nobody is to be told any more."""
