"""webrtcproxy/demo/rtp.py: packets return to where they came from, and nothing else happens."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.demo.world import FakeReactor
from webrtcproxy.demo.rtp import EchoSocket, RtpPorts

OURS = b"ours"
PEER = ("127.0.0.1", 40000)
PACKET = bytes.fromhex("80000001000000a0") + b"them" + b"audio"


class FakeTransport:
    """Remembers what is written; may fail as a kernel does."""

    def __init__(self) -> None:
        self.sent: list[tuple[bytes, tuple[str, int]]] = []
        self.error: OSError | None = None

    def write(self, data: bytes, address: tuple[str, int]) -> None:
        if self.error is not None:
            raise self.error
        self.sent.append((data, address))


class EchoSocketTest(SynchronousTestCase):
    def setUp(self) -> None:
        self.socket = EchoSocket(OURS)
        self.socket.transport = self.transport = FakeTransport()

    def test_packet_returns_to_its_source(self) -> None:
        """Symmetric RTP (RFC 4961): the same payload, number and timestamp, to address and port of the source; the SSRC
        is ours, since the sender must not meet its own (RFC 3550 section 8.2)."""
        self.socket.datagramReceived(PACKET, PEER)
        self.assertEqual(self.transport.sent, [(PACKET[:8] + OURS + b"audio", PEER)])

    def test_digits_return(self) -> None:
        """A telephone-event (RFC 4733), here with marker and payload type 101, is a packet like any other."""
        event = bytes([0x80, 0x80 | 101]) + PACKET[2:]
        self.socket.datagramReceived(event, PEER)
        self.assertEqual(self.transport.sent[0][0][:2], event[:2])

    def test_not_rtp(self) -> None:
        """Short packets, STUN, DTLS, RTP version 1, RTCP: silence."""
        rtcp = bytes.fromhex("80c80006") + PACKET[4:]
        for data in (b"", PACKET[:11], b"\x00\x01" + PACKET[2:], b"\x16" + PACKET[1:], b"\x40" + PACKET[1:], rtcp):
            self.socket.datagramReceived(data, PEER)
        self.assertEqual(self.transport.sent, [])

    def test_two_echoes_do_not_play_tennis(self) -> None:
        """A packet with our SSRC has been echoed already, by this call or another: dropped, else one forged source
        address would keep two sockets busy for ever."""
        other = EchoSocket(OURS)
        other.transport = FakeTransport()
        self.socket.datagramReceived(PACKET, PEER)
        other.datagramReceived(self.transport.sent[0][0], PEER)
        self.assertEqual(other.transport.sent, [])

    def test_hold(self) -> None:
        """On hold nothing is sent (RFC 3264 section 8.4)."""
        self.socket.sends = False
        self.socket.datagramReceived(PACKET, PEER)
        self.assertEqual(self.transport.sent, [])

    def test_kernel_refuses(self) -> None:
        """A full buffer or an unreachable peer loses a packet, nothing more."""
        self.transport.error = OSError("no buffer")
        self.socket.datagramReceived(PACKET, PEER)
        self.socket.connectionRefused()


class RtpPortsTest(SynchronousTestCase):
    def test_even_ports_round_the_range(self) -> None:
        """RTP takes even ports (RFC 3550 section 11); the search goes on from the start of the range."""
        reactor = FakeReactor(free=24002)
        ports = RtpPorts(reactor, "127.0.0.1", (23999, 24005), choose=lambda count: count - 1)
        self.assertEqual([ports.open().port for _ in range(2)], [24004, 24004])
        reactor.free = 24003
        reactor.tried.clear()
        ports = RtpPorts(reactor, "127.0.0.1", (23999, 24005), choose=lambda count: 0)
        self.assertEqual(ports.open().port, 24004)
        self.assertEqual(reactor.tried, [24000, 24002, 24004])

    def test_no_port_is_left(self) -> None:
        """All taken, or a range without an even port: None, after each port was tried once."""
        reactor = FakeReactor(free=65536)
        self.assertIsNone(RtpPorts(reactor, "127.0.0.1", (24000, 24009)).open())
        self.assertEqual(sorted(reactor.tried), [24000, 24002, 24004, 24006, 24008])
        self.assertIsNone(RtpPorts(reactor, "127.0.0.1", (24001, 24001)).open())

    def test_close(self) -> None:
        """Closing frees the port; twice is once."""
        reactor = FakeReactor(free=0)
        socket = RtpPorts(reactor, "127.0.0.1", (24000, 24001)).open()
        socket.close()
        socket.close()
        self.assertEqual([port.stopped for port in reactor.ports], [1])
