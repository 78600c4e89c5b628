"""REGISTERs of one user at two workers at once: the registrar's Contact and the bindings agree."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import ALICE, Member, Net
from tests.support.calls.registering import JSSIP, OURS, REGISTRAR, SIPJS, Network, register_request
from tests.support.configs import PBX, config
from tests.support.fakes import FakeFlow
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.config import BansConfig, Destinations
from webrtcproxy.registration.register_transaction import RegisterTransaction
from webrtcproxy.registration.relay import RegistrationRelay
from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.routing.policy import Policy
from webrtcproxy.routing.sequence import RequestSequences
from webrtcproxy.routing.upstream import Upstream
from webrtcproxy.sip.message import Request, respond
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow


class Registering:
    """What of a worker carries REGISTERs, for one browser.

    :ivar browser: the browser's socket.
    """

    def __init__(self, member: Member) -> None:
        self.policy = Policy(config(PBX, destinations=Destinations(anywhere=True)))
        self.network = Network()
        self.transactions = Transactions(member.net.clock, self, mark=f"{member.number}-")
        self.relay = RegistrationRelay(
            self.transactions,
            member.directory,
            member.location,
            Upstream(self.network, self.network, HopHealth(member.net.clock)),
            RequestSequences(member.net.clock),
            member.net.clock,
            member.location.multiple,
            LoginGuard(member.net.clock, BansConfig()),
        )
        self.browser = FakeFlow.wss(port=40000 + member.number)
        self.cseq = 0

    def admits(self, request: Request, flow: Flow) -> bool:
        return True

    def request_arrived(self, transaction: ServerTransaction) -> None:
        RegisterTransaction(self.relay, transaction, self.policy.route(transaction.request)).begin()

    def register(self, contact: str) -> Request:
        """The browser sends a REGISTER.

        :returns: what the registrar gets.
        """
        self.cseq += 1
        request = register_request(contact, cseq=self.cseq, call_id=str(self.browser.peer.port))
        self.transactions.message_received(request, self.browser)
        return self.flow.last_request

    def accept(self, *headers: tuple[str, str]) -> int:
        """The registrar answers 200.

        :returns: the status that the browser gets.
        """
        self.transactions.message_received(respond(self.flow.last_request, 200, headers=headers), self.flow)
        return self.browser.last_response.status

    @property
    def flow(self) -> FakeFlow:
        (flow,) = self.network.flows.values()
        return flow


class TwoWorkersTests(SynchronousTestCase):
    """`multiple = yes`, unless it says otherwise; the registrar takes its time."""

    def make(self, multiple: bool = True) -> None:
        self.net = Net(multiple)
        self.addCleanup(self.net.stop)
        self.one, self.two = Registering(self.net.one), Registering(self.net.two)
        self.addCleanup(self.one.transactions.stop)
        self.addCleanup(self.two.transactions.stop)

    def bind_second(self) -> None:
        """The browser at worker 2 is registered."""
        self.two.register(f"{SIPJS};expires=600")
        self.assertEqual(self.two.accept(("Contact", f"<{OURS}>;expires=600")), 200)

    def everywhere(self, *contacts: str) -> None:
        for member in self.net.members:
            self.assertEqual([str(binding.value) for binding in member.found().bindings], list(contacts))

    def test_removed_while_another_registers(self) -> None:
        """One browser leaves while the REGISTER of another is under way at another worker: our Contact stays at the
        registrar, as within one worker, and the browser that came is bound and can be called (field.rst Y5:
        Registrations at two workers)."""
        for multiple in (True, False):
            self.make(multiple)
            self.bind_second()
            self.assertIn("Contact", self.one.register(f"{JSSIP};expires=600").headers)
            self.assertNotIn("Contact", self.two.register(f"{SIPJS};expires=0").headers)
            self.assertEqual(self.two.accept(), 200)
            self.assertEqual(self.one.accept(("Contact", f"<{OURS}>;expires=600")), 200)
            self.everywhere(f"{JSSIP};expires=600")
            for member in self.net.members:
                self.assertEqual(member.found().registrars, [REGISTRAR])

    def test_shorter_while_another_registers(self) -> None:
        """A browser that asks for less does not shorten what another asks for at another worker."""
        self.make()
        self.one.register(f"{JSSIP};expires=6000")
        contact = self.two.register(f"{SIPJS};expires=60").headers.get("Contact")
        self.assertEqual(contact, f"<{OURS}>;expires=6000")

    def test_refused(self) -> None:
        """What the registrar has refused, or has not answered in time, counts no more."""
        self.make()
        self.bind_second()
        self.one.register(f"{JSSIP};expires=6000")
        self.one.transactions.message_received(respond(self.one.flow.last_request, 403), self.one.flow)
        self.one.register(f"{JSSIP};expires=6000")
        self.net.clock.pump([0.5] * 70)
        self.assertEqual(self.one.browser.last_response.status, 504)
        gone = self.two.register(f"{SIPJS};expires=0")
        self.assertEqual(gone.headers.get("Contact"), f"<{OURS}>;expires=0")

    def test_worker_ends(self) -> None:
        """The REGISTERs of a worker end with it."""
        self.make()
        self.bind_second()
        self.one.register(f"{JSSIP};expires=6000")
        for member in self.net.members:
            member.directory.worker_ended(1)
        gone = self.two.register(f"{SIPJS};expires=0")
        self.assertEqual(gone.headers.get("Contact"), f"<{OURS}>;expires=0")

    def test_newcomer(self) -> None:
        """A worker that starts gets the REGISTERs under way."""
        self.make()
        self.one.register(f"{JSSIP};expires=6000")
        newcomer = Member(self.net, 3, True)
        self.addCleanup(newcomer.location.stop)
        for change in self.net.hub.directory.changes():
            newcomer.hear(dict(change), b"")
        self.assertEqual(self.successResultOf(newcomer.directory.intend(ALICE, 1, (), 0)), [6000])
