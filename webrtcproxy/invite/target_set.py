"""Target set: finds the targets of an out-of-dialog request, INVITE or other (RFC 3261 section 16.5)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed

from webrtcproxy.access.caller import Caller
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.invite.called_number import called_aors, called_uris
from webrtcproxy.invite.local_targets import group_targets, local_targets, number_target
from webrtcproxy.invite.replaced_dialog import replaced_dialog_target
from webrtcproxy.invite.target import Target, TargetResolver, target_of_binding, target_of_route
from webrtcproxy.registration.binding import Found
from webrtcproxy.routing.admission import callees
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transaction.server import ServerTransaction


def call_targets(context: Context, transaction: ServerTransaction, legs: DialogTable) -> Deferred[TargetResolver]:
    """Fires with the resolver for the INVITE of `transaction`, or fails with Refusal where it is not permitted.

    :param legs: the index of dialogs, of which it may replace one.
    :raises Refusal: it is not permitted.
    :raises BadMessage: its Replaces can't be read.
    """
    request = transaction.request
    if "Replaces" in request.headers:
        peer = replaced_dialog_target(context, request, transaction.flow, legs)
        if peer is not None:
            return succeed(peer)
    return request_targets(context, transaction)


def request_targets(context: Context, transaction: ServerTransaction) -> Deferred[TargetResolver]:
    """Fires with the resolver for any request, or fails with Refusal where it is not permitted. A request from the SIP
    side goes to registered browsers; one from a browser along the route that the policy finds.

    :raises Refusal: it is not permitted.
    """
    request, flow = transaction.request, transaction.flow
    if not flow.browser:
        return callees_of(context, request, flow.peer.host).addCallback(_registered_for, context, transaction)
    return succeed(browser_targets(context, request, context.caller_of(request, flow), flow.peer.host))


def browser_targets(context: Context, request: Request, caller: Caller, host: str) -> TargetResolver:
    """The resolver for a request of a browser: to a domain that is served here, or along the route that the policy
    finds.

    :param caller: on whose behalf the browser sends it.
    :param host: the IP address of the browser.
    :raises Refusal: it is not permitted.
    """
    target = request.request_uri
    domain = context.domains.of(target.hostport) if target.host else None
    if domain is not None:
        return local_targets(context, request, domain, caller, host)
    if target.scheme == "tel" and caller.user is not None:
        number = number_in(target.user or "")
        if number is not None:
            return _number(context, request, number, caller, host)
    route = context.policy.call_route(request, caller)

    async def targets() -> Sequence[Target]:
        return [await target_of_route(context, request, route, caller, host)]

    return targets


def _number(context: Context, request: Request, number: str, caller: Caller, host: str) -> TargetResolver:
    """Resolves to the trunk that a user's number goes to."""

    async def targets() -> Sequence[Target]:
        return [await number_target(context, request, number, caller, host)]

    return targets


@dataclass(frozen=True, slots=True)
class Callees:
    """Whom a request from the SIP side is for.

    :ivar aors: the addresses-of-record.
    :ivar together: whether all of them ring; else the first one that has a browser.
    """

    aors: Sequence[str]
    together: bool = False


def callees_of(context: Context, request: Request, host: str) -> Deferred[Callees]:
    """Fires with the addresses-of-record that a request from `host`, on the SIP side, may be for; fails with Refusal as
    :func:`webrtcproxy.routing.admission.callees`."""

    def found(there: Found | None) -> Callees | Deferred[Callees]:
        aor, registrars = (None, ()) if there is None else (there.aor, there.registrars)
        trunks = context.sources.trunks_of(host)
        likeliest = context.sources.trunk_of(request, host)
        ordered = sorted(trunks, key=lambda each: each is not likeliest)
        asked = [each for each in ordered if aor is None or _calls_contact(each, aor)]
        rung = called_aors(context, request, asked)
        if rung is not None:
            return rung.addCallback(Callees, together=True)
        is_registrar = host in registrars
        called = [uri for trunk in ordered for uri in called_uris(request, trunk)]
        permitted = callees(request, trunks, aor, is_registrar, called)
        aors = [each for each in permitted if _may_call(context, trunks, each, is_registrar)]
        if not aors:
            raise Refusal(404)
        return Callees(aors)

    return context.directory.find_token(request.request_uri.user or "").addCallback(found)


def _calls_contact(trunk: Trunk, aor: str) -> bool:
    """Whether a call to the Contact of somebody who has registered at a trunk may be for a number in a header."""
    return trunk.called_number != "request-uri" and trunk.serves(_place(aor))


def _place(aor: str) -> tuple[str, int | None]:
    """The host and port of an address-of-record."""
    return Uri.parse(f"sip:{aor.rpartition('@')[2]}").hostport


def _may_call(context: Context, trunks: Sequence[Trunk], aor: str, is_registrar: bool) -> bool:
    """Whether the trunks of an address may call a user: one of a domain that is served here only where the domain has
    one of them, any other only where the user has registered at one of them, or at that address.

    :param is_registrar: whether the user has registered at the address.
    """
    domain = context.domains.named(aor.rpartition("@")[2])
    if domain is not None:
        return any(trunk.name in domain.trunks for trunk in trunks)
    return is_registrar or ("@" in aor and any(trunk.serves(_place(aor)) for trunk in trunks))


def _registered_for(
    callees: Callees, context: Context, transaction: ServerTransaction
) -> TargetResolver | Deferred[TargetResolver]:
    """As _registered; where several trunks have the address of the sender, the transaction gets to know its callee, who
    says which of them it is."""
    resolver = _registered(context, callees)
    if len(context.sources.trunks_of(transaction.flow.peer.host)) < 2:
        return resolver

    async def after_callee() -> TargetResolver:
        for aor in callees.aors:
            if (await context.directory.find(aor)).known:
                transaction.callee = aor
                break
        return resolver

    return Deferred.fromCoroutine(after_callee())


def _registered(context: Context, callees: Callees) -> TargetResolver:
    """Resolves to the browsers of the callees; Refusal 480 where one of them is known but has no browser connected,
    else 404."""

    async def targets() -> Sequence[Target]:
        known, rung = False, []
        for aor in callees.aors:
            there = await context.directory.find(aor)
            found = [target_of_binding(binding) for binding in there.targets()]
            name, _, host = aor.rpartition("@")
            domain = context.domains.named(host)
            if not found and domain is not None and domain.members(name):
                found, known = await group_targets(context, domain, name), True
            known = known or there.known or (domain is not None and domain.has(aor))
            rung += found
            if rung and not callees.together:
                break
        if not rung:
            raise Refusal(480 if known else 404)
        return rung

    return targets
