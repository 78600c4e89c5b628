"""Guard: digest authentication for the demo (RFC 3261 section 22); every name has the same password."""

from __future__ import annotations

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.authentication import Credentials
from webrtcproxy.sip.digest import Nonces, Verdict, verify
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request

ALGORITHMS = ("SHA-256", "MD5")
"""MD5 last: JsSIP and SIP.js support nothing else, and both use only the last of several challenges."""
_ASKS = {
    "Authorization": (401, "WWW-Authenticate"),
    "Proxy-Authorization": (407, "Proxy-Authenticate"),
}


class Guard:
    """Authenticates users.

    :param clock: returns the time in seconds.
    :param realm: of the challenges.
    :param password: of every user.
    """

    def __init__(self, clock: IReactorTime, realm: str, password: str) -> None:
        self._clock = clock
        self._password = password
        self._nonces = Nonces(realm)

    def user(self, request: Request, header: str) -> str:
        """The authenticated user name of `request`.

        :param header: of the credentials: ``Authorization`` or ``Proxy-Authorization``.
        :raises Refusal: 401 or 407 with challenges, if the credentials are absent or wrong or their nonce is too old.
        """
        now = self._clock.seconds()
        stale = False
        for line in request.headers.lines(header):
            try:
                credentials = Credentials.parse(line)
            except BadMessage:
                continue
            verdict = self._verify(credentials, request, now)
            if verdict is Verdict.RIGHT:
                return credentials.params["username"]
            stale = stale or verdict is Verdict.STALE
        status, name = _ASKS[header]
        challenges = self._nonces.challenges(now, stale=stale, algorithms=ALGORITHMS)
        raise Refusal(status, headers=[(name, challenge) for challenge in challenges])

    def _verify(self, credentials: Credentials, request: Request, now: float) -> Verdict:
        return verify(
            credentials, self._nonces, now, request.method, self._password, uri=request.uri, body=request.body
        )
