"""MediaSession: what one call asks of rtpengine, in order, and the delete at its end.

How the parties of a call are named to rtpengine was tried with the one of Debian 12 (10.5.3); a test in
``tests/integration/test_rtpengine.py`` guards each sentence:

- One session has one ng call-id. A call that forks offers once for each branch, with the caller's tag and the branch as
  ``via-branch``: each branch gets ports and ICE credentials of its own, and the caller gets the same ones from the
  answer of any branch (for plain RTP thanks to ``port latching``). The last answer decides who hears whom.
- A downstream fork (two To tags in answers of one branch) is one party for rtpengine, named by the first tag.
  Both answers are then about the ports that the branch was offered; a later answer replaces an earlier one.
- An answer leaves the caller with the codecs that are in it, also for an answer of another fork or branch. So the
  caller offers again for that one first: ports and credentials stay, and each answer is about all that was offered.
- A later offer within a branch names both parties. Without the to-tag rtpengine hangs the via-branch on the caller.
- A branch is dropped by ``delete`` with its via-branch and a from-tag that no party has. With the caller's tag, a
  branch that rtpengine does not know (any more) makes it remove the caller, and the whole call. And when the last
  branch goes, the call goes: the caller's ports and ICE credentials, known from an early answer perhaps, would be lost
  to the next branch (serial forking, the next trunk target). So the last branch stays until there is another.
- The end is ``delete`` with the call-id alone, ``delete delay`` 0: that frees all of it, whichever parties are left.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.ng import Node, text
from webrtcproxy.media.profile import (
    DELETE_AT_ONCE,
    SUPPORTS_LOAD_LIMIT,
    Profile,
    digit_items,
    party_items,
    session_fields,
)
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout
from webrtcproxy.sip.sdp.questions import m_lines
from webrtcproxy.sip.sdp.rewriting import complete_answer

log = Logger()


class NodePool(Protocol):
    """What a session needs of `webrtcproxy.media.nodes.Nodes`."""

    timeout: float

    def seconds(self) -> float:
        """The time."""

    def new_call_id(self) -> str:
        """A new ng call-id, which counts as in use from now on."""

    def candidates(self) -> Sequence[Node]:
        """All nodes, the best first."""

    def discard(self, node: Node, call_id: str, call: str, *, late: bool = False) -> Deferred[None]:
        """Delete a session from a node; never fails. `late`: it may yet be created there."""

    def release(self, call_id: str) -> None:
        """This ng call-id was never sent."""

    def watch(self, call_id: str, node: Node, lost: Callable[[], None]) -> None:
        """Call `lost` once when the node has no such session any more."""

    def unwatch(self, call_id: str) -> None:
        """No call needs that session any more."""


@dataclass(slots=True)
class _Branch:
    """The two parties of a branch, as they are named to rtpengine."""

    offerer: str
    answerer: str = ""  # the first To tag that answered
    offered: tuple[bytes, ...] = ()  # the m-lines of the last offer, where there are several

    def names(self, from_tag: str) -> tuple[str, str]:
        """The names of the sender and of the other party: who is not the offerer is the answerer, by any tag."""
        if from_tag == self.offerer:
            return self.offerer, self.answerer
        return self.answerer or from_tag, self.offerer


_Work = Callable[[], Deferred[bytes]]


class MediaSession:
    """The media of one call.

    Operations are done one at a time, in the order they were asked for. The session stays on the node that took its
    first offer. Cancelling the Deferred of an operation that has begun does not stop it: it is seen to its end,
    so that what follows (a delete above all) cannot overtake it.

    :param pool: the nodes.
    :param call: the call's name in logs.
    :ivar call_id: what the session is called at rtpengine. It changes while nodes are tried for the first offer: a
        delete for a node that did not answer in time must never hit the session of a later try.
    :ivar node: where the session is; None before the first offer.
    """

    def __init__(self, pool: NodePool, call: str) -> None:
        self.call = call
        self.call_id = pool.new_call_id()
        self.node: Node | None = None
        self._pool = pool
        self._branches: dict[str, _Branch] = {}
        self._to_drop: set[str] = set()
        self._queue: deque[tuple[_Work, Deferred[bytes]]] = deque()
        self._working = False
        self._deleted = False
        self._ended: list[Deferred[None]] | None = []  # to fire when the delete is done; None after that

    # -- what a call asks for

    def offer(self, sdp: bytes, *, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Have an offer rewritten for the leg that it goes to.

        :param sdp: as the offerer sent it.
        :param from_tag: the call's name for the offerer; another name for each party of the call.
        :param branch: the call's name for the callee's branch; in later offers too.
        :param to: of the leg that the offer goes to.
        :returns: fires with the SDP to send. Fails with `NgTimeout`, `NgOverload` or `NgRefused`.
        """
        return self._enqueue(lambda: self._offer(sdp, from_tag, branch, to))

    def answer(self, sdp: bytes, *, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Have an answer rewritten for the offerer's leg.

        :param sdp: as the answerer sent it.
        :param from_tag: the call's name for the offerer.
        :param to_tag: the call's name for the answerer; several in one branch are taken for one party.
        :param branch: as in the offer.
        :param to: of the offerer's leg.
        :returns: as `offer`.
        """
        return self._enqueue(lambda: self._answer(sdp, from_tag, to_tag, branch, to))

    def play(self, digit: str, duration: int, *, from_tag: str, branch: str) -> Deferred[None]:
        """Have a digit played to the other party, as an event where that takes them (RFC 4733), else as a tone. Digits
        are played one after the other.

        :param digit: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        :param duration: milliseconds, 100 to 5000.
        :param from_tag: the call's name for its sender.
        :param branch: as in the offer.
        :returns: fires with None when rtpengine has it. Fails as `offer`, above all where the profiles of offer and
            answer did not say that this may come.
        """
        return self._enqueue(lambda: self._play(digit, duration, from_tag, branch)).addCallback(lambda _: None)

    def drop(self, branch: str) -> None:
        """Free what a losing branch holds; the last branch stays until there is another. Never raises."""
        if not self._deleted:
            self._enqueue(lambda: self._drop(branch)).addErrback(lambda failure: failure.trap(NgRefused) and b"")

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` once when rtpengine has given the session up by itself: no media, or it was restarted. Never
        after `delete`."""
        if self.node is not None and not self._deleted:
            self._pool.watch(self.call_id, self.node, lost)

    def delete(self) -> Deferred[None]:
        """Free everything, after the operation in work; what waits after that one is not done any more.

        :returns: fires with None when rtpengine has done it, or does not answer. Never fails; twice is once.
        """
        if self._ended is None:
            return succeed(None)
        done: Deferred[None] = Deferred(lambda _: None)
        self._ended.append(done)
        if not self._deleted:
            self._deleted = True
            self._pool.unwatch(self.call_id)
            waiting, self._queue = self._queue, deque()
            for _, result in waiting:
                _fire(result, Failure(NgRefused("the media session is deleted")))
            if not self._working:
                self._end()
        return done

    # -- order

    def _enqueue(self, work: _Work) -> Deferred[bytes]:
        result: Deferred[bytes] = Deferred(lambda _: None)
        if self._deleted:
            _fire(result, Failure(NgRefused("the media session is deleted")))
        else:
            self._queue.append((work, result))
            self._next()
        return result

    def _next(self) -> None:
        while self._queue and not self._working:
            work, result = self._queue.popleft()
            if not result.called:  # it was not cancelled
                self._working = True
                maybeDeferred(work).addBoth(self._done, result)

    def _done(self, outcome: bytes | Failure, result: Deferred[bytes]) -> None:
        self._working = False
        _fire(result, outcome)
        if self._deleted and not self._working and self._ended is not None:
            self._end()
        else:
            self._next()

    def _end(self) -> None:
        if self.node is None:
            self._pool.release(self.call_id)
            self._finished(None)
        else:
            self._working = True
            self._pool.discard(self.node, self.call_id, self.call).addBoth(self._finished)

    def _finished(self, _: object) -> None:
        waiting, self._ended = self._ended or [], None
        for done in waiting:
            if not done.called:
                done.callback(None)

    # -- the operations

    def _offer(self, sdp: bytes, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        if not to.accepts(sdp):
            return fail(_not_accepted(to))
        known = self._branches.get(branch)
        names = party_items(branch, from_tag) if known is None else party_items(branch, *known.names(from_tag))
        encoded = to.items("offer", sdp, known is not None and bool(known.answerer)) + names + SUPPORTS_LOAD_LIMIT
        if self.node is None:
            end = self._pool.seconds() + self._pool.timeout
            error = NgTimeout("no rtpengine node is configured")
            reply = self._first_offer(encoded, list(self._pool.candidates()), end, error)
        else:
            reply = self._command(self.node, "offer", encoded, self._pool.timeout)
        return reply.addCallback(self._offered, from_tag, branch, to, m_lines(sdp))

    def _offered(
        self, reply: Reply, from_tag: str, branch: str, to: Profile, offered: tuple[bytes, ...]
    ) -> bytes | Deferred[bytes]:
        self._branches.setdefault(branch, _Branch(from_tag)).offered = offered
        if not self._to_drop:
            return _sdp(reply, to)
        return Deferred.fromCoroutine(self._drop_left_over()).addCallback(lambda _: _sdp(reply, to))

    def _first_offer(self, encoded: bytes, nodes: list[Node], end: float, error: NgError) -> Deferred[Reply]:
        """Try node after node, within the time for one command; the one that replies keeps the session.

        :param nodes: those not tried yet.
        :param end: when the time is over.
        :param error: what became of the node before.
        """
        share = (end - self._pool.seconds()) / (sum(node.alive for node in nodes) or len(nodes) or 1)
        if not nodes or share <= 0:
            return fail(error)
        node = nodes.pop(0)
        reply = self._command(node, "offer", encoded, share)
        return reply.addCallbacks(
            self._taken, self._not_taken, callbackArgs=(node,), errbackArgs=(encoded, node, nodes, end)
        )

    def _taken(self, reply: Reply, node: Node) -> Reply:
        self.node = node
        return reply

    def _not_taken(
        self, failure: Failure, encoded: bytes, node: Node, nodes: list[Node], end: float
    ) -> Failure | Deferred[Reply]:
        why = failure.value
        if not isinstance(why, (NgTimeout, NgOverload)):
            self.node = node  # it may hold something of the call all the same
            return failure
        log.warn("{call}: {why}", call=self.call, why=why.why)
        self._pool.discard(node, self.call_id, self.call, late=isinstance(why, NgTimeout))
        self.call_id = self._pool.new_call_id()
        return self._first_offer(encoded, nodes, end, why)

    def _answer(self, sdp: bytes, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        if self.node is None:
            return fail(NgRefused("an answer without an offer"))
        if not to.accepts(sdp):
            return fail(_not_accepted(to))
        parties = self._branches.setdefault(branch, _Branch(from_tag))
        if from_tag == parties.offerer and not parties.answerer:
            parties.answerer = to_tag
        encoded = to.items("answer", complete_answer(sdp, parties.offered)) + party_items(
            branch, *parties.names(from_tag)
        )
        return self._command(self.node, "answer", encoded, self._pool.timeout).addCallback(_sdp, to)

    def _play(self, digit: str, duration: int, from_tag: str, branch: str) -> Deferred[bytes]:
        if self.node is None or branch not in self._branches:
            return fail(NgRefused("a digit without a session"))
        sender, _ = self._branches[branch].names(from_tag)
        encoded = digit_items(digit, duration, sender)
        return self._command(self.node, "play DTMF", encoded, self._pool.timeout).addCallback(lambda _: b"")

    def _drop(self, branch: str) -> Deferred[bytes]:
        if branch in self._branches:
            self._to_drop.add(branch)
        return Deferred.fromCoroutine(self._drop_left_over())

    async def _drop_left_over(self) -> bytes:
        """Drop what is to be dropped, if a branch is left that is not."""
        while self._to_drop and len(self._to_drop) < len(self._branches) and self.node is not None:
            branch = self._to_drop.pop()
            del self._branches[branch]
            encoded = party_items(branch, f"nobody-{branch}") + DELETE_AT_ONCE
            try:
                await self._command(self.node, "delete", encoded, self._pool.timeout)
            except (NgTimeout, NgOverload, NgRefused) as error:
                log.warn("{call}: branch not dropped: {why}", call=self.call, why=error.why)
        return b""

    def _command(
        self, node: Node, command: Literal["offer", "answer", "delete", "play DTMF"], encoded: bytes, timeout: float
    ) -> Deferred[Reply]:
        reply = node.command(command, session_fields(self.call_id), timeout, encoded)
        return reply.addCallback(self._log_warning, command)

    def _log_warning(self, reply: Reply, command: str) -> Reply:
        """Log what rtpengine warns of."""
        if b"warning" in reply:
            said = text(reply[b"warning"])
            log.warn("{call}: rtpengine warns of {command}: {said}", call=self.call, command=command, said=said)
        return reply


def _fire(result: Deferred[bytes], outcome: bytes | Failure) -> None:
    """Fire the Deferred of an operation, unless it was cancelled."""
    if result.called:
        return
    if isinstance(outcome, Failure):
        result.errback(outcome)
    else:
        result.callback(outcome)


def _sdp(reply: Reply, to: Profile) -> bytes:
    sdp = reply.get(b"sdp")
    if not isinstance(sdp, bytes) or not sdp:  # 10.5 takes an empty SDP, and gives none
        raise NgRefused("no SDP in the reply")
    return to.clean(sdp)


def _not_accepted(to: Profile) -> NgRefused:
    """How SDP is refused whose sender may not send it so."""
    return NgRefused(f"the SDP has no media over {to.required_protocol.decode()}")
