"""SIP over UDP (RFC 3261 section 18, RFC 3581)."""

import errno
import struct
from socket import AF_INET, IPPROTO_IP, SOL_SOCKET
from types import SimpleNamespace

from twisted.internet.error import MessageLengthError
from twisted.internet.interfaces import IHalfCloseableDescriptor
from twisted.internet.testing import FakeDatagramTransport
from twisted.trial.unittest import SynchronousTestCase

from tests.support.wire import Recorder, options
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip import udp
from webrtcproxy.transport.sip.icmp import IP_RECVERR


class FakePort(FakeDatagramTransport):
    """A UDP port of some reactor, which shows no socket of a kernel. It may refuse."""

    def __init__(self, host: str = "192.0.2.1", port: int = 5060) -> None:
        super().__init__()
        self.host, self.port = host, port
        self.refusal = None

    def getHost(self):
        return SimpleNamespace(host=self.host, port=self.port)

    def write(self, packet, addr=FakeDatagramTransport.noAddr) -> None:
        if self.refusal is not None:
            raise self.refusal
        super().write(packet, addr)


class FakeSocket(FakePort):
    """A UDP port with a kernel's socket, through which all has to leave."""

    def __init__(self, host: str = "192.0.2.1", port: int = 5060) -> None:
        super().__init__(host, port)
        self.options = []
        self.queued, self.pending, self.events = [], 0, []
        self.socket = SimpleNamespace(
            family=AF_INET,
            setsockopt=lambda *args: self.options.append(args),
            getsockopt=lambda *args: self.take_pending(),
            recvmsg=lambda *args: self.queued.pop(0) if self.queued else self.nothing(),
            sendto=lambda data, address: FakePort.write(self, data, address),
        )

    def take_pending(self) -> int:
        pending, self.pending = self.pending, 0
        return pending

    def nothing(self) -> None:
        raise BlockingIOError(errno.EAGAIN, "nothing there")

    def doRead(self) -> None:
        self.events.append("read")
        if self.refusal is not None:
            raise self.refusal

    def startReading(self) -> None:
        self.events.append("start")

    def connectionLost(self, reason) -> None:
        self.events.append("lost")

    def write(self, packet, addr=FakeDatagramTransport.noAddr) -> None:
        raise AssertionError("sent by the long way")


class UdpCase(SynchronousTestCase):
    """A socket at 192.0.2.1:5060."""

    def setUp(self) -> None:
        self.receiver = Recorder()
        self.transport = self.make()
        self.socket = self.transport.transport

    def make(self, host: str = "192.0.2.1", kind: type[FakePort] = FakeSocket) -> udp.UdpTransport:
        """A socket at this address."""
        transport = udp.UdpTransport(self.receiver, LocalAddresses())
        transport.makeConnection(kind(host))
        return transport

    def deliver(self, data: bytes, source=("198.51.100.9", 40000)) -> list:
        """A datagram; what went out on it: destinations and data."""
        self.socket.written.clear()
        self.transport.datagramReceived(data, source)
        return self.socket.written


