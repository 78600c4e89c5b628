"""TokenLogins: the browsers that have logged in with a token, for how long, and what happens then.

A token proves its user for the whole connection, as the credentials of a REGISTER prove one for the time that it is
bound. When it ends and no newer one has come, what the configuration says happens to the connection, and nothing to
calls: a connection with calls is closed after the last one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Literal, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.config import TokensConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.token import KeysUnavailable, TokenLogin, TokenRefused
from webrtcproxy.users.user import User
from webrtcproxy.users.verifiers import ITokenVerifier

log = Logger()

UNAUTHORIZED: Final = 3000
"""Close code of a WebSocket whose token has ended: Unauthorized in IANA's registry of close codes."""
FOR_EVER: Final = 10 * 365 * 86400.0
"""Seconds of a login that lasts as long as its connection."""
MAX_USERS: Final = 10
"""Users that may be logged in on one connection."""
CHECK_USER: Final = 300.0
"""Seconds between two looks whether a user still exists that is in no users file; each may read another file."""
CHECK_CALLS: Final = 2.0
"""Seconds between two looks whether a connection whose token has ended still has calls."""


class UnverifiedToken(Protocol):
    """A token as it has arrived (`webrtcproxy.users.http_token.HttpToken`)."""

    @property
    def text(self) -> str:
        """The token."""

    @property
    def ambient(self) -> bool:
        """Whether it came in a cookie."""


class Connections(Protocol):
    """What is done to connections when a token ends."""

    def has_calls(self, flow: Flow) -> bool:
        """Whether a call is up, or is being set up, on a connection."""

    def unbind(self, flow: Flow, aor: str) -> None:
        """Remove the bindings of a user on a connection."""

    def user_gone(self, user: User) -> None:
        """End all that a user has begun on the connections of this process, but for calls."""


class _Session:
    """The login of one user on one connection.

    :ivar fingerprint: of the token.
    :ivar timers: for its end, unless it lasts as long as the connection; and for the next look at its user.
    """

    __slots__ = ("fingerprint", "timers")

    def __init__(self, fingerprint: bytes) -> None:
        self.fingerprint = fingerprint
        self.timers: dict[str, IDelayedCall] = {}

    def end(self) -> None:
        """Stop the timers."""
        for timer in self.timers.values():
            if timer.active():
                timer.cancel()


class TooManyUsers(Exception):
    """A connection has too many users."""


