"""Media by trunk with a real browser: opus is transcoded, digits become events (corners.rst 5: codec, DTMF)."""

import re
from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.real.baresip import Baresip
from tests.support.real.dialog import Dialog
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import pause, until
from tests.support.real.rtp import TONE, RtpPhone
from tests.support.sdp import port
from webrtcproxy.sip.message import Request

GSM = b"\xd2" + b"\x49" * 32
"""20 ms in GSM 06.10, which no browser has."""
STREAMS = "a=msid:far sound\r\na=ssrc:7 cname:far\r\na=ssrc:7 msid:far sound\r\n"
"""A stream of somebody beyond the trunk, with another SSRC than the packets have."""


class Echo(RtpPhone):
    """Sends audio back, with the number that it was offered.

    :ivar offered: that number.
    :ivar taken: the number with which it comes.
    """

    offered = taken = 0

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """One packet."""
        super().datagramReceived(data, addr)
        if data[1] & 0x7F == self.taken:
            assert self.transport is not None
            self.transport.write(bytes([data[0], self.offered]) + data[2:], addr)


class Calls:
    """A page's call to a scripted trunk with real RTP."""

    library: ClassVar[str]
    variety: ClassVar[int] = 10
    """How many packets of the page that are not the same must be heard: silence is always the same."""

    async def connect(self, kind: int, sound: bytes, number: str = "", more: str = "") -> Phone:
        """A call of a page, which the trunk answers with one codec and events; it talks.

        :param number: the payload type that the trunk gives to events; that of the offer without one.
        :param more: further lines of the answer.
        """
        self.trunk, self.rtp = await self.peer(), RtpPhone()
        self.addCleanup(self.rtp.close)
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{self.plain}")
        self.invite: Request = await self.trunk.request("INVITE")
        offer = self.invite.body.decode()
        (offered,) = re.findall(r"a=rtpmap:(\d+) telephone-event/8000", offer)
        events = number or offered
        self.assertNotEqual(number, offered)
        self.rtp.events = int(events)
        answer = (
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.rtp.port} RTP/AVP {kind} {events}\r\n"
            f"a=rtpmap:{events} telephone-event/8000\r\na=sendrecv\r\n{more}"
        )
        self.callee = self.trunk.accept(self.invite, body=answer.encode())
        await self.trunk.request("ACK")
        await phone.event("confirmed")
        self.rtp.talk(port(self.invite.body), kind, sound)
        await until(
            lambda: self.rtp.heard == {kind} and len(self.rtp.sounds) >= self.variety, "the trunk hears the page", 10
        )
        return phone

    async def end(self, phone: Phone) -> None:
        await phone.do("hangup")
        await self.callee.hung_up()
        await phone.event("ended")
        self.assertEqual(["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"], self.ladder.of("trunk"))


class Transcoded(Calls):
    """A trunk with a codec that no browser has, and no digits by INFO."""

    restart: ClassVar[dict[str, object]]
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

    async def test_other_number(self) -> None:
        """A trunk that has another number for events gets them with it, RFC 4733 or played (field.rst D: Another
        payload number)."""
        phone = await self.connect(3, GSM, "96")
        await phone.do("digits", "5")
        await until(lambda: self.rtp.digits == "5", "a digit by INFO", 5)
        await phone.do("events4733", "8")
        await until(lambda: self.rtp.digits == "58", "a digit by RFC 4733", 5)
        self.assertEqual({3}, self.rtp.heard)
        self.assertEqual("audio/opus", (await phone.do("stats"))["codec"])
        await self.end(phone)

    async def test_ice_restart(self) -> None:
        """A browser on a new network is no matter of a trunk's, transcoding or not (corners.rst 3: ICE restart)."""
        phone = await self.connect(3, GSM)
        await phone.do("change", "renegotiate", self.restart)
        await phone.event("changed")
        self.rtp.heard.clear()
        before = (await phone.do("stats"))["received"]
        await until(lambda: self.rtp.heard == {3}, "the trunk hears the page again", 10)
        for _ in range(25):
            if (await phone.do("stats"))["received"] > before + 10:
                break
            await pause(0.2)
        else:
            self.fail("the page does not hear the trunk again")
        await self.end(phone)


