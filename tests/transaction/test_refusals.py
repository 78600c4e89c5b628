"""What is answered without a transaction, what is not answered, and how exceptions of the user are caught."""

from __future__ import annotations

from twisted.logger import capturedLogs

from tests.support.exposition import Readings
from tests.support.messages import cancel, ours, request, response, twin, wire
from tests.transaction.case import TransactionCase
from webrtcproxy.runtime.errors import FlowLost
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, read
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transaction.server import ServerTransaction


class Refused(TransactionCase):
    """What is answered without a transaction, and what is not answered."""

    MINIMAL = b"OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n"

    def bad(self, data: bytes) -> None:
        error = self.assertRaises(BadMessage, read, data)
        assert isinstance(error, BadMessage)
        self.layer.bad_message(error, self.udp)

    def test_not_admitted(self) -> None:
        """Silence, and nothing is kept; so while there is no user."""
        self.user.admitting = False
        for _ in range(2):
            for method in ("INVITE", "OPTIONS", "CANCEL", "ACK"):
                self.receive(request(method))
            self.bad(self.MINIMAL)
            self.assertEqual((self.udp.sent, len(self.layer)), ([], 0))
            self.layer = Transactions(self.clock)

    def test_counted(self) -> None:
        """What can't be read counts as malformed, and so does what is no message at all, which meets silence; what is
        not admitted does not: the user has counted it."""
        readings = Readings(self.metrics)
        self.bad(self.MINIMAL)
        unreadable = request("OPTIONS")
        unreadable.headers.set("CSeq", "many OPTIONS")
        self.receive(unreadable)
        self.assertEqual(readings.moved(), {'refused_total{reason="malformed"}': 2})
        self.user.admitting = False
        self.bad(self.MINIMAL)
        self.assertEqual(readings.moved(), {})
        for octets in (b"nonsense\r\n\r\n", b"SIP/2.0 ", b"SIP/2.0 200 OK\r\n\r\n"):
            self.bad(octets)
        unmatched = response(request("OPTIONS"), 200)
        unmatched.headers.set("Via", "SIP/2.0/UDP")
        self.layer.message_received(unmatched, self.udp)
        self.assertEqual(readings.moved(), {'refused_total{reason="malformed"}': 4})
        self.assertEqual(self.udp.sent[2:], [])

    def test_nobody(self) -> None:
        """The user may come later."""
        self.layer = Transactions(self.clock)
        self.layer.user = self.user
        self.receive(request("OPTIONS"))
        self.user.transaction.reply(200)
        self.assertEqual(self.udp.summary, [200])

    def test_unreadable_value(self) -> None:
        """400 with a reason that names the header, one To tag for all repeats; 416 for a scheme; nothing is kept."""
        for name, value, reason in (
            ("CSeq", "many OPTIONS", "Bad CSeq"),
            ("CSeq", "1 INFO", "Bad CSeq"),
            ("To", '"a <sip:a@b>', "Bad To"),
            ("Via", "SIP/2.0/UDP", "Bad Via"),
        ):
            broken = request("OPTIONS")
            broken.headers.set(name, value)
            self.receive(broken)
            self.receive(broken)
            self.assertEqual(
                [message.split(b"\r\n")[0] for message in self.udp.sent], [f"SIP/2.0 400 {reason}".encode()] * 2
            )
            self.assertEqual(self.udp.sent[0], self.udp.sent[1])
            self.udp.clear()
        self.receive(request("OPTIONS", "mailto:a@b"))
        self.assertEqual(self.udp.summary, [416])
        self.assertEqual((self.user.transactions, len(self.layer)), ([], 0))

    def test_unreadable_bytes(self) -> None:
        """Where there is a Via there is an answer, with what else could be read, and the status of the fault."""
        self.bad(self.MINIMAL)
        self.assertEqual(self.udp.sent[0][:24], b"SIP/2.0 400 Missing From")
        full = wire(
            "OPTIONS sip:a@b SIP/7.0\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\nFrom: <sip:a@b>;tag=1\nTo: <sip:a@b>\n"
            "Call-ID: 1\nCSeq: 1 OPTIONS\n"
        )
        self.udp.clear()
        self.bad(full)
        self.assertEqual((self.udp.last_response.status, bool(self.udp.last_response.to.tag)), (505, True))

    def test_silence(self) -> None:
        """None for what has no Via, for a response, for an ACK, for no SIP at all."""
        for data in (
            b"nonsense",
            b"OPTIONS sip:a@b SIP/2.0\r\nX: y\r\n\r\n",
            b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP h\r\n\r\n",
            b"ACK sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\n\r\n",
        ):
            self.bad(data)
        self.layer.bad_message(BadMessage("Bad X", request=Request("ACK", "sip:a@b")), self.udp)
        self.layer.bad_message(BadMessage("Bad X", request=Request("INFO", "sip:a@b")), self.udp)
        self.assertEqual(self.udp.sent, [])

    def test_no_way(self) -> None:
        """A refusal that can't be sent is dropped."""
        asked, transaction = self.arrive("INVITE", self.udp)
        self.udp.broken = True
        self.bad(self.MINIMAL)
        self.receive(twin(asked, via="SIP/2.0/UDP h;branch=z9hG4bKother"))
        self.receive(cancel(asked))
        self.assertEqual(self.udp.sent, [])
        transaction.reply(486)

    def test_user_fails_to_admit(self) -> None:
        """An exception in the user's `admits` is logged, for good and bad messages, and means silence."""
        self.user.admits = lambda request, flow: 1 / 0  # type: ignore[assignment,method-assign]
        self.receive(request("OPTIONS"))
        self.bad(self.MINIMAL)
        self.assertEqual((len(self.flushLoggedErrors(ZeroDivisionError)), self.udp.sent), (2, []))

    def test_user_reads_badly(self) -> None:
        """A header that nobody can read is no fault of the user's `admits`: 400, or silence."""

        def unreadable(request: Request, flow: object) -> bool:
            raise BadMessage("Bad X")

        self.user.admits = unreadable  # type: ignore[assignment,method-assign]
        self.receive(request("OPTIONS"))
        self.assertEqual(self.udp.sent, [])


