"""ServiceRoutes: the way that a registrar wants the later requests of a registered browser to take (RFC 3608)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.config import Trunk
from webrtcproxy.registration.binding import Binding
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.mending import routes
from webrtcproxy.sip.message import Headers
from webrtcproxy.sip.uri import Uri
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_ROUTES = 8
"""Most routes of one registration."""
MAX_LENGTH = 2048
"""Most characters of all its routes."""


@dataclass(frozen=True, slots=True)
class _ServiceRoute:
    values: tuple[str, ...]
    until: float


class _OfFlow:
    """What concerns one flow.

    :ivar forget: ends the notification of its loss.
    :ivar known: the routes, by trunk and address-of-record.
    """

    __slots__ = ("forget", "known")

    def __init__(self, forget: Callable[[], None]) -> None:
        self.forget = forget
        self.known: dict[tuple[str, str], _ServiceRoute] = {}


class ServiceRoutes:
    """The Service-Routes of all flows of this process. A request of a browser arrives where its REGISTER did, so that
    no other process needs them. The size is bounded by the flows, and by the bound of AORs per flow
    (`ILocation.check`).

    :param clock: for the time.
    :param bindings_on: as of `ILocation`.
    """

    def __init__(self, clock: IReactorTime, bindings_on: Callable[[Flow], Sequence[Binding]]) -> None:
        self._clock = clock
        self._bindings_on = bindings_on
        self._flows: dict[Flow, _OfFlow] = {}

    def __len__(self) -> int:
        """The number of flows that any is known of."""
        return len(self._flows)

    def store(self, flow: Flow, aor: str, trunk: Trunk | None, headers: Headers, seconds: int) -> None:
        """The registrar has accepted a REGISTER: what its 2xx says replaces what an earlier one has said (section 6.1).

        :param trunk: whose registrar it is; None where it has no section, and nothing is kept.
        :param headers: those of the 2xx.
        :param seconds: for which it has registered the browser; 0 where the registration has ended.
        """
        if trunk is None:
            return
        values = _usable(headers) if seconds else ()
        kept = self._flows.get(flow)
        if not values:
            if kept is not None and kept.known.pop((trunk.name, aor), None) is not None and not kept.known:
                self._flows.pop(flow).forget()
            return
        if flow.closed:
            return
        if kept is None:
            kept = self._flows[flow] = _OfFlow(flow.on_lost(lambda: self._lost(flow)))
        kept.known[trunk.name, aor] = _ServiceRoute(values, self._clock.seconds() + seconds)

    def of(self, flow: Flow, aor: str, trunk: Trunk | None) -> Sequence[str]:
        """The Route values of a browser's request outside of dialogs; none where its registration has none.

        Of several registrations at the trunk, it is that of the address in whose name the request is; for an address
        that is none there (nobody's, a number, one that is registered elsewhere) the first one.

        :param aor: in whose name it is: at the trunk, where that is another one there.
        :param trunk: the trunk that it goes to.
        """
        kept = self._flows.get(flow)
        if kept is None or trunk is None:
            return ()
        now = self._clock.seconds()
        live = {aor: route for (name, aor), route in kept.known.items() if name == trunk.name and route.until > now}
        if not live:
            return ()
        if aor in live:
            return live[aor].values
        if any(binding.aor == aor for binding in self._bindings_on(flow)) and trunk.serves(_place(aor)):
            return ()
        return next(iter(live.values())).values

    def stop(self) -> None:
        """Forget everything: the proxy is stopping."""
        for kept in self._flows.values():
            kept.forget()
        self._flows.clear()

    def _lost(self, flow: Flow) -> None:
        self._flows.pop(flow, None)


def _usable(headers: Headers) -> tuple[str, ...]:
    """The routes in a 2xx; none where one of them is no loose route (RFC 3261 section 16.12), or there are too many."""
    lines = headers.lines("Service-Route")
    if not lines:
        return ()
    with suppress(BadMessage):
        values = routes(headers, "Service-Route")
        fits = len(values) <= MAX_ROUTES and sum(map(len, values)) <= MAX_LENGTH
        if fits and all(map(_is_loose, values)):
            return tuple(values)
    log.warn("A Service-Route can't be used: {route}", route=lines[0][:200])
    return ()


def _place(aor: str) -> tuple[str, int | None]:
    """The host and port of an address-of-record."""
    return Uri.parse(f"sip:{aor}").hostport


def _is_loose(value: str) -> bool:
    return NameAddr.parse(value).address.param("lr") is not None
