"""Node: one rtpengine, and the commands to it over the ng protocol.

A command is one UDP datagram: a cookie, a blank, a bencoded dictionary; the reply carries the same cookie. UDP loses
datagrams, so a command is repeated, with the same bytes and cookie, until its timeout. That is safe: rtpengine caches
its replies by cookie for half a minute, and holds a duplicate back while the first one is being processed. It compares
only the cookie, not the sender, so all processes that use one rtpengine must use different cookies: if two clash, each
gets the other's replies.

Each node has a UDP socket of its own, bound to the local address on the route to the node, and ignores datagrams from
any other address or port: the original listened on all addresses, and one stray datagram could end it. The socket is
not connected, though the kernel would then do that check: a connected socket gets ICMP errors, and Twisted's epoll
reactor closes a socket on an error, so that a restart of rtpengine would cost the replies that are due. A node that is
down is noticed by its silence, as is any other fault.
"""

from __future__ import annotations

import os
import secrets
import socket
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from twisted.internet.defer import Deferred, fail, maybeDeferred, succeed
from twisted.internet.error import CannotListenError, MessageLengthError
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import DatagramProtocol
from twisted.logger import Logger

from webrtcproxy.config.addresses import family_of
from webrtcproxy.media.bencode import MalformedReply, NgValue, Reply, from_bencode, to_items
from webrtcproxy.media.statistics import NodeStatistics
from webrtcproxy.media.version import NO_QUIRKS
from webrtcproxy.runtime.deferred import errback
from webrtcproxy.runtime.errors import NgError, NgOverload, NgRefused, NgTimeout
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.runtime.schedule import Schedule, Timer
from webrtcproxy.sip.uri import host_port

log = Logger()

FIRST_RESEND = 0.25
"""Seconds after which a command without a reply is sent again; doubled each time."""
MAX_RESEND_GAP = 4.0
"""The longest interval between two sends, in seconds."""
DEAD_AFTER = 2
"""A node counts as dead after this many commands in a row without a reply."""
MAX_PENDING = 4096
"""Commands without a reply above which the node counts as overloaded."""
MAX_DATAGRAM = 65507
"""Bytes of the largest UDP datagram."""
RECEIVE_BUFFER = 1 << 21
"""Bytes of kernel buffer for replies, so that none is lost while the reactor is busy (some 1,000 SDPs)."""


class MediaReactor(Protocol):
    """The part of a reactor that this module uses."""

    def seconds(self) -> float:
        """As `IReactorTime`."""

    def callLater(self, delay: float, callable: Callable[..., Any], *args: object, **kw: object) -> IDelayedCall:
        """As `IReactorTime`."""

    def listenUDP(
        self, port: int, protocol: DatagramProtocol, interface: str = "", maxPacketSize: int = 8192
    ) -> Any:  # an IListeningPort
        """As `IReactorUDP`."""


class Cookies:
    """Cookies that differ from those of all other processes: a random part for each process, and a counter."""

    def __init__(self) -> None:
        self._process = -1
        self._count = 0
        self._prefix = b""

    def next(self) -> bytes:
        """A new cookie."""
        if self._process != os.getpid():
            self._process, self._count = os.getpid(), 0
            self._prefix = secrets.token_hex(8).encode()
        self._count += 1
        return b"%s_%d" % (self._prefix, self._count)

    def is_own(self, cookie: bytes) -> bool:
        """Whether a cookie is of this process."""
        return bool(self._prefix) and cookie.startswith(self._prefix)


_cookies = Cookies()


def local_address(host: str, port: int) -> str:
    """The local address from which the kernel would send to `host`; nothing is sent.

    :param host: an IP address.
    :raises OSError: there is no route to that address.
    """
    with socket.socket(family_of(host), socket.SOCK_DGRAM) as probe:
        probe.connect((host, port))
        address: str = probe.getsockname()[0]
        return address


class _Command:
    """One command that waits for its reply."""

    __slots__ = ("data", "done", "due", "gap", "name", "sent", "timer")

    def __init__(self, name: str, data: bytes, sent: float, due: float, done: Deferred[Reply]) -> None:
        self.name = name
        self.data = data
        self.sent = sent  # seconds of the reactor's clock
        self.due = due
        self.gap = FIRST_RESEND
        self.done = done
        self.timer: IDelayedCall | Timer | None = None


