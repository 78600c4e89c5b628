"""``/metrics`` of a running proxy."""

from __future__ import annotations

import ssl
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from prometheus_client.parser import text_string_to_metric_families
from twisted.internet.threads import deferToThread

from tests.support.exposition import moved, samples
from tests.support.real.case import RealCase
from tests.support.real.ports import LOOPBACK

BY_THE_WAY = ("transactions", "loop_lag_seconds", 'ng_seconds_count{command="ping"', "ng_pending", "ng_up")
"""What moves as time goes by."""


class Exposition(RealCase):
    """What Prometheus reads while browsers call."""

    async def setUp(self) -> None:
        """Read once."""
        await super().setUp()
        self.last = samples(await self.text())

    async def text(self) -> bytes:
        """One scrape."""
        return await deferToThread(self._get, f"http://{LOOPBACK}:{self.proxy.web}/metrics")

    @staticmethod
    def _get(url: str) -> bytes:
        with urlopen(url, timeout=5) as response:
            assert response.headers["Content-Type"].startswith("text/plain; version=0.0.4"), response.headers
            return response.read()

    async def moved(self) -> dict[str, float]:
        """What has moved since this was asked last."""
        before, self.last = self.last, samples(await self.text())
        return {name: by for name, by in moved(before, self.last).items() if not name.startswith(BY_THE_WAY)}

    async def refusal(self, path: str, **headers: str) -> int:
        """The status with which the port of the browsers refuses an HTTP request."""
        request = Request(f"https://{LOOPBACK}:{self.proxy.wss}{path}", headers=headers)
        context = ssl.create_default_context(cafile=str(self.proxy.folder / "cert.pem"))
        fetched = deferToThread(urlopen, request, timeout=5, context=context)
        error = await self.assertFailure(fetched, HTTPError)
        error.close()
        return error.code

    async def test_calls(self) -> None:
        """One call from its first moment to its end, one that the trunk refuses, one that the proxy refuses: all that
        each of them moves, and nothing else."""
        browser, trunk = await self.browser(), await self.peer()
        node = f'node="{self.rtpengine.address}"'
        self.assertEqual(await self.moved(), {"sockets": 1})

        caller, callee = await self.connected(browser, trunk)
        self.assertEqual(
            await self.moved(),
            {
                'active_calls{state="up"}': 1,
                "dialogs": 2,
                'calls_total{direction="outbound",result="answered"}': 1,
                'call_setup_seconds_count{direction="outbound"}': 1,
                f'ng_seconds_count{{command="offer",{node}}}': 1,
                f'ng_seconds_count{{command="answer",{node}}}': 1,
            },
        )
        await self.hang_up(caller, callee)
        await self.no_media()
        self.assertEqual(
            await self.moved(),
            {
                'active_calls{state="up"}': -1,
                "dialogs": -2,
                'call_duration_seconds_count{direction="outbound"}': 1,
                f'ng_seconds_count{{command="delete",{node}}}': 1,
            },
        )
        self.assertEqual(self.last[f"ng_up{{{node}}}"], 1)

        calling = browser.invite(f"sip:echo@{self.plain}")
        trunk.reply(await trunk.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        await self.no_media()
        self.assertEqual(
            await self.moved(),
            {
                'calls_total{direction="outbound",result="busy"}': 1,
                f'ng_seconds_count{{command="offer",{node}}}': 1,
                f'ng_seconds_count{{command="delete",{node}}}': 1,
            },
        )

        self.assertEqual(403, (await browser.invite("sip:0900@127.0.0.9").final()).status)
        self.assertEqual(await self.moved(), {'refused_total{reason="forbidden"}': 1})

    async def test_registration(self) -> None:
        """The registrar challenges the browser, then accepts it."""
        browser = await self.registered()
        expected = {
            'registrations_total{result="challenged"}': 1,
            'registrations_total{result="accepted"}': 1,
            "bindings": 1,
            "sockets": 1,
        }
        self.assertEqual(await self.moved(), expected)
        await browser.close()

    async def test_refused_connection(self) -> None:
        """A request for a WebSocket where there is none."""
        self.assertEqual(404, await self.refusal("/nowhere", Connection="Upgrade", Upgrade="websocket"))
        self.assertEqual(await self.moved(), {'refused_total{reason="handshake"}': 1})

    async def test_format(self) -> None:
        """A reader of the format takes all of it; the process is told of as well."""
        families = {family.name for family in text_string_to_metric_families((await self.text()).decode())}
        for name in ("process_cpu_seconds", "process_open_fds", "python_info", "webrtcproxy_loop_lag_seconds"):
            self.assertIn(name, families)

    async def test_not_for_browsers(self) -> None:
        """Their port has no metrics."""
        self.assertEqual(404, await self.refusal("/metrics"))
