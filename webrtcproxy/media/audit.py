"""SessionAudit: which sessions are at which node; finds those that rtpengine has lost although calls need them.

rtpengine deletes a session whose media has ceased (its ``timeout``), and has no sessions after a restart; it reports
neither. So the audit lists the sessions of a node. The list is a snapshot, and limited to what fits a datagram; so a
session that is missing from it is queried by name before its call is told. If a node holds more sessions than the list,
the unlisted ones are queried in turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from webrtcproxy.media.ng import Node
from webrtcproxy.media.placement import Loss, OnLoss
from webrtcproxy.media.profile import EXISTS, session_fields
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout
from webrtcproxy.runtime.pacing import Pace

log = Logger()

PROBE_LIMIT = 250
"""An audit that has found this many sessions by name stops; the next one goes on."""


class _Watched:
    """A session that a call needs."""

    __slots__ = ("lost", "node", "queued", "starts")

    def __init__(self, node: Node, lost: OnLoss) -> None:
        self.node = node
        self.starts = node.statistics.starts  # that of the node when the session was there last
        self.lost = lost
        self.queued = False  # its call is about to be told


class SessionAudit:
    """The sessions that calls need, each with its node.

    :param sessions: returns the call-ids of sessions that a node holds, not necessarily all.
    :param is_usable: whether any node takes sessions.
    :param timeout: seconds for one command.
    :param pace: in which calls are told, since each of them then has much to do.
    """

    def __init__(
        self,
        sessions: Callable[[Node], Awaitable[list[str]]],
        is_usable: Callable[[], bool],
        timeout: float,
        pace: Pace,
    ) -> None:
        self._sessions = sessions
        self._is_usable = is_usable
        self._timeout = timeout
        self._pace = pace
        self._watched: dict[str, _Watched] = {}
        self._in_work: set[Node] = set()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, call_id: str, node: Node, lost: OnLoss) -> None:
        """Call `lost` once if `node` turns out to have no session `call_id`, or to be gone."""
        self._watched[call_id] = _Watched(node, lost)

    def unwatch(self, call_id: str) -> None:
        """Stop watching a session: no call needs it any more."""
        self._watched.pop(call_id, None)

    def rounds(self, node: Node) -> int:
        """How many checks it takes at most until each session of a node was looked for."""
        return 1 + sum(each.node is node for each in self._watched.values()) // PROBE_LIMIT

    async def check(self, node: Node, ask_statistics: Callable[[], Awaitable[object]]) -> None:
        """Check that a node has the sessions that it should have; does nothing if a check is in progress.

        :param ask_statistics: asks for those of the node: before a call is told, it must be known whether the node was
            restarted.
        """
        ours = [call_id for call_id, each in self._watched.items() if each.node is node and not each.queued]
        if not ours or node in self._in_work:
            return
        self._in_work.add(node)
        try:
            starts, there = node.statistics.starts, set(await self._sessions(node))
            for call_id in there.intersection(ours):
                self._is_there(call_id, starts)
            unlisted = [call_id for call_id in ours if call_id not in there]
            await self._query_all(node, starts, unlisted, ask_statistics)
        except (NgTimeout, NgOverload, NgRefused) as error:
            log.info("rtpengine {node} does not list its sessions: {why}", node=node, why=error.why)
        finally:
            self._in_work.remove(node)

    def lose(self, node: Node) -> None:
        """A node is gone: tell the calls of its sessions. It may be called again."""
        for call_id, each in self._watched.items():
            if each.node is node and not each.queued:
                each.queued = True
                self._pace.add(lambda call_id=call_id: self._tell_unless_back(call_id))  # type: ignore[misc]

    async def _query_all(
        self, node: Node, starts: int, unlisted: Sequence[str], ask_statistics: Callable[[], Awaitable[object]]
    ) -> None:
        """Query the sessions that the list lacks, one after the other, least recently queried first."""
        found, asked = 0, False
        for call_id in unlisted:
            if call_id not in self._watched:
                continue
            if not await self._has(node, call_id):
                if not asked:
                    await ask_statistics()
                    asked = True
                self._lost(call_id)
                continue
            self._is_there(call_id, starts)
            found += 1
            if found == PROBE_LIMIT:
                return

    async def _has(self, node: Node, call_id: str) -> bool:
        try:
            await node.command("query", session_fields(call_id), self._timeout, EXISTS)
        except NgRefused as error:
            if error.lost:
                return False
            raise
        return True

    def _is_there(self, call_id: str, starts: int) -> None:
        """A session was seen, after so many starts of its node."""
        watched = self._watched.pop(call_id, None)
        if watched is not None:  # the call may have ended meanwhile
            watched.starts = starts
            self._watched[call_id] = watched

    def _lost(self, call_id: str) -> None:
        """A node has no such session."""
        watched = self._watched.get(call_id)
        if watched is None or watched.queued:
            return
        watched.queued = True
        if watched.starts != watched.node.statistics.starts:
            self._pace.add(lambda: self._tell_of_node(call_id))
        else:
            self._pace.add(lambda: self._tell(call_id, Loss.SESSION))

    def _tell_unless_back(self, call_id: str) -> None:
        """Tell a call that the node of its session is gone. If that replies again, an audit finds out what it has."""
        watched = self._watched.get(call_id)
        if watched is not None and watched.node.alive:
            watched.queued = False
        else:
            self._tell_of_node(call_id)

    def _tell_of_node(self, call_id: str) -> None:
        self._tell(call_id, Loss.NODE if self._is_usable() else Loss.NO_NODE)

    def _tell(self, call_id: str, loss: Loss) -> None:
        watched = self._watched.pop(call_id, None)
        if watched is not None:
            watched.lost(loss)
