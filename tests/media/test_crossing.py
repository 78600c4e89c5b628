"""What becomes of a description on its way to rtpengine and from it (corners.rst 3)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.sdp import attributes, lines, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.crossing import for_peer, from_peer, is_encrypted
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.sdp.description import DIRECTIONS
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
        """With ICE, 0.0.0.0 is no hold (RFC 8840 section 4.1.1). rtpengine takes it so where the medium trickles, in
        the section of the medium, wherever the browser has written it, or not at all (field.rst W1: No default
        candidate)."""
        nowhere = CHROMIUM.replace(TRICKLE, b"").replace(b"m=audio 45678", b"m=audio 9")
        for sdp in (
            CHROMIUM, nowhere, nowhere.replace(b"t=0 0\r\n", b"t=0 0\r\n" + TRICKLE), FIREFOX,
            nowhere.replace(b"a=ice-ufrag", b"a=ice-options:ice2\r\na=ice-ufrag"),
        ):  # fmt: skip
            section = self.told(sdp, TRUNK).partition(b"m=audio")[2]
            self.assertEqual(1, section.count(b"a=ice-options:"))
            self.assertIn("trickle", lines(section, "a=ice-options:")[0])

    def test_no_candidate_at_a_port(self) -> None:
        """Some pages write a port beside 0.0.0.0. rtpengine would take that for a hold: it is told port 9, in offers
        and answers (RFC 8839 section 4.4; field.rst W1: No default candidate)."""
        own = lines(CHROMIUM, "c=")[0].encode()
        for c, address in ((b"IP4 0.0.0.0", "IP4 0.0.0.0"), (b"IP6 ::", "IP6 ::"), (b"IP4 x.local", "IP4 0.0.0.0")):
            odd = CHROMIUM.replace(own, b"c=IN " + c)
            for told in (self.told(odd, TRUNK), self.told(odd, TRUNK, CHROMIUM)):
                self.assertEqual(["9", f"c=IN {address}"], [lines(told, "m=")[0].split()[1], lines(told, "c=")[0]])
        self.assertEqual(lines(CHROMIUM, "m="), lines(self.told(CHROMIUM, TRUNK), "m="))
        held = PLAIN.replace(lines(PLAIN, "c=")[0].encode(), b"c=IN IP4 0.0.0.0")  # a trunk's, without ICE
        self.assertEqual(lines(PLAIN, "m=")[0].split()[1], lines(self.told(held, BROWSER_OF_TRUNK), "m=")[0].split()[1])

    def test_name(self) -> None:
        """A name in its c= line is nobody's to look up where ICE finds the address: it may be one of mDNS."""
        told = self.told(CHROMIUM.replace(lines(CHROMIUM, "c=")[0].encode(), b"c=IN IP4 1f4712db.local"), TRUNK)
        self.assertEqual(["c=IN IP4 0.0.0.0"], lines(told, "c="))

    def test_without_ice(self) -> None:
        """Without ICE nothing trickles."""
        self.assertNotIn(b"trickle", self.told(PLAIN, TRUNK))

    def test_tls_id(self) -> None:
        """One beside each fingerprint, the same in every offer and answer, another one with another fingerprint (RFC
        8842): by it rtpengine restarts ICE alone (field.rst X6: ICE restart)."""
        ids = set()
        for sdp in (
            CHROMIUM,
            CHROMIUM.replace(b"a=ice-ufrag:", b"a=ice-ufrag:x"),
            CHROMIUM.replace(b"actpass", b"active"),
        ):
            ids.update(lines(self.told(sdp, TRUNK), "a=tls-id:"))
        (one,) = ids
        self.assertRegex(one, r"^a=tls-id:[0-9A-Z]{64}$")
        other = CHROMIUM.replace(lines(CHROMIUM, "a=fingerprint")[0][-2:].encode() + b"\r\n", b"00\r\n", 1)
        self.assertNotEqual([one], lines(self.told(other, TRUNK), "a=tls-id:"))
        self.assertEqual(2, len(lines(self.told(VIDEO, TRUNK), "a=tls-id:")))
        own = "a=tls-id:" + "x" * 20
        self.assertEqual([own], lines(self.told(CHROMIUM + own.encode() + b"\r\n", TRUNK), "a=tls-id:"))
        self.assertEqual([], lines(self.told(PLAIN, TRUNK), "a=tls-id:"))

    def test_role(self) -> None:
        """An offer without a DTLS role leaves it open; an answer that leaves it so, which it must not, is one of the
        client (RFC 8842 sections 5.2 and 5.3). A connection that is held back is none of DTLS-SRTP (RFC 5763 section
        5); without a role rtpengine would answer without one, and no DTLS would begin."""
        line = b"a=setup:actpass\r\n"
        for role in (b"", b"a=setup:x\r\n", b"a=setup:\r\n", b"a=setup:holdconn\r\n", b"A=SETUP: ACTPASS\r\n", line):
            sdp = CHROMIUM.replace(line, role)
            self.assertEqual(["a=setup:actpass"], lines(self.told(sdp, TRUNK), "a=setup"), role)
            self.assertEqual(["a=setup:active"], lines(self.told(sdp, TRUNK, CHROMIUM), "a=setup"), role)
        for role, one in ((b"passive", "passive"), (b"Active", "active"), (b"x\r\na=setup:passive", "passive")):
            sdp = CHROMIUM.replace(line, b"a=setup:%b\r\na=setup:actpass\r\n" % role)
            for offer in (b"", CHROMIUM):
                self.assertEqual([f"a=setup:{one}"], lines(self.told(sdp, TRUNK, offer), "a=setup"), role)
        self.assertEqual([], lines(self.told(PLAIN, TRUNK), "a=setup"))
        session = CHROMIUM.replace(line, b"").replace(b"t=0 0\r\n", b"t=0 0\r\na=setup:passive\r\n")
        self.assertEqual(["a=setup:passive"], lines(self.told(session, TRUNK), "a=setup"))

    def test_fingerprints(self) -> None:
        """Of several, rtpengine is told the one of the strongest hash (RFC 8122 section 5.1), or the one that can be
        used. Without any there is no DTLS: the medium is refused, and an offer or answer of nothing else."""
        line = lines(CHROMIUM, "a=fingerprint")[0].encode() + b"\r\n"
        md5, one, longest = (
            b"a=fingerprint:%b %b\r\n" % (name, b":".join([b"AB"] * count))
            for name, count in ((b"md5", 16), (b"sha-1", 20), (b"SHA-512", 64))
        )
        for said, taken in (
            (md5 + line, line), (line + md5, line), (one + line, line), (line + one, line), (md5 + one, one),
            (line + longest, longest), (line.replace(b":A", b":") + line, line), (one, one),
        ):  # fmt: skip
            told = self.told(CHROMIUM.replace(line, said), TRUNK)
            self.assertEqual([taken.decode().strip()], lines(told, "a=fingerprint"), said)
        for said in (b"", md5, md5.replace(b"md5", b"md2"), line[:-5] + b"\r\n", b"a=fingerprint:\r\n"):
            sdp = CHROMIUM.replace(line, said)
            for protocol in (b"UDP/TLS/RTP/SAVPF", b"UDP/TLS/RTP/SAVP", b"TCP/TLS/RTP/SAVPF", b"RTP/SAVPF"):
                other = sdp.replace(b"UDP/TLS/RTP/SAVPF", protocol)
                for to in (TRUNK, BROWSER):
                    for offer in (b"", CHROMIUM):
                        self.refused(other, to, offer)
            beside = b"m=audio 9 UDP/TLS/RTP/SAVPF 0\r\nc=IN IP4 0.0.0.0\r\n"
            self.assertEqual(["51389", "0"], [each.split()[1] for each in self.media(CHROMIUM + beside + said, TRUNK)])
        self.assertIn("fingerprint", self.assertRaises(NgRefused, from_peer, sdp, TRUNK).why)

    def test_fingerprint_of_bundle(self) -> None:
        """What is carried with a medium that has a fingerprint needs none of its own (RFC 9143 section 7.1.3)."""
        line = lines(VIDEO, "a=fingerprint")[0].encode() + b"\r\n"
        audio, video = VIDEO.split(b"m=video")
        alone = audio + b"m=video" + video.replace(line, b"")
        group = lines(VIDEO, "a=group")[0].encode() + b"\r\n"
        self.assertEqual([False, False], [each.split()[1] == "0" for each in self.media(alone, BROWSER)])
        apart = self.media(alone.replace(group, b""), BROWSER)
        self.assertEqual([False, True], [each.split()[1] == "0" for each in apart])
        self.refused(VIDEO.replace(line, b""), BROWSER)

    def test_protocol(self) -> None:
        """Whatever a browser may call its profile, in any case, rtpengine is told one that it knows; the browser is
        answered with its own (RFC 8829 section 5.1.2, RFC 3264 section 6)."""
        offer = CHROMIUM + b"m=video 0 TCP/DTLS/RTP/SAVPF 96\r\n"
        for profile in (
            "UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "TCP/DTLS/RTP/SAVPF", "TCP/DTLS/RTP/SAVP", "TCP/TLS/RTP/SAVPF",
            "tcp/dtls/rtp/savpf", "Udp/Tls/Rtp/Savp", "RTP/SAVPF", "rtp/savpf",
        ):  # fmt: skip
            told = from_peer(offer.replace(b"UDP/TLS/RTP/SAVPF", profile.encode(), 1), TRUNK)
            over_udp = profile.upper().replace("TCP/DTLS/", "UDP/TLS/").replace("TCP/TLS/", "UDP/TLS/")
            self.assertEqual(over_udp, lines(write(told), "m=")[0].split()[2])
            self.assertTrue(told.media[0].codecs)
            made = b"m=audio 6000 UDP/TLS/RTP/SAVPF 0\r\nm=video 0 UDP/TLS/RTP/SAVPF 0\r\n"
            answer = write(for_peer(made, BROWSER_OF_TRUNK, told, from_peer(PLAIN, BROWSER_OF_TRUNK, told)))
            self.assertEqual([profile.upper(), "TCP/DTLS/RTP/SAVPF"], [line.split()[2] for line in lines(answer, "m=")])
            self.refused(PLAIN.replace(b"RTP/AVP", b"TCP/DTLS/RTP/SAVP"), BROWSER_OF_TRUNK)

    def test_streams(self) -> None:
        """Its streams are not those that the far side receives (field.rst X11: Streams of the other side)."""
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
    encrypted = profiles_of(TrunkMedia(srtp=True))[1]

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
            for sdp in (PLAIN, CHROMIUM):
                self.told(sdp, trunk)

    def test_in_an_attribute(self) -> None:
        """A protocol is one of a medium, not a word anywhere."""
        self.refused(PLAIN + b"a=x: RTP/SAVP\r\n", profiles_of(TrunkMedia(srtp=True))[1])

    def test_side_by_side(self) -> None:
        """Of an encrypted and a plain medium, that is taken which the section says, in any order (field.rst W3:
        Encrypted and plain)."""
        plain = b"m=audio 5000 RTP/AVP 0\r\n"
        secure = b"m=audio 5002 RTP/SAVP 0\r\n" + KEY
        encrypted = profiles_of(TrunkMedia(srtp=True))[1]
        for sdp, taken, profile in (
            (plain + secure, 0, BROWSER_OF_TRUNK), (secure + plain, 1, BROWSER_OF_TRUNK),
            (plain + secure, 1, encrypted), (secure + plain, 0, encrypted),
        ):  # fmt: skip
            ports = [line.split()[1] for line in self.media(b"c=IN IP4 192.0.2.1\r\n" + sdp, profile)]
            self.assertNotEqual("0", ports.pop(taken))
            self.assertEqual(["0"], ports)

    def test_feedback_side_by_side(self) -> None:
        """So it is with and without feedback (RFC 5124; field.rst W3: Encrypted and plain): one stream, that which
        stands first and can be used. Two of one profile are two streams, and so are sound and pictures."""
        audio, video = b"m=audio %d RTP/%b 0\r\n", b"m=video %d RTP/%b 96\r\na=rtpmap:96 VP8/90000\r\n"
        for secure, profile in ((b"", BROWSER_OF_TRUNK), (b"S", self.encrypted)):
            plain, feedback = secure + b"AVP", secure + b"AVPF"
            key = KEY if secure else b""
            for profiles, taken in (
                ((plain, feedback), "5000"), ((feedback, plain), "5000"), ((plain, plain), "5000 5002"),
                ((feedback, plain, feedback), "5000 5004"), ((plain, feedback, feedback), "5000"),
            ):  # fmt: skip
                for medium in (audio, video):
                    each = [medium % (5000 + 2 * at, kind) + key for at, kind in enumerate(profiles)]
                    told = self.media(b"c=IN IP4 192.0.2.1\r\n" + b"".join(each), profile)
                    self.assertEqual(taken, " ".join(line.split()[1] for line in told if " 0 " not in line[:12]))
                    self.assertEqual(len(profiles), len(told))
            both = self.media(
                b"c=IN IP4 192.0.2.1\r\n" + audio % (1, plain) + key + video % (3, feedback) + key, profile
            )
            self.assertEqual(["1", "3"], [line.split()[1] for line in both])
        useless = (audio % (5000, b"SAVPF") + KEY.replace(b"AES", b"X")) + audio % (5002, b"SAVP") + KEY
        told = self.media(b"c=IN IP4 192.0.2.1\r\n" + useless, self.encrypted)
        self.assertEqual(["0", "5002"], [line.split()[1] for line in told])

    def test_no_address(self) -> None:
        """Where no address can be read, nobody could be heard: that is an error, and no hold, which is 0.0.0.0 (RFC
        3264 section 8.4)."""
        c, o = lines(PLAIN, "c=")[0].encode(), lines(PLAIN, "o=")[0].encode()
        for odd in (b"", b"c=", b"c=IN IP4 1.2.3", b"c=IN IP4 ?", b"c=IN IP6 :::"):
            for origin in (b"", b"o=", b"o=- 1 1 IN IP4 ?", b"o=- 1 1 IN IP4 300.1.1.1"):
                sdp = PLAIN.replace(c, odd).replace(o, origin)
                self.refused(sdp, BROWSER_OF_TRUNK)
                self.refused(sdp, BROWSER_OF_TRUNK, PLAIN)
            self.assertNotIn("c=IN IP4 0.0.0.0", lines(self.told(PLAIN.replace(c, odd), BROWSER_OF_TRUNK)))
        held = self.told(PLAIN.replace(c, b"c=IN IP4 0.0.0.0"), BROWSER_OF_TRUNK)
        self.assertEqual(["c=IN IP4 0.0.0.0"], lines(held, "c="))
        beside = PLAIN.replace(c, b"").replace(o, b"") + b"m=audio 7 RTP/AVP 0\r\nc=IN IP4 192.0.2.1\r\n"
        self.assertEqual(["0", "7"], [line.split()[1] for line in self.media(beside, BROWSER_OF_TRUNK)])

    def test_no_key(self) -> None:
        """An encrypted medium without a key is no use (RFC 4568 section 5.1.2)."""
        for key in (b"", b"a=crypto:1 AES_CM_128_HMAC_SHA1_80\r\n", b"a=crypto:\r\n", b"a=crypto:x y inline:z\r\n"):
            self.refused(PLAIN.replace(b"RTP/AVP", b"RTP/SAVP") + key, self.encrypted)

    def test_useless_keys(self) -> None:
        """A medium whose keys can't be used, or must not, is refused; the one beside it is taken, or another of its
        keys (RFC 4568 section 5.1.2)."""
        secure = PLAIN.replace(b"RTP/AVP", b"RTP/SAVP")
        other = KEY.replace(b":1 ", b":2 ")
        for key in (
            KEY.replace(b"AES_CM_128", b"NULL"), KEY.replace(b"AES_CM_128", b"AES_CM_256"), KEY.replace(b"a\r", b"\r"),
            KEY.replace(b"\r", b" UNENCRYPTED_SRTP\r"), KEY.replace(b"\r", b" X\r"), KEY + KEY.replace(b"a\r", b"b\r"),
        ):  # fmt: skip
            self.refused(secure + key, self.encrypted)
            self.refused(secure + key, self.encrypted, secure + key)
            self.assertEqual(
                [other.decode().strip()], lines(self.told(secure + key + other, self.encrypted), "a=crypto")
            )
            beside = self.media(secure + key + b"m=audio 5002 RTP/SAVP 0\r\n" + KEY, self.encrypted)
            self.assertEqual(["0", "5002"], [line.split()[1] for line in beside])

    def test_other_key(self) -> None:
        """An answer with a key that was not offered is none (RFC 4568 section 5.1.3); one with another tag is told
        rtpengine with that of the offer (field.rst U: Key by another tag)."""
        secure = PLAIN.replace(b"RTP/AVP", b"RTP/SAVP")
        for key in (b"", KEY.replace(b"_80", b"_32")):
            self.refused(secure + key, self.encrypted, secure + KEY)
        for key in (KEY, KEY.replace(b":1 ", b":2 ")):
            self.assertIn(KEY.decode().strip(), lines(self.told(secure + key, self.encrypted, secure + KEY)))

    def test_same_tag(self) -> None:
        """Of the keys with one tag in an offer the first counts, in an answer that which was offered (field.rst X18:
        Keys that share a tag)."""
        secure, short = PLAIN.replace(b"RTP/AVP", b"RTP/SAVP"), KEY.replace(b"_80", b"_32")
        for keys in (KEY + short, short + KEY):
            told = lines(self.told(secure + keys, self.encrypted), "a=crypto")
            self.assertEqual([keys.decode().splitlines()[0]], told)
            told = lines(self.told(secure + keys, self.encrypted, secure + KEY), "a=crypto")
            self.assertEqual([KEY.decode().strip()], told)

    def test_useless(self) -> None:
        """Media of which rtpengine or a browser can make nothing are refused; others go on (field.rst B: Descriptions
        that browsers refuse)."""
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

    def test_refused_in_the_offer(self) -> None:
        """What the offer has refused is refused in the answer (RFC 3264 section 6), and an answer that accepts nothing
        else is still one; one that accepts what was never offered is none."""
        refused = b"m=audio 0 RTP/AVP 0\r\n"
        video = b"m=video 5002 RTP/AVP 96\r\nc=IN IP4 192.0.2.1\r\na=rtpmap:96 VP8/90000\r\n"
        for answer, offer, ports in (
            (PLAIN, refused, ["0"]), (PLAIN + video, refused + video, ["0", "5002"]),
            (PLAIN + b"m=video 0 RTP/AVP 96\r\n", refused + video, ["0", "0"]), (PLAIN, refused + video, ["0", "0"]),
            (PLAIN + PLAIN[PLAIN.index(b"m=") :], refused + refused, ["0", "0"]),
        ):  # fmt: skip
            told = self.media(answer, BROWSER_OF_TRUNK, offer)
            self.assertEqual(ports, [line.split()[1] for line in told], offer)
        self.refused(PLAIN, BROWSER_OF_TRUNK, video)
        self.refused(PLAIN + video.replace(b"VP8", b"x"), BROWSER_OF_TRUNK, refused + video)

    def test_attributes(self) -> None:
        """What a trunk says of ICE, DTLS, streams or preconditions is not rtpengine's to read (field.rst X11: Streams
        of the other side)."""
        plain = self.told(PLAIN, BROWSER_OF_TRUNK)
        for odd in (
            b"ice-ufrag:abcd",
            b"msid:a b",
            b"setup:active",
            b"curr:qos local none",
            b"silenceSupp:off - - - -",
        ):
            self.assertEqual(plain, self.told(PLAIN + b"a=" + odd + b"\r\n", BROWSER_OF_TRUNK))


