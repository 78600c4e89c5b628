"""What a browser does that wants too much: floods, many connections, numbers that cost (docs/access.rst: Limits,
Rules)."""

from collections import Counter
from typing import ClassVar

from tests.support.real.case import RealCase
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.softphone import Peer

PREMIUM = (
    "+88212345678", "0088212345678", "01188212345678", "88212345678", "+882-1234-5678", "%2B88212345678",
    "*31%230088212345678", "+493012;npdi;rn=+88212345678", "0900123456", "+1900%205551212",
)  # fmt: skip
"""Numbers that the configuration denies by default, in spellings that a provider would take."""


class LimitsCase(RealCase):
    """A proxy with limits that a test reaches."""

    async def invites(self, trunk: Peer, method: str = "INVITE", status: int = 486) -> int:
        """How many INVITEs have reached the trunk, without their repeats; each is refused."""
        count = 0
        while True:
            try:
                trunk.reply(await trunk.request(method, 1.0), status)
            except AssertionError:
                return count
            count += 1

    async def over_rate(self) -> float:
        """How many requests were refused since there were too many in a minute, by all workers."""
        counted = 'reason="rate_limit"'
        return sum(value for name, value in (await self.proxy.samples()).items() if counted in name)


class Floods(LimitsCase):
    """Rates."""

    changes: ClassVar = (
        ("user-calls-per-minute = 0", "user-calls-per-minute = 20"),
        ("user-registrations-per-minute = 0", "user-registrations-per-minute = 30"),
    )

    async def test_invites(self) -> None:
        """A browser that sends 500 INVITEs at once, and again on another connection: 20 or a few more reach the trunk
        in a minute, the others get 503 with Retry-After."""
        trunk = await self.peer()
        before = await self.over_rate()
        for _ in range(2):
            browser = await self.browser()
            for _ in range(250):
                browser.send(browser.build("INVITE", f"sip:echo@{self.plain}", body=b""))
            self.assertLessEqual(await self.invites(trunk), 24)
            await browser.break_off()
        self.assertGreater(await self.over_rate() - before, 450)

    async def test_guesses(self) -> None:
        """150 REGISTERs with guessed passwords at once: 30 or a few more reach the registrar."""
        before = await self.over_rate()
        browser = await self.browser("bob", password="guess")
        for number in range(150):
            register = browser.registration()
            register.headers.add(
                "Authorization",
                f'Digest username="bob", realm="pbx.test", nonce="x{number}", uri="sip:pbx.test", response="{number}"',
            )
            browser.send(register)
        options = browser.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
        browser.send(options)
        self.assertEqual(200, (await browser.response(options)).status)
        self.assertGreater(await self.over_rate() - before, 110)
        await self.registered("alice")


class CallsToTrunk(LimitsCase):
    """How often a trunk is called."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\ncalls-to-per-minute = 5\n"),)

    async def test_two_users(self) -> None:
        """Of 18 calls of two users 5 reach the trunk, or one more as time passes; the others get 503 with Retry-After
        and a reason. A call through Kamailio, another trunk, is answered by SIPp still."""
        trunk, phones = await self.peer(), [await self.registered(user) for user in PASSWORDS]
        before = await self.over_rate()
        calls = [phone.invite(f"sip:echo@{self.plain}") for phone in phones for _ in range(9)]
        reached = await self.invites(trunk)
        self.assertGreaterEqual(reached, 5)
        self.assertLessEqual(reached, 6 * self.proxy.workers)
        finals = [await calling.final() for calling in calls]
        refused = [final for final in finals if final.status == 503]
        self.assertEqual(Counter(final.status for final in finals), Counter({486: reached, 503: 18 - reached}))
        for final in refused:
            self.assertEqual("Too Many Calls", final.reason)
            self.assertGreater(int(final.headers.get("Retry-After") or 0), 0)
        self.assertEqual(await self.over_rate() - before, len(refused))
        sipp = await self.behind_kamailio("uas")
        caller = await phones[0].invite(f"sip:echo-{sipp.port}@pbx.test").answered()
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()


class MessagesToTrunk(LimitsCase):
    """How many MESSAGEs to numbers a trunk gets."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\nmessages-to-per-minute = 5\n"),)

    async def test_two_users(self) -> None:
        """Of 18 MESSAGEs of two users 5 reach the trunk, or one more as time passes; the others get 503 with
        Retry-After. One to a name reaches it still."""
        trunk, phones = await self.peer(), [await self.registered(user) for user in PASSWORDS]
        text, to = [("Content-Type", "text/plain")], f"sip:+4930123456@{self.plain}"
        sent = [(phone, phone.build("MESSAGE", to, headers=text, body=b"x")) for phone in phones for _ in range(9)]
        for phone, message in sent:
            phone.send(message)
        reached = await self.invites(trunk, "MESSAGE", 202)
        self.assertGreaterEqual(reached, 5)
        self.assertLessEqual(reached, 6 * self.proxy.workers)
        finals = [await phone.response(message) for phone, message in sent]
        self.assertEqual(Counter(final.status for final in finals), Counter({202: reached, 503: 18 - reached}))
        for final in finals:
            if final.status == 503:
                self.assertGreater(int(final.headers.get("Retry-After") or 0), 0)
        named = phones[0].build("MESSAGE", f"sip:echo@{self.plain}", headers=text, body=b"x")
        phones[0].send(named)
        trunk.reply(await trunk.request("MESSAGE"), 200)
        self.assertEqual(200, (await phones[0].response(named)).status)


