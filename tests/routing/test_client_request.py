"""A request of the proxy and all that may come of it: tries, CSeq numbers, CANCEL, the end (RFC 3261 section 8.1.3)."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER
from tests.support.fakes import FakeFlow
from tests.support.messages import request
from webrtcproxy.dialog.session_timer import SessionTimer
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.routing.client_request import ClientRequest
from webrtcproxy.routing.failover import NextHops, SentRequest
from webrtcproxy.routing.hop_health import HopHealth
from webrtcproxy.routing.sequence import RequestSequence
from webrtcproxy.runtime.errors import FlowLost, TimedOut
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.sip.message import Request, Response, respond
from webrtcproxy.transaction.deadline import NON_INVITE_DEADLINE
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.flow import Address, Flow, Hop

FIRST, SECOND = "192.0.2.7", "192.0.2.8"


def challenge(nonce: str, **more: str) -> list[tuple[str, str]]:
    params = {"realm": "carrier", "nonce": nonce, "qop": "auth", **more}
    return [("Proxy-Authenticate", str(Challenge("Digest", params)))]


class ClientRequestCase(SynchronousTestCase):
    """`sequence` has counted the first try as 7."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.transactions = Transactions(self.clock)
        self.flows = {host: FakeFlow.udp(host, 5060) for host in (FIRST, SECOND)}
        self.flow = self.flows[FIRST]
        self.sequence = RequestSequence(cseq=7)
        self.timer = SessionTimer(self.clock, 1800)
        self.provisional: list[int] = []
        self.again: list[int] = []
        self.late: list[tuple[SentRequest, int]] = []
        self.retried = 0
        self.wanted = True

    def tearDown(self) -> None:
        self.transactions.stop()
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def flow_to(self, transport: str, address: Address, domain: str = "") -> Flow:
        return self.flows[address.host]

    def on_retry(self) -> bool:
        self.retried += 1
        return self.wanted

    def send(
        self, method: str = "INVITE", *, allowed: bool = True, both: bool = False, body: bytes = b"v=0\r\n"
    ) -> ClientRequest:
        """Send a request with trunk credentials; an INVITE proposes a session interval.

        :param both: to the first server, and then to the second.
        """
        trunk = replace(CARRIER, failover=4.0)
        hops = [Hop.to(host, 5060, "udp") for host in (FIRST, SECOND)]
        invite = method == "INVITE"
        message = request(method, cseq=7, headers=self.timer.proposal() if invite else [], body=body)
        message.headers.remove("Via")
        self.last = ClientRequest(
            self.transactions,
            message,
            self.sequence,
            NextHops(self, HopHealth(self.clock), hops, trunk) if both else self.flow,
            authentication=Authentication(trunk, allowed),
            session_interval=self.timer if invite else None,
            on_retry=self.on_retry,
            on_provisional=lambda response: self.provisional.append(response.status),
            on_answer=lambda response: self.again.append(response.cseq.number),
            on_late_answer=lambda sent, response: self.late.append((sent, response.status)),
        )
        self.addCleanup(self.last.final.addErrback, lambda failure: failure.trap(FlowLost))  # of those that wait still
        return self.last

    def sent(self, method: str = "INVITE", host: str = FIRST) -> list[Request]:
        """What a server was sent of this method."""
        return [one for one in self.flows[host].messages if isinstance(one, Request) and one.method == method]

    def answer(self, status: int, headers: list[tuple[str, str]] | None = None, *, to: Request | None = None) -> None:
        """Answer the last request, or `to`."""
        asked = to or self.sent(self.last.request.method)[-1]
        response = respond(asked, status, "", to_tag="callee", headers=headers or [])
        host = self.last.flow.peer.host
        for name, flow in self.flows.items():
            if any(asked.via == one.via for one in flow.messages):
                host = name
        self.transactions.message_received(response, self.flows[host])

    def outcome(self, sent: ClientRequest) -> int | type[BaseException] | None:
        """The status of the final response, or what `final` failed with; None before that."""
        outcomes: list[int | type[BaseException]] = []
        sent.final.addCallbacks(
            lambda response: outcomes.append(response.status), lambda failure: outcomes.append(failure.type)
        )
        return outcomes[0] if outcomes else None


