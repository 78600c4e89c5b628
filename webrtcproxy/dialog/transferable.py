"""Host: a call, as those see it who move its legs."""

from __future__ import annotations

from typing import Protocol

from webrtcproxy.dialog.call_record import EndedBy
from webrtcproxy.dialog.context import CallMedia
from webrtcproxy.dialog.leg import Leg


class TransferController(Protocol):
    """Who is about to move legs of a call."""

    def outlives(self, leg: Leg) -> bool:
        """Whether the call goes on though the peer of `leg` has hung up."""

    def close(self) -> None:
        """The call is over."""


class TransferableCall:
    """A call whose legs may be moved.

    :ivar id: its name in logs.
    :ivar guest: who is about to move its legs, None where nobody is; meanwhile nobody else changes its session.
    """

    id: str
    guest: TransferController | None

    def other(self, leg: Leg) -> Leg | None:
        """The leg across from `leg`; None while nobody has answered."""
        raise NotImplementedError

    def gone(self, leg: Leg) -> None:
        """The peer of `leg` says that it has no such dialog, or does not answer."""
        raise NotImplementedError

    def busy(self) -> bool:
        """Whether its session is being changed, or not agreed upon as yet."""
        raise NotImplementedError

    def replace_leg(self, old: Leg, new: Leg, media: CallMedia, branch: str) -> None:
        """Put `new` in the place of `old`, which belongs to the call no longer.

        :param media: the media session between `new` and the leg that stays; that of the call is deleted.
        :param branch: its branch towards rtpengine.
        """
        raise NotImplementedError

    def end(self, why: EndedBy) -> None:
        """End the call: every leg that belongs to it gets a BYE.

        :param why: for the record.
        """
        raise NotImplementedError
