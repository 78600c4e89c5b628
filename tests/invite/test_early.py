"""UPDATE, and offers in PRACK, before a call is answered (RFC 3311, RFC 3262 section 5)."""

from __future__ import annotations

from tests.support.calls.early import REL, EarlyCase
from tests.support.calls.modifying import UPDATES
from tests.support.calls.party import Party
from tests.support.calls.world import PLAIN
from tests.support.ngnode import on_one_port
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.message import Response


class Agreed(EarlyCase):
    """Both sides have a final answer, in an early dialog."""

    def agreed(self, *headers: tuple[str, str]) -> tuple[Party, Party]:
        """Caller and callee."""
        response = self.reliable(183, 1, self.sdp(self.callee), *headers)
        self.pracked(response)
        early = self.caller.response(183)
        caller = self.at_caller(early)
        self.prack(caller, early)
        self.caller.heard(200)
        self.media()
        return caller, self.at_callee(response)

    def answered(self, caller: Party, body: bytes = b"") -> Response:
        """The callee answers now."""
        self.callee.answer(self.leg, 200, body)
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        caller.ack(self.invite)
        return ok

    def over(self, caller: Party) -> None:
        caller.ask("BYE")
        self.caller.heard(200)
        self.callee.answer(self.callee.request("BYE"), 200)
        self.assert_over(self.caller, self.callee)

    def test_crosses(self) -> None:
        """UPDATE with an offer, by either side, is one for the other, and its answer comes back (corners.rst 4: 3311);
        the 200 to the INVITE has no SDP then: what was told is not true any more."""
        for _ in self.ways(REL, UPDATES):
            caller, callee = self.agreed(UPDATES)
            for asker, other in ((caller, callee), (callee, caller)):
                asker.ask("UPDATE", asker.sdp("sendonly", 3))
                update = other.peer.request("UPDATE")
                self.assertIn(b"m=audio", update.body)
                other.answer(update, 200, other.sdp("recvonly", 3))
                self.assertIn(b"m=audio", asker.peer.response(200).body)
                self.assertEqual([one.command for one in self.media()], ["offer", "answer"])
            ok = self.answered(caller)
            self.assertEqual((ok.body, self.media()), (b"", []))
            self.over(caller)

    def test_without_an_offer(self) -> None:
        """It refreshes the remote target, and is answered here (RFC 3311 section 5.2)."""
        for _ in self.ways(REL, UPDATES):
            caller, callee = self.agreed(UPDATES)
            callee.ask("UPDATE", b"", ("Contact", f"<{callee.contact};moved=yes>"))
            self.callee.heard(200)
            caller.ask("UPDATE", b"")
            self.assertIn("UPDATE", self.caller.response(200).headers.get("Allow") or "")
            caller.ask("UPDATE", caller.sdp("sendonly", 3))
            update = self.callee.request("UPDATE")
            self.assertTrue(update.uri.endswith(";moved=yes"))
            callee.answer(update, 488)
            self.caller.heard(488)
            ok = self.answered(caller)
            self.assertIn(b"m=audio", ok.body)
            self.over(caller)

    def test_another_fork_answers_meanwhile(self) -> None:
        """The caller's dialog is that of the other fork then: the change is refused with 487, and what the first fork
        says to it changes nothing (RFC 3261 section 13.2.2.4)."""
        for _ in self.ways(REL, UPDATES):
            caller, callee = self.agreed(UPDATES)
            caller.ask("UPDATE", caller.sdp("sendonly", 3))
            update = self.callee.request("UPDATE")
            self.callee.answer(self.leg, 200, self.sdp(self.callee, version=8), tag="two")
            ok = self.caller.response(200)
            self.assertNotIn(ok.to.tag or "", caller.remote)
            self.at_caller(ok).ack(self.invite)
            self.media()
            callee.answer(update, 200, callee.sdp("recvonly", 3))
            self.caller.heard(487)
            self.assertEqual(self.media(), [])

    def test_glare(self) -> None:
        """Our offer is out: 491; another one of the requester's own: 500 with Retry-After (RFC 3311 section 5.2)."""
        for _ in self.ways(REL, UPDATES):
            caller, callee = self.agreed(UPDATES)
            caller.ask("UPDATE", caller.sdp("sendonly", 3))
            update = self.callee.request("UPDATE")
            callee.ask("UPDATE", callee.sdp("sendonly", 3))
            self.callee.heard(491)
            caller.ask("UPDATE", caller.sdp("sendonly", 4))
            self.assertTrue(self.caller.response(500).headers.get("Retry-After"))
            callee.answer(update, 200, callee.sdp("recvonly", 3))
            self.caller.heard(200)
            self.answered(caller)
            self.over(caller)

    def test_refused(self) -> None:
        """The callee's refusal is the caller's, and rtpengine is told the old descriptions again."""
        for _ in self.ways(REL, UPDATES):
            caller, callee = self.agreed(UPDATES)
            caller.ask("UPDATE", caller.sdp("sendonly", 3))
            callee.answer(self.callee.request("UPDATE"), 488)
            self.caller.heard(488)
            first, *again = self.media()
            self.assertEqual([one.command for one in again], ["offer", "answer"])
            self.assertIn(b"o=- 1 3 ", first.sdp)
            self.assertIn(b"o=- 1 1 ", again[0].sdp)
            self.answered(caller)
            self.over(caller)

    def test_taken_back(self) -> None:
        """rtpengine refuses the answer of a callee that has switched already: it is offered the old session by UPDATE,
        since no INVITE may go out in an early dialog."""
        self.way(REL, UPDATES)
        caller, callee = self.agreed(UPDATES)
        self.world.nodes.fail("answer", NgRefused("odd"))
        caller.ask("UPDATE", caller.sdp("sendonly", 3))
        callee.answer(self.callee.request("UPDATE"), 200, callee.sdp("recvonly", 3))
        self.caller.heard(488)
        callee.answer(self.callee.request("UPDATE"), 200, callee.sdp("sendrecv", 4))
        self.answered(caller)
        self.over(caller)

    def test_callee_takes_none(self) -> None:
        """It does not list UPDATE, and no re-INVITE may go out: 504 (RFC 3311 section 5.2)."""
        for _ in self.ways(REL, UPDATES):
            caller, _ = self.agreed()
            caller.ask("UPDATE", caller.sdp("sendonly", 3))
            self.caller.heard(504)
            self.callee.silent()
            self.answered(caller)
            self.over(caller)

    def test_481_ends_the_call(self) -> None:
        """The callee says that there is no such dialog (RFC 5057)."""
        self.way(REL, UPDATES)
        caller, callee = self.agreed(UPDATES)
        caller.ask("UPDATE", caller.sdp("sendonly", 3))
        callee.answer(self.callee.request("UPDATE"), 481)
        self.assertEqual(sorted(self.caller.pending()), ["481", "481"])
        self.caller.forget()
        self.world.turn()
        self.callee.answer(self.callee.request("CANCEL"), 200)
        self.callee.answer(self.leg, 487)
        self.callee.heard("ACK")
        self.assert_over(self.caller, self.callee)

    def test_offer_in_prack(self) -> None:
        """The PRACK that acknowledges the answer has a further offer: it crosses as UPDATE, the answer is in the
        PRACK's 200 (RFC 3262 section 5)."""
        for caller_peer in self.ways(REL, UPDATES):
            response = self.reliable(183, 1, self.sdp(self.callee), UPDATES)
            self.pracked(response)
            early = caller_peer.response(183)
            caller, callee = self.at_caller(early), self.at_callee(response)
            self.prack(caller, early, caller.sdp("sendonly", 3))
            callee.answer(self.callee.request("UPDATE"), 200, callee.sdp("recvonly", 3))
            ok = caller_peer.response(200)
            self.assertEqual(ok.cseq.method, "PRACK")
            self.assertIn(b"m=audio", ok.body)
            self.assertNotIn("Session-Expires", ok.headers)  # PRACK refreshes nothing (RFC 4028 section 7.4)
            self.assertNotIn("Supported", ok.headers)
            self.world.turn(40)
            caller_peer.silent()
            self.answered(caller)
            self.over(caller)

    def with_prack(self, reliable: bool) -> tuple[Party, Response]:
        """A callee that takes no UPDATE has answered in a 183, reliable or not: the caller, and its 183, which has no
        PRACK as yet."""
        port = self.leg.body.partition(b"m=audio ")[2].partition(b" ")[0]
        self.world.nodes.sdp = lambda operation: on_one_port(operation).replace(b"30000", port)  # type: ignore[misc]
        if reliable:
            self.pracked(self.reliable(183, 1, self.sdp(self.callee)))
        else:
            self.callee.answer(self.leg, 183, self.sdp(self.callee))
        early = self.caller.response(183)
        self.media()
        return self.at_caller(early), early

    def test_offer_in_prack_answered_here(self) -> None:
        """A callee without 100rel, or without UPDATE, can't be offered anything: the offer is answered here, with what
        the callee has said so far (RFC 3262 section 5; field.rst R: Offer in PRACK). Once it has answered it is offered
        what is news to it, with a re-INVITE."""
        for reliable in (True, False):
            for direction in ("sendrecv", "sendonly"):
                for caller_peer in self.ways(REL, UPDATES):
                    caller, early = self.with_prack(reliable)
                    prack = self.prack(caller, early, caller.sdp(direction, 3))
                    ok = caller_peer.response(200)
                    self.assertEqual((prack.cseq, True), (ok.cseq, b"m=audio" in ok.body))
                    asked = self.media()
                    self.assertEqual([one.command for one in asked], ["offer", "answer"])
                    self.assertIn(b"o=- 1 3 ", asked[0].sdp)
                    self.world.turn(2)
                    caller_peer.silent()
                    self.callee.silent()
                    final = self.answered(caller, self.sdp(self.callee))
                    self.assertIn(final.body, (b"", ok.body))
                    if direction == "sendonly":
                        invite = self.callee.request("INVITE")
                        self.assertIn(b"a=sendonly", invite.body)
                        self.callee.answer(invite, 200, self.sdp(self.callee, "recvonly", 2))
                        self.callee.heard("ACK")
                        self.assertIn(b"o=- 1 3 ", self.media()[-2].sdp)
                    self.callee.silent()
                    caller_peer.silent()
                    self.over(caller)

    def test_another_answers(self) -> None:
        """A fork that has not answered the PRACK's offer answers the call: in a dialog of its own, to the first
        offer, and nobody is offered anything further."""
        for caller_peer in self.ways(REL):
            caller, early = self.with_prack(reliable=False)
            self.prack(caller, early, caller.sdp("sendonly", 3))
            caller_peer.heard(200)
            self.callee.answer(self.leg, 200, self.sdp(self.callee, "recvonly", 2), tag="other")
            self.callee.heard("ACK")
            ok = caller_peer.response(200)
            self.assertNotEqual(early.to.tag, ok.to.tag)
            self.assertIn(b"o=- 1 1 ", self.media()[-2].sdp)
            other = self.at_caller(ok)
            other.ack(self.invite)
            self.callee.silent()
            self.over(other)

    def test_cancelled_meanwhile(self) -> None:
        """The caller gives up while rtpengine makes the answer to its offer in PRACK."""
        for caller_peer in self.ways(REL):
            caller, early = self.with_prack(reliable=False)
            self.world.nodes.hold()
            self.prack(caller, early, caller.sdp("sendonly", 3))
            caller.cancel(self.invite)
            self.assertEqual(["200", "487"], sorted(caller_peer.pending()))
            caller_peer.forget()
            caller.ack_refusal(self.invite)
            self.world.nodes.release()
            self.world.turn()
            self.assertEqual("PRACK", caller_peer.response(200).cseq.method)
            self.callee.answer(self.callee.request("CANCEL"), 200)
            self.callee.answer(self.leg, 487)
            self.callee.heard("ACK")
            self.assert_over(self.caller, self.callee)

    def test_refused_offer_in_prack(self) -> None:
        """rtpengine can't take the offer, or make the answer: that is refused, but the 183 has arrived, is not
        repeated, and the 200 follows, with the first session. Another PRACK for it is taken (RFC 3262 section 5;
        field.rst R: Offer in PRACK)."""
        for reliable in (True, False):
            for command in ("offer", "answer"):
                for caller_peer in self.ways(REL, UPDATES):
                    caller, early = self.with_prack(reliable)
                    self.world.nodes.fail(command, NgRefused("odd"))
                    self.prack(caller, early, caller.sdp("sendonly", 3))
                    caller_peer.heard(488)
                    self.world.turn(1)
                    caller_peer.silent()
                    self.prack(caller, early)
                    caller_peer.heard(200)
                    self.prack(caller, early)
                    caller_peer.heard(481)
                    self.media()
                    final = self.answered(caller, self.sdp(self.callee))
                    self.assertEqual([(one.command, b"o=- 1 3 " in one.sdp) for one in self.media()],
                                     [("offer", False), ("answer", False)])  # fmt: skip
                    self.assertEqual(early.body, final.body)
                    self.callee.silent()
                    self.over(caller)

    def test_answered_meanwhile(self) -> None:
        """The 200 to the INVITE comes before the one to the UPDATE."""
        self.way(REL, UPDATES)
        caller, callee = self.agreed(UPDATES)
        caller.ask("UPDATE", caller.sdp("sendonly", 3))
        update = self.callee.request("UPDATE")
        ok = self.answered(caller)
        self.assertIn(b"SAVPF", ok.body)
        callee.answer(update, 200, callee.sdp("recvonly", 3))
        self.assertIn(b"SAVPF", self.caller.response(200).body)
        self.over(caller)

    def test_loser_has_no_such_dialog(self) -> None:
        """An early dialog that has lost against another one takes nobody with it when its UPDATE ends in 481."""
        self.way(REL, UPDATES)
        caller, callee = self.agreed(UPDATES)
        caller.ask("UPDATE", caller.sdp("sendonly", 3))
        update = self.callee.request("UPDATE")
        self.callee.answer(self.leg, 200, PLAIN, tag="other")
        self.callee.heard("ACK")
        number, caller = caller.cseq, self.at_caller(self.caller.response(200))
        callee.answer(update, 481)
        self.caller.heard(481)
        caller.ack(self.invite)
        caller.cseq = number
        self.world.turn(1)
        self.callee.silent()
        self.assertEqual(len(self.world.calls), 1)
        self.over(caller)


