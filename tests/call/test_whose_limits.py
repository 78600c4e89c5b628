"""Whose limits count where a browser has proven several addresses-of-record (docs/access.rst: Limits)."""

from __future__ import annotations

import time
from dataclasses import replace

from tests.support.calls.local import DOMAIN, TRUNK, LocalCase, message_to
from tests.support.calls.world import PLAIN, Browser
from tests.support.configs import PBX
from tests.support.tokens import secret_token, tokens_config
from webrtcproxy.config import Config, LimitsConfig

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


class OwnMinutes(LocalCase):
    """A user's own minutes of a day stand in place of those of `[limits]`: here ten."""

    tokens = tokens_config(keys=None, claims=(("minutes-per-day", "minutes"),))
    lines = (f"carol@{DOMAIN}",)

    def configured(self, config: Config) -> Config:
        return replace(config, limits=LimitsConfig(user_minutes_per_day=10))

    def by_file(self, minutes: int | None) -> Browser:
        """Alice, with so many in her line of the users file; None for none."""
        if minutes is not None:
            lines = self.path.read_text().splitlines()
            own = f" minutes-per-day={minutes}"
            self.path.write_text("\n".join(line + own if line.startswith("alice@") else line for line in lines))
            self.world.context.domains.refresh()
        return self.registered()

    def by_token(self, minutes: int | None) -> Browser:
        """Alice, with so many in the claims of her token."""
        browser, now = self.browser(), time.time()
        token = secret_token(exp=now + 7200, iat=now, minutes=minutes)
        self.assertEqual(self.ask(browser, f"Bearer {token}").status, 200)
        return browser

    def talks(self, browser: Browser, minutes: int) -> bool:
        """Whether a call to the trunk is ended when it was up for so many minutes; it is not ended before."""
        trunk = self.world.trunk(TRUNK, 5090)
        invite = browser.invite(f"sip:+4930@{DOMAIN}")
        trunk.answer(trunk.request("INVITE"), 200, PLAIN)
        trunk.heard("ACK")
        browser.ack(invite, browser.response(200))
        self.world.turn(60 * minutes - 1)
        self.assertEqual(len(self.world.calls), 1)
        browser.forget()
        self.world.turn(2)
        return browser.pending() == ["BYE"] and "Time Used Up" in (browser.request("BYE").headers.get("Reason") or "")

    def test_minutes(self) -> None:
        """Fewer, more, any number, and none of one's own; from the users file and from a token."""
        for login in (self.by_file, self.by_token):
            for own, minutes, ended in ((2, 2, True), (12, 12, True), (0, 15, False), (None, 10, True)):
                self.world = self.make_world()
                self.assertEqual(self.talks(login(own), minutes), ended, (login.__name__, own))
