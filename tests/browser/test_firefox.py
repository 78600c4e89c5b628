"""Firefox with JsSIP and with SIP.js (original.rst: call out, register, call in)."""

from typing import ClassVar

from tests.browser.case import BrowserCase


class Calls:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]
    browser_name = "firefox"

    async def test_call_out(self) -> None:
        """REGISTER with a password at Kamailio, and a call to a trunk: audio in both directions, BYE from the page."""
        sipp = await self.sipp("uas")
        phone = await self.registered_phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        self.assertEqual(180, (await phone.event("progress"))["code"])
        await self.is_heard(phone)
        await sipp.passed()

    async def test_call_in(self) -> None:
        """The registrar's INVITE rings the page: audio in both directions; the trunk hangs up."""
        phone = await self.registered_phone(self.library)
        sipp = await self.caller("uac", hold=3000)
        await phone.event("incoming")
        await phone.do("answer")
        await phone.event("confirmed")
        await phone.assert_audio()
        self.assertEqual("remote", (await phone.event("ended"))["by"])
        await sipp.passed()


class JsSipInFirefox(Calls, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJsInFirefox(Calls, BrowserCase):
    """With SIP.js."""

    library = "sipjs"
