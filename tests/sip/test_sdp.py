"""Questions about SDP: what a browser, a phone and a careless PBX write."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.sdp import MAX_LINES, MAX_MEDIA, Sdp, SdpMedia

BROWSER = b"""\
v=0
o=- 4611732 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0 1
a=fingerprint:sha-256 AA:BB
m=audio 9 UDP/TLS/RTP/SAVPF 111 0 8 101
c=IN IP4 0.0.0.0
a=ice-ufrag:abcd
a=ice-pwd:secret
a=sendrecv
a=rtcp-mux
a=rtpmap:111 opus/48000/2
a=rtpmap:101 telephone-event/8000
m=video 0 UDP/TLS/RTP/SAVPF 96
a=bundle-only
a=ice-ufrag:abcd
a=rtpmap:96 VP8/90000
"""
PHONE = b"""\
v=0\r
o=- 1 1 IN IP4 192.0.2.9\r
s=-\r
c=IN IP4 192.0.2.9/127\r
t=0 0\r
a=sendonly\r
m=audio 49170/2 RTP/AVP 0 18 97\r
m=video 0 RTP/AVP 31\r
m=audio 49172 RTP/SAVP 8\r
c=IN IP6 2001:db8::1\r
a=recvonly\r
"""


class Questions(SynchronousTestCase):
    """RFC 8866 and RFC 3264."""

    def test_media(self) -> None:
        """Kinds, ports, protocols, formats; a refused one keeps its place; bundle-only is not refused."""
        audio, video = Sdp.read(BROWSER).media
        self.assertEqual((audio.kind, audio.port, audio.protocol), ("audio", 9, "UDP/TLS/RTP/SAVPF"))
        self.assertEqual(audio.formats, ("111", "0", "8", "101"))
        self.assertEqual((video.port, video.refused, audio.refused), (0, False, False))
        self.assertEqual(Sdp.read(BROWSER).kinds, ("audio", "video"))
        phone = Sdp.read(PHONE)
        self.assertEqual([media.port for media in phone.media], [49170, 0, 49172])
        self.assertEqual((phone.kinds, phone.media[1].refused), (("audio", "audio"), True))

    def test_direction(self) -> None:
        """That of the medium, else that of the session, else sendrecv (RFC 8866 section 6.7)."""
        self.assertEqual([media.direction for media in Sdp.read(PHONE).media], ["sendonly", "sendonly", "recvonly"])
        self.assertEqual([media.direction for media in Sdp.read(BROWSER).media], ["sendrecv", "sendrecv"])

    def test_held(self) -> None:
        """sendonly, inactive, or the address 0.0.0.0 of old (RFC 3264 section 8.4), which browsers always write."""
        self.assertEqual([media.held for media in Sdp.read(BROWSER).media], [False, False])
        self.assertEqual([media.held for media in Sdp.read(BROWSER.replace(b"UDP/TLS/", b"")).media], [False, False])
        self.assertEqual([media.held for media in Sdp.read(PHONE).media], [True, True, False])
        self.assertTrue(SdpMedia("audio", 1, direction="inactive").held)
        old = PHONE.replace(b"192.0.2.9/127", b"0.0.0.0").replace(b"sendonly", b"sendrecv")
        self.assertEqual([media.held for media in Sdp.read(old).media], [True, True, False])

    def test_address(self) -> None:
        """The c= line of the medium, else that of the session; without TTL."""
        self.assertEqual([media.address for media in Sdp.read(PHONE).media], ["192.0.2.9", "192.0.2.9", "2001:db8::1"])
        self.assertEqual(Sdp.read(b"m=audio 1 RTP/AVP 0\nc=IN IP4\n").media[0].address, "")

    def test_codecs(self) -> None:
        """By rtpmap or by the static types of RFC 3551; in the order of preference."""
        audio = Sdp.read(BROWSER).media[0]
        self.assertEqual(
            list(audio.codecs.items()),
            [("111", "opus/48000/2"), ("0", "PCMU/8000"), ("8", "PCMA/8000"), ("101", "telephone-event/8000")],
        )
        self.assertEqual(Sdp.read(PHONE).media[0].codecs, {"0": "PCMU/8000", "18": "G729/8000", "97": ""})
        remapped = SdpMedia("audio", 1, formats=("0",), attributes=(("rtpmap", "0 L16/8000"),))
        self.assertEqual(remapped.codecs, {"0": "L16/8000"})

    def test_attributes(self) -> None:
        """Flags and values."""
        audio = Sdp.read(BROWSER).media[0]
        self.assertTrue(audio.has("rtcp-mux"))
        self.assertFalse(audio.has("rtcp"))
        self.assertEqual(audio.all("ice-ufrag"), ["abcd"])
        self.assertIn(("group", "BUNDLE 0 1"), Sdp.read(BROWSER).attributes)


class Broken(SynchronousTestCase):
    """Nothing raises, and nothing is looked at without a bound."""

    def test_odd_media(self) -> None:
        """A broken m= line keeps its place, so that the others keep theirs."""
        read = Sdp.read(b"m=\nm=audio\nm=audio x RTP/AVP 0\nm=audio 99999 RTP/AVP\nm=audio -1 RTP/AVP 0\n")
        self.assertEqual([(media.kind, media.port) for media in read.media], [("", 0), *[("audio", 0)] * 4])
        self.assertEqual(read.kinds, ())

    def test_empty(self) -> None:
        """No body at all."""
        self.assertEqual(Sdp.read(b""), Sdp())
        self.assertEqual(Sdp().kinds, ())

    def test_any_octets(self) -> None:
        """Octets that are no UTF-8, any line end, any garbage."""
        dice = random.Random(7)
        for _ in range(300):
            data = bytearray(BROWSER)
            for _ in range(20):
                data[dice.randrange(len(data))] = dice.randrange(256)
            read = Sdp.read(bytes(data))
            _ = read.kinds, [(media.codecs, media.held) for media in read.media]

    def test_bounds(self) -> None:
        """Many media, many lines."""
        self.assertEqual(len(Sdp.read(b"m=audio 1 RTP/AVP 0\n" * 1000).media), MAX_MEDIA)
        self.assertEqual(len(Sdp.read(b"m=audio 1 RTP/AVP 0\r" + b"a=x\r" * 9999).media[0].attributes), MAX_LINES - 1)
