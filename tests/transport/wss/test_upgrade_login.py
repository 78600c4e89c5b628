"""A browser that logs in while it connects: what is handed in decides, at once or later."""

from __future__ import annotations

from collections.abc import Callable

from twisted.internet.defer import Deferred, fail, succeed
from twisted.web.server import Request

from tests.support.wire import Wire, frames, options, upgrade
from tests.transport.case import BrowsersCase
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.flow import Flow
from webrtcproxy.transport.wss.server import WebSocketServer

Opened = Callable[[Flow], None]


class UpgradeLoginTests(BrowsersCase):
    """`self.result` is what the login fires with, or fails with."""

    def setUp(self) -> None:
        self.asked: list[tuple[bytes, str, bool]] = []
        self.flows: list[Flow] = []
        self.result: Deferred[Opened] | None = None
        self.cancelled = 0
        super().setUp()

    def make(self, *args: object, **kwargs: object) -> WebSocketServer:
        return super().make(login=self.login, **kwargs)

    def login(self, request: Request, host: str, from_page: bool) -> Deferred[Opened]:
        self.asked.append((request.uri, host, from_page))
        return succeed(self.flows.append) if self.result is None else self.result

    def cancel(self, _: Deferred[Opened]) -> None:
        self.cancelled += 1

    def refusals(self, reason: str) -> float:
        """How many were counted."""
        line = f'webrtcproxy_refused_total{{reason="{reason}"}} '
        (found,) = [text for text in self.browsers.metrics.text().decode().splitlines() if text.startswith(line)]
        return float(found.removeprefix(line))

    def test_at_once(self) -> None:
        """The login is known before the first message."""
        wire, response = self.ask("/?token=x", peer="192.0.2.9")
        self.assertIn(b"101 Switching", response)
        self.assertEqual(self.asked, [(b"/?token=x", "192.0.2.9", True)])
        self.assertEqual([flow.peer.host for flow in self.flows], ["192.0.2.9"])
        self.assertEqual(self.receiver.messages, [])
        self.send(wire, options())
        self.assertIs(self.receiver.flow, self.flows[0])

    def test_without_page(self) -> None:
        """It is told whether there was an Origin; a forbidden one never comes so far."""
        self.ask(Origin=None)
        self.assertEqual(self.asked[0][2], False)
        self.ask(Origin="https://evil.example")
        self.assertEqual(len(self.asked), 1)

    def test_later(self) -> None:
        """While the login is not known nothing is answered; then the WebSocket opens."""
        self.result = Deferred()
        wire, response = self.ask()
        self.assertEqual(response, b"")
        self.reactor.advance(5)
        self.result.callback(self.flows.append)
        self.assertIn(b"101 Switching", wire.take())
        self.assertEqual(self.browsers.connections, 1)
        self.send(wire, options())
        self.assertIs(self.receiver.flow, self.flows[0])
        self.reactor.advance(29)
        self.assertEqual(frames(wire.take()), [])

    def test_refused(self) -> None:
        """A login that fails is told with its status and headers, counted, and ends the connection."""
        for later in (False, True):
            why = Refusal(401, "The Token Is Not Valid", [("WWW-Authenticate", 'Bearer error="invalid_token"')])
            self.result = Deferred() if later else fail(why)
            wire, response = self.ask()
            if later:
                self.result.errback(why)
                response = wire.take()
            self.assertIn(b"HTTP/1.1 401 Unauthorized\r\n", response)
            self.assertIn(b'WWW-Authenticate: Bearer error="invalid_token"\r\n', response)
            self.assertTrue(response.endswith(b"The Token Is Not Valid.\n"), response)
            self.assertTrue(wire.disconnecting or wire.disconnected)
        self.assertEqual(self.refusals("login"), 2)
        self.assertEqual(self.browsers.connections, 0)

    def test_fault(self) -> None:
        """A fault is logged, and told as 500."""
        self.result = fail(RuntimeError("oops"))
        _, response = self.ask()
        self.assertIn(b"HTTP/1.1 500", response)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_gone(self) -> None:
        """A browser that does not wait has the login given up."""
        self.result = Deferred(self.cancel)
        wire, _ = self.ask()
        wire.lose()
        self.assertEqual((self.cancelled, self.browsers.connections), (1, 0))

    def test_too_slow(self) -> None:
        """A login that never ends is given up after a minute, and its connection is cut."""
        self.result = Deferred(self.cancel)
        wire, _ = self.ask()
        self.reactor.advance(60)
        self.reactor.advance(6)
        wire.settle()
        self.assertEqual((self.cancelled, self.browsers.connections), (1, 0))

    def test_while_ending(self) -> None:
        """A login that is known only when the service ends opens nothing."""
        self.result = Deferred()
        wire, _ = self.ask()
        self.browsers.stopService()
        self.result.callback(self.flows.append)
        self.assertNotIn(b"101 Switching", wire.take())
        self.assertEqual((self.flows, self.browsers.connections), ([], 0))

    def test_full(self) -> None:
        """Where the limit of connections refuses the WebSocket, nobody has logged in."""
        self.browsers = self.make(connections_per_address=1)
        self.open(self.browsers)
        self.ask(browsers=self.browsers)
        self.assertEqual(len(self.flows), 1)

    def test_early_octets(self) -> None:
        """Octets that a client sends too early do no harm."""
        self.result = Deferred()
        wire: Wire = self.connect()
        wire.deliver(upgrade() + b"x" * 100)
        self.result.callback(self.flows.append)
        self.assertIn(b"101 Switching", wire.take())
