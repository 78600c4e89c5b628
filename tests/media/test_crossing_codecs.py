"""What becomes of the codecs of a description and of their payload types on its way to rtpengine and from it
(corners.rst 3)."""

from __future__ import annotations

from tests.media.test_crossing import CHROMIUM, ExchangeCase
from tests.support.sdp import lines
from tests.support.strict_sdp import complaints
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.crossing import for_peer, from_peer
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK, profiles_of
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write


class Named(ExchangeCase):
    """Only the codecs that a section names count, whatever the trunk offers (field.rst X10: Codecs that are named)."""

    OFFER = (
        b"c=IN IP4 192.0.2.1\r\nm=audio 5000 RTP/AVP %b\r\n"
        b"a=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 iLBC/8000\r\n"
    )

    def test_named_only(self) -> None:
        """The others are gone before rtpengine sees them: 26 answers a trunk with the first one that it offers."""
        to = profiles_of(TrunkMedia(codecs=("PCMU", "telephone-event")))[1]
        for formats in (b"9 0 101", b"0 9 101", b"96 8 101 0 18", b"3 0 101 77"):
            (line,) = self.media(self.OFFER % formats, to)
            self.assertEqual(["0", "101"], sorted(line.split()[3:]), formats)

    def test_spelling(self) -> None:
        """Names are alike in any case."""
        to = profiles_of(TrunkMedia(codecs=("pcmu", "G722", "ILBC")))[1]
        self.assertEqual(["m=audio 5000 RTP/AVP 9 0 96"], self.media(self.OFFER % b"9 0 8 96 101", to))

    def test_none_named(self) -> None:
        """A trunk that offers nothing of it gets 488."""
        to = profiles_of(TrunkMedia(codecs=("PCMU", "telephone-event")))[1]
        for formats in (b"9 101", b"18", b"101"):
            self.refused(self.OFFER % formats, to)

    def test_all(self) -> None:
        """Without a word in the section all count."""
        self.assertEqual(["m=audio 5000 RTP/AVP 9 0 101"], self.media(self.OFFER % b"9 0 101", BROWSER_OF_TRUNK))

    def test_number_of_events(self) -> None:
        """A trunk that calls hears events with the number that it has offered (RFC 3264 section 6.1)."""
        offer = b"c=IN IP4 192.0.2.1\r\nm=audio 5000 RTP/AVP 0 %b\r\na=rtpmap:%b telephone-event/8000\r\n"
        for media in (TrunkMedia(codecs=("PCMU", "telephone-event")), TrunkMedia(dtmf="rfc4733"), TrunkMedia()):
            for number in (b"96", b"100", b"127"):
                told = self.media(offer % (number, number), profiles_of(media)[1])
                self.assertEqual([f"m=audio 5000 RTP/AVP 0 {number.decode()}"], told)

    def test_of_the_browser(self) -> None:
        """What the browser has is not touched but for the number of events: rtpengine transcodes."""
        to = profiles_of(TrunkMedia(codecs=("PCMU",)))[0]
        told = self.media(CHROMIUM, to)[0].split()[3:]
        self.assertEqual([*lines(CHROMIUM, "m=")[0].split()[3:-1], "101"], told)


