"""webrtcproxy/admin/http_logins.py: what is read from Authorization, and when a password is taken at all."""

from __future__ import annotations

from base64 import b64encode

from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from webrtcproxy.admin.http_logins import HttpLogin, HttpLogins
from webrtcproxy.config import TokensConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.wss.peer import HttpPeer
from webrtcproxy.users.http_token import HttpToken
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.session_tokens import LIFETIME
from webrtcproxy.users.token import TokenLogin
from webrtcproxy.users.user import User

TLS = HttpPeer("192.0.2.7", True)
ALICE = User("alice", "example.com")


class Passwords:
    """Knows everybody, and keeps what it is asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, str]] = []

    def login(self, host: str, username: str, password: str) -> Deferred[User]:
        self.asked.append((host, username, password))
        return succeed(ALICE)


class Tokens:
    """Knows the token ``good.one``, for a minute."""

    seconds = 60.0
    blind = False

    def authenticate(self, token: HttpToken | None, host: str, from_page: bool) -> Deferred[TokenLogin | None]:
        if token is None:
            return succeed(None)
        if token.text == "good.one" and from_page:
            return succeed(TokenLogin(ALICE, 0, blind=self.blind))
        return fail(Refusal(401, "The Token Is Not Valid"))

    def seconds_of(self, login: TokenLogin) -> float:
        return self.seconds


class Sessions:
    """Makes tokens that can be read.

    :ivar life: as `SessionTokens.blind_life` returns it; None where somebody can tell whether a user exists.
    """

    life: float | None = None

    def blind_life(self, user: User) -> float | None:
        if self.life == 0:
            raise NotAvailable
        return self.life

    def issue(self, user: User, seconds: float, blind: bool) -> str:
        return f"{user.name}-{seconds:.0f}" + ("-blind" if blind else "")


def basic(text: str) -> str:
    """Credentials of HTTP Basic."""
    return "Basic " + b64encode(text.encode()).decode()


class HttpLoginsCase(SynchronousTestCase):
    """Asks with headers."""

    def setUp(self) -> None:
        self.passwords, self.tokens, self.sessions = Passwords(), Tokens(), Sessions()
        config = TokensConfig(audience=("here",), cookie="login", query="token")
        self.logins = HttpLogins(self.passwords, self.tokens, config, self.sessions)  # type: ignore[arg-type]

    def ask(self, *values: str, peer: HttpPeer = TLS, cookie: str = "", query: str = "") -> Deferred[HttpLogin]:
        request = DummyRequest([b"bootstrap.json"])
        request.requestHeaders.setRawHeaders("Authorization", list(values))
        if cookie:
            request.requestHeaders.setRawHeaders("Cookie", [cookie])
        request.args = {b"token": [query.encode()]} if query else {}
        return self.logins.login(request, peer)  # type: ignore[arg-type]

    def login(self, *values: str, **how: str) -> HttpLogin:
        login: HttpLogin = self.successResultOf(self.ask(*values, **how))  # type: ignore[arg-type]
        return login

    def status(self, *values: str, peer: HttpPeer = TLS) -> int:
        refusal = self.failureResultOf(self.ask(*values, peer=peer), Refusal).value
        assert isinstance(refusal, Refusal)
        return refusal.status


class PasswordTests(HttpLoginsCase):
    """Basic (RFC 7617)."""

    def test_basic(self) -> None:
        """The name ends at the first colon; UTF-8; the scheme in any case (RFC 9110 section 11.1)."""
        for value, expected in (
            (basic("alice:wonder:land"), ("alice", "wonder:land")),
            (basic("jürgen:pässword"), ("jürgen", "pässword")),
            (basic("alice:").replace("Basic", "bASIC"), ("alice", "")),
            (basic("alice"), ("alice", "")),
        ):
            self.login(value)
            self.assertEqual(self.passwords.asked[-1], ("192.0.2.7", *expected))

    def test_token_instead(self) -> None:
        """Who has logged in with a password gets a token, so that a page need not keep the password."""
        self.assertEqual(self.login(basic("alice:x")), HttpLogin(ALICE, LIFETIME, f"alice-{LIFETIME:.0f}"))

    def test_blind(self) -> None:
        """Where nobody can tell whether the user still exists, it is for as long as is configured."""
        self.sessions.life = 900
        self.assertEqual(self.login(basic("alice:x")), HttpLogin(ALICE, 900, "alice-900-blind"))
        self.sessions.life = 0
        self.assertEqual(self.status(basic("alice:x")), 503)

    def test_unreadable(self) -> None:
        """What can't be read is nobody's, which costs a failed login as any guess does."""
        for value in ("Basic !", "Basic", "Basic =", "Basic " + b64encode(b"\xff:x").decode()):
            self.login(value)
            self.assertEqual(self.passwords.asked[-1], ("192.0.2.7", "", ""), value)

    def test_none(self) -> None:
        """No credentials, or others: 401; two at once: 400. Nobody is asked."""
        for values in ((), ("",), ("Digest a=b",)):
            self.assertEqual(self.status(*values), 401, values)
        self.assertEqual(self.status(basic("alice:x"), basic("alice:y")), 400)
        self.assertEqual(self.passwords.asked, [])

    def test_in_clear(self) -> None:
        """A password that others could read on the way is not looked at: 403 (RFC 7617 section 4)."""
        self.assertEqual(self.status(basic("alice:x"), peer=HttpPeer("192.0.2.7", False)), 403)
        self.assertEqual(self.passwords.asked, [])
        for peer in (HttpPeer("127.0.0.1", False), HttpPeer("::1", False)):
            self.successResultOf(self.ask(basic("alice:x"), peer=peer))


class TokenTests(HttpLoginsCase):
    """A token is taken where that of a WebSocket is (docs/tokens.rst)."""

    def test_places(self) -> None:
        """In Authorization, in the query, and in a cookie, which needs no Origin: nobody else can read the answer."""
        expected = HttpLogin(ALICE, 60, "alice-60")
        self.assertEqual(self.login("Bearer good.one"), expected)
        self.assertEqual(self.login(cookie="a=b; login=good.one"), expected)
        self.assertEqual(self.login(query="good.one"), expected)

    def test_ends(self) -> None:
        """No login lasts longer than its token, and none for ever."""
        self.tokens.seconds = 10 * LIFETIME
        self.assertEqual(self.login("Bearer good.one").seconds, LIFETIME)
        self.tokens.seconds = 0.0
        self.assertEqual(self.login("Bearer good.one").seconds, 0)

    def test_blind(self) -> None:
        """A token for another one is as that one."""
        self.tokens.blind = True
        self.assertEqual(self.login("Bearer good.one").token, "alice-60-blind")

    def test_wrong(self) -> None:
        """Any other token is refused as TokenLogins does it."""
        self.assertEqual(self.status("Bearer bad.one"), 401)
