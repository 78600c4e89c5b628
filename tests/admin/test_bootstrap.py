"""webrtcproxy/admin/bootstrap.py: what a page needs to be a phone, for its user only."""

from __future__ import annotations

import json
from ipaddress import ip_network
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase

from tests.admin.test_page import Answer
from tests.support.wire import Recorder, Wire
from webrtcproxy.admin.bootstrap import Bootstrap
from webrtcproxy.admin.http_logins import HttpLogin
from webrtcproxy.config import TurnConfig, WssConfig
from webrtcproxy.config.ini import Secret
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.transport.wss.peer import HttpPeer
from webrtcproxy.transport.wss.server import WebSocketServer
from webrtcproxy.users.turn import IceServers
from webrtcproxy.users.user import User

ALICE = User("alice", "example.com", display_name="Alice")
TURN = TurnConfig(
    ("stun:turn.example.com", "turn:turn.example.com", "turns:turn.example.com:5349?transport=tcp"),
    Secret("0123456789abcdef"),
    600,
)
EVIL = "https://evil.example"
PAGE = "https://phone.example.com"


class Logins:
    """Says what it is told to say, and keeps who asked."""

    def __init__(self) -> None:
        self.asked: list[HttpPeer] = []
        self.answer: Deferred[HttpLogin] | None = None

    def login(self, request: object, peer: HttpPeer) -> Deferred[HttpLogin]:
        self.asked.append(peer)
        return succeed(HttpLogin(ALICE, 500.5, "t0ken")) if self.answer is None else self.answer