class Tries(ClientRequestCase):
    """The same request again, with the next CSeq number and a branch of its own (RFC 3261 section 8.1.3.5)."""

    def same(self, one: Request, other: Request) -> None:
        """Both are the same request but for what a try has of its own."""
        self.assertEqual((one.call_id, one.from_, one.to), (other.call_id, other.from_, other.to))
        self.assertEqual((one.uri, one.body), (other.uri, other.body))
        self.assertEqual(len(one.headers.lines("Via")), 1)
        self.assertNotEqual(one.via.branch, other.via.branch)

    def test_challenge(self) -> None:
        """407: with credentials."""
        sent = self.send()
        self.answer(407, challenge("n1"))
        first, second = self.sent()
        self.same(second, first)
        self.assertEqual(second.cseq.number, 8)
        self.assertIn("Proxy-Authorization", second.headers)
        self.answer(200)
        self.assertEqual(self.outcome(sent), 200)
        self.assertEqual((sent.request.via.branch, sent.cseq_numbers), (second.via.branch, [7, 8]))

    def test_interval_too_small(self) -> None:
        """422: with the Min-SE that it names, in place of the interval that was proposed."""
        self.send()
        self.answer(422, [("Min-SE", "3600")])
        first, second = self.sent()
        self.same(second, first)
        self.assertEqual(second.cseq.number, 8)
        self.assertEqual(second.headers.lines("Session-Expires"), ["3600"])
        self.assertEqual(second.headers.lines("Min-SE"), ["3600"])

    def test_both(self) -> None:
        """A 422 after a challenge: the credentials stay, with the next nonce count."""
        self.send()
        self.answer(407, challenge("n1"))
        self.answer(422, [("Min-SE", "3600")])
        third = self.sent()[-1]
        self.assertEqual(third.cseq.number, 9)
        self.assertIn("nc=00000002", third.headers.get("Proxy-Authorization") or "")
        self.assertEqual(len(third.headers.lines("Proxy-Authorization")), 1)

    def test_others_count_meanwhile(self) -> None:
        """Who else sends in the same dialog takes numbers: each is used once, and they only grow."""
        self.send()
        self.assertEqual(self.sequence.next_cseq(), 8)
        self.answer(407, challenge("n1"))
        self.assertEqual(self.sent()[-1].cseq.number, 9)
        self.assertEqual(self.sequence.next_cseq(), 10)

    def test_challenge_is_for_somebody_else(self) -> None:
        """Who may not use the credentials gets the challenge; nothing is sent again."""
        sent = self.send("MESSAGE", allowed=False)
        self.answer(407, challenge("n1"))
        self.assertEqual((self.outcome(sent), len(self.sent("MESSAGE")), self.retried), (407, 1, 0))

    def test_next_server(self) -> None:
        """Another server gets the same CSeq number; its challenge is answered there, though it is the third in a
        row."""
        sent = self.send("MESSAGE", both=True)
        for nonce in ("a1", "a2"):
            self.answer(407, challenge(nonce))
        self.answer(503)
        (there,) = self.sent("MESSAGE", SECOND)
        self.assertEqual(there.cseq.number, 9)
        self.answer(407, challenge("b1"), to=there)
        again = self.sent("MESSAGE", SECOND)[-1]
        self.assertEqual(again.cseq.number, 10)
        self.assertIn('nonce="b1"', again.headers.get("Proxy-Authorization") or "")
        self.answer(202, to=again)
        self.assertEqual((self.outcome(sent), sent.flow), (202, self.flows[SECOND]))


