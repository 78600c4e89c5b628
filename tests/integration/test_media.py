"""Media by trunk with the real rtpengine and real RTP: codecs, encryption, address family, digits."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.integration.media import CHROME, MediaCase, browser_answer
from tests.support.real.part import pause, until
from tests.support.real.ports import LOOPBACK
from tests.support.real.rtp import OPUS, SOUND, RtpPhone
from tests.support.real.rtpengine import Rtpengine, TwoFamilies, TwoInterfaces
from tests.support.sdp import FINGERPRINT, lines, port, sample
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import BROWSER, TRUNK, Profile, profiles_of
from webrtcproxy.runtime.errors import NgRefused

NAMES = {0: "PCMU/8000", 8: "PCMA/8000", 9: "G722/8000", 96: "opus/48000/2", 100: "telephone-event/48000",
         101: "telephone-event/8000", 110: "telephone-event/48000", 111: "opus/48000/2",
         126: "telephone-event/8000"}  # fmt: skip
NARROWBAND = TrunkMedia(("PCMU", "PCMA", "telephone-event"))


def sdp(at: int, kinds: Iterable[int], family: str = "IP4 127.0.0.1") -> bytes:
    """A plain description of these payload types."""
    text = f"v=0\r\no=- 1 1 IN {family}\r\ns=-\r\nc=IN {family}\r\nt=0 0\r\n"
    text += f"m=audio {at} RTP/AVP {' '.join(map(str, kinds))}\r\n"
    return (text + "".join(f"a=rtpmap:{kind} {NAMES[kind]}\r\n" for kind in kinds) + "a=sendrecv\r\n").encode()


def codecs(made: bytes) -> list[str]:
    """Codecs of the first m-line, in its order."""
    names = dict(line[9:].split(" ", 1) for line in lines(made, "a=rtpmap:"))
    return [names.get(kind, kind) for kind in lines(made, "m=")[0].split()[3:]]


def opus_only(offered: bytes) -> bytes:
    """A browser's answer that takes opus and its events of this offer, and nothing else."""
    names = {line[9:].split(" ", 1)[1]: line for line in lines(offered, "a=rtpmap:")}
    taken = [names[name] for name in ("opus/48000/2", "telephone-event/48000")]
    head, _, _ = browser_answer("AAAA", 50001, mid="1").partition(b"a=rtpmap:")
    first, _, rest = head.partition(b"m=")
    numbers = " ".join(line[9:].split()[0] for line in taken)
    made = first.decode() + f"m=audio 50001 UDP/TLS/RTP/SAVPF {numbers}\r\n" + rest.decode().partition("\r\n")[2]
    return (made + "".join(f"{line}\r\n" for line in taken)).encode()