class Requests(UdpCase):
    """Requests, and where their responses go."""

    def test_rport(self) -> None:
        """With `rport` the response goes back to where the request came from (RFC 3581 section 4; corners.rst 1:
        Response routing)."""
        ((data, where),) = self.deliver(options("UDP", "10.0.0.1:5070;rport"))
        self.assertEqual(where, ("198.51.100.9", 40000))
        self.assertIn(b";rport=40000;", data)
        self.assertIn(b"received=198.51.100.9", data)

    def test_without_rport(self) -> None:
        """Without, to the source address and the port of the sent-by, 5060 if it has none (RFC 3261 section 18.2.2)."""
        ((_, where),) = self.deliver(options("UDP", "10.0.0.1:5070"))
        self.assertEqual(where, ("198.51.100.9", 5070))
        ((_, where),) = self.deliver(options("UDP", "pbx.invalid"))
        self.assertEqual(where, ("198.51.100.9", 5060))

    def test_peer(self) -> None:
        """Who the peer is says the socket, not the Via."""
        self.deliver(options("UDP", "10.0.0.1:5070"))
        flow = self.receiver.flow
        self.assertEqual(flow.peer, Address("198.51.100.9", 40000))
        self.assertEqual((flow.reliable, flow.browser, flow.via_transport), (False, False, "UDP"))
        self.assertEqual(flow.sent_by, "192.0.2.1:5060")
        self.assertEqual(repr(flow), "<UdpFlow to 198.51.100.9 port 5070>")

    def test_maddr(self) -> None:
        """`maddr` and `ttl` are not followed: they would point us at anybody (corners.rst 1: maddr/ttl)."""
        ((_, where),) = self.deliver(options("UDP", "10.0.0.1;maddr=127.0.0.1;ttl=3"))
        self.assertEqual(where, ("198.51.100.9", 5060))

    def test_bad_request(self) -> None:
        """A broken request is answered by the same rule, with `received`."""
        broken = options("UDP", "10.0.0.1:5070").replace(b"Call-ID: one\r\n", b"")
        ((data, where),) = self.deliver(broken)
        self.assertEqual(where, ("198.51.100.9", 5070))
        self.assertIn(b"SIP/2.0 400 Missing Call-ID", data)
        self.assertIn(b";received=198.51.100.9", data)

    def test_garbage(self) -> None:
        """What can't be answered is not answered."""
        for garbage in (b"hello", b"\xff" * 100, b"SIP/2.0 200 OK\r\n\r\n", b"\0\0\0\1"):
            self.assertEqual(self.deliver(garbage), [])
        self.assertEqual(len(self.receiver.errors), 4)

    def test_keep_alives(self) -> None:
        """Keep-alives of all sorts are no messages (RFC 5626 section 3.5)."""
        for data in (b"", b"\0", b"\r\n", b"\r\n\r\n", b"\0\0\0\0"):
            self.assertEqual(self.deliver(data), [])
        self.assertEqual((self.receiver.messages, self.receiver.errors), ([], []))

    def test_response(self) -> None:
        """A response is handed on as it is."""
        self.deliver(options("UDP").replace(b"OPTIONS sip:a@example.com SIP/2.0", b"SIP/2.0 200 OK"))
        message, flow = self.receiver.messages[0]
        self.assertIsNone(message.via.received)
        self.assertEqual(flow.peer, Address("198.51.100.9", 40000))

    def test_receiver_fails(self) -> None:
        """An internal error is logged; the socket stays."""
        self.receiver.message_received = lambda message, flow: 1 / 0
        self.deliver(options("UDP"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cannot_answer(self) -> None:
        """A response that can't leave raises FlowLost to its sender, and does not reach the reactor."""
        self.socket.refusal = OSError(errno.EPERM, "not permitted")
        self.deliver(options("UDP"))
        self.assertEqual(len(self.flushLoggedErrors(FlowLost)), 1)

    def test_mapped(self) -> None:
        """A dual-stack socket: the peer is IPv4, what is sent goes to the mapped address."""
        self.transport = self.make("::")
        self.socket = self.transport.transport
        ((data, where),) = self.deliver(options("UDP", "127.0.0.1;rport"), ("::ffff:127.0.0.1", 40000))
        self.assertEqual(where, ("::ffff:127.0.0.1", 40000))
        self.assertIn(b"received=127.0.0.1", data)
        self.assertEqual(self.receiver.flow.peer.host, "127.0.0.1")
        self.assertEqual(self.receiver.flow.sent_by, "127.0.0.1:5060")


class Errors(UdpCase):
    """ICMP errors (RFC 3261 section 18.4)."""

    def queue(self, number: int, quoted: bytes = b"INVITE", host: str = "198.51.100.9") -> None:
        """The kernel queues an error."""
        data = struct.pack("=IBBBBII", number, 2, 3, 3, 0, 0, 0)
        self.socket.queued.append((quoted, [(IPPROTO_IP, IP_RECVERR, data)], 0, (host, 5060)))

    def handed_on(self) -> list:
        return [(quoted, host) for quoted, host, _ in self.receiver.undelivered_datagrams]

    def test_asked_for(self) -> None:
        """The kernel is asked for them."""
        self.assertIn((IPPROTO_IP, IP_RECVERR, 1), self.socket.options)

    def test_error_alone(self) -> None:
        """A reactor takes an error without a datagram for the end of the socket: it goes on reading."""
        self.queue(errno.ECONNREFUSED)
        self.assertTrue(IHalfCloseableDescriptor.providedBy(self.socket))
        self.socket.readConnectionLost(None)
        self.socket.writeConnectionLost(None)
        self.assertEqual(self.socket.events, ["start"])
        self.assertEqual(self.handed_on(), [(b"INVITE", "198.51.100.9")])

    def test_no_error(self) -> None:
        """Where there is none, it is the end."""
        self.socket.readConnectionLost(None)
        self.assertEqual(self.socket.events, ["lost"])

    def test_pending_only(self) -> None:
        """An error that is not queued is none of a peer, and the socket goes on."""
        self.socket.pending = errno.ECONNREFUSED
        self.socket.readConnectionLost(None)
        self.assertEqual((self.socket.events, self.handed_on()), (["start"], []))

    def test_error_while_reading(self) -> None:
        """Reading may fail for it; other reactors read without a datagram."""
        for refusal in (OSError(errno.EHOSTUNREACH, "no"), None):
            self.socket.refusal = refusal
            self.queue(errno.EHOSTUNREACH)
            self.socket.doRead()
        self.assertEqual(self.socket.events, ["read", "read"])
        self.assertEqual(len(self.handed_on()), 2)

    def test_others(self) -> None:
        """What says nothing about the peer is taken and ignored: a datagram too long, one that lives too long."""
        self.queue(errno.EMSGSIZE)
        self.socket.queued.append((b"INVITE", [], 0, ("198.51.100.9", 5060)))
        self.socket.readConnectionLost(None)
        self.assertEqual((self.socket.events, self.handed_on(), self.socket.queued), (["start"], [], []))

    def test_mapped(self) -> None:
        """Of a dual-stack socket the address is that of the flow."""
        self.queue(errno.ECONNREFUSED, host="::ffff:198.51.100.9")
        self.socket.readConnectionLost(None)
        self.assertEqual(self.handed_on(), [(b"INVITE", "198.51.100.9")])

    def test_fails(self) -> None:
        """An internal error is logged; the socket stays."""
        self.receiver.undelivered = lambda *args: 1 / 0
        self.queue(errno.ECONNREFUSED)
        self.socket.readConnectionLost(None)
        self.assertEqual(self.socket.events, ["start"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_sending(self) -> None:
        """What is sent to one peer does not fail for the error of another."""
        refusals = [OSError(errno.ECONNREFUSED, "another's"), None]

        def sendto(data: bytes, address: object) -> None:
            refusal = refusals.pop(0)
            if refusal is not None:
                raise refusal

        self.socket.socket.sendto = sendto
        self.transport.flow_to(Address("198.51.100.9", 5060)).send(b"x")
        self.assertEqual(refusals, [])


class Flows(UdpCase):
    """UdpFlow is a value."""

    def test_same(self) -> None:
        """The same destination gives the same flow; a response's flow is the one that its request left by."""
        flow = self.transport.flow_to(Address("198.51.100.9", 5060))
        self.assertIs(self.transport.flow_to(Address("198.51.100.9", 5060)), flow)
        self.assertNotEqual(self.transport.flow_to(Address("198.51.100.9", 5061)), flow)
        self.assertNotEqual(flow, "flow")
        self.deliver(options("UDP").replace(b"OPTIONS sip:a@example.com SIP/2.0", b"SIP/2.0 200 OK"), tuple(flow.peer))
        self.assertIs(self.receiver.flow, flow)

    def test_bounded(self) -> None:
        """A scanner makes nothing grow; a forgotten flow is equal to one made again (row "Stateless storms")."""
        first = self.transport.flow_to(Address("198.51.100.9", 1))
        for port in range(2, udp.FLOWS + 10):
            self.transport.flow_to(Address("198.51.100.9", port))
        self.assertEqual(len(self.transport._flows), udp.FLOWS)
        again = self.transport.flow_to(Address("198.51.100.9", 1))
        self.assertIsNot(again, first)
        self.assertEqual((again, hash(again)), (first, hash(first)))

    def test_nothing_to_lose(self) -> None:
        """`on_lost` and `close` do nothing."""
        flow = self.transport.flow_to(Address("198.51.100.9", 5060))
        flow.on_lost(self.fail)()
        flow.close()
        self.assertFalse(flow.closed)
        flow.send(b"x")

    def test_refusals(self) -> None:
        """Whatever keeps a datagram from leaving is FlowLost, as on a connection, and passes."""
        flow = self.transport.flow_to(Address("198.51.100.9", 5060))
        codes = (errno.EAGAIN, errno.EPERM, errno.ENETUNREACH, errno.EINVAL, errno.ENOBUFS, errno.EMSGSIZE)
        for refusal in (*(OSError(code, "no") for code in codes), OverflowError("no port"), ValueError("NUL")):
            self.socket.refusal = refusal
            self.assertRaises(FlowLost, flow.send, b"x")
        self.socket.refusal = None
        flow.send(b"x")
        self.assertEqual(self.socket.written, [(b"x", ("198.51.100.9", 5060))])

    def test_without_a_kernel(self) -> None:
        """A reactor that shows no socket sends by itself; what keeps it from that is FlowLost as well."""
        transport = self.make(kind=FakePort)
        port = transport.transport
        flow = transport.flow_to(Address("198.51.100.9", 5060))
        for refusal in (OSError(errno.EPERM, "no"), MessageLengthError("too long"), ValueError("no IP")):
            port.refusal = refusal
            self.assertRaises(FlowLost, flow.send, b"x")
        port.refusal = None
        flow.send(b"x")
        self.assertEqual(port.written, [(b"x", ("198.51.100.9", 5060))])

    def test_closed(self) -> None:
        """Once the socket is closed, so are its flows."""
        flow = self.transport.flow_to(Address("198.51.100.9", 5060))
        stopped = []
        self.transport.stopped = lambda: stopped.append(True)
        self.transport.stopProtocol()
        self.assertTrue(flow.closed)
        self.assertRaises(FlowLost, flow.send, b"x")
        self.assertEqual(stopped, [True])

    def test_connection_refused(self) -> None:
        """ICMP errors stop nothing."""
        self.transport.connectionRefused()
        self.assertFalse(self.transport.closed)

    def test_buffers(self) -> None:
        """The kernel is asked for buffers that stand a burst."""
        self.assertEqual({args[2] for args in self.socket.options if args[0] == SOL_SOCKET}, {udp.RECEIVE_BUFFER})
