"""Reads and checks the whole configuration file. All its mistakes are found at once."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from webrtcproxy.config import ini, ini_file
from webrtcproxy.config.access import AccessConfig
from webrtcproxy.config.addresses import Destinations
from webrtcproxy.config.bans import BansConfig
from webrtcproxy.config.domain import Domain, read_domains
from webrtcproxy.config.endpoints import split, worker_ports
from webrtcproxy.config.ini import Section
from webrtcproxy.config.ini_file import IniFile
from webrtcproxy.config.limits import LimitsConfig
from webrtcproxy.config.mistakes import ConfigError, ConfigErrors, Mistakes
from webrtcproxy.config.option import open_section, read_section
from webrtcproxy.config.records import RecordsConfig
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
from webrtcproxy.config.trunks import read_trunks, with_number_formats
from webrtcproxy.config.turn import TurnConfig, check_turn
from webrtcproxy.config.wss import WssConfig

UNREGISTERED_CALLS = 3
"""The default of ``limit-unregistered`` where nobody needs to register."""


class Reading(NamedTuple):
    """A file that was read.

    :ivar config: what stands in it, and stand-ins for what can't be read.
    :ivar mistakes: all that were found in it; more may be noted.
    """

    config: Config
    mistakes: Mistakes


def load(path: Path) -> Config:
    """Read and check a configuration file.

    :raises ConfigErrors: all mistakes in it.
    """
    reading = read(path)
    reading.mistakes.raise_any()
    return reading.config


def read(path: Path) -> Reading:
    """Read and check a configuration file as far as it goes.

    :raises ConfigErrors: it can't be read at all.
    """
    path = path.absolute()
    try:
        file = ini_file.read(path)
    except ConfigError as error:
        error.path = path
        raise ConfigErrors([error]) from error
    mistakes = Mistakes(path, file)
    mistakes.note(*file.broken)
    return Reading(_FileSections(path, file, mistakes).config(), mistakes)


class _FileSections:
    """Reads the sections of a file. Each mistake is noted, and the next thing read.

    :param path: the file, absolute.
    """

    def __init__(self, path: Path, file: IniFile, mistakes: Mistakes) -> None:
        self._path = path
        self._raw = file.sections
        self._mistakes = mistakes
        self._sections = list(self._meant())

    def config(self) -> Config:
        """The whole configuration."""
        proxy = read_section(ProxyConfig, self._section("proxy"))
        sip, kinds = self._sip(proxy.workers)
        sections = self._named("trunk")
        trunks = read_trunks(sections, kinds)
        domains = read_domains(self._named("domain"), trunks)
        wss, rtpengine = self._wss(proxy.workers), self._rtpengine()
        access = self._access(bool(trunks or domains))
        config = Config(
            path=self._path,
            wss=wss,
            sip=sip,
            rtpengine=rtpengine,
            registrations=read_section(RegistrationsConfig, self._section("registrations")),
            calls=read_section(CallsConfig, self._section("calls")),
            trunks=with_number_formats(sections, trunks, access),
            access=access,
            web=read_section(WebConfig, self._section("web")),
            logging=read_section(LoggingConfig, self._section("logging")),
            demo=read_section(DemoConfig, self._section("demo")) if self._has("demo") else None,
            proxy=proxy,
            subscriptions=read_section(SubscriptionsConfig, self._section("subscriptions")),
            turn=self._turn(),
            bans=read_section(BansConfig, self._section("bans")),
            domains=domains,
            limits=read_section(LimitsConfig, self._section("limits")),
            records=read_section(RecordsConfig, self._section("records")),
            tokens=self._tokens(wss, domains) if self._has("tokens") else None,
        )
        if config.access.trunk_credentials == "anyone" and "limit-unregistered" not in self._raw.get("calls", {}):
            return replace(config, calls=replace(config.calls, limit_unregistered=UNREGISTERED_CALLS))
        return config

    def _meant(self) -> Iterator[tuple[str, str]]:
        """The kind of each section, and its name as it is written. One that is not known is noted, and read as the one
        that was probably meant."""
        for name in self._raw:
            kind = name.split(" ")[0]
            kind = kind if kind in NAMED else name
            if kind not in SECTIONS:
                word = kind.partition(" ")[0]
                remedy = ini.did_you_mean(word, SECTIONS)
                self._mistakes.note(ConfigError(name, "", None, remedy, "there is no such section"))
                kind = ini.closest(word, SECTIONS)
            if kind in NAMED or kind == name or kind not in self._raw:
                yield kind, name

    def _section(self, kind: str) -> Section:
        """The section of a kind that has no name of its own; empty where it is not there."""
        return self._open(kind, next((name for meant, name in self._sections if meant == kind), kind))

    def _named(self, kind: str) -> list[Section]:
        """The sections ``[KIND NAME]``."""
        return [self._open(kind, name) for meant, name in self._sections if meant == kind]

    def _open(self, kind: str, name: str) -> Section:
        return open_section(SECTIONS[kind], name, self._raw.get(name, {}), self._path.parent, self._mistakes)

    def _has(self, kind: str) -> bool:
        return any(meant == kind for meant, _ in self._sections)

    def _wss(self, workers: int) -> WssConfig:
        section = self._section("wss")
        wss = read_section(WssConfig, section)
        for line in wss.listen:
            if workers > 1 and split(line)[0] not in ("ssl", "tcp"):
                section.note("listen", "several workers can't share it", "write ssl: or tcp:, or workers = 1", line)
        has_tls = "ssl" in {split(line)[0] for line in wss.listen}
        if wss.client_ca is not None and not has_tls and section.is_right("listen"):
            section.note("client-ca", "no line of listen has TLS", "write an ssl: line, or leave out client-ca")
        return wss

    def _sip(self, workers: int) -> tuple[SipConfig, set[str] | None]:
        """The section, and the transports that its sockets have; None where these can't be read."""
        section = self._section("sip")
        sip = read_section(SipConfig, section)
        taken: dict[int, str] = {}
        for line in sip.listen:
            for port in worker_ports(line, workers):
                if not 0 < port < 65536 or taken.get(port, line) != line:
                    remedy = f"leave {workers} ports free after the port of each udp: line, one for each worker"
                    section.note("listen", f"there is no port {port} for its workers", remedy, line)
                    break
                taken[port] = line
        return sip, {split(line)[0] for line in sip.listen} if section.is_right("listen") else None

    def _rtpengine(self) -> RtpengineConfig:
        section = self._section("rtpengine")
        rtpengine = read_section(RtpengineConfig, section)
        if rtpengine.nodes == SPAWN and shutil.which(rtpengine.binary) is None:
            remedy = "install it (Debian: apt-get install rtpengine-daemon) or set binary"
            section.note("nodes", f"there is no program '{rtpengine.binary}'", remedy)
        return rtpengine

    def _turn(self) -> TurnConfig:
        section = self._section("turn")
        turn = read_section(TurnConfig, section)
        check_turn(section, turn)
        return turn

    def _tokens(self, wss: WssConfig, domains: tuple[Domain, ...]) -> TokensConfig:
        section = self._section("tokens")
        tokens = read_section(TokensConfig, section)
        check_tokens(section, tokens, wss.origins, [domain.name for domain in domains])
        return tokens

    def _access(self, has_places: bool) -> AccessConfig:
        section = self._section("access")
        access = read_section(AccessConfig, section)
        if access.destinations == Destinations(trunks=True) and not has_places:
            remedy = "add a [trunk NAME] with its host or a [domain NAME], or name hosts here"
            section.note("destinations", "there is no trunk, so nobody could call anywhere", remedy, "trunks")
        return access
