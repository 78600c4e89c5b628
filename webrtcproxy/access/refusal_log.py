"""RefusalLog: the log and the count of what limits and rules refuse. A flood must not fill the log."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.runtime.errors import Denied
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.runtime.quiet import Quiet

log = Logger()


class RefusalLog:
    """Counts each refusal, and writes a line for it, but not too many for the same key (`Quiet`).

    :param clock: for the time.
    :param metrics: counts them.
    """

    def __init__(self, clock: IReactorTime, metrics: Metrics) -> None:
        self._metrics = metrics
        self._quiet = Quiet(clock)

    def denied(self, denied: Denied, call_id: str, method: str, key: Hashable, why: str) -> Denied:
        """A request is refused.

        :param call_id: its Call-ID, as it may stand in the log.
        :param key: who is refused, and for what.
        :param why: with the option and its value.
        :returns: `denied`, to be raised.
        """
        self._metrics.refused(denied.counted)
        more = self._quiet.more(key)
        if more is not None:
            log.info("{call}: {method} is refused, {why}{more}", call=call_id, method=method, why=why, more=more)
        return denied
