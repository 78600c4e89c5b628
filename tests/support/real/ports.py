"""Ports that are free now, below the range that the kernel hands out by itself, and the sockets that are open.

PORTS in the environment, such as ``10000-21000``, is the range of a run of tests beside which another one runs.
"""

import os
import random
import socket
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain
from pathlib import Path

LOWEST, HIGHEST = map(int, os.environ.get("PORTS", "12000-31000").split("-"))
MIDDLE = LOWEST + (HIGHEST - LOWEST) * 2 // 5
"""Below the middle are the many of a media server, which would find no room between single ones that are given out."""
MANY = 100
LOOPBACK = "127.0.0.1"

_given: set[int] = set()
_next: dict[int, int] = {}
"""Where to look on, by the lowest port of the range: in a row, so that few are left over between two blocks."""
_random = random.Random(os.getpid())


def _is_free(port: int) -> bool:
    """Whether the port can be had on loopback over UDP and TCP, by this process, now."""
    for kind in (socket.SOCK_DGRAM, socket.SOCK_STREAM):
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind((LOOPBACK, port))
            except OSError:
                return False
    return True


def free_port() -> int:
    """A port that nobody on loopback uses over UDP or TCP, and that this run has not given out before."""
    return free_ports(1)[0]


def free_ports(count: int) -> range:
    """`count` free ports in a row; of several, the first one is even (as RTP wants it)."""
    lowest, highest = (LOWEST, MIDDLE) if count >= MANY else (MIDDLE, HIGHEST)
    step = 1 if count == 1 else 2
    first = _next.setdefault(lowest, _random.randrange(lowest, highest))
    first += first % step
    for start in chain(range(first, highest - count + 1, step), range(lowest + lowest % step, first, step)):
        block = range(start, start + count)
        if _given.isdisjoint(block) and all(map(_is_free, block)):
            _given.update(block)
            _next[lowest] = start + count
            return block
    raise RuntimeError(f"no {count} free ports in a row between {lowest} and {highest}")


def _bound(table: Path, states: tuple[str, ...]) -> Iterator[int]:
    for line in table.read_text().splitlines()[1:]:
        fields = line.split()
        if fields[3] in states:
            yield int(fields[1].rpartition(":")[2], 16)


def sockets_of(pid: int) -> set[str]:
    """The inodes of the sockets that a process has open."""
    found = set()
    for entry in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            found.add(str(entry.readlink()).partition("[")[2].rstrip("]"))
    return found


def accepted(local: int, remote: int) -> str:
    """The inode of the accepted socket of a connection of loopback; empty where there is none."""
    for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
        fields = line.split()
        ends = tuple(int(end.rpartition(":")[2], 16) for end in fields[1:3])
        if ends == (local, remote):
            return fields[9]
    return ""


def listens_udp(port: int) -> bool:
    """Whether any process has a UDP socket bound to the port (read from /proc/net: nothing is sent)."""
    return any(port in _bound(Path("/proc/net", name), ("07",)) for name in ("udp", "udp6"))


def listens_tcp(port: int) -> bool:
    """Whether any process listens on the TCP port (read from /proc/net: nothing is sent)."""
    return any(port in _bound(Path("/proc/net", name), ("0A",)) for name in ("tcp", "tcp6"))
