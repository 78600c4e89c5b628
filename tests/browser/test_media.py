"""Media by trunk with a real browser: opus is transcoded, digits become events (issue: "Media by trunk", "DTMF")."""

import re
from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.real.part import until
from tests.support.real.rtp import RtpPhone
from webrtcproxy.sip.message import Request

GSM = b"\xd2" + b"\x49" * 32
"""20 ms in GSM 06.10, which no browser has."""
TONE = (b"\x80" * 4 + b"\x00" * 4) * 20
"""20 ms of 1 kHz in PCMU."""


class Calls:
    """A page's call to a scripted trunk with real RTP."""

    library: ClassVar[str]

    async def connect(self, kind: int, sound: bytes) -> Phone:
        """A call of a page, which the trunk answers with one codec and events; it talks."""
        self.trunk, self.rtp = await self.peer(), RtpPhone()
        self.addCleanup(self.rtp.close)
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{self.plain}")
        self.invite: Request = await self.trunk.request("INVITE")
        offer = self.invite.body.decode()
        (events,) = re.findall(r"a=rtpmap:(\d+) telephone-event/8000", offer)
        self.rtp.events = int(events)
        answer = (
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.rtp.port} RTP/AVP {kind} {events}\r\n"
            f"a=rtpmap:{events} telephone-event/8000\r\na=sendrecv\r\n"
        )
        self.callee = self.trunk.accept(self.invite, body=answer.encode())
        await self.trunk.request("ACK")
        await phone.event("confirmed")
        (port,) = re.findall(r"m=audio (\d+) ", offer)
        self.rtp.talk(int(port), kind, sound)
        await until(lambda: self.rtp.heard == {kind} and len(self.rtp.sounds) > 10, "the trunk hears the page", 10)
        return phone

    async def end(self, phone: Phone) -> None:
        await phone.do("hangup")
        await self.callee.hung_up()
        await phone.event("ended")
        self.assertEqual(["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"], self.ladder.of("trunk"))


class Transcoded(Calls):
    """A trunk with a codec that no browser has, and no digits by INFO."""

    changes = (("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ncodecs = GSM telephone-event\ndtmf = rfc4733"),)

    async def test_audio_and_digits(self) -> None:
        """The trunk hears GSM, the page what it has offered; digits by INFO and by RFC 4733 are both events there."""
        phone = await self.connect(3, GSM)
        (kinds,) = re.findall(rb"m=audio \d+ RTP/AVP (.*)\r", self.invite.body)
        self.assertEqual(kinds.split(), [b"3", b"%d" % self.rtp.events])
        before = await phone.do("stats")
        await phone.do("digits", "5")
        await until(lambda: self.rtp.digits == "5", "a digit by INFO", 5)
        await phone.do("events4733", "8")
        await until(lambda: self.rtp.digits == "58", "a digit by RFC 4733", 5)
        after = await phone.do("stats")
        self.assertGreater(after["received"], before["received"] + 10)
        self.assertEqual("audio/opus", after["codec"])
        self.assertEqual([], self.trunk.requests("INFO"))
        await self.end(phone)


class Passed(Calls):
    """A trunk whose section says nothing."""

    async def test_audio_and_digits(self) -> None:
        """PCMU as both have it; digits by RFC 4733 are events at the trunk, too (issue: "RFC 4733 passes")."""
        phone = await self.connect(0, TONE)
        await phone.assert_audio()
        await phone.do("events4733", "8")
        await until(lambda: self.rtp.digits == "8", "a digit by RFC 4733", 5)
        await self.end(phone)


class JsSipTranscoded(Transcoded, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJsTranscoded(Transcoded, BrowserCase):
    """With SIP.js."""

    library = "sipjs"


class JsSipPassed(Passed, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJsPassed(Passed, BrowserCase):
    """With SIP.js."""

    library = "sipjs"
