"""Who may open a WebSocket: path, subprotocol, origin, and the HTTP around it (RFC 6455 section 4, RFC 7118 4)."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase
from twisted.web.http_headers import Headers

from tests.support.wire import frames, options, upgrade
from tests.transport.case import BrowsersCase
from webrtcproxy.transport.wss.handshake import Origins, forwarded_for


class Handshake(BrowsersCase):
    """Requests for a WebSocket."""

    def test_accepted(self) -> None:
        """101 with the key's answer of RFC 6455 section 1.3, the subprotocol, and no word about software."""
        _, response = self.ask(sec_websocket_key="dGhlIHNhbXBsZSBub25jZQ==")
        self.assertTrue(response.startswith(b"HTTP/1.1 101 "))
        self.assertIn(b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n", response)
        self.assertIn(b"Sec-WebSocket-Protocol: sip\r\n", response)
        for word in (b"server", b"autobahn", b"twisted", b"python"):
            self.assertNotIn(word, response.lower())

    def test_subprotocol(self) -> None:
        """`sip` must be offered, exactly, alone or among others; it is what is chosen (RFC 7118 section 4)."""
        for offer in ("sip", "foo, sip", "sip, foo"):
            _, response = self.ask(sec_websocket_protocol=offer)
            self.assertIn(b"Sec-WebSocket-Protocol: sip\r\n", response)
        for offer in (None, "", "xmpp", "SIP", "sip2"):
            wire, response = self.ask(sec_websocket_protocol=offer)
            self.assertTrue(response.startswith(b"HTTP/1.1 400 "), offer)
            self.assertTrue(wire.disconnecting)

    def test_path(self) -> None:
        """The WebSocket is at its path only; query parameters do not matter (row "Path, query, Host, Origin")."""
        browsers = self.make(path="/sip")
        for path, status in (("/sip", b"101"), ("/sip?token=x", b"101"), ("/", b"404"), ("/sip/", b"404")):
            _, response = self.ask(path, browsers=browsers)
            self.assertTrue(response.startswith(b"HTTP/1.1 " + status), path)

    def test_origin(self) -> None:
        """A page of another site is refused with 403, before 101 (row "Path, query, Host, Origin")
        (original.rst: WebSocket, Origin, path, subprotocol)."""
        wire, response = self.ask(origin="https://evil.example")
        self.assertTrue(response.startswith(b"HTTP/1.1 403 "))
        self.assertNotIn(b"evil", response)
        self.assertTrue(wire.disconnecting)
        self.assertEqual(self.browsers.connections, 0)

    def test_no_origin(self) -> None:
        """No Origin: no browser, so no page to protect from (RFC 6455 section 10.2)."""
        _, response = self.ask(origin=None)
        self.assertIn(b" 101 ", response)

    def test_null_origin(self) -> None:
        """`null` (a local file, a sandbox) is refused unless allowed, and then Autobahn must not refuse it."""
        self.assertIn(b" 403 ", self.ask(origin="null")[1])
        for allowed in ("null", "*"):
            _, response = self.ask(origin="null", browsers=self.make(origins=(allowed,)))
            self.assertIn(b" 101 ", response)

    def test_odd_origin(self) -> None:
        """An application's own scheme can be allowed; what is no origin is refused (field.rst W11: Page of an app)."""
        browsers = self.make(origins=("capacitor://localhost",))
        self.assertIn(b" 101 ", self.ask(origin="capacitor://localhost", browsers=browsers)[1])
        for odd in ("", "https://", "phone.example.com", "https://phone.example.com/", "https://a:b", "https://[x"):
            self.assertIn(b" 403 ", self.ask(origin=odd)[1], odd)

    def test_twice(self) -> None:
        """A header that may stand there once stands there twice: 400."""
        for line in ("Origin: https://phone.example.com", "Host: other", "Sec-WebSocket-Key: x"):
            wire = self.connect()
            wire.deliver(upgrade().replace(b"User-Agent: Test", line.encode()))
            self.assertIn(b" 400 ", wire.take(), line)

    def test_version(self) -> None:
        """Another version of WebSocket: 426 which names ours (RFC 6455 section 4.4)."""
        _, response = self.ask(sec_websocket_version="8")
        self.assertTrue(response.startswith(b"HTTP/1.1 426 "))
        self.assertIn(b"\r\nSec-WebSocket-Version: 13\r\n".lower(), response.lower())

    def test_broken(self) -> None:
        """What RFC 6455 section 4.2.1 asks for besides."""
        broken = (
            {"host": None},
            {"connection": "keep-alive"},
            {"sec_websocket_key": None},
            {"sec_websocket_key": "c2hvcnQ="},
            {"sec_websocket_key": "§" * 24},
        )
        for headers in broken:
            _, response = self.ask(**headers)
            self.assertIn(b" 400 ", response, headers)

    def test_odd_octets(self) -> None:
        """Octets that are no UTF-8 in a header are a broken header, and no fault of the program."""
        for name in (b"Origin", b"Host", b"Upgrade", b"Connection", b"Sec-WebSocket-Key", b"X-Forwarded-For"):
            wire = self.connect()
            wire.deliver(upgrade().replace(b"User-Agent: Test", b"%s: a\xff" % name))
            self.assertTrue(wire.take().startswith(b"HTTP/1.1 "), name)
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_odd_host(self) -> None:
        """A Host of any form is no reason to refuse where the origin does not hang on it."""
        browsers = self.make(origins=("*",))
        for host in ("x:y", "[::1]:8443", "a b", "x:99999"):
            self.assertIn(b" 101 ", self.ask(host=host, browsers=browsers)[1], host)

    def test_method(self) -> None:
        """A WebSocket begins with GET."""
        wire = self.connect()
        wire.deliver(upgrade().replace(b"GET", b"PUT"))
        self.assertIn(b" 405 ", wire.take())

    def test_http_1_0(self) -> None:
        """HTTP/1.0 knows no upgrade."""
        wire = self.connect()
        wire.deliver(upgrade().replace(b"HTTP/1.1", b"HTTP/1.0"))
        self.assertIn(b" 400 ", wire.take())

    def test_works_after_it(self) -> None:
        """A frame in the segment after the request is a frame."""
        wire = self.open(origin=None)
        self.assertEqual(len(self.send(wire, options())), 1)

    def test_draining(self) -> None:
        """While the proxy drains, who connects gets 503 with Retry-After, and WebSockets that are open stay."""
        wire = self.open()
        self.browsers.is_draining = lambda: True
        response = self.ask()[1]
        self.assertIn(b" 503 ", response)
        self.assertIn(b"Retry-After: 10", response)
        self.assertEqual(len(self.send(wire, options())), 1)

    def test_ending(self) -> None:
        """While the service ends no peer is let in."""
        wire = self.connect()
        self.browsers.stopService()
        wire.deliver(upgrade())
        self.assertNotIn(b" 101 ", wire.take())
        self.assertEqual(self.browsers.connections, 0)


class OriginRules(SynchronousTestCase):
    """`Origins`, by table."""

    def check(self, allowed, yes, no, host="phone.example.com") -> None:
        """These and not those."""
        origins = Origins(allowed)
        for origin in yes:
            self.assertTrue(origins.admit(origin, host), origin)
        for origin in no:
            self.assertFalse(origins.admit(origin, host), origin)

    def test_exact(self) -> None:
        """Scheme, host and port count; case and the scheme's own port do not (RFC 6454 section 4)."""
        self.check(
            ["https://Phone.example.com", "http://dev.example.com:8080"],
            ["https://phone.example.com", "HTTPS://PHONE.example.com", "https://phone.example.com:443"],
            ["http://phone.example.com", "https://phone.example.com:444", "https://xphone.example.com", "null", "*"],
        )

    def test_wildcard(self) -> None:
        """``*.`` stands for one or more labels, not for none, and not for a part of one."""
        self.check(
            ["https://*.example.org"],
            ["https://a.example.org", "https://a.b.example.org"],
            ["https://example.org", "https://evilexample.org", "http://a.example.org", "https://a.example.org:8443"],
        )
        self.check(["https://*.example.org:8443"], ["https://a.example.org:8443"], ["https://a.example.org"])
        self.check(["https://*.example.org"], [], ["https://a.example.org.evil.net", "https://a.example.org@evil.net"])

    def test_apps(self) -> None:
        """The pages of apps: a scheme of their own, with or without host, and nothing else of that scheme (field.rst
        W11: Page of an app)."""
        self.check(["file://"], ["file://", "FILE://"], ["file://localhost", "null", "https://file"])
        self.check(["app://."], ["app://."], ["app://", "app://bundle", "app://..", "https://."])
        self.check(["app://"], ["app://"], ["app://.", "app"])
        extension = "safari-web-extension://0a-1b"
        self.check([extension, "ionic://localhost"], [extension.upper(), "ionic://localhost"], ["ionic://localhost:1"])

    def test_any(self) -> None:
        """``*``: any."""
        self.check(["*"], ["https://x", "null", "file://", "chrome-extension://abc"], [])

    def test_same_host(self) -> None:
        """Nothing said: the page's host and port are those that it connects to."""
        self.check(
            None,
            ["https://phone.example.com", "https://phone.example.com:443", "https://PHONE.example.com"],
            ["https://phone.example.com:444", "https://example.com", "null", "file://phone.example.com"],
        )
        self.check(None, ["https://h:8443", "http://h:8443"], ["https://h"], host="h:8443")
        self.check(None, ["https://[::1]:8443"], ["https://[::2]:8443"], host="[::1]:8443")

    def test_nobody(self) -> None:
        """An empty list admits no page."""
        self.check([], [], ["https://phone.example.com", "null"])


class Proxies(SynchronousTestCase):
    """X-Forwarded-For (row "Path, query, Host, Origin")."""

    def test_untrusted(self) -> None:
        """Anybody can write one: it counts from trusted proxies only."""
        headers = Headers({"X-Forwarded-For": ["198.51.100.1"]})
        self.assertEqual(forwarded_for(headers, "192.0.2.7", ()), "192.0.2.7")
        self.assertEqual(forwarded_for(headers, "192.0.2.7", [ip_network("10.0.0.0/8")]), "192.0.2.7")

    def test_trusted(self) -> None:
        """The last hop that no trusted proxy is; what stands before it may be forged."""
        trusted = [ip_network("10.0.0.0/8")]
        for value, found in (
            ("198.51.100.1", "198.51.100.1"),
            ("1.1.1.1, 198.51.100.1", "198.51.100.1"),
            ("198.51.100.1, 10.0.0.2", "198.51.100.1"),
            ("unknown", "10.0.0.1"),
            ("2001:db8::1", "2001:db8::1"),
        ):
            headers = Headers({"X-Forwarded-For": [value]})
            self.assertEqual(forwarded_for(headers, "10.0.0.1", trusted), found)
        self.assertEqual(forwarded_for(Headers(), "10.0.0.1", trusted), "10.0.0.1")


class BehindProxy(BrowsersCase):
    """A WebSocket that comes by a reverse proxy."""

    options = {"trusted_proxies": (ip_network("192.0.2.7/32"),), "connections_per_address": 1}

    def test_peer(self) -> None:
        """The peer is the one that the proxy names, and the limit per address counts for that one."""
        wire = self.open(x_forwarded_for="198.51.100.1")
        self.send(wire, options())
        self.assertEqual(self.receiver.flow.peer.host, "198.51.100.1")
        self.assertEqual(self.receiver.messages[0][0].via.received, "198.51.100.1")
        self.open(x_forwarded_for="198.51.100.2")
        crowded, response = self.ask(x_forwarded_for="198.51.100.1")
        (close,) = frames(response.partition(b"\r\n\r\n")[2])
        self.assertEqual(close.code, 1008)
        self.assertFalse(crowded.aborted)


class Full(BrowsersCase):
    """Limits of connections (row "Limits")."""

    options = {"connections": 4, "connections_per_address": 2}

    def close_of(self, **headers) -> tuple:
        """The close frame that a connection gets at once."""
        wire, response = self.ask(**headers)
        found = frames(response.partition(b"\r\n\r\n")[2])
        return wire, found[0] if found else None

    def test_per_address(self) -> None:
        """One address too many times: 1008, and what it sends is not read; another address is let in."""
        wires = [self.open(), self.open()]
        crowded, close = self.close_of()
        self.assertEqual((close.code, close.payload[2:]), (1008, b"too many connections from this address"))
        self.send(crowded, options())
        self.assertEqual(self.receiver.messages, [])
        self.open(peer="192.0.2.8")
        crowded.lose()
        wires[0].lose()
        wires[0] = self.open()

    def test_in_all(self) -> None:
        """No room for anybody: 1013, try again later."""
        for place in range(4):
            self.open(peer=f"192.0.2.{place}")
        _, close = self.close_of(peer="192.0.2.99")
        self.assertEqual(close.code, 1013)

    def test_strangers_make_room(self) -> None:
        """No stranger keeps others out: where there is no room, one that has had the time to log in, and has not, is
        cut; nobody else is."""
        wires = [self.open(peer=f"192.0.2.{place}") for place in range(4)]
        for wire in wires:
            self.send(wire, options())
        flows = [flow for _, flow in self.receiver.messages]
        self.browsers.is_needed = lambda flow: flow in (flows[0], flows[2])
        for last, code, cut in ((90, 1013, []), (91, None, [1]), (92, None, [1, 3]), (93, 1013, [1, 3])):
            crowded, close = self.close_of(peer=f"192.0.2.{last}")
            self.assertEqual(close and close.code, code)
            self.assertEqual([place for place, wire in enumerate(wires) if wire.aborted], cut)
            for gone in [wires[place] for place in cut] + [crowded] * bool(code):
                gone.lose()
            self.reactor.advance(30 if last == 90 else 0)

    def test_ipv6(self) -> None:
        """Whoever has one IPv6 address has a /64 of them."""
        self.open(peer="2001:db8::1")
        self.open(peer="2001:db8::2")
        self.assertEqual(self.close_of(peer="2001:db8::3")[1].code, 1008)
        self.assertIsNone(self.close_of(peer="2001:db8:0:1::1")[1])

    def test_before_http(self) -> None:
        """Connections that are nothing yet are counted too, and refused without TLS and HTTP."""
        wires = [self.connect() for _ in range(16)]
        self.assertFalse(any(wire.aborted for wire in wires))
        self.assertTrue(self.connect().aborted)
        wires[0].lose()
        self.assertFalse(self.connect().aborted)

    def test_counts_end(self) -> None:
        """Open or refused, WebSocket or page: after its end nothing is counted."""
        wires = [self.open(), self.ask(origin="https://evil.example")[0], self.open(), self.close_of()[0]]
        for wire in wires:
            wire.lose()
        for limits in (self.browsers._limits, self.browsers.site._limits):
            self.assertEqual((limits._count, limits._hosts), (0, {}))


class Service(BrowsersCase):
    """Start and stop."""

    def test_listens_once(self) -> None:
        """Ports are opened once, at the privileged start where there is one."""
        self.browsers.privilegedStartService()
        self.assertEqual(len(self.reactor.tcpServers), 1)

    def test_stop(self) -> None:
        """Stopping closes every WebSocket with 1012 and waits for it, ends HTTP, and leaves no timer."""
        one, other, http = self.open(), self.open(), self.connect()
        done = []
        self.browsers.stopService().addCallback(done.append)
        for wire in (one, other):
            self.assert_closing(wire, 1012)
            wire.lose()
        self.assertEqual(done, [])
        http.settle()
        self.assertEqual(done, [None])
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_stop_is_bounded(self) -> None:
        """A browser that does not take part in the closing handshake is cut."""
        wire = self.open()
        self.browsers.stopService()
        self.reactor.advance(2)
        self.assertTrue(wire.aborted)

    def test_port_taken(self) -> None:
        """A port that can't be had fails the start."""
        self.reactor.listenTCP = lambda *args, **kwargs: 1 / 0
        self.assertRaises(ZeroDivisionError, self.make)
