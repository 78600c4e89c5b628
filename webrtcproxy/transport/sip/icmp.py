"""ICMP errors of a UDP socket: which datagrams could not be delivered (RFC 3261 section 18.4).

Linux queues an error only for a socket that asks for it (``IP_RECVERR``), with the beginning of the datagram that it is
about. Until it is read, the socket counts as broken for the reactor, and its next call fails for the error of another
peer.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

IP_RECVERR: Final = 11
IPV6_RECVERR: Final = 25

_ERRORS: Final = frozenset({(socket.IPPROTO_IP, IP_RECVERR), (socket.IPPROTO_IPV6, IPV6_RECVERR)})

UNREACHABLE: Final = frozenset(
    {errno.ECONNREFUSED, errno.EHOSTUNREACH, errno.ENETUNREACH, errno.ENOPROTOOPT, errno.EPROTO, errno.EHOSTDOWN}
)
"""Host, network, port or protocol unreachable, and parameter problem; all others are ignored (section 18.4)."""

MAX_ERRORS: Final = 64
"""Most errors that are read at once."""

MAX_QUOTED: Final = 2048
"""Most octets of a datagram that are read; nobody quotes more."""


class Undelivered(NamedTuple):
    """A datagram that was not delivered.

    :ivar quoted: its beginning; empty where the error quotes only the header of UDP.
    :ivar host: the IP address that it was sent to.
    :ivar why: the kernel's word for it.
    """

    quoted: bytes
    host: str
    why: str


def ask_for_errors(kernel: socket.socket) -> None:
    """Have the kernel queue ICMP errors. Where it can't, there are none, and timers find out."""
    with suppress(OSError):
        if kernel.family == socket.AF_INET6:
            kernel.setsockopt(socket.IPPROTO_IPV6, IPV6_RECVERR, 1)
        kernel.setsockopt(socket.IPPROTO_IP, IP_RECVERR, 1)


def read_errors(kernel: socket.socket) -> Iterator[Undelivered | None]:
    """Take the errors that are queued, at most `MAX_ERRORS`.

    :returns: for each error the datagram that it is about; None for one that says nothing about its peer.
    """
    for _ in range(MAX_ERRORS):
        try:
            quoted, ancillary, _, address = kernel.recvmsg(MAX_QUOTED, 512, socket.MSG_ERRQUEUE | socket.MSG_DONTWAIT)
        except OSError:
            break
        yield _undelivered(quoted, ancillary, address)
    if kernel.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
        yield None


def _undelivered(quoted: bytes, ancillary: list[tuple[int, int, bytes]], address: object) -> Undelivered | None:
    for level, kind, data in ancillary:
        if (level, kind) in _ERRORS and len(data) >= 4 and isinstance(address, tuple):
            (number,) = struct.unpack_from("=I", data)
            if number in UNREACHABLE:
                return Undelivered(quoted, address[0], os.strerror(number))
    return None