class CodecTests(MediaCase):
    """`codecs`: what a trunk is offered, and what a browser is told of it."""

    async def test_named_only(self) -> None:
        """A trunk sees what its section names, in that order, with the browser's payload types."""
        to, back = profiles_of(NARROWBAND)
        for name in ("chromium-audio", "firefox-audio"):
            offered = await self.offer(sample(name), to, branch=name)
            self.assertEqual(codecs(offered), ["PCMU/8000", "PCMA/8000", "telephone-event/8000"], name)
            answered = await self.answer(sdp(40000, (8, 101)), back, branch=name, to_tag=name)
            self.assertIn("PCMA/8000", codecs(answered)[0])
        to, _ = profiles_of(TrunkMedia(("G729", "G722", "telephone-event")))
        offered = await self.offer(CHROME, to, branch="other")
        self.assertEqual(codecs(offered), ["G729/8000", "G722/8000", "telephone-event/8000"])

    async def test_events_of_both_rates(self) -> None:
        """A trunk with codecs of two clock rates is offered events in each (corners.rst 3: telephone-event)."""
        to, back = profiles_of(TrunkMedia(("opus", "PCMU", "telephone-event")))
        offered = codecs(await self.offer(CHROME, to))
        self.assertEqual(offered[:2], ["opus/48000/2", "PCMU/8000"])
        self.assertEqual(sorted(offered[2:]), ["telephone-event/48000", "telephone-event/8000"])
        answered = await self.answer(sdp(40000, (96, 100)).replace(b"96", b"111").replace(b"100", b"110"), back)
        self.assertEqual(codecs(answered), ["opus/48000/2", "telephone-event/48000"])

    async def test_everything(self) -> None:
        """Without `codecs` all that a browser offers passes, one telephone-event for each clock rate
        (corners.rst 3: telephone-event)."""
        offered = codecs(await self.offer(CHROME, TRUNK))
        self.assertEqual(offered, codecs(CHROME))
        self.assertTrue({"opus/48000/2", "telephone-event/48000", "telephone-event/8000"} < set(offered))
        answered = await self.answer(sdp(40000, (96, 100)).replace(b"96", b"111").replace(b"100", b"110"), BROWSER)
        self.assertEqual(codecs(answered), ["opus/48000/2", "telephone-event/48000"])

    async def test_opus_only(self) -> None:
        """A browser that has nothing of the trunk's is answered what it has, events in its own clock rate."""
        to, back = profiles_of(NARROWBAND)
        browsers = sdp(40000, (96, 100)).replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF") + FINGERPRINT
        offered = await self.offer(browsers, to)
        self.assertEqual(codecs(offered)[:2], ["PCMU/8000", "PCMA/8000"])
        answered = await self.answer(sdp(40002, (0, 101)).replace(b"101", _events_of(offered)), back)
        self.assertEqual(codecs(answered), ["opus/48000/2", "telephone-event/48000"])

    async def test_called_by_a_trunk(self) -> None:
        """A browser may have the trunk's codecs, or opus; what the section does not name is not seen."""
        to, back = profiles_of(NARROWBAND)
        offered = await self.offer(sdp(40000, (9, 0, 101)), back)
        self.assertEqual(codecs(offered)[0], "PCMU/8000")
        self.assertIn("opus/48000/2", codecs(offered))
        self.assertIn("telephone-event/48000", codecs(offered))
        self.assertNotIn("G722/8000", codecs(offered))
        answered = await self.answer(browser_answer("AAAA", 50001, mid="1"), to)
        self.assertEqual(codecs(answered)[0], "PCMU/8000")

    async def test_answered_with_another(self) -> None:
        """A trunk that offers more than its section names is answered with what is named, whatever the browser takes
        (field.rst X10: Codecs that are named)."""
        named = TrunkMedia(("PCMU", "telephone-event"))
        to, back = profiles_of(named)
        for kinds in ((9, 0, 101), (0, 9, 101), (8, 9, 0, 101), (9, 101, 0), (96, 0, 101)):
            self.session = self.nodes.session(str(kinds))
            self.addCleanup(self.session.delete)
            offered = await self.offer(sdp(40000, kinds), back)
            for answer in (browser_answer("AAAA", 50001, mid="1"), opus_only(offered)):
                answered = codecs(await self.answer(answer, to))
                self.assertEqual(answered[0], "PCMU/8000", kinds)
                self.assertEqual({name.split("/")[0] for name in answered[1:]} - {"telephone-event"}, set(), kinds)

    async def test_changed_later(self) -> None:
        """A later offer by either side has the same codecs."""
        to, back = profiles_of(NARROWBAND)
        await self.offer(CHROME, to)
        await self.answer(sdp(40000, (0, 101)), back)
        held = await self.offer(CHROME.replace(b"sendrecv", b"sendonly"), to)
        self.assertEqual(codecs(held), ["PCMU/8000", "PCMA/8000", "telephone-event/8000"])
        await self.answer(sdp(40000, (0, 101)).replace(b"sendrecv", b"recvonly"), back)
        offered = await self.offer(sdp(40000, (0, 101)), back, from_tag="B")
        self.assertIn("PCMU/8000", codecs(offered))

    async def test_no_video(self) -> None:
        """A trunk without a video codec sees the m-line refused, the browser the same in its answer; no port is held
        for it. One with a video codec sees that one."""
        video = sample("chromium-video")
        to, back = profiles_of(NARROWBAND)
        offered = await self.offer(video, to)
        self.assertEqual(lines(offered, "m=video")[0].split()[1], "0")
        self.assertEqual([line for line in lines(offered) if "VP8" in line or "H264" in line], [])
        answered = await self.answer(sdp(40000, (0, 101)) + b"m=video 0 RTP/AVP 96\r\n", back)
        self.assertEqual([line.split()[0] for line in lines(answered, "m=")], ["m=audio", "m=video"])
        self.assertEqual(lines(answered, "m=video")[0].split()[1], "0")
        to, _ = profiles_of(TrunkMedia(("PCMU", "VP8", "H264")))
        offered = await self.offer(video, to, branch="b2")
        names = {line.split(" ", 1)[1].split("/")[0] for line in lines(offered, "a=rtpmap:")}
        self.assertEqual(names, {"PCMU", "VP8", "H264"})

    async def test_data_channel(self) -> None:
        """A data channel is refused towards every trunk, and in the browser's answer."""
        channel = (
            b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=mid:1\r\na=sctp-port:5000\r\n"
        )
        offered = await self.offer(CHROME + channel, TRUNK)
        self.assertEqual(lines(offered, "m=application"), ["m=application 0 UDP/DTLS/SCTP webrtc-datachannel"])
        answered = await self.answer(
            sdp(40000, (0, 101)) + b"m=application 0 UDP/DTLS/SCTP webrtc-datachannel\r\n", BROWSER
        )
        self.assertEqual(lines(answered, "m=application")[0].split()[1], "0")


