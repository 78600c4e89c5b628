"""The SIP sockets together: listen lines, the choice of a socket, real datagrams and connections on loopback."""

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.error import CannotListenError
from twisted.internet.task import deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.phones import UdpPhone
from tests.support.wire import Recorder, options
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Address
from webrtcproxy.transport.sip import sockets
from webrtcproxy.transport.sip.sockets import Listen, SipSockets


class Lines(SynchronousTestCase):
    """``[sip] listen``."""

    def test_lines(self) -> None:
        """A port, with or without an interface; IPv6 with its colons escaped."""
        for line, parsed in (
            ("udp:5060", ("udp", 5060, "", ())),
            ("tcp:0:interface=127.0.0.1", ("tcp", 0, "127.0.0.1", ())),
            ("udp:5060:interface=\\:\\:1", ("udp", 5060, "::1", ())),
            ("tls:5061:privateKey=/a\\:b:certKey=/c", ("tls", 5061, "", (("privateKey", "/a:b"), ("certKey", "/c")))),
        ):
            self.assertEqual(Listen.parse(line), parsed)

    def test_mistakes(self) -> None:
        """All else is no line."""
        for line in (
            "udp",
            "udp:",
            "udp:x",
            "sctp:5060",
            "udp:5060:iface=x",
            "udp:5060:interface",
            "",
            "udp:-1",
            "tcp:1:certKey=x",
        ):
            self.assertRaises(ValueError, Listen.parse, line)


class Waiting(Recorder):
    """A Receiver that can be waited for."""

    def __init__(self) -> None:
        super().__init__()
        self._waiting: list[Deferred] = []

    def message_received(self, message, flow) -> None:
        super().message_received(message, flow)
        if self._waiting:
            self._waiting.pop(0).callback((message, flow))

    def next(self) -> Deferred:
        """Fires with the next message and its flow."""
        waiting: Deferred = Deferred()
        self._waiting.append(waiting)
        return waiting