class TokenLogins:
    """The logins by token of this process.

    :param clock: for the time.
    :param config: the section.
    :param verifier: verifies tokens.
    :param proofs: gets what tokens prove.
    :param guard: delays attempts after failed ones.
    :param connections: ends what a token has begun.
    """

    def __init__(
        self,
        clock: IReactorTime,
        config: TokensConfig,
        verifier: ITokenVerifier,
        proofs: Proofs,
        guard: LoginGuard,
        connections: Connections,
    ) -> None:
        self._clock = clock
        self._required = config.required
        self._on_expiry: Literal["close", "logout", "keep"] = config.on_expiry
        self._realm = config.domain or ""
        self._verifier = verifier
        self._proofs = proofs
        self._guard = guard
        self._connections = connections
        self._sessions: dict[Flow, dict[str, _Session]] = {}
        self._closing: dict[Flow, IDelayedCall] = {}

    def __len__(self) -> int:
        """The number of connections with a login by token."""
        return len(self._sessions)

    # Over HTTP

    def authenticate(self, token: UnverifiedToken | None, host: str, from_page: bool) -> Deferred[TokenLogin | None]:
        """Whose an HTTP request is.

        :param token: the one in it, if any.
        :param host: the IP address of the browser.
        :param from_page: it has an Origin, which has been admitted.
        :returns: fires with the login; with None where there is no token, and none is required. Fails with Refusal,
            with an HTTP status: 401, 403, 429, 503.
        """
        return Deferred.fromCoroutine(self._authenticate(token, host, from_page))

    async def _authenticate(self, token: UnverifiedToken | None, host: str, from_page: bool) -> TokenLogin | None:
        if token is None:
            if self._required:
                raise Refusal(401, "A Token Is Required", [("WWW-Authenticate", self._challenge())])
            return None
        if token.ambient and not from_page:
            # Without Origin nobody can tell which page has asked the browser to connect.
            raise Refusal(403, "A Cookie Needs An Origin")
        aor = self._verifier.claimed(token.text)
        if not self._guard.knows(host, aor):  # else it is looked at: nobody guesses a signature
            self._guard.check(host, aor, "HTTP", 429)
        try:
            login = await self._verifier.verify(token.text)
        except TokenRefused as refused:
            log.info("A token from {host} is refused: {why}", host=host, why=refused.why)
            if not refused.genuine:
                self._guard.failed(host, aor)
            raise Refusal(
                401, "The Token Is Not Valid", [("WWW-Authenticate", self._challenge("invalid_token"))]
            ) from None
        except KeysUnavailable:
            raise Refusal(503, "Tokens Can't Be Verified", [("Retry-After", "10")]) from None
        self._guard.succeeded(host, login.user.aor)
        return login

    def _challenge(self, error: str = "") -> str:
        """A challenge (RFC 6750 section 3)."""
        params = {"realm": self._realm} if self._realm else {}
        if error:
            params["error"] = error
        return str(Challenge("Bearer", params))

    # On a connection

    def logged_in(self, flow: Flow, login: TokenLogin) -> None:
        """The browser on a connection has shown a token; a newer one of the same user takes its place.

        :raises TooManyUsers: it has shown those of too many users.
        """
        if flow.closed:
            return
        user, seconds = login.user, self.seconds_of(login)
        sessions = self._sessions.get(flow)
        if sessions is None:
            sessions = self._sessions[flow] = {}
            flow.on_lost(lambda: self._lost(flow))
        elif user.aor not in sessions and len(sessions) >= MAX_USERS:
            raise TooManyUsers
        before = sessions.get(user.aor)
        if before is not None:
            before.end()
        session = sessions[user.aor] = _Session(login.fingerprint)
        lasts = FOR_EVER
        if self._on_expiry != "keep" or login.blind:
            lasts = seconds
            session.timers["end"] = self._clock.callLater(seconds, self._expired, flow, user)
        if login.is_valid is not None:
            session.timers["user"] = self._clock.callLater(CHECK_USER, self._check_user, flow, user, login.is_valid)
        self._proofs.add(flow, user.aor, ("domain", user.domain), lasts, user, lasting=True)
        log.info("{user} has logged in with a token from {host}", user=user.aor, host=flow.peer.host)

    def seconds_of(self, login: TokenLogin) -> float:
        """The seconds until a token ends; 0 where it has."""
        return max(0.0, login.until - self._verifier.now())

    def is_known(self, flow: Flow, fingerprint: bytes) -> bool:
        """Whether a token has logged in on a connection, and nothing has changed since."""
        return any(session.fingerprint == fingerprint for session in self._sessions.get(flow, {}).values())

    def _check_user(self, flow: Flow, user: User, is_valid: Callable[[], bool]) -> None:
        if is_valid():
            session = self._sessions[flow][user.aor]
            session.timers["user"] = self._clock.callLater(CHECK_USER, self._check_user, flow, user, is_valid)
            return
        log.info("{user} is gone, or has a new password", user=user.aor)
        self._connections.user_gone(user)
        self._expired(flow, user)

    def _expired(self, flow: Flow, user: User) -> None:
        sessions = self._sessions[flow]
        sessions.pop(user.aor).end()
        log.info("The token of {user} on {flow} has expired", user=user.aor, flow=flow)
        for aor in (user.aor, *(self._proofs.user(flow, user.aor) or user).account_aors):
            self._connections.unbind(flow, aor)
        if not sessions and self._on_expiry == "close":
            self._close(flow)

    def _close(self, flow: Flow) -> None:
        """Close a connection, unless somebody has logged in meanwhile; later, while it has calls."""
        self._closing.pop(flow, None)
        if self._sessions[flow]:
            return
        if self._connections.has_calls(flow):
            self._closing[flow] = self._clock.callLater(CHECK_CALLS, self._close, flow)
        else:
            flow.close(UNAUTHORIZED, "the token has expired")

    def _lost(self, flow: Flow) -> None:
        closing = self._closing.pop(flow, None)
        if closing is not None:
            closing.cancel()
        for session in self._sessions.pop(flow, {}).values():
            session.end()

    def stop(self) -> None:
        """Stop all timers: the proxy is stopping."""
        for flow in list(self._sessions):
            self._lost(flow)
