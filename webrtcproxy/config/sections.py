"""The sections of the configuration file, with every option declared once; see `webrtcproxy.config.option`."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

from webrtcproxy.config.access import AccessConfig
from webrtcproxy.config.addresses import HostPort, host_name, ip
from webrtcproxy.config.bans import BansConfig
from webrtcproxy.config.domain import Domain
from webrtcproxy.config.endpoints import check_server, check_sip
from webrtcproxy.config.ini import Secret, Section
from webrtcproxy.config.kinds import custom, endpoints, flag, number, one, password, text, whole, word
from webrtcproxy.config.limits import MAX_LIMIT, LimitsConfig
from webrtcproxy.config.media_node import MediaNode, read_nodes
from webrtcproxy.config.option import option
from webrtcproxy.config.records import RecordsConfig
from webrtcproxy.config.tokens import TokensConfig
from webrtcproxy.config.trunk import Trunk
from webrtcproxy.config.trunk_transport import CERTIFICATE_FILE
from webrtcproxy.config.turn import TurnConfig
from webrtcproxy.config.wss import WssConfig

SPAWN: Final = "spawn"
"""`RtpengineConfig.nodes` if the proxy itself runs a local rtpengine."""

AUTO: Final = "auto"
"""`RtpengineConfig.interface` if it is the address by which this machine reaches others."""

MAX_WORKERS: Final = 64
"""The most workers."""


def _demo_listen(section: Section, key: str, remedy: str) -> str:
    return section.one(key, remedy, partial(check_sip, folder=section.folder, kinds=("udp",)))


def _resolver(value: str) -> HostPort:
    server = HostPort.parse(value)
    if ip(server.host) is None:
        raise ValueError("this is no IP address")
    return server


def _nodes(section: Section, key: str, remedy: str) -> tuple[MediaNode, ...] | Literal["spawn"]:
    words = section.words(key, remedy)
    if words == (SPAWN,):
        return SPAWN
    if SPAWN in words:
        raise section.error(key, "spawn does not go with others", "write either spawn or addresses")
    return read_nodes(section, key, remedy)


def _instance(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9.-]{1,40}", value):
        raise ValueError("this is no such name")
    return value


def _workers(section: Section, key: str, remedy: str) -> int:
    if section.text(key, remedy) == "auto":
        return min(len(os.sched_getaffinity(0)), MAX_WORKERS)
    return section.whole(key, 1, MAX_WORKERS)


@dataclass(frozen=True, slots=True)
class SipConfig:
    """The side of the trunks.

    :ivar listen: ``udp:``, ``tcp:`` and ``tls:`` with a port and perhaps ``interface=``; for ``tls:`` also
        ``privateKey=`` and ``certKey=``, the paths in them absolute.
    """

    listen: tuple[str, ...] = option(
        endpoints(
            check_sip,
            "write udp:PORT, tcp:PORT or tls:PORT:privateKey=FILE:certKey=FILE, optionally :interface=ADDRESS",
        ),
        "The sockets, one a line; each ``transport`` of a trunk needs a line.",
        default=("udp:5060",),
    )
    advertise: str | None = option(
        one(host_name, "write an address or name that trunks reach"),
        "The host in Via and Contact, if it is not the address of the socket (NAT).",
        default=None,
    )
    resolver: HostPort | None = option(
        one(_resolver, "write the address[:port] of a DNS server"),
        "The DNS server for all names.",
        default=None,
        absent="as the system has it",
    )
    client_ca: Path | None = option(
        CERTIFICATE_FILE,
        "The authorities that must have issued the certificate of each peer that connects to a ``tls:`` line; without"
        " one the handshake fails.",
        default=None,
        absent="peers need no certificate",
    )


@dataclass(frozen=True, slots=True)
class RtpengineConfig:
    """The media servers.

    :ivar nodes: the nodes, or `SPAWN`.
    """

    nodes: tuple[MediaNode, ...] | Literal["spawn"] = option(
        custom(_nodes, "write host:port of rtpengine's --listen-ng, several if there are, or spawn"),
        "The address of each rtpengine's ``--listen-ng`` (port 22222 by default), or ``spawn``: the proxy runs one"
        " itself. After an address, ``weight=2`` lets the node have twice as many sessions as one without (1 to 100),"
        " and with ``drain`` it takes no new ones.",
        stand_in=(),
    )
    timeout: float = option(
        number(0.1, 60, "seconds"),
        "How long one command may take, over all nodes; then the caller gets 503.",
        default=2.0,
    )
    interface: str = option(
        text("write the address for media, or auto"),
        "With ``spawn``: the address for media, in the syntax of rtpengine's ``--interface``; or ``auto`` for the"
        " address by which this machine reaches others.",
        default="127.0.0.1",
    )
    instance: str | None = option(
        one(_instance, "write a name of letters, digits, '.' and '-'"),
        "A name by which the proxy recognises the sessions that it has left at the nodes when it was killed, and"
        " deletes them. No other proxy that uses one of the nodes may have it. In a container, write one.",
        default=None,
        absent="made of the machine since it was booted, its network namespace, and ``[sip] listen``",
    )
    binary: str = option(
        text("write the program's path or name"), "With ``spawn``: the program, by path or name.", default="rtpengine"
    )


@dataclass(frozen=True, slots=True)
class RegistrationsConfig:
    """Bindings of browsers."""

    multiple: bool = option(
        flag(), "Keep all bindings of a user and let all of them ring; otherwise keep only the newest.", default=False
    )


@dataclass(frozen=True, slots=True)
class CallsConfig:
    """Limits of calls."""

    ring: float = option(number(1, 3600, "seconds"), "How long a call may ring.", default=180.0)
    grace: float = option(
        number(0, 3600, "seconds"), "How long a call waits for a browser whose connection is lost.", default=5.0
    )
    silence: float = option(
        number(0, 86400, "seconds"),
        "How long a trunk that is not on hold may send no media before it is asked whether the call still exists there,"
        " by an UPDATE or OPTIONS; 0: never. Looked at twice a minute.",
        default=60.0,
    )
    limit: int = option(whole(1, MAX_LIMIT), "Calls at once; above this limit, callers get 503.", default=1000)
    limit_per_connection: int = option(
        whole(1, MAX_LIMIT),
        "Calls at once of one registered browser, in both directions; above this limit, it gets 503.",
        default=10,
    )
    limit_unregistered: int = option(
        whole(0, MAX_LIMIT),
        "Calls at once of a browser that has not registered with a password of its own where it calls; 0: nothing but"
        " its REGISTER reaches a trunk. The same limit applies to its subscriptions, and to its other requests that"
        " wait for a response.",
        default=0,
        absent="0; 3 with ``trunk-credentials = anyone``",
    )
    session_expires: int = option(
        whole(90, 86400, "seconds"),
        "The session interval that the proxy proposes: how long a session lives without a refresh (RFC 4028).",
        default=1800,
    )


@dataclass(frozen=True, slots=True)
class SubscriptionsConfig:
    """Limits of subscriptions (RFC 6665), in both directions."""

    limit: int = option(
        whole(1, MAX_LIMIT), "Subscriptions at once; above this limit, subscribers get 503.", default=10_000
    )
    limit_per_connection: int = option(
        whole(1, MAX_LIMIT),
        "Subscriptions at once of one registered browser, including those to itself.",
        default=100,
    )


@dataclass(frozen=True, slots=True)
class WebConfig:
    """Health, metrics and bans."""

    listen: tuple[str, ...] = option(
        endpoints(check_server, "write an endpoint such as tcp:8080:interface=127.0.0.1"),
        "Server endpoints, one a line, for ``/health``, ``/metrics`` and ``/bans``; keep them off the public port.",
        default=(),
        absent="nowhere",
    )


@dataclass(frozen=True, slots=True)
class LoggingConfig:
    """The log."""

    level: str = option(
        word("debug", "info", "warn", "error", "critical"), "The lowest level that is logged.", default="info"
    )


@dataclass(frozen=True, slots=True)
class ProxyConfig:
    """The processes."""

    workers: int = option(
        custom(_workers, "write a number, or auto for as many as there are cores"),
        f"The processes that carry calls, at most {MAX_WORKERS}; ``auto`` is one for each core. With 1, it is the"
        " process that twistd starts. Several need further ports, one for each process, after the port of each"
        " ``udp:`` line of ``[sip] listen``.",
        default=1,
    )
    drain: float = option(
        number(0, 86400, "seconds"),
        "How long calls have to end by themselves when the proxy is stopped; meanwhile new calls get 503.",
        default=0.0,
    )


@dataclass(frozen=True, slots=True)
class DemoConfig:
    """A small registrar and echo endpoint within this process."""

    listen: str = option(custom(_demo_listen, "write udp:PORT:interface=127.0.0.1"), "Its socket.", stand_in="udp:0")
    password: str = option(
        password("write a password"), "The password with which any name may register.", default=Secret("demo")
    )


@dataclass(frozen=True, slots=True)
class Config:
    """The whole file.

    :param path: the file itself, absolute.
    :param demo: None without the section.
    :param session_key: for the tokens that the proxy itself issues. It is not in the file but made with each start, and
        all workers have it.
    :param auth: the checkers of twisted.cred that ``--auth`` names on the command line; not of the file.
    :param tokens: None without the section.
    """

    path: Path
    wss: WssConfig
    sip: SipConfig
    rtpengine: RtpengineConfig
    registrations: RegistrationsConfig
    calls: CallsConfig
    trunks: tuple[Trunk, ...]
    access: AccessConfig
    web: WebConfig
    logging: LoggingConfig
    demo: DemoConfig | None
    proxy: ProxyConfig = ProxyConfig()
    subscriptions: SubscriptionsConfig = SubscriptionsConfig()
    turn: TurnConfig = field(default_factory=TurnConfig)
    session_key: bytes = field(default_factory=partial(os.urandom, 32), repr=False, compare=False)
    bans: BansConfig = field(default_factory=BansConfig)
    domains: tuple[Domain, ...] = ()
    auth: tuple[str, ...] = ()
    limits: LimitsConfig = field(default_factory=LimitsConfig)
    tokens: TokensConfig | None = None
    records: RecordsConfig = field(default_factory=RecordsConfig)


SECTIONS: Final[Mapping[str, type[Any]]] = {
    "wss": WssConfig,
    "sip": SipConfig,
    "rtpengine": RtpengineConfig,
    "registrations": RegistrationsConfig,
    "calls": CallsConfig,
    "subscriptions": SubscriptionsConfig,
    "trunk": Trunk,
    "domain": Domain,
    "tokens": TokensConfig,
    "access": AccessConfig,
    "turn": TurnConfig,
    "bans": BansConfig,
    "limits": LimitsConfig,
    "web": WebConfig,
    "logging": LoggingConfig,
    "records": RecordsConfig,
    "proxy": ProxyConfig,
    "demo": DemoConfig,
}
"""The sections by name; those of `NAMED` stand for each of their kind."""

NAMED: Final = frozenset({"trunk", "domain"})
"""The sections that have a name of their own and may be several: ``[trunk NAME]``."""
