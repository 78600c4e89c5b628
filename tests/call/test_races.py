"""An end of the set-up and what it races, read in one turn of the reactor: the caller gets one final response."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN, Caller, Peer
from tests.support.configs import PBX
from webrtcproxy.sip.message import respond


class InOneTurn(CallCase):
    """The callee's 200, and something that has given the caller another final response: the 200 is ACKed and ended with
    BYE, and the caller learns of it neither at once nor as a repeat (RFC 3261 sections 9.2 and 13.3.1.4)."""

    trunks = (PBX,)

    def from_browser(self) -> None:
        self.ring(self.world.browser(), self.world.trunk(), "sip:bob@pbx.example.com")

    def from_trunk(self) -> None:
        alice = self.world.browser()
        alice.bind()
        self.ring(self.world.trunk(), alice, "sip:alice@192.0.2.1")

    def ring(self, caller: Caller, callee: Peer, to: str) -> None:
        self.caller, self.callee = caller, callee
        self.invite = caller.invite(to)
        self.leg = callee.request("INVITE")
        callee.answer(self.leg, 180)
        self.ringing = caller.response(180)
        ((self.call, _),) = self.world.calls._alive.values()

    def answer(self) -> None:
        self.callee.answer(self.leg, 200, OFFER if self.callee.flow.browser else PLAIN)

    def cancel(self) -> int:
        self.caller.cancel(self.invite)
        self.assertEqual(self.caller.pending(), ["200", "487"])
        self.caller.heard(200)
        return 487

    def bye(self) -> int:
        self.caller.say(self.caller.inside("BYE", self.invite, self.ringing))
        self.assertEqual(self.caller.pending(), ["200", "487"])
        self.caller.heard(200)
        return 487

    def stop(self) -> int:
        self.world.calls.stop()
        return 503

    def both_orders(self, *interruptions: Callable[[], int]) -> None:
        """First the interruption and then the 200; and the 200, the interruption, and then rtpengine's answer."""
        for begin in (self.from_browser, self.from_trunk):
            for interrupt in interruptions:
                begin()
                status = interrupt()
                self.answer()
                self.check_end(status)
                begin()
                self.world.nodes.hold()
                self.answer()
                status = interrupt()
                self.world.nodes.release()
                self.check_end(status)

    def check_end(self, status: int) -> None:
        final = self.caller.response(status)
        self.caller.ack(self.invite, final)
        self.world.turn()
        self.callee.heard("ACK")
        self.callee.answer(self.callee.request("BYE"), 200)
        for _ in range(40):
            self.world.turn(1)
        self.assertEqual((self.call.record.status, self.call.record.answered), (status, None))
        self.assert_over(self.caller)

    def test_cancel(self) -> None:
        """The caller gives up."""
        self.both_orders(self.cancel)

    def test_bye(self) -> None:
        """The caller ends the early dialog."""
        self.both_orders(self.bye)

    def test_shutdown(self) -> None:
        """The proxy is stopped."""
        self.both_orders(self.stop)

    def test_offer_is_ready(self) -> None:
        """CANCEL, then rtpengine's answer to the offer: no INVITE goes out."""
        self.world.nodes.hold()
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        alice.cancel(invite)
        self.world.nodes.release()
        self.world.turn()
        self.assertEqual(alice.pending(), ["200", "487"])
        trunk.silent()


class FurtherAnswer(CallCase):
    """The dialog of an answer that came after another one: it has no call, and waits for the answer to its BYE."""

    trunks = (PBX,)

    def test_bye_crosses(self) -> None:
        """BYE of the far side is answered, anything else is refused."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.up(alice, trunk)
        self.trunk_ok = trunk.answer(self.leg, 200, PLAIN, tag="other")
        trunk.heard("ACK")
        bye = trunk.request("BYE")
        trunk.say(self.callee_request("INFO"))
        trunk.heard(481)
        trunk.say(self.callee_request("BYE", cseq=2))
        trunk.heard(200)
        trunk.answer(bye, 481)
        self.world.turn()
        trunk.silent()
        alice.silent()
        self.assertEqual(len(self.world.calls), 1)


class BeforeTheAck(CallCase):
    """The caller has its 200, and its ACK is still to come (RFC 3261 section 15; corners.rst 1: BYE before ACK)."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.leg = self.trunk.request("INVITE")
        self.trunk_ok = self.trunk.answer(self.leg, 200, PLAIN)
        self.trunk.heard("ACK")
        self.ok = self.alice.response(200)

    def test_caller_hangs_up(self) -> None:
        """The calling side may, and its BYE crosses; the 200 is repeated no more."""
        self.alice.say(self.alice.inside("BYE", self.invite, self.ok))
        self.alice.heard(200)
        self.world.turn()
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.world.turn(10)
        self.assert_over(self.alice, self.trunk)

    def test_both_hang_up(self) -> None:
        """Both BYEs get their 200, whichever is first."""
        for first in ("alice", "trunk"):
            if first == "trunk":
                self.setUp()
                self.trunk.say(self.callee_request("BYE"))
                self.trunk.heard(200)
            self.alice.say(self.alice.inside("BYE", self.invite, self.ok))
            self.alice.heard(200)
            self.world.turn()
            if first == "alice":
                bye = self.trunk.request("BYE")
                self.trunk.say(self.callee_request("BYE"))
                self.trunk.heard(200)
                self.trunk.answer(bye, 481)
            self.assert_over(self.alice, self.trunk)

    def test_proxy_stops(self) -> None:
        """Our own BYE for the caller waits for its ACK; the callee's does not."""
        self.world.calls.stop()
        self.world.turn()
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.alice.silent()
        self.alice.ack(self.invite, self.ok)
        self.alice.answer(self.alice.request("BYE"), 200)
        self.assert_over(self.alice, self.trunk)


class Final(CallCase):
    """A leg that is to answer an INVITE which has its final response."""

    trunks = (PBX,)

    def test_nothing_is_repeated(self) -> None:
        """Only a 2xx that was sent is repeated."""
        alice = self.world.browser()
        invite = alice.invite("sip:bob@pbx.example.com")
        ((transaction, (call, _)),) = self.world.calls._alive.items()
        alice.cancel(invite)
        self.world.turn()
        ok = respond(transaction.request, 200, to_tag=transaction.to_tag)
        call._caller.answer(transaction, ok, lambda: self.fail("nobody waits for an ACK"))
        self.world.turn(20)
        self.assertEqual(alice.pending(), ["200", "487"])