class Ends(ClientRequestCase):
    """What ends it; from then on nothing is sent again."""

    def test_not_wanted(self) -> None:
        """Who made it is asked before each further try, and may have none."""
        sent = self.send()
        self.answer(407, challenge("n1"))
        self.wanted = False
        self.answer(407, challenge("n2"))
        self.assertEqual((self.outcome(sent), len(self.sent()), self.retried), (407, 2, 2))

    def test_cancelled(self) -> None:
        """An INVITE that is taken back: CANCEL of the last try; a challenge that crosses it is not answered."""
        sent = self.send()
        self.answer(407, challenge("n1"))
        self.answer(180)
        sent.cancel([("Reason", "SIP;cause=200")])
        (cancel,) = self.sent("CANCEL")
        self.assertEqual((cancel.cseq.number, cancel.headers.get("Reason")), (8, "SIP;cause=200"))
        self.answer(407, challenge("n2"), to=self.sent()[-1])
        self.assertEqual((self.outcome(sent), len(self.sent()), self.provisional), (407, 2, [180]))

    def test_taken_back(self) -> None:
        """Another request can't be cancelled, but it is not sent again."""
        for status, headers in ((407, challenge("n1")), (503, [])):
            sent = self.send("MESSAGE", both=True)
            sent.cancel()
            self.answer(status, headers)
            self.assertEqual(self.outcome(sent), status)
            self.assertEqual(self.sent("CANCEL"), [])
            self.assertEqual(self.sent("MESSAGE", SECOND), [])

    def test_too_late(self) -> None:
        """Who asked has an answer after 30 s (RFC 4320): no challenge is answered, and no other server tried."""
        for status, headers in ((407, challenge("n1")), (503, [])):
            sent = self.send("MESSAGE", both=True)
            self.answer(100)
            self.clock.advance(NON_INVITE_DEADLINE)
            self.answer(status, headers)
            self.assertEqual(self.outcome(sent), status)
            self.assertEqual(self.sent("MESSAGE", SECOND), [])

    def test_it_may_ring_for_long(self) -> None:
        """An INVITE has no such limit."""
        self.send()
        self.answer(180)
        self.clock.advance(100)
        self.answer(407, challenge("n1"))
        self.assertEqual(len(self.sent()), 2)

    def test_silence(self) -> None:
        """No response to the second try: as to the first."""
        sent = self.send()
        self.answer(407, challenge("n1"))
        for _ in range(64):
            self.clock.advance(0.5)
        self.assertEqual(self.outcome(sent), TimedOut)

    def test_lost(self) -> None:
        """The flow is lost."""
        self.flow.lose()
        self.assertEqual(self.outcome(self.send()), FlowLost)


class FurtherAnswers(ClientRequestCase):
    """2xx to an INVITE after the first (RFC 6026), and after other servers have been tried."""

    def test_repeat(self) -> None:
        """A repeat is heard of, and which try it is to."""
        sent = self.send()
        first = sent.sent
        self.answer(407, challenge("n1"))
        self.answer(200)
        self.answer(200, to=self.sent()[-1])
        self.assertEqual(self.again, [8])
        earlier, last = (respond(one, 200, "", to_tag="x") for one in self.sent())
        self.assertIs(sent.answered_by(earlier), first)
        self.assertIs(sent.answered_by(last), sent.sent)

    def test_never_sent(self) -> None:
        """A 2xx with another CSeq number is to none."""
        sent = self.send()
        self.assertIsNone(sent.answered_by(response_with(self.sent()[0], 6)))

    def test_given_up(self) -> None:
        """A server that was silent for too long, and answers after all: its answer and its flow are told."""
        sent = self.send(both=True)
        self.clock.advance(4)
        (there,) = self.sent(host=SECOND)
        self.answer(200, to=self.sent()[0])
        self.answer(200, to=there)
        ((late, status),) = self.late
        self.assertEqual((late.flow, status), (self.flow, 200))
        self.assertEqual(self.outcome(sent), 200)


def response_with(invite: Request, number: int) -> Response:
    """A 200 like one to `invite`, with another CSeq number."""
    response = respond(invite, 200, "", to_tag="x")
    response.headers.set("CSeq", f"{number} INVITE")
    return response
