"""RtpengineProcess: a local rtpengine as a supervised child process, for ``[rtpengine] nodes = spawn``.

It forwards media in user space, on ports that were free when the proxy was built, takes ng commands from this host
only, and learns no address unless a command says so. If it dies it is restarted, after a delay that grows with each
death. It never outlives this process.
"""

from __future__ import annotations

import random
import shutil
import socket
from collections.abc import Callable, Sequence
from ipaddress import ip_address
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure

from webrtcproxy.config.addresses import family_of
from webrtcproxy.media.bencode import Reply
from webrtcproxy.media.ng import MediaReactor, Node
from webrtcproxy.runtime.child_process import Backoff, ChildProcess, with_death_signal
from webrtcproxy.runtime.errors import NgError

log = Logger()

MEDIA_PORTS = 2000
"""Ports for media; a call takes four, each further branch two."""
LOWEST, HIGHEST = 10000, 32000
"""The range in which free ports are searched: below the kernel's ephemeral ports (from 32768 on Linux)."""
FIRST_BACKOFF = 0.5
"""Seconds between its first death and the next start."""
SLOW_START = 10.0
"""Seconds without a reply after which a warning is logged."""
GRACE = 3.0
"""Seconds between TERM and KILL."""


class ProcessReactor(MediaReactor, Protocol):
    """The part of a reactor that this module uses."""

    def spawnProcess(
        self, processProtocol: ProcessProtocol, executable: str, args: Sequence[str], env: Any = (), path: Any = None
    ) -> Any:  # an IProcessTransport
        """As `IReactorProcess`."""


class RtpengineMissing(Exception):
    """The rtpengine program is not installed."""

    def __init__(self, binary: str) -> None:
        super().__init__(
            f"[rtpengine] nodes = spawn: there is no program {binary!r}; install it (on Debian and Ubuntu: "
            "apt-get install rtpengine-daemon), or name the address of a running rtpengine"
        )


def is_free(host: str, port: int) -> bool:
    """Whether a UDP socket can be bound to this host and port now.

    :param host: a local IP address.
    """
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True


def free_ports(host: str, count: int, free: Callable[[str, int], bool] = is_free) -> range:
    """`count` consecutive ports that are free for UDP, the first of them even.

    :raises OSError: none were found, or `host` is not a local address.
    """
    for _ in range(100):
        start = random.randrange(LOWEST, HIGHEST - count, 2)  # noqa: S311 - no secret
        ports = range(start, start + count)
        if all(free(host, port) for port in ports):
            return ports
    raise OSError(f"there are no {count} free UDP ports in a row at {host}")


_EXPECTED = ("Unknown dictionary key", "Unknown call-id")


def forward(line: str) -> None:
    """Log a line that rtpengine has printed: warnings and errors at their level, all else as debug.

    A version that does not know a key of the profiles says so; that is not logged as a warning, since the profiles are
    for other versions too. Nor is that it has lost a session, which it is asked for after each restart.
    """
    kind = line.partition(":")[0].rpartition(" ")[2]
    serious = kind in ("WARNING", "ERR", "CRIT", "ALERT", "EMERG") and not any(map(line.__contains__, _EXPECTED))
    log.emit(LogLevel.warn if serious else LogLevel.debug, "rtpengine: {line}", line=line)


