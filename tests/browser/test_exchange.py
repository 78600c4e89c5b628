"""The session is changed in the middle of a call by JsSIP in Chromium, and under it (issue: "re-INVITE and UPDATE")."""

from tests.browser.case import BrowserCase, Phone
from tests.support.real.part import pause


class Hold(BrowserCase):
    """Hold and resume."""

    async def silent_out(self, phone: Phone) -> None:
        """Nothing comes in any more."""
        await pause(0.5)
        first = await phone.do("stats")
        await pause(0.7)
        self.assertLess((await phone.do("stats"))["received"] - first["received"], 5)

    async def test_by_the_browser(self) -> None:
        """The trunk sees sendonly and then sendrecv; audio is back on the same DTLS association."""
        sipp = await self.sipp("uas_held")
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.assert_audio()
        self.assertEqual("held", await phone.do("hold"))
        self.assertEqual("local", (await phone.event("hold"))["by"])
        self.assertEqual("resumed", await phone.do("unhold"))
        await phone.event("unhold")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_by_update(self) -> None:
        """JsSIP holds with UPDATE, which it may since we list it: the trunk does, too, or gets a re-INVITE."""
        sipp = await self.sipp("uas_held")
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.do("hold", {"useUpdate": False})
        await phone.do("unhold", {"useUpdate": False})
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_by_the_trunk(self) -> None:
        """The page is told of hold and unhold, and has audio again."""
        sipp = await self.sipp("uas_holds", hold=1500)
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        self.assertEqual("remote", (await phone.event("hold"))["by"])
        self.assertEqual("remote", (await phone.event("unhold"))["by"])
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()


class IceRestart(BrowserCase):
    """A browser on a new network, in the same call (RFC 8839 section 4.4.1.1)."""

    async def test_audio_goes_on(self) -> None:
        """The trunk hears nothing of it; audio flows both ways behind it."""
        sipp = await self.sipp("uas")
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.assert_audio()
        self.assertEqual("renegotiated", await phone.do("restartIce"))
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()
