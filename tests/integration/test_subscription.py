"""Subscriptions through the proxy: scripted endpoints, a SIPp as notifier, Kamailio in between."""

from twisted.internet.defer import Deferred

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.part import pause, until
from tests.support.real.ports import free_port
from tests.support.real.softphone import Browser, Peer
from tests.support.real.watching import EVENT, early, grant, notify, subscribe, subscribed, told


class SubscriptionCase(RealCase):
    """Subscriber and notifier. Each test ends its subscriptions."""

    async def watching(self, browser: Browser, box: Peer) -> tuple[Dialog, Dialog]:
        """A browser's subscription at the `plain` trunk: its dialog and the notifier's."""
        browser.send(sent := subscribe(browser, f"sip:box@{self.plain}"))
        notifier = grant(box, await box.request("SUBSCRIBE"))
        subscriber = subscribed(browser, sent, await browser.response(sent, 200))
        await told(notifier, browser)
        return subscriber, notifier

    async def refresh(self, subscriber: Dialog, notifier: Dialog, expires: int) -> None:
        """A refresh that is granted."""
        sent = subscriber.send("SUBSCRIBE", [EVENT, ("Expires", str(expires))])
        heard = await notifier.phone.request("SUBSCRIBE")
        self.assertEqual((heard.call_id, heard.headers.get("Expires")), (notifier.call_id, str(expires)))
        notifier.phone.reply(heard, 200, headers=[("Expires", str(expires))])
        answer = await subscriber.phone.response(sent)
        self.assertEqual((answer.status, answer.headers.get("Expires")), (200, str(expires)))

    async def finish(self, subscriber: Dialog, notifier: Dialog) -> None:
        """The subscriber wants no more."""
        await self.refresh(subscriber, notifier, 0)
        await told(notifier, subscriber.phone, "terminated;reason=timeout")
        self.assertEqual(481, (await subscriber.ask("SUBSCRIBE", [EVENT])).status)


