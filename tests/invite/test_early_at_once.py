"""An UPDATE that follows the callee's reliable answer at once, while rtpengine makes the caller's answer of it: our
offer is answered, so that the callee may make one of its own (RFC 3311 section 5.1; field.rst X9: Offer at once)."""

from __future__ import annotations

from tests.support.calls.early import REL, EarlyCase
from tests.support.calls.modifying import UPDATES
from tests.support.calls.party import Party
from tests.support.ngnode import on_one_port
from webrtcproxy.invite.fork import MAX_PENDING
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.message import Response


class AtOnce(EarlyCase):
    """The UPDATE waits until the answer is relayed."""

    def ask_at_once(self, tag: str = "callee", direction: str = "sendonly") -> Party:
        """The callee answers in a reliable 183, and offers another session before the caller has heard of it."""
        self.world.nodes.hold()
        return self.ask(tag, direction)

    def ask(self, tag: str, direction: str) -> Party:
        response = self.reliable(183, 1, self.sdp(self.callee), UPDATES, tag=tag)
        self.pracked(response)
        callee = self.at_callee(response)
        callee.ask("UPDATE", callee.sdp(direction, 1 if direction == "sendrecv" else 3))
        self.callee.silent()
        return callee

    def refuse_call(self) -> None:
        """The callee refuses the call, and nothing is left."""
        self.callee.answer(self.leg, 486)
        self.callee.heard("ACK")
        self.caller.heard(486)
        self.assert_over(self.caller, self.callee)

    def test_crosses(self) -> None:
        """Then it crosses; to a caller whose PRACK confirms the answer, after that (section 5.1)."""
        for caller in self.ways(REL, UPDATES):
            callee = self.ask_at_once()
            self.world.nodes.release()
            early = caller.response(183)
            caller.silent()
            self.callee.silent()
            party = self.at_caller(early)
            self.prack(party, early)
            caller.heard(200)
            update = caller.request("UPDATE")
            self.assertIn(b"m=audio", update.body)
            party.answer(update, 200, party.sdp("recvonly", 3))
            self.assertIn(b"m=audio", self.callee.response(200).body)
            callee.ask("UPDATE", callee.sdp("sendrecv", 4))
            update = caller.request("UPDATE")
            party.answer(update, 200, party.sdp("sendrecv", 4))
            self.callee.heard(200)
            self.callee.answer(self.leg, 200)
            self.callee.heard("ACK")
            ok = caller.response(200)
            party.ack(self.invite)
            self.hang_up(ok)

    def test_answered_meanwhile(self) -> None:
        """A 200 to the INVITE may follow at once, too: the 200 for the caller comes after its PRACK."""
        for caller in self.ways(REL, UPDATES):
            self.ask_at_once()
            self.callee.answer(self.leg, 200)
            self.callee.heard("ACK")
            self.world.nodes.release()
            early = caller.response(183)
            caller.silent()
            party = self.at_caller(early)
            self.prack(party, early)
            self.assertEqual(sorted(caller.pending()), ["200", "200", "UPDATE"])
            one, two, three = caller.next(), caller.next(), caller.next()
            update = next(each for each in (one, two, three) if not isinstance(each, Response))
            ok = next(each for each in (two, three) if isinstance(each, Response))
            party.ack(self.invite)
            party.answer(update, 200, party.sdp("recvonly", 3))
            self.callee.heard(200)
            self.hang_up(ok)

    def test_only_moves(self) -> None:
        """Where nothing changes for a caller, it is answered with no need of the caller: also where that has a preview
        only."""
        for caller in self.ways():
            self.world.nodes.sdp = on_one_port
            self.ask_at_once(direction="sendrecv")
            self.world.nodes.release()
            self.callee.heard(200)
            caller.heard(183)
            self.refuse_call()

    def test_refused(self) -> None:
        """rtpengine can't make the answer: there is no session that could be changed, now or later."""
        for caller in self.ways(REL, UPDATES):
            self.world.nodes.fail("answer", NgRefused("no"))
            callee = self.ask_at_once()
            self.world.nodes.release()
            self.assertEqual(caller.response(183).body, b"")
            self.callee.heard(491)
            callee.ask("UPDATE", callee.sdp())
            self.callee.heard(491)
            self.refuse_call()

    def test_only_one(self) -> None:
        """A second one of the same side is refused meanwhile, to be made later."""
        self.way(REL, UPDATES)
        callee = self.ask_at_once()
        callee.ask("UPDATE", callee.sdp())
        self.assertTrue(self.callee.response(500).headers.get("Retry-After"))
        callee.ask("UPDATE")
        self.callee.heard(200)
        self.world.nodes.release()

    def test_invite(self) -> None:
        """An INVITE within an early dialog is no such request (RFC 3261 section 14.1)."""
        self.way(REL, UPDATES)
        self.world.nodes.hold()
        response = self.reliable(183, 1, self.sdp(self.callee), UPDATES)
        self.pracked(response)
        callee = self.at_callee(response)
        callee.ask("INVITE", callee.sdp())
        self.callee.forget()
        self.world.nodes.release()
        self.callee.silent()

    def test_other_fork(self) -> None:
        """The session is that of another fork: 491, as after it. Each waits for its own answer."""
        self.way(REL, UPDATES)
        self.world.nodes.sdp = on_one_port
        self.ask_at_once("one", "sendrecv")
        self.ask("two", "sendonly")
        self.world.nodes.release()
        self.assertEqual(sorted(self.callee.pending()), ["200", "491"])

    def test_other_fork_answers(self) -> None:
        """A 200 of another fork than the one with the early session is an answer, too, and the offer that follows
        crosses in the dialog of its own."""
        self.way(REL, UPDATES)
        self.pracked(self.reliable(183, 1, self.sdp(self.callee), UPDATES, tag="one"))
        early = self.caller.response(183)
        self.prack(self.at_caller(early), early)
        self.caller.heard(200)
        self.world.nodes.hold()
        answer = self.callee.answer(self.leg, 200, self.sdp(self.callee, version=8), tag="two")
        self.callee.heard("ACK")
        callee = self.at_callee(answer)
        callee.ask("UPDATE", callee.sdp("sendonly", 9))
        self.callee.silent()
        self.world.nodes.release()
        ok = self.caller.response(200)
        party = self.at_caller(ok)
        party.ack(self.invite)
        party.answer(self.caller.request("UPDATE"), 200, party.sdp("recvonly", 3))
        self.callee.heard(200)
        self.hang_up(ok)

    def test_call_ends(self) -> None:
        """Where the caller gives up, or no PRACK of it comes, it has its final response (RFC 3261 section 15.1.2)."""
        for released in (False, True):
            for caller in self.ways(REL, UPDATES):
                self.ask_at_once()
                if released:
                    self.world.nodes.release()
                    caller.heard(183)
                caller.cancel(self.invite)
                caller.heard(200)
                caller.heard(487)
                self.world.turn()
                self.assertEqual(sorted(self.callee.pending()), ["487", "CANCEL"])
                self.callee.forget()
                self.callee.answer(self.leg, 487)
                self.callee.heard("ACK")
                if not released:
                    self.world.nodes.release()

    def test_dialog_ends(self) -> None:
        """The callee hangs up its early dialog: 487 (RFC 3261 section 15.1.2)."""
        for _ in self.ways(REL, UPDATES):
            callee = self.ask_at_once()
            callee.ask("BYE")
            self.assertIn("487", self.callee.pending())
            self.world.nodes.release()

    def test_no_prack(self) -> None:
        """No PRACK of the caller comes: 504 in time (RFC 4320 section 4.2), before the call ends with 504."""
        self.way(REL, UPDATES)
        self.ask_at_once()
        self.world.nodes.release()
        for _ in range(31):
            self.world.turn(1)
        self.assertEqual(self.callee.pending()[-1], "504")
        for _ in range(9):
            self.world.turn(1)
        self.assertEqual(self.caller.pending()[-1], "504")

    def test_too_many_wait(self) -> None:
        """A response that is dropped, since too many wait for rtpengine, is not waited for."""
        self.way(REL, UPDATES)
        self.world.nodes.hold()
        for number in range(MAX_PENDING + 1):
            self.pracked(self.reliable(183, number + 1, self.sdp(self.callee), UPDATES, tag="one"))
        dropped = self.reliable(183, 1, self.sdp(self.callee), UPDATES, tag="two")
        self.pracked(dropped)
        callee = self.at_callee(dropped)
        callee.ask("UPDATE", callee.sdp())
        self.callee.heard(491)
        self.world.nodes.release()
