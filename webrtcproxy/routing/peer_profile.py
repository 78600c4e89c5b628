"""Peer profile: how the messages and the media of a browser, a trunk, or an unknown SIP peer are treated.

How the messages and the media of a dialog differ between the two sides is decided in this file only. What a peer may
send, and to whom, depends on the kind of its flow as well: tests/test_owners.py lists the modules that ask for that.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass, replace
from urllib.parse import unquote

from twisted.logger import Logger

from webrtcproxy.config import Trunk
from webrtcproxy.config.headers import CREDENTIALS
from webrtcproxy.media.profile import BROWSER, BROWSER_OF_TRUNK, TRUNK, Profile, profiles_of
from webrtcproxy.routing.header_policy import (
    BETWEEN_BROWSERS,
    DEFAULT_HEADER_POLICY,
    IN_URIS,
    MAY_WITHHOLD,
    NOT_IN_URIS,
    DeniedNames,
    HeaderPolicy,
    withhold,
)
from webrtcproxy.routing.number_forms import convert_headers, incoming, outgoing
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip import for_browsers
from webrtcproxy.sip.capabilities import ALLOW, ALLOW_BROWSER
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import canonical
from webrtcproxy.sip.grammar import is_token
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Message, Request, Response
from webrtcproxy.sip.telephone import VISUAL_SEPARATORS
from webrtcproxy.sip.uri import with_plain_number, without_params, without_websocket

log = Logger()

PLACES = frozenset({"maddr", "ttl"})
"""Parameters of a URI that say where to send a request (RFC 3261 section 19.1.1)."""


_may_have_separators = re.compile(rf"[{VISUAL_SEPARATORS}%][^@]*@").search
"""Whether a user part may be a number with visual separators."""


@dataclass(frozen=True, slots=True)
class PeerProfile:
    """How the messages and the media of one peer are treated, whichever side calls.

    :ivar browser: whether it is a browser.
    :ivar trunk: the trunk that it belongs to, where it has a section.
    :ivar headers: which headers cross to it and from it.
    :ivar own_profile: the media profile of a browser's SDP for it, where it is not a browser; use `media_from`.
    :ivar for_browsers: the media profile of its SDP for a browser.
    """

    browser: bool
    trunk: Trunk | None
    headers: HeaderPolicy
    own_profile: Profile
    for_browsers: Profile

    @staticmethod
    def of(trunk: Trunk) -> PeerProfile:
        """The profile that the trunk's section configures."""
        return PeerProfile(False, trunk, HeaderPolicy.of(trunk), *profiles_of(trunk.media))

    @property
    def allow(self) -> tuple[str, str]:
        """The Allow header with the methods that it may send outside of dialogs."""
        return ALLOW_BROWSER if self.browser else ALLOW

    @property
    def flow_bound(self) -> bool:
        """Whether it can be reached only over the connection that it has opened, and may replace that by a new one
        (RFC 5626, RFC 7118); a peer on the SIP side is reached at its address."""
        return self.browser

    @property
    def keeps_call_id(self) -> bool:
        """Whether retries of a request to it are one sequence upstream, with one Call-ID and increasing CSeq numbers,
        so that the sender can answer challenges. To a browser, each request has a new Call-ID."""
        return not self.browser

    def wants_dtmf_events(self, sender: PeerProfile) -> bool:
        """Whether digits in an INFO of `sender` become telephone-events in the audio (RFC 4733) towards this peer."""
        return sender.browser and self.trunk is not None and self.trunk.media.dtmf == "rfc4733"

    def transfers_locally(self, transferor: PeerProfile) -> bool:
        """Whether the proxy carries out a REFER of `transferor` itself where this peer refuses it."""
        return transferor.browser and self.trunk is not None and self.trunk.refer == "local"

    def challenge_refusal(self) -> Refusal | None:
        """The response in place of a 401 or 407 of this peer that cannot be answered: credentials never cross to
        browsers. None where challenges cross."""
        return Refusal(480, "Callee Asks For Credentials") if self.browser else None

    @property
    def withheld_params(self) -> frozenset[str]:
        """The parameters of a URI that do not cross from it: a browser does not choose where its requests are sent."""
        return PLACES if self.browser else frozenset()

    def media_from(self, source: PeerProfile) -> Profile:
        """The media profile of SDP from another peer for this one."""
        return source.for_browsers if self.browser else self.own_profile.of(source.for_browsers.source)

    def unreachable(self) -> Refusal:
        """The response to the other side where this peer can't be reached: 480 for a browser without a connection, 502
        for a server (RFC 3261 sections 21.4.18 and 21.5.3)."""
        return Refusal(480) if self.browser else Refusal(502, "Trunk Unreachable")


