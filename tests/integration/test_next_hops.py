"""The ways to a trunk with real parts: DNS, several targets, and what is too large for a datagram."""

from __future__ import annotations

from twisted.names import dns

from tests.integration.next_hops import BY_SIPP, CALLED, NextHopsCase
from tests.support.real.case import until
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.ports import LOOPBACK
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import PLAIN_SDP
from webrtcproxy.sip.message import Request


class Several(NextHopsCase):
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
        """The first address is dead: a browser registers and calls by way of the second, Kamailio (corners.rst 4:
        3263)."""
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
        """503, then silence, then the next: the ladder of each; the penalty spares the second call the wait
        (corners.rst 4: 3263 penalty)."""
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
        """CANCEL while the second rings: the first gets nothing more, the second is cancelled, no third is tried."""
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
        """The first answers when the second has: it is ACKed, and gets BYE; the call is the second's."""
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
        where it was opened, with the CSeq of its own INVITE (corners.rst 4: 3263, 4028, 3262 RAck)."""
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
        """NAPTR says TCP: SIPp is called over TCP at the port that SRV has (corners.rst 4: 3263). The log says of
        questions what Twisted insists on, and no more."""
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
        self.assertEqual(["> INVITE sdp", "< 486 INVITE", "> ACK"], self.ladder.of("alice"))


class Pinged(Peer):
    """Answers pings, or does not."""

    answers = True

    def heard(self, data: bytes) -> None:
        super().heard(data)
        latest = self.received[-1]
        if self.answers and isinstance(latest, Request) and latest.method == "OPTIONS":
            self.reply(latest, 200)


class TooLarge(NextHopsCase):
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
        self.assertIn(f"@{invite.via.sent_by}>", invite.headers.get("Contact") or "")
        self.assertGreater(len(invite.to_bytes()), 1300)
        self.assertEqual(self.ladder.of("trunk"), CALLED)
