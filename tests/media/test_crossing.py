"""What becomes of a description on its way to rtpengine and from it (corners.rst 3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import attributes, lines, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.crossing import for_peer, from_peer, is_encrypted
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.sdp.reading import read
from webrtcproxy.sip.sdp.writing import write

CHROMIUM, FIREFOX, VIDEO, PLAIN = map(sample, ("chromium-audio", "firefox-audio", "chromium-video", "trunk"))
TRICKLE = b"a=ice-options:trickle\r\n"
KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" + b"a" * 40 + b"\r\n"


class ExchangeCase(SynchronousTestCase):
    def told(self, sdp: bytes, to: Profile, offer: bytes = b"") -> bytes:
        """What rtpengine is told of a peer's description."""
        made = write(from_peer(sdp, to, read(offer) if offer else None))
        self.assertEqual([], complaints(made))
        return made

    def refused(self, sdp: bytes, to: Profile, offer: bytes = b"") -> None:
        """It does not reach rtpengine."""
        error = self.assertRaises(NgRefused, from_peer, sdp, to, read(offer) if offer else None)
        self.assertEqual(488, error.status)
        self.assertTrue(error.why)

    def media(self, sdp: bytes, to: Profile, offer: bytes = b"") -> list[str]:
        """The m= lines of what rtpengine is told."""
        return lines(self.told(sdp, to, offer), "m=")


