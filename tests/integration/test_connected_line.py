"""Connected line with SIPp as the trunk, Kamailio, scripted phones and a real rtpengine (RFC 4916, RFC 5876;
field.rst W4: Connected line)."""

from __future__ import annotations

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.speech import CHROME_ANSWER
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
