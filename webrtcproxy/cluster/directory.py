"""SharedDirectory: the bindings of all workers, replicated in each of them and in the hub.

A worker stores its own change at once, and sends it to all others, which apply it to their replicas. A binding of
another worker has a `RemoteFlow`: calls reach it, dialogs use it, and it ends when its connection is lost, just as a
binding of this worker.

Two workers may change the same user at the same moment. Each REGISTER that binds has a stamp, its time and its worker;
if two exclude each other, the larger stamp wins in every replica.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.cluster.ownership import ALL, HUB
from webrtcproxy.cluster.protocol import BIND, INTEND, REGISTERED, UNBIND
from webrtcproxy.cluster.remote import RemoteFlow, RemoteFlows, Send
from webrtcproxy.registration.binding import Binding, Found, Key
from webrtcproxy.registration.directory import Intents, remaining
from webrtcproxy.registration.location import Location
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.transport.flow import Flow

log = Logger()

Change = dict[str, Any]
"""One change of the directory: the header of a frame."""


def is_own(flow: Flow) -> bool:
    """Whether a flow belongs to a socket of this process."""
    return not isinstance(flow, RemoteFlow)


class SharedDirectory:
    """One replica; a `webrtcproxy.registration.directory.IDirectory`.

    :param clock: for stamps.
    :param number: of this process.
    :param location: the bindings of all workers, as this process knows them.
    :param flows: describes flows to other processes.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, number: int, location: Location, flows: RemoteFlows, send: Send) -> None:
        self._clock = clock
        self._number = number
        self._location = location
        self._flows = flows
        self._send = send
        self._intents = Intents()
        self._latest = 0.0

    # Queries

    def find(self, aor: str) -> Deferred[Found]:
        return succeed(self._location.find(aor))

    def find_token(self, token: str) -> Deferred[Found | None]:
        return succeed(self._location.find_token(token))

    def only_registered_at(self, ending: str) -> Deferred[str | None]:
        return succeed(self._location.only_aor(ending))

    def watch(self, call: Callable[[Binding], None]) -> Callable[[], None]:
        return self._location.watch(call)

    def is_registrar(self, host: str) -> bool:
        return self._location.is_registrar(host)

    def owner(self, aor: str) -> int:
        """The worker that has the newest live binding of an AOR; 0 if there is no binding."""
        return self._owner(self._location.live(aor))

    def owner_of_token(self, token: str) -> int | None:
        """The same for the AOR whose `contact_user_of` this is; None if there is no such AOR."""
        found = self._location.find_token(token)
        return None if found is None else self._owner(found.bindings)

    def _owner(self, bindings: Sequence[Binding]) -> int:
        for binding in bindings:
            return binding.flow.worker if isinstance(binding.flow, RemoteFlow) else self._number
        return HUB

    # Changes of this worker

    def intend(self, aor: str, register_id: int, keys: Collection[Key], seconds: int) -> Deferred[list[int]]:
        others: list[int] = []
        if self._location.multiple or not seconds:
            others = remaining(self._location.live(aor), keys, self._clock.seconds())
            others += self._intents.of(aor)
        if seconds:
            seconds = max([seconds, *others])
            self._intents.add(aor, self._number, register_id, seconds)
            self._send(_intent(aor, self._number, register_id, seconds))
        return succeed(others)

    def withdraw(self, aor: str, register_id: int) -> None:
        if self._intents.remove(aor, self._number, register_id):
            self._send(_intent(aor, self._number, register_id, 0))

    def bind(self, bindings: Sequence[Binding], register_id: int) -> Deferred[Found]:
        aor = bindings[0].aor
        stamp = (self._now(), self._number)
        stamped = [replace(binding, stamp=stamp) for binding in bindings]
        try:
            self._location.bind(stamped)
        except Refusal as why:
            self.withdraw(aor, register_id)
            return fail(why)
        if stamped[0].flow.closed:
            self.withdraw(aor, register_id)
        else:
            self._intents.remove(aor, self._number, register_id)
            self._send({**self._describe(stamped), "register": register_id})
        return succeed(self._location.find(aor))

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> Deferred[Found]:
        wanted = None if keys is None else tuple(keys)
        found = self._location.find(aor)
        if found.known and wanted != ():
            self._location.unbind(aor, wanted)
            self._send({"to": ALL, "do": UNBIND, "aor": aor, "keys": wanted, "until": self._now()})
            found = self._location.find(aor)
        return succeed(found)

    def registered(self, aor: str, host: str, seconds: float) -> None:
        self._location.registered(aor, host, seconds)
        self._send({"to": ALL, "do": REGISTERED, "aor": aor, "host": host, "seconds": seconds})

    def _now(self) -> float:
        """A time later than every known stamp."""
        self._latest = max(self._clock.seconds(), self._latest + 1e-6)
        return self._latest

    # Changes of others

    def apply(self, change: Change) -> None:
        """Apply a change of another process."""
        what = change["do"]
        if what == BIND:
            self._apply_bind(change)
        elif what == UNBIND:
            self._apply_unbind(change["aor"], change["keys"], change["until"])
        elif what == INTEND:
            self._apply_intent(change["aor"], change["worker"], change["register"], change["seconds"])
        else:
            self._location.registered(change["aor"], change["host"], change["seconds"])

    def worker_ended(self, worker: int) -> None:
        """Another worker has ended, and its pending REGISTERs with it."""
        self._intents.remove_worker(worker)

    def _apply_intent(self, aor: str, worker: int, register_id: int, seconds: int) -> None:
        if seconds:
            self._intents.add(aor, worker, register_id, seconds)
        else:
            self._intents.remove(aor, worker, register_id)

    def _apply_bind(self, change: Change) -> None:
        time, number = change["stamp"]
        stamp = (time, number)
        self._latest = max(self._latest, time)
        aor = change["aor"]
        self._intents.remove(aor, number, change.get("register", 0))
        there = self._location.stored(aor)
        if not self._location.multiple and any(binding.stamp > stamp for binding in there.values()):
            return
        flow = self._flows.flow_of(change["flow"])
        now = self._clock.seconds()
        bindings = [
            Binding(
                aor,
                instance,
                reg_id,
                contact=value.uri,
                value=value,
                flow=flow,
                expires_at=now + left,
                q=q,
                call_id=change["call_id"],
                stamp=stamp,
            )
            for instance, reg_id, text, left, q in change["bindings"]
            for value in (NameAddr.parse(text),)
        ]
        try:
            self._location.bind([new for new in bindings if new.key not in there or there[new.key].stamp < stamp])
        except Refusal as why:
            log.warn("A binding of worker {worker} is not taken over: {why}", worker=number, why=why)

    def _apply_unbind(self, aor: str, keys: Iterable[Sequence[Any]] | None, until: float) -> None:
        wanted = None if keys is None else {(instance, reg_id) for instance, reg_id in keys}
        ended = [
            key
            for key, binding in self._location.stored(aor).items()
            if binding.stamp[0] <= until and (wanted is None or key in wanted)
        ]
        self._location.unbind(aor, ended)

    # The whole state, for a new worker

    def changes(self) -> Iterator[Change]:
        """The changes that lead from an empty directory to the current state."""
        now = self._clock.seconds()
        for aor, registrars, bindings in self._location.aors():
            for host, until in registrars.items():
                if until > now:
                    yield {"do": REGISTERED, "aor": aor, "host": host, "seconds": until - now}
            for _, of_one in groupby(bindings, key=lambda binding: binding.stamp):
                yield self._describe(list(of_one))
        for intent in self._intents:
            yield _intent(*intent)

    def _describe(self, bindings: Sequence[Binding]) -> Change:
        """The bindings of one REGISTER."""
        now = self._clock.seconds()
        first = bindings[0]
        return {
            "to": ALL,
            "do": BIND,
            "aor": first.aor,
            "flow": self._flows.describe(first.flow),
            "stamp": first.stamp,
            "call_id": first.call_id,
            "bindings": [
                (each.instance, each.reg_id, str(each.value), each.expires_at - now, each.q) for each in bindings
            ],
        }


def _intent(aor: str, worker: int, register_id: int, seconds: int) -> Change:
    """The frame of a pending REGISTER; with 0 seconds, of its end."""
    return {"to": ALL, "do": INTEND, "aor": aor, "worker": worker, "register": register_id, "seconds": seconds}
