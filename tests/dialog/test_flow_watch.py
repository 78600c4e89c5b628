"""Browsers whose sockets are lost in a call: the call ends in time, or goes on where they come back."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN
from tests.support.configs import PBX
from webrtcproxy.config import CallsConfig

GRACE = CallsConfig().grace


class Lost(CallCase):
    """The page is closed, or the network is gone."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind()

    def test_caller_in_the_call(self) -> None:
        """The far side gets its BYE when the grace time is over, and the media is freed (the original: never)
        (original.rst: socket loss, in the call)."""
        self.up(self.alice, self.trunk)
        self.alice.flow.lose()
        self.world.turn(GRACE - 0.1)
        self.trunk.silent()
        self.world.turn(0.1)
        bye = self.trunk.request("BYE")
        self.assertIn("Reason", bye.headers)
        self.trunk.answer(bye, 200)
        self.assert_over(self.trunk)

    def test_grace_is_below_ten_seconds(self) -> None:
        """The default leaves the far side waiting for less than 10 s."""
        self.assertLess(GRACE, 10)

    def test_callee_in_the_call(self) -> None:
        """The same for a browser that was called."""
        invite = self.trunk.call(self.alice)
        self.alice.answer(self.alice.request("INVITE"), 200, OFFER)
        self.trunk.ack(invite, self.trunk.response(200))
        self.alice.flow.lose()
        self.world.turn(GRACE)
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assert_over(self.trunk)

    def test_callee_while_the_answer_is_made(self) -> None:
        """A browser whose socket is lost before its leg is watched is missed all the same."""
        invite = self.trunk.call(self.alice)
        leg = self.alice.request("INVITE")
        self.world.nodes.hold()
        self.alice.answer(leg, 200, OFFER)
        self.alice.flow.lose()
        self.world.nodes.release()
        self.trunk.ack(invite, self.trunk.response(200))
        self.world.turn(GRACE)
        self.trunk.answer(self.trunk.request("BYE"), 200)
        self.assert_over(self.trunk)

    def test_caller_while_ringing(self) -> None:
        """Nobody is left to talk to: the callee stops ringing (original.rst: socket loss, while it rings)."""
        self.alice.invite("sip:bob@pbx.example.com")
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 180)
        self.alice.flow.lose()
        self.world.turn(GRACE)
        self.world.turn()
        self.trunk.answer(self.trunk.request("CANCEL"), 200)
        self.trunk.answer(leg, 487)
        self.trunk.heard("ACK")
        self.assert_over(self.trunk)

    def test_trunk_hangs_up_meanwhile(self) -> None:
        """A BYE in the grace time ends the call at once (original.rst: socket loss, the SIP side hangs up after it)."""
        self.up(self.alice, self.trunk)
        self.alice.flow.lose()
        self.trunk.say(self.callee_request("BYE"))
        self.trunk.heard("200")
        self.assert_over(self.trunk)


class Back(CallCase):
    """The same browser on a new socket: a dialog belongs to the instance."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.alice, self.trunk = self.world.browser(), self.world.trunk()
        self.alice.bind()
        self.invite, self.ok = self.up(self.alice, self.trunk)
        self.new = self.world.browser()
        self.new.contact = self.alice.contact

    def test_by_registering(self) -> None:
        """REGISTER with the same Contact: the call goes on, and BYE reaches the new socket
        (original.rst: socket loss, the browser comes back on a new one)."""
        self.alice.flow.lose()
        self.world.turn(1)
        self.new.bind()
        self.world.turn(GRACE)
        self.trunk.silent()
        self.trunk.say(self.callee_request("BYE"))
        self.trunk.heard(200)
        self.new.answer(self.new.request("BYE"), 200)
        self.assert_over(self.trunk)

    def test_before_the_old_socket_is_known_to_be_lost(self) -> None:
        """The new socket may be there first; the end of the old one then means nothing."""
        self.new.bind()
        self.alice.flow.lose()
        self.world.turn(GRACE)
        self.trunk.silent()

    def test_ob(self) -> None:
        """JsSIP's Contact has `;ob` in an INVITE and not in a REGISTER; it is the same browser."""
        self.alice.flow.lose()
        self.new.contact = self.alice.contact + ";ob"
        self.new.bind()
        self.world.turn(GRACE)
        self.trunk.silent()

    def test_asked_meanwhile(self) -> None:
        """A browser that moves while it is asked for a change of the session: who has asked gets the answer."""
        offer = PLAIN.replace(b"50000", b"50002")
        self.trunk.say(self.callee_request("INVITE", headers=[("Content-Type", "application/sdp")], body=offer))
        asked = self.alice.request("INVITE")
        self.new.bind()
        self.alice.answer(asked, 200, OFFER.replace(b"actpass", b"active"), contact=f"<{self.alice.contact}>")
        self.trunk.heard(200)
        self.new.heard("ACK")
        self.new.silent()

    def test_answer_is_repeated_where_the_browser_is(self) -> None:
        """A 200 that waits for its ACK is repeated on the new socket, and not complained about on the old one."""
        alice = self.world.browser("bert")
        alice.bind()
        invite = alice.invite("sip:bob@pbx.example.com")
        self.trunk.answer(self.trunk.request("INVITE"), 200, PLAIN)
        ok = alice.response(200)
        alice.flow.lose()
        new = self.world.browser("bert")
        new.contact = alice.contact
        new.bind()
        self.world.turn(0.5)
        new.heard(200)
        new.ack(invite, ok)
        self.world.turn(60)
        self.assertEqual(len(self.world.calls), 2)

    def test_while_it_rings(self) -> None:
        """A caller that comes back before the answer gets the rest of it on the new socket."""
        alice = self.world.browser("bert")
        alice.bind()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = self.trunk.request("INVITE")
        alice.flow.lose()
        new = self.world.browser("bert")
        new.contact = alice.contact
        new.bind()
        self.trunk.answer(leg, 180)
        self.trunk.answer(leg, 200, PLAIN)
        self.trunk.heard("ACK")
        new.heard(180)
        new.ack(invite, new.response(200))
        self.world.turn(60)
        self.assertEqual(len(self.world.calls), 2)

    def test_newest_socket_counts_while_the_old_one_lives(self) -> None:
        """The same where the old socket is not known to be lost: responses go on the newest flow of the instance."""
        alice = self.world.browser("bert")
        alice.bind()
        alice.invite("sip:bob@pbx.example.com")
        leg = self.trunk.request("INVITE")
        new = self.world.browser("bert")
        new.contact = alice.contact
        new.bind()
        self.trunk.answer(leg, 486)
        new.heard(486)
        alice.silent()

    def test_by_a_request_in_the_dialog(self) -> None:
        """A browser that has authenticated as the same user goes on with the call, whatever its Contact is now."""
        self.alice.flow.lose()
        self.world.turn(1)
        self.new.contact = "sip:reloaded@browser.invalid"
        self.new.bind()
        self.new.say(self.new.inside("INFO", self.invite, self.ok, body=b"Signal=1"))
        self.trunk.answer(self.trunk.request("INFO"), 200)
        self.new.heard(200)
        self.world.turn(GRACE)
        self.trunk.silent()

    def test_somebody_else(self) -> None:
        """Another user that calls itself by the same Contact gets nothing of the call."""
        thief = self.world.browser("mallory")
        thief.contact = self.alice.contact
        thief.bind()
        self.trunk.say(self.callee_request("BYE"))
        self.trunk.heard(200)
        thief.silent()
        self.alice.heard("BYE")