class BootstrapCase(SynchronousTestCase):
    """The document on the port of the browsers, in memory."""

    def setUp(self) -> None:
        self.logins = Logins()
        self.metrics = Metrics()
        self.serve()

    def serve(self, turn: TurnConfig = TURN, cookies: bool = False, **options: Any) -> None:
        """Listen with these options of [wss]."""
        self.reactor = MemoryReactorClock()
        wss = WssConfig(("tcp:8443",), **options)
        ice = IceServers(turn, lambda: 1_800_000_000.0)
        resource = Bootstrap(wss, self.logins, ice, self.metrics, cookies)  # type: ignore[arg-type]
        assert wss.bootstrap is not None
        self.server = WebSocketServer(self.reactor, Recorder(), wss, resources={wss.bootstrap: resource})

    def wire(
        self, method: str = "GET", peer: str = "192.0.2.7", host: str = "phone.example.com", **headers: str
    ) -> Wire:
        """A request; headers with ``_`` for ``-``."""
        wire = Wire(peer)
        wire.attach(self.server.site.buildProtocol(wire.getPeer()))
        lines = [f"{method} /bootstrap.json HTTP/1.1", f"Host: {host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        wire.deliver("\r\n".join([*lines, "", ""]).encode("utf-8", "surrogateescape"))
        return wire

    def ask(self, method: str = "GET", **headers: str) -> Answer:
        """A request and its response."""
        return Answer(self.wire(method, **headers).take())

    def refused(self) -> int:
        """How many refusals were counted."""
        for line in self.metrics.text().decode().splitlines():
            if line.startswith('webrtcproxy_refused_total{reason="bootstrap"}'):
                return int(float(line.split()[1]))
        return 0


class DocumentTests(BootstrapCase):
    """What a user gets."""

    def test_document(self) -> None:
        """The WebSocket, the address, the name, the ICE servers with credentials of its own, and for how long."""
        answer = self.ask()
        self.assertEqual((answer.code, answer.headers["content-type"]), (200, "application/json"))
        document = json.loads(answer.body)
        stun, turn = document.pop("iceServers")
        self.assertEqual(
            document,
            {
                "websocket": "ws://phone.example.com/",
                "address": "sip:alice@example.com",
                "displayName": "Alice",
                "expires": 500,
                "token": "t0ken",
            },
        )
        self.assertEqual(stun, {"urls": ["stun:turn.example.com"]})
        self.assertEqual(turn["urls"], ["turn:turn.example.com", "turns:turn.example.com:5349?transport=tcp"])
        self.assertEqual(turn["username"], "1800000500:alice@example.com")

    def test_not_kept(self) -> None:
        """No cache keeps it (RFC 9111 section 5.2.2.5), and no cookie is set: it has credentials in it."""
        headers = self.ask().headers
        self.assertEqual(headers["cache-control"], "no-store")
        self.assertEqual(headers["x-content-type-options"], "nosniff")
        self.assertNotIn("set-cookie", headers)
        self.assertNotIn("server", headers)

    def test_ends_with_the_login(self) -> None:
        """A login that ends sooner takes the credentials for TURN with it; one without end does not extend them."""
        for seconds, expiry in ((60.0, 60), (0.0, 0), (43200.0, 600)):
            self.logins.answer = succeed(HttpLogin(ALICE, seconds, "t0ken"))
            document = json.loads(self.ask().body)
            self.assertEqual(document["expires"], expiry)
            self.assertEqual(document["iceServers"][1]["username"].split(":")[0], str(1_800_000_000 + expiry))

    def test_without_turn(self) -> None:
        """Without [turn] there are no servers."""
        self.serve(TurnConfig())
        self.assertEqual(json.loads(self.ask().body)["iceServers"], [])

    def test_waits(self) -> None:
        """Who the user is may take a while to find out; who has hung up by then gets nothing, and nothing breaks."""
        self.logins.answer = Deferred()
        wire = self.wire()
        self.assertEqual(wire.take(), b"")
        self.logins.answer.callback(HttpLogin(ALICE, 60, "t0ken"))
        self.assertEqual(Answer(wire.take()).code, 200)
        self.logins.answer = Deferred()
        wire = self.wire()
        wire.settle()
        wire.protocol.connectionLost()
        self.logins.answer.callback(HttpLogin(ALICE, 60, "t0ken"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_path(self) -> None:
        """It is at its path only."""
        self.serve(bootstrap="/phone/start.json")
        self.assertEqual(self.ask().code, 404)


class WebSocketTests(BootstrapCase):
    """The address of the WebSocket."""

    def url(self, **headers: str) -> str:
        return str(json.loads(self.ask(**headers).body)["websocket"])

    def test_by_host(self) -> None:
        """It is where the document was, with the path of the WebSocket."""
        self.serve(path="/sip")
        self.assertEqual(self.url(host="phone.example.com:8443"), "ws://phone.example.com:8443/sip")
        self.assertEqual(self.url(host="[2001:db8::1]:8443"), "ws://[2001:db8::1]:8443/sip")

    def test_behind_tls(self) -> None:
        """A trusted web server in front says that TLS ends there; anybody else's word does not count."""
        forwarded = {"X_Forwarded_Proto": "https", "X_Forwarded_For": "198.51.100.7"}
        self.assertEqual(self.url(**forwarded), "ws://phone.example.com/")
        self.serve(trusted_proxies=(ip_network("192.0.2.0/24"),))
        self.assertEqual(self.url(**forwarded), "wss://phone.example.com/")
        self.assertEqual(self.logins.asked[-1], HttpPeer("198.51.100.7", True))
        self.assertEqual(self.url(X_Forwarded_Proto="https, http"), "ws://phone.example.com/")
        self.assertEqual(self.url(), "ws://phone.example.com/")
        self.assertEqual(self.url(peer="203.0.113.9", **forwarded), "ws://phone.example.com/")

    def test_configured(self) -> None:
        """An address in the configuration counts, whatever Host says."""
        self.serve(url="wss://phone.example.com/sip")
        self.assertEqual(self.url(host="10.0.0.1:8080"), "wss://phone.example.com/sip")

    def test_bad_host(self) -> None:
        """What is no host is not repeated to anybody (RFC 9112 section 3.2: 400)."""
        for host in ("", "a b", "x/y", 'a"b', "user@host", "host:0", "host:99999"):
            self.assertEqual(self.ask(host=host).code, 400, host)
        self.assertEqual(self.logins.asked, [])


class RefusedTests(BootstrapCase):
    """What others get."""

    def test_not_logged_in(self) -> None:
        """401 with a challenge (RFC 9110 section 15.5.2), but none that makes a browser ask for a password itself."""
        self.logins.answer = fail(Refusal(401))
        answer = self.ask()
        self.assertEqual((answer.code, json.loads(answer.body)), (401, {"error": "login"}))
        self.assertTrue(answer.headers["www-authenticate"].startswith("Bearer "))
        self.assertEqual(self.refused(), 1)

    def test_challenge_of_a_token(self) -> None:
        """A challenge that says what is wrong with a token stays as it is (RFC 6750 section 3)."""
        challenge = 'Bearer realm="example.com", error="invalid_token"'
        self.logins.answer = fail(Refusal(401, headers=[("WWW-Authenticate", challenge)]))
        self.assertEqual(self.ask().headers["www-authenticate"], challenge)

    def test_too_many(self) -> None:
        """429 and Retry-After (RFC 6585 section 4)."""
        self.logins.answer = fail(Refusal(429, headers=[("Retry-After", "8")]))
        wire = self.wire().take()
        self.assertTrue(wire.startswith(b"HTTP/1.1 429 Too Many Requests\r\n"), wire)
        answer = Answer(wire)
        self.assertEqual((answer.code, json.loads(answer.body)), (429, {"error": "too-many-logins"}))
        self.assertEqual(answer.headers["retry-after"], "8")

    def test_fault(self) -> None:
        """A fault is logged, and told to nobody: 503."""
        self.logins.answer = fail(ValueError("secret"))
        answer = self.ask()
        self.assertEqual((answer.code, json.loads(answer.body)), (503, {"error": "unavailable"}))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_octets(self) -> None:
        """Octets that are no UTF-8, which anybody can send, are wrong values as any others: refused, with no failure in
        the log (docs/security.rst)."""
        for header, status in (("Origin", 403), ("Sec-Fetch-Site", 403), ("X-Forwarded-Proto", 200)):
            self.serve(trusted_proxies=(ip_network("192.0.2.0/24"),))
            self.assertEqual(self.ask(**{header: "https://\udcff.example"}).code, status, header)
        self.assertEqual(Answer(self.wire(host="\udcff.example").take()).code, 400)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_methods(self) -> None:
        """GET only (RFC 9110 section 15.5.6)."""
        for method in ("POST", "HEAD", "DELETE", "BREW"):
            answer = self.ask(method)
            self.assertEqual((answer.code, answer.headers["allow"]), (405, "GET, OPTIONS"), method)
        self.assertEqual(self.logins.asked, [])


class OriginTests(BootstrapCase):
    """Pages of other origins (Fetch, section 3.2: CORS)."""

    def test_same_origin(self) -> None:
        """By default pages of the same host and port, with or without Origin, and no other: 403, nobody is asked."""
        self.assertEqual(self.ask().code, 200)
        self.assertEqual(self.ask(Origin="http://phone.example.com").code, 200)
        self.assertEqual(self.ask(Origin="http://phone.example.com:8080").code, 403)
        self.logins.asked.clear()
        for method in ("GET", "OPTIONS"):
            answer = self.ask(method, Origin=EVIL)
            self.assertEqual((answer.code, json.loads(answer.body)), (403, {"error": "forbidden"}))
            self.assertNotIn("access-control-allow-origin", answer.headers)
        self.assertEqual(self.logins.asked, [])
        self.assertEqual(self.refused(), 3)

    def test_other_origin(self) -> None:
        """A page of an origin in `origins` may read it, and no other page may; caches know that it differs."""
        self.serve(origins=(PAGE,))
        answer = self.ask(Origin=PAGE, host="sip.example.com")
        self.assertEqual((answer.code, answer.headers["access-control-allow-origin"]), (200, PAGE))
        self.assertIn("Origin", answer.headers["vary"])
        self.assertNotIn("access-control-allow-credentials", answer.headers)
        self.assertEqual(self.ask(Origin=EVIL, host="sip.example.com").code, 403)

    def test_without_cors(self) -> None:
        """An image, script or link of another origin asks without Origin, but with the cookie: 403 by Sec-Fetch-Site
        (Fetch Metadata section 2.3), and nobody is asked who it is, even where its origin may ask by CORS."""
        self.serve(origins=(PAGE,), cookies=True)
        for site in ("cross-site", "same-site", "x", ""):
            answer = self.ask(Sec_Fetch_Site=site)
            self.assertEqual((answer.code, json.loads(answer.body)), (403, {"error": "forbidden"}), site)
        self.assertEqual(self.logins.asked, [])
        self.assertEqual(self.refused(), 4)
        for site in ("same-origin", "none"):
            self.assertEqual(self.ask(Sec_Fetch_Site=site).code, 200, site)
        self.assertEqual(self.ask(Sec_Fetch_Site="cross-site", Origin=PAGE).code, 200)

    def test_cookies(self) -> None:
        """Where a cookie has the login, the browser may send it for the page of an origin in `origins` only."""
        self.serve(origins=(PAGE,), cookies=True)
        self.assertEqual(self.ask(Origin=PAGE).headers["access-control-allow-credentials"], "true")
        self.assertNotIn("access-control-allow-credentials", self.ask(Origin=EVIL).headers)

    def test_preflight(self) -> None:
        """The browser asks whether the page may send Authorization; nobody has to log in for that."""
        self.serve(origins=(PAGE,))
        asked = {"Access_Control_Request_Method": "GET", "Access_Control_Request_Headers": "authorization"}
        answer = self.ask("OPTIONS", Origin=PAGE, **asked)
        self.assertEqual((answer.code, answer.body), (204, b""))
        self.assertEqual(answer.headers["access-control-allow-origin"], PAGE)
        self.assertEqual(answer.headers["access-control-allow-headers"], "Authorization")
        self.assertEqual(self.logins.asked, [])

    def test_refusal_can_be_read(self) -> None:
        """The page of such an origin also learns why not, and when to try again."""
        self.serve(origins=(PAGE,))
        self.logins.answer = fail(Refusal(429, headers=[("Retry-After", "8")]))
        answer = self.ask(Origin=PAGE)
        self.assertEqual((answer.code, answer.headers["access-control-allow-origin"]), (429, PAGE))
        self.assertEqual(answer.headers["access-control-expose-headers"], "Retry-After")
