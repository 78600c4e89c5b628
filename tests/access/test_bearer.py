"""Tokens in SIP requests (RFC 8898), in a whole proxy."""

from __future__ import annotations

import time
from unittest.mock import patch

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase, contacts, message_to
from tests.support.calls.world import PLAIN, Browser, TrunkPeer
from tests.support.tokens import SECRET, secret_token, tokens_config
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.sip.message import Request, Response

AUTHORITY = ("domain", DOMAIN)


class BearerCase(LocalCase):
    """Users of example.com who log in with tokens."""

    tokens = tokens_config(keys=None, claims=(("deny", "deny"),))

    def token(self, seconds: float = 600, secret: str = SECRET, **claims: object) -> str:
        """A token of alice that is valid for so many seconds of the real time."""
        now = time.time()
        return "Bearer " + secret_token(secret, exp=now + seconds, iat=now, **claims)

    def logged_in(self, user: str = "alice", seconds: float = 600) -> Browser:
        """A browser whose user has registered with a token."""
        browser = self.browser(user)
        self.assertEqual(self.ask(browser, self.token(seconds, sub=user)).status, 200)
        return browser

    def is_lasting(self, browser: Browser) -> bool:
        return self.world.context.proofs.lasting(browser.flow, browser.aor, AUTHORITY) is not None


class ChallengeTests(BearerCase):
    """The challenge."""

    tokens = tokens_config(keys=None, authz_server="https://id.example/", scope="sip call")

    def test_offered(self) -> None:
        """A 401 offers a token beside digests (RFC 8898 section 4), and a digest with MD5 last, which JsSIP and SIP.js
        answer."""
        lines = self.ask(self.browser()).headers.lines("WWW-Authenticate")
        self.assertEqual(lines[0], f'Bearer realm="{DOMAIN}", scope="sip call", authz_server="https://id.example/"')
        self.assertEqual([Challenge.parse(line).params.get("algorithm") for line in lines], [None, "SHA-256", "MD5"])

    def test_error(self) -> None:
        """After a wrong token it says so (RFC 8898 section 4), after a wrong password it does not."""
        lines = self.ask(self.browser(), self.token(secret=SECRET[::-1])).headers.lines("WWW-Authenticate")
        self.assertEqual(Challenge.parse(lines[0]).params["error"], "invalid_token")
        lines = self.register(self.browser(), "guess").headers.lines("WWW-Authenticate")
        self.assertNotIn("error", Challenge.parse(lines[0]).params)

    def test_407(self) -> None:
        """So does a 407 to other requests."""
        alice = self.browser()
        message_to(alice, f"sip:bob@{DOMAIN}")
        lines = alice.response(407).headers.lines("Proxy-Authenticate")
        self.assertEqual(Challenge.parse(lines[0]).scheme, "Bearer")


