"""LocalDirectory: the directory of a proxy of one process, which has all bindings itself."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime

from webrtcproxy.registration.binding import Binding, Found, Key
from webrtcproxy.registration.directory import Intents, remaining
from webrtcproxy.registration.location import Location
from webrtcproxy.runtime.errors import Refusal


class LocalDirectory:
    """The directory of a proxy of one process: its `Location`; each Deferred that it returns has already fired.

    :param clock: for the time.
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

    def only_registered_at(self, ending: str) -> Deferred[str | None]:
        return succeed(self._location.only_aor(ending))

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
