"""Both kinds of tokens behind one interface."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.logins import domain_with
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.session_tokens import SessionTokens
from webrtcproxy.users.token import KeysUnavailable, TokenLogin, TokenRefused
from webrtcproxy.users.user import User
from webrtcproxy.users.verifiers import AnyTokens

BOB = User("bob", "example.com")


class Issued:
    """Takes any token for bob's."""

    def now(self) -> float:
        return 0

    def verify(self, text: str) -> Deferred[TokenLogin]:
        return succeed(TokenLogin(BOB, 7))

    def claimed(self, text: str) -> str:
        return BOB.aor


class AnyTokensTests(SynchronousTestCase):
    """A JSON Web Token has dots in it, one of the proxy's own has none."""

    def setUp(self) -> None:
        self.clock = Clock()
        domains, _ = domain_with(self.mktemp())
        self.sessions = SessionTokens(bytes(32), domains, self.clock.seconds)
        self.token = self.sessions.issue(User("alice", "example.com", display_name="Al"), 60)
        self.both = AnyTokens(self.sessions, Issued(), self.clock.seconds)
        self.own = AnyTokens(self.sessions, None, self.clock.seconds)

    def test_which(self) -> None:
        """Each token is verified by those that know its kind."""
        self.assertEqual(self.successResultOf(self.both.verify("a.b.c")), TokenLogin(BOB, 7))
        for verifier in (self.both, self.own):
            login = self.successResultOf(verifier.verify(self.token))
            self.assertEqual((login.user.aor, login.user.display_name, login.until), ("alice@example.com", "Al", 60))
            self.assertTrue(login.fingerprint)

    def test_claimed(self) -> None:
        """Whose a token of the proxy's own is, is certain; of one that is none, nothing is."""
        self.assertEqual(self.both.claimed("a.b.c"), BOB.aor)
        self.assertEqual(self.both.claimed(self.token), "alice@example.com")
        self.assertEqual((self.both.claimed("x"), self.own.claimed("a.b.c")), ("", ""))

    def test_refused(self) -> None:
        """One that is none of ours is a guess, one that is over is not."""
        for text in ("x", "a.b.c", ""):
            self.assertFalse(self.failureResultOf(self.own.verify(text), TokenRefused).value.genuine)
        self.clock.advance(60)
        self.assertTrue(self.failureResultOf(self.own.verify(self.token), TokenRefused).value.genuine)
        self.assertEqual(self.own.now(), 60)

    def test_not_available(self) -> None:
        """Where nobody can say whether the user still exists, it is as without keys, and no guess."""

        def fails(token: str) -> TokenLogin:
            raise NotAvailable

        self.patch(self.sessions, "read", fails)
        self.failureResultOf(self.own.verify(self.token), KeysUnavailable)
        self.assertEqual(self.own.claimed(self.token), "")
