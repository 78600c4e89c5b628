"""Calls that last: session timers (RFC 4028), and an Asterisk that dies in the middle of a call."""

from __future__ import annotations

import re

from tests.asterisk.case import DOMAIN, AsteriskBrowserCase, Phone
from tests.support.real.part import pause


class Timers(AsteriskBrowserCase):
    """Session timers of 90 seconds, the shortest that there are; Asterisk insists on them."""

    timeout = 180
    options = (("grace = 1\n", "grace = 1\nsession-expires = 90\n"),)

    async def test_both_roles(self) -> None:
        """A call by way of Asterisk, which is called and calls: after 100 seconds the proxy has refreshed the one leg
        and Asterisk the other, and both pages hear each other. SIP.js has no timers."""
        alice, bob = await self.page("1061"), await self.page("1062", "sipjs")
        await self.pbx.order("pjsip set history on")
        await self.call(alice, bob)
        await pause(100)
        await self.heard(alice, bob)
        history = await self.pbx.order("pjsip show history")
        for direction in ("==>", "<=="):
            self.assertEqual(2, len(re.findall(rf"\* {direction} \S+ +UPDATE sip:", history)), history)
        await self.hang_up(alice, bob)


class Death(AsteriskBrowserCase):
    """Asterisk is killed while a call is up (field.rst X13: Silence)."""

    timeout = 180
    options = (("grace = 1\n", "grace = 1\nsilence = 5\n"),)

    async def test_comes_back(self) -> None:
        """It starts again, and knows no call: the pages are hung up on, and call each other again, as they are still
        registered."""
        alice, bob = await self.page("1001"), await self.page("1002")
        await self.call(alice, bob)
        self.pbx.kill()
        await self.pbx.start()
        await self.lose(alice, bob)
        await self.call(alice, bob)
        await self.hang_up(bob, alice)

    async def test_stays_away(self) -> None:
        """It does not come back: the pages are hung up on all the same, and a new call is refused."""
        alice, bob = await self.page("1001"), await self.page("1002")
        await self.call(alice, bob)
        self.pbx.kill()
        await self.lose(alice, bob)
        await alice.do("call", f"sip:1002@{DOMAIN}")
        await self.happens(alice, "failed")
        self.assertIn((await alice.event("failed"))["code"], (408, 480, 500, 502, 503, 504))

    async def lose(self, *phones: Phone) -> None:
        """The pages are hung up on, sooner or later."""
        for phone in phones:
            await self.happens(phone, "ended")
            self.assertEqual("remote", (await phone.event("ended"))["by"])

    async def happens(self, phone: Phone, name: str) -> None:
        """Wait for what takes longer than a command to the browser may."""
        for _ in range(100):
            if name in await phone.events():
                return
            await pause(1)
