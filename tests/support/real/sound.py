"""An RTP endpoint as the tests need it: it sends PCMU, and counts what it hears."""

from __future__ import annotations

import struct
from typing import cast

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorUDP
from twisted.internet.protocol import DatagramProtocol

from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.speech import PLAIN_SDP
from tests.support.sdp import port


class Sound(DatagramProtocol):
    """One stream.

    :ivar sdp: what offers or answers it.
    :ivar heard: the SSRCs of what came in.
    """

    def __init__(self, ssrc: int) -> None:
        self.ssrc, self.heard = ssrc, set[int]()
        self._port = free_port()
        self.sdp = PLAIN_SDP.replace(b"m=audio 9000", b"m=audio %d" % self._port)
        self._number = 0
        self._listening: IListeningPort = cast(IReactorUDP, reactor).listenUDP(
            self._port, self, LOOPBACK, maxPacketSize=8192
        )

    async def close(self) -> None:
        """Close the socket."""
        await maybeDeferred(self._listening.stopListening)

    def datagramReceived(self, data: bytes, address: object) -> None:
        self.heard.add(struct.unpack("!I", data[8:12])[0])

    def say(self, sdp: bytes) -> None:
        """Send one packet to where `sdp` says."""
        self._number += 1
        header = struct.pack("!BBHII", 0x80, 0, self._number, 160 * self._number, self.ssrc)
        assert self.transport is not None
        self.transport.write(header + b"\xff" * 160, (LOOPBACK, port(sdp)))


async def talk(one: Sound, to_one: bytes, other: Sound, to_other: bytes) -> None:
    """Have both send for a while, and check that each hears the other.

    :param to_one: the SDP that `one` was told last.
    """
    one.heard.clear()
    other.heard.clear()
    for _ in range(20):
        one.say(to_one)
        other.say(to_other)
        await pause(0.02)
    assert other.ssrc in one.heard, f"{other.ssrc} is not heard: {one.heard}"
    assert one.ssrc in other.heard, f"{one.ssrc} is not heard: {other.heard}"
