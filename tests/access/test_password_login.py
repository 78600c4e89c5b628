"""Logins with name and password over HTTPS: who it is, and that nobody learns who there is."""

from __future__ import annotations

from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.error import UnauthorizedLogin
from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.logins import DOMAIN, domain_with
from webrtcproxy.access.guard import FREE, LoginGuard
from webrtcproxy.access.login_queue import WINDOW
from webrtcproxy.access.password_login import MAX_PASSWORD, PasswordLogins
from webrtcproxy.config import BansConfig, Domain
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.portals import portal_for
from webrtcproxy.users.user import User

HOST = "192.0.2.7"


class Unavailable:
    """A portal that can't be reached."""

    def login(self, *arguments: object) -> Deferred[object]:
        return fail(ConnectionError("no database"))


class PasswordLoginTests(SynchronousTestCase):
    """alice has the password ``wonderland``."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1e6)
        self.guard = LoginGuard(self.clock, BansConfig())
        domains, _ = domain_with(self.mktemp(), 'carol@example.com name="Carol"', realm="phones")
        self.logins = PasswordLogins(domains, self.guard)

    def login(self, username: str, password: str, host: str = HOST) -> User:
        user: User = self.successResultOf(self.logins.login(host, username, password))
        return user

    def refused(self, username: str, password: str, host: str = HOST) -> Refusal:
        refusal = self.failureResultOf(self.logins.login(host, username, password), Refusal).value
        assert isinstance(refusal, Refusal)
        return refusal

    def test_right(self) -> None:
        """The name, or the whole address, in any case of the domain, and the password: the user."""
        for username in ("alice", "alice@example.com", "alice@EXAMPLE.com"):
            self.assertEqual(self.login(username, "wonderland").aor, "alice@example.com")

    def test_wrong(self) -> None:
        """A wrong password and an unknown user are the same to a stranger: 401 and nothing else."""
        told = set()
        for username, password in (
            ("alice", "builder"), ("alice", ""), ("mallory", "wonderland"), ("alice@other.example", "wonderland"),
            ("carol", ""), ("", ""), ("@", ""), ("a\r\nb", "x"), ("alice@example.com@example.com", "wonderland"),
            ("alice", "w" * (MAX_PASSWORD + 1)), ("\udc80", "x"),
        ):  # fmt: skip
            self.clock.advance(3600)
            refusal = self.refused(username, password)
            told.add((refusal.status, refusal.reason, refusal.headers))
        self.assertEqual(told, {(401, "Unknown User Or Wrong Password", ())})

    def test_delay(self) -> None:
        """After some failures the next one is not looked at, even if it is right; it says how long: 429 (RFC 6585)."""
        for _ in range(FREE + 1):
            self.refused("mallory", "guess")
            self.clock.advance(1)
        for username, password in (("mallory", "guess"), ("nobody", "guess"), ("alice", "wonderland")):
            refusal = self.refused(username, password)
            self.assertEqual((refusal.status, dict(refusal.headers)), (429, {"Retry-After": "1"}), username)
        self.assertEqual(self.login("alice", "wonderland", "198.51.100.1").name, "alice")
        self.clock.advance(2)
        self.assertEqual(self.login("alice", "wonderland").name, "alice")

    def test_early(self) -> None:
        """Who does not wait is banned in the end, as with logins by SIP (docs/access.rst, Strangers)."""
        for _ in range(FREE):
            self.refused("mallory", "guess")
        for _ in range(100):
            self.refused("mallory", "guess")
        self.assertTrue(self.guard.is_banned(HOST))

    def test_many_at_once(self) -> None:
        """Of a hundred guesses in one moment a handful reaches whoever knows the users: the others wait until those
        have failed, and are refused by then (docs/access.rst, Strangers)."""
        asked: list[Deferred[object]] = []

        class Slow:
            def login(self, *arguments: object) -> Deferred[object]:
                asked.append(Deferred())
                return asked[-1]

        self.logins = PasswordLogins(
            Domains([ServedDomain(Domain(DOMAIN, realm=DOMAIN), None, [(Slow(), False)])]), self.guard
        )
        results = [self.logins.login(HOST, f"u{number}", "guess") for number in range(100)]
        self.assertEqual(len(asked), WINDOW)
        for answer in asked:
            answer.errback(UnauthorizedLogin())
        self.clock.advance(0)
        self.assertLessEqual(len(asked), 6)
        statuses = [self.failureResultOf(result, Refusal).value.status for result in results]
        self.assertEqual((len(statuses), {*statuses}), (100, {401, 429}))

    def test_not_available(self) -> None:
        """Where nobody can be asked, nothing is held against the browser: 503 with Retry-After."""
        domain = ServedDomain(Domain(DOMAIN, realm=DOMAIN), None, [(Unavailable(), False)])
        self.logins = PasswordLogins(Domains([domain]), self.guard)
        for _ in range(FREE + 2):
            refusal = self.refused("alice", "wonderland")
            self.assertEqual((refusal.status, dict(refusal.headers)), (503, {"Retry-After": "10"}))
        self.assertEqual(len(self.flushLoggedErrors(ConnectionError)), FREE + 2)

    def test_checkers(self) -> None:
        """A checker of somebody else's that wants the password itself gets it, for the name or the whole address."""
        checkers = (
            (InMemoryUsernamePasswordDatabaseDontUse(dave=b"secret"), False),
            (InMemoryUsernamePasswordDatabaseDontUse(**{"erin@example.com": b"secret"}), True),
        )
        portals = [(portal_for(checker, DOMAIN, None), whole) for checker, whole in checkers]
        self.logins = PasswordLogins(Domains([ServedDomain(Domain(DOMAIN, realm=DOMAIN), None, portals)]), self.guard)
        for name in ("dave", "erin"):
            self.assertEqual(self.login(name, "secret").aor, f"{name}@example.com")
            self.assertEqual(self.refused(name, "Secret").status, 401)

    def test_several_domains(self) -> None:
        """With several domains a name alone is nobody's."""
        domains, _ = domain_with(self.mktemp())
        other = ServedDomain(Domain("other.example", realm="other.example"))
        self.logins = PasswordLogins(Domains([*domains, other]), self.guard)
        self.assertEqual(self.refused("alice", "wonderland").status, 401)
        self.assertEqual(self.login("alice@example.com", "wonderland").name, "alice")
