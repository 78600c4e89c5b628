"""RTP that comes back: sockets that return each packet to where it came from (symmetric RTP, RFC 4961)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUDP
from twisted.internet.protocol import DatagramProtocol


class EchoSocket(DatagramProtocol):
    """One RTP port. Telephone-events return like audio; RTCP does not, it would speak of packets we never sent.

    :param ssrc: put into every packet instead of the sender's own, which must not meet itself (RFC 3550 section 8.2).
        A packet that carries it already has been here before and is dropped: two echoes never play tennis.
    """

    noisy = False

    def __init__(self, ssrc: bytes) -> None:
        self._ssrc = ssrc
        self._listening: IListeningPort | None = None
        self.port = 0
        self.sends = True

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """One packet; anything but RTP version 2 is dropped."""
        if not self.sends or len(datagram) < 12 or datagram[0] >> 6 != 2 or 192 <= datagram[1] <= 223:
            return
        if datagram[8:12] == self._ssrc or self.transport is None:
            return
        with suppress(OSError):  # RTP may lose a packet
            self.transport.write(datagram[:8] + self._ssrc + datagram[12:], addr)

    def connectionRefused(self) -> None:
        """Nobody listens there any more; the call's end will come by SIP."""

    def opened(self, listening: IListeningPort, port: int) -> None:
        """The socket is bound to `port`."""
        self._listening = listening
        self.port = port

    def close(self) -> None:
        """Close the socket; twice is once."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.stopListening()


class RtpPorts:
    """Opens echo sockets on even ports of a range.

    :param reactor: opens the sockets.
    :param host: the address to bind to.
    :param ports: the first and the last port.
    :param choose: picks a number below its argument: where in the range to begin.
    """

    def __init__(
        self,
        reactor: IReactorUDP,
        host: str,
        ports: tuple[int, int],
        choose: Callable[[int], int] = secrets.randbelow,
    ) -> None:
        self._reactor = reactor
        self._choose = choose
        self._even = range(ports[0] + ports[0] % 2, ports[1] + 1, 2)
        self._ssrc = secrets.token_bytes(4)
        self.host = host

    def open(self) -> EchoSocket | None:
        """A socket on a free port; None where there is none."""
        start = self._choose(len(self._even)) if self._even else 0
        for offset in range(len(self._even)):
            port = self._even[(start + offset) % len(self._even)]
            socket = EchoSocket(self._ssrc)
            try:
                socket.opened(self._reactor.listenUDP(port, socket, interface=self.host, maxPacketSize=65536), port)
            except CannotListenError:
                continue
            return socket
        return None
