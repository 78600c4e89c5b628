"""The section [tokens]: what may stand there, and what a mistake is told."""

from __future__ import annotations

import pickle
from pathlib import Path

from tests.config.case import Case
from tests.support.tokens import jwks, public_jwk
from webrtcproxy.config import TokensConfig

DOMAIN = {"domain example.com": ""}
SECRET = "0123456789abcdef0123456789abcdef"


class TokensTests(Case):
    """Loads files with the section."""

    def setUp(self) -> None:
        super().setUp()
        (self.folder / "keys.json").write_bytes(jwks(public_jwk("RSA", kid="a")))
        (self.folder / "secret").write_text(SECRET + "\n")

    def tokens(self, text: str, audience: str = "audience = me") -> TokensConfig:
        """The section with these lines."""
        tokens = self.load(tokens=f"{audience}\n{text}", **DOMAIN).tokens
        assert tokens is not None
        return tokens

    def wrong(self, key: str, *told: str, text: str, audience: str = "audience = me", **sections: str) -> str:
        """Lines with a mistake."""
        return self.refused("tokens", key, *told, tokens=f"{audience}\n{text}", **{**DOMAIN, **sections})

    def test_absent(self) -> None:
        """Without the section nobody logs in with a token."""
        self.assertIsNone(self.load().tokens)

    def test_defaults(self) -> None:
        """With keys only, no HS algorithm is accepted; with a secret only, HS256 (RFC 8725 section 3.1)."""
        tokens = self.tokens("keys = keys.json")
        self.assertEqual(tokens.keys, self.folder / "keys.json")
        self.assertEqual(tokens.allowed, {"EdDSA", "ES256", "RS256"})
        self.assertEqual((tokens.query, tokens.cookie, tokens.required, tokens.on_expiry), (None, None, False, "close"))
        self.assertEqual(self.tokens("secret-file = secret").allowed, {"HS256"})
        both = self.tokens("secret-file = secret\nkeys = keys.json\nalgorithms = PS256, HS256")
        self.assertEqual(both.allowed, {"PS256", "HS256"})

    def test_secret(self) -> None:
        """The secret has the octets of the file without the line's end; it is shown nowhere, and crosses to workers."""
        tokens = self.tokens("secret-file = secret")
        self.assertEqual(tokens.secret_octets, SECRET.encode())
        self.assertNotIn(SECRET, repr(tokens))
        self.assertEqual(pickle.loads(pickle.dumps(tokens)).secret_octets, SECRET.encode())
        (self.folder / "secret").write_bytes(bytes(range(128, 192)))
        self.assertEqual(self.tokens("secret-file = secret").secret_octets, bytes(range(128, 192)))

    def test_short_secret(self) -> None:
        """A secret can be guessed from one token if it is short (RFC 7518 section 3.2)."""
        (self.folder / "secret").write_text(SECRET[:-1] + "\r\n")
        line = self.wrong("secret-file", "32 octets", "openssl rand", text="secret-file = secret")
        self.assertNotIn(SECRET[:-1], line)
        (self.folder / "secret").write_text(SECRET)
        self.wrong("secret-file", "HS512", text="secret-file = secret\nalgorithms = HS512")
        self.wrong("secret-file", "No such file", text="secret-file = nothing")

    def test_keys(self) -> None:
        """The file is read with the configuration: what is wrong is told before the start."""
        self.wrong("keys", "No such file", text="keys = nothing.json")
        (self.folder / "keys.json").write_bytes(b"{}")
        self.wrong("keys", "no JSON Web Key Set", text="keys = keys.json")

    def test_address(self) -> None:
        """Keys come by HTTPS; without TLS they come from this machine only."""
        for address in ("https://id.example/jwks", "http://127.0.0.1:8080/k", "http://[::1]/k", "http://localhost/k"):
            self.assertEqual(self.tokens(f"keys = {address}").keys, address)
        self.wrong("keys", "on the way", "https://", text="keys = http://id.example/jwks")
        self.wrong("keys", "on the way", text="keys = http://10.0.0.1/jwks")
        for address in (
            "ftp://id.example",
            "https://",
            "https://u:p@id.example/",
            "https://id.example:x/",
            "https://[/",
        ):
            self.wrong("keys", text=f"keys = {address}")

    def test_no_key(self) -> None:
        """Without keys and secret nothing can be verified, and each algorithm needs its own."""
        self.wrong("keys", "no key", text="")
        self.wrong("algorithms", "no secret-file", text="keys = keys.json\nalgorithms = HS256")
        self.wrong("algorithms", "no keys", text="secret-file = secret\nalgorithms = HS256 RS256")

    def test_none(self) -> None:
        """A token without signature is never accepted (RFC 8725 section 3.2)."""
        for name in ("none", "None", "NONE"):
            self.wrong("algorithms", "proves nothing", text=f"keys = keys.json\nalgorithms = RS256 {name}")
        self.wrong("algorithms", "not known", text="keys = keys.json\nalgorithms = RS1")

    def test_audience(self) -> None:
        """Somebody has to say for whom tokens are: it is required, and ``*`` is any."""
        self.wrong("audience", "missing", text="keys = keys.json", audience="")
        self.assertFalse(self.tokens("keys = keys.json").any_audience)
        self.assertTrue(self.tokens("keys = keys.json", "audience = *").any_audience)

    def test_domain(self) -> None:
        """The users of tokens are those of a domain that is served here."""
        self.assertEqual(self.tokens("keys = keys.json\ndomain = Example.COM").domain, "example.com")
        self.wrong("domain", "not served here", "example.com", text="keys = keys.json\ndomain = example.con")
        self.refused("tokens", "domain", "[domain NAME]", tokens="audience = me\nkeys = keys.json")

    def test_cookie(self) -> None:
        """A cookie goes along with whatever page: with any origin, any site could call as its reader."""
        text = "keys = keys.json\ncookie = token"
        self.assertEqual(self.tokens(text).cookie, "token")
        for origins in ("*", "null", "https://a.example *"):
            self.wrong("cookie", "any site", text=text, wss=f"listen = tcp:8443\norigins = {origins}")
        for name in ("a b", "a=b", "a;b", "ä"):
            self.wrong("cookie", text=f'keys = keys.json\ncookie = "{name}"')
            self.wrong("query", text=f'keys = keys.json\nquery = "{name}"')

    def test_claims(self) -> None:
        """Which claim has which attribute; names of claims may be addresses."""
        tokens = self.tokens("keys = keys.json\nclaims = name=nick\n  numbers = https://x.example/nr")
        self.assertEqual(dict(tokens.claims), {"name": "nick", "numbers": "https://x.example/nr"})
        self.wrong("claims", "twice", text="keys = keys.json\nclaims = name=a\n  name=b")
        self.wrong("claims", "ATTRIBUTE=CLAIM", text="keys = keys.json\nclaims = name")

    def test_challenge(self) -> None:
        """What stands in challenges (RFC 8898 section 4) can't break them."""
        tokens = self.tokens("keys = keys.json\nauthz-server = https://id.example/\nscope = sip call")
        self.assertEqual((tokens.authz_server, tokens.scope), ("https://id.example/", "sip call"))
        self.wrong("authz-server", text="keys = keys.json\nauthz-server = http://id.example/")
        self.wrong("authz-server", text='keys = keys.json\nauthz-server = https://id.example/"')
        self.wrong("scope", text="keys = keys.json\nscope = a\\b")

    def test_authorities(self) -> None:
        """Those of the keys' address are PEM."""
        (self.folder / "ca.pem").write_text("nothing")
        self.wrong("keys-ca", "no certificate", text="keys = https://id.example/\nkeys-ca = ca.pem")
        self.wrong("keys-ca", "No such file", text="keys = https://id.example/\nkeys-ca = no.pem")
        (self.folder / "ca.pem").write_text("-----BEGIN CERTIFICATE-----\n")
        self.assertEqual(
            self.tokens("keys = https://id.example/\nkeys-ca = ca.pem").keys_ca, Path(self.folder / "ca.pem")
        )
