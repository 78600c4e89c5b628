"""What is left of scenarios when their last timers have run out: nothing."""

from __future__ import annotations

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.speech import CHROME_ANSWER, PLAIN_SDP
from tests.support.real.watching import EVENT, grant, subscribe, subscribed, told

LAST = 45.0
"""Seconds until the last transaction has ended: 64*T1, and a little."""


class Left(RealCase):
    """A proxy of its own, which has carried all kinds of things."""

    timeout = 120
    changes = (("grace = 1", "grace = 2"),)

    async def test_nothing(self) -> None:
        """Calls that are answered, refused, cancelled and cut off, a delayed offer, a hold, a refused transfer, a
        MESSAGE and a subscription: no call, dialog, subscription, transaction or media session is left of them."""
        browser, trunk = await self.browser(), await self.peer()
        caller, callee = await self.connected(browser, trunk)
        hold = caller.send("INVITE", body=CHROME_ANSWER.replace(b"sendrecv", b"sendonly"))
        trunk.reply(await trunk.request("INVITE"), 200, body=PLAIN_SDP.replace(b"sendrecv", b"recvonly"))
        await trunk.request("ACK")
        await browser.response(hold, 200)
        caller.ack()
        refer = caller.send("REFER", [("Refer-To", f"<sip:carol@{self.plain}>")])
        trunk.reply(await trunk.request("REFER"), 603)
        await browser.response(refer, 603)
        await self.hang_up(caller, callee)

        refused = browser.invite(f"sip:busy@{self.plain}")
        trunk.reply(await trunk.request("INVITE"), 486)
        refused.ack_refusal(await refused.final())

        cancelled = browser.invite(f"sip:slow@{self.plain}")
        rings = await trunk.request("INVITE")
        trunk.reply(rings, 180)
        await cancelled.response(180)
        cancelled.cancel()
        trunk.reply(await trunk.request("CANCEL"), 200)
        trunk.reply(rings, 487)
        cancelled.ack_refusal(await cancelled.final())

        late = browser.invite(f"sip:late@{self.plain}", body=b"")
        there = trunk.accept(await trunk.request("INVITE"))
        here = Dialog.of_caller(browser, late.invite, await late.final())
        here.ack(CHROME_ANSWER)
        await trunk.request("ACK")
        await self.hang_up(there, here)

        said = browser.build("MESSAGE", f"sip:bob@{self.plain}", body=b"hi", content_type="text/plain")
        browser.send(said)
        trunk.reply(await trunk.request("MESSAGE"), 202)
        await browser.response(said, 202)

        browser.send(sent := subscribe(browser, f"sip:box@{self.plain}"))
        notifier = grant(trunk, await trunk.request("SUBSCRIBE"))
        subscriber = subscribed(browser, sent, await browser.response(sent, 200))
        await told(notifier, browser)
        subscriber.send("SUBSCRIBE", [EVENT, ("Expires", "0")])
        trunk.reply(await trunk.request("SUBSCRIBE"), 200, headers=[("Expires", "0")])
        await told(notifier, browser, "terminated;reason=timeout")

        _, callee = await self.connected(browser, trunk)
        await browser.close()
        await callee.hung_up()

        await self.no_media()
        await self.proxy.assert_idle(("active_calls", "dialogs", "subscriptions", "transactions", "ng_pending"), LAST)
