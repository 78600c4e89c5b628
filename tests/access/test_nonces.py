"""The nonces of digest challenges: for one connection, for a time, and each count once (RFC 7616 section 3.4)."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.access.nonces import FlowNonces


class NoncesTests(SynchronousTestCase):
    """`FlowNonces`."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.nonces = FlowNonces(self.clock)
        self.flow = FakeFlow.wss()

    def test_ascending(self) -> None:
        """Each count is taken once, and only a higher one than before: nc that goes back is refused."""
        nonce = self.nonces.make(self.flow)
        taken = [self.nonces.take(self.flow, nonce, count) for count in (1, 1, 2, 5, 4, 0, 6)]
        self.assertEqual(taken, [True, False, True, True, False, False, True])

    def test_without_count(self) -> None:
        """Credentials without qop (RFC 2069) take the nonce as a whole, which must be unused."""
        one, two = self.nonces.make(self.flow), self.nonces.make(self.flow)
        self.assertEqual([self.nonces.take(self.flow, one, None) for _ in range(2)], [True, False])
        self.nonces.take(self.flow, two, 1)
        self.assertFalse(self.nonces.take(self.flow, two, None))

    def test_of_another(self) -> None:
        """A nonce is of no use on another connection, nor is one that was made up."""
        nonce = self.nonces.make(self.flow)
        other = FakeFlow.wss("192.0.2.77", 1)
        self.assertFalse(self.nonces.take(other, nonce, 1))
        self.nonces.make(other)
        self.assertFalse(self.nonces.take(other, nonce, 1))
        self.assertFalse(self.nonces.take(self.flow, "made-up", 1))
        self.assertTrue(self.nonces.take(self.flow, nonce, 1))

    def test_too_old(self) -> None:
        """After its time a nonce is not valid any more."""
        nonce = self.nonces.make(self.flow)
        self.clock.advance(FlowNonces.LIFETIME)
        self.assertTrue(self.nonces.take(self.flow, nonce, 1))
        self.clock.advance(0.1)
        self.assertFalse(self.nonces.take(self.flow, nonce, 2))

    def test_bounded(self) -> None:
        """A flow has a few nonces, the newest, and none once it is lost."""
        nonces = [self.nonces.make(self.flow) for _ in range(FlowNonces.PER_FLOW + 1)]
        self.assertEqual(len(set(nonces)), len(nonces))
        self.assertFalse(self.nonces.take(self.flow, nonces[0], 1))
        self.assertTrue(self.nonces.take(self.flow, nonces[1], 1))
        self.flow.lose()
        self.assertEqual(len(self.nonces), 0)
        self.assertFalse(self.nonces.take(self.flow, self.nonces.make(self.flow), 1))
        self.assertEqual(len(self.nonces), 0)

    def test_stop(self) -> None:
        """Nothing is left when the proxy stops."""
        self.nonces.make(self.flow)
        self.nonces.stop()
        self.assertEqual(len(self.nonces), 0)
        self.flow.lose()
