"""DemoService: a registrar and an echo on one UDP socket, for a first call without a trunk."""

from __future__ import annotations

from collections.abc import Collection

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IListeningPort, IReactorTime, IReactorUDP

from webrtcproxy.demo.core import Demo, HostPort
from webrtcproxy.demo.guard import Guard
from webrtcproxy.demo.rtp import RtpPorts
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.local import LocalAddresses, is_wildcard
from webrtcproxy.transport.sip.udp import MAX_DATAGRAM, UdpTransport

REALM = "demo"
RTP_PORTS = (24000, 24998)
"""The ports for RTP, below the ranges of Linux's ephemeral ports and of rtpengine."""


class IDemoReactor(IReactorTime, IReactorUDP):
    """The part of a reactor that the demo uses."""


class DemoService(Service):
    """The demo's server; it listens while it runs.

    :param reactor: for time and UDP.
    :param address: the IP address of SIP and RTP.
    :param port: of SIP; 0 for a free one.
    :param password: of every name.
    :param domains: hosts of Request-URIs that the demo serves, beside `address` with `port`.
    :param rtp_ports: first and last port for the echo's audio.
    :ivar port: of SIP; the bound one once it runs.
    """

    name = "demo"

    def __init__(
        self,
        reactor: IDemoReactor,
        address: str,
        port: int,
        password: str,
        domains: Collection[HostPort],
        rtp_ports: tuple[int, int],
    ) -> None:
        self.address = address
        self.port = port
        self._reactor = reactor
        self._password = password
        self._domains = domains
        self._rtp_ports = rtp_ports
        self._listening: IListeningPort | None = None
        self._demo: Demo | None = None

    def startService(self) -> None:
        """Bind the socket.

        :raises CannotListenError: the port is taken.
        """
        transactions = Transactions(self._reactor)
        transport = UdpTransport(transactions, LocalAddresses())
        self._listening = self._reactor.listenUDP(self.port, transport, self.address, MAX_DATAGRAM)
        self.port = transport.address.port
        self._demo = transactions.user = Demo(
            self._reactor,
            transactions,
            RtpPorts(self._reactor, self.address, self._rtp_ports),
            Guard(self._reactor, REALM, self._password),
            [*self._domains, (self.address, self.port)],
        )
        super().startService()  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Hang up and close the socket.

        :returns: fires with None once it is closed.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        if self._demo is not None:
            self._demo.echo.stop()
        listening, self._listening = self._listening, None
        closed = None if listening is None else listening.stopListening()
        return succeed(None) if closed is None else closed


def demo_service(
    reactor: IDemoReactor,
    address: str = "127.0.0.1",
    port: int = 5070,
    *,
    password: str,
    domains: Collection[HostPort] = (),
    rtp_ports: tuple[int, int] = RTP_PORTS,
) -> DemoService:
    """The registrar and the echo. Parameters as of `DemoService`.

    :param address: empty for 127.0.0.1.
    :raises ValueError: `address` is a wildcard, which can't be used in SDP.
    """
    if is_wildcard(address) and address:
        raise ValueError(f"the demo needs one address, not {address}")
    return DemoService(reactor, address or "127.0.0.1", port, password, domains, rtp_ports)
