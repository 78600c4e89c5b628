"""Calls that reach a browser, in Chromium with JsSIP and with SIP.js (original.rst: register, call in)."""

from typing import ClassVar

from tests.browser.case import BrowserCase
from tests.support.real.part import until


class Inbound:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]

    async def test_registers(self) -> None:
        """REGISTER at Kamailio: 401, the password, 200; and un-REGISTER."""
        phone = await self.phone(self.library)
        self.assertEqual(200, (await phone.register())["code"])
        await phone.do("unregister")
        self.assertEqual(200, (await phone.event("unregistered"))["code"])

    async def test_wrong_password(self) -> None:
        """With a wrong password the page gets the registrar's refusal."""
        phone = await self.phone(self.library, password="wrong")
        await phone.do("register")
        self.assertEqual(401, (await phone.event("registrationFailed"))["code"])

    async def test_two_way_audio(self) -> None:
        """The registrar's INVITE rings the page: audio in both directions; the trunk hangs up."""
        phone = await self.registered_phone(self.library)
        sipp = await self.caller("uac", hold=3000)
        incoming = await phone.event("incoming")
        self.assertIn("4930123456@", incoming["from"])
        self.assertEqual("Trunk Caller", incoming["display"])
        await phone.do("answer")
        await phone.event("confirmed")
        await phone.assert_audio()
        self.assertEqual("remote", (await phone.event("ended"))["by"])
        await sipp.passed()

    async def test_caller_cancels(self) -> None:
        """The caller gives up while the page rings: the page gets the CANCEL, the caller 487."""
        phone = await self.registered_phone(self.library)
        sipp = await self.caller("uac_cancel", hold=300)
        await phone.event("incoming")
        self.assertEqual("remote", (await phone.event("failed"))["by"])
        await sipp.passed()

    async def test_rejected(self) -> None:
        """The page's code and reason reach the caller."""
        phone = await self.registered_phone(self.library)
        peer = await self.kamailio_peer()
        calling = peer.invite("sip:alice@pbx.test")
        await phone.event("incoming")
        await phone.do("reject", 603, "Not Today")
        final = await calling.final()
        self.assertEqual((603, "Not Today"), (final.status, final.reason))


class JsSipInbound(Inbound, BrowserCase):
    """With JsSIP."""

    library = "jssip"

    async def test_browser_hangs_up(self) -> None:
        """BYE from the page ends the trunk's call."""
        phone = await self.registered_phone(self.library)
        sipp = await self.caller("uac_waits")
        await phone.event("incoming")
        await phone.do("answer")
        await phone.event("confirmed")
        await until(lambda: any(text.startswith("SIP/2.0 200") for text in sipp.received()), "200 at the caller")
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_two_tabs_ring(self) -> None:
        """Two tabs of one user ring; the first to answer has the call, the other gets CANCEL."""
        phones = [await self.registered_phone("jssip"), await self.registered_phone("sipjs")]
        sipp = await self.caller("uac", hold=3000)
        for phone in phones:
            await phone.event("incoming")
        answering, other = phones
        await answering.do("answer")
        await answering.event("confirmed")
        self.assertEqual("remote", (await other.event("failed"))["by"])
        await answering.assert_audio()
        await answering.event("ended")
        await sipp.passed()

    async def test_page_closed_in_mid_call(self) -> None:
        """The called tab is closed: within ten seconds the caller has its BYE, and the media session is gone."""
        phone = await self.registered_phone(self.library)
        sipp = await self.caller("uac_waits")
        await phone.event("incoming")
        await phone.do("answer")
        await phone.event("confirmed")
        await phone.tab.close()
        await sipp.passed(10)
        await self.no_media(1)


class SipJsInbound(Inbound, BrowserCase):
    """With SIP.js."""

    library = "sipjs"


class TabToTab(BrowserCase):
    """Two browsers behind the proxy, joined by the registrar."""

    async def _call(self, caller: str, callee: str) -> None:
        alice = await self.registered_phone(caller, "alice")
        bob = await self.registered_phone(callee, "bob")
        await alice.do("call", "sip:bob@pbx.test")
        incoming = await bob.event("incoming")
        self.assertIn("alice@", incoming["from"])
        await bob.do("answer")
        await bob.event("confirmed")
        await alice.event("confirmed")
        await alice.assert_audio()
        await bob.assert_audio()
        await bob.do("hangup")
        self.assertEqual("remote", (await alice.event("ended"))["by"])

    async def test_jssip_to_sipjs(self) -> None:
        """Browser to browser through the registrar: DTLS on both sides (assert_audio looks), audio both ways."""
        await self._call("jssip", "sipjs")

    async def test_sipjs_to_jssip(self) -> None:
        """The other way round."""
        await self._call("sipjs", "jssip")
