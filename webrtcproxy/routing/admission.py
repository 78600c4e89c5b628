"""Admission: who may call, register, subscribe and replace dialogs. Each decision is a function of its arguments alone.

- A browser is admitted by its WebSocket handshake. It may call and register at the hosts that `check_destination`
  allows, with a trunk's credentials where `Policy.may_use_trunk_credentials` permits it.
- A request from the SIP side is processed where `is_heard` is true, and may call the users that `callees` returns.
- `check_calls`, `check_requests_of_browser` and `check_subscriptions` limit how many calls, requests and subscriptions
  there may be at once.
- A dialog belongs to its peer (`is_peer`), which may also replace and transfer it, and to whom that peer has sent
  there by REFER (`is_granted`): this one may replace it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from twisted.logger import Logger

from webrtcproxy.config import CallsConfig, Destinations, SubscriptionsConfig, Trunk
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.telephone import number_in
from webrtcproxy.sip.uri import Uri, normal
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


def callees(
    request: Request, trunks: Sequence[Trunk], aor: str | None, is_registrar: bool, called: Iterable[Uri] = ()
) -> list[str]:
    """The addresses-of-record that a request from the SIP side may be for, the likeliest first: the one whose Contact
    is the Request-URI, or a user at the trunk that the request comes from. Parameters and visual separators do not make
    another user of a telephone number (RFC 3261 section 19.1.6, RFC 3966 section 4, RFC 4694), nor does the form in
    which the trunk has it.

    :param trunks: the trunks that its source address belongs to.
    :param aor: the one whose Contact at the registrar is the Request-URI, if any.
    :param is_registrar: whether `aor` is registered at its source address.
    :param called: the URIs of its headers that say who is called, if any does: they come before the Request-URI.
    :raises Refusal: 403 where its source is neither a trunk nor that registrar, 404 where no such user is known.
    """
    if aor is not None:
        if trunks or is_registrar:
            return [aor]
        raise Refusal(403, "Not The Registrar Of This User")
    if not trunks:
        raise Refusal(404)
    found = [each for uri in (*called, request.request_uri) if uri.user for each in _named_by(uri, trunks)]
    if not found:
        raise Refusal(404)
    return list(dict.fromkeys(found))


def _named_by(uri: Uri, trunks: Sequence[Trunk]) -> list[str]:
    """The addresses-of-record that a URI may name: as it is written, and its number in other forms."""
    user, at, host = uri.aor.partition("@")
    hosts = [trunk.host if trunk.port is None else f"{trunk.host}:{trunk.port}" for trunk in trunks]
    found = [uri.aor, *(f"{user}@{each}" for each in hosts)]
    written = number_in(uri.user or "")
    if written is not None and normal(written) != user:
        found += [f"{normal(written)}@{each}" for each in ([host, *hosts] if at else hosts)]
    if written is not None:
        for trunk, place in zip(trunks, hosts, strict=True):
            if trunk.number_format.converts:
                found += [f"{form}@{place}" for form in trunk.number_format.spellings(written) if form != written]
    return found


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


class Registered(Protocol):
    """A binding of a browser (`webrtcproxy.registration.binding.Binding`)."""

    @property
    def aor(self) -> str:
        """The address-of-record."""

    @property
    def instance(self) -> str:
        """Its ``+sip.instance``, else its Contact."""


@dataclass(frozen=True, slots=True)
class BrowserUser:
    """Whose browser it is that a dialog is with, as far as it has registered.

    :ivar aors: the addresses-of-record that it had registered, or had authenticated for, on the flow of the dialog.
    :ivar instances: its ``+sip.instance``, or its Contact where it has none.
    :ivar aor: the one in whose name it has begun the dialog, or was called; None where it had proven none.
    """

    aors: frozenset[str] = frozenset()
    instances: frozenset[str] = frozenset()
    aor: str | None = None

    @staticmethod
    def called_at(binding: Registered) -> BrowserUser:
        """The browser of a binding, which is called there."""
        return BrowserUser(frozenset({binding.aor}), frozenset({binding.instance}), binding.aor)

    def with_binding(self, binding: Registered) -> BrowserUser:
        """The same browser, which has registered on the flow of its dialog."""
        return BrowserUser(self.aors | {binding.aor}, self.instances | {binding.instance}, self.aor)


UNREGISTERED = BrowserUser()
"""A browser that has not registered, and every peer on the SIP side."""


class DialogPeer(Protocol):
    """The peer of a dialog, or of a request that may create one."""

    @property
    def flow(self) -> Flow:
        """The flow that has reached it last."""

    @property
    def user(self) -> BrowserUser:
        """Who it is, where it is a browser."""

    @property
    def trunk(self) -> Trunk | None:
        """The trunk that it belongs to."""

    def names(self, host: str) -> bool:
        """Whether the dialog itself, by a message of this peer, has requests sent to or from the address `host`."""


def is_peer(
    flow: Flow, peer: DialogPeer, aors: Iterable[str], bindings: Iterable[Registered], trunks_of: TrunksOf
) -> bool:
    """Whether a message on `flow` is from the peer of a dialog. Whoever else sends it does not belong there, even with
    the right tags: they are no secret to the other end, nor to those in between.

    - A browser sends on the flow of the dialog. On another one it does if it has authenticated there as the same user,
      or is registered there as the same instance of that user. One that has not registered has its own flow only.
    - A peer on the SIP side sends from its address, from any address of its trunk, or from one that the dialog names:
      the port may differ.

    :param aors: those that the browser on `flow` has authenticated for.
    :param bindings: those of the browser on `flow`.
    """
    known = peer.flow
    if flow is known:
        return True
    if flow.browser != known.browser:
        return False
    if flow.browser:
        user = peer.user
        return not user.aors.isdisjoint(aors) or any(
            each.aor in user.aors and each.instance in user.instances for each in bindings
        )
    host, trunk = flow.peer.host, peer.trunk
    if host == known.peer.host:
        return True
    trunks = trunks_of(known.peer.host) if trunk is None else (trunk,)
    return any(each in trunks for each in trunks_of(host)) or peer.names(host)


def is_same_peer(flow: Flow, other: Flow, trunks_of: TrunksOf) -> bool:
    """Whether two flows on the SIP side lead to the same peer: to one address, or to addresses of one trunk."""
    return not flow.browser and not other.browser and _is_same(flow.peer.host, other.peer.host, trunks_of)


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
