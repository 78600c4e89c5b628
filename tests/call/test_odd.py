"""What peers send that they should not, and faults of our own: a final response, and nothing left behind."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import PBX
from tests.support.fakes import FakeFlow, FakeUser
from tests.support.messages import request
from webrtcproxy.config import HostPort, Trunk
from webrtcproxy.dialog.background import background, run_and_respond
from webrtcproxy.routing.sources import Sources
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request, Response, respond
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Address, Flow, Hop


class BadUpstream(CallCase):
    """The trunk speaks badly."""

    trunks = (PBX,)

    def ring(self) -> Request:
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.invite("sip:bob@pbx.example.com")
        return self.trunk.request("INVITE")

    def odd(self, leg: Request, status: int, header: str, value: str, body: bytes = b"") -> None:
        response = respond(leg, status, to_tag="callee", body=body)
        response.headers.set(header, value)
        self.trunk.say(response)

    def test_unreadable_to(self) -> None:
        """Responses whose To can't be read are those of the call all the same."""
        leg = self.ring()
        self.odd(leg, 180, "To", "<<nobody;tag=callee")
        self.alice.heard(180)
        response = respond(leg, 200, headers=[("Content-Type", "application/sdp")], body=PLAIN)
        response.headers.set("To", "<<nobody;tag=callee")
        self.trunk.say(response)
        ack = self.trunk.request("ACK")
        self.assertEqual(ack.headers.get("To"), "<sip:anonymous.invalid>;tag=callee")
        self.alice.heard(200)

    def test_other_bodies_in_1xx(self) -> None:
        """A 1xx whose body is no SDP, or none that can be read, crosses without early media, and the call goes on to
        its 200 (RFC 3261 section 13.2.1: the answer is in the 2xx at the latest)."""
        bodies = [
            ("Content-Type", "application/pidf+xml", b"<presence/>"),
            ("Content-Type", "text/plain", b"please wait"),
            ("Content-Type", "multipart/mixed;boundary=x", b"--x\r\nContent-Type: text/plain\r\n\r\nhi\r\n--x--\r\n"),
            ("Content-Type", "multipart/mixed", PLAIN[3:]),
            ("Content-Type", "text/x", PLAIN[3:]),
            ("Content-Encoding", "gzip", b"\x1f\x8b\x08"),
        ]
        leg = self.ring()
        for header, value, body in bodies:
            self.odd(leg, 180, header, value, body)
            self.assertEqual(self.alice.response(180).body, b"")
        self.trunk.answer(leg, 183, PLAIN)
        self.assertIn(b"SAVPF", self.alice.response(183).body)
        self.trunk.answer(leg, 200, PLAIN)
        self.assertIn(b"SAVPF", self.alice.response(200).body)

    def test_contact_that_leads_nowhere(self) -> None:
        """A 2xx without a Contact, or with one that leads nowhere, brings the call up all the same: what is sent to
        its sender goes where the INVITE went and with its Request-URI, and a line in the log tells of the Contact
        (field.rst V: Odd Contact)."""
        for text in ("<<nowhere", "<tel:+4930>", "<mailto:bob@example.com>", "<http://x>", "<sip:>", ""):
            for status in (200, 183):
                leg = self.ring()
                with capturedLogs() as events:
                    if status == 183:
                        self.early(leg, text)
                    self.odd(leg, 200, "Contact", text, PLAIN)
                lines = [line for event in events if "leads nowhere" in (line := formatEvent(event))]
                self.assertEqual(len(lines), 0 if not text else 1 if status == 200 else 2, (text, lines))
                ack = self.trunk.request("ACK")
                self.assertEqual((ack.uri, ack.cseq.number), (leg.uri, leg.cseq.number))
                self.assertEqual(ack.headers.lines("Route"), ["<sip:192.0.2.50:5060;lr>"])
                self.alice.heard(200)
                self.alice.flow.lose()
                self.world.turn(40)
                bye = self.trunk.request("BYE")
                self.assertEqual((bye.uri, bye.headers.get("From")), (leg.uri, leg.headers.get("From")))
                self.trunk.answer(bye, 200)
                self.assert_over(self.trunk)

    def early(self, leg: Request, contact: str) -> None:
        """A reliable response of the callee, and its PRACK."""
        response = respond(leg, 183, to_tag="callee", headers=[("Require", "100rel"), ("RSeq", "1")])
        response.headers.set("Contact", contact)
        self.trunk.say(response)
        prack = self.trunk.request("PRACK")
        self.assertEqual(prack.uri, leg.uri)
        self.trunk.answer(prack, 200)
        self.alice.heard(183)

    def released(self, leg: Request) -> None:
        """One that sent a 2xx that opens no dialog gets ACK and BYE, where the INVITE went and with its Request-URI."""
        ack, bye = self.trunk.request("ACK"), self.trunk.request("BYE")
        self.assertEqual((ack.uri, ack.cseq.number), (leg.uri, leg.cseq.number))
        self.assertEqual((bye.uri, bye.cseq.number), (leg.uri, leg.cseq.number + 1))
        self.assertEqual((bye.call_id, bye.headers.get("From")), (leg.call_id, leg.headers.get("From")))
        self.trunk.answer(bye, 200)

    def test_unusable_headers_in_200(self) -> None:
        """A 2xx whose Record-Route leads nowhere opens no dialog: 502 that says what is wrong. A repeat of it is ACKed
        again."""
        for header, value in (
            ("Record-Route", "<<nowhere"),
            ("Record-Route", "<tel:+4930>"),
            ("Record-Route", "<sip:192.0.2.60;lr>, <http://x>"),
        ):
            leg = self.ring()
            self.odd(leg, 200, header, value, PLAIN)
            self.released(leg)
            self.assertEqual(self.alice.response(502).reason, f"Upstream Sent Bad {header}")
            self.odd(leg, 200, header, value, PLAIN)
            self.trunk.heard("ACK")
            self.assert_over(self.alice, self.trunk)

    def test_unreadable_second_answer(self) -> None:
        """A further fork whose 2xx can't be read is ended, too, and the call that is up goes on."""
        leg = self.ring()
        self.trunk.answer(leg, 200, PLAIN)
        self.trunk.heard("ACK")
        self.alice.heard(200)
        response = respond(leg, 200, to_tag="other", body=PLAIN)
        response.headers.set("Record-Route", "<<nowhere")
        self.trunk.say(response)
        self.released(leg)
        self.assertEqual(len(self.world.calls), 1)

    def test_unreadable_answer_of_a_browser(self) -> None:
        """The same towards a browser; a Contact that leads nowhere costs it nothing, either."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        trunk.call(alice)
        self.trunk = alice
        leg = alice.request("INVITE")
        self.odd(leg, 200, "Record-Route", "<http://x>", OFFER)
        self.released(leg)
        trunk.heard(502)
        trunk.call(alice)
        leg = alice.request("INVITE")
        self.odd(leg, 200, "Contact", "<http://x>", OFFER)
        self.assertEqual(alice.request("ACK").uri, leg.uri)
        trunk.heard(200)

    def test_answer_of_another_type(self) -> None:
        """SDP that a 183 or a 200 calls plain text is SDP all the same (field.rst W: Odd type of an answer)."""
        leg = self.ring()
        self.odd(leg, 183, "Content-Type", "text/plain", PLAIN)
        self.assertIn(b"SAVPF", self.alice.response(183).body)
        self.odd(leg, 200, "Content-Type", "text/plain", PLAIN)
        self.trunk.heard("ACK")
        answer = self.alice.response(200)
        self.assertIn(b"SAVPF", answer.body)
        self.assertEqual(answer.headers.lines("Content-Type"), ["application/sdp"])

    def test_answer_is_no_sdp(self) -> None:
        """A 2xx with another body: 502, and the callee is released."""
        leg = self.ring()
        self.odd(leg, 200, "Content-Type", "text/plain", b"hello")
        self.trunk.heard("ACK")
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assertIn("Content-Type", self.alice.response(502).reason)

    def test_contact_without_a_way(self) -> None:
        """A 200 whose Contact can't be resolved: ACK and BYE go where the INVITE went."""
        leg = self.ring()
        response = respond(leg, 200, to_tag="callee", headers=[("Content-Type", "application/sdp")], body=PLAIN)
        response.headers.set("Contact", "<sip:callee@nowhere.example>")
        self.trunk.say(response)
        self.trunk.heard("ACK")
        self.alice.heard(200)
        self.alice.flow.lose()
        self.world.turn(5)
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assert_over(self.trunk)

    def test_flood_of_early_dialogs(self) -> None:
        """A far side that makes up a To tag for each 183, while rtpengine is slow: bounded; the call lives."""
        leg = self.ring()
        self.world.nodes.hold()
        for number in range(500):
            self.trunk.answer(leg, 183, PLAIN, tag=f"t{number}")
        self.world.nodes.release()
        self.assertLess(len(self.alice.pending()), 100)
        self.assertLess(len({op.to_tag for op in self.world.nodes.sessions[0].operations}), 20)
        self.trunk.answer(leg, 200, PLAIN, tag="t7")
        self.assertEqual(self.alice.pending()[-1], "200")

    def test_flood_of_answers(self) -> None:
        """Endless 2xx with new tags: some are ACKed and ended, the rest are not answered."""
        leg = self.ring()
        for number in range(500):
            self.trunk.answer(leg, 200, PLAIN, tag=f"t{number}")
        self.assertLess(len(self.trunk.pending()), 40)
        self.assertEqual(self.alice.pending(), ["200"])

    def test_fault_after_an_answer(self) -> None:
        """An unexpected exception while the 2xx is ACKed: the same, and the callee is released."""
        leg = self.ring()
        flow_to = self.world.flow_to

        def wrong(transport: str, address: Address, domain: str = "") -> Flow:
            self.world.flow_to = flow_to
            raise ZeroDivisionError

        self.world.flow_to = wrong
        self.trunk.answer(leg, 200, PLAIN)
        self.alice.heard(500)
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_over(self.alice, self.trunk)

    def test_fault_of_ours(self) -> None:
        """An exception in the call's own code: 500, a log line, everything freed."""
        leg = self.ring()
        self.world.nodes.sdp = lambda operation: 1 / 0  # type: ignore[assignment,return-value]
        self.trunk.answer(leg, 200, PLAIN)
        self.trunk.heard("ACK")
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.alice.heard(500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assert_over(self.alice, self.trunk)


class BadBrowser(CallCase):
    """A browser speaks badly."""

    trunks = (PBX,)

    def test_bad_multipart(self) -> None:
        """A multipart body without a boundary: 400."""
        alice = self.world.browser()
        self.patch(alice, "content_type", "multipart/mixed")
        alice.invite("sip:bob@pbx.example.com")
        alice.heard(400)

    def test_info_before_the_answer(self) -> None:
        """A request in an early dialog that the far side did not open has nobody to go to: 500, since a 481 would end
        the call (RFC 5057)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        trunk.answer(trunk.request("INVITE"), 180, tag="")
        alice.say(alice.inside("INFO", invite, alice.response(180)))
        alice.heard(500)

    def refused(self, header: str, **how: object) -> None:
        """400 that names the header, and nothing rings or is kept of it."""
        alice = self.world.browser()
        alice.say(request("INVITE", "sip:bob@pbx.example.com", **how))  # type: ignore[arg-type]
        heard = [alice.next() for _ in alice.pending()][-1]
        assert isinstance(heard, Response)
        self.assertEqual(heard.status, 400)
        self.assertIn(header, heard.reason)
        self.assertEqual((list(self.world.trunks), self.world.nodes.sessions), ([], []))

    def test_contact_with_a_fault(self) -> None:
        """A Contact that can't be read, or is no SIP URI, so that nothing could be sent within the dialog (RFC 3261
        section 8.1.1.8)."""
        for contact in ("<<x", "<tel:+4930123>", "<http://phone.example.com>", "<sip:>"):
            self.refused("Contact", contact=contact)

    def test_no_contact(self) -> None:
        """Without a Contact the URI in From has to be one."""
        self.refused("Contact", contact="", from_="<tel:+4930123>")

    def test_record_route_with_a_fault(self) -> None:
        """The same for the route set."""
        for route in ("<<x", "<tel:+4930123>", "<sip:192.0.2.7;lr>, <http://x>"):
            self.refused("Record-Route", headers=[("Record-Route", route)])


class Wall(SynchronousTestCase):
    """`background`: nobody waits for the work, somebody learns of its failure."""

    def test_logged(self) -> None:
        """An exception is logged with what failed."""

        async def work() -> None:
            raise RuntimeError("boom")

        background(work(), "the work", "c1")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class Answering(SynchronousTestCase):
    """`run_and_respond`: whatever happens, a final response."""

    def outcome(self, error: Exception | None) -> list[int | str]:
        """What the sender of a request hears whose work ends like that."""
        user, flow = FakeUser(), FakeFlow.udp("198.51.100.1", 5060)
        Transactions(Clock(), user).message_received(request("INFO"), flow)

        async def work() -> None:
            if error is not None:
                raise error

        self.successResultOf(run_and_respond(work(), user.transaction))
        return flow.summary

    def test_refusal(self) -> None:
        """A Refusal is that response."""
        self.assertEqual(self.outcome(Refusal(480)), [480])

    def test_fault(self) -> None:
        """Anything else is 500 and a log line."""
        self.assertEqual(self.outcome(ZeroDivisionError()), [500])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_silence(self) -> None:
        """Work that ends without an answer is an internal error: 500."""
        self.assertEqual(self.outcome(None), [500])


class Addresses:
    """A resolver whose names come and go."""

    def __init__(self) -> None:
        self.known: dict[str, list[str]] = {}

    def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
        if host in self.known:
            return succeed([Hop.to(address, port, transport) for address in self.known[host]])
        return fail(Refusal(502))


class WhoMayCall(SynchronousTestCase):
    """`sources`, or what the names of a trunk resolve to."""

    def test_resolved(self) -> None:
        """Host and proxy count; a name that can't be resolved any more keeps its addresses."""
        names = Addresses()
        names.known = {"pbx.example.com": ["192.0.2.1", "192.0.2.2"]}
        sources = Sources([PBX], names)
        self.assertEqual(sources.trunks_of("192.0.2.2"), ())
        self.successResultOf(sources.refresh())
        self.assertEqual(sources.trunks_of("192.0.2.2"), (PBX,))
        names.known.clear()
        self.successResultOf(sources.refresh())
        self.assertEqual(sources.trunks_of("192.0.2.2"), (PBX,))
        names.known["pbx.example.com"] = ["192.0.2.9"]
        self.successResultOf(sources.refresh())
        self.assertEqual((sources.trunks_of("192.0.2.2"), sources.trunks_of("192.0.2.9")), ((), (PBX,)))

    def test_servers(self) -> None:
        """The servers that SRV names may call in, and so may the addresses of the name itself; every proxy counts."""
        asked: list[tuple[str, int | None, str | None]] = []

        class Names(Addresses):
            def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
                asked.append((host, port, transport))
                return super().resolve(f"{host} {'a' if port else 'srv'}", port, transport)

        names = Names()
        names.known = {
            "pbx.example.com a": ["192.0.2.1"], "pbx.example.com srv": ["192.0.2.2"], "one.example srv": ["192.0.2.3"],
            "two.example a": ["192.0.2.4"],
        }  # fmt: skip
        trunk = replace(PBX, transport="tls", proxy=(HostPort("one.example", None), HostPort("two.example", 5070)))
        sources = Sources([trunk], names)
        self.successResultOf(sources.refresh())
        for number in (1, 2, 3, 4):
            self.assertEqual(sources.trunks_of(f"192.0.2.{number}"), (trunk,))
        self.assertIn(("one.example", None, "tls"), asked)
        self.assertNotIn(("two.example", None, "tls"), asked)

    def test_one_name_fails(self) -> None:
        """Of two proxies one has a name server that is ill: its addresses count on, beside the other's new ones."""
        names = Addresses()
        names.known = {"one.example": ["192.0.2.3"], "two.example": ["192.0.2.4"]}
        trunk = replace(PBX, proxy=(HostPort("one.example", None), HostPort("two.example", None)))
        sources = Sources([trunk], names)
        self.successResultOf(sources.refresh())
        names.known = {"one.example": ["192.0.2.5"]}
        self.successResultOf(sources.refresh())
        for number, belongs in ((3, ()), (4, (trunk,)), (5, (trunk,))):
            self.assertEqual(sources.trunks_of(f"192.0.2.{number}"), belongs, number)

    def test_slow_name(self) -> None:
        """A name server that does not answer holds up nobody: neither another trunk, nor another proxy of the same."""
        never: Deferred[list[Hop]] = Deferred()

        class Names(Addresses):
            def resolve(self, host: str, port: int | None, transport: str | None = None) -> Deferred[list[Hop]]:
                return never if host == "slow.example" else super().resolve(host, port, transport)

        names = Names()
        names.known = {"192.0.2.3": ["192.0.2.3"], "pbx.example.com": ["192.0.2.4"]}
        slow = replace(PBX, name="slow", host="slow.example", proxy=(HostPort("192.0.2.3", 5060),))
        sources = Sources([slow, PBX], names)
        self.assertEqual(sources.trunks_of("192.0.2.3"), ())
        self.assertNoResult(sources.refresh())
        self.assertEqual((sources.trunks_of("192.0.2.3"), sources.trunks_of("192.0.2.4")), ((slow,), (PBX,)))

    def test_networks(self) -> None:
        """With `sources` nothing is resolved; what is no IP address is nobody's."""
        from ipaddress import ip_network

        trunk = Trunk("t", "t.example", sources=(ip_network("198.51.100.0/24"), ip_network("2001:db8::/32")))
        sources = Sources([trunk], Addresses())
        self.assertEqual(sources.trunks_of("198.51.100.77"), (trunk,))
        self.assertEqual(sources.trunks_of("2001:db8::1"), (trunk,))
        for stranger in ("198.51.101.1", "unix", ""):
            self.assertEqual(sources.trunks_of(stranger), ())

    def test_memory_is_bounded(self) -> None:
        """Strangers do not fill the memory of addresses."""
        sources = Sources([PBX], Addresses())
        for number in range(sources.REMEMBERED + 10):
            sources.trunks_of(f"10.0.{number >> 8}.{number & 255}")
        self.assertLessEqual(len(sources._known), sources.REMEMBERED)


class Forked(CallCase):
    """Forks upstream and down at once."""

    trunks = (PBX,)

    def test_answer_after_the_fork_is_settled(self) -> None:
        """A browser that answers after its CANCEL: ACK, BYE, and its media is not touched any more."""
        world = self.make_world(multiple=True)
        trunk, desk, sofa = world.trunk(), world.browser(), world.browser()
        desk.bind()
        sofa.bind()
        trunk.call(desk)
        at_desk, at_sofa = desk.request("INVITE"), sofa.request("INVITE")
        desk.answer(at_desk, 180)
        sofa.answer(at_sofa, 200, OFFER)
        desk.heard("CANCEL")
        desk.answer(at_desk, 200, OFFER)
        self.assertEqual(desk.pending(), ["ACK", "BYE"])
        last: Response | Request = desk.heard("ACK")
        self.assertIsInstance(last, Request)
