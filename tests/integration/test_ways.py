"""The ways to a trunk with real parts: TLS, DNS, several targets, and what is too large for a datagram."""

from __future__ import annotations

import re
import tempfile
from pathlib import Path
from typing import ClassVar

from twisted.internet import reactor
from twisted.internet.ssl import PrivateCertificate
from twisted.names import dns

from tests.support.authority import Authority
from tests.support.names import DnsServer
from tests.support.real.case import RealCase, until
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import PLAIN_SDP
from tests.support.real.stream import StreamPeer
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request

LISTEN = "listen = udp:{sip}:interface=127.0.0.1"
PLAIN = "; SIPp, or a peer that a test scripts\n"
DOMAIN = "secure.test"


CALLED = ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "> BYE", "< 200 BYE"]
"""What an endpoint of `Ways.called` hears and says."""
BY_SIPP = ["> INVITE sdp", "< 180 INVITE", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"]
"""The caller of SIPp's `uas`."""


class Ways(RealCase):
    """A DNS server on loopback, which the proxy asks for all names, and trunk sections of the class's own.

    :cvar sections: the trunks; @place@ stands for a port of the class's.
    :cvar listens: more lines for ``[sip] listen``.
    :cvar workers: processes that carry calls.
    """

    sections: ClassVar[str] = ""
    listens: ClassVar[str] = ""
    workers: ClassVar[str] = "@workers@"
    _ports: ClassVar[dict[str, int]] = {}

    @classmethod
    def port(cls, name: str) -> int:
        """A free port, the same for all tests of this file."""
        return Ways._ports.setdefault(name, free_port())

    @classmethod
    def _filled(cls, text: str) -> str:
        return re.sub(r"@(\w+)@", lambda found: str(cls.port(found[1])), text)

    async def setUp(self) -> None:
        self.names = DnsServer(reactor)
        self.zone()
        self.names.listen(self.port("dns"))
        self.addCleanup(self.names.stop)
        listen = f"{LISTEN}\n {self._filled(self.listens)}\nresolver = {LOOPBACK}:{self.port('dns')}"
        self.changes = (  # type: ignore[misc]
            (LISTEN, listen),
            (PLAIN, f"{self._filled(self.sections)}\n{PLAIN}"),
            ("workers = @workers@", f"workers = {self.workers}"),
        )
        await super().setUp()

    def zone(self) -> None:
        """What the DNS server has."""

    async def called(
        self, browser: Browser, trunk: Peer | StreamPeer, target: str, *headers: tuple[str, str]
    ) -> Request:
        """A whole call out of the browser, answered by this endpoint and ended by it; the INVITE as it came."""
        calling = browser.invite(target, headers=headers)
        invite = await trunk.request("INVITE", 10)
        callee = trunk.accept(invite)
        await calling.answered()
        await trunk.request("ACK")
        bye = callee.send("BYE")
        browser.reply(await browser.request("BYE"), 200)
        self.assertEqual((await trunk.response(bye)).status, 200)
        return invite

    async def log(self, *patterns: str) -> None:
        """Wait until the proxy has logged lines that fit each of these."""
        for pattern in patterns:
            await until(lambda p=pattern: re.search(p, self.proxy.log(self._log_start)), f"logged: {pattern}")  # type: ignore[misc]


class OverTls(Ways):
    """A trunk with TLS, found by SRV, whose certificate has the name of its domain."""

    sections = f"""\
[trunk secure]
host = {DOMAIN}
transport = tls
tls-ca = @authority@
"""
    listens = "tls:@tls@:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem"
    authority: ClassVar[Authority | None] = None

    @classmethod
    def _filled(cls, text: str) -> str:
        if OverTls.authority is None:
            OverTls.authority = Authority(Path(tempfile.mkdtemp(prefix="webrtcproxy-authority-")))
        return super()._filled(text.replace("@authority@", str(OverTls.authority.file)))

    def zone(self) -> None:
        self.names.add(f"_sips._tcp.{DOMAIN}", dns.Record_SRV(1, 1, self.port("trunk"), f"a.{DOMAIN}".encode()))
        self.names.add(f"a.{DOMAIN}", dns.Record_A(LOOPBACK))

    async def trunk(self, *names: str) -> StreamPeer:
        """The trunk, with a certificate for these names."""
        assert OverTls.authority is not None
        key, certificate = OverTls.authority.issue(*(names or (DOMAIN,)))
        peer = StreamPeer(self.port("trunk"), PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes()))
        peer.ladder = self.ladder
        peer.listen()
        self.addCleanup(peer.close)
        return peer

    async def test_call_out(self) -> None:
        """Two calls out, over one connection; Via and Contact tell TLS; the trunk's BYE comes back by it, too."""
        browser, trunk = await self.browser(), await self.trunk()
        for _ in range(2):
            invite = await self.called(browser, trunk, f"sip:bob@{DOMAIN}")
            self.assertEqual((invite.via.transport, invite.via.port), ("TLS", self.port("tls")))
            contact = NameAddr.parse(invite.headers.get("Contact") or "").uri
            self.assertRegex(contact, rf"^sip:[^@]+@127\.0\.0\.1:{self.port('tls')};transport=tls$")
        self.assertEqual(len(trunk.connections), 1)
        self.assertEqual(self.ladder.of("trunk"), CALLED * 2)

    async def test_sips(self) -> None:
        """A sips URI crosses as it is, and has a sips Contact (CORNERS 1: URI schemes); without TLS it is 416."""
        browser, trunk = await self.browser(), await self.trunk()
        invite = await self.called(browser, trunk, f"sips:bob@{DOMAIN}")
        self.assertEqual(invite.uri, f"sips:bob@{DOMAIN}")
        self.assertTrue((invite.headers.get("Contact") or "").startswith("<sips:"))
        final = await browser.invite(f"sips:bob@{self.plain}").final()
        self.assertEqual(final.status, 416)
        self.assertEqual(self.ladder.of("trunk"), CALLED)

    async def test_call_in(self) -> None:
        """A browser registers over TLS, and the trunk calls its Contact by a connection of its own."""
        trunk = await self.trunk()
        browser = Browser("alice", self.proxy.wss, domain=DOMAIN)
        self.addCleanup(browser.close)
        browser.ladder = self.ladder
        await browser.connect()
        register = browser.registration()
        browser.send(register)
        upstream = await trunk.request("REGISTER")
        contact = upstream.headers.get("Contact") or ""
        trunk.reply(upstream, 200, headers=[("Contact", contact)])
        self.assertEqual((await browser.response(register)).status, 200)
        self.assertIn(f":{self.port('tls')};transport=tls", contact)
        await trunk.connect(self.port("tls"))
        calling = trunk.invite(NameAddr.parse(contact).uri)
        browser.accept(await browser.request("INVITE"))
        dialog = await calling.answered()
        await browser.request("ACK")
        bye = dialog.send("BYE")
        browser.reply(await browser.request("BYE"), 200)
        self.assertEqual((await trunk.response(bye)).status, 200)
        self.assertEqual(
            self.ladder.of("trunk"),
            ["< REGISTER", "> 200 REGISTER", "> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"],
        )

    async def test_wrong_certificate(self) -> None:
        """A certificate of another name: 502 for the caller, a log line that says whose and why, and not a word of SIP
        for whoever that is."""
        browser, trunk = await self.browser(), await self.trunk("other.test", f"a.{DOMAIN}")
        final = await browser.invite(f"sip:bob@{DOMAIN}").final()
        self.assertEqual(final.status, 502)
        await self.log(rf"No TLS with {DOMAIN}.*does not name {DOMAIN}")
        self.assertEqual(self.ladder.of("alice"), ["> INVITE sdp", "< 502 INVITE", "> ACK"])
        self.assertEqual(trunk.received, [])

    async def test_unknown_authority(self) -> None:
        """The same where nobody whom we believe has signed it."""
        browser = await self.browser()
        key, certificate = Authority(Path(tempfile.mkdtemp()), "impostor").issue(DOMAIN)
        impostor = StreamPeer(
            self.port("trunk"), PrivateCertificate.loadPEM(certificate.read_bytes() + key.read_bytes())
        )
        impostor.listen()
        self.addCleanup(impostor.close)
        self.assertEqual((await browser.invite(f"sip:bob@{DOMAIN}").final()).status, 502)
        await self.log(rf"No TLS with {DOMAIN}.*certificate verify failed")
        self.assertEqual(impostor.received, [])

    async def test_trunk_goes_away(self) -> None:
        """The connection ends within a call: what comes next goes by a new one, to the same domain, though the Contact
        has the address only."""
        browser, trunk = await self.browser(), await self.trunk()
        calling = browser.invite(f"sip:bob@{DOMAIN}")
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        trunk.connections[-1].abort()
        await until(lambda: not trunk.connections[-1].open, "the connection is gone")
        await pause(0.1)
        bye = caller.send("BYE")
        await callee.hung_up()
        self.assertEqual((await browser.response(bye)).status, 200)
        self.assertEqual(len(trunk.connections), 2)
        self.assertEqual(self.ladder.of("trunk"), ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"])


class OverTlsWithWorkers(OverTls):
    """The same with two processes: the port for TLS is one, the connections out are each one's own."""

    workers = "2"

    async def test_call_out(self) -> None:
        """Calls out by either; each has a connection."""
        browsers, trunk = [await self.browser(f"user{number}") for number in range(6)], await self.trunk()
        for browser in browsers:
            invite = await self.called(browser, trunk, f"sip:bob@{DOMAIN}")
            self.assertEqual((invite.via.transport, invite.via.port), ("TLS", self.port("tls")))
        self.assertIn(len(trunk.connections), (1, 2))


class Several(Ways):
    """Trunks with several targets, of which some are dead."""

    sections = """\
[trunk pair]
host = pair.test
proxy = 127.0.0.1:@dead@ 127.0.0.1:@kamailio@
failover = 1
[trunk scripted]
host = scripted.test
proxy = 127.0.0.1:@one@ 127.0.0.1:@two@
failover = 1
[trunk named]
host = named.test
failover = 1
[trunk woken]
host = woken.test
proxy = 127.0.0.1:@five@ 127.0.0.1:@six@
failover = 1
[trunk strict]
host = strict.test
proxy = 127.0.0.1:@nine@ 127.0.0.1:@ten@
failover = 1
[trunk streamed]
host = streamed.test
[trunk pinged]
host = pinged.test
proxy = 127.0.0.1:@seven@ 127.0.0.1:@eight@
ping = 1
"""
    listens = "tcp:@tcp@:interface=127.0.0.1"

    @classmethod
    def _filled(cls, text: str) -> str:
        kamailio = "@kamailio@"  # the lab's
        return super()._filled(text.replace(kamailio, "KAMAILIO")).replace("KAMAILIO", kamailio)

    def zone(self) -> None:
        self.names.add(
            "_sip._udp.named.test",
            dns.Record_SRV(1, 1, self.port("dead"), b"a.named.test"),
            dns.Record_SRV(2, 1, self.port("three"), b"a.named.test"),
            dns.Record_SRV(3, 1, self.port("four"), b"a.named.test"),
        )
        self.names.add("a.named.test", dns.Record_A(LOOPBACK))
        naptr = dns.Record_NAPTR(1, 1, b"s", b"SIP+D2T", b"", b"_sip._tcp.streamed.test")
        self.names.add("streamed.test", naptr)
        self.names.add("_sip._tcp.streamed.test", dns.Record_SRV(1, 1, self.port("stream"), b"a.streamed.test"))
        self.names.add("a.streamed.test", dns.Record_A(LOOPBACK))

    async def two(self, first: str, second: str) -> tuple[Peer, Peer]:
        """Two servers of a trunk; each test has its own, since the proxy remembers how they fared."""
        one, two = await self.peer(self.port(first)), await self.peer(self.port(second))
        one.user, two.user = "one", "two"
        return one, two

    async def test_kamailio_with_a_dead_neighbour(self) -> None:
        """The first address is dead: a browser registers and calls by way of the second, Kamailio (CORNERS 4: 3263)."""
        browser = Browser("alice", self.proxy.wss, domain="pair.test", password=PASSWORDS["alice"])
        self.addCleanup(browser.close)
        browser.ladder = self.ladder
        await browser.connect()
        response = await browser.register()
        self.assertEqual(response.status, 200)
        sipp = await self.behind_kamailio("uas")
        caller = await browser.invite(f"sip:echo-{sipp.port}@pair.test").answered()
        bye = caller.send("BYE")
        self.assertEqual((await browser.response(bye)).status, 200)
        await sipp.passed()
        registered = ["> REGISTER", "< 401 REGISTER", "> REGISTER", "< 200 REGISTER"]
        self.assertEqual(self.ladder.of("alice"), [*registered, *BY_SIPP])

    async def test_out_of_service(self) -> None:
        """503, then silence, then the next: the ladder of each; the penalty spares the second call the wait (CORNERS 4:
        3263 penalty)."""
        browser = await self.browser()
        one, two = await self.two("one", "two")
        calling = browser.invite("sip:bob@scripted.test")
        first = await one.request("INVITE")
        one.reply(first, 503)
        second = await two.request("INVITE")
        self.assertEqual((second.call_id, second.cseq, second.from_.tag), (first.call_id, first.cseq, first.from_.tag))
        self.assertNotEqual(second.via.branch, first.via.branch)
        callee = two.accept(second)
        caller = await calling.answered()
        await two.request("ACK")
        await self.hang_up(caller, callee)
        self.assertEqual(self.ladder.of("one"), ["< INVITE sdp", "> 503 INVITE", "< ACK"])
        self.assertEqual(self.ladder.of("two"), ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"])
        self.assertEqual(self.ladder.of("alice"), ["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> BYE", "< 200 BYE"])
        await self.called(browser, two, "sip:bob@scripted.test")
        self.assertEqual(len(one.requests("INVITE")), 1)

    async def test_cancelled(self) -> None:
        """CANCEL while the second rings: the first hears nothing more, the second is cancelled, no third is tried."""
        browser = await self.browser()
        one, two = await self.two("three", "four")
        calling = browser.invite("sip:bob@named.test")
        await one.request("INVITE")
        invite = await two.request("INVITE")
        two.reply(invite, 180)
        await calling.response(180)
        calling.cancel()
        two.reply(await two.request("CANCEL"), 200)
        two.reply(invite, 487)
        self.assertEqual((await calling.final()).status, 487)
        await two.request("ACK")
        self.assertEqual(self.ladder.of("one"), ["< INVITE sdp"])
        self.assertEqual(
            self.ladder.of("two"), ["< INVITE sdp", "> 180 INVITE", "< CANCEL", "> 200 CANCEL", "> 487 INVITE", "< ACK"]
        )

    async def test_wakes_up(self) -> None:
        """The first answers when the second has: it is ACKed, and hears BYE; the call is the second's."""
        browser = await self.browser()
        one, two = await self.two("five", "six")
        calling = browser.invite("sip:bob@woken.test")
        late = await one.request("INVITE")
        invite = await two.request("INVITE")
        callee = two.accept(invite)
        caller = await calling.answered()
        await two.request("ACK")
        dialog = one.accept(late)
        await one.request("ACK")
        await dialog.hung_up()
        await self.hang_up(caller, callee)
        self.assertEqual(self.ladder.of("one"), ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE"])

    async def test_second_wants_more(self) -> None:
        """The second wants a longer session, rings reliably and answers; the first wakes up meanwhile. Each dialog goes
        where it was opened, with the CSeq of its own INVITE (CORNERS 4: 3263, 4028, 3262 RAck)."""
        browser = await self.browser()
        one, two = await self.two("nine", "ten")
        calling = browser.invite("sip:bob@strict.test")
        late = await one.request("INVITE")
        two.reply(await two.request("INVITE"), 422, headers=[("Min-SE", "3600")])
        invite = await two.request("INVITE")
        await two.request("ACK")
        self.assertEqual((invite.cseq.number, invite.headers.get("Session-Expires")), (late.cseq.number + 1, "3600"))
        dialog = one.accept(late)
        self.assertEqual((await one.request("ACK")).cseq.number, late.cseq.number)
        await dialog.hung_up()
        one.accept(late)  # as if the ACK had been lost
        await until(lambda: len(one.requests("ACK")) == 2, "the ACK once more")
        self.assertEqual({ack.cseq.number for ack in one.requests("ACK")}, {late.cseq.number})
        two.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "9")], body=PLAIN_SDP)
        prack = await two.request("PRACK")
        self.assertEqual(prack.headers.get("RAck"), f"9 {invite.cseq}")
        two.reply(prack, 200)
        await calling.response(183)
        callee = two.accept(invite)
        caller = await calling.answered()
        self.assertEqual((await two.request("ACK")).cseq.number, invite.cseq.number)
        await self.hang_up(callee, caller)
        rang = ["< INVITE sdp", "> 422 INVITE", "< ACK", "< INVITE sdp", "> 183 INVITE sdp", "< PRACK", "> 200 PRACK"]
        self.assertEqual(self.ladder.of("two"), [*rang, "> 200 INVITE sdp", "< ACK", "> BYE", "< 200 BYE"])
        gone = ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< BYE", "> 200 BYE", "> 200 INVITE sdp"]
        self.assertEqual(self.ladder.of("one"), gone)  # which has no repeats of what the proxy says
        talk = ["> INVITE sdp", "< 183 INVITE sdp", "< 200 INVITE sdp", "> ACK", "< BYE", "> 200 BYE"]
        self.assertEqual(self.ladder.of("alice"), talk)

    async def test_naptr(self) -> None:
        """NAPTR says TCP: SIPp is called over TCP at the port that SRV has (CORNERS 4: 3263). The log says of questions
        what Twisted insists on, and no more."""
        browser = await self.browser()
        sipp = await self.sipp("uas", port=self.port("stream"), tcp=True)
        caller = await browser.invite("sip:bob@streamed.test").answered()
        bye = caller.send("BYE")
        self.assertEqual((await browser.response(bye)).status, 200)
        await sipp.passed()
        self.assertIn(f"Via: SIP/2.0/TCP {LOOPBACK}:{self.port('tcp')};", sipp.received()[0])
        self.assertEqual(self.ladder.of("alice"), BY_SIPP)
        await self.log("call over")
        self.assertNotIn("Starting protocol <twisted.names", self.proxy.log())

    async def test_pinged(self) -> None:
        """A server that answers its pings is up, one that does not is not, says the log; calls go where one is."""
        servers = [Pinged(LOOPBACK, self.port(name), self.proxy.address) for name in ("seven", "eight")]
        for server in servers:
            self.addCleanup(server.close)
            server.listen()
        there = [rf"Trunk pinged: udp:127\.0\.0\.1:{server.port} is there" for server in servers]
        await self.log(*there)
        one, two = servers
        one.answers = False
        await self.log(rf"Trunk pinged: udp:127\.0\.0\.1:{one.port} is out of order: no answer")
        calling = (await self.browser()).invite("sip:bob@pinged.test")
        two.reply(await two.request("INVITE"), 486)
        self.assertEqual((await calling.final()).status, 486)
        self.assertEqual(one.requests("INVITE"), [])