class EncryptionTests(MediaCase):
    """`media = srtp`."""

    KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"

    def answer_of_trunk(self) -> bytes:
        return sdp(40000, (0, 101)).replace(b"RTP/AVP", b"RTP/SAVP") + self.KEY

    async def test_both_ways(self) -> None:
        """RTP/SAVP with keys towards the trunk, in suites that encrypt; no key towards the browser."""
        to, back = profiles_of(TrunkMedia(srtp=True))
        offered = await self.offer(CHROME, to)
        self.assertEqual(lines(offered, "m=")[0].split()[2], "RTP/SAVP")
        suites = [line.split()[1] for line in lines(offered, "a=crypto:")]
        (tag,) = (line.split()[0] for line in lines(offered, "a=crypto:") if "AES_CM_128_HMAC_SHA1_80" in line)
        self.assertEqual([suite for suite in suites if suite.startswith(("NULL", "F8"))], [])
        self.assertEqual(lines(offered, "a=fingerprint") + lines(offered, "a=setup"), [])
        taken = self.answer_of_trunk().replace(b"a=crypto:1", tag.encode())  # RFC 4568 section 5.1.3
        answered = await self.answer(taken, back)
        self.assertEqual(lines(answered, "a=crypto"), [])
        self.assertEqual(lines(answered, "m=")[0].split()[2], "UDP/TLS/RTP/SAVPF")
        offered = await self.offer(self.answer_of_trunk(), back, "in", "T")
        self.assertEqual(lines(offered, "a=crypto"), [])
        answered = await self.answer(browser_answer("AAAA", 50001, mid="1"), to, "in", "W", "T")
        self.assertEqual(lines(answered, "m=")[0].split()[2], "RTP/SAVP")
        self.assertEqual([line.split()[1] for line in lines(answered, "a=crypto:")], ["AES_CM_128_HMAC_SHA1_80"])

    async def test_never_plain(self) -> None:
        """A trunk that answers in plain RTP is not heard, nor one that calls so."""
        to, back = profiles_of(TrunkMedia(srtp=True))
        await self.offer(CHROME, to)
        with self.assertRaises(NgRefused):
            await self.answer(sdp(40000, (0, 101)), back)
        with self.assertRaises(NgRefused):
            await self.offer(sdp(40000, (0, 101)), back, "in", "T")


class RtpCase(MediaCase):
    """Real RTP through rtpengine. What stands for the browser is plain too; who is who is told by the profiles."""

    far = LOOPBACK

    def phone(self, address: str = LOOPBACK) -> RtpPhone:
        phone = RtpPhone(address)
        self.addCleanup(phone.close)
        return phone

    async def connect(self, media: TrunkMedia, web_kinds: tuple[int, ...], kinds: tuple[int, ...]) -> None:
        """A call of `self.web` to `self.trunk`, who both talk in their first codec."""
        self.web, self.trunk = self.phone(), self.phone(self.far)
        to, back = profiles_of(media)
        back = self.plain(back)
        offered = await self.offer(sdp(self.web.port, web_kinds), to)
        events = _events_of(offered)
        self.web.events, self.trunk.events = web_kinds[1], int(events)
        self.offered = offered
        family = f"{'IP6' if ':' in self.far else 'IP4'} {self.far}"
        answered = await self.answer(sdp(self.trunk.port, kinds, family).replace(b"101", events), back)
        for phone, other, kind in ((self.web, answered, web_kinds[0]), (self.trunk, offered, kinds[0])):
            opus = NAMES[kind].startswith("opus")
            phone.talk(port(other), kind, OPUS if opus else SOUND[kind], 960 if opus else 160)

    def plain(self, back: Profile) -> Profile:
        """A browser's profile for a plain phone: the codecs and flags of it, and nothing else."""
        fields = {**TRUNK.answer, "flags": [*TRUNK.answer["flags"], *_events(back)]}  # type: ignore[misc]
        return Profile("plain", TRUNK.offer, fields, TRUNK.attributes, decodes=back.decodes)


