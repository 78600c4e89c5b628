"""Memory: the garbage collector kept off the calls, and what is free given back to the system.

A call leaves no cycle behind (tests/call/test_cycles.py), so the collector has next to nothing to find; but each look
at the older generations goes through everything that lives, a tenth of a second for ten thousand calls, in which none
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

EVERY = 20.0
"""Seconds between two looks whether there is a quiet moment."""

MANY = 50
"""Connections that have ended, at least, for a look at what they have left behind: each is a handful of cycles."""

SHARE = 4
"""So many connections that are there for one that has ended, at most: a look goes through all that lives, 0.2 seconds
for 5,000 browsers, in which no message is read, and has to be worth that."""

TOO_MANY = 1_000
"""So many connections, and there is a look though calls are up: what they have left behind (some 40 kB each) must not
grow without a bound where there is never a quiet moment."""

YOUNG, RARELY = 5_000, 400
"""Objects that make a look at the youngest ones due, a few milliseconds; and so many such looks, one at the others: two
million objects more than before, be they calls or something that leaks."""


class GcPolicy(Service):
    """Looks after the memory of the process while it runs.

    :param clock: runs the looks.
    :param busy: tells whether anybody would mind a pause.
    :param departed: tells how many connections have ended so far: where many have, there is something to give back.
    :param present: tells how many connections there are.
    :param forget: called then: whoever keeps values that may be made anew is to let go of them.
    """

    name = "memory"

    def __init__(
        self,
        clock: IReactorTime,
        busy: Callable[[], bool],
        departed: Callable[[], int],
        present: Callable[[], int],
        forget: Callable[[], None],
    ) -> None:
        self._busy = busy
        self._departed = departed
        self._present = present
        self._forget = forget
        self._seen = 0
        self._looks = LoopingCall(self._look)
        self._looks.clock = clock

    def startService(self) -> None:
        """Everything is there that is to stay: no collection looks at it any more."""
        super().startService()  # type: ignore[no-untyped-call]
        gc.collect()
        gc.freeze()
        gc.set_threshold(YOUNG, RARELY, RARELY)
        self._looks.start(EVERY, now=False).addErrback(
            lambda failure: log.failure("The memory is not looked after any more", failure)
        )

    def stopService(self) -> None:
        """No more looks."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._looks.running:
            self._looks.stop()

    def _look(self) -> None:
        departed = self._departed()
        enough = TOO_MANY if self._busy() else min(TOO_MANY, max(MANY, self._present() // SHARE))
        if departed - self._seen < enough:
            return
        self._seen = departed
        self._forget()
        gc.collect()
        give_back()


def give_back() -> None:
    """Have the C library return its free pages; nothing where it is another than glibc."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)
