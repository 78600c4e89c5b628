"""The index of dialogs, and what a leg keeps of its dialog (RFC 3261 section 12)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from tests.support.messages import request
from webrtcproxy.dialog.retransmission import OkRetransmission
from webrtcproxy.runtime.schedule import Schedule


class Found(CallCase):
    """A request belongs to a dialog by Call-ID, To tag and From tag, all three."""

    trunks = (PBX,)

    def test_three_parts(self) -> None:
        """With a made-up Call-ID or tag, or without a To tag, there is no dialog."""
        alice = self.world.browser()
        _, ok = self.up(alice, self.world.trunk())
        right = {"call_id": ok.call_id, "to_tag": ok.to.tag or "", "from_tag": ok.from_.tag or ""}
        self.assertIsNotNone(self.world.legs.find(request("BYE", **right)))  # type: ignore[arg-type]
        for wrong in ({"call_id": "made-up"}, {"to_tag": "made-up"}, {"to_tag": ""}, {"from_tag": "made-up"}):
            self.assertIsNone(self.world.legs.find(request("BYE", **{**right, **wrong})), wrong)  # type: ignore[arg-type]

    def test_made_up_tag_is_no_ticket(self) -> None:
        """Who knows the Call-ID of a call and not its tags can't end it; a stranger is not even answered."""
        trunk, stranger = self.world.trunk(), self.world.trunk("203.0.113.66")
        self.up(self.world.browser(), trunk)
        tags = {"to_tag": self.leg.from_.tag or "", "from_tag": "callee"}
        for wrong in ({"to_tag": "made-up"}, {"from_tag": "made-up"}):
            for peer in (trunk, stranger):
                peer.say(request("BYE", call_id=self.leg.call_id, **{**tags, **wrong}))  # type: ignore[arg-type]
            trunk.heard(481)
            stranger.silent()
        self.assertEqual(len(self.world.calls), 1)


class Repeated(SynchronousTestCase):
    """A 2xx is repeated until its ACK: after T1, then at intervals that double up to T2, for 64*T1 in all (RFC 3261
    section 13.3.1.4)."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.repeats: list[float] = []
        self.ends: list[float] = []
        self.answer = OkRetransmission(
            Schedule(self.clock),
            lambda: self.repeats.append(self.clock.seconds()),
            lambda: self.ends.append(self.clock.seconds()),
        )

    def wait(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))

    def test_times(self) -> None:
        """T1 is 0.5 s and T2 is 4 s; the user hears once that no ACK came."""
        self.wait(60)
        self.assertEqual(self.repeats, [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5])
        self.assertEqual(self.ends, [32.0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_acknowledged(self) -> None:
        """The ACK ends it."""
        self.wait(1.5)
        self.answer.acknowledge()
        self.wait(60)
        self.assertEqual((self.repeats, self.ends), ([0.5, 1.5], []))
