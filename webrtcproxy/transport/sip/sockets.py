"""SipSockets: one socket for each line of ``[sip] listen``, and the flows to trunks through them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

from twisted.application.service import Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort, IReactorUDP
from twisted.internet.protocol import ServerFactory
from twisted.logger import Logger

from webrtcproxy.config.endpoints import FILE_KEYS, split, unescape
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.uri import host_port
from webrtcproxy.transport.certificate import KeyFiles, ReloadingCertificate
from webrtcproxy.transport.connection import TcpReactor
from webrtcproxy.transport.flow import Address, Flow, Receiver
from webrtcproxy.transport.local import LocalAddresses, is_wildcard
from webrtcproxy.transport.sip.slots import Knows, Slots
from webrtcproxy.transport.sip.tcp import TcpTransport
from webrtcproxy.transport.sip.tls import TlsTransport
from webrtcproxy.transport.sip.trunk_tls import TrunkTls
from webrtcproxy.transport.sip.udp import MAX_DATAGRAM, UdpTransport
from webrtcproxy.transport.source import address_of, unmapped
from webrtcproxy.transport.tls import immediate_write

log = Logger()

NO_FIT, MAY_FIT, FITS = range(3)

RELISTEN = 1.0
"""Seconds until a UDP socket that failed is opened again."""


class SocketReactor(TcpReactor, IReactorUDP):
    """The part of a reactor that the sockets use."""


class Listen(NamedTuple):
    """One line of ``[sip] listen``."""

    kind: str
    port: int
    interface: str
    files: tuple[tuple[str, str], ...] = ()

    @classmethod
    def parse(cls, line: str) -> Listen:
        """Parse ``udp:PORT``, ``tcp:PORT`` or ``tls:PORT``, optionally with ``:interface=ADDRESS``, in which ``\\:`` is
        a colon; ``tls:`` has the files of its certificate, with the keys of an ``ssl:`` endpoint.

        :raises ValueError: it is none of these.
        """
        kind, port, *options = [*split(line), ""][: line.count(":") + 2]
        interface = ""
        files: list[tuple[str, str]] = []
        for option in filter(None, options):
            key, equals, value = option.partition("=")
            if key == "interface" and equals:
                interface = unescape(value)
            elif kind == "tls" and key in FILE_KEYS:
                files.append((key, unescape(value)))
            else:
                raise ValueError(f"'{option}' is not known here")
        if kind not in ("udp", "tcp", "tls") or not port.isdecimal():
            raise ValueError(f"'{line}' is none of udp:PORT, tcp:PORT and tls:PORT")
        return cls(kind, int(port), interface, tuple(files))


class SipSockets(Service):
    """All SIP sockets but those of the browsers; an `Outbound`.

    :param receiver: takes the messages.
    :param listen: lines such as ``udp:5060:interface=192.0.2.10``.
    :param advertise: the host for Via and Contact if it is not the socket's address.
    :param trunk_tls: makes the client side of TLS; None to trust the authorities of the system.
    :param client_ca: the authorities that must have issued the certificate of who connects to a ``tls:`` line.
    :param knows: whether an IP address is a trunk's or a registrar's; others get few connections, for a short time. By
        default all are known.
    :param metrics: counts refused connections.
    :ivar is_banned: whether strangers at an IP address may not connect; may be set later.
    """

    name = "sip"

    def __init__(
        self,
        reactor: SocketReactor,
        receiver: Receiver,
        listen: Iterable[str],
        *,
        advertise: str | None = None,
        trunk_tls: TrunkTls | None = None,
        client_ca: Path | None = None,
        knows: Knows = lambda host: True,
        metrics: Metrics | None = None,
    ) -> None:
        self._reactor = reactor
        self._client_ca = client_ca
        self._knows = knows
        self._metrics = metrics or Metrics()
        self._lines = [Listen.parse(line) for line in listen]
        self._receiver = receiver
        self._local = LocalAddresses(advertise)
        self._trunk_tls = trunk_tls or TrunkTls()
        self._ports: list[IListeningPort] = []
        self._certificates: list[ReloadingCertificate] = []
        self._sockets: list[tuple[str, UdpTransport | TcpTransport]] = []
        self._best: dict[tuple[str, bool, bool], UdpTransport | TcpTransport] = {}
        self._listening = False
        self.is_banned: Callable[[str], bool] = lambda host: False

    @property
    def addresses(self) -> list[tuple[str, Address]]:
        """The listening addresses: ``udp``, ``tcp`` or ``tls``, and the bound address."""
        return [(kind, transport.address) for kind, transport in self._sockets]

    def privilegedStartService(self) -> None:
        """Listen while the process still has the privilege for low ports.

        :raises CannotListenError: a port is taken, or the address is not one of this machine.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        self._listen()

    def startService(self) -> None:
        """Listen, unless it does already.

        :raises CannotListenError: a port is taken, or the address is not one of this machine.
        """
        self._listen()
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Close everything; fires when all is closed."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._listening = False
        sockets, self._sockets = self._sockets, []
        self._best.clear()
        self._certificates.clear()
        ports, self._ports = self._ports, []
        ending: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in ports]
        ending += [transport.stop() for _, transport in sockets if isinstance(transport, TcpTransport)]
        return gatherResults(ending).addCallback(lambda _: None)

    def flow_to(self, transport: str, address: Address, domain: str = "") -> Flow:
        """A flow to `address`; see `Outbound`.

        :raises FlowLost: there is no local socket of that transport and address family.
        """
        key = transport, ":" in address.host, _is_loopback(address.host)
        socket = self._best.get(key)
        if socket is None:
            fits = [(_fit(socket, address), socket) for kind, socket in self._sockets if kind == transport]
            best, socket = max(fits, key=lambda pair: pair[0], default=(0, None))
            if socket is None or not best:
                raise FlowLost(f"no {transport} socket of ours can send to {address.host}")
            self._best[key] = socket
        return socket.flow_to(address) if isinstance(socket, UdpTransport) else socket.flow_to(address, domain)

    def reload(self) -> None:
        """Read the certificates again, and what is presented to trunks and trusted of them."""
        for certificate in self._certificates:
            certificate.reload()
        self._trunk_tls.reload()

    def cut(self, network: str) -> None:
        """Cut the connections of strangers in a banned network."""
        for _, transport in self._sockets:
            if isinstance(transport, TcpTransport):
                transport.cut(network)

    def _listen(self) -> None:
        if self._listening:
            return
        self._listening = True
        for index, line in enumerate(self._lines):
            if line.kind == "udp":
                self._listen_udp(index, line)
            elif line.kind == "tcp":
                self._listen_tcp(index, line)
            else:
                self._listen_tls(index, line)

    def _bind_udp(self, index: int, line: Listen, transport: UdpTransport) -> IListeningPort:
        """Open the socket of a line; a worker has sockets that were opened before.

        :param index: of the line.
        """
        return self._reactor.listenUDP(line.port, transport, line.interface, MAX_DATAGRAM)

    def _bind_tcp(self, index: int, line: Listen, factory: ServerFactory[Any]) -> IListeningPort:
        """The same for TCP, with or without TLS."""
        return self._reactor.listenTCP(line.port, factory, 128, line.interface)

    def _listen_udp(self, index: int, line: Listen) -> None:
        transport = UdpTransport(self._receiver, self._local)
        port = self._bind_udp(index, line, transport)
        self._ports.append(port)
        self._sockets.append(("udp", transport))
        self._best.clear()
        line = line._replace(port=transport.address.port)
        transport.stopped = lambda: self._closed(index, line, transport, port)
        log.info("SIP over UDP on {where}", where=host_port(*transport.address))

    def _closed(self, index: int, line: Listen, transport: UdpTransport, port: IListeningPort) -> None:
        """A UDP socket is closed; if it failed, open it again."""
        if not self._listening:
            return
        log.error("The UDP socket on port {port} broke; opening it again", port=line.port)
        self._sockets.remove(("udp", transport))
        self._best.clear()
        self._ports.remove(port)
        self._reactor.callLater(RELISTEN, self._reopen, index, line)

    def _reopen(self, index: int, line: Listen) -> None:
        if not self._listening:
            return
        try:
            self._listen_udp(index, line)
        except Exception:
            log.failure("The UDP socket on port {port} stays closed; next try in a second", port=line.port)
            self._reactor.callLater(RELISTEN, self._reopen, index, line)

    def _listen_tcp(self, index: int, line: Listen) -> None:
        transport = TcpTransport(self._reactor, self._receiver, self._local, self._slots(), self._metrics)
        self._listens("tcp", transport, self._bind_tcp(index, line, transport))

    def _listen_tls(self, index: int, line: Listen) -> None:
        slots = self._slots()
        transport = TlsTransport(self._reactor, self._receiver, self._local, self._trunk_tls, slots, self._metrics)
        certificate = ReloadingCertificate(self._reactor, KeyFiles.named(dict(line.files), self._client_ca))
        self._certificates.append(certificate)
        self._listens(
            "tls", transport, immediate_write(self._bind_tcp(index, line, transport.server_factory(certificate)))
        )

    def _slots(self) -> Slots:
        return Slots(self._knows, is_banned=lambda host: self.is_banned(host))

    def _listens(self, kind: str, transport: TcpTransport, port: IListeningPort) -> None:
        transport.bound(address_of(port.getHost()))
        self._ports.append(port)
        self._sockets.append((kind, transport))
        self._best.clear()
        log.info("SIP over {kind} on {where}", kind=transport.via_transport, where=host_port(*transport.address))


def _fit(transport: UdpTransport | TcpTransport, address: Address) -> int:
    """Whether a socket can send to `address`: `NO_FIT`, `MAY_FIT` or `FITS`."""
    bound = unmapped(transport.address.host)
    if (":" in bound) != (":" in address.host):
        return NO_FIT
    if is_wildcard(bound):
        return FITS
    return FITS if _is_loopback(bound) == _is_loopback(address.host) else MAY_FIT


def _is_loopback(host: str) -> bool:
    return host == "::1" or host.startswith("127.")
