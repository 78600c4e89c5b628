"""Whose limits count where a browser has proven several addresses-of-record (docs/access.rst: Limits)."""

from __future__ import annotations

from tests.support.calls.local import DOMAIN, LocalCase, message_to
from tests.support.configs import PBX

BOB = f"sip:bob@{DOMAIN}"


class WhoseLimits(LocalCase):
    """Alice has an account here with limits of its own, and one at a trunk, where her browser has logged in before."""

    def limited(self, **limits: int) -> None:
        words = "".join(f" {name.replace('_', '-')}={value}" for name, value in limits.items())
        lines = self.path.read_text().splitlines()
        self.path.write_text("\n".join(line + words if line.startswith("alice@") else line for line in lines))
        self.world.context.domains.refresh()
        self.bob = self.registered("bob")
        self.alice = self.browser()
        self.alice.authenticate(PBX)
        self.assertEqual(self.register(self.alice).status, 200)

    def test_calls_at_once(self) -> None:
        """The user's in whose name it calls: another login before takes no limit away."""
        self.limited(calls=1)
        self.alice.invite(BOB)
        self.bob.request("INVITE")
        self.alice.invite(BOB)
        self.assertEqual(self.alice.response(503).reason, "Too Many Calls Of Yours")

    def test_calls_per_minute(self) -> None:
        """So with how often it calls."""
        self.limited(calls_per_minute=1)
        self.alice.invite(BOB)
        self.bob.request("INVITE")
        self.alice.invite(BOB)
        self.assertEqual(self.alice.response(503).reason, "Too Many Calls")
        message_to(self.alice, BOB)
        self.bob.answer(self.bob.request("MESSAGE"), 200)
