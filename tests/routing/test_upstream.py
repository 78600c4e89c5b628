"""The way to the SIP side: at once where it takes no look-up."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import LogEvent, LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.case import CallCase
from tests.support.calls.party import Party, inbound
from tests.support.calls.world import PLAIN, Names
from tests.support.configs import CARRIER, PBX
from tests.support.fakes import FakeFlow
from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.routing.peer_profile import UNKNOWN_PEER
from webrtcproxy.routing.policy import Route
from webrtcproxy.routing.sources import Sources
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.runtime.errors import FlowLost, Refusal
from webrtcproxy.sip.message import Headers, Request
from webrtcproxy.transport.flow import Address, Hop


class LookUps(SynchronousTestCase):
    """`Upstream`, with look-ups that are counted and sockets that are noted."""

    def setUp(self) -> None:
        self.looked_up: list[tuple[str, int | None]] = []
        self.asked: list[tuple[str, Address]] = []
        self.domains: list[str] = []
        self.no_way = False
        self.without: set[str | None] = set()
        self.transports: list[str | None] = []
        self.found: Deferred[list[Hop]] = succeed([Hop.to("192.0.2.50", None, None), Hop.to("192.0.2.51", None, None)])
        self.upstream = Upstream(self, self, HopHealth(Clock()))
        self.last = FakeFlow.udp("192.0.2.99")

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        self.looked_up.append((host, port))
        self.transports.append(transport)
        if transport in self.without:
            return succeed([Hop.to("192.0.2.50", None, transport)])
        return self.found

    def flow_to(self, transport: str, address: Address, domain: str = "") -> FakeFlow:
        if self.no_way or transport in self.without:
            raise FlowLost("no socket")
        self.asked.append((transport, address))
        self.domains.append(domain)
        return FakeFlow.udp(*address)

    def toward(self, uri: str) -> Deferred[object]:
        return Deferred.fromCoroutine(self.upstream.flow_to_uri(uri, self.last))

    def test_named_transport(self) -> None:
        """The transport that a remote target names is used (RFC 3261 section 12.2.1.1), TLS for sips; the dialog's
        where it names none that there is. With a look-up, too."""
        for params, transport, port in (
            (";transport=tcp", "tcp", 5060), (";transport=TLS", "tls", 5061), (";lr;transport=tcp", "tcp", 5060),
            (";transport=udp", "udp", 5060), (";transport=ws", "udp", 5060), (";transport=sctp", "udp", 5060),
            (";transport", "udp", 5060), ("", "udp", 5060),
        ):  # fmt: skip
            uri = f"sip:gw@192.0.2.7{params}"
            self.assertIsNotNone(self.upstream.flow_without_lookup(uri, self.last))
            self.successResultOf(self.toward(uri))
            self.assertEqual(self.asked, [(transport, Address("192.0.2.7", port))] * 2, uri)
            self.asked.clear()
            self.transports.clear()
            self.successResultOf(self.toward(f"sip:gw@gw.example.net{params}"))
            self.assertEqual(self.transports, [transport])
            self.asked.clear()
        self.successResultOf(self.toward("sips:gw@192.0.2.7"))
        self.assertEqual(self.asked, [("tls", Address("192.0.2.7", 5061))])

    def test_transport_that_may_not_be(self) -> None:
        """Not where the trunk has a transport, nor from a connection to another, nor where there is no such socket."""
        uri, address = "sip:gw@192.0.2.7:5070;transport=tcp", Address("192.0.2.7", 5070)
        fixed = replace(CARRIER, transport="udp")
        self.upstream.flow_without_lookup(uri, self.last, fixed)
        self.successResultOf(Deferred.fromCoroutine(self.upstream.flow_to_uri(uri, self.last, fixed)))
        self.without = {"tcp"}
        self.assertIsNotNone(self.upstream.flow_without_lookup(uri, self.last))
        self.successResultOf(self.toward(uri))
        self.successResultOf(self.toward("sip:gw.example.net;transport=tcp"))
        self.without = set()
        self.assertEqual([transport for transport, _ in self.asked], ["udp"] * 5)
        self.assertEqual({each for _, each in self.asked[:4]}, {address})
        self.asked.clear()
        for transport in ("TLS", "TCP"):
            self.last.via_transport = transport
            self.upstream.flow_without_lookup("sip:192.0.2.7:5070;transport=udp", self.last)
            self.upstream.flow_without_lookup("sips:192.0.2.7:5070", self.last)
        self.assertEqual([transport for transport, _ in self.asked], ["tls", "tls", "tcp", "tls"])

    def test_address(self) -> None:
        """An IP address needs no look-up, in whatever form; the port is 5060 where none is given, a port of 0 is a
        port. `at_once` and `toward` agree."""
        for uri, address in (
            ("sip:bob@192.0.2.7:5090", Address("192.0.2.7", 5090)),
            ("sip:192.0.2.7", Address("192.0.2.7", 5060)),
            ("sip:192.0.2.7;lr", Address("192.0.2.7", 5060)),
            ("sip:bob@[2001:DB8:0::1];transport=udp", Address("2001:db8::1", 5060)),
            ("sip:bob@[::ffff:192.0.2.7]:5080", Address("192.0.2.7", 5080)),
            ("sip:bob@192.0.2.7;maddr=192.0.2.66", Address("192.0.2.7", 5060)),
        ):
            flow = self.upstream.flow_without_lookup(uri, self.last)
            assert flow is not None
            self.assertEqual((flow.peer, self.asked.pop()), (address, ("udp", address)))
            self.successResultOf(self.toward(uri))
            self.assertEqual(self.asked.pop(), ("udp", address))
        self.assertEqual(self.looked_up, [])

    def test_transport(self) -> None:
        """The transport is that of the connection that the dialog began on."""
        self.last = FakeFlow.tcp("192.0.2.99")
        self.upstream.flow_without_lookup("sip:192.0.2.7;transport=udp", self.last)
        self.assertEqual(self.asked, [("tcp", Address("192.0.2.7", 5060))])

    def test_name(self) -> None:
        """A name is looked up, by `toward` alone; the first address is taken."""
        uri = "sip:bob@pbx.example.com:5090"
        self.assertIsNone(self.upstream.flow_without_lookup(uri, self.last))
        self.assertEqual((self.looked_up, self.asked), ([], []))
        self.successResultOf(self.toward(uri))
        self.assertEqual(self.looked_up, [("pbx.example.com", 5090)])
        self.assertEqual(self.asked, [("udp", Address("192.0.2.50", 5060))])

    def test_same_server(self) -> None:
        """Of several servers of a name, a dialog stays with the one that it has reached; who has failed comes last."""
        self.last = FakeFlow.udp("192.0.2.51")
        self.successResultOf(self.toward("sip:bob@pbx.example.com"))
        self.assertEqual(self.asked.pop(), ("udp", Address("192.0.2.51", 5060)))
        self.last = FakeFlow.udp("192.0.2.99")
        self.upstream.health.mark_down(Hop.to("192.0.2.50", None, None))
        self.successResultOf(self.toward("sip:bob@pbx.example.com"))
        self.assertEqual(self.asked.pop(), ("udp", Address("192.0.2.51", 5060)))

    def test_who_has_to_be_there(self) -> None:
        """Over TLS, the server that a trunk's dialog began with has to be the trunk, whatever its Contact and Route
        call it: by its address, or by a name that the configuration does not have. Another name has to be what it says
        (RFC 5922 section 4). Without a trunk it is always what is written."""
        self.found = succeed([Hop("tls", Address("192.0.2.50", 5061), "edge1.example.net")])
        trunk = replace(PBX, transport="tls", proxy=(HostPort("sbc.example.com", None), HostPort("b.example", None)))
        for peer, of, uri, domain in (
            ("192.0.2.50", trunk, "sip:bob@edge1.example.net:5061", "sbc.example.com"),
            ("192.0.2.99", trunk, "sip:bob@edge1.example.net:5061", "edge1.example.net"),
            ("192.0.2.50", None, "sip:bob@edge1.example.net:5061", "edge1.example.net"),
            ("192.0.2.99", trunk, "sip:bob@192.0.2.50:5061", "sbc.example.com"),
            ("192.0.2.50", None, "sip:bob@192.0.2.50:5061", "192.0.2.50"),
        ):
            self.last = FakeFlow.tcp(peer, 40000)
            self.successResultOf(Deferred.fromCoroutine(self.upstream.flow_to_uri(uri, self.last, of)))
            self.assertEqual(self.domains.pop(), domain, uri)
            if self.upstream.flow_without_lookup(uri, self.last, of):
                self.assertEqual(self.domains.pop(), domain, uri)

    def test_unknown_name(self) -> None:
        """What the look-up says is said."""
        self.found = fail(Refusal(502, "Cannot Resolve"))
        self.failureResultOf(self.toward("sip:pbx.example.com"), Refusal)

    def test_unreadable(self) -> None:
        """A URI that can't be read: None, and a Refusal with 502."""
        for uri in ("nonsense", "sip:", "sip:bob@[::1", "tel:+49"):
            self.assertIsNone(self.upstream.flow_without_lookup(uri, self.last), uri)
        self.assertEqual(self.failureResultOf(self.toward("nonsense"), Refusal).value.status, 502)

    def test_no_way(self) -> None:
        """No socket can send there: None, and FlowLost; by name as by address."""
        self.no_way = True
        self.assertIsNone(self.upstream.flow_without_lookup("sip:192.0.2.7", self.last))
        for uri in ("sip:192.0.2.7", "sip:pbx.example.com"):
            self.failureResultOf(self.toward(uri), FlowLost)

    def test_route(self) -> None:
        """The same for a route of the configuration: address or name, port, transport."""
        for host, port, looked_up in (("192.0.2.7", None, []), ("pbx.example.com", 5070, [("pbx.example.com", 5070)])):
            route = Route(UNKNOWN_PEER, host, port, "tcp")
            self.successResultOf(Deferred.fromCoroutine(self.upstream.next_hops(route)))
            self.assertEqual(self.looked_up, looked_up)
        self.assertEqual(self.asked[0], ("tcp", Address("192.0.2.7", 5060)))