class Passed(Calls):
    """A trunk whose section says nothing.

    :cvar other: a payload type that the page does not give to events.
    :cvar rate: of events in a call with opus.
    """

    other: ClassVar[str] = "101"
    rate: ClassVar[int] = 48000

    async def test_audio_and_digits(self) -> None:
        """PCMU as both have it; digits by RFC 4733 are events at the trunk, too."""
        phone = await self.connect(0, TONE)
        await phone.assert_audio()
        await phone.do("events4733", "8")
        await until(lambda: self.rtp.digits == "8", "a digit by RFC 4733", 5)
        await self.end(phone)

    async def test_other_number(self) -> None:
        """The trunk has another number for events than the page (field.rst D: Another payload number)."""
        phone = await self.connect(0, TONE, self.other)
        await phone.assert_audio()
        await phone.do("events4733", "8")
        await until(lambda: self.rtp.digits == "8", "a digit by RFC 4733", 5)
        self.assertEqual({0}, self.rtp.heard)
        await self.end(phone)

    async def test_streams(self) -> None:
        """The page's user hears a trunk that answers with the stream of somebody beyond it (field.rst X11: Streams of
        the other side)."""
        phone = await self.connect(0, TONE, more=STREAMS)
        self.assert_tone(await phone.do("tones", 1500))
        await self.end(phone)

    async def test_streams_of_a_caller(self) -> None:
        """The same in the offer of a call in (field.rst X11: Streams of the other side)."""
        self.rtp, caller = RtpPhone(), await self.kamailio_peer()
        self.addCleanup(self.rtp.close)
        phone = await self.registered_phone(self.library)
        offer = (
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.rtp.port} RTP/AVP 0\r\n{STREAMS}"
        )
        calling = caller.invite("sip:alice@pbx.test", body=offer.encode())
        await phone.event("incoming")
        await phone.do("answer")
        answer = await calling.response(200, seconds=10)
        dialog = Dialog.of_caller(caller, calling.invite, answer)
        dialog.ack()
        await phone.event("confirmed")
        self.rtp.talk(port(answer.body), 0, TONE)
        self.assert_tone(await phone.do("tones", 1500))
        self.assertEqual(200, (await dialog.bye()).status)
        await phone.event("ended")

    def assert_tone(self, heard: list[int]) -> None:
        """TONE is among what was heard."""
        self.assertTrue([pitch for pitch in heard if 950 <= pitch <= 1050], heard)

    async def test_swapped(self) -> None:
        """The trunk gives opus the number that events were offered with, and events that of opus. It sends what comes
        back with the number that was offered, and the page hears itself."""
        self.trunk, self.rtp = await self.peer(), Echo()
        self.addCleanup(self.rtp.close)
        phone = await self.phone(self.library)
        await phone.do("call", f"sip:echo@{self.plain}")
        invite: Request = await self.trunk.request("INVITE")
        offer = invite.body.decode()
        (self.rtp.offered,) = map(int, re.findall(r"a=rtpmap:(\d+) opus/48000/2", offer))
        (self.rtp.taken,) = map(int, re.findall(rf"a=rtpmap:(\d+) telephone-event/{self.rate}", offer))
        self.rtp.events = self.rtp.offered
        answer = (
            "v=0\r\no=- 7 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
            f"m=audio {self.rtp.port} RTP/AVP {self.rtp.taken} {self.rtp.events}\r\n"
            f"a=rtpmap:{self.rtp.taken} opus/48000/2\r\na=rtpmap:{self.rtp.events} telephone-event/{self.rate}\r\n"
        )
        self.callee = self.trunk.accept(invite, body=answer.encode())
        await self.trunk.request("ACK")
        await phone.event("confirmed")
        await phone.assert_audio()
        await phone.do("events4733", "8")
        await until(lambda: self.rtp.digits == "8", "a digit by RFC 4733", 5)
        await self.end(phone)


class Encrypted(BrowserCase):
    """A trunk with SRTP by SDES: behind Kamailio is baresip, which takes nothing else (field.rst W2: Feedback)."""

    changes = (("host = pbx.test", "host = pbx.test\nmedia = srtp"),)

    async def start(self) -> tuple[Phone, Baresip]:
        baresip = Baresip("bob", self.kamailio.host, PASSWORDS["bob"], srtp=True)
        self.addCleanup(baresip.stop)
        await baresip.start()
        await baresip.registered()
        return await self.registered_phone("jssip"), baresip

    async def hear(self, phone: Phone, baresip: Baresip) -> None:
        await phone.assert_audio()
        await baresip.hears()

    async def end(self, phone: Phone, baresip: Baresip) -> None:
        """All descriptions at baresip have keys (corners.rst 3: SDES); the page hangs up."""
        bodies = [message.body for _, message in baresip.trace() if message.body]
        self.assertGreaterEqual(len(bodies), 2)
        for body in bodies:
            self.assertEqual("RTP/SAVP", body.split(b"m=audio ")[1].split()[1].decode())
            self.assertIn(b"a=crypto:1 A", body)
        await phone.do("hangup")
        await phone.event("ended")
        await baresip.event("CALL_CLOSED")

    async def test_page_calls(self) -> None:
        """Both hear each other, and again when baresip has held and resumed."""
        phone, baresip = await self.start()
        await phone.do("call", "sip:bob@pbx.test")
        await baresip.event("CALL_INCOMING")
        await baresip.do("accept")
        await phone.event("confirmed")
        await self.hear(phone, baresip)
        for held, event in ((True, "hold"), (False, "unhold")):
            await baresip.hold(held)
            await phone.event(event)
        await phone.assert_audio()
        broken = baresip.log().count("failed to decrypt")
        await baresip.receives()
        self.assertEqual(broken, baresip.log().count("failed to decrypt"))
        await self.end(phone, baresip)

    async def test_baresip_calls(self) -> None:
        """The other way round."""
        phone, baresip = await self.start()
        await baresip.do("dial", "sip:alice@pbx.test")
        await phone.event("incoming")
        await phone.do("answer")
        await phone.event("confirmed")
        await baresip.event("CALL_ESTABLISHED")
        await self.hear(phone, baresip)
        await self.end(phone, baresip)


class JsSipTranscoded(Transcoded, BrowserCase):
    """With JsSIP."""

    library = "jssip"
    restart: ClassVar[dict[str, object]] = {"rtcOfferConstraints": {"iceRestart": True}}


class SipJsTranscoded(Transcoded, BrowserCase):
    """With SIP.js."""

    library = "sipjs"
    restart: ClassVar[dict[str, object]] = {"offerOptions": {"iceRestart": True}}


class JsSipPassed(Passed, BrowserCase):
    """With JsSIP."""

    library = "jssip"


class SipJsPassed(Passed, BrowserCase):
    """With SIP.js."""

    library = "sipjs"
