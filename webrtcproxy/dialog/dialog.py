"""Dialog: the state of a SIP dialog between the proxy and one peer (RFC 3261 section 12). Only data, no timers."""

from __future__ import annotations

from dataclasses import dataclass

from twisted.logger import Logger

from webrtcproxy.config.addresses import plain_literal
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.capabilities import SUPPORTED_WITHIN
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import routes
from webrtcproxy.sip.message import STAR, Headers, Message, Request, Response
from webrtcproxy.sip.uri import Uri, host_port

log = Logger()

_WITHOUT_CONTACT = frozenset({"ACK", "BYE", "MESSAGE", "PRACK"})
"""Requests that are no target refresh; a MESSAGE must not even have a Contact (RFC 3428 section 4)."""


@dataclass(slots=True)
class Dialog:
    """One dialog; "local" is the proxy's side.

    :ivar call_id: Call-ID of the leg.
    :ivar local: From value of the proxy's requests, tag included.
    :ivar remote: To value of the proxy's requests, tag included where the peer gave one.
    :ivar local_tag: the proxy's tag: random, and so the key of the dialog.
    :ivar remote_tag: the peer's tag; empty for a peer of RFC 2543.
    :ivar remote_target: the URI in the peer's Contact.
    :ivar route_set: Route values towards the peer, next hop first; fixed for the life of the dialog.
    :ivar local_cseq: CSeq number of the proxy's last request.
    :ivar remote_cseq: CSeq number of the peer's last request, None before the first.
    :ivar contact: the proxy's Contact value in this dialog.
    :ivar confirmed: whether a 2xx to its INVITE was sent or received; else it is an early dialog.
    """

    call_id: str
    local: str
    remote: str
    local_tag: str
    remote_tag: str
    remote_target: str
    route_set: tuple[str, ...]
    local_cseq: int
    remote_cseq: int | None
    contact: str
    confirmed: bool = True

    @classmethod
    def from_request(cls, request: Request, local_tag: str, contact: str) -> Dialog:
        """The dialog that the response to `request` creates (RFC 3261 section 12.1.1): route set in the given order.

        :raises BadMessage: a header of the request can't be read, or leads nowhere.
        """
        return cls(
            call_id=request.call_id,
            local=str(request.to.with_tag(local_tag)),
            remote=_written(request, "From", request.from_),
            local_tag=local_tag,
            remote_tag=request.from_.tag or "",
            remote_target=_target(request, request.from_.uri),
            route_set=tuple(routes(request.headers, "Record-Route")),
            local_cseq=0,
            remote_cseq=request.cseq.number,
            contact=contact,
            confirmed=request.method != "INVITE",
        )

    @classmethod
    def from_response(cls, request: Request, response: Response, contact: str, peer: tuple[str, int] | None) -> Dialog:
        """The dialog that `response` to the proxy's request creates (RFC 3261 section 12.1.2): route set reversed.
        Where its Contact is missing or leads nowhere, the dialog goes the way of the request.

        :param peer: IP address and port that the request was sent to; None where that needs no Route.
        :raises BadMessage: another header of the response can't be read, or leads nowhere.
        """
        target = _target_in(response)
        route_set = tuple(reversed(routes(response.headers, "Record-Route")))
        if not target and not route_set:
            route_set = _route_to(peer)
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            remote=_written(response, "To", response.to),
            local_tag=request.from_.tag or "",
            remote_tag=response.to.tag or "",
            remote_target=target or request.uri,
            route_set=route_set,
            local_cseq=request.cseq.number,
            remote_cseq=None,
            contact=contact,
            confirmed=response.status >= 200,
        )

    @classmethod
    def from_notify(cls, request: Request, notify: Request, contact: str) -> Dialog:
        """The dialog that `notify` creates, a NOTIFY for the proxy's SUBSCRIBE `request` (RFC 6665 section 4.4.1):
        route set in the given order.

        :raises BadMessage: a header of the NOTIFY can't be read, or leads nowhere.
        """
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            remote=_written(notify, "From", notify.from_),
            local_tag=request.from_.tag or "",
            remote_tag=notify.from_.tag or "",
            remote_target=_target(notify, notify.from_.uri),
            route_set=tuple(routes(notify.headers, "Record-Route")),
            local_cseq=request.cseq.number,
            remote_cseq=None,
            contact=contact,
        )

    @classmethod
    def from_unreadable(
        cls, request: Request, response: Response, contact: str, peer: tuple[str, int] | None
    ) -> Dialog:
        """A dialog whose 2xx can't be read: enough for an ACK and a BYE along the path of the INVITE.

        :param peer: IP address and port that the INVITE was sent to; None where that needs no Route.
        """
        return cls(
            call_id=request.call_id,
            local=request.headers.get("From") or "",
            remote=response.headers.get("To") or "",
            local_tag=request.from_.tag or "",
            remote_tag=tag_of(response),
            remote_target=request.uri,
            route_set=_route_to(peer),
            local_cseq=request.cseq.number,
            remote_cseq=None,
            contact=contact,
        )

    def receive(self, request: Request) -> None:
        """Check the order of the peer's requests (RFC 3261 section 12.2.2); gaps are allowed.

        :raises Refusal: 500 for a CSeq below the last one.
        """
        number = request.cseq.number
        if self.remote_cseq is not None and number < self.remote_cseq:
            raise Refusal(500, "CSeq Out Of Order")
        self.remote_cseq = number

    def refresh(self, message: Message) -> None:
        """Take the Contact of a target refresh, a request of the peer or its 2xx, as the remote target; the route set
        stays (RFC 3261 section 12.2).

        :raises BadMessage: 400 for a Contact that leads nowhere.
        """
        self.remote_target = _target(message) or self.remote_target

    def confirm(self, response: Response | None = None) -> None:
        """Make an early dialog a confirmed one, after a 2xx (RFC 3261 section 12).

        :param response: the peer's 2xx, whose Contact and Record-Route replace the former ones (section 13.2.2.4), as
            far as there is a Contact that leads anywhere; None where the proxy sends the 2xx.
        :raises BadMessage: 400 where a Record-Route leads nowhere.
        """
        if response is not None:
            target = _target_in(response)
            route_set = tuple(reversed(routes(response.headers, "Record-Route")))
            if target or route_set:
                self.route_set = route_set
            self.remote_target = target or self.remote_target
        self.confirmed = True

    def names_peer(self, request: Request) -> bool:
        """Whether a request of the peer has the address in From that the peer is known by."""
        return request.from_.uri == NameAddr.parse(self.remote).uri

    def rename_peer(self, request: Request) -> None:
        """The address in From of a request is that of the peer from now on (RFC 4916 section 4.4)."""
        self.remote = _written(request, "From", request.from_)

    def show_local(self, address: NameAddr) -> bool:
        """Change the address in From of the proxy's requests; its tag stays.

        :returns: whether that is another one.
        """
        shown = NameAddr.parse(self.local)
        if (shown.display, shown.uri) == (address.display, address.uri):
            return False
        self.local = str(NameAddr(address.display, address.uri).with_tag(self.local_tag))
        return True

    def rename(self, tag: str) -> None:
        """Change the local tag."""
        self.local_tag = tag
        self.local = str(NameAddr.parse(self.local).with_tag(tag))

    def request(self, method: str) -> Request:
        """The next request within the dialog, with all of its headers but Via (RFC 3261 section 12.2.1.1)."""
        return self._request(method, self.next_cseq())

    def next_cseq(self) -> int:
        """Increment the local CSeq number, and return it for the next request."""
        self.local_cseq += 1
        return self.local_cseq

    def ack(self, number: int) -> Request:
        """The ACK for a 2xx.

        :param number: CSeq number of the INVITE.
        """
        return self._request("ACK", number)

    @property
    def next_hop(self) -> str:
        """The URI that the next request is sent to: the first route, or the remote target."""
        return NameAddr.parse(self.route_set[0]).uri if self.route_set else self.remote_target

    def names(self, host: str) -> bool:
        """Whether the IP address `host` stands in the first route or in the remote target. Both are from messages of
        the peer, whose requests may come from there."""
        return any(plain_literal(Uri.parse(uri).host) == host for uri in {self.next_hop, self.remote_target})

    def _request(self, method: str, number: int) -> Request:
        uri, routes = self.remote_target, self.route_set
        if routes and not _is_loose(routes[0]):
            # A strict router wants itself as Request-URI and the target as last Route (RFC 3261 section 12.2.1.1).
            uri, routes = NameAddr.parse(routes[0]).uri, (*routes[1:], f"<{self.remote_target}>")
        names = [*["Route"] * len(routes), "Max-Forwards", "From", "To", "Call-ID", "CSeq"]
        values = [*routes, "70", self.local, self.remote, self.call_id, f"{number} {method}"]
        if method != "ACK":  # an ACK has no response that could depend on it
            names.append("Supported")
            values.append(SUPPORTED_WITHIN[1])
            if method not in _WITHOUT_CONTACT:
                names.append("Contact")
                values.append(self.contact)
        return Request(method, uri, Headers.of(names, values))


