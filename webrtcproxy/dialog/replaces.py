"""Replaces: the dialog that a REFER names, and what it is called on the other leg of its call (RFC 3891, RFC 5589
section 7).

A call has two dialogs, and each side knows its own only. A party that transfers a call to another one, and has both
through this proxy, names the dialog that it has itself:

- Where a browser is to carry the transfer out, that stays so: its INVITE comes here, whatever its Request-URI is, and
  goes on to the other end of the call that the name is of, with the name that the dialog has there: see
  `invite/replaced_dialog.py`.
- Where a peer on the SIP side is to, its INVITE goes its own ways. So its REFER names the dialog with the other end.

The name of an unknown dialog crosses as it is.

Who may replace a dialog: see `routing/admission.py`.
"""

from __future__ import annotations

from dataclasses import replace

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg, TransferableCall
from webrtcproxy.dialog.referred import ReplacesGrant, ReplacesGrants
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.routing.admission import is_peer
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request
from webrtcproxy.sip.replaces import Replaces, replaces_of, with_replaces
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow


def rewrite_refer_to(refer: Request, transferor: Flow, transferee: Flow, legs: DialogTable, context: Context) -> str:
    """The Refer-To of a REFER as it crosses.

    :param transferor: the flow that it came by.
    :param transferee: the flow that it crosses to.
    :raises BadMessage: 400: there is not one (RFC 3515 section 2.4.2), or it can't be read.
    """
    values = refer.headers.lines("Refer-To")
    if len(values) != 1:
        raise BadMessage("Bad Refer-To")
    value = values[0]
    address = NameAddr.parse(value)
    uri = address.address
    named = replaces_of(uri)
    if named is None:
        return value
    ends = match_own_dialog(named, transferor, legs, context)
    if transferee.browser:
        if not transferor.browser:
            _grant(named, transferee, transferor.peer.host, legs, context)
        return value
    if ends is None:
        return value
    _, leg, other = ends
    if other.profile.browser:
        return value
    named = as_peer_has_it(named, other)
    # Where the dialog goes back to us by way of a registrar, its INVITE comes here all the same.
    _grant(named, transferee, other.flow.peer.host, legs, context)
    if is_contact_of(uri, leg):
        uri = replace(Uri.parse(other.dialog.remote_target), headers=uri.headers)
    return str(replace(address, uri=str(with_replaces(uri, named))))


def match_own_dialog(
    named: Replaces, transferor: Flow, legs: DialogTable, context: Context
) -> tuple[TransferableCall, Leg, Leg] | None:
    """The call whose dialog `named` names, where the peer on the flow `transferor` has it: the call, its leg, and the
    other leg; else None."""
    leg = legs.get(named.key)
    call = None if leg is None or leg.owner is None else leg.owner.transferable()
    if leg is None or call is None:
        return None
    aors = context.location.authenticated_aors(transferor)
    if not is_peer(transferor, leg.flow, leg.aor, aors, context.sources.trunks_of):
        return None
    other = call.other(leg)
    return None if other is None else (call, leg, other)


def as_peer_has_it(named: Replaces, leg: Leg) -> Replaces:
    """The dialog of `leg`, as its peer has it."""
    dialog = leg.dialog
    return named.names(dialog.call_id, dialog.remote_tag, dialog.local_tag)


def is_contact_of(uri: Uri, leg: Leg) -> bool:
    """Whether `uri` is what the peer of `leg` has as remote target: our Contact."""
    return uri.user == NameAddr.parse(leg.dialog.contact).address.user


def _grant(named: Replaces, transferee: Flow, referrer: str, legs: DialogTable, context: Context) -> None:
    """Let the peer on the flow `transferee` take a place in the dialog that is so named; for a while also where that
    ends meanwhile, so that an INVITE that comes too late is answered 603.

    :param referrer: the address of the SIP peer whose place it is.
    """
    grant = ReplacesGrant(transferee if transferee.browser else None, transferee.peer.host, referrer)
    context.grants.add(named.key, grant)
    leg = legs.get(named.key)
    if leg is not None:
        leg.add_usage()
        context.transactions.schedule.after(ReplacesGrants.SECONDS, leg.drop_usage)
