"""Admission: who may call, register, subscribe and replace dialogs. Each decision is a function of its arguments alone.

- A browser is admitted by its WebSocket handshake. It may call and register at the hosts that `check_destination`
  allows, with a trunk's credentials where `Policy.may_use_trunk_credentials` permits it.
- A request from the SIP side is processed where `is_heard` is true, and may call the users that `callees` returns.
- `check_calls`, `check_requests_of_browser` and `check_subscriptions` limit how many calls, requests and subscriptions
  there may be at once.
- A dialog may be replaced by the peers for which `may_replace` is true, and transferred by its own peer (`is_peer`).
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Sequence
from typing import Protocol

from twisted.logger import Logger

from webrtcproxy.config import CallsConfig, Destinations, SubscriptionsConfig, Trunk
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.transport.flow import Flow

log = Logger()

TrunksOf = Callable[[str], Sequence[Trunk]]
"""The trunks that an address belongs to."""

MAX_REQUESTS_PER_CONNECTION = 50
"""Requests of one registered browser that may await a response at once. For others the limit of calls applies."""

_SOON = [("Retry-After", "10")]
_LATER = [("Retry-After", "60")]


# What a peer may send, and to which destinations


def is_heard(flow: Flow, trunks_of: TrunksOf, is_registrar: Callable[[str], bool]) -> bool:
    """Whether every request on `flow` is processed. From other sources on the SIP side, only requests within a dialog
    are.

    :param is_registrar: whether an IP address is that of a registrar at which a browser is registered.
    """
    return flow.browser or bool(trunks_of(flow.peer.host)) or is_registrar(flow.peer.host)


def check_destination(destinations: Destinations, trunks: Sequence[Trunk], host: str, port: int | None) -> None:
    """Check that browsers may call and register at a host.

    :raises Refusal: 403 where they may not.
    """
    if not destinations.allows(host, port, trunks):
        raise Refusal(403, "Destination Not Allowed")


def callees(request: Request, trunks: Sequence[Trunk], aor: str | None, is_registrar: bool) -> list[str]:
    """The addresses-of-record that a request from the SIP side may be for, the likeliest first: the one whose Contact
    is the Request-URI, or a user at the trunk that the request comes from.

    :param trunks: the trunks that its source address belongs to.
    :param aor: the one whose Contact at the registrar is the Request-URI, if any.
    :param is_registrar: whether `aor` is registered at its source address.
    :raises Refusal: 403 where its source is neither a trunk nor that registrar, 404 where no such user is known.
    """
    if aor is not None:
        if trunks or is_registrar:
            return [aor]
        raise Refusal(403, "Not The Registrar Of This User")
    uri = request.request_uri
    if not trunks or not uri.user:
        raise Refusal(404)
    hosts = (trunk.host if trunk.port is None else f"{trunk.host}:{trunk.port}" for trunk in trunks)
    user = uri.aor.partition("@")[0]
    return [uri.aor, *(f"{user}@{host}" for host in hosts)]


# Limits


def check_calls(
    limits: CallsConfig, flow: Flow, authenticated: bool, on_connection: int, total: int, request: Request
) -> None:
    """Check that there may be a further call.

    :param flow: of its INVITE; a browser's flow has a limit of its own, too.
    :param authenticated: whether the browser has registered.
    :param on_connection: how many dialogs of calls the flow has.
    :param total: how many calls there are.
    :raises Refusal: 503 where there are too many.
    """
    limit = limits.limit_per_connection if authenticated else limits.limit_unregistered
    if flow.browser and on_connection >= limit:
        log.info("{call}: refused, its connection has {limit} calls", limit=limit, call=request.call_id)
        raise Refusal(503, "Too Many Calls Of Yours", _SOON)
    if total >= limits.limit:
        log.warn("{call}: refused, {limit} calls are up", limit=total, call=request.call_id)
        raise Refusal(503, "Too Many Calls", _SOON)


def check_requests_of_browser(limits: CallsConfig, authenticated: bool, requests: int, request: Request) -> None:
    """Check that a further out-of-dialog request of a browser may be relayed.

    :param authenticated: whether it has registered.
    :param requests: how many requests of its connection await their responses.
    :raises Refusal: 503 where there are too many.
    """
    limit = MAX_REQUESTS_PER_CONNECTION
    if not authenticated:
        limit = min(limit, limits.limit_unregistered)
    if requests >= limit:
        log.info(
            "{call}: {method} is refused, {limit} requests of its connection wait for an answer",
            method=request.method,
            limit=limit,
            call=request.log_id,
        )
        raise Refusal(503, "Too Many Requests Of Yours", _SOON)


def check_subscriptions(
    limits: SubscriptionsConfig, limit_of_browser: int, flow: Flow, on_connection: int, total: int, request: Request
) -> None:
    """Check that there may be a further subscription.

    :param limit_of_browser: how many a browser may have, even where `limits` allow more.
    :param flow: of its request; a browser's flow has a limit of its own, too.
    :param on_connection: how many dialogs of subscriptions the flow has.
    :param total: how many subscriptions there are.
    :raises Refusal: 503 where there are too many.
    """
    if flow.browser and on_connection >= min(limits.limit_per_connection, limit_of_browser):
        why = "Too Many Subscriptions Of Yours"
    elif total >= limits.limit:
        why = "Too Many Subscriptions"
    else:
        return
    log.info("{call}: a subscription is refused: {why}", why=why, call=request.call_id)
    raise Refusal(503, why, _LATER)


# Who may act on a dialog


class Grant(Protocol):
    """The permission to replace a dialog, given by a REFER that the proxy relayed (RFC 5589 section 7)."""

    @property
    def flow(self) -> Flow | None:
        """The flow of the browser that may replace it; None where the permitted peer is not a browser."""

    @property
    def host(self) -> str:
        """The address of the peer that may replace it."""

    @property
    def referrer(self) -> str:
        """The address of the SIP peer that sent the REFER."""


def may_replace(
    flow: Flow, peer: Flow, aor: str | None, aors: Container[str], grants: Iterable[Grant], trunks_of: TrunksOf
) -> bool:
    """Whether an INVITE on `flow` may replace a dialog (RFC 3891 section 3): one of the dialog's peer may, and one of a
    peer that was sent there by the dialog peer's REFER. Parameters as of `is_peer` and `is_granted`."""
    return is_peer(flow, peer, aor, aors, trunks_of) or is_granted(flow, peer, grants, trunks_of)


