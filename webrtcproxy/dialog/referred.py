"""ReplacesGrants: which peers may replace a dialog because a relayed REFER has sent them there (RFC 5589 section 7)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import ClassVar

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.transport.flow import Flow

DialogKey = tuple[str, str, str]
"""Call-ID, local tag, remote tag."""


@dataclass(frozen=True, slots=True)
class ReplacesGrant:
    """The permission to send an INVITE with Replaces for one dialog.

    :ivar flow: the flow of the browser that may send it; None where it is not a browser.
    :ivar host: the address of the peer that may send it, where it is not a browser.
    :ivar referrer: the address of the SIP peer that is replaced in the dialog.
    """

    flow: Flow | None
    host: str
    referrer: str


class ReplacesGrants:
    """All grants; each is valid for `SECONDS`.

    :param clock: for the time.
    """

    SECONDS: ClassVar[float] = 32.0
    """How long a grant can be used (64*T1)."""
    MAX_DIALOGS: ClassVar[int] = 10_000
    """Most dialogs that have grants; the earliest makes room."""
    MAX_PER_DIALOG: ClassVar[int] = 8
    """Most grants of one dialog; the earliest makes room."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._grants: OrderedDict[DialogKey, list[tuple[float, ReplacesGrant]]] = OrderedDict()

    def add(self, dialog: DialogKey, grant: ReplacesGrant) -> None:
        """Add a grant for a dialog."""
        now, known = self._clock.seconds(), self._grants
        grants = [*known.pop(dialog, [])[1 - self.MAX_PER_DIALOG :], (now + self.SECONDS, grant)]
        while known and (len(known) >= self.MAX_DIALOGS or next(iter(known.values()))[-1][0] <= now):
            known.popitem(last=False)
        known[dialog] = grants

    def of(self, dialog: DialogKey) -> list[ReplacesGrant]:
        """The grants of one dialog that are still valid."""
        now = self._clock.seconds()
        return [grant for until, grant in self._grants.get(dialog, ()) if until > now]

    def __len__(self) -> int:
        return len(self._grants)
