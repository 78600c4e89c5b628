"""What every test with real parts has in common."""

from typing import ClassVar

from twisted.trial.unittest import TestCase

from tests.support.real.lab import LAB
from tests.support.real.part import until
from tests.support.real.rtpengine import Rtpengine
from tests.support.real.sipp import Sipp
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_OFFER


class RealCase(TestCase):
    """A running proxy, Kamailio and rtpengine before each test; no media session and no fault in the log behind it.

    :cvar changes: what the configuration of the class has differently from lab.INI: pairs of old and new text.
    """

    timeout = 60
    changes: ClassVar[tuple[tuple[str, str], ...]] = ()

    rtpengine: Rtpengine

    async def setUp(self) -> None:
        """Start what does not run yet."""
        self.addCleanup(self._check)
        self.rtpengine = await LAB.rtpengine()
        self.kamailio = await LAB.kamailio()
        self.proxy = await LAB.proxy(self.changes)
        self._log_start = self.proxy.log_size()

    async def _check(self) -> None:
        """After every other clean-up: nothing is left in rtpengine, and the proxy lives and logged no fault."""
        if hasattr(self, "_log_start"):
            self.proxy.assert_clean(self._log_start)
            await self.rtpengine.assert_empty()
            self.proxy.assert_clean(self._log_start)

    async def browser(self, user: str = "alice", **options: object) -> Browser:
        """A scripted browser, connected to the proxy over WSS, closed after the test."""
        phone = Browser(user, self.proxy.wss, **options)  # type: ignore[arg-type]
        self.addCleanup(phone.close)
        await phone.connect()
        return phone

    async def peer(self, port: int = 0, address: str = "127.0.0.1") -> Peer:
        """A scripted SIP endpoint over UDP (port 0: the one that the `plain` trunk is at), closed after the test."""
        peer = Peer(address, port or LAB.plain, self.proxy.address)
        self.addCleanup(peer.close)
        peer.listen()
        return peer

    async def sipp(self, scenario: str, **options: object) -> Sipp:
        """SIPp, ended after the test; where no port is given, on the one that the `plain` trunk is at."""
        sipp = Sipp(scenario, **{"port": LAB.plain, **options})  # type: ignore[arg-type]
        self.addCleanup(sipp.stop)
        await sipp.start()
        return sipp

    async def no_media(self, seconds: float = 3) -> None:
        """Wait until rtpengine has no session."""
        await self.rtpengine.assert_empty(seconds)

    async def session(self) -> str:
        """The one session that rtpengine has: its call-id."""
        sessions = await self.rtpengine.sessions()
        self.assertEqual(1, len(sessions), sessions)
        return sessions[0]


__all__ = ["CHROME_OFFER", "LAB", "RealCase", "until"]
