"""The process as a whole: a local rtpengine as its child, TCP, and what it does with its calls when it is stopped."""

import re
from os import kill
from pathlib import Path
from signal import SIGKILL
from typing import ClassVar

from tests.support.real.case import LAB, RealCase
from tests.support.real.kamailio import Kamailio
from tests.support.real.part import until


class Spawned(RealCase):
    """`nodes = spawn`."""

    changes: ClassVar = (("nodes = @rtpengine@", "nodes = spawn"),)

    def _children(self) -> list[int]:
        found = Path(f"/proc/{self.proxy.pid}/task/{self.proxy.pid}/children").read_text()
        return [int(pid) for pid in found.split() if "rtpengine" in Path(f"/proc/{pid}/comm").read_text()]

    async def test_call_and_end(self) -> None:
        """A call goes by way of the child, and the child ends with the proxy."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        await self.hang_up(caller, callee)
        (child,) = self._children()
        await browser.close()
        self.proxy.terminate()
        self.proxy_ends = True
        await until(lambda: not self.proxy.alive, "the process ended", 10)
        self.assertFalse(Path(f"/proc/{child}").exists())

    async def test_child_killed(self) -> None:
        """A child that dies is started again, and calls work again."""
        browser, trunk = await self.browser(), await self.peer()
        (child,) = self._children()
        kill(child, SIGKILL)
        await until(lambda: self._children() not in ([], [child]), "another child", 15)

        for _ in range(20):
            calling = browser.invite(f"sip:echo@{self.plain}")
            try:
                invite = await trunk.request("INVITE", 1)
            except AssertionError:
                self.assertEqual(503, (await calling.final()).status)
                continue
            callee = trunk.accept(invite)
            caller = await calling.answered()
            await trunk.request("ACK")
            await self.hang_up(caller, callee)
            return
        self.fail("no call after the child's death")


class OverTcp(RealCase):
    """A trunk over TCP."""

    changes: ClassVar = (
        ("udp:{sip}:interface=127.0.0.1", "udp:{sip}:interface=127.0.0.1\n  tcp:{sip}:interface=127.0.0.1"),
        ("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ntransport = tcp"),
    )

    async def test_call_out(self) -> None:
        """INVITE, ACK and BYE go over TCP, and nothing is repeated (RFC 3261 17.1.1.2, 18)."""
        sipp = await self.sipp("uas", tcp=True)
        browser = await self.browser()
        caller = await browser.invite(f"sip:echo@{sipp.host}").answered()
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
        self.assertEqual(["INVITE", "ACK", "BYE"], [text.split()[0] for text in sipp.received()])
        self.assertIn("SIP/2.0/TCP", sipp.received()[0])


class Stopped(RealCase):
    """SIGTERM while calls are up."""

    async def test_calls_are_ended(self) -> None:
        """Both sides of a call get their BYE, and its media session is deleted, before the process ends."""
        browser, trunk = await self.browser(), await self.peer()
        await self.connected(browser, trunk)
        await self.session()
        self.proxy.terminate()
        self.proxy_ends = True
        for phone in (browser, trunk):
            phone.reply(await phone.request("BYE"), 200)
        await until(lambda: not self.proxy.alive, "the process ended", 10)
        await self.no_media()

    async def test_lines_of_calls(self) -> None:
        """Calls that end together, and with them the process, leave their lines in the log all the same."""
        browser, trunk = await self.browser(), await self.peer()
        calls = [await self.connected(browser, trunk) for _ in range(3)]
        self.proxy.terminate()
        self.proxy_ends = True
        for _ in calls:
            for phone in (browser, trunk):
                phone.reply(await phone.request("BYE"), 200)
        await until(lambda: not self.proxy.alive, "the process ended", 10)
        ended = re.findall(r"([^ ]+): call over, 200 shutdown", self.proxy.log())
        self.assertEqual(sorted(ended), sorted(caller.call_id for caller, _ in calls))


class Modern(RealCase):
    """Kamailio with SHA-256."""

    async def test_kamailio_verifies_sha256(self) -> None:
        """The proxy's answer to a 407 with SHA-256 is verified by Kamailio."""
        kamailio = Kamailio("SHA-256", LAB.modern)
        self.addCleanup(kamailio.stop)
        await kamailio.start()
        sipp = await self.behind_kamailio("uas")
        browser = await self.browser()
        caller = await browser.invite(f"sip:auth-{sipp.port}@modern.test").answered()
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()
