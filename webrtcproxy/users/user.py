"""User: an account of a domain that is served here, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from zope.interface import Attribute, Interface, implementer

from webrtcproxy.config.limits import PartyLimits
from webrtcproxy.config.number_format import DIGITS, NumberFormat
from webrtcproxy.config.rules import NO_RULES, RuleWords
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import Uri

_WITHOUT_PLUS = NumberFormat(DIGITS)
"""How digits are read that nothing else is known of: as a number with its country code, if they are long enough."""


class IUser(Interface):
    """The avatar that a portal of twisted.cred returns for a browser: who its user is. `User` implements it."""

    name: str = Attribute("The user part of its address-of-record.")
    domain: str = Attribute("The domain of its address-of-record.")


@dataclass(frozen=True, slots=True, repr=False)
class TrunkAccount:
    """The account of one user at a trunk that wants a registration per user.

    :ivar aor: its address-of-record at the trunk; it registers no other.
    :ivar username: of its digests.
    :ivar password: in clear text, as the trunk's challenges need it.
    """

    aor: str
    username: str
    password: str

    def __repr__(self) -> str:
        return f"TrunkAccount({self.aor!r}, {self.username!r})"


@implementer(IUser)
@dataclass(frozen=True, slots=True)
class User:
    """An account, as a users file, a token or a portal describes it.

    :ivar name: the user part of its address-of-record.
    :ivar domain: the domain of its address-of-record: lower case, without port.
    :ivar display_name: shown to whom it calls; empty for the one that its browser gives.
    :ivar numbers: the numbers that it may show when it calls, the one shown by default first.
    :ivar groups: names of the groups that it belongs to; a number may ring a group.
    :ivar trunks: names of the trunks that it may use, at their expense.
    :ivar account: names of its own accounts at trunks, each perhaps with the trunk before it, ``TRUNK/NAME``.
    :ivar accounts: these accounts, by the name of the trunk, where they were looked up (`ServedDomain.complete`).
    :ivar allow: the only numbers and hosts that it may call, together with those of `[access]`.
    :ivar deny: those that it may not call, together with those of `[access]`.
    :ivar calls: calls at once; None for the limit of `[limits]`, 0 for none. The same holds for the next two.
    :ivar calls_per_minute: calls in a minute.
    :ivar minutes_per_day: minutes of calls to trunks within 24 hours.
    :ivar of_token: names of the fields that a token has filled.
    :ivar formats: the form of numbers where the proxy is, and those of the trunks that it may use
        (`ServedDomain.complete`).
    """

    name: str
    domain: str
    display_name: str = ""
    numbers: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    trunks: frozenset[str] = frozenset()
    account: tuple[str, ...] = ()
    accounts: Mapping[str, TrunkAccount] = field(default_factory=dict)
    allow: RuleWords = NO_RULES
    deny: RuleWords = NO_RULES
    calls: int | None = None
    calls_per_minute: int | None = None
    minutes_per_day: int | None = None
    of_token: frozenset[str] = frozenset()
    formats: tuple[NumberFormat, ...] = field(default=(), compare=False, repr=False)

    @property
    def account_aors(self) -> tuple[str, ...]:
        """The addresses-of-record of its own accounts at trunks."""
        return tuple(account.aor for account in self.accounts.values())

    @property
    def aor(self) -> str:
        """Its address-of-record, ``user@domain``."""
        return f"{self.name}@{self.domain}"

    def own_number(self, written: Uri) -> str | None:
        """The number of the user's that a URI means, in whatever spelling, as the account has it; None where it is
        another's. What is no number of the account as it is written is read as it is dialled where the proxy is, else
        as a trunk of the user's has it; a local number that names its context is none here (RFC 3966 section 5.1.5).
        """
        number = number_in(written.user or "")
        if number is None or number in self.numbers:
            return number
        if "phone-context" in (written.user or "").lower() or written.param("phone-context") is not None:
            return None
        known = self._global(number)
        return known and next((each for each in self.numbers if known in (each, self._global(each))), None)

    def _global(self, number: str) -> str | None:
        """A number with ``+`` and its country code; None where that is not clear."""
        if not self.formats:
            return None
        known = self.formats[0].dialled(number)
        for each in (*self.formats[1:], _WITHOUT_PLUS):
            known = known or each.received(number)
        return known

    def changed_to(self, known: User) -> User:
        """This user with what its line in the users file says now, but for what a token has said of it."""
        if not self.of_token:
            return known
        kept: dict[str, Any] = {name: getattr(self, name) for name in self.of_token}
        return replace(known, of_token=self.of_token, **kept)

    def limits_over(self, limits: PartyLimits) -> PartyLimits:
        """The limits of this user: its own, and where it has none, those of every user."""
        if self.calls is None and self.calls_per_minute is None and self.minutes_per_day is None:
            return limits
        own = {
            name: value
            for name, value in (
                ("calls", self.calls),
                ("calls_per_minute", self.calls_per_minute),
                ("minutes_per_day", self.minutes_per_day),
            )
            if value is not None
        }
        return replace(limits, **own)
