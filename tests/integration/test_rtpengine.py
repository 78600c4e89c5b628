"""The media layer with the real rtpengine: what its flags do to SDP, what becomes of branches, and media."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall
from twisted.logger import capturedLogs

from tests.integration.media import (
    BROWSERS,
    CHROME,
    TRUNK_SDP,
    UNWANTED,
    MediaCase,
    browser_answer,
    identity,
    trunk_sdp,
)
from tests.support.real.part import pause, until
from tests.support.real.rtpengine import installed_version
from tests.support.sdp import attributes, lines, port, sample
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import BROWSER, TRUNK, profiles_of


class SdpTests(MediaCase):
    """What each leg gets to see."""

    async def test_browser_to_trunk(self) -> None:
        """The trunk sees plain RTP and no line that only a browser understands, whatever browser called."""
        for name in BROWSERS:
            offered = await self.offer(sample(name), TRUNK, branch=name)
            self.assertEqual({line.split()[2] for line in lines(offered, "m=")}, {"RTP/AVP"}, name)
            self.assertEqual(attributes(offered) & UNWANTED, set(), name)
            self.assertIn("a=sendrecv", lines(offered))
            self.assertTrue(any("telephone-event/8000" in line for line in lines(offered)), name)
            self.assertTrue(all("127.0.0.1" in line for line in (*lines(offered, "c="), *lines(offered, "o="))), name)

    async def test_trunk_answers_browser(self) -> None:
        """The browser sees DTLS-SRTP with us as server, RTCP on the RTP port, one candidate, its own mid, no SDES."""
        for name in ("chromium-audio", "firefox-audio"):
            await self.offer(sample(name), TRUNK, branch=name)
            answered = await self.answer(TRUNK_SDP, BROWSER, branch=name, to_tag=name)
            self.assert_for_browser(answered, "a=setup:passive")
            self.assertEqual(lines(answered, "a=mid"), ["a=mid:0"])
        known: Any = await self.rtpengine.query(self.session.call_id)
        (browser,) = known[b"tags"][b"A"][b"medias"]
        self.assertTrue({b"DTLS-SRTP", b"DTLS role passive", b"ICE", b"rtcp-mux"} <= set(browser[b"flags"]))

    async def test_trunk_to_browser(self) -> None:
        """A trunk's offer becomes a browser's: actpass, ICE, mid; its answer comes back as plain RTP."""
        offered = await self.offer(TRUNK_SDP, BROWSER)
        self.assert_for_browser(offered, "a=setup:actpass")
        (mid,) = lines(offered, "a=mid:")
        answered = await self.answer(browser_answer("AAAA", 50001, mid=mid[6:]), TRUNK)
        self.assertEqual(attributes(answered) & UNWANTED, set())
        self.assertIn("RTP/AVP 0 8", lines(answered, "m=")[0])

    async def test_browser_to_browser(self) -> None:
        """DTLS and ICE on both sides."""
        self.assert_for_browser(await self.offer(CHROME, BROWSER), "a=setup:actpass")
        self.assert_for_browser(await self.answer(browser_answer("AAAA", 50001), BROWSER), "a=setup:passive")

    async def test_two_media(self) -> None:
        """m-lines keep their number and order; a refused one keeps its place (RFC 3264 section 6)."""
        offered = await self.offer(sample("chromium-video"), TRUNK)
        self.assertEqual([line.split()[0] for line in lines(offered, "m=")], ["m=audio", "m=video"])
        answered = await self.answer(TRUNK_SDP + b"m=video 0 RTP/AVP 96\r\n", BROWSER)
        self.assertEqual([line.split()[0] for line in lines(answered, "m=")], ["m=audio", "m=video"])
        self.assertEqual(lines(answered, "m=video")[0].split()[1], "0")

    async def test_hold(self) -> None:
        """Directions cross: a held browser call is sendonly at the trunk, the answer recvonly at the browser."""
        await self.offer(CHROME, TRUNK)
        await self.answer(TRUNK_SDP, BROWSER)
        held = await self.offer(CHROME.replace(b"sendrecv", b"sendonly"), TRUNK)
        self.assertIn("a=sendonly", lines(held))
        answered = await self.answer(TRUNK_SDP.replace(b"sendrecv", b"recvonly"), BROWSER)
        self.assertIn("a=recvonly", lines(answered))

    def assert_for_browser(self, sdp: bytes, setup: str) -> None:
        self.assertEqual(lines(sdp, "m=")[0].split()[2], "UDP/TLS/RTP/SAVPF")
        self.assertEqual(lines(sdp, "a=setup"), [setup])
        self.assertEqual(len(lines(sdp, "a=fingerprint:sha-256 ")), 1)
        self.assertEqual(len(lines(sdp, "a=candidate")), 1)
        names = {"ice-ufrag", "ice-pwd", "mid", "rtcp-mux", "fingerprint", "setup", "sendrecv"}
        self.assertEqual(names - attributes(sdp), set())
        self.assertEqual({"crypto", "rtcp"} & attributes(sdp), set())


class BranchTests(MediaCase):
    """What `webrtcproxy/media/session.py` says of branches and tags."""

    async def test_forked_to_browsers(self) -> None:
        """Each branch has ports of its own; the caller sees the same from the answer of either; one is dropped."""
        offers = [await self.offer(CHROME, BROWSER, branch) for branch in ("b1", "b2")]
        self.assertEqual(set(identity(offers[0])) & set(identity(offers[1])), set(lines(offers[0], "a=fingerprint")))
        early = await self.answer(browser_answer("AAAA", 50001), BROWSER, "b1", "t1")
        final = await self.answer(browser_answer("BBBB", 50002), BROWSER, "b2", "t2")
        self.assertEqual(identity(early), identity(final))
        self.assertEqual((await self.hears(b"A"))[0], b"t2")  # before 12 a former one stays in the list
        before = await self.local_ports()
        await self.drop("b1")
        self.assertEqual(before - await self.local_ports(), {port(offers[0])})
        again = await self.answer(browser_answer("BBBB", 50002), BROWSER, "b2", "t2")
        self.assertEqual(identity(again), identity(final))

    async def test_forked_from_trunk(self) -> None:
        """A trunk that calls two browsers gets 183 from one and 200 from the other: the same ports in both."""
        for branch in ("b1", "b2"):
            await self.offer(TRUNK_SDP, BROWSER, branch)
        early = await self.answer(browser_answer("AAAA", 50001, mid="1"), TRUNK, "b1", "t1")
        final = await self.answer(browser_answer("BBBB", 50002, mid="1"), TRUNK, "b2", "t2")
        self.assertEqual(port(early), port(final))

    async def test_dropped_first(self) -> None:
        """The branch that was heard early is dropped before the winner answers: the caller keeps what it has."""
        for branch in ("b1", "b2"):
            await self.offer(CHROME, BROWSER, branch)
        early = await self.answer(browser_answer("AAAA", 50001), BROWSER, "b1", "t1")
        await self.drop("b1")
        final = await self.answer(browser_answer("BBBB", 50002), BROWSER, "b2", "t2")
        self.assertEqual(identity(early), identity(final))
        self.assertEqual((await self.hears(b"A"))[0], b"t2")

    async def test_dropped_before_any_answer(self) -> None:
        """Branches that never answered are dropped one by one, the last one stays for the caller's sake."""
        offers = {branch: await self.offer(CHROME, BROWSER, branch) for branch in ("b1", "b2", "b3")}
        for branch in offers:
            await self.drop(branch)
        held = await self.local_ports()
        self.assertEqual([port(offer) in held for offer in offers.values()], [False, False, True])

    async def test_one_after_the_other(self) -> None:
        """Serial forking: the next target's answer shows the caller what it knows from the first one's early media."""
        await self.offer(CHROME, TRUNK, "b1")
        early = await self.answer(trunk_sdp(40000), BROWSER, "b1", "t1")
        await self.drop("b1")
        second = await self.offer(CHROME, TRUNK, "b2")
        final = await self.answer(trunk_sdp(40010), BROWSER, "b2", "t2")
        self.assertEqual(identity(early), identity(final))
        self.assertIn(port(second), await self.local_ports())
        self.assertEqual((await self.hears(b"A"))[0], b"t2")

    async def test_delete_with_the_callers_tag_is_deadly(self) -> None:
        """Why a drop names nobody: an unknown branch with the caller's tag takes the whole call (rtpengine 10.5)."""
        for branch in ("b1", "b2"):
            await self.offer(CHROME, BROWSER, branch)
        node = self.nodes.nodes[0]
        fields: dict[str, Any] = {"call-id": self.session.call_id, "via-branch": "b9", "delete delay": 0}
        await node.command("delete", {**fields, "from-tag": "nobody"}, 2)
        self.assertEqual(len(await self.nodes.sessions(node)), 1)
        await node.command("delete", {**fields, "from-tag": "A"}, 2)
        self.assertEqual(await self.nodes.sessions(node), [])

    async def test_downstream_fork(self) -> None:
        """183 with one To tag and 200 with another in one branch: the ports that were offered serve the second."""
        offered = await self.offer(CHROME, TRUNK)
        early = await self.answer(trunk_sdp(40000), BROWSER, to_tag="t1")
        final = await self.answer(trunk_sdp(40010), BROWSER, to_tag="t2")
        self.assertEqual(identity(early), identity(final))
        known: Any = await self.rtpengine.query(self.session.call_id)
        self.assertEqual(set(known[b"tags"]), {b"A", b"t1"})
        stream = known[b"tags"][b"t1"][b"medias"][0][b"streams"][0]
        self.assertEqual((stream[b"local port"], stream[b"endpoint"][b"port"]), (port(offered), 40010))

    async def test_codecs_of_a_fork(self) -> None:
        """PCMU is the answer of one, PCMA that of another, of the same branch or of another branch: after a further
        offer the second answer is about PCMA, and all ports are the same. Without one it is so from rtpengine 26 on."""
        pcmu, pcma = (trunk_sdp(at).replace(b" 0 8 ", b" %b " % kind) for at, kind in ((6000, b"0"), (7000, b"8")))
        for branch, again in (("b1", False), ("b1", True), ("b2", False), ("b2", True)):
            self.session = self.nodes.session(f"{branch}{again}")
            self.addCleanup(self.session.delete)
            offers = {name: await self.offer(trunk_sdp(5000), TRUNK, name) for name in sorted({"b1", branch})}
            first = await self.answer(pcmu, TRUNK, "b1", "t1")
            if again:
                offered = await self.offer(trunk_sdp(5000), TRUNK, branch)
                self.assertEqual(lines(offers[branch], "m="), lines(offered, "m="))
            second = await self.answer(pcma, TRUNK, branch, "t2")
            self.assertEqual(port(first), port(second))
            if again:
                self.assertIn(" RTP/AVP 8 126", lines(second, "m=")[0], branch)

    async def test_later_offers(self) -> None:
        """re-INVITE from either side, also of a callee known by a second tag: ports and credentials stay."""
        to_callee = await self.offer(CHROME, BROWSER)
        to_caller = await self.answer(browser_answer("AAAA", 50001), BROWSER, to_tag="t1")
        await self.answer(browser_answer("AAAA", 50001), BROWSER, to_tag="t2")
        again = await self.offer(browser_answer("AAAA", 50001), BROWSER, from_tag="t2")
        self.assertEqual(identity(again), identity(to_caller))
        back = await self.answer(CHROME.replace(b"actpass", b"active"), BROWSER, from_tag="t2", to_tag="A")
        self.assertEqual(identity(back), identity(to_callee))
        again = await self.offer(CHROME, BROWSER)
        self.assertEqual(identity(again), identity(to_callee))
        known: Any = await self.rtpengine.query(self.session.call_id)
        self.assertEqual(
            {tag: party.get(b"via-branch") for tag, party in known[b"tags"].items()}, {b"A": None, b"t1": b"b1"}
        )

    async def test_late_offer(self) -> None:
        """INVITE without SDP: the callee offers, the caller answers."""
        offered = await self.offer(TRUNK_SDP, BROWSER, from_tag="B")
        answered = await self.answer(browser_answer("AAAA", 50001, mid="1"), TRUNK, from_tag="B", to_tag="A")
        self.assertIn("a=setup:actpass", lines(offered))
        self.assertIn("RTP/AVP", lines(answered, "m=")[0])


