"""Logins by token over HTTP, and how long they last."""

from __future__ import annotations

from functools import partial

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from tests.support.tokens import NOW, SECRET, FixedKeys, secret_token, token, tokens_config
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.access.token_logins import CHECK_USER, MAX_USERS, UNAUTHORIZED, TokenLogins, TooManyUsers
from webrtcproxy.config import BansConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.http_token import HttpToken
from webrtcproxy.users.token import TokenLogin, TokenVerifier
from webrtcproxy.users.user import User

AUTHORITY = ("domain", "example.com")
HOST = "203.0.113.5"


class FakeConnections:
    """Notes what is ended.

    :ivar calls: the connections with calls.
    :ivar unbound: the bindings that were removed.
    :ivar gone: users that are gone.
    """

    def __init__(self) -> None:
        self.calls: set[Flow] = set()
        self.unbound: list[tuple[Flow, str]] = []
        self.gone: list[User] = []

    def has_calls(self, flow: Flow) -> bool:
        return flow in self.calls

    def unbind(self, flow: Flow, aor: str) -> None:
        self.unbound.append((flow, aor))

    def user_gone(self, user: User) -> None:
        self.gone.append(user)


class LoginsCase(SynchronousTestCase):
    """`self.logins`, whose tokens are verified at a time that moves with the clock."""

    options: dict[str, object] = {}

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.proofs = Proofs(self.clock)
        self.guard = LoginGuard(self.clock, BansConfig(after=1000))
        self.connections = FakeConnections()
        self.keys = FixedKeys()
        self.make()
        self.flow = FakeFlow.wss(HOST)

    def make(self, **options: object) -> None:
        """With these options of the section."""
        config = tokens_config(**{**self.options, **options})
        begin = NOW - self.clock.seconds()
        verifier = TokenVerifier(config, self.keys, now=lambda: begin + self.clock.seconds())
        self.logins = TokenLogins(self.clock, config, verifier, self.proofs, self.guard, self.connections)


class HttpTests(LoginsCase):
    """The token with which a browser connects."""

    def authenticate(
        self, text: str | None, from_page: bool = True, ambient: bool = False
    ) -> Deferred[TokenLogin | None]:
        given = None if text is None else HttpToken(text, ambient)
        return self.logins.authenticate(given, HOST, from_page)

    def refused(self, text: str | None, **how: bool) -> Refusal:
        """Why a token does not let the browser in; nothing of it is logged."""
        with capturedLogs() as events:
            failure = self.failureResultOf(self.authenticate(text, **how), Refusal)
        assert isinstance(failure.value, Refusal)
        self.assertFalse([event for event in events if text and text in str(event)], "the token is in the log")
        self.logged = [formatEvent(event) for event in events]
        return failure.value

    def test_right(self) -> None:
        """A right token is its user, and that user is known to the guard from then on."""
        login = self.successResultOf(self.authenticate(secret_token()))
        assert login is not None
        self.assertEqual((login.user.aor, login.until), ("alice@example.com", NOW + 630))
        for _ in range(20):
            self.guard.failed(HOST, "mallory@example.com")
        self.assertEqual(self.guard.delay(HOST, "alice@example.com"), 0)

    def test_known(self) -> None:
        """Where a user has logged in before, forged tokens in his name delay no right one: nobody locks him out."""
        self.successResultOf(self.authenticate(secret_token()))
        for _ in range(20):
            self.refused(secret_token(SECRET[::-1]))
        self.assertGreater(self.guard.delay(HOST, "alice@example.com"), 0)
        self.assertIsNotNone(self.successResultOf(self.authenticate(secret_token())))

    def test_none(self) -> None:
        """Without a token a browser may log in by SIP, unless a token is required (RFC 6750 section 3)."""
        self.assertIsNone(self.successResultOf(self.authenticate(None)))
        self.make(required=True)
        refusal = self.refused(None)
        self.assertEqual(
            (refusal.status, refusal.headers), (401, (("WWW-Authenticate", 'Bearer realm="example.com"'),))
        )

    def test_wrong(self) -> None:
        """A wrong token gets 401, in whatever way it is wrong (RFC 6750 section 3.1)."""
        seen = set()
        self.keys.keys = self.keys.then = FixedKeys.empty()
        forged = secret_token(SECRET[::-1])
        for text in ("", "junk/without/end", forged, secret_token(exp=0), secret_token(aud="x"), token(kid="x")):
            self.clock.advance(60)
            refusal = self.refused(text)
            seen.add((refusal.status, refusal.reason, refusal.headers))
        challenge = 'Bearer realm="example.com", error="invalid_token"'
        self.assertEqual(seen, {(401, "The Token Is Not Valid", (("WWW-Authenticate", challenge),))})

    def test_guesses(self) -> None:
        """Guesses are delayed, by 429 with Retry-After; a token that the issuer has signed is no guess."""
        for _ in range(20):
            self.refused(secret_token(exp=0))
        for _ in range(3):
            self.assertEqual(self.refused(secret_token(SECRET[::-1])).status, 401)
        refusal = self.refused(secret_token())
        self.assertEqual((refusal.status, refusal.headers), (429, (("Retry-After", "1"),)))
        self.clock.advance(1)
        self.successResultOf(self.authenticate(secret_token()))

    def test_no_keys(self) -> None:
        """While there are no keys, nobody can say: 503."""
        refusal = self.refused(token())
        self.assertEqual((refusal.status, refusal.headers), (503, (("Retry-After", "10"),)))

    def test_cookie(self) -> None:
        """A cookie goes along with the request of any page, so it needs an Origin that was admitted (RFC 6455 section
        10.2); a token that the page itself has given does not."""
        self.assertEqual(self.refused(secret_token(), from_page=False, ambient=True).status, 403)
        self.successResultOf(self.authenticate(secret_token(), from_page=True, ambient=True))
        self.successResultOf(self.authenticate(secret_token(), from_page=False))


