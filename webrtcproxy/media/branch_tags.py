"""The parties of a branch: their names, and what they have been sent."""

from __future__ import annotations

from dataclasses import dataclass, field

from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.writing import Origin


@dataclass(slots=True)
class BranchTags:
    """The two parties of a branch, as they are named to rtpengine."""

    offerer: str
    answerer: str = ""  # the first To tag that answered
    offered: Description | None = None  # the last offer, as rtpengine was told
    sent: Description | None = None  # what the other party was sent of it
    origin: Origin = field(default_factory=Origin)  # of what the answerer is told

    def names(self, from_tag: str) -> tuple[str, str]:
        """The names of the sender and of the other party: any tag but the offerer's means the answerer."""
        if from_tag == self.offerer:
            return self.offerer, self.answerer
        return self.answerer or from_tag, self.offerer
