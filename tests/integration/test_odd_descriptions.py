"""Descriptions as odd peers write them, with the real rtpengine: what it gets it reads, and what a peer is sent is what
strict readers take (corners.rst 3: Any description, Trifles, Refused media, No default candidate)."""

from __future__ import annotations

from random import Random

from tests.integration.media import CHROME, TRUNK_SDP, MediaCase, browser_answer
from tests.support.sdp import SAMPLES, lines, sample
from tests.support.strict_sdp import complaints
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK
from webrtcproxy.runtime.errors import NgRefused
from webrtcproxy.sip.sdp.reading import BadSdp, read

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
    *instead(M, M + b"\r\ni=x\r\nk=y:z"),
    *instead(C, C + b" ", C + b"/127", C.lower(), C.replace(b"IP4", b"ip4"), b"c=127.0.0.1", C + b"\r\n" + C),
    *instead(C + b"\r\n", b""),
    *instead(O, b"o=", b"o=- 0 0 IN IP4 x", b"o=SIP GW 1 1 1 IN IP4 127.0.0.1", O + b" "),
    *instead(O, b"o=root session 1 IN IP4 1.2.3.4"),
    *instead(O + b"\r\n", b""),
    *instead(S, b"s=", b"s= ", b"s=Caf\xe9"),
    *instead(b"t=0 0\r\n", b"", b"t=0 0\r\n\r\n", b"t=\r\n"),
    *instead(b"a=rtpmap:0 PCMU/8000", b"a=rtpmap: 0 PCMU/8000", b"a=rtpmap: PCMU/8000", b"a=rtpmap", b""),
    *instead(b"a=rtpmap:0 PCMU/8000", b"a=rtpmap:0 /0"),
    *instead(b"a=rtpmap:126 telephone-event/8000\r\n", b"", b"\r\n", b"a=rtpmap:126 telephone-event\r\n"),
    TRUNK_SDP.replace(b"\r\n", b"\n"), TRUNK_SDP.replace(b"\r\n", b"\r"), TRUNK_SDP[:-2], b"\r\n" + TRUNK_SDP,
    TRUNK_SDP + b"   ", TRUNK_SDP + b"\0", b"\xef\xbb\xbf" + TRUNK_SDP, TRUNK_SDP + b"\r\n",
    *(TRUNK_SDP + more + b"\r\n" for more in (
        b"m=video 0 RTP/AVP 255", b"m=video 0 RTP/AVP *", b"m=video 0 RTP/AVP -", b"m=video 0 RTP/AVP", b"m=video 0",
        b"m=video 5 RTP/AVP", b"m=video 5 RTP/AVP 99", b"m=video x RTP/AVP 99", b"m=image 5 udptl t38",
        b"m=text 5 RTP/AVP 98\r\na=rtpmap:98 t140/1000",
        b"m=image 0 udptl t38",
        b"m=message 5 TCP/MSRP *\r\na=path:msrp://x", b"m=audio 5 RTP/SAVP 0\r\na=crypto:1 x y", b"m=\xff", b"b=AS:",
        b"a=ssrc:1 cname:x\r\na=msid:a b", b"a=curr:qos e2e none\r\na=des:qos none e2e sendrecv", b"a=ptime:x",
        b"a=mid:0\r\na=group:LS 0",
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

    def begin(self) -> None:
        """Another call."""
        ended = self.session.delete()
        self.addCleanup(lambda: ended)
        self.session = self.nodes.session("call")

    def assert_sent(self, sdp: bytes, given: bytes) -> None:
        self.assertEqual([], complaints(sdp), given)
        self.assertNotEqual("0", lines(sdp, "m=audio")[0].split()[1], given)

    async def test_shapes(self) -> None:
        """Each in an offer to a browser, and in an answer to one."""
        for shape in SHAPES:
            self.begin()
            self.assert_sent(await self.offer(shape, BROWSER_OF_TRUNK), shape)
            self.assert_sent(await self.answer(browser_answer("abcd", 45000), TRUNK), shape)
            self.begin()
            await self.offer(CHROME, TRUNK)
            self.assert_sent(await self.answer(shape, BROWSER_OF_TRUNK), shape)

    async def test_any(self) -> None:
        """Whatever can be read at all, and has something usable, rtpengine takes."""
        for seed in range(100):
            sdp = bent(Random(seed))
            for to in (TRUNK, BROWSER_OF_TRUNK):
                self.begin()
                try:
                    sent = await self.offer(sdp, to)
                except NgRefused as why:
                    self.assertIn("the SDP", why.why, (seed, sdp))
                else:
                    self.assertEqual([], complaints(sent), (seed, sdp))
                    self.assertEqual(len(read(sdp).media), len(lines(sent, "m=")))

    async def test_no_candidate(self) -> None:
        """A browser that has no candidate yet is not on hold, wherever it says that it trickles, or not at all; one
        that is on hold is, and so is a trunk with that address (FIELD W1)."""
        trickle = b"a=ice-options:trickle\r\n"
        bare = b"".join(line for line in CHROME.splitlines(True) if not line.startswith(b"a=candidate"))
        bare = bare.replace(trickle, b"").replace(lines(bare, "c=")[0].encode(), b"c=IN IP4 0.0.0.0")
        bare = bare.replace(lines(bare, "m=")[0].split()[1].encode(), b"9", 1)
        for offer in (
            bare, bare.replace(b"t=0 0\r\n", b"t=0 0\r\n" + trickle),
            bare.replace(b"IP4 0.0.0.0\r\na=rtcp", b"IP6 ::\r\na=rtcp"),
        ):  # fmt: skip
            for direction in (b"sendrecv", b"sendonly", b"inactive"):
                self.begin()
                sent = await self.offer(offer.replace(b"a=sendrecv", b"a=" + direction), TRUNK)
                self.assertEqual(["c=IN IP4 127.0.0.1"], lines(sent, "c="))
                self.assertIn("a=" + direction.decode(), lines(sent, "a="))
        self.begin()
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
            self.begin()
            await self.offer(offer, TRUNK)
            sent = await self.answer(answer, BROWSER_OF_TRUNK)
            self.assertEqual([], complaints(sent))
            self.assertEqual(["m=audio", "m=video"], [line.split()[0] for line in lines(sent, "m=")])
            self.assertEqual(accepted, [line.split()[1] != "0" for line in lines(sent, "m=")], answer)
        self.begin()
        await self.offer(CHROME, TRUNK)
        with self.assertRaises(NgRefused):
            await self.answer(b"m=audio 40000 RTP/AVP 3\r\n" + C + b"\r\n", BROWSER_OF_TRUNK)

    async def test_media_unknown_to_browsers(self) -> None:
        """A fax or text is refused; a browser is offered only what it can read, and the trunk has its own lines in the
        answer (FIELD B)."""
        text = b"m=text 40006 RTP/AVP 98\r\na=rtpmap:98 t140/1000\r\n"
        fax = b"m=image 40004 udptl t38\r\n"
        head, audio = TRUNK_SDP.split(b"m=audio", 1)
        audio = b"m=audio" + audio
        for offer, kinds in (
            (head + fax + audio, ["image 0 udptl t38", "audio 1 RTP/AVP"]),
            (head + audio + text, ["audio 1 RTP/AVP", "text 0 RTP/AVP 98"]),
        ):
            self.begin()
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

    async def test_unreadable(self) -> None:
        """What nobody can read is refused, and not sent to rtpengine."""
        for sdp in (b"", b"v=0\r\n", b"m=\r\n", b"m=audio x\r\n", b"\0" * 50):
            with self.assertRaises(BadSdp):
                read(sdp)
            with self.assertRaises(NgRefused):
                await self.offer(sdp, BROWSER_OF_TRUNK)
