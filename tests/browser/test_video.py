"""Video between two pages, by way of the proxy, Kamailio and the proxy again (corners.rst 3: m-lines)."""

from typing import Any

from tests.browser.case import BrowserCase, Phone
from tests.support.real.ladder import HUNG_UP, TAKEN
from tests.support.real.part import pause, until
from tests.support.real.rtp import TONE, RtpPhone
from tests.support.real.speech import PLAIN_SDP

FRAMES = 5
"""How many must be decoded: the first is a key frame, of which the others live."""


class Video(BrowserCase):
    """Pages with a camera."""

    async def _phone(self, library: str, user: str) -> Phone:
        phone = await self.phone(library, user, video=True)
        self.assertEqual(200, (await phone.register())["code"])
        return phone

    async def _call(self, caller: str, callee: str) -> None:
        alice, bob = await self._phone(caller, "alice"), await self._phone(callee, "bob")
        await alice.do("call", "sip:bob@pbx.test")
        await bob.event("incoming")
        await bob.do("answer")
        await bob.event("confirmed")
        await alice.event("confirmed")
        for phone, other in ((alice, bob), (bob, alice)):
            await self._sees(phone, other)
            await phone.assert_audio()
        await bob.do("hangup")
        self.assertEqual("remote", (await alice.event("ended"))["by"])

    async def _sees(self, phone: Phone, other: Phone) -> None:
        """Wait until a page has decoded some pictures of the other's camera, and encoded some of its own."""
        figures: dict[str, Any] = {}
        for count in range(75):
            if count % 10 == 9:
                await other.do("freshPicture")
            figures = await phone.do("stats")
            if figures["framesReceived"] >= FRAMES and figures["framesSent"] >= FRAMES:
                self.assertGreater(figures["frameWidth"], 0)
                return
            await pause(0.2)
        self.fail(f"{phone.user} ({phone.library}) sees nothing: {figures}")

    async def test_jssip_to_sipjs(self) -> None:
        """Frames of the other's camera are decoded at both ends, and audio flows besides."""
        await self._call("jssip", "sipjs")

    async def test_sipjs_to_jssip(self) -> None:
        """The other way round."""
        await self._call("sipjs", "jssip")


class H264(Video):
    """By way of a trunk whose section names no other codec of video."""

    changes = (("host = pbx.test", "host = pbx.test\ncodecs = PCMU telephone-event H264"),)


class NoVideo(BrowserCase):
    """A trunk whose section names no codec of video."""

    changes = (("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ncodecs = PCMU telephone-event"),)

    async def test_audio_only(self) -> None:
        """Video is refused in the trunk's offer and in the page's answer: both have audio (corners.rst 3: m-lines)."""
        for library in ("jssip", "sipjs"):
            trunk, rtp = await self.peer(), RtpPhone()
            self.addCleanup(rtp.close)
            phone = await self.phone(library, video=True)
            await phone.do("call", f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            self.assertRegex(invite.body, rb"m=audio [1-9]\d* RTP/AVP 0 \d+\r\n")
            self.assertRegex(invite.body, rb"m=video 0 RTP/AVP ")
            self.assertNotRegex(invite.body, rb"VP8|H264|candidate")
            answer = PLAIN_SDP.replace(b"9000", b"%d" % rtp.port)
            if library == "jssip":  # the other one meets a trunk that leaves the line out, though it may not
                answer += b"m=video 0 RTP/AVP 96\r\n"
            callee = trunk.accept(invite, answer)
            await trunk.request("ACK")
            await phone.event("confirmed")
            rtp.talk(int(invite.body.split(b"m=audio ")[1].split()[0]), 0, TONE)
            await phone.assert_audio()
            await until(lambda rtp=rtp: rtp.heard == {0}, "the trunk hears the page", 5)
            await phone.do("hangup")
            await callee.hung_up()
            await phone.event("ended")
            await trunk.close()
        self.assertEqual([*TAKEN, *HUNG_UP, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))
