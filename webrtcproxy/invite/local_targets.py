"""Local targets: where a request to a domain that is served here goes: to browsers of a user or of a group, or with a
number to the trunk of the domain."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from webrtcproxy.access.caller import Caller
from webrtcproxy.dialog.context import Context
from webrtcproxy.invite.target import Target, TargetResolver, target_of_binding, target_of_route
from webrtcproxy.routing.caller_id import AS_WRITTEN, CallerId, caller_id_of
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import bracketed, normal_user
from webrtcproxy.users.domains import ServedDomain, is_aor_port

MAX_MEMBERS: Final = 50
"""Most members of a group that are called."""


def local_targets(
    context: Context, request: Request, domain: ServedDomain, caller: Caller, host: str
) -> TargetResolver:
    """The resolver for a browser's request to a domain that is served here: the browsers of the user, else those of the
    group of that name, else, with a number, the first trunk of the caller's domain.

    :param domain: that of the Request-URI.
    :param caller: on whose behalf the browser sends it.
    :param host: the IP address of its browser.
    :raises Refusal: 403 for who has not logged in at that domain, and is no user of another; for a user of another
        domain, where `[access] destinations` does not name this one.
    """
    target = request.request_uri
    if caller.user is None and not caller.is_authenticated_by(domain.authority):
        raise Refusal(403, "Register First")
    if not caller.is_authenticated_by(domain.authority):
        context.policy.check_destination(*target.hostport)

    caller_id = caller_id_of(request, caller, None, request.uri)

    async def targets() -> Sequence[Target]:
        if target.user is None or not is_aor_port(target.port):
            raise Refusal(404)
        aor = f"{normal_user(target.user)}@{domain.name}"
        there = await context.directory.find(aor)
        if there.bindings:
            return [target_of_binding(binding, caller_id) for binding in there.targets()]
        if there.known or domain.has(aor):
            raise Refusal(480)
        if domain.members(target.user):
            members = await group_targets(context, domain, target.user, caller.aor, caller_id)
            if not members:
                raise Refusal(480)
            return members
        number = number_in(target.user)
        if number is None:
            raise Refusal(404)
        return [await number_target(context, request, number, caller, host)]

    return targets


async def group_targets(
    context: Context,
    domain: ServedDomain,
    group: str,
    caller: str | None = None,
    caller_id: CallerId = AS_WRITTEN,
) -> list[Target]:
    """The browsers of all members of a group; empty where none is connected.

    :param caller: the address-of-record of the caller, whose own browsers do not ring.
    :param caller_id: how the caller is shown.
    """
    found: list[Target] = []
    for aor in list(domain.members(group))[:MAX_MEMBERS]:
        if aor != caller:
            there = await context.directory.find(aor)
            found += [target_of_binding(binding, caller_id) for binding in there.targets()]
    return found


async def number_target(context: Context, request: Request, number: str, caller: Caller, host: str) -> Target:
    """The target for a number that a user dials: the first trunk of its domain, at the expense of its account.

    :param request: whose Request-URI the number replaces.
    :param host: the IP address of the browser.
    :raises Denied: the access policy does not permit it.
    :raises Refusal: 404 where the domain has no trunk.
    """
    domain = None if caller.user is None else context.domains.named(caller.user.domain)
    if domain is None or not domain.config.trunks:
        raise Refusal(404, "No Trunk For Telephone Numbers")
    route = context.policy.route_to(domain.config.trunks[0], caller)
    trunk = route.trunk
    assert trunk is not None
    port = "" if trunk.port is None else f":{trunk.port}"
    uri = f"sip:{number.replace('#', '%23')}@{bracketed(trunk.host)}{port}"
    return await target_of_route(context, request, route, caller, host, uri)
