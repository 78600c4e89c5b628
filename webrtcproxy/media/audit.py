"""SessionAudit: finds the sessions of calls that are up which rtpengine does not have any more.

rtpengine deletes a session whose media has ceased (its ``timeout``), and has none after a restart; it says nothing of
that. So each node is asked now and then which sessions it holds. A session that is not in the list is queried by name
before it is given up: the list is of a moment, and as long as fits a datagram. Where a node holds more sessions than
that, those that are not listed take turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from webrtcproxy.media.ng import Node
from webrtcproxy.media.profile import session_fields
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout

log = Logger()

PROBE_LIMIT = 250
"""Sessions that one audit queries by name and finds to be there; the rest is for the next one."""

_Lost = Callable[[], None]


class SessionAudit:
    """The sessions that calls need, each with its node.

    :param sessions: gives the call-ids of the sessions that a node holds, not necessarily all.
    :param timeout: seconds for one command.
    """

    def __init__(self, sessions: Callable[[Node], Awaitable[list[str]]], timeout: float) -> None:
        self._sessions = sessions
        self._timeout = timeout
        self._watched: dict[str, tuple[Node, _Lost]] = {}
        self._in_work: set[Node] = set()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, call_id: str, node: Node, lost: _Lost) -> None:
        """Call `lost` once when `node` is found to have no session `call_id`."""
        self._watched[call_id] = node, lost

    def unwatch(self, call_id: str) -> None:
        """No call needs that session any more."""
        self._watched.pop(call_id, None)

    async def check(self, node: Node) -> None:
        """Ask a node for the sessions that it should have; nothing where that is in work already."""
        ours = [call_id for call_id, (where, _) in self._watched.items() if where is node]
        if not ours or node in self._in_work:
            return
        self._in_work.add(node)
        try:
            there = set(await self._sessions(node))
            await self._query_all(node, [call_id for call_id in ours if call_id not in there])
        except (NgTimeout, NgOverload, NgRefused) as error:
            log.info("rtpengine {node} does not list its sessions: {why}", node=node, why=error.why)
        finally:
            self._in_work.remove(node)

    async def _query_all(self, node: Node, unlisted: Sequence[str]) -> None:
        """Query those that the list lacks, one after the other; those that were not queried for longest come first."""
        found = 0
        for call_id in unlisted:
            if call_id not in self._watched:
                continue
            if not await self._has(node, call_id):
                self._lost(call_id)
                continue
            if call_id in self._watched:
                self._watched[call_id] = self._watched.pop(call_id)
            found += 1
            if found == PROBE_LIMIT:
                return

    async def _has(self, node: Node, call_id: str) -> bool:
        try:
            await node.command("query", session_fields(call_id), self._timeout)
        except NgRefused as error:
            if error.lost:
                return False
            raise
        return True

    def _lost(self, call_id: str) -> None:
        watched = self._watched.pop(call_id, None)
        if watched is not None:  # the call may have ended meanwhile
            watched[1]()
