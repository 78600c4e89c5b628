"""ListeningSockets: the sockets of all workers. The hub opens them before it drops its privileges, and keeps them open.

A worker gets descriptors of its own sockets. After a restart it gets the same sockets again, so that connections and
datagrams that have arrived meanwhile are served and not lost.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from dataclasses import dataclass, field

from webrtcproxy.config import ConfigError
from webrtcproxy.config.addresses import family_of
from webrtcproxy.config.endpoints import split, unescape
from webrtcproxy.transport.sip.sockets import Listen
from webrtcproxy.transport.sip.udp import RECEIVE_BUFFER

BACKLOG = 1024
"""Connections that may wait for a worker."""


@dataclass(slots=True)
class WorkerDescriptors:
    """The descriptors of one worker.

    :ivar wss: a listening socket for each line of ``[wss] listen``.
    :ivar sip: a socket of its own for each line of ``[sip] listen``: bound for UDP, else listening.
    """

    wss: list[socket.socket] = field(default_factory=list)
    sip: list[socket.socket] = field(default_factory=list)


class ListeningSockets:
    """The sockets of all workers.

    :param wss: the lines of ``[wss] listen``.
    :param sip: the lines of ``[sip] listen``.
    :param workers: how many there are.
    :ivar shared: the UDP sockets that all workers share, by the number of their line.
    :ivar own: the sockets of each worker.
    """

    def __init__(self, wss: Iterable[str], sip: Iterable[str], workers: int) -> None:
        self._wss = tuple(wss)
        self._sip = tuple(sip)
        self._workers = workers
        self.shared: dict[int, socket.socket] = {}
        self.own: list[WorkerDescriptors] = []

    def open(self) -> None:
        """Open all sockets, unless they are open.

        :raises ConfigError: one can't be opened; none is left open then.
        """
        if self.own:
            return
        self.own = [WorkerDescriptors() for _ in range(self._workers)]
        section, line = "", ""
        try:
            for line in self._wss:
                section = "wss"
                self._open_wss(line)
            for number, line in enumerate(self._sip):
                section = "sip"
                self._open_sip(number, Listen.parse(line))
        except OSError as error:
            self.close()
            remedy = "see which of the ports is taken, or change it"
            raise ConfigError(section, "listen", line, remedy, error.strerror or str(error)) from error

    def close(self) -> None:
        """Close all sockets."""
        for each in (*self.shared.values(), *(one for own in self.own for one in (*own.wss, *own.sip))):
            each.close()
        self.shared.clear()
        self.own.clear()

    def _open_wss(self, line: str) -> None:
        options = split(line)[1:]
        named = dict(option.split("=", 1) for option in options if "=" in option)
        port = named.get("port") or (options[0] if options and "=" not in options[0] else "443")
        host = unescape(named.get("interface", ""))
        number = int(port)
        for own in self.own:
            listening = _listen(host, number, int(named.get("backlog", BACKLOG)))
            own.wss.append(listening)
            number = listening.getsockname()[1]

    def _open_sip(self, number: int, line: Listen) -> None:
        if line.kind == "udp":
            shared = self.shared[number] = _bind_udp(line.interface, line.port)
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            for number, own in enumerate(self.own, 1):
                own.sip.append(_bind_udp(line.interface, line.port + number if line.port else 0))
            return
        port = line.port
        for own in self.own:
            listening = _listen(line.interface, port, 128)
            own.sip.append(listening)
            port = listening.getsockname()[1]


def _listen(host: str, port: int, backlog: int) -> socket.socket:
    """A listening socket that shares its address with others: the kernel gives each a part of the connections."""
    made = socket.socket(family_of(host), socket.SOCK_STREAM)
    try:
        made.setblocking(False)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        made.bind((host, port))
        made.listen(backlog)
    except OSError:
        made.close()
        raise
    return made


def _bind_udp(host: str, port: int) -> socket.socket:
    made = socket.socket(family_of(host), socket.SOCK_DGRAM)
    try:
        made.setblocking(False)
        made.bind((host, port))
    except OSError:
        made.close()
        raise
    return made
