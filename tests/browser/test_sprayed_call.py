"""A real browser calls while a third party sprays RTP and RTCP at every port of the call, on both sides: it gets
nothing, and is not heard (docs/access.rst: media)."""

from __future__ import annotations

from tests.browser.case import BrowserCase, Phone
from tests.integration.sprayer import MOST, SprayerCase
from tests.support.real.part import until
from tests.support.real.sprayer import SSRC


class Sprayed(SprayerCase, BrowserCase):
    """JsSIP, and a scripted trunk with real media."""

    async def setUp(self) -> None:
        await super().setUp()
        self.begin()

    async def page_hears_the_trunk_alone(self, phone: Phone) -> None:
        """Sound crosses both ways, and no more packets reach the page than the trunk has sent."""
        self.trunk.heard.clear()
        await phone.assert_audio()
        await until(lambda: self.trunk.heard, "the trunk hears the page", 5)
        received = (await phone.do("stats"))["received"]
        self.assertLessEqual(received, self.trunk.sent + MOST)
        self.assertEqual([], self.sprayer.got)
        # Its RTCP is: rtpengine takes SRTCP without encryption for authentic where the suite is AES-GCM, as here.
        self.assertLessEqual(self.trunk.heard[SSRC], MOST)

    async def test_page_calls(self) -> None:
        """From before the answer, while the trunk is silent for a while, after an ICE restart, to the end."""
        trunk, phone = await self.peer(), await self.phone("jssip")
        await phone.do("call", f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        await self.sprayed()
        callee = trunk.accept(invite, body=self.trunk.answer(invite.body))
        await trunk.request("ACK")
        await phone.event("confirmed")
        await self.sprayed()
        self.trunk.talk(invite.body)
        await self.page_hears_the_trunk_alone(phone)
        await phone.do("change", "renegotiate", {"rtcOfferConstraints": {"iceRestart": True}})
        await phone.event("changed")
        await self.sprayed()
        await self.page_hears_the_trunk_alone(phone)
        await phone.do("hangup")
        await callee.hung_up()
        await phone.event("ended")
