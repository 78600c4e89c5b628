"""Answers that give codecs other payload types than the offer did, with the real rtpengine and real RTP (RFC 3264
section 6.1; corners.rst 3: payload numbers; field.rst D: Another payload number)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import product

from tests.integration.test_media import NARROWBAND, RtpCase, codecs
from tests.support.real.part import until
from tests.support.real.rtp import OPUS, SOUND, RtpPhone
from tests.support.sdp import lines, port
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import profiles_of

Codecs = Mapping[int, str]

PCMU, OPUS_48 = "PCMU/8000", "opus/48000/2"
EVENTS, WIDE_EVENTS = "telephone-event/8000", "telephone-event/48000"
CHROMIUM: Codecs = {111: OPUS_48, 0: PCMU, 110: WIDE_EVENTS, 126: EVENTS}
OPUS_ONLY: Codecs = {111: OPUS_48, 110: WIDE_EVENTS, 126: EVENTS}
PLAYED = TrunkMedia(dtmf="rfc4733")
PLAYED_NARROWBAND = TrunkMedia(NARROWBAND.codecs, dtmf="rfc4733")


def described(phone: RtpPhone, offered: Codecs) -> bytes:
    """A plain description."""
    head = f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {phone.port} RTP/AVP "
    names = "".join(f"a=rtpmap:{number} {name}\r\n" for number, name in offered.items())
    return f"{head}{' '.join(map(str, offered))}\r\n{names}a=sendrecv\r\n".encode()


def numbers(sdp: bytes) -> dict[str, int]:
    """The payload types of an answer or offer, by the names of their codecs."""
    return dict(zip(codecs(sdp), map(int, lines(sdp, "m=")[0].split()[3:]), strict=True))


def talk(phone: RtpPhone, to: bytes, known: Mapping[str, int]) -> None:
    """Speak the first codec."""
    name, number = next(iter(known.items()))
    phone.talk(port(to), number, OPUS if name == OPUS_48 else SOUND[0], 960 if name == OPUS_48 else 160)


class Numbers(RtpCase):
    """Who sends with the number that it was told is heard, digits and audio, decoded by rtpengine or not."""

    async def call(self, media: TrunkMedia, offered: Codecs, answer: Codecs) -> None:
        """The web calls; each side sends audio with the number in the other's description; the web sends digits."""
        self.web, self.trunk = self.phone(), self.phone()
        to, back = profiles_of(media)
        self.sent = await self.offer(described(self.web, offered), to)
        self.answered = await self.answer(described(self.trunk, answer), self.plain(back))
        told = numbers(self.answered)
        events = next(name for name in told if name.startswith("telephone-event"))
        self.assertTrue(set(told) <= set(offered.values()), told)
        self.web.events, self.trunk.events = self.heard_as(offered, events), list(answer)[-1]
        talk(self.web, self.answered, told)
        first = next(iter(answer.values()))
        talk(self.trunk, self.sent, {first: numbers(self.sent)[first]})
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        self.web.press("5", int(events.split("/")[1]), told[events])
        await until(lambda: self.trunk.digits == "5", f"the trunk gets a digit: {media}, {answer}", 3)
        if media.dtmf == "rfc4733" and not self.session.loses_digits:
            await self.session.play("7", 200, from_tag="A", branch="b1")
            await until(lambda: self.trunk.digits == "57", "a digit that is played", 3)
        audio = next(name for name in told if not name.startswith("telephone-event"))
        self.assertEqual((self.trunk.heard, self.web.heard), ({next(iter(answer))}, {self.heard_as(offered, audio)}))

    def heard_as(self, offered: Codecs, name: str) -> int:
        """The number with which the web offered a codec."""
        return next(number for number, other in offered.items() if other == name)

    async def again(self) -> None:
        """Another call."""
        await self.session.delete()
        self.web.fall_silent()
        self.trunk.fall_silent()
        self.session = self.nodes.session("call")

    async def test_events(self) -> None:
        """Events have another number: passed, transcoded, with digits that are played."""
        for media in (TrunkMedia(), NARROWBAND, PLAYED, PLAYED_NARROWBAND):
            for number in (101, 96, 100):
                await self.call(media, CHROMIUM, {0: PCMU, number: EVENTS})
                await self.again()

    async def test_transcoded(self) -> None:
        """A browser with nothing but opus: its events, of either clock rate, get the trunk's number."""
        for media in (NARROWBAND, PLAYED_NARROWBAND):
            for offered in (OPUS_ONLY, {111: OPUS_48, 110: WIDE_EVENTS}, {96: OPUS_48, 97: WIDE_EVENTS}):
                for number in (101, 99, 110):
                    await self.call(media, offered, {0: PCMU, number: EVENTS})
                    await self.again()

    async def test_narrow_events(self) -> None:
        """A browser with opus, and with events of 8000 Hz alone: rtpengine answers none, but they get the trunk's
        number and arrive."""
        for media in (NARROWBAND, PLAYED_NARROWBAND):
            for offered in ({109: OPUS_48, 101: EVENTS}, {109: OPUS_48, 126: EVENTS}, {96: OPUS_48, 97: EVENTS}):
                for number in (101, 99, 97):
                    await self.call(media, offered, {0: PCMU, number: EVENTS})
                    self.assertEqual(number, numbers(self.answered)[EVENTS])
                    await self.again()

    async def test_number_of_the_audio(self) -> None:
        """Events have the number of the only codec that the browser has: audio counts for more than digits."""
        self.web, self.trunk = self.phone(), self.phone()
        to, back = profiles_of(NARROWBAND)
        sent = await self.offer(described(self.web, OPUS_ONLY), to)
        answered = await self.answer(described(self.trunk, {0: PCMU, 111: EVENTS}), self.plain(back))
        self.assertEqual(111, numbers(answered)[OPUS_48])
        talk(self.web, answered, {OPUS_48: 111})
        talk(self.trunk, sent, {PCMU: 0})
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        self.assertEqual((self.trunk.heard, self.web.heard), ({0}, {111}))

    async def test_called(self) -> None:
        """The same where the trunk calls, and a page answers with a number of its own."""
        for media, number in product((TrunkMedia(), NARROWBAND, PLAYED), (101, 96)):
            self.web, self.trunk = self.phone(), self.phone()
            to, back = profiles_of(media)
            offer = described(self.trunk, {0: PCMU, number: EVENTS})
            sent = await self.offer(offer, self.plain(back).of("signalled"), from_tag="T")
            answer = described(self.web, {0: PCMU, 126: EVENTS})
            answered = await self.answer(answer, to, to_tag="W", from_tag="T")
            self.assertEqual({PCMU: 0, EVENTS: 126}, numbers(answered))
            self.web.events, self.trunk.events = 126, number
            talk(self.web, sent, {PCMU: 0})
            talk(self.trunk, answered, {PCMU: 0})
            await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
            self.trunk.press("5", kind=126)
            await until(lambda: self.web.digits == "5", f"a digit: {media}", 3)
            self.web.press("7", kind=numbers(sent)[EVENTS])
            await until(lambda: self.trunk.digits == "7", f"a digit at the trunk: {media}, {number}", 3)
            await self.again()

    async def test_swapped(self) -> None:
        """Audio and events have each other's number, or all are moved by one."""
        await self.call(TrunkMedia(), {96: OPUS_48, 97: WIDE_EVENTS}, {97: OPUS_48, 96: WIDE_EVENTS})
        await self.again()
        await self.call(TrunkMedia(), CHROMIUM, {110: OPUS_48, 111: WIDE_EVENTS})
        await self.again()
        await self.call(TrunkMedia(), {96: OPUS_48, 97: WIDE_EVENTS, 98: EVENTS}, {97: OPUS_48, 98: WIDE_EVENTS})

    async def test_swapped_events(self) -> None:
        """Events have the number of those with another clock rate, and of audio that is not taken, also where rtpengine
        decodes."""
        for media in (NARROWBAND, PLAYED, PLAYED_NARROWBAND):
            for number in (110, 126, 111):
                await self.call(media, CHROMIUM, {0: PCMU, number: EVENTS})
                await self.again()
            for offered in ({0: PCMU, 101: WIDE_EVENTS, 126: EVENTS}, {0: PCMU, 126: WIDE_EVENTS, 101: EVENTS}):
                for number in (101, 126):
                    await self.call(media, {111: OPUS_48, **offered}, {0: PCMU, number: EVENTS})
                    await self.again()

    async def test_forks(self) -> None:
        """Each answer of a fork has numbers of its own; the last one counts."""
        await self.call(PLAYED, CHROMIUM, {0: PCMU, 96: EVENTS})
        for number in (101, 96, 99):
            other = self.phone()
            other.events = number
            _, back = profiles_of(PLAYED)
            answered = await self.answer(described(other, {0: PCMU, number: EVENTS}), self.plain(back), to_tag="B2")
            self.assertEqual(number, numbers(answered)[EVENTS])
            talk(other, self.sent, {PCMU: 0})
            await until(lambda other=other: bool(other.heard), "the other hears", 3)
            self.web.press("6", kind=number)
            await until(lambda other=other: other.digits == "6", "a digit", 3)

    async def test_keys(self) -> None:
        """A trunk with SRTP by SDES keeps the key that it has taken of the offer, and the port."""
        to, back = profiles_of(TrunkMedia(srtp=True, dtmf="rfc4733"))
        self.web, self.trunk = self.phone(), self.phone()
        self.sent = await self.offer(described(self.web, CHROMIUM), to)
        (own,) = (line for line in lines(self.sent, "a=crypto") if "AES_CM_128_HMAC_SHA1_80" in line)
        key = f"{own.split()[0]} AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
        answer = described(self.trunk, {0: PCMU, 96: EVENTS}).replace(b"RTP/AVP", b"RTP/SAVP") + key.encode()
        before = await self.local_ports()
        plain = replace(self.plain(back).of("signalled"), required_protocol=back.required_protocol)
        answered = await self.answer(answer, plain)
        self.assertEqual(96, numbers(answered)[EVENTS])
        again = await self.offer(described(self.web, CHROMIUM), to)
        self.assertEqual(own, lines(again, "a=crypto")[0])
        self.assertEqual((port(self.sent), before), (port(again), await self.local_ports()))