class Pinged(Peer):
    """Answers pings, or does not."""

    answers = True

    def heard(self, data: bytes) -> None:
        super().heard(data)
        latest = self.received[-1]
        if self.answers and isinstance(latest, Request) and latest.method == "OPTIONS":
            self.reply(latest, 200)


class TooLarge(Ways):
    """A trunk that takes by TCP what is too large for a datagram."""

    sections = """\
[trunk both]
host = 127.0.0.1:@both@
transport = udp tcp
"""
    listens = "tcp:@tcp@:interface=127.0.0.1"

    LONG = ("X-Long", "x" * 600)

    async def test_by_tcp(self) -> None:
        """More than 1300 octets (RFC 3261 section 18.1.1); Via and Contact tell TCP."""
        browser = await self.browser()
        sipp = await self.sipp("uas", port=self.port("both"), tcp=True)
        caller = await browser.invite(f"sip:bob@{LOOPBACK}:{self.port('both')}", headers=[self.LONG]).answered()
        bye = caller.send("BYE")
        self.assertEqual((await browser.response(bye)).status, 200)
        await sipp.passed()
        self.assertEqual(self.ladder.of("alice"), BY_SIPP)
        self.assertGreater(len(sipp.received()[0]), 1300)
        self.assertIn(f"Via: SIP/2.0/TCP {LOOPBACK}:{self.port('tcp')};", sipp.received()[0])
        self.assertIn(f"@{LOOPBACK}:{self.port('tcp')};transport=tcp>", sipp.received()[0])

    async def test_tcp_is_refused(self) -> None:
        """Nobody listens there: UDP after all, and Via and Contact say so."""
        browser, trunk = await self.browser(), await self.peer(self.port("both"))
        invite = await self.called(browser, trunk, f"sip:bob@{LOOPBACK}:{self.port('both')}", self.LONG)
        self.assertEqual(invite.via.transport, "UDP")
        self.assertIn(f"@{LOOPBACK}:{self.proxy.sip}>", invite.headers.get("Contact") or "")
        self.assertGreater(len(invite.to_bytes()), 1300)
        self.assertEqual(self.ladder.of("trunk"), CALLED)
