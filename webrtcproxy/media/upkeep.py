"""Upkeep: what is asked of a node that replies, and done there: its version, its statistics, the sessions that it
should have, and those that no call owns."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from webrtcproxy.media.audit import SessionAudit
from webrtcproxy.media.names import SessionNames
from webrtcproxy.media.ng import Node
from webrtcproxy.media.profile import ASKS_FOR_A_DESCRIPTION, list_fields, session_fields
from webrtcproxy.media.version import NO_QUIRKS, quirks_of, version_in, vulnerabilities_of
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout

log = Logger()

STATISTICS_INTERVAL = 2
"""Statistics are asked for after one of so many pings."""
MAX_LISTED = 1000
"""Sessions to list at once; this many names of ours fit a datagram."""


class Upkeep:
    """Looks after one node.

    :param node: the node.
    :param names: which sessions are whose.
    :param audit: the sessions that calls need.
    :param delete: deletes a session of a node; fires with whether there was one.
    :param discard: the same in the background.
    :param seconds: the time.
    :param timeout: seconds for one command.
    :param digits: digits are to be played: a node that loses some gets a warning in the log.
    """

    def __init__(
        self,
        node: Node,
        names: SessionNames,
        audit: SessionAudit,
        delete: Callable[[Node, str], Deferred[bool]],
        discard: Callable[..., Deferred[None]],
        seconds: Callable[[], float],
        timeout: float,
        digits: bool,
    ) -> None:
        self._node = node
        self._names = names
        self._audit = audit
        self._delete = delete
        self._discard = discard
        self._seconds = seconds
        self._timeout = timeout
        self._digits = digits
        self._asks_version = True
        self._sweeps = names.has_earlier
        self._audits = 0  # that are due
        self._pongs = 0

    def begin(self) -> None:
        """The node replies again, and may be another program: look at everything."""
        self._node.statistics.was_silent()
        self._asks_version = self._sweeps = True
        self._audits = self._audit.rounds(self._node)

    def audit_next(self) -> None:
        """Look for the sessions that the node should have, with the next reply to a ping."""
        self._audits = max(self._audits, 1)

    def sweep_next(self) -> None:
        """Delete the sessions that no call owns, with the next reply to a ping."""
        self._sweeps = True

    def work(self) -> list[Coroutine[Deferred[Any], Any, None]]:
        """The node has replied to a ping.

        :returns: what there is to do.
        """
        work = [self._inspect()]
        if self._asks_version:
            self._asks_version = False
            work.append(self._ask_version())
        if self._sweeps:
            self._sweeps = False
            work.append(self._sweep())
        return work

    async def _inspect(self) -> None:
        self._pongs += 1
        if self._audits or self._pongs % STATISTICS_INTERVAL == 1:
            await self._ask_statistics()
        if self._audits:
            self._audits -= 1
            await self._audit.check(self._node, self._ask_statistics)

    async def _ask_statistics(self) -> None:
        node, statistics = self._node, self._node.statistics
        try:
            reply = await node.command("statistics", {}, self._timeout)
        except NgError as why:
            log.debug("rtpengine {node} has no statistics: {why!r}", node=node, why=why)
            return
        starts = max(statistics.starts, 0)
        if statistics.update(reply, self._seconds()):
            self._audits = self._audit.rounds(node)
        if statistics.starts != starts:
            log.warn("rtpengine {node} was restarted", node=node)
            self._asks_version = True

    async def _ask_version(self) -> None:
        """Note and log the version, with a warning of each known fault."""
        node, call_id = self._node, self._names.new()
        try:
            reply = await node.command("publish", session_fields(call_id), self._timeout, ASKS_FOR_A_DESCRIPTION)
        except NgRefused:
            self._names.release(call_id)
            node.quirks = NO_QUIRKS
            return
        except CancelledError:  # the service stops
            self._discard(node, call_id, "version")
            raise
        except NgError:
            self._discard(node, call_id, "version", late=True)
            self._asks_version = True
            return
        self._discard(node, call_id, "version")
        version = version_in(reply.get(b"sdp"))
        node.quirks = NO_QUIRKS if version is None else quirks_of(version)
        if version is None:
            return
        log.info("rtpengine {node} has version {version}", node=node, version=version)
        for each in vulnerabilities_of(version):
            log.warn(
                "rtpengine {node}, version {version}, has {name}: {allows}; update it",
                node=node, version=version, name=each.name, allows=each.allows,
            )  # fmt: skip
        if self._digits and node.quirks.loses_digits:
            log.warn(
                "rtpengine {node}, version {version}, loses digits that it is to play (dtmf = rfc4733): a trunk "
                "that takes INFO gets them as INFO instead; use another version",
                node=node, version=version,
            )  # fmt: skip

    async def _sweep(self) -> None:
        """Delete the sessions that no call owns."""
        node = self._node
        try:
            left = [name for name in await sessions_at(node, self._timeout) if self._names.is_left_over(name)]
            for call_id in left:
                await self._delete(node, call_id)
        except (NgTimeout, NgOverload, NgRefused) as error:
            log.warn("rtpengine {node} not swept: {why}", node=node, why=error.why)
            return
        if left:
            log.info("{count} left over media sessions deleted at rtpengine {node}", count=len(left), node=node)
        if len(left) >= MAX_LISTED:
            await self._sweep()


async def sessions_at(node: Node, timeout: float, limit: int = MAX_LISTED) -> list[str]:
    """The call-ids of the sessions that a node holds, including those of other proxies.

    :param limit: the most to list; the reply must fit a datagram.
    :raises NgError: as `Node.command`.
    """
    reply = await node.command("list", list_fields(limit), timeout)
    return [name.decode("utf-8", "replace") for name in reply.get(b"calls", []) if isinstance(name, bytes)]
