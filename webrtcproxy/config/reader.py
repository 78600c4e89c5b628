"""Reads and checks the whole configuration file. Each mistake is a ConfigError with section, key, value, remedy."""

from __future__ import annotations

import shutil
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path

from webrtcproxy.config import ini
from webrtcproxy.config.access import AccessConfig
from webrtcproxy.config.addresses import Destinations
from webrtcproxy.config.bans import BansConfig
from webrtcproxy.config.domain import Domain, read_domains
from webrtcproxy.config.endpoints import split, worker_ports
from webrtcproxy.config.ini import ConfigError, Section
from webrtcproxy.config.limits import LimitsConfig
from webrtcproxy.config.option import open_section, read_section
from webrtcproxy.config.sections import (
    NAMED,
    SECTIONS,
    SPAWN,
    CallsConfig,
    Config,
    DemoConfig,
    LoggingConfig,
    ProxyConfig,
    RegistrationsConfig,
    RtpengineConfig,
    SipConfig,
    SubscriptionsConfig,
    WebConfig,
)
from webrtcproxy.config.tokens import TokensConfig, check_tokens
from webrtcproxy.config.trunk import Trunk
from webrtcproxy.config.trunk_transport import check_client_tls
from webrtcproxy.config.turn import TurnConfig, check_turn
from webrtcproxy.config.wss import WssConfig

UNREGISTERED_CALLS = 3
"""The default of ``limit-unregistered`` where nobody needs to register."""


