"""Link: the stream between the hub and a worker.

A frame is a length, a header as one line of JSON, and a body of octets that the hub forwards without parsing, so that a
SIP message stays unchanged. `webrtcproxy.cluster.protocol` defines the kinds of frames. The frames of one link arrive
in order, and frames for all workers pass through the hub; so all workers get the changes of one worker in order.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from struct import pack
from typing import Any, Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import Int32StringReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from webrtcproxy.runtime.internals import write_at_once

log = Logger()

Header = dict[str, Any]
"""``do`` is the kind, ``to`` the receiver (absent: the other end); the rest are the fields of that kind."""


class LinkUser(Protocol):
    """Handles the frames of a link."""

    def frame(self, header: Header, body: bytes, raw: bytes) -> None:
        """A frame has arrived.

        :param raw: the whole frame, for forwarding.
        """

    def link_ended(self) -> None:
        """The other end has closed; called once."""


@implementer(IPushProducer)
class Link(Int32StringReceiver):
    """One end of the stream.

    :param user: gets the frames.
    """

    MAX_LENGTH = 1 << 22
    noisy = False

    MAX_WAITING = 32 << 20
    """Octets that may be sent while the other end does not read; beyond that, the link is cut."""

    def __init__(self, user: LinkUser) -> None:
        self._user = user
        self._open = False
        self._full = False
        self._waiting = 0
        self._ended: Deferred[None] | None = Deferred()

    def when_ended(self) -> Deferred[None]:
        """Fires with None when the other end has closed, and everything that it has sent is read."""
        if self._ended is None:
            return succeed(None)
        ended: Deferred[None] = Deferred()
        self._ended.addCallback(ended.callback)
        return ended

    def connectionMade(self) -> None:
        """The link is connected."""
        self._open = True
        self.transport.registerProducer(self, True)  # type: ignore[union-attr]

    def send(self, header: Mapping[str, object], body: bytes = b"", *, lossy: bool = False) -> bool:
        """Send a frame.

        :param lossy: drop it if the other end does not keep up, like a datagram.
        :returns: False if it was not sent.
        """
        if lossy and self._full:
            return False
        return self.send_raw(json.dumps(header, separators=(",", ":")).encode() + b"\n" + body)

    def send_raw(self, raw: bytes) -> bool:
        """Forward a frame from another link."""
        if not self._open:
            return False
        if self._full:
            self._waiting += len(raw)
            if self._waiting > self.MAX_WAITING:
                log.error("A link between processes is cut: its other end does not read")
                self.close()
                return False
        # At once: before a browser gets the response to its REGISTER, its binding is on the way to the other processes.
        write_at_once(self.transport, pack("!I", len(raw)) + raw)
        return True

    def close(self) -> None:
        """Cut the link."""
        if self._open:
            self._open = False
            self.transport.abortConnection()  # type: ignore[union-attr]

    def finish(self) -> None:
        """Close the link when everything is written."""
        self._open = False
        self.transport.unregisterProducer()  # type: ignore[union-attr]
        self.transport.loseConnection()  # type: ignore[union-attr]

    def stringReceived(self, string: bytes) -> None:
        """A frame has arrived."""
        line, _, body = string.partition(b"\n")
        try:
            self._user.frame(json.loads(line), body, string)
        except Exception:
            log.failure("A frame of another process could not be handled")

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The other end has closed."""
        self._open = False
        self._user.link_ended()
        ended, self._ended = self._ended, None
        if ended is not None:
            ended.callback(None)

    # IPushProducer, called by the transport

    def pauseProducing(self) -> None:
        """The transport's buffer is full."""
        self._full = True

    def resumeProducing(self) -> None:
        """The transport's buffer is empty."""
        self._full = False
        self._waiting = 0

    def stopProducing(self) -> None:
        """The transport is closed."""


class LinkFactory(Factory[Link]):
    """Makes the only protocol of a socket that is already connected."""

    noisy = False

    def __init__(self, build: Callable[[], Link]) -> None:
        self._build = build

    def buildProtocol(self, addr: object) -> Link:
        """The socket is adopted."""
        return self._build()
