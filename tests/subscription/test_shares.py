"""How many subscriptions one user and one address may have, over all their connections (docs/access.rst: Limits)."""

from __future__ import annotations

from tests.support.calls.subscribing import WatchCase
from tests.support.calls.world import Browser
from tests.support.configs import PBX
from tests.support.messages import request
from webrtcproxy.config import LimitsConfig, SubscriptionsConfig

BOX = "sip:bob@pbx.example.com"


class Shares(WatchCase):
    """`share` of `[subscriptions] limit`."""

    trunks = (PBX,)

    def setUp(self) -> None:
        super().setUp()
        self.world = self.make_world(subscriptions=SubscriptionsConfig(limit=10), limits=LimitsConfig(share=60))
        self.trunk = self.world.trunk()

    def watches(self, user: str, host: str = "198.51.100.9") -> Browser:
        """A subscription of a user, on a connection of its own."""
        browser = self.world.browser(user, host=host)
        browser.bind()
        browser.say(request("SUBSCRIBE", BOX, from_=f"<{browser.uri}>", headers=[("Event", "dialog")]))
        return browser

    def taken(self, browser: Browser) -> bool:
        """Whether the trunk got it; it refuses it."""
        if not self.trunk.pending():
            refused = browser.response(503)
            self.assertEqual(refused.reason, "Too Many Subscriptions Of Yours")
            self.assertTrue(refused.headers.get("Retry-After"))
            return False
        self.left.append(self.trunk.request("SUBSCRIBE"))
        return True

    def test_shares(self) -> None:
        """A user has its share of what its address may have, an address its share of all; what has ended is free."""
        self.left: list[object] = []
        self.assertEqual([self.taken(self.watches("alice")) for _ in range(5)], [True] * 3 + [False] * 2)
        self.assertEqual([self.taken(self.watches(f"user{number}")) for number in range(5)], [True] * 3 + [False] * 2)
        self.assertTrue(self.taken(self.watches("user9", "203.0.113.9")))
        for leg in self.left:
            self.trunk.answer(leg, 404)  # type: ignore[arg-type]
        self.assertTrue(self.taken(self.watches("alice")))
