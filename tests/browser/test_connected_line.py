"""Connected line in Chromium: what JsSIP and SIP.js learn of whom they are connected with (RFC 4916, RFC 5876;
field.rst W4: Connected line)."""

from typing import ClassVar

from tests.browser.case import BrowserCase
from tests.support.real.dialog import Dialog
from tests.support.real.speech import PLAIN_SDP

DAVE = '"Dave" <sip:+49303@127.0.0.1>'
ERIN = '"Erin" <sip:+49304@127.0.0.1>'
HELD = PLAIN_SDP.replace(b"sendrecv", b"recvonly")


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


class OfAPage(BrowserCase):
    """The page says within the call that somebody else talks now, to a trunk that believes its browsers."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\npass-identity = yes\n"),)

    async def test_jssip(self) -> None:
        """In an UPDATE with SDP, and in a re-INVITE, neither of which changes the session: the trunk gets an UPDATE
        without SDP for each, and the call goes on."""
        trunk, phone = await self.peer(), await self.phone("jssip")
        await phone.do("call", f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        takes = [("Allow", "INVITE, ACK, BYE, UPDATE")]
        callee = Dialog.of_callee(trunk, invite, trunk.reply(invite, 200, headers=takes, body=PLAIN_SDP))
        await trunk.request("ACK")
        await phone.event("confirmed")
        for identity, by_update in ((DAVE, True), (ERIN, False)):
            how = {"extraHeaders": [f"P-Asserted-Identity: {identity}"], "useUpdate": by_update}
            await phone.do("change", "renegotiate", how)
            update = await trunk.request("UPDATE")
            self.assertEqual(([identity], b""), (update.headers.lines("P-Asserted-Identity"), update.body))
            trunk.reply(update, 200)
            await phone.event("changed")
        await phone.do("hangup")
        await callee.hung_up()
        await phone.event("ended")

    async def test_hold_at_once(self) -> None:
        """The trunk takes no UPDATE, and is shown the page by a re-INVITE; the page holds the call, and resumes it,
        before the trunk has answered that. JsSIP ends a call whose hold by UPDATE gets 491, or whose re-INVITE gets it
        again after a second (field.rst X16: Glare of our own)."""
        trunk, phone = await self.peer(), await self.phone("jssip")
        await phone.do("call", f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        await trunk.request("ACK")
        await phone.event("confirmed")
        for identity, how, direction in ((DAVE, "hold", b"sendonly"), (ERIN, "unhold", b"sendrecv")):
            await phone.do("change", "renegotiate", {"extraHeaders": [f"P-Asserted-Identity: {identity}"]})
            await phone.event("changed")
            shown = await trunk.request("INVITE")
            self.assertEqual([identity], shown.headers.lines("P-Asserted-Identity"))
            await phone.do("change", how, {"useUpdate": how == "hold"})
            await trunk.silence(0.5 if how == "hold" else 1.5)
            trunk.reply(shown, 200, body=PLAIN_SDP if how == "hold" else HELD)
            await trunk.request("ACK")
            changed = await trunk.request("INVITE")
            self.assertIn(b"a=" + direction, changed.body)
            trunk.reply(changed, 200, body=HELD if how == "hold" else PLAIN_SDP)
            await trunk.request("ACK")
            await phone.event("changed")
        self.assertNotIn("ended", await phone.events())
        await phone.do("hangup")
        await callee.hung_up()
        await phone.event("ended")
