"""The users of tokens: what a token says of its bearer, together with what the proxy knows of that user."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

from webrtcproxy.users.attributes import ATTRIBUTES, AttributeRefused, user_from
from webrtcproxy.users.domains import Domains
from webrtcproxy.users.user import User

UserFactory = Callable[[str, str, Mapping[str, object]], User]
"""Makes a user of its name, its domain and its attributes; raises `AttributeRefused`."""


def user_factory(domains: Domains) -> UserFactory:
    """A function that makes users of the domains that are served here.

    A user who stands in a users file has what stands there, but for the attributes that the token has; all users have
    what the section of their domain gives.
    """

    def make(name: str, domain: str, attributes: Mapping[str, object]) -> User:
        said = user_from(name, domain, attributes)
        served = domains.named(said.domain)
        if served is None:
            raise AttributeRefused("", "its domain is not served here", "write [domain NAME] for it")
        fields = {ATTRIBUTES[attribute].fills for attribute in attributes}
        if "account" in fields:
            fields.add("accounts")
        said = replace(said, of_token=frozenset(fields))
        known = served.user(said.aor)
        if known is not None:
            said = said.changed_to(known)
        return served.complete(said) or said

    return make