class RtpTests(RtpCase):
    """With trunks of the same address family."""

    async def test_transcoded(self) -> None:
        """Opus to PCMU and back, G722 to PCMA and back."""
        for web, far in (((96, 100), (0, 101)), ((9, 101), (8, 101))):
            await self.connect(TrunkMedia(("PCMU", "PCMA", "telephone-event")), web, far)
            await until(lambda far=far: far[0] in self.trunk.heard, "the trunk hears its codec", 3)
            await until(lambda web=web: web[0] in self.web.heard, "the browser hears its own", 3)
            self.assertEqual((self.trunk.heard, self.web.heard), ({far[0]}, {web[0]}))
            await self.session.delete()
            self.session = self.nodes.session("call")

    async def test_passed(self) -> None:
        """What both have is not touched."""
        await self.connect(TrunkMedia(("PCMU", "PCMA", "telephone-event")), (0, 101), (0, 101))
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        self.assertEqual((self.trunk.heard, self.web.heard), ({0}, {0}))

    async def test_counted(self) -> None:
        """What each has sent is counted, and no more once it is silent (field.rst X13: Silence)."""
        await self.connect(TrunkMedia(), (0, 101), (0, 101))
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        self.trunk.fall_silent()
        await pause(0.1)
        before = [await self.session.packets(from_tag=name, branch="b1") for name in ("A", "B")]
        await pause(0.3)
        after = [await self.session.packets(from_tag=name, branch="b1") for name in ("A", "B")]
        self.assertGreater(after[0], before[0])
        self.assertEqual((before[1], before[1] > 0), (after[1], True))

    async def test_events_pass(self) -> None:
        """RFC 4733 both ways, as it is and through transcoding from one clock rate to another."""
        for media, web, clock in ((TrunkMedia(), (0, 101), 8000), (NARROWBAND, (96, 100), 48000)):
            await self.connect(media, web, (0, 101))
            await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
            self.web.press("5", clock)
            self.trunk.press("#")
            await until(lambda: bool(self.trunk.digits and self.web.digits), "both get a digit", 3)
            self.assertEqual((self.trunk.digits, self.web.digits), ("5", "#"))
            await self.session.delete()
            self.session = self.nodes.session("call")

    async def test_digits_are_played(self) -> None:
        """Digits that are played arrive as events at the other side only, in order, as long as they are to be
        (corners.rst 5: DTMF; field.rst X14: Lost digits)."""
        await self.connect(TrunkMedia(dtmf="rfc4733"), (0, 101), (0, 101))
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        await self.session.play("1", 200, from_tag="A", branch="b1")
        await self.session.play("#", 100, from_tag="A", branch="b1")
        await until(lambda: len(self.trunk.digits) == 2, "two digits", 3)
        self.assertEqual((self.trunk.digits, self.web.digits), ("1#", ""))
        self.assertTrue(180 <= self.trunk.milliseconds[0] <= 220, self.trunk.milliseconds)

    async def test_digit_of_the_called(self) -> None:
        """The same for the one that was called."""
        await self.connect(TrunkMedia(dtmf="rfc4733"), (0, 101), (0, 101))
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        await self.session.play("9", 200, from_tag="B", branch="b1")
        await until(lambda: self.web.digits == "9", "a digit", 3)
        self.assertEqual(self.trunk.digits, "")

    async def test_digit_through_transcoding(self) -> None:
        """The same where the browser speaks opus."""
        await self.connect(replace(NARROWBAND, dtmf="rfc4733"), (111, 110), (0, 101))
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        await self.session.play("D", 100, from_tag="A", branch="b1")
        await until(lambda: self.trunk.digits == "D", "a digit", 3)

    async def test_digit_as_tone(self) -> None:
        """A trunk that takes no events hears a tone: rtpengine plays it into the audio."""
        await self.connect(TrunkMedia(("PCMU",), dtmf="rfc4733"), (0, 101), (0,))
        await until(lambda: bool(self.trunk.heard), "the trunk hears", 3)
        quiet = len(self.trunk.sounds)
        await self.session.play("5", 200, from_tag="A", branch="b1")
        await until(lambda: len(self.trunk.sounds) > quiet + 3, "a tone", 3)

    async def test_event_becomes_a_tone(self) -> None:
        """A browser's events are a tone to a trunk whose section does not name telephone-event."""
        await self.connect(TrunkMedia(("PCMU",)), (0, 101), (0,))
        await until(lambda: bool(self.trunk.heard), "the trunk hears", 3)
        quiet = len(self.trunk.sounds)
        self.web.press("5")
        await until(lambda: len(self.trunk.sounds) > quiet + 3, "a tone", 3)

    async def test_nobody_to_play_to(self) -> None:
        """Before anybody has answered, rtpengine refuses; so do we for a branch that never was."""
        to, _ = profiles_of(TrunkMedia(dtmf="rfc4733"))
        await self.offer(sdp(40000, (0, 101)), to)
        for branch in ("b1", "b2"):
            with self.assertRaises(NgRefused):
                await self.session.play("1", 200, from_tag="A", branch=branch)


