"""Reading and writing REGISTER: what the browser asks for, what is sent to the registrar, and what its 200 grants
(RFC 3261 section 10). Values and stateless functions."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping, Sequence

from webrtcproxy.config.addresses import plain_host
from webrtcproxy.registration.binding import Binding, Key, contact_user_of, key_of
from webrtcproxy.routing.loops import remaining_hops
from webrtcproxy.routing.peer_profile import BROWSER_PEER, PeerProfile, content_type_of, filter_headers
from webrtcproxy.routing.policy import Route
from webrtcproxy.routing.sequence import for_sip_side
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import RegistrationResult
from webrtcproxy.sip.body import crossing_body
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.fields import Headers
from webrtcproxy.sip.grammar import items, number
from webrtcproxy.sip.headers import MAX_SECONDS, STAR, NameAddr
from webrtcproxy.sip.message import Message, Request, Response
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow

DEFAULT_EXPIRES = 3600
"""Seconds of a registration that gives no readable time (RFC 3261 section 10.2.1.1)."""

_NOT_OURS = frozenset({"outbound", "path", "gruu"})
"""Extensions that a browser may support, but not the proxy, which takes its place towards the registrar."""

_OF_THIS_ADDRESS = ("Service-Route", "Path", "Authentication-Info", "Proxy-Authentication-Info")
"""Headers of a registrar's response that the browser gets, though in any other response they stay on their leg."""


_next_address = re.compile(r',(?=\s*(?:[<"]|sips?:))', re.IGNORECASE)
_expires = re.compile(r';\s*expires\s*=[\s"]*([0-9]{1,10})', re.IGNORECASE)


class RequestedBinding:
    """One Contact to be bound.

    :ivar value: as the browser wrote it.
    :ivar seconds: how long, None where the registrar may choose.
    :ivar q: its preference, 0 to 1.
    """

    __slots__ = ("key", "q", "seconds", "value")

    def __init__(self, value: NameAddr, key: Key, seconds: int | None, q: float) -> None:
        self.value = value
        self.key = key
        self.seconds = seconds
        self.q = q


class RegisterRequest:
    """What one REGISTER asks for: bindings to add or remove, neither where it is a query.

    :ivar aor: the address-of-record: To, not From (RFC 3261 section 10.2).
    :ivar adds: the Contacts to bind.
    :ivar removes: the bindings to remove.
    :ivar everything: ``Contact: *``: all bindings of the AOR are to be removed.
    :ivar keys: the bindings that it concerns.
    """

    __slots__ = ("_removed", "adds", "aor", "everything", "keys", "removes")

    def __init__(
        self, aor: str, adds: Mapping[Key, RequestedBinding], removes: Mapping[Key, Uri], everything: bool = False
    ) -> None:
        self.aor = aor
        self.adds = list(adds.values())
        self.removes = frozenset(removes)
        self._removed = removes
        self.everything = everything
        self.keys = self.removes.union(adds)

    @classmethod
    def of(cls, request: Request) -> RegisterRequest:
        """Read a REGISTER.

        :raises BadMessage: a header can't be read, or a Contact can't be called.
        :raises Refusal: 400 for ``Contact: *`` without ``Expires: 0``.
        """
        aor = request.to.address.aor
        contacts = request.contacts
        if contacts is STAR:
            if request.expires != 0:
                raise Refusal(400, "Contact: * Needs Expires: 0")
            return cls(aor, {}, {}, everything=True)
        adds: dict[Key, RequestedBinding] = {}
        removes: dict[Key, Uri] = {}
        for contact in contacts:
            key = key_of(contact)
            seconds = _seconds(contact, request.expires)
            if seconds == 0:
                removes[key] = contact.address
            else:
                adds[key] = RequestedBinding(contact, key, seconds, preference(contact))
        return cls(aor, adds, {key: uri for key, uri in removes.items() if key not in adds})

    @property
    def leaves(self) -> bool:
        """Whether it only removes bindings."""
        return self.everything or bool(self.removes and not self.adds)

    def ended(self, bindings: Iterable[Binding], flow: Flow) -> list[Key]:
        """Which of `bindings` are to be removed: those of its Contacts, and those on its own connection. A page that
        was reloaded has the instance of the old one, but a Contact of its own, and does not end with that.

        :param bindings: those of the AOR.
        :param flow: on which the REGISTER has arrived.
        """
        return [
            each.key
            for each in bindings
            if each.key in self._removed
            and (each.flow is flow or Uri.parse(each.contact).same_as(self._removed[each.key]))
        ]

    def seconds(self, others: Sequence[int]) -> int | None:
        """How long the proxy's Contact is to be bound for `adds`: for the longest time that any of them asks for, and
        no shorter than the other bindings of the AOR need, since all of them share it.

        :param others: the remaining seconds of the other bindings.
        :returns: None where the registrar may choose.
        """
        longest = max(others, default=0)
        asked = [wanted.seconds for wanted in self.adds]
        if longest <= DEFAULT_EXPIRES and asked.count(None) == len(asked):
            return None
        return max(longest, *[DEFAULT_EXPIRES if seconds is None else seconds for seconds in asked])


