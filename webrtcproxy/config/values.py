"""What can be configured, as values; :mod:`webrtcproxy.config.reader` fills them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from webrtcproxy.config.addresses import SIP_PORT, SIPS_PORT, Destinations, HostPort, Network, plain_host, same_place
from webrtcproxy.config.media import TrunkMedia

SPAWN: Final = "spawn"
"""`RtpengineConfig.nodes` where the proxy runs a local rtpengine by itself."""


@dataclass(frozen=True, slots=True)
class WssConfig:
    """Where browsers connect.

    :param listen: Twisted server endpoint strings, the paths in them absolute.
    :param origins: whose pages may connect, in lower case; None: the same host only.
    :param path: the path of the WebSocket.
    :param page: the folder of files that the port serves besides, or None.
    :param max_message: the longest SIP message, in bytes.
    :param ping: seconds between two pings, 0 for none.
    :param ping_timeout: seconds until a ping without a pong ends the connection.
    :param connections_per_address: open connections that one IP address may have.
    :param connections: open connections in all.
    :param trusted_proxies: the web servers whose X-Forwarded-For tells a browser's address.
    """

    listen: tuple[str, ...]
    origins: tuple[str, ...] | None = None
    path: str = "/"
    page: Path | None = None
    max_message: int = 65536
    ping: float = 30.0
    ping_timeout: float = 10.0
    connections_per_address: int = 250
    connections: int = 20_000
    trusted_proxies: tuple[Network, ...] = ()


@dataclass(frozen=True, slots=True)
class SipConfig:
    """The side of the trunks.

    :param listen: ``udp:``, ``tcp:`` and ``tls:`` with a port and perhaps ``interface=``; for ``tls:`` also
        ``privateKey=`` and ``certKey=``, the paths in them absolute.
    :param advertise: the host for Via and Contact where it is not the socket's own address.
    :param resolver: the DNS server that all names are asked of; None: the system's way.
    """

    listen: tuple[str, ...]
    advertise: str | None = None
    resolver: HostPort | None = None


@dataclass(frozen=True, slots=True)
class RtpengineConfig:
    """The media servers.

    :param nodes: their ng addresses, each with a port, or `SPAWN`.
    :param timeout: seconds for one command over all nodes.
    :param interface: of a spawned rtpengine: the address for media, as its ``--interface`` has it.
    :param binary: of a spawned rtpengine: the program, by path or name.
    """

    nodes: tuple[HostPort, ...] | Literal["spawn"]
    timeout: float = 2.0
    interface: str = "127.0.0.1"
    binary: str = "rtpengine"


@dataclass(frozen=True, slots=True)
class RegistrationsConfig:
    """Bindings of browsers.

    :param multiple: keep every binding of a user and fork to them; else the newest wins.
    """

    multiple: bool = False


@dataclass(frozen=True, slots=True)
class CallLimits:
    """Limits of calls.

    :param ring: seconds that a call may ring.
    :param grace: seconds that a call waits for a browser whose connection is lost.
    :param limit: calls at once.
    :param limit_per_connection: calls at once of one browser that has registered.
    :param limit_unregistered: calls at once of one that has not; so many subscriptions, and requests besides, it may
        have, too.
    :param session_expires: seconds that a session lives without a refresh, as we propose it (RFC 4028).
    """

    ring: float = 180.0
    grace: float = 5.0
    limit: int = 1000
    limit_per_connection: int = 10
    limit_unregistered: int = 3
    session_expires: int = 1800


@dataclass(frozen=True, slots=True)
class SubscriptionLimits:
    """Limits of subscriptions (RFC 6665).

    :param limit: subscriptions at once.
    :param limit_per_connection: subscriptions at once of one browser that has registered.
    """

    limit: int = 10_000
    limit_per_connection: int = 100


@dataclass(frozen=True, slots=True)
class ClientTls:
    """TLS towards a trunk.

    :param ca: PEM file of the authorities that its certificate may be signed by; None: those of the system.
    :param certificate: PEM file of the certificate that we show, its chain behind it; None: none.
    :param key: PEM file of its key.
    """

    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None


@dataclass(frozen=True, slots=True)
class Trunk:
    """A SIP provider, PBX or registrar.

    :param name: for logs.
    :param host: with `port`, the host of the Request-URIs that it serves; lower case.
    :param proxy: where to send instead of to `host`, in the order in which to try.
    :param transport: None: what the DNS says, else UDP.
    :param tcp_over_mtu: what is too large for a datagram goes by TCP.
    :param tls: where `transport` is ``tls``, or the DNS says so.
    :param failover: seconds without any response after which the next target is tried, where there is one.
    :param stop_codes: final responses behind which no further target is tried; None: all but those of a server in
        trouble.
    :param ping: seconds between two OPTIONS to each target, 0 for none.
    :param username: with `password`, what the proxy answers its digest challenges with.
    :param realm: the only realm whose challenges the proxy answers; None: any of this trunk's.
    :param redirects: whether its 3xx to a call ``pass`` on to the caller, or the proxy is to ``follow`` them.
    :param sources: whence it may call in; None: from the addresses that `host` (or `proxy`) resolves to.
    :param pass_identity: identity headers of browsers (P-Asserted-Identity and its like) reach it.
    :param strip: headers that cross neither to it nor from it to browsers: names in lower case, `x-*` for a beginning.
    :param set: name and value of the headers that every request which crosses to it has.
    :param media: its codecs, encryption, address family and digits.
    :param refer: who carries a transfer out that it refuses to: nobody (``pass``), or the proxy (``local``).
    """

    name: str
    host: str
    port: int | None = None
    proxy: tuple[HostPort, ...] = ()
    transport: Literal["udp", "tcp", "tls"] | None = None
    username: str | None = None
    password: str | None = None
    realm: str | None = None
    sources: tuple[Network, ...] | None = None
    redirects: Literal["pass", "follow"] = "pass"
    pass_identity: bool = False
    strip: tuple[str, ...] = ()
    set: tuple[tuple[str, str], ...] = ()
    media: TrunkMedia = field(default_factory=TrunkMedia)
    tcp_over_mtu: bool = False
    tls: ClientTls = ClientTls()
    failover: float = 4.0
    stop_codes: frozenset[int] | None = None
    ping: float = 0.0
    refer: Literal["pass", "local"] = "pass"

    @property
    def places(self) -> tuple[HostPort, ...]:
        """Where it is reached, in the order in which to try."""
        return self.proxy or (HostPort(self.host, self.port),)

    @property
    def may_be_tls(self) -> bool:
        """Whether it is reached over TLS, or is where the DNS says so."""
        return self.transport == "tls" or (self.transport is None and any(place.port is None for place in self.places))

    def serves(self, hostport: tuple[str, int | None]) -> bool:
        """True where `hostport` of a Request-URI is this trunk's; no port is port 5060, with TLS port 5061, too."""
        host, port = plain_host(hostport[0]), hostport[1]
        if self.transport == "tls" and None in (port, self.port):
            return host == self.host and (port or self.port) in (None, SIP_PORT, SIPS_PORT)
        return same_place((host, port), (self.host, self.port))


