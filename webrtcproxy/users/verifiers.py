"""AnyTokens: both kinds of tokens, those of an issuer and those of the proxy's own, by the same methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred, maybeDeferred

from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.session_tokens import SessionTokens
from webrtcproxy.users.token import KeysUnavailable, TokenLogin, TokenRefused


class ITokenVerifier(Protocol):
    """Verifies tokens."""

    def now(self) -> float:
        """The time in seconds since 1970."""

    def verify(self, text: str) -> Deferred[TokenLogin]:
        """Fires with what a token says; fails with `webrtcproxy.users.token.TokenRefused`, or `KeysUnavailable`."""

    def claimed(self, text: str) -> str:
        """The address-of-record that a token claims to be for; not proven. Empty where it names none."""


class AnyTokens:
    """Verifies JSON Web Tokens, which have dots in them, and the tokens of the proxy's own, which have none.

    :param sessions: reads the proxy's own.
    :param issued: verifies those of an issuer; None where there is none.
    :param now: returns the time of day, in seconds since 1970.
    """

    def __init__(self, sessions: SessionTokens, issued: ITokenVerifier | None, now: Callable[[], float]) -> None:
        self._sessions = sessions
        self._issued = issued
        self._now = now

    def now(self) -> float:
        """The time in seconds since 1970."""
        return self._now()

    def verify(self, text: str) -> Deferred[TokenLogin]:
        """See `ITokenVerifier`."""
        if self._issued is not None and "." in text:
            return self._issued.verify(text)
        return maybeDeferred(self._session, text)

    def claimed(self, text: str) -> str:
        """See `ITokenVerifier`. A token of the proxy's own claims nothing, since nobody else can read it."""
        if self._issued is not None and "." in text:
            return self._issued.claimed(text)
        try:
            return self._session(text).user.aor
        except (TokenRefused, KeysUnavailable):
            return ""

    def _session(self, text: str) -> TokenLogin:
        try:
            return self._sessions.read(text)
        except NotAvailable as error:
            raise KeysUnavailable from error
