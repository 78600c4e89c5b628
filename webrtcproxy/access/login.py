"""Logins: whether a request of a browser comes from a user of a domain that is served here (RFC 3261 section 22).

A *scheme* knows one kind of credentials: digests here (`DigestScheme`), tokens elsewhere. Each failure is the same for
users that exist and users that do not: status, reason, headers, and the work that it takes.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from typing import ClassVar, Final, Protocol

from twisted.internet.defer import Deferred
from twisted.logger import Logger

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.identity import may_show, speaker
from webrtcproxy.access.login_queue import LoginQueue
from webrtcproxy.access.nonces import FlowNonces
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.config.headers import CREDENTIALS
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.authentication import Challenge, Credentials
from webrtcproxy.sip.digest import algorithm_of, username_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.refer_to import refer_to
from webrtcproxy.sip.uri import Uri, normal_user
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.credentials import SipDigest
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.portals import NotAvailable
from webrtcproxy.users.user import User

log = Logger()


class WrongCredentials(Exception):
    """Credentials let nobody in.

    :param why: for the log.
    :param stale: they may be right, but have to be made again for a new challenge.
    :param guess: they may be a guess, and count as a failed login.
    :param scheme: the name of the scheme whose challenge says that they are wrong; empty where none does.
    """

    def __init__(self, why: str, stale: bool = False, guess: bool = True, scheme: str = "") -> None:
        super().__init__(why)
        self.why = why
        self.stale = stale
        self.scheme = scheme
        self.guess = guess and not stale


class LoginScheme(Protocol):
    """A kind of credentials."""

    @property
    def name(self) -> str:
        """The scheme of its credentials, in lower case."""

    @property
    def guessable(self) -> bool:
        """Whether credentials may be a guess, as passwords are: what is signed is none."""

    def challenges(self, domain: ServedDomain, flow: Flow, wrong: WrongCredentials | None) -> Iterable[str]:
        """The challenges for the browser on `flow`, as header values, the preferred one first; none where the domain
        does not take such credentials.

        :param wrong: why the request's credentials, of whichever scheme, let nobody in; None where it had none.
        """

    def is_for(self, domain: ServedDomain, credentials: Credentials) -> bool:
        """Whether credentials of this scheme are meant for a domain; a request may have several."""

    def claimed(self, domain: ServedDomain, credentials: Credentials) -> str:
        """The address-of-record that credentials claim to be those of; not proven. Empty where they name none."""

    def renews(self, credentials: Credentials, flow: Flow) -> bool:
        """Whether credentials are newer than the login for the whole connection, and have to be looked at though there
        is one."""

    def login(self, domain: ServedDomain, credentials: Credentials, request: Request, flow: Flow) -> Deferred[User]:
        """Fires with the user of the credentials; fails with WrongCredentials, or NotAvailable."""


class DigestScheme:
    """Digests (RFC 7616, RFC 8760).

    :param nonces: the nonces of all flows.
    """

    name: ClassVar[str] = "digest"
    guessable: ClassVar[bool] = True

    def __init__(self, nonces: FlowNonces) -> None:
        self._nonces = nonces

    def challenges(self, domain: ServedDomain, flow: Flow, wrong: WrongCredentials | None) -> Iterable[str]:
        """One for each algorithm. They share a nonce, as a browser answers one of them."""
        params = {"realm": domain.config.realm, "nonce": self._nonces.make(flow), "qop": "auth"}
        if wrong is not None and wrong.stale:
            params["stale"] = "true"
        return [str(Challenge("Digest", {**params, "algorithm": name})) for name in domain.config.algorithms]

    def is_for(self, domain: ServedDomain, credentials: Credentials) -> bool:
        return credentials.params.get("realm") == domain.config.realm

    def claimed(self, domain: ServedDomain, credentials: Credentials) -> str:
        username = username_of(credentials.params)
        return f"{normal_user(username)}@{domain.name}" if username else ""

    def renews(self, credentials: Credentials, flow: Flow) -> bool:
        """A digest is a login for one request."""
        return False

    def login(self, domain: ServedDomain, credentials: Credentials, request: Request, flow: Flow) -> Deferred[User]:
        return Deferred.fromCoroutine(self._login(domain, credentials, request, flow))

    async def _login(self, domain: ServedDomain, credentials: Credentials, request: Request, flow: Flow) -> User:
        given = credentials.params
        username = username_of(given)
        if not username or any(name not in given for name in ("nonce", "uri", "response")):
            raise WrongCredentials("a parameter is missing", guess=False)
        algorithm = algorithm_of(given)
        if algorithm is None or algorithm not in map(str.lower, domain.config.algorithms):
            raise WrongCredentials("the algorithm was not offered", guess=False)
        if not _is_for_uri(given["uri"], request):
            raise WrongCredentials("they are for another Request-URI", guess=False)
        if not self._nonces.take(flow, given["nonce"], _count(given.get("qop"), given.get("nc"), given.get("cnonce"))):
            raise WrongCredentials("the nonce is unknown, too old, or its count was used", stale=True)
        user = await domain.login(username, SipDigest(username, username, given, request.method, request.body))
        if user is None:
            raise WrongCredentials("unknown user or wrong password")
        return user


def _is_for_uri(uri: str, request: Request) -> bool:
    """Whether credentials were made for the Request-URI: as it stands there, or equivalent (RFC 3261 section 22.4)."""
    if uri == request.uri:
        return True
    try:
        return Uri.parse(uri).same_as(request.request_uri)
    except BadMessage:
        return False


def _count(qop: str | None, nc: str | None, cnonce: str | None) -> int | None:
    """The nonce count; None for credentials without qop, which have none.

    :raises WrongCredentials: it is none, or does not suit qop.
    """
    if qop is None:
        return None
    if qop.lower() not in ("auth", "auth-int") or cnonce is None or not nc or len(nc) > 8:
        raise WrongCredentials("qop, nc or cnonce is wrong", guess=False)
    try:
        return int(nc, 16) if nc.isalnum() else 0
    except ValueError as error:
        raise WrongCredentials("nc is no number", guess=False) from error


class Logins:
    """The logins of users at the domains that are served here.

    :param domains: all of them.
    :param proofs: what browsers have proven.
    :param guard: delays further attempts after failed ones.
    :param schemes: the kinds of credentials; digests last, since browsers answer the last challenge.
    """

    LASTS: ClassVar[float] = 300.0
    """Seconds for which a login by another request than REGISTER is a proof."""

    def __init__(self, domains: Domains, proofs: Proofs, guard: LoginGuard, schemes: Iterable[LoginScheme]) -> None:
        self._domains = domains
        self._proofs = proofs
        self._queue = LoginQueue(guard)
        self._schemes = {scheme.name: scheme for scheme in schemes}

    def needed(self, request: Request, flow: Flow) -> ServedDomain | None:
        """The domain at which a browser has to log in before its request outside of dialogs is looked at: that of From,
        so that nobody calls in another's name, else that of the Request-URI, or of the target of a REFER. None where it
        has done so on this connection, as this user or as the one with this number, and where none is served here.

        :raises BadMessage: From can't be read.
        """
        if not len(self._domains):
            return None
        caller = request.from_.address
        return self._needed(caller, request.request_uri, flow) or (
            self.needed_for_refer(request, flow, caller) if request.method == "REFER" else None
        )

    def needed_for_refer(self, refer: Request, flow: Flow, caller: Uri) -> ServedDomain | None:
        """The domain at which a browser would have to log in for an INVITE to the target of its REFER; None where it
        would not, or there is no readable target.

        :param caller: the address in whose name it sends the REFER.
        """
        if not len(self._domains):
            return None
        try:
            target = refer_to(refer.headers).address
        except BadMessage:
            return None
        return self._needed(caller, target, flow)

    def _needed(self, caller: Uri, target: Uri, flow: Flow) -> ServedDomain | None:
        domain = self._domains.of(caller.hostport)
        if domain is not None:
            known = speaker(self._proofs, flow, caller)
            return None if known is not None and known.is_authenticated_by(domain.authority) else domain
        domain = self._domains.of(target.hostport)
        if domain is None or self._proofs.caller(flow).is_authenticated_by(domain.authority):
            return None
        return domain

    def admit(self, domain: ServedDomain, request: Request, flow: Flow, caller: Uri | None = None) -> Deferred[None]:
        """Let a browser prove who its user is, by another request than REGISTER.

        :param domain: as `needed` has it.
        :param caller: the address in whose name it sends the request; None for that in From.
        :returns: fires with None when it has; fails with Refusal as `login`, and with 403 where the address is another
            user's.
        """
        return self.login(domain, request, flow).addCallback(
            self._admitted, domain, flow, request.from_.address if caller is None else caller
        )

    def _admitted(self, user: User, domain: ServedDomain, flow: Flow, caller: Uri) -> None:
        if self._domains.of(caller.hostport) is not None and not may_show(user, caller):
            raise Refusal(403, "From Is Another User's")
        if self._proofs.lasting(flow, user.aor, domain.authority) is None:
            self._proofs.add(flow, user.aor, domain.authority, self.LASTS, user)

    def lasting(self, domain: ServedDomain, request: Request, flow: Flow) -> User | None:
        """The user whose login for the whole connection is one for this REGISTER, too; None where the REGISTER has
        newer credentials, or there was no such login."""
        user = self._proofs.lasting(flow, request.to.address.aor, domain.authority)
        if user is None:
            return None
        found = self._credentials(domain, request)
        return None if found is not None and found[0].renews(found[1], flow) else user

    def take_credentials(self, request: Request) -> None:
        """Remove the credentials for domains that are served here: they go no further (RFC 3261 section 22.3). Those in
        Authorization, which is for the peer, stay there, but for tokens (RFC 8898 section 3). A line that can't be read
        may be for a domain: it goes no further either."""
        headers = request.headers
        if not headers.has_any(CREDENTIALS):
            return
        for name, schemes in _TAKEN.items():
            if name in headers:
                lines = headers.lines(name)
                headers.remove(name)
                for line in lines:
                    if not self._is_ours(line, schemes):
                        headers.add(name, line)

    def _is_ours(self, line: str, schemes: Container[str]) -> bool:
        credentials = read_credentials(line)
        if credentials is None:
            return len(self._domains) > 0 and ("digest" in schemes or ("bearer" in self._schemes and _has_token(line)))
        name = "bearer" if _has_token(credentials.params.get("", "")) else credentials.scheme.lower()
        scheme = self._schemes.get(name) if name in schemes else None
        return scheme is not None and any(scheme.is_for(domain, credentials) for domain in self._domains)

    def login(self, domain: ServedDomain, request: Request, flow: Flow) -> Deferred[User]:
        """The user that has sent a request.

        :param domain: whose user it has to be.
        :param flow: on which it has arrived, from a browser.
        :returns: fires with the user; fails with Refusal: 401 for REGISTER, else 407, with challenges; 503 where there
            were too many failed logins, or nobody can be asked.
        """
        return Deferred.fromCoroutine(self._login(domain, request, flow))

    async def _login(self, domain: ServedDomain, request: Request, flow: Flow) -> User:
        found = self._credentials(domain, request)
        if found is None:
            raise self._challenge(domain, request, flow)
        scheme, credentials = found
        host, aor = flow.peer.host, scheme.claimed(domain, credentials)
        is_proven = self._proofs.has(flow, aor, domain.authority)
        login = self._queue.begin(
            host, aor, domain.authority, request.log_id, is_proven=is_proven, guessable=scheme.guessable
        )
        succeeded = None
        try:
            if login.turn is not None:
                await login.turn
            user = await scheme.login(domain, credentials, request, flow)
            login.aor, succeeded = user.aor, True
        except WrongCredentials as wrong:
            log.info(
                "{call}: no login of {aor} from {host}: {why}", call=request.log_id, aor=aor, host=host, why=wrong.why
            )
            succeeded = False if wrong.guess else None
            raise self._challenge(domain, request, flow, wrong) from wrong
        except NotAvailable as error:
            raise Refusal(503, "Users Can't Be Looked Up", [("Retry-After", "10")]) from error
        finally:
            login.end(succeeded)
        return user

    def _credentials(self, domain: ServedDomain, request: Request) -> tuple[LoginScheme, Credentials] | None:
        """The first credentials of a request that are meant for a domain."""
        for name, schemes in _READ["REGISTER" if request.method == "REGISTER" else ""].items():
            for line in request.headers.lines(name):
                credentials = read_credentials(line)
                if credentials is None or credentials.scheme.lower() not in schemes:
                    continue
                scheme = self._schemes.get(credentials.scheme.lower())
                if scheme is not None and scheme.is_for(domain, credentials):
                    return scheme, credentials
        return None

    def _challenge(
        self, domain: ServedDomain, request: Request, flow: Flow, wrong: WrongCredentials | None = None
    ) -> Refusal:
        """The response that asks for credentials."""
        status, name = (401, "WWW-Authenticate") if request.method == "REGISTER" else (407, "Proxy-Authenticate")
        values = [value for scheme in self._schemes.values() for value in scheme.challenges(domain, flow, wrong)]
        return Refusal(status, "", [(name, value) for value in values])


_ANY: Final = frozenset({"digest", "bearer"})
_TOKEN: Final = frozenset({"bearer"})
_READ: Final[Mapping[str, Mapping[str, Container[str]]]] = {
    "REGISTER": {"Authorization": _ANY},
    "": {"Proxy-Authorization": _ANY, "Authorization": _TOKEN},
}
"""The headers that are read, by method, and the schemes that count in them. JsSIP sends its token with every request,
whether or not it was challenged, in Authorization."""
_TAKEN: Final[Mapping[str, Container[str]]] = {"Proxy-Authorization": _ANY, "Authorization": _TOKEN}
"""The headers from which credentials are removed."""


def _has_token(text: str) -> bool:
    """Whether a JSON Web Token may stand in a text, under whatever name: its first octets are those of ``{"``."""
    return "eyJ" in text or "bearer" in text.lower()


def read_credentials(line: str) -> Credentials | None:
    """The credentials in a header value; None where they can't be read. A token without ``Bearer`` before it, as some
    pages have it, is one, too."""
    try:
        credentials = Credentials.parse(line)
    except BadMessage:
        return None
    if not credentials.params and credentials.scheme.startswith("eyJ") and credentials.scheme.count(".") == 2:
        return Credentials("Bearer", {"": credentials.scheme})
    return credentials
