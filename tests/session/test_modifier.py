"""Who may change the session of a call, and when."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.early import EarlyCase
from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party, party_of
from tests.support.calls.world import Browser
from tests.support.configs import PBX
from tests.support.ngnode import on_one_port
from webrtcproxy.sip.message import Request


class JustAnswered(EarlyCase):
    """The callee's 2xx has answered our offer, so that it may make one of its own (RFC 3311 section 5.1), though
    rtpengine has not made the caller's answer yet. Asterisk does so for direct media, or ends the call (field.rst X9:
    Offer at once)."""

    def ask_at_once(self, method: str) -> tuple[Party, Request]:
        """The callee answers, and changes the session before the caller has heard of the answer."""
        self.world.nodes.hold()
        answer = self.callee.answer(self.leg, 200, self.sdp(self.callee))
        self.callee.heard("ACK")
        callee = party_of(self.callee, self.leg, answer)
        asked = callee.ask(method, callee.sdp(version=7))
        self.callee.silent() if method == "UPDATE" else self.callee.forget()
        return callee, asked

    def test_waits(self) -> None:
        """It waits until the caller has its 200 and has sent the ACK; then it crosses."""
        for method in ("UPDATE", "INVITE"):
            for caller in self.ways():
                callee, asked = self.ask_at_once(method)
                self.world.nodes.release()
                ok = caller.response(200)
                caller.silent()
                at_caller = self.at_caller(ok)
                at_caller.ack(self.invite)
                crossed = caller.request("INVITE")
                at_caller.answer(crossed, 200, at_caller.sdp(version=8))
                caller.heard("ACK")
                self.callee.heard(200)
                if method == "INVITE":
                    callee.ack(asked)
                callee.ask("BYE")
                self.callee.heard(200)
                caller.answer(caller.request("BYE"), 200)
                self.assert_over(caller, self.callee)

    def test_only_one(self) -> None:
        """A second one is refused meanwhile, to be made later."""
        self.way()
        callee, _ = self.ask_at_once("UPDATE")
        callee.ask("UPDATE", callee.sdp(version=9))
        self.assertTrue(self.callee.response(500).headers.get("Retry-After"))
        self.world.nodes.release()
        self.callee.silent()

    def test_comes_back_on_another_socket(self) -> None:
        """A browser's connection is replaced meanwhile, by the same user: that is where its 200 goes."""
        for caller in self.ways():
            if isinstance(self.callee, Browser):
                self.world.nodes.sdp = on_one_port
                callee, _ = self.ask_at_once("UPDATE")
                self.callee.flow.lose()
                callee.peer = again = self.world.browser()
                again.bind()
                callee.ask("UPDATE")
                again.heard(200)
                self.world.nodes.release()
                ok = caller.response(200)
                self.at_caller(ok).ack(self.invite)
                again.heard(200)
                again.silent()

    def test_ends_meanwhile(self) -> None:
        """Where the caller gives up meanwhile, it has its final response."""
        for caller in self.ways():
            self.ask_at_once("UPDATE")
            caller.cancel(self.invite)
            caller.heard(200)
            caller.heard(487)
            self.world.nodes.release()
            self.world.turn()
            self.assertEqual(self.callee.pending()[0], "487")
            self.callee.heard(487)
            self.callee.answer(self.callee.request("BYE"), 200)
            self.assert_over(caller, self.callee)


class Glare(SessionChangeCase):
    """Two offers at once (RFC 3261 section 14, RFC 3311 section 5.2)."""

    def test_ours_is_out(self) -> None:
        """491 to the one that offers while our offer is out on its leg, and while rtpengine makes it."""
        for method in ("INVITE", "UPDATE"):
            for held in (False, True):
                for asker, other in self.all_ways():
                    if held:
                        self.world.nodes.hold()
                    invite = asker.ask("INVITE", asker.sdp())
                    crossed = None if held else other.peer.request("INVITE")
                    again = other.ask(method, other.sdp())
                    other.peer.heard(491)
                    if method == "INVITE":
                        other.ack_refusal(again)
                    self.world.nodes.release()
                    other.answer(crossed or other.peer.request("INVITE"), 200, other.sdp())
                    other.peer.heard("ACK")
                    asker.peer.heard(200)
                    asker.ack(invite)
                    self.check_alive(asker, other)

    def test_both_refuse(self) -> None:
        """The far side's 491 is the requester's: both ask again, each after its own time (section 14.1)."""
        for asker, other in self.all_ways():
            invite, cross = asker.ask("INVITE", asker.sdp()), other.ask("INVITE", other.sdp())
            crossed = other.peer.request("INVITE")
            other.peer.heard(491)
            other.ack_refusal(cross)
            other.answer(crossed, 491)
            other.peer.heard("ACK")
            asker.peer.heard(491)
            asker.ack_refusal(invite)
            self.check_alive(other, asker)

    def test_earlier_one_is_open(self) -> None:
        """500 with Retry-After of 0 to 10 s to the one that offers again before it has its answer."""
        for method in ("INVITE", "UPDATE"):
            for asker, other in self.all_ways():
                invite = asker.ask("INVITE", asker.sdp())
                crossed = other.peer.request("INVITE")
                again = asker.ask(method, asker.sdp())
                refused = asker.peer.response(500)
                self.assertIn(int(refused.headers.get("Retry-After") or "99"), range(11))
                if method == "INVITE":
                    asker.ack_refusal(again)
                other.answer(crossed, 200, other.sdp())
                other.peer.heard("ACK")
                asker.peer.heard(200)
                asker.ack(invite)
                self.check_alive(asker, other)


class Early(CallCase):
    """Before the call is up, the session is not there to be changed."""

    trunks = (PBX,)

    def test_by_the_caller(self) -> None:
        """500 with Retry-After: its offer is not answered yet. Without SDP, UPDATE is answered."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        ringing = alice.response(180)
        caller = Party(
            alice, invite.call_id, invite.headers.get("From") or "", ringing.headers.get("To") or "", alice.contact, 1
        )
        for method in ("INVITE", "UPDATE"):
            asked = caller.ask(method, caller.sdp())
            self.assertIn("Retry-After", alice.response(500).headers)
            if method == "INVITE":
                caller.ack_refusal(asked)
        caller.ask("UPDATE")
        alice.heard(200)
        trunk.silent()
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        alice.heard(486)

    def test_by_the_callee(self) -> None:
        """491: a 481 would end the call that it has not answered yet."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        ringing = trunk.answer(leg, 180)
        callee = Party(trunk, leg.call_id, ringing.headers.get("To") or "", leg.headers.get("From") or "", leg.uri, 0)
        callee.ask("UPDATE", callee.sdp())
        trunk.heard(491)
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        callee.ask("UPDATE", callee.sdp())
        trunk.heard(481)
