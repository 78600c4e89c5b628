"""Trunks that do what few do (docs/field.rst), with SIPp and Kamailio as the trunk, scripted browsers and rtpengine."""

from __future__ import annotations

from typing import ClassVar, cast

from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import Factory, Protocol

from tests.support.real.case import LAB, RealCase, until
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.ladder import HANGS_UP, SET_UP
from tests.support.real.ports import LOOPBACK
from tests.support.real.sipp import Sipp
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP

HELD = CHROME_OFFER.replace(b"sendrecv", b"sendonly").replace(b" 2 IN", b" 3 IN")


class ChallengeInACallThatCameIn(RealCase):
    """A trunk with an account of the proxy's calls, by way of Kamailio (field.rst A: Challenge in a call that came
    in)."""

    timeout = 90

    async def called(self, scenario: str) -> tuple[Browser, Dialog, Sipp]:
        """A browser that has registered at the trunk, its dialog, and SIPp, which has called it."""
        browser = await self.browser(domain="upstream.test")
        await browser.register()
        sipp = await self.caller(scenario)
        dialog = browser.accept(await browser.request("INVITE"))
        await browser.request("ACK")
        return browser, dialog, sipp

    async def test_hold_refer_and_bye(self) -> None:
        """SIPp verifies the credentials of each; the browser sees no challenge, and hears what SIPp says in the end."""
        browser, dialog, sipp = await self.called("uac_challenges")
        self.assertEqual(200, (await dialog.ask("INVITE", body=HELD)).status)
        dialog.ack()
        self.assertEqual(603, (await dialog.ask("REFER", [("Refer-To", "<sip:bob@upstream.test>")])).status)
        self.assertEqual(200, (await dialog.bye()).status)
        await sipp.passed()
        self.assertFalse({401, 407} & {getattr(message, "status", 0) for message in browser.received})

    async def test_refresh(self) -> None:
        """So it is for the refresh that the proxy sends when half of the session interval is over."""
        _, dialog, sipp = await self.called("uac_refreshed")
        await until(lambda: "UPDATE" in sipp.sent()[-1] and " 200 " in sipp.sent()[-1], "the refresh", 50)
        self.assertEqual(200, (await dialog.bye()).status)
        await sipp.passed()


class ChallengeBesideABrokenOne(RealCase):
    """SIPp challenges twice at once (field.rst I: Challenge beside a broken one)."""

    GOOD = 'Digest realm="trunk.test", nonce="good", algorithm=MD5, qop="auth"'

    async def test_good_one_is_answered(self) -> None:
        """Whatever the other is, before it or after it, in a line of its own or in the same; SIPp verifies."""
        browser = await self.browser()
        for broken in (
            'Digest realm="trunk.test, nonce="x"', 'Digest realm="trunk.test", nonce="x', "Digest realm=, nonce",
            'Digest realm="trunk.test" nonce="x" algorithm=SHA-256', "Digest", 'Digest ="x"',
        ):  # fmt: skip
            for first, second in ((broken, self.GOOD), (self.GOOD, broken)):
                words = {"first": f"WWW-Authenticate: {first}", "second": f"WWW-Authenticate: {second}"}
                await self.call(browser, words)
            await self.call(browser, {"first": f"WWW-Authenticate: {broken}, {self.GOOD}", "second": "X-Line: one"})
            self.ladder.rungs.clear()

    async def call(self, browser: Browser, words: dict[str, str]) -> None:
        sipp = await self.sipp("uas_401_twice", port=LAB.paid, words=words)
        caller = await browser.invite(f"sip:echo@{self.paid}").answered()
        await caller.bye()
        await sipp.passed()
        self.assertEqual([*SET_UP, *HANGS_UP], [rung for rung in self.ladder.of("alice") if " 180 " not in rung][-5:])


class _Stream(Protocol):
    """A TCP connection of the proxy's to the trunk: each message is without a body."""

    def connectionMade(self) -> None:
        self._rest = b""

    def dataReceived(self, data: bytes) -> None:
        *messages, self._rest = (self._rest + data).split(b"\r\n\r\n")
        for message in messages:
            self.factory.trunk.by_tcp.append(message.partition(b" ")[0].lstrip().decode())
            self.factory.trunk.stream = self
            super(Peer, self.factory.trunk).heard(message.lstrip() + b"\r\n\r\n")