@dataclass(frozen=True, slots=True)
class AccessConfig:
    """Who may do what.

    :param destinations: where browsers may call and register.
    :param trunk_credentials: who may use a trunk's username: who is ``registered``, or ``anyone``.
    """

    destinations: Destinations
    trunk_credentials: Literal["registered", "anyone"] = "registered"


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Beside the calls.

    :param listen: server endpoint strings for health and metrics; empty for none.
    """

    listen: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """The log.

    :param level: the lowest level that is logged, by the name it has in `twisted.logger`.
    """

    level: str = "info"


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """A small registrar and echo endpoint within this process.

    :param listen: ``udp:PORT:interface=ADDRESS``.
    :param password: with it, any name may register.
    """

    listen: str
    password: str


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The processes.

    :param workers: how many carry calls; with 1 it is the one that twistd starts, and there is no other.
    :param drain: seconds that calls have to end by themselves when the proxy is stopped; it takes no new ones then.
    """

    workers: int = 1
    drain: float = 0.0


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file.

    :param path: the file itself, absolute.
    :param demo: None where no demo is wanted.
    """

    path: Path
    wss: WssConfig
    sip: SipConfig
    rtpengine: RtpengineConfig
    registrations: RegistrationsConfig
    calls: CallLimits
    trunks: tuple[Trunk, ...]
    access: AccessConfig
    web: WebConfig
    logging: LoggingConfig
    demo: DemoConfig | None
    proxy: ProxyConfig = ProxyConfig()
    subscriptions: SubscriptionLimits = SubscriptionLimits()
