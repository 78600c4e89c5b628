"""GcPolicy: when the garbage collector may run, and when free memory goes back to the system.

A call leaves no reference cycle (tests/call/test_cycles.py), so the collector has next to nothing to find; but each
collection of the older generations goes through all live objects: a tenth of a second for ten thousand calls, in which
none of them is served.
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
"""Seconds between two checks whether to collect."""

MIN_ENDED = 50
"""Connections that have ended, at least, for a collection: each leaves a handful of cycles."""

OPEN_PER_ENDED = 4
"""Open connections for each that has ended, at most: a collection goes through all live objects, 0.2 seconds for 5,000
browsers, in which no message is read, and has to be worth that."""

MAX_ENDED = 1_000
"""Connections that have ended after which there is a collection though calls are up: what they leave (some 40 kB each)
must not grow without a bound where there is never a quiet moment."""

YOUNG_THRESHOLD, OLD_THRESHOLD = 5_000, 400
"""New objects that make a collection of the youngest generation due, a few milliseconds; and so many of those, one of
the next: two million objects more than before, whether calls or something that leaks."""


class GcPolicy(Service):
    """Collects garbage when no call has to wait for it.

    :param clock: runs the checks.
    :param busy: whether calls are up, which a pause would delay.
    :param ended: how many connections have ended so far: where many have, there is something to free.
    :param open_now: how many connections are open.
    :param drop_caches: called before a collection, to drop what can be computed again.
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
        """Exempt all that exists now from collections: it is there to stay."""
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
    """Have the C library return its free pages to the system; nothing where it is another than glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