class Acknowledged(CallCase):
    """The ACK of a 2xx goes where the Contact leads (RFC 3261 section 13.2.2.4)."""

    trunks = (PBX,)

    def answered(self, contact: str, unreachable: bool = False) -> None:
        """The trunk has answered with this Contact."""
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.invite("sip:bob@pbx.example.com")
        self.leg = self.trunk.request("INVITE")
        self.world.unreachable = unreachable
        self.trunk.answer(self.leg, 200, PLAIN, contact=contact)

    def test_at_once(self) -> None:
        """To an address: before anything else happens; again for each repeat of the 2xx, the same octets."""
        self.answered("<sip:bob@192.0.2.77:5070>")
        far = self.world.trunk("192.0.2.77", 5070)
        ack = far.request("ACK")
        self.assertEqual((ack.uri, ack.cseq.number), ("sip:bob@192.0.2.77:5070", self.leg.cseq.number))
        self.trunk.answer(self.leg, 200, PLAIN, contact="<sip:bob@192.0.2.77:5070>")
        far.heard("ACK")
        self.assertEqual(far.flow.sent[0], far.flow.sent[1])
        self.trunk.silent()

    def test_by_the_transport_that_it_names(self) -> None:
        """And by its transport: the ACK, its repeat and the BYE (RFC 3261 section 12.2.1.1; field.rst K: Transport of
        the target)."""
        for contact, transport in (
            ("<sip:bob@192.0.2.77:5070;transport=tcp>", "tcp"),
            ("<sips:bob@192.0.2.77:5070>", "tls"),
        ):
            self.answered(contact)
            far = self.world.trunk("192.0.2.77", 5070, transport)
            far.heard("ACK")
            self.trunk.answer(self.leg, 200, PLAIN, contact=contact)
            far.heard("ACK")
            self.alice.flow.lose()
            self.world.turn(6)
            bye = far.request("BYE")
            self.assertEqual(bye.via.transport, transport.upper())
            far.answer(bye, 200)
            self.trunk.silent()
            self.alice = self.world.browser()

    def test_after_a_look_up(self) -> None:
        """To a name: as soon as it is known."""
        found: Deferred[list[Hop]] = Deferred()
        names = self.world.names
        resolve = names.resolve
        self.patch(names, "resolve", lambda host, *more: found if host == "far.example" else resolve(host, *more))
        self.answered("<sip:bob@far.example>")
        far = self.world.trunk("192.0.2.77")
        far.silent()
        found.callback([Hop.to("192.0.2.77", None, None)])
        far.heard("ACK")

    def test_no_such_place(self) -> None:
        """Where no socket sends there, nobody knows the name, or nobody has the address: ACKs and BYE go where the
        INVITE went, and the log says so once, with the call (field.rst K: Target out of reach)."""
        for contact in ("sip:bob@203.0.113.66", "sip:bob@nowhere.example", "sip:bob@0.0.0.0", "sip:bob@[::]:5060"):
            with capturedLogs() as events:
                self.answered(f"<{contact}>", unreachable="203" in contact)
                self.assertEqual(self.trunk.request("ACK").uri, contact)
                self.trunk.answer(self.leg, 200, PLAIN, contact=f"<{contact}>")
                self.trunk.heard("ACK")
                self.alice.heard(200)
                self.ended_by_the_trunk()
            self.world.unreachable = False
            self.assert_said_once(events)

    def ended_by_the_trunk(self) -> None:
        """The browser is lost; the BYE comes where the INVITE came."""
        self.alice.flow.lose()
        self.world.turn(6)
        self.take_bye()

    def take_bye(self) -> None:
        bye = self.trunk.request("BYE")
        self.assertEqual(bye.via.transport, "UDP")
        self.trunk.answer(bye, 200)
        self.trunk.silent()

    def assert_said_once(self, events: list[LogEvent]) -> None:
        said = [event for event in events if "can't be reached" in (event.get("log_format") or "")]
        self.assertEqual([(event["call"], event["log_level"]) for event in said], [(self.leg.call_id, LogLevel.warn)])

    def test_refused(self) -> None:
        """So it is where the connection is refused (field.rst K: Target out of reach)."""
        contact = "<sip:bob@192.0.2.77:5070;transport=tcp>"
        with capturedLogs() as events:
            far = self.world.trunk("192.0.2.77", 5070, "tcp")
            far.flow.opened = False
            self.answered(contact)
            self.trunk.answer(self.leg, 200, PLAIN, contact=contact)
            self.assertEqual(far.pending(), ["ACK", "ACK"])
            self.trunk.silent()
            far.flow.lose()
            self.assertEqual(self.trunk.request("ACK").via.transport, "UDP")
            self.trunk.answer(self.leg, 200, PLAIN, contact=contact)
            self.trunk.heard("ACK")
            self.ended_by_the_trunk()
        self.assert_said_once(events)

    def test_refused_later(self) -> None:
        """The same for a BYE, after an ACK that has arrived (field.rst K: Target out of reach)."""
        with capturedLogs() as events:
            far = self.world.trunk("192.0.2.77", 5070, "tcp")
            self.answered("<sip:bob@192.0.2.77:5070;transport=tcp>")
            far.heard("ACK")
            self.alice.flow.lose()
            self.world.turn(6)
            far.heard("BYE")
            far.flow.lose()
            self.take_bye()
        self.assert_said_once(events)

    def test_connection_that_was_made(self) -> None:
        """One that has been made has brought the ACK: its end changes nothing."""
        far = self.world.trunk("192.0.2.77", 5070, "tcp")
        far.flow.opened = False
        self.answered("<sip:bob@192.0.2.77:5070;transport=tcp>")
        far.heard("ACK")
        far.flow.opened = True
        far.flow.lose()
        self.trunk.silent()
        self.alice.flow.lose()
        self.world.turn(6)
        far = self.world.trunk("192.0.2.77", 5070, "tcp")
        far.answer(far.request("BYE"), 200)

    def test_that_has_called(self) -> None:
        """So it is where the trunk has called, with every request; a new target is tried (field.rst K: Target out of
        reach)."""
        caller, callee = inbound(self.world)
        caller.contact = "sip:carol@nowhere.example"
        self.change_target(caller)
        for method in ("INFO", "MESSAGE"):
            callee.ask(method)
            caller.answer(caller.peer.request(method), 200)
            callee.peer.heard(200)
        caller.contact = "sip:carol@192.0.2.77"
        self.change_target(caller)
        callee.ask("INFO")
        far = self.world.trunk("192.0.2.77")
        far.answer(far.request("INFO"), 200)
        callee.peer.heard(200)

    def change_target(self, caller: Party) -> None:
        """The trunk sends an UPDATE with another Contact."""
        caller.ask("UPDATE")
        caller.peer.heard(200)

    def test_no_way_at_all(self) -> None:
        """Where the ACK can't be sent by that flow either, both sides get a BYE, with the reason (RFC 3326;
        field.rst K: Target out of reach)."""
        for contact in ("<sip:bob@192.0.2.77>", "<sip:bob@nowhere.example>", ""):
            alice, trunk = self.world.browser(), self.world.trunk()
            invite = alice.invite("sip:bob@pbx.example.com")
            leg = trunk.request("INVITE")
            trunk.flow.broken = self.world.trunk("192.0.2.77").flow.broken = True
            trunk.answer(leg, 200, PLAIN, contact=contact)
            alice.ack(invite, alice.response(200))
            trunk.flow.broken = False
            self.world.turn()
            for bye in (alice.request("BYE"), trunk.request("BYE")):
                self.assertEqual(bye.headers.get("Reason"), 'SIP;cause=502;text="Trunk Unreachable"')
            alice.flow.lose()
            trunk.flow.lose()
            self.world.rest()
            trunk.forget()


