"""JSON Web Key Sets (RFC 7517): which keys of one can be used, and for what."""

from __future__ import annotations

import json

from cryptography.hazmat.primitives.asymmetric import rsa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from jwt.algorithms import RSAAlgorithm
from twisted.trial.unittest import SynchronousTestCase

from tests.support.tokens import jwks, private_key, public_jwk
from webrtcproxy.config.key_set import MAX_KEYS, MAX_SET, parse_key_set

_RSA = frozenset({"RS256", "RS384", "RS512", "PS256", "PS384", "PS512"})

SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine that is busy with other tests makes texts slowly."""


class KeySetTests(SynchronousTestCase):
    """Reads sets."""

    def setUp(self) -> None:
        for kind in ("RSA", "EC", "OKP"):
            public_jwk(kind)  # makes the keys, which takes its time

    def refused(self, *keys: object) -> str:
        """Why the only key of a set can't be used."""
        error = self.assertRaises(ValueError, parse_key_set, json.dumps({"keys": keys}).encode())
        return str(error)

    def test_algorithms(self) -> None:
        """The type and curve of a key say what it verifies (RFC 7518 section 3.1); its ``alg`` narrows that."""
        keys = parse_key_set(
            jwks(public_jwk("RSA"), public_jwk("EC"), public_jwk("OKP"), public_jwk("RSA", alg="PS256"))
        )
        self.assertEqual([key.algorithms for key in keys.keys], [_RSA, {"ES256"}, {"EdDSA"}, {"PS256"}])
        self.assertIn("does not fit", self.refused(public_jwk("RSA", alg="ES256")))
        self.assertIn("does not fit", self.refused(public_jwk("RSA", alg="HS256")))
        self.assertIn("does not fit", self.refused(public_jwk("OKP", alg="none")))

    def test_candidates(self) -> None:
        """By name, or by kind where there is no name."""
        keys = parse_key_set(jwks(public_jwk("RSA", kid="a"), public_jwk("RSA", 2), public_jwk("EC", kid="a")))
        self.assertEqual([keys.keys.index(key) for key in keys.candidates("a", "RS256")], [0])
        self.assertEqual([keys.keys.index(key) for key in keys.candidates(None, "RS256")], [0, 1])
        self.assertEqual(list(keys.candidates("b", "RS256")), [])

    def test_secrets(self) -> None:
        """A shared secret or a private key has no place in a set that anybody may read."""
        self.assertIn("public keys only", self.refused({"kty": "oct", "k": "c2VjcmV0"}))
        private = json.loads(RSAAlgorithm.to_jwk(private_key("RSA")))
        error = self.refused(private)
        self.assertIn("public keys only", error)
        self.assertNotIn(private["d"], error)

    def test_use(self) -> None:
        """A key for encryption verifies nothing (RFC 7517 sections 4.2, 4.3)."""
        self.assertIn("not for signatures", self.refused(public_jwk("RSA", use="enc")))
        self.assertIn("not for signatures", self.refused(public_jwk("RSA", key_ops=["encrypt"])))
        self.assertEqual(len(parse_key_set(jwks(public_jwk("RSA", use="sig", key_ops=["verify"]))).keys), 1)

    def test_short(self) -> None:
        """RSA keys have 2048 bits or more (RFC 7518 section 3.3)."""
        short = rsa.generate_private_key(65537, 1024).public_key()
        self.assertIn("shorter", self.refused(RSAAlgorithm.to_jwk(short, as_dict=True)))

    def test_others_stand(self) -> None:
        """Keys that can't be used are named by their place, and the rest stands."""
        keys = parse_key_set(
            jwks({"kty": "new"}, public_jwk("RSA", kid="a"), {"kty": "OKP", "crv": "X25519", "x": "AA"})
        )
        self.assertEqual([key.kid for key in keys.keys], ["a"])
        self.assertEqual([why.partition(":")[0] for why in keys.unusable], ["key 1", "key 3"])

    def test_broken(self) -> None:
        """Keys whose members are missing or junk."""
        broken = (
            None, 1, "x", [], {},
            {"kty": "RSA"}, {"kty": "RSA", "n": "", "e": ""}, {"kty": "RSA", "n": 1, "e": 2},
            {"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}, {"kty": "EC", "crv": "Ed25519", "x": "AA"},
            {"kty": "OKP", "crv": "Ed25519", "x": "AA"}, {"kty": "EC", "crv": ["P-256"]},
            public_jwk("RSA", kid=7), public_jwk("RSA", alg=["RS256"]), public_jwk("RSA", key_ops=7),
        )  # fmt: skip
        for key in broken:
            self.assertIn("no key in it", self.refused(key), key)

    def test_no_set(self) -> None:
        """Anything else than a set, or one without end."""
        for text in (b"", b"x", b"[]", b"{}", b'{"keys": {}}', b"\xff", b"[" * 100_000, b'{"keys": []}'):
            self.assertRaises(ValueError, parse_key_set, text)
        self.assertRaises(ValueError, parse_key_set, jwks(*[public_jwk("OKP")] * (MAX_KEYS + 1)))
        self.assertRaises(ValueError, parse_key_set, jwks(public_jwk("OKP", pad="x" * MAX_SET)))

    @SLOW
    @given(
        st.dictionaries(
            st.sampled_from(["kty", "crv", "n", "e", "x", "y", "alg", "use", "kid", "key_ops"]),
            st.sampled_from(["RSA", "EC", "OKP", "P-256", "Ed25519", "AQAB", "sig", "RS256", "", "A"])
            | st.none() | st.integers() | st.lists(st.text(max_size=3), max_size=2),
        )
    )  # fmt: skip
    def test_anything(self, key: dict[str, object]) -> None:
        """Any members in, no other exception out."""
        self.assertRaises(ValueError, parse_key_set, json.dumps({"keys": [key]}).encode())
