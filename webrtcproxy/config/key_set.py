"""The public keys that sign tokens: a JSON Web Key Set (RFC 7517), as a file or an issuer's address has it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from jwt import PyJWK, PyJWTError

MAX_KEYS: Final = 64
"""Most keys of one set."""
MAX_SET: Final = 256 * 1024
"""Octets of the largest set."""
MIN_RSA: Final = 2048
"""Bits of the shortest RSA key (RFC 7518 section 3.3)."""

SYMMETRIC: Final = frozenset({"HS256", "HS384", "HS512"})
"""Algorithms whose key is a secret that issuer and proxy share."""
ASYMMETRIC: Final = frozenset(
    {"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}
)
"""Algorithms whose public key verifies (RFC 7518 section 3.1, RFC 8037). ``none`` is in neither set."""

_OF_CURVE: Final = {"P-256": "ES256", "P-384": "ES384", "P-521": "ES512", "Ed25519": "EdDSA", "Ed448": "EdDSA"}
_PRIVATE: Final = frozenset({"d", "p", "q", "dp", "dq", "qi", "k"})


@dataclass(frozen=True, slots=True)
class PublicKey:
    """A key of a set.

    :ivar kid: the name by which tokens choose it; None where the set has none.
    :ivar algorithms: those that it can verify.
    :ivar key: as PyJWT takes it.
    """

    kid: str | None
    algorithms: frozenset[str]
    key: Any


@dataclass(frozen=True, slots=True)
class KeySet:
    """The keys of a set that can be used.

    :ivar keys: in the order of the set.
    :ivar unusable: why the others can't be used; contains nothing of a key but its kid.
    """

    keys: tuple[PublicKey, ...]
    unusable: tuple[str, ...] = ()

    def candidates(self, kid: str | None, algorithm: str) -> Sequence[PublicKey]:
        """The keys that may verify a token: those of its kid, or each of the right kind where it names none."""
        return [key for key in self.keys if algorithm in key.algorithms and (kid is None or key.kid == kid)]


def parse_key_set(text: bytes) -> KeySet:
    """Read a JSON Web Key Set.

    :raises ValueError: it is none, or no key in it can be used.
    """
    if len(text) > MAX_SET:
        raise ValueError(f"it is larger than {MAX_SET} octets")
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("this is no JSON") from error
    entries = document.get("keys") if isinstance(document, dict) else None
    if not isinstance(entries, list):
        raise ValueError("this is no JSON Web Key Set: there is no list 'keys'")
    if len(entries) > MAX_KEYS:
        raise ValueError(f"it has more than {MAX_KEYS} keys")
    keys: list[PublicKey] = []
    unusable: list[str] = []
    for place, entry in enumerate(entries, 1):
        try:
            keys.append(_key(entry))
        except ValueError as error:
            unusable.append(f"key {place}: {error}")
    if not keys:
        raise ValueError("no key in it can be used" + (f" ({unusable[0]})" if unusable else ""))
    return KeySet(tuple(keys), tuple(unusable))


def _key(entry: object) -> PublicKey:
    """One key of a set (RFC 7517 section 4).

    :raises ValueError: it can't verify tokens.
    """
    if not isinstance(entry, dict):
        raise ValueError("this is no key")
    if entry.get("kty") == "oct" or not _PRIVATE.isdisjoint(entry):
        raise ValueError("a set has public keys only")
    uses = entry.get("key_ops", ["verify"])
    if entry.get("use", "sig") != "sig" or not isinstance(uses, list) or "verify" not in uses:
        raise ValueError("it is not for signatures")
    kid = entry.get("kid")
    if kid is not None and not isinstance(kid, str):
        raise ValueError("its kid is no text")
    algorithms = _algorithms(entry)
    try:
        key = PyJWK(entry, min(algorithms)).key
    except (PyJWTError, ValueError, TypeError, KeyError) as error:
        raise ValueError("its numbers make no key") from error
    if isinstance(key, RSAPublicKey) and key.key_size < MIN_RSA:
        raise ValueError(f"it is shorter than {MIN_RSA} bits")
    return PublicKey(kid, algorithms, key)


def _algorithms(entry: dict[str, object]) -> frozenset[str]:
    """The algorithms that a key can verify: by its type and curve, or the one that it names, where that fits."""
    kind, curve, named = entry.get("kty"), entry.get("crv"), entry.get("alg")
    if kind == "RSA":
        able = frozenset(name for name in ASYMMETRIC if name[:2] in ("RS", "PS"))
    elif isinstance(curve, str) and curve in _OF_CURVE and kind == ("OKP" if curve.startswith("Ed") else "EC"):
        able = frozenset({_OF_CURVE[curve]})
    else:
        raise ValueError("its type is not known here")
    if named is None:
        return able
    if not isinstance(named, str) or named not in able:
        raise ValueError("its alg does not fit its type")
    return able.intersection({named})
