"""Nodes: all rtpengines, which of them are alive, and this proxy's sessions on them.

Every node is pinged. A node that does not reply to two commands in a row is dead: new calls use other nodes, and a dead
one only as a last resort. One that does not reply to three pings in a row, with all their repetitions, is lost: it has
died, hangs or is cut off. Its calls are told, a few at a time, and go on at another node; where there is none, they
wait a moment for one, and then end. A node that was restarted is found by its uptime, and one that has given sessions
up by its counters; then the sessions that it should have are looked for (`SessionAudit`).

Sessions that no call owns are deleted at the start, when a dead node replies again, and each minute (`SessionNames`
says which these are): rtpengine keeps a session whose call was never set up for an hour, with its ports.
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config.media_node import MediaNode
from webrtcproxy.media.audit import SessionAudit
from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.names import SessionNames
from webrtcproxy.media.ng import MediaReactor, Node
from webrtcproxy.media.placement import OnLoss
from webrtcproxy.media.profile import DELETE_AT_ONCE, session_fields
from webrtcproxy.media.session import MediaSession
from webrtcproxy.media.upkeep import MAX_LISTED, Upkeep, sessions_at
from webrtcproxy.runtime.batching import Batcher, one_by_one
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout, Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.runtime.pacing import Pace

log = Logger()

FIRST_PING = 1.0
"""Seconds from the start to the first ping: a node that starts at the same time may take a moment."""
PING_TIMEOUT = 1.0
"""Seconds to wait for a pong."""
LATE = 0.5
"""A ping whose time was up so many seconds ago was not waited for: this process was busy, or asleep."""
LOST_AFTER = 3
"""A node counts as lost after this many pings in a row without a reply."""
LAST_HOPE = 3.0
"""Seconds that the calls of a lost node wait where there is no other, before they end."""
REOPEN = 6
"""The socket towards a dead node is reopened once in this many pings, in case an address has changed."""
AUDIT_INTERVAL = 15
"""The sessions of a living node are audited once in this many pings."""
SWEEP_INTERVAL = 30
"""Sessions that no call owns are deleted once in this many pings."""
MOVED_AT_ONCE, MOVED_EVERY = 10, 0.05
"""So many calls are told that their media are lost, every so many seconds: each makes two re-INVITEs."""
DELETE_RETRY = 30.0
"""Seconds during which a delete is repeated."""

BATCH_DELAY = 0.1
"""Seconds that a delete may wait for others."""
SECOND_DELETE = 1.0
"""Seconds after which a session that did not exist is deleted once more: its offer may still have been in progress."""


class NodesReactor(MediaReactor, Protocol):
    """The part of a reactor that `Nodes` uses."""

    def getThreadPool(self) -> Any:
        """As `IReactorThreads`; used to resolve names."""


class Nodes(Service):
    """All rtpengine nodes.

    :param reactor: clock, sockets, threads.
    :param addresses: the nodes, as `MediaNode` or the beginning of one.
    :param timeout: seconds for one command of a call, over all nodes.
    :param ping: seconds between two pings of a node.
    :param names: makes the names of sessions; absent: those of a process that leaves earlier sessions alone.
    :param resolve: returns the IP address of a name; absent: the operating system's resolver, in a thread.
    :param metrics: counts commands.
    :param find: finds the IP address of a host that a peer has named, within bounds; absent: there is none.
    :param digits: digits are to be played: a node that loses some gets a warning in the log.
    :ivar nodes: the nodes.
    :ivar names: as given.
    """

    def __init__(
        self,
        reactor: NodesReactor,
        addresses: Iterable[Sequence[Any]],
        *,
        timeout: float = 2.0,
        ping: float = 2.0,
        names: SessionNames | None = None,
        resolve: Callable[[str], Deferred[str]] | None = None,
        metrics: Metrics | None = None,
        digits: bool = False,
        find: Callable[[str], Deferred[str]] | None = None,
    ) -> None:
        self.timeout = timeout
        self._find = find
        self.nodes = tuple(
            Node(reactor, each.host, each.port, metrics=metrics, weight=each.weight, drained=each.drained)
            for each in (MediaNode(*address) for address in addresses)
        )
        self._reactor = reactor
        self._every = ping
        self._resolve = resolve or self._resolve_in_thread
        self._turns = dict.fromkeys(self.nodes, 0)  # see `candidates`
        self._timer: IDelayedCall | None = None
        # Under load, one wake-up of rtpengine serves many deletes, and one of ours serves their replies.
        self._deletes: Batcher[Deferred[Any]] = Batcher(
            reactor, one_by_one(lambda deleted: deleted.callback(None)), delay=BATCH_DELAY
        )
        self._pings = 0
        self.names = SessionNames() if names is None else names
        self._pace = Pace(reactor, MOVED_AT_ONCE, MOVED_EVERY)
        self._audit = SessionAudit(self.sessions, self._is_usable, timeout, self._pace)
        self._upkeep = {
            node: Upkeep(node, self.names, self._audit, self._delete, self.discard, reactor.seconds, timeout, digits)
            for node in self.nodes
        }
        for node, upkeep in self._upkeep.items():
            node.on_alive = upkeep.begin
        self._pinged: set[Node] = set()  # those whose reply is waited for
        self._background: set[Deferred[Any]] = set()  # what is waited for at the end
        self._upkeep_tasks: set[Deferred[None]] = set()  # what is not

    # -- for calls

    def session(self, call_id: str) -> MediaSession:
        """The media session of a new call; nothing is sent yet.

        :param call_id: names the call in logs.
        """
        return MediaSession(self, call_id)

    # -- for sessions

    def seconds(self) -> float:
        """The time."""
        return self._reactor.seconds()

    def new_call_id(self) -> str:
        """An unguessable ng call-id; it counts as in use until it is released or discarded."""
        return self.names.new()

    def release(self, call_id: str) -> None:
        """The call-id is not in use: it was never sent to a node, or its session is deleted."""
        self.names.release(call_id)

    def watch(self, call_id: str, node: Node, lost: OnLoss) -> None:
        """Call `lost` once if `node` turns out to have lost the session, which takes some seconds."""
        self._audit.watch(call_id, node, lost)

    def unwatch(self, call_id: str) -> None:
        """Stop watching a session: no call needs it any more."""
        self._audit.unwatch(call_id)

    def candidates(self, but: Node | None = None) -> Sequence[Node]:
        """The nodes that are not drained, living ones first, then by their turns; the first one counts as used now.

        Each has as many turns as its weight says, spread over the others (a smooth weighted round robin).

        :param but: a node that has not replied: the last one.
        """
        open_ = [node for node in self.nodes if not node.drained]
        living = [node for node in open_ if node.alive and node is not but] or open_
        for node in living:
            self._turns[node] += node.weight
        nodes = sorted(open_, key=lambda node: (node is but, not node.alive, -self._turns[node]))
        if nodes:
            self._turns[nodes[0]] -= sum(node.weight for node in living)
        return nodes

    def has_other(self, than: Node) -> bool:
        """Whether another node is alive, and takes new sessions."""
        return self.running != 0 and any(node.takes_sessions for node in self.nodes if node is not than)

    def _is_usable(self) -> bool:
        return any(node.takes_sessions for node in self.nodes)

    def address_of(self, host: str) -> Deferred[str]:
        """Find the IP address of a host that a peer has named.

        :returns: fires with the address; fails with a Refusal.
        """
        return fail(Refusal(502, "Cannot Resolve Host")) if self._find is None else self._find(host)

    def discard(self, node: Node, call_id: str, call: str, *, late: bool = False) -> Deferred[None]:
        """Delete a session, in the background.

        :param call: names the call in logs.
        :param late: the offer had no reply in time, so the session may be created after the delete: if none existed,
            delete again a moment later.
        :returns: fires with None when it is deleted, or all attempts have failed. Never fails.
        """
        deleted: Deferred[Any]
        if node.lost_since is not None:  # it is swept when it replies again
            self.release(call_id)
            return succeed(None)
        if self._deletes.idle() or not self.running:
            deleted = maybeDeferred(self._delete, node, call_id)
        else:
            deleted = Deferred()
            deleted.addCallback(lambda _: self._delete(node, call_id))
            self._deletes.add(deleted)
        if late:
            deleted.addCallback(self._delete_later, node, call_id)
        deleted.addErrback(self._not_deleted, node, call_id, call)
        return self._in_background(deleted).addBoth(lambda _: self.release(call_id))

    def _delete_later(self, there: bool, node: Node, call_id: str) -> bool | Deferred[bool]:
        """Delete once more if the session did not exist yet."""
        if there:
            return True
        later: Deferred[None] = deferLater(self._reactor, SECOND_DELETE)  # type: ignore[arg-type]
        return later.addCallback(lambda _: self._delete(node, call_id))

    @staticmethod
    def _not_deleted(failure: Failure, node: Node, call_id: str, call: str) -> None:
        failure.trap(NgTimeout, NgOverload, NgRefused)
        if node.lost_since is None:
            why = getattr(failure.value, "why", "")
            log.warn("{call}: media session {id} not deleted: {why}", call=call, id=call_id, why=why)

    def _delete(self, node: Node, call_id: str) -> Deferred[bool]:
        """Delete a whole session at once; False if it does not exist."""
        reply = node.command("delete", session_fields(call_id), DELETE_RETRY, DELETE_AT_ONCE)
        return reply.addCallback(lambda found: b"warning" not in found)

    # -- health

    def startService(self) -> None:
        """Open a socket to each node, and ping it periodically."""
        super().startService()  # type: ignore[no-untyped-call]
        for node in self.nodes:
            self._open(node)
        self._timer = self._reactor.callLater(FIRST_PING, self._ping)

    def stopService(self) -> Deferred[None]:
        """Wait for pending deletes, `timeout` seconds at most, and close the sockets.

        :returns: fires with None when all sockets are closed.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._pace.stop()
        for task in list(self._upkeep_tasks):
            task.cancel()
        self._deletes.flush()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        limit = self._reactor.callLater(self.timeout, self._give_up)
        while self._background:
            await DeferredList(list(self._background))
        if limit.active():
            limit.cancel()
        self._give_up()
        await DeferredList([node.close() for node in self.nodes])

    def _give_up(self) -> None:
        for node in self.nodes:
            node.give_up()
        for work in list(self._background):
            work.cancel()

    def _ping(self) -> None:
        self._timer = self._reactor.callLater(self._every, self._ping)
        self._pings += 1
        for node in self.nodes:
            if not node.is_open or not (node.alive or self._pings % REOPEN):
                self._open(node)
            if node not in self._pinged:
                self._ping_one(node)
            self._rescue(node)
            if not self._pings % AUDIT_INTERVAL:
                self._upkeep[node].audit_next()
            if not self._pings % SWEEP_INTERVAL:
                self._upkeep[node].sweep_next()

    def _ping_one(self, node: Node) -> None:
        self._pinged.add(node)
        limit = min(self._every, PING_TIMEOUT)
        pong, due = node.command("ping", {}, limit), self._reactor.seconds() + limit
        pong.addCallbacks(self._pong, self._no_pong, callbackArgs=(node,), errbackArgs=(node, due))

    def _no_pong(self, failure: Failure, node: Node, due: float) -> None:
        self._pinged.discard(node)
        failure.trap(NgError)
        # Silence means a dead node or a lost datagram: ping again at once. A node that refuses is alive.
        if not failure.check(NgTimeout) or not self.running:
            return
        if self._reactor.seconds() - due < LATE:
            node.missed += 1
        if node.missed < LOST_AFTER:
            self._ping_one(node)
        elif node.lost_since is None:
            node.lost_since = self._reactor.seconds()
            log.error("rtpengine {node} is lost, with its sessions", node=node)
            node.give_up()
            self._rescue(node)

    def _rescue(self, node: Node) -> None:
        """Have the calls of a lost node go on at another one, or end."""
        lost = node.lost_since
        if lost is not None and (self._is_usable() or self._reactor.seconds() - lost >= LAST_HOPE):
            self._audit.lose(node)

    def _open(self, node: Node) -> None:
        address = self._address(node.host)
        address.addCallback(lambda found: node.open(found) if self.running else None)
        address.addErrback(lambda why: log.warn("rtpengine {node}: {why}", node=node, why=why.getErrorMessage()))

    def _address(self, host: str) -> Deferred[str]:
        try:
            return succeed(str(ip_address(host)))
        except ValueError:
            return self._resolve(host)

    def _resolve_in_thread(self, host: str) -> Deferred[str]:
        pool = self._reactor.getThreadPool()
        reactor: Any = self._reactor
        found = deferToThreadPool(reactor, pool, socket.getaddrinfo, host, None, type=socket.SOCK_DGRAM)
        return found.addCallback(lambda answers: str(answers[0][4][0]))

    # -- leftover and lost sessions

    def _pong(self, _: Reply, node: Node) -> None:
        self._pinged.discard(node)
        if self.running:
            for work in self._upkeep[node].work():
                self._upkeep_tasks.add(task := Deferred.fromCoroutine(work))
                task.addBoth(self._upkeep_ended, task)

    def _upkeep_ended(self, outcome: object, task: Deferred[None]) -> None:
        self._upkeep_tasks.discard(task)
        _log_fault(outcome)

    def sessions(self, node: Node, limit: int = MAX_LISTED) -> Coroutine[Deferred[Any], Any, list[str]]:
        """As `sessions_at`."""
        return sessions_at(node, self.timeout, limit)

    def _in_background(self, done: Deferred[Any]) -> Deferred[None]:
        """Let a task run in the background, until it is done or the service is stopped."""
        self._background.add(done)  # one that was called may wait for another one still
        return done.addBoth(self._task_ended, done)

    def _task_ended(self, outcome: object, task: Deferred[Any]) -> None:
        self._background.discard(task)
        _log_fault(outcome)


def _log_fault(outcome: object) -> None:
    """Log an error of a task in the background, which is a mistake of the program."""
    if isinstance(outcome, Failure) and not outcome.check(CancelledError):
        log.failure("a task of the media nodes failed", outcome)
