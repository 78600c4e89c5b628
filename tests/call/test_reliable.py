"""Reliable provisional responses, on each leg for itself (RFC 3262)."""

from __future__ import annotations

from tests.call.early import REL, EarlyCase, rack
from tests.call.world import PLAIN
from tests.support.sdp import lines
from webrtcproxy.errors import NgRefused

REQUIRED = ("Require", "100rel")
OTHER = PLAIN.replace(b"RTP/AVP 0 101", b"RTP/AVP 8 101")


class FromCallee(EarlyCase):
    """What the callee sends reliably is acknowledged by us; the caller, who has not heard of 100rel, gets it plain."""

    def test_acknowledged(self) -> None:
        """183 with an answer: PRACK within its dialog, and a plain 183 for the caller, RSeq and Require left behind
        (CORNERS 4: 3262 B2BUA; ORIGINAL.md: reliable 183)."""
        for caller in self.ways():
            self.assertIn("100rel", self.leg.headers.all("Supported"))
            response = self.reliable(183, 17, self.sdp(self.callee))
            prack = self.pracked(response)
            self.assertEqual((prack.cseq.number, prack.body), (self.leg.cseq.number + 1, b""))
            self.assertNotIn("Contact", prack.headers)
            heard = caller.response(183)
            self.assertNotIn("Require", heard.headers)
            self.assertNotIn("RSeq", heard.headers)
            self.assertIn(b"m=audio", heard.body)
            self.callee.answer(self.leg, 200)
            self.assertEqual(self.callee.request("ACK").cseq, type(prack.cseq)(self.leg.cseq.number, "ACK"))
            ok = caller.response(200)
            self.assertEqual(ok.body, heard.body)
            self.at_caller(ok).ack(self.invite)
            self.at_caller(ok).ask("BYE")
            caller.heard(200)
            bye = self.callee.request("BYE")
            self.assertEqual(bye.cseq.number, prack.cseq.number + 1)
            self.callee.answer(bye, 200)
            self.assert_over(caller, self.callee)

    def test_answer_of_the_183_counts(self) -> None:
        """SDP in the 200 behind a reliable answer is none of another session (RFC 3262 section 5)."""
        self.way()
        self.pracked(self.reliable(183, 1, PLAIN))
        early = self.caller.response(183)
        self.callee.answer(self.leg, 200, OTHER)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.assertEqual(ok.body, early.body)
        self.assertEqual([one.command for one in self.media()], ["offer", "answer"])
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)

    def test_early_media_could_not_be_made(self) -> None:
        """rtpengine refuses the answer of the 183: the caller hears 183 without, and rtpengine is asked again for the
        200, which has none."""
        self.way()
        self.world.nodes.fail("answer", NgRefused("not now"))
        self.pracked(self.reliable(183, 1, PLAIN))
        self.assertEqual(self.caller.response(183).body, b"")
        self.callee.answer(self.leg, 200)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.assertIn(b"SAVPF", ok.body)
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)

    def test_repeats_and_order(self) -> None:
        """A repeat is absorbed; one that has overtaken another is neither acknowledged nor passed on, until it is its
        turn (CORNERS 4: 3262 RSeq)."""
        for caller in self.ways():
            first = self.reliable(180, 5)
            self.pracked(first)
            caller.heard(180)
            self.callee.say(first)
            self.reliable(183, 7)
            self.callee.silent()
            caller.silent()
            self.pracked(self.reliable(182, 6))
            caller.heard(182)
            self.pracked(self.reliable(183, 7))
            caller.heard(183)
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)

    def test_no_rseq(self) -> None:
        """No PRACK for a 100, for a 1xx without RSeq, or for one that does not require it (CORNERS 4: 3262 RAck)."""
        self.way()
        for status, headers in ((100, [REQUIRED, ("RSeq", "1")]), (180, [REQUIRED]), (183, [("RSeq", "1")]),
                                (181, [REQUIRED, ("RSeq", "x")])):  # fmt: skip
            self.callee.answer(self.leg, status, headers=headers)
        self.callee.silent()
        for status in (180, 183, 181):
            self.caller.heard(status)
        self.assertEqual(len(self.world.legs), 1)

    def test_several_dialogs(self) -> None:
        """Each early dialog has its RSeq and its PRACK; the one that answers goes on, the other is over (CORNERS 1:
        several early dialogs)."""
        for caller in self.ways():
            one = self.reliable(183, 1, self.sdp(self.callee), tag="one")
            two = self.reliable(180, 400, tag="two")
            self.assertEqual([self.pracked(response).to.tag for response in (one, two)], ["one", "two"])
            caller.heard(183)
            caller.heard(180)
            self.assertEqual(len(self.world.legs), 3)
            self.callee.answer(self.leg, 200, self.sdp(self.callee), tag="two")
            self.assertEqual(self.callee.request("ACK").to.tag, "two")
            ok = caller.response(200)
            self.assertEqual(len(self.world.legs), 2)
            self.at_caller(ok).ack(self.invite)
            self.callee.answer(self.leg, 200, self.sdp(self.callee), tag="one")
            ack, bye = self.callee.request("ACK"), self.callee.request("BYE")
            self.assertEqual((ack.to.tag, bye.to.tag, bye.cseq.number), ("one", "one", self.leg.cseq.number + 2))
            self.callee.answer(bye, 200, tag="one")
            self.hang_up(ok)

    def test_new_contact_in_the_2xx(self) -> None:
        """The 2xx confirms the early dialog: its Contact and Record-Route count (RFC 3261 section 13.2.2.4)."""
        self.way()
        route = ("Record-Route", "<sip:192.0.2.50:5060;lr;n=1>")
        self.pracked(self.reliable(180, 1))
        self.caller.heard(180)
        self.callee.answer(self.leg, 200, PLAIN, contact="<sip:other@192.0.2.50:5060>", headers=[route])
        ack = self.callee.request("ACK")
        self.assertEqual((ack.uri, ack.headers.get("Route")), ("sip:other@192.0.2.50:5060", route[1]))
        ok = self.caller.response(200)
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)

    def test_bad_contact_in_the_2xx(self) -> None:
        """It leads nowhere: the callee is released all the same."""
        self.way()
        self.pracked(self.reliable(180, 1))
        self.caller.heard(180)
        self.callee.answer(self.leg, 200, PLAIN, contact="<tel:+1>")
        self.callee.heard("ACK")
        self.callee.answer(self.callee.request("BYE"), 200)
        self.caller.heard(502)
        self.assert_over(self.caller, self.callee)

    def test_refused_and_cancelled(self) -> None:
        """The early dialog ends with the INVITE, however that ends."""
        for caller in self.ways():
            self.pracked(self.reliable(183, 1, self.sdp(self.callee)))
            caller.heard(183)
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)
            self.assert_over(caller, self.callee)
        for caller in self.ways():
            response = self.reliable(183, 1, self.sdp(self.callee))
            self.pracked(response)
            caller.heard(183)
            caller.cancel(self.invite)
            caller.heard(200)
            caller.heard(487)
            self.world.turn()
            self.callee.answer(self.callee.request("CANCEL"), 200)
            self.at_callee(response).ask("INFO")
            self.callee.heard(481)
            self.callee.answer(self.leg, 487)
            self.callee.heard("ACK")
            self.assert_over(caller, self.callee)

    def test_answered_behind_the_cancel(self) -> None:
        """A 2xx that crosses with the CANCEL: ACK and BYE, whose CSeq counts on from the PRACK's."""
        self.way()
        self.pracked(self.reliable(183, 1, PLAIN))
        self.caller.heard(183)
        self.caller.cancel(self.invite)
        self.world.turn()
        self.callee.answer(self.callee.request("CANCEL"), 200)
        self.callee.answer(self.leg, 200)
        self.callee.heard("ACK")
        bye = self.callee.request("BYE")
        self.assertEqual(bye.cseq.number, self.leg.cseq.number + 2)
        self.callee.answer(bye, 200)

    def test_prack_refused(self) -> None:
        """What is said to our PRACK changes nothing: the INVITE's final response does."""
        for status in (481, 500):
            self.way()
            self.reliable(180, 1)
            self.callee.answer(self.callee.request("PRACK"), status)
            self.caller.heard(180)
            self.callee.answer(self.leg, 200, PLAIN)
            self.callee.heard("ACK")
            ok = self.caller.response(200)
            self.at_caller(ok).ack(self.invite)
            self.hang_up(ok)

    def test_bye_within(self) -> None:
        """A callee has no right to BYE in an early dialog (RFC 3261 section 15); one that is not heard takes nobody
        with it."""
        self.way()
        self.pracked(self.reliable(180, 1, tag="one"))
        response = self.reliable(180, 1, tag="two")
        self.pracked(response)
        for _ in range(2):
            self.caller.heard(180)
        self.at_callee(response).ask("BYE")
        self.callee.heard(200)
        self.caller.silent()
        self.callee.answer(self.leg, 200, PLAIN, tag="one")
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)


