"""The parties of a branch: their names, and what they have been sent."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from webrtcproxy.media.profile import Profile
from webrtcproxy.sip.sdp.answering import Numbers
from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.transport import ice_ufrag, keep_transport
from webrtcproxy.sip.sdp.writing import Origin


@dataclass(slots=True)
class Offer:
    """An offer of one party to the other.

    :ivar described: as rtpengine was told.
    :ivar sent: what the other party was sent of it.
    :ivar to: the profile of that party.
    :ivar numbers: payload types of an answer with which rtpengine was told it again; None for its own.
    """

    described: Description
    sent: Description
    to: Profile
    numbers: list[Numbers | None] | None = None


class SentDescriptions:
    """The descriptions that one party is sent, in all branches."""

    __slots__ = ("_origin", "_place", "_sdp", "_ufrag")

    def __init__(self) -> None:
        self._origin = Origin()
        self._sdp = b""  # the last one
        self._place = 0  # the number of the `Placement` whose ports that has
        self._ufrag = ""  # of the party when it was told it; empty for one without ICE

    @property
    def tags(self) -> Sequence[str] | None:
        """As of the `Origin`."""
        return self._origin.tags

    def offer(self, described: Description, place: int) -> bytes:
        """An offer for the party.

        :param place: the number of the placement that has made it.
        """
        self._sdp, self._place, self._ufrag = self._origin.write(described), place, ""
        return self._sdp

    def answer(self, described: Description, place: int, offered: Description) -> bytes:
        """An answer for the party.

        The address, the credentials and the fingerprint of a browser's connection change with an offer only, or with
        an answer to an ICE restart (RFC 8839 section 4.4.1.1.1); Firefox refuses any other answer. So where the session
        has gone to another node since the browser was told the last description, the answer has the old connection
        until the browser is offered the new one.

        :param offered: the party's offer.
        """
        if self.is_connected_elsewhere(offered, place):
            keep_transport(described, self._sdp)
        else:
            self._place, self._ufrag = place, ice_ufrag(offered)
        self._sdp = self._origin.write(described)
        return self._sdp

    def is_connected_elsewhere(self, described: Description, place: int) -> bool:
        """Whether the party was told the connection of another placement last, and has not restarted ICE since.

        :param described: by the party.
        :param place: the number of the placement.
        """
        if place == self._place or not self._sdp:
            return False
        ufrag = ice_ufrag(described)
        return bool(ufrag) and ufrag == (self._ufrag or ufrag)

    def answered(self, answer: Description) -> None:
        """The party has answered the last offer."""
        self._ufrag = ice_ufrag(answer)


@dataclass(slots=True)
class BranchTags:
    """The two parties of a branch, as they are named to rtpengine.

    :ivar place: the number of the `Placement` where rtpengine knows them.
    """

    offerer: str
    answerer: str = ""  # the first To tag that answered
    offer: Offer | None = None  # the last one
    sent: SentDescriptions = field(default_factory=SentDescriptions)  # what the answerer is told
    place: int = 0

    def names(self, from_tag: str) -> tuple[str, str]:
        """The names of the sender and of the other party: any tag but the offerer's means the answerer."""
        if from_tag == self.offerer:
            return self.offerer, self.answerer
        return self.answerer or from_tag, self.offerer
