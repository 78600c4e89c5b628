"""Logins that a trunk decides: as whom a request logs in, and whether the trunk's response says that it failed."""

from __future__ import annotations

from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.config.headers import CREDENTIALS
from webrtcproxy.sip.authentication import Credentials, readable_challenges
from webrtcproxy.sip.digest import username_of
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.sip.uri import normal_user
from webrtcproxy.transport.flow import Flow

_READ = ("Authorization", "Proxy-Authorization")
_CHALLENGES = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}

_REFUSED = frozenset({403, 404, 604})
"""Responses to a REGISTER by which a registrar says that the user does not exist, or may not."""


def login_name(request: Request, aor: str) -> str:
    """As whom the credentials of a request log in.

    :param aor: the address-of-record that the request is about.
    :returns: `aor` where they are its user's; else the address-of-record that they have their username in: the password
        of another user is guessed, or a user has another name for digests. Empty where there are no credentials.
    """
    headers = request.headers
    if not headers.has_any(CREDENTIALS):
        return ""
    user, _, host = aor.rpartition("@")
    names = [_name_in(line) for header in _READ for line in headers.lines(header)]
    others = [name for name in names if name and normal_user(name) not in (user, aor)]
    if others:
        return f"{normal_user(others[0])}@{host}"
    return aor if names else ""


def is_wrong(request: Request, response: Response) -> bool:
    """Whether a final response says that the credentials of a request are wrong: it challenges once more in the realm
    that was answered, and the nonce is not just too old (RFC 7616 section 3.3); or it refuses a REGISTER, so that a
    stranger could learn from it which users there are.

    :param request: of the browser.
    """
    if response.status in _REFUSED:
        return request.method == "REGISTER"
    if response.status not in _CHALLENGES:
        return False
    challenge, credentials = _CHALLENGES[response.status]
    answered = {_params(line).get("realm") for line in request.headers.lines(credentials)}
    challenges = readable_challenges(response.headers.lines(challenge))
    if not all("realm" in each.params for each in challenges):
        return bool(answered)
    realms = {each.params.get("realm") for each in challenges if each.params.get("stale", "").lower() != "true"}
    return bool(answered & realms)


def check_login(guard: LoginGuard, proofs: Proofs, request: Request, flow: Flow) -> None:
    """Check that a request of a browser other than REGISTER, with credentials for a trunk, may go to the trunk.

    :param proofs: what browsers have proven.
    :raises Refusal: 503 where logins as this user have to wait after failed ones.
    :raises BadMessage: From can't be read.
    """
    if flow.browser and request.headers.has_any(CREDENTIALS):
        name = login_name(request, request.from_.address.aor)
        guard.check(flow.peer.host, name, request.log_id, is_proven=name in proofs.aors(flow))


def report_login(guard: LoginGuard, proofs: Proofs, request: Request, response: Response, flow: Flow) -> None:
    """Count a failed login where a trunk's final response to a browser's request, other than REGISTER, says so."""
    if flow.browser and is_wrong(request, response):
        name = login_name(request, request.from_.address.aor)
        guard.failed(flow.peer.host, name, is_proven=name in proofs.aors(flow))


def _params(line: str) -> dict[str, str]:
    try:
        return dict(Credentials.parse(line).params)
    except BadMessage:
        return {}


def _name_in(line: str) -> str:
    return username_of(_params(line)) or ""
