"""Workers that end, or are ended: real processes, browsers on both of them, rtpengine."""

from os import kill
from signal import SIGKILL
from typing import ClassVar

from tests.integration.workers import WorkersCase
from tests.support.real.part import pause, runs, until
from tests.support.real.softphone import Browser, Peer
from webrtcproxy.sip.message import Request


class Killed(WorkersCase):
    """A worker dies."""

    async def test_others_unharmed(self) -> None:
        """Its calls are lost and its rtpengine sessions are deleted by its successor; calls of the other go on; new
        ones can be made on both."""
        alice, bob = await self.registered_at(1, "alice"), await self.registered_at(2, "bob")
        trunk = await self.peer()
        dying = await self.connected(alice, trunk)
        living = await self.connected(bob, trunk)
        await self.sessions(2)
        killed = self.kill_worker(1)
        await alice.closed
        await self.back_up(1, killed)

        await self.sessions(1)
        bye = dying[1].send("BYE")
        self.assertEqual(481, (await trunk.response(bye)).status)
        await self.hang_up(*living)
        again = await self.registered_at(1, "alice")
        caller = await self.kamailio_peer()
        for browser in (again, bob):
            await self.hang_up(*await self.called(browser, caller))

    async def test_successor_knows_the_bindings(self) -> None:
        """A worker that starts is told what there is: it calls a browser on the other."""
        bob = await self.registered_at(2, "bob")
        killed = self.kill_worker(1)
        await self.back_up(1, killed)
        alice = await self.registered_at(1, "alice")
        calling = alice.invite("sip:bob@pbx.test")
        callee = bob.accept(await bob.request("INVITE"))
        dialog = await calling.answered()
        await bob.request("ACK")
        await self.hang_up(dialog, callee)
        self.assertEqual((await self.health())["bindings"], 2)

    async def test_its_browsers_are_not_called(self) -> None:
        """Bindings of a dead worker are gone: 480, at once."""
        await self.registered_at(1, "alice")
        killed = self.kill_worker(1)
        await until(lambda: not runs(killed), "dead")
        caller = await self.kamailio_peer()
        self.assertEqual(480, (await caller.invite("sip:alice@pbx.test").final(3)).status)
        await self.back_up(1, killed)


class Ended(WorkersCase):
    """The proxy ends."""

    proxy_ends = True

    def _pids(self) -> list[int]:
        pids = list(self.proxy.worker_pids().values())
        self.assertEqual(len(pids), 2)
        return pids

    async def test_stop(self) -> None:
        """SIGTERM: calls are ended with BYE on both sides, also where call and browser are on different workers; then
        every process is gone."""
        alice, bob = await self.registered_at(1, "alice"), await self.registered_at(2, "bob")
        trunk = await self.peer()
        await self.connected(alice, trunk)
        await self.connected(bob, trunk)
        calling = alice.invite("sip:bob@pbx.test")
        bob.accept(await bob.request("INVITE"))
        await calling.answered()
        await bob.request("ACK")
        pids = self._pids()
        self.proxy.terminate()
        for phone, byes in ((alice, 2), (bob, 2), (trunk, 2)):
            for _ in range(byes):
                phone.reply(await phone.request("BYE"), 200)
        await until(lambda: not self.proxy.alive, "the process ended", 10)
        self.assertEqual([pid for pid in pids if runs(pid)], [])
        await self.no_media()
        self.assertEqual(((await alice.closed)[0], (await bob.closed)[0]), (1012, 1012))

    async def test_hub_killed(self) -> None:
        """SIGKILL for the hub: no worker stays, and calls are ended with BYE all the same
        (original.rst: a second process that owns the calls dies)."""
        alice, trunk = await self.at(1), await self.peer()
        await self.connected(alice, trunk)
        pids = self._pids()
        kill(self.proxy.pid, SIGKILL)
        for phone in (alice, trunk):
            phone.reply(await phone.request("BYE"), 200)
        await until(lambda: not any(map(runs, pids)), "the workers ended", 10)
        await until(lambda: not self.proxy.alive, "the hub is gone", 5)
        await self.no_media()

    async def test_stuck_worker_without_hub(self) -> None:
        """A worker that is stopped in its tracks when the hub dies does not stay once it goes on."""
        pids = self._pids()
        kill(pids[0], 19)
        kill(self.proxy.pid, SIGKILL)
        await until(lambda: not runs(pids[1]), "the other ended", 10)
        kill(pids[0], 18)
        await until(lambda: not runs(pids[0]), "ended", 10)
        await until(lambda: not self.proxy.alive, "the hub is gone", 5)


class Draining(WorkersCase):
    """`[proxy] drain`."""

    changes: ClassVar = (("workers = @workers@", "workers = 2\ndrain = 20"),)
    proxy_ends = True

    async def _drained(self, browser: Browser, trunk: Peer, other: Browser) -> None:
        """A call goes on while others are refused; when it ends by itself, the proxy is gone."""
        caller, callee = await self.connected(browser, trunk)
        self.proxy.terminate()
        await self._refusing(other)
        options: Request = trunk.build("OPTIONS", f"sip:proxy@127.0.0.1:{self.proxy.sip}")
        refused = await trunk.ask(options)
        self.assertEqual((503, "10"), (refused.status, refused.headers.get("Retry-After")))
        info = caller.send("INFO")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await browser.response(info)).status)
        self.assertTrue(self.proxy.alive)
        await self.hang_up(callee, caller)
        await until(lambda: not self.proxy.alive, "the process ended", 10)

    async def _refusing(self, browser: Browser) -> None:
        """New calls of that browser get 503."""
        for _ in range(50):
            if (await browser.ask(browser.build("OPTIONS", f"sip:{self.plain}"))).status == 503:
                break
            await pause(0.1)
        final = await browser.invite(f"sip:echo@{self.plain}").final()
        self.assertEqual((503, "10"), (final.status, final.headers.get("Retry-After")))

    async def test_calls_go_on(self) -> None:
        """The worker with a call and the one without wait for each other."""
        await self._drained(await self.at(1), await self.peer(), await self.at(2))


class DrainingAlone(Draining):
    """The same with one process."""

    changes: ClassVar = (("workers = @workers@", "workers = 1\ndrain = 20"),)

    async def test_calls_go_on(self) -> None:
        """A call goes on while others are refused; when it ends by itself, the process does."""
        await self._drained(await self.browser(), await self.peer(), await self.browser("bob"))
