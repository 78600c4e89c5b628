"""What is asked of descriptions on the way of a call, and how two of them compare."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.sdp.questions import has_only_formats_of, is_ice_restart, same_session

ONE = b"v=0\r\no=- 1 1 IN IP4 x\r\nm=audio 9 RTP/AVP 0 101\r\na=setup:actpass\r\na=ice-ufrag:u\r\na=ice-pwd:p\r\n"


class SameSessionTests(SynchronousTestCase):
    """`same_session`"""

    def test_ignored(self) -> None:
        """The version, the DTLS role, and a ptime that one of them lacks."""
        for other in (ONE, ONE.replace(b"1 1", b"1 2"), ONE.replace(b"actpass", b"active"), ONE + b"a=ptime:20\r\n"):
            self.assertTrue(same_session(ONE, other), other)
            self.assertTrue(same_session(other, ONE), other)

    def test_different(self) -> None:
        """Any other line, and a ptime where both have one."""
        for other in (ONE.replace(b" 9 ", b" 8 "), ONE + b"a=sendonly\r\n", ONE.replace(b"a=ice-pwd:p\r\n", b""), b""):
            self.assertFalse(same_session(ONE, other), other)
        self.assertFalse(same_session(ONE + b"a=ptime:20\r\n", ONE + b"a=ptime:30\r\n"))


class RestartTests(SynchronousTestCase):
    """`is_ice_restart` (RFC 8839 section 4.4.3.1.1)"""

    def test_restart(self) -> None:
        """Credentials that are gone; those that come to them, or that never were, say nothing."""
        self.assertFalse(is_ice_restart(ONE, ONE))
        self.assertTrue(is_ice_restart(ONE.replace(b"pwd:p", b"pwd:q"), ONE))
        self.assertTrue(is_ice_restart(ONE.replace(b"ufrag:u", b"ufrag:v"), ONE))
        self.assertFalse(is_ice_restart(ONE + b"m=video 9 x 0\r\na=ice-ufrag:w\r\n", ONE))
        self.assertFalse(is_ice_restart(ONE, b"v=0\r\n"))


class FormatTests(SynchronousTestCase):
    """`has_only_formats_of` (RFC 3264 section 6.1)"""

    def test_subset(self) -> None:
        """Fewer formats are an answer; another one, in any medium, is none; media that only one has do not count."""
        self.assertTrue(has_only_formats_of(ONE, ONE))
        self.assertTrue(has_only_formats_of(ONE.replace(b" 101", b""), ONE))
        self.assertFalse(has_only_formats_of(ONE.replace(b" 101", b" 8"), ONE))
        video = b"m=video 9 RTP/AVP 96\r\n"
        self.assertTrue(has_only_formats_of(ONE + video, ONE))
        self.assertFalse(has_only_formats_of(ONE + video, ONE + video.replace(b"96", b"97")))