class Outbound(SubscriptionCase):
    """A browser subscribes. (original.rst: SUBSCRIBE, 401 retry; NOTIFY; refresh)"""

    async def test_whole_life(self) -> None:
        """SUBSCRIBE, NOTIFY, refresh, un-SUBSCRIBE, the last NOTIFY."""
        browser, box = await self.browser(), await self.peer()
        subscriber, notifier = await self.watching(browser, box)
        await self.refresh(subscriber, notifier, 900)
        await told(notifier, browser)
        await self.finish(subscriber, notifier)
        asks = ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY"]
        self.assertEqual([*asks * 3, "> SUBSCRIBE", "< 481 SUBSCRIBE"], self.ladder.of("alice"))
        answers = ["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY"]
        self.assertEqual(answers * 3, self.ladder.of("trunk"))

    async def test_sipp(self) -> None:
        """The same with SIPp as the box, which notifies before it answers. (corners.rst 4: 6665)"""
        sipp = await self.sipp("uas_notifier")
        browser = await self.browser()
        browser.send(sent := subscribe(browser, f"sip:box@{self.plain}"))
        states = []

        async def listen() -> None:
            heard = await browser.request("NOTIFY")
            states.append(heard.headers.get("Subscription-State"))
            browser.reply(heard, 200)

        await listen()
        subscriber = subscribed(browser, sent, await browser.response(sent, 200))
        for expires in (300, 0):
            answer = await subscriber.ask("SUBSCRIBE", [EVENT, ("Expires", str(expires))])
            self.assertEqual((answer.status, answer.headers.get("Expires")), (200, str(expires)))
            await listen()
        await sipp.passed()
        self.assertEqual(["pending;expires=600", "active;expires=300", "terminated;reason=timeout"], states)
        first = ["> SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY", "< 200 SUBSCRIBE"]
        then = ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY"]
        self.assertEqual(first + then * 2, self.ladder.of("alice"))

    async def test_by_way_of_a_proxy_that_challenges(self) -> None:
        """Kamailio challenges the browser and stays in the way of all that follows (Record-Route)."""
        browser, box = await self.browser(password="wonderland"), await self.peer(free_port())
        sent = subscribe(browser, f"sip:auth-{box.port}@pbx.test")
        asking = Deferred.fromCoroutine(browser.ask(sent))
        heard = await box.request("SUBSCRIBE")
        self.assertEqual((heard.cseq.number, len(heard.headers.all("Record-Route"))), (2, 1))
        notifier = grant(box, heard)
        subscriber = subscribed(browser, sent, await asking)
        subscriber.cseq = 2
        notifier.phone.proxy = (notifier.phone.proxy[0], self.kamailio.port)  # type: ignore[attr-defined]
        await told(notifier, browser)
        await self.refresh(subscriber, notifier, 900)
        self.assertEqual(2, len(box.requests("SUBSCRIBE")[-1].headers.lines("Via")))
        await self.finish(subscriber, notifier)
        self.assertEqual(["> SUBSCRIBE", "< 407 SUBSCRIBE", "> SUBSCRIBE"], self.ladder.of("alice")[:3])

    async def test_proxys_own_account(self) -> None:
        """A challenge of the trunk whose account the proxy has never gets to the browser."""
        browser, box = await self.browser(), await self.peer(free_port())
        browser.send(sent := subscribe(browser, f"sip:auth-{box.port}@upstream.test"))
        notifier = grant(box, await box.request("SUBSCRIBE"))
        self.assertEqual(200, (await browser.response(sent)).status)
        notifier.phone.proxy = (notifier.phone.proxy[0], self.kamailio.port)  # type: ignore[attr-defined]
        await told(notifier, browser, "terminated")
        rungs = ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY"]
        self.assertEqual(rungs, self.ladder.of("alice"))

    async def test_refused(self) -> None:
        """489 crosses with what could be subscribed to. (corners.rst 4: 6665)"""
        browser, box = await self.browser(), await self.peer()
        browser.send(sent := subscribe(browser, f"sip:box@{self.plain}"))
        box.reply(await box.request("SUBSCRIBE"), 489, headers=[("Allow-Events", "presence")])
        answer = await browser.response(sent)
        self.assertEqual((answer.status, answer.headers.get("Allow-Events")), (489, "presence"))
        self.assertEqual(["> SUBSCRIBE", "< 489 SUBSCRIBE"], self.ladder.of("alice"))
        self.assertEqual(["< SUBSCRIBE", "> 489 SUBSCRIBE"], self.ladder.of("trunk"))

    async def test_watcher_that_has_forgotten(self) -> None:
        """481 to a NOTIFY crosses and ends it; the box gets 481 from the proxy from then on. (corners.rst 4: 6665)"""
        browser, box = await self.browser(), await self.peer()
        _, notifier = await self.watching(browser, box)
        await told(notifier, browser, status=481)
        answer = await box.response(notify(notifier))
        self.assertEqual(481, answer.status)
        await browser.silence(0.2)
        self.assertEqual(
            ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY", "< NOTIFY", "> 481 NOTIFY"],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY", "> NOTIFY", "< 481 NOTIFY", "> NOTIFY",
             "< 481 NOTIFY"],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def test_forked(self) -> None:
        """Two notifiers answer one SUBSCRIBE: two dialogs with the browser, of which it keeps one."""
        browser, box = await self.browser(), await self.peer()
        browser.send(sent := subscribe(browser, f"sip:box@{self.plain}"))
        heard = await box.request("SUBSCRIBE")
        one, two = early(box, heard, "one"), early(box, heard, "two")
        box.reply(heard, 200, tag="one", headers=[("Contact", f"<{box.contact}>"), ("Expires", "600")])
        granted = await browser.response(sent, 200)
        first = await told(one, browser)
        second = await told(two, browser, status=481)
        self.assertEqual(granted.to.tag, first.from_.tag)
        self.assertNotEqual(granted.to.tag, second.from_.tag)
        await told(one, browser)
        await told(one, browser, "terminated")
        self.assertEqual(
            ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY", "< NOTIFY", "> 481 NOTIFY", "< NOTIFY",
             "> 200 NOTIFY", "< NOTIFY", "> 200 NOTIFY"],
            self.ladder.of("alice"),
        )  # fmt: skip


class Inbound(SubscriptionCase):
    """A phone behind Kamailio subscribes at a browser."""

    async def test_whole_life(self) -> None:
        """The browser is the notifier; all the same holds."""
        browser, phone = await self.registered(), await self.kamailio_peer()
        phone.send(sent := subscribe(phone, "sip:alice@pbx.test"))
        heard = await browser.request("SUBSCRIBE")
        self.assertEqual(heard.uri, browser.contact)
        notifier = grant(browser, heard)
        subscriber = subscribed(phone, sent, await phone.response(sent, 200))
        await told(notifier, phone)
        await self.refresh(subscriber, notifier, 900)
        await self.finish(subscriber, notifier)
        rungs = [rung for rung in self.ladder.of("alice") if "REGISTER" not in rung]
        self.assertEqual(["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY"], rungs[:4])

    async def test_not_there(self) -> None:
        """480 where the browser has gone; the registrar still knows it."""
        browser, phone = await self.registered(), await self.kamailio_peer()
        await browser.break_off()
        await pause(0.1)
        phone.send(sent := subscribe(phone, "sip:alice@pbx.test"))
        self.assertEqual(480, (await phone.response(sent)).status)
        self.assertEqual(["> SUBSCRIBE", "< 480 SUBSCRIBE"], self.ladder.of("trunk"))


