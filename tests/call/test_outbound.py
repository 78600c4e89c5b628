"""A browser calls out to a trunk: every exit of the call, as both legs see it."""

from __future__ import annotations

from twisted.logger import LogLevel, capturedLogs

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import PBX
from webrtcproxy.config import CallsConfig
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK
from webrtcproxy.runtime.errors import BadDescription, NgOverload, NgRefused, NgTimeout
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.transaction.server import TRYING_DELAY


class Answered(CallCase):
    """The call comes about."""

    trunks = (PBX,)

    def test_ladder(self) -> None:
        """INVITE, 100 as it doesn't ring at once, 180, 200, ACK, BYE: who sends what, in order, and what crosses."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com", ("X-Tenant", "7"), ("User-Agent", "JsSIP"))
        alice.silent()
        self.world.turn(TRYING_DELAY)
        alice.heard(100)
        leg = trunk.request("INVITE")
        self.assertEqual(leg.uri, "sip:bob@pbx.example.com")
        self.assertEqual(leg.headers.get("X-Tenant"), "7")
        self.assertEqual(leg.headers.get("Max-Forwards"), "68")
        self.assertNotEqual(leg.call_id, invite.call_id)
        self.assertNotEqual(leg.from_.tag, invite.from_.tag)
        self.assertEqual(leg.from_.uri, "sip:alice@pbx.example.com")
        self.assertEqual(len(leg.headers.lines("Via")), 1)
        self.assertTrue(NameAddr.parse(leg.headers.get("Contact") or "").address.user)
        trunk.answer(leg, 100)
        trunk.answer(leg, 180, headers=[("X-Agent", "desk")])
        ringing = alice.response(180)
        self.assertEqual(ringing.headers.get("X-Agent"), "desk")
        trunk.answer(leg, 200, PLAIN, reason="Fine")
        trunk.heard("ACK")
        ok = alice.response(200)
        self.assertEqual((ok.reason, ok.to.tag), ("Fine", ringing.to.tag))
        alice.ack(invite, ok)
        alice.say(alice.inside("BYE", invite, ok))
        alice.heard(200)
        bye = trunk.request("BYE")
        self.assertEqual((bye.call_id, bye.to.tag, bye.cseq.number), (leg.call_id, "callee", 2))
        trunk.answer(bye, 200)
        self.assert_over(alice, trunk)

    def test_transport_of_browsers(self) -> None:
        """A Request-URI and a To with ``transport=ws`` are those of the trunk without it."""
        alice, trunk = self.world.browser(), self.world.trunk()
        for transport in ("ws", "wss"):
            alice.invite(f"sip:bob@pbx.example.com;transport={transport}")
            leg = trunk.request("INVITE")
            self.assertEqual((leg.uri, leg.to.uri), ("sip:bob@pbx.example.com", "sip:bob@pbx.example.com"))
            trunk.answer(leg, 486)
            trunk.heard("ACK")
            alice.heard(486)

    def test_visual_separators(self) -> None:
        """A number that a page dials as people write it reaches the trunk as digits, in Request-URI and To (RFC 3966
        section 5.1.1) (field.rst W12: Visual separators)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        for dialled in ("+49%2030%20123", "+49(30)-1.23;user=phone", "+49%20(0)30123", "+4930/123", "+49%2F30/123"):
            user, _, params = dialled.partition(";")
            alice.invite(f"sip:{user}@pbx.example.com" + (params and f";{params}"))
            leg = trunk.request("INVITE")
            sent = "sip:+4930123@pbx.example.com" + (params and f";{params}")
            self.assertEqual((leg.uri, leg.to.uri), (sent, sent))
            trunk.answer(leg, 486)
            trunk.heard("ACK")
            alice.heard(486)

    def test_media(self) -> None:
        """The offer goes to the trunk as plain RTP, the answer to the browser as DTLS-SRTP, the session is deleted."""
        alice, trunk = self.world.browser(), self.world.trunk()
        _, ok = self.up(alice, trunk)
        offer, answer = self.world.nodes.sessions[0].operations
        self.assertEqual((offer.command, offer.to, offer.sdp), ("offer", TRUNK, OFFER))
        self.assertEqual((answer.command, answer.to, answer.sdp), ("answer", BROWSER_OF_TRUNK, PLAIN))
        self.assertEqual((offer.from_tag, offer.branch), (answer.from_tag, answer.branch))
        self.assertTrue(answer.to_tag)
        self.assertIn(b"SAVPF", ok.body)

    def test_trunk_hangs_up(self) -> None:
        """A BYE of the callee's is answered, and reaches the browser with its Reason."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.up(alice, trunk)
        trunk.say(self.callee_request("BYE", headers=[("Reason", "Q.850;cause=16")]))
        trunk.heard(200)
        bye = alice.request("BYE")
        self.assertEqual(bye.headers.get("Reason"), "Q.850;cause=16")
        self.assertEqual(bye.uri, alice.contact)
        alice.answer(bye, 200)
        self.assert_over(alice, trunk)

    def test_both_hang_up(self) -> None:
        """BYEs that cross are both answered 200 (the original exits on this)
        (original.rst: both sides hang up at once)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite, ok = self.up(alice, trunk)
        alice.say(alice.inside("BYE", invite, ok))
        alice.heard(200)
        bye = trunk.request("BYE")
        trunk.say(self.callee_request("BYE"))
        trunk.heard(200)
        trunk.answer(bye, 200)
        self.assert_over(alice, trunk)

    def test_early_media(self) -> None:
        """SDP in a 183 becomes an answer for the browser; the 200 with the same SDP needs no other."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 183, PLAIN)
        early = alice.response(183)
        self.assertIn(b"SAVPF", early.body)
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        self.assertEqual(alice.response(200).body, early.body)
        self.assertEqual([operation for operation, _ in self.world.nodes.log], ["offer", "answer"])

    def test_answer_was_in_183(self) -> None:
        """A 200 without SDP stands by the answer of the 183."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 183, PLAIN)
        early = alice.response(183)
        trunk.answer(leg, 200)
        self.assertEqual(alice.response(200).body, early.body)

    def test_early_media_fails(self) -> None:
        """rtpengine refusing an early answer costs the early media, not the call."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        self.world.nodes.fail("answer", NgRefused("odd"))
        trunk.answer(leg, 183, PLAIN)
        self.assertEqual(alice.response(183).body, b"")
        trunk.answer(leg, 200, PLAIN)
        self.assertTrue(alice.response(200).body)

    def test_other_early_dialog_answers(self) -> None:
        """183 of one fork downstream, 200 of another: the right answer reaches the browser, under one To tag
        (original.rst: call out, several early dialogs from one trunk). rtpengine is told the offer again before: it
        would else answer with the codecs of the first one."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 183, PLAIN, tag="one")
        early = alice.response(183)
        trunk.answer(leg, 200, PLAIN.replace(b"50000", b"50002"), tag="two")
        ok = alice.response(200)
        self.assertEqual(ok.to.tag, early.to.tag)
        operations = self.world.nodes.sessions[0].operations
        self.assertEqual([one.command for one in operations], ["offer", "answer", "offer", "answer"])
        self.assertNotEqual(operations[1].to_tag, operations[3].to_tag)
        self.assertEqual(operations[0].sdp, operations[2].sdp)

    def test_repeated_200(self) -> None:
        """Each repeat of the 200 is ACKed again; there is one dialog (RFC 6026)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.up(alice, trunk)
        for _ in range(2):
            trunk.answer(self.leg, 200, PLAIN)
            trunk.heard("ACK")
        alice.silent()

    def test_second_fork_answers(self) -> None:
        """A further 2xx with a new To tag is ACKed and ended with BYE; the first wins (corners.rst 1: Forked 2xx from
        T)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.up(alice, trunk)
        trunk.answer(self.leg, 200, PLAIN, tag="other")
        self.assertEqual(trunk.request("ACK").to.tag, "other")
        bye = trunk.request("BYE")
        self.assertEqual(bye.to.tag, "other")
        trunk.answer(bye, 200)
        alice.silent()

    def test_ack_is_missing(self) -> None:
        """The 200 is repeated T1 to T2; after 32 s without an ACK, and not before, both sides get BYE (section
        13.3.1.4; corners.rst 1: BYE before ACK)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        alice.heard(200)
        for seconds in (0.5, 1, 2, 4, 4, 4, 4, 4, 4, 4):
            self.world.turn(seconds)
            alice.heard(200)
        self.world.turn(0.5)
        trunk.answer(trunk.request("BYE"), 200)
        alice.answer(alice.request("BYE"), 200)
        self.assert_over(alice, trunk)

    def test_callee_hangs_up_before_the_ack(self) -> None:
        """The answering side never sends BYE before the ACK (section 15): it waits for it (corners.rst 1: BYE before
        ACK)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        self.leg = trunk.request("INVITE")
        self.trunk_ok = trunk.answer(self.leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = alice.response(200)
        trunk.say(self.callee_request("BYE"))
        trunk.heard(200)
        alice.silent()
        alice.ack(invite, ok)
        alice.answer(alice.request("BYE"), 200)
        self.assert_over(alice, trunk)

    def test_route_set(self) -> None:
        """ACK and BYE follow the Record-Route of the 200, reversed."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        hop = self.world.trunk("192.0.2.60")
        routes = [("Record-Route", "<sip:192.0.2.61;lr>"), ("Record-Route", "<sip:192.0.2.60;lr>")]
        trunk.answer(leg, 200, PLAIN, headers=routes)
        ack = hop.request("ACK")
        self.assertEqual(ack.headers.all("Route"), ["<sip:192.0.2.60;lr>", "<sip:192.0.2.61;lr>"])
        alice.ack(invite, alice.response(200))


class Refused(CallCase):
    """The call does not come about; the browser learns why."""

    trunks = (PBX,)

    def ring(self) -> None:
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.leg = self.trunk.request("INVITE")

    def refuse(self, status: int, *headers: tuple[str, str], reason: str = "") -> None:
        self.trunk.answer(self.leg, status, reason=reason, headers=headers)
        self.trunk.heard("ACK")

    def test_code_reason_and_headers_cross(self) -> None:
        """What the far side answers is what the near side hears."""
        self.ring()
        self.refuse(486, ("Retry-After", "9"), ("Reason", "Q.850;cause=17"), ("Warning", '399 x "y"'), reason="In Bed")
        heard = self.alice.response(486)
        self.assertEqual((heard.reason, heard.headers.get("Retry-After")), ("In Bed", "9"))
        self.assertEqual(heard.headers.get("Reason"), "Q.850;cause=17")
        self.alice.ack(self.invite, heard)
        self.assert_over(self.alice, self.trunk)

    def test_302_has_its_contact(self) -> None:
        """The Contact of a redirect is for the browser to see (the original drops it)
        (original.rst: call out, 486 and 302)."""
        self.ring()
        self.refuse(302, ("Contact", "<sip:mobile@elsewhere.example>"))
        self.assertEqual(self.alice.response(302).headers.get("Contact"), "<sip:mobile@elsewhere.example>")

    def test_503_is_not_ours(self) -> None:
        """503 would say that the proxy is out of service (RFC 3261 section 16.7 step 6; corners.rst 1: 503 from
        upstream)."""
        self.ring()
        self.refuse(503, reason="Full")
        self.assertEqual(self.alice.response(500).reason, "Full")

    def test_not_allowed(self) -> None:
        """A destination that is none gets 403, and nothing is sent anywhere."""
        alice = self.world.browser()
        alice.invite("sip:bob@elsewhere.example.org")
        alice.heard(403)
        self.assertEqual(list(self.world.trunks), [])

    def test_unresolvable(self) -> None:
        """A trunk whose name has no address: 502 that says so."""
        del self.world.names.known["pbx.example.com"]
        alice = self.world.browser()
        alice.invite("sip:bob@pbx.example.com")
        self.assertIn("Resolve", alice.response(502).reason)
        self.assert_over(alice)

    def test_no_route(self) -> None:
        """The kernel refuses the datagram: 502 at once."""
        self.world.unreachable = True
        alice = self.world.browser()
        alice.invite("sip:bob@pbx.example.com")
        alice.heard(502)
        self.assert_over(alice)

    def test_silent_trunk(self) -> None:
        """No response within 32 s: 408."""
        self.ring()
        for _ in range(64):
            self.world.turn(0.5)
        self.assertEqual(self.trunk.pending(), ["INVITE"] * 6)
        self.alice.heard(100)
        self.alice.heard(408)

    def test_rings_for_ever(self) -> None:
        """The ringing limit: CANCEL, and 408 for the browser, however often it is said to ring (corners.rst 1: Timer C
        analogue)."""
        self.ring()
        for _ in range(6):
            self.trunk.answer(self.leg, 180)
            self.alice.heard(180)
            self.world.turn(CallsConfig().ring / 6)
        self.alice.heard(408)
        self.world.turn()
        self.trunk.answer(self.trunk.request("CANCEL"), 200)
        self.refuse(487)
        self.assert_over(self.alice, self.trunk)

    def test_no_answer_in_the_answer(self) -> None:
        """A 200 without any SDP: the callee is released, the browser gets 502."""
        self.ring()
        self.trunk.answer(self.leg, 200)
        self.trunk.heard("ACK")
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.alice.heard(502)

    def test_other_body(self) -> None:
        """A body that is no SDP: 415."""
        alice = self.world.browser()
        alice.sdp = b"<x/>"
        self.patch(alice, "content_type", "application/xml")
        alice.invite("sip:bob@pbx.example.com")
        alice.heard(415)
        self.assert_over(alice)

    def test_too_many_calls(self) -> None:
        """Over the limit: 503 with Retry-After, and the calls that are up go on."""
        world = self.make_world(calls=CallsConfig(limit=1, limit_unregistered=3))
        alice, bert = world.browser(), world.browser("bert")
        alice.invite("sip:bob@pbx.example.com")
        bert.invite("sip:bob@pbx.example.com")
        self.assertTrue(bert.response(503).headers.get("Retry-After"))


class Media(CallCase):
    """rtpengine fails in every way: a final response, and a delete."""

    trunks = (PBX,)

    def test_silent(self) -> None:
        """rtpengine does not answer: 503 with Retry-After (the original hangs)
        (original.rst: rtpengine stopped, or silent)."""
        self.world.nodes.fail("offer", NgTimeout("silent"))
        alice = self.world.browser()
        alice.invite("sip:bob@pbx.example.com")
        self.assertTrue(alice.response(503).headers.get("Retry-After"))
        self.assertEqual(self.world.trunk().pending(), [])
        self.assert_over(alice)

    def test_overloaded(self) -> None:
        """The load limit of rtpengine: 503 with Retry-After."""
        self.world.nodes.fail("offer", NgOverload("full"))
        alice = self.world.browser()
        alice.invite("sip:bob@pbx.example.com")
        self.assertTrue(alice.response(503).headers.get("Retry-After"))

    def test_refused(self) -> None:
        """rtpengine can't read the SDP: 488."""
        self.world.nodes.fail("offer", NgRefused("what is this"))
        alice = self.world.browser()
        alice.invite("sip:bob@pbx.example.com")
        alice.heard(488)
        self.assert_over(alice)

    def test_level(self) -> None:
        """What a peer sends is no error of the service: anybody could fill the log with it (field.rst N: Fault of a
        peer in the log)."""
        for error, level in ((BadDescription("odd"), LogLevel.info), (NgRefused("odd"), LogLevel.error)):
            self.world.nodes.fail("offer", error)
            alice = self.world.browser()
            with capturedLogs() as events:
                alice.invite("sip:bob@pbx.example.com")
            alice.heard(488)
            said = [event["log_level"] for event in events if "media could not be set up" in event["log_format"]]
            self.assertEqual(said, [level])

    def test_answer_fails(self) -> None:
        """The callee has answered and its SDP can't be used: it is released, the browser gets 488."""
        self.world.nodes.fail("answer", NgRefused("odd"))
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
        trunk.heard("ACK")
        trunk.answer(trunk.request("BYE"), 200)
        alice.heard(488)
        self.assert_over(alice, trunk)
