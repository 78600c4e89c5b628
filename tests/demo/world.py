"""The demo in memory: its core on the real transaction layer, a clock, flows that record, RTP sockets of no kernel."""

from __future__ import annotations

from twisted.internet.error import CannotListenError
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.demo.core import Demo
from webrtcproxy.demo.guard import Guard
from webrtcproxy.demo.rtp import RtpPorts
from webrtcproxy.sip.authentication import parse_challenges
from webrtcproxy.sip.digest import authorize
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.layer import Transactions

DOMAIN = "192.0.2.1:5070"
SDP = b"v=0\r\no=- 1 1 IN IP4 198.51.100.1\r\ns=-\r\nc=IN IP4 198.51.100.1\r\nt=0 0\r\nm=audio 30000 RTP/AVP 0 101\r\n"


class FakePort:
    """A listening UDP port."""

    def __init__(self, protocol: DatagramProtocol) -> None:
        self.protocol = protocol
        self.stopped = 0

    def stopListening(self) -> None:
        self.stopped += 1


class FakeReactor:
    """Opens UDP ports; those below `free` are taken."""

    def __init__(self, free: int = 0) -> None:
        self.free = free
        self.tried: list[int] = []
        self.ports: list[FakePort] = []

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> FakePort:
        self.tried.append(port)
        if port < self.free:
            raise CannotListenError(interface, port, OSError("in use"))
        self.ports.append(FakePort(protocol))
        return self.ports[-1]

    @property
    def open_ports(self) -> list[FakePort]:
        return [port for port in self.ports if not port.stopped]


def answered(asked: Request, challenged: Response, name: str, password: str = "demo", index: int = 0) -> Request:
    """`asked` once more, with credentials for the challenge of that index, CSeq + 1 (RFC 3261 section 22.2)."""
    at_proxy = challenged.status == 407
    lines = challenged.headers.lines("Proxy-Authenticate" if at_proxy else "WWW-Authenticate")
    challenge = parse_challenges(lines)[index]
    again = Request(asked.method, asked.uri, asked.headers.copy(), asked.body)
    again.headers.set("CSeq", f"{asked.cseq.number + 1} {asked.method}")
    again.headers.set("Via", f"SIP/2.0/UDP 198.51.100.1:5060;branch=z9hG4bK{asked.cseq.number}{asked.call_id}")
    credentials = authorize(challenge, asked.method, asked.uri, name, password, body=asked.body)
    again.headers.set("Proxy-Authorization" if at_proxy else "Authorization", str(credentials))
    return again


class DemoCase(SynchronousTestCase):
    """A demo at 192.0.2.1 port 5070, and `flow`, a peer of it."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.reactor = FakeReactor()
        self.transactions = Transactions(self.clock)
        self.demo = Demo(
            self.clock,
            self.transactions,
            RtpPorts(self.reactor, "192.0.2.1", (24000, 25998)),
            Guard(self.clock, "demo", "demo"),
            [("192.0.2.1", 5070), ("demo.test", None)],
        )
        self.transactions.user = self.demo
        self.flow = FakeFlow.udp(sent_by=DOMAIN)
        self.addCleanup(self.assertEqual, self.flushLoggedErrors(), [])

    def ask(self, asked: Request, flow: FakeFlow | None = None) -> list[int | str]:
        """Deliver a message; what was sent to its flow because of that."""
        flow = flow or self.flow
        before = len(flow.sent)
        self.transactions.message_received(asked, flow)
        return flow.summary[before:]

    def prove(self, asked: Request, name: str = "alice", flow: FakeFlow | None = None) -> list[int | str]:
        """Deliver a request, and again with the right password."""
        flow = flow or self.flow
        self.ask(asked, flow)
        challenged = flow.last_response
        assert challenged.status in (401, 407), challenged
        if challenged.status == 407:
            self.acknowledge(asked, challenged, flow)
        return self.ask(answered(asked, challenged, name), flow)

    def acknowledge(self, invite: Request, final: Response, flow: FakeFlow | None = None) -> None:
        """The ACK of a non-2xx."""
        ack = Request("ACK", invite.uri)
        for name in ("Via", "From", "Call-ID"):
            ack.headers.add(name, invite.headers.get(name) or "")
        ack.headers.add("To", final.headers.get("To") or "")
        ack.headers.add("CSeq", f"{invite.cseq.number} ACK")
        self.transactions.message_received(ack, flow or self.flow)

    def register(self, name: str, flow: FakeFlow | None = None, *, user: str = "", **more: object) -> list[int | str]:
        """Register `name` with a contact behind `flow`."""
        flow = flow or self.flow
        contact = f"<sip:{user or name}@{flow.peer.host}:{flow.peer.port}>"
        return self.prove(registration(name, **{"contact": contact, **more}), name, flow)

    def at_rest(self) -> None:
        """Time passes until all transactions are over: nothing is left, nothing is due."""
        self.clock.advance(200)
        self.clock.advance(200)
        self.assertEqual(len(self.transactions), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.reactor.open_ports, [])


def registration(name: str, **more: object) -> Request:
    """A REGISTER."""
    aor = f"<sip:{name}@{DOMAIN}>"
    return request("REGISTER", f"sip:{DOMAIN}", **{"from_": aor, "to": aor, **more})  # type: ignore[arg-type]


def invitation(name: str, **more: object) -> Request:
    """An INVITE from alice."""
    given = {"from_": f"<sip:alice@{DOMAIN}>", "to": f"<sip:{name}@{DOMAIN}>", "body": SDP, **more}
    return request("INVITE", f"sip:{name}@{DOMAIN}", **given)  # type: ignore[arg-type]
