"""What is made of a description on its way (RFC 3264 section 6; corners.rst 3: m-lines)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import sample
from webrtcproxy.sip.sdp.description import SessionDescription
from webrtcproxy.sip.sdp.questions import m_lines
from webrtcproxy.sip.sdp.rewriting import (
    as_answer,
    as_offer,
    complete_answer,
    refuse_all,
    reject_media,
    sent_nowhere,
    with_valid_version,
    without_attributes,
)

AUDIO = b"v=0\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\n"
VIDEO = b"m=video 9 RTP/AVP 96 97\r\na=mid:1\r\n"
REFUSED = b"m=video 0 RTP/AVP 96 97\r\nc=IN IP4 0.0.0.0\r\n"


class RejectMediaTests(SynchronousTestCase):
    """`reject_media`; what it makes of browsers' offers is in test_profile."""

    def test_odd_lines(self) -> None:
        """Lines that are no m-lines, and m-lines that are none: nothing raises, nothing else changes."""
        for sdp in (b"m=video", b"m=video 5", b"a=x m=video 5 x 0\r\nb=AS:1", b"m=videos 5 x 0\r\na=y", b""):
            self.assertEqual(reject_media(sdp, (b"video",)), sdp)
        self.assertEqual(
            reject_media(b"m=video 5 x 0\na=y\nm=audio 6 x 0\na=z", (b"video",)), b"m=video 0 x 0\nm=audio 6 x 0\na=z"
        )


class VersionTests(SynchronousTestCase):
    """`with_valid_version`"""

    def version(self, version: str, after: str = "\r\ns=-\r\n") -> bytes:
        return f"v=0\r\no=- 5598042933852603138 {version} IN IP4 192.0.2.1{after}".encode()

    def test_too_large(self) -> None:
        """A version of 2**62 or more is out of what RFC 3264 section 5 allows, and of what Firefox reads."""
        for version, valid in (
            (2**62, 0), (10264682549600763531, 10264682549600763531 - 2 * 2**62), (2**64 - 1, 2**62 - 1),
        ):  # fmt: skip
            self.assertEqual(with_valid_version(self.version(str(version))), self.version(str(valid)))

    def test_steps(self) -> None:
        """An increase by one stays one, and what is equal stays equal (RFC 3264 section 8)."""
        one, other = (with_valid_version(self.version(str(2**63 + step))) for step in (5, 6))
        self.assertEqual((one, other), (self.version("5"), self.version("6")))

    def test_valid(self) -> None:
        """Any other line stays as it is, and what is none raises nothing."""
        for version in ("0", "1", str(2**62 - 1), "x" * 30, "-" + "9" * 25, ""):
            self.assertEqual(with_valid_version(self.version(version)), self.version(version))
        for sdp in (b"", b"v=0\r\n", b"o=", b"v=0\r\no=" + b"9" * 30, b"v=0\r\no= IN ", b"v=0\r\ns=o=- 1 2 IN "):
            self.assertEqual(with_valid_version(sdp), sdp)
        hidden = b"v=0\r\ns=- IN\r\na=x:" + self.version(str(2**63))
        self.assertEqual(with_valid_version(hidden), hidden)


class CompleteTests(SynchronousTestCase):
    """`complete_answer`"""

    def test_left_out(self) -> None:
        """What is missing at the end is refused there."""
        offered = m_lines(AUDIO + VIDEO + VIDEO)
        self.assertEqual(complete_answer(AUDIO, offered), AUDIO + REFUSED + REFUSED)
        self.assertEqual(complete_answer(AUDIO + VIDEO, offered), AUDIO + VIDEO + REFUSED)

    def test_without_an_end(self) -> None:
        """The last line of an answer may lack its end, above all within multipart (RFC 2046 section 5.1.1)."""
        offered = m_lines(AUDIO + VIDEO)
        for end in (b"", b"\r", b"\n"):
            self.assertEqual(
                complete_answer(AUDIO.removesuffix(b"\r\n") + end, offered).splitlines(), (AUDIO + REFUSED).splitlines()
            )

    def test_complete(self) -> None:
        """What is complete stays as it is, and what was about one medium only costs nothing."""
        for offer in (AUDIO, AUDIO + VIDEO, b"", sample("chromium-audio"), sample("chromium-video")):
            self.assertEqual(complete_answer(offer, m_lines(offer)), offer)
        self.assertEqual(m_lines(AUDIO), ())
        self.assertEqual(len(m_lines(sample("chromium-video"))), 2)

    def test_odd(self) -> None:
        """Where it is not clear what is missing, nothing is made up: another order, nothing at all, more than asked."""
        offered = m_lines(AUDIO + VIDEO)
        for answer in (b"", b"v=0\r\n", b"v=0\r\n" + VIDEO, AUDIO + VIDEO + VIDEO, AUDIO + AUDIO):
            self.assertEqual(complete_answer(answer, offered), answer)
        self.assertEqual(complete_answer(AUDIO, m_lines(AUDIO + b"m=video 9\r\n")), AUDIO)


