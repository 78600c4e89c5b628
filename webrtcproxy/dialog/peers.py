"""The peers of dialogs: collects what is known of the sender of a message, for `routing.admission.is_peer`."""

from __future__ import annotations

from dataclasses import dataclass

from webrtcproxy.access.caller import Caller
from webrtcproxy.config import Trunk
from webrtcproxy.dialog.context import Context
from webrtcproxy.routing.admission import UNREGISTERED, BrowserUser, DialogPeer, is_peer
from webrtcproxy.transport.flow import Flow


@dataclass(frozen=True, slots=True)
class Addressee:
    """Whom a request was sent to that has no dialog yet; a `DialogPeer`.

    :ivar flow: where it was sent last.
    :ivar user: the user of the browser there.
    :ivar trunk: the trunk there.
    """

    flow: Flow
    user: BrowserUser
    trunk: Trunk | None

    def names(self, host: str) -> bool:
        """False: without a dialog there is no Contact and no Record-Route."""
        return False


def is_from_peer(context: Context, peer: DialogPeer, flow: Flow) -> bool:
    """Whether a message on `flow` is from the peer of a dialog."""
    if flow is peer.flow:
        return True
    location = context.location
    aors, bindings = location.proofs.aors(flow), location.bindings_on(flow)
    return is_peer(flow, peer, aors, bindings, context.sources.trunks_of)


def user_on(context: Context, flow: Flow, caller: Caller | None) -> BrowserUser:
    """The user of the browser on `flow`; `UNREGISTERED` where it has not registered, and for a peer on the SIP side.

    :param caller: on whose behalf it begins a dialog; None for a peer on the SIP side.
    """
    location = context.location
    aors, bindings = location.proofs.aors(flow), location.bindings_on(flow)
    if not aors and not bindings:
        return UNREGISTERED
    registered = frozenset([*aors, *(each.aor for each in bindings)])
    instances = frozenset(each.instance for each in bindings)
    return BrowserUser(registered, instances, None if caller is None else caller.aor)
