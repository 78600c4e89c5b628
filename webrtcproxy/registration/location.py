"""Location: where the browsers of an address-of-record are now, and which registrar knows them through us.

A binding joins an address-of-record (AOR: user and domain) to a browser's Contact and to the socket that leads to it.
It is named by the browser's instance and ``reg-id`` (RFC 5626), so that a browser that comes back on a new socket
replaces its old self. It ends when it expires, when it is taken back, and when its socket is lost.

Towards its registrar an AOR has one Contact of the proxy's, whatever the number of its browsers. The registrar keeps
that Contact for as long as it granted, also when every browser is gone by then; so long the AOR stays known here.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.registration.binding import Binding, Key, contact_user_of
from webrtcproxy.registration.expiry import Expirable, ExpiryWheel
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.transport.flow import Flow

log = Logger()

MAX_BINDINGS_PER_AOR = 10
MAX_AORS_PER_FLOW = 10
MAX_AORS = 100_000
"""Addresses-of-record known at once; those without a browser make room, the longest gone first."""
MAX_REGISTRARS_PER_AOR = 8

REGISTRAR_LINGER = 32.0
"""Seconds (64*T1) for which a registrar is still heard when the last binding was taken back, so that an INVITE that
crossed the un-REGISTER hears 480 and not silence."""


class ILocation(Protocol):
    """What the proxy asks of its bindings. What another process may know better comes as a Deferred."""

    def lookup(self, aor: str) -> Deferred[list[Binding]]:
        """Fires with the bindings that a call forks to: live, one of each instance, by q, then the newest first."""

    def bindings(self, aor: str) -> Deferred[list[Binding]]:
        """Fires with all live bindings, the newest first."""

    def knows(self, aor: str) -> bool:
        """True where the AOR has a live binding, or its registrar still believes so."""

    def aor_of(self, token: str) -> str | None:
        """The known AOR whose `contact_user_of` this is."""

    def is_registrar(self, host: str) -> bool:
        """True where `host`, an IP address, is the registrar of any AOR that is known; one dictionary look-up."""

    def registered_at(self, aor: str, host: str) -> bool:
        """True where the registrar at the IP address `host` has accepted this AOR, and for a time that is not over."""

    def proven(self, flow: Flow) -> bool:
        """True where the browser on `flow` has registered at a trunk with a password of its own."""

    def proven_aors(self, flow: Flow) -> list[str]:
        """The AORs that `flow` is proven for."""

    def on_bound(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        """Have `call` called with each binding that is new, or whose flow or Contact changed: a dialog belongs to an
        instance, and follows it to its new socket.

        :returns: a function that takes the wish back.
        """

    def check(self, aor: str, keys: Collection[Key], flow: Flow) -> None:
        """Whether there is room for these bindings.

        :raises Refusal: 403 for too many of one user or one socket, 503 where the proxy is full.
        """

    def bind(self, bindings: Sequence[Binding]) -> None:
        """Store the bindings of one REGISTER, all of one AOR and one flow; none where the flow is lost.

        :raises Refusal: as `check`; nothing is stored then.
        """

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> None:
        """Take back bindings of an AOR, by default all of them; with its last one a flow is no longer proven for it."""

    def registered(self, aor: str, host: str, seconds: float) -> None:
        """The registrar at `host` has our Contact for `aor` for so many seconds; with 0, it has it no more."""

    def prove(self, aor: str, flow: Flow, seconds: float) -> None:
        """The browser on `flow` has shown for so many seconds that `aor` is its own; with 0, no more."""


class _User(Expirable):
    """An AOR that is known; the newest binding is the last."""

    __slots__ = ("aor", "bindings", "registrars", "token")

    def __init__(self, aor: str) -> None:
        super().__init__()
        self.aor = aor
        self.token = contact_user_of(aor)
        self.bindings: dict[Key, Binding] = {}
        self.registrars: dict[str, float] = {}


class _Socket(Expirable):
    """What depends on one flow; `forget` ends the subscription to its loss."""

    __slots__ = ("bindings", "flow", "forget", "proofs")

    def __init__(self, flow: Flow, forget: Callable[[], None]) -> None:
        super().__init__()
        self.flow = flow
        self.forget = forget
        self.bindings: dict[tuple[str, Key], Binding] = {}
        self.proofs: dict[str, float] = {}


class Location:
    """The bindings of one process, in memory. What is asked for is exact; only memory waits for `expiry.SWEEP`.

    :param clock: tells the time, and when to look for what has expired.
    :param multiple: keep all browsers of a user; else the newest REGISTER replaces the others.
    """

    def __init__(self, clock: IReactorTime, multiple: bool = False) -> None:
        self._clock = clock
        self._multiple = multiple
        self._users: dict[str, _User] = {}
        self._tokens: dict[str, str] = {}
        self._gone: dict[str, None] = {}
        self._sockets: dict[Flow, _Socket] = {}
        self._registrars: dict[str, int] = {}
        self._observers: list[Callable[[Binding], None]] = []
        self._expiry = ExpiryWheel(clock, self._look)

    def __len__(self) -> int:
        return sum(len(socket.bindings) for socket in self._sockets.values())

    # Questions

    def lookup(self, aor: str) -> Deferred[list[Binding]]:
        newest: dict[str, Binding] = {}
        for binding in self._live(aor):
            newest.setdefault(binding.instance, binding)
        return succeed(sorted(newest.values(), key=lambda binding: -binding.q))

    def bindings(self, aor: str) -> Deferred[list[Binding]]:
        return succeed(self._live(aor))

    def knows(self, aor: str) -> bool:
        return aor in self._users

    def aor_of(self, token: str) -> str | None:
        return self._tokens.get(token)

    def is_registrar(self, host: str) -> bool:
        return host in self._registrars

    def registered_at(self, aor: str, host: str) -> bool:
        user = self._users.get(aor)
        return user is not None and user.registrars.get(host, 0.0) > self._clock.seconds()

    def proven(self, flow: Flow) -> bool:
        return flow in self._sockets and bool(self.proven_aors(flow))

    def proven_aors(self, flow: Flow) -> list[str]:
        socket = self._sockets.get(flow)
        now = self._clock.seconds()
        return [] if socket is None else [aor for aor, until in socket.proofs.items() if until > now]

    def on_bound(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        self._observers.append(call)
        return lambda: self._observers.remove(call)

    def _live(self, aor: str) -> list[Binding]:
        user = self._users.get(aor)
        if user is None:
            return []
        now = self._clock.seconds()
        return [
            binding
            for binding in reversed(user.bindings.values())
            if binding.expires_at > now and not binding.flow.closed
        ]

    # Changes

    def check(self, aor: str, keys: Collection[Key], flow: Flow) -> None:
        wanted = len(keys)
        if self._multiple:
            wanted = len({binding.key for binding in self._live(aor)}.union(keys))
        if wanted > MAX_BINDINGS_PER_AOR:
            raise Refusal(403, "Too Many Contacts")
        socket = self._sockets.get(flow)
        if socket is not None and len(socket.proofs) + len(socket.bindings) >= MAX_AORS_PER_FLOW:
            self._check_aors(aor, socket)
        if self._full(aor):
            raise Refusal(503, "Too Many Registrations", [("Retry-After", "60")])

    def _check_aors(self, aor: str, socket: _Socket) -> None:
        if len({aor, *socket.proofs, *(other for other, _ in socket.bindings)}) > MAX_AORS_PER_FLOW:
            raise Refusal(403, "Too Many Addresses Of Record")

    def bind(self, bindings: Sequence[Binding]) -> None:
        if not bindings or bindings[0].flow.closed:
            return
        aor, flow = bindings[0].aor, bindings[0].flow
        keys = {binding.key for binding in bindings}
        self.check(aor, keys, flow)
        user = self._user(aor)
        changed = [binding for binding in bindings if self._put(user, binding)]
        if not self._multiple:
            self._end([other for other in user.bindings.values() if other.key not in keys], "replaced by a newer one")
        for binding in changed:
            for observer in tuple(self._observers):
                observer(binding)

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> None:
        user = self._users.get(aor)
        if user is None:
            return
        wanted = tuple(user.bindings) if keys is None else tuple(keys)
        ended = [user.bindings[key] for key in wanted if key in user.bindings]
        self._end(ended, "taken back")
        staying = {binding.flow for binding in user.bindings.values()}
        for flow in {binding.flow for binding in ended} - staying:
            self.prove(aor, flow, 0)

    def registered(self, aor: str, host: str, seconds: float) -> None:
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

    def prove(self, aor: str, flow: Flow, seconds: float) -> None:
        if seconds > 0 and not flow.closed:
            socket, until = self._socket(flow), self._clock.seconds() + seconds
            socket.proofs[aor] = until
            self._expiry.watch(socket, until)
        elif flow in self._sockets:
            self._sockets[flow].proofs.pop(aor, None)
            self._tidy_socket(flow)

    def stop(self) -> None:
        """Forget everything, as the proxy stops."""
        self._expiry.clear()
        for socket in self._sockets.values():
            socket.forget()
        for memory in (self._users, self._tokens, self._gone, self._sockets, self._registrars):
            memory.clear()

    # Users and their bindings

    def _user(self, aor: str) -> _User:
        user = self._users.get(aor)
        if user is None:
            if len(self._users) >= MAX_AORS and self._gone:
                self._drop(self._users[next(iter(self._gone))])
            user = self._users[aor] = _User(aor)
            self._tokens[user.token] = aor
            self._gone[aor] = None
        return user

    def _full(self, aor: str) -> bool:
        return aor not in self._users and len(self._users) >= MAX_AORS and not self._gone

    def _put(self, user: _User, binding: Binding) -> bool:
        """Store one binding; True where it is new, or its flow or Contact is."""
        old = user.bindings.pop(binding.key, None)
        if old is not None and old.flow is not binding.flow:
            self._off_socket(old)
        user.bindings[binding.key] = binding
        self._expiry.watch(user, binding.expires_at)
        self._gone.pop(user.aor, None)
        self._socket(binding.flow).bindings[user.aor, binding.key] = binding
        if old is not None and old.flow is binding.flow and old.contact == binding.contact:
            return False
        self._tell("{aor} is registered from {peer}", binding)
        return True

    def _end(self, bindings: Iterable[Binding], why: str) -> None:
        for binding in bindings:
            aor = binding.aor
            user = self._users[aor]
            del user.bindings[binding.key]
            if not user.bindings:
                user.bindings = {}  # one that had something in it keeps its room
            self._off_socket(binding)
            self._tidy(aor)
            self._tell("{aor} is no longer registered from {peer}: {why}", binding, why)

    def _tell(self, what: str, binding: Binding, why: str = "") -> None:
        log.info(what, aor=binding.aor, peer=binding.peer, call=binding.call_id, why=why)

    def _tidy(self, aor: str) -> None:
        """Forget an AOR that nothing keeps any more; remember one without a browser as gone."""
        user = self._users[aor]
        now = self._clock.seconds()
        for host in [host for host, until in user.registrars.items() if until <= now]:
            self._unregister(user, host)
        if user.bindings:
            return
        if user.registrars:
            self._gone.setdefault(aor)
        else:
            self._drop(user)

    def _drop(self, user: _User) -> None:
        for host in tuple(user.registrars):
            self._unregister(user, host)
        del self._users[user.aor]
        self._tokens.pop(user.token, None)
        self._gone.pop(user.aor, None)
        self._expiry.forget(user)

    def _unregister(self, user: _User, host: str) -> None:
        del user.registrars[host]
        if self._registrars[host] > 1:
            self._registrars[host] -= 1
        else:
            del self._registrars[host]

    # Sockets

    def _socket(self, flow: Flow) -> _Socket:
        socket = self._sockets.get(flow)
        if socket is None:
            socket = self._sockets[flow] = _Socket(flow, flow.on_lost(lambda: self._lost(flow)))
        return socket

    def _off_socket(self, binding: Binding) -> None:
        socket = self._sockets.get(binding.flow)
        if socket is not None:
            socket.bindings.pop((binding.aor, binding.key), None)
            self._tidy_socket(binding.flow)

    def _tidy_socket(self, flow: Flow) -> None:
        socket = self._sockets[flow]
        if not socket.bindings and not socket.proofs:
            del self._sockets[flow]
            socket.forget()
            self._expiry.forget(socket)

    def _lost(self, flow: Flow) -> None:
        socket = self._sockets.pop(flow)
        self._expiry.forget(socket)
        self._end(tuple(socket.bindings.values()), "its connection is lost")

    # Time

    def _look(self, what: Expirable, now: float) -> float | None:
        """End what has expired of a user or a socket; when the next of it does, None where nothing is left."""
        if isinstance(what, _User):
            return self._look_at_user(what, now)
        assert isinstance(what, _Socket)
        proofs = what.proofs
        for aor in [aor for aor, until in proofs.items() if until <= now]:
            del proofs[aor]
        self._tidy_socket(what.flow)
        return min(proofs.values(), default=None)

    def _look_at_user(self, user: _User, now: float) -> float | None:
        self._end([binding for binding in user.bindings.values() if binding.expires_at <= now], "expired")
        if user.aor in self._users:
            self._tidy(user.aor)
        ends = [binding.expires_at for binding in user.bindings.values()]
        return min([*ends, *user.registrars.values()], default=None)
