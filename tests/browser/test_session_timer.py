"""The session timers of JsSIP in Chromium, and of SIP.js, which has none (RFC 4028, corners.rst 4: 4028)."""

from tests.browser.case import BrowserCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP


class Timers(BrowserCase):
    """Calls to a trunk with session timers of its own."""

    async def test_jssip(self) -> None:
        """JsSIP asks for 90 seconds: it is told so, and that refreshing is its part; its UPDATE is answered without the
        trunk's hearing of it, and audio flows on."""
        sipp = await self.sipp("uas_timer")
        phone = await self.phone("jssip")
        await phone.do("call", f"sip:echo@{sipp.host}")
        accepted = await phone.event("accepted")
        self.assertEqual(("90;refresher=uac", "timer"), (accepted["expires"], accepted["require"]))
        await phone.event("confirmed")
        await phone.assert_audio()
        await phone.do("refresh")
        self.assertEqual("90;refresher=uac", (await phone.event("refreshed"))["expires"])
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_sipjs(self) -> None:
        """SIP.js learns nothing of a timer, and the call is up: a Require it would refuse."""
        sipp = await self.sipp("uas_timer")
        phone = await self.phone("sipjs")
        await phone.do("call", f"sip:echo@{sipp.host}")
        await phone.event("accepted")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")
        await sipp.passed()

    async def test_jssip_is_called(self) -> None:
        """JsSIP answers our proposal of 1800 seconds, and refreshes by itself; the caller, which wants 90, is told
        so."""
        phone = await self.registered_phone("jssip")
        caller = await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test", headers=[("Supported", "timer"), ("Session-Expires", "90")])
        await phone.event("incoming")
        await phone.do("answer")
        ok = await calling.final()
        self.assertEqual("90;refresher=uac", ok.headers.get("Session-Expires"))
        self.assertEqual("timer", ok.headers.get("Require"))
        dialog = Dialog.of_caller(caller, calling.invite, ok)
        dialog.ack()
        await phone.event("confirmed")
        update = await dialog.ask("UPDATE", [("Supported", "timer"), ("Session-Expires", "90;refresher=uac")])
        self.assertEqual((200, "90;refresher=uac"), (update.status, update.headers.get("Session-Expires")))
        self.assertEqual(200, (await dialog.bye()).status)
        await phone.event("ended")
        self.assertEqual(
            ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> UPDATE", "< 200 UPDATE", *HANGS_UP],
            self.ladder.of(caller.user),
        )
