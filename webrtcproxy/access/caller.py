"""Caller: on whose behalf a browser's request is handled, as far as that is proven."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.config import Trunk
from webrtcproxy.users.user import User

Authority = tuple[str, str]
"""Who has authenticated a browser: ``("trunk", NAME)``, ``("domain", NAME)`` or, for a registrar that has no section,
``("host", HOST)``. What is proven to one proves nothing to another."""


def authority_of(trunk: Trunk | None, host: str) -> Authority:
    """The authority that registers the users of a route.

    :param trunk: the trunk that the route leads to.
    :param host: host of the Request-URI, for a registrar that has no section.
    """
    return ("host", host) if trunk is None else ("trunk", trunk.name)


@dataclass(frozen=True, slots=True)
class Caller:
    """What the browser has proven that sends a request.

    :ivar aor: the proven address-of-record on whose behalf it calls; None where it has proven none.
    :ivar authorities: those to which the browser has proven an address-of-record on this connection.
    :ivar user: the user of a domain that is served here.
    """

    aor: str | None = None
    authorities: frozenset[Authority] = frozenset()
    user: User | None = None

    def is_authenticated_by(self, authority: Authority) -> bool:
        """Whether it has proven an address-of-record to this authority."""
        return authority in self.authorities

    def may_use(self, trunk: Trunk) -> bool:
        """Whether it may use a trunk at the expense of the trunk's account: it has registered there, or at one of its
        ``also-for``, with a password of its own, or is a user whose domain has the trunk."""
        if ("trunk", trunk.name) in self.authorities or (self.user is not None and trunk.name in self.user.trunks):
            return True
        return any(("trunk", name) in self.authorities for name in trunk.also_for)


STRANGER = Caller()
"""A browser that has proven nothing."""
