"""DemoBindings: the bindings of the demo registrar (RFC 3261 section 10.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime

from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow

MIN_EXPIRES = 60
MAX_EXPIRES = 3600
DEFAULT_EXPIRES = 600
"""Seconds."""
CONTACTS = 10
"""Contacts that one name may have."""
NAMES = 1000
"""Names that are remembered."""


@dataclass(frozen=True, slots=True)
class DemoBinding:
    """One contact of a name.

    :ivar contact: as registered, without ``expires``.
    :ivar uri: its address.
    :ivar flow: of the REGISTER; calls go there, whatever host the contact names.
    :ivar call_id: of the REGISTER.
    :ivar cseq: of the REGISTER.
    :ivar expires_at: seconds of the clock.
    """

    contact: NameAddr
    uri: Uri
    flow: Flow
    call_id: str
    cseq: int
    expires_at: float


@dataclass(frozen=True, slots=True)
class ContactUpdate:
    """The request of a REGISTER for one contact; `expires` in seconds, 0 to remove it."""

    contact: NameAddr
    uri: Uri
    expires: int


class DemoBindings:
    """All bindings by name, without those that have expired.

    :param clock: returns the time in seconds.
    :param limit: names that are remembered.
    """

    def __init__(self, clock: IReactorTime, limit: int = NAMES) -> None:
        self._clock = clock
        self._limit = limit
        self._names: dict[str, tuple[DemoBinding, ...]] = {}

    def known(self, name: str) -> bool:
        """True for a name that has registered before."""
        return name in self._names

    def of(self, name: str) -> tuple[DemoBinding, ...]:
        """The bindings of `name` that have not expired."""
        now = self._clock.seconds()
        kept = tuple(binding for binding in self._names.get(name, ()) if binding.expires_at > now)
        if name in self._names:
            self._names[name] = kept
        return kept

    def seconds_left(self, binding: DemoBinding) -> int:
        """Whole seconds until `binding` expires, at least 1."""
        return max(1, int(binding.expires_at - self._clock.seconds()))

    def update(self, name: str, updates: Iterable[ContactUpdate], flow: Flow, call_id: str, cseq: int) -> None:
        """Do everything that a REGISTER requests, or nothing.

        :raises Refusal: 500 for an out-of-order request, 403 for too many contacts, 503 for too many names.
        """
        kept = list(self.of(name))
        now = self._clock.seconds()
        for update in updates:
            old = next((binding for binding in kept if binding.uri.same_as(update.uri)), None)
            if old is not None:
                _in_order(old, call_id, cseq)
                kept.remove(old)
            if update.expires:
                kept.append(DemoBinding(update.contact, update.uri, flow, call_id, cseq, now + update.expires))
        if len(kept) > CONTACTS:
            raise Refusal(403, "Too Many Contacts")
        self._keep(name, tuple(kept))

    def clear(self, name: str, call_id: str, cseq: int) -> None:
        """Remove all bindings of `name`, for ``Contact: *``.

        :raises Refusal: 500 for an out-of-order request.
        """
        for binding in self.of(name):
            _in_order(binding, call_id, cseq)
        if name in self._names:
            self._names[name] = ()

    def _keep(self, name: str, bindings: tuple[DemoBinding, ...]) -> None:
        if not bindings and name not in self._names:
            return
        if name not in self._names and len(self._names) >= self._limit:
            self._evict_one()
        self._names[name] = bindings

    def _evict_one(self) -> None:
        """Make room: remove the oldest name that is not registered any more."""
        unregistered = next((name for name in list(self._names) if not self.of(name)), None)
        if unregistered is None:
            raise Refusal(503, headers=[("Retry-After", "60")])
        del self._names[unregistered]


def _in_order(binding: DemoBinding, call_id: str, cseq: int) -> None:
    if binding.call_id == call_id and cseq <= binding.cseq:
        raise Refusal(500, "Older Than The Last REGISTER")
