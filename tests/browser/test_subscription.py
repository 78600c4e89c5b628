"""MESSAGE and subscriptions as JsSIP and SIP.js do them in Chromium, through the proxy and Kamailio."""

from __future__ import annotations

from tests.browser.case import BrowserCase, Phone
from tests.support.real.dialog import Dialog
from tests.support.real.ports import free_port
from tests.support.real.softphone import Peer
from tests.support.real.watching import grant, notify

BODY = b"Messages-Waiting: yes\r\n"


class Chat(BrowserCase):
    """Two pages write to each other. (corners.rst 4: 3428 MESSAGE)"""

    async def test_both_ways(self) -> None:
        """What one page sends the other shows, and each learns that it has arrived."""
        alice, bob = await self.registered_phone("jssip", "alice"), await self.registered_phone("sipjs", "bob")
        for one, other in ((alice, bob), (bob, alice)):
            await one.do("message", f"sip:{other.user}@pbx.test", f"grüße, {other.user}")
            heard = await other.event("message")
            self.assertEqual(heard["body"], f"grüße, {other.user}")
            self.assertEqual(heard["from"], f"sip:{one.user}@pbx.test")
            self.assertEqual(200, (await one.event("messageSent"))["code"])

    async def test_refused(self) -> None:
        """Nobody is there: the page gets what Kamailio says."""
        for library in ("jssip", "sipjs"):
            phone = await self.registered_phone(library)
            await phone.do("message", "sip:bob@pbx.test", "hello")
            self.assertEqual(404, (await phone.event("messageFailed"))["code"])

    async def test_to_a_trunk(self) -> None:
        """With either library the text reaches the trunk octet for octet, with its type, and what the trunk says to it
        the page: no 200 is made up (original.rst: out of dialog, MESSAGE)."""
        trunk, text = await self.peer(), "Grüße, \u4f60\u597d \U0001f44b"
        for library in ("jssip", "sipjs"):
            phone = await self.phone(library)
            for status, reason, event in ((202, "Stored", "messageSent"), (488, "No Such Words", "messageFailed")):
                await phone.do("message", f"sip:echo@{self.plain}", text)
                message = await trunk.request("MESSAGE")
                self.assertEqual((text, "text/plain"), (message.body.decode(), message.content_type))
                trunk.reply(message, status, reason)
                heard = await phone.event(event)
                self.assertEqual((status, reason), (heard["code"], heard["reason"]))
        self.assertEqual(["< MESSAGE", "> 202 MESSAGE", "< MESSAGE", "> 488 MESSAGE"] * 2, self.ladder.of(trunk.user))


class Subscribes(BrowserCase):
    """A page subscribes at a voice mail box behind Kamailio, which challenges it. (corners.rst 4: 6665)"""

    async def told(self, phone: Phone, notifier: Dialog) -> None:
        """A NOTIFY that the page shows, and answers."""
        sent = notify(notifier, body=BODY)
        heard = await phone.event("notify")
        self.assertEqual((heard["state"], heard["body"]), ("active;expires=600", BODY.decode()))
        self.assertEqual(200, (await notifier.phone.response(sent)).status)

    async def answered(self, box: Peer, notifier: Dialog) -> None:
        """Another SUBSCRIBE of the page's in the same dialog, which is granted."""
        heard = await box.request("SUBSCRIBE")
        self.assertEqual(heard.call_id, notifier.call_id)
        box.reply(heard, 200, headers=[("Expires", heard.headers.get("Expires") or "600")])

    async def whole_life(self, library: str) -> tuple[Phone, int]:
        """407, 200, NOTIFY, refresh, un-SUBSCRIBE, the last NOTIFY: the phone, and what it said to that one."""
        phone, box = await self.phone(library), await self.peer(free_port())
        await phone.do("subscribe", f"sip:auth-{box.port}@pbx.test", "message-summary", 600)
        notifier = grant(box, await box.request("SUBSCRIBE"))
        box.proxy = (box.proxy[0], self.kamailio.port)
        await self.told(phone, notifier)
        await phone.do("refreshSubscription")
        await self.answered(box, notifier)
        await self.told(phone, notifier)
        await phone.do("unsubscribe")
        await self.answered(box, notifier)
        last = notify(notifier, "terminated;reason=timeout", BODY)
        status = (await box.response(last)).status
        await phone.event("subscriptionEnded")
        return phone, status

    async def test_jssip(self) -> None:
        """JsSIP shows the last NOTIFY, too."""
        phone, status = await self.whole_life("jssip")
        self.assertEqual(200, status)
        self.assertEqual("terminated;reason=timeout", (await phone.event("notify"))["state"])

    async def test_sipjs(self) -> None:
        """SIP.js has no dialog any more once its un-SUBSCRIBE is answered, and so says 481 to what comes after it."""
        _, status = await self.whole_life("sipjs")
        self.assertIn(status, (200, 481))

    async def test_ended_by_the_notifier(self) -> None:
        """With either library `terminated` ends it in the page, which says nothing more to the notifier
        (RFC 6665 section 4.4.1)."""
        for library in ("jssip", "sipjs"):
            phone, box = await self.phone(library), await self.peer(free_port())
            await phone.do("subscribe", f"sip:echo-{box.port}@pbx.test", "message-summary", 600)
            notifier = grant(box, await box.request("SUBSCRIBE"))
            box.proxy = (box.proxy[0], self.kamailio.port)
            await self.told(phone, notifier)
            last = notify(notifier, "terminated;reason=noresource", BODY)
            self.assertEqual(200, (await box.response(last)).status)
            await phone.event("subscriptionEnded")
            await box.silence(0.2)

    async def test_refused(self) -> None:
        """With either library the notifier's refusal ends it in the page."""
        trunk = await self.peer()
        for library in ("jssip", "sipjs"):
            phone = await self.phone(library)
            await phone.do("subscribe", f"sip:alice@{self.plain}", "message-summary", 600)
            trunk.reply(await trunk.request("SUBSCRIBE"), 489, headers=[("Allow-Events", "presence")])
            await phone.event("subscriptionEnded")
        self.assertEqual(["< SUBSCRIBE", "> 489 SUBSCRIBE"] * 2, self.ladder.of(trunk.user))