class Numbers(ExchangeCase):
    """An answer whose numbers are not those of the offer (field.rst D: Another payload number)."""

    ANSWER = (
        b"c=IN IP4 192.0.2.1\r\nm=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    )
    MADE = (
        b"m=audio 6000 UDP/TLS/RTP/SAVPF 0 126\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\n"
        b"a=fmtp:126 0-15\r\na=ice-ufrag:abcd\r\n"
    )

    def test_both_ways(self) -> None:
        """rtpengine is told the number that was offered, the browser that of the trunk: with it its digits arrive."""
        offer, answer = read(CHROMIUM), from_peer(self.ANSWER, BROWSER_OF_TRUNK, read(CHROMIUM))
        self.assertEqual(["m=audio 5000 RTP/AVP 0 126"], lines(write(answer), "m="))
        self.assertEqual(["a=fmtp:126 0-15"], lines(write(answer), "a=fmtp"))
        told = write(for_peer(self.MADE, BROWSER_OF_TRUNK, offer, answer))
        self.assertEqual([], complaints(told))
        self.assertEqual(["m=audio 6000 UDP/TLS/RTP/SAVPF 0 101"], lines(told, "m="))
        self.assertEqual(["a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000"], lines(told, "a=rtpmap"))
        self.assertEqual(["a=fmtp:101 0-15"], lines(told, "a=fmtp"))

    def test_transcoded(self) -> None:
        """A codec that the browser is not told of has no number there."""
        answer = from_peer(self.ANSWER, BROWSER_OF_TRUNK, read(CHROMIUM))
        made = self.MADE.replace(b"0 126", b"111 110").replace(
            b"126 telephone-event/8000", b"110 telephone-event/48000"
        )
        made = made.replace(b"0 PCMU/8000", b"111 opus/48000/2").replace(b"fmtp:126", b"fmtp:110")
        told = write(for_peer(made, BROWSER_OF_TRUNK, read(CHROMIUM), answer))
        self.assertEqual(["m=audio 6000 UDP/TLS/RTP/SAVPF 111 110"], lines(told, "m="))

    def test_decoded(self) -> None:
        """Where rtpengine was told the offer with the trunk's numbers, its answer has them; what the browser has not
        offered is left out of it."""
        to = profiles_of(TrunkMedia(dtmf="rfc4733"))[1]
        made = self.MADE.replace(b"126", b"101")
        answer = from_peer(self.ANSWER, to, read(CHROMIUM))
        for offer, formats in (CHROMIUM, "0 101"), (CHROMIUM.replace(b"event/8000", b"event/16000"), "0"):
            told = write(for_peer(made, to, read(offer), answer))
            self.assertEqual([f"m=audio 6000 UDP/TLS/RTP/SAVPF {formats}"], lines(told, "m="))

    def test_narrow_events(self) -> None:
        """A browser that has events of 8000 Hz alone is told those of the trunk, which rtpengine leaves out of its
        answer with opus, unless their number is that of the audio; one that has not offered them is not."""
        to = profiles_of(TrunkMedia(codecs=("PCMU", "telephone-event")))[1]
        offer = b"m=audio 9 UDP/TLS/RTP/SAVPF 109 126\r\na=rtpmap:109 opus/48000/2\r\na=rtpmap:126 %b\r\n"
        made = b"m=audio 6000 UDP/TLS/RTP/SAVPF 109\r\na=rtpmap:109 opus/48000/2\r\na=ice-ufrag:abcd\r\n"
        for name, number, formats in (
            (b"telephone-event/8000", b"101", "109 101"),
            (b"Telephone-Event/8000", b"126", "109 126"),
            (b"telephone-event/8000", b"109", "109"),
            (b"telephone-event/48000", b"101", "109"),
        ):
            answer = read(self.ANSWER.replace(b"101", number))
            told = write(for_peer(made, to, read(offer % name), answer))
            self.assertEqual([f"m=audio 6000 UDP/TLS/RTP/SAVPF {formats}"], lines(told, "m="))
            events = formats.split()[1:]
            self.assertEqual([f"a=fmtp:{each} 0-15" for each in events], lines(told, "a=fmtp"))
            self.assertEqual([], complaints(told))

    def test_no_events(self) -> None:
        """Where the trunk has none, or refuses the audio, nor has the browser."""
        to = profiles_of(TrunkMedia(codecs=("PCMU", "telephone-event")))[1]
        offer = read(
            b"m=audio 9 UDP/TLS/RTP/SAVPF 109 126\r\na=rtpmap:109 opus/48000/2\r\na=rtpmap:126 telephone-event/8000\r\n"
        )
        for port, formats, answer in (b"6000", "109", b"m=audio 5000 RTP/AVP 0\r\n"), (b"0", "0", self.ANSWER):
            made = b"m=audio %b UDP/TLS/RTP/SAVPF 109\r\na=rtpmap:109 opus/48000/2\r\na=ice-ufrag:abcd\r\n" % port
            told = write(for_peer(made, to, offer, read(answer)))
            self.assertEqual([f"m=audio {port.decode()} UDP/TLS/RTP/SAVPF {formats}"], lines(told, "m="))

    def test_offered_twice(self) -> None:
        """In a later offer, the trunk's own number is not offered besides: rtpengine from 12.5 on does so."""
        to = profiles_of(TrunkMedia(dtmf="rfc4733"))[0]
        offer = b"m=audio 5 RTP/AVP 8 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        made = offer.replace(b"8 101", b"8 101 126 96") + (
            b"a=rtpmap:126 Telephone-Event/8000\r\na=fmtp:126 0-15\r\na=rtpmap:96 telephone-event/48000\r\n"
        )
        fax = b"m=image 7 udptl t38\r\n"
        told = write(for_peer(made + fax, to, read(offer + fax)))
        self.assertEqual(["m=audio 5 RTP/AVP 8 101 96", "m=image 7 udptl t38"], lines(told, "m="))
        self.assertEqual([], lines(told, "a=fmtp"))
        both = read(made)
        self.assertEqual(lines(made, "m="), lines(write(for_peer(made, to, both)), "m="))

    def test_played(self) -> None:
        """Where rtpengine may decode, events are offered as 101, which trunks answer: it sends them with the number
        that was offered."""
        to = profiles_of(TrunkMedia(codecs=("PCMU",)))[0]
        self.assertIn("a=rtpmap:101 telephone-event/8000", lines(self.told(CHROMIUM, to)))
        to = profiles_of(TrunkMedia(dtmf="rfc4733"))[0]
        told = self.told(CHROMIUM, to)
        self.assertIn("a=rtpmap:101 telephone-event/8000", lines(told))
        self.assertEqual([*lines(CHROMIUM, "m=")[0].split()[3:-1], "101"], lines(told, "m=")[0].split()[3:])
        for free in (
            CHROMIUM.replace(b"126", b"101"),
            CHROMIUM.replace(b"111", b"101"),
            CHROMIUM.replace(b"126 telephone-event/8000", b"126 telephone-event/16000"),
        ):
            self.assertEqual(lines(free, "m=")[0].split()[3:], lines(self.told(free, to), "m=")[0].split()[3:])
        self.assertIn("a=rtpmap:126 telephone-event/8000", lines(self.told(CHROMIUM, TRUNK)))
