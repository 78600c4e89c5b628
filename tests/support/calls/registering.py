"""A registrar between browsers and an upstream that the test plays; REGISTERs as the two libraries send them."""

from __future__ import annotations

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import PBX, config
from tests.support.fakes import FakeFlow
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.config import BansConfig, Destinations, Trunk
from webrtcproxy.registration.binding import Binding, contact_user_of
from webrtcproxy.registration.local_directory import LocalDirectory
from webrtcproxy.registration.location import Location
from webrtcproxy.registration.register_transaction import RegisterTransaction
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.routing.policy import Policy
from webrtcproxy.routing.sequence import RequestSequences
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Message, Request, Response, read, respond
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Address, Flow, Hop

ALICE = "alice@pbx.example.com"
TOKEN = contact_user_of(ALICE)
OURS = f"sip:{TOKEN}@203.0.113.7:5060"
REGISTRAR = "192.0.2.1"

JSSIP = '<sip:8h2kq0aa@qb1x2c3d4e5f.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:8f4b>"'
SIPJS = '<sip:q1w2e3r4@u7i8o9p0.invalid;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:0c6a-11>"'


def register_request(
    *contacts: str,
    expires: int | None = None,
    user: str = "alice",
    domain: str = "pbx.example.com",
    uri: str = "sip:pbx.example.com",
    call_id: str = "cid1",
    cseq: int = 1,
    more: tuple[str, ...] = (),
    body: str = "",
) -> Request:
    """A REGISTER as a browser sends it; each `cseq` has a From tag of its own, as with JsSIP."""
    lines = [
        f"REGISTER {uri} SIP/2.0",
        f"Via: SIP/2.0/WSS x.invalid;branch=z9hG4bK{call_id}{cseq}",
        "Max-Forwards: 69",
        f'From: "Alice A." <sip:{user}@{domain}>;tag=t{cseq}',
        f"To: <sip:{user}@{domain}>",
        f"Call-ID: {call_id}",
        f"CSeq: {cseq} REGISTER",
        *(f"Contact: {contact}" for contact in contacts),
        *(() if expires is None else (f"Expires: {expires}",)),
        "Supported: path,gruu,outbound",
        "Allow: INVITE,ACK,CANCEL,BYE",
        "User-Agent: JsSIP 3.10.1",
        *more,
        f"Content-Length: {len(body)}",
    ]
    request = read("\r\n".join([*lines, "", body]).encode("utf-8", "surrogateescape"))
    assert isinstance(request, Request)
    return request


def jssip_expires(response: Response, instance: str, user: str) -> int | None:
    """How long JsSIP takes itself to be registered by this 200; None where it ignores it (Registrator.js)."""
    contacts = [NameAddr.parse(value) for value in response.headers.all("Contact")]
    mine = [c for c in contacts if c.param("+sip.instance") == instance and c.param("reg-id") == "1"]
    mine = mine or [contact for contact in contacts if contact.address.user == user]
    return int(mine[0].param("expires") or -1) if mine else None


def sipjs_expires(response: Response, user: str) -> int | None:
    """The same for SIP.js with its random Contact (registerer.js): from the last Contact to the first, by user."""
    for value in reversed(response.headers.all("Contact")):
        contact = NameAddr.parse(value)
        if contact.address.user == user:
            return int(contact.param("expires") or -1)
    return None


class Network:
    """The SIP side: every name is the registrar's address, and flows are kept."""

    def __init__(self) -> None:
        self.flows: dict[tuple[str, Address], FakeFlow] = {}
        self.resolved: Deferred[list[Hop]] | None = None
        self.lost = False

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        return self.resolved or succeed([Hop.to(REGISTRAR, port, transport)])

    def flow_to(self, transport: str, address: Address, domain: str = "") -> Flow:
        if self.lost:
            raise FlowLost("no socket")
        key = transport, address
        if key not in self.flows:
            make = FakeFlow.tcp if transport == "tcp" else FakeFlow.udp
            self.flows[key] = make(*address, sent_by="203.0.113.7:5060")
        return self.flows[key]


