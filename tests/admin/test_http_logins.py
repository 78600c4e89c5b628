"""webrtcproxy/admin/http_logins.py: what is read from Authorization, and when a password is taken at all."""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from tests.support.tokens import NOW, FixedKeys, secret_token, tokens_config
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.access.token_logins import TokenLogins
from webrtcproxy.admin.bootstrap import HttpLogin
from webrtcproxy.admin.http_logins import HttpLogins
from webrtcproxy.config import BansConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.peer import HttpPeer
from webrtcproxy.users.token import TokenVerifier
from webrtcproxy.users.user import User

TLS = HttpPeer("192.0.2.7", True)


class Passwords:
    """Knows everybody, and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def login(self, host: str, username: str, password: str) -> Deferred[User]:
        self.asked.append((host, username, password))
        return succeed(User("alice", "example.com"))


def basic(text: str) -> str:
    """Credentials of HTTP Basic."""
    return "Basic " + b64encode(text.encode()).decode()


class HttpLoginsTests(SynchronousTestCase):
    """Basic (RFC 7617)."""

    def setUp(self) -> None:
        self.passwords = Passwords()
        self.logins = HttpLogins(self.passwords)  # type: ignore[arg-type]

    def login(self, *values: str, peer: HttpPeer = TLS) -> Deferred[object]:
        request = DummyRequest([b"bootstrap.json"])
        request.requestHeaders.setRawHeaders("Authorization", list(values))
        return self.logins.login(request, peer)  # type: ignore[return-value, arg-type]

    def status(self, *values: str, peer: HttpPeer = TLS) -> int:
        refusal = self.failureResultOf(self.login(*values, peer=peer), Refusal).value
        assert isinstance(refusal, Refusal)
        return refusal.status

    def test_basic(self) -> None:
        """The name ends at the first colon; UTF-8; the scheme in any case (RFC 9110 section 11.1)."""
        for value, expected in (
            (basic("alice:wonder:land"), ("alice", "wonder:land")),
            (basic("jürgen:pässword"), ("jürgen", "pässword")),
            (basic("alice:").replace("Basic", "bASIC"), ("alice", "")),
            (basic("alice"), ("alice", "")),
        ):
            self.successResultOf(self.login(value))
            self.assertEqual(self.passwords.asked[-1], ("192.0.2.7", *expected))

    def test_unreadable(self) -> None:
        """What can't be read is nobody's, which costs a failed login as any guess does."""
        for value in ("Basic !", "Basic", "Basic =", "Basic " + b64encode(b"\xff:x").decode()):
            self.successResultOf(self.login(value))
            self.assertEqual(self.passwords.asked[-1], ("192.0.2.7", "", ""), value)

    def test_none(self) -> None:
        """No credentials, others, or two at once: 401, and nobody is asked."""
        for values in ((), ("",), ("Digest a=b",), (basic("alice:x"), basic("alice:y"))):
            self.assertEqual(self.status(*values), 401, values)
        self.assertEqual(self.passwords.asked, [])

    def test_in_clear(self) -> None:
        """A password that others could read on the way is not looked at: 403 (RFC 7617 section 4)."""
        self.assertEqual(self.status(basic("alice:x"), peer=HttpPeer("192.0.2.7", False)), 403)
        self.assertEqual(self.passwords.asked, [])
        for peer in (HttpPeer("127.0.0.1", False), HttpPeer("::1", False)):
            self.successResultOf(self.login(basic("alice:x"), peer=peer))


class TokenTests(SynchronousTestCase):
    """Tokens, beside passwords."""

    def setUp(self) -> None:
        self.clock = Clock()
        config = tokens_config(keys=None, query="token", cookie="session")
        verifier = TokenVerifier(config, FixedKeys(), now=lambda: NOW)
        guard = LoginGuard(self.clock, BansConfig())
        tokens = TokenLogins(self.clock, config, verifier, Proofs(self.clock), guard, None)  # type: ignore[arg-type]
        self.passwords = Passwords()
        self.logins = HttpLogins(self.passwords, tokens, config)  # type: ignore[arg-type]

    def login(self, query: str = "", **headers: str) -> Deferred[HttpLogin]:
        request = DummyRequest([b"bootstrap.json"])
        request.args = {b"token": [query.encode()]} if query else {}
        for name, value in headers.items():
            request.requestHeaders.setRawHeaders(name, [value])
        return self.logins.login(request, TLS)  # type: ignore[arg-type]

    def test_each_place(self) -> None:
        """As on the upgrade (docs/tokens.rst); the login is valid as long as the token. No Origin is needed: a page of
        another one can't read the response."""
        token = secret_token(exp=NOW + 100)
        for login in (
            self.login(token), self.login(Authorization=f"Bearer {token}"), self.login(Cookie=f"session={token}"),
        ):  # fmt: skip
            found = self.successResultOf(login)
            self.assertEqual((found.user.aor, found.seconds, found.token), ("alice@example.com", 130, ""))
        self.assertEqual(self.passwords.asked, [])

    def test_password(self) -> None:
        """Without a token a password counts."""
        self.successResultOf(self.login(Authorization=basic("alice:x")))
        self.assertEqual(len(self.passwords.asked), 1)

    def test_wrong(self) -> None:
        """A wrong token is not helped by anything else; two are too many."""
        for query, headers, status in (
            (secret_token(exp=0), {}, 401), ("x", {"Authorization": "Bearer y"}, 400),
            ("x", {"Authorization": basic("alice:x")}, 401),
        ):  # fmt: skip
            refusal = self.failureResultOf(self.login(query, **headers), Refusal).value
            self.assertEqual(refusal.status, status)
        self.assertEqual(self.passwords.asked, [])