def tag_of(response: Response) -> str:
    """The To tag of a response; empty where it has none, or where To can't be read."""
    try:
        return response.to.tag or ""
    except BadMessage:
        return ""


def _written(message: Message, name: str, value: NameAddr) -> str:
    """A From or To as it is repeated to its sender: as it came, unless something in the message is malformed."""
    return str(value) if message.headers.oddities else message.headers.get(name) or ""


def _route_to(peer: tuple[str, int] | None) -> tuple[str, ...]:
    return () if peer is None else (f"<sip:{host_port(*peer)};lr>",)


def _target_in(response: Response) -> str:
    """The URI of the first Contact of a response that leads anywhere; empty where there is none. Nobody can be told,
    and the call is up: where that of a 2xx leads nowhere, what is sent to its sender goes as it went before."""
    try:
        return _target(response)
    except BadMessage as error:
        log.warn(
            "{call}: the Contact of {status} leads nowhere, going on by the way of the request: {why}",
            status=response.status,
            why=error.why,
            call=response.log_id,
        )
        return ""


def _target(message: Message, otherwise: str = "") -> str:
    """The URI of the first Contact that leads anywhere: a dialog needs SIP URIs (RFC 3261 section 12.1).

    :param otherwise: the URI where there is no Contact; empty if none is needed.
    :raises BadMessage: 400: neither leads anywhere.
    """
    contacts = message.contacts
    if contacts is STAR or not contacts:
        found = otherwise if not otherwise or _is_sip(otherwise) else None
    else:
        found = _first_sip(contacts) or _first_sip(message.readable_contacts(BadMessage("Bad Contact")))
    if found is None:
        raise BadMessage("Bad Contact")
    return found


def _first_sip(contacts: list[NameAddr]) -> str | None:
    return next((contact.uri for contact in contacts if _is_sip(contact.uri)), None)


def _is_sip(uri: str) -> bool:
    try:
        return Uri.parse(uri).scheme in ("sip", "sips")
    except BadMessage:
        return False


def _is_loose(route: str) -> bool:
    return Uri.parse(NameAddr.parse(route).uri).param("lr") is not None
