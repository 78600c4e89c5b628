"""Tokens: who the bearer of a JSON Web Token (RFC 7519) is, by its signature and its claims.

The key decides with which algorithm a token may be signed, never the token (RFC 8725 section 3.1): a secret verifies
HS algorithms and nothing else, a public key those of its kind.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from jwt import PyJWS, PyJWTError
from twisted.internet.defer import Deferred

from webrtcproxy.config import TokensConfig
from webrtcproxy.config.key_set import SYMMETRIC, KeySet, PublicKey
from webrtcproxy.users.attributes import AttributeRefused, user_from
from webrtcproxy.users.key_source import IKeySource
from webrtcproxy.users.token_users import UserFactory
from webrtcproxy.users.user import User

MAX_KID = 256
"""Characters of the longest name of a key."""
MAX_TRIES = 8
"""Keys that are tried for one token that names none."""


class TokenRefused(Exception):
    """A token does not log in.

    :ivar why: for the log; nothing that stands in the token is in it.
    :ivar genuine: the issuer has signed it; it has expired, for example. Whoever shows it has not guessed.
    """

    def __init__(self, why: str, genuine: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.genuine = genuine


class KeysUnavailable(Exception):
    """No key could be read yet, or who knows the users can't be asked: no token can be verified."""


@dataclass(frozen=True, slots=True)
class TokenLogin:
    """What a token says.

    :ivar user: the bearer.
    :ivar until: when it ends, in seconds since 1970; the tolerance for clocks is added.
    :ivar fingerprint: of the token.
    :ivar blind: nobody can tell meanwhile whether the user still exists: the login on a connection ends with the token,
        whatever else is configured.
    :ivar is_valid: asked again and again whether the user still exists and has the same password; None where it is not
        to be asked.
    """

    user: User
    until: float
    fingerprint: bytes = b""
    blind: bool = False
    is_valid: Callable[[], bool] | None = None


def fingerprint_of(text: str) -> bytes:
    """What tells a token from another one; it does not let anybody in."""
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest()


