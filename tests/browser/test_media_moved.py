"""rtpengine dies, hangs or is restarted in a call of a real browser: audio is heard again, at another one."""

from __future__ import annotations

from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.real.part import until
from tests.support.real.several_nodes import SeveralNodesCase
from tests.support.sdp import lines


class Moved(SeveralNodesCase, BrowserCase):
    """A page calls a trunk."""

    library: ClassVar[str] = "jssip"

    async def up(self) -> Phone:
        """A call of the page's, with audio both ways."""
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{self.plain}")
        invite = await self.trunk.request("INVITE", 20)
        self.callee = self.trunk.accept(invite, self.media.answer(invite.body))
        await self.trunk.request("ACK")
        await phone.event("confirmed")
        self.media.talk(invite.body)
        await phone.assert_audio()
        await self.trunk_hears()
        return phone

    async def heard_again(self, phone: Phone) -> None:
        await phone.assert_audio(15)
        await self.trunk_hears()
        await phone.do("hangup")
        await self.callee.hung_up()
        await phone.event("ended")

    async def test_killed(self) -> None:
        """The rtpengine of the call is killed."""
        phone = await self.up()
        self.kill(await self.holder())
        await self.answered()
        await self.heard_again(phone)

    async def test_hangs(self) -> None:
        """It hangs."""
        phone = await self.up()
        engine = await self.holder()
        engine.stall()
        await self.answered()
        await self.heard_again(phone)
        engine.resume()

    async def test_held(self) -> None:
        """It dies while the page holds; the page resumes at the other one."""
        phone = await self.up()
        await phone.do("change", "hold")
        held = await self.answered(10, "recvonly")
        await phone.event("changed")
        self.kill(await self.holder())
        moved = await self.answered(10, "recvonly")
        for invite in (held, moved):
            self.assertIn("a=sendonly", lines(invite.body))
        await until(lambda: "both sides have its media of now" in self.proxy.log(), "the page has answered")
        await phone.do("change", "unhold")
        await self.answered()
        await phone.event("changed")
        await self.heard_again(phone)


class MovedSipJs(Moved):
    """With SIP.js."""

    library = "sipjs"


class MovedFirefox(SeveralNodesCase, BrowserCase):
    """Firefox can't restart DTLS: its call ends, and the page learns of it."""

    browser_name = "firefox"

    async def test_killed(self) -> None:
        """The rtpengine of the call is killed: both sides get a BYE."""
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{self.plain}")
        invite = await self.trunk.request("INVITE", 20)
        callee = self.trunk.accept(invite, self.media.answer(invite.body))
        await self.trunk.request("ACK")
        await phone.event("confirmed")
        self.media.talk(invite.body)
        await phone.assert_audio()
        self.kill(await self.holder())
        await self.answered()
        bye = await callee.hung_up(2)
        self.assertEqual('SIP;cause=503;text="Media lost"', bye.headers.get("Reason"))
        self.assertEqual("remote", (await phone.event("ended"))["by"])
