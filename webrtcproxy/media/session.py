"""MediaSession: the session of one call at rtpengine: its commands, in order, and the delete at its end.

The naming of the parties of a call was tried with the rtpengine of Debian 12 (10.5.3); a test in
``tests/integration/test_rtpengine.py`` checks each sentence:

- One session has one ng call-id. A call that forks offers once for each branch, with the caller's tag and the branch as
  ``via-branch``: each branch gets ports and ICE credentials of its own, and the caller gets the same ones from the
  answer of any branch (for plain RTP thanks to ``port latching``). The last answer decides between whom media flows.
- A downstream fork (two To tags in answers of one branch) is one party for rtpengine, named by the first tag.
  Both answers then concern the ports that the branch was offered; a later answer replaces an earlier one.
- An answer reduces the caller's codecs to its own, also for a later answer of another fork or branch. So the caller
  offers again for that one first: ports and credentials stay, and each answer refers to everything that was offered.
- A later offer within a branch names both parties. Without the to-tag rtpengine assigns the via-branch to the caller.
- A branch is dropped by ``delete`` with its via-branch and a from-tag that no party has. With the caller's tag, a
  branch that is unknown to rtpengine makes it remove the caller, and with it the whole call. Removing the last branch
  removes the call too: the caller's ports and ICE credentials, perhaps known from an early answer, would be lost to
  the next branch (serial forking, the next trunk target). So the last branch stays until there is another.
- The end is ``delete`` with the call-id alone and ``delete delay`` 0: it frees everything, whichever parties remain.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from typing import Literal, Protocol

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.branch_tags import BranchTags
from webrtcproxy.media.crossing import find_addresses, for_peer, from_peer, is_encrypted, names_in
from webrtcproxy.media.ng import Node, text
from webrtcproxy.media.profile import (
    ACCEPTS_BUNDLE,
    DELETE_AT_ONCE,
    SUPPORTS_LOAD_LIMIT,
    Profile,
    digit_items,
    party_items,
    query_items,
    session_fields,
)
from webrtcproxy.media.version import NO_QUIRKS
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout
from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.writing import Origin, write

log = Logger()


class NodePool(Protocol):
    """The part of `webrtcproxy.media.nodes.Nodes` that a session uses."""

    timeout: float

    def seconds(self) -> float:
        """The time."""

    def new_call_id(self) -> str:
        """A new ng call-id, which is in use from now on."""

    def candidates(self) -> Sequence[Node]:
        """All nodes, the best first."""

    def address_of(self, host: str) -> Deferred[str]:
        """Find the IP address of a host that a peer has named; fails with a Refusal."""

    def discard(self, node: Node, call_id: str, call: str, *, late: bool = False) -> Deferred[None]:
        """Delete a session from a node; never fails. `late`: it may still be created there."""

    def release(self, call_id: str) -> None:
        """This ng call-id is not in use: it was never sent."""

    def watch(self, call_id: str, node: Node, lost: Callable[[], None]) -> None:
        """Call `lost` once if the node loses the session."""

    def unwatch(self, call_id: str) -> None:
        """Stop watching a session: no call needs it any more."""


_Command = Literal["offer", "answer", "delete", "play DTMF", "block media", "unblock media"]
_Work = Callable[[], Deferred[bytes]]


class MediaSession:
    """The media of one call.

    Operations run one at a time, in the order of their calls. The session stays on the node that accepted its first
    offer. Cancelling the Deferred of an operation that has begun does not stop it: it runs to its end, so that a later
    operation (above all the delete) cannot overtake it.

    :param pool: the nodes.
    :param call: the call's name in logs.
    :ivar call_id: the session's ng call-id. It changes while nodes are tried for the first offer: a delete for a node
        that did not reply in time must never hit the session of a later attempt.
    :ivar node: the session's node; None before the first offer.
    """

    def __init__(self, pool: NodePool, call: str) -> None:
        self.call = call
        self.call_id = pool.new_call_id()
        self.node: Node | None = None
        self._quirks = NO_QUIRKS  # of the node, the same for the whole session
        self._pool = pool
        self._branches: dict[str, BranchTags] = {}
        self._origins: dict[str, Origin] = {}  # of what each party is told, by its tag
        self._to_drop: set[str] = set()
        self._blocked = False
        self._queue: deque[tuple[_Work, Deferred[bytes]]] = deque()
        self._working = False
        self._deleted = False
        self._ended: list[Deferred[None]] | None = []  # to fire when the delete is done; None after that

    # -- for calls

    def offer(self, sdp: bytes, *, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Have an offer rewritten for the leg that it goes to.

        :param sdp: as the offerer sent it.
        :param from_tag: the call's name for the offerer; each party of the call has its own.
        :param branch: the call's name for the callee's branch, the same in later offers.
        :param to: the profile of the leg that the offer goes to.
        :returns: fires with the SDP to send. Fails with `NgTimeout`, `NgOverload` or `NgRefused`.
        """
        return self._enqueue(lambda: self._offer(sdp, from_tag, branch, to))

    def answer(self, sdp: bytes, *, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Have an answer rewritten for the offerer's leg.

        :param sdp: as the answerer sent it.
        :param from_tag: the call's name for the offerer.
        :param to_tag: the call's name for the answerer; several names in one branch count as one party.
        :param branch: as in the offer.
        :param to: the profile of the offerer's leg.
        :returns: as `offer`.
        """
        return self._enqueue(lambda: self._answer(sdp, from_tag, to_tag, branch, to))

    @property
    def loses_digits(self) -> bool:
        """Whether the node may lose a digit that it is to `play`."""
        return self._quirks.loses_digits

    def play(self, digit: str, duration: int, *, from_tag: str, branch: str) -> Deferred[None]:
        """Have a digit played to the other party, as an event if it accepts events (RFC 4733), else as a tone. Digits
        are played one after the other.

        :param digit: ``0`` to ``9``, ``*``, ``#``, ``A`` to ``D``.
        :param duration: milliseconds, 100 to 5000.
        :param from_tag: the call's name for its sender.
        :param branch: as in the offer.
        :returns: fires with None when rtpengine has accepted it. Fails as `offer`, above all if the profiles of offer
            and answer did not announce digits.
        """
        return self._enqueue(lambda: self._play(digit, duration, from_tag, branch)).addCallback(lambda _: None)

    def packets(self, *, from_tag: str, branch: str) -> Deferred[int]:
        """Count what a party has sent so far, at once: the other operations are not waited for.

        :param from_tag: the call's name for it.
        :param branch: as in the offer.
        :returns: fires with the number of its RTP and RTCP packets. Fails as `offer`.
        """
        if self.node is None or self._deleted or branch not in self._branches:
            return fail(NgRefused("nothing to count without a session"))
        sender, _ = self._branches[branch].names(from_tag)
        asked = self.node.command("query", session_fields(self.call_id), self._pool.timeout, query_items(sender))
        return asked.addCallback(_packets, sender.encode("utf-8", "surrogateescape"))

    def drop(self, branch: str) -> None:
        """Free the media of a losing branch; the last branch stays until there is another. Never raises."""
        if not self._deleted:
            self._enqueue(lambda: self._drop(branch)).addErrback(lambda failure: failure.trap(NgRefused) and b"")

    def watch(self, lost: Callable[[], None]) -> None:
        """Call `lost` once if rtpengine loses the session: it saw no media, or was restarted. Never after `delete`."""
        if self.node is not None and not self._deleted:
            self._pool.watch(self.call_id, self.node, lost)

    def delete(self) -> Deferred[None]:
        """Free everything after the current operation; operations that wait fail.

        :returns: fires with None when rtpengine has done it, or does not reply. Never fails. May be called again.
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
        described = from_peer(sdp, to)
        if names_in(described):
            found = find_addresses(described, self._pool.address_of)
            return found.addCallback(lambda _: self._send_offer(described, from_tag, branch, to))
        return self._send_offer(described, from_tag, branch, to)

    def _send_offer(self, described: Description, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        known = self._branches.get(branch)
        names = party_items(branch, from_tag) if known is None else party_items(branch, *known.names(from_tag))
        later = known is not None and bool(known.answerer)
        encoded = to.items("offer", write(described), is_encrypted(described), later) + names + SUPPORTS_LOAD_LIMIT
        node = self.node
        if node is None:
            end = self._pool.seconds() + self._pool.timeout
            error = NgTimeout("no rtpengine node is configured")
            reply = self._first_offer(encoded, to, list(self._pool.candidates()), end, error)
        elif known is None and not to.has_dtls and any(parties.answerer for parties in self._branches.values()):
            # The caller has media from an earlier target. Until this one has answered, whatever anybody sends to its
            # port would be passed on to the caller.
            blocked = self._block(node, True)
            reply = blocked.addCallback(lambda _: self._describe(node, "offer", encoded, to, self._pool.timeout))
        else:
            reply = self._describe(node, "offer", encoded, to, self._pool.timeout)
        return reply.addCallback(self._offered, from_tag, branch, to, described)

    def _offered(
        self, reply: Reply, from_tag: str, branch: str, to: Profile, offered: Description
    ) -> bytes | Deferred[bytes]:
        parties = self._branches.get(branch)
        if parties is None:
            parties = self._branches[branch] = BranchTags(from_tag)
        described = for_peer(reply.get(b"sdp"), to)
        parties.offered, parties.sent = offered, described
        origin = parties.origin if from_tag == parties.offerer else self._origin_of(parties.offerer)
        sdp = origin.write(described)
        if not self._to_drop:
            return sdp
        return Deferred.fromCoroutine(self._drop_left_over()).addCallback(lambda _: sdp)

    def _origin_of(self, tag: str) -> Origin:
        """The origin of what a party is told, whichever branch it is in."""
        origin = self._origins.get(tag)
        if origin is None:
            origin = self._origins[tag] = Origin()
        return origin

    def _describe(
        self, node: Node, command: Literal["offer", "answer"], encoded: bytes, to: Profile, timeout: float
    ) -> Deferred[Reply]:
        """Send an offer or answer, with what this node knows besides."""
        if to.has_dtls and self._quirks.knows_bundle:
            encoded += ACCEPTS_BUNDLE
        return self._command(node, command, encoded, timeout)

    def _first_offer(
        self, encoded: bytes, to: Profile, nodes: list[Node], end: float, error: NgError
    ) -> Deferred[Reply]:
        """Try node after node, within the time for one command; the first that replies keeps the session.

        :param nodes: the nodes that were not tried yet.
        :param end: when the time is over, by the clock of the pool.
        :param error: the failure of the node before.
        """
        share = (end - self._pool.seconds()) / (sum(node.alive for node in nodes) or len(nodes) or 1)
        if not nodes or share <= 0:
            return fail(error)
        node = nodes.pop(0)
        self._quirks = node.quirks
        reply = self._describe(node, "offer", encoded, to, share)
        return reply.addCallbacks(
            self._taken, self._not_taken, callbackArgs=(node,), errbackArgs=(encoded, to, node, nodes, end)
        )

    def _taken(self, reply: Reply, node: Node) -> Reply:
        self.node = node
        return reply

    def _not_taken(
        self, failure: Failure, encoded: bytes, to: Profile, node: Node, nodes: list[Node], end: float
    ) -> Failure | Deferred[Reply]:
        why = failure.value
        if not isinstance(why, (NgTimeout, NgOverload)):
            self.node = node  # it may have created the session nevertheless
            return failure
        log.warn("{call}: {why}", call=self.call, why=why.why)
        self._pool.discard(node, self.call_id, self.call, late=isinstance(why, NgTimeout))
        self.call_id = self._pool.new_call_id()
        return self._first_offer(encoded, to, nodes, end, why)

    def _answer(self, sdp: bytes, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        node = self.node
        if node is None:
            return fail(NgRefused("an answer without an offer"))
        parties = self._branches.setdefault(branch, BranchTags(from_tag))
        described = from_peer(sdp, to, parties.sent)
        if names_in(described):
            found = find_addresses(described, self._pool.address_of)
            return found.addCallback(lambda _: self._send_answer(node, described, from_tag, to_tag, branch, to))
        return self._send_answer(node, described, from_tag, to_tag, branch, to)

    def _send_answer(
        self, node: Node, described: Description, from_tag: str, to_tag: str, branch: str, to: Profile
    ) -> Deferred[bytes]:
        parties = self._branches[branch]
        if from_tag == parties.offerer:
            if not parties.answerer:
                parties.answerer = to_tag
            self._origins.setdefault(to_tag, parties.origin)
            origin = self._origin_of(from_tag)
        else:
            origin = parties.origin
        encoded = to.items("answer", write(described), is_encrypted(described)) + party_items(
            branch, *parties.names(from_tag)
        )
        reply = self._describe(node, "answer", encoded, to, self._pool.timeout)
        if self._blocked:
            reply.addCallback(lambda answered: self._block(node, False).addCallback(lambda _: answered))
        return reply.addCallback(
            lambda reply: origin.write(for_peer(reply.get(b"sdp"), to, parties.offered, described))
        )

    def _block(self, node: Node, blocked: bool) -> Deferred[Reply]:
        """Have all media of the session dropped, or passed on again."""
        self._blocked = blocked
        return self._command(node, "block media" if blocked else "unblock media", b"", self._pool.timeout)

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
        """Drop the losing branches, as long as another branch is left."""
        while self._to_drop and len(self._to_drop) < len(self._branches) and self.node is not None:
            branch = self._to_drop.pop()
            del self._branches[branch]
            encoded = party_items(branch, f"nobody-{branch}") + DELETE_AT_ONCE
            try:
                await self._command(self.node, "delete", encoded, self._pool.timeout)
            except (NgTimeout, NgOverload, NgRefused) as error:
                log.warn("{call}: branch not dropped: {why}", call=self.call, why=error.why)
        return b""

    def _command(self, node: Node, command: _Command, encoded: bytes, timeout: float) -> Deferred[Reply]:
        reply = node.command(command, session_fields(self.call_id), timeout, encoded)
        return reply.addCallback(self._log_warning, command)

    def _log_warning(self, reply: Reply, command: str) -> Reply:
        """Log a warning in a reply."""
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


def _packets(reply: Reply, tag: bytes) -> int:
    """Those of all streams of a party, in the reply to a ``query``."""
    try:
        streams = (stream for media in reply[b"tags"][tag][b"medias"] for stream in media[b"streams"])
        return sum(int(stream[b"stats"][b"packets"]) for stream in streams)
    except (KeyError, TypeError, ValueError) as error:
        raise NgRefused("no packets in the reply") from error
