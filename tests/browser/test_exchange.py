"""The session is changed in the middle of a call by JsSIP in Chromium, and under it (issue: "re-INVITE and UPDATE")."""

from tests.browser.case import BrowserCase
from tests.support.real.speech import PLAIN_SDP


class Hold(BrowserCase):
    """Hold and resume."""

    async def test_by_the_browser(self) -> None:
        """The trunk sees sendonly and then sendrecv; audio is back on the same DTLS association."""
        sipp = await self.sipp("uas_held")
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.assert_audio()
        for method in ("hold", "unhold"):
            await phone.do("change", method)
            self.assertEqual("local", (await phone.event(method))["by"])
            await phone.event("changed")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_by_update(self) -> None:
        """JsSIP holds with UPDATE, which our Allow lets it: a trunk that does not list it gets a re-INVITE."""
        trunk = await self.peer()
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        await trunk.request("ACK")
        await phone.event("confirmed")
        for method, direction, number in (("hold", b"sendonly", 2), ("unhold", b"sendrecv", 3)):
            await phone.do("change", method, {"useUpdate": True})
            invite = await trunk.request("INVITE")
            self.assertIn(b"a=" + direction, invite.body)
            trunk.reply(invite, 200, body=PLAIN_SDP.replace(b" 7 1 ", b" 7 %d " % number))
            await trunk.request("ACK")
            await phone.event("changed")
        await phone.do("hangup")
        await callee.hung_up()
        await phone.event("ended")

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
        await phone.do("change", "renegotiate", {"rtcOfferConstraints": {"iceRestart": True}})
        await phone.event("changed")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()
