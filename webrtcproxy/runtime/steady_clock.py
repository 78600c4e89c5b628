"""The clock of the reactor: one that nobody sets, and that goes on while the machine is suspended.

Twisted's reactor reads the time of day. If somebody sets that by an hour, or NTP corrects it, all that waits would be
due at once, or wait for another hour. So everything that waits runs by this clock. The time of day is only written down
(in the log, in records), and compared with what others have written down (in tokens and certificates).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.base import DelayedCall, ReactorBase
from twisted.logger import Logger

from webrtcproxy.runtime.shortcut import Shortcut

log = Logger()

COST = "timers run by the time of day: when that is set, calls and registrations end early or late"
REACTOR = Shortcut(ReactorBase, ("seconds",), {"callLater": 2, "getDelayedCalls": 0}, COST)
CALL = Shortcut(DelayedCall, ("seconds", "time"), {}, COST)
HAS_CLOCK = REACTOR.usable() and CALL.usable()

_FAR = 3600.0


def steady_clock() -> Callable[[], float]:
    """The function that returns the seconds since the machine was started, suspensions included where the system tells
    them (CLOCK_BOOTTIME of Linux). Processes of one machine have the same."""
    boot = getattr(time, "CLOCK_BOOTTIME", None)
    return time.monotonic if boot is None else partial(time.clock_gettime, boot)


def use_steady_clock(reactor: Any, seconds: Callable[[], float] | None = None) -> bool:
    """Let a reactor run everything by `steady_clock`; what waits already keeps its delay. Twice is once.

    :param reactor: runs by the time of day as yet.
    :param seconds: another clock.
    :returns: whether it does; else the reason is logged.
    """
    clock = seconds or steady_clock()
    if not HAS_CLOCK:
        return False
    if not isinstance(reactor, ReactorBase):
        log.warn("The reactor {name} has a clock of its own: {cost}", name=type(reactor).__qualname__, cost=COST)
        return False
    before = reactor.seconds
    reactor.seconds = clock
    probe = reactor.callLater(_FAR, _nothing)
    follows = abs(probe.getTime() - clock() - _FAR) < _FAR / 2
    probe.cancel()
    if not follows:
        reactor.seconds = before
        log.warn("The reactor {name} does not take another clock: {cost}", name=type(reactor).__qualname__, cost=COST)
        return False
    ahead = clock() - before()
    for call in reactor.getDelayedCalls():
        if isinstance(call, DelayedCall) and call.seconds is not clock:
            call.time += ahead
            call.seconds = clock
    return True


def _nothing() -> None:
    """Do nothing."""
