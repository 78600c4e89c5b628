"""DemoRegistrar: a registrar where any name may register with one common password (RFC 3261 section 10.3)."""

from __future__ import annotations

from collections.abc import Iterator

from webrtcproxy.demo.bindings import DEFAULT_EXPIRES, MAX_EXPIRES, MIN_EXPIRES, ContactUpdate, DemoBindings
from webrtcproxy.demo.guard import Guard
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.grammar import number
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import STAR, Request
from webrtcproxy.sip.uri import normal_user
from webrtcproxy.transport.flow import Flow

Headers = list[tuple[str, str]]


class DemoRegistrar:
    """Answers REGISTER.

    :param bindings: stores the bindings.
    :param guard: authenticates users.
    :param reserved: names that nobody may register, spelled as `webrtcproxy.sip.uri.normal_user` does.
    """

    def __init__(self, bindings: DemoBindings, guard: Guard, reserved: frozenset[str] = frozenset()) -> None:
        self._bindings = bindings
        self._guard = guard
        self._reserved = reserved

    def register(self, request: Request, flow: Flow) -> Headers:
        """Handle a REGISTER.

        :param flow: the flow for calls to its contacts.
        :returns: the headers of the 200: every binding with its remaining seconds.
        :raises Refusal: 401, 403, 423 (with Min-Expires), 500 (out of order), 503.
        :raises BadMessage: 400.
        """
        name = normal_user(request.to.address.user or "")
        if not name or name in self._reserved:
            raise Refusal(403, "This Name Is Taken" if name else "A Name Is Needed")
        if normal_user(self._guard.user(request, "Authorization")) != name:
            raise Refusal(403, "Not Your Name")
        cseq = request.cseq.number
        if request.contacts is STAR:
            if request.expires != 0:
                raise BadMessage("Bad Expires")
            self._bindings.clear(name, request.call_id, cseq)
        else:
            self._bindings.update(name, list(_updates(request)), flow, request.call_id, cseq)
        return list(self._listed(name))

    def _listed(self, name: str) -> Iterator[tuple[str, str]]:
        for binding in self._bindings.of(name):
            expires = str(self._bindings.seconds_left(binding))
            yield "Contact", str(binding.contact.with_param("expires", expires))


def _updates(request: Request) -> Iterator[ContactUpdate]:
    """The changes that a REGISTER requests, by contact (section 10.3 step 7)."""
    contacts = request.contacts
    for contact in contacts if isinstance(contacts, list) else []:
        expires = _expires(contact, request)
        if 0 < expires < MIN_EXPIRES:
            raise Refusal(423, headers=[("Min-Expires", str(MIN_EXPIRES))])
        address = contact.address
        if address.scheme not in ("sip", "sips"):
            raise BadMessage("Bad Contact")
        params = tuple(param for param in contact.params if param[0].lower() != "expires")
        kept = NameAddr(contact.display, contact.uri, params)
        yield ContactUpdate(kept, address, min(expires, MAX_EXPIRES))


def _expires(contact: NameAddr, request: Request) -> int:
    """The requested seconds; a parameter that is not a number counts as absent (section 10.2.1.1: as 3600)."""
    asked = contact.param("expires")
    if asked is not None:
        seconds = number(asked, 2**32 - 1)
        return MAX_EXPIRES if seconds is None else seconds
    return DEFAULT_EXPIRES if request.expires is None else request.expires
