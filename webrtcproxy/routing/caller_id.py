"""Caller ID: how the caller of a request is shown to its target (RFC 3323, RFC 3325).

A browser that has registered at a trunk is shown as that address. A user of a domain that is served here is shown to a
trunk with one of the numbers of its account, where the trunk's section wants it, and to another user by its address.
Neither is shown as anybody else, and both may be shown as nobody.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass, replace

from webrtcproxy.access.caller import Caller
from webrtcproxy.access.identity import is_anonymous
from webrtcproxy.config import Trunk
from webrtcproxy.routing.header_policy import ASSERTED_IDENTITY, wants_anonymity
from webrtcproxy.routing.number_forms import outgoing
from webrtcproxy.routing.peer_profile import PLACES
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.plain import ANONYMOUS_HOST
from webrtcproxy.sip.uri import Uri, bracketed, normal, with_plain_number, without_params
from webrtcproxy.users.user import User

ANONYMOUS = NameAddr("Anonymous", f"sip:anonymous@{ANONYMOUS_HOST}")
"""Nobody (RFC 3323 section 4.1)."""


CLAIMS = frozenset({"verstat", "cpc", "oli", "isup-oli", "tgrp", "trunk-context", "rn", "npdi", "cic", "rn-context"})
"""Parameters by which an address says what only a network may say: that it is verified, who pays, which trunk group it
comes by (3GPP TS 24.229 section 7.2A, RFC 4694, RFC 4904)."""


@dataclass(frozen=True, slots=True)
class CallerId:
    """How a caller is shown.

    :ivar address: From, without tag; None for what the browser has written.
    :ivar callee: To, without tag; None for what the browser has written.
    :ivar asserted: P-Asserted-Identity in place of all that the browser says of its identity: empty for none; None
        where what it says crosses by the header policy.
    """

    address: NameAddr | None = None
    callee: NameAddr | None = None
    asserted: str | None = None

    def assert_identity(self, headers: Headers) -> None:
        """Write P-Asserted-Identity into the headers of a request that is about to be sent."""
        if self.asserted is None:
            return
        for name in ASSERTED_IDENTITY:
            headers.remove(name)
        if self.asserted:
            headers.set("P-Asserted-Identity", self.asserted)


AS_WRITTEN = CallerId()
"""What the browser has written crosses."""


def caller_id_of(request: Request, caller: Caller, trunk: Trunk | None, uri: str) -> CallerId:
    """How the caller is shown.

    :param caller: as `identify` has found it.
    :param trunk: the trunk that the request goes to; None for a browser, and for a server without a section.
    :param uri: the Request-URI there.
    :raises BadMessage: From can't be read.
    """
    claimed = request.from_.address
    if caller.user is not None:
        private = is_anonymous(claimed, (caller.user.aor,)) or wants_anonymity(request.headers)
        if trunk is None:
            return CallerId(ANONYMOUS if private else _named(caller.user, f"sip:{caller.user.aor}"), None, "")
        return _to_trunk(request, caller.user, trunk, private, uri)
    callee = _callee(request.to, trunk)
    if caller.aor is not None and is_anonymous(claimed, (caller.aor,)):
        bare = _bare(request.from_, CLAIMS | PLACES) or request.from_
        return CallerId(NameAddr("Anonymous", bare.uri), callee)
    if caller.aor is None or claimed.aor == caller.aor:
        shown = _bare(request.from_, CLAIMS | PLACES)
        return AS_WRITTEN if shown is None and callee is None else CallerId(shown, callee)
    return CallerId(NameAddr("", f"sip:{caller.aor}"), callee)


def _callee(written: NameAddr, trunk: Trunk | None) -> NameAddr | None:
    """The callee as the SIP side sees it; None where it is as it is written."""
    bare = _bare(written, PLACES) or written
    uri = bare.address
    plain = outgoing(with_plain_number(uri), trunk)
    if plain is not uri:
        bare = NameAddr(bare.display, str(plain), bare.params)
    return None if bare is written else bare


def assert_within_dialog(headers: Headers, said: Headers, own: str, caller: Caller, trunk: Trunk | None) -> None:
    """Have a browser's message within a dialog show no other identity than a first INVITE of its user would.

    :param headers: those that cross; changed where the caller is a user of a domain that is served here, and the
        message says who that is.
    :param said: those of the message.
    :param own: the browser's own address in it: From of a request, To of a response.
    :param trunk: the trunk that it goes to; None for a browser, and for a server without a section.
    """
    if caller.user is None or not (headers.has_any(ASSERTED_IDENTITY) or said.has_any(ASSERTED_IDENTITY)):
        return
    asserted = ""
    if trunk is not None:
        with suppress(BadMessage):  # it is shown nothing then
            wanted = [*_preferred(said), NameAddr.parse(own).address]  # From can't be chosen any more
            asserted = _asserted(caller.user, trunk, _as_sent(_number(wanted, caller.user), trunk))
    CallerId(asserted=asserted).assert_identity(headers)


def _bare(written: NameAddr, names: frozenset[str]) -> NameAddr | None:
    """An address without parameters of these names, and without the password and the headers that its URI may have;
    None where it has none of them."""
    uri = written.address
    bare = without_params(uri, names) if uri.params else uri
    if bare.headers or bare.password is not None:
        bare = replace(bare, password=None, headers="")
    if bare is uri and not any(normal(name).lower() in names for name, _ in written.params):
        return None
    return NameAddr(written.display, str(bare))


def _to_trunk(request: Request, user: User, trunk: Trunk, private: bool, uri: str) -> CallerId:
    number = _number([request.from_.address, *_preferred(request.headers)], user)
    number = _as_sent(number, trunk)
    account = user.accounts.get(trunk.name)
    name = trunk.username if account is None else account.aor.partition("@")[0]
    shown = _named(user, _uri(number or name or user.name, trunk))
    asserted = _asserted(user, trunk, number)
    if trunk.caller_id == "asserted":
        shown = _named(user, _uri(name or number or user.name, trunk))
    return CallerId(ANONYMOUS if private else shown, NameAddr("", uri), asserted)


def _as_sent(number: str | None, trunk: Trunk) -> str | None:
    """The number that a trunk is sent for a user's, or for one who has none."""
    number = number or trunk.main_number
    return number and trunk.number_format.outgoing(number)


def _asserted(user: User, trunk: Trunk, number: str | None) -> str:
    return "" if trunk.caller_id == "from" or number is None else str(_named(user, _uri(number, trunk)))


def _named(user: User, uri: str) -> NameAddr:
    """The user with the name of its account. The name that the browser writes is not shown: it may be another's, or a
    number, which phones show in place of the real one."""
    return NameAddr(user.display_name, uri)


def _uri(user: str, trunk: Trunk) -> str:
    port = "" if trunk.port is None else f":{trunk.port}"
    return f"sip:{user}@{bracketed(trunk.host)}{port}"


def _number(asked_for: Iterable[Uri], user: User) -> str | None:
    """The number to show: the one of the user's that it asks for, else its first."""
    for wanted in asked_for:
        number = user.own_number(wanted)
        if number is not None:
            return number
    return user.numbers[0] if user.numbers else None


def _preferred(headers: Headers) -> Iterable[Uri]:
    """The addresses in P-Preferred-Identity."""
    for value in headers.all("P-Preferred-Identity"):
        try:
            yield NameAddr.parse(value).address
        except BadMessage:
            continue