class _Phone(DatagramProtocol):
    """One end of a plain RTP stream."""

    def __init__(self, name: bytes) -> None:
        self.name, self.heard, self.count = name, set[bytes](), 0
        self.listening: Any = reactor.listenUDP(0, self, "127.0.0.1")  # type: ignore[attr-defined]
        self.port: int = self.listening.getHost().port

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        self.heard.add(data[12:13])

    def speak(self, to: int) -> None:
        """Send one packet of PCMU."""
        assert self.transport is not None
        self.count += 1
        header = b"\x80\x00" + self.count.to_bytes(2, "big") + (self.count * 160).to_bytes(4, "big") + self.name * 4
        self.transport.write(header + self.name * 160, ("127.0.0.1", to))


class MediaTests(MediaCase):
    async def test_strict_source(self) -> None:
        """Plain RTP crosses; a stranger that finds the port is not heard by anybody."""
        alice, bob, mallory = (_Phone(name) for name in (b"a", b"b", b"m"))
        for phone in (alice, bob, mallory):
            self.addCleanup(phone.listening.stopListening)
        to_bob = port(await self.offer(trunk_sdp(alice.port), TRUNK))
        to_alice = port(await self.answer(trunk_sdp(bob.port), TRUNK))

        def talk() -> None:
            alice.speak(to_alice)
            bob.speak(to_bob)

        talking = LoopingCall(talk)
        talking.start(0.02)
        self.addCleanup(talking.stop)
        await until(lambda: alice.heard == {b"b"} and bob.heard == {b"a"}, "both hear each other", 3)
        for _ in range(20):
            mallory.speak(to_alice)
            mallory.speak(to_bob)
        await pause(0.3)
        self.assertEqual((alice.heard, bob.heard, mallory.heard), ({b"b"}, {b"a"}, set()))


