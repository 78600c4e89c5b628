"""SharedUdpReader: reads the UDP sockets that all workers share, and sends each datagram to one worker."""

from __future__ import annotations

import socket
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from webrtcproxy.cluster.dispatch import Dispatcher
from webrtcproxy.cluster.hub import Hub
from webrtcproxy.cluster.listening_sockets import ListeningSockets
from webrtcproxy.cluster.ownership import HUB
from webrtcproxy.cluster.protocol import DATAGRAM
from webrtcproxy.transport.sip.sockets import RELISTEN
from webrtcproxy.transport.sip.udp import KEEP_ALIVES, MAX_DATAGRAM

log = Logger()


class SharedUdpReader(Service):
    """Reads the shared sockets while it runs.

    :param reactor: adopts sockets, and runs a timer.
    :param sockets: opened by this service, while the process still has the privilege for low ports.
    :param dispatcher: chooses the worker.
    :param hub: has the workers.
    """

    name = "datagrams"

    def __init__(self, reactor: Any, sockets: ListeningSockets, dispatcher: Dispatcher, hub: Hub) -> None:
        self._reactor = reactor
        self._sockets = sockets
        self._dispatcher = dispatcher
        self._hub = hub
        self._ports: dict[int, IListeningPort] = {}

    def privilegedStartService(self) -> None:
        """Open the sockets of all workers.

        :raises ConfigError: one can't be opened.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._sockets.open()

    def startService(self) -> None:
        """Start reading."""
        self._sockets.open()
        super().startService()  # type: ignore[no-untyped-call]
        for line in self._sockets.shared:
            self._read(line)

    def stopService(self) -> Deferred[None]:
        """Stop reading, and close the sockets of all workers.

        :returns: fires with None when all are closed.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        ports, self._ports = self._ports, {}
        closing = gatherResults([maybeDeferred(port.stopListening) for port in ports.values()])
        return closing.addCallback(lambda _: self._sockets.close())

    def received(self, line: int, data: bytes, source: tuple[str, int]) -> None:
        """A datagram has arrived."""
        worker = self._dispatcher.choose(data, self._hub.up)
        if worker != HUB:
            self._hub.send(worker, {"do": DATAGRAM, "line": line, "source": source[:2]}, data)

    def broken(self, line: int) -> None:
        """Reading a socket has ended; unless the service is stopping, start it again."""
        if self.running and line in self._ports:
            log.error("The UDP socket that the workers share broke; reading it again")
            del self._ports[line]
            self._reactor.callLater(RELISTEN, self._read, line)

    def _read(self, line: int) -> None:
        shared = self._sockets.shared.get(line)
        if shared is None or not self.running:
            return
        family = shared.family if shared.family == socket.AF_INET6 else socket.AF_INET
        self._ports[line] = self._reactor.adoptDatagramPort(shared.fileno(), family, _Reader(self, line), MAX_DATAGRAM)


class _Reader(DatagramProtocol):
    """Reads one socket."""

    noisy = False

    def __init__(self, owner: SharedUdpReader, line: int) -> None:
        self._owner = owner
        self._line = line

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """A datagram from `addr` has arrived."""
        if data in KEEP_ALIVES:
            return
        try:
            self._owner.received(self._line, data, addr)
        except Exception:
            log.failure("A datagram from {host} port {port} could not be handled", host=addr[0], port=addr[1])

    def stopProtocol(self) -> None:
        """The socket is closed."""
        self._owner.broken(self._line)
