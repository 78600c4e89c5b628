"""Connected line with SIPp as the trunk, Kamailio, scripted phones and a real rtpengine (RFC 4916, RFC 5876;
field.rst W4: Connected line)."""

from __future__ import annotations

from tests.support.real.case import RealCase
from tests.support.real.dialog import Calling, Dialog
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER, PLAIN_SDP
from webrtcproxy.sip.message import Request, Response

UPDATES = ("Allow", "INVITE, ACK, BYE, CANCEL, UPDATE, PRACK")
IDENTITY = "P-Asserted-Identity"
DAVE = (IDENTITY, '"Dave" <sip:+49303@127.0.0.1>')
ERIN = (IDENTITY, '"Erin" <sip:+49304@127.0.0.1>')


def asserted(message: Request | Response) -> list[str]:
    return message.headers.lines(IDENTITY)


class ConnectedLine(RealCase):
    """Who a browser is connected with, as its trunk says within the call."""

    async def test_out_of_a_browser(self) -> None:
        """Before the answer and after it; the second time in a re-INVITE that changes nothing else. The browser takes
        UPDATE: its session is left alone."""
        sipp = await self.sipp("uas_connected", hold=300)
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}", headers=[UPDATES])
        for identity in (DAVE, ERIN):
            update = await browser.request("UPDATE")
            self.assertEqual(([identity[1]], b""), (asserted(update), update.body))
            browser.reply(update, 200)
            if identity is DAVE:
                answer = await calling.final()
                self.assertEqual([], asserted(answer))
                caller = Dialog.of_caller(browser, calling.invite, answer)
                caller.ack()
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()

    async def test_odd_headers(self) -> None:
        """An identity that JsSIP and SIP.js could not read is newly written (field.rst H: Odd headers)."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}", headers=[UPDATES])
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        for name, odd, written in (
            (IDENTITY, '"N <sip:a@x.test>', '"N" <sip:a@x.test>'),
            (IDENTITY, "sip:b@x.test", "<sip:b@x.test>"),
            ("Remote-Party-ID", "New Name <sip:c@x.test>;;party=called", '"New Name" <sip:c@x.test>;party=called'),
        ):
            self.assertEqual(200, (await callee.ask("UPDATE", [(name, odd)])).status)
            update = await browser.request("UPDATE")
            self.assertEqual([written], update.headers.lines(name))
            browser.reply(update, 200)
        await self.hang_up(caller, callee)

    async def test_without_update(self) -> None:
        """A browser that takes no UPDATE: the 200 has the first one, and a re-INVITE with the same session the second
        one."""
        sipp = await self.sipp("uas_connected", hold=300)
        browser = await self.browser()
        calling = browser.invite(f"sip:echo@{sipp.host}", headers=[("Allow", "INVITE, ACK, BYE, CANCEL")])
        answer = await calling.final()
        self.assertEqual([DAVE[1]], asserted(answer))
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        invite = await browser.request("INVITE")
        self.assertEqual([ERIN[1]], asserted(invite))
        self.assertEqual(answer.body.replace(b"passive", b"actpass").replace(b"active", b"actpass"),
                         invite.body.replace(b"passive", b"actpass"))  # fmt: skip
        browser.reply(invite, 200, body=calling.invite.body.replace(b"actpass", b"passive"))
        await browser.request("ACK")
        self.assertEqual(200, (await caller.bye()).status)
        await sipp.passed()

    async def test_behind_kamailio(self) -> None:
        """A call into a browser through Kamailio: what it sends on crosses, once, and a refresh stays here."""
        browser = await self.registered()
        peer = await self.kamailio_peer()
        calling = peer.invite("sip:alice@pbx.test", headers=[UPDATES])
        invite = await browser.request("INVITE")
        callee = Dialog.of_callee(browser, invite, browser.reply(invite, 200, headers=[UPDATES], body=CHROME_ANSWER))
        caller = await calling.answered()
        await browser.request("ACK")
        for headers in ([UPDATES, DAVE], [UPDATES], [UPDATES, DAVE], [UPDATES, ERIN]):
            self.assertEqual(200, (await caller.ask("UPDATE", headers)).status)
        for identity in (DAVE, ERIN):
            update = await browser.request("UPDATE")
            self.assertEqual([identity[1]], asserted(update))
            browser.reply(update, 200)
        await browser.silence(0.2)
        await self.hang_up(caller, callee)


class Glare(RealCase):
    """A browser, or a trunk, changes the session while the proxy shows it, or the other side, who somebody is, by a
    re-INVITE (RFC 3261 section 14; field.rst X16: Glare of our own)."""

    HELD = CHROME_OFFER.replace(b"sendrecv", b"sendonly").replace(b" 2 IN", b" 3 IN")

    async def test_browser_has_both(self) -> None:
        """The browser holds the call in the moment in which it is asked, and answers that with 491: its own request
        crosses, and it is asked again later. While it is asked, the trunk's request waits, too."""
        browser, trunk = await self.browser(), await self.peer()
        takes_none = [("Allow", "INVITE, ACK, BYE, CANCEL")]
        calling = browser.invite(f"sip:echo@{self.plain}", headers=takes_none)
        callee = trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        self.assertEqual(200, (await callee.ask("UPDATE", [DAVE])).status)
        ours = await browser.request("INVITE")
        self.assertEqual([DAVE[1]], asserted(ours))
        hold = Calling(browser, caller.send("INVITE", takes_none, self.HELD), already_sent=True)
        browser.reply(ours, 491)
        await browser.request("ACK")
        crossed = await trunk.request("INVITE")
        self.assertIn(b"a=sendonly", crossed.body)
        trunk.reply(crossed, 200, body=PLAIN_SDP.replace(b"sendrecv", b"recvonly"))
        await trunk.request("ACK")
        self.assertEqual(200, (await hold.final()).status)
        caller.ack()
        again = await browser.request("INVITE")
        self.assertEqual([DAVE[1]], asserted(again))
        resumed = Calling(trunk, callee.send("INVITE", body=PLAIN_SDP.replace(b" 7 1 ", b" 7 3 ")), already_sent=True)
        await browser.silence(0.3)
        browser.reply(again, 200, body=self.HELD.replace(b"actpass", b"passive"))
        await browser.request("ACK")
        crossed = await browser.request("INVITE")
        browser.reply(crossed, 200, body=CHROME_ANSWER)
        await browser.request("ACK")
        self.assertEqual(200, (await resumed.final()).status)
        callee.ack()
        await self.hang_up(caller, callee)
