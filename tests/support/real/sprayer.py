"""A third party that sprays RTP and RTCP at a media server's ports, and notes what it gets for it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from tests.support.real.ports import LOOPBACK

SSRC = 0xBADBAD
"""Of all that it sends."""


class Sprayer(DatagramProtocol):
    """It sprays from one socket, every 5 ms one packet of each kind at each port.

    :param address: where it is.
    :ivar got: datagrams that came.
    :ivar sent: rounds so far.
    """

    def __init__(self, address: str = "127.0.0.66", kind: int = 0) -> None:
        self.got: list[bytes] = []
        self.sent = 0
        self._kind = kind
        self._ports: set[int] = set()
        self._listening: Any = reactor.listenUDP(0, self, address)  # type: ignore[attr-defined]
        self._spraying = LoopingCall(self._spray)
        self._spraying.start(0.005)

    def at(self, ports: Iterable[int]) -> None:
        """Spray at these ports, too."""
        self._ports.update(ports)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        self.got.append(data)

    def _spray(self) -> None:
        if self.transport is None or not self._ports:
            return
        self.sent += 1
        count = (self.sent & 0xFFFF).to_bytes(2, "big")
        ssrc = SSRC.to_bytes(4, "big")
        rtp = bytes([0x80, self._kind]) + count + (self.sent * 160).to_bytes(4, "big") + ssrc + b"\x2a" * 160
        rtcp = b"\x80\xc8\x00\x06" + ssrc + bytes(8) + self.sent.to_bytes(4, "big") + bytes(8)
        for port in self._ports:
            for packet in (rtp, rtcp):
                self.transport.write(packet, (LOOPBACK, port))

    async def close(self) -> None:
        """End it."""
        if self._spraying.running:
            self._spraying.stop()
        await maybeDeferred(self._listening.stopListening)