class Wall(TransactionCase):
    """One bad message never harms another."""

    def test_user_fails(self) -> None:
        """500, and a log line with the call; the next message is served."""
        self.user.on_request = lambda transaction: 1 / 0
        for method in ("INVITE", "INFO"):
            asked = request(method)
            self.receive(asked)
            self.assertEqual(self.udp.summary, [500])
            self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
            self.udp.clear()
        self.user.on_request = None
        self.receive(request("OPTIONS"))
        self.user.transaction.reply(200)
        self.assertEqual(self.udp.summary, [200])

    def test_user_fails_after_its_answer(self) -> None:
        """Nothing is sent after the answer that was given."""

        def answer_and_burst(transaction: ServerTransaction) -> None:
            transaction.reply(200)
            raise RuntimeError

        self.user.on_request = answer_and_burst
        with capturedLogs() as events:
            self.receive(request("OPTIONS"))
        self.assertEqual((self.udp.summary, len(events)), ([200], 1))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_bad_header(self) -> None:
        """A header that the user is the first to read and that is broken is the peer's fault: 400 with its name, no
        failure."""

        def read_it(transaction: ServerTransaction) -> None:
            raise BadMessage("Bad Refer-To")

        self.user.on_request = read_it
        self.receive(request("REFER"))
        self.assertEqual((self.udp.summary, self.udp.last_response.reason), ([400], "Bad Refer-To"))

    def test_stop(self) -> None:
        """When the proxy stops no timer is left, and who waits, or comes later, gets FlowLost; who answers does no
        harm, and what arrives is dropped."""
        for flow in (self.udp, self.wss):
            self.arrive("INVITE", flow)
        finals = [self.layer.request(ours(method), flow).final for method in ("INVITE", "INFO") for flow in self.flows]
        self.layer.stop()
        finals.append(self.layer.request(ours("BYE"), self.udp).final)
        for final in finals:
            self.failureResultOf(final, FlowLost)
        self.assertEqual((len(self.layer), self.clock.getDelayedCalls()), (0, []))
        for transaction in self.user.transactions:
            transaction.reply(503)
        self.receive(request("OPTIONS"))
        self.assertEqual((len(self.user.transactions), self.clock.getDelayedCalls()), (2, []))
        self.assertNotIn("BYE", self.udp.summary)
