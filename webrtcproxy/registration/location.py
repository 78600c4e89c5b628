"""Location: the bindings in memory: the browsers of each address-of-record, and the registrars that accepted them.

A binding joins an address-of-record (AOR: user and domain) to a browser's Contact and to the socket that leads to it.
It is identified by the browser's instance and ``reg-id`` (RFC 5626), so that a browser that reconnects on a new socket
replaces its old binding. It ends when it expires, when it is removed, and when its socket is lost.

A registrar sees one Contact of the proxy for an AOR, whatever the number of its browsers. It keeps that Contact for the
time that it granted, even when all browsers have disconnected before; the AOR stays known here for that time.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from typing import Protocol

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.access.proofs import Proofs
from webrtcproxy.registration.binding import Binding, Found, Key, contact_user_of
from webrtcproxy.registration.expiry import Expirable, ExpiryWheel
from webrtcproxy.registration.service_routes import ServiceRoutes
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_BINDINGS_PER_AOR = 10
MAX_AORS_PER_FLOW = 10
MAX_AORS = 100_000
"""Addresses-of-record known at once. Those without a browser make room first, beginning with the one that has been
without for longest."""
MAX_REGISTRARS_PER_AOR = 8

REGISTRAR_LINGER = 32.0
"""Seconds (64*T1) for which requests of a registrar are still admitted after the last binding was removed, so that an
INVITE that crossed the REGISTER that removed it gets 480 and not silence."""


class ILocation(Protocol):
    """What is known of the browsers whose sockets are in this process; all of it is answered at once."""

    @property
    def proofs(self) -> Proofs:
        """What the browsers have proven."""

    @property
    def service_routes(self) -> ServiceRoutes:
        """The way that later requests of the browsers take."""

    def bindings_on(self, flow: Flow) -> list[Binding]:
        """The bindings of the browser on `flow` that have not expired."""

    def is_own(self, flow: Flow) -> bool:
        """Whether a flow is a socket of this process."""

    def check(self, aor: str, keys: Collection[Key], flow: Flow) -> None:
        """Check that there is room for these bindings.

        :raises Refusal: 403 for too many bindings of one user or one socket, 503 where the proxy is full.
        """

    def __len__(self) -> int:
        """The number of bindings on sockets of this process."""

    def stop(self) -> None:
        """Forget everything: the proxy is stopping."""


class _Known(Expirable):
    """A known AOR; its newest binding is the last.

    :ivar registrars: IP addresses of registrars, and until when each keeps the proxy's Contact.
    """

    __slots__ = ("aor", "bindings", "registrars", "token")

    def __init__(self, aor: str) -> None:
        super().__init__()
        self.aor = aor
        self.token = contact_user_of(aor)
        self.bindings: dict[Key, Binding] = {}
        self.registrars: dict[str, float] = {}


class _Socket:
    """What depends on one flow.

    :ivar forget: ends the notification of its loss.
    """

    __slots__ = ("bindings", "forget")

    def __init__(self, forget: Callable[[], None]) -> None:
        self.forget = forget
        self.bindings: dict[tuple[str, Key], Binding] = {}


def _live(user: _Known, now: float) -> list[Binding]:
    return [
        binding for binding in reversed(user.bindings.values()) if binding.expires_at > now and not binding.flow.closed
    ]


class Location:
    """The bindings that one process knows, in memory. Queries never return what has expired; its memory is freed within
    `expiry.SWEEP_INTERVAL`.

    :param clock: for the time and for the sweeps that remove what has expired.
    :param multiple: keep all browsers of a user; else the newest REGISTER replaces the others.
    :param is_own: whether a flow is a socket of this process. Only bindings of own flows are counted and logged.
    :ivar proofs: what the browsers have proven.
    :ivar service_routes: the way that later requests of the browsers take.
    """

    def __init__(
        self, clock: IReactorTime, multiple: bool = False, is_own: Callable[[Flow], bool] = lambda flow: True
    ) -> None:
        self.multiple = multiple
        self.proofs = Proofs(clock)
        self.service_routes = ServiceRoutes(clock, self.bindings_on)
        self._clock = clock
        self._is_own = is_own
        self._users: dict[str, _Known] = {}
        self._tokens: dict[str, _Known] = {}
        self._without_binding: dict[str, None] = {}
        self._sockets: dict[Flow, _Socket] = {}
        self._registrars: dict[str, int] = {}
        self._watchers: list[Callable[[Binding], None]] = []
        self._expiry = ExpiryWheel(clock, self._check_expired)

    def __len__(self) -> int:
        return sum(len(socket.bindings) for flow, socket in self._sockets.items() if self._is_own(flow))

    # Queries

    def find(self, aor: str) -> Found:
        """See `IDirectory.find`."""
        user = self._users.get(aor)
        return Found(aor) if user is None else self._found(user)

    def find_token(self, token: str) -> Found | None:
        """See `IDirectory.find_token`."""
        user = self._tokens.get(token)
        return None if user is None else self._found(user)

    def only_aor(self, ending: str) -> str | None:
        """See `IDirectory.only_registered_at`."""
        found = None
        for aor in self._users:
            if aor.endswith(ending):
                if found is not None:
                    return None
                found = aor
        return found

    def live(self, aor: str) -> list[Binding]:
        """The bindings of an AOR that have not expired and whose flow is open, the newest first."""
        user = self._users.get(aor)
        return [] if user is None else _live(user, self._clock.seconds())

    def stored(self, aor: str) -> Mapping[Key, Binding]:
        """The bindings of an AOR by key, the newest last; includes expired ones that the sweep has not reached yet."""
        user = self._users.get(aor)
        return {} if user is None else user.bindings

    def aors(self) -> Iterator[tuple[str, Mapping[str, float], Collection[Binding]]]:
        """Each known AOR, its registrars with the time until which they keep the proxy's Contact, and its stored
        bindings, the newest last."""
        for aor, user in self._users.items():
            yield aor, user.registrars, user.bindings.values()

    def is_registrar(self, host: str) -> bool:
        """See `IDirectory.is_registrar`."""
        return host in self._registrars

    def bindings_on(self, flow: Flow) -> list[Binding]:
        socket = self._sockets.get(flow)
        now = self._clock.seconds()
        return [] if socket is None else [each for each in socket.bindings.values() if each.expires_at > now]

    def is_own(self, flow: Flow) -> bool:
        return self._is_own(flow)

    def watch(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        """See `IDirectory.watch`."""
        self._watchers.append(call)
        return lambda: self._watchers.remove(call)

    def _found(self, user: _Known) -> Found:
        now = self._clock.seconds()
        return Found(
            user.aor, _live(user, now), [host for host, until in user.registrars.items() if until > now], known=True
        )

    # Changes

    def check(self, aor: str, keys: Collection[Key], flow: Flow) -> None:
        wanted = len(keys)
        if self.multiple:
            wanted = len({binding.key for binding in self.live(aor)}.union(keys))
        if wanted > MAX_BINDINGS_PER_AOR:
            raise Refusal(403, "Too Many Contacts")
        socket = self._sockets.get(flow)
        if self.proofs.count(flow) + (0 if socket is None else len(socket.bindings)) >= MAX_AORS_PER_FLOW:
            self._check_aors(aor, flow)
        if self._full(aor):
            raise Refusal(503, "Too Many Registrations", [("Retry-After", "60")])

    def _check_aors(self, aor: str, flow: Flow) -> None:
        socket = self._sockets.get(flow)
        bound = () if socket is None else socket.bindings
        if len({aor, *self.proofs.aors(flow), *(other for other, _ in bound)}) > MAX_AORS_PER_FLOW:
            raise Refusal(403, "Too Many Addresses Of Record")

    def bind(self, bindings: Sequence[Binding]) -> None:
        """Store the bindings of one REGISTER, all of one AOR and one flow; none where the flow is lost.

        :raises Refusal: as `check`; nothing is stored then.
        """
        if not bindings or bindings[0].flow.closed:
            return
        aor, flow = bindings[0].aor, bindings[0].flow
        keys = {binding.key for binding in bindings}
        self.check(aor, keys, flow)
        user = self._user(aor)
        changed = [binding for binding in bindings if self._put(user, binding)]
        if not self.multiple:
            self._end([other for other in user.bindings.values() if other.key not in keys], "replaced by a newer one")
        for binding in changed:
            for watcher in tuple(self._watchers):
                watcher(binding)

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> None:
        """Remove bindings of an AOR, by default all of them. A flow without a binding of the AOR left has no longer
        proven it."""
        user = self._users.get(aor)
        if user is None:
            return
        wanted = tuple(user.bindings) if keys is None else tuple(keys)
        ended = [user.bindings[key] for key in wanted if key in user.bindings]
        self._end(ended, "taken back")
        staying = {binding.flow for binding in user.bindings.values()}
        for flow in {binding.flow for binding in ended} - staying:
            self.proofs.remove(flow, aor)

    def registered(self, aor: str, host: str, seconds: float) -> None:
        """See `IDirectory.registered`."""
        now = self._clock.seconds()
        if seconds > 0 and not self._full(aor):
            registrars = self._user(aor).registrars
            if host not in registrars:
                if len(registrars) >= MAX_REGISTRARS_PER_AOR:
                    self._unregister(self._users[aor], min(registrars, key=registrars.__getitem__))
                self._registrars[host] = self._registrars.get(host, 0) + 1
            registrars[host] = now + seconds
            self._expiry.watch(self._users[aor], now + seconds)
        elif seconds <= 0 and aor in self._users:
            registrars = self._users[aor].registrars
            for host in registrars:
                registrars[host] = min(registrars[host], now + REGISTRAR_LINGER)
            self._expiry.watch(self._users[aor], now + REGISTRAR_LINGER)
            self._tidy(aor)

    def stop(self) -> None:
        self._expiry.clear()
        self.proofs.stop()
        self.service_routes.stop()
        for socket in self._sockets.values():
            socket.forget()
        self._users.clear()
        self._tokens.clear()
        self._without_binding.clear()
        self._sockets.clear()
        self._registrars.clear()

    # Users and their bindings

    def _user(self, aor: str) -> _Known:
        user = self._users.get(aor)
        if user is None:
            if len(self._users) >= MAX_AORS and self._without_binding:
                self._drop(self._users[next(iter(self._without_binding))])
            user = self._users[aor] = _Known(aor)
            self._tokens[user.token] = user
            self._without_binding[aor] = None
        return user

    def _full(self, aor: str) -> bool:
        return aor not in self._users and len(self._users) >= MAX_AORS and not self._without_binding

    def _put(self, user: _Known, binding: Binding) -> bool:
        """Store one binding; True where it is new, or has a new flow or Contact."""
        old = user.bindings.pop(binding.key, None)
        if old is not None and old.flow is not binding.flow:
            self._detach(old)
        user.bindings[binding.key] = binding
        self._expiry.watch(user, binding.expires_at)
        self._without_binding.pop(user.aor, None)
        self._socket(binding.flow).bindings[user.aor, binding.key] = binding
        if old is not None and old.flow is binding.flow and old.contact == binding.contact:
            return False
        self._log("{aor} is registered from {peer}", binding)
        return True

    def _end(self, bindings: Iterable[Binding], why: str) -> None:
        for binding in bindings:
            aor = binding.aor
            user = self._users[aor]
            del user.bindings[binding.key]
            if not user.bindings:
                user.bindings = {}  # a dict that was once filled keeps its memory
            self._detach(binding)
            self._tidy(aor)
            self._log("{aor} is no longer registered from {peer}: {why}", binding, why)

    def _log(self, what: str, binding: Binding, why: str = "") -> None:
        if self._is_own(binding.flow):
            log.info(what, aor=binding.aor, peer=binding.peer, call=binding.call_id, why=why)

    def _tidy(self, aor: str) -> None:
        """Forget an AOR that has neither bindings nor registrars; note one without bindings, which may have to make
        room."""
        user = self._users[aor]
        now = self._clock.seconds()
        for host in [host for host, until in user.registrars.items() if until <= now]:
            self._unregister(user, host)
        if user.bindings:
            return
        if user.registrars:
            self._without_binding.setdefault(aor)
        else:
            self._drop(user)

    def _drop(self, user: _Known) -> None:
        for host in tuple(user.registrars):
            self._unregister(user, host)
        del self._users[user.aor]
        self._tokens.pop(user.token, None)
        self._without_binding.pop(user.aor, None)
        self._expiry.forget(user)

    def _unregister(self, user: _Known, host: str) -> None:
        del user.registrars[host]
        if self._registrars[host] > 1:
            self._registrars[host] -= 1
        else:
            del self._registrars[host]

    # Sockets

    def _socket(self, flow: Flow) -> _Socket:
        socket = self._sockets.get(flow)
        if socket is None:
            socket = self._sockets[flow] = _Socket(flow.on_lost(lambda: self._flow_lost(flow)))
        return socket

    def _detach(self, binding: Binding) -> None:
        socket = self._sockets.get(binding.flow)
        if socket is not None:
            socket.bindings.pop((binding.aor, binding.key), None)
            self._tidy_socket(binding.flow)

    def _tidy_socket(self, flow: Flow) -> None:
        socket = self._sockets[flow]
        if not socket.bindings:
            del self._sockets[flow]
            socket.forget()

    def _flow_lost(self, flow: Flow) -> None:
        socket = self._sockets.pop(flow)
        self._end(tuple(socket.bindings.values()), "its connection is lost")

    # Time

    def _check_expired(self, what: Expirable, now: float) -> float | None:
        """Remove the expired parts of a user.

        :returns: when the next part expires, None where nothing is left.
        """
        assert isinstance(what, _Known)
        return self._check_user(what, now)

    def _check_user(self, user: _Known, now: float) -> float | None:
        self._end([binding for binding in user.bindings.values() if binding.expires_at <= now], "expired")
        if user.aor in self._users:
            self._tidy(user.aor)
        ends = [binding.expires_at for binding in user.bindings.values()]
        return min([*ends, *user.registrars.values()], default=None)
