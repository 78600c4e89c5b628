"""Where the issuer's keys come from: a file that is read again when it changes, or an address with a cache. What was
read last stays in use for as long as nothing newer can be read."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

from twisted.application.service import Service
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from webrtcproxy.config import TokensConfig
from webrtcproxy.config.key_set import KeySet, parse_key_set
from webrtcproxy.runtime.fingerprint import Fingerprint, fingerprint
from webrtcproxy.users.key_fetch import FetchedKeys, KeyFetch, key_agent

log = Logger()

MIN_INTERVAL = 60.0
"""Seconds between two readings of an address, however many unknown keys tokens name."""
RETRY_WITHOUT_KEYS = 5.0
"""The same while no keys were ever read."""


class IKeySource(Protocol):
    """The issuer's keys."""

    def current(self) -> KeySet | None:
        """The newest keys; None where none could ever be read."""

    def renewed(self) -> Deferred[None]:
        """Fires with None when the keys were read again, because a token names one that is not among them; at once
        where they were read a moment ago. Never fails; may be cancelled."""


class NoKeys:
    """The source where all tokens are signed with a secret."""

    def current(self) -> KeySet | None:
        """No keys."""
        return KeySet(())

    def renewed(self) -> Deferred[None]:
        """Nothing to read."""
        return succeed(None)


class FileKeys:
    """Keys in a file.

    :param path: of a JSON Web Key Set.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: Fingerprint = ()
        self._keys: KeySet | None = None

    def current(self) -> KeySet | None:
        """The keys; looks whether the file has changed, which takes microseconds."""
        seen = fingerprint(self._path)
        if seen != self._seen:
            self._seen = seen
            self._read()
        return self._keys

    def _read(self) -> None:
        where = str(self._path)
        try:
            self._keys = parse_key_set(self._path.read_bytes())
        except (OSError, ValueError) as error:
            log.error(
                "The keys for tokens in {where} can't be read, those read before stay: {why}",
                where=where,
                why=str(error),
            )
            return
        log_unusable(self._keys, where)
        log.info("{count} keys for tokens from {where}", count=len(self._keys.keys), where=where)

    def renewed(self) -> Deferred[None]:
        """Nothing more to read: `current` has looked already."""
        return succeed(None)


class UrlKeys(Service):
    """Keys at an address. While the service runs, they are read again when their time is over, and when a token names
    one that is not among them.

    :param clock: for the time.
    :param read_once: reads them once.
    :param cache: seconds for which they are used, where the response does not say.
    """

    def __init__(self, clock: IReactorTime, read_once: Callable[[], Deferred[FetchedKeys]], cache: float) -> None:
        self._clock = clock
        self._read_once = read_once
        self._cache = cache
        self._keys: KeySet | None = None
        self._again_at = 0.0
        self._failed = False
        self._timer: IDelayedCall | None = None
        self._reading: Deferred[FetchedKeys] | None = None
        self._waiting: list[Deferred[None]] = []

    def startService(self) -> None:
        """Read the keys, so that the first login need not wait."""
        super().startService()  # type: ignore[no-untyped-call]
        self._read()

    def stopService(self) -> None:
        """Read them no more; whoever waits goes on with the keys that there are."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._reading is not None:
            self._reading.cancel()

    def current(self) -> KeySet | None:
        """The newest keys."""
        return self._keys

    def renewed(self) -> Deferred[None]:
        """See `IKeySource`."""
        if self._reading is None and self._clock.seconds() >= self._again_at:
            self._read()
        if self._reading is None:
            return succeed(None)
        waiting: Deferred[None] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        return waiting

    def _read(self) -> None:
        if self._timer is not None:
            if self._timer.active():
                self._timer.cancel()
            self._timer = None
        self._again_at = self._clock.seconds() + (MIN_INTERVAL if self._keys else RETRY_WITHOUT_KEYS)
        reading = self._reading = self._read_once()
        reading.addCallbacks(self._fetched, self._not_fetched).addCallback(self._done)
        if reading.called:  # at once
            self._reading = None

    def _fetched(self, fetched: FetchedKeys) -> float:
        keys = fetched.keys
        if self._failed or self._keys is None:
            log.info("{count} keys for tokens were read", count=len(keys.keys))
        if self._keys is None or keys.unusable != self._keys.unusable:
            log_unusable(keys, "the issuer's address")
        self._failed = False
        self._keys = keys
        return self._cache if fetched.max_age is None else max(fetched.max_age, MIN_INTERVAL)

    def _not_fetched(self, failure: Failure) -> float:
        if self.running and not self._failed:
            self._failed = True
            then = "those read before stay" if self._keys else "nobody can log in with one"
            log.error("The keys for tokens can't be read, {then}: {why}", then=then, why=failure.getErrorMessage())
        return MIN_INTERVAL if self._keys else RETRY_WITHOUT_KEYS

    def _done(self, seconds: float) -> None:
        self._reading = None
        if self.running:
            self._timer = self._clock.callLater(seconds, self._read)
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            one.callback(None)


def key_source(config: TokensConfig, reactor: Any) -> IKeySource:
    """The source that the configuration names."""
    if config.keys is None:
        return NoKeys()
    if isinstance(config.keys, Path):
        return FileKeys(config.keys)
    return UrlKeys(reactor, KeyFetch(key_agent(reactor, config.keys_ca), reactor, config.keys), config.cache)


def log_unusable(keys: KeySet, where: str) -> None:
    """Log the keys of a set that can't be used."""
    for why in keys.unusable:
        log.warn("A key for tokens from {where} is not used: {why}", where=where, why=why)
