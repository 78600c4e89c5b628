"""Called number: whom a number rings that a trunk calls: the trunk's ``numbers``, else the users that have it."""

from __future__ import annotations

from collections.abc import Sequence

from twisted.internet.defer import Deferred, succeed

from webrtcproxy.config import Trunk
from webrtcproxy.config.numbers import THE_ONLY_ONE
from webrtcproxy.dialog.context import Context
from webrtcproxy.sip.mending import readable_addresses
from webrtcproxy.sip.message import Request
from webrtcproxy.users.attributes import number_in


def called_aors(context: Context, request: Request, trunks: Sequence[Trunk]) -> Deferred[list[str]] | None:
    """The addresses-of-record that the called number rings.

    :param trunks: those that may have called: several may share an address. The first one that knows the number counts.
    :returns: fires with them, and with none where nobody is meant unambiguously; None where the number is not known.
    """
    for trunk in trunks:
        number = called_number(request, trunk)
        found = None if number is None else _rung(context, number, trunk)
        if found is not None:
            return found
    return None


def _rung(context: Context, number: str, trunk: Trunk) -> Deferred[list[str]] | None:
    aors = trunk.numbers.find(number)
    if THE_ONLY_ONE in aors:
        others = [aor for aor in aors if aor != THE_ONLY_ONE]
        only = context.directory.only_registered_at(f"@{_domain_of(trunk)}")
        return only.addCallback(lambda aor: [*others, *([] if aor is None else [aor])])
    of_trunk = [domain for domain in context.domains if trunk.name in domain.trunks]
    found = list(aors) or [aor for domain in of_trunk for aor in domain.owners(number)]
    return succeed(found) if found else None


def called_number(request: Request, trunk: Trunk) -> str | None:
    """The number that a trunk calls, without visual separators and parameters; None where there is none.

    It stands where ``called-number`` says, and in the Request-URI where that header is absent or unreadable.
    """
    called = []
    if trunk.called_number == "to":
        called = [request.to]
    elif trunk.called_number == "p-called-party-id":
        called = readable_addresses(request.headers.lines("P-Called-Party-ID"))
    user = called[0].address.user if called else None
    return number_in(user or request.request_uri.user or "")


def _domain_of(trunk: Trunk) -> str:
    return trunk.host if trunk.port is None else f"{trunk.host}:{trunk.port}"
