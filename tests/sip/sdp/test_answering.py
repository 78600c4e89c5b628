"""What makes a description an answer to an offer (RFC 3264 section 6)."""

from __future__ import annotations

from itertools import permutations, product

from twisted.trial.unittest import SynchronousTestCase

from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp.answering import as_numbered, fit, numbers_in, use_numbers
from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write

AUDIO = (
    b"m=audio 5000 RTP/AVP 111 0 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=mid:a\r\n"
)
VIDEO = b"m=video 5002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=mid:v\r\n"


class FittingCase(SynchronousTestCase):
    def fitted(self, answer: bytes, offer: bytes) -> Description:
        """The answer as it is after."""
        described = read(answer)
        fit(described, read(offer))
        self.assertEqual([], complaints(write(described)))
        return described


class FitTests(FittingCase):
    def media(self, answer: bytes, offer: bytes) -> list[str]:
        """Kind, port and formats of each medium."""
        described = self.fitted(answer, offer)
        return [" ".join((media.kind, str(media.port), *media.formats)) for media in described.media]

    def test_as_offered(self) -> None:
        """What is an answer stays as it is."""
        for offer in (AUDIO, AUDIO + VIDEO, VIDEO + AUDIO, AUDIO + AUDIO.replace(b"mid:a", b"mid:b")):
            self.assertEqual(read(offer), self.fitted(offer, offer))

    def test_short(self) -> None:
        """A medium that the answer lacks is refused in its place."""
        self.assertEqual(["audio 5000 111 0 101", "video 0 0"], self.media(AUDIO, AUDIO + VIDEO))
        self.assertEqual(["video 0 0", "audio 5000 111 0 101"], self.media(AUDIO, VIDEO + AUDIO))
        self.assertEqual(["audio 5000 111 0 101", "audio 0 0"], self.media(AUDIO, AUDIO + AUDIO))

    def test_long(self) -> None:
        """What was not offered is dropped."""
        self.assertEqual(["audio 5000 111 0 101"], self.media(AUDIO + VIDEO, AUDIO))
        self.assertEqual(["audio 5000 111 0 101"], self.media(VIDEO + AUDIO, AUDIO))

    def test_protocol(self) -> None:
        """Of several for one, that with the protocol that was offered counts, or one that is encrypted as it is; what
        is accepted counts first (field.rst X17: More media than offered)."""
        media = {
            protocol: b"m=audio %d %s 0\r\n" % (port, protocol.encode())
            for port, protocol in ((1, "RTP/AVP"), (2, "RTP/AVPF"), (3, "RTP/SAVP"), (4, "RTP/SAVPF"))
        }
        for names, offered in product(permutations(media), media):
            alike = [each for each in names if each != offered and ("SAVP" in each) == ("SAVP" in offered)]
            others = [each for each in names if each != offered]
            for given, wanted in ((names, offered), (others, alike[0])):
                answer = self.fitted(b"".join(media[each] for each in given), media[offered])
                self.assertEqual([wanted], [each.protocol for each in answer.media], (offered, given))
                left = [each for each in given if each != wanted]
                self.assertEqual(left, [each.protocol for each in answer.not_offered])
        refused = media["RTP/SAVP"].replace(b"audio 3", b"audio 0")
        (only,) = self.fitted(refused + media["RTP/AVP"], media["RTP/SAVP"]).media
        self.assertEqual("RTP/AVP", only.protocol)
        two = self.fitted(media["RTP/AVP"] + VIDEO + media["RTP/SAVP"], media["RTP/SAVP"] + media["RTP/AVP"])
        self.assertEqual([3, 1], [each.port for each in two.media])

    def test_order(self) -> None:
        """Each is put in the place of its kind; what is accepted counts before what is refused."""
        self.assertEqual(["audio 5000 111 0 101", "video 5002 96"], self.media(VIDEO + AUDIO, AUDIO + VIDEO))
        refused = b"m=audio 0 RTP/AVP 0\r\n"
        self.assertEqual(["audio 5000 111 0 101"], self.media(refused + AUDIO, AUDIO))
        image = b"m=image 7 udptl t38\r\n"
        self.assertEqual(["image 0 t38", "audio 5000 111 0 101"], self.media(AUDIO, image + AUDIO))

    def test_not_accepted(self) -> None:
        """What was refused in the offer is refused in the answer."""
        self.assertEqual(
            ["audio 5000 111 0 101", "video 0 0"], self.media(AUDIO + VIDEO, AUDIO + b"m=video 0 RTP/AVP 96")
        )

    def test_codecs(self) -> None:
        """A codec that was not offered is dropped; without any in common, the medium is refused: it would be silent."""
        gsm = b"m=audio 5000 RTP/AVP 3 0\r\n"
        self.assertEqual(["audio 5000 0"], self.media(gsm, AUDIO))
        for other in (b"3", b"3 101", b"101", b"18 13"):
            events = b"m=audio 5000 RTP/AVP " + other + b"\r\na=rtpmap:101 telephone-event/8000\r\n"
            self.assertEqual(["audio 0 0"], self.media(events, AUDIO))
        only = b"m=audio 5000 RTP/AVP 101\r\na=rtpmap:101 telephone-event/8000\r\n"
        self.assertEqual(["audio 5000 101"], self.media(only, only))

    def test_names(self) -> None:
        """Upper and lower case make no other codec."""
        answer = AUDIO.replace(b"opus", b"OPUS").replace(b"telephone-event", b"Telephone-Event")
        self.assertEqual(["audio 5000 111 0 101"], self.media(answer, AUDIO))

    def test_unnamed(self) -> None:
        """A payload type without an rtpmap in the answer is the one that was offered."""
        for formats in ("111 101", "101 111", "111 0", "0 111", "111 0 101", "101 0 111", "0 101", "111"):
            answer = b"m=audio 5000 RTP/AVP %b\r\n" % formats.encode()
            self.assertEqual([f"audio 5000 {formats}"], self.media(answer, AUDIO))
        answer = (
            b"m=audio 5000 RTP/AVP 99 111 x 99 98 101 0 97\r\na=fmtp:101 0-15\r\na=fmtp:98 x\r\na=rtcp-fb:* nack\r\n"
        )
        self.assertEqual(["audio 5000 111 101 0"], self.media(answer, AUDIO))
        (media,) = self.fitted(answer, AUDIO).media
        self.assertEqual(["111", "101", "0"], list(media.codecs))
        self.assertEqual([("rtcp-fb", "* nack"), ("fmtp", "101 0-15")], media.of_formats)


