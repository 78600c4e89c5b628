"""FlowMonitor: notices when a browser of a call has lost its connection. Its leg is kept for a grace time, within which
the browser may reconnect."""

from __future__ import annotations

from collections.abc import Callable

from webrtcproxy.dialog.leg import Leg
from webrtcproxy.runtime.schedule import Schedule, Timer


class FlowMonitor:
    """Watches the sockets under the legs of one call.

    :param schedule: runs the grace time.
    :param grace: seconds from the loss of a socket until its leg is abandoned.
    :param abandoned: called with the leg when the grace time has passed.
    """

    def __init__(self, schedule: Schedule, grace: float, abandoned: Callable[[Leg], None]) -> None:
        self._schedule = schedule
        self._grace = grace
        self._abandoned = abandoned
        self._watched: dict[Leg, Callable[[], None]] = {}
        self._parked: dict[Leg, Timer] = {}

    def watch(self, leg: Leg) -> None:
        """Watch the current flow of `leg` in place of the former one; a peer on the SIP side is not watched."""
        if not leg.profile.flow_bound:
            return
        self.unwatch(leg)
        if leg.flow.closed:
            self._lost(leg)
        else:
            self._watched[leg] = leg.flow.on_lost(lambda: self._lost(leg))

    def stop(self) -> None:
        """Stop watching all legs."""
        for leg in (*self._watched, *self._parked):
            self.unwatch(leg)
        self._abandoned = _ignore

    def _lost(self, leg: Leg) -> None:
        self._watched.pop(leg, None)
        self._parked[leg] = self._schedule.after(self._grace, lambda: self._time_up(leg))

    def _time_up(self, leg: Leg) -> None:
        del self._parked[leg]
        self._abandoned(leg)

    def unwatch(self, leg: Leg) -> None:
        """Stop watching a leg."""
        if (unsubscribe := self._watched.pop(leg, None)) is not None:
            unsubscribe()
        if (timer := self._parked.pop(leg, None)) is not None:
            timer.cancel()


def _ignore(leg: Leg) -> None:
    """Do nothing: the monitor has stopped."""
