"""Deadline: the time limit for the response to a relayed non-INVITE request."""

from __future__ import annotations

from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from webrtcproxy.runtime.deferred import errback
from webrtcproxy.runtime.errors import TimedOut
from webrtcproxy.runtime.schedule import Schedule

T = TypeVar("T")

NON_INVITE_DEADLINE = 30.0
"""Seconds until a peer gets a 504 if the other side does not respond.

RFC 4320 section 4.2 forbids a 408 to any request but INVITE: it would arrive after Timer F of the peer (64*T1, 32 s)
has fired. A 504 means that a server further on did not respond (RFC 3261 section 21.5.5), and two seconds before Timer
F it arrives in time.
"""


class Deadline:
    """The total time that one request may take, as a context manager. The work that it waits for is not cancelled when
    the time is over.

    :param schedule: runs the timer.
    """

    __slots__ = ("_over", "_timer", "_waiting")

    def __init__(self, schedule: Schedule) -> None:
        self._over = False
        self._waiting: Deferred[Any] | None = None
        self._timer = schedule.after(NON_INVITE_DEADLINE, self._time_up)

    def wait(self, work: Deferred[T]) -> Deferred[T]:
        """Fires with the result of `work`; fails with TimedOut if the time is over first."""
        waiting: Deferred[T] = Deferred()
        self._waiting = waiting
        work.addBoth(self._fire, waiting)
        if self._over:
            self._time_up()
        return waiting

    def __enter__(self) -> Deadline:
        return self

    def __exit__(self, kind: object, error: object, traceback: object) -> None:
        self._timer.cancel()

    def _fire(self, result: T | Failure, waiting: Deferred[T]) -> None:
        if self._waiting is waiting:
            self._waiting = None
            waiting.callback(result)

    def _time_up(self) -> None:
        self._over = True
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            errback(waiting, TimedOut("no response in time"))
