"""A proxy with several workers."""

import json
from os import kill
from signal import SIGKILL
from typing import Any, ClassVar
from urllib.request import urlopen

from twisted.internet.threads import deferToThread

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import until
from tests.support.real.ports import accepted, sockets_of
from tests.support.real.softphone import Browser, Peer

TWO = ("workers = @workers@", "workers = 2")


class WorkersCase(RealCase):
    """A proxy with two workers, and browsers on the worker that the test wants them on."""

    changes: ClassVar[tuple[tuple[str, str], ...]] = (TWO,)

    def worker_of(self, browser: Browser) -> int:
        """The number of the worker that has the browser's connection."""
        inode = accepted(self.proxy.wss, browser.local_port)
        for number, pid in self.proxy.worker_pids().items():
            if inode in sockets_of(pid):
                return number
        raise AssertionError("no worker has that connection")

    async def at(self, number: int, user: str = "alice", **options: object) -> Browser:
        """A browser on that worker: the kernel picks by a hash of the ports, so it connects until it is there."""
        for _ in range(50):
            browser = await self.browser(user, password=PASSWORDS[user], **options)
            await until(lambda phone=browser: accepted(self.proxy.wss, phone.local_port), "accepted")
            if self.worker_of(browser) == number:
                return browser
            await browser.close()
        raise AssertionError(f"worker {number} got none of 50 connections")

    async def registered_at(self, number: int, user: str = "alice") -> Browser:
        """The same, registered at Kamailio."""
        browser = await self.at(number, user)
        await browser.register()
        return browser

    async def called(self, browser: Browser, caller: Peer, *others: Browser) -> tuple[Dialog, Dialog]:
        """A call from Kamailio to the browser's user: the caller's dialog and the browser's."""
        calling = caller.invite(f"sip:{browser.user}@pbx.test")
        for phone in (browser, *others):
            phone.reply(await phone.request("INVITE"), 180)
        callee = browser.accept(browser.requests("INVITE")[-1])
        dialog = await calling.answered()
        await browser.request("ACK")
        return dialog, callee

    async def all_told(self) -> None:
        """Wait until each worker knows what the others had to tell: all are asked, and answer after it, twice."""
        for _ in range(2):
            await self.proxy.samples()

    def kill_worker(self, number: int) -> int:
        """SIGKILL; the process id."""
        pid = self.proxy.worker_pids()[number]
        kill(pid, SIGKILL)
        return pid

    async def back_up(self, number: int, killed: int) -> None:
        """Wait for the successor of a killed worker."""
        await until(lambda: self.proxy.worker_pids().get(number, killed) != killed, f"worker {number} up again", 15)

    async def web(self, page: str) -> bytes:
        """What the web port says."""
        url = f"http://127.0.0.1:{self.proxy.web}/{page}"
        return await deferToThread(lambda: urlopen(url, timeout=5).read())

    async def health(self) -> dict[str, Any]:
        """What /health says."""
        found: dict[str, Any] = json.loads(await self.web("health"))
        return found
