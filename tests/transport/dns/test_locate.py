"""Locating SIP servers (RFC 3263 section 4; corners.rst 4: 3263)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.names import dns
from twisted.names.error import DNSNameError
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.dns.locate import MAX_HOPS, MAX_PLANS, PLAN_TTL, DnsAddresses, Locator, _Plan
from webrtcproxy.transport.dns.records import MAX_LOOKUPS, Records
from webrtcproxy.transport.flow import Address, Hop


class Case(SynchronousTestCase):
    """A `Locator` with a DNS in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.zone: dict[tuple[str, int], list[Any]] = {}
        self.asked: list[str] = []
        self.draws: list[int] = []
        self.records = Records(self.clock, lambda: self)
        self.locator = Locator(self.clock, self.records, DnsAddresses(self.records), {"udp", "tcp", "tls"}, self.draw)

    def draw(self, most: int) -> int:
        return self.draws.pop(0) if self.draws else 0

    def query(self, query: dns.Query, timeout: Sequence[int]) -> Deferred[Any]:
        name = str(query.name)
        self.asked.append(f"{dns.QUERY_TYPES[query.type]} {name}")
        payloads = self.zone.get((name, query.type), [])
        if not payloads:
            return fail(DNSNameError())
        return succeed(([dns.RRHeader(name, query.type, ttl=60, payload=payload) for payload in payloads], [], []))

    def naptr(self, name: str, *records: tuple[int, int, str, str]) -> None:
        for order, preference, service, replacement in records:
            payload = dns.Record_NAPTR(order, preference, b"s", service.encode(), b"", replacement.encode())
            self.zone.setdefault((name, dns.NAPTR), []).append(payload)

    def srv(self, name: str, *records: tuple[int, int, int, str]) -> None:
        self.zone.setdefault((name, dns.SRV), []).extend(dns.Record_SRV(*record) for record in records)

    def a(self, name: str, *addresses: str) -> None:
        for address in addresses:
            kind = (dns.AAAA, dns.Record_AAAA) if ":" in address else (dns.A, dns.Record_A)
            self.zone.setdefault((name, kind[0]), []).append(kind[1](address))

    def found(self, host: str, port: int | None = None, transport: str | None = None) -> list[str]:
        """What is found, as text."""
        return [str(hop) for hop in self.successResultOf(self.locator.resolve(host, port, transport))]

    def refused(self, host: str, port: int | None = None, transport: str | None = None) -> int:
        return self.failureResultOf(self.locator.resolve(host, port, transport), Refusal).value.status


