"""Identity: who a browser's request is from, and that it shows nobody else (RFC 3323, RFC 3892)."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace as replace_parts

from twisted.logger import Logger

from webrtcproxy.access.caller import STRANGER, Caller
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import readable_addresses
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.plain import ANONYMOUS_HOST
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow
from webrtcproxy.users.user import User

log = Logger()


def identify(proofs: Proofs, flow: Flow, request: Request, *, replace: bool) -> Caller:
    """On whose behalf a browser has sent a request. A browser that has proven an address-of-record speaks for that one
    or for nobody (anonymous), and not for another.

    :param flow: on which it arrived.
    :param replace: whether a From that is another's is replaced by the proven address, and the request goes on.
    :returns: the caller, whose `Caller.aor` need not be the address in From; `STRANGER` where the browser has proven
        nothing.
    :raises Refusal: 403 where From is another's.
    :raises BadMessage: From can't be read.
    """
    aors = proofs.aors(flow)
    if not aors:
        return STRANGER
    caller = _speaker(proofs, flow, request.from_.address, aors)
    if caller is not None:
        return caller
    if replace:
        return proofs.caller(flow)
    log.info(
        "{call}: {method} of {host} is refused: it is registered as {aors}, and From is another's; [access]"
        " foreign-from = replace would write {aor} there",
        call=request.log_id,
        method=request.method,
        host=flow.peer.host,
        aors=", ".join(aors),
        aor=aors[0],
    )
    raise Refusal(403, "From Is Not Yours")


def speaker(proofs: Proofs, flow: Flow, claimed: Uri) -> Caller | None:
    """The caller whom an address in From may stand for: it is the proven address-of-record of the browser on `flow`, a
    number of its user, or nobody's. None where the browser has proven nothing, and for an address that is another's."""
    aors = proofs.aors(flow)
    return _speaker(proofs, flow, claimed, aors) if aors else None


def payer(proofs: Proofs, flow: Flow, request: Request) -> Caller:
    """Whose limits and rules a browser's request counts for: those of the user whom its From stands for, however many
    others the browser has proven to be; where that is nobody's, those of the first.

    :raises BadMessage: From can't be read.
    """
    aors = proofs.aors(flow)
    if not aors:
        return STRANGER
    return _speaker(proofs, flow, request.from_.address, aors) or proofs.caller(flow)


def _speaker(proofs: Proofs, flow: Flow, claimed: Uri, aors: Sequence[str]) -> Caller | None:
    """The same as `speaker`, for a browser that has proven these addresses-of-record, at least one."""
    aor = claimed.aor
    if aor in aors:
        return proofs.caller(flow, aor)
    if is_anonymous(claimed, aors):
        return proofs.caller(flow)
    for caller in (proofs.caller(flow, aor) for aor in aors):
        if caller.user is not None and may_show(caller.user, claimed):
            return caller
    return None


def holder(proofs: Proofs, flow: Flow, aor: str | None) -> Caller:
    """The caller that a browser is in a dialog that was begun in the name of an address-of-record.

    :param aor: the one that the browser on `flow` has proven, or that is its user's account at a trunk; None where the
        dialog was begun in nobody's name, and the one counts that the browser has proven first.
    :returns: `STRANGER` where it is not, or no longer, this one.
    """
    caller = proofs.caller(flow, aor)
    if aor is None or caller.aor is not None:
        return caller
    for other in (proofs.caller(flow, each) for each in proofs.aors(flow)):
        if other.user is not None and aor in other.user.account_aors:
            return other
    return STRANGER


def has_account(proofs: Proofs, flow: Flow, aor: str) -> bool:
    """Whether an address-of-record is that of an account of a user who is logged in on `flow`."""
    user = holder(proofs, flow, aor).user
    return user is not None and aor in user.account_aors


def may_show(user: User, claimed: Uri) -> bool:
    """Whether an address is that of the user, that of its own account at a trunk, one of its numbers at its domain, or
    nobody's."""
    aor = claimed.aor
    if aor == user.aor or aor in user.account_aors or is_anonymous(claimed, (user.aor,)):
        return True
    return _own_number(user, claimed) is not None


def _own_number(user: User, claimed: Uri) -> str | None:
    """The number of the user's that an address is, at its domain or at none."""
    return user.own_number(claimed) if claimed.host.lower() in ("", user.domain) else None


def is_anonymous(address: Uri, aors: Sequence[str] = ()) -> bool:
    """Whether an address names nobody: ``anonymous`` at `ANONYMOUS_HOST`, or at the domain of one of `aors`."""
    if (address.user or "").lower() != "anonymous":
        return False
    host = address.host.lower()
    return host == ANONYMOUS_HOST or any(host == aor.partition("@")[2].partition(":")[0] for aor in aors)


def check_referred_by(
    proofs: Proofs,
    flow: Flow,
    request: Request,
    aors: Sequence[str],
    referrers: Collection[str],
    *,
    replace: bool,
) -> None:
    """Let the Referred-By of a browser's request name nobody but its user, or who has referred it (RFC 3892). Its user
    is named by no other display name than that of its account, and nothing is claimed beside the address. One that is
    malformed is mended where its meaning is plain.

    :param aors: those of the browser on `flow`: proven ones, and those of the dialog that the request is within.
    :param referrers: the Referred-By of those who have referred it.
    :param replace: whether one that is another's is mended: the proven address is written into a REFER, and nothing
        into another request.
    :raises Refusal: 403 where it is another's.
    :raises BadMessage: 400 where it can't be read, unless that is mended.
    """
    values = request.headers.lines("Referred-By")
    named = [_read(value) for value in values]
    if None in named and not replace:
        raise BadMessage("Bad Referred-By")
    users = [user for user in (proofs.caller(flow, aor).user for aor in aors) if user is not None]
    crossing = [None if each is None else _referred_by(each, aors, users, referrers) for each in named]
    if None in crossing and not replace:
        log.info("{call}: refused, its Referred-By is another's than {aors}", call=request.log_id, aors=", ".join(aors))
        raise Refusal(403, "Referred-By Is Not Yours")
    if crossing == values:
        return
    request.headers.remove("Referred-By")
    if None in crossing:
        crossing = [f"<sip:{aors[0]}>"] if request.method == "REFER" and aors else []
    for value in filter(None, crossing):
        request.headers.add("Referred-By", value)


def _read(value: str) -> NameAddr | None:
    """A Referred-By, mended where that is needed; None where it can't be read."""
    found = readable_addresses([value])
    return found[0] if len(found) == 1 else None


def _referred_by(named: NameAddr, aors: Sequence[str], users: Iterable[User], referrers: Iterable[str]) -> str | None:
    """A Referred-By as it crosses; None where it is another's."""
    address = named.address
    if any(_repeats(named, NameAddr.parse(referrer)) for referrer in referrers):
        return str(named)
    shown = replace_parts(address, password=None, params=(), headers="")
    params = tuple(param for param in named.params if param[0].lower() == "cid")
    for user in users:
        number = _own_number(user, address)
        if number is not None:
            shown = replace_parts(shown, user=number.replace("#", "%23"))
        if number is not None or may_show(user, address):
            return str(NameAddr(named.display and user.display_name, str(shown), params))
    if address.aor in aors or is_anonymous(address, aors):
        return str(NameAddr(named.display, str(shown), params))
    return None


def _repeats(named: NameAddr, referrer: NameAddr) -> bool:
    """Whether a Referred-By is the one of a REFER, perhaps with less beside the address."""
    return (
        named.uri == referrer.uri
        and named.display in ("", referrer.display)
        and set(named.params) <= set(referrer.params)
    )