class TwoTransports(Peer):
    """A trunk that listens over UDP and TCP.

    :ivar by_tcp: the methods of what has come by TCP.
    """

    def listen(self) -> None:
        super().listen()
        self.by_tcp: list[str] = []
        self.stream: _Stream | None = None
        factory = Factory.forProtocol(_Stream)
        factory.trunk = self
        self._port = cast(IReactorTCP, reactor).listenTCP(self.port, factory, interface=self.host)

    async def close(self) -> None:
        await super().close()
        if self.stream is not None:
            self.stream.transport.loseConnection()
        await maybeDeferred(self._port.stopListening)

    def send_bytes(self, data: bytes, to: tuple[str, int] | None = None) -> None:
        if b"SIP/2.0/TCP" in data.partition(b"\r\n\r\n")[0]:
            assert self.stream is not None
            self.stream.transport.write(data)
        else:
            super().send_bytes(data, to)


class TransportOfTheTarget(RealCase):
    """A trunk that is called by UDP, and wants to go on by TCP (field.rst K: Transport of the target)."""

    changes: ClassVar = (
        ("udp:{sip}:interface=127.0.0.1", "udp:{sip}:interface=127.0.0.1\n  tcp:{sip}:interface=127.0.0.1"),
    )

    async def test_ack_and_bye(self) -> None:
        """ACK and BYE come by TCP where the Contact says so, and by UDP where it says nothing."""
        browser = await self.browser()
        trunk = TwoTransports(LOOPBACK, LAB.plain, self.proxy.address)
        self.addCleanup(trunk.close)
        trunk.ladder = self.ladder
        trunk.listen()
        plain = trunk.contact
        for contact, methods in ((f"{plain};transport=tcp", ["ACK", "BYE"]), (plain, [])):
            trunk.contact = contact
            calling = browser.invite(f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            self.assertEqual("UDP", invite.via.transport)
            trunk.reply(invite, 200, body=PLAIN_SDP)
            caller = await calling.answered()
            await trunk.request("ACK")
            bye = caller.send("BYE")
            trunk.reply(await trunk.request("BYE"), 200)
            self.assertEqual(200, (await browser.response(bye)).status)
            self.assertEqual(methods, trunk.by_tcp)
            trunk.by_tcp.clear()


class GivesUp(RealCase):
    """The callee hangs up before it has answered (field.rst M: Malformed 200)."""

    async def test_early_bye(self) -> None:
        """SIPp rings, and says BYE: that gets 200, its INVITE a CANCEL, and the browser hears 480."""
        sipp, browser = await self.sipp("uas_gives_up"), await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}")
        await calling.response(180)
        self.assertEqual(480, (await calling.final()).status)
        await sipp.passed()


class SeveralTrunksAtOneAddress(RealCase):
    """Kamailio has two domains, and the proxy a section for each (field.rst X12: Several trunks at one address)."""

    changes: ClassVar = (("host = upstream.test\n", "host = upstream.test\nmedia = srtp\nstrip = x-inner\n"),)
    KEY = b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz\r\n"

    async def test_settings_of_the_callee(self) -> None:
        """Alice, who has registered at the one that encrypts, is called with keys, and bob without, whatever domain the
        caller names; the other way round it is 488. Headers cross as the section of the callee has it."""
        alice, bob = await self.browser(domain="upstream.test"), await self.registered("bob")
        await alice.register()
        caller = await self.kamailio_peer()
        encrypted = PLAIN_SDP.replace(b"RTP/AVP", b"RTP/SAVP") + self.KEY
        inner = [("X-Inner", "1")]
        for domain in ("pbx.test", "upstream.test"):
            caller.aor = f"sip:carol@{domain}"
            for browser, right, wrong, protocol, crossed in (
                (bob, PLAIN_SDP, encrypted, b"RTP/AVP ", "1"), (alice, encrypted, PLAIN_SDP, b"RTP/SAVP ", None),
            ):  # fmt: skip
                to = f"sip:{browser.user}@{domain}"
                self.assertEqual(488, (await caller.invite(to, body=wrong).final()).status)
                calling = caller.invite(to, body=right, headers=inner)
                invite = await browser.request("INVITE")
                self.assertEqual(crossed, invite.headers.get("X-Inner"))
                called = browser.accept(invite)
                answer = await calling.final()
                self.assertIn(protocol, answer.body)
                dialog = Dialog.of_caller(caller, calling.invite, answer)
                dialog.ack()
                await browser.request("ACK")
                await self.hang_up(dialog, called)


