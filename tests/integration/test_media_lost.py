"""The media layer with a real rtpengine that gives sessions up by itself, and tells nobody (corners.rst 5:
timeouts)."""

from __future__ import annotations

from tests.integration.media import CHROME, MediaCase, trunk_sdp
from tests.support.real import ng
from tests.support.real.part import pause, until
from tests.support.real.ports import LOOPBACK
from tests.support.real.rtpengine import Rtpengine
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.profile import BROWSER, TRUNK
from webrtcproxy.media.session import MediaSession


class Lost(MediaCase):
    """Nodes are looked at every second or so."""

    options = {"ping": 0.15}

    async def up(self, nodes: Nodes, lost: list[str], name: str) -> MediaSession:
        """The session of a call that is up."""
        session = nodes.session(name)
        self.addCleanup(session.delete)
        await session.offer(CHROME, from_tag="A", branch="b", to=TRUNK)
        await session.answer(trunk_sdp(40000), from_tag="A", to_tag="B", branch="b", to=BROWSER)
        session.watch(lambda _: lost.append(name))
        return session

    async def test_deleted_by_another(self) -> None:
        """A session that somebody else has deleted is missed, and no other."""
        lost: list[str] = []
        gone, living = await self.up(self.nodes, lost, "gone"), await self.up(self.nodes, lost, "living")
        delete = {b"command": b"delete", b"call-id": gone.call_id.encode(), b"delete delay": 0}
        await ng.ask(self.rtpengine.port, delete)
        await until(lambda: lost, "the session missed", 5)
        await pause(1.5)
        self.assertEqual(["gone"], lost)
        self.assertEqual([living.call_id], await self.rtpengine.sessions())

    async def test_timeout(self) -> None:
        """rtpengine deletes a session without media after its `timeout`; the call learns of it."""
        impatient = Rtpengine(timeout=1)
        self.addCleanup(impatient.stop)
        await impatient.start()
        self.address = (LOOPBACK, impatient.port)
        nodes, lost = self.make(**self.options), []
        await self.up(nodes, lost, "silent")
        await until(lambda: lost, "the session missed", 15)
        self.assertEqual([], await impatient.sessions())
