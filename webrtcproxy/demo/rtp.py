"""RTP sockets of the echo: each packet returns to its source address (symmetric RTP, RFC 4961)."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from contextlib import suppress

from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IReactorUDP
from twisted.internet.protocol import DatagramProtocol


class EchoSocket(DatagramProtocol):
    """One RTP port. Telephone-events are returned like audio; RTCP is not, since it would report packets that the echo
    has not sent.

    :param ssrc: replaces the SSRC of each packet, since the sender must not get its own (RFC 3550 section 8.2). A
        packet that already has it is dropped, so that two echoes do not loop.
    """

    noisy = False

    def __init__(self, ssrc: bytes) -> None:
        self._ssrc = ssrc
        self._listening: IListeningPort | None = None
        self.port = 0
        self.sends = True

    def datagramReceived(self, datagram: bytes, addr: tuple[str, int]) -> None:
        """Return one packet; anything but RTP version 2 is dropped."""
        if not self.sends or len(datagram) < 12 or datagram[0] >> 6 != 2 or 192 <= datagram[1] <= 223:
            return
        if datagram[8:12] == self._ssrc or self.transport is None:
            return
        with suppress(OSError):  # RTP may lose a packet
            self.transport.write(datagram[:8] + self._ssrc + datagram[12:], addr)

    def connectionRefused(self) -> None:
        """The peer's port is closed; the call will be ended by SIP."""

    def opened(self, listening: IListeningPort, port: int) -> None:
        """The socket is bound to `port`."""
        self._listening = listening
        self.port = port

    def close(self) -> None:
        """Close the socket; may be called again."""
        listening, self._listening = self._listening, None
        if listening is not None:
            listening.stopListening()


class RtpPorts:
    """Opens echo sockets on even ports of a range.

    :param reactor: opens the sockets.
    :param host: the address to bind to.
    :param ports: the first and the last port.
    :param choose: returns a number below its argument: where in the range to begin.
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
        """A socket on a free port; None if all are taken."""
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