def check_domain(request: Request) -> None:
    """Check that a registrar is asked only about users of its own domain. Else an attacker's registrar could accept
    somebody else's address-of-record, and the calls for it would go to the attacker.

    :raises Refusal: 403 where To and the Request-URI differ in domain, 416 where one of them names no domain.
    """
    to, target = request.to.address, request.request_uri
    if not to.host or not target.host:
        raise Refusal(416, "Only sip URIs Can Be Registered")
    if plain_host(to.host) != plain_host(target.host):
        raise Refusal(403, "Address Of Another Domain")


def own_contact(aor: str, flow: Flow, contact_hostport: str = "") -> str:
    """The URI at which the registrar on `flow` reaches the browsers of an AOR.

    :param contact_hostport: host:port; empty for the socket of `flow`.
    """
    transport = "" if flow.via_transport == "UDP" else f";transport={flow.via_transport.lower()}"
    return f"sip:{contact_user_of(aor)}@{contact_hostport or flow.sent_by}{transport}"


def upstream_request(
    request: Request, route: Route, from_tag: str, call_id: str, cseq: int, contact: Iterable[tuple[str, str]]
) -> Request:
    """The REGISTER for the registrar, without Via. The Request-URI is the browser's, so that its digest stays valid,
    but for what would lead it elsewhere.

    :param route: the route to the registrar.
    :param contact: the Contact and Expires headers.
    :raises Refusal: 483 where Max-Forwards is exhausted.
    """
    hops, sender = str(remaining_hops(request) - 1), str(for_sip_side(request.from_).with_tag(from_tag))
    aor = for_sip_side(request.to)
    to = str(aor) if aor is not request.to else request.headers.get("To") or ""
    names = ["Max-Forwards", "From", "To", "Call-ID", "CSeq"]
    headers = Headers.of(names, [hops, sender, to, call_id, f"{cseq} REGISTER"])
    headers.extend(filter_headers(request, BROWSER_PEER, route.profile))
    headers.remove("Expires")
    for name, value in contact:
        headers.add(name, value)
    supported = [tag for tag in request.headers.all("Supported") if tag.lower() not in _NOT_OURS]
    if supported:
        headers.add("Supported", ", ".join(supported))
    for allow in request.headers.lines("Allow"):
        headers.add("Allow", allow)
    _carry_body_headers(request, headers, route.profile)
    return Request("REGISTER", route.uri_for(request), headers, crossing_body(request))


def response_headers(response: Response, route: Route) -> Headers:
    """The headers of a registrar's response that the browser gets: never Contact or Expires, which may be those of
    another browser.

    :param route: the route to the registrar.
    """
    headers = filter_headers(response, route.profile, BROWSER_PEER)
    headers.remove("Expires")
    headers.extend(response.headers.only(_OF_THIS_ADDRESS))
    _carry_body_headers(response, headers, BROWSER_PEER)
    return headers


def granted_expires(response: Response, own: str, asked: int | None) -> int:
    """For how many seconds the registrar has bound the proxy's Contact.

    That is the ``expires`` of this Contact in the 200, whatever else is in its line. Some registrars list it rewritten,
    or list nothing: then Expires counts, else the time that was asked for, since a 200 accepts it. Where others are
    listed, one of them may be it, so it is no more than the shortest of theirs.

    :param own: `own_contact`.
    :param asked: seconds, None where the registrar was free to choose.
    """
    address = Uri.parse(own)
    contact = _find(response, address)
    expires = None if contact is None else contact.param("expires")
    seconds = None if expires is None else number(expires, MAX_SECONDS)
    if seconds is None:
        seconds = _seconds_beside(response, address.user or own)
    is_listed = contact is not None or seconds is not None
    if seconds is None:
        seconds = number((response.headers.get("Expires") or "").strip(), MAX_SECONDS)
    if seconds is None:
        seconds = DEFAULT_EXPIRES if asked is None else asked
    return seconds if is_listed else min(seconds, _shortest_listed(response) or seconds)


