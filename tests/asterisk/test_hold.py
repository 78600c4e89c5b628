"""Hold by either side, with Asterisk's music (corners.rst 3: Direction)."""

from __future__ import annotations

from tests.asterisk.case import AsteriskBrowserCase


class Hold(AsteriskBrowserCase):
    """Accounts in Chromium."""

    async def test_music(self) -> None:
        """A page holds: the other one hears Asterisk's music until it goes on; then the other way."""
        alice, bob = await self.page("1001"), await self.page("1002", "sipjs")
        await self.call(alice, bob)
        for holding, held in ((alice, bob), (bob, alice)):
            await self.no_music(held)
            await self.change(holding, "hold")
            await self.music(held)
            await self.change(holding, "unhold")
            await self.no_music(held)
        await self.hang_up(alice, bob)

    async def test_again_and_again(self) -> None:
        """A page that holds five times is heard after each of them."""
        alice = await self.page("1001")
        await self.dial(alice, "600")
        for _ in range(5):
            for how in ("hold", "unhold"):
                await self.change(alice, how)
            await self.heard(alice)
        await self.hang_up(alice)


class HoldInFirefox(AsteriskBrowserCase):
    """What the held one hears after the music. It comes with the SSRC from before the music, which Chromium plays and
    does not count (docs/interoperability.rst)."""

    browser_name = "firefox"

    async def both_ways(self, one: str, other: str) -> None:
        alice, bob = await self.page(one), await self.page(other, "sipjs")
        await self.call(alice, bob)
        for holding, held in ((alice, bob), (bob, alice)):
            await self.change(holding, "hold")
            await self.music(held)
            await self.change(holding, "unhold")
            await self.heard(alice, bob)
            await self.no_music(held)
        await self.hang_up(alice, bob)

    async def test_through_asterisk(self) -> None:
        """Asterisk has the media."""
        await self.both_ways("1001", "1002")

    async def test_with_direct_media(self) -> None:
        """Asterisk comes back for its music, and goes again."""
        await self.both_ways("1011", "1012")

    async def test_both_hold(self) -> None:
        """Both hold each other, and come back in the order in which they went."""
        alice, bob = await self.page("1001"), await self.page("1002")
        await self.call(alice, bob)
        for how in ("hold", "unhold"):
            for phone in (alice, bob):
                await self.change(phone, how)
        await self.heard(alice, bob)
        await self.hang_up(alice, bob)