class ReliableWithoutAnOffer(RealCase):
    """A trunk calls without an offer, and requires 100rel (field.rst L: Reliable without an offer)."""

    async def test_nothing_before_the_offer(self) -> None:
        """While the browser rings only, the trunk hears no 18x; the first response with the offer is the 200."""
        browser, caller = await self.registered(), await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test", body=b"", headers=[("Require", "100rel")])
        invite = await browser.request("INVITE")
        browser.reply(invite, 180)
        browser.reply(invite, 183)
        await caller.silence(0.7)
        called = Dialog.of_callee(browser, invite, browser.reply(invite, 200, body=CHROME_OFFER))
        answer = await calling.final()
        self.assertIn(b"RTP/AVP", answer.body)
        dialog = Dialog.of_caller(caller, calling.invite, answer)
        dialog.ack(PLAIN_SDP)
        self.assertIn(b"UDP/TLS/RTP/SAVPF", (await browser.request("ACK")).body)
        await self.hang_up(dialog, called)


class OfferAtOnce(RealCase):
    """A trunk changes the session as soon as it has answered (field.rst X9: Offer at once)."""

    CHANGED = PLAIN_SDP.replace(b"sendrecv", b"sendonly").replace(b" 7 1 ", b" 7 2 ")

    async def test_update(self) -> None:
        """UPDATE in the same instant as the 200, while rtpengine is still asked: it crosses, after the ACK."""
        for allow, crosses_as in (("INVITE, ACK, BYE, UPDATE", "UPDATE"), ("INVITE, ACK, BYE", "INVITE")):
            browser, trunk = await self.browser(), await self.peer()
            calling = browser.invite(f"sip:echo@{self.plain}", headers=[("Allow", allow)])
            callee = trunk.accept(await trunk.request("INVITE"))
            update = callee.send("UPDATE", body=self.CHANGED)
            caller = await calling.answered()
            await trunk.request("ACK")
            crossed = await browser.request(crosses_as)
            self.assertIn(b"a=sendonly", crossed.body)
            browser.reply(crossed, 200, body=CHROME_ANSWER.replace(b"sendrecv", b"recvonly"))
            answer = await trunk.response(update)
            self.assertEqual(200, answer.status)
            self.assertIn(b"a=recvonly", answer.body)
            await self.hang_up(callee, caller)
            await trunk.close()


class SilentTrunk(RealCase):
    """A PBX that sends nothing any more, and that perhaps was started again (field.rst X13: Silence)."""

    timeout = 120
    changes: ClassVar = (("grace = 1\n", "grace = 1\nsilence = 2\n"),)

    async def test_knows_no_such_call(self) -> None:
        """At the second look, after a minute, rtpengine has had no packet of it: it is asked for a sign of life, says
        that it knows no such call, and the browser gets a BYE."""
        browser, trunk = await self.browser(), await self.peer()
        caller, _ = await self.connected(browser, trunk)
        trunk.reply(await trunk.request("OPTIONS", 100), 481)
        bye = await caller.hung_up()
        self.assertEqual('SIP;cause=481;text="Dialog Terminated"', bye.headers.get("Reason"))


class FaultOfAPeer(RealCase):
    """Descriptions that nobody can read (field.rst N: Fault of a peer in the log)."""

    async def test_no_error(self) -> None:
        """488 for a first offer and a later one, of a browser and of a trunk; in the log is no warning and no error."""
        alice, trunk = await self.registered(), await self.kamailio_peer()
        since = self.proxy.log_size()
        calling = trunk.invite("sip:alice@pbx.test")
        called = alice.accept(await alice.request("INVITE"))
        caller = await calling.answered()
        await alice.request("ACK")
        for body in (b"v=0\r\n", b"m=audio x\r\n", b"\0" * 50):
            for calling in (
                trunk.invite("sip:alice@pbx.test", body=body),
                alice.invite(f"sip:echo@{self.plain}", body=body),
                Calling(trunk, caller.send("INVITE", body=body), already_sent=True),
                Calling(alice, called.send("INVITE", body=body), already_sent=True),
            ):
                self.assertEqual(488, (await calling.final()).status, body)
        await self.hang_up(caller, called)
        await until(lambda: "call over" in self.proxy.log(since), "the log")
        log = self.proxy.log(since)
        self.assertIn("could not be set up", log)
        self.assertIn("could not be changed", log)
        self.assertNotRegex(log, "#(warn|error|critical)")
