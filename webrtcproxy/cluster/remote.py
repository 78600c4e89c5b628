"""RemoteFlow: a flow whose socket is in another worker. A browser and its call may be in different workers.

The flow of one process is a `RemoteFlow` with a number in the others. It gets its number when it is first described to
others; from then on all of them are notified when it is closed.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.cluster.ownership import ALL
from webrtcproxy.cluster.protocol import CLOSE, FLOW_CLOSED, WRITE
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.connection import Connection
from webrtcproxy.transport.flow import Address, Flow

log = Logger()

FlowDescriptor = list[Any]
"""The description of a flow for other processes: worker, number, reliable, browser, via_transport, host and port of the
peer, sent_by."""

DATAGRAM_FLOWS = 4096
"""Numbers of UDP flows that are remembered; a flow that is described again after that gets another number."""


class Send(Protocol):
    """Sends a frame; returns False if it can't be sent."""

    def __call__(self, header: dict[str, object], body: bytes = b"", /) -> bool: ...


def _nothing() -> None:
    """The withdrawal of a callback that was never registered."""


class RemoteFlow(Connection):
    """A flow of another worker.

    :param descriptor: as that worker describes it.
    :param send: sends a frame there.
    :ivar worker: the worker that has it.
    """

    __slots__ = ("_closed", "_send", "browser", "descriptor", "reliable", "worker")

    def __init__(self, clock: IReactorTime, descriptor: FlowDescriptor, send: Send) -> None:
        worker, _, reliable, browser, via_transport, host, port, sent_by = descriptor
        super().__init__(clock, Address(host, port), sent_by, via_transport)
        self._send = send
        self._closed = False
        self.descriptor = descriptor
        self.worker: int = worker
        self.reliable: bool = reliable
        self.browser: bool = browser

    @property
    def number(self) -> int:
        """Its number in its worker."""
        number: int = self.descriptor[1]
        return number

    @property
    def closed(self) -> bool:
        """True once its worker has reported its loss, or has ended."""
        return self._closed

    def send(self, data: bytes) -> None:
        """Let its worker send one message. If that fails, the flow is lost a moment later.

        :raises FlowLost: it is known to be lost.
        """
        if self._closed or not self._send({"to": self.worker, "do": WRITE, "flow": self.number}, data):
            raise FlowLost(f"{self!r} is lost")

    def on_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called once when the connection is lost; UDP has nothing to lose."""
        return super().on_lost(call) if self.reliable else _nothing

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Let its worker close the connection."""
        if not self._closed:
            self._send({"to": self.worker, "do": CLOSE, "flow": self.number, "code": code, "reason": reason})

    def mark_closed(self) -> None:
        """Its worker has reported its loss, or has ended."""
        self._closed = True
        super().connection_lost()

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, RemoteFlow):
            return NotImplemented
        return (self.worker, self.number) == (other.worker, other.number)

    def __hash__(self) -> int:
        return hash((self.worker, self.number))

    def __repr__(self) -> str:
        return f"<RemoteFlow of worker {self.worker} to {self.peer.host} port {self.peer.port}>"


class RemoteFlows:
    """The flows of other processes that this one knows, and its own flows that others know.

    :param number: of this process.
    :param run: how many processes had that number before: numbers of their flows are never reused.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, number: int, run: int, send: Send) -> None:
        self._clock = clock
        self._number = number
        self._send = send
        self._next = run << 40
        self._own: dict[int, Flow] = {}
        self._numbers: dict[Flow, int] = {}
        self._datagrams: OrderedDict[int, Flow] = OrderedDict()
        self._remote: dict[tuple[int, int], RemoteFlow] = {}

    def __len__(self) -> int:
        """How many connections of other processes are known."""
        return len(self._remote)

    # Flows of this process

    def describe(self, flow: Flow) -> FlowDescriptor:
        """The description of a flow for other processes."""
        if isinstance(flow, RemoteFlow):
            return flow.descriptor
        number = self._numbers.get(flow)
        if number is None:
            number = self._number_of(flow)
        host, port = flow.peer
        return [self._number, number, flow.reliable, flow.browser, flow.via_transport, host, port, flow.sent_by]

    def _number_of(self, flow: Flow) -> int:
        self._next += 1
        number = self._next
        self._own[number] = flow
        self._numbers[flow] = number
        if flow.reliable:
            flow.on_lost(lambda: self._own_closed(number))
            return number
        self._datagrams[number] = flow
        if len(self._datagrams) > DATAGRAM_FLOWS:
            oldest, forgotten = self._datagrams.popitem(last=False)
            del self._own[oldest], self._numbers[forgotten]
        return number

    def write(self, number: int, data: bytes) -> None:
        """Send a message of another worker on a flow of this process."""
        flow = self._own.get(number)
        if flow is None:
            return
        try:
            flow.send(data)
        except FlowLost as why:
            log.debug("A message of another worker has no way: {why}", why=why)
            if flow.reliable:
                self._own_closed(number)

    def close(self, number: int, code: int, reason: str) -> None:
        """Close a flow of this process on behalf of another worker."""
        flow = self._own.get(number)
        if flow is not None:
            flow.close(code, reason)

    def _own_closed(self, number: int) -> None:
        flow = self._own.pop(number, None)
        if flow is not None:
            del self._numbers[flow]
            self._send({"to": ALL, "do": FLOW_CLOSED, "flow": [self._number, number]})

    # Flows of others

    def flow_of(self, descriptor: FlowDescriptor) -> RemoteFlow:
        """The flow that another worker describes: the same object for the same connection."""
        flow = self._remote.get((descriptor[0], descriptor[1]))
        if flow is None:
            flow = RemoteFlow(self._clock, descriptor, self._send)
            if flow.reliable:
                self._remote[descriptor[0], descriptor[1]] = flow
        return flow

    def resolve(self, descriptor: FlowDescriptor) -> Flow:
        """The flow that another worker describes, which may be one of this process."""
        own = self._own.get(descriptor[1]) if descriptor[0] == self._number else None
        return self.flow_of(descriptor) if own is None else own

    def closed(self, worker: int, number: int) -> None:
        """A connection of another worker is closed."""
        flow = self._remote.pop((worker, number), None)
        if flow is not None:
            flow.mark_closed()

    def worker_ended(self, worker: int) -> None:
        """Another worker has ended, and all of its connections are closed."""
        for key in [key for key in self._remote if key[0] == worker]:
            flow = self._remote.pop(key, None)
            if flow is not None:
                flow.mark_closed()
