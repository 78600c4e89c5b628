"""Names of trunks to addresses (RFC 3263 section 4.2)."""

from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.dns import resolve
from webrtcproxy.transport.dns.resolve import AddressResolver
from webrtcproxy.transport.flow import Address


class FakeReactor(Clock):
    """Keeps the questions; a test answers them."""

    def __init__(self) -> None:
        super().__init__()
        self.nameResolver = self
        self.questions = []

    def resolveHostName(self, receiver, name, *args) -> None:
        receiver.resolutionBegan(None)
        self.questions.append((name, receiver))

    def answer(self, *addresses: str, question: int = -1) -> None:
        """Answer a question, by default the last."""
        receiver = self.questions[question][1]
        for address in addresses:
            kind = IPv6Address if ":" in address else IPv4Address
            receiver.addressResolved(kind("TCP", address, 0))
        receiver.resolutionComplete()


class Resolving(SynchronousTestCase):
    """`AddressResolver.resolve`."""

    def setUp(self) -> None:
        self.reactor = FakeReactor()
        self.resolver = AddressResolver(self.reactor)

    def refused(self, deferred, status: int) -> None:
        """It has failed with this status."""
        self.assertEqual(self.failureResultOf(deferred, Refusal).value.status, status)

    def test_literal(self) -> None:
        """An IP address needs no lookup (RFC 3263 section 4.2); no port is 5060."""
        for host, plain in (("192.0.2.1", "192.0.2.1"), ("[2001:DB8::1]", "2001:db8::1"), ("::1", "::1")):
            self.assertEqual(self.successResultOf(self.resolver.resolve(host, None)), [Address(plain, 5060)])
        self.assertEqual(self.successResultOf(self.resolver.resolve("192.0.2.1", 5070)), [Address("192.0.2.1", 5070)])
        self.assertEqual(self.reactor.questions, [])

    def test_name(self) -> None:
        """All addresses of a name, each once, in the system's order, with the port that was asked for."""
        found = self.resolver.resolve("Trunk.Example.COM.", 5070)
        self.assertNoResult(found)
        self.reactor.answer("2001:db8::1", "192.0.2.1", "2001:db8::1")
        self.assertEqual(self.successResultOf(found), [Address("2001:db8::1", 5070), Address("192.0.2.1", 5070)])
        self.assertEqual(self.reactor.questions[0][0], "trunk.example.com")
        self.assertEqual(self.reactor.getDelayedCalls(), [])

    def test_kept(self) -> None:
        """What was heard is kept for half a minute, for every port."""
        self.resolver.resolve("a.example", 1)
        self.reactor.answer("192.0.2.1")
        self.reactor.advance(resolve.POSITIVE_TTL - 1)
        self.assertEqual(self.successResultOf(self.resolver.resolve("A.example", 2)), [Address("192.0.2.1", 2)])
        self.reactor.advance(1)
        self.assertNoResult(self.resolver.resolve("a.example", 1))
        self.assertEqual(len(self.reactor.questions), 2)

    def test_failure_kept(self) -> None:
        """That there is no such host is kept for five seconds: 502, not our 503 (row "503 from upstream")."""
        first = self.resolver.resolve("nope.example", None)
        self.reactor.answer()
        self.refused(first, 502)
        self.refused(self.resolver.resolve("nope.example", None), 502)
        self.assertEqual(len(self.reactor.questions), 1)
        self.reactor.advance(resolve.NEGATIVE_TTL)
        self.assertNoResult(self.resolver.resolve("nope.example", None))

    def test_reason(self) -> None:
        """The reason names the host, unless that would break the status line."""
        deferred = self.resolver.resolve("nope.invalid", None)
        self.assertEqual(self.failureResultOf(deferred).value.reason, "Cannot Resolve nope.invalid")
        deferred = self.resolver.resolve("a b\r\nc", None)
        self.assertEqual(self.failureResultOf(deferred).value.reason, "Cannot Resolve Host")

    def test_one_lookup(self) -> None:
        """One that asks while a lookup is under way waits for that one."""
        waiting = [self.resolver.resolve("a.example", port) for port in (1, 2, 3)]
        self.assertEqual(len(self.reactor.questions), 1)
        self.reactor.answer("192.0.2.1")
        self.assertEqual([self.successResultOf(found)[0].port for found in waiting], [1, 2, 3])

    def test_never_looked_up(self) -> None:
        """`.invalid`, and what is no name, is not looked up (RFC 7118 section 5; row "Via")."""
        for host in ("x.invalid", "X.INVALID.", "invalid", "a..b c", "", "-a", "a" * 300, "ü.example", "a/b"):
            self.refused(self.resolver.resolve(host, None), 502)
        self.assertEqual(self.reactor.questions, [])

    def test_slow(self) -> None:
        """No request waits longer than five seconds; an answer that comes later is kept all the same."""
        first = self.resolver.resolve("slow.example", None)
        self.reactor.advance(resolve.LOOKUP_TIMEOUT)
        self.refused(first, 502)
        self.refused(self.resolver.resolve("slow.example", None), 502)
        self.assertEqual(len(self.reactor.questions), 1)
        self.reactor.answer("192.0.2.1")
        self.assertEqual(self.successResultOf(self.resolver.resolve("slow.example", 1)), [Address("192.0.2.1", 1)])

    def test_given_up(self) -> None:
        """One that no longer waits disturbs nobody."""
        one, other = (self.resolver.resolve("a.example", port) for port in (1, 2))
        one.addErrback(lambda _: None)
        one.cancel()
        self.reactor.answer("192.0.2.1")
        self.successResultOf(other)

    def test_bounds(self) -> None:
        """Lookups at once, and names that are kept, are bounded: browsers may choose them."""
        for place in range(resolve.MAX_LOOKUPS):
            self.resolver.resolve(f"h{place}.example", None)
        self.refused(self.resolver.resolve("one.more.example", None), 500)
        for place in range(resolve.MAX_LOOKUPS):
            self.reactor.answer("192.0.2.1", question=place)
        for place in range(resolve.MAX_NAMES + 5):
            self.resolver.resolve(f"n{place}.example", None)
            self.reactor.answer("192.0.2.1")
        self.assertEqual(len(self.resolver._answers), resolve.MAX_NAMES)
        self.assertEqual(self.resolver._running, {})

    def test_resolver_fails(self) -> None:
        """A resolver that raises is no address."""
        self.reactor.resolveHostName = lambda *args: 1 / 0
        self.refused(self.resolver.resolve("a.example", None), 502)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.reactor.getDelayedCalls(), [])
