"""Authentication: answers the digest challenges of trunks with the configured credentials (RFC 3261 section 22)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from twisted.logger import Logger

from webrtcproxy.config import Trunk
from webrtcproxy.sip.authentication import Challenge, readable_challenges
from webrtcproxy.sip.digest import authorize, choose
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.users.user import TrunkAccount

log = Logger()


class Authentication:
    """Answers the challenges of one trunk in one dialog or REGISTER (RFC 3261 section 22, RFC 7616).

    The counts of answers restart with each response that is not a challenge: a trunk may use a new nonce for every
    request of a long call.

    :param trunk: the trunk that the requests go to, or None: then the browser has to answer every challenge.
    :param allowed: whether the browser may use the trunk's credentials.
    :param account: the browser's own at the trunk, in place of the trunk's.
    :ivar trunk: as given.
    :ivar used: whether a challenge was answered.
    :ivar refused: whether the trunk has refused the credentials.
    """

    TRIES: ClassVar[int] = 2
    """Most answers to one realm in a row; those to a challenge with ``stale`` do not count (RFC 7616 section 3.3)."""
    ROUNDS: ClassVar[int] = 6
    """Most answers in a row, however many nonces are stale."""

    def __init__(self, trunk: Trunk | None, allowed: bool, account: TrunkAccount | None = None) -> None:
        self.trunk = trunk
        self._username = self._password = ""
        self._account: Trunk | None = None
        own = trunk if account is None else account
        if own is not None and own.username and own.password:
            self._username, self._password = own.username, own.password
            self._account = trunk
        self._allowed = allowed
        self._own: Authentication | None = None
        self._answered: dict[tuple[str, str], _AnsweredChallenge] = {}
        self._rounds = 0
        self.used = False
        self.refused = False

    @property
    def has_account(self) -> bool:
        """Whether there are credentials to answer a challenge with."""
        return self._account is not None

    @property
    def own(self) -> Authentication:
        """Answers the challenges to requests that end or refresh what the proxy has with the trunk, whoever is across:
        left unanswered, the trunk would go on with a call that is over, or end one that is not. Its nonces are its own,
        so that no request of a browser that may not use the credentials has an answer to one."""
        if self._allowed:
            return self
        if self._own is None:
            self._own = Authentication(self.trunk, True)
        return self._own

    def answer(self, request: Request, response: Response) -> bool:
        """Take in the challenges of a response that the proxy answers itself; `prepare` writes the answers.

        :param request: as it was sent.
        :param response: any final response.
        :returns: whether to send the request again; else the response is for the browser.
        """
        if response.status not in (401, 407):
            self.reset()
            return False
        if self._account is None:
            return False
        answers = [
            (name, challenge)
            for asking, name in _CREDENTIALS.items()
            for challenge in _challenges(response, asking, self._account.realm)
        ]
        if answers and not self._allowed:
            log.info(
                "A challenge of trunk {trunk} to {method} is left to the browser, which has not registered on this"
                " connection with a password of its own ([access] trunk-credentials = registered)",
                trunk=self._account.name,
                method=request.method,
            )
            return False
        if not answers or not all(self._may_answer(name, challenge) for name, challenge in answers):
            return False
        self._rounds += 1
        self.used = True
        return True

    def prepare(self, request: Request) -> None:
        """Put the credentials for all challenges so far into a request, each with its next nonce count."""
        if not self._answered:
            return
        for name in _CREDENTIALS.values():
            if any(header == name for header, _ in self._answered):
                request.headers.remove(name)
        for (name, _), answered in self._answered.items():
            request.headers.add(name, self._credentials(answered, request))

    def reset(self) -> None:
        """Restart the counts: the credentials were accepted or not needed, or another server challenges with its own
        nonce."""
        self._rounds = 0
        for answered in self._answered.values():
            answered.tries = 0

    def _may_answer(self, name: str, challenge: Challenge) -> bool:
        """Whether to answer: each nonce once, each realm `TRIES` times and all together `ROUNDS` times in a row."""
        key = name, challenge.params["realm"]
        before = self._answered.get(key)
        stale = challenge.params.get("stale", "").lower() == "true"
        tries = 1 if before is None else before.tries + (not stale)
        same = before is not None and challenge.params["nonce"] == before.challenge.params["nonce"]
        if same or tries > self.TRIES or self._rounds >= self.ROUNDS:
            self.refused = True
            assert self._account is not None
            log.error(
                "Trunk {trunk} refuses its username and password in realm {realm!r}",
                trunk=self._account.name,
                realm=challenge.params["realm"],
            )
            return False
        self._answered[key] = _AnsweredChallenge(challenge, tries)
        return True

    def _credentials(self, answered: _AnsweredChallenge, request: Request) -> str:
        answered.count += 1
        return str(
            authorize(
                answered.challenge,
                request.method,
                request.uri,
                self._username,
                self._password,
                body=request.body,
                count=answered.count,
            )
        )


@dataclass(slots=True)
class _AnsweredChallenge:
    """A challenge that was answered.

    :ivar tries: answers to its realm in a row.
    :ivar count: requests with its nonce.
    """

    challenge: Challenge
    tries: int
    count: int = 0


_CREDENTIALS = {"WWW-Authenticate": "Authorization", "Proxy-Authenticate": "Proxy-Authorization"}


def _challenges(response: Response, name: str, realm: str | None) -> list[Challenge]:
    return choose(readable_challenges(response.headers.lines(name)), realm)
