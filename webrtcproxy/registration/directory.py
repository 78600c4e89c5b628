"""Directory: the interface to the stored bindings, whether one process holds them or several share them.

A directory finds the browsers of an address-of-record (AOR). Queries that another store may have to answer return a
Deferred. What concerns only the sockets of one process is in `webrtcproxy.registration.location`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from math import ceil
from typing import Protocol

from twisted.internet.defer import Deferred

from webrtcproxy.registration.binding import Binding, Found, Key


class IDirectory(Protocol):
    """Where the browsers of each AOR are, and which REGISTERs are under way."""

    def find(self, aor: str) -> Deferred[Found]:
        """Fires with the entry of an AOR; its bindings are empty where nobody is registered."""

    def find_token(self, token: str) -> Deferred[Found | None]:
        """Fires with the entry of the known AOR whose `contact_user_of` this is, with None where no known AOR has
        it."""

    def only_registered_at(self, ending: str) -> Deferred[str | None]:
        """Fires with the one known AOR that ends with `ending`, such as ``@example.com``; with None where there is
        none, or more than one."""

    def intend(self, aor: str, register_id: int, keys: Collection[Key], seconds: int) -> Deferred[list[int]]:
        """Announce that a REGISTER is about to be sent. Until `bind` or `withdraw` the other REGISTERs of the AOR allow
        for it: the registrar has one Contact of the proxy for all browsers of an AOR, and no REGISTER may shorten or
        remove it while another browser needs it.

        :param register_id: identifies the REGISTER; a number that this process uses once.
        :param keys: the bindings that it concerns.
        :param seconds: how long they need the Contact; 0 where it adds none. Where several browsers of an AOR are kept,
            the registrar is asked for the longest time that any of them needs.
        :returns: fires with the seconds for which each other binding, and each other REGISTER under way, needs the
            Contact; empty where no other needs it, and where this REGISTER replaces all other bindings.
        """

    def withdraw(self, aor: str, register_id: int) -> None:
        """A REGISTER has ended without `bind`; no error where none was announced."""

    def bind(self, bindings: Sequence[Binding], register_id: int) -> Deferred[Found]:
        """Store the bindings of one REGISTER, all of one AOR and one flow; none where the flow is lost. Its
        announcement by `intend` ends in any case.

        :param bindings: at least one.
        :returns: fires with the new entry of the AOR; fails with a Refusal as `ILocation.check` raises it, and then
            nothing is stored.
        """

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> Deferred[Found]:
        """Remove bindings of an AOR, by default all of them; no error where it has none.

        :returns: fires with the new entry of the AOR.
        """

    def registered(self, aor: str, host: str, seconds: float) -> None:
        """The registrar at the IP address `host` has bound the proxy's Contact for `aor` for so many seconds; with 0 no
        registrar has it any more."""

    def watch(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        """Have `call` called with each binding that is new, or whose flow or Contact has changed: a dialog belongs to
        an instance, and moves with it to its new socket.

        :returns: a function that ends the notifications.
        """

    def is_registrar(self, host: str) -> bool:
        """True where `host`, an IP address, is the registrar of any known AOR; costs one dictionary look-up."""


class Intents:
    """The REGISTERs under way that add bindings, by AOR: for how long each asks for the proxy's Contact.

    Its size is bounded by the transactions of the REGISTERs, which end within `NON_INVITE_DEADLINE`.
    """

    __slots__ = ("_by_aor",)

    def __init__(self) -> None:
        self._by_aor: dict[str, dict[tuple[int, int], int]] = {}

    def __len__(self) -> int:
        return sum(len(of_aor) for of_aor in self._by_aor.values())

    def __iter__(self) -> Iterator[tuple[str, int, int, int]]:
        """AOR, worker, number and seconds of each."""
        for aor, of_aor in self._by_aor.items():
            for (worker, register_id), seconds in of_aor.items():
                yield aor, worker, register_id, seconds

    def add(self, aor: str, worker: int, register_id: int, seconds: int) -> None:
        """A REGISTER is under way for a browser of that worker; the worker is 0 where there is only one process."""
        self._by_aor.setdefault(aor, {})[worker, register_id] = seconds

    def remove(self, aor: str, worker: int, register_id: int) -> bool:
        """A REGISTER has ended.

        :returns: whether it was under way.
        """
        of_aor = self._by_aor.get(aor)
        if of_aor is None or of_aor.pop((worker, register_id), None) is None:
            return False
        if not of_aor:
            del self._by_aor[aor]
        return True

    def remove_worker(self, worker: int) -> None:
        """A worker has ended, and with it all its REGISTERs under way."""
        for aor, owner, register_id, _ in tuple(self):
            if owner == worker:
                self.remove(aor, owner, register_id)

    def of(self, aor: str) -> list[int]:
        """The seconds of each."""
        of_aor = self._by_aor.get(aor)
        return [] if of_aor is None else list(of_aor.values())


def remaining(bindings: Iterable[Binding], keys: Collection[Key], now: float) -> list[int]:
    """The remaining seconds, rounded up, of each of `bindings` whose key is not in `keys`."""
    return [ceil(binding.expires_at - now) for binding in bindings if binding.key not in keys]
