"""What `read` makes of payload types and of what is said about them (RFC 8866 section 6.6, RFC 3551)."""

from __future__ import annotations

from tests.sip.sdp.test_reading import CODECS, HEAD, PLAIN, ReadCase, audio
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write


class Codecs(ReadCase):
    """Payload types and what is said about them."""

    def test_static(self) -> None:
        """A static payload type needs no rtpmap, and an unreadable one does no harm (RFC 3551 section 6)."""
        for odd in (
            b"",
            b"a=rtpmap\r\n",
            b"a=rtpmap:\r\n",
            b"a=rtpmap:0\r\n",
            b"a=rtpmap: PCMU/8000\r\n",
            b"a=rtpmap:0 /0\r\n",
        ):
            self.same(PLAIN.replace(b"a=rtpmap:0 PCMU/8000\r\n", odd))

    def test_unnamed(self) -> None:
        """A dynamic one without is left out, with what is said about it: Chromium refuses the whole description."""
        for odd in (b"", b"\r\n", b"a=rtpmap:101 /0\r\n", b"a=rtpmap:\r\n", b"a=rtpmap:1000 telephone-event/8000\r\n"):
            medium = audio(PLAIN.replace(b"a=rtpmap:101 telephone-event/8000\r\n", odd))
            self.assertEqual((["0"], ["101"], []), (medium.formats, list(medium.unnamed), medium.of_formats))

    def test_left_out(self) -> None:
        """A rate that was left out is the usual one; opus has one form (RFC 7587 section 4.1)."""
        for codec, meant in (
            (b"telephone-event", "telephone-event/8000"), (b"telephone-event/", "telephone-event/8000"),
            (b"opus/48000", "opus/48000/2"), (b"OPUS/48000/1", "OPUS/48000/2"), (b"PCMU/8000/1", "PCMU/8000"),
            (b"L16/44100/2", "L16/44100/2"),
        ):  # fmt: skip
            described = audio(PLAIN.replace(b"telephone-event/8000", codec))
            self.assertEqual(meant, described.codecs["101"])
        video = HEAD + b"m=video 9 RTP/AVP 96\r\na=rtpmap:96 VP8\r\n"
        self.assertEqual({"96": "VP8/90000"}, audio(video).codecs)

    def test_static_with_another_name(self) -> None:
        """A static payload type is that of RFC 3551, whatever its rtpmap says."""
        for payload, odd, codec in (
            (9, b"G722/16000", "G722/8000"), (0, b"PCMU/8000/2", "PCMU/8000"), (8, b"G711A/8000", "PCMA/8000"),
            (0, b"G711U", "PCMU/8000"), (18, b"G729A/8000", "G729/8000"), (4, b"G7231/8000", "G723/8000"),
            (3, b"gsm/16000", "GSM/8000"), (8, b"PCMA/16000/1", "PCMA/8000"), (13, b"CN/16000", "CN/8000"),
            (10, b"L16/44100", "L16/44100/2"), (34, b"H263", "H263/90000"),
        ):  # fmt: skip
            sdp = HEAD + b"m=audio 9 RTP/AVP %d\r\na=rtpmap:%d %b\r\n" % (payload, payload, odd)
            self.assertEqual({str(payload): codec}, audio(sdp).codecs)
        wide = HEAD + b"m=audio 9 RTP/AVP 96 97\r\na=rtpmap:96 G722/16000\r\na=rtpmap:97 L16/16000\r\n"
        self.assertEqual({"96": "G722/8000", "97": "L16/16000"}, audio(wide).codecs)

    def test_behind_the_codec(self) -> None:
        """What stands after a codec is left out; a codec whose rate can't be read, with that."""
        for odd in (
            b"/8000;", b"/8000 foo", b"/8000.0", b"/8000/1/", b"/8000/", b"/8000//", b"/8000,", b"/8000 ; x=y",
            b" 8000", b"/8000Hz", b"/08000", b"/8000/1;", b"/8000.0/1", b";", b" foo", b", x", b"/", b"/;", b"/8000/0",
        ):  # fmt: skip
            self.same(PLAIN.replace(b"telephone-event/8000", b"telephone-event" + odd))
        self.same(PLAIN.replace(b"PCMU/8000", b"PCMU/x"), PLAIN.replace(b"PCMU/8000", b"PCMU/8000 foo"))
        for odd in (b"/x", b"/0", b"/8000000", b"/-1", b"!/8000", b":8000"):
            self.assertEqual(
                ["0"], audio(PLAIN.replace(b"telephone-event/8000", b"telephone-event" + odd)).formats, odd
            )
        two = HEAD + b"m=audio 9 RTP/AVP 97\r\na=rtpmap:97 L16/16000/2 x\r\n"
        self.assertEqual({"97": "L16/16000/2"}, audio(two).codecs)

    def test_of_the_session(self) -> None:
        """What stands before all media is that of each that says nothing of it."""
        common = CODECS + b"a=ptime:30\r\na=rtpmap:96 VP8/90000\r\na=fmtp:96 x=y\r\n"
        own = b"m=audio 5002 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/16000\r\na=fmtp:101 0-11\r\na=ptime:20\r\n"
        video = b"m=video 5004 RTP/AVP 96\r\n"
        first, second, third = read(HEAD + common + b"m=audio 5000 RTP/AVP 0 101\r\n" + own + video).media
        self.assertEqual({"0": "PCMU/8000", "101": "telephone-event/8000"}, first.codecs)
        self.assertEqual(([("fmtp", "101 0-16")], [("ptime", "30")]), (first.of_formats, first.attributes))
        self.assertEqual("telephone-event/16000", second.codecs["101"])
        self.assertEqual(([("fmtp", "101 0-11")], [("ptime", "20")]), (second.of_formats, second.attributes))
        self.assertEqual(({"96": "VP8/90000"}, [("fmtp", "96 x=y")]), (third.codecs, third.of_formats))
        half = (
            HEAD
            + b"a=fmtp:97 a=b\r\nm=audio 9 RTP/AVP 96 97\r\na=fmtp:96 c=d\r\n"
            + b"a=rtpmap:96 A/8000\r\na=rtpmap:97 B/8000\r\n"
        )
        self.assertEqual([("fmtp", "96 c=d"), ("fmtp", "97 a=b")], audio(half).of_formats)

    def test_twice(self) -> None:
        """A payload type or an rtpmap twice: the first counts; what is said about absent ones is left out."""
        more = (
            CODECS + b"a=rtpmap:0 PCMA/8000\r\na=rtpmap:99 X/8000\r\na=fmtp:98 a=b\r\na=rtcp-fb:98 nack\r\na=fmtp:\r\n"
        )
        self.same(PLAIN.replace(CODECS, more), PLAIN.replace(b"AVP 0 101", b"AVP 0 101 0 0101 00 200 x"))

    def test_no_payload_type(self) -> None:
        """A medium without any usable one is written as refused, since a browser takes no other (field.rst B:
        Descriptions that browsers refuse)."""
        for formats in (b"", b" 101", b" 255", b" *"):
            described = read(PLAIN + b"m=video 9 RTP/AVP" + formats + b"\r\n")
            self.assertFalse(described.media[1].is_usable)
            self.assertIn(b"m=video 0 RTP/AVP 0\r\n", write(described))

    def test_other_protocols(self) -> None:
        """Formats of other protocols are words."""
        more = b"m=message 5 TCP/MSRP *\r\na=path:msrp://h:5/x;tcp\r\nm=image 6 udptl t38\r\na=T38FaxVersion:0\r\n"
        _, message, image = read(PLAIN + more).media
        self.assertEqual((["*"], [("path", "msrp://h:5/x;tcp")]), (message.formats, message.attributes))
        self.assertEqual((["t38"], [("T38FaxVersion", "0")]), (image.formats, image.attributes))