class NumberTests(FittingCase):
    """An answer that gives a codec another number than it was offered with (RFC 3264 section 6.1; field.rst D:
    Another payload number)."""

    OFFER = (
        b"m=audio 5000 RTP/AVP 111 0 8 110 126\r\na=rtpmap:111 opus/48000/2\r\na=fmtp:111 useinbandfec=1\r\n"
        b"a=rtpmap:110 telephone-event/48000\r\na=rtpmap:126 telephone-event/8000\r\n"
    )

    def numbered(self, *codecs: bytes) -> tuple[str, dict[str, str] | None]:
        """The formats of an answer with these codecs, and which of them have other numbers."""
        numbers = b" ".join(codec.split()[0] for codec in codecs)
        named = b"".join(b"a=rtpmap:" + codec + b"\r\n" for codec in codecs if b" " in codec)
        (media,) = self.fitted(b"m=audio 6000 RTP/AVP " + numbers + b"\r\n" + named, self.OFFER).media
        self.assertEqual(list(media.codecs), media.formats)
        return " ".join(media.formats), media.numbers

    def test_events(self) -> None:
        """It gets the number that was offered, and its own is known."""
        for number in (b"101", b"96", b"100"):
            given = self.numbered(b"0 PCMU/8000", number + b" telephone-event/8000")
            self.assertEqual(("0 126", {"126": number.decode()}), given)
        self.assertEqual(("0 126", {"126": "101"}), self.numbered(b"0", b"101 TELEPHONE-EVENT/8000"))

    def test_audio(self) -> None:
        """Audio as well, and one of two codecs, or both."""
        self.assertEqual(("111", {"111": "97"}), self.numbered(b"97 opus/48000/2"))
        self.assertEqual(
            ("111 110", {"111": "97", "110": "98"}), self.numbered(b"97 opus/48000/2", b"98 telephone-event/48000")
        )
        self.assertEqual(
            ("8 126", {"8": "107", "126": "101"}), self.numbered(b"107 PCMA/8000", b"101 telephone-event/8000")
        )

    def test_as_offered(self) -> None:
        """Nothing is to be known of an answer that keeps the numbers."""
        self.assertEqual(("0 126", None), self.numbered(b"0", b"126 telephone-event/8000"))
        self.assertEqual(("0 126", None), self.numbered(b"0", b"3 GSM/8000", b"126 telephone-event/8000"))

    def test_other_rate(self) -> None:
        """Events of a clock rate that was not offered are not those of another."""
        _, numbers = self.numbered(b"0", b"101 telephone-event/16000")
        self.assertIsNone(numbers)

    def test_twice(self) -> None:
        """A codec with two numbers has the one that was offered; the other is not mapped to it."""
        formats, numbers = self.numbered(b"0", b"126 telephone-event/8000", b"101 telephone-event/8000")
        self.assertIsNone(numbers)
        self.assertEqual("0 126", " ".join(each for each in formats.split() if each != "101"))

    def test_number_of_another(self) -> None:
        """Its number is that of another codec in the offer."""
        self.assertEqual(("0 126", {"126": "111"}), self.numbered(b"0", b"111 telephone-event/8000"))

        formats, _ = self.numbered(b"0", b"111 telephone-event/16000")
        self.assertEqual("0", formats, "nobody could tell it from opus")

    def test_swapped(self) -> None:
        """Two codecs have each other's number, or three are moved by one."""
        self.assertEqual(
            ("111 110", {"111": "110", "110": "111"}),
            self.numbered(b"110 opus/48000/2", b"111 telephone-event/48000"),
        )
        self.assertEqual(
            ("111 110 126", {"111": "110", "110": "126", "126": "111"}),
            self.numbered(b"110 opus/48000/2", b"126 telephone-event/48000", b"111 telephone-event/8000"),
        )

    def test_codec_twice(self) -> None:
        """Of several payload types of one codec, it is the one with the same parameters (RFC 6184 section 8.2.2, RFC
        4588 section 8.1)."""
        offer = (
            b"m=video 5 RTP/AVP 102 103 125 107\r\na=rtpmap:102 H264/90000\r\n"
            b"a=fmtp:102 packetization-mode=1;profile-level-id=42001f\r\n"
            b"a=rtpmap:103 rtx/90000\r\na=fmtp:103 apt=102\r\n"
            b"a=rtpmap:125 H264/90000\r\na=fmtp:125 packetization-mode=0;profile-level-id=42e01f\r\n"
            b"a=rtpmap:107 rtx/90000\r\na=fmtp:107 apt=125\r\n"
        )
        answer = (
            b"m=video 5 RTP/AVP 98 99\r\na=rtpmap:98 H264/90000\r\na=rtpmap:99 rtx/90000\r\na=fmtp:99 apt=98\r\n"
            b"a=fmtp:98 profile-level-id=42E01F; packetization-mode=0\r\n"
        )
        (media,) = self.fitted(answer, offer).media
        self.assertEqual((["125", "107"], {"125": "98", "107": "99"}), (media.formats, media.numbers))
        self.assertIn(("fmtp", "107 apt=125"), media.of_formats)

    def test_what_is_said_of_formats(self) -> None:
        """Parameters and feedback follow, and what they say of other formats."""
        (media,) = read(
            b"m=video 5002 RTP/AVP 96 97 98\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\n"
            b"a=fmtp:97 apt=96;rtx-time=96\r\na=rtcp-fb:96 nack\r\na=rtcp-fb:* ccm fir\r\n"
            b"a=rtpmap:98 red/90000\r\na=fmtp:98 96/97/96\r\n"
        ).media
        media.renumber({"96": "100", "98": "97"})
        self.assertEqual(["100", "97"], media.formats)
        self.assertEqual({"100": "VP8/90000", "97": "red/90000"}, media.codecs)
        self.assertEqual(
            {("rtcp-fb", "100 nack"), ("rtcp-fb", "* ccm fir"), ("fmtp", "97 100/97/100")}, set(media.of_formats)
        )
        (media,) = read(
            b"m=video 5 RTP/AVP 96 97\r\na=rtpmap:96 VP8/90000\r\na=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n"
        ).media
        media.renumber({"96": "100"})
        self.assertIn(("fmtp", "97 apt=100"), media.of_formats)


