"""The configuration file, read and checked whole. Each mistake is a ConfigError with section, key, value, remedy."""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Mapping
from functools import partial, reduce
from operator import or_
from pathlib import Path
from typing import Final, Literal

from webrtcproxy.config import ini
from webrtcproxy.config.addresses import (
    Destinations,
    HostPort,
    destination,
    host_name,
    ip,
    network,
    origin,
)
from webrtcproxy.config.endpoints import check_server, check_sip, split, worker_ports
from webrtcproxy.config.headers import header_line, header_pattern
from webrtcproxy.config.ini import ConfigError, Secret, Section
from webrtcproxy.config.media import trunk_media
from webrtcproxy.config.trunk_transport import client_tls, ping_of, stop_codes, transport_of
from webrtcproxy.config.values import (
    SPAWN,
    AccessConfig,
    CallLimits,
    Config,
    DemoConfig,
    LoggingConfig,
    ProxyConfig,
    RegistrationsConfig,
    RtpengineConfig,
    SipConfig,
    SubscriptionLimits,
    Trunk,
    WebConfig,
    WssConfig,
)

PAGE: Final = Path(__file__).parents[1] / "phone" / "dist"
"""The phone page of the package; the folder exists once the page is built."""

NG_PORT: Final = 22222
"""The port of a node that names none."""

KEYS: Final[Mapping[str, tuple[str, ...]]] = {
    "wss": (
        *("listen", "origins", "path", "page", "trusted-proxies"),
        *("max-message", "ping", "ping-timeout", "connections-per-address", "connections"),
    ),
    "sip": ("listen", "advertise", "resolver"),
    "rtpengine": ("nodes", "timeout", "interface", "binary"),
    "registrations": ("multiple",),
    "calls": ("ring", "grace", "limit", "limit-per-connection", "limit-unregistered", "session-expires"),
    "subscriptions": ("limit", "limit-per-connection"),
    "trunk": (
        *("host", "proxy", "transport", "username", "password", "realm", "sources", "redirects"),
        *("pass-identity", "strip", "set", "codecs", "media", "address-family", "interfaces", "dtmf", "refer"),
        *("tls-ca", "tls-certificate", "tls-key", "failover", "stop-codes", "ping"),
    ),
    "access": ("destinations", "trunk-credentials"),
    "web": ("listen",),
    "logging": ("level",),
    "proxy": ("workers", "drain"),
    "demo": ("listen", "password"),
}
"""The sections, ``trunk`` for all of them, and their keys."""

WORKERS: Final = 64
"""More processes than this are a mistake."""

_WSS_EXAMPLE = "write an endpoint such as ssl:443:privateKey=tls/key.pem:certKey=tls/cert.pem"
_SIP_EXAMPLE = (
    "write udp:PORT, tcp:PORT or tls:PORT:privateKey=FILE:certKey=FILE, perhaps with :interface=ADDRESS behind"
)
_WEB_EXAMPLE = "write an endpoint such as tcp:8080:interface=127.0.0.1"
_HOST_EXAMPLE = "write a host such as sip.example.com or sip.example.com:5080"
_LEVELS = ("debug", "info", "warn", "error", "critical")


def load(path: Path) -> Config:
    """Read a configuration file and check it whole.

    :raises ConfigError: the first mistake in it.
    """
    path = path.absolute()
    try:
        return _config(path)
    except ConfigError as error:
        error.path = path
        raise


def _config(path: Path) -> Config:
    raw = ini.read(path)
    for name in raw:
        kind = name.split(" ")[0] if name.startswith("trunk") else name
        if kind not in KEYS:
            raise ConfigError(name, "", None, ini.did_you_mean(kind, KEYS), "there is no such section")
    sections = {name: Section(name, raw.get(name, {}), keys) for name, keys in KEYS.items() if name != "trunk"}
    folder = path.parent
    proxy = _proxy(sections["proxy"])
    sip = _sip(sections["sip"], folder, proxy.workers)
    trunks = _trunks(
        [Section(name, keys, KEYS["trunk"]) for name, keys in raw.items() if name.startswith("trunk")],
        folder,
        {split(line)[0] for line in sip.listen},
    )
    return Config(
        path=path,
        wss=_wss(sections["wss"], folder, proxy.workers),
        sip=sip,
        rtpengine=_rtpengine(sections["rtpengine"]),
        registrations=RegistrationsConfig(sections["registrations"].flag("multiple", False)),
        calls=_calls(sections["calls"]),
        trunks=trunks,
        access=_access(sections["access"], trunks),
        web=WebConfig(_listen(sections["web"], _WEB_EXAMPLE, folder)),
        logging=LoggingConfig(sections["logging"].choice("level", "info", _LEVELS)),
        demo=_demo(sections["demo"], folder) if "demo" in raw else None,
        proxy=proxy,
        subscriptions=_subscriptions(sections["subscriptions"]),
    )


