"""Which tokens log in, and as whom (RFC 7519, RFC 8725)."""

from __future__ import annotations

import hmac
import json
from base64 import urlsafe_b64encode
from typing import Any

import jwt
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.tokens import (
    AUDIENCE,
    NOW,
    SECRET,
    FixedKeys,
    algorithm_of,
    claims,
    private_key,
    public_jwk,
    secret_token,
    token,
    verifier,
)
from webrtcproxy.config.key_set import parse_key_set
from webrtcproxy.users.token import KeysUnavailable, TokenLogin, TokenRefused, TokenVerifier, claim_of
from webrtcproxy.users.user import User


def b64(value: object) -> str:
    """A part of a token."""
    data = value if isinstance(value, bytes) else json.dumps(value).encode()
    return urlsafe_b64encode(data).decode().rstrip("=")


SLOW = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""A machine that is busy with other tests makes texts slowly."""


class TokenCase(SynchronousTestCase):
    """Verifies tokens.

    :ivar genuine: of the last one that was refused.
    """

    genuine = False

    def login(self, text: str, by: TokenVerifier | None = None) -> TokenLogin:
        """What a token says that is right."""
        return self.successResultOf((by or verifier()).verify(text))

    def refused(self, text: str, by: TokenVerifier | None = None) -> str:
        """Why a token is refused."""
        error = self.failureResultOf((by or verifier()).verify(text), TokenRefused).value
        assert isinstance(error, TokenRefused)
        self.genuine = error.genuine
        return error.why


class SignatureTests(TokenCase):
    """Keys and algorithms."""

    def test_each_kind(self) -> None:
        """RS256, ES256 and EdDSA with a public key, HS256 with a secret (RFC 7518 section 3.1, RFC 8037)."""
        for text in (token("RSA"), token("EC"), token("OKP"), secret_token()):
            self.assertEqual(self.login(text).user, User("alice", "example.com"))

    def test_none(self) -> None:
        """``none`` is no signature (RFC 8725 section 3.1), in whatever letters, with and without a third part."""
        for name in ("none", "None", "NONE", "nOnE", ""):
            for end in (".", ".AAAA"):
                self.assertIn("algorithm", self.refused(f"{b64({'alg': name})}.{b64(claims())}{end}"))
        self.assertIn("algorithm", self.refused(jwt.encode(claims(), None, "none")))

    def test_wrong_key(self) -> None:
        """Another key of the same kind and name signs nothing."""
        for kind in ("RSA", "EC", "OKP"):
            self.assertIn("signature", self.refused(token(kind, number=2)))
        self.assertIn("signature", self.refused(secret_token(SECRET[::-1])))

    def test_public_key_as_secret(self) -> None:
        """A public key is no secret of an HS algorithm (RFC 8725 section 2.1), nor is the secret a key of another."""
        public = private_key("RSA").public_key()
        pem = public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        der = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        for secret in (json.dumps(public_jwk("RSA", kid="first")).encode(), pem, der, b""):
            head = f"{b64({'alg': 'HS256', 'kid': 'first'})}.{b64(claims())}"
            forged = f"{head}.{b64(hmac.digest(secret, head.encode(), 'sha256'))}"
            self.assertIn("algorithm", self.refused(forged, verifier(secret=None)))
            self.assertIn("signature", self.refused(forged))
        head, payload, _ = token("RSA").split(".")
        signature = secret_token().split(".")[2]
        self.assertIn("signature", self.refused(f"{head}.{payload}.{signature}"))

    def test_algorithm_of_another_key(self) -> None:
        """A key verifies the algorithms of its own kind only, even where a token names both."""
        by = verifier(public_jwk("EC", kid="first"), public_jwk("OKP", kid="first"))
        self.assertEqual(self.login(token("EC"), by).user.name, "alice")
        self.assertIn("no key", self.refused(token("RSA"), by))

    def test_allowed_only(self) -> None:
        """What is not among the algorithms is refused, though there is a key for it."""
        self.assertIn("algorithm", self.refused(token("RSA"), verifier(algorithms=("EdDSA",))))
        self.assertIn("algorithm", self.refused(secret_token(algorithm="HS512")))
        strong = secret_token(SECRET * 2, "HS512")
        self.assertEqual(self.login(strong, verifier(algorithms=("HS512",), secret=SECRET * 2)).user.name, "alice")

    def test_key_names(self) -> None:
        """``kid`` chooses the key (RFC 7515 section 4.1.4); without one, each key of the right kind is tried."""
        both = verifier(public_jwk("RSA", 1, kid="first"), public_jwk("RSA", 2, kid="second"))
        self.assertEqual(self.login(token(number=2, kid="second"), both).user.name, "alice")
        self.assertEqual(self.login(token(number=2, kid=None), both).user.name, "alice")
        self.assertIn("signature", self.refused(token(number=2, kid="first"), both))
        self.assertIn("no key", self.refused(token(kid="third"), both))
        for kid in (7, ["first"], "x" * 300):
            text = jwt.encode(claims(), private_key("RSA"), "RS256", {"kid": "a"}).split(".")
            text[0] = b64({"alg": "RS256", "kid": kid})
            self.assertTrue(self.refused(".".join(text), both))

    def test_extensions(self) -> None:
        """What a token declares critical must be understood (RFC 7515 section 4.1.11): nothing is."""
        for headers in ({"crit": ["x"], "x": 1}, {"crit": ["b64"], "b64": False}, {"b64": False}, {"crit": []}):
            head = b64({"alg": "HS256", **headers})
            self.assertTrue(self.refused(f"{head}.{b64(claims())}.AAAA"))

    def test_keys_elsewhere(self) -> None:
        """A token brings no keys: ``jwk``, ``jku`` and ``x5u`` are not looked at (RFC 8725 section 3.10)."""
        headers = {"jwk": public_jwk("RSA", 2), "jku": "https://evil.example/keys", "x5u": "https://evil.example/x"}
        self.assertIn("signature", self.refused(jwt.encode(claims(), private_key("RSA", 2), "RS256", headers)))


class RenewalTests(TokenCase):
    """An issuer that changes its keys."""

    def test_unknown_key(self) -> None:
        """A key that is not known is looked for once more at the issuer."""
        source = FixedKeys(public_jwk("RSA", kid="first"))
        source.then = parse_key_set(json.dumps({"keys": [public_jwk("OKP", kid="new")]}).encode())
        self.assertEqual(self.login(token("OKP", kid="new"), verifier(source=source)).user.name, "alice")
        self.assertEqual(source.renewals, 1)

    def test_known_key(self) -> None:
        """A wrong signature of a key that is known is no reason to look: anybody can write one."""
        source = FixedKeys(public_jwk("RSA", kid="first"))
        self.assertIn("signature", self.refused(token(number=2), verifier(source=source)))
        self.refused(secret_token(SECRET[::-1]), verifier(source=source))
        self.assertEqual(source.renewals, 0)

    def test_no_keys_yet(self) -> None:
        """While no keys could be read, a token is neither right nor wrong."""
        by = verifier(source=FixedKeys())
        self.failureResultOf(by.verify(token()), KeysUnavailable)
        self.assertEqual(self.login(secret_token(), by).user.name, "alice")


class TimeTests(TokenCase):
    """When a token is valid (RFC 7519 sections 4.1.4 to 4.1.6)."""

    def test_expiry(self) -> None:
        """It ends at ``exp``, with the tolerance for clocks."""
        self.assertEqual(self.login(token(exp=NOW + 5)).until, NOW + 35)
        self.assertEqual(self.login(token(exp=NOW - 29)).until, NOW + 1)
        self.assertIn("expired", self.refused(token(exp=NOW - 30)))
        self.assertIn("expired", self.refused(token(exp=NOW), verifier(leeway=0.0)))
        self.assertIn("expired", self.refused(token(exp=0)))
        self.assertIn("no exp", self.refused(token(exp=None)))

    def test_beginning(self) -> None:
        """It is not valid before ``nbf``, and was not issued in the future, with the same tolerance."""
        for name in ("nbf", "iat"):
            self.login(token(**{name: NOW + 30}))
            self.assertIn(name, self.refused(token(**{name: NOW + 31})))
        self.login(token(iat=None))

    def test_junk(self) -> None:
        """A time is a number that a clock can show."""
        for value in ("soon", "1800000600", True, [1], {}, 1e300, float("nan"), float("inf"), 10**400, -(10**400)):
            for name in ("exp", "nbf", "iat"):
                self.assertIn(name, self.refused(self.with_claim(name, value)))

    def with_claim(self, name: str, value: object) -> str:
        """A token that PyJWT would not sign as it is."""
        return jwt.PyJWS().encode(json.dumps(claims() | {name: value}).encode(), private_key("RSA"), "RS256")


class ClaimTests(TokenCase):
    """From whom, for whom, about whom."""

    def test_audience(self) -> None:
        """A token for another service does not log in here (RFC 7519 section 4.1.3)."""
        self.login(token(aud=["other", AUDIENCE]))
        for audience in (
            None,
            "other",
            ["other"],
            [],
            AUDIENCE + "/",
            AUDIENCE.upper(),
            {AUDIENCE: 1},
            [[AUDIENCE]],
            7,
        ):
            self.assertIn("audience", self.refused(token(aud=audience)))
        self.login(token(aud="other"), verifier(audience=("*",)))
        self.login(token(aud="second"), verifier(audience=("first", "second")))

    def test_issuer(self) -> None:
        """Where an issuer is configured, it is the only one (RFC 7519 section 4.1.1)."""
        by = verifier(issuer="https://id.example")
        self.login(token(iss="https://id.example"), by)
        for issuer in (None, "https://id.example/", "https://evil.example", ""):
            self.assertIn("issuer", self.refused(token(iss=issuer), by))
        self.login(token(iss="whoever"))

    def test_user(self) -> None:
        """The claim names the user of the domain, by name or by whole address."""
        self.assertEqual(self.login(token(sub="bob")).user.aor, "bob@example.com")
        self.assertEqual(self.login(token(sub="bob@example.com")).user.aor, "bob@example.com")
        anywhere = verifier(domain=None)
        self.assertEqual(self.login(token(sub="bob@Example.org"), anywhere).user.aor, "bob@example.org")
        self.assertIn("sub", self.refused(token(sub="bob"), anywhere))
        self.assertIn("another domain", self.refused(token(sub="bob@example.org")))
        other = verifier(user_claim="extension")
        self.assertEqual(self.login(self.raw(extension=4711), other).user.name, "4711")

    def test_no_user(self) -> None:
        """What can't be the user of a SIP address logs nobody in."""
        for name in (
            None,
            "",
            "@example.com",
            'a"b',
            "a b",
            "<a>",
            "a@b@example.com",
            "\0",
            "a\r\nb",
            "\ud800",
            "x" * 300,
        ):
            self.assertIn("sub", self.refused(self.raw(sub=name)), name)
        for value in (True, 1.5, [], {}, ["alice"]):
            self.assertIn("sub", self.refused(self.raw(sub=value)), value)

    def test_letters(self) -> None:
        """A display name has any letters (RFC 7519 is UTF-8)."""
        user = self.login(token(name="Zoë Ångström 李")).user
        self.assertEqual(user.display_name, "Zoë Ångström 李")

    def test_attributes(self) -> None:
        """Only claims that are mapped say something about the user; a wrong one is named and logs nobody in."""
        given: Any = {
            "name": "Alice",
            "numbers": ["+49301"],
            "https://x.example/nr": "+49302",
            "realm": {"roles": ["sales"]},
        }
        self.assertEqual(self.login(token(**given)).user, User("alice", "example.com", "Alice"))
        by = verifier(claims=(("numbers", "https://x.example/nr"), ("groups", "realm.roles"), ("name", "nickname")))
        user = self.login(token(**given), by).user
        self.assertEqual((user.numbers, set(user.groups), user.display_name), (("+49302",), {"sales"}, ""))
        for value in (["x y"], 7.5, {"a": 1}):
            self.assertIn("https://x.example/nr", self.refused(token(**{"https://x.example/nr": value}), by))

    def test_members(self) -> None:
        """A dot leads into a claim, unless a claim has it in its name."""
        found = {"a.b": 1, "c": {"d": {"e": 2}}, "f": [3]}
        self.assertEqual(
            [claim_of(found, name) for name in ("a.b", "c.d.e", "c.x", "f.0", "x", "")], [1, 2, None, None, None, None]
        )

    def raw(self, **others: object) -> str:
        """A token whose claims PyJWT would not sign as they are."""
        return jwt.PyJWS().encode(json.dumps(claims(**others)).encode(), private_key("RSA"), "RS256")


