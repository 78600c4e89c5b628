"""A proxy with rtpengines of its own, which a test kills, stops or starts again, and a trunk with real media."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import ClassVar

from tests.support.real import ng
from tests.support.real.case import RealCase
from tests.support.real.part import pause, until
from tests.support.real.rtpengine import Rtpengine
from tests.support.real.trunk_media import TrunkMedia
from webrtcproxy.sip.message import Request


class SeveralNodesCase(RealCase):
    """As a RealCase.

    :cvar count: of rtpengines.
    :cvar options: what stands after the address of each in the configuration.
    :ivar engines: the rtpengines.
    :ivar calls: of each call, the port of the browser or the trunk.
    """

    count: ClassVar[int] = 2
    options: ClassVar[tuple[str, ...]] = ("", "", "")
    media_timeout: ClassVar[int] = 60

    async def setUp(self) -> None:
        self.engines = [Rtpengine(self.media_timeout, 60) for _ in range(self.count)]
        for engine in self.engines:
            self.addCleanup(engine.stop)
            await engine.start()
        named = "\n    ".join(
            f"{engine.address} {more}" for engine, more in zip(self.engines, self.options, strict=False)
        )
        if self.engines:
            own = ("nodes = @rtpengine@", f"nodes = {named}")
            self.changes = (*type(self).changes, own)  # type: ignore[misc]
        await super().setUp()
        self.addCleanup(self.nothing_left)
        self.trunk, self.media = await self.peer(), TrunkMedia()
        self.addCleanup(self.media.close)

    async def nothing_left(self) -> None:
        """No session at any rtpengine that runs."""
        for engine in self.engines:
            if engine.alive:
                await engine.assert_empty(10)

    async def holder(self) -> Rtpengine:
        """The rtpengine that has the only session."""
        for _ in range(50):
            holders = [engine for engine in self.engines if engine.alive and await _calls(engine)]
            if len(holders) == 1:
                return holders[0]
            await pause(0.1)
        raise AssertionError("there is not one session")

    def other(self, engine: Rtpengine) -> Rtpengine:
        """Another one."""
        return next(each for each in self.engines if each is not engine)

    def kill(self, engine: Rtpengine) -> None:
        """It dies (SIGKILL)."""
        os.kill(engine.pid, signal.SIGKILL)
        assert engine.process is not None
        engine.process.wait()

    def kill_spawned(self) -> None:
        """The rtpengine that the proxy itself has started dies."""
        children = Path(f"/proc/{self.proxy.pid}/task/{self.proxy.pid}/children").read_text().split()
        (child,) = (each for each in children if "rtpengine" in Path(f"/proc/{each}/comm").read_text())
        os.kill(int(child), signal.SIGKILL)

    async def answered(self, seconds: float = 10, direction: str = "sendrecv") -> Request:
        """The trunk answers the next re-INVITE; its media go where that says."""
        invite = await self.trunk.request("INVITE", seconds)
        self.trunk.reply(invite, 200, body=self.media.answer(invite.body, direction))
        await self.trunk.request("ACK")
        return invite

    async def trunk_hears(self, seconds: float = 10) -> None:
        """Audio comes to the trunk."""
        self.media.heard.clear()
        await until(lambda: sum(self.media.heard.values()) > 25, "audio at the trunk", seconds)


async def _calls(engine: Rtpengine) -> list[bytes]:
    """The sessions that an rtpengine has, but those in which it is asked for its version."""
    reply = await ng.ask(engine.port, {b"command": b"list", b"limit": 1000})
    return list(reply[b"calls"])
