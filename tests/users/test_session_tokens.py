"""The proxy's own tokens: whose they are, and when they end."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.logins import domain_with
from webrtcproxy.config import Domain
from webrtcproxy.users.attributes import ATTRIBUTES, attributes_of, user_from
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.passwd import set_password
from webrtcproxy.users.portals import NotAvailable, checker_for, portal_for
from webrtcproxy.users.session_tokens import SessionTokens
from webrtcproxy.users.token import TokenRefused
from webrtcproxy.users.token_users import user_factory

KEY = bytes(range(32))
SAMPLES = {
    "name": "Carol", "numbers": ["+4930123", "+4930124"], "groups": ["sales"], "trunks": ["a", "b"],
    "account": ["carol", "a/carol"], "allow": ["+49*", "trunks"], "deny": ["premium", "none", "+4930*", "192.0.2.0/24"],
    "calls": 2, "calls-per-minute": 0, "minutes-per-day": 60,
}  # fmt: skip
"""A value of each attribute."""
CAROL = user_from("carol", "example.com", {"name": "Carol", "numbers": ["+4930123"], "groups": ["sales"]})


class SessionTokenTests(SynchronousTestCase):
    """alice is in the users file, carol is known to a portal only."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.domains, self.path = domain_with(self.mktemp())
        self.tokens = self.other(KEY, self.domains)
        self.alice = self.domains.named("example.com").user("alice@example.com")  # type: ignore[union-attr]
        assert self.alice is not None

    def other(self, key: bytes, domains: Domains) -> SessionTokens:
        return SessionTokens(key, domains, self.clock.seconds)

    def refused(self, token: str, tokens: SessionTokens | None = None) -> TokenRefused:
        return self.assertRaises(TokenRefused, (tokens or self.tokens).read, token)  # type: ignore[return-value]

    def test_whose(self) -> None:
        """A token is its user's, with all that belongs to the user, and says until when."""
        for user in (self.alice, CAROL):
            login = self.tokens.read(self.tokens.issue(user, 60))
            self.assertEqual((replace(login.user, of_token=frozenset()), login.until), (user, 1_800_000_060))

    def test_attributes(self) -> None:
        """Each attribute of a user is the same after it was written as JSON: none is lost, which might be a limit."""
        self.assertEqual(set(SAMPLES), set(ATTRIBUTES))
        for said in ({}, *({name: value} for name, value in SAMPLES.items()), SAMPLES):
            user = user_from("carol", "example.com", said)
            written = json.loads(json.dumps(attributes_of(user)))
            self.assertEqual(set(written), set(said))
            self.assertEqual(user_from("carol", "example.com", written), user)

    def test_of_another_token(self) -> None:
        """What the token of an issuer has said stays, if it was that there is none; the rest is as the file has it."""
        make = user_factory(self.domains)
        self._write(lambda path: path.write_text(path.read_text().replace("@example.com", "@example.com numbers=1")))
        issued = make("alice", "example.com", {"numbers": [], "deny": ["premium"], "calls": 1})
        self.assertEqual(issued.numbers, ())
        token = self.tokens.issue(issued, 60)
        self.assertEqual(self.tokens.read(token).user, issued)
        self._write(lambda path: path.write_text(path.read_text().replace("numbers=1", "numbers=2 groups=sales")))
        found = self.tokens.read(token).user
        self.assertEqual(found, replace(issued, groups=frozenset({"sales"})))

    def test_in_an_address(self) -> None:
        """It can stand in an address and in a header as it is, and is no JSON Web Token: it has no dot."""
        self.assertRegex(self.tokens.issue(CAROL, 60), r"^[A-Za-z0-9_-]+$")
        self.assertNotIn("carol", self.tokens.issue(CAROL, 60))

    def test_expired(self) -> None:
        """It ends; who shows it then has not guessed."""
        token = self.tokens.issue(self.alice, 60)
        self.clock.advance(59.9)
        self.tokens.read(token)
        self.clock.advance(0.1)
        self.assertTrue(self.refused(token).genuine)

    def test_other_process(self) -> None:
        """Another worker takes it, which has the key; another proxy, or this one after a start, does not."""
        token = self.tokens.issue(self.alice, 60)
        self.assertEqual(self.other(KEY, self.domains).read(token).user, self.alice)
        self.assertFalse(self.refused(token, self.other(os.urandom(32), self.domains)).genuine)

    def test_forged(self) -> None:
        """Any other octets are a guess, and raise nothing else."""
        token = self.tokens.issue(self.alice, 60)
        changed = [token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :] for index in (2, 40, -20)]
        for forged in (*changed, token[:-8], token + "AAAA", "", "a.b.c", "é", "=" * 9, "A" * 70_000, "\udc80", "x y"):
            self.assertFalse(self.refused(forged).genuine, forged[:99])

    def test_new_password(self) -> None:
        """A new password ends the tokens that were given for the old one; so does the end of the account."""
        token = self.tokens.issue(self.alice, 60)
        self._write(lambda path: set_password(path, "alice@example.com", "looking-glass", "example.com"))
        self.assertTrue(self.refused(token).genuine)
        token = self.tokens.issue(self.alice, 60)
        self._write(lambda path: path.write_text(""))
        self.assertTrue(self.refused(token).genuine)

    def test_changed_user(self) -> None:
        """A user of the file is as the file has it now."""
        token = self.tokens.issue(self.alice, 60)
        self._write(
            lambda path: path.write_text(path.read_text().replace("alice@example.com", "alice@example.com name=A"))
        )
        self.assertEqual(self.tokens.read(token).user.display_name, "A")

    def test_gone_domain(self) -> None:
        """Where the domain is not served any more, nobody of it logs in."""
        self.assertTrue(self.refused(self.tokens.issue(self.alice, 60), self.other(KEY, Domains())).genuine)

    def _write(self, change: object) -> None:
        change(self.path)  # type: ignore[operator]
        os.utime(self.path, (1, 1))
        self.domains.refresh()


