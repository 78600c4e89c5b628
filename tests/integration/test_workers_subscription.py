"""Several workers as one proxy, for all that is no call: what comes by the socket that they share finds its browser and
its subscription, on whichever of them these are."""

from tests.integration.workers import WorkersCase as _WorkersCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import REGISTERED
from tests.support.real.softphone import Browser, Peer
from tests.support.real.watching import EVENT, grant, subscribe, subscribed, told


class Spread(_WorkersCase):
    """Browsers on both workers."""

    async def watching(self, browser: Browser, box: Peer) -> tuple[Dialog, Dialog]:
        """A browser's subscription at the `plain` trunk."""
        browser.send(sent := subscribe(browser, f"sip:box@{self.plain}"))
        notifier = grant(box, await box.request("SUBSCRIBE"))
        subscriber = subscribed(browser, sent, await browser.response(sent, 200))
        return subscriber, notifier

    async def test_requests_outside(self) -> None:
        """MESSAGE and NOTIFY from the registrar reach the browser on its worker; MESSAGE crosses from one worker's
        browser to the other's."""
        browsers = {1: await self.registered_at(1, "alice"), 2: await self.registered_at(2, "bob")}
        caller = await self.kamailio_peer()
        for browser in browsers.values():
            for method in ("MESSAGE", "NOTIFY", "OPTIONS"):
                caller.send(sent := caller.build(method, browser.aor))
                browser.reply(await browser.request(method), 299)
                self.assertEqual(299, (await caller.response(sent)).status)
        browsers[1].send(sent := browsers[1].build("MESSAGE", browsers[2].aor, body=b"hi", content_type="text/plain"))
        browsers[2].reply(await browsers[2].request("MESSAGE"), 202)
        self.assertEqual(202, (await browsers[1].response(sent)).status)
        asked = [rung for method in ("MESSAGE", "NOTIFY", "OPTIONS") for rung in (f"< {method}", f"> 299 {method}")]
        self.assertEqual([*REGISTERED, *asked, "> MESSAGE", "< 202 MESSAGE"], self.ladder.of("alice"))
        self.assertEqual([*REGISTERED, *asked, "< MESSAGE", "> 202 MESSAGE"], self.ladder.of("bob"))

    async def test_notify_by_the_shared_socket(self) -> None:
        """A notifier that sends to the port of all reaches the worker that has the subscription."""
        box = await self.peer()
        for number in (1, 2):
            browser = await self.at(number)
            _, notifier = await self.watching(browser, box)
            contact = box.requests("SUBSCRIBE")[-1].headers.get("Contact") or ""
            self.assertRegex(contact, rf"<sip:{number}-[0-9a-f]{{16}}@")
            await told(notifier, browser)
            await told(notifier, browser, "terminated")
        self.assertEqual(
            ["> SUBSCRIBE", "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY", "< NOTIFY", "> 200 NOTIFY", "> SUBSCRIBE",
             "< 200 SUBSCRIBE", "< NOTIFY", "> 200 NOTIFY", "< NOTIFY", "> 200 NOTIFY"],
            self.ladder.of("alice"),
        )  # fmt: skip

    async def test_trunk_subscribes(self) -> None:
        """A phone behind Kamailio subscribes at a browser, on each of the workers."""
        phone = await self.kamailio_peer()
        for number, user in ((1, "alice"), (2, "bob")):
            browser = await self.registered_at(number, user)
            phone.send(sent := subscribe(phone, browser.aor))
            notifier = grant(browser, await browser.request("SUBSCRIBE"))
            subscriber = subscribed(phone, sent, await phone.response(sent, 200))
            await told(notifier, phone)
            refresh = subscriber.send("SUBSCRIBE", [EVENT, ("Expires", "600")])
            browser.reply(await browser.request("SUBSCRIBE"), 200, headers=[("Expires", "600")])
            self.assertEqual(200, (await phone.response(refresh)).status)
            await told(notifier, phone, "terminated")
            granted = ["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY"]
            self.assertEqual([*REGISTERED, *granted, *granted], self.ladder.of(user))

    async def test_moves_to_the_other(self) -> None:
        """A browser that comes back on the other worker has its subscription still, both ways."""
        browser, box = await self.registered_at(1), await self.peer()
        subscriber, notifier = await self.watching(browser, box)
        await told(notifier, browser)
        again = await self.at(2)
        again.contact, again.instance = browser.contact, browser.instance
        await browser.break_off()
        await again.register()
        await self.all_told()
        await told(notifier, again)
        subscriber.phone = again
        refresh = subscriber.send("SUBSCRIBE", [EVENT, ("Expires", "600")])
        box.reply(await box.request("SUBSCRIBE"), 200, headers=[("Expires", "600")])
        self.assertEqual(200, (await again.response(refresh)).status)
        await told(notifier, again, "terminated")
        self.assertEqual(
            ["< SUBSCRIBE", "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY", "> NOTIFY", "< 200 NOTIFY", "< SUBSCRIBE",
             "> 200 SUBSCRIBE", "> NOTIFY", "< 200 NOTIFY"],
            self.ladder.of("trunk"),
        )  # fmt: skip