class JunkTests(TokenCase):
    """What is no token."""

    def test_size(self) -> None:
        """A long token is not even read: 64 kB are refused, and so is the first character too many."""
        self.assertIn("long", self.refused("x" * 65536))
        self.assertIn("long", self.refused(token(pad="x" * 65536)))
        text = token()
        self.login(text, verifier(max_size=len(text)))
        self.assertIn("long", self.refused(text, verifier(max_size=len(text) - 1)))

    def test_parts(self) -> None:
        """Parts that are missing, too many, empty, padded, of other letters."""
        text = token()
        for bad in (
            "",
            ".",
            "..",
            "...",
            "a.b",
            f"{text}.x",
            f"x.{text}",
            text[:-3],
            f" {text}",
            f"{text}\n",
            f"{text}é",
            "é.ü.ß",
        ):
            self.assertTrue(self.refused(bad), bad)

    def test_json(self) -> None:
        """Headers and claims that are no JSON objects, or nested without end, or no UTF-8."""
        deep = b"[" * 5000 + b"]" * 5000
        for junk in (
            b"",
            b"null",
            b"[]",
            b'"x"',
            b"{",
            deep,
            b"\xff\xfe",
            b'{"sub": "\xff"}',
            b'{"alg":' + deep + b"}",
        ):
            self.assertTrue(self.refused(f"{b64(junk)}.{b64(claims())}.AAAA"))
            signed = jwt.PyJWS().encode(junk, private_key("RSA"), "RS256", {"kid": "first"})
            self.assertTrue(self.refused(signed, verifier(max_size=12000)))

    def setUp(self) -> None:
        verifier()  # makes the keys, which takes its time

    @SLOW
    @given(st.text(max_size=80) | st.from_regex(r"[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}\.[A-Za-z0-9_-]{0,30}"))
    def test_anything(self, text: str) -> None:
        """Any text in, no other exception out."""
        self.refused(text)

    @SLOW
    @given(
        st.dictionaries(
            st.sampled_from(["alg", "kid", "typ", "crit", "b64", "zip", "cty"]),
            st.none() | st.booleans() | st.integers() | st.text() | st.lists(st.text()) | st.just("RS256"),
        )
    )
    def test_any_header(self, header: dict[str, object]) -> None:
        """Any header in, no other exception out."""
        self.refused(f"{b64(header)}.{b64(claims())}.AAAA")

    def test_genuine(self) -> None:
        """What the issuer has signed is no guess, though it does not log in; all else may be one."""
        for text in (token(exp=0), token(aud="other"), token(sub=None), secret_token(nbf=NOW * 2)):
            self.refused(text)
            self.assertTrue(self.genuine)
        for text in ("", token(number=2), token(kid="other"), token()[:-4], secret_token(SECRET[::-1], exp=0)):
            self.refused(text)
            self.assertFalse(self.genuine)

    def test_silence(self) -> None:
        """Nothing of a token is in the reason that is logged."""
        for text in (
            token(number=2),
            token(exp=0),
            token(kid="SECRETKID"),
            token(sub="SECRET USER"),
            token(aud="SECRETAUD"),
            "SECRETJUNK",
        ):
            why = self.refused(text)
            self.assertNotIn("SECRET", why)
            self.assertFalse(any(part in why for part in text.split(".") if part), why)
        self.assertEqual(algorithm_of("EC"), "ES256")
