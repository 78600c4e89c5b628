"""rtpengine gives up the media of a call that is up: nobody is left talking to nobody."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.configs import PBX


class Lost(CallCase):
    """What becomes of the call."""

    trunks = (PBX,)

    def test_both_hear_it(self) -> None:
        """BYE for both sides, which says why, and the session's name is freed (corners.rst 5: timeouts)."""
        alice, trunk = self.world.browser(), self.world.trunk()
        self.up(alice, trunk)
        self.world.nodes.lose(self.world.nodes.sessions[0])
        for peer in (alice, trunk):
            bye = peer.request("BYE")
            self.assertEqual('SIP;cause=503;text="Media lost"', bye.headers.get("Reason"))
            peer.answer(bye, 200)
        self.assert_over(alice, trunk)

    def test_while_the_session_is_changed(self) -> None:
        """A re-INVITE that is open gets 487 (RFC 3261 section 15.1.2), and is cancelled on the other side."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite, ok = self.up(alice, trunk)
        offer = alice.inside("INVITE", invite, ok, body=alice.sdp.replace(b"sendrecv", b"sendonly"))
        offer.headers.set("Content-Type", "application/sdp")
        alice.say(offer)
        leg = trunk.request("INVITE")
        trunk.answer(leg, 180)
        alice.heard(180)
        self.world.nodes.lose(self.world.nodes.sessions[0])
        alice.heard(487)
        alice.answer(alice.request("BYE"), 200)
        self.assertEqual(["BYE", "CANCEL"], sorted(trunk.pending()))
        for _ in range(2):
            request = trunk.next()
            trunk.answer(request, 200)  # type: ignore[arg-type]
        trunk.answer(leg, 487)
        trunk.heard("ACK")

    def test_not_missed_after_the_end(self) -> None:
        """One that has hung up misses nothing, nor does one that was refused."""
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        self.assertEqual(1, len(self.world.nodes.watched))
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        alice.heard(486)
        alice.ack(invite, alice.flow.last_response)
        self.assertEqual({}, self.world.nodes.watched)
        invite, ok = self.up(alice, trunk)
        self.assertEqual(1, len(self.world.nodes.watched))
        alice.say(alice.inside("BYE", invite, ok))
        alice.heard(200)
        trunk.answer(trunk.request("BYE"), 200)
        self.assertEqual({}, self.world.nodes.watched)
