"""SessionTokens: short-lived tokens of the proxy's own, for users who have logged in with a password.

With one, a page logs in on the WebSocket and need not keep the password. A token is encrypted and authenticated
(Fernet), with a key that is made when the configuration is read: all workers have it, nobody else has, and no token
outlives the process. It has no dot in it, unlike a JSON Web Token.
"""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from collections.abc import Callable
from typing import Any, Final

from cryptography.fernet import Fernet, InvalidToken

from webrtcproxy.users.attributes import ATTRIBUTES, AttributeRefused, attributes_of
from webrtcproxy.users.domains import Domains
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.token import TokenLogin, TokenRefused, fingerprint_of
from webrtcproxy.users.token_users import user_factory
from webrtcproxy.users.user import User

LIFETIME: Final = 12 * 3600.0
"""Seconds that a login with a password is valid, where its user can be seen to exist: a day at work."""


class SessionTokens:
    """Issues and reads the tokens.

    :param key: 32 random octets.
    :param domains: those whose users have them.
    :param now: returns the time of day, in seconds since 1970.
    """

    def __init__(self, key: bytes, domains: Domains, now: Callable[[], float]) -> None:
        self._key = key
        self._fernet = Fernet(urlsafe_b64encode(key))
        self._domains = domains
        self._make_user = user_factory(domains)
        self._now = now

    def issue(self, user: User, seconds: float, blind: bool = False) -> str:
        """A token for a user of a domain that is served here.

        :param seconds: how long it is valid.
        :param blind: as `webrtcproxy.users.token.TokenLogin` has it.
        :raises NotAvailable: nobody can tell at the moment whether the user exists.
        """
        said = {
            "name": user.name,
            "domain": user.domain,
            "attributes": self._attributes(user),
            "password": self._password_mark(user.domain, user.aor),
            "until": self._now() + seconds,
            "blind": blind,
        }
        token = self._fernet.encrypt(json.dumps(said).encode())
        return token.decode().rstrip("=")

    def blind_life(self, user: User) -> float | None:
        """For how many seconds a login of a user with a password counts, where nobody can tell meanwhile whether the
        user still exists; None where somebody can.

        :raises NotAvailable: nobody can at the moment.
        """
        served = self._domains.named(user.domain)
        return None if served is None or served.password_mark(user.aor) else served.config.token_life

    def read(self, token: str) -> TokenLogin:
        """What a token says.

        :raises TokenRefused: it is none of ours, has expired, or the user is gone or has another password.
        :raises NotAvailable: nobody can tell at the moment.
        """
        said = self._opened(token)
        if said["until"] <= self._now():
            raise TokenRefused("it has expired", genuine=True)
        try:
            user = self._make_user(said["name"], said["domain"], said["attributes"])
        except AttributeRefused as error:
            raise TokenRefused(f"it can't be read: {error}", genuine=True) from error
        mark = said["password"]

        if mark != self._password_mark(user.domain, user.aor):
            raise TokenRefused("the user is gone, or has another password", genuine=True)

        def is_valid() -> bool:
            try:
                return bool(mark == self._password_mark(user.domain, user.aor))
            except NotAvailable:
                return True

        served = self._domains.named(user.domain)
        is_watched = not mark or (served is not None and served.has_password(user.aor))
        return TokenLogin(user, said["until"], fingerprint_of(token), said["blind"], None if is_watched else is_valid)

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
        """What changes with the password of a user, and tells nothing of it; empty where nobody can tell."""
        served = self._domains.named(domain)
        mark = b"" if served is None else served.password_mark(aor)
        return hmac.new(self._key, mark, "sha256").hexdigest() if mark else ""
