"""The memory of relayed REFERs: `ReplacesGrants`, which peers may replace a dialog because one has sent them there (RFC
5589 section 7), and `Referrers`, by whom a browser may say to be referred (RFC 3892)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar, Generic, TypeVar

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.transport.flow import Flow

K = TypeVar("K")
V = TypeVar("V")

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


class Recent(Generic[K, V]):
    """Values by key, each for so many seconds.

    :param clock: for the time.
    :param seconds: how long a value is kept.
    :param keys: most keys that have values; the earliest makes room.
    :param values: most values of one key; the earliest makes room.
    """

    def __init__(self, clock: IReactorTime, seconds: float, keys: int, values: int) -> None:
        self._clock = clock
        self._seconds = seconds
        self._most_keys = keys
        self._most_values = values
        self._by_key: OrderedDict[K, list[tuple[float, V]]] = OrderedDict()

    def add(self, key: K, value: V) -> None:
        """Keep a value."""
        now, known = self._clock.seconds(), self._by_key
        values = [*known.pop(key, [])[1 - self._most_values :], (now + self._seconds, value)]
        while known and (len(known) >= self._most_keys or next(iter(known.values()))[-1][0] <= now):
            known.popitem(last=False)
        known[key] = values

    def of(self, key: K) -> list[V]:
        """The values of one key."""
        now = self._clock.seconds()
        return [value for until, value in self._by_key.get(key, ()) if until > now]

    def __len__(self) -> int:
        """The number of keys."""
        return len(self._by_key)


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
        self._grants: Recent[DialogKey, ReplacesGrant] = Recent(
            clock, self.SECONDS, self.MAX_DIALOGS, self.MAX_PER_DIALOG
        )

    def add(self, dialog: DialogKey, grant: ReplacesGrant) -> None:
        """Add a grant for a dialog."""
        self._grants.add(dialog, grant)

    def of(self, dialog: DialogKey) -> list[ReplacesGrant]:
        """The grants of one dialog that are still valid."""
        return self._grants.of(dialog)

    def __len__(self) -> int:
        return len(self._grants)


class Referrers:
    """Who has referred whom: the Referred-By of each REFER that was relayed to a browser, which it may repeat in the
    request that it makes from the REFER (RFC 3892 section 3). It knows the browser by its flow, and by its user's
    addresses-of-record after it has reconnected.

    :param clock: for the time.
    """

    SECONDS: ClassVar[float] = 180.0
    """How long a user may take to accept that it is referred, and its browser to call."""
    MAX_BROWSERS: ClassVar[int] = 10_000
    """Most flows and addresses-of-record that are known; the earliest makes room."""
    MAX_PER_BROWSER: ClassVar[int] = 8
    """Most referrers of each; the earliest makes room."""

    def __init__(self, clock: IReactorTime) -> None:
        self._referrers: Recent[Flow | str, str] = Recent(clock, self.SECONDS, self.MAX_BROWSERS, self.MAX_PER_BROWSER)

    def add(self, flow: Flow, aors: Iterable[str], referrer: str) -> None:
        """A REFER is relayed to a browser.

        :param flow: that leads to it.
        :param aors: the addresses-of-record of its user.
        :param referrer: its Referred-By.
        """
        self._referrers.add(flow, referrer)
        for aor in aors:
            self._referrers.add(aor, referrer)

    def of(self, flow: Flow, aors: Iterable[str]) -> set[str]:
        """The Referred-By of the REFERs to the browser on `flow`, of the user with these addresses-of-record."""
        keys: list[Flow | str] = [flow, *aors]
        return {referrer for key in keys for referrer in self._referrers.of(key)}

    def __len__(self) -> int:
        return len(self._referrers)
