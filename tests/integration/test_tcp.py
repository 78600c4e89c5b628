"""TCP from a trunk, with a scripted trunk and browser, and rtpengine."""

from __future__ import annotations

from typing import ClassVar

from tests.integration.stream_transfers import StreamTransfers
from tests.support.real.case import LAB
from tests.support.real.stream import StreamPeer


class OverTcp(StreamTransfers):
    """A trunk by TCP, with which the browser has registered."""

    changes: ClassVar = (
        ("udp:{sip}:interface=127.0.0.1", "udp:{sip}:interface=127.0.0.1\n  tcp:{sip}:interface=127.0.0.1"),
        ("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ntransport = tcp"),
    )

    async def test_refer_and_replaces(self) -> None:
        """Refer-To and Referred-By are odd, and mended (field.rst O: Odd Refer-To); the dialog is replaced by an INVITE
        on another connection (RFC 3891)."""
        trunk = StreamPeer(LAB.plain)
        trunk.ladder = self.ladder
        trunk.listen()
        self.addCleanup(trunk.close)
        await self.refers_and_replaces(trunk, self.proxy.sip, self.plain)