class OfferTests(SynchronousTestCase):
    """An offer with the numbers of its answer, and that answer."""

    def both(self, offer: bytes, *codecs: bytes) -> list[dict[str, str]]:
        """The codecs of an offer and of the answer with these, as they are told together."""
        offered = read(offer)
        sent = b"".join(b"a=rtpmap:" + codec + b"\r\n" for codec in codecs)
        answer = read(b"m=audio 6000 RTP/AVP " + b" ".join(codec.split()[0] for codec in codecs) + b"\r\n" + sent)
        before = write(offered)
        fit(answer, read(NumberTests.OFFER + b"a=rtpmap:8 PCMA/8000\r\n"))
        numbered = as_numbered(offered, answer)
        use_numbers(answer)
        self.assertEqual(before, write(offered), "the offer itself is not touched")
        self.assertEqual([], complaints(write(numbered)) + complaints(write(answer)))
        return [each.media[0].codecs for each in (numbered, answer)]

    def test_events(self) -> None:
        """The codec has the answer's number in both."""
        offered, answer = self.both(NumberTests.OFFER, b"0 PCMU/8000", b"101 telephone-event/8000")
        self.assertEqual({"0": "PCMU/8000", "101": "telephone-event/8000"}, answer)
        self.assertEqual(["111", "0", "8", "110", "101"], list(offered))

    def test_swapped(self) -> None:
        """Each has the number of the other."""
        offered, answer = self.both(NumberTests.OFFER, b"110 opus/48000/2", b"111 telephone-event/48000")
        self.assertEqual({"110": "opus/48000/2", "111": "telephone-event/48000"}, answer)
        self.assertTrue(answer.items() <= offered.items())

    def test_displaced(self) -> None:
        """What has a number that the answer gives to another gets one that is free."""
        offered, answer = self.both(NumberTests.OFFER, b"0 PCMU/8000", b"110 telephone-event/8000")
        self.assertTrue(answer.items() <= offered.items())
        self.assertEqual("telephone-event/48000", offered["96"])

    def test_only_codec(self) -> None:
        """The number of the only codec that the offerer has stays its own; the answer then has those of the offer."""
        opus = NumberTests.OFFER.replace(b"111 0 8 ", b"111 ")
        offered, answer = self.both(opus, b"0 PCMU/8000", b"111 telephone-event/8000")
        self.assertEqual({"0": "PCMU/8000", "126": "telephone-event/8000"}, answer)
        self.assertEqual(["111", "110", "126"], list(offered))

    def test_offered_besides(self) -> None:
        """What only rtpengine has offered is added."""
        opus = b"m=audio 5000 RTP/AVP 126 110\r\na=rtpmap:126 opus/48000/2\r\na=rtpmap:110 telephone-event/48000\r\n"
        offered, answer = self.both(opus, b"0 PCMU/8000", b"101 telephone-event/8000")
        self.assertEqual("telephone-event/8000", answer["101"])
        self.assertEqual(
            {"126": "opus/48000/2", "110": "telephone-event/48000", "101": "telephone-event/8000"}, offered
        )

    def test_known(self) -> None:
        """By its numbers one answer is told from another."""
        same = read(AUDIO)
        fit(same, read(AUDIO))
        self.assertIsNone(numbers_in(same))
        other = read(AUDIO.replace(b"101", b"96"))
        fit(other, read(AUDIO))
        self.assertEqual([{"101": "96"}], numbers_in(other))