class LastingTests(LoginsCase):
    """How long a login lasts."""

    def log_in(self, seconds: float = 600, name: str = "alice", fingerprint: bytes = b"1") -> None:
        """A token is shown that ends in so many seconds."""
        self.logins.logged_in(self.flow, TokenLogin(User(name, "example.com"), NOW + seconds, fingerprint))

    def is_proven(self, name: str = "alice") -> bool:
        return self.proofs.has(self.flow, f"{name}@example.com", AUTHORITY)

    def test_proof(self) -> None:
        """The token is a proof for the whole connection: an un-REGISTER does not end it."""
        self.log_in()
        self.assertEqual(self.proofs.lasting(self.flow, "alice@example.com", AUTHORITY), User("alice", "example.com"))
        self.proofs.remove(self.flow, "alice@example.com")
        self.assertTrue(self.is_proven())

    def test_close(self) -> None:
        """At its end, the connection is closed; the code says why."""
        self.log_in()
        self.clock.advance(599)
        self.assertTrue(self.is_proven())
        self.assertEqual(self.flow.closings, [])
        self.clock.advance(1)
        self.assertFalse(self.is_proven())
        self.assertEqual(self.flow.closings, [(UNAUTHORIZED, "the token has expired")])
        self.assertEqual(len(self.logins), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_blind(self) -> None:
        """Where nobody can tell whether the user still exists, the login ends with the token, though nothing is to be
        done at the end of others; the connection stays."""
        self.make(on_expiry="keep")
        user = User("alice", "example.com")
        self.logins.logged_in(self.flow, TokenLogin(user, NOW + 600, blind=True))
        self.clock.advance(600)
        self.assertFalse(self.is_proven())
        self.assertEqual((self.connections.unbound, self.flow.closings), ([(self.flow, user.aor)], []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def is_valid(self, name: str) -> bool:
        self.asked.append(name)
        return self.valid

    def test_user_gone(self) -> None:
        """Whether the user of a token still exists is asked every few minutes, where it is to be asked; the login ends
        with the user, and a newer token, or the end of the connection, ends the asking."""
        user = User("alice", "example.com")
        for on_expiry in ("keep", "close", ""):
            self.make(on_expiry=on_expiry or "keep")
            self.flow, self.asked, self.valid = FakeFlow.wss(HOST), list[str](), True
            for name in ("old", "new"):
                login = TokenLogin(user, NOW + 36_000, is_valid=partial(self.is_valid, name))
                self.logins.logged_in(self.flow, login)
            self.clock.pump([CHECK_USER] * 3)
            self.assertEqual((self.asked, self.connections.gone), (["new"] * 3, []))
            if on_expiry:
                self.valid = False
                self.clock.advance(CHECK_USER)
                self.assertEqual(self.connections.gone, [user])
                self.assertEqual(len(self.flow.closings), on_expiry == "close")
            else:
                self.flow.lose()
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.connections.gone.clear()

    def test_close_after_calls(self) -> None:
        """While there are calls, the connection stays, and its user can begin nothing new; it is closed after them."""
        self.log_in()
        self.connections.calls.add(self.flow)
        self.clock.advance(600)
        self.assertFalse(self.is_proven())
        self.assertEqual(self.connections.unbound, [(self.flow, "alice@example.com")])
        self.clock.pump([1] * 100)
        self.assertEqual(self.flow.closings, [])
        self.connections.calls.clear()
        self.clock.advance(2)
        self.assertEqual(len(self.flow.closings), 1)

    def test_renewed(self) -> None:
        """A newer token extends the login, or takes it up again, even while the last call is up."""
        self.log_in()
        self.clock.advance(500)
        self.log_in(1200, fingerprint=b"2")
        self.clock.advance(600)
        self.assertTrue(self.is_proven())
        self.connections.calls.add(self.flow)
        self.clock.advance(100)
        self.assertFalse(self.is_proven())
        self.log_in(2400)
        self.connections.calls.clear()
        self.clock.pump([1] * 10)
        self.assertTrue(self.is_proven())
        self.assertEqual(self.flow.closings, [])

    def test_logout(self) -> None:
        """Or only its user is logged out: bindings and proof end, the connection stays."""
        self.make(on_expiry="logout")
        self.log_in()
        self.clock.advance(600)
        self.assertFalse(self.is_proven())
        self.assertEqual(self.connections.unbound, [(self.flow, "alice@example.com")])
        self.assertEqual(self.flow.closings, [])

    def test_keep(self) -> None:
        """Or nothing happens until the connection ends."""
        self.make(on_expiry="keep")
        self.log_in()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10**6)
        self.assertTrue(self.is_proven())
        self.assertTrue(self.logins.is_known(self.flow, b"1"))
        self.flow.lose()
        self.assertEqual(len(self.logins), 0)

    def test_lost(self) -> None:
        """With the connection all of it ends, at any moment."""
        self.log_in()
        self.flow.lose()
        self.assertEqual((len(self.logins), self.clock.getDelayedCalls()), (0, []))
        self.log_in()
        self.assertEqual(len(self.logins), 0)
        self.flow = FakeFlow.wss(HOST)
        self.connections.calls.add(self.flow)
        self.log_in()
        self.clock.advance(600)
        self.flow.lose()
        self.assertEqual((len(self.logins), self.clock.getDelayedCalls()), (0, []))

    def test_late(self) -> None:
        """A token that has ended while it was verified ends at once."""
        self.log_in(-5)
        self.clock.advance(0)
        self.assertFalse(self.is_proven())
        self.assertEqual(len(self.flow.closings), 1)

    def test_several(self) -> None:
        """Several users of one connection: it is closed with the last token; there are not any number of them."""
        self.log_in(100)
        self.log_in(200, "bob")
        self.clock.advance(100)
        self.assertEqual((self.is_proven(), self.is_proven("bob")), (False, True))
        self.assertEqual(self.flow.closings, [])
        for number in range(MAX_USERS - 1):
            self.log_in(200, f"user{number}")
        self.assertRaises(TooManyUsers, self.log_in, 200, "alice")
        self.log_in(200, "bob")
        self.clock.advance(100)
        self.assertEqual(len(self.flow.closings), 1)

    def test_known(self) -> None:
        """The same token once more is nothing new; another one is."""
        self.assertFalse(self.logins.is_known(self.flow, b"1"))
        self.log_in()
        self.assertTrue(self.logins.is_known(self.flow, b"1"))
        self.assertFalse(self.logins.is_known(self.flow, b"2"))
        self.assertFalse(self.logins.is_known(FakeFlow.wss(HOST), b"1"))

    def test_stop(self) -> None:
        """When the proxy stops, no timer stays."""
        self.log_in()
        self.logins.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.flow.lose()
