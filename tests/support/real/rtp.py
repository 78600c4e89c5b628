"""One end of a plain RTP stream: speaks a codec, sends events, and notes what it hears (RFC 3550, RFC 4733)."""

from __future__ import annotations

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from tests.support.real.ports import LOOPBACK

DIGITS = "0123456789*#ABCD"
OPUS = b"\xf8\xff\xfe"
"""20 ms of silence in opus."""
SOUND = {0: b"\xd5" * 160, 8: b"\x55" * 160, 9: b"\xfa" * 160}
"""20 ms of it in PCMU, PCMA and G722 (RFC 3551 section 6)."""

TONE = (b"\x80" * 4 + b"\x00" * 4) * 20
"""20 ms of 1 kHz in PCMU."""


class RtpPhone(DatagramProtocol):
    """A socket on loopback.

    :param address: where it listens.
    :ivar heard: payload types of audio that came.
    :ivar sounds: what it sounded like, each packet once.
    :ivar digits: digits that came as events, one for each event.
    :ivar milliseconds: how long each of them was, by its last packet.
    """

    def __init__(self, address: str = LOOPBACK) -> None:
        self.address = address
        self.heard: set[int] = set()
        self.sounds: set[bytes] = set()
        self.digits = ""
        self.milliseconds: list[int] = []
        self._ended: set[bytes] = set()
        self._count = 0
        self._to = (address, 0)
        self._talking: LoopingCall | None = None
        self._listening: Any = reactor.listenUDP(0, self, address)  # type: ignore[attr-defined]
        self.port: int = self._listening.getHost().port
        self.events = 101

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """One packet; RTCP on the same port is not listened to."""
        kind = data[1] & 0x7F
        if len(data) < 12 or 64 <= kind <= 95:
            return
        if kind == self.events:
            self._event(data)
        else:
            self.heard.add(kind)
            self.sounds.add(data[12:])

    def _event(self, data: bytes) -> None:
        stamp, event, flags = data[4:8], data[12], data[13]
        if flags & 0x80 and stamp not in self._ended:
            self._ended.add(stamp)
            self.digits += DIGITS[event]
            self.milliseconds.append(int.from_bytes(data[14:16], "big") // 8)

    def talk(self, to: int, kind: int, payload: bytes, step: int = 160) -> None:
        """Send 20 ms of audio every 20 ms, from now on.

        :param to: the port at the same address.
        :param kind: payload type.
        :param step: of the time stamp.
        """
        self._to = (self.address, to)

        def speak() -> None:
            self._send(kind, payload, self._count * step)

        self._talking = LoopingCall(speak)
        self._talking.start(0.02)

    def press(self, digit: str, clock: int = 8000, kind: int | None = None) -> None:
        """Send one digit as an event of 100 ms, its end three times (RFC 4733 section 2.5.1).

        :param kind: payload type, where it is not that with which events come.
        """
        stamp = self._count * (clock // 50)
        for part, end in ((1, 0), (2, 0), (3, 0), (4, 0), (5, 0x80), (5, 0x80), (5, 0x80)):
            length = (part * clock // 50).to_bytes(2, "big")
            self._send(
                self.events if kind is None else kind,
                bytes([DIGITS.index(digit), end | 10]) + length,
                stamp,
                marker=part == 1,
            )

    def _send(self, kind: int, payload: bytes, stamp: int, marker: bool = False) -> None:
        if self.transport is None:
            return
        self._count += 1
        head = bytes([0x80, kind | (0x80 if marker else 0)]) + (self._count & 0xFFFF).to_bytes(2, "big")
        self.transport.write(head + stamp.to_bytes(4, "big") + self.port.to_bytes(4, "big") + payload, self._to)

    def fall_silent(self) -> None:
        """Send no more audio."""
        if self._talking is not None and self._talking.running:
            self._talking.stop()

    async def close(self) -> None:
        """Fall silent and close the socket."""
        self.fall_silent()
        await self._listening.stopListening()
