"""AcceptedInvite: repeats the 2xx to a peer's INVITE until the ACK arrives (RFC 3261 section 13.3.1.4)."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred

from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.message import Request
from webrtcproxy.transaction.timers import RFC3261, Timers


class AcceptedInvite:
    """The wait for the ACK of a 2xx, which is repeated meanwhile on every transport.

    :param schedule: runs the timers.
    :param number: the CSeq number of the INVITE.
    :param repeat: sends the 2xx again.
    :param unacknowledged: called when no ACK arrives within 64*T1.
    :param on_ack: to be called with the ACK, or None.
    :param before: the preceding wait, if its ACK has not arrived: a peer that sends a further INVITE has received that
        2xx.
    :ivar number: as given.
    :ivar on_ack: as given.
    """

    __slots__ = (
        "_elapsed", "_interval", "_repeat", "_schedule", "_timer", "_timers", "_unacknowledged", "_waiting", "number",
        "on_ack",
    )  # fmt: skip

    def __init__(
        self,
        schedule: Schedule,
        number: int,
        repeat: Callable[[], None],
        unacknowledged: Callable[[], None],
        on_ack: Callable[[Request], None] | None = None,
        before: AcceptedInvite | None = None,
        timers: Timers = RFC3261,
    ) -> None:
        self.number = number
        self.on_ack = on_ack
        self._schedule = schedule
        self._repeat = repeat
        self._unacknowledged = unacknowledged
        self._timers = timers
        self._interval = timers.t1
        self._elapsed = timers.t1
        self._waiting: list[Deferred[None]] = []
        if before is not None:
            before._stop()
            self._waiting = before._waiting
        self._timer: Timer | None = schedule.after(timers.t1, self._time_up)

    def when_acknowledged(self) -> Deferred[None]:
        """Fires with None at the end of the wait."""
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def end(self) -> None:
        """Stop repeating: the ACK has arrived, or is no longer awaited."""
        self._stop()
        waiting, self._waiting = self._waiting, []
        for acknowledged in waiting:
            acknowledged.callback(None)

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

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
