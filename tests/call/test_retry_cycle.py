"""A try with credentials that can't be sent at all leaves no garbage (tests/call/test_cycles.py has the others)."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.world import World
from tests.support.configs import CARRIER, config
from tests.support.garbage import kinds_left


class RetryCycle(SynchronousTestCase):
    """What the failure of a second try leaves behind."""

    def test_unreachable(self) -> None:
        """The INVITE with credentials is too large for a datagram, and neither TCP nor UDP can be sent to any more."""
        world = World(config=config(replace(CARRIER, tcp_over_mtu=True), anyone=True))

        def live() -> None:
            alice, trunk = world.browser(), world.trunk("192.0.2.7", 5090)
            alice.invite("sip:bob@carrier.example.net:5080")
            trunk = next(p for p in world.peers if not p.flow.browser and p.pending())
            leg = trunk.request("INVITE")
            world.unreachable = True
            nonce = "n" * 900
            trunk.answer(leg, 407, headers=[("Proxy-Authenticate", f'Digest realm="carrier", nonce="{nonce}"')])
            world.turn()
            for peer in world.peers:
                peer.flow.lose()
            world.peers.clear()
            world.trunks.clear()

        found = {kind.__name__ for kind in kinds_left(self, live)}
        self.flushLoggedErrors()
        self.assertEqual(found & {"Branch", "ClientRequest", "Call", "Leg"}, set())
