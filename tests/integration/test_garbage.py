"""Octets from anybody, at the UDP port of a real proxy: silence, a count, and no growing log (docs/decisions.rst)."""

from __future__ import annotations

import socket
from typing import ClassVar

from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase

from tests.support.fuzz import Mutator
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK
from tests.support.real.proxy import Proxy, without_media

STRANGER = "127.0.4.1"


class GarbageTests(TestCase):
    """A stranger, who is no trunk."""

    timeout = 60
    workers: ClassVar = 1

    async def setUp(self) -> None:
        self.proxy = Proxy(without_media("127.0.2.1", workers=self.workers))
        self.addCleanup(self.proxy.stop)
        await self.proxy.start()

    def heard(self, datagrams: list[bytes]) -> bytes:
        """What the proxy sends to a stranger who sends these."""
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as stranger:
            stranger.bind((STRANGER, 0))
            for datagram in datagrams:
                stranger.sendto(datagram, (LOOPBACK, self.proxy.sip))
            stranger.settimeout(1)
            try:
                return stranger.recv(65536)
            except TimeoutError:
                return b""

    async def test_status_lines(self) -> None:
        """2,000 times a status line that ends early: each is counted, and the log does not grow."""
        before = self.proxy.log_size()
        self.assertEqual(await deferToThread(self.heard, [b"SIP/2.0 "] * 2000), b"")
        await pause(0.5)
        self.assertLess(self.proxy.log_size() - before, 2000, self.proxy.log(before)[-4000:])
        samples = await self.proxy.samples()
        counted = sum(many for name, many in samples.items() if 'reason="malformed"' in name)
        self.assertGreater(counted, 1000)  # the kernel may drop some
        self.proxy.assert_clean()

    async def test_broken_messages(self) -> None:
        """Messages with all sorts of faults: nothing comes back, and no failure is logged."""
        mutator = Mutator(5118)
        datagrams = [mutator.message()[:60000] for _ in range(2000)]
        self.assertEqual(await deferToThread(self.heard, datagrams), b"")
        self.proxy.assert_clean()


class Workers(GarbageTests):
    """The same where the hub reads the socket."""

    workers = 2