def _proxy(section: Section) -> ProxyConfig:
    return ProxyConfig(_workers(section), section.number("drain", 0, 0, 86400))


def _workers(section: Section) -> int:
    if section.text("workers", "write a number, or auto for as many as there are cores") == "auto":
        return min(len(os.sched_getaffinity(0)), WORKERS)
    return section.whole("workers", 1, 1, WORKERS)


def _wss(section: Section, folder: Path, workers: int) -> WssConfig:
    listen = _listen(section, _WSS_EXAMPLE, folder)
    if not listen:
        raise section.error("listen", "it is missing", _WSS_EXAMPLE)
    for line in listen:
        if workers > 1 and split(line)[0] not in ("ssl", "tcp"):
            raise section.error("listen", "several workers can't share it", "write ssl: or tcp:, or workers = 1", line)
    return WssConfig(
        listen=listen,
        origins=section.each("origins", "write origins such as https://phone.example.com, or *", origin) or None,
        path=section.one("path", "write a path such as /sip", _path) or "/",
        page=_page(section, folder),
        max_message=section.whole("max-message", 65536, 1024, 1 << 20),
        ping=section.number("ping", 30, 0, 3600),
        ping_timeout=section.number("ping-timeout", 10, 1, 3600),
        connections_per_address=section.whole("connections-per-address", 250, 1, 1_000_000),
        connections=section.whole("connections", 20_000, 1, 1_000_000),
        trusted_proxies=section.each("trusted-proxies", "write addresses or networks of your web servers", network),
    )


def _path(text: str) -> str:
    if not text.startswith("/") or any(sign in text for sign in "?# "):
        raise ValueError("a path starts with / and has no ? and #")
    return text


def _page(section: Section, folder: Path) -> Path | None:
    remedy = "write yes, no or a folder with an index.html"
    value = section.text("page", remedy)
    if value is None or ini.is_flag(value):
        return PAGE if section.flag("page", True) else None
    page = folder / value
    if not (page / "index.html").is_file():
        raise section.error("page", f"there is no {page / 'index.html'}", remedy)
    return page


def _sip(section: Section, folder: Path, workers: int) -> SipConfig:
    listen = section.each_line("listen", _SIP_EXAMPLE, partial(check_sip, folder=folder)) or ("udp:5060",)
    taken: dict[int, str] = {}
    for line in listen:
        for port in worker_ports(line, workers):
            if not 0 < port < 65536 or taken.get(port, line) != line:
                remedy = f"leave {workers} ports free behind the port of each udp: line, one for each worker"
                raise section.error("listen", f"there is no port {port} for its workers", remedy, line)
            taken[port] = line
    resolver = section.one("resolver", "write the address[:port] of a DNS server", HostPort.parse)
    if resolver is not None and ip(resolver.host) is None:
        raise section.error("resolver", "this is no IP address", "write the address[:port] of a DNS server")
    return SipConfig(
        listen, section.one("advertise", "write an address or name that trunks reach", host_name), resolver
    )


def _rtpengine(section: Section) -> RtpengineConfig:
    remedy = "write host:port of rtpengine's --listen-ng, several if there are, or spawn"
    words = section.words("nodes", remedy)
    if not words:
        raise section.error("nodes", "it is missing", remedy)
    if SPAWN in words and len(words) > 1:
        raise section.error("nodes", "spawn does not go with others", "write either spawn or addresses")
    binary = section.text("binary", "write the program's path or name") or "rtpengine"
    nodes: tuple[HostPort, ...] | Literal["spawn"] = SPAWN
    if SPAWN not in words:
        places = section.each("nodes", remedy, HostPort.parse)
        nodes = tuple(HostPort(place.host, place.port or NG_PORT) for place in places)
    elif shutil.which(binary) is None:
        remedy = "install it (Debian: apt-get install rtpengine-daemon) or set binary"
        raise section.error("nodes", f"there is no program '{binary}'", remedy)
    return RtpengineConfig(
        nodes=nodes,
        timeout=section.number("timeout", 2, 0.1, 60),
        interface=section.text("interface", "write the address for media") or "127.0.0.1",
        binary=binary,
    )


def _calls(section: Section) -> CallLimits:
    return CallLimits(
        ring=section.number("ring", 180, 1, 3600),
        grace=section.number("grace", 5, 0, 3600),
        limit=section.whole("limit", 1000, 1, 1_000_000),
        limit_per_connection=section.whole("limit-per-connection", 10, 1, 1_000_000),
        limit_unregistered=section.whole("limit-unregistered", 3, 0, 1_000_000),
        session_expires=section.whole("session-expires", 1800, 90, 86400),
    )


def _subscriptions(section: Section) -> SubscriptionLimits:
    return SubscriptionLimits(
        limit=section.whole("limit", 10_000, 1, 1_000_000),
        limit_per_connection=section.whole("limit-per-connection", 100, 1, 1_000_000),
    )


