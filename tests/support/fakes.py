"""Objects that stand in for the layers next to the one under test. Each implements the real interface."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.message import Request, Response, read
from webrtcproxy.transport.flow import Address

if TYPE_CHECKING:
    from webrtcproxy.transaction.server import ServerTransaction


class Recorder(list[tuple[str, object]]):
    """What happened at several places, in order: ``[("trunk", "INVITE"), ("browser", 180)]``."""

    def note(self, place: str, what: object) -> None:
        """Something happened."""
        self.append((place, what))

    def take(self) -> list[tuple[str, object]]:
        """All that was recorded since the last time."""
        taken = list(self)
        self.clear()
        return taken


class FakeFlow:
    """A Flow that keeps what is sent.

    :param reliable: as WebSocket and TCP are.
    :param name: the place under which `recorder` learns of each message.
    :ivar sent: every message, as octets.
    :ivar opened: False where the connection is still being made.
    :ivar broken: where True, each `send` raises FlowLost, as a full UDP socket does; nobody is told.
    :ivar closings: code and reason of each `close`.
    """

    def __init__(
        self,
        *,
        reliable: bool = False,
        browser: bool = False,
        via_transport: str = "UDP",
        sent_by: str = "192.0.2.1:5060",
        peer: Address = Address("198.51.100.1", 5060),  # noqa: B008  # a value
        name: str = "flow",
        recorder: Recorder | None = None,
    ) -> None:
        self.reliable = reliable
        self.browser = browser
        self.via_transport = via_transport
        self.sent_by = sent_by
        self.peer = peer
        self.closed = False
        self.broken = False
        self.opened = True
        self.name = name
        self.sent: list[bytes] = []
        self.closings: list[tuple[int, str]] = []
        self._recorder = recorder
        self._watchers: dict[object, Callable[[], None]] = {}

    @classmethod
    def udp(cls, host: str = "198.51.100.1", port: int = 5060, **more: object) -> FakeFlow:
        """The UDP socket and a peer."""
        return cls(peer=Address(host, port), **more)  # type: ignore[arg-type]

    @classmethod
    def tcp(cls, host: str = "198.51.100.1", port: int = 5060, **more: object) -> FakeFlow:
        """A TCP connection to a trunk."""
        given: dict[str, object] = {"via_transport": "TCP", **more}
        return cls(reliable=True, peer=Address(host, port), **given)  # type: ignore[arg-type]

    @classmethod
    def wss(cls, host: str = "203.0.113.5", port: int = 40000, **more: object) -> FakeFlow:
        """The WebSocket of a browser."""
        given: dict[str, object] = {"sent_by": "192.0.2.1:443", **more}
        return cls(reliable=True, browser=True, via_transport="WSS", peer=Address(host, port), **given)  # type: ignore[arg-type]

    def send(self, data: bytes) -> None:
        """Keep one message.

        :raises FlowLost: it is closed or `broken`.
        """
        if self.closed or self.broken:
            raise FlowLost(f"{self.name} is gone")
        self.sent.append(data)
        if self._recorder is not None:
            message = read(data)
            self._recorder.note(self.name, message.method if isinstance(message, Request) else message.status)

    def on_lost(self, call: Callable[[], None]) -> Callable[[], None]:
        """Have `call` called when it is lost."""
        key = object()
        self._watchers[key] = call
        return lambda: self._watchers.pop(key, None) and None

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Note the code, and be lost where it is a connection."""
        self.closings.append((code, reason))
        if self.reliable:
            self.lose()

    def lose(self) -> None:
        """The connection is lost; all callbacks are called."""
        if self.closed:
            return
        self.closed = True
        while self._watchers:
            self._watchers.pop(next(iter(self._watchers)))()

    # For the tests

    @property
    def watched(self) -> bool:
        """Whether anybody waits to learn of the end."""
        return bool(self._watchers)

    @property
    def messages(self) -> list[Request | Response]:
        """Every message that was sent, read."""
        return [read(data) for data in self.sent]

    @property
    def requests(self) -> list[Request]:
        """The requests among the messages."""
        return [message for message in self.messages if isinstance(message, Request)]

    @property
    def responses(self) -> list[Response]:
        """The responses among the messages."""
        return [message for message in self.messages if isinstance(message, Response)]

    @property
    def summary(self) -> list[str | int]:
        """Method or status of every message: ``["INVITE", "ACK"]``, ``[100, 200]``."""
        return [message.method if isinstance(message, Request) else message.status for message in self.messages]

    @property
    def last(self) -> Request | Response:
        """The message that was sent last."""
        return read(self.sent[-1])

    @property
    def last_request(self) -> Request:
        """The request that was sent last."""
        return self.requests[-1]

    @property
    def last_response(self) -> Response:
        """The response that was sent last."""
        return self.responses[-1]

    def clear(self) -> None:
        """Forget what was sent."""
        self.sent.clear()

    def take(self) -> list[Request | Response]:
        """What was sent since the last time, read."""
        taken = self.messages
        self.sent.clear()
        return taken


class FakeUser:
    """A user of the transaction layer that keeps what it gets.

    :ivar admitting: what `admits` answers.
    :ivar owning: the flows for which `owns` answers True.
    :ivar same: the flows that all lead to one peer.
    :ivar on_request: called with each new server transaction, to answer it or to raise.
    :ivar on_cancel: the same for a cancelled one.
    """

    def __init__(self) -> None:
        self.admitting = True
        self.owning: set[object] = set()
        self.same: set[object] = set()
        self.on_request: Callable[[ServerTransaction], object] | None = None
        self.on_ack: Callable[[Request], object] | None = None
        self.on_cancel: Callable[[ServerTransaction], object] | None = None
        self.asked: list[Request] = []
        self.transactions: list[ServerTransaction] = []
        self.acks: list[tuple[Request, object]] = []
        self.byes: list[tuple[Request, object]] = []
        self.cancels: list[tuple[ServerTransaction, Request]] = []
        self.refusals: list[tuple[Request, object, int, str]] = []

    @property
    def transaction(self) -> ServerTransaction:
        """The transaction that arrived last."""
        return self.transactions[-1]

    def admits(self, request: Request, flow: object) -> bool:
        """Whether the sender is to be answered at all."""
        self.asked.append(request)
        return self.admitting

    def request_arrived(self, transaction: ServerTransaction) -> None:
        """A new request."""
        self.transactions.append(transaction)
        if self.on_request is not None:
            self.on_request(transaction)

    def refused(self, request: Request, flow: object, status: int, reason: str) -> None:
        """A request was refused without a transaction."""
        self.refusals.append((request, flow, status, reason))

    def owns(self, transaction: ServerTransaction, flow: object) -> bool:
        """Whether a CANCEL on another flow counts."""
        return flow in self.owning

    def is_same_peer(self, flow: object, other: object) -> bool:
        """Whether two flows lead to the same peer."""
        return {flow, other} <= self.same

    def ack_arrived(self, ack: Request, flow: object) -> None:
        """An ACK of a 2xx."""
        self.acks.append((ack, flow))
        if self.on_ack is not None:
            self.on_ack(ack)

    def hung_up(self, bye: Request, flow: object) -> None:
        """A BYE that is refused."""
        self.byes.append((bye, flow))

    def cancelled(self, transaction: ServerTransaction, cancel: Request) -> None:
        """A CANCEL for an INVITE without a final response."""
        self.cancels.append((transaction, cancel))
        if self.on_cancel is not None:
            self.on_cancel(transaction)
