"""The page of docs/page.rst as it stands there: a form, the bootstrap document, JsSIP."""

import json
import os
import re
import subprocess
import tempfile
from pathlib import Path
from textwrap import dedent
from typing import Any, ClassVar, Literal

from tests.support.real.case import RealCase
from tests.support.real.chromium import Tab
from tests.support.real.coturn import SECRET
from tests.support.real.firefox import FirefoxTab
from tests.support.real.lab import LAB
from tests.support.real.pages import SOURCE, install
from tests.support.real.part import pause
from tests.support.real.proxy import ROOT
from webrtcproxy.users.passwd import set_password

STATS = """(async () => {
  const figures = { received: 0, sent: 0, energy: 0, relayed: 0 };
  const report = await window.connections.at(-1).getStats();
  report.forEach((entry) => {
    const relayed = report.get(entry.localCandidateId)?.candidateType === "relay";
    if (entry.type === "inbound-rtp") figures.received = entry.packetsReceived;
    if (entry.type === "inbound-rtp") figures.energy = entry.totalAudioEnergy;
    if (entry.type === "outbound-rtp") figures.sent = entry.packetsSent;
    if (entry.type === "candidate-pair" && entry.nominated && relayed) figures.relayed = entry.bytesReceived;
  });
  return figures;
})()"""
LEAST = {"received": 20, "sent": 20, "energy": 1e-4, "relayed": 1000}

WATCH = """(() => {
  const Real = window.RTCPeerConnection;
  window.connections = [];
  window.RTCPeerConnection = class extends Real {
    constructor(config) {
      super({ ...config, iceTransportPolicy: "relay" });
      window.connections.push(this);
    }
  };
  window.phone = true;
})()"""
"""Has the page use relay candidates only, which takes credentials that coturn accepts; and shows its connections."""


def blocks(language: str) -> list[str]:
    """The code blocks of docs/page.rst in a language."""
    text = (ROOT / "docs" / "page.rst").read_text("utf-8")
    return [dedent(block) for block in re.findall(rf"(?m)^\.\. code-block:: {language}\n\n((?:   .*\n|\n)+)", text)]


def build(folder: Path) -> None:
    """The page in a folder, bundled as docs/page.rst says."""
    install()
    (html,), (script,) = blocks("html"), blocks("javascript")
    (folder / "index.html").write_text(html)
    source = folder / "source.js"
    source.write_text(script)
    command = (SOURCE / "node_modules" / ".bin" / "esbuild", source, "--bundle", f"--outfile={folder / 'phone.js'}")
    environment = {**os.environ, "NODE_PATH": str(SOURCE / "node_modules")}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr


class OwnPage(RealCase):
    """The page on the port of the proxy, which serves the domain phone.test; coturn is its only way for media."""

    timeout = 90
    browser_name: ClassVar[Literal["chromium", "firefox"]] = "chromium"

    async def setUp(self) -> None:
        folder = Path(tempfile.mkdtemp(prefix="webrtcproxy-page-"))
        build(folder)
        for user, password in (("alice", "wonderland"), ("bob", "builder")):
            set_password(folder / "users", f"{user}@phone.test", password, "phone.test")
        coturn = await LAB.coturn()
        self.changes = (
            ("page = no", f"page = {folder}"),
            ("origins = *\n", ""),
            (
                "[access]\n",
                f"[domain phone.test]\nusers = {folder / 'users'}\ntrunk = plain\n\n"
                f"[turn]\nservers = {coturn.uri()}\nsecret = {SECRET}\n\n[access]\n",
            ),
        )
        await super().setUp()
        browser = await (LAB.firefox() if self.browser_name == "firefox" else LAB.chromium())
        self.tools = await browser.connect()
        self.addCleanup(self.tools.close)

    async def page(self, user: str, password: str) -> Tab | FirefoxTab:
        """The page in a new tab, with the form sent."""
        tab = await self.tools.open(f"https://127.0.0.1:{self.proxy.wss}/", WATCH)
        await tab.run(
            "new Promise(done => document.readyState === 'complete' ? done() : addEventListener('load', () => done()))"
        )
        await self._submit(tab, "login", user=user, password=password)
        return tab

    async def _submit(self, tab: Tab | FirefoxTab, form: str, **fields: str) -> None:
        await tab.run(
            f"(form => {{ for (const [name, value] of Object.entries({json.dumps(fields)})) form[name].value = value;"
            f" form.requestSubmit(); }})(document.getElementById({json.dumps(form)}))"
        )

    async def state(self, tab: Tab | FirefoxTab, wanted: str, seconds: float = 10) -> None:
        """Wait until the page says so."""
        says = ""
        for _ in range(int(seconds / 0.05)):
            says = str(await tab.run("document.getElementById('state').textContent"))
            if says == wanted:
                return
            await pause(0.05)
        raise AssertionError(f"the page says {says!r}, not {wanted!r}; {tab.console}")

    async def assert_audio(self, tab: Tab | FirefoxTab) -> None:
        """Fail unless packets grow both ways through coturn, and the energy of what is heard."""
        first: dict[str, Any] = await tab.run(STATS)
        last = first
        for _ in range(50):
            await pause(0.2)
            last = await tab.run(STATS)
            if all((last[name] or 0) > (first[name] or 0) + least for name, least in LEAST.items()):
                return
        raise AssertionError(f"no audio both ways: {first} -> {last}")


class InChromium(OwnPage):
    """In Chromium."""

    async def test_call(self) -> None:
        """alice logs in, registers, and calls bob, who answers: they hear each other through coturn."""
        alice, bob = await self.page("alice", "wonderland"), await self.page("bob@phone.test", "builder")
        await self.state(alice, "registered")
        await self.state(bob, "registered")
        await self._submit(alice, "dial", to="sip:bob@phone.test")
        for tab in (alice, bob):
            await self.state(tab, "confirmed")
        for tab in (alice, bob):
            await self.assert_audio(tab)
        await bob.close()
        await self.state(alice, "ended", 20)

    async def test_wrong_password(self) -> None:
        """A wrong password and an unknown user: 401, and the browser opens no window of its own."""
        for user in ("alice", "mallory"):
            tab = await self.page(user, "guess")
            await self.state(tab, "no login: 401")


class InFirefox(InChromium):
    """In Firefox."""

    browser_name = "firefox"
