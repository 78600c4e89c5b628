"""RemoteFlow: a socket of another worker, in place of which it stands."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import Net
from tests.support.fakes import FakeFlow
from webrtcproxy.cluster.remote import DATAGRAM_FLOWS
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.transport.flow import Address


class RemoteFlowTests(SynchronousTestCase):
    """A browser's socket in worker 1, as worker 2 has it."""

    def setUp(self) -> None:
        self.net = Net()
        self.socket = FakeFlow.wss()
        self.flow = self.net.two.flows.flow_of(self.net.one.flows.describe(self.socket))

    def test_as_the_real_one(self) -> None:
        """It answers as the socket itself would."""
        for name in ("reliable", "browser", "via_transport", "sent_by", "peer"):
            self.assertEqual(getattr(self.flow, name), getattr(self.socket, name), name)
        self.assertIsInstance(self.flow.peer, Address)
        self.assertFalse(self.flow.closed)

    def test_one_object(self) -> None:
        """Described twice it is the same: transactions tell connections apart by identity (RFC 3261 section 18.1.2)."""
        self.assertIs(self.net.two.flows.flow_of(self.net.one.flows.describe(self.socket)), self.flow)
        other = self.net.two.flows.flow_of(self.net.one.flows.describe(FakeFlow.wss(port=40001)))
        self.assertNotEqual(other, self.flow)
        self.assertEqual(len({other, self.flow}), 2)

    def test_send(self) -> None:
        """What is sent leaves by the socket, to the octet."""
        self.flow.send(b"SIP\r\n\xff")
        self.assertEqual(self.socket.sent, [b"SIP\r\n\xff"])

    def test_close(self) -> None:
        """Closing closes the socket, with its code, and the flow is lost by that."""
        self.flow.close(1008, "no")
        self.assertEqual(self.socket.closings, [(1008, "no")])
        self.assertTrue(self.flow.closed)

    def test_lost(self) -> None:
        """A subscriber is called once when it is closed; then nothing can be sent, and no subscription is kept."""
        closed: list[str] = []
        self.flow.on_lost(lambda: closed.append("kept"))
        self.flow.on_lost(lambda: closed.append("ended"))()
        self.socket.lose()
        self.assertEqual(closed, ["kept"])
        self.assertTrue(self.flow.closed)
        self.assertRaises(FlowLost, self.flow.send, b"x")
        self.assertEqual((len(self.net.two.flows), len(self.net.hub.flows)), (0, 0))

    def test_lost_already(self) -> None:
        """A late subscriber is called soon, never from within its subscription."""
        self.socket.lose()
        closed: list[int] = []
        self.flow.on_lost(lambda: closed.append(1))
        self.assertEqual(closed, [])
        self.net.clock.advance(0)
        self.assertEqual(closed, [1])

    def test_does_not_take_it(self) -> None:
        """A socket that closes but has not said so yet: the message fails there, and the flow is lost at once."""
        self.socket.broken = True
        self.flow.send(b"x")
        self.assertTrue(self.flow.closed)

    def test_worker_gone(self) -> None:
        """With its worker all of its flows are lost."""
        self.net.two.flows.worker_ended(2)
        self.assertFalse(self.flow.closed)
        self.net.two.flows.worker_ended(1)
        self.assertTrue(self.flow.closed)

    def test_successor(self) -> None:
        """What was meant for a socket of a worker that has died does not reach one of its successor's."""
        from tests.cluster.net import Member

        successor = Member(self.net, 1, True, run=2)
        self.net.members[1] = successor
        other = FakeFlow.wss()
        successor.flows.describe(other)
        self.flow.send(b"x")
        self.assertEqual(other.sent, [])


class DatagramTests(SynchronousTestCase):
    """A UDP socket and a peer, spoken of by worker 1."""

    def test_nothing_to_lose(self) -> None:
        """UDP flows are values: the same for the same peer, and no subscriber is called."""
        net = Net()
        flow = net.two.flows.flow_of(net.one.flows.describe(udp := FakeFlow.udp()))
        self.assertEqual(flow, net.two.flows.flow_of(net.one.flows.describe(udp)))
        self.assertFalse(flow.reliable)
        flow.on_lost(lambda: self.fail("lost"))()
        flow.send(b"x")
        self.assertEqual(udp.sent, [b"x"])
        self.assertEqual(len(net.two.flows), 0)

    def test_failure_is_no_end(self) -> None:
        """A datagram that the kernel refuses does not end the flow."""
        net = Net()
        flow = net.two.flows.flow_of(net.one.flows.describe(udp := FakeFlow.udp()))
        udp.broken = True
        flow.send(b"x")
        udp.broken = False
        flow.send(b"y")
        self.assertEqual(udp.sent, [b"y"])

    def test_bounded(self) -> None:
        """Numbers of UDP flows are forgotten, the oldest first."""
        net = Net()
        first = net.two.flows.flow_of(net.one.flows.describe(udp := FakeFlow.udp()))
        for port in range(DATAGRAM_FLOWS):
            net.one.flows.describe(FakeFlow.udp(port=port + 10000))
        first.send(b"x")
        self.assertEqual(udp.sent, [])
        again = net.two.flows.flow_of(net.one.flows.describe(udp))
        again.send(b"x")
        self.assertEqual(udp.sent, [b"x"])
