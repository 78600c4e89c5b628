"""Questions about SDP: what a browser, a phone and a careless PBX write."""

from __future__ import annotations

import random

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.sdp.description import MAX_LINES, MAX_MEDIA, SessionDescription, new_media, new_session

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
        """Kinds, ports, protocols, formats; a rejected one keeps its place; bundle-only is not rejected."""
        audio, video = SessionDescription(BROWSER).media
        self.assertEqual((audio.kind, audio.port, audio.protocol), ("audio", 9, "UDP/TLS/RTP/SAVPF"))
        self.assertEqual(audio.formats, ("111", "0", "8", "101"))
        self.assertEqual((video.port, video.is_rejected, audio.is_rejected), (0, False, False))
        self.assertEqual(SessionDescription(BROWSER).kinds, ("audio", "video"))
        phone = SessionDescription(PHONE)
        self.assertEqual([media.port for media in phone.media], [49170, 0, 49172])
        self.assertEqual((phone.kinds, phone.media[1].is_rejected), (("audio", "audio"), True))

    def test_direction(self) -> None:
        """That of the medium, else that of the session, else sendrecv (RFC 8866 section 6.7)."""
        self.assertEqual(
            [media.direction for media in SessionDescription(PHONE).media], ["sendonly", "sendonly", "recvonly"]
        )
        self.assertEqual([media.direction for media in SessionDescription(BROWSER).media], ["sendrecv", "sendrecv"])

    def test_held(self) -> None:
        """sendonly, inactive, or the address 0.0.0.0 of old (RFC 3264 section 8.4), which browsers always write."""
        self.assertEqual([media.is_held for media in SessionDescription(BROWSER).media], [False, False])
        self.assertEqual(
            [media.is_held for media in SessionDescription(BROWSER.replace(b"UDP/TLS/", b"")).media], [False, False]
        )
        self.assertEqual([media.is_held for media in SessionDescription(PHONE).media], [True, True, False])
        self.assertTrue(new_media("audio", 1, "RTP/AVP", ("0",), [("inactive", "")]).is_held)
        old = PHONE.replace(b"192.0.2.9/127", b"0.0.0.0").replace(b"sendonly", b"sendrecv")
        self.assertEqual([media.is_held for media in SessionDescription(old).media], [True, True, False])

    def test_address(self) -> None:
        """The c= line of the medium, else that of the session; without TTL."""
        self.assertEqual(
            [media.address for media in SessionDescription(PHONE).media], ["192.0.2.9", "192.0.2.9", "2001:db8::1"]
        )
        self.assertEqual(SessionDescription(b"m=audio 1 RTP/AVP 0\nc=IN IP4\n").media[0].address, "")

    def test_codecs(self) -> None:
        """By rtpmap or by the static types of RFC 3551; in the order of preference."""
        audio = SessionDescription(BROWSER).media[0]
        self.assertEqual(
            list(audio.codecs.items()),
            [("111", "opus/48000/2"), ("0", "PCMU/8000"), ("8", "PCMA/8000"), ("101", "telephone-event/8000")],
        )
        self.assertEqual(SessionDescription(PHONE).media[0].codecs, {"0": "PCMU/8000", "18": "G729/8000", "97": ""})
        remapped = new_media("audio", 1, "RTP/AVP", ("0",), [("rtpmap", "0 L16/8000")])
        self.assertEqual(remapped.codecs, {"0": "L16/8000"})

    def test_attributes(self) -> None:
        """Flags and values."""
        audio = SessionDescription(BROWSER).media[0]
        self.assertTrue(audio.has("rtcp-mux"))
        self.assertFalse(audio.has("rtcp"))
        self.assertEqual(audio.all("ice-ufrag"), ["abcd"])
        self.assertIn(("group", "BUNDLE 0 1"), SessionDescription(BROWSER).session.attributes)