class TokenVerifier:
    """Verifies tokens.

    :param config: what a token must be like.
    :param keys: the issuer's public keys.
    :param make_user: makes the user.
    :param now: the time in seconds since 1970, as tokens have it.
    """

    def __init__(
        self,
        config: TokensConfig,
        keys: IKeySource,
        make_user: UserFactory = user_from,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._keys = keys
        self._make_user = make_user
        self._now = now
        self._allowed = config.allowed
        self._secret = PublicKey(None, config.allowed & SYMMETRIC, config.secret_octets)
        self._jws = PyJWS(options={"enforce_minimum_key_length": True})
        self._claims = dict(config.claims)

    def now(self) -> float:
        """The time in seconds since 1970."""
        return self._now()

    def verify(self, text: str) -> Deferred[TokenLogin]:
        """Verify a token.

        :returns: fires with what it says; fails with TokenRefused, or KeysUnavailable.
        """
        return Deferred.fromCoroutine(self._verify(text))

    async def _verify(self, text: str) -> TokenLogin:
        algorithm, kid = self._header(text)
        payload = await self._signed(text, algorithm, kid)
        try:
            user, until = self._login(payload)
        except TokenRefused as refused:
            refused.genuine = True
            raise
        return TokenLogin(user, until, fingerprint_of(text))

    def claimed(self, text: str) -> str:
        """The address-of-record that a token claims to be for; not proven. Empty where it names none."""
        if len(text) > self._config.max_size:
            return ""
        try:
            payload = self._jws.decode_complete(text, options={"verify_signature": False})["payload"]
            return "@".join(self._name(_claims(payload)))
        except (TokenRefused, PyJWTError, ValueError, TypeError, RecursionError):
            return ""

    def _header(self, text: str) -> tuple[str, str | None]:
        """The algorithm of a token, one of those allowed, and the name of its key."""
        if len(text) > self._config.max_size:
            raise TokenRefused("it is too long")
        try:
            header = self._jws.get_unverified_header(text)
        except (PyJWTError, ValueError, TypeError, RecursionError) as error:
            raise TokenRefused("it can't be read") from error
        algorithm, kid = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in self._allowed:
            raise TokenRefused("its algorithm is not allowed")
        if "crit" in header or header.get("b64", True) is not True:
            raise TokenRefused("it needs an extension that is not known here")
        if kid is not None and (not isinstance(kid, str) or len(kid) > MAX_KID):
            raise TokenRefused("the name of its key can't be read")
        return algorithm, kid

    async def _signed(self, text: str, algorithm: str, kid: str | None) -> bytes:
        """The payload of a token whose signature is right. If no key is, the issuer may have a new one."""
        if algorithm in SYMMETRIC:
            keys: KeySet | None = KeySet((self._secret,))
            kid = None
        else:
            keys = self._keys.current()
        found = () if keys is None else keys.candidates(kid, algorithm)
        payload = self._payload(text, algorithm, found)
        if payload is None and algorithm not in SYMMETRIC and (kid is None or not found):
            await self._keys.renewed()
            renewed = self._keys.current()
            if renewed is None:
                raise KeysUnavailable
            found = renewed.candidates(kid, algorithm)
            payload = None if renewed is keys else self._payload(text, algorithm, found)
        if payload is None:
            raise TokenRefused("its signature is wrong" if found else "no key is known by the name that it gives")
        return payload

    def _payload(self, text: str, algorithm: str, keys: Sequence[PublicKey]) -> bytes | None:
        """The payload of a token that one of the keys has signed."""
        for key in keys[:MAX_TRIES]:
            try:
                decoded = self._jws.decode_complete(text, key.key, algorithms=[algorithm])
            except (PyJWTError, ValueError, TypeError, RecursionError):
                continue
            payload: bytes = decoded["payload"]
            return payload
        return None

    def _login(self, payload: bytes) -> tuple[User, float]:
        claims = _claims(payload)
        until = self._times(claims)
        self._addressees(claims)
        return self._user(claims), until

    def _times(self, claims: Mapping[str, Any]) -> float:
        """When it ends (RFC 7519 sections 4.1.4 to 4.1.6)."""
        now, leeway = self._now(), self._config.leeway
        until = _seconds(claims, "exp")
        if until is None:
            raise TokenRefused("it has no exp")
        if now >= until + leeway:
            raise TokenRefused("it has expired")
        for name in ("nbf", "iat"):
            begin = _seconds(claims, name)
            if begin is not None and begin > now + leeway:
                raise TokenRefused(f"it is not valid yet ({name})")
        return until + leeway

    def _addressees(self, claims: Mapping[str, Any]) -> None:
        """Check for whom it is, and from whom (RFC 7519 sections 4.1.1 and 4.1.3)."""
        config = self._config
        if config.issuer is not None and claims.get("iss") != config.issuer:
            raise TokenRefused("it is from another issuer")
        audience = claims.get("aud")
        named = audience if isinstance(audience, list) else [audience]
        if not config.any_audience and not any(name in config.audience for name in named if isinstance(name, str)):
            raise TokenRefused("it is for another audience")

    def _name(self, claims: Mapping[str, Any]) -> tuple[str, str]:
        """The user part and the domain of its address-of-record."""
        name = claim_of(claims, self._config.user_claim)
        if isinstance(name, int) and not isinstance(name, bool):
            name = str(name)
        if not isinstance(name, str) or not name:
            raise TokenRefused(f"its claim {self._config.user_claim} names no user")
        user, at, domain = name.rpartition("@")
        if not at:
            return name, self._config.domain or ""
        if self._config.domain is not None and domain.lower() != self._config.domain:
            raise TokenRefused(f"its claim {self._config.user_claim} names a user of another domain")
        return user, domain.lower()

    def _user(self, claims: Mapping[str, Any]) -> User:
        user, domain = self._name(claims)
        attributes = {
            attribute: value
            for attribute, claim in self._claims.items()
            if (value := claim_of(claims, claim)) is not None
        }
        try:
            return self._make_user(user, domain, attributes)
        except AttributeRefused as error:
            claim = self._claims.get(error.attribute, self._config.user_claim)
            raise TokenRefused(f"its claim {claim} can't be used: {error.problem}") from error


def _claims(payload: bytes) -> dict[str, Any]:
    """The claims of a token."""
    try:
        claims = json.loads(payload)
    except (ValueError, RecursionError) as error:
        raise TokenRefused("its claims can't be read") from error
    if not isinstance(claims, dict):
        raise TokenRefused("its claims can't be read")
    return claims


def claim_of(claims: Mapping[str, Any], name: str) -> object:
    """The value of a claim: of the one that has this name, or else, for ``a.b``, of the member ``b`` of ``a``; None
    where there is none."""
    if name in claims:
        return claims[name]
    value: object = claims
    for part in name.split("."):
        if not isinstance(value, dict) or part not in value:
            return None
        value = value[part]
    return value


def _seconds(claims: Mapping[str, Any], name: str) -> float | None:
    """A time, in seconds since 1970; None where there is none."""
    value = claims.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not -1e15 < value < 1e15:
        raise TokenRefused(f"its {name} is no time")
    return float(value)
