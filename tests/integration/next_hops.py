"""Trunks that are found and reached in a way of their own, with real parts."""

from __future__ import annotations

import re
from typing import ClassVar

from twisted.internet import reactor

from tests.support.names import DnsServer
from tests.support.real.case import RealCase, until
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser, Peer
from tests.support.real.stream import StreamPeer
from webrtcproxy.sip.message import Request

LISTEN = "listen = udp:{sip}:interface=127.0.0.1"
PLAIN = "; SIPp, or a peer that a test scripts\n"


CALLED = ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "> BYE", "< 200 BYE"]
"""What an endpoint of `NextHopsCase.called` hears and says."""
BY_SIPP = ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"]
"""The caller of SIPp's `uas`."""


class NextHopsCase(RealCase):
    """A DNS server on loopback, which the proxy asks for all names, and trunk sections of the class's own.

    :cvar sections: the trunks; @place@ stands for a port of the class's.
    :cvar listens: more lines for ``[sip] listen``.
    :cvar workers: processes that carry calls.
    """

    sections: ClassVar[str] = ""
    listens: ClassVar[str] = ""
    workers: ClassVar[str] = "@workers@"
    _ports: ClassVar[dict[str, int]] = {}

    @classmethod
    def port(cls, name: str) -> int:
        """A free port, the same for all tests of this file."""
        return NextHopsCase._ports.setdefault(name, free_port())

    @classmethod
    def _filled(cls, text: str) -> str:
        return re.sub(r"@(\w+)@", lambda found: str(cls.port(found[1])), text)

    async def setUp(self) -> None:
        self.names = DnsServer(reactor)
        self.zone()
        self.names.listen(self.port("dns"))
        self.addCleanup(self.names.stop)
        listen = f"{LISTEN}\n {self._filled(self.listens)}\nresolver = {LOOPBACK}:{self.port('dns')}"
        self.changes = (  # type: ignore[misc]
            (LISTEN, listen),
            (PLAIN, f"{self._filled(self.sections)}\n{PLAIN}"),
            ("workers = @workers@", f"workers = {self.workers}"),
        )
        await super().setUp()

    def zone(self) -> None:
        """What the DNS server has."""

    async def called(
        self, browser: Browser, trunk: Peer | StreamPeer, target: str, *headers: tuple[str, str]
    ) -> Request:
        """A whole call out of the browser, answered by this endpoint and ended by it; the INVITE as it came."""
        calling = browser.invite(target, headers=headers)
        invite = await trunk.request("INVITE", 10)
        callee = trunk.accept(invite)
        await calling.answered()
        await trunk.request("ACK")
        bye = callee.send("BYE")
        browser.reply(await browser.request("BYE"), 200)
        self.assertEqual((await trunk.response(bye)).status, 200)
        return invite

    async def log(self, *patterns: str) -> None:
        """Wait until the proxy has logged lines that fit each of these."""
        for pattern in patterns:
            await until(lambda p=pattern: re.search(p, self.proxy.log(self._log_start)), f"logged: {pattern}")  # type: ignore[misc]
