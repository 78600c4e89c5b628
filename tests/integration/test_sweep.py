"""What a proxy that was killed has left at rtpengine: its successor deletes it, and nothing else."""

from __future__ import annotations

import os
import signal

from tests.integration.media import CHROME
from tests.support.real.case import RealCase
from tests.support.real.part import until


class Killed(RealCase):
    """kill -9 in a call, and a start with the same file."""

    async def test_swept(self) -> None:
        """Its session is deleted within seconds of the start; that of another proxy stays."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", body=CHROME)
        trunk.accept(await trunk.request("INVITE"))
        await calling.answered()
        await trunk.request("ACK")
        await self.sessions(1)
        for pid in (self.proxy.pid, *self.proxy.worker_pids().values()):
            os.kill(pid, signal.SIGKILL)
        await until(lambda: not self.proxy.alive, "it is gone")
        await self.sessions(1)
        await self.proxy.start()
        await self.sessions(0)