class FamilyTests(RtpCase):
    """`address-family`, with an rtpengine that has an interface of either (corners.rst 5: address family)."""

    far = "::1"

    async def part(self) -> Rtpengine:
        part = TwoFamilies()
        self.addCleanup(part.stop)
        await part.start()
        return part

    async def test_ipv6_trunk(self) -> None:
        """The trunk is told an IPv6 address and no other; a browser at IPv4 and it hear each other."""
        await self.connect(TrunkMedia(family="ipv6"), (0, 101), (0, 101))
        self.assertEqual({line.split()[-2] for line in lines(self.offered, "c=")}, {"IP6"})
        self.assertIn("IN IP6 ::1", lines(self.offered, "o=")[0])
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)

    async def test_called_by_an_ipv6_trunk(self) -> None:
        """The answer to it is IPv6, too; the browser is told of both."""
        to, back = profiles_of(TrunkMedia(family="ipv6"))
        offered = await self.offer(sdp(40000, (0, 101), "IP6 ::1"), back)
        self.assertEqual({line.split()[4] for line in lines(offered, "a=candidate:")}, {"127.0.0.1", "::1"})
        answered = await self.answer(browser_answer("AAAA", 50001, mid="1"), to)
        self.assertEqual({line.split()[-2] for line in lines(answered, "c=")}, {"IP6"})

    async def test_ipv4_for_an_ipv6_browser(self) -> None:
        """A browser that speaks IPv6 is no reason to tell an IPv4 trunk of it."""
        to, _ = profiles_of(TrunkMedia(family="ipv4"))
        offered = await self.offer(CHROME.replace(b"IN IP4 192.0.2.2", b"IN IP6 fd00::2"), to)
        self.assertEqual({line.split()[-2] for line in lines(offered, "c=")}, {"IP4"})


class InterfaceTests(RtpCase):
    """`interfaces`, with an rtpengine that has two (corners.rst 5: direction / interfaces)."""

    far = "127.0.0.2"
    media = TrunkMedia(interfaces=("default", "far"))

    async def part(self) -> Rtpengine:
        part = TwoInterfaces()
        self.addCleanup(part.stop)
        await part.start()
        return part

    async def test_calls(self) -> None:
        """The trunk is told one address, the browser the other; both hear each other; a later offer changes neither."""
        await self.connect(self.media, (0, 101), (0, 101))
        await until(lambda: bool(self.trunk.heard and self.web.heard), "both hear", 3)
        to, back = profiles_of(self.media)
        again = await self.offer(sdp(self.web.port, (0, 101)), to)
        self.assertEqual(port(again), port(self.offered))
        for made in (self.offered, again):
            self.assertEqual({line.split()[-1] for line in lines(made, "c=")}, {"127.0.0.2"})
        offered = await self.offer(sdp(40000, (0, 101)), back, from_tag="B")
        self.assertEqual({line.split()[-1] for line in lines(offered, "c=")}, {"127.0.0.1"})

    async def test_called(self) -> None:
        """The same where the trunk calls."""
        to, back = profiles_of(self.media)
        offered = await self.offer(sdp(40000, (0, 101)), back)
        self.assertEqual({line.split()[4] for line in lines(offered, "a=candidate:")}, {"127.0.0.1"})
        answered = await self.answer(browser_answer("AAAA", 50001, mid="1"), to)
        self.assertEqual({line.split()[-1] for line in lines(answered, "c=")}, {"127.0.0.2"})


def _events_of(offered: bytes) -> bytes:
    """The payload type of events in an offer; one that nobody has where there are none."""
    found = [line[9:].split()[0] for line in lines(offered, "a=rtpmap:") if "telephone-event/8000" in line]
    return (found or ["127"])[0].encode()


def _events(profile: Profile) -> list[str]:
    flags = profile.answer["flags"]
    assert isinstance(flags, list)
    return [flag for flag in flags if flag == "inject DTMF"]  # type: ignore[misc]
