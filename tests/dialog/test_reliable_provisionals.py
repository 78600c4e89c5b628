"""Our reliable provisional responses, as the caller wants them (RFC 3262 section 3)."""

from __future__ import annotations

from tests.support.calls.early import REL, EarlyCase, rack
from tests.support.calls.party import outbound
from tests.support.calls.world import PLAIN
from tests.support.sdp import lines
from webrtcproxy.dialog.reliable import MAX_WAITING

REQUIRED = ("Require", "100rel")


class ToCaller(EarlyCase):
    """A caller that supports 100rel gets SDP reliably, one that requires it gets all reliably."""

    def test_with_sdp(self) -> None:
        """180 is plain, 183 with SDP has Require and RSeq, and is repeated until its PRACK (corners.rst 4: 3262
        RSeq)."""
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

    def test_cancelled_while_the_answer_waits(self) -> None:
        """The caller gives up while the 200 waits for its PRACK, which comes right after the CANCEL: the call was not
        answered, and the callee gets a BYE."""
        for caller in self.ways(REL):
            self.callee.answer(self.leg, 183, self.sdp(self.callee))
            early = caller.response(183)
            self.callee.answer(self.leg, 200)
            self.callee.heard("ACK")
            caller.cancel(self.invite)
            caller.heard(200)
            caller.heard(487)
            self.prack(self.at_caller(early), early)
            caller.heard(200)
            self.assertEqual(self.world.calls.answered, 0)
            self.world.turn()
            self.callee.answer(self.callee.request("BYE"), 200)
            self.assert_over(caller, self.callee)

    def test_all_required(self) -> None:
        """`Require: 100rel` is no reason for a 420; each 1xx waits for the PRACK of the one before (corners.rst 4: 3262
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

    def test_required_without_an_offer(self) -> None:
        """To an INVITE without SDP the first reliable response has the offer (RFC 3262 section 5): until there is
        one, a caller that requires them hears nothing, and then all (field.rst L: Reliable without an offer)."""
        for caller in self.ways(REQUIRED, offer=False):
            for status in (180, 181, 199):
                self.callee.answer(self.leg, status)
            caller.silent()
            self.reliable(183, 9, self.sdp(self.callee))
            early = caller.response(183)
            self.assertIn(b"m=audio", early.body)
            self.prack(self.at_caller(early), early, self.sdp(caller))
            caller.heard(200)
            self.callee.heard("PRACK")
            self.callee.answer(self.leg, 180)
            self.assertEqual(caller.response(180).headers.get("Require"), "100rel")
            self.callee.answer(self.leg, 486)
            self.callee.heard("ACK")
            caller.heard(486)

    def test_required_and_answered_without_an_offer(self) -> None:
        """Where the callee has rung only, the 200 has the offer."""
        for caller in self.ways(REQUIRED, offer=False):
            self.callee.answer(self.leg, 180)
            caller.silent()
            self.callee.answer(self.leg, 200, self.sdp(self.callee))
            ok = caller.response(200)
            self.assertIn(b"m=audio", ok.body)
            self.at_caller(ok).ack(self.invite, self.sdp(caller))
            self.callee.heard("ACK")
            self.hang_up(ok)

    def test_too_many_wait(self) -> None:
        """What waits for the PRACK of another is bounded."""
        self.way(REQUIRED)
        for _ in range(MAX_WAITING + 5):
            self.callee.answer(self.leg, 180)
        heard = 0
        while self.caller.pending():
            response = self.caller.response(180)
            heard += 1
            party = self.at_caller(response)
            party.cseq += heard
            self.prack(party, response)
            self.caller.heard(200)
        self.assertEqual(heard, MAX_WAITING + 1)
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)

    def test_within_a_call(self) -> None:
        """A re-INVITE that requires 100rel has no 1xx but 100: none is needed."""
        caller, callee = outbound(self.world)
        caller.ask("INVITE", caller.sdp("sendonly"), REQUIRED)
        crossed = callee.peer.request("INVITE")
        self.assertNotIn("Require", crossed.headers)
        callee.answer(crossed, 180)
        caller.peer.silent()
        callee.answer(crossed, 200, callee.sdp("recvonly"))
        caller.peer.heard(200)

    def test_2xx_waits(self) -> None:
        """As long as SDP has no PRACK, the 2xx is held; the callee has its ACK at once (corners.rst 4: 3262 B2BUA)."""
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
        """A 180 that is required to be reliable holds nothing up; its PRACK is taken after the 2xx, too, and what
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

    def test_refused_meanwhile(self) -> None:
        """A refusal has overtaken the PRACK: that gets its 200 all the same, once, and nothing else does (RFC 3262
        section 3); where none comes, the dialog is gone after 64*T1."""
        for comes in (True, False):
            for caller in self.ways(REL):
                self.callee.answer(self.leg, 183, self.sdp(self.callee))
                early = caller.response(183)
                self.callee.answer(self.leg, 486)
                self.callee.heard("ACK")
                caller.ack(self.invite, caller.response(486))
                self.world.turn()
                self.assertEqual((len(self.world.calls), len(self.world.legs)), (0, 1))
                party = self.at_caller(early)
                if comes:
                    party.ask("UPDATE")
                    caller.heard(481)
                    for status in (200, 481):
                        self.prack(party, early)
                        caller.heard(status)
                else:
                    self.world.turn(32)
                self.assertEqual(len(self.world.legs), 0)
                caller.silent()

    def test_wrong_rack(self) -> None:
        """Anything but the three values of a response that waits: 481; a second PRACK, too (corners.rst 4: 3262
        RAck)."""
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
        """Nothing of the proxy's waits for one there."""
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
        """183 of one, 200 of another with the same codecs: the caller's media is where it was, and its dialog is the
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
        """Other codecs: a final answer can't be taken back, so the 200 is in another dialog, as of
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
