"""Binding: a browser that is registered, what names it, and all that is found of one address-of-record."""

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
"""What names a binding within its AOR: the instance, and its ``reg-id`` or 0."""


@lru_cache(maxsize=8192)
def contact_user_of(aor: str) -> str:
    """The user part of the proxy's Contact for an AOR.

    It follows from the AOR alone: a restarted proxy, and every process of several, has the same Contact, and
    a registrar sees one binding refreshed. It is no secret: the caller's address decides whether it may be called.
    """
    return b32encode(sha256(aor.encode("utf-8", "surrogateescape")).digest())[:16].decode("ascii").lower()


def key_of(contact: NameAddr) -> Key:
    """What names the binding of this Contact: ``+sip.instance`` with ``reg-id``, else the Contact URI.

    :raises BadMessage: 400 for a URI that can't be a Request-URI towards a browser.
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
    """One text for the spellings of a Contact URI (RFC 3261 section 19.1.4); ``transport=wss`` is ``ws``."""
    params = sorted((normal(name).lower(), normal(value or "").lower()) for name, value in uri.params)
    tail = "".join(f";{name}={'ws' if (name, value) == ('transport', 'wss') else value}" for name, value in params)
    return f"{uri.scheme}:{uri.aor}{tail}"


@dataclass(init=False, slots=True, eq=False)
class Binding:
    """A browser that is registered. A refresh makes a new one, so it is final, though not frozen (see sip/headers.py).

    :ivar aor: ``user@domain``, as `Uri.aor` of To.
    :ivar instance: ``+sip.instance`` without brackets, else the Contact URI, normalised.
    :ivar reg_id: 0 where the browser gave none.
    :ivar contact: the browser's Contact URI, to the letter: the Request-URI of what is sent to it.
    :ivar value: the whole Contact.
    :ivar flow: its socket.
    :ivar expires_at: seconds of the clock.
    :ivar q: its preference, 0 to 1.
    :ivar call_id: Call-ID of its REGISTER, for the log.
    :ivar stamp: when and by which process it was made, where there are several: of two in conflict the larger counts.
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
        """What names it within its AOR."""
        return self.instance, self.reg_id

    @property
    def peer(self) -> str:
        """The browser's address, for the log."""
        return host_port(*self.flow.peer)


class Found:
    """What a directory has of one address-of-record.

    :ivar aor: the address-of-record.
    :ivar bindings: its live bindings, the newest first.
    :ivar registrars: IP addresses of the registrars that have accepted it, for a time that is not over.
    :ivar known: it has a live binding, or a registrar may still believe so.
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
        """The bindings that a call forks to: one of each instance, by q, then the newest first."""
        newest: dict[str, Binding] = {}
        for binding in self.bindings:
            newest.setdefault(binding.instance, binding)
        return sorted(newest.values(), key=_by_preference)


def _by_preference(binding: Binding) -> float:
    return -binding.q
