"""Replaces in Refer-To: translates the dialog that a relayed REFER names from one leg of a call to the other (RFC 3891,
RFC 5589 section 7).

A call has two dialogs, and each side knows only its own. A party that transfers one call to another, both through this
proxy, names its own dialog in the Replaces of its REFER:

- Where a browser is to carry out the transfer, the REFER is relayed unchanged: the browser's INVITE arrives at this
  proxy, whatever its Request-URI is. The proxy sends it to the other end of the named call, with the identifiers of the
  dialog there: see `invite/replaced_dialog.py`.
- Where a peer on the SIP side is to, its INVITE need not pass this proxy. So the REFER to it names the dialog with the
  other end.

A Replaces with an unknown dialog is relayed unchanged.

`routing/admission.py` decides who may replace a dialog.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from webrtcproxy.dialog.context import Context
from webrtcproxy.dialog.leg import Leg, TransferableCall
from webrtcproxy.dialog.referred import ReplacesGrant, ReplacesGrants
from webrtcproxy.dialog.table import DialogTable
from webrtcproxy.routing.admission import BrowserUser
from webrtcproxy.routing.peer_profile import PeerProfile, filter_address
from webrtcproxy.sip import for_browsers
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import readable_addresses
from webrtcproxy.sip.message import Headers
from webrtcproxy.sip.refer_to import refer_to
from webrtcproxy.sip.replaces import Replaces, replaces_of, with_replaces
from webrtcproxy.sip.uri import Uri, without_websocket
from webrtcproxy.transport.flow import Flow


@dataclass(frozen=True, slots=True)
class Party:
    """One end of a REFER.

    :ivar flow: that leads to it.
    :ivar profile: its profile.
    :ivar user: its user, where it is a browser.
    """

    flow: Flow
    profile: PeerProfile
    user: BrowserUser


def prepare_refer(headers: Headers, transferor: Party, transferee: Party, legs: DialogTable, context: Context) -> None:
    """Prepare a REFER to be relayed: write its Refer-To as the transferee has to see it, without the headers in its URI
    that don't cross, and let a browser that gets it repeat its Referred-By.

    :param headers: of the REFER, which cross.
    :param transferor: has sent it.
    :param transferee: gets it.
    :raises BadMessage: 400 where it has not exactly one Refer-To (RFC 3515 section 2.4.2), or it can't be read; 416
        where no browser can call what it names.
    """
    address = refer_to(headers)
    if transferee.profile.flow_bound:
        aor = transferee.user.aor
        domain = "" if aor is None else Uri.parse(f"sip:{aor}").host
        headers.set("Refer-To", for_browsers.refer_to(address, domain))
    value = filter_address(headers.get("Refer-To") or "", transferor.profile, transferee.profile)
    headers.set("Refer-To", _translated(value, transferor.flow, transferee.flow, legs, context))
    for referrer in _mend_referrers(headers) if transferee.profile.flow_bound else ():
        context.referrers.add(transferee.flow, transferee.user.aors, referrer)


def _mend_referrers(headers: Headers) -> list[str]:
    """The values of Referred-By. Those that are malformed are mended, or left out, in `headers`, too: a browser repeats
    what it gets."""
    lines = headers.lines("Referred-By")
    if not all(map(_is_address, lines)):
        headers.remove("Referred-By")
        for address in readable_addresses(lines):
            headers.add("Referred-By", str(address))
    return headers.lines("Referred-By")


def _is_address(text: str) -> bool:
    try:
        _ = NameAddr.parse(text).address
    except BadMessage:
        return False
    return True


def _translated(value: str, transferor: Flow, transferee: Flow, legs: DialogTable, context: Context) -> str:
    """The same Refer-To with the dialog that its Replaces names translated for the transferee."""
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
    # The INVITE may still arrive here, where a registrar routes the replaced dialog back to this proxy.
    _grant(named, transferee, other.flow.peer.host, legs, context)
    if is_contact_of(uri, leg):
        uri = replace(Uri.parse(other.dialog.remote_target), headers=uri.headers)
    return str(replace(address, uri=str(with_replaces(uri, named))))


def match_own_dialog(
    named: Replaces, transferor: Flow, legs: DialogTable, context: Context
) -> tuple[TransferableCall, Leg, Leg] | None:
    """The call with the dialog that `named` names, where that dialog is with the peer on the flow `transferor`: the
    call, its leg in that dialog, and the other leg; else None."""
    leg = legs.get(named.key)
    call = None if leg is None or leg.owner is None else leg.owner.transferable()
    if leg is None or call is None:
        return None
    if not leg.is_from_peer(transferor):
        return None
    other = call.other(leg)
    return None if other is None else (call, leg, other)


def as_peer_has_it(named: Replaces, leg: Leg) -> Replaces:
    """`named`, with the identifiers by which the peer of `leg` knows the dialog of that leg."""
    dialog = leg.dialog
    return named.names(dialog.call_id, dialog.remote_tag, dialog.local_tag)


def is_contact_of(uri: Uri, leg: Leg) -> bool:
    """Whether `uri`, apart from its headers, is the remote target of the peer of `leg`: the proxy's Contact (RFC 3261
    section 19.1.4), with or without the transport that it has for a browser."""
    contact = without_websocket(NameAddr.parse(leg.dialog.contact).address)
    return without_websocket(replace(uri, headers="")).same_as(contact)


def _grant(named: Replaces, transferee: Flow, referrer: str, legs: DialogTable, context: Context) -> None:
    """Permit the peer on the flow `transferee` to replace the named dialog. The dialog is remembered for a while even
    if it ends meanwhile, so that a late INVITE is answered 603.

    :param referrer: the address of the SIP peer that is replaced.
    """
    grant = ReplacesGrant(transferee if transferee.browser else None, transferee.peer.host, referrer)
    context.grants.add(named.key, grant)
    leg = legs.get(named.key)
    if leg is not None:
        leg.add_usage()
        context.transactions.schedule.after(ReplacesGrants.SECONDS, leg.drop_usage)
