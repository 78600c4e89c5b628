"""What every test with real parts has in common."""

from pathlib import Path
from typing import ClassVar

from twisted.trial.reporter import Reporter
from twisted.trial.unittest import TestCase

from tests.support.real.baresip import Baresip
from tests.support.real.dialog import Dialog
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.lab import LAB
from tests.support.real.ladder import Ladder
from tests.support.real.part import until
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.proxy import REAL
from tests.support.real.rtpengine import Rtpengine, pause_briefly
from tests.support.real.sipp import Sipp
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_OFFER


class RealCase(TestCase):
    """A running proxy, Kamailio and rtpengine before each test; no media session and no fault in the log after it.

    :cvar changes: what the configuration of the class has differently from lab.INI: pairs of old and new text.
    :cvar arguments: further arguments of the proxy's command line.
    :cvar path: a folder with plugins of somebody else.
    :cvar clock: what of the proxy's time the tests set.
    """

    timeout = 60
    changes: ClassVar[tuple[tuple[str, str], ...]] = ()
    arguments: ClassVar[tuple[str, ...]] = ()
    path: ClassVar[Path | None] = None
    clock: ClassVar[str] = REAL

    rtpengine: Rtpengine
    proxy_ends = False

    async def setUp(self) -> None:
        """Start what does not run yet."""
        self.addCleanup(self._check)
        self.ladder = Ladder()
        self.rtpengine = await LAB.rtpengine()
        self.kamailio = await LAB.kamailio()
        self.proxy = await LAB.proxy(self.changes, self.arguments, self.path, self.clock)
        self._log_start = self.proxy.log_size()
        for user in PASSWORDS:
            await self._forget(user)

    async def _forget(self, user: str) -> None:
        """Take what an earlier test has registered out of Kamailio."""
        peer = Peer(LOOPBACK, free_port(), (LOOPBACK, self.kamailio.port))
        self.addCleanup(peer.close)
        peer.listen()
        peer.user, peer.password = user, PASSWORDS[user]
        register = peer.build("REGISTER", "sip:pbx.test", to=f"<sip:{user}@pbx.test>")
        register.headers.set("Contact", "*")
        register.headers.set("Expires", "0")
        response = await peer.ask(register)
        assert response.status == 200, response
        await peer.close()

    def run(self, result: Reporter) -> None:
        """As trial does; remembers how many failures there were, so that the logs are shown with a new one. The next
        test gets another proxy then: what is left here, such as a BYE that is repeated, would make that one red, too.
        """
        self._result, self._failures = result, self._count(result)
        super().run(result)
        if self._count(result) > self._failures and hasattr(self, "proxy"):
            self.proxy.stop()

    @staticmethod
    def _count(result: Reporter) -> int:
        return len(result.errors) + len(result.failures)

    async def _check(self) -> None:
        """After every other clean-up: no call, subscription or media session is left, and the proxy lives and logged no
        fault. (What is over and only absorbs repeats is looked at in test_left.py.)"""
        if hasattr(self, "_log_start"):
            if self._count(self._result) > self._failures:
                print(f"\n--- {self.id()}: the proxy's log\n{self.proxy.log(self._log_start)[-6000:]}")
                print(f"--- rtpengine's log\n{self.rtpengine.story()}\n---")
            self.proxy.assert_clean(self._log_start)
            await self.rtpengine.assert_empty()
            if self.proxy.alive and not self.proxy_ends:
                await self.proxy.assert_idle(("active_calls", "subscriptions"), 5)
            self.proxy.assert_clean(self._log_start)
            self.assertEqual(self.proxy_ends, not self.proxy.alive, f"the proxy's end:\n{self.proxy.log()[-4000:]}")

    async def browser(self, user: str = "alice", **options: object) -> Browser:
        """A scripted browser, connected to the proxy over WSS, closed after the test."""
        phone = Browser(user, self.proxy.wss, **options)  # type: ignore[arg-type]
        self.addCleanup(phone.close)
        phone.ladder = self.ladder
        await phone.connect()
        return phone

    async def peer(self, port: int = 0, address: str = LOOPBACK) -> Peer:
        """A scripted SIP endpoint over UDP (port 0: the one that the `plain` trunk is at), closed after the test."""
        peer = Peer(address, port or LAB.plain, self.proxy.address)
        self.addCleanup(peer.close)
        peer.ladder = self.ladder
        peer.listen()
        return peer

    async def sipp(self, scenario: str, **options: object) -> Sipp:
        """SIPp, ended after the test; where no port is given, on the one that the `plain` trunk is at."""
        sipp = Sipp(scenario, **{"port": LAB.plain, **options})  # type: ignore[arg-type]
        self.addCleanup(sipp.stop)
        await sipp.start()
        return sipp

    async def behind_kamailio(self, scenario: str, **options: object) -> Sipp:
        """A called SIPp on a port of its own: Kamailio passes calls to echo-PORT and auth-PORT on to it."""
        return await self.sipp(scenario, port=None, **options)

    async def caller(self, scenario: str, user: str = "alice", **options: object) -> Sipp:
        """A calling SIPp: calls the user by way of Kamailio."""
        words = {"target": f"sip:{user}@pbx.test"}
        return await self.sipp(scenario, port=None, target=self.kamailio.host, words=words, **options)

    async def baresip(self, user: str = "bob") -> Baresip:
        """baresip, registered at Kamailio under that name, ended after the test."""
        baresip = Baresip(user, self.kamailio.host, PASSWORDS[user])
        self.addCleanup(baresip.stop)
        await baresip.start()
        await baresip.registered()
        return baresip

    async def kamailio_peer(self) -> Peer:
        """A scripted caller whose first hop is Kamailio."""
        peer = await self.peer(free_port())
        peer.proxy = (LOOPBACK, self.kamailio.port)
        return peer

    async def registered(self, user: str = "alice", **options: object) -> Browser:
        """A scripted browser that has registered at Kamailio."""
        phone = await self.browser(user, password=PASSWORDS[user])
        await phone.register(**options)
        return phone

    async def connected(self, browser: Browser, trunk: Peer) -> tuple[Dialog, Dialog]:
        """An established call out of the browser to the `plain` trunk: the browser's dialog and the trunk's."""
        calling = browser.invite(f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        return caller, callee

    async def hang_up(self, by: Dialog, other: Dialog) -> None:
        """BYE by one side, 200 by the other, which the first hears."""
        bye = by.send("BYE")
        await other.hung_up()
        self.assertEqual(200, (await by.phone.response(bye)).status)

    @property
    def plain(self) -> str:
        """host:port of the trunk without a password."""
        return f"{LOOPBACK}:{LAB.plain}"

    @property
    def paid(self) -> str:
        """host:port of the trunk whose password the proxy has."""
        return f"{LOOPBACK}:{LAB.paid}"

    async def no_media(self, seconds: float = 3) -> None:
        """Wait until rtpengine has no session."""
        await self.rtpengine.assert_empty(seconds)

    async def sessions(self, count: int) -> list[str]:
        """The sessions that rtpengine has: their call-ids. They are so many, once those that are over are deleted, and
        those in which a proxy that has just started asks for the version."""
        found: list[str] = []
        for _ in range(40):
            found = await self.rtpengine.sessions()
            if len(found) == count:
                return found
            await pause_briefly()
        raise AssertionError(f"{count} sessions are wanted, rtpengine has {found}")

    async def session(self) -> str:
        """The one session that rtpengine has: its call-id."""
        (session,) = await self.sessions(1)
        return session

    async def endpoints(self) -> set[int]:
        """The ports of the peers, as rtpengine has them."""
        known = await self.rtpengine.query(await self.session())
        return {
            stream[b"endpoint"][b"port"]
            for tag in known[b"tags"].values()  # type: ignore[attr-defined]
            for media in tag[b"medias"]
            for stream in media[b"streams"]
            if stream.get(b"endpoint")
        }


__all__ = ["CHROME_OFFER", "LAB", "RealCase", "until"]
