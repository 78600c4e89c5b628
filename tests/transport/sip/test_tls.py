"""SIP over TLS (RFC 3261 section 26.3, RFC 5922): real connections on loopback, with certificates of our own."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, PrivateCertificate, trustRootFromCertificates
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, capturedLogs, formatEvent
from twisted.trial.unittest import TestCase

from tests.support.authority import Authority
from tests.support.wire import Recorder, options
from tests.transport.sip.test_sockets import Waiting
from webrtcproxy.config import ClientTls, HostPort, Trunk
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.flow import Address, Flow
from webrtcproxy.transport.sip import tls, trunk_tls
from webrtcproxy.transport.sip.sockets import SipSockets
from webrtcproxy.transport.sip.tcp import TcpFlow
from webrtcproxy.transport.sip.trunk_tls import TrunkTls


class Case(TestCase):
    """Two of us: one calls, the other is the trunk."""

    timeout = 20

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.authority = Authority(self.folder)

    def start(
        self, receiver: Recorder, names: tuple[str, ...], trunk_tls: TrunkTls | None = None, expired: bool = False
    ) -> SipSockets:
        """One that listens with a certificate for these names."""
        key, certificate = self.authority.issue(*names, expired=expired)
        line = f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}"
        found = SipSockets(reactor, receiver, [line], trunk_tls=trunk_tls)
        found.startService()
        self.addCleanup(found.stopService)
        return found

    def trusting(self, domain: str, **tls: Any) -> TrunkTls:
        """What a trunk section for `domain` says; the authority is the tests' own where nothing else is said."""
        return TrunkTls([Trunk("x", domain, tls=ClientTls(**{"ca": self.authority.file, **tls}))])

    def both(self, *names: str, trunk_tls: TrunkTls | None = None, expired: bool = False) -> None:
        """Start both; the trunk has a certificate for `names`."""
        self.here, self.there = Waiting(), Waiting()
        self.trunk = self.start(self.there, names, expired=expired)
        self.place = self.trunk.addresses[0][1]
        self.ours = self.start(self.here, ("proxy.test",), trunk_tls or self.trusting("pbx.test"))

    async def lost(self, flow: Flow) -> list[str]:
        """Send what does not arrive; returns the log until the flow is lost."""
        events: list[LogEvent]
        gone: Deferred[None] = Deferred()
        flow.on_lost(lambda: gone.callback(None))
        with capturedLogs() as events:
            flow.send(options("TLS"))
            await gone
        self.assertEqual(self.there.messages, [])
        self.assertRaises(FlowLost, flow.send, b"x")
        return [formatEvent(event) for event in events]


