"""Heirs: who has been told, by a REFER that crossed here, to take somebody's place in a dialog (RFC 5589 section 7)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.transport.flow import Flow

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, the peer's tag."""


@dataclass(frozen=True, slots=True)
class ReplacesGrant:
    """One of them.

    :ivar flow: the browser's; None where it is no browser.
    :ivar host: the address of who is no browser.
    :ivar teller: the address of the SIP peer whose place it is to take.
    """

    flow: Flow | None
    host: str
    teller: str


class ReplacesGrants:
    """All of them, each for a while.

    :param clock: tells the time.
    """

    SECONDS: ClassVar[float] = 32.0
    """How long one has (64*T1)."""
    LIMIT: ClassVar[int] = 10_000
    """Dialogs that are remembered; the earliest makes room."""
    EACH: ClassVar[int] = 8
    """Heirs of one dialog; the earliest makes room."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._known: OrderedDict[DialogKey, list[tuple[float, ReplacesGrant]]] = OrderedDict()

    def add(self, dialog: DialogKey, heir: ReplacesGrant) -> None:
        """Remember one."""
        now, known = self._clock.seconds(), self._known
        heirs = [*known.pop(dialog, [])[1 - self.EACH :], (now + self.SECONDS, heir)]
        while known and (len(known) >= self.LIMIT or next(iter(known.values()))[-1][0] <= now):
            known.popitem(last=False)
        known[dialog] = heirs

    def of(self, dialog: DialogKey) -> list[ReplacesGrant]:
        """Those of one dialog whose time is not over."""
        now = self._clock.seconds()
        return [heir for until, heir in self._known.get(dialog, ()) if until > now]

    def __len__(self) -> int:
        return len(self._known)
