"""The media layer with a real rtpengine that refuses, stalls or is restarted: nothing is left behind."""

from __future__ import annotations

from typing import ClassVar

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, gatherResults

from tests.integration.media import CHROME, MediaCase
from tests.support.real.part import pause, until
from tests.support.sdp import lines, port
from webrtcproxy.media.names import SessionNames
from webrtcproxy.media.profile import TRUNK
from webrtcproxy.media.session import MediaSession
from webrtcproxy.runtime.errors import NgRefused, NgTimeout


class FaultTests(MediaCase):
    """What goes wrong, and that nothing is left of it."""

    options: ClassVar = {"timeout": 0.6, "ping": 0.5}

    async def test_refused(self) -> None:
        """SDP that rtpengine cannot read is refused with its reason, and leaves nothing."""
        for bad in (b"v=0\r\nrubbish\r\n", b"v=0\r\n", b"", b"\x00" * 200):
            await self.assertFailure(self.session.offer(bad, from_tag="A", branch="b1", to=TRUNK), NgRefused)

    async def test_unicode(self) -> None:
        """Bytes outside ASCII in an SDP, whatever they mean, do no harm."""
        for name in ("s=Zoë ☎".encode(), b"s=Zo\xeb"):
            offered = await self.offer(CHROME.replace(b"s=-", name), TRUNK)
            self.assertIn(b"\r\ns=-\r\n", offered)
            self.assertTrue(offered.isascii())

    async def test_large(self) -> None:
        """An SDP far beyond one packet of the network crosses."""
        more = b"".join(b"a=content:%d.%s\r\n" % (n, b"z" * 50) for n in range(300))
        offered = await self.offer(CHROME + more, TRUNK)
        self.assertEqual(len(lines(offered, "a=content")), 300)

    async def test_abandoned_calls(self) -> None:
        """200 callers that hang up while their offer is in work leave nothing."""
        gone = []
        for n in range(200):
            session = self.nodes.session(f"call {n}")
            offered = session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
            offered.addErrback(lambda failure: failure.trap(CancelledError))
            offered.cancel()
            gone.append(session.delete())
        await gatherResults(gone)

    async def test_stalled(self) -> None:
        """A stalled rtpengine: NgTimeout when the time is up. Going on again, it keeps nothing of that call."""
        self.rtpengine.stall()
        try:
            began = reactor.seconds()  # type: ignore[attr-defined]
            await self.assertFailure(self.session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK), NgTimeout)
            self.assertLess(reactor.seconds() - began, 5)  # type: ignore[attr-defined]
            await self.session.delete()
        finally:
            self.rtpengine.resume()
        await until(lambda: not self.nodes.names, "the abandoned session is deleted", 10)

    async def test_stalled_with_a_call(self) -> None:
        """It dies and comes back for us: a call that ended meanwhile is deleted, one that lives is kept."""
        await self.offer(CHROME, TRUNK)
        ended = self.nodes.session("ended")
        await ended.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
        self.rtpengine.stall()
        try:
            gone = ended.delete()
            await until(lambda: not self.nodes.nodes[0].alive, "dead", 5)
        finally:
            self.rtpengine.resume()
        await until(lambda: self.nodes.nodes[0].alive, "alive", 5)
        await gone
        self.assertEqual(await self.rtpengine.sessions(), [self.session.call_id])

    async def test_earlier_run(self) -> None:
        """What a killed proxy left is deleted by the next one of the same instance name, and by no other."""
        earlier = self.make(names=SessionNames("edge")).session("left")
        await earlier.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
        await self.offer(CHROME, TRUNK)
        self.make(names=SessionNames("another"))
        await pause(1.5)
        self.assertEqual(len(await self.rtpengine.sessions()), 2)
        self.make(names=SessionNames("edge"))
        left: list[str] = []
        for _ in range(50):
            await pause(0.1)
            left = await self.rtpengine.sessions()
            if len(left) < 2:
                break
        self.assertEqual(left, [self.session.call_id])

    async def test_sent_twice(self) -> None:
        """The same datagram twice is one command with one reply: the duplicate changes nothing."""
        session = MediaSession(self.nodes, "twice")
        node = self.nodes.nodes[0]
        offered = session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
        for command in node._waiting.values():
            node._send(command)
        sdp = await offered
        await pause(0.1)
        self.session, ports = session, {port(sdp)}
        self.assertTrue(ports <= await self.local_ports())
        self.assertEqual(len(await self.rtpengine.sessions()), 1)
