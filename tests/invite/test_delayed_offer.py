"""INVITE without an offer (RFC 3261 section 13.2.1): the callee offers in its 2xx, the caller answers in its ACK."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.early import EarlyCase
from tests.support.calls.world import PLAIN, Browser
from tests.support.configs import PBX
from tests.support.sdp import lines
from webrtcproxy.runtime.errors import NgRefused, NgTimeout
from webrtcproxy.sip.message import Response


class LateCase(EarlyCase):
    """The callee has answered an INVITE without SDP."""

    def answered(self) -> tuple[Response, Response]:
        """The callee's 2xx, and the one that the caller got."""
        answer = self.callee.answer(self.leg, 200, self.sdp(self.callee))
        return answer, self.caller.response(200)

    def refused(self) -> None:
        """The callee gets an answer that refuses all that it has offered, and a BYE; the caller a BYE."""
        ack = self.callee.request("ACK")
        self.assertEqual([line.split()[1] for line in lines(ack.body, "m=")], ["0"])
        self.assertEqual(lines(ack.body, "m=")[0].split()[2], lines(self.sdp(self.callee), "m=")[0].split()[2])
        self.callee.answer(self.callee.request("BYE"), 200)


class Late(LateCase):
    """Out of a browser and into one."""

    def test_call(self) -> None:
        """The offer is in the 200, and the callee's ACK waits for the answer in the caller's (original.rst: call
        out, INVITE without SDP). rtpengine takes the callee for the offerer."""
        for _ in self.ways(offer=False):
            self.assertEqual((self.leg.body, self.leg.headers.get("Content-Type")), (b"", None))
            self.assertEqual(self.media(), [])
            answer, ok = self.answered()
            self.callee.silent()
            (offer,) = self.media()
            self.assertEqual((offer.command, offer.sdp, offer.to and offer.to.name),
                             ("offer", answer.body, self.profile(self.caller)))  # fmt: skip
            self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
            ack = self.callee.request("ACK")
            (told,) = self.media()
            self.assertEqual((told.command, told.branch, told.from_tag), ("answer", offer.branch, offer.from_tag))
            self.assertEqual((told.sdp, told.to and told.to.name), (self.sdp(self.caller), self.profile(self.callee)))
            self.assertEqual(ack.headers.get("Content-Type"), "application/sdp")
            self.assertIn(b"m=audio", ack.body)
            self.callee.say(answer)
            self.assertEqual(self.callee.request("ACK").body, ack.body)
            self.hang_up(ok)

    def test_changed_later(self) -> None:
        """After the ACK either side may change the session, with the same names towards rtpengine; before, the
        callee's offer is the one that is unanswered (RFC 3264 section 4)."""
        for _ in self.ways(offer=False):
            answer, ok = self.answered()
            caller, callee = self.at_caller(ok), self.at_callee(answer)
            callee.ask("UPDATE", self.sdp(self.callee, version=2))
            self.assertTrue(self.callee.response(500).headers.get("Retry-After"))
            caller.ack(self.invite, self.sdp(self.caller))
            self.callee.heard("ACK")
            self.media()
            for asker, other in ((caller, callee), (callee, caller)):
                invite = asker.ask("INVITE", asker.sdp("sendonly", 3))
                other.answer(other.peer.request("INVITE"), 200, other.sdp("recvonly", 3))
                other.peer.heard("ACK")
                asker.peer.heard(200)
                asker.ack(invite)
            names = [(one.from_tag, one.to_tag, one.branch) for one in self.media()]
            self.assertEqual(len({branch for _, _, branch in names}), 1)
            self.assertEqual(len({name for pair in names for name in pair[:2] if name}), 2)
            self.hang_up(ok)

    def test_ack_without_answer(self) -> None:
        """The caller's ACK has no SDP: the callee gets an ACK that refuses all media, and both a BYE."""
        for _ in self.ways(offer=False):
            _, ok = self.answered()
            self.at_caller(ok).ack(self.invite)
            self.refused()
            bye = self.caller.request("BYE")
            self.assertIn("488", bye.headers.get("Reason") or "")
            self.caller.answer(bye, 200)
            self.assert_over(self.caller, self.callee)

    def test_other_body_in_the_ack(self) -> None:
        """An ACK with a body that is no SDP."""
        for _ in self.ways(offer=False):
            _, ok = self.answered()
            party = self.at_caller(ok)
            ack = party._build("ACK", self.invite.cseq.number, b"hello", ("Content-Type", "text/plain"))
            self.caller.say(ack)
            self.refused()
            self.caller.answer(self.caller.request("BYE"), 200)
            self.assert_over(self.caller, self.callee)

    def test_no_ack(self) -> None:
        """None comes: after 32 s the callee is told that there is no medium, and both get a BYE."""
        for _ in self.ways(offer=False):
            self.answered()
            for _ in range(64):
                self.world.turn(0.5)
            self.refused()
            while self.caller.pending()[0] == "200":
                self.caller.heard(200)
            self.caller.answer(self.caller.request("BYE"), 200)
            self.assert_over(self.caller, self.callee)

    def test_answer_is_no_use(self) -> None:
        """rtpengine refuses the answer in the ACK."""
        for _ in self.ways(offer=False):
            _, ok = self.answered()
            self.world.nodes.fail("answer", NgRefused("odd"))
            self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
            self.refused()
            self.caller.answer(self.caller.request("BYE"), 200)
            self.assert_over(self.caller, self.callee)

    def test_offer_is_no_use(self) -> None:
        """rtpengine refuses the offer in the 200, or is silent: the caller gets 488 or 503, the callee ACK and BYE."""
        for error, status in ((NgRefused("odd"), 488), (NgTimeout("silent"), 503)):
            for _ in self.ways(offer=False):
                self.world.nodes.fail("offer", error)
                self.callee.answer(self.leg, 200, self.sdp(self.callee))
                self.refused()
                self.caller.heard(status)
                self.assert_over(self.caller, self.callee)

    def test_no_offer_in_the_2xx(self) -> None:
        """A 200 without any SDP: the callee is released, the caller gets 502."""
        for _ in self.ways(offer=False):
            self.callee.answer(self.leg, 200)
            self.assertEqual(self.callee.request("ACK").body, b"")
            self.callee.answer(self.callee.request("BYE"), 200)
            self.caller.heard(502)
            self.assert_over(self.caller, self.callee)

    def test_sdp_in_an_unreliable_1xx(self) -> None:
        """It is no offer (RFC 3262 section 5): the 1xx crosses without."""
        for _ in self.ways(offer=False):
            self.callee.answer(self.leg, 183, self.sdp(self.callee))
            self.assertEqual(self.caller.response(183).body, b"")
            _, ok = self.answered()
            self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
            self.callee.heard("ACK")
            self.hang_up(ok)

    def test_caller_hangs_up_instead(self) -> None:
        """BYE in place of the ACK."""
        for _ in self.ways(offer=False):
            _, ok = self.answered()
            self.at_caller(ok).ask("BYE")
            self.caller.heard(200)
            self.refused()
            self.assert_over(self.caller, self.callee)

    def test_callee_hangs_up_before_its_ack(self) -> None:
        """It has its ACK all the same, and the caller a BYE after its."""
        for _ in self.ways(offer=False):
            answer, ok = self.answered()
            self.at_callee(answer).ask("BYE")
            self.assertEqual(sorted(self.callee.pending()), ["200", "ACK"])
            self.callee.forget()
            self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
            self.caller.answer(self.caller.request("BYE"), 200)
            self.assert_over(self.caller, self.callee)

    def test_cancel_crosses_with_the_2xx(self) -> None:
        """The caller gives up while rtpengine has the offer: 487, and the callee ACK and BYE."""
        for _ in self.ways(offer=False):
            self.world.nodes.hold()
            self.callee.answer(self.leg, 200, self.sdp(self.callee))
            self.caller.cancel(self.invite)
            self.world.nodes.release()
            self.world.turn()
            self.caller.heard(200)
            self.caller.heard(487)
            self.refused()
            self.assert_over(self.caller, self.callee)

    def test_second_answer(self) -> None:
        """Two 2xx of a fork: the second one gets an answer that refuses all, and BYE (RFC 3261 section 13.2.2.4)."""
        self.way(offer=False)
        _, ok = self.answered()
        self.callee.answer(self.leg, 200, PLAIN, tag="other")
        ack = self.callee.request("ACK")
        self.assertEqual((ack.to.tag, lines(ack.body, "m=")[0].split()[1]), ("other", "0"))
        bye = self.callee.request("BYE")
        self.assertEqual(bye.to.tag, "other")
        self.callee.answer(bye, 200)
        self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
        self.assertEqual(self.callee.request("ACK").to.tag, "callee")
        self.hang_up(ok)