def bindings_for(wanted: RegisterRequest, flow: Flow, call_id: str, now: float, seconds: int) -> list[Binding]:
    """The bindings of a REGISTER, each for the time that it asks for, but no longer than was granted.

    :param flow: of the browser.
    :param call_id: of the REGISTER, for the log.
    :param now: seconds of the clock.
    :param seconds: granted.
    """
    return [
        Binding(
            wanted.aor,
            *contact.key,
            contact=contact.value.uri,
            value=contact.value,
            flow=flow,
            expires_at=now + (seconds if contact.seconds is None else min(seconds, contact.seconds)),
            q=contact.q,
            call_id=call_id,
        )
        for contact in wanted.adds
    ]


def contact_headers(bindings: Iterable[Binding], wanted: RegisterRequest, now: float) -> list[tuple[str, str]]:
    """The Contact headers of a 200: the live bindings of the AOR as the browsers wrote them, first those that the
    REGISTER concerns, each with its remaining seconds.

    :param now: seconds of the clock.
    """
    ordered = sorted(bindings, key=lambda binding: binding.key not in wanted.keys)
    return [
        ("Contact", str(binding.value.with_param("expires", str(math.ceil(binding.expires_at - now)))))
        for binding in ordered
    ]


def _find(response: Response, own: Uri) -> NameAddr | None:
    """The proxy's Contact in a 200: with its own address, or with another that something on the path put there."""
    moved = None
    for contact in _contacts(response):
        address = contact.address
        if address.user == own.user:
            if address.hostport == own.hostport:
                return contact
            moved = moved or contact
    return moved


def _seconds_beside(response: Response, user: str) -> int | None:
    """The ``expires`` of the proxy's Contact in a line that can't be read: another phone may have left a quote or a
    bracket open there.

    :param user: of the Contact, which nobody else has.
    """
    for line in response.headers.lines("Contact"):
        _, found, rest = line.partition(user)
        own = _next_address.split(rest, maxsplit=1)[0]
        seconds = _expires.search(own) if found else None
        if seconds is not None:
            return min(int(seconds[1]), MAX_SECONDS)
    return None


def _shortest_listed(response: Response) -> int | None:
    """The least ``expires`` above 0 of all Contacts, whether they can be read or not; None where none has one."""
    listed = [int(text) for line in response.headers.lines("Contact") for text in _expires.findall(line)]
    return min(filter(None, listed), default=None)


def _contacts(response: Response) -> list[NameAddr]:
    """The readable Contacts; a registrar may also list those of other phones, with any syntax."""
    contacts = []
    for line in response.headers.lines("Contact"):
        try:
            texts = items(line)
        except BadMessage:
            continue
        for text in texts:
            try:
                contact = NameAddr.parse(text)
                _ = contact.address
            except BadMessage:
                continue
            contacts.append(contact)
    return contacts


def _seconds(contact: NameAddr, expires: int | None) -> int | None:
    """For how long a browser wants a Contact bound.

    :param expires: of the whole REGISTER.
    """
    own = contact.param("expires")
    if own is None:
        return expires
    seconds = number(own.strip(), MAX_SECONDS)
    return DEFAULT_EXPIRES if seconds is None else seconds


def preference(contact: NameAddr) -> float:
    """The q of a Contact, 0 to 1; 1 where it has no readable one."""
    whole, _, fraction = (contact.param("q") or "1").partition(".")
    thousandths = number((fraction + "000")[:3], 999)
    if whole not in ("", "0") or thousandths is None:
        return 1.0
    return thousandths / 1000


def registration_result(status: int) -> RegistrationResult:
    """The result that the metrics count for a final response to a REGISTER."""
    if status < 300:
        return "accepted"
    if status in (401, 407):
        return "challenged"
    return "failed" if 500 <= status < 600 else "rejected"


def _carry_body_headers(source: Message, target: Headers, profile: PeerProfile) -> None:
    if crossing_body(source):
        if "Content-Type" in source.headers:
            target.add("Content-Type", content_type_of(source, profile))
        for value in source.headers.lines("Content-Encoding"):
            target.add("Content-Encoding", value)
