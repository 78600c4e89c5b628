"""An issuer of tokens: its keys, and what it signs."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from jwt.algorithms import get_default_algorithms
from twisted.internet.defer import Deferred, succeed

from webrtcproxy.config import TokensConfig
from webrtcproxy.config.ini import Secret
from webrtcproxy.config.key_set import KeySet, parse_key_set
from webrtcproxy.users.token import TokenVerifier

NOW = 1_800_000_000.0
"""The time of these tests, in seconds since 1970."""
SECRET = "0123456789abcdef0123456789abcdef-shared"
"""The secret of HS tokens."""
AUDIENCE = "https://phone.example"


def private_key(kind: str, number: int = 1) -> Any:
    """A private key, made once: ``RSA``, ``EC`` or ``OKP``; of ``HS`` a secret, the first of which is `SECRET`."""
    return _made(kind, number)


@cache
def _made(kind: str, number: int) -> Any:
    if kind == "HS":
        return SECRET if number == 1 else f"{SECRET}-{number}"
    if kind == "RSA":
        return rsa.generate_private_key(65537, 2048)
    return ec.generate_private_key(ec.SECP256R1()) if kind == "EC" else ed25519.Ed25519PrivateKey.generate()


def algorithm_of(kind: str) -> str:
    """The usual algorithm of a kind of key."""
    return {"RSA": "RS256", "EC": "ES256", "OKP": "EdDSA", "HS": "HS256"}[kind]


def public_jwk(kind: str, number: int = 1, **members: object) -> dict[str, object]:
    """The public key of `private_key` as a JSON Web Key, with further members."""
    algorithm = get_default_algorithms()[algorithm_of(kind)]
    jwk: Any = algorithm.to_jwk(private_key(kind, number).public_key(), as_dict=True)
    return {name: value for name, value in jwk.items() if name != "key_ops"} | members


def jwks(*keys: dict[str, object]) -> bytes:
    """A set of keys."""
    return json.dumps({"keys": keys}).encode()


def claims(**others: object) -> dict[str, object]:
    """Those of alice, who may log in for ten minutes; None takes a claim out."""
    given = {"sub": "alice", "aud": AUDIENCE, "exp": NOW + 600, "iat": NOW, **others}
    return {name: value for name, value in given.items() if value is not None}


def token(kind: str = "RSA", number: int = 1, kid: str | None = "first", **others: object) -> str:
    """A token of alice, signed with a private key."""
    headers = {} if kid is None else {"kid": kid}
    return jwt.encode(claims(**others), private_key(kind, number), algorithm_of(kind), headers)


def secret_token(secret: str = SECRET, algorithm: str = "HS256", **others: object) -> str:
    """A token of alice, signed with a secret."""
    return jwt.encode(claims(**others), secret, algorithm)


class FixedKeys:
    """A source of keys that are given.

    :ivar renewals: how often they were asked for once more.
    :ivar then: the keys after that.
    """

    def __init__(self, *keys: dict[str, object]) -> None:
        self.keys: KeySet | None = parse_key_set(jwks(*keys)) if keys else None
        self.then: KeySet | None = self.keys
        self.renewals = 0

    @staticmethod
    def empty() -> KeySet:
        """A set without keys."""
        return KeySet(())

    def current(self) -> KeySet | None:
        return self.keys

    def renewed(self) -> Deferred[None]:
        self.renewals += 1
        self.keys = self.then
        return succeed(None)


def tokens_config(**options: Any) -> TokensConfig:
    """The configuration of these tests: both kinds of keys, one audience, one domain."""
    given: dict[str, Any] = {
        "keys": Path("keys.json"), "secret": Secret(SECRET), "audience": (AUDIENCE,), "domain": "example.com",
        "leeway": 30.0, **options,
    }  # fmt: skip
    return TokensConfig(**given)


def verifier(*keys: dict[str, object], source: FixedKeys | None = None, **options: Any) -> TokenVerifier:
    """A verifier at `NOW`; by default it knows the first key of each kind."""
    every = keys or tuple(public_jwk(kind, kid="first") for kind in ("RSA", "EC", "OKP"))
    return TokenVerifier(tokens_config(**options), source or FixedKeys(*every), now=lambda: NOW)
