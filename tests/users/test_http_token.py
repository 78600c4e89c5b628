"""Where a browser puts its token in an HTTP request."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import Request
from twisted.web.test.requesthelper import DummyChannel

from tests.support.tokens import tokens_config
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.users.http_token import HttpToken, token_in


class PlacesTests(SynchronousTestCase):
    """The places."""

    def found(self, path: str = "/", *headers: tuple[str, str], **options: object) -> HttpToken | None:
        """The token in a request."""
        request = Request(DummyChannel(), False)
        for name, value in headers:
            request.requestHeaders.addRawHeader(name, value)
        request.gotLength(0)
        request.requestReceived(b"GET", path.encode("latin-1"), b"HTTP/1.1")
        return token_in(request, tokens_config(**{"query": "token", "cookie": "session", **options}))

    def refused(self, *how: object) -> None:
        """More than one."""
        error = self.assertRaises(Refusal, self.found, *how)
        self.assertEqual(error.status, 400)

    def test_none(self) -> None:
        """Nothing that looks like a token, and what is for others."""
        self.assertIsNone(self.found())
        self.assertIsNone(self.found("/?other=x", ("Authorization", "Basic eDp5"), ("Cookie", "other=x; sessions=y")))
        self.assertIsNone(self.found("/", ("Sec-WebSocket-Protocol", "sip, chat"), ("Cookie", "session")))

    def test_each(self) -> None:
        """Authorization (RFC 6750 section 2.1), a subprotocol, the query, a cookie."""
        for path, headers in (
            ("/", (("Authorization", "Bearer a.b.c"),)),
            ("/", (("Authorization", "bEARER   a.b.c "),)),
            ("/", (("Sec-WebSocket-Protocol", "sip, token.a.b.c"),)),
            ("/", (("Sec-WebSocket-Protocol", "token.a.b.c"), ("Sec-WebSocket-Protocol", "sip"))),
            ("/?x=1&token=a.b.c", ()),
        ):
            self.assertEqual(self.found(path, *headers), HttpToken("a.b.c"), (path, headers))
        for line in ("session=a.b.c", 'x=y; session="a.b.c"', "session=a.b.c; session_old=d"):
            self.assertEqual(self.found("/", ("Cookie", line)), HttpToken("a.b.c", ambient=True), line)

    def test_as_configured(self) -> None:
        """The query and cookies are looked at only where the configuration names them."""
        given = ("/?token=a.b.c", ("Cookie", "session=a.b.c"))
        self.assertIsNone(self.found(*given, query=None, cookie=None))
        self.assertEqual(self.found(*given, cookie=None), HttpToken("a.b.c"))

    def test_two(self) -> None:
        """More than one token is none (RFC 6750 section 2): nobody could say who it is."""
        self.refused("/?token=a&token=b")
        self.refused("/?token=a", ("Authorization", "Bearer a"))
        self.refused("/", ("Authorization", "Bearer a"), ("Authorization", "Bearer b"))
        self.refused("/", ("Authorization", "Bearer a"), ("Sec-WebSocket-Protocol", "sip, token.a"))
        self.refused("/", ("Cookie", "session=a; session=b"))
        self.refused("/", ("Cookie", "session=a"), ("Cookie", "session=a"))

    def test_cookie_beside(self) -> None:
        """A browser sends its cookies always: beside a token that the page gives they do not count."""
        self.assertEqual(self.found("/?token=a", ("Cookie", "session=b; session=c")), HttpToken("a"))

    def test_odd(self) -> None:
        """Empty ones are tokens, which are wrong; octets of any kind are read."""
        self.assertEqual(self.found("/?token="), HttpToken(""))
        self.assertEqual(self.found("/", ("Authorization", "Bearer")), HttpToken(""))
        self.assertEqual(self.found("/?token=%FF%00"), HttpToken("\xff\0"))
