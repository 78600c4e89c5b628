"""What a browser is sent of odd descriptions of a trunk, by way of the real rtpengine: Chromium and Firefox take
each, offers and answers (corners.rst 3: Any description; field.rst W6: Refused media; field.rst W7: Blanks at the
end; field.rst B: Descriptions that browsers refuse; field.rst C: Trifles)."""

from __future__ import annotations

import json
from typing import Any, ClassVar

from tests.integration.media import TRUNK_SDP, MediaCase
from tests.integration.test_odd_descriptions import SHAPES, O
from tests.support.real.case import LAB
from tests.support.sdp import lines
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK
from webrtcproxy.sip.sdp.description import DIRECTIONS

ANSWERS = """(async offers => {
    const refused = [];
    for (const sdp of offers) {
        const pc = new RTCPeerConnection();
        try {
            await pc.setRemoteDescription({type: "offer", sdp});
            await pc.setLocalDescription(await pc.createAnswer());
        } catch (error) { refused.push(`${error}: ${sdp}`); }
        pc.close();
    }
    return refused;
})"""
OFFER = """(async () => {
    window.pc = new RTCPeerConnection();
    window.pc.addTransceiver("audio");
    window.pc.addTransceiver("video");
    await window.pc.setLocalDescription(await window.pc.createOffer());
    return window.pc.localDescription.sdp;
})()"""
OFFER_OF = """(async direction => {
    window.pc = new RTCPeerConnection();
    window.pc.addTransceiver("audio", {direction});
    await window.pc.setLocalDescription(await window.pc.createOffer());
    return window.pc.localDescription.sdp;
})"""
ANSWER = """(async sdp => {
    window.pc ??= new RTCPeerConnection();
    await window.pc.setRemoteDescription({type: "offer", sdp});
    await window.pc.setLocalDescription(await window.pc.createAnswer());
    return window.pc.localDescription.sdp;
})"""
TAKES = """(async sdp => {
    try {
        await window.pc.setRemoteDescription({type: "answer", sdp});
        return "";
    } catch (error) {
        return `${error}: ${sdp}`;
    } finally {
        window.pc.close();
    }
})"""


class InBrowser:
    """With either browser; the classes below name it."""

    browser: ClassVar[str]

    async def tab(self) -> Any:
        """A page of that browser."""
        running: Any = await (LAB.firefox() if self.browser == "firefox" else LAB.chromium())
        tools = await running.connect()
        self.addCleanup(tools.close)  # type: ignore[attr-defined]
        return await tools.open((await LAB.pages()).url("jssip"))

    async def test_offers(self) -> None:
        """Each is taken, and can be answered."""
        case: Any = self
        tab = await self.tab()
        offers = []
        for shape in SHAPES:
            await case.begin()
            offers.append((await case.offer(shape, BROWSER_OF_TRUNK)).decode())
        case.assertEqual([], await tab.run(f"{ANSWERS}({json.dumps(offers)})"))

    async def test_answers(self) -> None:
        """Each is one to what the browser has offered, audio and video."""
        case: Any = self
        tab = await self.tab()
        for shape in SHAPES:
            await case.begin()
            await case.offer((await tab.run(OFFER)).encode(), TRUNK)
            answer = (await case.answer(shape, BROWSER_OF_TRUNK)).decode()
            case.assertEqual("", await tab.run(f"{TAKES}({json.dumps(answer)})"), shape)

    async def test_directions(self) -> None:
        """Whatever direction a trunk answers with, the browser gets one that answers its own (RFC 3264 section 6.1)."""
        case: Any = self
        tab = await self.tab()
        for offered in DIRECTIONS:
            for answered in DIRECTIONS:
                await case.begin()
                await case.offer((await tab.run(f"{OFFER_OF}('{offered}')")).encode(), TRUNK)
                trunk = TRUNK_SDP.replace(b"a=sendrecv", f"a={answered}".encode())
                answer = (await case.answer(trunk, BROWSER_OF_TRUNK)).decode()
                case.assertEqual("", await tab.run(f"{TAKES}({json.dumps(answer)})"), (offered, answered))

    async def test_session_version(self) -> None:
        """Whatever version a trunk begins with, the browser takes its answer, and its offers, which count from 1; what
        the browser begins with is 1 for the trunk, too (field.rst X1: Session version)."""
        case: Any = self
        tab = await self.tab()
        for version in (b"0", b"1", b"%d" % 2**63, b"%d" % (2**64 - 1)):
            trunk = TRUNK_SDP.replace(O, b"o=- %s %s IN IP4 127.0.0.1" % (version, version))
            await case.begin()
            sent = [await case.offer((await tab.run(OFFER)).encode(), TRUNK)]
            answer = await case.answer(trunk, BROWSER_OF_TRUNK)
            case.assertEqual("", await tab.run(f"{TAKES}({json.dumps(answer.decode())})"), version)
            sent.append(answer)
            await case.begin()
            await tab.run("(window.pc = undefined)")
            for direction in (b"sendrecv", b"sendonly"):
                offer = await case.offer(trunk.replace(b"sendrecv", direction), BROWSER_OF_TRUNK)
                await case.answer((await tab.run(f"{ANSWER}({json.dumps(offer.decode())})")).encode(), TRUNK)
                sent.append(offer)
            case.assertEqual([1, 1, 1, 2], [int(lines(each, "o=")[0].split()[2]) for each in sent], version)


class OddCase(MediaCase):
    """Many calls, one after the other."""

    async def begin(self) -> None:
        """Another call, for which rtpengine has the ports of the former one back: deletes wait for each other
        (`webrtcproxy.media.nodes.BATCH_DELAY`), and a hundred offers take no longer."""
        await self.session.delete()
        self.session = self.nodes.session("call")


class InChromium(InBrowser, OddCase):
    """In Chromium."""

    browser = "chromium"


class InFirefox(InBrowser, OddCase):
    """In Firefox."""

    browser = "firefox"
