"""A 500 that can't be written either: `respond` never raises, and doesn't call itself for ever."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.sip.message import Request, read
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction
from webrtcproxy.transport.flow import Flow


class User:
    """Keeps the transaction."""

    def admits(self, request: Request, flow: Flow) -> bool:
        return True

    def request_arrived(self, transaction: ServerTransaction) -> None:
        self.transaction = transaction


class Unwritable(SynchronousTestCase):
    """The last resort of a server transaction."""

    def test_500_that_cannot_be_written(self) -> None:
        """Where To of the request was made unwritable, one log line comes, and no recursion."""
        user = User()
        layer = Transactions(Clock(), user)
        flow = FakeFlow.udp("192.0.2.50", 5060)
        layer.message_received(
            read(
                b"OPTIONS sip:x SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.50;branch=z9hG4bK1\r\nMax-Forwards: 70\r\n"
                b"From: <sip:a@x>;tag=1\r\nTo: <sip:b@x>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\n\r\n"
            ),
            flow,
        )
        transaction = user.transaction
        transaction.to_tag = "bad\r\ntag"
        transaction.reply(200)
        self.assertEqual([failure.type for failure in self.flushLoggedErrors()], [ValueError, ValueError])
