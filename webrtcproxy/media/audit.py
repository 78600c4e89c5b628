"""Missing: finds the sessions of calls that are up which rtpengine does not have any more.

It deletes a session whose media has ceased (its ``timeout``), and behind a restart it knows none; it tells nobody. So a
node is asked now and then which sessions it holds. What the list lacks is asked for by name before it is given up: the
list is of a moment, and as long as fits a datagram. Where a node holds more than that, those that it lacks take turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from webrtcproxy.media.ng import Node
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout

log = Logger()

PROBE_LIMIT = 250
"""Sessions that one look asks for by name in vain, since they are there."""

_Lost = Callable[[], None]


class SessionAudit:
    """The sessions that are missed when they are gone.

    :param sessions: gives the call-ids of the sessions that a node holds, not necessarily all.
    :param timeout: seconds for one question.
    """

    def __init__(self, sessions: Callable[[Node], Awaitable[list[str]]], timeout: float) -> None:
        self._sessions = sessions
        self._timeout = timeout
        self._watched: dict[str, tuple[Node, _Lost]] = {}
        self._looking: set[Node] = set()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, call_id: str, node: Node, lost: _Lost) -> None:
        """Call `lost` once when `node` is found to have no session `call_id`."""
        self._watched[call_id] = node, lost

    def forget(self, call_id: str) -> None:
        """Nobody misses it any more."""
        self._watched.pop(call_id, None)

    async def look(self, node: Node) -> None:
        """Ask a node for the sessions that it should have, one question at a time."""
        ours = [call_id for call_id, (where, _) in self._watched.items() if where is node]
        if not ours or node in self._looking:
            return
        self._looking.add(node)
        try:
            there = set(await self._sessions(node))
            await self._ask_for(node, [call_id for call_id in ours if call_id not in there])
        except (NgTimeout, NgOverload, NgRefused) as error:
            log.info("rtpengine {node} does not tell what it holds: {why}", node=node, why=error.why)
        finally:
            self._looking.remove(node)

    async def _ask_for(self, node: Node, unlisted: Sequence[str]) -> None:
        """Ask for those that the list lacks, one after the other; the longest not asked for come first."""
        in_vain = 0
        for call_id in unlisted:
            if call_id not in self._watched:
                continue
            if not await self._has(node, call_id):
                self._tell(call_id)
                continue
            if call_id in self._watched:
                self._watched[call_id] = self._watched.pop(call_id)
            in_vain += 1
            if in_vain == PROBE_LIMIT:
                return

    async def _has(self, node: Node, call_id: str) -> bool:
        try:
            await node.ask("query", {"call-id": call_id}, self._timeout)
        except NgRefused as error:
            if error.lost:
                return False
            raise
        return True

    def _tell(self, call_id: str) -> None:
        watched = self._watched.pop(call_id, None)
        if watched is not None:  # the call may have ended meanwhile
            watched[1]()
