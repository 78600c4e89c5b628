"""ForkAnswers: the SDP answers of the forks of a call, and the answers that rtpengine makes of them for the caller."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.internet.defer import CancelledError

from webrtcproxy.dialog.context import CallMedia
from webrtcproxy.dialog.leg import Leg
from webrtcproxy.invite.branch import Branch
from webrtcproxy.routing.peer_profile import PeerProfile
from webrtcproxy.runtime.errors import BadResponse, NgError
from webrtcproxy.sip.message import Response
from webrtcproxy.transaction.server import ServerTransaction

_FURTHER_OFFER = "-"
"""In place of a party tag: rtpengine may have another offer of the caller's than the one that the forks were sent."""


@dataclass(frozen=True, slots=True)
class EarlySdp:
    """The SDP that the caller has got in a 1xx, and the fork that it came from.

    :ivar party_tag: identifies the fork to rtpengine.
    """

    branch: Branch
    party_tag: str
    sdp: bytes


@dataclass(frozen=True, slots=True)
class EarlyOffer:
    """A callee's offer in a reliable 1xx, which the caller has to answer in its PRACK."""

    branch: Branch
    leg: Leg
    response: Response


class ForkAnswers:
    """The answers to the offer in the INVITE of one call.

    :param transaction: the INVITE.
    :param caller: the leg on which it arrived.
    :param media: the media session of the call.
    :ivar offer: the caller's; empty where the callee is to make one.
    """

    def __init__(self, transaction: ServerTransaction, caller: Leg, media: CallMedia) -> None:
        self.offer = b""
        self._transaction = transaction
        self._caller = caller
        self._media = media
        self._answers: dict[str, tuple[bytes, bytes]] = {}  # by party tag: the fork's, and the caller's
        self._applied = ""  # the party tag whose answer rtpengine has

    def is_applied(self, tag: str) -> bool:
        """Whether rtpengine has the answer of the fork `tag`."""
        return self._applied == tag

    def remote(self, tag: str) -> bytes:
        """The answer of the fork `tag`, which must have one."""
        return self._answers[tag][0]

    def local(self, tag: str) -> bytes:
        """The answer for the caller made of that of the fork `tag`, which must have one."""
        return self._answers[tag][1]

    async def offer_for(self, branch: Branch, profile: PeerProfile) -> bytes:
        """The offer for `branch`; empty where the callee is to make one.

        :param profile: the profile of the target.
        :raises NgError: rtpengine can't make it.
        :raises CancelledError: the caller has its final response.
        """
        if not self.offer:
            return b""
        to = profile.media_from(self._caller.profile)
        sdp = await self._media.offer(self.offer, from_tag=self._caller.party_tag, branch=branch.id, to=to)
        check_unanswered(self._transaction)
        return sdp

    async def answer_further_offer(self, branch: Branch, tag: str, offer: bytes) -> tuple[bytes, bytes]:
        """The answer to a further offer of the caller's, made of the one that the fork `tag` has given to the first,
        and what this fork would have been offered.

        :raises NgError: rtpengine can't make them.
        """
        caller, sdp = self._caller, self._answers[tag][0]
        # Both commands are in the queue before that for a 2xx of the fork.
        offered = self._media.offer(
            offer, from_tag=caller.party_tag, branch=branch.id, to=branch.profile.media_from(caller.profile)
        )
        to = caller.profile.media_from(branch.profile)
        answered = self._media.answer(sdp, from_tag=caller.party_tag, to_tag=tag, branch=branch.id, to=to)
        try:
            relayed = await offered
            local = await answered
        except NgError:
            answered.addErrback(lambda failure: b"")
            self._applied = _FURTHER_OFFER
            raise
        self._answers[tag] = sdp, local
        self._applied = tag
        return local, relayed

    async def answer(self, branch: Branch, tag: str, sdp: bytes) -> bytes:
        """The answer for the caller made of that of a fork; for a 2xx without SDP, of the one in an earlier 18x.

        :param tag: the fork's party tag.
        :raises Refusal: the fork has sent no answer, or rtpengine can't make one.
        :raises CancelledError: the caller has its final response.
        """
        known = self._answers.get(tag)
        if known is not None and sdp in (b"", known[0]):
            if self._applied == tag:
                return known[1]
            sdp = known[0]
        if not sdp:
            raise BadResponse("No Answer")
        caller = self._caller
        if self._applied not in ("", tag):  # makes rtpengine drop the codecs of the other fork's answer
            await self.offer_for(branch, branch.profile)
        to = caller.profile.media_from(branch.profile)
        local = await self._media.answer(sdp, from_tag=caller.party_tag, to_tag=tag, branch=branch.id, to=to)
        self._answers[tag] = sdp, local
        self._applied = tag
        return local


def check_unanswered(transaction: ServerTransaction) -> None:
    """Check that the set-up goes on; called after every wait. An interruption answers the caller at once, but ends the
    waiting coroutine only in the next turn of the reactor, before which the awaited result may arrive.

    :raises CancelledError: `transaction` has its final response.
    """
    if transaction.answered:
        raise CancelledError