class RtpengineProcess(Service):
    """A local rtpengine, for as long as the service runs.

    :param reactor: clock, sockets, processes.
    :param binary: the program, by name or path.
    :param interface: the address for media, in the syntax of rtpengine's ``--interface``: ``ADDRESS``, a network
        device, ``ADDRESS!ADVERTISED``.
    :param extra: further arguments.
    :param find: returns the path of a program, or None.
    :param ports: returns free ports.
    :ivar address: host and port of its ng socket, for `Nodes`; the same after each restart.
    :ivar answers: it runs, and has replied to a ping.
    :raises RtpengineMissing: the program is not installed.
    :raises OSError: there are no free ports.
    """

    def __init__(
        self,
        reactor: ProcessReactor,
        *,
        binary: str = "rtpengine",
        interface: str = "127.0.0.1",
        extra: Sequence[str] = (),
        find: Callable[[str], str | None] = shutil.which,
        ports: Callable[[str, int], range] = free_ports,
    ) -> None:
        program = find(binary)
        if program is None:
            raise RtpengineMissing(binary)
        self._reactor = reactor
        self.address = ("127.0.0.1", ports("127.0.0.1", 1)[0])
        media = ports(_host_of(interface), MEDIA_PORTS)
        arguments = [
            program, "--config-file=none", "--table=-1", f"--interface={interface}",
            f"--listen-ng={self.address[0]}:{self.address[1]}", f"--port-min={media[0]}", f"--port-max={media[-1]}",
            "--endpoint-learning=off", "--foreground", "--log-stderr", "--no-log-timestamps", "--log-level=5", *extra,
        ]  # fmt: skip
        self._arguments = with_death_signal(arguments, "KILL", find, "rtpengine")
        self._node = Node(reactor, *self.address)  # only to notice when it replies
        self._node.alive = False
        self._process: ChildProcess | None = None  # while it runs
        self._timer: IDelayedCall | None = None  # the next start, or the KILL
        self._backoff = Backoff(reactor, FIRST_BACKOFF)
        self._ended: Deferred[None] | None = None
        self.answers = False

    @property
    def pid(self) -> int | None:
        """Its process id; None while it does not run."""
        return None if self._process is None else self._process.pid

    def startService(self) -> None:
        """Start rtpengine."""
        super().startService()  # type: ignore[no-untyped-call]
        self._start()

    def stopService(self) -> Deferred[None]:
        """End rtpengine: TERM, then KILL after `GRACE` seconds.

        :returns: fires with None when the process has ended.
        """
        super().stopService()  # type: ignore[no-untyped-call]
        self._set_timer(None)
        self._node.give_up()
        self._node.close()
        if self._process is None:
            return succeed(None)
        ended = self._ended = Deferred()
        self._set_timer(self._reactor.callLater(GRACE, self._process.signal, "KILL"))
        self._process.signal("TERM")
        return ended

    def _start(self) -> None:
        self._timer = None
        self._backoff.started()
        process = ChildProcess(forward, self._process_ended)
        self._reactor.spawnProcess(process, self._arguments[0], self._arguments, env=None)
        self._process = process
        self._node.open(self.address[0])
        self._probe()

    def _probe(self) -> None:
        pong = self._node.command("ping", {}, SLOW_START)
        pong.addCallbacks(self._pong, self._no_pong)

    def _pong(self, _: Reply) -> None:
        self.answers = True
        self._node.close()

    def _no_pong(self, failure: Failure) -> None:
        failure.trap(NgError)
        if self._process is not None and self.running:
            log.warn("rtpengine does not answer {seconds} s after its start", seconds=SLOW_START)
            self._probe()

    def _process_ended(self, reason: Failure) -> None:
        self._process = None
        self.answers = False
        self._set_timer(None)
        self._node.alive = False
        self._node.give_up()
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended.callback(None)
            return
        how = "ended" if reason.check(ProcessDone) else reason.getErrorMessage()
        seconds = self._backoff.ended()
        log.error("rtpengine is gone ({how}); started again in {seconds} s", how=how, seconds=seconds)
        self._set_timer(self._reactor.callLater(seconds, self._start))

    def _set_timer(self, timer: IDelayedCall | None) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = timer


def _host_of(interface: str) -> str:
    """The address in rtpengine's ``[NAME/]ADDRESS[!ADVERTISED]``; the wildcard if it names a network device."""
    host = interface.rpartition("/")[2].partition("!")[0].strip("[]")
    try:
        return str(ip_address(host))
    except ValueError:
        return "0.0.0.0"  # noqa: S104 - probed, not listened on
