"""Connected line in Chromium: what JsSIP and SIP.js learn of whom they are connected with (RFC 4916, RFC 5876;
field.rst W4: Connected line)."""

from tests.browser.case import BrowserCase

DAVE = '"Dave" <sip:+49303@127.0.0.1>'
ERIN = '"Erin" <sip:+49304@127.0.0.1>'


class ConnectedLine(BrowserCase):
    """The trunk says who it is before its 200, and again by a re-INVITE that changes nothing else."""

    async def test_jssip(self) -> None:
        """JsSIP refuses an UPDATE before the 200, which has the identity; after it, the UPDATE is an event."""
        sipp = await self.sipp("uas_connected", hold=1500)
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        self.assertEqual(DAVE, (await phone.event("accepted"))["identity"])
        await phone.event("confirmed")
        self.assertEqual(ERIN, (await phone.event("updated"))["identity"])
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_sipjs(self) -> None:
        """SIP.js takes no UPDATE: it gets a re-INVITE, agrees to it, and audio flows on."""
        sipp = await self.sipp("uas_connected", hold=1500)
        phone = await self.phone("sipjs")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("accepted")
        await phone.assert_audio()
        updated = await phone.event("updated")
        self.assertEqual((ERIN, 200), (updated["identity"], updated["code"]))
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()
