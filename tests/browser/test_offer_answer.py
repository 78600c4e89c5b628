"""The session is changed in the middle of a call by a page in Chromium, and under it (RFC 3261 14, RFC 3311;
original.rst: re-INVITE)."""

from typing import ClassVar

from tests.browser.case import BrowserCase
from tests.support.real.ladder import HUNG_UP, TAKEN
from tests.support.real.speech import PLAIN_SDP


class Changes:
    """What holds with either library; the classes below name it."""

    library: ClassVar[str]
    restart: ClassVar[dict[str, object]]

    async def test_hold_by_the_browser(self) -> None:
        """The trunk sees sendonly and then sendrecv; audio is back on the same DTLS association
        (original.rst: re-INVITE, hold / resume by either side; corners.rst 3: Direction)."""
        sipp = await self.sipp("uas_held")
        phone = await self.phone(self.library)
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

    async def test_hold_by_the_trunk(self) -> None:
        """The page is told of hold and unhold, and has audio again
        (original.rst: re-INVITE, hold / resume by either side)."""
        sipp = await self.sipp("uas_holds", hold=1500)
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        self.assertEqual("remote", (await phone.event("hold"))["by"])
        self.assertEqual("remote", (await phone.event("unhold"))["by"])
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_ice_restart(self) -> None:
        """A browser on a new network, in the same call (RFC 8839 section 4.4.1.1): the trunk learns nothing of it;
        audio flows both ways after it (corners.rst 3: ICE restart; field.rst X6: ICE restart)."""
        sipp = await self.sipp("uas")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.assert_audio()
        await phone.do("change", "renegotiate", self.restart)
        await phone.event("changed")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()


class JsSipChanges(Changes, BrowserCase):
    """With JsSIP."""

    library = "jssip"
    restart: ClassVar[dict[str, object]] = {"rtcOfferConstraints": {"iceRestart": True}}

    async def test_hold_by_update(self) -> None:
        """JsSIP holds with UPDATE, which our Allow lets it: a trunk that does not list it gets a re-INVITE."""
        trunk = await self.peer()
        phone = await self.phone(self.library)
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
        self.assertEqual([*TAKEN, *TAKEN, *TAKEN, *HUNG_UP], self.ladder.of(trunk.user))


class SipJsChanges(Changes, BrowserCase):
    """With SIP.js."""

    library = "sipjs"
    restart: ClassVar[dict[str, object]] = {"offerOptions": {"iceRestart": True}}

    async def test_refused_ice_restart(self) -> None:
        """The trunk refuses a hold that was an ICE restart, too: the page goes back, is offered the old session with
        rtpengine's new credentials, and audio goes on."""
        sipp = await self.sipp("uas_refuses")
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("confirmed")
        await phone.assert_audio()
        await phone.do("change", "hold", self.restart)
        self.assertEqual(488, (await phone.event("unchanged"))["code"])
        await phone.event("unhold")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()