def _trunks(sections: list[Section], folder: Path, kinds: Collection[str]) -> tuple[Trunk, ...]:
    trunks: list[Trunk] = []
    for section in sections:
        trunk = _trunk(section, folder, kinds)
        for other in trunks:
            if other.name == trunk.name:
                raise section.error("", "another trunk has this name", "give each trunk a name of its own")
            if other.serves((trunk.host, trunk.port)):
                raise section.error("host", f"[trunk {other.name}] has it too", "give each trunk a host of its own")
            _check_tls(section, trunk, other)
        trunks.append(trunk)
    return tuple(trunks)


def _trunk(section: Section, folder: Path, kinds: Collection[str]) -> Trunk:
    name = section.name.removeprefix("trunk").strip()
    if not name:
        raise section.error("", "the trunk has no name", "write [trunk NAME]")
    place = section.one("host", _HOST_EXAMPLE, HostPort.parse)
    if place is None:
        raise section.error("host", "it is missing", _HOST_EXAMPLE)
    username, password = _account(section)
    transport, tcp_over_mtu = transport_of(section, kinds)
    return Trunk(
        name=name,
        host=place.host,
        port=place.port,
        proxy=section.each("proxy", _HOST_EXAMPLE, HostPort.parse),
        transport=transport,
        tcp_over_mtu=tcp_over_mtu,
        tls=client_tls(section, folder),
        failover=section.number("failover", 4, 0.5, 32),
        stop_codes=stop_codes(section),
        ping=ping_of(section),
        username=username,
        password=password,
        realm=section.text("realm", "write the realm of the provider's challenges"),
        sources=section.each("sources", "write networks such as 198.51.100.0/24", network) or None,
        redirects="follow" if section.choice("redirects", "pass", ("pass", "follow")) == "follow" else "pass",
        pass_identity=section.flag("pass-identity", False),
        strip=section.each("strip", "write header names such as User-Agent or X-*", header_pattern),
        set=_set(section),
        media=trunk_media(section),
        refer="local" if section.choice("refer", "pass", ("pass", "local")) == "local" else "pass",
    )


def _check_tls(section: Section, trunk: Trunk, other: Trunk) -> None:
    """A server has one connection of ours, whichever trunk it is for."""
    shared = {place.host for place in trunk.places}.intersection(place.host for place in other.places)
    if shared and trunk.tls != other.tls and trunk.may_be_tls and other.may_be_tls:
        key = "proxy" if trunk.proxy else "host"
        problem = f"[trunk {other.name}] is at {min(shared)} too, with other tls- files"
        raise section.error(key, problem, "write the same tls-ca, tls-certificate and tls-key in both")


def _set(section: Section) -> tuple[tuple[str, str], ...]:
    remedy = "write 'Name: value', one header a line"
    lines = section.each_line("set", remedy, header_line)
    names = [name.lower() for name, _ in lines]
    for at, name in enumerate(names):
        if name in names[:at]:
            raise section.error("set", "this header is set twice", "keep one", lines[at][0])
    return lines


def _account(section: Section) -> tuple[str, Secret] | tuple[None, None]:
    username = section.text("username", "write the account's name")
    password = section.text("password", "write the account's password")
    if username is None and password is None:
        if "realm" in section:
            raise section.error("realm", "it says nothing without an account", "write username and password too")
        return None, None
    if password is None:
        raise section.error("password", "it is missing beside username", "write both, or neither")
    if username is None:
        raise section.error("username", "it is missing beside password", "write both, or neither")
    return username, Secret(password)


def _access(section: Section, trunks: tuple[Trunk, ...]) -> AccessConfig:
    tokens = section.each("destinations", "write trunks, hosts, *.domains, networks or *", destination)
    destinations = reduce(or_, tokens) if tokens else Destinations(trunks=True)
    if destinations == Destinations(trunks=True) and not trunks:
        remedy = "add a [trunk NAME] with its host, or name hosts here"
        raise section.error("destinations", "there is no trunk, so nobody could call anywhere", remedy, "trunks")
    credentials = section.choice("trunk-credentials", "registered", ("registered", "anyone"))
    return AccessConfig(destinations, "anyone" if credentials == "anyone" else "registered")


def _demo(section: Section, folder: Path) -> DemoConfig:
    remedy = "write udp:PORT:interface=127.0.0.1"
    listen = section.one("listen", remedy, partial(check_sip, folder=folder, kinds=("udp",)))
    if listen is None:
        raise section.error("listen", "it is missing", remedy)
    return DemoConfig(listen, Secret(section.text("password", "write a password") or "demo"))


def _listen(section: Section, remedy: str, folder: Path) -> tuple[str, ...]:
    return section.each_line("listen", remedy, partial(check_server, folder=folder))