class RegistrarCase(SynchronousTestCase):
    """A registrar between a browser's flow and an upstream that the test plays."""

    trunks: tuple[Trunk, ...] = (PBX,)
    multiple = True
    anyone = False

    def setUp(self) -> None:
        self.clock = Clock()
        self.network = Network()
        self.transactions = Transactions(self.clock, self)
        self.location = Location(self.clock, self.multiple)
        self.directory = LocalDirectory(self.clock, self.location)
        self.sequences = RequestSequences(self.clock)
        self.policy = Policy(config(*self.trunks, destinations=Destinations(anywhere=True), anyone=self.anyone))
        upstream = Upstream(self.network, self.network, HopHealth(self.clock))
        self.metrics = Metrics()
        self.contact_hostport = "203.0.113.7:5060"
        self.guard = LoginGuard(self.clock, BansConfig(), metrics=self.metrics)
        self.registrar = RegistrationRelay(
            self.transactions,
            self.directory,
            self.location,
            upstream,
            self.sequences,
            self.clock,
            self.multiple,
            self.guard,
            self.metrics,
            lambda flow: self.contact_hostport,
        )
        self.browser = FakeFlow.wss()
        self.cseq = 0

    # The user of the transactions

    def admits(self, request: Request, flow: Flow) -> bool:
        return True

    def request_arrived(self, transaction: ServerTransaction) -> None:
        request = transaction.request
        caller = self.location.proofs.caller(transaction.flow, request.from_.address.aor)
        RegisterTransaction(self.registrar, transaction, self.policy.route(request, caller)).begin()

    def owns(self, transaction: ServerTransaction, flow: Flow) -> bool:
        return False

    def is_same_peer(self, flow: Flow, other: Flow) -> bool:
        return False

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        raise AssertionError("an ACK")

    def hung_up(self, bye: Request, flow: Flow) -> None:
        raise AssertionError("a BYE")

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        raise AssertionError("a CANCEL")

    # The two sides

    def send(self, request: Request, flow: FakeFlow | None = None) -> None:
        """The browser sends."""
        self.asker = flow or self.browser
        self.transactions.message_received(request, self.asker)

    def register(self, *contacts: str, flow: FakeFlow | None = None, **how: object) -> None:
        """The browser sends a REGISTER, the next in its sequence."""
        self.cseq += 1
        how.setdefault("cseq", self.cseq)
        self.send(register_request(*contacts, **how), flow)

    def register_with_password(self, *contacts: str, flow: FakeFlow | None = None, **how: object) -> str:
        """The browser registers: the registrar challenges it, and accepts its credentials, which are returned as a
        line."""
        credentials = 'Authorization: Digest username="alice", realm="pbx", nonce="abc", uri="sip:x", response="0"'
        self.register(*(contacts or (f"{JSSIP};expires=600",)), flow=flow, **how)
        self.answer(401, ("WWW-Authenticate", 'Digest realm="pbx", nonce="abc"'))
        self.register(*(contacts or (f"{JSSIP};expires=600",)), flow=flow, more=(credentials,), **how)
        self.accept()
        return credentials

    def upstream(self) -> Request:
        """The request that the registrar got last, from the only flow there is."""
        (flow,) = self.network.flows.values()
        return flow.last_request

    def sent_upstream(self) -> int:
        return sum(len(flow.sent) for flow in self.network.flows.values())

    def answer(self, status: int, *headers: tuple[str, str], reason: str = "", to: Request | None = None) -> Response:
        """The registrar answers its last request; returns what the browser that asked last got last."""
        (flow,) = self.network.flows.values()
        response = respond(to or self.upstream(), status, reason, to_tag="up", headers=headers)
        self.transactions.message_received(response, flow)
        return self.reply()

    def reply(self, flow: FakeFlow | None = None) -> Response:
        return (flow or self.asker).last_response

    def replies(self, flow: FakeFlow | None = None) -> list[int]:
        return [response.status for response in (flow or self.browser).responses]

    def accept(self, seconds: int = 600, *headers: tuple[str, str]) -> Response:
        """The registrar accepts our Contact for so long."""
        return self.answer(200, ("Contact", f"<{OURS}>;expires={seconds}"), *headers)

    def bound(self, aor: str = ALICE) -> list[Binding]:
        return self.location.live(aor)

    def contacts(self, response: Message) -> list[str]:
        return response.headers.lines("Contact")
