"""Registrar: REGISTERs through the proxy, as they are on the wire on both sides."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX, config
from tests.support.fakes import FakeFlow
from webrtcproxy.call.background import answer
from webrtcproxy.call.binding import Binding, token_for
from webrtcproxy.call.location import Location
from webrtcproxy.call.pairing import Pairings
from webrtcproxy.call.policy import Policy
from webrtcproxy.call.registrar import PATIENCE, Registrar
from webrtcproxy.call.trunk import Upstream
from webrtcproxy.config import Destinations, Trunk
from webrtcproxy.errors import FlowLost, Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Message, Request, Response
from webrtcproxy.sip.request import read, respond
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Address, Flow

ALICE = "alice@pbx.example.com"
TOKEN = token_for(ALICE)
OURS = f"sip:{TOKEN}@203.0.113.7:5060"
REGISTRAR = "192.0.2.1"

JSSIP = '<sip:8h2kq0aa@qb1x2c3d4e5f.invalid;transport=ws>;+sip.ice;reg-id=1;+sip.instance="<urn:uuid:8f4b>"'
SIPJS = '<sip:q1w2e3r4@u7i8o9p0.invalid;transport=ws>;reg-id=1;+sip.instance="<urn:uuid:0c6a-11>"'


def register_text(
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
    request = read("\r\n".join([*lines, "", body]).encode())
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
        self.resolved: Deferred[list[Address]] | None = None
        self.lost = False

    def resolve(self, host: str, port: int | None) -> Deferred[list[Address]]:
        return self.resolved or succeed([Address(REGISTRAR, port or 5060)])

    def flow_to(self, transport: str, address: Address) -> Flow:
        if self.lost:
            raise FlowLost("no socket")
        key = transport, address
        if key not in self.flows:
            self.flows[key] = FakeFlow(peer=address, via_transport=transport.upper(), sent_by="203.0.113.7:5060")
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
        self.pairings = Pairings(self.clock)
        self.policy = Policy(config(*self.trunks, destinations=Destinations(anywhere=True), anyone=self.anyone))
        self.registrar = Registrar(
            self.clock, self.transactions, self.location, Upstream(self.network, self.network), self.pairings
        )
        self.browser = FakeFlow(browser=True)
        self.cseq = 0

    # The user of the transactions

    def admits(self, request: Request, flow: Flow) -> bool:
        return True

    def request_arrived(self, transaction: ServerTransaction) -> None:
        allowed = self.policy.credentials_for_anyone or self.location.proven(transaction.flow)
        answer(self.registrar.register(transaction, self.policy.route(transaction.request), allowed), transaction)

    def ack_arrived(self, ack: Request, flow: Flow) -> None:
        raise AssertionError("an ACK")

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        raise AssertionError("a CANCEL")

    def failed(self, transaction: ServerTransaction | None, failure: Failure) -> None:
        failure.raiseException()

    # The two sides

    def send(self, request: Request, flow: FakeFlow | None = None) -> None:
        """The browser sends."""
        self.transactions.message_received(request, flow or self.browser)

    def register(self, *contacts: str, flow: FakeFlow | None = None, **how: object) -> None:
        """The browser sends a REGISTER, the next in its sequence."""
        self.cseq += 1
        how.setdefault("cseq", self.cseq)
        self.send(register_text(*contacts, **how), flow)  # type: ignore[arg-type]

    def messages(self, flow: FakeFlow) -> list[Message]:
        return [read(data) for data in flow.sent]

    def upstream(self) -> Request:
        """The request that the registrar got last, from the only flow there is."""
        (flow,) = self.network.flows.values()
        request = self.messages(flow)[-1]
        assert isinstance(request, Request)
        return request

    def sent_upstream(self) -> int:
        return sum(len(flow.sent) for flow in self.network.flows.values())

    def answer(self, status: int, *headers: tuple[str, str], reason: str = "", to: Request | None = None) -> Response:
        """The registrar answers its last request; returns what the browser then got last."""
        (flow,) = self.network.flows.values()
        response = respond(to or self.upstream(), status, reason, to_tag="up", headers=headers)
        self.transactions.message_received(response, flow)
        return self.reply()

    def reply(self, flow: FakeFlow | None = None) -> Response:
        response = self.messages(flow or self.browser)[-1]
        assert isinstance(response, Response)
        return response

    def replies(self, flow: FakeFlow | None = None) -> list[int]:
        return [message.status for message in self.messages(flow or self.browser) if isinstance(message, Response)]

    def accept(self, seconds: int = 600, *headers: tuple[str, str]) -> Response:
        """The registrar accepts our Contact for so long."""
        return self.answer(200, ("Contact", f"<{OURS}>;expires={seconds}"), *headers)

    def bound(self, aor: str = ALICE) -> list[Binding]:
        return self.successResultOf(self.location.bindings(aor))

    def contacts(self, response: Response) -> list[str]:
        return response.headers.lines("Contact")


class ForwardTests(RegistrarCase):
    """What the registrar sees."""

    def test_own_contact(self) -> None:
        """Upstream sees a Contact of ours that leads back to the user, our own Call-ID, From tag and Via, one hop less,
        and the Request-URI of the browser (CORNERS 2, Contact rewrite; digest pass-through)."""
        self.register(f"{JSSIP};expires=600", expires=600)
        seen = self.upstream()
        self.assertEqual((seen.method, seen.uri), ("REGISTER", "sip:pbx.example.com"))
        self.assertEqual(self.contacts(seen), [f"<{OURS}>;expires=600"])  # type: ignore[arg-type]
        self.assertEqual(seen.headers.lines("Expires"), ["600"])
        self.assertEqual((seen.via.transport, seen.via.sent_by), ("UDP", "203.0.113.7:5060"))
        self.assertEqual(len(seen.headers.all("Via")), 1)
        self.assertNotEqual(seen.call_id, "cid1")
        self.assertNotEqual(seen.from_.tag, "t1")
        self.assertEqual((seen.from_.display, seen.from_.uri), ("Alice A.", "sip:alice@pbx.example.com"))
        self.assertEqual(seen.headers.get("To"), "<sip:alice@pbx.example.com>")
        self.assertEqual((seen.cseq.number, seen.max_forwards), (1, 68))

    def test_headers_cross(self) -> None:
        """What is not of the leg crosses; extensions that the proxy lacks are not promised (CORNERS 5626, 5627, 3327)."""
        self.register(f"{JSSIP};expires=600", more=("X-Thing: 1", "Route: <sip:evil.example;lr>", "Supported: timer"))
        headers = self.upstream().headers
        self.assertEqual(headers.lines("Supported"), ["timer"])
        self.assertEqual(headers.get("Allow"), "INVITE,ACK,CANCEL,BYE")
        self.assertEqual(headers.get("User-Agent"), "JsSIP 3.10.1")
        self.assertEqual(headers.get("X-Thing"), "1")
        self.assertNotIn("Route", headers)
        self.assertNotIn("sip.instance", headers.get("Contact") or "")

    def test_nothing_to_support(self) -> None:
        """Where nothing is left of Supported there is none."""
        self.register(f"{JSSIP};expires=600")
        self.assertNotIn("Supported", self.upstream().headers)

    def test_body_crosses(self) -> None:
        """A body crosses with its type."""
        self.register(f"{JSSIP};expires=600", more=("Content-Type: text/plain",), body="hello")
        seen = self.upstream()
        self.assertEqual((seen.content_type, seen.body), ("text/plain", b"hello"))

    def test_third_party(self) -> None:
        """From may be somebody else: the binding is that of To (RFC 3261 section 10.2)."""
        request = register_text(f"{SIPJS};expires=600")
        request.headers.set("From", "<sip:secretary@pbx.example.com>;tag=1")
        self.send(request)
        self.assertEqual(self.upstream().from_.uri, "sip:secretary@pbx.example.com")
        self.accept()
        self.assertEqual([binding.aor for binding in self.bound()], [ALICE])

    def test_tcp(self) -> None:
        """Towards a registrar on TCP our Contact says so."""
        self.policy = Policy(config(Trunk("pbx", "pbx.example.com", transport="tcp")))
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS};transport=tcp>;expires=600")

    def test_no_hops_left(self) -> None:
        """Max-Forwards 0 goes nowhere (RFC 3261 section 16.3)."""
        request = register_text(f"{JSSIP};expires=600")
        request.headers.set("Max-Forwards", "0")
        self.send(request)
        self.assertEqual((self.replies(), self.sent_upstream()), ([483], 0))


class AcceptedTests(RegistrarCase):
    """What the browser gets, and what is stored."""

    def test_jssip(self) -> None:
        """JsSIP gets its own Contact to the letter, with the registrar's seconds (CORNERS 6)."""
        self.register(f"{JSSIP};expires=600", expires=600)
        self.assertEqual(self.bound(), [])
        response = self.accept(300)
        self.assertEqual((response.status, response.reason), (200, "OK"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=300"])
        self.assertEqual(jssip_expires(response, "<urn:uuid:8f4b>", "8h2kq0aa"), 300)
        (binding,) = self.bound()
        self.assertEqual(binding.contact, "sip:8h2kq0aa@qb1x2c3d4e5f.invalid;transport=ws")
        self.assertIs(binding.flow, self.browser)
        self.assertEqual(binding.expires_at, 300)

    def test_sipjs(self) -> None:
        """So does SIP.js, which sends no Expires header."""
        self.register(f"{SIPJS};expires=600")
        response = self.accept()
        self.assertEqual(self.contacts(response), [f"{SIPJS};expires=600"])
        self.assertEqual(sipjs_expires(response, "q1w2e3r4"), 600)

    def test_plain_contact(self) -> None:
        """A Contact without transport=, and a sips: one, are bound as well (ORIGINAL: stored nothing, silently)."""
        for contact in ("<sip:alice@192.0.2.99>", "<sips:alice@x.invalid>", "sip:alice@y.invalid"):
            self.register(contact, expires=60)
            self.accept(60)
        contacts = [binding.contact for binding in self.bound()]
        self.assertEqual(contacts, ["sip:alice@y.invalid", "sips:alice@x.invalid", "sip:alice@192.0.2.99"])

    def test_headers_cross_back(self) -> None:
        """Service-Route, Path, P-Associated-URI and Date cross, in their order (RFC 3608 section 5)."""
        crossing = [
            ("Service-Route", "<sip:a.example;lr>, <sip:b.example;lr>"),
            ("Service-Route", "<sip:c.example;lr>"),
            ("Path", "<sip:p.example;lr>"),
            ("P-Associated-URI", "<tel:+49301234>"),
            ("Date", "Sat, 13 Nov 2010 23:29:00 GMT"),
        ]
        self.register(f"{JSSIP};expires=600")
        response = self.accept(600, *crossing)
        for name in {name for name, _ in crossing}:
            self.assertEqual(response.headers.lines(name), [value for key, value in crossing if key == name])

    def test_nothing_foreign(self) -> None:
        """A browser never sees our Contact, another phone's, or a GRUU that does not lead to it (CORNERS 5627)."""
        self.register(f"{JSSIP};expires=600")
        foreign = ("Contact", "<sip:desk@192.0.2.50>;expires=99, <sip:broken")
        gruu = f'<{OURS}>;expires=500;pub-gruu="sip:alice@pbx.example.com;gr=1";temp-gruu="sip:x@pbx.example.com;gr"'
        response = self.answer(200, foreign, ("Contact", gruu), ("Expires", "99"), ("Supported", "outbound"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=500"])
        self.assertNotIn("Expires", response.headers)
        self.assertNotIn("Supported", response.headers)

    def test_moved_contact(self) -> None:
        """Our Contact is known by its user where something in between changed its address."""
        self.register(f"{JSSIP};expires=600")
        response = self.answer(200, ("Contact", f"<sip:{TOKEN}@192.168.1.1:5060>;expires=120, <tel:+4930>;expires=9"))
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=120"])

    def test_not_listed(self) -> None:
        """A 200 that does not list our Contact binds by its Expires, else as asked, else for an hour."""
        for expires, headers, seconds in (
            (600, [("Expires", "120")], 120),
            (600, [], 600),
            (None, [], 3600),
            (600, [("Contact", "<sip:desk@192.0.2.50>;expires=99")], 600),
            (600, [("Contact", f"<{OURS}>"), ("Expires", "77")], 77),
            (600, [("Contact", f"<{OURS}>;expires=soon")], 600),
            (600, [("Expires", "soon")], 600),
        ):
            self.register(SIPJS, expires=expires)
            self.assertEqual(sipjs_expires(self.answer(200, *headers), "q1w2e3r4"), seconds)

    def test_granted_nothing(self) -> None:
        """A registrar that grants 0 seconds has not bound anything, so neither have we."""
        self.register(SIPJS, expires=600)
        self.accept()
        self.register(SIPJS, expires=600)
        response = self.accept(0)
        self.assertEqual((self.contacts(response), self.bound()), ([], []))

    def test_no_longer_than_asked(self) -> None:
        """A registrar that grants more than was asked does not make the browser come later than it meant to."""
        self.register(f"{SIPJS};expires=60")
        self.assertEqual(sipjs_expires(self.accept(3600), "q1w2e3r4"), 60)

    def test_lost_meanwhile(self) -> None:
        """A browser that is lost before the 200 is not bound; calls for it are known, and hear 480 (ORIGINAL fault 4)."""
        self.register(f"{JSSIP};expires=600")
        self.browser.lose()
        (flow,) = self.network.flows.values()
        contact = ("Contact", f"<{OURS}>;expires=600")
        self.transactions.message_received(respond(self.upstream(), 200, headers=[contact]), flow)
        self.assertEqual(self.bound(), [])
        self.assertTrue(self.location.registered_at(ALICE, REGISTRAR))
        self.assertFalse(self.location.proven(self.browser))

    def test_registrar_is_known(self) -> None:
        """The address that accepted may call in from then on, for as long as it granted."""
        self.register(f"{JSSIP};expires=600")
        self.assertFalse(self.location.is_registrar(REGISTRAR))
        self.accept(120)
        self.assertTrue(self.location.registered_at(ALICE, REGISTRAR))
        self.clock.advance(120)
        self.assertFalse(self.location.registered_at(ALICE, REGISTRAR))
        self.assertEqual(self.location.aor_of(TOKEN), None)

    def test_log(self) -> None:
        """One line tells that a browser came, with AOR, address and Call-ID; a refresh tells nothing."""
        with capturedLogs() as events:
            for _ in range(2):
                self.register(f"{JSSIP};expires=600")
                self.accept()
        lines = [(event["log_level"], event["aor"], event["call"]) for event in events]
        self.assertEqual(lines, [(LogLevel.info, ALICE, "cid1")])


class LengthTests(RegistrarCase):
    """How long: Expires header, expires parameter, several Contacts (RFC 3261 sections 10.2.1.1 and 10.3)."""

    def test_parameter_beats_header(self) -> None:
        """The parameter of a Contact counts, not the header."""
        self.register(f"{SIPJS};expires=120", expires=900)
        self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=120"])  # type: ignore[arg-type]
        self.assertEqual(self.upstream().headers.get("Expires"), "120")

    def test_header_alone(self) -> None:
        """The header counts for a Contact without a parameter."""
        self.register(SIPJS, expires=900)
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=900")

    def test_nobody_says(self) -> None:
        """Neither is there: the registrar chooses (ORIGINAL: 400)."""
        self.register(SIPJS)
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>")
        self.assertNotIn("Expires", self.upstream().headers)
        self.assertEqual(sipjs_expires(self.accept(1800), "q1w2e3r4"), 1800)

    def test_malformed(self) -> None:
        """A parameter that can't be read is an hour (RFC 3261 section 10.2.1.1)."""
        self.register(f"{SIPJS};expires=soon")
        self.assertEqual(self.upstream().headers.get("Expires"), "3600")

    def test_several_contacts(self) -> None:
        """Upstream sees one Contact with the longest time; each browser Contact gets what it asked for, or what was
        granted if that is less (ORIGINAL: 503)."""
        self.register("<sip:a@x.invalid>;expires=60", "<sip:b@x.invalid>;expires=600;q=0.3, <sip:c@x.invalid>")
        self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=3600"])  # type: ignore[arg-type]
        response = self.accept(300)
        seconds = {contact.uri: contact.param("expires") for contact in map(NameAddr.parse, self.contacts(response))}
        self.assertEqual(seconds, {"sip:a@x.invalid": "60", "sip:b@x.invalid": "300", "sip:c@x.invalid": "300"})
        self.assertEqual({binding.contact: binding.q for binding in self.bound()}["sip:b@x.invalid"], 0.3)
        self.assertEqual(sorted(binding.q for binding in self.bound()), [0.3, 1.0, 1.0])

    def test_add_and_remove_at_once(self) -> None:
        """One Contact may go while another comes."""
        self.register("<sip:a@x.invalid>;expires=60")
        self.accept(60)
        self.register("<sip:a@x.invalid>;expires=0", "<sip:b@x.invalid>;expires=60")
        self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=60"])  # type: ignore[arg-type]
        self.accept(60)
        self.assertEqual([binding.contact for binding in self.bound()], ["sip:b@x.invalid"])
        self.assertTrue(self.location.proven(self.browser))

    def test_old_and_new_of_one_instance(self) -> None:
        """A browser that takes back its old Contact and binds a new one stays bound: both have one name."""
        old = SIPJS.replace("q1w2e3r4", "old")
        self.register(f"{old};expires=0", f"{SIPJS};expires=60")
        self.accept(60)
        self.assertEqual([binding.contact for binding in self.bound()], ["sip:q1w2e3r4@u7i8o9p0.invalid;transport=ws"])

    def test_odd_preferences(self) -> None:
        """A q that can't be read is 1 (RFC 3261 section 25.1: 0 to 1, three decimals)."""
        values = {"0": 0.0, "0.5": 0.5, "0.1234": 0.123, "1": 1.0, "1.0": 1.0, "2": 1.0, "x": 1.0, "0.x": 1.0, "": 1.0}
        contacts = [f"<sip:{number}@x.invalid>" + (f";q={q}" if q else "") for number, q in enumerate(values)]
        self.register(*contacts, expires=60)
        self.accept(60)
        self.assertEqual([binding.q for binding in reversed(self.bound())], list(values.values()))


class RefreshTests(RegistrarCase):
    """The sequence that upstream sees."""

    def test_call_id_and_cseq(self) -> None:
        """Over refreshes the Call-ID and From tag stay and CSeq counts on (RFC 3261 section 10.2.4; CORNERS REGISTER),
        though JsSIP has a new From tag each time."""
        seen = []
        for _ in range(3):
            self.register(f"{JSSIP};expires=600")
            seen.append(self.upstream())
            self.accept()
            self.clock.advance(500)
        self.assertEqual(len({(request.call_id, request.from_.tag) for request in seen}), 1)
        self.assertEqual([request.cseq.number for request in seen], [1, 2, 3])

    def test_another_browser(self) -> None:
        """Another browser is another sequence."""
        self.register(f"{JSSIP};expires=600")
        first = self.upstream()
        self.accept()
        self.register(f"{SIPJS};expires=600", call_id="cid2")
        self.assertNotEqual(self.upstream().call_id, first.call_id)

    def test_retransmission_upstream(self) -> None:
        """A lost REGISTER is sent again; a repeated 200 changes nothing."""
        self.register(f"{JSSIP};expires=600")
        self.clock.advance(0.5)
        self.assertEqual(self.sent_upstream(), 2)
        request = self.upstream()
        self.accept()
        self.answer(200, ("Contact", f"<{OURS}>;expires=1"), to=request)
        self.assertEqual((self.replies(), self.bound()[0].expires_at), ([200], 600.5))

    def test_new_socket(self) -> None:
        """The same instance on a new socket: the binding moves, and the old socket's end does not touch it."""
        newer = FakeFlow(browser=True)
        seen: list[Binding] = []
        self.location.on_bound(seen.append)
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=600", flow=newer)
        self.accept()
        self.browser.lose()
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.assertEqual([binding.flow for binding in seen], [self.browser, newer])


class ChallengeTests(RegistrarCase):
    """Digest, answered by the browser."""

    CHALLENGE = 'Digest realm="pbx", nonce="abc", qop="auth", algorithm=MD5'

    def test_crosses(self) -> None:
        """401 and 407 cross with their challenge; the answer crosses too, in the same sequence upstream (ORIGINAL: the
        407's header was lost)."""
        for status, asks, answers in (
            (401, "WWW-Authenticate", "Authorization"),
            (407, "Proxy-Authenticate", "Proxy-Authorization"),
        ):
            with capturedLogs() as events:
                self.register(f"{JSSIP};expires=600")
                first = self.upstream()
                response = self.answer(status, (asks, self.CHALLENGE), (asks, 'Digest realm="2", nonce="1"'))
            self.assertEqual(events, [])
            self.assertEqual((response.status, self.bound()), (status, []))
            self.assertEqual(response.headers.lines(asks), [self.CHALLENGE, 'Digest realm="2", nonce="1"'])
            credentials = 'Digest username="alice", realm="pbx", nonce="abc", uri="sip:pbx.example.com", response="0"'
            self.register(f"{JSSIP};expires=600", more=(f"{answers}: {credentials}",))
            second = self.upstream()
            self.assertEqual(second.headers.lines(answers), [credentials])
            self.assertEqual(second.uri, "sip:pbx.example.com")
            self.assertEqual((second.call_id, second.from_.tag), (first.call_id, first.from_.tag))
            self.assertEqual(second.cseq.number, first.cseq.number + 1)
            self.assertEqual(self.accept().status, 200)
            self.location.unbind(ALICE)

    def test_proves(self) -> None:
        """A 200 at a configured trunk proves the browser, until it is no longer registered."""
        self.register(f"{JSSIP};expires=600")
        self.answer(401, ("WWW-Authenticate", self.CHALLENGE))
        self.assertFalse(self.location.proven(self.browser))
        self.register(f"{JSSIP};expires=600", more=('Authorization: Digest username="alice"',))
        self.accept()
        self.assertEqual(self.location.proven_aors(self.browser), [ALICE])
        self.register(f"{JSSIP};expires=0")
        self.answer(200)
        self.assertFalse(self.location.proven(self.browser))

    def test_elsewhere_proves_nothing(self) -> None:
        """A 200 from a registrar that is no trunk proves nothing: anybody may have one (ORIGINAL fault 10)."""
        self.register(f"{JSSIP};expires=600", domain="own.example", uri="sip:own.example")
        self.answer(200)
        self.assertEqual(len(self.bound("alice@own.example")), 1)
        self.assertFalse(self.location.proven(self.browser))

    def test_query_proves_nothing(self) -> None:
        """A 200 to a query is no registration."""
        self.register()
        self.answer(200)
        self.assertFalse(self.location.proven(self.browser))


class CredentialsTests(RegistrarCase):
    """Digest, answered by the proxy (`trunk-credentials = anyone`)."""

    trunks = (CARRIER,)
    anyone = True
    CHALLENGE = 'Digest realm="carrier", nonce="abc", qop="auth", algorithm=MD5'
    CARRIERS = {"domain": "carrier.example.net:5080", "uri": "sip:carrier.example.net:5080"}

    def test_unseen(self) -> None:
        """The browser sees nothing of it, and has proven nothing by it (ORIGINAL fault 9)."""
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        first = self.upstream()
        self.answer_challenge()
        second = self.upstream()
        self.assertEqual(self.replies(), [])
        self.assertIn('username="us"', second.headers.get("Proxy-Authorization") or "")
        self.assertEqual((second.call_id, second.cseq.number), (first.call_id, 2))
        self.assertEqual(len(second.headers.all("Via")), 1)
        self.answer(200)
        self.assertEqual(self.replies(), [200])
        self.assertEqual(len(self.bound("alice@carrier.example.net:5080")), 1)
        self.assertFalse(self.location.proven(self.browser))
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        self.assertEqual((self.upstream().call_id, self.upstream().cseq.number), (first.call_id, 3))

    def test_refused(self) -> None:
        """A challenge that the browser can't answer does not reach it (ORIGINAL: wrong password)."""
        self.register(f"{JSSIP};expires=600", **self.CARRIERS)
        for _ in range(5):
            if not self.replies():
                self.answer_challenge()
        self.assertEqual(self.replies(), [403])
        self.assertLessEqual(self.sent_upstream(), 4)

    def test_not_for_the_proven(self) -> None:
        """Who has registered with a password of his own answers for himself: with the trunk's he could take any name."""
        self.location.prove("alice@carrier.example.net:5080", self.browser, 600)
        self.register(f"{JSSIP};expires=600", user="bob", **self.CARRIERS)
        self.answer_challenge()
        self.assertEqual(self.replies(), [407])

    def answer_challenge(self) -> None:
        (flow,) = self.network.flows.values()
        challenge = [("Proxy-Authenticate", self.CHALLENGE)]
        self.transactions.message_received(respond(self.upstream(), 407, headers=challenge), flow)


class UnregisterTests(RegistrarCase):
    """Taking bindings back."""

    def test_by_parameter_and_by_header(self) -> None:
        """expires=0 and Expires: 0 both un-register; upstream our Contact goes, and the 200 lists none."""
        for contact, expires in ((f"{SIPJS};expires=0", None), (SIPJS, 0), (f"{JSSIP};expires=0", 0)):
            self.register(contact.removesuffix(";expires=0"), expires=600)
            self.accept()
            self.register(contact, expires=expires)
            self.assertEqual(self.contacts(self.upstream()), [f"<{OURS}>;expires=0"])  # type: ignore[arg-type]
            self.assertEqual(self.upstream().headers.get("Expires"), "0")
            self.assertEqual(len(self.bound()), 1)
            response = self.answer(200)
            self.assertEqual((response.status, self.contacts(response), self.bound()), (200, [], []))
        self.clock.pump([10] * 5)
        self.assertFalse(self.location.knows(ALICE))

    def test_others_stay(self) -> None:
        """While another browser of the user needs our Contact it stays: upstream is only asked, which authenticates
        (ORIGINAL: un-REGISTER of either removed both)."""
        other = FakeFlow(browser=True)
        self.register(f"{SIPJS};expires=600", flow=other, call_id="cid2")
        self.accept()
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=0", expires=0)
        self.assertNotIn("Contact", self.upstream().headers)
        self.assertNotIn("Expires", self.upstream().headers)
        response = self.accept(500)
        self.assertEqual(self.contacts(response), [f"{SIPJS};expires=600"])
        self.assertEqual([binding.flow for binding in self.bound()], [other])
        self.assertTrue(self.location.registered_at(ALICE, REGISTRAR))
        self.assertFalse(self.location.proven(self.browser))
        self.assertTrue(self.location.proven(other))

    def test_another_on_its_way(self) -> None:
        """A page that is reloaded registers anew while its old self un-registers: the new one must not lose by it."""
        newer = FakeFlow(browser=True)
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{SIPJS};expires=600", flow=newer, call_id="cid2")
        add = self.upstream()
        self.register(f"{JSSIP};expires=0")
        self.assertNotIn("Contact", self.upstream().headers)
        self.answer(200)
        self.answer(200, ("Contact", f"<{OURS}>;expires=600"), to=add)
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.register(f"{SIPJS};expires=0", flow=newer, call_id="cid2")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=0")

    def test_challenged(self) -> None:
        """Nothing is removed before the registrar agrees."""
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=0")
        self.answer(401, ("WWW-Authenticate", "Digest realm=x"))
        self.assertEqual(len(self.bound()), 1)

    def test_star(self) -> None:
        """`Contact: *` removes all bindings of the user, here and upstream (RFC 3261 section 10.2.2)."""
        other = FakeFlow(browser=True)
        self.register(f"{SIPJS};expires=600", flow=other, call_id="cid2")
        self.accept()
        self.register("*", expires=0)
        self.assertEqual(self.contacts(self.upstream()), ["*"])  # type: ignore[arg-type]
        self.assertEqual(self.upstream().headers.get("Expires"), "0")
        response = self.answer(200)
        self.assertEqual((response.status, self.contacts(response), self.bound()), (200, [], []))
        self.assertFalse(self.location.proven(other))

    def test_star_without_expires_0(self) -> None:
        """With any other Expires, or none, it is an error (RFC 3261 section 10.3 step 6)."""
        self.register("*", expires=60)
        self.register("*")
        self.assertEqual((self.replies(), self.sent_upstream()), ([400, 400], 0))


class QueryTests(RegistrarCase):
    """A REGISTER without Contact asks (RFC 3261 section 10.2.3; ORIGINAL: 500)."""

    def test_query(self) -> None:
        """It crosses as a query; the answer lists the browsers of this user as they wrote themselves."""
        self.register(f"{SIPJS};expires=600")
        self.accept()
        self.clock.advance(100.5)
        self.register(expires=60)
        self.assertNotIn("Contact", self.upstream().headers)
        self.assertNotIn("Expires", self.upstream().headers)
        response = self.accept(500)
        self.assertEqual(self.contacts(response), [f"{SIPJS};expires=500"])
        self.assertEqual(len(self.bound()), 1)

    def test_of_nobody(self) -> None:
        """A user without browsers here has no Contact in the answer, whatever is bound elsewhere."""
        self.register()
        response = self.answer(200, ("Contact", "<sip:desk@192.0.2.50>;expires=99"))
        self.assertEqual(self.contacts(response), [])
        self.assertFalse(self.location.knows(ALICE))


class MultipleTests(RegistrarCase):
    """`multiple = yes`: several browsers share one Contact upstream."""

    def setUp(self) -> None:
        super().setUp()
        self.other = FakeFlow(browser=True)
        self.register(f"{SIPJS};expires=3000", flow=self.other, call_id="cid2")
        self.accept(3000)

    def test_both_are_listed(self) -> None:
        """The 200 lists the other browser too, this one first; each library finds its own (CORNERS 6)."""
        self.register(f"{JSSIP};expires=600")
        response = self.accept(3000)
        self.assertEqual(self.contacts(response), [f"{JSSIP};expires=600", f"{SIPJS};expires=3000"])
        self.assertEqual(jssip_expires(response, "<urn:uuid:8f4b>", "8h2kq0aa"), 600)
        self.assertEqual(sipjs_expires(response, "q1w2e3r4"), 3000)

    def test_shorter_does_not_shorten(self) -> None:
        """A browser that asks for less does not take time from the others."""
        self.clock.advance(100)
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=2900")
        self.accept(2900)
        self.assertEqual([binding.expires_at for binding in self.bound()], [700, 3000])

    def test_longer_lengthens(self) -> None:
        """A browser that asks for more gets it."""
        self.register(f"{JSSIP};expires=6000")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=6000")

    def test_without_wish(self) -> None:
        """Who leaves it to the registrar is given the time that it would choose, unless others need longer."""
        self.register(JSSIP)
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>")
        self.accept(7200)
        self.register(SIPJS, flow=self.other, call_id="cid2")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=7200")

    def test_on_its_way_counts(self) -> None:
        """So does one that the registrar has not answered yet."""
        self.register(f"{JSSIP};expires=6000")
        self.register("<sip:third@x.invalid>;expires=60", call_id="cid3")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=6000")

    def test_full(self) -> None:
        """What could not be stored is not even asked for."""
        for number in range(9):
            self.register(f"<sip:{number}@x.invalid>;expires=60", call_id=f"n{number}")
            self.accept(3000)
        sent = self.sent_upstream()
        self.register("<sip:more@x.invalid>;expires=60", call_id="more")
        self.assertEqual((self.reply().status, self.sent_upstream()), (403, sent))


class NewestWinsTests(RegistrarCase):
    """`multiple = no`."""

    multiple = False

    def test_newest_wins(self) -> None:
        """The newer browser replaces the older, which still gets a 200 when it leaves, and takes nothing away then."""
        newer = FakeFlow(browser=True)
        self.register(f"{JSSIP};expires=3000")
        self.accept(3000)
        self.register(f"{SIPJS};expires=600", flow=newer, call_id="cid2")
        self.assertEqual(self.upstream().headers.get("Contact"), f"<{OURS}>;expires=600")
        self.accept()
        self.assertEqual(self.contacts(self.reply(newer)), [f"{SIPJS};expires=600"])
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.register(f"{JSSIP};expires=0")
        self.assertNotIn("Contact", self.upstream().headers)
        self.answer(200)
        self.assertEqual([binding.flow for binding in self.bound()], [newer])
        self.assertFalse(self.location.proven(self.browser))
        self.assertTrue(self.location.proven(newer))


class DomainTests(RegistrarCase):
    """A registrar is asked about its own domain (ORIGINAL fault 10)."""

    def test_foreign_address(self) -> None:
        """alice@pbx.example.com can't be registered at a registrar of somebody else's."""
        self.register(f"{JSSIP};expires=600", uri="sip:own.example")
        self.assertEqual((self.replies(), self.sent_upstream()), ([403], 0))

    def test_host_in_any_spelling(self) -> None:
        """The host of the Request-URI is the domain, in any case; its port need not be in the address."""
        self.register(f"{JSSIP};expires=600", uri="sip:PBX.example.com:5060", domain="pbx.Example.com")
        self.assertEqual(self.accept().status, 200)
        self.assertEqual(len(self.bound()), 1)

    def test_trunk_of_the_domain(self) -> None:
        """A trunk answers for the domain that it serves; at another host of the same network it is 403."""
        trunk = Trunk("pbx", "pbx.example.com", 5080)
        self.policy = Policy(config(trunk))
        self.register(f"{JSSIP};expires=600", uri="sip:pbx.example.com:5080")
        self.assertEqual(self.answer(200).status, 200)

    def test_no_domain(self) -> None:
        """A telephone number is no domain, and none can be registered."""
        self.register(f"{JSSIP};expires=600", uri="tel:+4930")
        request = register_text(f"{JSSIP};expires=600", call_id="cid2")
        request.headers.set("To", "<tel:+4930>")
        self.send(request)
        self.assertEqual((self.replies(), self.sent_upstream()), ([416, 416], 0))


class FailureTests(RegistrarCase):
    """Every request gets one final response (ORIGINAL fault 1)."""

    def refused(self) -> list[object]:
        """What was logged since, by Call-ID."""
        return [event["call"] for event in self.events if event["log_level"] is LogLevel.info]

    def test_registrar_refuses(self) -> None:
        """403, 404, 423 with Min-Expires, 503 with Retry-After cross as they are, and are logged."""
        for status, reason, headers in (
            (403, "Not You", []),
            (404, "", []),
            (423, "", [("Min-Expires", "1800")]),
            (503, "Overload", [("Retry-After", "120")]),
            (302, "", []),
            (600, "", []),
        ):
            with capturedLogs() as events:
                self.register(f"{JSSIP};expires=600")
                response = self.answer(status, *headers, ("Contact", "<sip:else@where.example>"), reason=reason)
            self.assertEqual(response.status, status)
            self.assertEqual(response.reason, reason or Response(status).reason)
            for name, value in headers:
                self.assertEqual(response.headers.get(name), value)
            self.assertEqual(self.contacts(response), [])
            self.assertEqual([event["call"] for event in events], ["cid1"])
        self.assertEqual((self.bound(), self.location.knows(ALICE)), ([], False))

    def test_silence(self) -> None:
        """A silent registrar is a 504 before the browser's timer F fires; a 408 is never sent (RFC 4320)."""
        with capturedLogs() as events:
            self.register(f"{JSSIP};expires=600")
            self.clock.pump([0.5] * int(2 * PATIENCE - 1))
            self.assertEqual(self.replies(), [])
            self.clock.advance(0.5)
            self.assertEqual(self.replies(), [504])
        self.assertEqual([event["call"] for event in events], ["cid1"])
        self.assertLess(PATIENCE, 32)

    def test_late_answer(self) -> None:
        """A 200 behind the 504 binds nothing, and the next REGISTER counts on upstream."""
        self.register(f"{JSSIP};expires=600")
        first = self.upstream()
        self.clock.pump([0.5] * 61)
        self.accept()
        self.assertEqual((self.replies(), self.bound()), ([504], []))
        self.register(f"{JSSIP};expires=600")
        self.assertEqual((self.upstream().call_id, self.upstream().cseq.number), (first.call_id, 2))
        self.assertEqual(self.accept().status, 200)

    def test_silence_is_counted_from_the_start(self) -> None:
        """The time that names and challenges took is part of it."""
        self.network.resolved = Deferred()
        self.register(f"{JSSIP};expires=600")
        self.clock.advance(10)
        self.network.resolved.callback([Address(REGISTRAR, 5060)])
        self.assertEqual(self.sent_upstream(), 1)
        self.clock.pump([0.5] * 40)
        self.assertEqual(self.replies(), [504])

    def test_name_never_resolves(self) -> None:
        """A name server that is silent is a 504, too, and its late failure harms nobody."""
        self.network.resolved = Deferred()
        self.register(f"{JSSIP};expires=600")
        self.clock.advance(PATIENCE)
        self.assertEqual(self.replies(), [504])
        self.network.resolved.errback(Refusal(502))

    def test_unknown_name(self) -> None:
        """A name that can't be resolved is the refusal that the resolver says."""
        self.network.resolved = fail(Refusal(502, "Unknown Host"))
        self.register(f"{JSSIP};expires=600")
        self.assertEqual((self.reply().status, self.reply().reason), (502, "Unknown Host"))

    def test_unreachable(self) -> None:
        """No socket to send from, or none that takes it: 502 at once."""
        self.network.lost = True
        self.register(f"{JSSIP};expires=600")
        self.network.lost = False
        self.register(f"{JSSIP};expires=600")
        (flow,) = self.network.flows.values()
        self.answer(403)
        flow.closed = True
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.replies(), [502, 403, 502])

    def test_upstream_408(self) -> None:
        """A 408 of upstream's is not passed on (RFC 4320 section 4.2)."""
        self.register(f"{JSSIP};expires=600")
        self.assertEqual(self.answer(408).status, 504)

    def test_bad_contact(self) -> None:
        """A Contact that can't be called is 400, and says which header."""
        with capturedLogs() as events:
            self.register("<mailto:alice@x.invalid>;expires=60")
        self.assertEqual((self.reply().status, self.reply().reason, self.sent_upstream()), (400, "Bad Contact", 0))
        self.assertEqual([event["call"] for event in events], ["cid1"])

    def test_nothing_is_left(self) -> None:
        """After all sorts of ends nothing remains: no timer, no subscription, nothing noted as on its way."""
        self.register(f"{JSSIP};expires=600")
        self.answer(401, ("WWW-Authenticate", "Digest realm=x"))
        self.register(f"{JSSIP};expires=600")
        self.accept()
        self.register(f"{JSSIP};expires=0")
        self.answer(200)
        self.register(f"{JSSIP};expires=600")
        self.clock.pump([0.5] * 61)
        self.clock.pump([10] * 20)
        self.assertEqual((self.clock.getDelayedCalls(), len(self.location)), ([], 0))
        self.assertEqual(self.registrar._on_the_way, {})