class Forked(CallCase):
    """To several browsers."""

    trunks = (PBX,)

    def test_first_answer_wins(self) -> None:
        """Each gets the INVITE without an offer; the one that answers makes it, the other is cancelled; where that
        answers all the same, it gets ACK and BYE."""
        self.world = self.make_world(multiple=True)
        trunk = self.world.trunk()
        trunk.sdp = b""
        phones = [self.world.browser(), self.world.browser()]
        for phone in phones:
            phone.bind()
        invite = trunk.invite("sip:alice@192.0.2.1")
        legs = [phone.request("INVITE") for phone in phones]
        self.assertEqual([leg.body for leg in legs], [b"", b""])
        for phone, leg in zip(phones, legs, strict=True):
            phone.answer(leg, 200, Browser.sdp)
        ok = trunk.response(200)
        self.assertIn(b"RTP/AVP", ok.body)
        ack = phones[1].request("ACK")
        self.assertEqual(lines(ack.body, "m=")[0].split()[1], "0")
        phones[1].answer(phones[1].request("BYE"), 200)
        ack = trunk.inside("ACK", invite, ok, cseq=1, body=PLAIN)
        ack.headers.set("Content-Type", "application/sdp")
        trunk.say(ack)
        self.assertIn(b"SAVPF", phones[0].request("ACK").body)
        trunk.say(trunk.inside("BYE", invite, ok))
        trunk.heard(200)
        phones[0].answer(phones[0].request("BYE"), 200)
        self.assert_over(trunk, *phones)

    def test_all_refuse(self) -> None:
        """The caller gets the best of it; rtpengine was never asked."""
        self.world = self.make_world(multiple=True)
        trunk = self.world.trunk()
        trunk.sdp = b""
        phones = [self.world.browser(), self.world.browser()]
        for phone in phones:
            phone.bind()
        trunk.invite("sip:alice@192.0.2.1")
        for phone in phones:
            phone.answer(phone.request("INVITE"), 486)
            phone.heard("ACK")
        trunk.heard(486)
        self.assertEqual(self.world.nodes.log, [])
        self.assert_over(trunk, *phones)
