"""What is written for the peers (RFC 8866, RFC 3264)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import lines, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import Origin, write


class Written(SynchronousTestCase):
    def test_whole(self) -> None:
        """To the letter: the order of RFC 8866 section 9, CRLF, an address for each medium."""
        sdp = read(
            b"b=CT:500\nm=audio 9 RTP/AVP 101 0\nc=IN IP6 ::1\na=inactive\nb=AS:64\na=ptime:20\n"
            b"a=rtpmap:101 telephone-event/8000\na=fmtp:101 0-16\nm=video 0 x y\na=mid:v\n"
            b"m=application 5 UDP/DTLS/SCTP webrtc-datachannel"
        )
        self.assertEqual(
            b"v=0\r\no=- 7 8 IN IP6 ::1\r\ns=-\r\nb=CT:500\r\nt=0 0\r\n"
            b"m=audio 9 RTP/AVP 101 0\r\nc=IN IP6 ::1\r\nb=AS:64\r\na=rtpmap:101 telephone-event/8000\r\n"
            b"a=rtpmap:0 PCMU/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=inactive\r\n"
            b"m=video 0 x y\r\nc=IN IP4 0.0.0.0\r\na=mid:v\r\n"
            b"m=application 5 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\n",
            write(sdp, 7, 8),
        )
        self.assertEqual([], complaints(write(sdp)))

    def test_all_refused(self) -> None:
        """Nothing is left: the origin is nowhere."""
        self.assertIn(b"IN IP4 0.0.0.0\r\ns=-\r\n", write(read(b"m=audio 0 RTP/AVP 0")))


class Origins(SynchronousTestCase):
    """The origin of what a leg is sent is the proxy's own (field.rst X1: Session version)."""

    def test_tags(self) -> None:
        """It knows the first medium of each group that was told last (field.rst X15: Bundled media)."""
        origin, one = (
            Origin(),
            read(
                b"a=group:BUNDLE 0 1\na=group:BUNDLE 2\na=group:BUNDLE x\na=ice-lite\n"
                + b"".join(b"m=audio 9 RTP/AVP 0\na=mid:%d\n" % mid for mid in range(3))
            ),
        )
        self.assertIsNone(origin.tags)
        origin.write(one)
        self.assertEqual(["0", "2"], origin.tags)
        origin.write(read(sample("trunk")))
        self.assertEqual([], list(origin.tags or ()))
        self.assertIsNotNone(origin.tags)

    def written(self, origin: Origin, sdp: bytes) -> list[str]:
        (line,) = lines(origin.write(read(sdp)), "o=")
        return line.split()

    def test_version(self) -> None:
        """It starts low, and is increased by one when and only when something else has changed (RFC 3264 section 8);
        a return to what was before is a change."""
        origin, one = Origin(), sample("trunk")
        other = one.replace(b"a=ptime:20", b"a=ptime:30")
        versions = [self.written(origin, sdp)[2] for sdp in (one, one, other, other, one)]
        self.assertEqual(["1", "1", "2", "2", "3"], versions)

    def test_role(self) -> None:
        """The DTLS role makes no other session: an offer leaves it open, an answer does not (RFC 8842 section 5)."""
        origin, one = Origin(), sample("chromium-audio")
        for role in (b"actpass", b"passive", b"active", b"actpass"):
            self.assertEqual("1", self.written(origin, one.replace(b"a=setup:actpass", b"a=setup:" + role))[2])

    def test_of_the_peer(self) -> None:
        """Neither its version, nor its session, nor its name comes through."""
        origin, sdp = Origin(), sample("trunk")
        odd = sdp.replace(lines(sdp, "o=")[0].encode(), b"o=me 99999999999999999999999 17673590808413070421 IN IP4 x")
        self.assertEqual(self.written(origin, sdp), self.written(origin, odd))

    def test_session(self) -> None:
        """One for each leg, the same throughout, below 2**62 (RFC 3264 section 5)."""
        origins = [Origin() for _ in range(50)]
        sessions = {self.written(origin, sample("trunk"))[1] for origin in origins for _ in range(2)}
        self.assertEqual(50, len(sessions))
        self.assertTrue(all(int(each) < 2**62 for each in sessions))