class Broken(SynchronousTestCase):
    """Nothing raises, and nothing is looked at without a bound."""

    def test_odd_media(self) -> None:
        """A broken m= line keeps its place, so that the others keep theirs."""
        read = SessionDescription(b"m=\nm=audio\nm=audio x RTP/AVP 0\nm=audio 99999 RTP/AVP\nm=audio -1 RTP/AVP 0\n")
        self.assertEqual([(media.kind, media.port) for media in read.media], [("", 0), *[("audio", 0)] * 4])
        self.assertEqual(read.kinds, ())

    def test_empty(self) -> None:
        """No body at all."""
        self.assertEqual(SessionDescription(b"").kinds, ())
        self.assertEqual((SessionDescription(b"").media, SessionDescription(b"").session.lines), ((), ()))

    def test_any_octets(self) -> None:
        """Octets that are no UTF-8, any line end, any garbage."""
        dice = random.Random(7)
        for _ in range(300):
            data = bytearray(BROWSER)
            for _ in range(20):
                data[dice.randrange(len(data))] = dice.randrange(256)
            read = SessionDescription(bytes(data))
            _ = read.kinds, [(media.codecs, media.is_held) for media in read.media]
            self.assertEqual(SessionDescription.of(read.session, read.sections), read)

    def test_bounds(self) -> None:
        """Many media, many lines."""
        self.assertEqual(len(SessionDescription(b"m=audio 1 RTP/AVP 0\n" * 1000).media), MAX_MEDIA)
        self.assertEqual(
            len(SessionDescription(b"m=audio 1 RTP/AVP 0\r" + b"a=x\r" * 9999).media[0].attributes), MAX_LINES - 1
        )


class Written(SynchronousTestCase):
    """What is not touched is written as it was read."""

    def test_round_trip(self) -> None:
        """Octet for octet, whatever the line ends, and where the last line has none."""
        for sdp in (BROWSER, PHONE, PHONE.replace(b"\r\n", b"\r"), PHONE.rstrip(), b"\xff\n\nm=\n\r\n a=x", b""):
            read = SessionDescription(sdp)
            self.assertEqual(SessionDescription.of(read.session, read.sections).octets, sdp)
            self.assertEqual(hash(SessionDescription.of(read.session, read.sections)), hash(read))
        self.assertNotEqual(SessionDescription(PHONE), SessionDescription(BROWSER))

    def test_one_medium_changed(self) -> None:
        """Another medium in place of one; all others stay as they are."""
        read = SessionDescription(PHONE)
        media = [*read.media[:2], new_media("audio", 0, "RTP/SAVP", ("8",))]
        before, _, after = PHONE.rpartition(b"m=")
        self.assertEqual(SessionDescription.of(read.session, media).octets, before + b"m=audio 0 RTP/SAVP 8\r\n")
        self.assertTrue(after.startswith(b"audio 49172"))

    def test_rejected(self) -> None:
        """A medium that is rejected keeps its formats, its c= line, its name in a bundle, and nothing else (RFC 3264
        section 6); one without port or protocol stays as it is."""
        first, _, third = SessionDescription(PHONE.replace(b"/127", b"")).media
        self.assertEqual(first.rejected().lines, (b"m=audio 0 RTP/AVP 0 18 97\r\n",))
        self.assertEqual(third.rejected().lines, (b"m=audio 0 RTP/SAVP 8\r\n", b"c=IN IP6 2001:db8::1\r\n"))
        self.assertTrue(third.rejected().is_rejected)
        self.assertEqual(first.rejected().address, "192.0.2.9")
        named = SessionDescription(b"m=audio 9 x 0\na=mid:1\na=mid\na=x\n").media[0]
        self.assertEqual(named.rejected().lines, (b"m=audio 0 x 0\n", b"a=mid:1\n"))
        odd = SessionDescription(b"m=audio 9\na=x\n").media[0]
        self.assertIs(odd.rejected(), odd)

    def test_ours(self) -> None:
        """A description of our own, read again; for IPv6, too."""
        session = new_session("2001:db8::2", user="u", session_id=7, version=8, name="n")
        media = new_media("audio", 4, "RTP/AVP", ["0", "101"], [("fmtp", "101 0-16"), ("recvonly", "")], session)
        sdp = SessionDescription.of(session, [media])
        self.assertEqual(
            sdp.octets,
            b"v=0\r\no=u 7 8 IN IP6 2001:db8::2\r\ns=n\r\nc=IN IP6 2001:db8::2\r\nt=0 0\r\n"
            b"m=audio 4 RTP/AVP 0 101\r\na=fmtp:101 0-16\r\na=recvonly\r\n",
        )
        read = sdp.media[0]
        self.assertEqual((read.direction, read.address, read.all("fmtp")), ("recvonly", "2001:db8::2", ["101 0-16"]))
        self.assertEqual((media.direction, media.address), (read.direction, read.address))