class ForPeers(ExchangeCase):
    def given(self, sdp: object, to: Profile, offered: bytes = b"") -> bytes:
        """What a peer is told of rtpengine's description."""
        told = read(offered or CHROMIUM)
        if isinstance(sdp, bytes) and not offered:
            told = read(sdp)
        made = write(for_peer(sdp, to, told, told if offered else None))
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
        """A browser gets what rtpengine made for it, without what is rtpengine's own or the far side's (field.rst X6:
        ICE restart)."""
        odd = b"a=tls-id:" + b"x" * 20 + b"\r\na=ssrc:1 cname:x\r\na=msid:a b\r\na=X-nat:0\r\n"
        self.assertEqual(self.given(CHROMIUM, BROWSER), self.given(CHROMIUM + odd, BROWSER))
        self.assertTrue(
            {"fingerprint", "ice-ufrag", "candidate", "rtcp-mux", "mid"} <= attributes(self.given(VIDEO, BROWSER))
        )

    def test_protocol(self) -> None:
        """Each medium is answered in the protocol that was offered (RFC 3264 section 6); feedback only where that has
        it (RFC 4585 section 4.2; field.rst W2: Feedback)."""
        reply = b"m=audio 5000 RTP/AVP 0\r\na=rtcp-fb:0 nack\r\nm=video 0 RTP/AVP 0\r\n"
        for first in ("RTP/AVP", "RTP/AVPF", "RTP/SAVP", "RTP/SAVPF"):
            offered = f"m=audio 5 {first} 0\r\nm=video 6 RTP/SAVPF 96\r\n".encode()
            given = self.given(reply, TRUNK, offered)
            self.assertEqual([f"m=audio 5000 {first} 0", "m=video 0 RTP/SAVPF 0"], lines(given, "m="))
            self.assertEqual(first.endswith("F"), "rtcp-fb" in attributes(given))

    def test_direction(self) -> None:
        """Many trunks answer a hold with sendrecv, or without a direction. Nobody is told of more than was offered:
        browsers would take nothing of the answer (RFC 3264 section 6.1; field.rst B: Descriptions that browsers
        refuse)."""
        for offered, answered, given in (
            ("sendrecv", "sendrecv", "sendrecv"), ("sendrecv", "inactive", "inactive"), ("sendrecv", "", "sendrecv"),
            ("sendonly", "sendrecv", "recvonly"), ("sendonly", "", "recvonly"), ("sendonly", "recvonly", "recvonly"),
            ("sendonly", "sendonly", "inactive"), ("recvonly", "sendrecv", "sendonly"),
            ("recvonly", "recvonly", "inactive"), ("inactive", "sendrecv", "inactive"),
        ):  # fmt: skip
            made = self.given(
                b"m=audio 5000 RTP/AVP 0\r\na=%b\r\n" % answered.encode(), BROWSER,
                b"m=audio 5 RTP/AVP 0\r\na=%b\r\n" % offered.encode(),
            )  # fmt: skip
            self.assertEqual([f"a={given}"], [line for line in lines(made, "a=") if line[2:] in DIRECTIONS])

    def test_left_over(self) -> None:
        """What rtpengine has besides is left out: 26 keeps the video of an offer that was refused, and writes it into
        the next offer and the answer to that."""
        left_over = CHROMIUM + b"m=video 5002 UDP/TLS/RTP/SAVPF 96\r\na=rtpmap:96 VP8/90000\r\n"
        offer = read(CHROMIUM)
        for to in (TRUNK, BROWSER):
            for told in (for_peer(left_over, to, offer), for_peer(left_over, to, offer, read(CHROMIUM))):
                self.assertEqual(["audio"], [media.kind for media in told.media])

    def test_refused_by_browsers(self) -> None:
        """A browser is not told of payload types for which it would refuse everything; the trunk is. An offer of
        nothing else is refused (field.rst B: Descriptions that browsers refuse)."""
        phone = b"m=audio 5000 RTP/AVP 2 8\r\na=rtpmap:2 G726-32/8000\r\n"
        self.assertEqual(["m=audio 5000 RTP/AVP 8"], lines(self.given(phone, BROWSER), "m="))
        self.assertEqual(["m=audio 5000 RTP/AVP 8"], lines(self.given(phone, BROWSER, phone), "m="))
        self.assertEqual(["m=audio 5000 RTP/AVP 2 8"], lines(self.given(phone, TRUNK), "m="))
        alone = phone.replace(b" 8\r", b"\r")
        self.assertEqual(488, self.assertRaises(NgRefused, for_peer, alone, BROWSER, read(alone)).status)

    def test_applications_of_trunks(self) -> None:
        """A browser is not told of the floor control (RFC 4583) or camera control (RFC 4573) of a video phone, which
        Firefox could not read even if refused; the phone has its own lines in the answer. A data channel is offered
        (field.rst B: Descriptions that browsers refuse)."""
        sound = b"c=IN IP4 127.0.0.1\r\nm=audio 5000 RTP/AVP 0\r\n"
        for protocol, formats in (
            ("UDP/BFCP", "*"), ("TCP/BFCP", "*"), ("TCP/TLS/BFCP", "*"), ("UDP/TLS/BFCP", "*"), ("RTP/AVP", "100"),
        ):  # fmt: skip
            phone = sound + f"m=application 9 {protocol} {formats}\r\na=rtpmap:100 H224/4800\r\n".encode()
            asked = from_peer(phone, BROWSER_OF_TRUNK)
            self.assertEqual([False, True], [media.is_refused for media in asked.media], protocol)
            refused = sound + f"m=application 0 {protocol} {formats}\r\n".encode()
            offered = write(for_peer(refused, BROWSER_OF_TRUNK, asked))
            self.assertEqual("m=audio 0 UDP/TLS/RTP/SAVPF 0", lines(offered, "m=")[1])
            answer = CHROMIUM + b"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"
            given = write(for_peer(refused, TRUNK, asked, from_peer(answer, TRUNK)))
            self.assertEqual(f"m=application 0 {protocol}", lines(given, "m=")[1].rpartition(" ")[0])
        channel = sound + b"m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\n"
        for protocol in ("UDP/DTLS/SCTP", "TCP/DTLS/SCTP", "DTLS/SCTP", "udp/dtls/sctp"):
            told = self.given(channel.replace(b"UDP/DTLS/SCTP", protocol.encode()), BROWSER)
            self.assertEqual(f"m=application 9 {protocol} webrtc-datachannel", lines(told, "m=")[1])

    def test_nothing(self) -> None:
        """rtpengine that has made none (10.5 of an empty one)."""
        for reply in (None, b"", 5, b"v=0\r\n"):
            self.assertRaises(NgRefused, for_peer, reply, BROWSER, read(CHROMIUM))


class Encryption(SynchronousTestCase):
    def test_all(self) -> None:
        """Whether nobody can talk in: each medium that is used has keys (RFC 4568, RFC 5764)."""
        plain, secure, refused = b"m=audio 5 RTP/AVP 0\r\n", b"m=audio 5 %b 0\r\n", b"m=video 0 RTP/AVP 0\r\n"
        for protocol in (b"RTP/SAVP", b"RTP/SAVPF", b"UDP/TLS/RTP/SAVPF"):
            self.assertTrue(is_encrypted(read(secure % protocol + refused)))
            self.assertFalse(is_encrypted(read(secure % protocol + plain)))
        self.assertFalse(is_encrypted(read(plain + b"a=x: RTP/SAVP\r\n")))
