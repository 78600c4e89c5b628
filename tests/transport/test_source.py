"""Where a request came from, and what we are called (RFC 3261 section 18, RFC 3581)."""

from twisted.trial.unittest import SynchronousTestCase

from tests.support.wire import options
from webrtcproxy.sip.message import read
from webrtcproxy.sip.uri import host_port
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.source import same_host, stamp_received, unmapped

PEER = Address("192.0.2.7", 40000)


class Mark(SynchronousTestCase):
    """`received` and `rport`."""

    def marked(self, sent_by: str, peer: Address = PEER):
        """The top Via as it is after, the port for responses, and that both can be read from the bytes."""
        request = read(options("UDP", sent_by))
        port = stamp_received(request, peer)
        self.assertEqual(read(request.to_bytes()).via, request.via)
        return request.via, port

    def test_name(self) -> None:
        """A sent-by that is a name always gets `received` (RFC 3261 section 18.2.1)."""
        via, port = self.marked("pbx.example.com:5070")
        self.assertEqual((via.received, via.rport, port), ("192.0.2.7", None, 5070))

    def test_other_address(self) -> None:
        """So does another address."""
        via, port = self.marked("10.0.0.1")
        self.assertEqual((via.received, port), ("192.0.2.7", 5060))

    def test_same_address(self) -> None:
        """The address itself gets none, and its Via stays as it is."""
        via, port = self.marked("192.0.2.7:5062;x=Y")
        self.assertEqual((via.received, port), (None, 5062))
        self.assertEqual(str(via), "SIP/2.0/UDP 192.0.2.7:5062;x=Y;branch=z9hG4bKabc")

    def test_no_port(self) -> None:
        """A port that is none is repeated as it was, and the response goes to the source port (field.rst P: Odd
        end)."""
        for odd in ("99999", "0", "65536"):
            via, port = self.marked(f"pbx.example.com:{odd};branch=z9hG4bK1")
            self.assertEqual((via.sent_by, via.received, port), (f"pbx.example.com:{odd}", "192.0.2.7", PEER.port))

    def test_no_host(self) -> None:
        """A host that is none is repeated as it was, and the response goes to the source (field.rst T: Odd INVITE)."""
        for odd in ("(null):5062", "(null)", "a_b%:5062", "$HOST:5062;rport"):
            via, port = self.marked(f"{odd};branch=z9hG4bK1")
            self.assertEqual((via.sent_by, via.received, port), (odd.partition(";")[0], "192.0.2.7", PEER.port))
            self.assertEqual(via.branch, "z9hG4bK1")

    def test_rport(self) -> None:
        """One that asks with `rport` gets the source port, and `received` too (RFC 3581 section 4)."""
        via, port = self.marked("192.0.2.7:5062;rport")
        self.assertEqual((via.received, via.rport, port), ("192.0.2.7", "40000", 40000))

    def test_forged(self) -> None:
        """What the sender wrote there itself does not count."""
        via, port = self.marked("192.0.2.7;received=203.0.113.1;rport=53")
        self.assertEqual((via.received, via.rport, port), ("192.0.2.7", "40000", 40000))

    def test_ipv6(self) -> None:
        """IPv6 is compared as an address, and stands in `received` without brackets (RFC 5118 section 4.5)."""
        peer = Address("2001:db8::7", 40000)
        self.assertIsNone(self.marked("[2001:DB8:0::7]", peer)[0].received)
        self.assertEqual(self.marked("[2001:db8::8]", peer)[0].received, "2001:db8::7")
        self.assertFalse(same_host("[nonsense]", "::1"))

    def test_other_vias(self) -> None:
        """Only the top Via is ours to fill in, in one header or two."""
        for second in (", SIP/2.0/UDP b.example.com;rport", "\r\nVia: SIP/2.0/UDP b.example.com;rport"):
            request = read(
                options("UDP", "a.example.com;rport").replace(b"abc\r\n", b"abc" + second.encode() + b"\r\n")
            )
            stamp_received(request, PEER)
            top, other = request.headers.all("Via")
            self.assertIn("rport=40000", top)
            self.assertEqual(other, "SIP/2.0/UDP b.example.com;rport")

    def test_unreadable(self) -> None:
        """A Via that can't be read stays as it is: the layer above answers 400."""
        request = read(options("UDP", "a..b c"))
        self.assertIsNone(stamp_received(request, PEER))


class Names(SynchronousTestCase):
    """What we are called."""

    def test_bound(self) -> None:
        """The address that the socket is bound to."""
        local = LocalAddresses()
        self.assertEqual(local.sent_by(Address("192.0.2.1", 5060), "198.51.100.1"), "192.0.2.1:5060")
        self.assertEqual(local.sent_by(Address("2001:db8::1", 5060), "2001:db8::2"), "[2001:db8::1]:5060")

    def test_advertised(self) -> None:
        """`advertise` in its place; an address only towards its own family, a name towards both."""
        local = LocalAddresses("203.0.113.7")
        self.assertEqual(local.sent_by(Address("192.0.2.1", 5062), "198.51.100.1"), "203.0.113.7:5062")
        self.assertEqual(local.sent_by(Address("2001:db8::1", 5062), "2001:db8::2"), "[2001:db8::1]:5062")
        local = LocalAddresses("2001:db8::99")
        self.assertEqual(local.sent_by(Address("2001:db8::1", 5062), "2001:db8::2"), "[2001:db8::99]:5062")
        self.assertEqual(local.sent_by(Address("192.0.2.1", 5062), "198.51.100.1"), "192.0.2.1:5062")
        local = LocalAddresses("sip.example.com")
        self.assertEqual(local.sent_by(Address("2001:db8::1", 5062), "2001:db8::2"), "sip.example.com:5062")

    def test_wildcard(self) -> None:
        """A socket on all addresses is called as the route to the peer has it."""
        local = LocalAddresses()
        self.assertEqual(local.sent_by(Address("0.0.0.0", 5060), "127.0.0.1"), "127.0.0.1:5060")
        self.assertEqual(local.sent_by(Address("0.0.0.0", 5060), "127.0.0.1"), "127.0.0.1:5060")
        self.assertEqual(local.sent_by(Address("::", 5060), "::ffff:127.0.0.1"), "127.0.0.1:5060")

    def test_no_route(self) -> None:
        """Where there is no route it has some name nevertheless."""
        local = LocalAddresses()
        self.assertEqual(local.sent_by(Address("0.0.0.0", 5060), "nonsense"), "127.0.0.1:5060")

    def test_bounded(self) -> None:
        """What is remembered of peers is bounded."""
        local = LocalAddresses()
        for place in range(5000):
            local.sent_by(Address("0.0.0.0", 5060), f"127.0.{place // 250}.{place % 250 + 1}")
        self.assertLessEqual(len(local._routes), 4096)

    def test_forms(self) -> None:
        """IPv6 in brackets; a mapped IPv4 address as IPv4."""
        self.assertEqual(host_port("::1", 1), "[::1]:1")
        self.assertEqual(unmapped("::ffff:192.0.2.1"), "192.0.2.1")
        self.assertEqual(unmapped("::1"), "::1")
