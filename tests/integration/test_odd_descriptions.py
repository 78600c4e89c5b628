"""Descriptions as odd peers write them, with the real rtpengine: what it gets it reads, and what a peer is sent is what
strict readers take (corners.rst 3: Any description, Trifles, Refused media, No default candidate)."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from tests.integration.media import CHROME, TRUNK_SDP, MediaCase, browser_answer
from tests.support.sdp import SAMPLES, attributes, lines, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, profiles_of
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.sdp.reading import BadSdp, read

KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"
M = b"m=audio 40000 RTP/AVP 0 8 126"
C = b"c=IN IP4 127.0.0.1"
O, S = (lines(TRUNK_SDP, start)[0].encode() for start in ("o=", "s="))  # noqa: E741


def instead(old: bytes, *new: bytes) -> list[bytes]:
    """The trunk's description with something else in the place of that."""
    assert old in TRUNK_SDP, old
    return [TRUNK_SDP.replace(old, each, 1) for each in new]


SHAPES = [
    *instead(M, M + b"  ", M + b"\t", M.replace(b" ", b"  "), M.lower(), M.replace(b"audio", b"AUDIO")),
    *instead(M, M.replace(b"40000", b"40000/2"), M + b" 0 99 200 x", M + b"\r\nX=y\r\nhello\r\n "),
    *instead(b" 0 8 126", b" 0,8,126", b" 0;8; 126"), *instead(b" 40000 ", b" +40000 ", b" 40000, ", b" 40000/1 "),
    *instead(b" RTP/AVP ", b" RTP/AVP/UDP ", b" udp/rtp/avp ", b" AVP ", b" avpf ", b" RTP/AVP, "),
    *instead(M, M + b" 97\r\na=rtpmap:97 FOO/8000/99", M + b" 97\r\na=rtpmap:97 L16/8000/17"),
    *instead(M, M + b" 97 98\r\na=rtpmap:97 x/8000/16\r\na=rtpmap:98 x/8000/25"),
    *instead(M, M + b"\r\ni=x\r\nk=y:z", M.replace(b"AVP", b"AVPF"), M + b"\r\nm=audio 5 RTP/SAVP 0\r\n" + KEY[:-2]),
    *instead(C, C + b" ", C + b"/127", C.lower(), C.replace(b"IP4", b"ip4"), b"c=127.0.0.1", C + b"\r\n" + C),
    *instead(C + b"\r\n", b""), *instead(C, b"c=IN IP6 ::ffff:127.0.0.1"),
    *instead(b"a=rtpmap:0 PCMU/8000", b"a=rtpmap:0 PCMU/8000/2", b"a=rtpmap:0 G711U/8000", b"a=rtpmap:0 PCMU/8000 x"),
    *instead(b"a=rtpmap:126 telephone-event/8000", b"a=rtpmap:126 telephone-event/8000;"),
    *instead(b"t=0 0\r\n", b"t=0 0\r\na=rtpmap:96 X/8000\r\na=fmtp:126 0-15\r\na=ptime:20\r\n"),
    *instead(O, b"o=", b"o=- 0 0 IN IP4 x", b"o=SIP GW 1 1 1 IN IP4 127.0.0.1", O + b" "),
    *instead(O, b"o=root session 1 IN IP4 1.2.3.4"),
    *instead(O + b"\r\n", b""),
    *instead(S, b"s=", b"s= ", b"s=Caf\xe9"),
    *instead(b"t=0 0\r\n", b"", b"t=0 0\r\n\r\n", b"t=\r\n"),
    *instead(b"a=rtpmap:0 PCMU/8000", b"a=rtpmap: 0 PCMU/8000", b"a=rtpmap: PCMU/8000", b"a=rtpmap", b""),
    *instead(b"a=rtpmap:0 PCMU/8000", b"a=rtpmap:0 /0"),
    *instead(M, M + b" 2\r\na=rtpmap:2 G726-32/8000", M + b" 19 1 64 95\r\na=rtpmap:64 x/8000\r\na=rtpmap:95 y/8000"),
    *instead(M, M + b" 19 64\r\na=rtpmap:19 CN/8000\r\na=rtpmap:1 x/8000\r\na=rtpmap:64 telephone-event/16000"),
    *instead(b"a=rtpmap:126 telephone-event/8000\r\n", b"", b"\r\n", b"a=rtpmap:126 telephone-event\r\n"),
    TRUNK_SDP.replace(b"\r\n", b"\n"), TRUNK_SDP.replace(b"\r\n", b"\r"), TRUNK_SDP[:-2], b"\r\n" + TRUNK_SDP,
    TRUNK_SDP + b"   ", TRUNK_SDP + b"\0", b"\xef\xbb\xbf" + TRUNK_SDP, TRUNK_SDP + b"\r\n",
    *(TRUNK_SDP + more + b"\r\n" for more in (
        b"m=video 0 RTP/AVP 255", b"m=video 0 RTP/AVP *", b"m=video 0 RTP/AVP -", b"m=video 0 RTP/AVP", b"m=video 0",
        b"m=video 5 RTP/AVP", b"m=video 5 RTP/AVP 99", b"m=video x RTP/AVP 99", b"m=image 5 udptl t38",
        b"m=text 5 RTP/AVP 98\r\na=rtpmap:98 t140/1000",
        b"m=image 0 udptl t38",
        b"m=application 5 UDP/BFCP *\r\na=floorctrl:c-s", b"m=application 5 TCP/TLS/BFCP *",
        b"m=application 0 TCP/BFCP *", b"m=application 5 RTP/AVP 99\r\na=rtpmap:99 H224/4800",
        b"m=message 5 TCP/MSRP *\r\na=path:msrp://x", b"m=audio 5 RTP/SAVP 0\r\na=crypto:1 x y", b"m=\xff", b"b=AS:",
        b"a=ssrc:1 cname:x\r\na=msid:a b", b"a=curr:qos e2e none\r\na=des:qos none e2e sendrecv", b"a=ptime:x",
        b"a=mid:0\r\na=group:LS 0",
        b"m=video 5 RTP/AVP 99 98\r\na=rtpmap:99 VP8/90000\r\na=rtpmap:98 rtx/90000",
        b"m=video 5 RTP/AVP 98\r\na=rtpmap:98 red/90000",
        *(b"m=video 5 RTP/AVP 99 98 97\r\na=rtpmap:99 VP8/90000\r\na=rtpmap:98 RTX/90000\r\na=rtpmap:97 ulpfec/90000"
          b"\r\na=fmtp:98 rtx-time=9; apt=%b" % apt for apt in (b"99", b"98", b"97", b"96", b"x", b"")),
        b"a=fmtp:126 0-15;\xc3\xa9", b"b=AS:9999999999", b"b=TIAS:4294967295", b"b=AS:2147483647",
        b"a=ice-ufrag:x\r\na=ice-pwd:y\r\na=candidate:x\r\na=setup:active\r\na=fingerprint:x y",
    )),
]  # fmt: skip
LINES = [line for name in SAMPLES for line in sample(name).splitlines()]
BITS = [b"", b" ", b"\t", b"/", b":", b"\xff", b"0", b"=", b"\0", b"\r"]