class ToCaller(EarlyCase):
    """A caller who supports 100rel gets SDP reliably, one who requires it gets all reliably."""

    def test_with_sdp(self) -> None:
        """180 is plain, 183 with SDP has Require and RSeq, and is repeated until its PRACK (CORNERS 4: 3262 RSeq)."""
        for caller in self.ways(REL):
            self.callee.answer(self.leg, 180)
            self.assertNotIn("RSeq", caller.response(180).headers)
            self.callee.answer(self.leg, 183, self.sdp(self.callee))
            early = caller.response(183)
            self.assertEqual(early.headers.get("Require"), "100rel")
            self.assertTrue(0 < int(early.headers.get("RSeq") or "") < 2**31)
            times = []
            for step in range(1, 16):
                self.world.turn(0.5)
                if caller.pending():
                    self.assertEqual(caller.response(183).headers, early.headers)
                    times.append(step / 2)
            self.assertEqual(times, [0.5, 1.5, 3.5, 7.5])
            self.prack(self.at_caller(early), early)
            caller.heard(200)
            self.world.turn(60)
            caller.silent()
            self.callee.answer(self.leg, 200)
            self.callee.heard("ACK")
            ok = caller.response(200)
            self.assertEqual(ok.body, early.body)
            self.assertEqual(ok.to.tag, early.to.tag)
            self.at_caller(ok).ack(self.invite)
            self.hang_up(ok)

    def test_all_required(self) -> None:
        """`Require: 100rel` is no reason for a 420; each 1xx waits for the PRACK of the one before (CORNERS 4: 3262
        B2BUA). The callee is not asked for the same."""
        for caller in self.ways(REQUIRED):
            self.assertNotIn("Require", self.leg.headers)
            for status in (180, 181, 182):
                self.callee.answer(self.leg, status)
            numbers = []
            for status in (180, 181, 182):
                response = caller.response(status)
                caller.silent()
                numbers.append(int(response.headers.get("RSeq") or ""))
                party = self.at_caller(response)
                party.cseq += len(numbers)
                self.prack(party, response)
                caller.heard(200)
            self.assertEqual(numbers, list(range(numbers[0], numbers[0] + 3)))
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)

    def test_2xx_waits(self) -> None:
        """As long as SDP has no PRACK, the 2xx is held; the callee has his ACK at once (CORNERS 4: 3262 B2BUA)."""
        for caller in self.ways(REL):
            self.callee.answer(self.leg, 183, self.sdp(self.callee))
            early = caller.response(183)
            self.callee.answer(self.leg, 200, self.sdp(self.callee))
            self.callee.heard("ACK")
            caller.silent()
            self.prack(self.at_caller(early), early)
            self.assertEqual(caller.response(200).cseq.method, "PRACK")
            ok = caller.response(200)
            self.assertEqual(ok.cseq.method, "INVITE")
            self.at_caller(ok).ack(self.invite)
            self.hang_up(ok)

    def test_2xx_does_not_wait_for_the_rest(self) -> None:
        """A 180 that is required to be reliable holds nothing up; its PRACK is taken behind the 2xx, too, and what
        waited for it is not sent any more."""
        for caller in self.ways(REQUIRED):
            self.callee.answer(self.leg, 180)
            self.callee.answer(self.leg, 181)
            ringing = caller.response(180)
            self.callee.answer(self.leg, 200, self.sdp(self.callee))
            self.callee.heard("ACK")
            ok = caller.response(200)
            party = self.at_caller(ok)
            party.ack(self.invite)
            self.prack(party, ringing)
            caller.heard(200)
            self.world.turn(40)
            caller.silent()
            self.at_caller(ok)
            party.ask("BYE")
            caller.heard(200)
            self.callee.answer(self.callee.request("BYE"), 200)
            self.assert_over(caller, self.callee)

    def test_never_acknowledged(self) -> None:
        """No PRACK within 64*T1: the INVITE is refused with a 5xx, what rings is cancelled, who answered gets BYE."""
        for answered in (False, True):
            for caller in self.ways(REL):
                self.callee.answer(self.leg, 183, self.sdp(self.callee))
                if answered:
                    self.callee.answer(self.leg, 200)
                    self.callee.heard("ACK")
                for _ in range(64):
                    self.world.turn(0.5)
                for _ in range(7):
                    caller.heard(183)
                caller.heard(504)
                self.world.turn()
                last = self.callee.request("BYE" if answered else "CANCEL")
                self.callee.answer(last, 200)
                if not answered:
                    self.callee.answer(self.leg, 487)
                    self.callee.heard("ACK")
                self.world.turn(40)
                self.assertEqual(len(self.world.calls), 0)

    def test_wrong_rack(self) -> None:
        """Anything but the three values of a response that waits: 481; a second PRACK, too (CORNERS 4: 3262 RAck)."""
        for caller in self.ways(REL):
            self.callee.answer(self.leg, 183, self.sdp(self.callee))
            early = caller.response(183)
            party = self.at_caller(early)
            number, cseq, method = rack(early)[1].split()
            for wrong in (f"{int(number) + 1} {cseq} {method}", f"{number} {int(cseq) + 1} {method}",
                          f"{number} {cseq} UPDATE", f"{number} {cseq}", "x", ""):  # fmt: skip
                party.ask("PRACK", b"", ("RAck", wrong))
                caller.heard(481)
            self.prack(party, early)
            caller.heard(200)
            self.prack(party, early)
            caller.heard(481)
            self.callee.answer(self.leg, 200)
            self.callee.heard("ACK")
            ok = caller.response(200)
            party.ack(self.invite)
            party.cseq += 1
            party.ask("PRACK", b"", rack(early))
            caller.heard(481)
            party.ask("BYE")
            caller.heard(200)
            self.callee.answer(self.callee.request("BYE"), 200)
            self.assertEqual(ok.status, 200)

    def test_prack_from_the_callee(self) -> None:
        """Nothing of ours waits for one there."""
        self.way()
        self.callee.answer(self.leg, 200, PLAIN)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.at_caller(ok).ack(self.invite)
        party = self.at_callee(self.callee.answer(self.leg, 200, PLAIN))
        self.callee.heard("ACK")
        party.ask("PRACK", b"", ("RAck", "1 1 INVITE"))
        self.callee.heard(481)
        self.hang_up(ok)

    def test_another_fork_answers_the_same(self) -> None:
        """183 of one, 200 of another with the same codecs: the caller's media is where it was, and his dialog is the
        same. rtpengine hears the second one's answer."""
        for caller in self.ways(REL):
            self.pracked(self.reliable(183, 1, self.sdp(self.callee), tag="one"))
            early = caller.response(183)
            self.world.nodes.sdp = lambda operation, same=early.body: same  # type: ignore[misc]
            self.prack(self.at_caller(early), early)
            caller.heard(200)
            self.callee.answer(self.leg, 200, self.sdp(self.callee, version=7), tag="two")
            self.callee.heard("ACK")
            ok = caller.response(200)
            self.assertEqual((ok.to.tag, ok.body), (early.to.tag, early.body))
            self.assertIn(b" 7 IN ", self.media()[-1].sdp)
            self.at_caller(ok).ack(self.invite)
            self.hang_up(ok)

    def test_another_fork_answers_otherwise(self) -> None:
        """Other codecs: an answer that was given for good can't be taken back, so the 200 is in another dialog, as of
        another fork (RFC 3261 section 13.2.2.4); what was the early one is gone."""
        for caller in self.ways(REL):
            self.pracked(self.reliable(183, 1, self.sdp(self.callee), tag="one"))
            early = caller.response(183)
            self.callee.answer(self.leg, 200, self.sdp(self.callee), tag="two")
            self.callee.heard("ACK")
            caller.silent()
            old = self.at_caller(early)
            self.prack(old, early)
            caller.heard(200)
            ok = caller.response(200)
            self.assertNotEqual(ok.to.tag, early.to.tag)
            self.assertNotEqual(lines(ok.body, "m="), lines(early.body, "m="))
            old.ask("UPDATE")
            caller.heard(481)
            self.at_caller(ok).ack(self.invite)
            self.world.turn(40)
            caller.silent()
            self.hang_up(ok)


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
        """Without his PRACK there would be no answer to an offer in a 183: the callee is not told that it may do so."""
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
