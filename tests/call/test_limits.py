"""How many calls one browser may have at once: else one stranger could have all that there are."""

from __future__ import annotations

from tests.support.calls.case import CallCase
from tests.support.calls.world import OFFER, PLAIN, Browser
from tests.support.configs import PBX
from webrtcproxy.config import CallsConfig

CALLS = CallsConfig(limit_per_connection=3, limit_unregistered=1)


class PerConnection(CallCase):
    """`limit-per-connection` and `limit-unregistered`."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(calls=CALLS)
        self.alice, self.trunk = self.world.browser(), self.world.trunk()

    def call(self, browser: Browser, *refusal: int) -> None:
        """One more call, which hears `refusal` at once; without one it is taken."""
        before = len(self.world.calls)
        self.invite = browser.invite("sip:bob@pbx.example.com")
        self.assertEqual(browser.pending(), [str(status) for status in refusal])
        self.assertEqual(len(self.world.calls) - before, 0 if refusal else 1)

    def test_unregistered(self) -> None:
        """Who has not registered has the lower one: 503 with Retry-After; others are not touched by it."""
        self.call(self.alice)
        self.call(self.alice, 503)
        self.assertTrue(self.alice.response(503).headers.get("Retry-After"))
        self.call(self.world.browser("bert"))
        self.assertEqual(self.trunk.pending(), ["INVITE", "INVITE"])

    def test_registered(self) -> None:
        """Who has, with a password of its own, has the higher one."""
        self.alice.bind()
        for _ in range(3):
            self.call(self.alice)
        self.call(self.alice, 503)

    def test_registered_with_the_trunks_password(self) -> None:
        """A registration that the proxy's own account has made proves nothing."""
        self.alice.bind(authenticated=False)
        self.call(self.alice)
        self.call(self.alice, 503)

    def test_over(self) -> None:
        """A call that is over counts no more, however it ended."""
        self.call(self.alice)
        self.trunk.answer(self.trunk.request("INVITE"), 486)
        self.trunk.heard("ACK")
        self.alice.heard(486)
        self.call(self.alice)
        leg = self.trunk.request("INVITE")
        self.trunk.answer(leg, 200, PLAIN)
        self.trunk.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(self.invite, ok)
        self.alice.say(self.alice.inside("BYE", self.invite, ok))
        self.alice.heard(200)
        self.call(self.alice)

    def test_taken_calls_count(self) -> None:
        """A browser is called whatever it has; what it has taken counts when it calls."""
        self.alice.bind()
        for _ in range(4):
            self.trunk.call(self.alice)
            self.alice.answer(self.alice.request("INVITE"), 200, OFFER)
            self.alice.heard("ACK")
            self.trunk.heard(200)
        self.call(self.alice, 503)

    def test_on_another_connection(self) -> None:
        """Calls that follow the browser to another connection count there, and no more on the old one."""
        self.alice.bind(authenticated=False)
        self.call(self.alice)
        new = self.world.browser()
        new.contact = self.alice.contact
        new.bind(authenticated=False)
        self.call(new, 503)
        self.call(self.alice)

    def test_trunk(self) -> None:
        """A trunk is not a browser: its calls are limited by `limit` alone."""
        self.alice.bind()
        for _ in range(5):
            self.trunk.call(self.alice)
        self.assertEqual(self.alice.pending(), ["INVITE"] * 5)

    def test_nothing_is_kept(self) -> None:
        """When the last dialog is over, nothing is remembered of the connection."""
        self.call(self.alice)
        self.alice.cancel(self.invite)
        self.world.turn()
        self.assertEqual(self.world.legs._on, {})
