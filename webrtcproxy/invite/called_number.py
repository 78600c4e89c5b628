"""Called number: whom a number rings that a trunk calls: the trunk's ``numbers``, else the users that have it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed

from webrtcproxy.config import Trunk
from webrtcproxy.config.numbers import THE_ONLY_ONE
from webrtcproxy.dialog.context import Context
from webrtcproxy.sip.grammar import format_params
from webrtcproxy.sip.mending import readable_addresses
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.plain import ANONYMOUS_HOST
from webrtcproxy.sip.telephone import number_in, numbers_in_context
from webrtcproxy.sip.uri import Uri


def called_aors(context: Context, request: Request, trunks: Sequence[Trunk]) -> Deferred[list[str]] | None:
    """The addresses-of-record that the called number rings.

    :param trunks: those that may have called: several may share an address. The first one that knows the number counts.
    :returns: fires with them, and with none where nobody is meant unambiguously; None where the number is not known.
    """
    for trunk in trunks:
        for number in called_numbers(request, trunk):
            found = _rung(context, number, trunk)
            if found is not None:
                return found
    return None


def _rung(context: Context, number: str, trunk: Trunk) -> Deferred[list[str]] | None:
    spellings = trunk.number_format.spellings(number)
    aors = context.called_numbers.of(trunk).find(*spellings)
    if THE_ONLY_ONE in aors:
        others = [aor for aor in aors if aor != THE_ONLY_ONE]
        only = context.directory.only_registered_at(f"@{_domain_of(trunk)}")
        return only.addCallback(lambda aor: [*others, *([] if aor is None else [aor])])
    if not aors:
        of_trunk = [domain for domain in context.domains if trunk.name in domain.trunks]
        owners = (aor for domain in of_trunk for each in spellings for aor in domain.owners(each))
        aors = tuple(dict.fromkeys(owners))
    return succeed(list(aors)) if aors else None


def called_numbers(request: Request, trunk: Trunk) -> Sequence[str]:
    """The numbers that a trunk calls, without visual separators and parameters: where `called-number` says, each number
    that stands there, and the one in the Request-URI where there is none."""
    found = [number for uri in called_uris(request, trunk) for number in _numbers_of(uri)]
    return found or _numbers_of(request.request_uri)


def _numbers_of(uri: Uri) -> Sequence[str]:
    """The number in a URI as it is written, and those that it may be by its context."""
    number = number_in(uri.user or "")
    if number is None:
        return []
    return [number, *numbers_in_context(f"{uri.user}{format_params(uri.params)}")]


def called_uris(request: Request, trunk: Trunk) -> Sequence[Uri]:
    """The URIs that a trunk calls, where `called-number` says that they do not stand in the Request-URI; none where
    they can't be read."""
    if trunk.called_number == "to":
        return [request.to.address]
    if trunk.called_number == "p-called-party-id":
        lines = request.headers.lines("P-Called-Party-ID")  # some write the number alone
        return [named.address for named in readable_addresses(lines, ANONYMOUS_HOST)]
    return []


def _domain_of(trunk: Trunk) -> str:
    return trunk.host if trunk.port is None else f"{trunk.host}:{trunk.port}"
