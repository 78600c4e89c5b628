"""DNS records: asked for once at a time, kept for as long as they say (RFC 3263 section 4)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.names import dns
from twisted.names.client import Resolver
from twisted.names.error import DNSNameError, DNSServerError
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.names import DnsServer
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.dns.records import (
    FAILURE_TTL,
    MAX_LOOKUPS,
    MAX_QUESTIONS,
    MAX_RECORDS,
    MAX_TTL,
    MIN_TTL,
    NEGATIVE_TTL,
    Naptr,
    Records,
    Srv,
)


def srv(port: int, *, ttl: int = 60, target: str = "a.example") -> dns.RRHeader:
    """An SRV record."""
    return dns.RRHeader("_sip._udp.x", dns.SRV, ttl=ttl, payload=dns.Record_SRV(1, 2, port, target))


class Asking(SynchronousTestCase):
    """`Records`, with a DNS that the test plays."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.questions: list[tuple[str, int, Deferred[Any]]] = []
        self.begun = 0
        self.records = Records(self.clock, self.begin)

    def begin(self) -> Asking:
        self.begun += 1
        return self

    def query(self, query: dns.Query, timeout: Sequence[int]) -> Deferred[Any]:
        answer: Deferred[Any] = Deferred()
        self.questions.append((str(query.name), query.type, answer))
        return answer

    def answer(self, *records: dns.RRHeader) -> None:
        """Answer the question that was asked last."""
        self.questions[-1][2].callback((list(records), [], []))

    def fail_with(self, error: Exception) -> None:
        self.questions[-1][2].errback(error)

    def test_srv(self) -> None:
        """An answer, the question, and nothing that is not of its kind; the first question makes the resolver."""
        self.assertEqual(self.begun, 0)
        found = self.records.srv("_sip._udp.x")
        self.assertEqual([question[:2] for question in self.questions], [("_sip._udp.x", dns.SRV)])
        cname = dns.RRHeader("_sip._udp.x", dns.CNAME, payload=dns.Record_CNAME("elsewhere"))
        self.answer(cname, srv(5060, target="A.Example"), srv(5062))
        self.assertEqual(self.successResultOf(found), (Srv(1, 2, 5060, "a.example"), Srv(1, 2, 5062, "a.example")))
        self.records.srv("_sip._udp.y")
        self.assertEqual(self.begun, 1)

    def test_once_at_a_time(self) -> None:
        """One that asks the same meanwhile waits for the same answer."""
        one, other = self.records.srv("x"), self.records.srv("x")
        self.answer(srv(1))
        self.assertEqual(self.successResultOf(one), self.successResultOf(other))
        self.assertEqual(len(self.questions), 1)

    def test_time_to_live(self) -> None:
        """The shortest time to live counts, within the proxy's bounds."""
        for ttls, seconds in (((60, 30), 30), ((0,), MIN_TTL), ((10**6,), MAX_TTL)):
            self.records = Records(self.clock, self.begin)
            self.records.srv("x")
            self.answer(*(srv(number, ttl=ttl) for number, ttl in enumerate(ttls)))
            asked = len(self.questions)
            self.clock.advance(seconds - 0.5)
            self.successResultOf(self.records.srv("x"))
            self.clock.advance(1)
            self.assertNoResult(self.records.srv("x"))
            self.assertEqual(len(self.questions), asked + 1)

    def test_none(self) -> None:
        """That there is no such record, or no such name, is kept for a minute."""
        for say in (self.answer, lambda: self.fail_with(DNSNameError())):
            self.records = Records(self.clock, self.begin)
            found = self.records.naptr("x")
            say()
            self.assertEqual(self.successResultOf(found), ())
            self.clock.advance(NEGATIVE_TTL - 1)
            self.assertEqual(self.successResultOf(self.records.naptr("x")), ())
            self.clock.advance(2)
            self.assertNoResult(self.records.naptr("x"))

    def test_no_answer(self) -> None:
        """Where the DNS fails, what was known counts on for half a minute, and nothing where nothing was."""
        for error in (DNSServerError(), TimeoutError(), OSError("no route")):
            self.records = Records(self.clock, self.begin)
            self.records.srv("x")
            self.answer(srv(5070, ttl=10))
            self.clock.advance(11)
            found, other = self.records.srv("x"), None
            self.fail_with(error)
            self.assertEqual(self.successResultOf(found)[0].port, 5070)
            asked = len(self.questions)
            self.clock.advance(FAILURE_TTL - 1)
            self.successResultOf(self.records.srv("x"))
            self.assertEqual(len(self.questions), asked)
            other = self.records.srv("y")
            self.fail_with(error)
            self.assertEqual(self.successResultOf(other), ())

    def test_nobody_waits_twice(self) -> None:
        """A question that got no answer is asked again behind the back of the one that asks next: with names in
        /etc/hosts and no DNS at all, calls do not stand still every half minute."""
        self.records.srv("x")
        self.fail_with(TimeoutError())
        self.clock.advance(FAILURE_TTL + 1)
        self.assertEqual(self.successResultOf(self.records.srv("x")), ())
        self.assertEqual(self.successResultOf(self.records.srv("x")), ())
        self.assertEqual(len(self.questions), 2)
        self.answer(srv(5070))
        self.assertEqual(self.successResultOf(self.records.srv("x"))[0].port, 5070)

    def test_too_many(self) -> None:
        """Browsers may choose names: what is asked at once, and what is kept, is bounded."""
        for number in range(MAX_LOOKUPS):
            self.records.srv(f"x{number}")
        self.assertEqual(self.failureResultOf(self.records.srv("y"), Refusal).value.status, 500)
        for _, _, answer in self.questions:
            answer.callback(([], [], []))
        for number in range(MAX_QUESTIONS + 10):
            self.records.srv(f"z{number}")
            self.answer()
        self.assertLessEqual(len(self.records._answers), MAX_QUESTIONS)

    def test_huge_answer(self) -> None:
        """Of an answer without end, the beginning is read."""
        found = self.records.srv("x")
        self.answer(*(srv(number) for number in range(1000)))
        self.assertEqual(len(self.successResultOf(found)), MAX_RECORDS)

    def test_unreadable(self) -> None:
        """What breaks the reading of an answer is a log line, and no record."""
        found = self.records.srv("x")
        self.answer(dns.RRHeader("x", dns.SRV, payload=None))
        self.assertEqual(self.successResultOf(found), ())
        self.assertEqual(len(self.flushLoggedErrors(AttributeError)), 1)


