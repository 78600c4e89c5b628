"""CANCEL at every moment (RFC 3261 section 9), and what races it."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from tests.support.calls.case import CallCase
from tests.support.calls.world import PLAIN, Caller
from tests.support.configs import CARRIER, PBX
from webrtcproxy.sip.message import Request


class Cancelled(CallCase):
    """The browser gives up: 200 for the CANCEL, 487 for the INVITE, and the callee stops ringing."""

    trunks = (PBX,)

    def ring(self, *answers: int) -> None:
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.leg = self.trunk.request("INVITE")
        for status in answers:
            self.trunk.answer(self.leg, status)
            if status > 100:
                self.alice.heard(status)

    def give_up(self) -> None:
        self.alice.cancel(self.invite, ("Reason", 'SIP;cause=487;text="changed my mind"'))
        self.assertEqual(sorted(self.alice.pending()), ["200", "487"])
        self.alice.next(), self.alice.next()
        self.world.turn()

    def end(self) -> None:
        cancel = self.trunk.request("CANCEL")
        self.assertEqual(cancel.headers.get("Reason"), 'SIP;cause=487;text="changed my mind"')
        self.assertEqual(cancel.via.branch, self.leg.via.branch)
        self.trunk.answer(cancel, 200)
        self.trunk.answer(self.leg, 487)
        self.trunk.heard("ACK")
        self.assert_over(self.alice, self.trunk)

    def test_while_ringing(self) -> None:
        """The ordinary case; the Reason crosses (RFC 3326)."""
        self.ring(100, 180)
        self.give_up()
        self.end()

    def test_before_the_first_1xx(self) -> None:
        """CANCEL never goes out before a 1xx (section 9.1): it waits for the trunk's 100
        (original.rst: cancel, right after the INVITE)."""
        self.ring()
        self.give_up()
        self.trunk.silent()
        self.trunk.answer(self.leg, 100)
        self.end()

    def test_before_the_second_leg_exists(self) -> None:
        """While rtpengine is asked: no INVITE goes out at all, and the media is deleted after the reply
        (original.rst: rtpengine stalled while the caller gives up)."""
        self.world.nodes.hold()
        self.alice = self.world.browser()
        self.invite = self.alice.invite("sip:bob@pbx.example.com")
        self.give_up()
        self.world.nodes.release()
        self.world.trunk().silent()
        self.assertEqual([operation for operation, _ in self.world.nodes.log], ["offer", "delete"])
        self.assert_over(self.alice)

    def test_races_the_200(self) -> None:
        """The callee answers as the CANCEL travels: its 200 is ACKed, then BYE; the browser has its 487."""
        self.ring(180)
        self.give_up()
        self.trunk.heard("CANCEL")
        self.trunk.answer(self.leg, 200, PLAIN)
        self.trunk.heard("ACK")
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assert_over(self.alice, self.trunk)

    def test_while_the_answer_is_made(self) -> None:
        """The 200 is here and rtpengine works on it: 487 for the browser, BYE for the callee."""
        self.ring(180)
        self.world.nodes.hold()
        self.trunk.answer(self.leg, 200, PLAIN)
        self.trunk.heard("ACK")
        self.give_up()
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.world.nodes.release()
        self.assert_over(self.alice, self.trunk)

    def test_while_early_media_is_made(self) -> None:
        """The same while a 183 waits for rtpengine, with a 200 queued after it."""
        self.ring(100)
        self.world.nodes.hold()
        self.trunk.answer(self.leg, 183, PLAIN)
        self.trunk.answer(self.leg, 200, PLAIN)
        self.trunk.heard("ACK")
        self.give_up()
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.world.nodes.release()
        self.assert_over(self.alice, self.trunk)

    def test_after_the_answer(self) -> None:
        """A CANCEL after the 200 is answered 200 and changes nothing."""
        self.ring(180)
        self.trunk.answer(self.leg, 200, PLAIN)
        self.trunk.heard("ACK")
        ok = self.alice.response(200)
        self.alice.cancel(self.invite)
        self.alice.heard(200)
        self.world.turn()
        self.trunk.silent()
        self.alice.ack(self.invite, ok)
        self.assertEqual(len(self.world.calls), 1)

    def test_no_487_ever(self) -> None:
        """A trunk that answers the CANCEL and then nothing: the transaction ends after 64*T1."""
        self.ring(180)
        self.give_up()
        self.trunk.answer(self.trunk.request("CANCEL"), 200)
        self.assertEqual(self.world.rest(), [])
        self.assertEqual(len(self.world.transactions), 0)

    def test_twice(self) -> None:
        """A second CANCEL changes nothing."""
        self.ring(180)
        self.give_up()
        self.alice.cancel(self.invite)
        self.end_of_second()

    def end_of_second(self) -> None:
        self.world.turn()
        self.assertEqual(self.trunk.pending(), ["CANCEL"])

    def test_bye_instead(self) -> None:
        """A caller may end an early dialog with BYE (section 15): 200, 487, and CANCEL for the callee."""
        self.ring()
        self.trunk.answer(self.leg, 180)
        ringing = self.alice.response(180)
        self.alice.say(self.alice.inside("BYE", self.invite, ringing))
        self.assertEqual(sorted(self.alice.pending()), ["200", "487"])
        self.world.turn()
        self.trunk.heard("CANCEL")


class FromElsewhere(CallCase):
    """A CANCEL that comes by another flow than its INVITE, with all its identifiers."""

    trunks = (PBX, CARRIER)

    def elsewhere(self, peer: Caller, invite: Request) -> Caller:
        """`peer` sends the CANCEL."""
        peer.cancel(invite)
        self.world.turn()
        return peer

    def test_browser(self) -> None:
        """Of another user, and of nobody, it is none: 481 as for a transaction that does not exist. The user may cancel
        on a new connection."""
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        alice.heard(180)
        eve = self.world.browser("eve")
        eve.bind()
        for peer in (eve, self.world.browser("alice")):
            self.elsewhere(peer, invite).heard(481)
            peer.silent()
        trunk.silent()
        again = self.world.browser()
        again.bind()
        self.elsewhere(again, invite)
        self.assertEqual(sorted(again.pending()), ["200", "487"])
        alice.silent()
        trunk.answer(trunk.request("CANCEL"), 200)
        trunk.answer(leg, 487)
        trunk.heard("ACK")

    def test_trunk(self) -> None:
        """Nor may another trunk cancel the call of one; another address of the same one may."""
        self.trunks = (replace(PBX, sources=(ip_network("192.0.2.48/30"),)), CARRIER)  # type: ignore[misc]
        self.world = self.make_world()
        alice, trunk = self.world.browser(), self.world.trunk()
        alice.bind()
        invite = trunk.call(alice)
        leg = alice.request("INVITE")
        alice.answer(leg, 180)
        trunk.heard(180)
        self.elsewhere(self.world.trunk("192.0.2.7", 5090), invite).heard(481)
        alice.silent()
        self.elsewhere(self.world.trunk("192.0.2.49"), invite).heard(200)
        alice.answer(alice.request("CANCEL"), 200)
        alice.answer(leg, 487)
