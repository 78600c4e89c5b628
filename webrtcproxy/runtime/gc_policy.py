"""GcPolicy: when the garbage collector may run, and when free memory is returned to the system.

A call leaves no reference cycle (tests/call/test_cycles.py), so the collector finds next to nothing. But a collection
of the older generations traverses all live objects: with ten thousand calls it takes a tenth of a second, in which none
of them is served.
"""

from __future__ import annotations

import ctypes
import gc
from collections.abc import Callable

from twisted.application.service import Service
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

log = Logger()

INTERVAL = 20.0
"""Seconds between two checks whether a collection is due."""

MIN_ENDED = 50
"""Connections that must have ended before a collection: each leaves a handful of cycles."""

OPEN_PER_ENDED = 4
"""Open connections for each ended one, at most. A collection traverses all live objects: with 5,000 browsers no message
is read for 0.2 seconds, and the collection must be worth that."""

MAX_ENDED = 1_000
"""Ended connections after which a collection runs even though calls are up: their garbage (some 40 kB each) must not
grow without bound if there is never a quiet moment."""

YOUNG_THRESHOLD, OLD_THRESHOLD = 5_000, 400
"""New objects that make a collection of the youngest generation due, a few milliseconds; and so many of those, one of
the next: two million objects more than before, whether calls or something that leaks."""


class GcPolicy(Service):
    """Collects garbage when no call has to wait for it.

    :param clock: runs the checks.
    :param busy: returns whether calls are up, which a pause would delay.
    :param ended: returns how many connections have ended so far, a measure of the garbage.
    :param open_now: returns how many connections are open.
    :param drop_caches: called before a collection, to empty caches.
    """

    name = "memory"

    def __init__(
        self,
        clock: IReactorTime,
        busy: Callable[[], bool],
        ended: Callable[[], int],
        open_now: Callable[[], int],
        drop_caches: Callable[[], None],
    ) -> None:
        self._busy = busy
        self._ended = ended
        self._open_now = open_now
        self._drop_caches = drop_caches
        self._ended_before = 0
        self._checks = LoopingCall(self._check)
        self._checks.clock = clock

    def startService(self) -> None:
        """Exempt all objects that exist now from collections: they stay until the end."""
        super().startService()  # type: ignore[no-untyped-call]
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG_THRESHOLD, OLD_THRESHOLD, OLD_THRESHOLD)
        self._checks.start(INTERVAL, now=False).addErrback(
            lambda failure: log.failure("Garbage is not collected any more", failure)
        )

    def stopService(self) -> None:
        """End the checks."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._checks.running:
            self._checks.stop()

    def _check(self) -> None:
        ended = self._ended()
        enough = MAX_ENDED if self._busy() else min(MAX_ENDED, max(MIN_ENDED, self._open_now() // OPEN_PER_ENDED))
        if ended - self._ended_before < enough:
            return
        self._ended_before = ended
        self._drop_caches()
        gc.collect()
        malloc_trim()


def malloc_trim() -> None:
    """Let the C library return its free pages to the system; does nothing unless it is glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
