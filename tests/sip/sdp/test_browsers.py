"""What is left out of a medium since browsers would refuse the whole description (field.rst B: Descriptions that
browsers refuse)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.sip.sdp.test_reading import HEAD
from webrtcproxy.sip.sdp.browsers import keep_what_browsers_take
from webrtcproxy.sip.sdp.description import Media
from webrtcproxy.sip.sdp.reading import read


def kept(line: bytes, *attributes: bytes) -> Media:
    """What a browser may be told of a medium."""
    media = read(HEAD + b"\r\na=".join([line, *attributes]) + b"\r\n").media[0]
    keep_what_browsers_take(media)
    return media


class Reserved(SynchronousTestCase):
    """Payload types that are reserved (RFC 3551 section 6), and those that RTCP has (RFC 5761 section 4)."""

    def test_left_out(self) -> None:
        """Many phones have G726-32 at 2. All others keep their numbers, and what is said about them."""
        media = kept(
            b"m=audio 5000 RTP/AVP 8 2 101", b"rtpmap:2 G726-32/8000", b"rtpmap:101 telephone-event/8000",
            b"fmtp:101 0-16", b"fmtp:2 x",
        )  # fmt: skip
        self.assertEqual(["8", "101"], media.formats)
        self.assertEqual([("fmtp", "101 0-16")], media.of_formats)

    def test_numbers(self) -> None:
        """Which they are."""
        for number in (1, 2, 19, *range(64, 96)):
            media = kept(b"m=audio 5000 RTP/AVP 0 %d" % number, b"rtpmap:%d x/8000" % number)
            self.assertEqual(["0"], media.formats)
        for number in (*range(35, 64), *range(96, 128)):
            media = kept(b"m=audio 5000 RTP/AVP 0 %d" % number, b"rtpmap:%d x/8000" % number)
            self.assertEqual(["0", str(number)], media.formats)

    def test_nothing_left(self) -> None:
        """A medium that has only events left is refused, nobody would hear anything; so is one without pictures."""
        events = b"rtpmap:101 telephone-event/8000"
        self.assertTrue(kept(b"m=audio 5000 RTP/AVP 2 101", b"rtpmap:2 G726-32/8000", events).is_refused)
        self.assertTrue(kept(b"m=video 5000 RTP/AVP 70", b"rtpmap:70 VP8/90000").is_refused)
        self.assertTrue(kept(b"m=video 5000 RTP/AVP 98", b"rtpmap:98 red/90000").is_refused)


class Channels(SynchronousTestCase):
    """Chromium knows at most 16 channels of sound (its message says so)."""

    def test_left_out(self) -> None:
        """What has more is left out of sound; others keep their numbers. Of pictures nobody counts them (field.rst
        B: Descriptions that browsers refuse)."""
        for channels, formats in (
            (b"2", ["0", "97"]), (b"9", ["0", "97"]), (b"16", ["0", "97"]), (b"17", ["0"]), (b"99", ["0"]),
        ):  # fmt: skip
            media = kept(b"m=audio 5000 RTP/AVP 0 97", b"rtpmap:97 L16/8000/" + channels, b"fmtp:97 x")
            self.assertEqual(formats, media.formats, channels)
            self.assertEqual(len(formats) - 1, len(media.of_formats))
        self.assertEqual(["0", "97"], kept(b"m=audio 5000 RTP/AVP 0 97", b"rtpmap:97 FOO/99").formats)
        self.assertEqual(["97"], kept(b"m=video 5000 RTP/AVP 97", b"rtpmap:97 VP8/90000/99").formats)
        self.assertTrue(kept(b"m=audio 5000 RTP/AVP 97", b"rtpmap:97 L16/8000/99").is_refused)


class Repeats(SynchronousTestCase):
    """Repeated packets (RFC 4588) are those of another payload type that is there."""

    def test_of_one_that_is_there(self) -> None:
        """These stay."""
        for said in (b"apt=96", b"rtx-time=200; apt=96", b"APT = 96;rtx-time=200", b"apt=96;"):
            media = kept(
                b"m=video 5000 RTP/AVP 97 96", b"rtpmap:96 VP8/90000", b"rtpmap:97 rtx/90000", b"fmtp:97 " + said
            )
            self.assertEqual(["97", "96"], media.formats, said)

    def test_of_none(self) -> None:
        """Without apt, of themselves, of what is not there, of corrections of errors: left out."""
        codecs = (b"rtpmap:96 VP8/90000", b"rtpmap:97 RTX/90000", b"rtpmap:98 ulpfec/90000")
        for said in (b"rtx-time=200", b"apt=97", b"apt=98", b"apt=99", b"apt=", b"apt=x"):
            media = kept(b"m=video 5000 RTP/AVP 96 97 98", *codecs, b"fmtp:97 " + said)
            self.assertEqual(["96", "98"], media.formats, said)
            self.assertEqual([], media.of_formats)
        self.assertEqual(["96", "98"], kept(b"m=video 5000 RTP/AVP 96 97 98", *codecs).formats)

    def test_other_media(self) -> None:
        """What is not carried in RTP has no payload types."""
        self.assertEqual(["webrtc-datachannel"], kept(b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel").formats)
