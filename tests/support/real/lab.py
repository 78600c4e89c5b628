"""The parts that one test run shares. Each is started when the first test wants it and ended with the run."""

import os
from pathlib import Path
from typing import TypeVar

from tests.support.real.chromium import Chromium
from tests.support.real.coturn import Coturn
from tests.support.real.firefox import Firefox
from tests.support.real.kamailio import Kamailio
from tests.support.real.pages import Pages
from tests.support.real.part import Part
from tests.support.real.ports import free_port
from tests.support.real.proxy import REAL, Proxy
from tests.support.real.rtpengine import Rtpengine

AnyPart = TypeVar("AnyPart", bound=Part)

INI = """\
[wss]
listen = ssl:{wss}:interface=127.0.0.1:privateKey=key.pem:certKey=cert.pem
origins = *
page = no

[sip]
listen = udp:{sip}:interface=127.0.0.1

[rtpengine]
nodes = @rtpengine@
timeout = 1

[registrations]
multiple = yes

[calls]
grace = 1

; All tests share a few users, at one address
[limits]
user-calls-per-minute = 0
user-messages-per-minute = 0
user-registrations-per-minute = 0

; SIPp, or a peer that a test scripts
[trunk plain]
host = 127.0.0.1:@plain@

; the same, with a password of the proxy's
[trunk paid]
host = 127.0.0.1:@paid@
username = trunk
password = secret
realm = trunk.test

; Kamailio as the browsers' registrar, and as a trunk whose password the proxy has
[trunk pbx]
host = pbx.test
proxy = 127.0.0.1:@kamailio@

[trunk upstream]
host = upstream.test
proxy = 127.0.0.1:@kamailio@
username = alice
password = wonderland

; Kamailio with SHA-256, where a test starts it
[trunk modern]
host = modern.test
proxy = 127.0.0.1:@modern@
username = bob
password = builder

[access]
destinations = trunks far.test
trunk-credentials = @credentials@

[web]
listen = tcp:{web}:interface=127.0.0.1

[proxy]
workers = @workers@

[logging]
level = info
"""


class Lab:
    """Holds what runs now. With WORKERS=2 in the environment, proxies have two workers unless a test says otherwise."""

    def __init__(self) -> None:
        self._parts: dict[type[Part], Part] = {}
        self._proxy: tuple[tuple[str, tuple[str, ...], Path | None, str], Proxy] | None = None
        self.plain = free_port()
        self.paid = free_port()
        self.modern = free_port()

    async def rtpengine(self) -> Rtpengine:
        """The one rtpengine."""
        return await self._running(Rtpengine)

    async def kamailio(self) -> Kamailio:
        """The one Kamailio."""
        return await self._running(Kamailio)

    async def chromium(self) -> Chromium:
        """The one Chromium."""
        return await self._running(Chromium)

    async def firefox(self) -> Firefox:
        """The one Firefox."""
        return await self._running(Firefox)

    async def coturn(self) -> Coturn:
        """The one TURN server."""
        return await self._running(Coturn)

    async def pages(self) -> Pages:
        """The server of the test pages."""
        return await self._running(Pages)

    async def proxy(
        self,
        changes: tuple[tuple[str, str], ...] = (),
        arguments: tuple[str, ...] = (),
        path: Path | None = None,
        clock: str = REAL,
    ) -> Proxy:
        """A proxy with INI as configuration, after replacing the first of each pair of texts by the second.

        The other parameters are those of `Proxy`.

        One proxy runs at a time: tests of a class share it, a class that wants another configuration ends it.
        """
        text = INI
        for old, new in changes:
            assert old in text, f"not in the configuration: {old}"
            text = text.replace(old, new)
        words = {
            "rtpengine": (await self.rtpengine()).address,
            "kamailio": str((await self.kamailio()).port),
            "plain": str(self.plain), "paid": str(self.paid), "modern": str(self.modern),
            "credentials": "anyone", "workers": os.environ.get("WORKERS", "1"),
        }  # fmt: skip
        for word, value in words.items():
            text = text.replace(f"@{word}@", value)
        if self._proxy is not None:
            if self._proxy[0] == (text, arguments, path, clock) and self._proxy[1].alive:
                return self._proxy[1]
            self._proxy[1].stop()
        proxy = Proxy(text, arguments, path, clock)
        self._proxy = ((text, arguments, path, clock), proxy)
        await proxy.start()
        return proxy

    async def _running(self, kind: type[AnyPart]) -> AnyPart:
        part = self._parts.get(kind)
        if part is None or not part.alive:
            part = self._parts[kind] = kind()
            await part.start()
        assert isinstance(part, kind)
        return part


LAB = Lab()