def load(path: Path) -> Config:
    """Read and check a configuration file.

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
        kind = name.split(" ")[0]
        kind = kind if kind in NAMED else name
        if kind not in SECTIONS:
            raise ConfigError(name, "", None, ini.did_you_mean(kind, SECTIONS), "there is no such section")
    sections = {
        name: open_section(declared, name, raw.get(name, {}), path.parent)
        for name, declared in SECTIONS.items()
        if name not in NAMED
    }
    proxy = read_section(ProxyConfig, sections["proxy"])
    sip = _sip(sections["sip"], proxy.workers)
    trunks = _trunks(raw, path.parent, {split(line)[0] for line in sip.listen})
    domains = read_domains(raw, path.parent, trunks)
    wss = _wss(sections["wss"], proxy.workers)
    config = Config(
        path=path,
        wss=wss,
        sip=sip,
        rtpengine=_rtpengine(sections["rtpengine"]),
        registrations=read_section(RegistrationsConfig, sections["registrations"]),
        calls=read_section(CallsConfig, sections["calls"]),
        trunks=trunks,
        access=_access(sections["access"], trunks, domains),
        web=read_section(WebConfig, sections["web"]),
        logging=read_section(LoggingConfig, sections["logging"]),
        demo=read_section(DemoConfig, sections["demo"]) if "demo" in raw else None,
        proxy=proxy,
        subscriptions=read_section(SubscriptionsConfig, sections["subscriptions"]),
        turn=_turn(sections["turn"]),
        bans=read_section(BansConfig, sections["bans"]),
        domains=domains,
        limits=read_section(LimitsConfig, sections["limits"]),
        tokens=_tokens(sections["tokens"], wss, domains) if "tokens" in raw else None,
    )
    if config.access.trunk_credentials == "anyone" and "limit-unregistered" not in sections["calls"]:
        return replace(config, calls=replace(config.calls, limit_unregistered=UNREGISTERED_CALLS))
    return config


def _wss(section: Section, workers: int) -> WssConfig:
    wss = read_section(WssConfig, section)
    for line in wss.listen:
        if workers > 1 and split(line)[0] not in ("ssl", "tcp"):
            raise section.error("listen", "several workers can't share it", "write ssl: or tcp:, or workers = 1", line)
    if wss.client_ca is not None and "ssl" not in {split(line)[0] for line in wss.listen}:
        raise section.error("client-ca", "no line of listen has TLS", "write an ssl: line, or leave out client-ca")
    return wss


def _sip(section: Section, workers: int) -> SipConfig:
    sip = read_section(SipConfig, section)
    taken: dict[int, str] = {}
    for line in sip.listen:
        for port in worker_ports(line, workers):
            if not 0 < port < 65536 or taken.get(port, line) != line:
                remedy = f"leave {workers} ports free after the port of each udp: line, one for each worker"
                raise section.error("listen", f"there is no port {port} for its workers", remedy, line)
            taken[port] = line
    return sip


def _rtpengine(section: Section) -> RtpengineConfig:
    rtpengine = read_section(RtpengineConfig, section)
    if rtpengine.nodes == SPAWN and shutil.which(rtpengine.binary) is None:
        remedy = "install it (Debian: apt-get install rtpengine-daemon) or set binary"
        raise section.error("nodes", f"there is no program '{rtpengine.binary}'", remedy)
    return rtpengine


def _trunks(raw: Mapping[str, Mapping[str, str]], folder: Path, kinds: Collection[str]) -> tuple[Trunk, ...]:
    """The trunks.

    :param raw: all sections.
    :param kinds: the transports that ``[sip] listen`` has.
    """
    trunks: list[Trunk] = []
    for section in [open_section(Trunk, name, raw[name], folder) for name in raw if name.split(" ")[0] == "trunk"]:
        trunk = _trunk(section, kinds)
        for other in trunks:
            if other.name == trunk.name:
                raise section.error("", "another trunk has this name", "give each trunk a name of its own")
            if other.serves((trunk.host, trunk.port)):
                raise section.error("host", f"[trunk {other.name}] has it too", "give each trunk a host of its own")
            _check_same_tls(section, trunk, other)
        trunks.append(trunk)
    _check_also_for(raw, folder, trunks)
    return tuple(trunks)


def _check_also_for(raw: Mapping[str, Mapping[str, str]], folder: Path, trunks: Collection[Trunk]) -> None:
    known = {trunk.name for trunk in trunks}
    for trunk in trunks:
        for name in trunk.also_for:
            if name not in known:
                section = open_section(Trunk, f"trunk {trunk.name}", {}, folder)
                raise section.error("also-for", "there is no such trunk", ini.did_you_mean(name, known), name)


def _trunk(section: Section, kinds: Collection[str]) -> Trunk:
    name = section.name.removeprefix("trunk").strip()
    if not name:
        raise section.error("", "the trunk has no name", "write [trunk NAME]")
    trunk = read_section(Trunk, section, name=name)
    _check_account(section, trunk)
    for transport in ("tcp", "tls", "udp"):
        if transport not in kinds and (transport == trunk.transport or (transport == "tcp" and trunk.tcp_over_mtu)):
            remedy = f"add a {transport}: line there, the trunk has to reach us as we reach it"
            raise section.error("transport", f"there is no {transport}: line in [sip] listen", remedy)
    check_client_tls(section, trunk.tls)
    return trunk


def _check_account(section: Section, trunk: Trunk) -> None:
    if trunk.username is None and trunk.password is None:
        if trunk.realm is not None:
            raise section.error("realm", "it says nothing without an account", "write username and password too")
    elif trunk.password is None:
        raise section.error("password", "it is missing beside username", "write both, or neither")
    elif trunk.username is None:
        raise section.error("username", "it is missing beside password", "write both, or neither")


def _check_same_tls(section: Section, trunk: Trunk, other: Trunk) -> None:
    """Check that trunks at the same server have the same TLS options, since they share one connection."""
    shared = {server.host for server in trunk.servers}.intersection(server.host for server in other.servers)
    if shared and trunk.tls != other.tls and trunk.may_be_tls and other.may_be_tls:
        key = "proxy" if trunk.proxy else "host"
        problem = f"[trunk {other.name}] is at {min(shared)} too, with other tls- files"
        raise section.error(key, problem, "write the same tls-ca, tls-certificate and tls-key in both")


def _turn(section: Section) -> TurnConfig:
    turn = read_section(TurnConfig, section)
    check_turn(section, turn)
    return turn


def _tokens(section: Section, wss: WssConfig, domains: tuple[Domain, ...]) -> TokensConfig:
    tokens = read_section(TokensConfig, section)
    check_tokens(section, tokens, wss.origins, [domain.name for domain in domains])
    return tokens


def _access(section: Section, trunks: tuple[Trunk, ...], domains: tuple[Domain, ...]) -> AccessConfig:
    access = read_section(AccessConfig, section)
    if access.destinations == Destinations(trunks=True) and not trunks and not domains:
        remedy = "add a [trunk NAME] with its host or a [domain NAME], or name hosts here"
        raise section.error("destinations", "there is no trunk, so nobody could call anywhere", remedy, "trunks")
    return access