class _NodeSocket(DatagramProtocol):
    """The UDP socket of a node; each `Node.open` makes a new one, since closing takes a turn of the reactor."""

    noisy = False

    def __init__(self, node: Node, address: tuple[str, int]) -> None:
        self.node = node
        self.address = address
        self.listening: Any = None  # an IListeningPort
        self._kernel: socket.socket | None = None

    def startProtocol(self) -> None:
        """The socket is bound: enlarge its receive buffer."""
        transport: Any = self.transport  # IUDPTransport has no getHandle
        transport.getHandle().setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._kernel = getattr(transport, "socket", None)

    def stopProtocol(self) -> None:
        """The socket is closed, by `Node.close` or by Twisted after a read error."""
        self._kernel = None
        self.node.lost(self)

    def send(self, data: bytes) -> None:
        """Try to send one datagram; a failure is ignored, as the command is sent again and then times out."""
        assert self.transport is not None
        try:
            if self._kernel is not None:  # Twisted would check three times that this is an IP address
                self._kernel.sendto(data, self.address)
            else:
                self.transport.write(data, self.address)
        except (OSError, MessageLengthError) as error:
            log.debug("not sent to rtpengine {node}: {error}", node=self.node, error=error)

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """Handle a reply; datagrams from elsewhere are ignored."""
        if addr[:2] == self.address:
            self.node.received(data)


