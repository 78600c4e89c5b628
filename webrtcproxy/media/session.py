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

from collections.abc import Callable, Sequence
from typing import Literal

from twisted.internet.defer import Deferred, fail
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.branch_tags import BranchTags, Offer, SentDescriptions
from webrtcproxy.media.crossing import find_addresses, for_peer, from_peer, is_encrypted, names_in
from webrtcproxy.media.ng import Node, text
from webrtcproxy.media.operations import Operations
from webrtcproxy.media.placement import Loss, NodePool, OnLoss, Placement
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
from webrtcproxy.runtime.errors import NgOverload, NgRefused, NgTimeout
from webrtcproxy.sip.sdp.answering import as_numbered, numbers_in, use_numbers
from webrtcproxy.sip.sdp.bundling import answer_groups, find_joined, groups_in, offer_group, with_other_peers
from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.transport import before_ice
from webrtcproxy.sip.sdp.writing import write

log = Logger()


_Command = Literal["offer", "answer", "delete", "play DTMF", "block media", "unblock media"]


class MediaSession:
    """The media of one call.

    `Operations` run one at a time, in the order of their calls. The session stays on the node that accepted its first
    offer, unless that is lost (see `Placement`): then the next operation is done on another node, which is told the
    last offer first where that operation is an answer. The call is told, so that it offers both parties the session of
    now.

    :param pool: the nodes.
    :param call: the call's name in logs.
    """

    def __init__(self, pool: NodePool, call: str) -> None:
        self.call = call
        self._pool = pool
        self._at = Placement(pool, call, self._node_lost)
        self._node_is_lost = False
        self._on_loss: OnLoss | None = None
        self._branches: dict[str, BranchTags] = {}
        self._sent: dict[str, SentDescriptions] = {}  # what each party is told, by its tag
        self._to_drop: set[str] = set()
        self._blocked = False
        self._operations = Operations(self._at.discard)

    @property
    def call_id(self) -> str:
        """The session's ng call-id of now."""
        return self._at.call_id

    @property
    def node(self) -> Node | None:
        """The session's node; None before the first offer."""
        return self._at.node

    # -- for calls

    def offer(self, sdp: bytes, *, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Have an offer rewritten for the leg that it goes to.

        :param sdp: as the offerer sent it.
        :param from_tag: the call's name for the offerer; each party of the call has its own.
        :param branch: the call's name for the callee's branch, the same in later offers.
        :param to: the profile of the leg that the offer goes to.
        :returns: fires with the SDP to send. Fails with `NgTimeout`, `NgOverload` or `NgRefused`.
        """
        return self._operations.add(lambda: self._offer(sdp, from_tag, branch, to))

    def answer(self, sdp: bytes, *, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        """Have an answer rewritten for the offerer's leg.

        :param sdp: as the answerer sent it.
        :param from_tag: the call's name for the offerer.
        :param to_tag: the call's name for the answerer; several names in one branch count as one party.
        :param branch: as in the offer.
        :param to: the profile of the offerer's leg.
        :returns: as `offer`.
        """
        return self._operations.add(lambda: self._answer(sdp, from_tag, to_tag, branch, to))

    @property
    def loses_digits(self) -> bool:
        """Whether the node may lose a digit that it is to `play`."""
        return self._at.quirks.loses_digits

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
        return self._operations.add(lambda: self._play(digit, duration, from_tag, branch)).addCallback(lambda _: None)

    def packets(self, *, from_tag: str, branch: str) -> Deferred[int]:
        """Count what a party has sent so far, at once: the other operations are not waited for.

        :param from_tag: the call's name for it.
        :param branch: as in the offer.
        :returns: fires with the number of its RTP and RTCP packets. Fails as `offer`.
        """
        if self.node is None or self._operations.ended or branch not in self._branches:
            return fail(NgRefused("nothing to count without a session"))
        sender, _ = self._branches[branch].names(from_tag)
        asked = self.node.command("query", session_fields(self.call_id), self._pool.timeout, query_items(sender))
        return asked.addCallback(_packets, sender.encode("utf-8", "surrogateescape"))

    def drop(self, branch: str) -> None:
        """Free the media of a losing branch; the last branch stays until there is another. Never raises."""
        if not self._operations.ended:
            self._operations.add(lambda: self._drop(branch)).addErrback(lambda failure: failure.trap(NgRefused) and b"")

    def watch(self, lost: OnLoss) -> None:
        """Call `lost` if rtpengine loses the session: it saw no media, was restarted, or does not reply. With
        `Loss.NODE`, both parties have to be offered the session again. Never after `delete`."""
        self._on_loss = lost
        if self._node_is_lost or self._at.number:
            self._tell(Loss.NODE)

    def delete(self) -> Deferred[None]:
        """Free everything after the current operation; operations that wait fail.

        :returns: fires with None when rtpengine has done it, or does not reply. Never fails. May be called again.
        """
        if not self._operations.ended:
            self._at.unwatch()
            self._on_loss = None
        return self._operations.end()

    # -- the loss of its node

    def _node_lost(self, loss: Loss) -> None:
        """The node has lost the session; the next operation is done on another one."""
        self._node_is_lost = True
        self._tell(loss)

    def _tell(self, loss: Loss) -> None:
        if self._on_loss is not None:
            self._on_loss(loss)

    def _leave_lost_node(self) -> None:
        """Leave a node that is lost."""
        if self._node_is_lost:
            self._node_is_lost = self._blocked = False
            self._at.leave()

    def _failed(self, failure: Failure, again: Callable[[], Deferred[bytes]]) -> Deferred[bytes]:
        """A command has failed: give it to another node, if this one is lost."""
        if not self._at.can_leave(failure.value):
            return fail(failure)
        why = getattr(failure.value, "why", "")
        log.warn("{call}: rtpengine {node} has lost its media: {why}", call=self.call, node=self.node, why=why)
        self._node_is_lost = True
        self._leave_lost_node()
        self._tell(Loss.NODE)
        return again()

    # -- the operations

    def _offer(self, sdp: bytes, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        def once() -> Deferred[bytes]:
            described = from_peer(sdp, to)
            if described.attributes:
                find_joined(described, self._tags_of(from_tag, branch))
            if names_in(described):
                found = find_addresses(described, self._pool.address_of)
                return found.addCallback(lambda _: self._make_offer(described, from_tag, branch, to))
            return self._make_offer(described, from_tag, branch, to)

        return once().addErrback(self._failed, once)

    def _make_offer(self, described: Description, from_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        reply = self._send_offer(described, from_tag, branch, to)
        return reply.addCallback(self._offered, from_tag, branch, to, described)

    def _send_offer(self, described: Description, from_tag: str, branch: str, to: Profile) -> Deferred[Reply]:
        self._leave_lost_node()
        known = self._here(branch)
        names = party_items(branch, from_tag) if known is None else party_items(branch, *known.names(from_tag))
        later = known is not None and bool(known.answerer)
        more = names + SUPPORTS_LOAD_LIMIT
        sent = self._sent_so_far(from_tag, branch)
        if sent is not None and sent.is_connected_elsewhere(described, self._at.number):
            # Until it has restarted ICE, a browser checks this node from the ports of the former connection, too. With
            # the credentials of then rtpengine 12.5 takes such a port, for which those of now do not hold, and sticks
            # to it; without any, 10.5 never begins DTLS.
            described = before_ice(described)
        encoded = to.items("offer", write(described), is_encrypted(described), later) + more
        node = self.node
        another = with_other_peers(described) if later else None
        if node is None:
            return self._at.first_offer(lambda node, share: self._describe(node, "offer", encoded, to, share))
        if known is None and not to.has_dtls and self._has_answer_of_another():
            # The caller has media from an earlier target. Until this one has answered, whatever anybody sends to its
            # port would be passed on to the caller.
            blocked = self._block(node, True)
            return blocked.addCallback(lambda _: self._describe(node, "offer", encoded, to, self._pool.timeout))
        if another is not None:
            forgetting = to.items("offer", write(another), is_encrypted(another), later) + more
            forgotten = self._describe(node, "offer", forgetting, to, self._pool.timeout)
            return forgotten.addCallback(lambda _: self._describe(node, "offer", encoded, to, self._pool.timeout))
        return self._describe(node, "offer", encoded, to, self._pool.timeout)

    def _here(self, branch: str) -> BranchTags | None:
        """The parties of a branch, if the node of now knows them."""
        known = self._branches.get(branch)
        return known if known is not None and known.place == self._at.number else None

    def _has_answer_of_another(self) -> bool:
        return any(parties.answerer and parties.place == self._at.number for parties in self._branches.values())

    def _offered(
        self, reply: Reply, from_tag: str, branch: str, to: Profile, offered: Description
    ) -> bytes | Deferred[bytes]:
        parties = self._here(branch) or self._begin_branch(branch, from_tag)
        described = for_peer(reply.get(b"sdp"), to, offered)
        parties.offer = Offer(offered, described, to)
        sent = parties.sent if from_tag == parties.offerer else self._sent_to(parties.offerer)
        if to.has_dtls and not groups_in(described):
            described = offer_group(described, sent.tags)
        sdp = sent.offer(described, self._at.number)
        if not self._to_drop:
            return sdp
        return Deferred.fromCoroutine(self._drop_left_over()).addCallback(lambda _: sdp)

    def _begin_branch(self, branch: str, from_tag: str) -> BranchTags:
        """The parties of a branch that this node has got the first offer of, from the party `from_tag`. Both go on with
        the descriptions that they were told before."""
        before, parties = self._branches.get(branch), BranchTags(from_tag, place=self._at.number)
        if before is not None:
            parties.offer = before.offer
            if from_tag == before.offerer:
                parties.sent = before.sent
            else:
                parties.sent = self._sent_to(before.offerer)
                self._sent[from_tag] = before.sent
        self._branches[branch] = parties
        return parties

    def _sent_to(self, tag: str) -> SentDescriptions:
        """What a party is told, whichever branch it is in."""
        sent = self._sent.get(tag)
        if sent is None:
            sent = self._sent[tag] = SentDescriptions()
        return sent

    def _tags_of(self, tag: str, branch: str) -> Sequence[str] | None:
        """The first media of the groups that a party was told last; None where it was told nothing as yet."""
        sent = self._sent_so_far(tag, branch)
        return None if sent is None else sent.tags

    def _sent_so_far(self, tag: str, branch: str) -> SentDescriptions | None:
        """What a party has been told; None where that is nothing as yet."""
        parties = self._branches.get(branch)
        return self._sent.get(tag) if parties is None or tag == parties.offerer else parties.sent

    def _describe(
        self, node: Node, command: Literal["offer", "answer"], encoded: bytes, to: Profile, timeout: float
    ) -> Deferred[Reply]:
        """Send an offer or answer, with what this node knows besides."""
        if to.has_dtls and self._at.quirks.knows_bundle:
            encoded += ACCEPTS_BUNDLE
        return self._command(node, command, encoded, timeout)

    def _answer(self, sdp: bytes, from_tag: str, to_tag: str, branch: str, to: Profile) -> Deferred[bytes]:
        def once() -> Deferred[bytes]:
            if self.node is None and not self._at.number:
                return fail(NgRefused("an answer without an offer"))
            parties = self._branches.get(branch) or self._begin_branch(branch, from_tag)
            described = from_peer(sdp, to, None if parties.offer is None else parties.offer.sent)
            for media in described.media:
                if media.misnamed_key:
                    log.info(
                        "{call}: an SDP answer has the key {key}, which was offered with another tag: it is taken",
                        call=self.call,
                        key=media.misnamed_key,
                    )
            for media in described.not_offered:
                log.info(
                    "{call}: an SDP answer has {kind} of {protocol}, which was not offered: it is dropped",
                    call=self.call,
                    kind=media.kind,
                    protocol=media.protocol,
                )
            if names_in(described):
                found = find_addresses(described, self._pool.address_of)
                return found.addCallback(lambda _: self._make_answer(described, from_tag, to_tag, branch, to))
            return self._make_answer(described, from_tag, to_tag, branch, to)

        return once().addErrback(self._failed, once)

    def _make_answer(
        self, described: Description, from_tag: str, to_tag: str, branch: str, to: Profile
    ) -> Deferred[bytes]:
        self._leave_lost_node()
        node, parties = self.node, self._here(branch)
        if node is None or parties is None:
            repeated = self._repeat_offer(branch, from_tag)
            return repeated.addCallback(lambda _: self._make_answer(described, from_tag, to_tag, branch, to))
        if from_tag == parties.offerer:
            if not parties.answerer:
                parties.answerer = to_tag
            self._sent.setdefault(to_tag, parties.sent)
            sent, other = self._sent_to(from_tag), parties.sent
        else:
            sent, other = parties.sent, self._sent_to(parties.offerer)
        offer = parties.offer
        names = party_items(branch, *parties.names(from_tag))
        if to.decodes and offer is not None and numbers_in(described) != offer.numbers:
            reply = Deferred.fromCoroutine(self._renumber(node, offer, described, names, to))
        else:
            if to.decodes:
                use_numbers(described)
            reply = self._tell_answer(node, described, names, to)
        if self._blocked:
            reply.addCallback(lambda answered: self._block(node, False).addCallback(lambda _: answered))
        offered = described if offer is None else offer.described
        return reply.addCallback(self._answered, sent, other, to, offered, described)

    def _answered(
        self,
        reply: Reply,
        sent: SentDescriptions,
        other: SentDescriptions,
        to: Profile,
        offered: Description,
        answer: Description,
    ) -> bytes:
        other.answered(answer)
        described = for_peer(reply.get(b"sdp"), to, offered, answer)
        if offered.attributes and to.has_dtls and not groups_in(described):
            described = answer_groups(described, offered, sent.tags)
        return sent.answer(described, self._at.number, offered)

    def _repeat_offer(self, branch: str, from_tag: str) -> Deferred[BranchTags]:
        """Tell another node the offer that the one before it was told."""
        offer = self._branches[branch].offer
        if offer is None:
            return fail(NgRefused("an answer without an offer"))
        offer.numbers = None
        reply = self._send_offer(offer.described, from_tag, branch, offer.to)
        return reply.addCallback(lambda _: self._begin_branch(branch, from_tag))

    def _tell_answer(self, node: Node, answer: Description, names: bytes, to: Profile) -> Deferred[Reply]:
        encoded = to.items("answer", write(answer), is_encrypted(answer)) + names
        return self._describe(node, "answer", encoded, to, self._pool.timeout)

    async def _renumber(self, node: Node, offer: Offer, answer: Description, names: bytes, to: Profile) -> Reply:
        """Tell rtpengine an answer with other payload types than its offer (RFC 3264 section 6.1), or than the answer
        before. rtpengine drops codecs that an answer calls otherwise, and sends with the numbers of the offer. So it is
        told the answer with these; then both again with those of the answer, as if a re-INVITE had changed them.
        """
        reply = None
        if offer.numbers is None:
            reply = await self._tell_answer(node, answer, names, to)
        described = as_numbered(offer.described, answer)
        numbers = numbers_in(answer)
        if reply is not None and numbers is None:  # they can't be used
            return reply
        encoded = offer.to.items("offer", write(described), is_encrypted(described), later=True)
        await self._describe(node, "offer", encoded + names + SUPPORTS_LOAD_LIMIT, offer.to, self._pool.timeout)
        offer.numbers = numbers
        use_numbers(answer)
        return await self._tell_answer(node, answer, names, to)

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
        while self._to_drop and self._has_winner() and self.node is not None:
            branch = self._to_drop.pop()
            if self._branches.pop(branch).place != self._at.number:
                continue
            encoded = party_items(branch, f"nobody-{branch}") + DELETE_AT_ONCE
            try:
                await self._command(self.node, "delete", encoded, self._pool.timeout)
            except (NgTimeout, NgOverload, NgRefused) as error:
                log.warn("{call}: branch not dropped: {why}", call=self.call, why=error.why)
        return b""

    def _has_winner(self) -> bool:
        """Whether a branch that is not to be dropped is known to the node."""
        number = self._at.number
        return any(each.place == number and name not in self._to_drop for name, each in self._branches.items())

    def _command(self, node: Node, command: _Command, encoded: bytes, timeout: float) -> Deferred[Reply]:
        reply = node.command(command, session_fields(self.call_id), timeout, encoded)
        return reply.addCallback(self._log_warning, command)

    def _log_warning(self, reply: Reply, command: str) -> Reply:
        """Log a warning in a reply."""
        if b"warning" in reply:
            said = text(reply[b"warning"])
            log.warn("{call}: rtpengine warns of {command}: {said}", call=self.call, command=command, said=said)
        return reply


def _packets(reply: Reply, tag: bytes) -> int:
    """Those of all streams of a party, in the reply to a ``query``."""
    try:
        streams = (stream for media in reply[b"tags"][tag][b"medias"] for stream in media[b"streams"])
        return sum(int(stream[b"stats"][b"packets"]) for stream in streams)
    except (KeyError, TypeError, ValueError) as error:
        raise NgRefused("no packets in the reply") from error
