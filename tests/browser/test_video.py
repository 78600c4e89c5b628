"""Video between two pages, by way of the proxy, Kamailio and the proxy again (issue: "video (VP8, H.264)")."""

from typing import Any

from tests.browser.case import BrowserCase, Phone
from tests.support.real.part import pause

FRAMES = 5
"""How many must be decoded: the first is a key frame, of which the others live."""


class Video(BrowserCase):
    """Pages with a camera."""

    async def _phone(self, library: str, user: str) -> Phone:
        phone = await self.phone(library, user, video=True)
        self.assertEqual(200, (await phone.register())["code"])
        return phone

    async def _call(self, caller: str, callee: str) -> None:
        alice, bob = await self._phone(caller, "alice"), await self._phone(callee, "bob")
        await alice.do("call", "sip:bob@pbx.test")
        await bob.event("incoming")
        await bob.do("answer")
        await bob.event("confirmed")
        await alice.event("confirmed")
        for phone in (alice, bob):
            await self._sees(phone)
            await phone.assert_audio()
        await bob.do("hangup")
        self.assertEqual("remote", (await alice.event("ended"))["by"])

    async def _sees(self, phone: Phone, seconds: float = 15) -> None:
        """Wait until a page has decoded some pictures of the other's camera, and encoded some of its own."""
        figures: dict[str, Any] = {}
        for _ in range(int(seconds / 0.2)):
            figures = await phone.do("stats")
            if figures["framesReceived"] >= FRAMES and figures["framesSent"] >= FRAMES:
                self.assertGreater(figures["frameWidth"], 0)
                return
            await pause(0.2)
        self.fail(f"{phone.user} ({phone.library}) sees nothing: {figures}")

    async def test_jssip_to_sipjs(self) -> None:
        """Frames of the other's camera are decoded at both ends, and audio flows besides."""
        await self._call("jssip", "sipjs")

    async def test_sipjs_to_jssip(self) -> None:
        """The other way round."""
        await self._call("sipjs", "jssip")
