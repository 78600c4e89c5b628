"""HopHealth: which hops have failed lately, and are tried last (RFC 3263 section 4.3)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.bounded import BoundedDict
from webrtcproxy.transport.flow import Address, Hop

PENALTY: Final = 30.0
"""Seconds for which a failed hop is tried last."""


class HopHealth:
    """Which hops are down, and until when.

    :param clock: for the time.
    """

    REMEMBERED: ClassVar[int] = 4096
    """Most hops that are remembered."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._dead: BoundedDict[tuple[str, Address], float] = BoundedDict(self.REMEMBERED)

    def in_order(self, hops: Sequence[Hop]) -> list[Hop]:
        """The same hops, those that are down last. Where all are down, the order stays: some may be up again."""
        if not self._dead or len(hops) < 2:
            return list(hops)
        now = self._clock.seconds()
        return sorted(hops, key=lambda hop: self._dead.get((hop.transport, hop.address), 0.0) > now)

    def mark_down(self, hop: Hop, seconds: float = PENALTY) -> None:
        """A hop did not respond, or is out of service (503).

        :param seconds: how long it counts as down.
        """
        self._dead.renew((hop.transport, hop.address), self._clock.seconds() + seconds)

    def mark_up(self, hop: Hop) -> None:
        """A hop has responded."""
        self._dead.pop((hop.transport, hop.address), None)
