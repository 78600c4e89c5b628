"""Directory: the seam behind which the bindings are kept, in this process or where several processes share them.

A directory says where the browsers of an address-of-record (AOR) are. What another store may know better comes as a
Deferred. What belongs to the sockets of one process alone is asked of `webrtcproxy.registration.location`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from math import ceil
from typing import Protocol

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from webrtcproxy.registration.binding import Binding, Found, Key
from webrtcproxy.registration.location import Location
from webrtcproxy.runtime.errors import Refusal


class IDirectory(Protocol):
    """Where the browsers of each AOR are, and which REGISTERs are under way."""

    def find(self, aor: str) -> Deferred[Found]:
        """Fires with what there is of an AOR; its bindings are empty where there are none."""

    def find_token(self, token: str) -> Deferred[Found | None]:
        """Fires with what there is of the known AOR whose `contact_user_of` this is, with None where no AOR is known
        by it."""

    def intend(self, aor: str, register_id: int, keys: Collection[Key], seconds: int) -> Deferred[list[int]]:
        """A REGISTER is about to be sent. Until `bind` or `withdraw` it counts for all others that intend one: the
        registrar has one Contact of ours for all browsers of an AOR, which no REGISTER may shorten for, or take from,
        another one.

        :param register_id: names the REGISTER; a number that this process gives once.
        :param keys: the bindings that it is about.
        :param seconds: how long they need the Contact; 0 where it adds none. The registrar will be asked for as long as
            the longest of all of them, where several browsers of an AOR are kept.
        :returns: fires with the seconds for which each other binding, and each other REGISTER under way, needs the
            Contact; empty where nobody else does, and where this one takes the place of all others.
        """

    def withdraw(self, aor: str, register_id: int) -> None:
        """A REGISTER has ended without `bind`; no error where nothing was intended."""

    def bind(self, bindings: Sequence[Binding], register_id: int) -> Deferred[Found]:
        """Store the bindings of one REGISTER, all of one AOR and one flow; none where the flow is lost. What it
        intended ends, in any case.

        :param bindings: at least one.
        :returns: fires with what there is of the AOR now; fails with a Refusal as `ILocation.check` raises it, and then
            nothing is stored.
        """

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> Deferred[Found]:
        """Remove bindings of an AOR, by default all of them; no error where there are none.

        :returns: fires with what there is of the AOR now.
        """

    def registered(self, aor: str, host: str, seconds: float) -> None:
        """The registrar at the IP address `host` has our Contact for `aor` for so many seconds; with 0 no registrar has
        it any more."""

    def watch(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        """Have `call` called with each binding that is new, or whose flow or Contact changed: a dialog belongs to an
        instance, and follows it to its new socket.

        :returns: a function that ends this.
        """

    def is_registrar(self, host: str) -> bool:
        """True where `host`, an IP address, is the registrar of any AOR that is known; one dictionary look-up."""


class Intents:
    """The REGISTERs under way that add bindings, by AOR: for how long each asks for our Contact.

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
        """One is under way, for a browser of that worker; 0 where there is one process only."""
        self._by_aor.setdefault(aor, {})[worker, register_id] = seconds

    def remove(self, aor: str, worker: int, register_id: int) -> bool:
        """One has ended.

        :returns: whether it was there.
        """
        of_aor = self._by_aor.get(aor)
        if of_aor is None or of_aor.pop((worker, register_id), None) is None:
            return False
        if not of_aor:
            del self._by_aor[aor]
        return True

    def remove_worker(self, worker: int) -> None:
        """A worker has ended, and with it all that it had under way."""
        for aor, owner, register_id, _ in tuple(self):
            if owner == worker:
                self.remove(aor, owner, register_id)

    def of(self, aor: str) -> list[int]:
        """The seconds of each."""
        of_aor = self._by_aor.get(aor)
        return [] if of_aor is None else list(of_aor.values())


def remaining(bindings: Iterable[Binding], keys: Collection[Key], now: float) -> list[int]:
    """The seconds, rounded up, that each of `bindings` still has whose key is not one of `keys`."""
    return [ceil(binding.expires_at - now) for binding in bindings if binding.key not in keys]


class LocalDirectory:
    """The directory of a process that is alone: its `Location`, whose answers are there at once.

    :param clock: tells the time.
    :param location: the bindings.
    """

    def __init__(self, clock: IReactorTime, location: Location) -> None:
        self._clock = clock
        self._location = location
        self._intents = Intents()

    def find(self, aor: str) -> Deferred[Found]:
        return succeed(self._location.find(aor))

    def find_token(self, token: str) -> Deferred[Found | None]:
        return succeed(self._location.find_token(token))

    def intend(self, aor: str, register_id: int, keys: Collection[Key], seconds: int) -> Deferred[list[int]]:
        others: list[int] = []
        if self._location.multiple or not seconds:
            others = remaining(self._location.live(aor), keys, self._clock.seconds())
            others += self._intents.of(aor)
        if seconds:
            self._intents.add(aor, 0, register_id, max([seconds, *others]))
        return succeed(others)

    def withdraw(self, aor: str, register_id: int) -> None:
        self._intents.remove(aor, 0, register_id)

    def bind(self, bindings: Sequence[Binding], register_id: int) -> Deferred[Found]:
        aor = bindings[0].aor
        self._intents.remove(aor, 0, register_id)
        try:
            self._location.bind(bindings)
        except Refusal as why:
            return fail(why)
        return succeed(self._location.find(aor))

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> Deferred[Found]:
        self._location.unbind(aor, keys)
        return succeed(self._location.find(aor))

    def registered(self, aor: str, host: str, seconds: float) -> None:
        self._location.registered(aor, host, seconds)

    def watch(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        return self._location.watch(call)

    def is_registrar(self, host: str) -> bool:
        return self._location.is_registrar(host)
