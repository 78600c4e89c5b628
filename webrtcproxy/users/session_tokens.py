"""SessionTokens: short-lived tokens of the proxy's own, for users who have logged in with a password.

With one, a page logs in on the WebSocket and need not keep the password. A token is encrypted and authenticated
(Fernet), with a key that is made when the configuration is read: all workers have it, nobody else has, and no token
outlives the process. It has no dot in it, unlike a JSON Web Token.
"""

from __future__ import annotations

import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any

from cryptography.fernet import Fernet, InvalidToken

from webrtcproxy.users.attributes import ATTRIBUTES, AttributeRefused, attributes_of
from webrtcproxy.users.domains import Domains
from webrtcproxy.users.token import TokenRefused
from webrtcproxy.users.token_users import user_factory
from webrtcproxy.users.user import User


class SessionTokens:
    """Issues and reads the tokens.

    :param key: 32 random octets.
    :param domains: those whose users have them.
    :param now: returns the time of day, in seconds since 1970.
    """

    def __init__(self, key: bytes, domains: Domains, now: Callable[[], float]) -> None:
        self._fernet = Fernet(urlsafe_b64encode(key))
        self._domains = domains
        self._make_user = user_factory(domains)
        self._now = now

    def issue(self, user: User, seconds: float) -> str:
        """A token for a user of a domain that is served here.

        :param seconds: how long it is valid.
        """
        said = {
            "name": user.name,
            "domain": user.domain,
            "attributes": self._attributes(user),
            "password": self._password_mark(user.domain, user.aor),
            "until": self._now() + seconds,
        }
        token = self._fernet.encrypt(json.dumps(said).encode())
        return token.decode().rstrip("=")

    def read(self, token: str) -> tuple[User, float]:
        """The user of a token, and until when the token is valid, in seconds since 1970.

        :raises TokenRefused: it is none of ours, has expired, or the user is gone or has another password.
        """
        said = self._opened(token)
        if said["until"] <= self._now():
            raise TokenRefused("it has expired", genuine=True)
        try:
            user = self._make_user(said["name"], said["domain"], said["attributes"])
        except AttributeRefused as error:
            raise TokenRefused(f"it can't be read: {error}", genuine=True) from error
        if said["password"] != self._password_mark(user.domain, user.aor):
            raise TokenRefused("the user is gone, or has another password", genuine=True)
        return user, said["until"]

    def _attributes(self, user: User) -> dict[str, object]:
        """The attributes that are not looked up again: those of another token, or all where the user is not as a users
        file has it."""
        served = self._domains.named(user.domain)
        known = None if served is None else served.user(user.aor)
        attributes = attributes_of(user)
        if known is None or user.changed_to(known) != user:
            return attributes
        return {name: value for name, value in attributes.items() if ATTRIBUTES[name].fills in user.of_token}

    def _opened(self, token: str) -> dict[str, Any]:
        try:
            octets = self._fernet.decrypt(token.encode() + b"=" * (-len(token) % 4))
        except (InvalidToken, ValueError, TypeError) as error:
            raise TokenRefused("it is none of ours") from error
        said: dict[str, Any] = json.loads(octets)
        return said

    def _password_mark(self, domain: str, aor: str) -> str:
        """What changes with the password of a user of a users file; empty for others."""
        served = self._domains.named(domain)
        return "" if served is None else served.password_mark(aor)