class Shares(LimitsCase):
    """Calls at once."""

    changes: ClassVar = (("[limits]\n", "[limits]\nuser-calls = 5\n"), ("multiple = yes", "multiple = no"))

    async def test_many_connections(self) -> None:
        """One user with 105 connections has 5 calls; another user at the same address calls still."""
        trunk = await self.peer()
        phones = [await self.registered("alice") for _ in range(105)]
        taken: Counter[int] = Counter()
        for phone in phones:
            calling = phone.invite(f"sip:echo@{self.plain}")
            response = await calling.response(100, 503)
            taken[response.status] += 1
        self.assertEqual(taken, {100: 5, 503: 100})
        bob = await self.registered("bob")
        calling = bob.invite(f"sip:echo@{self.plain}")
        for _ in range(6):
            trunk.reply(await trunk.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)


class Numbers(LimitsCase):
    """Numbers that cost."""

    changes: ClassVar = (("host = 127.0.0.1:@plain@\n", "host = 127.0.0.1:@plain@\nredirects = follow\n"),)

    async def test_premium_numbers(self) -> None:
        """INVITE and MESSAGE to ten spellings of them: 403, and nothing reaches the trunk; another number does."""
        trunk, browser = await self.peer(), await self.browser()
        for number in PREMIUM:
            self.assertEqual(403, (await browser.invite(f"sip:{number}@{self.plain}").final()).status, number)
            message = browser.build("MESSAGE", f"sip:{number}@{self.plain}")
            browser.send(message)
            self.assertEqual(403, (await browser.response(message)).status, number)
        await trunk.silence(0.3)
        calling = browser.invite(f"sip:+4930123456@{self.plain}")
        trunk.reply(await trunk.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)

    async def test_transfer(self) -> None:
        """A REFER in a call with such a target: 403, and the trunk does not learn of it."""
        trunk, browser = await self.peer(), await self.browser()
        caller, callee = await self.connected(browser, trunk)
        for number in PREMIUM:
            refer = caller.send("REFER", [("Refer-To", f"<sip:{number}@{self.plain}>")])
            self.assertEqual(403, (await browser.response(refer)).status, number)
        await trunk.silence(0.3)
        await self.hang_up(caller, callee)

    async def test_redirect(self) -> None:
        """A redirect to such numbers is not followed."""
        trunk, browser = await self.peer(), await self.browser()
        calling = browser.invite(f"sip:echo@{self.plain}")
        contacts = ", ".join(f"<sip:{number}@{self.plain}>" for number in PREMIUM[:5])
        trunk.reply(await trunk.request("INVITE"), 302, headers=[("Contact", contacts)])
        await trunk.request("ACK")
        self.assertEqual(302, (await calling.final()).status)
        await trunk.silence(0.3)