class Loopback(TestCase):
    """Real sockets."""

    timeout = 10

    def start(self, *lines: str, **kwargs) -> SipSockets:
        """Sockets on these lines."""
        self.receiver = Waiting()
        found = SipSockets(reactor, self.receiver, lines, **kwargs)
        found.startService()
        self.addCleanup(found.stopService)
        return found

    def phone(self, interface: str = "127.0.0.1") -> UdpPhone:
        """Somebody else's UDP socket."""
        phone = UdpPhone.listen(reactor, interface)
        self.addCleanup(phone.close)
        return phone

    async def test_udp(self) -> None:
        """A request with `rport` from any port is answered there, from the port that it was sent to (RFC 3581)."""
        ours = self.start("udp:0:interface=127.0.0.1").addresses[0][1]
        phone = self.phone()
        phone.send(options("UDP", "x.invalid;rport"), ours)
        data, source = await phone.receive_raw()
        self.assertEqual(source, ours)
        self.assertIn(f"rport={phone.address.port}".encode(), data)

    async def test_large_datagram(self) -> None:
        """A datagram of 60 KB arrives whole: Twisted would cut it at 8 KB."""
        ours = self.start("udp:0:interface=127.0.0.1").addresses[0][1]
        phone = self.phone()
        body = b"x" * 60000
        head = options("UDP", "x.invalid;rport").replace(b"Content-Length: 0", b"Content-Length: 60000")
        phone.send(head + body, ours)
        answer = await phone.receive()
        self.assertEqual(answer.status, 200)
        self.assertEqual(self.receiver.messages[0][0].body, body)

    async def test_icmp(self) -> None:
        """Sending to a closed port stops nothing: the next datagrams pass both ways."""
        found = self.start("udp:0:interface=127.0.0.1")
        closed = UdpPhone.listen(reactor)
        nobody = closed.address
        await closed.close()
        flow = found.flow_to("udp", nobody)
        for _ in range(3):
            flow.send(b"anybody?")
            await deferLater(reactor, 0.01)
        phone = self.phone()
        phone.send(options("UDP", "x.invalid;rport"), found.addresses[0][1])
        self.assertEqual((await phone.receive()).status, 200)

    def test_too_long(self) -> None:
        """A message that no datagram holds is FlowLost."""
        flow = self.start("udp:0:interface=127.0.0.1").flow_to("udp", Address("127.0.0.1", 9))
        self.assertRaises(FlowLost, flow.send, b"x" * 70000)
        self.assertRaises(FlowLost, self.start("udp:0").flow_to("udp", Address("127.0.0.1", 0)).send, b"x")

    async def test_ipv6(self) -> None:
        """The same over IPv6; our name has brackets."""
        found = self.start("udp:0:interface=\\:\\:1")
        phone = self.phone("::1")
        found.flow_to("udp", phone.address).send(options("UDP"))
        self.assertIsInstance(await phone.receive(), Request)
        phone.send(options("UDP", "[::1];rport"), found.addresses[0][1])
        await phone.receive_raw()
        self.assertEqual(self.receiver.flow.sent_by, f"[::1]:{found.addresses[0][1].port}")

    async def test_tcp_both_ways(self) -> None:
        """Our connection carries the request out and the response back; its sent-by is our listener's."""
        there = self.start("tcp:0:interface=127.0.0.1")
        here = self.start("tcp:0:interface=127.0.0.1")
        flow = here.flow_to("tcp", there.addresses[0][1])
        answered = self.receiver.next()
        flow.send(options("TCP", flow.sent_by))
        message, by = await answered
        self.assertIsInstance(message, Response)
        self.assertIs(by, flow)
        self.assertEqual(flow.sent_by, "127.0.0.1:" + str(here.addresses[0][1].port))

    async def test_cut(self) -> None:
        """The connections of strangers in a banned network are cut, at the sockets that have connections."""
        there = self.start("udp:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1", knows=lambda host: False)
        here = self.start("tcp:0:interface=127.0.0.1")
        address = next(address for kind, address in there.addresses if kind == "tcp")
        flow, lost = here.flow_to("tcp", address), Deferred()
        flow.on_lost(lambda: lost.callback(None))
        answered = self.receiver.next()
        flow.send(options("TCP", flow.sent_by))
        await answered
        there.cut("192.0.2.1")
        self.assertFalse(flow.closed)
        there.cut("127.0.0.1")
        await lost
        self.assertTrue(flow.closed)

    async def test_tcp_refused(self) -> None:
        """No listener: `on_lost`, and FlowLost."""
        found = self.start("tcp:0:interface=127.0.0.1")
        other = SipSockets(reactor, Recorder(), ["tcp:0:interface=127.0.0.1"])
        other.startService()
        nobody = other.addresses[0][1]
        await other.stopService()
        flow, lost = found.flow_to("tcp", nobody), Deferred()
        flow.on_lost(lambda: lost.callback(None))
        flow.send(b"x")
        await lost
        self.assertRaises(FlowLost, flow.send, b"x")

    async def test_stop(self) -> None:
        """Stopping closes connections on both sides and frees the ports; flows are closed."""
        there = self.start("tcp:0:interface=127.0.0.1")
        answered = self.receiver.next()
        here = self.start("tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1")
        kind, address = here.addresses[0]
        flow = here.flow_to(kind, there.addresses[0][1])
        udp_flow = here.flow_to("udp", Address("127.0.0.1", 9))
        flow.send(options("TCP"))
        await answered
        await here.stopService()
        self.assertTrue(flow.closed)
        self.assertRaises(FlowLost, udp_flow.send, b"x")
        self.assertRaises(FlowLost, here.flow_to, "udp", Address("127.0.0.1", 9))
        again = self.start(f"tcp:{address.port}:interface=127.0.0.1")
        self.assertEqual(again.addresses[0][1], address)

    async def test_choice(self) -> None:
        """The socket is chosen by transport and family; towards loopback one that is bound there."""
        found = self.start("udp:0", "udp:0:interface=127.0.0.1", "tcp:0:interface=127.0.0.1", "udp:0:interface=\\:\\:1")
        wildcard, loopback, _, six = (address for _, address in found.addresses)
        port = {4: str(wildcard.port), 6: str(six.port)}
        self.assertTrue(found.flow_to("udp", Address("127.0.0.1", 9)).sent_by.endswith(port[4]))
        self.assertEqual(found.flow_to("udp", Address("::1", 9)).sent_by, f"[::1]:{port[6]}")
        self.assertRaises(FlowLost, found.flow_to, "tcp", Address("::1", 9))
        self.assertRaises(FlowLost, found.flow_to, "tls", Address("127.0.0.1", 9))
        found = self.start("udp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.2", advertise="203.0.113.7")
        self.assertTrue(found.flow_to("udp", Address("198.51.100.1", 9)).sent_by.startswith("203.0.113.7:"))
        self.assertIsNot(loopback, wildcard)

    async def test_choice_is_kept(self) -> None:
        """What was chosen for one address is chosen for others of its kind, by transport, family and loopback; when the
        sockets change, it is chosen again."""
        self.patch(sockets, "RELISTEN", 0.01)
        found = self.start("udp:0:interface=127.0.0.2", "udp:0", "tcp:0", "udp:0:interface=\\:\\:1")
        other, wildcard, tcp, six = (address.port for _, address in found.addresses)
        for transport, host, port in (
            ("udp", "127.0.0.1", other),
            ("udp", "198.51.100.1", wildcard),
            ("udp", "::1", six),
            ("tcp", "127.0.0.1", tcp),
            ("udp", "127.0.0.9", other),
            ("udp", "198.51.100.2", wildcard),
            ("udp", "2001:db8::1", six),
        ):
            for _ in range(2):
                self.assertTrue(
                    found.flow_to(transport, Address(host, 9)).sent_by.endswith(f":{port}"), (transport, host)
                )
        found._ports[0].connectionLost()
        self.assertTrue(found.flow_to("udp", Address("127.0.0.1", 9)).sent_by.endswith(f":{wildcard}"))
        while len(found.addresses) < 4:
            await deferLater(reactor, 0.01)
        self.assertFalse(found.flow_to("udp", Address("127.0.0.1", 9)).closed)
        await found.stopService()
        self.assertRaises(FlowLost, found.flow_to, "udp", Address("127.0.0.1", 9))

    async def test_broken_socket(self) -> None:
        """A UDP socket that the kernel takes away is opened again on its port."""
        self.patch(sockets, "RELISTEN", 0.01)
        found = self.start("udp:0:interface=127.0.0.1")
        before = found.addresses
        found._ports[0].connectionLost()
        self.assertEqual(found.addresses, [])
        while not found.addresses:
            await deferLater(reactor, 0.01)
        self.assertEqual(found.addresses, before)
        phone = self.phone()
        phone.send(options("UDP", "x.invalid;rport"), before[0][1])
        self.assertEqual((await phone.receive()).status, 200)

    async def test_stays_broken(self) -> None:
        """It is tried again until it works, or the service stops."""
        self.patch(sockets, "RELISTEN", 0.01)
        found = self.start("udp:0:interface=127.0.0.1")
        address = found.addresses[0][1]
        found._ports[0].connectionLost()
        squatter = UdpPhone.listen(reactor, "127.0.0.1", address.port)
        tries = 0
        while tries < 2:
            await deferLater(reactor, 0.01)
            tries += len(self.flushLoggedErrors())
        self.assertEqual(found.addresses, [])
        await found.stopService()
        await squatter.close()
        await deferLater(reactor, 0.03)
        self.assertEqual(found.addresses, [])

    def test_port_taken(self) -> None:
        """A port that is taken fails the start."""
        found = self.start("udp:0:interface=127.0.0.1")
        port = found.addresses[0][1].port
        other = SipSockets(reactor, Recorder(), [f"udp:{port}:interface=127.0.0.1"])
        self.assertRaises(CannotListenError, other.privilegedStartService)
