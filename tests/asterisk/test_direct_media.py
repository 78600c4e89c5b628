"""Asterisk takes itself out of the media of a call (corners.rst 4: 3311 UPDATE; field.rst X7: Media that move)."""

from __future__ import annotations

from tests.asterisk.case import AsteriskBrowserCase, Phone


class DirectMedia(AsteriskBrowserCase):
    """Both accounts have direct media."""

    async def calls(self, caller: Phone, callee: Phone) -> None:
        """Asterisk has no media, and they hear each other."""
        await self.call(caller, callee)
        self.assertIn("native_rtp", await self.pbx.order("bridge show all"))
        await self.heard(caller, callee)
        await self.hang_up(callee, caller)

    async def test_reinvite(self) -> None:
        """By re-INVITE, with either library at either end."""
        alice, bob = await self.page("1011", "jssip"), await self.page("1012", "sipjs")
        for _ in range(3):
            await self.calls(alice, bob)
            await self.calls(bob, alice)

    async def test_update(self) -> None:
        """The callee gets an UPDATE within a millisecond after its 200 (field.rst X9: Offer at once)."""
        for library in ("jssip", "sipjs"):
            alice, bob = await self.page("1011", library), await self.page("1021", library)
            for _ in range(4):
                await self.calls(alice, bob)