class Node:
    """One rtpengine.

    :param reactor: clock and sockets.
    :param host: an IP address or a name; `open` gets it resolved.
    :param port: of rtpengine's ``--listen-ng``.
    :param cookies: makes the cookies.
    :param metrics: counts commands.
    :param weight: its share of the new sessions, compared with other nodes.
    :param drained: whether it takes no new sessions.
    :ivar weight: as given.
    :ivar drained: as given; may be changed.
    :ivar alive: False once `DEAD_AFTER` commands in a row had no reply; True again with the first reply.
    :ivar silent: commands in a row without a reply.
    :ivar answered: replies since the start.
    :ivar missed: pings in a row without a reply.
    :ivar lost_since: when it has missed so many pings that its sessions count as lost; None as long as it replies.
    :ivar statistics: its last ones.
    :ivar quirks: of its version, once that is known.
    :ivar on_alive: called when a dead node replies again.
    """

    def __init__(
        self,
        reactor: MediaReactor,
        host: str,
        port: int,
        cookies: Cookies = _cookies,
        metrics: Metrics | None = None,
        weight: int = 1,
        drained: bool = False,
    ) -> None:
        self.host = host
        self.port = port
        self.weight = weight
        self.drained = drained
        self.alive = True
        self.silent = 0
        self.answered = 0
        self.missed = 0
        self.lost_since: float | None = None
        self.statistics = NodeStatistics()
        self.quirks = NO_QUIRKS
        self.on_alive: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._cookies = cookies
        self._schedule = Schedule(reactor, lingers=True)
        self._socket: _NodeSocket | None = None
        self._waiting: dict[bytes, _Command] = {}
        self._meter = (metrics or Metrics()).node(
            str(self), up=lambda: self.alive and self.answered > 0, pending=lambda: len(self._waiting)
        )

    def __str__(self) -> str:
        return host_port(self.host, self.port)

    # -- the socket

    @property
    def takes_sessions(self) -> bool:
        """Whether it is alive, and is not drained."""
        return self.alive and not self.drained

    @property
    def is_open(self) -> bool:
        """Whether there is a socket towards the node."""
        return self._socket is not None

    def open(self, address: str) -> None:
        """Open a socket towards the node, closing the one before, and send the commands that wait.

        :param address: the node's IP address. If there is no route to it, the node is dead and commands time out.
        """
        self.close()
        opened = _NodeSocket(self, (address, self.port))
        try:
            interface = local_address(address, self.port)
            opened.listening = self._reactor.listenUDP(0, opened, interface, 65536)
        except (OSError, CannotListenError) as error:
            self._mark_dead(f"no route to {address}: {error}")
            return
        self._socket = opened
        for command in list(self._waiting.values()):
            self._send(command)

    def close(self) -> Deferred[None]:
        """Close the socket; commands keep waiting for their replies.

        :returns: fires with None when the socket is closed.
        """
        closed, self._socket = self._socket, None
        if not self._waiting:
            self._schedule.clear()
        if closed is None:
            return succeed(None)
        return maybeDeferred(closed.listening.stopListening)

    def give_up(self) -> None:
        """Stop waiting for replies: all commands that wait fail with `NgTimeout`."""
        for cookie, command in list(self._waiting.items()):
            self._remove(cookie)
            errback(command.done, NgTimeout(f"{command.name} given up"))

    def lost(self, closed: _NodeSocket) -> None:
        """A socket is closed."""
        if self._socket is closed:
            self._socket = None

    # -- one command

    def command(
        self, name: str, fields: Mapping[str, NgValue], timeout: float, encoded: bytes = b""
    ) -> Deferred[Reply]:
        """Send a command, repeatedly until there is a reply.

        :param name: ``offer``, ``answer``, ``delete``, ``ping`` ...
        :param fields: the rest of the dictionary.
        :param encoded: more items of the dictionary, as `to_items` gives them.
        :param timeout: seconds to wait for a reply.
        :returns: fires with the reply, whose result is ``ok`` or ``pong``. Fails with `NgRefused` (result ``error``, or
            a command too large for a datagram), `NgOverload` (``load limit``, or too many commands wait) or
            `NgTimeout`. Cancelling it ends the sending; rtpengine may have executed the command.
        """
        if len(self._waiting) >= MAX_PENDING:
            self._meter.failed("overload")
            return fail(NgOverload(f"{len(self._waiting)} commands in work at {self}"))
        cookie = self._cookies.next()
        named = b"7:command%d:%b" % (len(name), name.encode())
        data = b"%b d%b%b%be" % (cookie, named, encoded, to_items(fields))
        if len(data) > MAX_DATAGRAM:
            self._meter.failed("refused")
            return fail(NgRefused(f"{name} of {len(data)} bytes does not fit a datagram"))
        done: Deferred[Reply] = Deferred(lambda _: self._remove(cookie))
        now = self._reactor.seconds()
        waiting = _Command(name, data, now, now + timeout, done)
        self._waiting[cookie] = waiting
        self._send(waiting)
        self._wait(cookie, waiting)
        return done

    def _send(self, command: _Command) -> None:
        if self._socket is not None:
            self._socket.send(command.data)

    def _wait(self, cookie: bytes, command: _Command) -> None:
        left = command.due - self._reactor.seconds()
        if command.gap == FIRST_RESEND < left:
            command.timer = self._schedule.after(FIRST_RESEND, lambda: self._resend_or_time_out(cookie))
        else:
            command.timer = self._reactor.callLater(min(command.gap, max(left, 0)), self._resend_or_time_out, cookie)

    def _resend_or_time_out(self, cookie: bytes) -> None:
        command = self._waiting[cookie]
        command.timer = None
        if command.due - self._reactor.seconds() > 0.001:
            command.gap = min(command.gap * 2, MAX_RESEND_GAP)
            self._send(command)
            self._wait(cookie, command)
            return
        del self._waiting[cookie]
        self._meter.failed("timeout")
        self.silent += 1
        if self.silent >= DEAD_AFTER:
            self._mark_dead("it does not answer")
        errback(command.done, NgTimeout(f"no reply to {command.name} from rtpengine {self}"))

    def _remove(self, cookie: bytes) -> None:
        command = self._waiting.pop(cookie)
        if command.timer is not None:
            command.timer.cancel()

    # -- replies

    def received(self, data: bytes) -> None:
        """Handle a reply; it is ignored if no command waits for it, or if it is not bencode."""
        cookie, _, body = data.partition(b" ")
        command = self._waiting.get(cookie)
        if command is None:
            if self._cookies.is_own(cookie):  # too late, but a sign of life
                self._replied()
            return
        try:
            reply = from_bencode(body)
            error = _error(reply)
        except MalformedReply as why:
            log.warn("rtpengine {node} gave a malformed reply: {why}", node=self, why=why)
            return
        self._remove(cookie)
        self._replied()
        self._meter.replied(command.name, self._reactor.seconds() - command.sent)
        if error is None:
            command.done.callback(reply)
        else:
            self._meter.failed("overload" if isinstance(error, NgOverload) else "refused")
            errback(command.done, error)

    def _replied(self) -> None:
        self.silent = self.missed = 0
        self.lost_since = None
        self.answered += 1
        if not self.alive:
            self.alive = True
            log.info("rtpengine {node} answers", node=self)
            self.on_alive()

    def _mark_dead(self, why: str) -> None:
        if self.alive:
            self.alive = False
            log.warn("rtpengine {node} is dead: {why}", node=self, why=why)


def _error(reply: Reply) -> NgError | None:
    """None for a success, else the error that the reply means.

    :raises MalformedReply: there is no result, or an unknown one.
    """
    result = reply.get(b"result")
    if result in (b"ok", b"pong"):
        return None
    if result == b"error":
        return _refusal(text(reply.get(b"error-reason", b"no reason given")))
    if result == b"load limit":
        return NgOverload(text(reply.get(b"message", b"load limit")))
    raise MalformedReply(f"result {result!r}")


def _refusal(reason: str) -> NgError:
    """The error for an ``error-reason``. Most are about the SDP; these texts of rtpengine 10.5 are not."""
    if reason == "Ran out of ports" or reason.endswith((" limit reached", " limit exceeded")):
        return NgOverload(reason)
    return NgRefused(reason, lost=reason.lower() == "unknown call-id")


def text(value: object) -> str:
    """A text from rtpengine, for a log line."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)
