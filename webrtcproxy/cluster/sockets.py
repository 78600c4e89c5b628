"""WorkerSockets: the SIP sockets of a worker, its own ones and those that it shares with all workers."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

from twisted.internet.interfaces import IListeningPort, IReactorSocket
from twisted.internet.protocol import ServerFactory

from webrtcproxy.config.addresses import family_of
from webrtcproxy.transport.flow import Address, Flow, Receiver
from webrtcproxy.transport.local import LocalAddresses
from webrtcproxy.transport.sip.sockets import Listen, SipSockets, SocketReactor
from webrtcproxy.transport.sip.udp import MAX_DATAGRAM, UdpTransport


class IWorkerReactor(SocketReactor, IReactorSocket):
    """The part of a reactor that the sockets of a worker use."""


class SharedUdp(UdpTransport):
    """A UDP socket that the hub reads. A response through it comes from the address that the peer has sent to (RFC
    3581); our Contact and Via have the address of the worker's own socket, which the dialog then uses.

    :param kernel: the socket.
    :param own: the address of the worker's own socket.
    """

    def __init__(self, receiver: Receiver, local: LocalAddresses, kernel: socket.socket, own: Address) -> None:
        super().__init__(receiver, local)
        self._kernel = kernel
        self.address = own
        self.closed = False

    def end(self) -> None:
        """Close this worker's copy of the socket."""
        self.closed = True
        kernel, self._kernel = self._kernel, None
        if kernel is not None:
            kernel.close()


class WorkerSockets(SipSockets):
    """All SIP sockets of one worker; an `Outbound` through its own ones.

    :param own: for each line, the descriptor of the worker's own socket.
    :param shared: for each ``udp:`` line, by its number, the descriptor of the socket that all workers share.
    :param more: the others of `SipSockets`.
    """

    def __init__(
        self,
        reactor: IWorkerReactor,
        receiver: Receiver,
        listen: Iterable[str],
        *,
        own: list[int],
        shared: Mapping[int, int],
        **more: Any,
    ) -> None:
        super().__init__(reactor, receiver, listen, **more)
        self._adopt: IReactorSocket = reactor
        self._own = own
        self._kernels = {number: socket.socket(fileno=descriptor) for number, descriptor in shared.items()}
        self._shared: dict[int, SharedUdp] = {}
        self._shared_port: dict[int, int] = {}

    def stopService(self):  # type: ignore[no-untyped-def]  # as its base has it
        """Close everything; fires when all is closed."""
        for shared in self._shared.values():
            shared.end()
        return super().stopService()

    def datagram(self, number: int, data: bytes, source: tuple[str, int]) -> None:
        """The hub has read a datagram.

        :param number: of the line whose socket has received it.
        """
        shared = self._shared.get(number)
        if shared is not None:
            shared.datagramReceived(data, source)

    def shared_hostport(self, flow: Flow) -> str:
        """host:port of the shared socket for the line of `flow`, at which a registrar reaches any worker. On TCP the
        port is the same for all.
        """
        host, _, port = flow.sent_by.rpartition(":")
        if flow.via_transport != "UDP":
            return flow.sent_by
        return f"{host}:{self._shared_port.get(int(port), port)}"

    def _bind_udp(self, number: int, line: Listen, transport: UdpTransport) -> IListeningPort:
        port = self._adopt.adoptDatagramPort(self._own[number], family_of(line.interface), transport, MAX_DATAGRAM)
        if number not in self._shared:
            kernel = self._kernels[number]
            self._shared[number] = SharedUdp(self._receiver, self._local, kernel, transport.address)
            self._shared_port[transport.address.port] = kernel.getsockname()[1]
        return port

    def _bind_tcp(self, number: int, line: Listen, factory: ServerFactory[Any]) -> IListeningPort:
        return self._adopt.adoptStreamPort(self._own[number], family_of(line.interface), factory)
