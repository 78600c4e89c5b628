"""The UDP sockets that all workers share: the hub reads them, and hands each datagram to one worker."""

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
from webrtcproxy.transport.sip.sockets import RELISTEN
from webrtcproxy.transport.sip.udp import KEEP_ALIVES, MAX_DATAGRAM

log = Logger()


class SharedUdpReader(Service):
    """Reads them while it runs.

    :param reactor: adopts sockets, and runs a timer.
    :param places: has the sockets; they are opened here, while the process may still use low ports.
    :param dispatcher: chooses.
    :param hub: has the workers.
    """

    name = "datagrams"

    def __init__(self, reactor: Any, places: ListeningSockets, dispatcher: Dispatcher, hub: Hub) -> None:
        self._reactor = reactor
        self._places = places
        self._dispatcher = dispatcher
        self._hub = hub
        self._ports: dict[int, IListeningPort] = {}

    def privilegedStartService(self) -> None:
        """Open every socket of all workers.

        :raises ConfigError: one can't be had.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._places.open()

    def startService(self) -> None:
        """Read."""
        self._places.open()
        super().startService()  # type: ignore[no-untyped-call]
        for place in self._places.shared:
            self._read(place)

    def stopService(self) -> Deferred[None]:
        """Close the sockets of all workers, too.

        :returns: fires with None when it is done.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        ports, self._ports = self._ports, {}
        closing = gatherResults([maybeDeferred(port.stopListening) for port in ports.values()])
        return closing.addCallback(lambda _: self._places.close())

    def received(self, place: int, data: bytes, source: tuple[str, int]) -> None:
        """One datagram."""
        worker = self._dispatcher.choose(data, self._hub.up)
        if worker != HUB:
            self._hub.send(worker, {"do": "datagram", "place": place, "from": source[:2]}, data)

    def broken(self, place: int) -> None:
        """The kernel took a socket away; where that was not our will, it is read again."""
        if self.running and place in self._ports:
            log.error("The UDP socket that the workers share broke; reading it again")
            del self._ports[place]
            self._reactor.callLater(RELISTEN, self._read, place)

    def _read(self, place: int) -> None:
        shared = self._places.shared.get(place)
        if shared is None or not self.running:
            return
        family = shared.family if shared.family == socket.AF_INET6 else socket.AF_INET
        self._ports[place] = self._reactor.adoptDatagramPort(
            shared.fileno(), family, _Reader(self, place), MAX_DATAGRAM
        )


class _Reader(DatagramProtocol):
    """Reads one socket."""

    noisy = False

    def __init__(self, owner: SharedUdpReader, place: int) -> None:
        self._owner = owner
        self._place = place

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """One datagram from `addr`."""
        if data in KEEP_ALIVES:
            return
        try:
            self._owner.received(self._place, data, addr)
        except Exception:
            log.failure("A datagram from {host} port {port} was too much", host=addr[0], port=addr[1])

    def stopProtocol(self) -> None:
        """The socket is closed."""
        self._owner.broken(self._place)
