"""Checks the listening addresses by binding them before anything is started."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress
from typing import NamedTuple

from webrtcproxy.config.addresses import family_of, ip
from webrtcproxy.config.endpoints import split, unescape, worker_ports
from webrtcproxy.config.mistakes import ConfigError
from webrtcproxy.config.sections import SPAWN, Config

_REMEDIES = {
    errno.EADDRINUSE: ("the port is taken", "end what uses it, or change the port"),
    errno.EADDRNOTAVAIL: ("this machine has no such address", "write one that `ip address` shows"),
    errno.EACCES: ("this user may not use the port", "start as root, or write a port above 1023"),
}


class _Place(NamedTuple):
    """A socket that will be bound.

    :ivar entry: which line of the option it is.
    :ivar kind: the socket type.
    """

    section: str
    key: str
    entry: int
    line: str
    kind: int
    host: str
    port: int


def listen_mistakes(config: Config, *, only_addresses: bool = False) -> Iterator[ConfigError]:
    """Bind each address of the configuration for a moment.

    :param only_addresses: the ports are no mistakes: the proxy itself may use them, or another user start it.
    :returns: what can't be bound.
    """
    for place in _places(config):
        try:
            _bind(place.kind, place.host, place.port)
        except OSError as error:
            number = error.errno or 0
            if number not in _REMEDIES or (only_addresses and number != errno.EADDRNOTAVAIL):
                continue
            problem, remedy = _REMEDIES[number]
            if place.kind == socket.SOCK_DGRAM and f":{place.port}" not in place.line and place.port:
                problem = problem.replace("the port", f"port {place.port}, of a worker,")
            mistake = ConfigError(place.section, place.key, place.line, remedy, problem)
            mistake.entry = place.entry
            yield mistake


def _places(config: Config) -> Iterator[_Place]:
    """Each socket that will be bound."""
    lines = [("wss", *each) for each in enumerate(config.wss.listen)]
    lines += [("sip", *each) for each in enumerate(config.sip.listen)]
    lines += [("web", *each) for each in enumerate(config.web.listen)]
    if config.demo is not None:
        lines.append(("demo", 0, config.demo.listen))
    for section, entry, line in lines:
        name, *parts = split(line)
        if name not in ("udp", "tcp", "tcp6", "ssl", "tls") or not parts or not parts[0].isdigit():
            continue  # other kinds of endpoints can't be checked here
        kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
        hosts = [unescape(part.partition("=")[2]) for part in parts if part.startswith("interface=")]
        of_workers = worker_ports(line, config.proxy.workers)[1:] if section == "sip" else ()
        for port in (int(parts[0]), *of_workers):
            if 0 <= port < 65536:
                yield _Place(section, "listen", entry, line, kind, hosts[0] if hosts else "", port)
    if config.rtpengine.nodes == SPAWN:
        interface = config.rtpengine.interface
        host = interface.rpartition("/")[2].partition("!")[0].strip("[]")
        if ip(host) is not None:
            yield _Place("rtpengine", "interface", 0, interface, socket.SOCK_DGRAM, host, 0)


def _bind(kind: int, host: str, port: int) -> None:
    with suppress(UnicodeError), socket.socket(family_of(host), kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
