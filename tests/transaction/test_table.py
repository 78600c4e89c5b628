"""Table: what is kept, for how long, and how much of it at most."""

from __future__ import annotations

from twisted.internet.defer import AlreadyCalledError

from tests.support.exposition import Readings
from tests.support.fakes import FakeFlow
from tests.support.messages import ours, request, response
from tests.transaction.case import TransactionCase
from webrtcproxy.sip.message import Response
from webrtcproxy.transaction.table import TransactionLimits


class Bounds(TransactionCase):
    """Nothing grows without a bound: past it 503 with Retry-After, and it is counted."""

    def refused(self, flow: FakeFlow, method: str = "INFO") -> bool:
        """Whether one more request is refused."""
        count = len(self.user.transactions)
        self.receive(request(method, transport=flow.via_transport), flow)
        if len(self.user.transactions) > count:
            return False
        self.assertEqual(flow.last_response.status, 503)
        self.assertTrue(flow.last_response.headers.get("Retry-After"))
        return True

    def finish(self) -> None:
        for transaction in self.user.transactions:
            if not transaction.answered:
                transaction.reply(404)

    def test_browser(self) -> None:
        """What one browser may leave unanswered; answers make room, also where the transaction absorbs for long."""
        readings = Readings(self.metrics)
        self.renew(TransactionLimits(browser=2))
        for method in ("INFO", "INVITE"):
            self.assertFalse(self.refused(self.wss, method))
        self.assertTrue(self.refused(self.wss))
        self.assertFalse(self.refused(self.flow(reliable=True)))
        self.assertFalse(self.refused(self.udp))
        self.user.transactions[1].reply(200)
        self.assertEqual(len(self.layer), 4)
        self.assertFalse(self.refused(self.wss))
        self.assertTrue(self.refused(self.wss))
        self.assertEqual(readings.moved(), {'refused_total{reason="transactions_limit"}': 2})
        self.finish()

    def test_browser_without_end(self) -> None:
        """However many came and went, the count is right: no peer is locked out."""
        self.renew(TransactionLimits(browser=2))
        for number in range(20):
            self.assertFalse(self.refused(self.wss, "INVITE" if number % 2 else "INFO"))
            self.user.transaction.reply(200 if number % 3 else 486)
        self.assertFalse(self.refused(self.wss))
        self.clock.pump([3.5, 28.5, 5.0])
        self.assertFalse(self.refused(self.wss))
        self.assertFalse(self.refused(self.wss))
        self.assertTrue(self.refused(self.wss))
        self.finish()

    def test_browser_given_up(self) -> None:
        """A request that nobody answered makes room when it is given up; a late answer makes no more of it."""
        self.renew(TransactionLimits(browser=2))
        self.assertFalse(self.refused(self.wss))
        given_up = self.user.transaction
        self.clock.pump([3.5, 20.0])
        self.assertFalse(self.refused(self.wss, "INVITE"))
        self.assertTrue(self.refused(self.wss))
        self.clock.advance(8.5)
        self.assertFalse(self.refused(self.wss))
        given_up.reply(504)
        self.assertTrue(self.refused(self.wss))
        self.finish()

    def test_other_flow(self) -> None:
        """What one address may have, absorbing ones included."""
        self.renew(TransactionLimits(flow=2))
        self.assertFalse(self.refused(self.udp))
        self.assertFalse(self.refused(self.udp))
        self.finish()
        self.assertTrue(self.refused(self.udp))
        self.assertFalse(self.refused(self.flow(port=9)))
        self.clock.advance(32)
        self.assertFalse(self.refused(self.udp))
        self.finish()

    def test_total(self) -> None:
        """What all of them may have."""
        self.renew(TransactionLimits(total=2))
        self.assertFalse(self.refused(self.udp))
        self.assertFalse(self.refused(self.wss))
        self.assertTrue(self.refused(self.flow(port=9)))
        self.finish()

    def test_repeats_and_what_ends_calls_pass(self) -> None:
        """A full table takes repeats, ACKs and CANCELs: they make nothing new."""
        self.renew(TransactionLimits(total=1))
        asked, transaction = self.arrive("INVITE", self.udp)
        self.receive(asked)
        self.receive(request("ACK", to_tag="x"))
        self.receive(request("CANCEL", call_id=asked.call_id, branch=asked.via.branch))
        self.assertEqual((self.udp.summary, len(self.user.acks), len(self.user.cancels)), ([100, 200], 1, 1))
        transaction.reply(487)


class Flows(TransactionCase):
    """Thousands of idle browsers cost nothing here."""

    def test_watched_while_there_is_something(self) -> None:
        """A connection is watched from the first transaction to the last, by one wish; then not at all."""
        self.arrive("INFO", self.wss)
        first = self.user.transaction
        self.arrive("INFO", self.wss)
        final = self.layer.request(ours("INFO"), self.wss).final
        self.assertEqual(len(self.wss._watchers), 1)
        first.reply(200)
        self.user.transaction.reply(200)
        self.assertTrue(self.wss.watched)
        self.receive(response(self.wss.requests[-1], 200), self.wss)
        self.successResultOf(final)
        self.assertFalse(self.wss.watched)

    def test_loss_harms_nobody_else(self) -> None:
        """The transactions of other flows go on; those of the lost one can't be found by anything."""
        asked, _ = self.arrive("INVITE", self.wss)
        other = self.flow(reliable=True)
        self.arrive("INVITE", other)
        self.wss.lose()
        self.assertEqual(len(self.layer), 1)
        self.receive(request("CANCEL", branch=asked.via.branch, transport="WSS", call_id=asked.call_id), other)
        self.assertEqual(other.summary, [481])
        for transaction in self.user.transactions:
            transaction.reply(404)

    def test_user_acts_while_it_is_lost(self) -> None:
        """FlowLost of one transaction makes the user send on the dead connection: FlowLost again, and no end of it."""
        heard: list[object] = []

        def send_again(failure: object) -> None:
            heard.append(failure)
            self.layer.request(ours("BYE"), self.wss).final.addErrback(heard.append)

        for _ in range(2):
            self.layer.request(ours("INVITE"), self.wss).final.addErrback(send_again)
        self.arrive("INFO", self.wss)
        self.wss.lose()
        self.assertEqual((len(heard), len(self.layer)), (4, 0))

    def test_failure_while_it_is_lost(self) -> None:
        """One machine that fails does not keep the others from hearing."""
        finals = [self.layer.request(ours("INFO"), self.wss).final for _ in range(3)]
        machine = next(iter(self.layer._table.clients.values()))
        assert machine.transaction is not None
        machine.transaction.final.callback(Response(200))  # it can't be told twice
        self.wss.lose()
        self.assertEqual(len(self.flushLoggedErrors(AlreadyCalledError)), 1)
        failed: list[object] = []
        for final in finals:
            final.addErrback(failed.append)
        self.assertEqual(len(failed), 2)
