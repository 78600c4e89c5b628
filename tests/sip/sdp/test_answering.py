"""What makes a description an answer to an offer (RFC 3264 section 6)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.strict_sdp import complaints
from webrtcproxy.sip.sdp.answering import fit
from webrtcproxy.sip.sdp.description import Description
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write

AUDIO = (
    b"m=audio 5000 RTP/AVP 111 0 101\r\na=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\na=mid:a\r\n"
)
VIDEO = b"m=video 5002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\na=mid:v\r\n"


class FitTests(SynchronousTestCase):
    def fitted(self, answer: bytes, offer: bytes) -> Description:
        """The answer as it is after."""
        described = read(answer)
        fit(described, read(offer))
        self.assertEqual([], complaints(write(described)))
        return described

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
        answer = b"m=audio 5000 RTP/AVP 111 101 99\r\n"
        self.assertEqual(["audio 5000 111 101"], self.media(answer, AUDIO))
