"""The phone page that the proxy serves: users of a domain that is served here log in by the bootstrap document
(docs/page.rst); those of a trunk's registrar by SIP."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import ClassVar, Literal

from tests.browser.test_demo import Page
from tests.support.real.case import RealCase
from tests.support.real.coturn import SECRET
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.lab import LAB
from tests.support.real.part import until
from webrtcproxy.users.passwd import set_password

DOMAIN = "phone.test"
PASSWORD = "paßwort: wunderland"

WATCH = """(() => {
  const [RealConnection, RealSocket] = [window.RTCPeerConnection, window.WebSocket];
  window.offered = [];
  window.RTCPeerConnection = class extends RealConnection {
    constructor(config) { super({ ...config, iceTransportPolicy: "relay" }); }
  };
  window.WebSocket = class extends RealSocket {
    constructor(url, protocols) {
      super(url, protocols);
      window.offered.push([url, ...[protocols].flat()].join(" "));
    }
  };
})()"""
"""Has the page use relay candidates only, which takes ICE servers with credentials; and notes its WebSockets."""


class PhonePage(RealCase):
    """The page at a proxy that serves a domain, and has Kamailio as a trunk with a registrar."""

    timeout = 90
    browser_name: ClassVar[Literal["chromium", "firefox"]] = "chromium"
    wss: ClassVar[str] = "page = yes"

    async def setUp(self) -> None:
        self.users = Path(tempfile.mkdtemp(prefix="webrtcproxy-users-")) / "users"
        for user in ("alice", "bob"):
            set_password(self.users, f"{user}@{DOMAIN}", PASSWORD)
        turn = f"[turn]\nservers = {(await LAB.coturn()).uri()}\nsecret = {SECRET}\n"
        domain = f"[domain {DOMAIN}]\nusers = {self.users}\ntrunk = plain\n"
        self.changes = (
            ("page = no", self.wss), ("origins = *\n", ""), ("[access]\n", f"{domain}\n{turn}\n[access]\n"),
        )  # fmt: skip
        await super().setUp()
        browser = await (LAB.firefox() if self.browser_name == "firefox" else LAB.chromium())
        self.tools = await browser.connect()
        self.addCleanup(self.tools.close)

    async def page(self, name: str = "", password: str = PASSWORD, domain: str = DOMAIN) -> Page:
        """The page in a new tab; where a name is given, with its form sent."""
        page = Page(await self.tools.open(f"https://127.0.0.1:{self.proxy.wss}/", WATCH))
        await page.state("registration", "offline")
        if name:
            for field, value in (("name", name), ("password", password), ("domain", domain)):
                await page.fill(field, value)
            await page.press("register")
        return page

    async def offered(self, page: Page) -> list[list[str]]:
        """The subprotocols that its WebSockets have offered, tokens cut short; no token is in an address."""
        found = []
        for line in await page.tab.run("window.offered"):
            url, *protocols = line.split(" ")
            self.assertEqual(f"wss://127.0.0.1:{self.proxy.wss}/", url)
            found.append([protocol[: len("token.")] for protocol in protocols])
        return found


class ByBootstrap(PhonePage):
    """Users of the domain."""

    async def test_call(self) -> None:
        """alice and bob log in, with tokens, and hear each other through coturn, whose credentials the document has:
        the caller's and the callee's side."""
        alice, bob = await self.page("alice"), await self.page("bob")
        for page in (alice, bob):
            await page.state("registration", "registered")
            self.assertEqual([["sip", "token."]], await self.offered(page))
        await alice.dial("bob")
        await bob.state("call", "incoming")
        await bob.says("peer", "alice")
        await bob.press("answer")
        for page in (alice, bob):
            await page.state("call", "active")
        for page in (alice, bob):
            await page.assert_audio()
        await bob.press("hangup")
        await alice.says("ended", "bob hung up.")
        self.assertEqual([[], []], [alice.tab.console, bob.tab.console])

    async def test_wrong(self) -> None:
        """A wrong password and an unknown user: the same words, and no WebSocket is opened; then the right one."""
        page = await self.page()
        for name in ("alice", "mallory"):
            await page.fill("name", name)
            await page.fill("password", "guess")
            await page.press("register")
            await page.state("registration", "failed")
            await page.says("registration-failure-text", "Wrong name or password.")
        self.assertEqual([], await self.offered(page))
        await page.fill("name", "alice")
        await page.fill("password", PASSWORD)
        await page.press("register")
        await page.state("registration", "registered")

    async def test_restart(self) -> None:
        """The proxy is started again, and its tokens of before are void: the page is registered again by itself."""
        page = await self.page("alice")
        await page.state("registration", "registered")
        self.proxy.terminate()
        await page.state("registration", "lost")
        await until(lambda: not self.proxy.alive, "the end of the proxy")
        await self.proxy.start()
        await page.state("registration", "registered", seconds=30)
        self.assertEqual([["sip", "token."]] * 2, (await self.offered(page))[:2])

    async def test_trunk(self) -> None:
        """With the name of a trunk's registrar in place of the domain, the account there registers by SIP: no password
        is sent to the proxy, and no token is asked for."""
        page = await self.page("alice", PASSWORDS["alice"], "pbx.test")
        await page.state("registration", "registered")
        self.assertEqual([["sip"]], await self.offered(page))
        await page.press("unregister")
        await page.state("registration", "offline")


class ByBootstrapInFirefox(ByBootstrap):
    """In Firefox."""

    browser_name = "firefox"


class WithoutBootstrap(PhonePage):
    """`bootstrap = no`."""

    wss = "page = yes\nbootstrap = no"

    async def test_by_sip(self) -> None:
        """Users of the domain register by SIP with their passwords."""
        page = await self.page("alice")
        await page.state("registration", "registered")
        self.assertEqual([["sip"]], await self.offered(page))


class Elsewhere(PhonePage):
    """The document is at another path."""

    wss = "page = yes\nbootstrap = /api/phone"

    async def test_by_token(self) -> None:
        """The page asks for it there."""
        page = await self.page("alice")
        await page.state("registration", "registered")
        self.assertEqual([["sip", "token."]], await self.offered(page))
