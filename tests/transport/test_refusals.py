"""Connections of browsers that are turned away are counted, by reason."""

from tests.support.exposition import Readings
from tests.transport.case import BrowsersCase


class Refusals(BrowsersCase):
    """What moves `refused_total`, and by how much."""

    def setUp(self) -> None:
        super().setUp()
        self.readings = Readings(self.browsers.metrics)

    def limit(self, **options: int) -> None:
        """The same port with other limits."""
        self.browsers = self.make(**options)
        self.readings = Readings(self.browsers.metrics)

    def assert_refused(self, reason: str, times: int = 1) -> None:
        self.assertEqual(self.readings.moved(), {f'refused_total{{reason="{reason}"}}': times})

    def test_let_in(self) -> None:
        """No request is refused."""
        self.open().lose()
        self.assertEqual(self.readings.moved(), {})

    def test_origin(self) -> None:
        """A page of another site."""
        self.ask(origin="https://evil.example")
        self.assert_refused("origin")

    def test_handshake(self) -> None:
        """Whatever else is wrong with the request for a WebSocket."""
        self.ask(sec_websocket_protocol="xmpp")
        self.ask("/elsewhere")
        self.assert_refused("handshake", 2)

    def test_open(self) -> None:
        """Open WebSockets, of one address or in all; the connection that is closed for that is not counted again."""
        for options in ({"connections": 1}, {"connections_per_address": 1}):
            self.limit(**options)
            self.open()
            wire, response = self.ask()
            self.assertTrue(response.endswith((b"too many connections", b"from this address")))
            self.assert_refused("connections_limit")
            wire.lose()
            self.assertEqual(self.readings.moved(), {})

    def test_before_http(self) -> None:
        """Connections that are on their way to be one."""
        self.browsers.site._limits.max_per_address = 1
        self.connect()
        self.connect()
        self.assert_refused("connections_limit")

    def test_broken_rule(self) -> None:
        """A WebSocket that is closed because it sends too much, or no WebSocket: once, however much follows."""
        for payload, opcode in ((b"x" * 70_000, 1), (b"x", 3)):
            wire = self.open()
            self.send(wire, payload, opcode)
            self.send(wire, payload, opcode)
            self.assert_refused("websocket")
