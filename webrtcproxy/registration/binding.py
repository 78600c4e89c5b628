"""Bindings: registered browsers, the keys that identify them, and the result of a look-up for an address-of-record."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from functools import lru_cache
from hashlib import sha256
from typing import Final

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.uri import Uri, host_port, normal
from webrtcproxy.transport.flow import Flow

Key = tuple[str, int]
"""Identifies a binding within its AOR: the instance, and its ``reg-id`` or 0."""


@lru_cache(maxsize=8192)
def contact_user_of(aor: str) -> str:
    """The user part of the proxy's Contact for an AOR.

    It is derived from the AOR alone. So a restarted proxy, and each of several processes, uses the same Contact, and
    a registrar sees one binding refreshed. It is not a secret: the caller's address decides whether a call is allowed.
    """
    return b32encode(sha256(aor.encode("utf-8", "surrogateescape")).digest())[:16].decode("ascii").lower()


def key_of(contact: NameAddr) -> Key:
    """The key of the binding for this Contact: ``+sip.instance`` with ``reg-id``, else the Contact URI.

    :raises BadMessage: 400 for a URI that can't be the Request-URI of a request to a browser.
    """
    address = contact.address
    if address.scheme not in ("sip", "sips") or address.headers:
        raise BadMessage("Bad Contact")
    instance = (contact.param("+sip.instance") or "").strip("<>").lower()
    if not instance:
        return _normal(address), 0
    reg_id = contact.param("reg-id") or ""
    return instance, int(reg_id) if reg_id.isascii() and reg_id.isdigit() and len(reg_id) < 10 else 0


def _normal(uri: Uri) -> str:
    """One text for all equivalent spellings of a Contact URI (RFC 3261 section 19.1.4); ``transport=wss`` is ``ws``."""
    params = sorted((normal(name).lower(), normal(value or "").lower()) for name, value in uri.params)
    tail = "".join(f";{name}={'ws' if (name, value) == ('transport', 'wss') else value}" for name, value in params)
    return f"{uri.scheme}:{uri.aor}{tail}"


@dataclass(init=False, slots=True, eq=False)
class Binding:
    """A registered browser. A refresh makes a new object: the fields are final, though the class is not a frozen
    dataclass (see sip/headers.py).

    :ivar aor: ``user@domain``, as `Uri.aor` of To.
    :ivar instance: ``+sip.instance`` without brackets, else the Contact URI, normalised.
    :ivar reg_id: 0 where the browser gave none.
    :ivar contact: the browser's Contact URI, unchanged: the Request-URI of requests that are sent to it.
    :ivar value: the whole Contact.
    :ivar flow: its socket.
    :ivar expires_at: seconds of the clock.
    :ivar q: its preference, 0 to 1.
    :ivar call_id: Call-ID of its REGISTER, for the log.
    :ivar stamp: time and process of its creation, where there are several processes: of two bindings in conflict the
        one with the larger stamp wins.
    """

    aor: Final[str]
    instance: Final[str]
    reg_id: Final[int]
    contact: Final[str]
    value: Final[NameAddr]
    flow: Final[Flow]
    expires_at: Final[float]
    q: Final[float]
    call_id: Final[str]
    stamp: Final[tuple[float, int]]

    def __init__(
        self,
        aor: str,
        instance: str,
        reg_id: int,
        contact: str,
        value: NameAddr,
        flow: Flow,
        expires_at: float,
        q: float = 1.0,
        call_id: str = "-",
        stamp: tuple[float, int] = (0.0, 0),
    ) -> None:
        self.aor = aor
        self.instance = instance
        self.reg_id = reg_id
        self.contact = contact
        self.value = value
        self.flow = flow
        self.expires_at = expires_at
        self.q = q
        self.call_id = call_id
        self.stamp = stamp

    @property
    def key(self) -> Key:
        """Identifies it within its AOR."""
        return self.instance, self.reg_id

    @property
    def peer(self) -> str:
        """The browser's address, for the log."""
        return host_port(*self.flow.peer)


class Found:
    """The entry of a directory for one address-of-record.

    :ivar aor: the address-of-record.
    :ivar bindings: its live bindings, the newest first.
    :ivar registrars: IP addresses of the registrars that have accepted it, for a time that has not expired.
    :ivar known: whether it has a live binding, or a registrar may still hold one.
    """

    __slots__ = ("aor", "bindings", "known", "registrars")

    def __init__(
        self, aor: str, bindings: Sequence[Binding] = (), registrars: Collection[str] = (), known: bool = False
    ) -> None:
        self.aor = aor
        self.bindings = bindings
        self.registrars = registrars
        self.known = known

    def targets(self) -> list[Binding]:
        """The bindings that a call forks to: one of each instance, by descending q, then the newest first."""
        newest: dict[str, Binding] = {}
        for binding in self.bindings:
            newest.setdefault(binding.instance, binding)
        return sorted(newest.values(), key=_by_preference)


def _by_preference(binding: Binding) -> float:
    return -binding.q
