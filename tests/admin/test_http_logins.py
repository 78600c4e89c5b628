"""webrtcproxy/admin/http_logins.py: what is read from Authorization, and when a password is taken at all."""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.defer import Deferred, succeed
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from webrtcproxy.admin.http_logins import HttpLogins
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.peer import HttpPeer
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