class RefuseAllTests(SynchronousTestCase):
    """`refuse_all`"""

    def test_each_line(self) -> None:
        """Every m-line of an offer is refused, in its place, with its formats (RFC 3264 section 6)."""
        offer = b"v=0\r\no=- 1 1 IN IP4 x\r\ns=-\r\nt=0 0\r\nm=audio 9 RTP/AVP 0 8\r\na=x\r\nm=video 9/2 RTP/AVP 96\r\n"
        answer = refuse_all(offer)
        self.assertEqual([line for line in answer.split(b"\r\n") if line.startswith(b"m=")],
                         [b"m=audio 0 RTP/AVP 0 8", b"m=video 0 RTP/AVP 96"])  # fmt: skip
        self.assertEqual(SessionDescription(answer).kinds, ())
        self.assertTrue(answer.startswith(b"v=0\r\no=") and answer.endswith(b"\r\n"))

    def test_odd(self) -> None:
        """An m= line without port or protocol has its place in the answer, too; many are bounded work."""
        self.assertTrue(refuse_all(b"m=audio 9\nm=video\n").endswith(b"t=0 0\r\nm=audio 0 \r\nm=video 0 \r\n"))
        self.assertEqual(refuse_all(b"m=audio 9 x 0\n" * 3000).count(b"m=audio 0 x 0\r\n"), 2000)


class AttributeTests(SynchronousTestCase):
    """`without_attributes`"""

    def test_by_name(self) -> None:
        """Flags and values of these names go, at both levels; longer names, other lines and line ends stay."""
        sdp = b"v=0\r\na=mid:9\r\na=midi:1\nm=audio 9 x 0\r\na=mid\r\na= mid :1\r\nb=mid:1\r\na=sendrecv"
        kept = b"v=0\r\na=midi:1\nm=audio 9 x 0\r\nb=mid:1\r\na=sendrecv"
        self.assertEqual(without_attributes(sdp, frozenset((b"mid",))), kept)


class NowhereTests(SynchronousTestCase):
    """`sent_nowhere` (docs/access.rst: media)."""

    def test_all_addresses(self) -> None:
        """Of the session, of each medium, of RTCP, IPv6 or a host name: none of them is left."""
        sdp = (
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 far.example\r\nm=audio 5000/2 RTP/AVP 0\r\na=rtcp:5003\r\n"
            b"m=video 5004 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\na=sendonly\r\n"
        )
        self.assertEqual(
            sent_nowhere(sdp),
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 127.0.0.1\r\nm=audio 9 RTP/AVP 0\r\n"
            b"m=video 9 RTP/AVP 96\r\nc=IN IP6 ::1\r\na=sendonly\r\n",
        )

    def test_held(self) -> None:
        """What is on hold the old way (RFC 3264 section 8.4) or rejected stays so; odd lines stay as they are."""
        for sdp in (b"c=IN IP4 0.0.0.0\r\nm=audio 0 RTP/AVP 0\r\n", b"c=IN IP6 ::\r\n", b"m=audio\r\nc=\r\n", b""):
            self.assertEqual(sent_nowhere(sdp), sdp)


class RoleTests(SynchronousTestCase):
    """`as_offer` and `as_answer`: the DTLS role (RFC 8842 section 5)."""

    def test_roles(self) -> None:
        """An offer leaves it open; an answer made of an open one is active, one that has decided stays."""
        for role in (b"active", b"passive", b"actpass"):
            self.assertEqual(as_offer(b"a=setup:%b\r\n" % role), b"a=setup:actpass\r\n")
        self.assertEqual(as_answer(b"a=setup:actpass\r\n"), b"a=setup:active\r\n")
        for decided in (b"a=setup:active\r\n", b"a=setup:passive\r\n", b"v=0\r\n"):
            self.assertEqual(as_answer(decided), decided)
