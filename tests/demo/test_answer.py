"""webrtcproxy/demo/answer.py: the echo's half of offer and answer."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.demo.answer import EchoAnswer, answer, offer

OFFER = b"""v=0\r
o=- 1 1 IN IP4 127.0.0.1\r
s=-\r
c=IN IP4 127.0.0.1\r
t=0 0\r
m=audio 30000 RTP/AVP 111 0 8 63 101 110\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-16\r
a=rtpmap:110 telephone-event/48000\r
a=sendrecv\r
"""


def lines(text: bytes, *, host: str = "127.0.0.1") -> list[str]:
    found = answer(text, host, 24000, 7, 1)
    assert found is not None
    return found.body.decode().split("\r\n")


class AnswerTest(SynchronousTestCase):
    def test_whole(self) -> None:
        """The offered payload numbers come back, so that a packet may return as it came; `red` is not ours (RFC 3264
        section 6.1)."""
        self.assertEqual(
            lines(OFFER),
            [
                "v=0",
                "o=- 7 1 IN IP4 127.0.0.1",
                "s=-",
                "t=0 0",
                "m=audio 24000 RTP/AVP 111 0 8 101 110",
                "c=IN IP4 127.0.0.1",
                "a=rtpmap:111 opus/48000/2",
                "a=rtpmap:0 PCMU/8000",
                "a=rtpmap:8 PCMA/8000",
                "a=rtpmap:101 telephone-event/8000",
                "a=rtpmap:110 telephone-event/48000",
                "a=fmtp:111 minptime=10;useinbandfec=1",
                "a=fmtp:101 0-16",
                "a=sendrecv",
                "",
            ],
        )

    def test_media_lines_keep_number_and_order(self) -> None:
        """As many m= lines as offered, in their order, refused ones with port 0 (RFC 3264 section 6)."""
        video = b"m=video 30002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        secure = b"m=audio 30004 RTP/SAVP 0\r\n"
        head, audio = OFFER.split(b"m=audio", 1)
        found = lines(head + secure + video + b"m=audio" + audio + b"m=audio 30006 RTP/AVP 0\r\n")
        expected = [
            "audio 0 RTP/SAVP 0",
            "video 0 RTP/AVP 0",
            "audio 24000 RTP/AVP 111 0 8 101 110",
            "audio 0 RTP/AVP 0",
        ]
        self.assertEqual([line[2:] for line in found if line.startswith("m=")], expected)

    def test_directions(self) -> None:
        """sendonly is answered recvonly and the echo falls silent; the session level counts where the media level says
        nothing (RFC 3264 section 6.1)."""
        rows = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}
        for offered, expected in rows.items():
            for text in (
                OFFER.replace(b"a=sendrecv", f"a={offered}".encode()),
                OFFER.replace(b"a=sendrecv\r\n", b"").replace(b"t=0 0\r\n", f"t=0 0\r\na={offered}\r\n".encode()),
            ):
                found = answer(text, "127.0.0.1", 24000, 7, 1)
                assert isinstance(found, EchoAnswer)
                self.assertIn(f"a={expected}\r\n".encode(), found.body)
                self.assertEqual(found.sends, expected in ("sendrecv", "sendonly"))

    def test_nothing_in_common(self) -> None:
        """No audio, unknown codecs only, digits only, secure only, switched off: no answer (488)."""
        for text in (
            b"",
            b"v=0\r\n",
            OFFER.replace(b"m=audio", b"m=video"),
            OFFER.replace(b"RTP/AVP 111 0 8 63 101 110", b"RTP/AVP 63"),
            OFFER.replace(b"RTP/AVP 111 0 8 63 101 110", b"RTP/AVP 101 110"),
            OFFER.replace(b"RTP/AVP", b"UDP/TLS/RTP/SAVPF"),
            OFFER.replace(b"audio 30000", b"audio 0"),
        ):
            self.assertIsNone(answer(text, "127.0.0.1", 24000, 7, 1), text)

    def test_dynamic_name_of_a_static_number(self) -> None:
        """A static payload type is that of RFC 3551, whatever its rtpmap says: many write G711A for PCMA."""
        found = lines(OFFER.replace(b"a=sendrecv", b"a=rtpmap:8 G711A/8000\r\na=sendrecv"))
        self.assertIn("m=audio 24000 RTP/AVP 111 0 8 101 110", found)

    def test_ipv6(self) -> None:
        """After ::1 the address type is IP6 (RFC 4566 section 5.7)."""
        self.assertIn("c=IN IP6 ::1", lines(OFFER, host="::1"))

    def test_garbage_never_raises(self) -> None:
        """Bytes that are no SDP, cut lines, broken UTF-8: an answer or None, never an exception."""
        for cut in range(len(OFFER)):
            answer(OFFER[:cut], "127.0.0.1", 24000, 7, 1)
            answer(OFFER[cut:], "127.0.0.1", 24000, 7, 1)
        for text in (
            b"m=",
            b"m=\r\nm=audio\r\nm=audio 1",
            b"m=audio 1 RTP/AVP\r\na=rtpmap:\r\na=fmtp",
            b"\xff\xfe" * 99,
        ):
            self.assertIsNone(answer(text, "127.0.0.1", 24000, 7, 1))
        found = answer(b"m=\r\nm=audio\r\nm=vid\xff 1 RTP/AVP 0\r\n" + OFFER, "127.0.0.1", 24000, 7, 1)
        assert found is not None
        self.assertEqual(found.body.count(b"m=audio 0 RTP/AVP 0"), 3)

    def test_own_offer_is_acceptable(self) -> None:
        """What we offer to an INVITE without SDP is an offer that we would take."""
        self.assertIn("m=audio 24000 RTP/AVP 0 8 101", lines(offer("127.0.0.1", 9000, 1, 1)))