class RegisterTests(BearerCase):
    """REGISTER with a token."""

    def test_registers(self) -> None:
        """A right token registers its user at once, and logs it in for the whole connection."""
        alice = self.browser()
        ok = self.ask(alice, self.token())
        self.assertEqual((ok.status, contacts(ok)), (200, {alice.contact: 600}))
        self.assertTrue(self.is_lasting(alice))
        self.assertEqual(self.ask(alice, expires=0).status, 200)
        self.assertTrue(self.is_lasting(alice))
        self.assertEqual(self.ask(alice).status, 200)

    def test_spellings(self) -> None:
        """As JsSIP and SIP.js send what pages give them: with ``Bearer`` in any letters, or the token alone."""
        text = self.token().removeprefix("Bearer ")
        for value in (f"Bearer {text}", f"bearer {text}", f"BEARER   {text}", text):
            self.assertEqual(self.ask(self.browser(), value).status, 200, value[:8])

    def test_locked_out_by_nobody(self) -> None:
        """Failed logins in his name at his address do not delay the token of a user who has logged in there before."""
        self.logged_in()
        for _ in range(10):
            self.register(self.browser(), "guess")
        self.assertEqual(self.register(self.browser()).status, 503)
        self.assertEqual(self.ask(self.browser(), self.token()).status, 200)

    def test_wrong(self) -> None:
        """A wrong token, one that is not for here, and one of somebody else register nobody."""
        forged, expired, other = self.token(secret=SECRET[::-1]), self.token(-60), self.token(aud="x")
        for value in (forged, expired, other, "Bearer", "Bearer x", "Bearer ..", "eyJ.."):
            self.world.clock.advance(100)
            alice = self.browser()
            self.assertEqual(self.ask(alice, value).status, 401, value)
            self.assertFalse(self.world.context.proofs.any(alice.flow))
        self.world.clock.advance(100)
        alice = self.browser()
        self.assertEqual(self.ask(alice, self.token(sub="bob")).status, 403)
        self.assertEqual(self.world.location.live(alice.aor), [])

    def test_other_user(self) -> None:
        """Who is logged in as alice gets a challenge where it registers bob."""
        alice = self.logged_in()
        self.assertEqual(self.ask(alice, user="bob").status, 401)

    def test_password_beside(self) -> None:
        """Passwords work beside tokens, and where both are given the first that is meant for the domain counts."""
        alice = self.browser()
        self.assertEqual(self.register(alice).status, 200)
        self.assertFalse(self.is_lasting(alice))

    def test_renewal(self) -> None:
        """A newer token on the same connection extends the login; the same one is not looked at again; a wrong one is
        refused, and changes nothing."""
        alice = self.logged_in(seconds=100)
        self.assertEqual(self.ask(alice, self.token(secret=SECRET[::-1])).status, 401)
        self.assertTrue(self.is_lasting(alice))
        self.assertEqual(self.ask(alice, self.token(500)).status, 200)
        self.world.clock.advance(400)
        self.assertTrue(self.is_lasting(alice))
        self.world.clock.advance(131)
        self.assertEqual(alice.flow.closings, [(3000, "the token has expired")])

    def test_same_token(self) -> None:
        """JsSIP sends its token with each request: the one that has logged in needs no second look."""
        value = self.token(100)
        alice = self.browser()
        self.assertEqual(self.ask(alice, value).status, 200)
        with patch("webrtcproxy.users.token.TokenVerifier.verify", side_effect=AssertionError):
            self.assertEqual(self.ask(alice, value).status, 200)


class SeveralDomains(BearerCase):
    """Two domains whose users may have tokens."""

    others = ("example.org",)
    tokens = tokens_config(keys=None, domain=None)

    def test_other_domain(self) -> None:
        """A token of one domain proves nothing to the other."""
        alice = self.browser(domain="example.org")
        value = self.token(sub="alice@example.com")
        self.assertEqual(self.ask(alice, value, uri="sip:example.org", domain="example.org").status, 401)
        message_to(alice, "sip:bob@example.org", ("Authorization", value))
        alice.heard(407)
        self.assertFalse(self.world.context.proofs.any(alice.flow))
        value = self.token(sub="alice@example.org")
        self.assertEqual(self.ask(alice, value, uri="sip:example.org", domain="example.org").status, 200)


