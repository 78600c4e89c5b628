"""SessionAudit: finds media sessions that rtpengine has lost although their calls are still up.

rtpengine deletes a session whose media has ceased (its ``timeout``), and has no sessions after a restart; it reports
neither. So the audit lists the sessions of each node periodically. The list is a snapshot, and limited to what fits a
datagram; so a session that is missing from it is queried by name before its call is notified. If a node holds more
sessions than the list, the unlisted ones are queried in turns.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from twisted.logger import Logger

from webrtcproxy.media.ng import Node
from webrtcproxy.media.profile import session_fields
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout

log = Logger()

PROBE_LIMIT = 250
"""An audit that has found this many sessions by name stops; the next one goes on."""

_OnLost = Callable[[], None]


class SessionAudit:
    """The sessions that calls need, each with its node.

    :param sessions: returns the call-ids of sessions that a node holds, not necessarily all.
    :param timeout: seconds for one command.
    """

    def __init__(self, sessions: Callable[[Node], Awaitable[list[str]]], timeout: float) -> None:
        self._sessions = sessions
        self._timeout = timeout
        self._watched: dict[str, tuple[Node, _OnLost]] = {}
        self._in_work: set[Node] = set()

    def __len__(self) -> int:
        return len(self._watched)

    def watch(self, call_id: str, node: Node, lost: _OnLost) -> None:
        """Call `lost` once if `node` turns out to have no session `call_id`."""
        self._watched[call_id] = node, lost

    def unwatch(self, call_id: str) -> None:
        """Stop watching a session: no call needs it any more."""
        self._watched.pop(call_id, None)

    async def check(self, node: Node) -> None:
        """Check that a node has the sessions that it should have; does nothing if a check is in progress."""
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
        """Query the sessions that the list lacks, one after the other, least recently queried first."""
        found = 0
        for call_id in unlisted:
            if call_id not in self._watched:
                continue
            if not await self._has(node, call_id):
                self._report_lost(call_id)
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

    def _report_lost(self, call_id: str) -> None:
        watched = self._watched.pop(call_id, None)
        if watched is not None:  # the call may have ended meanwhile
            watched[1]()
