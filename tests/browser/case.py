"""What every test with a browser has in common: phones in tabs, and the proof that they hear each other."""

import json
from typing import Any, ClassVar, Literal

from tests.support.real.case import LAB, RealCase
from tests.support.real.chromium import DevTools, Tab
from tests.support.real.firefox import BiDi, FirefoxTab
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import pause

EVENT_SECONDS = 10.0


class Phone:
    """One of the test pages in a tab of its own; its methods are those of `window.phone`.

    :param library: `jssip`, `sipjs`, or another one that `Pages.url` knows.
    """

    def __init__(self, tab: Tab | FirefoxTab, library: str, user: str) -> None:
        self.tab, self.library, self.user = tab, library, user
        self.counts_sent_energy = isinstance(tab, Tab)

    async def do(self, method: str, *arguments: object) -> Any:
        """Call a method of the page's phone, and wait for its result."""
        return await self.tab.run(f"window.phone.{method}({', '.join(map(json.dumps, arguments))})")

    async def event(self, name: str, seconds: float = EVENT_SECONDS) -> dict[str, Any]:
        """The next event of that name. AssertionError with all that happened instead."""
        event: dict[str, Any] = await self.tab.run(
            f"window.phone.events.next({json.dumps(name)}, {int(seconds * 1000)})"
        )
        return event

    async def events(self) -> list[str]:
        """The names of all events so far."""
        names: list[str] = await self.tab.run("window.phone.events.all.map(event => event.name)")
        return names

    async def register(self) -> dict[str, Any]:
        """Register, and wait for the 200."""
        await self.do("register")
        return await self.event("registered")

    async def assert_audio(self, seconds: float = 10) -> dict[str, Any]:
        """Fail unless sound comes in and goes out: packets grow both ways, and so does the energy of what is heard.

        Chromium's fake microphone beeps once a second, Firefox's hums: the energy is watched until it has risen on both
        sides. Firefox does not count what it sends; there it is what the other end sends back, or counts itself.
        """
        first = await self.do("stats")
        last = first
        least = {name: much for name, much in LEAST.items() if name != "sentEnergy" or self.counts_sent_energy}
        for _ in range(int(seconds / 0.2)):
            await pause(0.2)
            last = await self.do("stats")
            if any((last[name] or 0) < (first[name] or 0) for name in least):
                first = last  # another SSRC, which is counted from zero
            if all((last[name] or 0) > (first[name] or 0) + much for name, much in least.items()):
                self._assert_protected(last)
                return dict(last)
        raise AssertionError(f"{self.user} ({self.library}): no audio both ways within {seconds} s: {first} -> {last}")

    def _assert_protected(self, figures: dict[str, Any]) -> None:
        assert figures["dtls"] == "connected", figures


LEAST = {"received": 20, "sent": 20, "receivedEnergy": 1e-4, "sentEnergy": 1e-4}
"""By how much the figures must grow: packets, and what sum of squares times seconds the getStats calls energy."""


class BrowserCase(RealCase):
    """A RealCase with Chromium, or with Firefox, and the pages.

    :cvar browser_name: `chromium` or `firefox`.
    """

    timeout = 90
    browser_name: ClassVar[Literal["chromium", "firefox"]] = "chromium"

    async def setUp(self) -> None:
        """Start the browser where it does not run yet, and serve the pages."""
        await super().setUp()
        browser = await (LAB.firefox() if self.browser_name == "firefox" else LAB.chromium())
        self.pages = await LAB.pages()
        self.tools: DevTools | BiDi = await browser.connect()
        self.addCleanup(self.tools.close)

    async def phone(self, library: str, user: str = "alice", password: str | None = None, **config: object) -> Phone:
        """A phone in a new tab, connected to the proxy, not registered. The password is the user's own at Kamailio."""
        phone = Phone(await self.tools.open(self.pages.url(library)), library, user)
        config = {
            "server": self.proxy.url, "uri": f"sip:{user}@pbx.test",
            "password": PASSWORDS.get(user, "none") if password is None else password, **config,
        }  # fmt: skip
        self.assertEqual("connected", await phone.do("start", config))
        return phone

    async def is_heard(self, phone: Phone) -> None:
        """The call of a page is answered, sound crosses both ways, and the page hangs up."""
        await phone.event("confirmed")
        await phone.assert_audio()
        await phone.do("hangup")
        await phone.event("ended")

    async def talk(self, caller: Phone, callee: Phone, domain: str) -> None:
        """A page calls another one of its domain, which rings; both are heard, and the other one hangs up."""
        await caller.do("call", f"sip:{callee.user}@{domain}")
        incoming = await callee.event("incoming")
        self.assertIn(f"{caller.user}@{domain}", incoming["from"])
        await callee.do("answer")
        for phone in (callee, caller):
            await phone.event("confirmed")
        for phone in (caller, callee):
            await phone.assert_audio()
        await callee.do("hangup")
        self.assertEqual("remote", (await caller.event("ended"))["by"])

    async def registered_phone(self, library: str, user: str = "alice") -> Phone:
        """A phone that is registered at Kamailio, which challenges it."""
        phone = await self.phone(library, user)
        self.assertEqual(200, (await phone.register())["code"])
        return phone


class MixedCase(BrowserCase):
    """A BrowserCase with Firefox, and with Chromium besides."""

    browser_name = "firefox"

    async def setUp(self) -> None:
        """Start Chromium, too."""
        await super().setUp()
        self._chromium = await (await LAB.chromium()).connect()
        self.addCleanup(self._chromium.close)

    async def chromium_phone(self, library: str, user: str) -> Phone:
        """A phone in Chromium that is registered at Kamailio."""
        firefox, self.tools = self.tools, self._chromium
        try:
            return await self.registered_phone(library, user)
        finally:
            self.tools = firefox
