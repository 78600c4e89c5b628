"""One headless Firefox for a test run, driven over WebDriver BiDi, which it speaks itself: no driver program."""

import json
from collections.abc import Sequence
from typing import Any, ClassVar, cast

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol, connectWS
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from tests.support.real.chromium import COMMAND_SECONDS, LOADED
from tests.support.real.part import Part
from tests.support.real.ports import LOOPBACK

PREFERENCES: dict[str, object] = {
    "app.update.enabled": False,
    "browser.shell.checkDefaultBrowser": False,
    "browser.startup.page": 0,
    "datareporting.policy.dataSubmissionEnabled": False,
    "dom.min_background_timeout_value": 4,
    "dom.timeout.enable_budget_timer_throttling": False,
    "media.autoplay.blocking_policy": 0,
    "media.autoplay.default": 0,
    "media.devices.unfocused.enabled": True,
    "media.getusermedia.audio.processing.platform.enabled": False,
    "media.gmp-manager.updateEnabled": False,
    "media.navigator.permission.disabled": True,
    "media.navigator.streams.fake": True,  # its microphone hums
    "media.peerconnection.ice.loopback": True,
    "media.peerconnection.ice.obfuscate_host_addresses": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "services.settings.server": "data:,#remote-settings-dummy/v1",
    "toolkit.telemetry.enabled": False,
}


class Firefox(Part):
    """The browser process, with a new profile of its own."""

    name: ClassVar[str] = "firefox"
    start_seconds: ClassVar[float] = 90

    def __init__(self) -> None:
        super().__init__()
        self._profile = self.folder / "profile"
        self._profile.mkdir()
        lines = [f"user_pref({json.dumps(name)}, {json.dumps(value)});\n" for name, value in PREFERENCES.items()]
        (self._profile / "user.js").write_text("".join(lines))

    def command(self) -> Sequence[str]:
        """Debian's firefox-esr."""
        return (
            "firefox-esr",
            "--headless",
            "--no-remote",
            "--profile",
            str(self._profile),
            "--remote-debugging-port=0",
        )

    @property
    def _server(self) -> dict[str, Any]:
        """Where it takes commands, from the file that it writes once it does."""
        try:
            server: dict[str, Any] = json.loads((self._profile / "WebDriverBiDiServer.json").read_text())
        except (FileNotFoundError, ValueError):
            return {}
        return server

    def is_ready(self) -> bool:
        """Whether it takes commands."""
        return bool(self._server)

    async def connect(self) -> "BiDi":
        """A session with it. Close it at the end of the test, which closes the tabs that it opened."""
        factory = WebSocketClientFactory(f"ws://{LOOPBACK}:{self._server['ws_port']}/session")
        factory.protocol = BiDi
        factory.setProtocolOptions(maxMessagePayloadSize=0, maxFramePayloadSize=0)
        factory.opened = Deferred()
        connectWS(factory)
        session = cast(BiDi, await factory.opened)
        await session.command("session.new", capabilities={"alwaysMatch": {"acceptInsecureCerts": True}})
        await session.command("session.subscribe", events=["log.entryAdded"])
        return session


class BiDi(WebSocketClientProtocol):
    """A session with Firefox (W3C WebDriver BiDi): commands with their results, and the tabs opened in it."""

    def __init__(self) -> None:
        super().__init__()
        self._pending: dict[int, Deferred[dict[str, Any]]] = {}
        self._closed: Deferred[None] = Deferred()
        self._count = 0
        self.tabs: dict[str, FirefoxTab] = {}

    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if not self.factory.opened.called:
            self.factory.opened.errback(AssertionError(f"no connection to firefox: {reason}"))
        for waiting in list(self._pending.values()):
            waiting.errback(AssertionError(f"firefox closed its connection: {reason}"))
        self._closed.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        message = json.loads(payload)
        if message.get("id") is not None:
            self._pending.pop(message["id"]).callback(message)
        elif message.get("method") == "log.entryAdded":
            entry = message["params"]
            tab = self.tabs.get(entry["source"].get("context", ""))
            if tab is not None:
                tab.console.append(f"{entry['level']}: {entry['text']}")

    async def command(self, method: str, **params: object) -> dict[str, Any]:
        """Send a command. Returns its result; AssertionError where it fails."""
        self._count += 1
        number = self._count
        waiting: Deferred[dict[str, Any]] = Deferred()
        self._pending[number] = waiting
        self.sendMessage(json.dumps({"id": number, "method": method, "params": params}).encode())
        waiting.addTimeout(COMMAND_SECONDS, cast(IReactorTime, reactor))
        reply = await waiting
        assert reply["type"] == "success", f"{method}: {reply}"
        return cast(dict[str, Any], reply["result"])

    async def open(self, url: str, first: str = "0") -> "FirefoxTab":
        """A new tab, with the page at `url` loaded so far that window.phone is there.

        :param first: an expression that is run before any script of the page.
        """
        context = (await self.command("browsingContext.create", type="tab"))["context"]
        tab = self.tabs[context] = FirefoxTab(self, context)
        preload = {"functionDeclaration": f"() => {first}", "contexts": [context]}
        await self.command("script.addPreloadScript", **preload)
        await self.command("browsingContext.navigate", context=context, url=url, wait="complete")
        await tab.run(LOADED)
        return tab

    async def close(self) -> None:
        """Close every tab that is still open, and the session."""
        for tab in list(self.tabs.values()):
            await tab.close()
        await self.command("session.end")
        self.sendClose()
        await self._closed


class FirefoxTab:
    """One page in Firefox; used as `chromium.Tab` is."""

    def __init__(self, session: BiDi, context: str) -> None:
        self._session, self._context = session, context
        self.console: list[str] = []

    async def run(self, script: str) -> Any:
        """Run a JavaScript expression in the page and wait for what it promises.

        Returns the value (anything that JSON can carry). Raises AssertionError with the page's error and console.
        """
        answer = await self._session.command(
            "script.evaluate",
            expression=f"(async () => JSON.stringify(await ({script})))()",
            target={"context": self._context},
            awaitPromise=True,
        )
        if answer["type"] == "exception":
            raise AssertionError("\n".join([answer["exceptionDetails"]["text"], "console:", *self.console[-20:]]))
        return json.loads(answer["result"].get("value", "null"))

    async def close(self) -> None:
        """Close the tab as a user does who closes it in mid-call: nothing is told to the page first."""
        if self._session.tabs.pop(self._context, None) is not None:
            await self._session.command("browsingContext.close", context=self._context, promptUnload=False)
