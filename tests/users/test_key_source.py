"""Where keys come from, and that those which were there stay while nothing newer can be read."""

from __future__ import annotations

import os
from pathlib import Path

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs
from twisted.trial.unittest import SynchronousTestCase

from tests.support.tokens import jwks, public_jwk
from webrtcproxy.config.key_set import KeySet, parse_key_set
from webrtcproxy.users.key_fetch import FetchedKeys
from webrtcproxy.users.key_source import FileKeys, UrlKeys


def key_set(kid: str) -> KeySet:
    """A set of one key."""
    return parse_key_set(jwks(public_jwk("OKP", kid=kid)))


def kids(keys: KeySet | None) -> list[str | None] | None:
    """The names of the keys."""
    return None if keys is None else [key.kid for key in keys.keys]


class FileTests(SynchronousTestCase):
    """Keys in a file."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.source = FileKeys(self.path)

    def write(self, text: bytes) -> None:
        """Replace the file, as at another time."""
        self.path.write_bytes(text)
        self.times = getattr(self, "times", 0) + 1
        os.utime(self.path, (self.times, self.times))

    def test_change(self) -> None:
        """A file that has changed is read again, with the next token."""
        self.write(jwks(public_jwk("OKP", kid="a")))
        self.assertEqual(kids(self.source.current()), ["a"])
        first = self.source.current()
        self.assertIs(self.source.current(), first)
        self.write(jwks(public_jwk("OKP", kid="b"), public_jwk("EC", kid="c")))
        self.assertEqual(kids(self.source.current()), ["b", "c"])
        self.successResultOf(self.source.renewed())

    def test_broken(self) -> None:
        """While the file is missing or broken, the keys stay; that is logged once for each change."""
        self.write(jwks(public_jwk("OKP", kid="a"), {"kty": "new"}))
        with capturedLogs() as events:
            self.source.current()
        self.assertEqual([event["log_level"] for event in events], [LogLevel.warn, LogLevel.info])
        for change in (lambda: self.write(b"{"), self.path.unlink, lambda: self.write(b"[]")):
            change()
            with capturedLogs() as events:
                for _ in range(3):
                    self.assertEqual(kids(self.source.current()), ["a"])
            self.assertEqual([event["log_level"] for event in events], [LogLevel.error])

    def test_never(self) -> None:
        """Without a file there are no keys, until there is one."""
        self.assertIsNone(self.source.current())
        self.write(jwks(public_jwk("OKP", kid="a")))
        self.assertEqual(kids(self.source.current()), ["a"])


class UrlTests(SynchronousTestCase):
    """Keys at an address."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.readings: list[Deferred[FetchedKeys]] = []
        self.source = UrlKeys(self.clock, self.fetch, 600)
        self.addCleanup(self.source.stopService)

    def fetch(self) -> Deferred[FetchedKeys]:
        """The address is read."""
        self.readings.append(Deferred())
        return self.readings[-1]

    def start(self, kid: str = "a", max_age: float | None = None) -> None:
        """Start, and read the first keys."""
        self.source.startService()
        self.readings[-1].callback(FetchedKeys(key_set(kid), max_age))

    def test_at_the_start(self) -> None:
        """The keys are read before the first login needs them."""
        self.source.startService()
        self.assertIsNone(self.source.current())
        self.readings[0].callback(FetchedKeys(key_set("a"), None))
        self.assertEqual(kids(self.source.current()), ["a"])

    def test_cache(self) -> None:
        """They are read again when their time is over, while the old ones serve; Cache-Control goes before ``cache``,
        and nobody is asked more than once a minute."""
        for given, seconds in ((None, 600), (120.0, 120), (0.0, 60)):
            self.setUp()
            self.start(max_age=given)
            self.clock.advance(seconds - 0.1)
            self.assertEqual(len(self.readings), 1)
            self.clock.advance(0.1)
            self.assertEqual(len(self.readings), 2)
            self.assertEqual(kids(self.source.current()), ["a"])
            self.readings[1].callback(FetchedKeys(key_set("b"), None))
            self.assertEqual(kids(self.source.current()), ["b"])

    def test_unknown_key(self) -> None:
        """A token with a new key has them read at once, but once a minute at most, whatever tokens name."""
        self.start()
        self.successResultOf(self.source.renewed())
        self.assertEqual(len(self.readings), 1)
        self.clock.advance(60)
        waiting = [self.source.renewed() for _ in range(3)]
        self.assertEqual(len(self.readings), 2)
        self.assertNoResult(waiting[0])
        waiting[1].addErrback(lambda _: None).cancel()
        self.readings[1].callback(FetchedKeys(key_set("b"), None))
        for one in waiting:
            self.successResultOf(one)
        self.successResultOf(self.source.renewed())
        self.assertEqual(len(self.readings), 2)
        self.assertEqual(kids(self.source.current()), ["b"])
        self.clock.advance(600)
        self.assertEqual(len(self.readings), 3)

    def test_down(self) -> None:
        """While the address is down, the keys stay; it is tried each minute, and said once that it is down."""
        self.start()
        with capturedLogs() as events:
            for _ in range(3):
                self.clock.advance(600 if len(self.readings) == 1 else 60)
                self.readings[-1].errback(OSError("connection refused"))
                self.assertEqual(kids(self.source.current()), ["a"])
        self.assertEqual(len(self.readings), 4)
        self.assertEqual([event["log_level"] for event in events], [LogLevel.error])
        with capturedLogs() as events:
            self.clock.advance(60)
            self.readings[-1].callback(FetchedKeys(key_set("b"), None))
        self.assertEqual([event["log_level"] for event in events], [LogLevel.info])
        self.assertEqual(kids(self.source.current()), ["b"])

    def test_down_at_first(self) -> None:
        """Without any keys the address is tried often, so that an issuer that starts together with the proxy is found;
        whoever waits goes on without."""
        self.source.startService()
        waiting = self.source.renewed()
        self.readings[0].errback(OSError())
        self.successResultOf(waiting)
        self.assertIsNone(self.source.current())
        self.clock.advance(5)
        self.assertEqual(len(self.readings), 2)

    def test_stop(self) -> None:
        """After the stop nothing is read, and no timer runs; whoever waits goes on."""
        self.source.startService()
        waiting = self.source.renewed()
        cancelled: list[object] = []
        self.readings[0].addErrback(cancelled.append)
        with capturedLogs() as events:
            self.source.stopService()
        self.successResultOf(waiting)
        self.assertEqual(events, [])
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.start()
        self.source.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