class WhoseCall(SynchronousTestCase):
    """`Sources.trunk_of` says of which trunk a call from the SIP side is."""

    def of(self, caller: str, uri: str, *trunks: Trunk, host: str = "192.0.2.7", callee: str = "") -> str | None:
        sources = Sources([replace(trunk, sources=(ip_network("192.0.2.0/24"),)) for trunk in trunks], Names())
        trunk = sources.trunk_of(Request("INVITE", uri, Headers([("From", f"<{caller}>;tag=1")])), host, callee)
        return trunk and trunk.name

    def test_one(self) -> None:
        """One trunk at the address: it is that one, whatever the message says."""
        self.assertEqual(self.of("sip:x@y.invalid", "sip:a@b.invalid", PBX), "pbx")

    def test_none(self) -> None:
        """An address of no trunk."""
        self.assertIsNone(self.of("sip:x@pbx.example.com", "sip:a@b.invalid", PBX, host="198.51.100.1"))

    def test_several(self) -> None:
        """Of several at one address: the one that serves From's host, else the Request-URI's, else the first."""
        both = PBX, CARRIER
        self.assertEqual(self.of("sip:x@carrier.example.net:5080", "sip:a@pbx.example.com", *both), "carrier")
        self.assertEqual(self.of("sip:x@y.invalid", "sip:a@carrier.example.net:5080", *both), "carrier")
        self.assertEqual(self.of("tel:+49", "sip:a@b.invalid", *both), "pbx")

    def test_callee(self) -> None:
        """The trunk where the callee has registered goes before all that the message says; a callee who has
        registered at none of them says nothing (field.rst X12: Several trunks at one address)."""
        says_pbx = "sip:x@pbx.example.com", "sip:a@pbx.example.com", PBX, CARRIER
        self.assertEqual(self.of(*says_pbx, callee="a@carrier.example.net:5080"), "carrier")
        self.assertEqual(self.of(*says_pbx, callee="a@other.invalid"), "pbx")
