"""A trunk's media: RTP and RTCP on two ports of loopback, in the clear or with keys in the SDP (RFC 4568)."""

from __future__ import annotations

import re
from collections import Counter
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from tests.support.real.ports import LOOPBACK, free_ports
from tests.support.real.rtp import SOUND
from tests.support.real.srtp import Context
from tests.support.sdp import port

KEY = "AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"


class TrunkMedia(DatagramProtocol):
    """One end: it talks PCMU when it is told to.

    :param srtp: whether it is encrypted.
    :param key: suite and key that it encrypts with.
    :param behind_nat: whether it sends from other ports than it names.
    :ivar heard: audio packets that came, by SSRC.
    :ivar sent: audio packets that it has sent.
    :ivar reports: RTCP packets that came, by SSRC; from a trunk with SRTP, too (RFC 3711 section 3.4).
    """

    def __init__(self, *, srtp: bool = False, behind_nat: bool = False, key: str = KEY) -> None:
        self.heard: Counter[int] = Counter()
        self.reports: Counter[int] = Counter()
        self.port = free_ports(2)[0]
        self.named = free_ports(2)[0] if behind_nat else self.port
        self.ssrc = self.port
        self._srtp, self._key = srtp, key
        self._out = Context.inline(key) if srtp else None
        self._in: Context | None = None
        self._tag = "1"
        self._version = self.sent = self._to = 0
        self._rtcp = _Rtcp(self.reports)
        self._listening: list[Any] = [
            reactor.listenUDP(self.port, self, LOOPBACK),  # type: ignore[attr-defined]
            reactor.listenUDP(self.port + 1, self._rtcp, LOOPBACK),  # type: ignore[attr-defined]
        ]
        self._talking = LoopingCall(self._speak)

    def sdp(self, direction: str = "sendrecv") -> bytes:
        """What it offers or answers."""
        self._version += 1
        kind = "RTP/SAVP" if self._srtp else "RTP/AVP"
        lines = [
            "v=0", f"o=- 9 {self._version} IN IP4 {LOOPBACK}", "s=-", f"c=IN IP4 {LOOPBACK}", "t=0 0",
            f"m=audio {self.named} {kind} 0 101", *([f"a=crypto:{self._tag} {self._key}"] if self._srtp else []),
            "a=rtpmap:0 PCMU/8000", "a=rtpmap:101 telephone-event/8000", f"a={direction}", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()

    def answer(self, offer: bytes, direction: str = "sendrecv") -> bytes:
        """The answer to an offer."""
        self.take(offer)
        return self.sdp(direction)

    def take(self, sdp: bytes) -> None:
        """Remember the other side's description."""
        self._to = port(sdp)
        suite = self._key.partition(" ")[0]
        for tag, crypto in re.findall(rf"a=crypto:(\S+) ({suite} \S+)", sdp.decode())[:1]:
            self._tag, self._in = tag, Context.inline(crypto)

    def talk(self, sdp: bytes) -> None:
        """Send 20 ms of audio every 20 ms to where `sdp` says, and a report every 200 ms."""
        self.take(sdp)
        if not self._talking.running:
            self._talking.start(0.02)

    def stop(self) -> None:
        """Fall silent."""
        if self._talking.running:
            self._talking.stop()

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """One packet; RTCP has no business on this port."""
        packet = self._in.unprotect(data) if self._in is not None else data
        if packet is not None:
            self.heard[int.from_bytes(packet[8:12], "big")] += 1

    def _speak(self) -> None:
        if self.transport is None:
            return
        self.sent += 1
        count, ssrc = self.sent.to_bytes(2, "big"), self.ssrc.to_bytes(4, "big")
        packet = b"\x80\0" + count + (self.sent * 160).to_bytes(4, "big") + ssrc + SOUND[0]
        self.transport.write(packet if self._out is None else self._out.protect(packet), (LOOPBACK, self._to))
        if self._out is None and not self.sent % 10:
            self._rtcp.send(b"\x80\xc8\0\6" + ssrc + bytes(20), self._to + 1)

    async def close(self) -> None:
        """Fall silent and close the sockets."""
        self.stop()
        for listening in self._listening:
            await maybeDeferred(listening.stopListening)


class _Rtcp(DatagramProtocol):
    def __init__(self, reports: Counter[int]) -> None:
        self._reports = reports

    def send(self, data: bytes, to: int) -> None:
        if self.transport is not None:
            self.transport.write(data, (LOOPBACK, to))

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        self._reports[int.from_bytes(data[4:8], "big")] += 1