class FromBrowser(ExchangeCase):
    def test_no_candidate(self) -> None:
        """FIELD W1: with ICE, 0.0.0.0 is no hold (RFC 8840 section 4.1.1). rtpengine takes it so where the medium
        trickles, in the section of the medium, wherever the browser has written it, or not at all."""
        nowhere = CHROMIUM.replace(TRICKLE, b"").replace(b"m=audio 45678", b"m=audio 9")
        for sdp in (
            CHROMIUM, nowhere, nowhere.replace(b"t=0 0\r\n", b"t=0 0\r\n" + TRICKLE), FIREFOX,
            nowhere.replace(b"a=ice-ufrag", b"a=ice-options:ice2\r\na=ice-ufrag"),
        ):  # fmt: skip
            section = self.told(sdp, TRUNK).partition(b"m=audio")[2]
            self.assertEqual(1, section.count(b"a=ice-options:"))
            self.assertIn("trickle", lines(section, "a=ice-options:")[0])

    def test_name(self) -> None:
        """A name in its c= line is nobody's to look up where ICE finds the address: it may be one of mDNS."""
        told = self.told(CHROMIUM.replace(lines(CHROMIUM, "c=")[0].encode(), b"c=IN IP4 1f4712db.local"), TRUNK)
        self.assertEqual(["c=IN IP4 0.0.0.0"], lines(told, "c="))

    def test_without_ice(self) -> None:
        """Without ICE nothing trickles."""
        self.assertNotIn(b"trickle", self.told(PLAIN, TRUNK))

    def test_tls_id(self) -> None:
        """FIELD X6: one beside each fingerprint, the same in every offer and answer, another one with another
        fingerprint (RFC 8842): by it rtpengine restarts ICE alone."""
        ids = set()
        for sdp in (
            CHROMIUM,
            CHROMIUM.replace(b"a=ice-ufrag:", b"a=ice-ufrag:x"),
            CHROMIUM.replace(b"actpass", b"active"),
        ):
            ids.update(lines(self.told(sdp, TRUNK), "a=tls-id:"))
        (one,) = ids
        self.assertRegex(one, r"^a=tls-id:[0-9A-Z]{64}$")
        other = CHROMIUM.replace(b"sha-256 ", b"sha-256 FF:")
        self.assertNotEqual([one], lines(self.told(other, TRUNK), "a=tls-id:"))
        self.assertEqual(2, len(lines(self.told(VIDEO, TRUNK), "a=tls-id:")))
        own = "a=tls-id:" + "x" * 20
        self.assertEqual([own], lines(self.told(CHROMIUM + own.encode() + b"\r\n", TRUNK), "a=tls-id:"))
        self.assertEqual([], lines(self.told(PLAIN, TRUNK), "a=tls-id:"))

    def test_role(self) -> None:
        """An answer that leaves the DTLS role open, which it must not, is one of the client (RFC 8842 section 5.3)."""
        for role, told in ((b"actpass", "active"), (b" ActPass", ""), (b"passive", "passive"), (b"active", "active")):
            answer = CHROMIUM.replace(b"a=setup:actpass", b"a=setup:" + role)
            self.assertEqual([f"a=setup:{told}"][: len(told)], lines(self.told(answer, TRUNK, CHROMIUM), "a=setup"))
        self.assertEqual(["a=setup:actpass"], lines(self.told(CHROMIUM, TRUNK), "a=setup"))

    def test_streams(self) -> None:
        """FIELD X11: its streams are not those that the far side receives."""
        for name in ("ssrc", "ssrc-group", "msid", "msid-semantic", "rtcp-xr"):
            self.assertNotIn(name, attributes(self.told(VIDEO, BROWSER)))

    def test_data_channel(self) -> None:
        """No trunk is offered a WebRTC data channel; another browser is (corners.rst 3: m-lines)."""
        channel = b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\nc=IN IP4 0.0.0.0\r\na=sctp-port:5000\r\n"
        self.assertEqual("m=application 0 UDP/DTLS/SCTP webrtc-datachannel", self.media(CHROMIUM + channel, TRUNK)[1])
        self.assertEqual("m=application 9 UDP/DTLS/SCTP webrtc-datachannel", self.media(CHROMIUM + channel, BROWSER)[1])

    def test_video(self) -> None:
        """A trunk without a video codec is offered none, nor is a browser by it (corners.rst 3: m-lines)."""
        trunk, browser = profiles_of(TrunkMedia(("PCMU",)))
        self.assertEqual("m=video 0 UDP/TLS/RTP/SAVPF 0", self.media(VIDEO, trunk)[1])
        self.assertEqual("m=video 0 RTP/AVP 0", self.media(VIDEO.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP"), browser)[1])
        for media in (TrunkMedia(), TrunkMedia(("PCMU", "VP8"))):
            self.assertTrue(self.media(VIDEO, profiles_of(media)[0])[1].startswith("m=video 5"))


class FromTrunk(ExchangeCase):
    def test_encryption_is_kept(self) -> None:
        """A trunk has to have what its section says; a browser may have anything."""
        secure = PLAIN.replace(b"RTP/AVP", b"RTP/SAVP") + KEY
        for media, good, bad in ((TrunkMedia(), PLAIN, secure), (TrunkMedia(srtp=True), secure, PLAIN)):
            trunk, browser = profiles_of(media)
            feedback = good.replace(b"AVP ", b"AVPF ")
            for sdp in (good, feedback):
                self.told(sdp, browser)
                self.told(sdp, browser, sdp)
            for sdp in (bad, CHROMIUM):
                self.refused(sdp, browser)
                self.refused(sdp, browser, good)
            for sdp in (good, bad, CHROMIUM):
                self.told(sdp, trunk)

    def test_in_an_attribute(self) -> None:
        """A protocol is one of a medium, not a word anywhere."""
        self.refused(PLAIN + b"a=x: RTP/SAVP\r\n", profiles_of(TrunkMedia(srtp=True))[1])

    def test_side_by_side(self) -> None:
        """FIELD W3: of an encrypted and a plain medium, that is taken which the section says, in any order."""
        plain = b"m=audio 5000 RTP/AVP 0\r\n"
        secure = b"m=audio 5002 RTP/SAVP 0\r\n" + KEY
        encrypted = profiles_of(TrunkMedia(srtp=True))[1]
        for sdp, taken, profile in (
            (plain + secure, 0, BROWSER_OF_TRUNK), (secure + plain, 1, BROWSER_OF_TRUNK),
            (plain + secure, 1, encrypted), (secure + plain, 0, encrypted),
        ):  # fmt: skip
            ports = [line.split()[1] for line in self.media(sdp, profile)]
            self.assertNotEqual("0", ports.pop(taken))
            self.assertEqual(["0"], ports)

    def test_no_key(self) -> None:
        """An encrypted medium without a key is no use (RFC 4568 section 5.1.2)."""
        encrypted = profiles_of(TrunkMedia(srtp=True))[1]
        for key in (b"", b"a=crypto:1 AES_CM_128_HMAC_SHA1_80\r\n", b"a=crypto:\r\n", b"a=crypto:x y inline:z\r\n"):
            self.refused(PLAIN.replace(b"RTP/AVP", b"RTP/SAVP") + key, encrypted)

    def test_useless(self) -> None:
        """FIELD B: media of which rtpengine or a browser can make nothing are refused; others go on."""
        for more in (b"m=image 5004 udptl t38", b"m=message 5006 TCP/MSRP *", b"m=video 5008 RTP/AVP 99", b"m=x 1 y z"):
            self.assertEqual("0", self.media(PLAIN + more, BROWSER_OF_TRUNK)[1].split()[1])

    def test_nothing_left(self) -> None:
        """An offer or an answer without anything usable is refused, not carried out in silence; one that refuses all by
        itself goes on."""
        for sdp in (b"m=audio 5000 RTP/AVP 99\r\n", b"m=image 5 udptl t38\r\n", b"v=0\r\n", b"", b"m=audio\r\n"):
            self.refused(sdp, BROWSER_OF_TRUNK)
        self.assertEqual(["m=audio 0 RTP/AVP 0"], self.media(b"m=audio 0 RTP/AVP 0\r\n", BROWSER_OF_TRUNK))

    def test_no_common_codec(self) -> None:
        """An answer with other codecs than were offered is none: it would be a silent call."""
        self.refused(b"m=audio 5000 RTP/AVP 3\r\n", BROWSER_OF_TRUNK, PLAIN)

    def test_attributes(self) -> None:
        """FIELD X11: what a trunk says of ICE, DTLS, streams or preconditions is not rtpengine's to read."""
        plain = self.told(PLAIN, BROWSER_OF_TRUNK)
        for odd in (
            b"ice-ufrag:abcd",
            b"msid:a b",
            b"setup:active",
            b"curr:qos local none",
            b"silenceSupp:off - - - -",
        ):
            self.assertEqual(plain, self.told(PLAIN + b"a=" + odd + b"\r\n", BROWSER_OF_TRUNK))


class Named(ExchangeCase):
    """FIELD X10: only the codecs that a section names count, whatever the trunk offers."""

    OFFER = b"m=audio 5000 RTP/AVP %b\r\na=rtpmap:101 telephone-event/8000\r\na=rtpmap:96 iLBC/8000\r\n"

    def test_named_only(self) -> None:
        """The others are gone before rtpengine sees them: 26 answers a trunk with the first one that it offers."""
        to = profiles_of(TrunkMedia(codecs=("PCMU", "telephone-event")))[1]
        for formats in (b"9 0 101", b"0 9 101", b"96 8 101 0 18", b"3 0 101 77"):
            (line,) = self.media(self.OFFER % formats, to)
            self.assertEqual(["0", "101"], sorted(line.split()[3:]), formats)

    def test_spelling(self) -> None:
        """Names are alike in any case."""
        to = profiles_of(TrunkMedia(codecs=("pcmu", "G722", "ILBC")))[1]
        self.assertEqual(["m=audio 5000 RTP/AVP 9 0 96"], self.media(self.OFFER % b"9 0 8 96 101", to))

    def test_none_named(self) -> None:
        """A trunk that offers nothing of it gets 488."""
        to = profiles_of(TrunkMedia(codecs=("PCMU", "telephone-event")))[1]
        for formats in (b"9 101", b"18", b"101"):
            self.refused(self.OFFER % formats, to)

    def test_all(self) -> None:
        """Without a word in the section all count."""
        self.assertEqual(["m=audio 5000 RTP/AVP 9 0 101"], self.media(self.OFFER % b"9 0 101", BROWSER_OF_TRUNK))

    def test_of_the_browser(self) -> None:
        """What the browser has is not touched: rtpengine transcodes."""
        to = profiles_of(TrunkMedia(codecs=("PCMU",)))[0]
        self.assertEqual(lines(CHROMIUM, "m=")[0].split()[3:], self.media(CHROMIUM, to)[0].split()[3:])


class Numbers(ExchangeCase):
    """FIELD D: an answer whose numbers are not those of the offer."""

    ANSWER = b"m=audio 5000 RTP/AVP 0 101\r\na=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\n"
    MADE = (
        b"m=audio 6000 UDP/TLS/RTP/SAVPF 0 126\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:126 telephone-event/8000\r\n"
        b"a=fmtp:126 0-15\r\na=ice-ufrag:abcd\r\n"
    )

    def test_both_ways(self) -> None:
        """rtpengine is told the number that was offered, the browser that of the trunk: with it its digits arrive."""
        offer, answer = read(CHROMIUM), from_peer(self.ANSWER, BROWSER_OF_TRUNK, read(CHROMIUM))
        self.assertEqual(["m=audio 5000 RTP/AVP 0 126"], lines(write(answer), "m="))
        self.assertEqual(["a=fmtp:126 0-15"], lines(write(answer), "a=fmtp"))
        told = write(for_peer(self.MADE, BROWSER_OF_TRUNK, offer, answer))
        self.assertEqual([], complaints(told))
        self.assertEqual(["m=audio 6000 UDP/TLS/RTP/SAVPF 0 101"], lines(told, "m="))
        self.assertEqual(["a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000"], lines(told, "a=rtpmap"))
        self.assertEqual(["a=fmtp:101 0-15"], lines(told, "a=fmtp"))

    def test_transcoded(self) -> None:
        """A codec that the browser is not told of has no number there."""
        answer = from_peer(self.ANSWER, BROWSER_OF_TRUNK, read(CHROMIUM))
        made = self.MADE.replace(b"0 126", b"111 110").replace(
            b"126 telephone-event/8000", b"110 telephone-event/48000"
        )
        made = made.replace(b"0 PCMU/8000", b"111 opus/48000/2").replace(b"fmtp:126", b"fmtp:110")
        told = write(for_peer(made, BROWSER_OF_TRUNK, read(CHROMIUM), answer))
        self.assertEqual(["m=audio 6000 UDP/TLS/RTP/SAVPF 111 110"], lines(told, "m="))

    def test_played(self) -> None:
        """With `dtmf = rfc4733` events are offered as 101, which trunks answer: rtpengine plays digits with the number
        that was offered."""
        to = profiles_of(TrunkMedia(dtmf="rfc4733"))[0]
        told = self.told(CHROMIUM, to)
        self.assertIn("a=rtpmap:101 telephone-event/8000", lines(told))
        self.assertEqual([*lines(CHROMIUM, "m=")[0].split()[3:-1], "101"], lines(told, "m=")[0].split()[3:])
        for free in (
            CHROMIUM.replace(b"126", b"101"),
            CHROMIUM.replace(b"111", b"101"),
            CHROMIUM.replace(b"126 telephone-event/8000", b"126 telephone-event/16000"),
        ):
            self.assertEqual(lines(free, "m=")[0].split()[3:], lines(self.told(free, to), "m=")[0].split()[3:])
        self.assertIn("a=rtpmap:126 telephone-event/8000", lines(self.told(CHROMIUM, TRUNK)))


class ForPeers(ExchangeCase):
    def given(self, sdp: object, to: Profile, offered: bytes = b"") -> bytes:
        """What a peer is told of rtpengine's description."""
        made = write(for_peer(sdp, to, read(offered) if offered else None))
        self.assertEqual([], complaints(made))
        return made

    def test_trunk(self) -> None:
        """Nothing that only a browser understands reaches a trunk."""
        unwanted = {"candidate", "fingerprint", "ice-ufrag", "mid", "msid", "rtcp-fb", "rtcp-mux", "setup", "extmap"}
        for sdp in (CHROMIUM, FIREFOX, VIDEO):
            plain = sdp.replace(b"UDP/TLS/RTP/SAVPF", b"RTP/AVP")
            self.assertTrue(unwanted & attributes(plain))
            self.assertEqual(set(), unwanted & attributes(self.given(plain, TRUNK)))
            self.assertEqual(lines(plain, "m="), lines(self.given(plain, TRUNK), "m="))

    def test_browser(self) -> None:
        """A browser gets what rtpengine made for it, without what is rtpengine's own (FIELD X6) or the far side's."""
        odd = b"a=tls-id:" + b"x" * 20 + b"\r\na=ssrc:1 cname:x\r\na=msid:a b\r\na=X-nat:0\r\n"
        self.assertEqual(self.given(CHROMIUM, BROWSER), self.given(CHROMIUM + odd, BROWSER))
        self.assertTrue(
            {"fingerprint", "ice-ufrag", "candidate", "rtcp-mux", "mid"} <= attributes(self.given(VIDEO, BROWSER))
        )

    def test_protocol(self) -> None:
        """FIELD W2: each medium is answered in the protocol that was offered (RFC 3264 section 6); feedback only where
        that has it (RFC 4585 section 4.2)."""
        reply = b"m=audio 5000 RTP/AVP 0\r\na=rtcp-fb:0 nack\r\nm=video 0 RTP/AVP 0\r\n"
        for first in ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"):
            offered = f"m=audio 5 {first} 0\r\nm=video 6 RTP/SAVPF 96\r\n".encode()
            given = self.given(reply, TRUNK, offered)
            self.assertEqual([f"m=audio 5000 {first} 0", "m=video 0 RTP/SAVPF 0"], lines(given, "m="))
            self.assertEqual(first.endswith("F"), "rtcp-fb" in attributes(given))

    def test_nothing(self) -> None:
        """rtpengine that has made none (10.5 of an empty one)."""
        for reply in (None, b"", 5, b"v=0\r\n"):
            self.assertRaises(NgRefused, for_peer, reply, BROWSER)


class Encryption(SynchronousTestCase):
    def test_all(self) -> None:
        """Whether nobody can talk in: each medium that is used has keys (RFC 4568, RFC 5764)."""
        plain, secure, refused = b"m=audio 5 RTP/AVP 0\r\n", b"m=audio 5 %b 0\r\n", b"m=video 0 RTP/AVP 0\r\n"
        for protocol in (b"RTP/SAVP", b"RTP/SAVPF", b"UDP/TLS/RTP/SAVPF"):
            self.assertTrue(is_encrypted(read(secure % protocol + refused)))
            self.assertFalse(is_encrypted(read(secure % protocol + plain)))
        self.assertFalse(is_encrypted(read(plain + b"a=x: RTP/SAVP\r\n")))
