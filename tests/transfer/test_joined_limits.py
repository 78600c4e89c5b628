"""An attended transfer that the proxy carries out: what the consultation call is counted for counts until the call that
takes over its target has ended (docs/access.rst: Limits)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from tests.support.calls.transferring import BY, LocalTransferCase, name_of, refer_to
from webrtcproxy.config import LimitsConfig, TrunkLimits


class JoinedLimits(LocalTransferCase):
    """Bob has called alice, and alice carol, both by the same trunk; alice brings them together and leaves."""

    def joined(self, **options: Any) -> None:
        """The call of bob and carol, in a new world."""
        self.world = self.make_world(**options)
        self.alice, self.pbx = self.world.browser(), self.world.trunk()
        self.alice.bind()
        self.bob, self.mine = self.into(self.pbx, self.alice)
        self.second, self.carol = self.out(self.alice, self.pbx, "carol")
        self.mine.ask("REFER", b"", refer_to(self.second.target, name_of(self.second)), BY)
        self.bob.answer(self.pbx.request("REFER"), 501)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.agrees(self.carol)
        self.agrees(self.bob)
        self.second.answer(self.alice.request("BYE"), 200)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.assertEqual(len(self.world.calls), 1)

    def test_minutes(self) -> None:
        """Alice has ten minutes of a day for calls to trunks, and she has called carol: without her, too, the call ends
        when they are used up."""
        self.joined(limits=LimitsConfig(user_minutes_per_day=10))
        self.world.turn(590)
        self.assertEqual(len(self.world.calls), 1)
        self.world.turn(15)
        for party in (self.bob, self.carol):
            bye = self.pbx.request("BYE")
            self.assertEqual(bye.headers.get("Reason"), 'SIP;cause=403;text="Time Used Up"')
            party.answer(bye, 200)
        self.assert_over(self.alice, self.pbx)

    def test_calls_of_the_trunk(self) -> None:
        """The trunk has both ends, so it has two calls until they hang up."""
        self.trunks = (replace(self.trunks[0], limits=TrunkLimits(calls=2)), self.trunks[1])  # type: ignore[misc]
        self.joined()
        self.alice.invite("sip:dave@pbx.example.com")
        self.alice.heard(503)
        self.bye(self.bob, self.carol)
        self.alice.invite("sip:dave@pbx.example.com")
        invite = self.pbx.request("INVITE")
        self.pbx.answer(invite, 486)
        self.pbx.heard("ACK")
        self.alice.heard(486)
