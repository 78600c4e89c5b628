"""Reliable provisional responses of a callee's: they get their PRACK, and cross as any other (RFC 3262 section 4)."""

from __future__ import annotations

from tests.routing.test_authentication import CredentialCase
from tests.support.calls.early import EarlyCase
from tests.support.calls.world import PLAIN
from webrtcproxy.invite.branch import MAX_DIALOGS
from webrtcproxy.runtime.errors import NgRefused

REQUIRED = ("Require", "100rel")
OTHER = PLAIN.replace(b"RTP/AVP 0 101", b"RTP/AVP 8 101")


class FromCallee(EarlyCase):
    """What the callee sends reliably is acknowledged by us; the caller, which has not heard of 100rel, gets it
    plain."""

    def test_acknowledged(self) -> None:
        """183 with an answer: PRACK within its dialog, and a plain 183 for the caller, RSeq and Require left behind
        (corners.rst 4: 3262 B2BUA; original.rst: call out, a reliable 183)."""
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
        """SDP in what comes after a reliable answer is none of another session (RFC 3262 section 5)."""
        self.way()
        self.pracked(self.reliable(183, 1, PLAIN))
        early = self.caller.response(183)
        self.pracked(self.reliable(183, 2, OTHER))
        self.assertEqual(self.caller.response(183).body, early.body)
        self.callee.answer(self.leg, 200, OTHER)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.assertEqual(ok.body, early.body)
        self.assertEqual([one.command for one in self.media()], ["offer", "answer"])
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)

    def test_early_media_could_not_be_made(self) -> None:
        """rtpengine refuses the answer of the 183: the caller gets 183 without, and rtpengine is asked again for the
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
        turn (corners.rst 4: 3262 RSeq)."""
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
        """No PRACK for a 100, for a 1xx without RSeq, or for one that does not require it (corners.rst 4: 3262
        RAck)."""
        self.way()
        for status, headers in ((100, [REQUIRED, ("RSeq", "1")]), (180, [REQUIRED]), (183, [("RSeq", "1")]),
                                (181, [REQUIRED, ("RSeq", "x")])):  # fmt: skip
            self.callee.answer(self.leg, status, headers=headers)
        self.callee.silent()
        for status in (180, 183, 181):
            self.caller.heard(status)
        self.assertEqual(len(self.world.legs), 1)

    def test_several_dialogs(self) -> None:
        """Each early dialog has its RSeq and its PRACK; the one that answers goes on, the other is over (corners.rst 1:
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
        """It leads nowhere: that of the early dialog goes on (field.rst V: Odd Contact)."""
        self.way()
        early = self.reliable(180, 1)
        self.pracked(early)
        self.caller.heard(180)
        self.callee.answer(self.leg, 200, PLAIN, contact="<tel:+1>")
        ack = self.callee.request("ACK")
        self.assertEqual(f"<{ack.uri}>", early.headers.get("Contact"))
        ok = self.caller.response(200)
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)

    def test_bad_route_in_the_2xx(self) -> None:
        """Its Record-Route leads nowhere: the callee is released all the same."""
        self.way()
        self.pracked(self.reliable(180, 1))
        self.caller.heard(180)
        self.callee.answer(self.leg, 200, PLAIN, headers=[("Record-Route", "<tel:+1>")])
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

    def test_answered_after_the_cancel(self) -> None:
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

    def test_prack_unanswered(self) -> None:
        """Nobody answers our PRACK, or the browser that is to have it is gone: a line in the log, and the call goes on
        as its INVITE does."""
        self.way()
        self.reliable(180, 1)
        self.caller.heard(180)
        for _ in range(70):
            self.world.turn(0.5)
        self.callee.forget()
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)
        *_, caller = self.ways()
        self.reliable(180, 1)
        self.callee.heard("PRACK")
        caller.heard(180)
        self.callee.flow.lose()
        self.world.turn(self.world.config.calls.grace)  # it may come back, and ring again
        caller.heard(480)
        self.assert_over(caller, self.callee)

    def test_too_many(self) -> None:
        """A trunk that opens early dialogs without end has a PRACK for MAX_DIALOGS of them."""
        self.way()
        for number in range(MAX_DIALOGS + 5):
            self.reliable(180, 1, tag=f"tag{number}")
        pracks = self.callee.pending()
        self.assertEqual(pracks, ["PRACK"] * MAX_DIALOGS)
        for _ in pracks:
            self.callee.answer(self.callee.request("PRACK"), 200)
        self.caller.forget()
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)
        self.assert_over(self.caller, self.callee)

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


class Challenged(CredentialCase):
    """A challenge after a reliable 1xx."""

    def test_starts_over(self) -> None:
        """The early dialog is over with its INVITE; the next INVITE has RSeq numbers of its own, also in a dialog of
        the same tag."""
        _, trunk, leg = self.begin()
        reliable = [REQUIRED, ("RSeq", "7")]
        for _ in range(2):
            trunk.answer(leg, 180, headers=reliable)
            prack = trunk.request("PRACK")
            self.assertEqual(prack.headers.get("RAck"), f"7 {leg.cseq}")
            trunk.answer(prack, 200)
            self.alice.heard(180)
            if leg.cseq.number == 1:
                leg = self.challenged(leg)
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        self.alice.heard(486)
        self.assertEqual(len(self.world.legs), 0)