def bent(random: Random) -> bytes:
    """A description of lines from anywhere, some of them damaged."""
    made = [b"v=0", C, b"m=audio 5000 RTP/AVP 0 8"]
    for line in random.sample(LINES, random.randrange(25)):
        at = random.randrange(len(line) + 1)
        if random.random() < 0.4:
            line = line[:at] + random.choice(BITS) + line[at + random.randrange(2) :]
        made.append(line)
    return random.choice([b"\r\n", b"\n"]).join(made)


class OddDescriptions(MediaCase):
    """Offers and answers of a trunk, and offers of a browser."""

    async def begin(self) -> None:
        """Another call, for which rtpengine has the ports of the former one back."""
        await self.session.delete()
        self.session = self.nodes.session("call")

    def assert_sent(self, sdp: bytes, given: bytes) -> None:
        self.assertEqual([], complaints(sdp), given)
        self.assertNotEqual("0", lines(sdp, "m=audio")[0].split()[1], given)

    async def test_shapes(self) -> None:
        """Each in an offer to a browser, and in an answer to one (field.rst W6: Refused media; field.rst W7: Blanks
        at the end; field.rst B: Descriptions that browsers refuse; field.rst C: Trifles)."""
        for shape in SHAPES:
            await self.begin()
            self.assert_sent(await self.offer(shape, BROWSER_OF_TRUNK), shape)
            self.assert_sent(await self.answer(browser_answer("abcd", 45000), TRUNK), shape)
            await self.begin()
            await self.offer(CHROME, TRUNK)
            self.assert_sent(await self.answer(shape, BROWSER_OF_TRUNK), shape)

    async def test_any(self) -> None:
        """Whatever can be read at all, and has something usable, rtpengine takes."""
        for seed in range(100):
            sdp = bent(Random(seed))
            for to in (TRUNK, BROWSER_OF_TRUNK):
                await self.begin()
                try:
                    sent = await self.offer(sdp, to)
                except NgRefused as why:
                    self.assertIn("the SDP", why.why, (seed, sdp))
                else:
                    self.assertEqual([], complaints(sent), (seed, sdp))
                    self.assertEqual(len(read(sdp).media), len(lines(sent, "m=")))

    async def test_no_candidate(self) -> None:
        """A browser that has no candidate yet is not on hold, wherever it says that it trickles, or not at all; one
        that is on hold is, and so is a trunk with that address (field.rst W1: No default candidate)."""
        trickle = b"a=ice-options:trickle\r\n"
        bare = b"".join(line for line in CHROME.splitlines(True) if not line.startswith(b"a=candidate"))
        bare = bare.replace(trickle, b"").replace(lines(bare, "c=")[0].encode(), b"c=IN IP4 0.0.0.0")
        bare = bare.replace(lines(bare, "m=")[0].split()[1].encode(), b"9", 1)
        for offer in (
            bare, bare.replace(b"t=0 0\r\n", b"t=0 0\r\n" + trickle),
            bare.replace(b"IP4 0.0.0.0\r\na=rtcp", b"IP6 ::\r\na=rtcp"), bare.replace(b"m=audio 9 ", b"m=audio 45678 "),
        ):  # fmt: skip
            for direction in (b"sendrecv", b"sendonly", b"inactive"):
                await self.begin()
                sent = await self.offer(offer.replace(b"a=sendrecv", b"a=" + direction), TRUNK)
                self.assertEqual(["c=IN IP4 127.0.0.1"], lines(sent, "c="))
                self.assertIn("a=" + direction.decode(), lines(sent, "a="))
        await self.begin()
        held = await self.offer(TRUNK_SDP.replace(C, b"c=IN IP4 0.0.0.0"), BROWSER_OF_TRUNK)
        self.assertIn("a=sendonly", lines(held, "a="))

    async def test_answers_that_are_none(self) -> None:
        """Too short, too long, in another order: the browser gets one medium for each of its own, of its kind; without
        a common codec it gets none, and 488 is the answer (RFC 3264 section 6)."""
        offer = sample("chromium-video")
        video = b"m=video 40002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        head, audio = TRUNK_SDP.split(b"m=audio", 1)
        audio = b"m=audio" + audio
        for answer, accepted in (
            (head + audio, [True, False]), (head + audio + video, [True, True]), (head + video + audio, [True, True]),
            (head + audio + video + audio, [True, True]), (head + video, [False, True]),
        ):  # fmt: skip
            await self.begin()
            await self.offer(offer, TRUNK)
            sent = await self.answer(answer, BROWSER_OF_TRUNK)
            self.assertEqual([], complaints(sent))
            self.assertEqual(["m=audio", "m=video"], [line.split()[0] for line in lines(sent, "m=")])
            self.assertEqual(accepted, [line.split()[1] != "0" for line in lines(sent, "m=")], answer)
        await self.begin()
        await self.offer(CHROME, TRUNK)
        with self.assertRaises(NgRefused):
            await self.answer(b"m=audio 40000 RTP/AVP 3\r\n" + C + b"\r\n", BROWSER_OF_TRUNK)

    async def test_media_unknown_to_browsers(self) -> None:
        """A fax or text is refused; a browser is offered only what it can read, and the trunk has its own lines in
        the answer (field.rst B: Descriptions that browsers refuse)."""
        text = b"m=text 40006 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n"
        fax = b"m=image 40004 udptl t38\r\n"
        head, audio = TRUNK_SDP.split(b"m=audio", 1)
        audio = b"m=audio" + audio
        for offer, kinds in (
            (head + fax + audio, ["image 0 udptl t38", "audio 1 RTP/AVP"]),
            (head + audio + text, ["audio 1 RTP/AVP", "text 0 RTP/AVP 98"]),
        ):
            await self.begin()
            sent = await self.offer(offer, BROWSER_OF_TRUNK)
            self.assertEqual(["audio", "audio"], [media.kind for media in read(sent).media])
            browsers = browser_answer("abcd", 45000)
            refused = b"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"
            first = browsers.index(b"m=audio")
            answer = (
                browsers[:first] + refused + browsers[first:] if kinds[0].startswith("image") else browsers + refused
            )
            given = lines(await self.answer(answer, TRUNK), "m=")
            self.assertEqual([kind.split()[0] for kind in kinds], [line[2:].split()[0] for line in given])
            self.assertEqual([kind.split()[1] == "0" for kind in kinds], [line.split()[1] == "0" for line in given])
            self.assertEqual([kind.split()[2] for kind in kinds], [line.split()[2] for line in given])

    async def test_feedback(self) -> None:
        """A trunk that offers RTP with feedback, or without, is answered so (field.rst W2: Feedback)."""
        for protocol, media in (
            ("RTP/AVP", TrunkMedia()), ("RTP/AVPF", TrunkMedia()),
            ("RTP/SAVP", TrunkMedia(srtp=True)), ("RTP/SAVPF", TrunkMedia(srtp=True)),
        ):  # fmt: skip
            to, back = profiles_of(media)
            await self.begin()
            offer = TRUNK_SDP.replace(b"RTP/AVP", protocol.encode()) + (KEY if media.srtp else b"")
            self.assert_sent(await self.offer(offer, back), offer)
            answered = await self.answer(browser_answer("abcd", 45000), to)
            self.assert_sent(answered, offer)
            self.assertEqual(protocol, lines(answered, "m=")[0].split()[2])
            self.assertEqual(media.srtp, bool(lines(answered, "a=crypto")))

    async def test_encrypted_and_plain(self) -> None:
        """A trunk that offers both, in either order, has one audio with the browser: that of its section (field.rst W3:
        Encrypted and plain)."""
        head, audio = TRUNK_SDP.split(b"m=audio", 1)
        plain = b"m=audio" + audio
        secure = plain.replace(b"RTP/AVP", b"RTP/SAVP").replace(b"40000", b"40002") + KEY
        for media in (TrunkMedia(), TrunkMedia(srtp=True)):
            to, back = profiles_of(media)
            for offer in (head + plain + secure, head + secure + plain):
                await self.begin()
                sent = await self.offer(offer, back)
                self.assertEqual([], complaints(sent))
                taken = [line.split()[1] != "0" for line in lines(sent, "m=")]
                self.assertEqual(1, sum(taken), offer)
                answer = browser_answer("abcd", 45000)
                refused = b"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"
                at = answer.index(b"m=audio")
                answer = answer + refused if taken[0] else answer[:at] + refused + answer[at:]
                answered = lines(await self.answer(answer, to), "m=")
                wanted = [line.split()[2] for line in lines(offer, "m=")]
                self.assertEqual(wanted, [line.split()[2] for line in answered])
                ports = dict(zip(wanted, [line.split()[1] for line in answered], strict=True))
                self.assertEqual(media.srtp, ports["RTP/AVP"] == "0")
                self.assertEqual(media.srtp, ports["RTP/SAVP"] != "0")

    async def test_session_version(self) -> None:
        """Whatever version a first description has, ours begins with 1, and counts what changes (field.rst X1: Session
        version)."""
        for version in (b"0", b"1", b"%d" % (2**64 - 1), b"9" * 30):
            await self.begin()
            offer = CHROME.replace(b" 2 IN", b" %s IN" % version)
            answer = TRUNK_SDP.replace(O, b"o=- %s %s IN IP4 127.0.0.1" % (version, version))
            legs: tuple[list[bytes], list[bytes]] = ([], [])
            for direction, back in ((b"sendrecv", b"sendrecv"), (b"sendrecv", b"sendrecv"), (b"sendonly", b"recvonly")):
                legs[0].append(await self.offer(offer.replace(b"sendrecv", direction), TRUNK))
                legs[1].append(await self.answer(answer.replace(b"sendrecv", back), BROWSER_OF_TRUNK))
            for leg in legs:
                origins, expected = [lines(sdp, "o=")[0].split() for sdp in leg], [1]
                without = [sdp.replace(lines(sdp, "o=")[0].encode(), b"") for sdp in leg]
                for earlier, later in pairwise(without):
                    expected.append(expected[-1] + (earlier != later))
                self.assertEqual(expected, [int(origin[2]) for origin in origins], version)
                self.assertGreater(expected[-1], 1)
                self.assertEqual(1, len({origin[1] for origin in origins}))

    async def test_streams(self) -> None:
        """What a side says of its streams does not reach the other, browser or trunk, by offer or answer
        (field.rst X11: Streams of the other side)."""
        streams = b"a=ssrc:7 cname:x\r\na=ssrc:7 msid:far far\r\na=msid:far far\r\na=ssrc-group:FID 7 8\r\n"
        for one, other, to_other, to_one in (
            (CHROME, TRUNK_SDP, TRUNK, BROWSER_OF_TRUNK),
            (TRUNK_SDP, browser_answer("abcd", 45000), BROWSER_OF_TRUNK, TRUNK),
            (CHROME, browser_answer("abcd", 45000), BROWSER, BROWSER),
        ):  # fmt: skip
            await self.begin()
            for sent in (await self.offer(one + streams, to_other), await self.answer(other + streams, to_one)):
                self.assertEqual(set(), attributes(sent) & {"ssrc", "ssrc-group", "msid"})

    async def test_rtcp(self) -> None:
        """RTCP goes to the address that the trunk has named for it (RFC 3605 section 2.1)."""
        await self.offer(CHROME, TRUNK)
        await self.answer(TRUNK_SDP + b"a=rtcp:40009 IN IP4 127.0.0.9\r\n", BROWSER_OF_TRUNK)
        known = await self.rtpengine.query(self.session.call_id)
        ends = [
            (stream[b"endpoint"][b"address"], stream[b"endpoint"][b"port"])
            for media in known[b"tags"][b"B"][b"medias"]  # type: ignore[index]
            for stream in media[b"streams"]
        ]
        self.assertEqual([(b"127.0.0.1", 40000), (b"127.0.0.9", 40009)], ends)

    async def test_names_of_the_offer(self) -> None:
        """An answer without names of codecs has those of the offer, in its own order (RFC 3264 section 6.1)."""
        for formats in ("111 0", "0 111", "111 0 110", "9 111"):
            await self.begin()
            await self.offer(CHROME, TRUNK)
            bare = b"v=0\r\n" + C + b"\r\nm=audio 40000 RTP/AVP " + formats.encode() + b"\r\n"
            sent = await self.answer(bare, BROWSER_OF_TRUNK)
            self.assertEqual(formats.split(), lines(sent, "m=")[0].split()[3:])

    async def test_feedback_side_by_side(self) -> None:
        """RTP/AVP beside RTP/AVPF is one stream for the browser, and each has its place in the answer."""
        head, audio = TRUNK_SDP.split(b"m=audio", 1)
        plain, feedback = b"m=audio" + audio, b"m=audio" + audio.replace(b"AVP", b"AVPF").replace(b"40000", b"40002")
        for offer, protocols in ((plain + feedback, ["AVP", "AVPF"]), (feedback + plain, ["AVPF", "AVP"])):
            await self.begin()
            sent = await self.offer(head + offer, BROWSER_OF_TRUNK)
            self.assertEqual([False, True], [line.split()[1] == "0" for line in lines(sent, "m=")])
            refused = b"m=audio 0 UDP/TLS/RTP/SAVPF 0\r\n"
            given = await self.answer(browser_answer("abcd", 45000) + refused, TRUNK)
            self.assertEqual([], complaints(given))
            self.assertEqual([f"RTP/{each}" for each in protocols], [line.split()[2] for line in lines(given, "m=")])
            self.assertEqual([False, True], [line.split()[1] == "0" for line in lines(given, "m=")])

    async def test_profiles_of_browsers(self) -> None:
        """However a browser calls its profile, the trunk is offered its own, and the browser answered with that."""
        for profile in (b"TCP/DTLS/RTP/SAVPF", b"UDP/TLS/RTP/SAVP", b"tcp/dtls/rtp/savp", b"udp/tls/rtp/savpf"):
            for media in (TrunkMedia(), TrunkMedia(srtp=True)):
                await self.begin()
                to, back = profiles_of(media)
                sent = await self.offer(CHROME.replace(b"UDP/TLS/RTP/SAVPF", profile), to)
                self.assertEqual("RTP/SAVP" if media.srtp else "RTP/AVP", lines(sent, "m=")[0].split()[2])
                self.assertEqual(set(), {"ice-ufrag", "setup", "fingerprint"} & attributes(sent))
                given = await self.answer(sent, back)  # with the first of its own keys
                self.assertEqual(profile.decode().upper(), lines(given, "m=")[0].split()[2])
                self.assertEqual(1, len(lines(given, "a=fingerprint")))

    async def test_roles_of_browsers(self) -> None:
        """Whatever role a browser names in its offer, and with whatever hash, the answer has a role and a fingerprint:
        DTLS begins. Where it has no fingerprint that can be used, it gets 488 (RFC 8842 section 5.3)."""
        role = b"a=setup:actpass\r\n"
        line = lines(CHROME, "a=fingerprint")[0].encode() + b"\r\n"
        hashes = [
            b"a=fingerprint:%b %b\r\n" % (name, b":".join([b"aB"] * count))
            for name, count in ((b"sha-1", 20), (b"SHA-224", 28), (b"sha-256", 32), (b"sha-384", 48), (b"Sha-512", 64))
        ]
        md5 = b"a=fingerprint:md5 " + b":".join([b"AB"] * 16) + b"\r\n"
        for offer in (
            *(CHROME.replace(role, each) for each in (b"", b"a=setup:x\r\n", b"a=setup:holdconn\r\n", role.upper())),
            *(CHROME.replace(role, b"a=setup:%b\r\n" % each) for each in (b"active", b"passive")),
            *(CHROME.replace(line, each) for each in (*hashes, md5 + line, line + md5, hashes[0] + line)),
        ):  # fmt: skip
            await self.begin()
            await self.offer(offer, TRUNK)
            sent = await self.answer(TRUNK_SDP, BROWSER_OF_TRUNK)
            self.assert_sent(sent, offer)
            own = "active" if b"a=setup:passive" in offer else "passive"
            self.assertEqual([f"a=setup:{own}"], lines(sent, "a=setup"), offer)
            self.assertEqual(1, len(lines(sent, "a=fingerprint")))
        for unusable in (b"", md5, hashes[0][:-5] + b"\r\n"):
            await self.begin()
            with self.assertRaises(NgRefused):
                await self.offer(CHROME.replace(line, unusable), TRUNK)
            await self.begin()
            await self.offer(TRUNK_SDP, BROWSER_OF_TRUNK)
            with self.assertRaises(NgRefused):
                await self.answer(browser_answer("abcd", 45000).replace(line, unusable), TRUNK)

    async def test_refused_in_the_offer(self) -> None:
        """A trunk that accepts what a browser's offer has refused: the answer refuses it (RFC 3264 section 6)."""
        offer, video = sample("chromium-video"), b"m=video 40002 RTP/AVP 96\r\na=rtpmap:96 VP8/90000\r\n"
        offer = offer.replace(lines(offer, "m=")[0].encode(), b"m=audio 0 UDP/TLS/RTP/SAVPF 0")
        await self.offer(offer, TRUNK)
        sent = await self.answer(TRUNK_SDP + video, BROWSER_OF_TRUNK)
        self.assertEqual([True, False], [line.split()[1] == "0" for line in lines(sent, "m=")])

    async def test_unreadable(self) -> None:
        """What nobody can read is refused, and not sent to rtpengine."""
        for sdp in (b"", b"v=0\r\n", b"m=\r\n", b"m=audio x\r\n", b"\0" * 50):
            with self.assertRaises(BadSdp):
                read(sdp)
            with self.assertRaises(NgRefused):
                await self.offer(sdp, BROWSER_OF_TRUNK)
