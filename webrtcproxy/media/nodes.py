"""Nodes: all rtpengines, which of them are alive, and this proxy's sessions on them.

Every node is pinged. A node that does not reply to two commands in a row is dead: new calls use other nodes, and a dead
one only as a last resort; a call stays on its node. When a node replies again, sessions of calls that have ended
meanwhile are deleted there: rtpengine keeps a session whose call was never set up for an hour, with its ports. Calls
that are up whose session the node has lost are notified.

The ng call-id of a session is ``wrp-RUN-RANDOM`` or ``wrp-INSTANCE-RUN-RANDOM``, not the SIP Call-ID: that one comes
from outside, and anyone who knows it could name the session. RUN is random for each process, and tells the sessions of
this process from those of others at the same node. Sessions of an *earlier* process are recognised only by INSTANCE, a
name that no two running proxies may share; without it they are left alone, since another proxy may be using them.
"""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import CancelledError, Deferred, DeferredList, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.media.audit import SessionAudit
from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.ng import MediaReactor, Node
from webrtcproxy.media.profile import ASKS_FOR_A_DESCRIPTION, DELETE_AT_ONCE, list_fields, session_fields
from webrtcproxy.media.session import MediaSession
from webrtcproxy.media.version import NO_QUIRKS, quirks_of, version_in, vulnerabilities_of
from webrtcproxy.runtime.batching import Batcher, one_by_one
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout, Refusal
from webrtcproxy.runtime.ids import random_token
from webrtcproxy.runtime.metrics import Metrics

log = Logger()

FIRST_PING = 1.0
"""Seconds from the start to the first ping: a node that starts at the same time may take a moment."""
PING_TIMEOUT = 2.0
"""Seconds to wait for a pong."""
REOPEN = 6
"""The socket towards a dead node is reopened once in this many pings, in case an address has changed."""
AUDIT_INTERVAL = 6
"""The sessions of a living node are audited once in this many pings."""
DELETE_RETRY = 30.0
"""Seconds during which a delete is repeated."""

BATCH_DELAY = 0.1
"""Seconds that a delete may wait for others."""
SECOND_DELETE = 1.0
"""Seconds after which a session that did not exist is deleted once more: its offer may still have been in progress."""
MAX_LISTED = 1000
"""Sessions to list at once; this many names of ours fit a datagram."""


class NodesReactor(MediaReactor, Protocol):
    """The part of a reactor that `Nodes` uses."""

    def getThreadPool(self) -> Any:
        """As `IReactorThreads`; used to resolve names."""


