"""Placement: at which node a media session is, and under which name; and what `Nodes` tells a session of its node.

A session stays on the node that accepted its first offer. Where that node is lost, the session begins again on another
one, under another name: all ports and keys are other ones then, and both parties have to be offered them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from typing import Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.ng import Node
from webrtcproxy.media.version import NO_QUIRKS
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout

log = Logger()


class Loss(Enum):
    """What has become of a media session that a call needs."""

    NODE = "node"
    """Its node is gone, or was restarted, and there is one that can take it over."""
    NO_NODE = "no node"
    """Its node is gone, and there is no other."""
    SESSION = "session"
    """Its node goes on without it: no media came, or somebody has deleted it there."""


OnLoss = Callable[[Loss], None]


class NodePool(Protocol):
    """The part of `webrtcproxy.media.nodes.Nodes` that a session uses."""

    timeout: float

    def seconds(self) -> float:
        """The time."""

    def new_call_id(self) -> str:
        """A new ng call-id, which is in use from now on."""

    def candidates(self, but: Node | None = None) -> Sequence[Node]:
        """The nodes that take new sessions, the best first; `but` is the last of them."""

    def has_other(self, than: Node) -> bool:
        """Whether another node is alive, and takes new sessions."""

    def address_of(self, host: str) -> Deferred[str]:
        """Find the IP address of a host that a peer has named; fails with a Refusal."""

    def discard(self, node: Node, call_id: str, call: str, *, late: bool = False) -> Deferred[None]:
        """Delete a session from a node; never fails. `late`: it may still be created there."""

    def release(self, call_id: str) -> None:
        """This ng call-id is not in use: it was never sent."""

    def watch(self, call_id: str, node: Node, lost: OnLoss) -> None:
        """Call `lost` once if the node loses the session."""

    def unwatch(self, call_id: str) -> None:
        """Stop watching a session: no call needs it any more."""


class Placement:
    """The place of one session.

    :param pool: the nodes.
    :param call: the call's name in logs.
    :param lost: called when the session is lost, once for each node.
    :ivar call_id: the session's ng call-id. It changes while nodes are tried for the first offer: a delete for a node
        that did not reply in time must never hit the session of a later attempt.
    :ivar node: the session's node; None before the first offer there.
    :ivar quirks: of the node.
    :ivar number: how many nodes the session has left.
    """

    def __init__(self, pool: NodePool, call: str, lost: OnLoss) -> None:
        self.call_id = pool.new_call_id()
        self.node: Node | None = None
        self.quirks = NO_QUIRKS
        self.number = 0
        self._pool = pool
        self._call = call
        self._lost = lost
        self._left: Node | None = None

    def first_offer(self, send: Callable[[Node, float], Deferred[Reply]]) -> Deferred[Reply]:
        """Send an offer to node after node, within the time for one command; the first that replies keeps the session.

        :param send: sends the offer to a node, under the present `call_id`, with a time limit in seconds.
        """
        nodes = list(self._pool.candidates(self._left))
        end = self._pool.seconds() + self._pool.timeout
        return self._try(send, nodes, end, NgTimeout("no rtpengine node takes sessions"))

    def _try(
        self, send: Callable[[Node, float], Deferred[Reply]], nodes: list[Node], end: float, error: Exception
    ) -> Deferred[Reply]:
        """Try the next node.

        :param nodes: the nodes that were not tried yet.
        :param end: when the time is over, by the clock of the pool.
        :param error: the failure of the node before.
        """
        share = (end - self._pool.seconds()) / (sum(node.alive for node in nodes) or len(nodes) or 1)
        if not nodes or share <= 0:
            return fail(error)
        node = nodes.pop(0)
        self.quirks = node.quirks
        reply = send(node, share)
        return reply.addCallbacks(
            self._taken, self._not_taken, callbackArgs=(node,), errbackArgs=(send, node, nodes, end)
        )

    def _taken(self, reply: Reply, node: Node) -> Reply:
        self.node = node
        self._pool.watch(self.call_id, node, self._lost)
        if self._left is not None:
            log.info("{call}: its media are at rtpengine {node} now", call=self._call, node=node)
        return reply

    def _not_taken(
        self,
        failure: Failure,
        send: Callable[[Node, float], Deferred[Reply]],
        node: Node,
        nodes: list[Node],
        end: float,
    ) -> Failure | Deferred[Reply]:
        why = failure.value
        if not isinstance(why, (NgTimeout, NgOverload)):
            self.node = node  # it may have created the session nevertheless
            return failure
        log.warn("{call}: {why}", call=self._call, why=why.why)
        self._pool.discard(node, self.call_id, self._call, late=isinstance(why, NgTimeout))
        self.call_id = self._pool.new_call_id()
        return self._try(send, nodes, end, why)

    def can_leave(self, error: BaseException | None) -> bool:
        """Whether an error of a command shows that the node has lost the session, or does not reply while another one
        is there."""
        if self.node is None:
            return False
        if isinstance(error, NgTimeout):
            return self._pool.has_other(self.node)
        return isinstance(error, NgRefused) and error.lost

    def leave(self) -> None:
        """The node is lost: begin again on another one with the next offer."""
        if self.node is None:
            return
        self._pool.unwatch(self.call_id)
        self._pool.discard(self.node, self.call_id, self._call)
        self._left, self.node = self.node, None
        self.call_id = self._pool.new_call_id()
        self.number += 1

    def unwatch(self) -> None:
        """The call needs the session no more."""
        self._pool.unwatch(self.call_id)

    def discard(self) -> Deferred[None]:
        """Delete the session.

        :returns: fires with None when that is done, or all attempts have failed. Never fails.
        """
        if self.node is None:
            self._pool.release(self.call_id)
            return succeed(None)
        return self._pool.discard(self.node, self.call_id, self._call)
