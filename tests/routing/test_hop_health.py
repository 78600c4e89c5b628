"""Which hops are down: bounded, and apart by transport."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.transport.flow import Address, Hop


class HopHealthTests(SynchronousTestCase):
    """`HopHealth`"""

    def test_bounded(self) -> None:
        """Whoever makes us try targets does not fill the memory."""
        health = HopHealth(Clock())
        for number in range(3 * HopHealth.REMEMBERED):
            health.mark_down(Hop("udp", Address("192.0.2.1", number)))
        self.assertEqual(len(health._dead), HopHealth.REMEMBERED)

    def test_transports_are_apart(self) -> None:
        """TCP that is refused says nothing of UDP at the same address."""
        health = HopHealth(Clock())
        udp, tcp = (Hop(transport, Address("192.0.2.1", 5060)) for transport in ("udp", "tcp"))
        health.mark_down(udp)
        self.assertEqual(health.in_order([udp, tcp]), [tcp, udp])