class Nodes(Service):
    """All rtpengine nodes.

    :param reactor: clock, sockets, threads.
    :param addresses: host and ng port of each node; a host may be a name.
    :param timeout: seconds for one command of a call, over all nodes.
    :param ping: seconds between two pings of a node.
    :param instance: a name that no other running proxy has, or empty.
    :param resolve: returns the IP address of a name; absent: the operating system's resolver, in a thread.
    :param metrics: counts commands.
    :param find: finds the IP address of a host that a peer has named, within bounds; absent: there is none.
    :param digits: digits are to be played: a node that loses some gets a warning in the log.
    """

    def __init__(
        self,
        reactor: NodesReactor,
        addresses: Iterable[tuple[str, int]],
        *,
        timeout: float = 2.0,
        ping: float = 5.0,
        instance: str = "",
        resolve: Callable[[str], Deferred[str]] | None = None,
        metrics: Metrics | None = None,
        digits: bool = False,
        find: Callable[[str], Deferred[str]] | None = None,
    ) -> None:
        self.timeout = timeout
        self._digits = digits
        self._find = find
        self.nodes = tuple(Node(reactor, host, port, metrics=metrics) for host, port in addresses)
        for node in self.nodes:
            node.on_alive = self._alive_again
        self._reactor = reactor
        self._every = ping
        self._resolve = resolve or self._resolve_in_thread
        self._order = list(self.nodes)  # the least recently chosen first
        self._timer: IDelayedCall | None = None
        # Under load, one wake-up of rtpengine serves many deletes, and one of ours serves their replies.
        self._deletes: Batcher[Deferred[Any]] = Batcher(
            reactor, one_by_one(lambda deleted: deleted.callback(None)), delay=BATCH_DELAY
        )
        self._pings = 0
        name = re.sub(r"[^A-Za-z0-9]", "_", instance)
        self._instance_prefix = f"wrp-{name}-" if name else ""
        self._prefix = f"{self._instance_prefix or 'wrp-'}{random_token(6)}-"
        self._live: set[str] = set()
        self._audit = SessionAudit(self.sessions, timeout)
        self._unswept = set(self.nodes) if name else set()
        self._unasked = set(self.nodes)  # for their versions
        self._background: set[Deferred[Any]] = set()

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
        call_id = self._prefix + random_token(12)
        self._live.add(call_id)
        return call_id

    def release(self, call_id: str) -> None:
        """The call-id is not in use: it was never sent to a node, or its session is deleted."""
        self._live.discard(call_id)

    def watch(self, call_id: str, node: Node, lost: Callable[[], None]) -> None:
        """Call `lost` once if `node` turns out to have lost the session; noticing takes about half a minute."""
        self._audit.watch(call_id, node, lost)

    def unwatch(self, call_id: str) -> None:
        """Stop watching a session: no call needs it any more."""
        self._audit.unwatch(call_id)

    def candidates(self) -> Sequence[Node]:
        """All nodes, living ones first, then by least recent use; the first one counts as used now."""
        nodes = sorted(self._order, key=lambda node: not node.alive)
        if nodes:
            self._order.remove(nodes[0])
            self._order.append(nodes[0])
        return nodes

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
        if self._deletes.idle() or not self.running:
            deleted = maybeDeferred(self._delete, node, call_id)
        else:
            deleted = Deferred()
            deleted.addCallback(lambda _: self._delete(node, call_id))
            self._deletes.add(deleted)
        if late:
            deleted.addCallback(self._delete_later, node, call_id)
        deleted.addErrback(self._not_deleted, call_id, call)
        return self._in_background(deleted).addBoth(lambda _: self.release(call_id))

    def _delete_later(self, there: bool, node: Node, call_id: str) -> bool | Deferred[bool]:
        """Delete once more if the session did not exist yet."""
        if there:
            return True
        later: Deferred[None] = deferLater(self._reactor, SECOND_DELETE)  # type: ignore[arg-type]
        return later.addCallback(lambda _: self._delete(node, call_id))

    @staticmethod
    def _not_deleted(failure: Failure, call_id: str, call: str) -> None:
        failure.trap(NgTimeout, NgOverload, NgRefused)
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
            self._ping_one(node)
            if node.alive and not self._pings % AUDIT_INTERVAL:
                self._check_sessions(node)

    def _ping_one(self, node: Node) -> None:
        pong = node.command("ping", {}, min(self._every, PING_TIMEOUT))
        pong.addCallbacks(self._pong, self._no_pong, callbackArgs=(node,), errbackArgs=(node,))

    def _no_pong(self, failure: Failure, node: Node) -> None:
        failure.trap(NgError)
        # Silence means a dead node or a lost datagram: ping again at once. A node that refuses is alive.
        if failure.check(NgTimeout) and node.alive and self.running:
            self._ping_one(node)

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

    def _check_sessions(self, node: Node) -> None:
        self._in_background(Deferred.fromCoroutine(self._audit.check(node)))

    def _alive_again(self, node: Node) -> None:
        self._unasked.add(node)  # it may be another program
        self._check_sessions(node)
        self._in_background(Deferred.fromCoroutine(self._sweep(node, self._prefix)))

    def _pong(self, _: Reply, node: Node) -> None:
        if node in self._unasked:
            self._unasked.remove(node)
            self._in_background(Deferred.fromCoroutine(self._ask_version(node)))
        if node in self._unswept:
            self._unswept.remove(node)
            self._in_background(Deferred.fromCoroutine(self._sweep(node, self._instance_prefix)))

    async def _ask_version(self, node: Node) -> None:
        """Note and log the version of a node, with a warning of each known fault."""
        call_id = self.new_call_id()
        try:
            reply = await node.command("publish", session_fields(call_id), self.timeout, ASKS_FOR_A_DESCRIPTION)
        except NgRefused:
            self.release(call_id)
            node.quirks = NO_QUIRKS
            return
        except NgError:
            self.discard(node, call_id, "version", late=True)
            self._unasked.add(node)
            return
        self.discard(node, call_id, "version")
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

    async def _sweep(self, node: Node, prefix: str) -> None:
        """Delete the node's sessions with that prefix that no call uses."""
        try:
            left = [name for name in await self.sessions(node) if name.startswith(prefix) and name not in self._live]
            for call_id in left:
                await self._delete(node, call_id)
        except (NgTimeout, NgOverload, NgRefused) as error:
            log.warn("rtpengine {node} not swept: {why}", node=node, why=error.why)
            return
        if left:
            log.info("{count} left over media sessions deleted at rtpengine {node}", count=len(left), node=node)
        if len(left) >= MAX_LISTED:
            await self._sweep(node, prefix)

    async def sessions(self, node: Node, limit: int = MAX_LISTED) -> list[str]:
        """The call-ids of the sessions that a node holds, including those of other proxies.

        :param limit: the most to list; the reply must fit a datagram.
        :raises NgError: as `Node.command`.
        """
        reply = await node.command("list", list_fields(limit), self.timeout)
        return [name.decode("utf-8", "replace") for name in reply.get(b"calls", []) if isinstance(name, bytes)]

    def _in_background(self, done: Deferred[Any]) -> Deferred[None]:
        """Let a task run in the background, until it is done or the service is stopped."""
        if not done.called:
            self._background.add(done)
        return done.addBoth(self._task_ended, done)

    def _task_ended(self, outcome: object, task: Deferred[Any]) -> None:
        self._background.discard(task)
        if isinstance(outcome, Failure) and not outcome.check(CancelledError):
            log.failure("a task of the media nodes failed", outcome)
