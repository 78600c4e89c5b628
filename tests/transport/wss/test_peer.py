"""The browser behind a request: its address, and whether it has spoken TLS."""

from ipaddress import ip_network

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.interfaces import IAddress
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.test.requesthelper import DummyRequest

from webrtcproxy.transport.wss.peer import HttpPeer, peer_of

FRONT = (ip_network("192.0.2.0/24"),)


class PeerTests(SynchronousTestCase):
    """`peer_of`"""

    def peer(self, address: IAddress, *trusted: object, secure: bool = False, **headers: str) -> HttpPeer:
        request = DummyRequest([b""])
        request.client = address
        request.isSecure = lambda: secure
        for name, value in headers.items():
            request.requestHeaders.setRawHeaders(name.replace("_", "-"), value.split("|"))
        return peer_of(request, trusted)  # type: ignore[arg-type]

    def test_alone(self) -> None:
        """Without a web server in front it is the peer of the socket, and nothing that it says changes that."""
        address = IPv4Address("TCP", "198.51.100.7", 40000)
        said = {"X_Forwarded_For": "203.0.113.9", "X_Forwarded_Proto": "https"}
        self.assertEqual(self.peer(address, **said), HttpPeer("198.51.100.7", False))
        self.assertEqual(self.peer(address, *FRONT, **said), HttpPeer("198.51.100.7", False))
        self.assertEqual(self.peer(address, secure=True), HttpPeer("198.51.100.7", True))
        self.assertEqual(self.peer(UNIXAddress("/run/x"), *FRONT, **said), HttpPeer("", False))

    def test_behind_a_front(self) -> None:
        """What a trusted web server says counts; of several values, the last, which is its own."""
        address = IPv4Address("TCP", "192.0.2.1", 40000)
        for said, tls in (
            ("https", True), ("HTTPS", True), ("wss", True), ("http, https", True), ("http|https", True),
            ("http", False), ("https, http", False), ("https|http", False), ("", False), ("httpsx", False),
        ):  # fmt: skip
            found = self.peer(address, *FRONT, X_Forwarded_For="203.0.113.9", X_Forwarded_Proto=said)
            self.assertEqual(found, HttpPeer("203.0.113.9", tls), said)
        self.assertEqual(self.peer(address, *FRONT), HttpPeer("192.0.2.1", False))

    def test_private(self) -> None:
        """Nobody could read what came over TLS, or from this machine, in any spelling of its address."""
        self.assertTrue(HttpPeer("198.51.100.7", True).is_private)
        for address in (IPv6Address("TCP", "::1", 1), IPv6Address("TCP", "::ffff:127.0.0.1", 1)):
            self.assertTrue(self.peer(address).is_private)
        for host in ("198.51.100.7", "2001:db8::1", "", "localhost"):
            self.assertFalse(HttpPeer(host, False).is_private, host)
