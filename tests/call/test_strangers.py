"""What becomes of strangers on the way through the whole proxy: no response, or a ban."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.configs import PBX
from tests.support.exposition import Readings
from tests.support.messages import request


class Strangers(CallCase):
    """Browsers that have not logged in, and other peers (docs/access.rst, Strangers)."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.guard = self.world.context.guard
        self.readings = Readings(self.world.metrics)

    def test_user_agent(self) -> None:
        """A scanner gets no response to anything, and its address is banned."""
        browser = self.world.browser()
        for method in ("OPTIONS", "INVITE", "REGISTER", "ACK", "CANCEL"):
            browser.say(request(method, "sip:100@pbx.example.com", headers=[("User-Agent", "friendly-scanner")]))
        browser.silent()
        self.assertTrue(self.guard.is_banned(browser.flow.peer.host))
        self.assertEqual(
            self.readings.moved(), {'bans_total{reason="user_agent"}': 1, 'refused_total{reason="scanner"}': 5}
        )

    def test_user_agent_of_a_trunk(self) -> None:
        """A trunk may be called as it likes."""
        trunk = self.world.trunk()
        trunk.say(request("OPTIONS", "sip:192.0.2.1", headers=[("User-Agent", "sipsak 0.9.8")]))
        trunk.response(200)

    def test_targets(self) -> None:
        """Who tries one destination after the other without being logged in is banned."""
        browser = self.world.browser()
        for number in range(10):
            browser.say(request("INVITE", f"sip:{number}@host{number}.example"))
        self.assertTrue(self.guard.is_banned(browser.flow.peer.host))

    def test_unknown_source(self) -> None:
        """So is who does so over TCP, without a response; over UDP the address may be forged, and is not banned."""
        for transport, host in (("tcp", "203.0.113.1"), ("udp", "203.0.113.2")):
            peer = self.world.trunk(host, transport=transport)
            for number in range(10):
                peer.say(request("INVITE", f"sip:{number}@192.0.2.1", transport=transport.upper()))
            peer.silent()
            self.assertEqual(self.guard.is_banned(host), transport == "tcp")
