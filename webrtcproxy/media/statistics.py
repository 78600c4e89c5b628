"""NodeStatistics: what the ``statistics`` of a node tell about its sessions."""

from __future__ import annotations

from webrtcproxy.media.bencode import Reply

_GIVEN_UP = (
    b"timeoutsessions",
    b"silenttimeoutsessions",
    b"finaltimeoutsessions",
    b"offertimeoutsessions",
    b"forcedterminatedsessions",
)
"""Counters of the sessions that a node has given up by itself, or on behalf of somebody else."""

_TOLERANCE = 1.5
"""Seconds by which the uptime may be behind: it is in whole seconds, and its reply takes a moment."""


class NodeStatistics:
    """The last statistics of one node.

    :ivar starts: how often it seems to have been started again; -1 before the first statistics. By the clock of its
        machine: that may be set, so a session from before a start is to be looked for before it is taken for lost.
    """

    def __init__(self) -> None:
        self.starts = -1
        self._started: float | None = None  # by the clock of this process
        self._given_up: int | None = None

    def was_silent(self) -> None:
        """The node has not replied for a while: what it has lost meanwhile, it has not given up."""
        self.starts += 1

    def update(self, reply: Reply, now: float) -> bool:
        """Take in new ones.

        :param now: seconds of a clock that is not set.
        :returns: whether sessions may be lost since the last ones.
        """
        total = _dictionary(_dictionary(reply, b"statistics"), b"totalstatistics")
        uptime, given_up = _number(total, b"uptime"), sum(_number(total, name) or 0 for name in _GIVEN_UP)
        changed = self._given_up is not None and given_up != self._given_up
        self._given_up = given_up
        self.starts = max(self.starts, 0)
        if uptime is None:
            return changed
        started, before = now - uptime, self._started
        if before is not None and started > before + _TOLERANCE:
            self.starts += 1
            changed = True
        elif before is not None:
            started = min(started, before)
        self._started = started
        return changed


def _dictionary(found: object, key: bytes) -> object:
    return found.get(key) if isinstance(found, dict) else None


def _number(found: object, key: bytes) -> int | None:
    """A number, which rtpengine writes as text in some versions."""
    value = found.get(key) if isinstance(found, dict) else None
    if isinstance(value, bytes) and value.isdigit() and len(value) < 20:
        return int(value)
    return value if isinstance(value, int) else None
