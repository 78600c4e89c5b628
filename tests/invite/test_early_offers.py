"""INVITE without SDP, 100rel on both legs: the offer in a reliable 183, the answer in PRACK (RFC 3262 section 5)."""

from __future__ import annotations

from tests.support.calls.early import REL, EarlyCase
from tests.support.calls.world import PLAIN
from webrtcproxy.runtime.errors import NgRefused


class Offers(EarlyCase):
    """INVITE without SDP: the offer in a reliable 183, the answer in PRACK (RFC 3262 section 5)."""

    def test_call(self) -> None:
        """183 with the offer, PRACK with the answer on both legs, and a 200 without SDP."""
        for caller in self.ways(REL, offer=False):
            response = self.reliable(183, 9, self.sdp(self.callee))
            self.callee.silent()
            early = caller.response(183)
            self.assertEqual(early.headers.get("Require"), "100rel")
            self.assertNotEqual(early.headers.get("RSeq"), "9")
            self.callee.say(response)
            self.callee.silent()
            self.prack(self.at_caller(early), early, self.sdp(caller))
            caller.heard(200)
            prack = self.pracked(response)
            self.assertEqual(prack.headers.get("Content-Type"), "application/sdp")
            self.assertIn(b"m=audio", prack.body)
            offer, answer = self.media()
            self.assertEqual((offer.command, offer.from_tag), ("offer", answer.from_tag))
            self.assertEqual((answer.command, answer.to and answer.to.name), ("answer", self.profile(self.callee)))
            self.callee.answer(self.leg, 200)
            self.assertEqual(self.callee.request("ACK").body, b"")
            ok = caller.response(200)
            self.assertEqual((ok.body, ok.to.tag), (b"", early.to.tag))
            self.at_caller(ok).ack(self.invite)
            self.hang_up(ok)

    def test_caller_does_not_know_it(self) -> None:
        """Without its PRACK there would be no answer to an offer in a 183: the callee is not told that it may do so."""
        for _ in self.ways(offer=False):
            self.assertNotIn("100rel", self.leg.headers.all("Supported"))
            self.callee.answer(self.leg, 486)

    def test_no_offer_as_yet(self) -> None:
        """A reliable 180 without SDP has its PRACK at once, the 200 the offer."""
        for caller in self.ways(REL, offer=False):
            self.pracked(self.reliable(180, 9))
            caller.heard(180)
            self.callee.answer(self.leg, 200, self.sdp(self.callee))
            ok = caller.response(200)
            self.callee.silent()
            self.at_caller(ok).ack(self.invite, self.sdp(caller))
            self.assertIn(b"m=audio", self.callee.request("ACK").body)
            self.hang_up(ok)

    def test_prack_without_answer(self) -> None:
        """400: the answer is missing, and may come in another; none within 64*T1 ends the call."""
        self.way(REL, offer=False)
        response = self.reliable(183, 9, PLAIN)
        early = self.caller.response(183)
        party = self.at_caller(early)
        self.prack(party, early)
        self.caller.heard(400)
        self.prack(party, early, self.sdp(self.caller))
        self.caller.heard(200)
        self.pracked(response)
        self.callee.answer(self.leg, 480)
        self.callee.heard("ACK")
        self.caller.heard(480)

    def test_answer_is_no_use(self) -> None:
        """rtpengine refuses the answer in the PRACK: so are PRACK and INVITE, and the callee is cancelled."""
        self.way(REL, offer=False)
        self.reliable(183, 9, PLAIN)
        early = self.caller.response(183)
        self.world.nodes.fail("answer", NgRefused("odd"))
        self.prack(self.at_caller(early), early, self.sdp(self.caller))
        self.assertEqual(sorted(self.caller.pending()), ["488", "488"])
        self.caller.forget()
        self.world.turn()
        self.callee.answer(self.callee.request("CANCEL"), 200)
        self.callee.answer(self.leg, 487)
        self.callee.heard("ACK")
        self.assert_over(self.caller, self.callee)

    def test_offer_is_no_use(self) -> None:
        """rtpengine refuses the offer in the 183: there is no call."""
        self.way(REL, offer=False)
        self.world.nodes.fail("offer", NgRefused("odd"))
        self.reliable(183, 9, PLAIN)
        self.caller.heard(488)
        self.callee.answer(self.callee.request("CANCEL"), 200)
        self.callee.answer(self.leg, 487)
        self.callee.heard("ACK")
        self.assert_over(self.caller, self.callee)

    def test_prack_comes_after_the_answer(self) -> None:
        """Another one has answered before the PRACK: that is taken, and the 2xx with the other one's offer goes out."""
        self.way(REL, offer=False)
        self.reliable(183, 9, PLAIN, tag="one")
        early = self.caller.response(183)
        self.callee.answer(self.leg, 200, PLAIN, tag="two")
        self.caller.silent()
        party = self.at_caller(early)
        self.prack(party, early, self.sdp(self.caller))
        self.caller.heard(200)
        ok = self.caller.response(200)
        self.assertNotEqual(ok.to.tag, early.to.tag)
        self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
        ack = self.callee.request("ACK")
        self.assertEqual(ack.to.tag, "two")
        self.assertIn(b"m=audio", ack.body)
        late = self.at_caller(ok)
        late.cseq = party.cseq
        late.ask("BYE")
        self.caller.heard(200)
        self.callee.answer(self.callee.request("BYE"), 200)
        self.assert_over(self.caller, self.callee)

    def test_prack_while_another_one_answers(self) -> None:
        """The same, while rtpengine has the answer of the PRACK."""
        self.way(REL, offer=False)
        self.reliable(183, 9, PLAIN, tag="one")
        early = self.caller.response(183)
        self.world.nodes.hold()
        party = self.at_caller(early)
        self.prack(party, early, self.sdp(self.caller))
        self.callee.answer(self.leg, 200, PLAIN, tag="two")
        self.world.nodes.release()
        self.caller.heard(200)
        ok = self.caller.response(200)
        self.assertEqual(self.callee.request("PRACK").to.tag, "one")
        self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
        self.assertEqual(self.callee.request("ACK").to.tag, "two")
        late = self.at_caller(ok)
        late.cseq = party.cseq
        late.ask("BYE")
        self.caller.heard(200)
        bye = self.callee.request("BYE")
        self.assertEqual(bye.to.tag, "two")
        self.callee.answer(bye, 200)
        self.assert_over(self.caller, self.callee)

    def test_another_fork(self) -> None:
        """A second early dialog with an offer has to wait; where it answers in the end, its offer is in a 200 of
        another dialog, and the first one is over."""
        self.way(REL, offer=False)
        response = self.reliable(183, 9, PLAIN, tag="one")
        early = self.caller.response(183)
        self.reliable(183, 5, PLAIN, tag="two")
        self.assertEqual(self.caller.response(183).body, b"")
        self.prack(self.at_caller(early), early, self.sdp(self.caller))
        self.caller.heard(200)
        self.pracked(response)
        self.callee.answer(self.leg, 200, PLAIN, tag="three")
        ok = self.caller.response(200)
        self.assertNotEqual(ok.to.tag, early.to.tag)
        self.at_caller(ok).ack(self.invite, self.sdp(self.caller))
        ack = self.callee.request("ACK")
        self.assertEqual(ack.to.tag, "three")
        self.assertIn(b"m=audio", ack.body)
        self.hang_up(ok)
