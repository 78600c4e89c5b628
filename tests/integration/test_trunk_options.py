"""What the section of a trunk says of headers, media and digits, with a scripted browser and trunk on real sockets."""

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.speech import PLAIN_SDP, Message

SENT = [
    ("X-Internal-Id", "1"), ("X-Customer", "4711, a;b"), ("X-Account", "1"), ("User-Agent", "mine"),
    ("P-Asserted-Identity", "<sip:carol@pbx.test>"), ("Privacy", "user"), ("Subject", "Tea \u2615"),
    ("Reason", 'Q.850;cause=16;text="bye"'), ("Warning", '399 x "y"'), ("Retry-After", "9"),
]  # fmt: skip
PCMA = PLAIN_SDP.replace(b"AVP 0 101", b"AVP 8 126").replace(b":0 PCMU", b":8 PCMA").replace(b":101 ", b":126 ")
NAMES = {name for name, _ in SENT}


class Headers(RealCase):
    """`strip`, `set`, `pass-identity` (original.rst: headers to the trunk, headers back)."""

    changes = (
        (
            "host = 127.0.0.1:@plain@",
            "host = 127.0.0.1:@plain@\nstrip = X-Internal-* User-Agent\nset = X-Account: 7\npass-identity = yes",
        ),
    )

    def check(self, message: Message, account: str) -> None:
        """What was sent has crossed but for what the section names."""
        crossed = sorted(pair for pair in message.headers if pair[0] in NAMES)
        wanted = {name: value for name, value in SENT if name not in ("X-Internal-Id", "User-Agent")}
        self.assertEqual(crossed, sorted({**wanted, "X-Account": account}.items()))

    async def test_both_ways(self) -> None:
        """On requests and responses, when a call is set up, within it, and at its end; also a refusal's."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", headers=SENT)
        invite = await trunk.request("INVITE")
        self.check(invite, "7")
        ok = trunk.reply(invite, 200, headers=SENT, body=PLAIN_SDP)
        callee = Dialog.of_callee(trunk, invite, ok)
        answer = await calling.final()
        self.check(answer, "1")
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        await trunk.request("ACK")
        await self.ask(caller, callee, "7", 200)
        await self.ask(callee, caller, "1", 603)
        caller.send("BYE", SENT)
        bye = await callee.hung_up()
        self.check(bye, "7")
        self.assertEqual(
            ["< INVITE sdp", "> 200 INVITE sdp", "< ACK", "< INFO", "> 200 INFO", "> INFO", "< 603 INFO", "< BYE",
             "> 200 BYE"],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def ask(self, asker: Dialog, other: Dialog, account: str, status: int) -> None:
        """An INFO and its answer."""
        info = asker.send("INFO", SENT)
        crossed = await other.phone.request("INFO")
        self.check(crossed, account)
        other.phone.reply(crossed, status, headers=SENT)
        self.check(await asker.phone.response(info), "1")


class Digits(RealCase):
    """`dtmf`, towards a trunk that wants events and from it."""

    changes = (("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\ndtmf = rfc4733\ncodecs = PCMA telephone-event"),)

    async def test_digits(self) -> None:
        """The browser's digits never reach the trunk as INFO: before any audio was heard rtpengine can't play them
        (corners.rst 5: DTMF), and says so; what can't be read is 415. A trunk's INFO crosses."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"), PCMA)
        caller = await calling.answered()
        await trunk.request("ACK")
        relay = [("Content-Type", "application/dtmf-relay")]
        for body, status in ((b"Signal=5\r\nDuration=160\r\n", 488), (b"Signal=\r\n", 415)):
            info = caller.send("INFO", relay, body)
            self.assertEqual(status, (await browser.response(info)).status)
        info = callee.send("INFO", relay, b"Signal=5\r\nDuration=160\r\n")
        crossed = await browser.request("INFO")
        self.assertEqual(crossed.body, info.body)
        browser.reply(crossed, 200)
        self.assertEqual(200, (await trunk.response(info)).status)
        self.assertEqual([], trunk.requests("INFO"))
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 200 INVITE sdp", "> ACK", "> INFO", "< 488 INFO", "> INFO", "< 415 INFO", "< INFO",
             "> 200 INFO", "> BYE", "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_early(self) -> None:
        """So it is with early media; the trunk sees no INFO, and the call is not refused by it."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 183, body=PCMA)
        early = Dialog.of_caller(browser, calling.invite, await calling.response(183))
        info = early.send("INFO", [("Content-Type", "application/dtmf-relay")], b"Signal=5\r\nDuration=160\r\n")
        self.assertEqual(488, (await browser.response(info)).status)
        callee = trunk.accept(invite, PCMA)
        caller = await calling.answered()
        await trunk.request("ACK")
        self.assertEqual([], trunk.requests("INFO"))
        await self.hang_up(caller, callee)
        self.assertEqual(
            ["> INVITE sdp", "< 183 INVITE sdp", "> INFO", "< 488 INFO", "< 200 INVITE sdp", "> ACK", "> BYE",
             "< 200 BYE"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_codecs(self) -> None:
        """The trunk is offered what its section names, when it is called and when the session is changed; it
        answers with a number of its own for events."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        callee = trunk.accept(invite, PCMA)
        caller = await calling.answered()
        await trunk.request("ACK")
        held = caller.send("INVITE", body=calling.invite.body.replace(b"a=sendrecv", b"a=sendonly"))
        again = await trunk.request("INVITE")
        for offer in (invite.body, again.body):
            self.assertRegex(offer, rb"m=audio \d+ RTP/AVP 8 101\r\n")
            self.assertNotIn(b"opus", offer)
        trunk.reply(again, 200, body=PCMA.replace(b"sendrecv", b"recvonly"))
        answer = await browser.response(held)
        self.assertRegex(answer.body, rb"m=audio \d+ UDP/TLS/RTP/SAVPF 8 126\r\n")
        caller.ack()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)
        self.assertEqual([*SET_UP, *SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, *TAKEN, *HUNG_UP], self.ladder.of("trunk"))


class Encrypted(RealCase):
    """`media = srtp`: nothing plain is taken from such a trunk."""

    changes = (("host = 127.0.0.1:@plain@", "host = 127.0.0.1:@plain@\nmedia = srtp"),)

    async def test_plain_answer(self) -> None:
        """The browser is refused, the trunk gets BYE."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        callee = trunk.accept(await trunk.request("INVITE"))
        self.assertEqual(488, (await calling.final()).status)
        await trunk.request("ACK")
        await callee.hung_up()
        self.assertEqual(["> INVITE sdp", "< 488 INVITE", "> ACK"], self.ladder.of("alice"))


class Plain(RealCase):
    """`media = rtp`, which is what holds without a word."""

    async def test_encrypted_call(self) -> None:
        """A trunk that calls with keys gets 488, not an answer that is none."""
        await self.registered()
        trunk = await self.peer()
        body = PLAIN_SDP.replace(b"RTP/AVP", b"RTP/SAVP")
        self.assertEqual(488, (await trunk.invite("sip:alice@pbx.test", body=body).final()).status)
        self.assertEqual(["> INVITE sdp", "< 488 INVITE", "> ACK"], self.ladder.of("trunk"))