class OfPortals(SynchronousTestCase):
    """carol has her password with ``--auth file:``; the proxy is not told when she is gone."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.passwords = Path(self.mktemp())
        self.passwords.write_text("dave:x\ncarol:y\n")
        self.tokens = self.asking(f"file:{self.passwords}")

    def asking(self, *auth: str) -> SessionTokens:
        """The tokens of a domain whose users these checkers know."""
        portals = [(portal_for(checker_for(text), "example.com", None), False) for text in auth]
        served = ServedDomain(Domain("example.com", token_life=900), None, portals)
        return SessionTokens(KEY, Domains([served]), self.clock.seconds)

    def test_gone(self) -> None:
        """A token is looked at again with each use, and meanwhile: it ends with its user, and with the password."""
        for text in ("dave:x\n", "dave:x\ncarol:z\n", ""):
            self.passwords.write_text("carol:y\n")
            token = self.tokens.issue(CAROL, 60)
            is_valid = self.tokens.read(token).is_valid
            assert is_valid is not None
            self.assertTrue(is_valid())
            self.passwords.write_text(text)
            self.assertFalse(is_valid())
            self.assertTrue(self.assertRaises(TokenRefused, self.tokens.read, token).genuine)  # type: ignore[attr-defined]

    def test_not_available(self) -> None:
        """While nobody can be asked, no token logs in, and whoever is logged in stays."""
        token = self.tokens.issue(CAROL, 60)
        is_valid = self.tokens.read(token).is_valid
        assert is_valid is not None
        self.passwords.unlink()
        self.assertTrue(is_valid())
        self.assertRaises(NotAvailable, self.tokens.read, token)
        self.assertRaises(NotAvailable, self.tokens.issue, CAROL, 60)
        self.assertRaises(NotAvailable, self.tokens.blind_life, CAROL)
        self.flushLoggedErrors()

    def test_blind(self) -> None:
        """Where nobody can tell, a login with a password has a life of its own, and nobody is asked meanwhile."""
        self.assertIsNone(self.tokens.blind_life(CAROL))
        blind = self.asking("memory:dave:x")
        self.assertEqual(blind.blind_life(CAROL), 900)
        for is_blind in (True, False):
            login = blind.read(blind.issue(CAROL, 60, is_blind))
            self.assertEqual((login.blind, login.is_valid), (is_blind, None))
        self.assertIsNone(blind.blind_life(user_from("dave", "example.com", {})))

    def test_users_file(self) -> None:
        """Of who has a password in a users file the proxy is told. A line without one says nothing of the password."""
        domains, _ = domain_with(self.mktemp(), "carol@example.com groups=sales")
        served = domains.named("example.com")
        assert served is not None
        alice = served.user("alice@example.com")
        assert alice is not None
        tokens = SessionTokens(KEY, domains, self.clock.seconds)
        self.assertIsNone(tokens.blind_life(alice))
        self.assertIsNone(tokens.read(tokens.issue(alice, 60)).is_valid)
        self.assertEqual(tokens.blind_life(CAROL), 3600)

    def test_nothing_of_the_password(self) -> None:
        """A token of one proxy is none of another, and what it has of the password is made with its key."""
        one, other = self.asking("memory:carol:y"), SessionTokens(b"x" * 32, Domains(), self.clock.seconds)
        self.assertRaises(TokenRefused, other.read, one.issue(CAROL, 60))