class Steps(Case):
    """Which questions are asked, and which are not."""

    def test_address(self) -> None:
        """An IP address: no question; UDP and 5060, or those of the transport that is given."""
        self.assertEqual(self.found("192.0.2.1"), ["udp:192.0.2.1:5060"])
        self.assertEqual(self.found("[2001:DB8::1]", 5070, "tcp"), ["tcp:[2001:db8::1]:5070"])
        self.assertEqual(self.found("192.0.2.1", None, "tls"), ["tls:192.0.2.1:5061"])
        self.assertEqual(self.found("192.0.2.1", 0), ["udp:192.0.2.1:5060"])
        self.assertEqual(self.asked, [])

    def test_port(self) -> None:
        """A port: no NAPTR and no SRV."""
        self.a("pbx.test", "192.0.2.1")
        self.srv("_sip._udp.pbx.test", (1, 1, 5999, "other.test"))
        self.assertEqual(self.found("pbx.test", 5070), ["udp:192.0.2.1:5070"])
        self.assertEqual(self.found("pbx.test", 5070, "tcp"), ["tcp:192.0.2.1:5070"])
        self.assertEqual(self.asked, ["AAAA pbx.test", "A pbx.test"])

    def test_port_0(self) -> None:
        """Port 0 is none (field.rst S: Port 0)."""
        self.a("other.test", "192.0.2.1")
        self.srv("_sip._udp.pbx.test", (1, 1, 5999, "other.test"))
        self.assertEqual(self.found("pbx.test", 0, "udp"), ["udp:192.0.2.1:5999"])

    def test_transport(self) -> None:
        """A transport: no NAPTR; SRV of this one, else the addresses of the name with its port."""
        self.a("pbx.test", "192.0.2.1")
        for transport, prefix, port in (
            ("udp", "_sip._udp.", 5060),
            ("tcp", "_sip._tcp.", 5060),
            ("tls", "_sips._tcp.", 5061),
        ):
            self.asked.clear()
            self.assertEqual(self.found("pbx.test", None, transport), [f"{transport}:192.0.2.1:{port}"])
            self.assertEqual(self.asked[0], f"SRV {prefix}pbx.test")
            self.assertNotIn("NAPTR pbx.test", self.asked)
        self.srv("_sip._tcp.pbx.test", (1, 1, 5080, "a.pbx.test."))
        self.a("a.pbx.test", "192.0.2.2")
        self.clock.advance(61)
        self.assertEqual(self.found("PBX.test.", None, "tcp"), ["tcp:192.0.2.2:5080"])

    def test_naptr(self) -> None:
        """Neither: NAPTR says which transports there are, by order and preference; what we don't speak is left out."""
        self.naptr(
            "pbx.test",
            (50, 50, "SIP+D2U", "_sip._udp.pbx.test"),
            (10, 20, "SIPS+D2T", "_sips._tcp.pbx.test"),
            (10, 10, "SIP+D2S", "_sip._sctp.pbx.test"),
            (40, 50, "SIP+D2T", "_sip._tcp.elsewhere.test"),
            (1, 1, "E2U+sip", "nothing.test"),
        )
        self.srv("_sips._tcp.pbx.test", (1, 1, 5061, "s.test"))
        self.srv("_sip._tcp.elsewhere.test", (1, 1, 5062, "t.test"))
        self.srv("_sip._udp.pbx.test", (1, 1, 5063, "u.test"))
        for number, name in enumerate("stu", 1):
            self.a(f"{name}.test", f"192.0.2.{number}")
        self.assertEqual(self.found("pbx.test"), ["tls:192.0.2.1:5061", "tcp:192.0.2.2:5062", "udp:192.0.2.3:5063"])
        self.locator = Locator(self.clock, self.records, DnsAddresses(self.records), ["udp"])
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.3:5063"])

    def test_naptr_to_nowhere(self) -> None:
        """A replacement that is no name is not asked for."""
        self.naptr("pbx.test", (1, 1, "SIP+D2T", ""), (1, 2, "SIP+D2T", "x.invalid"), (1, 3, "SIP+D2U", "sip.test"))
        self.srv("sip.test", (1, 1, 5063, "u.test"))
        self.a("u.test", "192.0.2.3")
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.3:5063"])
        self.assertEqual([question for question in self.asked if "SRV" in question], ["SRV sip.test"])

    def test_no_naptr(self) -> None:
        """SRV for each transport that we have, UDP first; TLS is for those that say so."""
        self.srv("_sip._tcp.pbx.test", (1, 1, 5062, "t.test"))
        self.srv("_sip._udp.pbx.test", (1, 1, 5063, "u.test"))
        self.srv("_sips._tcp.pbx.test", (1, 1, 5061, "s.test"))
        self.a("s.test", "192.0.2.1")
        self.a("t.test", "192.0.2.2")
        self.a("u.test", "192.0.2.3")
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.3:5063", "tcp:192.0.2.2:5062"])

    def test_no_srv(self) -> None:
        """Nothing of this: UDP to the addresses of the name, IPv6 first (RFC 3263 section 4.2: AAAA + A)."""
        self.a("pbx.test", "192.0.2.1", "2001:db8::1", "192.0.2.2")
        self.assertEqual(self.found("pbx.test"), ["udp:[2001:db8::1]:5060", "udp:192.0.2.1:5060", "udp:192.0.2.2:5060"])

    def test_never_looked_up(self) -> None:
        """``.invalid`` and what is no name are not looked up at all; ``localhost``, ``.local`` and names without a dot
        have no SRV (corners.rst 2: Via, host `.invalid`)."""
        for host in ("x.invalid", "invalid", "a b.test", "", "x" * 300, "ä.test", "a..", "-"):
            self.assertEqual(self.refused(host), 502, host)
        self.assertEqual(self.asked, [])
        for host in ("localhost", "pbx", "pbx.local", "x.localhost"):
            self.refused(host)
        self.assertEqual({question.partition(" ")[0] for question in self.asked}, {"A", "AAAA"})

    def test_nothing(self) -> None:
        """No such host: 502. So it is where SRV says that there is no such service (RFC 2782), or leads nowhere."""
        self.assertEqual(self.refused("pbx.test"), 502)
        self.srv("_sip._udp.no.test", (0, 0, 0, ""))
        self.a("no.test", "192.0.2.1")
        self.assertEqual(self.refused("no.test"), 502)
        self.srv("_sip._udp.bad.test", (0, 0, 5060, "gone.test"), (0, 0, 5060, "x.invalid"))
        self.assertEqual(self.refused("bad.test"), 502)

    def test_naptr_without_srv(self) -> None:
        """NAPTR says TCP, and there is no SRV: TCP to the addresses of the name."""
        self.naptr("pbx.test", (1, 1, "SIP+D2T", "_sip._tcp.pbx.test"))
        self.a("pbx.test", "192.0.2.1")
        self.assertEqual(self.found("pbx.test"), ["tcp:192.0.2.1:5060"])

    def test_too_much(self) -> None:
        """Where too much is being looked up: 500, and no fault."""
        self.query = lambda *_: Deferred()  # type: ignore[method-assign]
        waiting = [self.locator.resolve(f"x{number}.test", None, "udp") for number in range(MAX_LOOKUPS)]
        self.assertEqual(self.refused("y.test", None, "udp"), 500)
        self.assertEqual(self.refused("y.test", 5060), 500)
        self.assertNoResult(waiting[0])

    def test_domain(self) -> None:
        """A certificate has to name the domain that was asked for, not the server that SRV leads to (RFC 5922 7.3)."""
        self.srv("_sips._tcp.pbx.test", (1, 1, 5061, "s.elsewhere.test"))
        self.a("s.elsewhere.test", "192.0.2.1")
        found = self.successResultOf(self.locator.resolve("pbx.test", None, "tls"))
        self.assertEqual(found, [Hop("tls", Address("192.0.2.1", 5061), "pbx.test")])

    def test_kept(self) -> None:
        """What is known is not asked again, and is there at once."""
        self.srv("_sip._udp.pbx.test", (1, 1, 5063, "u.test"))
        self.a("u.test", "192.0.2.3")
        self.found("pbx.test")
        asked = len(self.asked)
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.3:5063"])
        self.clock.advance(PLAN_TTL + 1)
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.3:5063"])
        self.assertEqual(len(self.asked), asked)
        self.zone["u.test", dns.A] = [dns.Record_A("192.0.2.9")]
        self.clock.advance(61)
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.9:5063"])

    def test_kept_names_are_bounded(self) -> None:
        """Browsers may choose names: what is kept of them has a bound."""
        self.a("x.test", "192.0.2.1")
        for number in range(MAX_PLANS + 10):
            self.locator._plans[f"x{number}.test", None] = self.locator._plans.get(("x.test", None)) or self.plan()
        self.clock.advance(PLAN_TTL + 1)
        self.found("x.test")
        self.assertLessEqual(len(self.locator._plans), MAX_PLANS)

    def plan(self) -> _Plan:
        return _Plan([], 0.0)