class Sockets(SubscriptionCase):
    """A browser that comes and goes. (corners.rst 4: 6665 to browsers)"""

    async def back(self, old: Browser) -> Browser:
        """The same browser, registered on a new connection."""
        phone = await self.browser(old.user, password=old.password)
        phone.contact, phone.instance = old.contact, old.instance
        await phone.register()
        return phone

    async def test_moved(self) -> None:
        """NOTIFYs reach it on its new connection, those too that came while it had none."""
        browser, box = await self.registered(), await self.peer()
        subscriber, notifier = await self.watching(browser, box)
        await browser.break_off()
        await pause(0.05)
        sent = notify(notifier, "active;expires=500")
        again = await self.back(browser)
        heard = await again.request("NOTIFY")
        self.assertEqual(heard.headers.get("Subscription-State"), "active;expires=500")
        again.reply(heard, 200)
        self.assertEqual(200, (await box.response(sent)).status)
        subscriber.phone = again
        await told(notifier, again)
        await self.finish(subscriber, notifier)
        self.assertEqual(
            ["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY", "> NOTIFY", "< 200 NOTIFY", "> NOTIFY",
             "< 200 NOTIFY", "< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY"],
            self.ladder.of("trunk"),
        )  # fmt: skip

    async def test_dead_watcher(self) -> None:
        """One that does not come back keeps nobody waiting: others hear at once, and its notifier soon that it need not
        go on."""
        dead, alive, box = await self.browser("dead"), await self.browser(), await self.peer()
        _, to_dead = await self.watching(dead, box)
        subscriber, to_alive = await self.watching(alive, box)
        await dead.break_off()
        await pause(0.05)
        sent = notify(to_dead)
        await told(to_alive, alive)
        ended = await box.request("SUBSCRIBE", 3)  # the grace time of the tests is a second
        self.assertEqual((ended.call_id, ended.headers.get("Expires")), (to_dead.call_id, "0"))
        box.reply(ended, 200)
        self.assertEqual(481, (await box.response(sent)).status)
        await self.finish(subscriber, to_alive)

    async def test_end_of_the_proxy(self) -> None:
        """A proxy that ends says so to both ends."""
        self.proxy_ends = True
        browser, box = await self.browser(), await self.peer()
        await self.watching(browser, box)
        self.proxy.terminate()
        heard = await browser.request("NOTIFY")
        self.assertEqual(heard.headers.get("Subscription-State"), "terminated;reason=deactivated")
        browser.reply(heard, 200)
        ended = await box.request("SUBSCRIBE")
        self.assertEqual(ended.headers.get("Expires"), "0")
        box.reply(ended, 200)
        await until(lambda: not self.proxy.alive, "the proxy has ended")
        self.assertEqual(
            ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY", "< NOTIFY", "> 200 NOTIFY"],
            self.ladder.of("alice"),
        )
        self.assertEqual(
            ["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY", "< SUBSCRIBE", "> 200 SUBSCRIBE"],
            self.ladder.of("trunk"),
        )


class Referrals(SubscriptionCase):
    """REFER outside of a call: a subscription to what comes of it (RFC 3515)."""

    async def refer(self, by: Browser | Peer, to: Browser | Peer, target: str) -> Dialog:
        """It is accepted, and told of until the end: the dialog of the one that has sent it."""
        by.send(sent := by.build("REFER", target, headers=[("Refer-To", "<sip:dave@far.test>")]))
        crossed = await to.request("REFER")
        self.assertEqual("<sip:dave@far.test>", crossed.headers.get("Refer-To"))
        notifier = Dialog.of_callee(to, crossed, to.reply(crossed, 202, headers=[("Contact", f"<{to.contact}>")]))
        subscriber = Dialog.of_caller(by, sent, await by.response(sent, 202))
        for fragment, state in (("100 Trying", "active;expires=60"), ("200 OK", "terminated;reason=noresource")):
            event = ("Event", f"refer;id={crossed.cseq.number}")
            headers = [event, ("Subscription-State", state), ("Content-Type", "message/sipfrag")]
            tells = notifier.send("NOTIFY", headers, f"SIP/2.0 {fragment}\r\n".encode())
            heard = await by.request("NOTIFY")
            self.assertEqual(f"SIP/2.0 {fragment}\r\n".encode(), heard.body)
            self.assertEqual(f"refer;id={sent.cseq.number}", heard.headers.get("Event"))
            self.assertEqual(subscriber.call_id, heard.call_id)
            by.reply(heard, 200)
            self.assertEqual(200, (await to.response(tells)).status)
        return subscriber

    async def test_ladder(self) -> None:
        """Out of a browser to a trunk, and from a trunk to a browser through Kamailio.
        (original.rst: REFER and unknown ones outside of a dialog)"""
        browser, trunk = await self.registered(), await self.peer()
        self.ladder.rungs.clear()
        over = await self.refer(browser, trunk, f"sip:dave@{self.plain}")
        self.assertEqual(481, (await over.ask("SUBSCRIBE", [("Event", "refer")])).status)
        asks = ["> REFER", "< 202 REFER", *["< NOTIFY", "> 200 NOTIFY"] * 2, "> SUBSCRIBE", "< 481 SUBSCRIBE"]
        self.assertEqual(asks, self.ladder.of("alice"))
        self.assertEqual(["< REFER", "> 202 REFER", *["> NOTIFY", "< 200 NOTIFY"] * 2], self.ladder.of("trunk"))
        await self.refer(await self.kamailio_peer(), browser, "sip:alice@pbx.test")
