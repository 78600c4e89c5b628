"""JsSIP in Chromium and baresip: two endpoints with SIP stacks of their own, and real audio at both ends."""

from typing import Any

from tests.browser.case import BrowserCase, Phone
from tests.support.real.baresip import Baresip
from tests.support.real.part import pause


class WithBaresip(BrowserCase):
    """Calls by way of Kamailio, where both are registered."""

    async def _call(self) -> tuple[Phone, Baresip]:
        """A call of the page's that baresip has answered."""
        baresip, phone = await self.baresip(), await self.phone("jssip")
        await phone.do("call", "sip:bob@pbx.test")
        await baresip.event("CALL_INCOMING")
        self.assertEqual(180, (await phone.event("progress"))["code"])
        await baresip.do("accept")
        await phone.event("confirmed")
        return phone, baresip

    async def _both_hear(self, phone: Phone, baresip: Baresip) -> None:
        await phone.assert_audio()
        await baresip.hears()

    async def test_page_calls(self) -> None:
        """The page hears baresip's tone, baresip the page's beeps; the page hangs up
        (original.rst: call out, WSS to UDP)."""
        phone, baresip = await self._call()
        await self._both_hear(phone, baresip)
        await phone.do("hangup")
        await phone.event("ended")
        await baresip.event("CALL_CLOSED")

    async def test_baresip_calls(self) -> None:
        """The other way round: baresip calls the page, and hangs up."""
        baresip, phone = await self.baresip(), await self.registered_phone("jssip")
        await baresip.do("dial", "sip:alice@pbx.test")
        self.assertIn("bob@", (await phone.event("incoming"))["from"])
        await phone.do("answer")
        await phone.event("confirmed")
        await baresip.event("CALL_ESTABLISHED")
        await self._both_hear(phone, baresip)
        await baresip.do("hangup")
        self.assertEqual("remote", (await phone.event("ended"))["by"])

    async def test_held_by_baresip(self) -> None:
        """While baresip holds, the page sends nothing; when it resumes, both hear each other again."""
        phone, baresip = await self._call()
        await self._both_hear(phone, baresip)
        await baresip.hold(True)
        self.assertEqual("remote", (await phone.event("hold"))["by"])
        await self._sends_nothing(phone)
        await baresip.hold(False)
        self.assertEqual("remote", (await phone.event("unhold"))["by"])
        await phone.assert_audio()
        await baresip.receives()
        await phone.do("hangup")
        await phone.event("ended")

    async def test_digits(self) -> None:
        """RFC 4733 passes both ways: baresip hears the page's digit as an event; the page's decoder makes the tone of
        baresip's (corners.rst 3: telephone-event)."""
        phone, baresip = await self._call()
        await self._both_hear(phone, baresip)
        await phone.do("events4733", "5")
        await baresip.heard_digit("5")
        await baresip.do("mute")
        await self._silent(phone)
        before = await phone.do("stats")
        await baresip.do("sndcode", "7")
        await self._louder(phone, before)
        await phone.do("hangup")
        await phone.event("ended")

    async def _sends_nothing(self, phone: Phone) -> None:
        """Wait until nothing has gone out for half a second, but for some RTCP."""
        sent = -10
        for _ in range(20):
            last, sent = sent, (await phone.do("stats"))["sent"]
            if sent - last < 3:
                return
            await pause(0.5)
        self.fail("the page still sends")

    async def _silent(self, phone: Phone) -> None:
        """Wait until nothing but silence comes in."""
        energy = -1.0
        for _ in range(25):
            last, energy = energy, (await phone.do("stats"))["receivedEnergy"]
            if energy - last < SILENCE:
                return
            await pause(0.2)
        self.fail("the page still hears something")

    async def _louder(self, phone: Phone, before: dict[str, Any]) -> None:
        for _ in range(25):
            if (await phone.do("stats"))["receivedEnergy"] > before["receivedEnergy"] + SILENCE:
                return
            await pause(0.2)
        self.fail("the page heard no digit")


SILENCE = 1e-4
"""What the energy of silence stays below in a fifth of a second."""
