"""What is made of a description on its way (RFC 3264 section 6; corners.rst 3: m-lines)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import lines
from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp.rewriting import (
    as_offer,
    offer_from_nowhere,
    refuse_all,
    sent_nowhere,
)


class RefuseAllTests(SynchronousTestCase):
    """`refuse_all`"""

    def test_each_line(self) -> None:
        """Every m-line of an offer is refused, in its place (RFC 3264 section 6)."""
        offer = b"v=0\r\nm=audio 9 RTP/AVP 0 8\r\na=x\r\nm=video 9/2 RTP/AVP 96\r\nm=image 5 udptl t38\nm=x 0\n"
        answer = refuse_all(offer)
        self.assertEqual(
            ["m=audio 0 RTP/AVP 0", "m=video 0 RTP/AVP 0", "m=image 0 udptl t38", "m=x 0 RTP/AVP 0"],
            lines(answer, "m="),
        )
        self.assertEqual([], complaints(answer))

    def test_odd(self) -> None:
        """What can't be read has no media to refuse."""
        for odd in (b"", b"v=0", b"m=", b"m=audio 9 x 0\n" * 3000):
            self.assertTrue(refuse_all(odd).endswith(b"s=-\r\nt=0 0\r\n"))


class NowhereTests(SynchronousTestCase):
    """`sent_nowhere` (docs/access.rst: media)."""

    def test_all_addresses(self) -> None:
        """Of the session, of each medium, of RTCP, IPv6 or a host name: none of them is left."""
        sdp = (
            b"v=0\r\no=- 1 1 IN IP4 192.0.2.1\r\nc=IN IP4 far.example\r\nm=audio 5000/2 RTP/AVP 0\r\na=rtcp:5003\r\n"
            b"m=video 5004 RTP/AVP 96\r\nc=IN IP6 2001:db8::1\r\na=sendonly\r\na=rtpmap:96 VP8/90000\r\n"
        )
        nowhere = sent_nowhere(sdp)
        self.assertEqual(["m=audio 9 RTP/AVP 0", "m=video 9 RTP/AVP 96"], lines(nowhere, "m="))
        self.assertEqual(["c=IN IP4 127.0.0.1", "c=IN IP6 ::1"], lines(nowhere, "c="))
        self.assertEqual(["a=sendrecv", "a=sendonly"], lines(nowhere, "a=send"))
        for left in (b"192.0.2.1", b"far", b"2001", b"500"):
            self.assertNotIn(left, nowhere)

    def test_held(self) -> None:
        """What is on hold the old way (RFC 3264 section 8.4) or refused stays so; what can't be read stays as it is."""
        held = sent_nowhere(b"c=IN IP4 0.0.0.0\r\nm=audio 5000 RTP/AVP 0\r\nm=video 0 RTP/AVP 96\r\n")
        self.assertEqual(["c=IN IP4 0.0.0.0"] * 2, lines(held, "c="))
        self.assertEqual(["m=audio 9 RTP/AVP 0", "m=video 0 RTP/AVP 0"], lines(held, "m="))
        for sdp in (b"", b"v=0"):
            self.assertEqual(sdp, sent_nowhere(sdp))

    def test_offer(self) -> None:
        """An offer of the proxy's own, from an address at which nobody is."""
        self.assertEqual([], complaints(offer_from_nowhere()))
        self.assertEqual(["m=audio 9 RTP/AVP 0"], lines(offer_from_nowhere(), "m="))


class RoleTests(SynchronousTestCase):
    """`as_offer`: the DTLS role (RFC 8842 section 5)."""

    def test_roles(self) -> None:
        """An offer leaves it open."""
        for role in (b"active", b"passive", b"actpass"):
            self.assertEqual(as_offer(b"a=setup:%b\r\n" % role), b"a=setup:actpass\r\n")
