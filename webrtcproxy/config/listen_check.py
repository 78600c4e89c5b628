"""Checks the listening addresses by binding them before anything is started: an error names the section and key."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from contextlib import suppress

from webrtcproxy.config.addresses import family_of, ip
from webrtcproxy.config.endpoints import split, unescape, worker_ports
from webrtcproxy.config.ini import ConfigError
from webrtcproxy.config.sections import SPAWN, Config

_REMEDIES = {
    errno.EADDRINUSE: ("the port is taken", "end what uses it, or change the port"),
    errno.EADDRNOTAVAIL: ("this machine has no such address", "write one that `ip address` shows"),
    errno.EACCES: ("this user may not use the port", "start as root, or write a port above 1023"),
}


def check_listen(config: Config, *, only_addresses: bool = False) -> None:
    """Bind each address of the configuration for a moment.

    :param only_addresses: a port in use is not a mistake, since the proxy itself may be running.
    :raises ConfigError: the first address that can't be bound.
    """
    for section, key, line, kind, host, port in _addresses(config):
        try:
            _bind(kind, host, port)
        except OSError as error:
            number = error.errno or 0
            if number not in _REMEDIES or (only_addresses and number != errno.EADDRNOTAVAIL):
                continue
            problem, remedy = _REMEDIES[number]
            if kind == socket.SOCK_DGRAM and f":{port}" not in line and port:
                problem = problem.replace("the port", f"port {port}, of a worker,")
            mistake = ConfigError(section, key, line, remedy, problem)
            mistake.path = config.path
            raise mistake from None


def _addresses(config: Config) -> Iterator[tuple[str, str, str, int, str, int]]:
    """Section, key, line, socket type, host and port of each socket that will be bound."""
    lines = [("wss", line) for line in config.wss.listen] + [("sip", line) for line in config.sip.listen]
    lines += [("web", line) for line in config.web.listen]
    if config.demo is not None:
        lines.append(("demo", config.demo.listen))
    for section, line in lines:
        name, *parts = split(line)
        if name not in ("udp", "tcp", "tcp6", "ssl", "tls") or not parts or not parts[0].isdigit():
            continue  # other kinds of endpoints can't be checked here
        kind = socket.SOCK_DGRAM if name == "udp" else socket.SOCK_STREAM
        hosts = [unescape(part.partition("=")[2]) for part in parts if part.startswith("interface=")]
        of_workers = worker_ports(line, config.proxy.workers)[1:] if section == "sip" else ()
        for port in (int(parts[0]), *of_workers):
            yield section, "listen", line, kind, hosts[0] if hosts else "", port
    if config.rtpengine.nodes == SPAWN:
        interface = config.rtpengine.interface
        host = interface.rpartition("/")[2].partition("!")[0].strip("[]")
        if ip(host) is not None:
            yield "rtpengine", "interface", interface, socket.SOCK_DGRAM, host, 0


def _bind(kind: int, host: str, port: int) -> None:
    with suppress(UnicodeError), socket.socket(family_of(host), kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