class VersionTests(MediaCase):
    """The version of a node (docs/access.rst: media)."""

    async def test_told(self) -> None:
        """It is the one that the program gives for itself; nothing is left of the question."""
        with capturedLogs() as events:
            nodes = self.make()
            await until(lambda: any("version" in event for event in events), "the version", 5)
        (told,) = {str(event["version"]) for event in events if "version" in event}
        self.assertEqual(told, str(installed_version()))
        for _ in range(50):  # the nodes of `setUp` may just be asking, too
            left = await nodes.sessions(nodes.nodes[0])
            if not left:
                break
            await pause(0.1)
        self.assertEqual(left, [])

    async def test_keys_that_it_knows(self) -> None:
        """It gets no key that it does not know, in commands for browsers, trunks and digits (field.rst X8: Keys of a
        node)."""
        with capturedLogs() as events:
            nodes = self.make()
            await until(lambda: any("version" in event for event in events), "the version", 5)
        self.session = nodes.session("call")
        self.addCleanup(self.session.delete)
        to, back = profiles_of(TrunkMedia(("PCMU", "telephone-event"), dtmf="rfc4733"))
        await self.offer(CHROME, to)
        await self.answer(TRUNK_SDP, back)
        await self.offer(CHROME.replace(b"sendrecv", b"sendonly"), to)
        await self.answer(TRUNK_SDP.replace(b"sendrecv", b"recvonly"), back)
        await self.offer(CHROME, BROWSER, branch="b2")
        self.assertNotIn("Unknown dictionary key", self.rtpengine.log())
