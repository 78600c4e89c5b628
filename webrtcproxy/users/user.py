"""User: an account of a domain that is served here, and what belongs to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from zope.interface import Attribute, Interface, implementer


class IUser(Interface):
    """The avatar that a portal of twisted.cred returns for a browser: who its user is. `User` implements it."""

    name: str = Attribute("The user part of its address-of-record.")
    domain: str = Attribute("The domain of its address-of-record.")


@dataclass(frozen=True, slots=True, repr=False)
class TrunkAccount:
    """The account of one user at a trunk that wants a registration per user.

    :ivar username: of its digests.
    :ivar password: in clear text, as the trunk's challenges need it.
    """

    username: str
    password: str

    def __repr__(self) -> str:
        return f"TrunkAccount({self.username!r})"


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
    :ivar accounts: its own accounts, by the name of the trunk.
    """

    name: str
    domain: str
    display_name: str = ""
    numbers: tuple[str, ...] = ()
    groups: frozenset[str] = frozenset()
    trunks: frozenset[str] = frozenset()
    accounts: Mapping[str, TrunkAccount] = field(default_factory=dict)

    @property
    def aor(self) -> str:
        """Its address-of-record, ``user@domain``."""
        return f"{self.name}@{self.domain}"
