"""`[rtpengine] nodes = spawn` with the program itself: it runs, dies, runs again, and never outlives us."""

from __future__ import annotations

import subprocess
import sys
from os import kill
from pathlib import Path
from signal import SIGKILL

from twisted.internet import reactor
from twisted.trial.unittest import TestCase

from tests.integration.media import CHROME
from tests.support.real.lab import LAB
from tests.support.real.part import until
from tests.support.real.ports import free_ports
from webrtcproxy.media import process
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.media.profile import BROWSER, TRUNK
from webrtcproxy.runtime.errors import NgOverload


class SpawnTests(TestCase):
    """`[rtpengine] nodes = spawn`, with the program itself."""

    timeout = 30

    async def start(self, *extra: str) -> Nodes:
        self.process = process.RtpengineProcess(reactor, extra=extra)  # type: ignore[arg-type]
        self.process.startService()
        self.addCleanup(self.process.stopService)
        await until(lambda: self.process.answers, "rtpengine answers", 10)
        nodes = Nodes(reactor, [self.process.address], timeout=2)  # type: ignore[arg-type]
        nodes.startService()
        self.addCleanup(nodes.stopService)
        return nodes

    async def test_life(self) -> None:
        """It runs, is killed and runs again on the same port; a call is served before and after; then it ends."""
        nodes = await self.start()
        for _ in range(2):
            session = nodes.session("call")
            self.assertTrue(await session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
            await session.delete()
            self.assertEqual(await nodes.sessions(nodes.nodes[0]), [])
            killed = self.process.pid
            assert killed is not None
            kill(killed, SIGKILL)
            await until(lambda gone=killed: self.process.pid not in (gone, None), "another process", 5)
        last = self.process.pid
        await self.process.stopService()
        self.assertIsNone(self.process.pid)
        self.assertRaises(ProcessLookupError, kill, last, 0)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    async def test_call_while_it_restarts(self) -> None:
        """A call that comes in the half second without rtpengine waits, and is served."""
        nodes = await self.start()
        assert self.process.pid is not None
        kill(self.process.pid, SIGKILL)
        session = nodes.session("call")
        self.assertTrue(await session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
        await session.delete()

    async def test_load_limit(self) -> None:
        """At its limit rtpengine says so (`supports: [load limit]`): 503 with Retry-After, or another node."""
        nodes = await self.start("--max-sessions=1")
        one, two = nodes.session("one"), nodes.session("two")
        await one.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
        await self.assertFailure(two.offer(CHROME, from_tag="A", branch="b1", to=TRUNK), NgOverload)
        shared = await LAB.rtpengine()
        both = Nodes(reactor, [self.process.address, ("127.0.0.1", shared.port)])  # type: ignore[arg-type]
        both.startService()
        self.addCleanup(both.stopService)
        three = both.session("three")
        self.assertTrue(await three.offer(CHROME, from_tag="A", branch="b1", to=TRUNK))
        self.assertEqual(str(three.node), shared.address)
        for session in (one, two, three):
            await session.delete()
        await shared.assert_empty()

    async def test_out_of_ports(self) -> None:
        """When its ports are used up the call's SDP is not to blame: 503."""
        ports = free_ports(6)
        nodes = await self.start(f"--port-min={ports[0]}", f"--port-max={ports[-1]}")
        sessions = [nodes.session(f"call {n}") for n in range(4)]
        errors = []
        for session in sessions:
            try:
                await session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
            except NgOverload as error:
                errors.append((error.why, error.status))
        self.assertIn(("Ran out of ports", 503), errors)
        self.assertLess(len(errors), len(sessions))
        for session in sessions:
            await session.delete()
        self.assertEqual(await nodes.sessions(nodes.nodes[0]), [])

    async def test_lost(self) -> None:
        """An answer for a call that it has lost, as after a restart: it is told the offer again."""
        nodes = await self.start()
        session = nodes.session("call")
        await session.offer(CHROME, from_tag="A", branch="b1", to=TRUNK)
        for call_id in await nodes.sessions(nodes.nodes[0]):
            await nodes.nodes[0].command("delete", {"call-id": call_id, "delete delay": 0}, 2)
        self.assertTrue(await session.answer(CHROME, from_tag="A", to_tag="B", branch="b1", to=BROWSER))
        self.assertEqual(await nodes.sessions(nodes.nodes[0]), [session.call_id])
        await session.delete()

    async def test_dies_with_us(self) -> None:
        """When the proxy is killed its rtpengine is gone, too: no orphan keeps the ports."""
        script = (
            "from twisted.internet import reactor\n"
            "from webrtcproxy.media.process import RtpengineProcess\n"
            "engine = RtpengineProcess(reactor)\n"
            "engine.startService()\n"
            "def check():\n"
            "    print(engine.pid, flush=True) if engine.answers else reactor.callLater(0.1, check)\n"
            "check()\n"
            "reactor.run()\n"
        )
        parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.PIPE, text=True)
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        self.assertTrue(_runs(child))
        parent.kill()
        parent.wait()
        parent.stdout.close()
        await until(lambda: not _runs(child), "the child is gone", 5)


def _runs(pid: int) -> bool:
    """Whether that process lives; one that is dead and only not buried does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # gone before it is opened, or before it is read
        return False
