"""SIGTERM, SIGINT and SIGHUP to real processes: who is turned away meanwhile, and how it ends."""

import ssl
from signal import SIGHUP, SIGINT, SIGTERM
from socket import create_connection
from typing import ClassVar

from twisted.internet.threads import deferToThread

from tests.integration.workers import TWO
from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause, until
from tests.support.real.ports import LOOPBACK
from tests.support.real.proxy import make_certificate
from tests.support.real.softphone import Browser, Peer

READ_AGAIN = "The certificate was read again from "


class Draining(RealCase):
    """A proxy whose calls have time to end by themselves."""

    changes: ClassVar = (("workers = @workers@", "workers = 1\ndrain = 40"),)
    proxy_ends = True

    async def _draining(self, trunk: Peer) -> None:
        """Send SIGTERM, and wait until new calls are refused, by all processes."""
        self.proxy.terminate()
        refusals = 0
        for _ in range(100):
            refused = await trunk.ask(trunk.build("OPTIONS", f"sip:proxy@{LOOPBACK}:{self.proxy.sip}"))
            refusals = refusals + 1 if refused.status == 503 else 0
            if refusals > 2 * self.proxy.workers:
                return
            await pause(0.05)
        self.fail("it does not drain")

    async def _ended(self, seconds: float) -> None:
        """It ends within that time, as something that went well, and with the records of its calls."""
        await until(lambda: not self.proxy.alive, "the process ended", seconds)
        assert self.proxy.process is not None
        self.assertEqual(0, self.proxy.process.returncode)
        self.proxy.assert_clean()

    async def _hung_up(self, *dialogs: Dialog) -> None:
        for dialog in dialogs:
            await dialog.hung_up(3)

    async def test_who_is_turned_away(self) -> None:
        """New connections get 503, REGISTERs too unless they remove; what is up goes on until it ends by itself."""
        alice, bob, trunk = await self.browser(), await self.registered("bob"), await self.peer()
        caller, callee = await self.connected(alice, trunk)
        await self._draining(trunk)

        late = Browser("carol", self.proxy.wss)
        with self.assertRaises(ConnectionError) as refused:
            await late.connect()
        self.assertIn("503", str(refused.exception))
        register = await bob.ask(bob.registration())
        self.assertEqual((503, "10"), (register.status, register.headers.get("Retry-After")))
        self.assertEqual(200, (await bob.ask(bob.registration(expires=0))).status)
        info = caller.send("INFO")
        trunk.reply(await trunk.request("INFO"), 200)
        self.assertEqual(200, (await alice.response(info)).status)
        self.assertTrue(self.proxy.alive)

        await self.hang_up(callee, caller)
        await self._ended(5)
        self.assertEqual(((await alice.closed)[0], (await bob.closed)[0]), (1012, 1012))
        self.assertIn(f"{caller.call_id}: call over, 200 callee", self.proxy.log())

    async def test_twice(self) -> None:
        """A second one ends the calls with BYE on both sides at once, whatever time they had."""
        alice, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(alice, trunk)
        await self._draining(trunk)
        self.proxy.terminate()
        await self._hung_up(caller, callee)
        await self._ended(3)
        await self.no_media()
        self.assertIn(f"{caller.call_id}: call over, 200 shutdown", self.proxy.log())

    async def test_both_at_once(self) -> None:
        """Two that come in one moment, Ctrl-C and SIGTERM, are a first and a second one."""
        alice, trunk = await self.browser(), await self.peer()
        dialogs = await self.connected(alice, trunk)
        assert self.proxy.process is not None
        for number in (SIGINT, SIGTERM):
            self.proxy.process.send_signal(number)
        await self._hung_up(*dialogs)
        await self._ended(3)

    async def test_idle(self) -> None:
        """Without calls one is enough, although browsers are connected."""
        alice = await self.registered()
        self.proxy.terminate()
        await self._ended(3)
        self.assertEqual(1012, (await alice.closed)[0])

    async def test_open_page(self) -> None:
        """A browser that keeps the connection of the page holds up nothing, though it does not close it."""
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

        def load() -> ssl.SSLSocket:
            connection = context.wrap_socket(create_connection((LOOPBACK, self.proxy.wss), 5))
            connection.sendall(b"GET / HTTP/1.1\r\nHost: phone.test\r\n\r\n")
            self.assertIn(b"HTTP/1.1 404", connection.recv(1000))
            return connection

        connection = await deferToThread(load)
        self.addCleanup(connection.close)
        self.proxy.terminate()
        await self._ended(3)


class DrainingWorkers(Draining):
    """The same with two workers."""

    changes: ClassVar = (("workers = @workers@", "workers = 2\ndrain = 40"),)


class Reloading(RealCase):
    """SIGHUP."""

    async def _serial(self) -> int:
        """The serial number of the certificate that a new connection sees."""

        def look() -> int:
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            with (
                create_connection((LOOPBACK, self.proxy.wss), 5) as plain,
                context.wrap_socket(plain) as connection,
            ):
                return hash(connection.getpeercert(binary_form=True))

        return await deferToThread(look)

    async def _hangup(self, line: str) -> None:
        """Send SIGHUP, and wait until each process that has the certificate has said that."""
        since, wanted = self.proxy.log_size(), self.proxy.workers
        assert self.proxy.process is not None
        self.proxy.process.send_signal(SIGHUP)
        await until(lambda: self.proxy.log(since).count(line) >= wanted, line, 5)

    async def test_certificates(self) -> None:
        """They are read again, and nothing ends: the registration stays, and so does the call. Files that can't be used
        are named in the log, and those that were read before stay in use."""
        alice, trunk = await self.registered(), await self.peer()
        caller, callee = await self.connected(alice, trunk)
        before = await self._serial()
        make_certificate(self.proxy.folder)
        await self._hangup(READ_AGAIN)
        now = await self._serial()
        self.assertNotEqual(before, now)

        key, certificate = self.proxy.folder / "key.pem", self.proxy.folder / "cert.pem"
        certificate.write_text("nothing")
        await self._hangup(f"stays, its files can't be used: {certificate} with {key}: there is no PEM certificate")
        self.assertEqual(now, await self._serial())
        make_certificate(self.proxy.folder)
        await self._hangup(READ_AGAIN)
        self.assertNotEqual(now, await self._serial())

        info = callee.send("INFO")
        alice.reply(await alice.request("INFO"), 200)
        self.assertEqual(200, (await trunk.response(info)).status)
        await self.hang_up(callee, caller)
        self.assertFalse(alice.closed.called)

    async def test_many(self) -> None:
        """Many in one moment are no more than that."""
        assert self.proxy.process is not None
        for _ in range(20):
            self.proxy.process.send_signal(SIGHUP)
        await self._hangup(READ_AGAIN)
        self.assertTrue(self.proxy.alive)


class ReloadingWorkers(Reloading):
    """The same with two workers."""

    changes: ClassVar = (TWO,)