class NotAgreed(EarlyCase):
    """One side has no final answer, or both."""

    def test_caller_has_a_preview(self) -> None:
        """The callee's move to another port changes nothing for the caller, which can't be asked: it is answered here.
        A hold would, and is refused with 504."""
        for caller in self.ways():
            response = self.reliable(183, 1, self.sdp(self.callee), UPDATES)
            self.pracked(response)
            early = caller.response(183)
            callee = self.at_callee(response)
            self.world.nodes.sdp = lambda operation, same=early.body: same  # type: ignore[misc]
            callee.ask("UPDATE", callee.sdp("sendrecv", 3))
            self.assertIn(b"m=audio", self.callee.response(200).body)
            held = early.body.replace(b"sendrecv", b"recvonly")
            self.world.nodes.sdp = lambda operation, held=held: held  # type: ignore[misc]
            callee.ask("UPDATE", callee.sdp("sendonly", 4))
            self.callee.heard(504)
            caller.silent()
            self.callee.answer(self.leg, 200)
            self.callee.heard("ACK")
            ok = caller.response(200)
            self.assertEqual(ok.body, early.body)
            self.at_caller(ok).ack(self.invite)
            self.hang_up(ok)

    def test_caller_has_seen_two(self) -> None:
        """The reliable answer of one, then the preview of another, and the first one answers: rtpengine is told so."""
        self.way()
        self.pracked(self.reliable(183, 1, PLAIN, tag="one"))
        early = self.caller.response(183)
        self.callee.answer(self.leg, 183, PLAIN.replace(b"50000", b"50002"), tag="two")
        self.caller.heard(183)
        self.media()
        self.callee.answer(self.leg, 200, tag="one")
        self.callee.heard("ACK")
        ok = self.caller.response(200)
        self.assertEqual([(one.command, b"m=audio 50000" in one.sdp) for one in self.media()],
                         [("offer", False), ("answer", True)])  # fmt: skip
        self.assertEqual(ok.to.tag, early.to.tag)
        self.at_caller(ok).ack(self.invite)
        self.hang_up(ok)

    def test_offers_are_out(self) -> None:
        """Nobody has an answer: the caller, whose offer is out, gets 500 with Retry-After, the callee 491."""
        for caller in self.ways(REL):
            response = self.reliable(180, 1)
            self.pracked(response)
            ringing = caller.response(180)
            self.at_caller(ringing).ask("UPDATE", self.sdp(caller, version=2))
            self.assertTrue(caller.response(500).headers.get("Retry-After"))
            self.at_callee(response).ask("UPDATE", self.sdp(self.callee, version=2))
            self.callee.heard(491)
            self.at_callee(response).ask("UPDATE")
            self.callee.heard(200)
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)

    def test_offers_are_out_the_other_way(self) -> None:
        """The callee has offered in a reliable 183, the caller has not answered yet."""
        for caller in self.ways(REL, offer=False):
            response = self.reliable(183, 1, self.sdp(self.callee))
            early = caller.response(183)
            self.at_caller(early).ask("UPDATE", self.sdp(caller, version=2))
            caller.heard(491)
            self.at_callee(response).ask("UPDATE", self.sdp(self.callee, version=2))
            self.assertTrue(self.callee.response(500).headers.get("Retry-After"))
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)

    def test_another_fork(self) -> None:
        """An early dialog that is not the one which the caller hears can't change the session now."""
        self.way(REL, UPDATES)
        self.pracked(self.reliable(183, 1, PLAIN, UPDATES, tag="one"))
        early = self.caller.response(183)
        self.prack(self.at_caller(early), early)
        self.caller.heard(200)
        other = self.reliable(183, 1, PLAIN, UPDATES, tag="two")
        self.pracked(other)
        self.assertEqual(self.caller.response(183).body, b"")
        self.at_callee(other).ask("UPDATE", PLAIN)
        self.callee.heard(491)
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)

    def test_unreliable(self) -> None:
        """An early dialog that nobody has made reliable is not there to be changed: 491, which ends nothing."""
        self.way()
        response = self.callee.answer(self.leg, 183, PLAIN)
        self.caller.heard(183)
        self.at_callee(response).ask("UPDATE", PLAIN)
        self.callee.heard(491)
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)

    def test_info(self) -> None:
        """A request within a reliable early dialog crosses with its answer (RFC 6086). What begins something that
        outlives it is for later: it is not refused with 481, at which JsSIP would end the call (RFC 5057)."""
        for caller in self.ways(REL):
            response = self.reliable(180, 1)
            self.pracked(response)
            ringing = caller.response(180)
            callee = self.at_callee(response)
            callee.ask("INFO", b"1", ("Content-Type", "text/plain"))
            self.caller.answer(caller.request("INFO"), 202)
            self.callee.heard(202)
            asker = self.at_caller(ringing)
            for method in ("INFO", "MESSAGE"):
                asker.ask(method)
                self.callee.answer(self.callee.request(method), 202)
                caller.heard(202)
            for method in ("REFER", "SUBSCRIBE"):
                asker.ask(method)
                self.assertEqual(caller.response(500).headers.get("Retry-After"), "5")
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)