class Real(TestCase):
    """A DNS server on loopback (twisted.names)."""

    async def test_all_kinds(self) -> None:
        """What the server has is read as it is."""
        server = DnsServer(reactor)
        server.add("pbx.test", dns.Record_NAPTR(10, 20, b"S", b"SIP+D2T", b"", b"_sip._tcp.pbx.test"))
        server.add("_sip._tcp.pbx.test", dns.Record_SRV(1, 2, 5070, b"A.pbx.test"))
        server.add("a.pbx.test", dns.Record_A("192.0.2.1"), dns.Record_A("192.0.2.2"), dns.Record_AAAA("2001:db8::1"))
        port = server.listen()
        self.addCleanup(server.stop)
        records = Records(reactor, lambda: Resolver(servers=[("127.0.0.1", port)], reactor=reactor))
        found = await records.naptr("pbx.test")
        self.assertEqual(found, (Naptr(10, 20, "s", "sip+d2t", "_sip._tcp.pbx.test"),))
        self.assertEqual(await records.srv("_sip._tcp.pbx.test"), (Srv(1, 2, 5070, "a.pbx.test"),))
        self.assertEqual(set(await records.a("a.pbx.test")), {"192.0.2.1", "192.0.2.2"})
        self.assertEqual(await records.aaaa("a.pbx.test"), ("2001:db8::1",))
        self.assertEqual(await records.srv("nothing.pbx.test"), ())
        self.assertEqual(await records.srv("elsewhere.example"), ())

    async def test_large(self) -> None:
        """What does not fit a datagram is asked for again over TCP."""
        write = dns.DNSDatagramProtocol.writeMessage

        def write_what_fits(protocol: dns.DNSDatagramProtocol, message: dns.Message, address: object) -> None:
            if message.answer:
                message.trunc, message.answers = 1, []
            write(protocol, message, address)

        self.patch(dns.DNSDatagramProtocol, "writeMessage", write_what_fits)
        server = DnsServer(reactor)
        server.add("_sip._udp.pbx.test", *(dns.Record_SRV(1, 1, 5060, f"a{number}.pbx.test") for number in range(30)))
        port = server.listen()
        self.addCleanup(server.stop)
        resolver = Resolver(servers=[("127.0.0.1", port)], reactor=reactor)
        records = Records(reactor, lambda: resolver)
        self.assertEqual(len(await records.srv("_sip._udp.pbx.test")), 30)
        self.assertEqual(len(server.asked), 2)
        (connection,) = resolver.connections
        connection.transport.abortConnection()
        await deferLater(reactor, 0.01)

    async def test_alias(self) -> None:
        """A name that is another's has its addresses; names that lead round in a circle have none."""
        server = DnsServer(reactor)
        server.add("sip.pbx.test", dns.Record_CNAME("a.pbx.test"), dns.Record_A("192.0.2.1"))
        server.add("round.pbx.test", dns.Record_CNAME("about.pbx.test"))
        server.add("about.pbx.test", dns.Record_CNAME("round.pbx.test"))
        port = server.listen()
        self.addCleanup(server.stop)
        records = Records(reactor, lambda: Resolver(servers=[("127.0.0.1", port)], reactor=reactor))
        self.assertEqual(await records.a("sip.pbx.test"), ("192.0.2.1",))
        self.assertEqual(await records.a("round.pbx.test"), ())
