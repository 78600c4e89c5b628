"""One headless Chromium for a test run, driven over the DevTools protocol: no driver program, no threads."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK

COMMAND_SECONDS = 30
LOADED = "new Promise(done => { const look = () => window.phone ? done() : setTimeout(look, 10); look(); })"
FLAGS = (
    "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run", "--disable-quic",
    "--disable-background-networking", "--disable-component-update", "--disable-sync", "--disable-extensions",
    "--disable-default-apps", "--metrics-recording-only", "--mute-audio", "--remote-debugging-port=0",
    "--disable-background-timer-throttling", "--disable-renderer-backgrounding",
    "--disable-backgrounding-occluded-windows", "--autoplay-policy=no-user-gesture-required",
    "--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream", "--ignore-certificate-errors",
    "--disable-features=WebRtcHideLocalIpsWithMdns,MediaRouter,OptimizationHints",
    "--allow-loopback-in-peer-connection",
)  # fmt: skip


class Chromium(Part):
    """The browser process, with an empty profile of its own."""

    name: ClassVar[str] = "chromium"
    start_seconds: ClassVar[float] = 60

    def command(self) -> Sequence[str]:
        """Debian's chromium; the fake microphone beeps once a second."""
        return ("chromium", *FLAGS, f"--user-data-dir={self.folder / 'profile'}", "about:blank")

    def is_ready(self) -> bool:
        """Whether its DevTools port is open (it writes the port to a file then)."""
        file = self.folder / "profile" / "DevToolsActivePort"
        return file.exists() and len(file.read_text().split()) == 2

    async def connect(self) -> "DevTools":
        """A connection to it. Close it at the end of the test, which closes the tabs that it opened."""
        port, path = (self.folder / "profile" / "DevToolsActivePort").read_text().split()
        factory = WebSocketClientFactory(f"ws://{LOOPBACK}:{port}{path}")
        factory.protocol = DevTools
        factory.setProtocolOptions(maxMessagePayloadSize=0, maxFramePayloadSize=0)
        factory.opened = Deferred()
        connectWS(factory)
        return cast(DevTools, await factory.opened)


class DevTools(WebSocketClientProtocol):
    """A connection to Chromium's DevTools: commands with their results, and the tabs opened over it."""

    def __init__(self) -> None:
        super().__init__()
        self._pending: dict[int, Deferred[dict[str, Any]]] = {}
        self._closed: Deferred[None] = Deferred()
        self._count = 0
        self.tabs: dict[str, Tab] = {}

    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if not self.factory.opened.called:
            self.factory.opened.errback(AssertionError(f"no connection to chromium: {reason}"))
        for waiting in list(self._pending.values()):
            waiting.errback(AssertionError(f"chromium closed its connection: {reason}"))
        self._closed.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message = json.loads(payload)
        if "id" in message:
            self._pending.pop(message["id"]).callback(message)
        elif (tab := self.tabs.get(message.get("sessionId", ""))) is not None:
            tab.told(message["method"], message["params"])

    async def command(self, method: str, session: str = "", **params: object) -> dict[str, Any]:
        """Send a command, to a tab where `session` names it. Returns its result; AssertionError where it fails."""
        self._count += 1
        number = self._count
        waiting: Deferred[dict[str, Any]] = Deferred()
        self._pending[number] = waiting
        message = {"id": number, "method": method, "params": params} | ({"sessionId": session} if session else {})
        self.sendMessage(json.dumps(message).encode())
        waiting.addTimeout(COMMAND_SECONDS, cast(IReactorTime, reactor))
        reply = await waiting
        assert "error" not in reply, f"{method}: {reply['error']}"
        return cast(dict[str, Any], reply["result"])

    async def open(self, url: str, first: str = "0", own_scripts: bool = False) -> "Tab":
        """A new tab, with the page at `url` loaded so far that window.phone is there.

        :param first: an expression that is run before any script of the page.
        :param own_scripts: the page may have scripts in itself, though its server's policy forbids that.
        """
        target = (await self.command("Target.createTarget", url="about:blank"))["targetId"]
        session = (await self.command("Target.attachToTarget", targetId=target, flatten=True))["sessionId"]
        tab = self.tabs[session] = Tab(self, target, session)
        await self.command("Runtime.enable", session)
        await self.command("Page.enable", session)
        await self.command("Page.addScriptToEvaluateOnNewDocument", session, source=first)
        await self.command("Page.setBypassCSP", session, enabled=own_scripts)
        await self.command("Page.navigate", session, url=url)
        await tab.run(LOADED)
        return tab

    async def close(self) -> None:
        """Close every tab that is still open, and the connection."""
        for tab in list(self.tabs.values()):
            await tab.close()
        self.sendClose()
        await self._closed


class Tab:
    """One page in Chromium."""

    def __init__(self, tools: DevTools, target: str, session: str) -> None:
        self._tools, self._target, self._session = tools, target, session
        self.console: list[str] = []

    def told(self, method: str, params: dict[str, Any]) -> None:
        """Keep what the page writes to its console, and what it throws."""
        if method == "Runtime.consoleAPICalled":
            words = [str(argument.get("value", argument.get("description", ""))) for argument in params["args"]]
            self.console.append(f"{params['type']}: {' '.join(words)}")
        elif method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.console.append(f"thrown: {details.get('exception', {}).get('description', details['text'])}")

    async def run(self, script: str) -> Any:
        """Run JavaScript in the page and wait for what it promises.

        Returns the value (anything that JSON can carry). Raises AssertionError with the page's error and console.
        """
        answer = await self._tools.command(
            "Runtime.evaluate", self._session, expression=script, awaitPromise=True, returnByValue=True
        )
        if (details := answer.get("exceptionDetails")) is not None:
            text = details.get("exception", {}).get("description", details["text"])
            raise AssertionError("\n".join([text, "console:", *self.console[-20:]]))
        return answer["result"].get("value")

    async def close(self) -> None:
        """Close the tab as a user does who closes it in mid-call: nothing is told to the page first."""
        if self._tools.tabs.pop(self._session, None) is not None:
            await self._tools.command("Target.closeTarget", targetId=self._target)
