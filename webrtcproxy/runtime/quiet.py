"""Quiet: so that what peers can repeat as they like does not fill the log."""

from __future__ import annotations

from collections.abc import Hashable

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.bounded import BoundedDict

QUIET = 1.0
"""Seconds for which no further line about the same key is written; the next one says how many were left out."""

MAX_KEYS = 1024
"""Keys that are remembered."""


class Quiet:
    """Lets one log line of a kind pass in `QUIET` seconds.

    :param clock: for the time.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last: BoundedDict[Hashable, tuple[float, int]] = BoundedDict(MAX_KEYS)

    def more(self, key: Hashable) -> str | None:
        """Whether a line about `key` may be written.

        :returns: None if not; else what to add to it: how many were left out before, or nothing.
        """
        now = self._clock.seconds()
        last, left_out = self._last.get(key, (now - QUIET, 0))
        if now - last < QUIET:
            self._last[key] = last, left_out + 1
            return None
        self._last.renew(key, (now, 0))
        return f"; {left_out} more of these before" if left_out else ""
