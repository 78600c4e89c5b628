"""OkRetransmission: our 2xx to an INVITE, from its first send to the ACK (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.transaction.timers import RFC3261, Timers


class OkRetransmission:
    """The wait for the ACK of a 2xx, which is repeated meanwhile on every transport (RFC 3261 section 13.3.1.4).

    :param schedule: runs the timers.
    :param repeat: sends the 2xx once more.
    :param unacknowledged: called when no ACK came within 64*T1.
    """

    __slots__ = ("_elapsed", "_interval", "_repeat", "_schedule", "_timer", "_timers", "_unacknowledged")

    def __init__(
        self,
        schedule: Schedule,
        repeat: Callable[[], None],
        unacknowledged: Callable[[], None],
        timers: Timers = RFC3261,
    ) -> None:
        self._schedule = schedule
        self._repeat = repeat
        self._unacknowledged = unacknowledged
        self._timers = timers
        self._interval = timers.t1
        self._elapsed = timers.t1
        self._timer: Timer | None = schedule.after(timers.t1, self._time_up)

    def _time_up(self) -> None:
        left = self._timers.timeout_64t1 - self._elapsed
        if left <= 0:
            self._timer = None
            self._unacknowledged()
            return
        self._repeat()
        self._interval = min(2 * self._interval, self._timers.t2)
        wait = min(self._interval, left)
        self._elapsed += wait
        self._timer = self._schedule.after(wait, self._time_up)

    def acknowledge(self) -> None:
        """The ACK is here: no more repeats."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
