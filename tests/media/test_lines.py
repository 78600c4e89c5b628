"""m-lines that are refused, and those that an answer has left out (RFC 3264 section 6; corners.rst 3: m-lines)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import sample
from webrtcproxy.media.lines import complete, lines_of, without

AUDIO = b"v=0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
VIDEO = b"m=video 9 RTP/AVP 96 97\r\na=mid:1\r\n"
REFUSED = b"m=video 0 RTP/AVP 96 97\r\nc=IN IP4 0.0.0.0\r\n"


class WithoutTests(SynchronousTestCase):
    """`without`; what it makes of browsers' offers is in test_profile."""

    def test_odd_lines(self) -> None:
        """Lines that are no m-lines, and m-lines that are none: nothing raises, nothing else changes."""
        for sdp in (b"m=video", b"m=video 5", b"a=x m=video 5 x 0\r\nb=AS:1", b"m=videos 5 x 0\r\na=y", b""):
            self.assertEqual(without(sdp, (b"m=video ",)), sdp)
        self.assertEqual(
            without(b"m=video 5 x 0\na=y\nm=audio 6 x 0\na=z", (b"m=video ",)), b"m=video 0 x 0\nm=audio 6 x 0\na=z"
        )


class CompleteTests(SynchronousTestCase):
    """`complete`"""

    def test_left_out(self) -> None:
        """What is missing at the end is refused there."""
        offered = lines_of(AUDIO + VIDEO + VIDEO)
        self.assertEqual(complete(AUDIO, offered), AUDIO + REFUSED + REFUSED)
        self.assertEqual(complete(AUDIO + VIDEO, offered), AUDIO + VIDEO + REFUSED)

    def test_without_an_end(self) -> None:
        """The last line of an answer may lack its end, above all within multipart (RFC 2046 section 5.1.1)."""
        offered = lines_of(AUDIO + VIDEO)
        for end in (b"", b"\r", b"\n"):
            self.assertEqual(
                complete(AUDIO.removesuffix(b"\r\n") + end, offered).splitlines(), (AUDIO + REFUSED).splitlines()
            )

    def test_complete(self) -> None:
        """What is complete stays as it is, and what was about one medium only costs nothing."""
        for offer in (AUDIO, AUDIO + VIDEO, b"", sample("chromium-audio"), sample("chromium-video")):
            self.assertEqual(complete(offer, lines_of(offer)), offer)
        self.assertEqual(lines_of(AUDIO), ())
        self.assertEqual(len(lines_of(sample("chromium-video"))), 2)

    def test_odd(self) -> None:
        """Where it is not clear what is missing, nothing is made up: another order, nothing at all, more than asked."""
        offered = lines_of(AUDIO + VIDEO)
        for answer in (b"", b"v=0\r\n", b"v=0\r\n" + VIDEO, AUDIO + VIDEO + VIDEO, AUDIO + AUDIO):
            self.assertEqual(complete(answer, offered), answer)
        self.assertEqual(complete(AUDIO, lines_of(AUDIO + b"m=video 9\r\n")), AUDIO)
