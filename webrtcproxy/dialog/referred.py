"""ReplacesGrants: who may take a place in a dialog, since a relayed REFER says so (RFC 5589 section 7)."""

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
    """The permission to send an INVITE with Replaces for one dialog.

    :ivar flow: of the browser that may; None where it is no browser.
    :ivar host: the address of the peer that may, where it is no browser.
    :ivar referrer: the address of the SIP peer whose place in the dialog is to be taken.
    """

    flow: Flow | None
    host: str
    referrer: str


class ReplacesGrants:
    """All grants, each for a while.

    :param clock: tells the time.
    """

    SECONDS: ClassVar[float] = 32.0
    """How long a grant can be used (64*T1)."""
    MAX_DIALOGS: ClassVar[int] = 10_000
    """Dialogs that have grants; the earliest makes room."""
    MAX_PER_DIALOG: ClassVar[int] = 8
    """Grants of one dialog; the earliest makes room."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._grants: OrderedDict[DialogKey, list[tuple[float, ReplacesGrant]]] = OrderedDict()

    def add(self, dialog: DialogKey, grant: ReplacesGrant) -> None:
        """Remember one."""
        now, known = self._clock.seconds(), self._grants
        grants = [*known.pop(dialog, [])[1 - self.MAX_PER_DIALOG :], (now + self.SECONDS, grant)]
        while known and (len(known) >= self.MAX_DIALOGS or next(iter(known.values()))[-1][0] <= now):
            known.popitem(last=False)
        known[dialog] = grants

    def of(self, dialog: DialogKey) -> list[ReplacesGrant]:
        """Those of one dialog that can still be used."""
        now = self._clock.seconds()
        return [grant for until, grant in self._grants.get(dialog, ()) if until > now]

    def __len__(self) -> int:
        return len(self._grants)
