"""What the tests of transactions share: a layer with a fake user and fake flows under a clock that is moved by hand."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow, FakeUser
from tests.support.messages import ours, request, response
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transaction.client import ClientTransaction
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transaction.table import TransactionLimits


class TransactionCase(SynchronousTestCase):
    """After each test, when every timer has fired, nothing is left: no transaction, no timer, no watched flow."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.user = FakeUser()
        self.flows: list[FakeFlow] = []
        self.udp = self.flow()
        self.wss = self.flow(reliable=True)
        self.metrics = Metrics()
        self.layer = Transactions(self.clock, self.user, metrics=self.metrics)

    def tearDown(self) -> None:
        for _ in range(1000):
            if not self.clock.getDelayedCalls():
                break
            self.to_next()
        self.assertEqual(len(self.layer), 0)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual([flow for flow in self.flows if flow.watched], [])

    def flow(self, *, reliable: bool = False, port: int = 5060) -> FakeFlow:
        """A new flow: UDP, or where it is reliable, the WebSocket of a browser."""
        flow = FakeFlow.wss(port=port) if reliable else FakeFlow.udp(port=port)
        self.flows.append(flow)
        return flow

    def renew(self, limits: TransactionLimits | None = None, last_resort: float = 300.0) -> None:
        """Another layer, in place of the one of `setUp`."""
        limits = limits or TransactionLimits()
        self.layer = Transactions(self.clock, self.user, limits=limits, last_resort=last_resort, metrics=self.metrics)

    def receive(self, message: Request | Response, flow: FakeFlow | None = None) -> None:
        """The transport hands a message over, that of UDP by itself."""
        self.layer.message_received(message, flow or self.udp)

    def arrive(self, method: str, flow: FakeFlow) -> tuple[Request, ServerTransaction]:
        """A new request arrives; with the transaction that the user got."""
        asked = request(method, transport=flow.via_transport)
        self.receive(asked, flow)
        return asked, self.user.transaction

    # Time

    def to_next(self) -> None:
        """Advance to the next timer."""
        at = min(call.getTime() for call in self.clock.getDelayedCalls())
        self.clock.advance(max(0.0, at - self.clock.seconds()))

    def times(self, flow: FakeFlow, seconds: float) -> list[float]:
        """Let so many seconds pass; at which times, from now, something was sent on `flow`."""
        start = self.clock.seconds()
        found: list[float] = []
        while calls := [call for call in self.clock.getDelayedCalls() if call.getTime() <= start + seconds + 1e-9]:
            count = len(flow.sent)
            at = min(call.getTime() for call in calls)
            self.clock.advance(max(0.0, at - self.clock.seconds()))
            found += [round(self.clock.seconds() - start, 6)] * (len(flow.sent) - count)
        self.clock.advance(max(0.0, start + seconds - self.clock.seconds()))
        return found


class ClientCase(TransactionCase):
    """Sends requests, and keeps what the user learns of them.

    :cvar method: of the requests.
    :ivar sent: the request, as it left first.
    :ivar outcomes: statuses of final responses and types of failures, of all transactions.
    """

    method = "INVITE"

    def setUp(self) -> None:
        super().setUp()
        self.provisional: list[int] = []
        self.again: list[Response] = []
        self.outcomes: list[object] = []

    def send(self, flow: FakeFlow | None = None, **more: object) -> ClientTransaction:
        """Send a request; by UDP where no flow is given."""
        flow = flow or self.udp
        transaction = self.layer.request(
            ours(self.method, **more),
            flow,
            on_provisional=lambda message: self.provisional.append(message.status),
            on_answer=self.again.append,
        )
        transaction.final.addCallbacks(
            lambda message: self.outcomes.append(message.status), lambda failure: self.outcomes.append(failure.type)
        )
        self.sent = transaction.request
        return transaction

    def answer(self, status: int, flow: FakeFlow | None = None, to: Request | None = None, **more: object) -> Response:
        """A response arrives."""
        message = response(to or self.sent, status, **more)  # type: ignore[arg-type]
        self.receive(message, flow)
        return message


def state(transaction: object) -> str:
    """The state of a transaction, as its figure names it."""
    return repr(transaction).split()[-1].rstrip(">")