def is_peer(flow: Flow, peer: Flow, aor: str | None, aors: Container[str], trunks_of: TrunksOf) -> bool:
    """Whether a request on `flow` is from the peer of a dialog. A browser's may also come from another browser that has
    authenticated for the same address-of-record; a trunk's from any address of the trunk.

    :param peer: the flow of the dialog.
    :param aor: the address-of-record of its peer, where that is a browser.
    :param aors: those that the browser on `flow` has authenticated for.
    """
    if flow.browser != peer.browser:
        return False
    if flow.browser:
        return flow is peer or aor in aors
    return _is_same(flow.peer.host, peer.peer.host, trunks_of)


def is_granted(flow: Flow, peer: Flow, grants: Iterable[Grant], trunks_of: TrunksOf) -> bool:
    """Whether a REFER of the peer of a dialog permits the peer on `flow` to replace it. Grants do not apply to a dialog
    with a browser.

    :param peer: the flow of the dialog.
    :param grants: the permissions to replace the dialog.
    """
    for grant in () if peer.browser else grants:
        if flow.browser:
            granted = grant.flow == flow
        else:
            granted = grant.flow is None and _is_same(grant.host, flow.peer.host, trunks_of)
        if granted and _is_same(grant.referrer, peer.peer.host, trunks_of):
            return True
    return False


def _is_same(host: str, other: str, trunks_of: TrunksOf) -> bool:
    """Whether two addresses are equal or belong to the same trunk."""
    return host == other or bool({*trunks_of(host)} & {*trunks_of(other)})
