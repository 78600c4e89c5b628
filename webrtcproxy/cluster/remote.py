"""Flows of other processes: a browser's WebSocket is in one worker, and the call that it takes part in in another.

What the one process knows as a socket, the others know as a `RemoteFlow` that goes by a number. A number is given when
a socket is first spoken of; from then on all others hear when the socket is lost.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.connection import Connection
from webrtcproxy.transport.flow import Address, Flow

log = Logger()

FlowDescriptor = list[Any]
"""What is told of a flow: worker, number, reliable, browser, via_transport, host and port of the peer, sent_by."""

DATAGRAM_FLOWS = 4096
"""Numbers of UDP flows that are remembered; a flow that is spoken of again gets another one."""


class Send(Protocol):
    """Sends a frame; False where that can't be."""

    def __call__(self, header: dict[str, object], body: bytes = b"", /) -> bool: ...


def _nothing() -> None:
    """What taking back a wish does where nothing was wished for."""


class RemoteFlow(Connection):
    """A flow of another worker.

    :param facts: what that worker tells of it.
    :param send: sends a frame there.
    :ivar worker: whose it is.
    """

    __slots__ = ("_closed", "_send", "browser", "facts", "reliable", "worker")

    def __init__(self, clock: IReactorTime, facts: FlowDescriptor, send: Send) -> None:
        worker, _, reliable, browser, via_transport, host, port, sent_by = facts
        super().__init__(clock, Address(host, port), sent_by, via_transport)
        self._send = send
        self._closed = False
        self.facts = facts
        self.worker: int = worker
        self.reliable: bool = reliable
        self.browser: bool = browser

    @property
    def number(self) -> int:
        """What its worker calls it."""
        number: int = self.facts[1]
        return number

    @property
    def closed(self) -> bool:
        """True once its worker has told that it is lost, or is gone."""
        return self._closed

    def send(self, data: bytes) -> None:
        """Have its worker send one message. Where that fails there, the flow is lost a moment later.

        :raises FlowLost: it is known to be lost.
        """
        if self._closed or not self._send({"to": self.worker, "do": "write", "flow": self.number}, data):
            raise FlowLost(f"{self!r} is lost")

    def on_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called once when the connection is lost; UDP has nothing to lose."""
        return super().on_lost(call) if self.reliable else _nothing

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Have its worker end the connection."""
        if not self._closed:
            self._send({"to": self.worker, "do": "close", "flow": self.number, "code": code, "reason": reason})

    def lost(self) -> None:
        """Its worker says so, or is gone."""
        self._closed = True
        self.end()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteFlow):
            return NotImplemented
        return (self.worker, self.number) == (other.worker, other.number)

    def __hash__(self) -> int:
        return hash((self.worker, self.number))

    def __repr__(self) -> str:
        return f"<RemoteFlow of worker {self.worker} to {self.peer.host} port {self.peer.port}>"


class RemoteFlows:
    """The flows of others that this process knows, and its own that others know.

    :param number: of this process.
    :param run: how many processes of that number there were before: what one of them was told is not for this one.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, number: int, run: int, send: Send) -> None:
        self._clock = clock
        self._number = number
        self._send = send
        self._next = run << 40
        self._ours: dict[int, Flow] = {}
        self._numbers: dict[Flow, int] = {}
        self._datagrams: OrderedDict[int, Flow] = OrderedDict()
        self._theirs: dict[tuple[int, int], RemoteFlow] = {}

    def __len__(self) -> int:
        """How many connections of others are known."""
        return len(self._theirs)

    # Our own

    def facts(self, flow: Flow) -> FlowDescriptor:
        """What others are to be told of a flow."""
        if isinstance(flow, RemoteFlow):
            return flow.facts
        number = self._numbers.get(flow)
        if number is None:
            number = self._number_of(flow)
        host, port = flow.peer
        return [self._number, number, flow.reliable, flow.browser, flow.via_transport, host, port, flow.sent_by]

    def _number_of(self, flow: Flow) -> int:
        self._next += 1
        number = self._next
        self._ours[number] = flow
        self._numbers[flow] = number
        if flow.reliable:
            flow.on_lost(lambda: self._tell_lost(number))
            return number
        self._datagrams[number] = flow
        if len(self._datagrams) > DATAGRAM_FLOWS:
            oldest, forgotten = self._datagrams.popitem(last=False)
            del self._ours[oldest], self._numbers[forgotten]
        return number

    def write(self, number: int, data: bytes) -> None:
        """Another worker has a message for one of our flows."""
        flow = self._ours.get(number)
        if flow is None:
            return
        try:
            flow.send(data)
        except FlowLost as why:
            log.debug("A message of another worker has no way: {why}", why=why)
            if flow.reliable:
                self._tell_lost(number)

    def close(self, number: int, code: int, reason: str) -> None:
        """Another worker wants one of our flows ended."""
        flow = self._ours.get(number)
        if flow is not None:
            flow.close(code, reason)

    def _tell_lost(self, number: int) -> None:
        flow = self._ours.pop(number, None)
        if flow is not None:
            del self._numbers[flow]
            self._send({"to": ALL, "do": "lost", "flow": [self._number, number]})

    # Those of others

    def known(self, facts: FlowDescriptor) -> RemoteFlow:
        """The flow that another worker tells of: the same object for the same connection."""
        flow = self._theirs.get((facts[0], facts[1]))
        if flow is None:
            flow = RemoteFlow(self._clock, facts, self._send)
            if flow.reliable:
                self._theirs[facts[0], facts[1]] = flow
        return flow

    def lost(self, worker: int, number: int) -> None:
        """A connection of another worker is lost."""
        flow = self._theirs.pop((worker, number), None)
        if flow is not None:
            flow.lost()

    def gone(self, worker: int) -> None:
        """Another worker is gone, and all of its connections."""
        for key in [key for key in self._theirs if key[0] == worker]:
            flow = self._theirs.pop(key, None)
            if flow is not None:
                flow.lost()