BROWSER_PEER = PeerProfile(True, None, HeaderPolicy(to_browser=BETWEEN_BROWSERS), BROWSER, BROWSER)
"""The profile of every browser. To another browser no more of its headers cross than to a trunk, and no credentials."""


UNKNOWN_PEER = PeerProfile(False, None, DEFAULT_HEADER_POLICY, TRUNK, BROWSER_OF_TRUNK)
"""The profile of a peer on the SIP side that has no section."""


def filter_headers(message: Message, source: PeerProfile, target: PeerProfile) -> Headers:
    """The headers of `message` that cross from one peer to another, order and spelling kept.

    The policy is a deny-list: a header crosses unless it is known to belong to one leg.
    """
    headers = message.headers
    if target.browser:
        crossed = headers.without(source.headers.to_browser.among(headers))
        if crossed.has_any(MAY_WITHHOLD):
            withhold(crossed)
        convert_headers(crossed, source.trunk, to_trunk=False)
        if crossed.has_any(for_browsers.PARSED):
            _rewrite(crossed, message)
        return crossed
    crossed = headers.without(target.headers.to_trunk.among(headers))
    convert_headers(crossed, target.trunk, to_trunk=True)
    if target.headers.sets and isinstance(message, Request):
        for name, value in target.headers.sets:
            crossed.set(name, value)
    return crossed


def _rewrite(headers: Headers, message: Message) -> None:
    """Write newly what no browser could parse: it would drop the whole message."""
    method = message.method if isinstance(message, Request) else ""
    changed = for_browsers.rewrite(headers, method == "REFER")
    if changed:
        log.info(
            "{call}: {names} of {method} is newly written or left out, no browser could parse it",
            call=message.log_id,
            names=", ".join(changed),
            method=method or "a response",
        )


def content_type_of(message: Message, target: PeerProfile) -> str:
    """The Content-Type of a body that crosses (RFC 3261 section 20.15: octets by default), for a browser one that it
    can parse."""
    value = message.headers.get("Content-Type") or "application/octet-stream"
    if not target.flow_bound:
        return value
    written = for_browsers.content_type(value)
    if written != value:
        log.info("{call}: Content-Type is newly written, no browser could parse it", call=message.log_id)
    return written


def filter_address(value: str, source: PeerProfile, target: PeerProfile) -> str:
    """A Refer-To, or the Contact of a redirection, that crosses from one peer to another. Its URI may have headers for
    the request that the recipient makes from it (RFC 3261 section 19.1.1): only those stay that would cross by
    themselves, and those that name a dialog. A browser's has no `PLACES`, and none that goes to the SIP
    side a transport that only browsers have, or visual separators in a number.

    :param value: an address; returned unchanged where its URI has nothing that does not cross.
    :raises BadMessage: it can't be read.
    """
    if not _may_change(value, source, target):
        return value
    address = NameAddr.parse(value)
    uri = address.address
    crossed = without_params(uri, source.withheld_params)
    if target.browser:
        crossed = incoming(crossed, source.trunk)
    else:
        crossed = outgoing(with_plain_number(without_websocket(crossed)), target.trunk)
    if uri.headers:
        denied = _denied(source, target)
        kept = [pair for pair in uri.headers.split("&") if _stays(canonical(unquote(pair.partition("=")[0])), denied)]
        crossed = replace(crossed, headers="&".join(kept))
    return value if crossed is uri else str(replace(address, uri=str(crossed)))


def contacts_of(response: Response, source: PeerProfile, target: PeerProfile) -> Headers:
    """The Contacts of a redirection that cross from one peer to another; those that can't be read are left out where
    one of them may have something that does not cross."""
    headers = response.headers.only({"Contact"})
    if any(_may_change(value, source, target) for value in headers.lines("Contact")):
        filtered = Headers()
        with suppress(BadMessage):
            for value in headers.all("Contact"):
                filtered.add("Contact", filter_address(value, source, target))
        headers = filtered
    if target.flow_bound:
        host = response.to.address.host
        headers = Headers([("Contact", value) for value in for_browsers.contacts(headers.lines("Contact"), host)])
    return headers


def _may_change(value: str, source: PeerProfile, target: PeerProfile) -> bool:
    """Whether addresses may have something that does not cross, or crosses in another form."""
    if any(peer.trunk is not None and peer.trunk.number_format.converts for peer in (source, target)):
        return True
    return "?" in value or (bool(source.withheld_params) and (";" in value or _may_have_separators(value) is not None))


def _denied(source: PeerProfile, target: PeerProfile) -> DeniedNames:
    """The names of the headers that do not cross."""
    return source.headers.to_browser if target.browser else target.headers.to_trunk


def _stays(name: str, denied: DeniedNames) -> bool:
    if name in IN_URIS:
        return True
    return is_token(name) and name.lower() not in NOT_IN_URIS and name not in CREDENTIALS and name not in denied
