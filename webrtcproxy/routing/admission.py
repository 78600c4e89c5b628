"""Admission: who may do what here. Each decision is a function of what is known; what asks for it looks that up.

- A browser is let in by its handshake. It may call and register at the hosts that `check_destination` allows, and has
  the credentials of trunks where `Policy.may_use_trunk_credentials` says so.
- A request from the SIP side is looked at where `is_heard` says so, and may call the users that `callees` names.
- How many calls, requests and subscriptions there may be at once say `check_calls`, `check_requests_of_browser` and
  `check_subscriptions`.
- A dialog may be replaced by an INVITE of those that `may_replace` finds, and transferred by its peer (`is_peer`).
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
"""Requests of one registered browser that may wait for an answer at once; of others, as many as they may have calls."""

_SOON = [("Retry-After", "10")]
_LATER = [("Retry-After", "60")]


# What a peer may send at all, and where to


def is_heard(flow: Flow, trunks_of: TrunksOf, is_registrar: Callable[[str], bool]) -> bool:
    """Whether a request is looked at, whatever it is. Any other one from the SIP side has to name a dialog.

    :param is_registrar: whether a browser is registered at an address.
    """
    return flow.browser or bool(trunks_of(flow.peer.host)) or is_registrar(flow.peer.host)


def check_destination(destinations: Destinations, trunks: Sequence[Trunk], host: str, port: int | None) -> None:
    """Whether browsers may call and register at a host.

    :raises Refusal: 403.
    """
    if not destinations.allows(host, port, trunks):
        raise Refusal(403, "Destination Not Allowed")


def callees(request: Request, trunks: Sequence[Trunk], aor: str | None, is_registrar: bool) -> list[str]:
    """The addresses-of-record that a request from the SIP side may be for, the likeliest first: the one whose Contact
    the Request-URI is, or a user at the trunk that it comes from.

    :param trunks: those that its source belongs to.
    :param aor: the one whose Contact at the registrar the Request-URI is, if any.
    :param is_registrar: whether `aor` is registered at its source.
    :raises Refusal: 403 where it comes from elsewhere, 404 where there is no such user.
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


# How much at once


def check_calls(
    limits: CallsConfig, flow: Flow, authenticated: bool, on_connection: int, total: int, request: Request
) -> None:
    """Whether there may be a further call.

    :param flow: of its INVITE; a browser's is limited by itself, too.
    :param authenticated: whether the browser has registered.
    :param on_connection: how many dialogs of calls it has.
    :param total: how many calls there are.
    :raises Refusal: 503.
    """
    limit = limits.limit_per_connection if authenticated else limits.limit_unregistered
    if flow.browser and on_connection >= limit:
        log.info("{call}: refused, its connection has {limit} calls", limit=limit, call=request.call_id)
        raise Refusal(503, "Too Many Calls Of Yours", _SOON)
    if total >= limits.limit:
        log.warn("{call}: refused, {limit} calls are up", limit=total, call=request.call_id)
        raise Refusal(503, "Too Many Calls", _SOON)


def check_requests_of_browser(limits: CallsConfig, authenticated: bool, requests: int, request: Request) -> None:
    """Whether a browser may send a further request outside of dialogs that is carried.

    :param authenticated: whether it has registered.
    :param requests: how many of its connection wait for their answers.
    :raises Refusal: 503.
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
    """Whether there may be a further subscription.

    :param limit_of_browser: how many a browser may have, whatever `limits` say.
    :param flow: of its request; a browser's is limited by itself, too.
    :param on_connection: how many dialogs of subscriptions it has.
    :param total: how many subscriptions there are.
    :raises Refusal: 503.
    """
    if flow.browser and on_connection >= min(limits.limit_per_connection, limit_of_browser):
        why = "Too Many Subscriptions Of Yours"
    elif total >= limits.limit:
        why = "Too Many Subscriptions"
    else:
        return
    log.info("{call}: a subscription is refused: {why}", why=why, call=request.call_id)
    raise Refusal(503, why, _LATER)


# Whose dialog it is


class Grant(Protocol):
    """The permission to replace a dialog, by a REFER that crossed (RFC 5589 section 7)."""

    @property
    def flow(self) -> Flow | None:
        """Of the browser that may; None where it is no browser."""

    @property
    def host(self) -> str:
        """The address of the peer that may."""

    @property
    def referrer(self) -> str:
        """The address of the SIP peer that sent the REFER."""


def may_replace(
    flow: Flow, peer: Flow, aor: str | None, aors: Container[str], grants: Iterable[Grant], trunks_of: TrunksOf
) -> bool:
    """Whether an INVITE on `flow` may take the place of a dialog (RFC 3891 section 3): its peer may, and the peer
    that a REFER of it has named. Parameters as of `is_peer` and `is_granted`."""
    return is_peer(flow, peer, aor, aors, trunks_of) or is_granted(flow, peer, grants, trunks_of)


def is_peer(flow: Flow, peer: Flow, aor: str | None, aors: Container[str], trunks_of: TrunksOf) -> bool:
    """Whether a request on `flow` is from the peer of a dialog: of a browser, also from another one that has proven the
    same address-of-record; of a trunk, from any address of it.

    :param peer: the flow of the dialog.
    :param aor: the address-of-record of its peer, where that is a browser.
    :param aors: those that the browser on `flow` has proven to have.
    """
    if flow.browser != peer.browser:
        return False
    if flow.browser:
        return flow is peer or aor in aors
    return _is_same(flow.peer.host, peer.peer.host, trunks_of)


def is_granted(flow: Flow, peer: Flow, grants: Iterable[Grant], trunks_of: TrunksOf) -> bool:
    """Whether a REFER of the peer of a dialog lets the peer on `flow` replace it. Browsers transfer by themselves.

    :param peer: the flow of the dialog.
    :param grants: those of the dialog.
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
    """Whether two addresses are one, or of the same trunk."""
    return host == other or bool({*trunks_of(host)} & {*trunks_of(other)})
