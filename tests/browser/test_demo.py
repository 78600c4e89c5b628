"""etc/demo.ini as a newcomer uses it: the phone page in Chromium, the demo's registrar and echo, rtpengine spawned."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import TestCase

import webrtcproxy
from tests.support.real.chromium import Tab
from tests.support.real.lab import LAB
from tests.support.real.part import pause
from tests.support.real.ports import free_port
from tests.support.real.proxy import ROOT, Proxy

BUILT = Path(webrtcproxy.__file__).parent / "phone" / "dist" / "index.html"
STATS = """(async () => {
  const figures = { received: 0, sent: 0, energy: 0 };
  for (const report of (await window.phone.call.connection.getStats()).values()) {
    if (report.type === "inbound-rtp") figures.received = report.packetsReceived;
    if (report.type === "inbound-rtp") figures.energy = report.totalAudioEnergy ?? 0;
    if (report.type === "outbound-rtp") figures.sent = report.packetsSent;
  }
  return figures;
})()"""


def demo_proxy() -> Proxy:
    """A proxy with etc/demo.ini, on free ports."""
    text = (ROOT / "etc" / "demo.ini").read_text("utf-8")
    changes = [
        ("ssl:8443:", "ssl:{wss}:"),
        ("udp:5080:", "udp:{sip}:"),
        ("5070", str(free_port())),
        ("../run/tls/", ""),
    ]
    for old, new in changes:
        assert old in text, f"not in etc/demo.ini: {old}"
        text = text.replace(old, new)
    return Proxy(text)


class Page:
    """The phone page in a tab, used by its elements as README.rst beside its sources lists them."""

    def __init__(self, tab: Tab) -> None:
        self.tab = tab

    async def text(self, id_: str) -> str:
        """What an element says; "" where it is hidden."""
        return str(await self.tab.run(f"(e => e.closest('[hidden]') ? '' : e.textContent)({_element(id_)})"))

    async def fill(self, id_: str, value: str) -> None:
        """Write into a field."""
        await self.tab.run(f"{_element(id_)}.value = {json.dumps(value)}")

    async def press(self, id_: str) -> None:
        """Click a button that is there."""
        await self.tab.run(
            f"(e => {{ if (e.closest('[hidden]')) throw Error('hidden'); e.click(); }})({_element(id_)})"
        )

    async def state(self, name: str, *values: str, seconds: float = 10) -> str:
        """Wait until data-NAME of the page is one of the values."""
        for _ in range(int(seconds / 0.05)):
            value = await self.tab.run(f"document.body.dataset.{name}")
            if value in values:
                return str(value)
            await pause(0.05)
        failure = await self.text("failure-text") + await self.text("registration-failure-text")
        raise AssertionError(f"{name} is {value}, not {values}: {failure or 'no failure is shown'}; {self.tab.console}")

    async def says(self, id_: str, text: str, seconds: float = 10) -> None:
        """Wait until an element is there with that text."""
        for _ in range(int(seconds / 0.05)):
            found = await self.text(id_)
            if found == text:
                return
            await pause(0.05)
        raise AssertionError(f"{id_} says {found!r}, not {text!r}; {self.tab.console}")

    async def register(self, name: str) -> None:
        """Register with what the page proposes, as a newcomer does."""
        await self.fill("name", name)
        await self.press("register")
        await self.state("registration", "registered")

    async def dial(self, target: str) -> None:
        """Call somebody."""
        await self.fill("target", target)
        await self.press("dial")

    async def assert_audio(self) -> None:
        """Fail unless packets grow both ways, and the energy of what is heard, within some seconds."""
        first = last = await self._stats()
        for _ in range(40):
            await pause(0.2)
            last = await self._stats()
            if all(last[name] > first[name] + least for name, least in LEAST.items()):
                return
        raise AssertionError(f"no audio both ways: {first} -> {last}")

    async def _stats(self) -> dict[str, Any]:
        figures: dict[str, Any] = await self.tab.run(STATS)
        return figures


LEAST = {"received": 20, "sent": 20, "energy": 1e-4}


def _element(id_: str) -> str:
    return f"document.getElementById({json.dumps(id_)})"


class DemoTest(TestCase):
    timeout = 90

    async def setUp(self) -> None:
        self.assertTrue(BUILT.exists(), "the page is not built: npm ci && npm run build in webrtcproxy/phone")
        chromium = await LAB.chromium()
        self.tools = await chromium.connect()
        self.addCleanup(self.tools.close)
        self.proxy = demo_proxy()
        self.addCleanup(self.proxy.stop)
        await self.proxy.start()

    async def page(self, name: str = "") -> Page:
        """The phone page in a new tab; registered, where a name is given."""
        page = Page(await self.tools.open(f"https://127.0.0.1:{self.proxy.wss}/"))
        await page.state("registration", "offline")
        if name:
            await page.register(name)
        return page

    async def test_newcomer_hears_himself(self) -> None:
        """A name, Register, ``echo``, Call: the newcomer hears himself; digits, mute and hanging up work; the
        console of the page is silent."""
        page = await self.page("alice")
        await page.says("account-name", "alice")
        await page.dial("echo")
        await page.state("call", "ringing", "early")
        await page.state("call", "active")
        await page.assert_audio()
        await page.press("key-4")
        await page.press("key-hash")
        await page.says("sent-digits", "4#")
        await page.press("mute")
        await page.says("state", "In call, muted")
        await page.press("hangup")
        await page.state("call", "idle")
        await page.says("ended", "Call ended.")
        self.assertEqual([], page.tab.console)
        self.proxy.assert_clean()

    async def test_tab_to_tab(self) -> None:
        """A second tab under another name is called, sees who calls, answers, both hear each other; it hangs up."""
        alice, bob = await self.page("alice"), await self.page("bob")
        await alice.dial("bob")
        await bob.state("call", "incoming")
        await bob.says("peer", "alice")
        await alice.state("call", "ringing", "early")
        await bob.press("answer")
        for page in (alice, bob):
            await page.state("call", "active")
        for page in (alice, bob):
            await page.assert_audio()
        await bob.press("hangup")
        await alice.state("call", "idle")
        await alice.says("ended", "bob hung up.")
        self.proxy.assert_clean()

    async def test_says_why(self) -> None:
        """Wrong password, nobody there, rejected, missed: each in words, the SIP status where there is one."""
        bob = await self.page("bob")
        alice = await self.page()
        await alice.fill("name", "alice")
        await alice.fill("password", "wrong")
        await alice.press("register")
        await alice.state("registration", "failed")
        await alice.says("registration-failure-text", "Wrong name or password.")
        await alice.fill("password", "demo")
        await alice.register("alice")
        await alice.dial("nobody")
        await alice.says("failure-code", "404 Not Found")
        await alice.dial("bob")
        await bob.state("call", "incoming")
        await bob.press("reject")
        await alice.state("call", "idle")
        await alice.says("failure-text", "The other side declined the call.")
        await alice.dial("bob")
        await bob.state("call", "incoming")
        await alice.press("hangup")
        await bob.state("call", "idle")
        await bob.says("ended", "Missed call from alice.")
        self.proxy.assert_clean()

    async def test_server_gone(self) -> None:
        """Without its server the page says so, and a call then fails at once, in words."""
        page = await self.page("alice")
        self.proxy.stop()
        await page.state("registration", "lost")
        await page.says("registration", "No connection; trying again…")
        await page.dial("echo")
        await page.says("failure-text", "The connection to the server is lost.")