class Calling(Case):
    """Connections that we open."""

    async def test_certificate_is_good(self) -> None:
        """The certificate names the domain: messages pass both ways, over one connection, with TLS in Via."""
        self.both("pbx.test")
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        self.assertEqual((flow.via_transport, flow.reliable, flow.browser), ("TLS", True, False))
        self.assertEqual(flow.sent_by, "{}:{}".format(*self.ours.addresses[0][1]))
        answers = self.here.next()
        flow.send(options("TLS"))
        response, _ = await answers
        self.assertEqual(response.status, 200)
        self.assertIs(self.ours.flow_to("tls", self.place, "pbx.test"), flow)
        answers = self.here.next()
        flow.send(options("TLS"))
        await answers
        self.assertEqual(len({id(each) for _, each in self.there.messages}), 1)

    async def test_another_name(self) -> None:
        """The certificate is another's: nothing is sent, and the log says of whom and why."""
        self.both("other.test")
        told = await self.lost(self.ours.flow_to("tls", self.place, "pbx.test"))
        self.assertTrue(any("No TLS with pbx.test" in line and "does not name pbx.test" in line for line in told), told)

    async def test_unknown_authority(self) -> None:
        """No authority that we trust has signed it."""
        other = Authority(self.folder, "other")
        self.both("pbx.test", trunk_tls=self.trusting("pbx.test", ca=other.file))
        told = await self.lost(self.ours.flow_to("tls", self.place, "pbx.test"))
        self.assertTrue(any("No TLS with pbx.test" in line and "verify failed" in line for line in told), told)
        self.both("pbx.test", trunk_tls=TrunkTls())  # whom the system believes
        await self.lost(self.ours.flow_to("tls", self.place, "pbx.test"))

    async def test_beside_another_trunk(self) -> None:
        """A trunk at the same server that is reached over UDP has nothing to say about TLS, whichever stands first."""
        tls = ClientTls(ca=self.authority.file)
        sections = [Trunk("x", "pbx.test", 5080, transport="udp"), Trunk("y", "pbx.test", transport="tls", tls=tls)]
        for trunks in (sections, sections[::-1]):
            self.both("pbx.test", trunk_tls=TrunkTls(trunks))
            answers = self.here.next()
            self.ours.flow_to("tls", self.place, "pbx.test").send(options("TLS"))
            await answers

    async def test_by_a_contact(self) -> None:
        """A section with a port and no transport is called by UDP; what it says of TLS counts where a Contact leads
        there (field.rst K: Transport of the target)."""
        for beside in ([], [Trunk("y", "pbx.test", 5070)]):
            trunk = Trunk("x", "pbx.test", 5080, tls=ClientTls(ca=self.authority.file))
            self.both("pbx.test", trunk_tls=TrunkTls([trunk, *beside]))
            answers = self.here.next()
            self.ours.flow_to("tls", self.place, "pbx.test").send(options("TLS"))
            await answers

    async def test_expired(self) -> None:
        """The certificate was good until yesterday."""
        self.both("pbx.test", expired=True)
        told = await self.lost(self.ours.flow_to("tls", self.place, "pbx.test"))
        self.assertTrue(any("No TLS with pbx.test" in line and "verify failed" in line for line in told), told)

    async def test_address(self) -> None:
        """A trunk that is configured by its address has this in its certificate."""
        self.both("127.0.0.1", trunk_tls=self.trusting("127.0.0.1"))
        answers = self.here.next()
        self.ours.flow_to("tls", self.place, "127.0.0.1").send(options("TLS"))
        await answers
        self.both("pbx.test", trunk_tls=self.trusting("127.0.0.1"))
        await self.lost(self.ours.flow_to("tls", self.place, "127.0.0.1"))

    async def test_address_within_a_dialog(self) -> None:
        """A Contact names the trunk by its address, which its certificate does not have: the domain counts that led
        there before, and the connection is the same."""
        self.both("pbx.test")
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        answers = self.here.next()
        flow.send(options("TLS"))
        await answers
        self.assertIs(self.ours.flow_to("tls", self.place, "127.0.0.1"), flow)
        self.assertIs(self.ours.flow_to("tls", self.place), flow)

    async def test_names_of_one_trunk(self) -> None:
        """A trunk has several proxies, and one of their names has been authenticated at an address: that connection
        serves the trunk's dialogs; another trunk's name has to be authenticated again."""
        proxies = (HostPort("one.test", None), HostPort("two.test", None))
        trunks = [Trunk("x", "x.test", proxy=proxies, transport="tls", tls=ClientTls(ca=self.authority.file))]
        self.both("two.test", trunk_tls=TrunkTls([*trunks, Trunk("y", "y.test", transport="tls")]))
        flow = self.ours.flow_to("tls", self.place, "two.test")
        answers = self.here.next()
        flow.send(options("TLS"))
        await answers
        self.assertIs(self.ours.flow_to("tls", self.place, "one.test"), flow)
        self.assertIsNot(self.ours.flow_to("tls", self.place, "y.test"), flow)

    async def test_address_of_a_caller(self) -> None:
        """That a trunk has called us, over a connection of its own, says nothing of which domain it is."""
        self.both("pbx.test")
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        answers = self.here.next()
        flow.send(options("TLS"))
        await answers
        calling = self.start(Waiting(), ("caller.test",), self.trusting("proxy.test"))
        arrives = self.here.next()
        calling.flow_to("tls", self.ours.addresses[0][1], "proxy.test").send(options("TLS"))
        await arrives
        self.assertIs(self.ours.flow_to("tls", self.place, "127.0.0.1"), flow)

    async def test_stays(self) -> None:
        """The time for the handshake is not that of the connection."""
        self.patch(tls, "CONNECT", 0.1)
        self.both("pbx.test")
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        for _ in range(2):
            answers = self.here.next()
            flow.send(options("TLS"))
            await answers
            await deferLater(reactor, 0.15)
        self.assertIs(self.ours.flow_to("tls", self.place, "pbx.test"), flow)

    async def test_bounded(self) -> None:
        """Whoever chooses where we call does not fill the memory with names and addresses."""
        self.patch(tls, "DOMAINS", 4)
        self.patch(trunk_tls, "MAX_DOMAINS", 4)
        self.both("pbx.test")
        ((_, transport),) = self.ours._sockets
        assert isinstance(transport, tls.TlsTransport)
        for number in range(9):
            transport.authenticated(TcpFlow(reactor, Address(f"192.0.2.{number}", 5061), "x", domain="x.test"))
        self.assertLessEqual(len(transport._domains), 4)
        believes = TrunkTls()
        for number in range(9):
            believes.creator(f"x{number}.test")
        self.assertLessEqual(len(believes._creators), 4)

    async def test_domains_are_apart(self) -> None:
        """A connection to one domain is not for another at the same place; who asks for one that is not there does not
        change which domain that is."""
        self.both("pbx.test")
        answers = self.here.next()
        self.ours.flow_to("tls", self.place, "pbx.test").send(options("TLS"))
        await answers
        before = len(self.there.messages)
        flow = self.ours.flow_to("tls", self.place, "evil.test")
        gone: Deferred[None] = Deferred()
        flow.on_lost(lambda: gone.callback(None))
        flow.send(options("TLS"))
        await gone
        self.assertEqual(len(self.there.messages), before)
        answers = self.here.next()
        self.ours.flow_to("tls", self.place, "127.0.0.1").send(options("TLS"))
        await answers

    async def test_files_change(self) -> None:
        """New authorities count from the next connection on; where the file is gone, those that were read before do."""
        other = Authority(self.folder, "other")
        file = self.folder / "ca.pem"
        file.write_bytes(other.file.read_bytes())
        self.both("pbx.test", trunk_tls=self.trusting("pbx.test", ca=file))
        await self.lost(self.ours.flow_to("tls", self.place, "pbx.test"))
        file.write_bytes(other.file.read_bytes() + self.authority.file.read_bytes())
        answers = self.here.next()
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        flow.send(options("TLS"))
        await answers
        flow.close()
        self.there.messages.clear()
        file.unlink()
        answers = self.here.next()
        self.ours.flow_to("tls", self.place, "pbx.test").send(options("TLS"))
        await answers

    async def test_gone_without_a_word(self) -> None:
        """The kernel looks on both sides whether the peer is there still: idle for a minute, or without an
        acknowledgement of what was sent for half a minute."""
        self.both("pbx.test")
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        answers = self.here.next()
        flow.send(options("TLS"))
        await answers
        for each in (flow, self.there.messages[0][1]):
            kernel = each._protocol.transport.socket  # type: ignore[attr-defined]
            self.assertTrue(kernel.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))
            told = [
                kernel.getsockopt(socket.IPPROTO_TCP, option)
                for option in (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_USER_TIMEOUT)
            ]
            self.assertEqual(told, [60, 10, 30_000])

    async def test_own_certificate(self) -> None:
        """Where the trunk asks for our certificate, it gets the one of its section (mutual TLS)."""
        heard: Deferred[bytes] = Deferred()

        class Asking(Protocol):
            def dataReceived(self, data: bytes) -> None:
                if not heard.called:
                    heard.callback(data)

        key, certificate = self.authority.issue("pbx.test")
        pair = PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes())
        root = Certificate.loadPEM(self.authority.file.read_bytes())
        asking = CertificateOptions(
            pair.privateKey.original, pair.original, trustRoot=trustRootFromCertificates([root])
        )
        port = reactor.listenSSL(0, Factory.forProtocol(Asking), asking, interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        place = Address("127.0.0.1", port.getHost().port)
        self.both("unused.test")
        await self.lost(self.ours.flow_to("tls", place, "pbx.test"))
        key, certificate = self.authority.issue("proxy.test")
        ours = self.start(Waiting(), ("proxy.test",), self.trusting("pbx.test", certificate=certificate, key=key))
        ours.flow_to("tls", place, "pbx.test").send(options("TLS"))
        self.assertIn(b"OPTIONS", await heard)

    async def test_handshake_timed_out(self) -> None:
        """One that takes the connection and says nothing is cut: its time is that of a connection that is being
        made."""
        self.patch(tls, "CONNECT", 0.1)
        port = reactor.listenTCP(0, Factory.forProtocol(Protocol), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        self.both("pbx.test")
        told = await self.lost(self.ours.flow_to("tls", Address("127.0.0.1", port.getHost().port), "pbx.test"))
        self.assertTrue(any("no handshake" in line for line in told), told)
        await deferLater(reactor, 0.01)

    async def test_nobody(self) -> None:
        """There is no listener."""
        self.both("pbx.test")
        await self.trunk.stopService()
        told = await self.lost(self.ours.flow_to("tls", self.place, "pbx.test"))
        self.assertTrue(any("was not made" in line for line in told), told)

    def test_no_socket(self) -> None:
        """Without a ``tls:`` line there is no way out."""
        found = SipSockets(reactor, Waiting(), ["udp:0:interface=127.0.0.1"])
        found.startService()
        self.addCleanup(found.stopService)
        self.assertRaises(FlowLost, found.flow_to, "tls", Address("127.0.0.1", 5061), "pbx.test")


class Called(Case):
    """Connections that peers open."""

    async def test_request(self) -> None:
        """A request is answered on its connection; a peer whose handshake fails disturbs no other."""
        self.both("pbx.test")
        noise = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.place.port), Protocol())
        noise.transport.write(b"OPTIONS sip:x SIP/2.0\r\n\r\n" * 9)
        await deferLater(reactor, 0.05)
        noise.transport.abortConnection()
        arrives = self.there.next()
        self.ours.flow_to("tls", self.place, "pbx.test").send(options("TLS", "proxy.test"))
        request, flow = await arrives
        self.assertEqual((request.method, flow.via_transport), ("OPTIONS", "TLS"))
        self.assertEqual(request.via.received, "127.0.0.1")
        flow.send(options("TLS"))
        message, _ = await self.here.next()
        self.assertIsNotNone(message)

    async def test_handshake_timed_out(self) -> None:
        """One that connects and never shakes hands, or stops in the middle of it, is cut."""
        self.patch(tls, "CONNECT", 0.1)
        self.both("pbx.test")
        for said in (b"", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"):  # the beginning of a ClientHello
            cut: Deferred[None] = Deferred()

            class Silent(Protocol):
                def connectionLost(self, reason: object = None, cut: Deferred[None] = cut) -> None:
                    cut.callback(None)

            peer = await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", self.place.port), Silent())
            peer.transport.write(said)
            await cut

    async def test_long_message(self) -> None:
        """A message that is longer than any may be ends its connection, as without TLS; who sent it learns why."""
        self.both("pbx.test")
        flow = self.ours.flow_to("tls", self.place, "pbx.test")
        gone: Deferred[None] = Deferred()
        flow.on_lost(lambda: gone.callback(None))
        long = options("TLS").replace(b"Content-Length: 0", b"Content-Length: 200000")
        self.assertIn(b"200000", long)
        flow.send(long + b"x" * 200_000)
        await gone
        self.assertEqual([message.status for message, _ in self.here.messages], [513])
        self.assertEqual((len(self.there.errors), self.there.messages), (1, []))