class Order(Case):
    """SRV priority and weight (RFC 2782)."""

    def test_priority(self) -> None:
        """By priority, all addresses of each; one without an address is left out, each place stands there once."""
        self.srv(
            "_sip._udp.pbx.test",
            (16, 0, 5060, "c.test"),
            (9, 0, 5060, "gone.test"),
            (9, 0, 5061, "a.test"),
            (30, 0, 5061, "a.test"),
        )
        self.a("a.test", "192.0.2.1", "192.0.2.2")
        self.a("c.test", "192.0.2.3")
        self.assertEqual(self.found("pbx.test"), ["udp:192.0.2.1:5061", "udp:192.0.2.2:5061", "udp:192.0.2.3:5060"])

    def test_weight(self) -> None:
        """Of one priority, those with more weight are first more often, as their weights have it."""
        self.locator = Locator(self.clock, self.records, DnsAddresses(self.records), ["udp"])
        self.srv("_sip._udp.pbx.test", (1, 75, 5060, "a.test"), (1, 25, 5060, "b.test"), (1, 0, 5060, "c.test"))
        for number, name in enumerate("abc", 1):
            self.a(f"{name}.test", f"192.0.2.{number}")
        first = Counter(self.found("pbx.test")[0] for _ in range(1000))
        self.assertGreater(first["udp:192.0.2.1:5060"], 650)
        self.assertLess(first["udp:192.0.2.1:5060"], 850)
        self.assertLess(first["udp:192.0.2.3:5060"], 60)
        self.assertEqual(len(self.found("pbx.test")), 3)

    def test_draws(self) -> None:
        """What is drawn from 0 to the sum of what is left says who is next; those without weight come before."""
        self.srv("_sip._udp.pbx.test", (1, 10, 5060, "a.test"), (1, 30, 5060, "b.test"), (1, 0, 5060, "c.test"))
        for number, name in enumerate("abc", 1):
            self.a(f"{name}.test", f"192.0.2.{number}")
        for draws, order in (([0, 0, 0], "312"), ([1, 0, 0], "132"), ([10, 30, 0], "123"), ([11, 0, 0], "231")):
            self.draws = list(draws)
            self.assertEqual("".join(found[12] for found in self.found("pbx.test")), order, draws)

    def test_many(self) -> None:
        """A name without end: only so many of its servers are looked up."""
        for number in range(30):
            self.srv("_sip._udp.pbx.test", (number, 0, 5060, f"a{number}.test"))
            self.a(f"a{number}.test", f"192.0.2.{number}")
        self.assertEqual(len(self.found("pbx.test")), MAX_HOPS)
