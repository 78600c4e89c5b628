"""The index of dialogs, and what a leg keeps of its dialog (RFC 3261 section 12)."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from tests.support.messages import request


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