class CallTests(BearerCase):
    """Other requests."""

    def test_call(self) -> None:
        """A token in Proxy-Authorization (RFC 8898 section 3) or, as JsSIP has it, in Authorization, lets an INVITE
        through; it goes no further."""
        trunk = self.world.trunk(TRUNK, 5090)
        for name in ("Proxy-Authorization", "Authorization"):
            alice = self.browser()
            alice.invite(f"sip:+4930123@{DOMAIN}", (name, self.token()))
            invite = trunk.request("INVITE")
            self.assertNotIn(name, invite.headers)
            self.assertNotIn(b"eyJ", invite.to_bytes())
            self.assertTrue(self.is_lasting(alice))
            trunk.answer(invite, 486)
            trunk.heard("ACK")

    def test_nowhere_malformed(self) -> None:
        """Nor does one in a line that can't be read, or that names it otherwise; what is readable, and nobody's here,
        crosses."""
        alice, trunk = self.logged_in(), self.world.trunk(TRUNK, 5090)
        token = self.token()
        bare = token.removeprefix("Bearer ")
        for value in (
            f"Bearer foo, {token}",
            f'Digest realm="pbx", nonce="n", {token}',
            f"{token}, {token}",
            f"{token} x",
            f'"{bare}"',
            f"JWT {bare}",
            f"Bearer: {bare}",
            f"<{bare}>",
        ):
            for name in ("Proxy-Authorization", "Authorization"):
                alice.invite(f"sip:+4930123@{DOMAIN}", (name, value))
                invite = trunk.request("INVITE")
                self.assertNotIn(name, invite.headers, value)
                self.assertNotIn(b"eyJ", invite.to_bytes())
                trunk.answer(invite, 486)
                trunk.heard("ACK")
        for name in ("Proxy-Authorization", "Authorization"):
            alice.invite(f"sip:+4930123@{DOMAIN}", (name, 'Digest realm="pbx", nonce="n"'))
            invite = trunk.request("INVITE")
            self.assertIn(name, invite.headers)
            trunk.answer(invite, 486)
            trunk.heard("ACK")

    def test_nowhere(self) -> None:
        """No request takes a token to a trunk: not one within a call, no MESSAGE, no REGISTER for its registrar; a
        digest for that trunk goes through."""
        alice, trunk = self.logged_in(), self.world.trunk(TRUNK, 5090)
        digest = 'Digest username="alice", realm="carrier", nonce="n", uri="sip:carrier.example.net", response="r"'
        credentials = (("Authorization", self.token()), ("Authorization", digest))
        message_to(alice, "sip:carrier.example.net:5080", *credentials, method="REGISTER")
        register = trunk.request("REGISTER")
        self.assertEqual(register.headers.lines("Authorization"), [digest])
        trunk.answer(register, 403)
        alice.forget()
        message_to(alice, f"sip:+4930123@{DOMAIN}", ("Authorization", self.token()))
        message = trunk.request("MESSAGE")
        self.assertNotIn(b"eyJ", message.to_bytes())
        trunk.answer(message, 200)
        alice.heard(200)
        invite, ok = self.called(alice, trunk)
        for number, method in enumerate(("INFO", "MESSAGE", "BYE"), 2):
            request = alice.inside(method, invite, ok, cseq=number)
            request.headers.add("Authorization", self.token())
            request.headers.add("Proxy-Authorization", self.token())
            alice.say(request)
            sent = trunk.request(method)
            self.assertNotIn(b"eyJ", sent.to_bytes())
            trunk.answer(sent, 200)
            alice.heard(200)

    def test_expired_in_call(self) -> None:
        """When the token has expired during a call, the call goes on, and nothing new begins; only after it the
        connection is closed (docs/tokens.rst)."""
        alice, trunk = self.logged_in(), self.world.trunk(TRUNK, 5090)
        invite, ok = self.called(alice, trunk)
        self.world.clock.advance(700)
        self.assertFalse(alice.flow.closed)
        self.assertFalse(self.is_lasting(alice))
        self.assertEqual(self.world.location.live(alice.aor), [])
        alice.forget()
        alice.say(alice.inside("INFO", invite, ok, cseq=2))
        trunk.answer(trunk.request("INFO"), 200)
        alice.heard(200)
        alice.invite(f"sip:+4930124@{DOMAIN}", ("Authorization", self.token(-60)))
        alice.heard(407)
        trunk.silent()
        alice.say(alice.inside("BYE", invite, ok, cseq=3))
        trunk.answer(trunk.request("BYE"), 200)
        alice.heard(200)
        self.world.clock.pump([1] * 60)
        self.assertEqual(alice.flow.closings, [(3000, "the token has expired")])

    def test_expired_while_ringing(self) -> None:
        """The same while the call is being set up."""
        alice, trunk = self.logged_in(seconds=0), self.world.trunk(TRUNK, 5090)
        invite = alice.invite(f"sip:+4930123@{DOMAIN}")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        self.world.clock.advance(40)
        self.assertFalse(alice.flow.closed)
        alice.forget()
        trunk.answer(leg, 200, PLAIN)
        ok = alice.response(200)
        alice.ack(invite, ok)
        self.world.clock.advance(5)
        self.assertFalse(alice.flow.closed)

    def test_users_file_changes(self) -> None:
        """What a token says of its user holds on its connection whatever becomes of the user's line in the users file:
        a change there opens nothing that the token has closed (docs/tokens.rst)."""
        alice, trunk = self.browser(), self.world.trunk(TRUNK, 5090)
        self.assertEqual(self.ask(alice, self.token(deny="+49*")).status, 200)
        lines = self.path.read_text().splitlines()
        changed = [f"{line} numbers=+4930777" if line.startswith("alice@") else line for line in lines]
        self.path.write_text("\n".join(changed))
        self.world.context.domains.refresh()
        alice.forget()
        alice.ack(alice.invite(f"sip:+4930123@{DOMAIN}"), alice.response(403))
        trunk.silent()
        alice.invite(f"sip:+33123456789@{DOMAIN}")
        self.assertEqual(trunk.request("INVITE").from_.address.user, "+4930777")

    def called(self, alice: Browser, trunk: TrunkPeer) -> tuple[Request, Response]:
        """A call to a number that is up: the browser's INVITE and its 200."""
        invite = alice.invite(f"sip:+4930123@{DOMAIN}")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(invite, ok)
        return invite, ok
