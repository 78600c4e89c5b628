"""RefusalLog: the log and the count of what limits and rules refuse. A flood must not fill the log."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.runtime.errors import Denied
from webrtcproxy.runtime.metrics import Metrics

log = Logger()

QUIET = 1.0
"""Seconds for which no further line about the same key is written; the next one says how many were left out."""

MAX_KEYS = 1024
"""Keys that are remembered."""


class RefusalLog:
    """Counts each refusal, and writes a line for it, but not more than one in `QUIET` seconds for the same key.

    :param clock: for the time.
    :param metrics: counts them.
    """

    def __init__(self, clock: IReactorTime, metrics: Metrics) -> None:
        self._clock = clock
        self._metrics = metrics
        self._last: BoundedDict[Hashable, tuple[float, int]] = BoundedDict(MAX_KEYS)

    def denied(self, denied: Denied, call_id: str, method: str, key: Hashable, why: str) -> Denied:
        """A request is refused.

        :param call_id: its Call-ID, as it may stand in the log.
        :param key: who is refused, and for what.
        :param why: with the option and its value.
        :returns: `denied`, to be raised.
        """
        self._metrics.refused(denied.counted)
        now = self._clock.seconds()
        last, more = self._last.get(key, (now - QUIET, 0))
        if now - last < QUIET:
            self._last[key] = last, more + 1
            return denied
        self._last.renew(key, (now, 0))
        log.info(
            "{call}: {method} is refused, {why}{more}",
            call=call_id,
            method=method,
            why=why,
            more=f"; {more} more of these before" if more else "",
        )
        return denied
