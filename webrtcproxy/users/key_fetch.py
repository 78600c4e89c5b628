"""Reads a JSON Web Key Set from an address, once: HTTPS with the certificate checked, with limits of time and size."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectError, ConnectionClosed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import Certificate, trustRootFromCertificates
from twisted.python.failure import Failure
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, ResponseDone, ResponseFailed
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IResponse

from webrtcproxy.config.key_set import MAX_SET, KeySet, parse_key_set

TIMEOUT = 5.0
"""Seconds within which the whole response must have arrived."""
MAX_AGE = 86400.0
"""Seconds after which keys are read again, whatever the response says."""

_END = b"-----END CERTIFICATE-----"


class FetchedKeys(NamedTuple):
    """What was read.

    :ivar max_age: seconds for which the response says that it may be used; None where it says nothing.
    """

    keys: KeySet
    max_age: float | None


class FetchFailed(Exception):
    """The keys can't be read; the text says why."""


def key_agent(reactor: Any, authorities: Path | None) -> IAgent:
    """A client for HTTPS.

    :param authorities: a PEM file of those that may have issued the server's certificate; None for those of the system.
    """
    if authorities is None:
        policy = BrowserLikePolicyForHTTPS()
    else:
        texts = [text + _END for text in authorities.read_bytes().split(_END) if b"BEGIN CERTIFICATE" in text]
        policy = BrowserLikePolicyForHTTPS(trustRootFromCertificates([Certificate.loadPEM(text) for text in texts]))
    agent: IAgent = Agent(reactor, policy, connectTimeout=TIMEOUT)
    return agent


class KeyFetch:
    """Reads the keys at an address; redirections are not followed.

    :param agent: sends the request.
    :param clock: for the limit of time.
    :param url: the address.
    """

    def __init__(self, agent: IAgent, clock: IReactorTime, url: str) -> None:
        self._agent = agent
        self._clock = clock
        self._url = url.encode()

    def __call__(self) -> Deferred[FetchedKeys]:
        """Read them.

        :returns: fires with what was read; fails with FetchFailed where it can't be read within `TIMEOUT`, or is no set
            of keys. May be cancelled.
        """
        return Deferred.fromCoroutine(self._read()).addTimeout(TIMEOUT, self._clock, _too_late)

    async def _read(self) -> FetchedKeys:
        headers = Headers({b"Accept": [b"application/jwk-set+json, application/json"], b"User-Agent": [b"webrtcproxy"]})
        body = _Body()
        try:
            response = await self._agent.request(b"GET", self._url, headers)
            response.deliverBody(body)
            text = await body.complete
        except ResponseFailed as error:
            raise FetchFailed("; ".join(reason.getErrorMessage() for reason in error.reasons)) from error
        except (ConnectError, ConnectionClosed) as error:
            raise FetchFailed(str(error)) from error
        if response.code != 200:
            raise FetchFailed(f"the response is {response.code}")
        try:
            return FetchedKeys(parse_key_set(text), max_age(response))
        except ValueError as error:
            raise FetchFailed(str(error)) from error


def _too_late(_result: object, seconds: float) -> FetchedKeys:
    raise FetchFailed(f"there was no whole response within {seconds:g} seconds")


class _Body(Protocol):
    """Collects a body.

    :ivar complete: fires with it; fails where it is too large or is cut off. Cancelling it cuts the connection.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.complete: Deferred[bytes] = Deferred(lambda _: self._cut())

    def dataReceived(self, data: bytes) -> None:
        """A part of it has arrived."""
        if self.complete.called:
            return
        self._size += len(data)
        self._parts.append(data)
        if self._size > MAX_SET:
            self._parts.clear()
            self.complete.errback(FetchFailed(f"the response is larger than {MAX_SET} octets"))
            self._cut()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """It is complete, or was cut off."""
        if self.complete.called:
            return
        if reason.check(ResponseDone, PotentialDataLoss):
            self.complete.callback(b"".join(self._parts))
        else:
            self.complete.errback(reason)

    def _cut(self) -> None:
        if self.transport is not None:
            self.transport.loseConnection()


def max_age(response: IResponse) -> float | None:
    """For how many seconds a response may be used (RFC 9111 section 5.2.2); None where it does not say."""
    seconds: float | None = None
    for line in response.headers.getRawHeaders(b"cache-control", ()):
        for directive in line.decode("latin-1").lower().split(","):
            name, _, value = directive.strip().partition("=")
            value = value.strip('"')
            if name in ("no-store", "no-cache"):
                return 0.0
            if name == "max-age" and value.isascii() and value.isdigit():
                seconds = min(float(value[:9]), MAX_AGE)
    return seconds
