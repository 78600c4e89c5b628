"""SharedLocation: the bindings of all workers, in each of them and in the hub.

What a worker changes it changes at once, and tells all others, who do the same to their replica. A binding of another
worker has a `RemoteFlow`: so a call reaches it, a dialog follows it, and it ends when its socket is lost, by the means
that there are for a binding of one's own.

Two workers may change the same user at the same moment. Each REGISTER that binds has a stamp, its time and its worker;
where two can't both be, the larger stamp wins, everywhere.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import groupby
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from webrtcproxy.cluster.ownership import ALL, HUB
from webrtcproxy.cluster.remote import RemoteFlow, RemoteFlows, Send
from webrtcproxy.registration.binding import Binding, Key
from webrtcproxy.registration.location import Location
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.headers import NameAddr

log = Logger()

Change = dict[str, Any]
"""What is told of one change: a frame's header."""


class SharedLocation(Location):
    """One replica.

    :param clock: tells the time, and sweeps.
    :param multiple: as `Location` has it.
    :param number: of this process.
    :param flows: names sockets towards others.
    :param send: sends a frame.
    """

    def __init__(self, clock: IReactorTime, multiple: bool, number: int, flows: RemoteFlows, send: Send) -> None:
        super().__init__(clock, multiple)
        self._number = number
        self._flows = flows
        self._send = send
        self._latest = 0.0

    def __len__(self) -> int:
        """The bindings of this worker's own sockets; those of all workers add up."""
        return sum(len(socket.bindings) for flow, socket in self._sockets.items() if not isinstance(flow, RemoteFlow))

    def holder(self, aor: str) -> int:
        """The worker that has the newest live binding of an AOR; 0 where there is none."""
        for binding in self._live(aor):
            return binding.flow.worker if isinstance(binding.flow, RemoteFlow) else self._number
        return HUB

    # Changes of our own

    def bind(self, bindings: Sequence[Binding]) -> None:
        """Store the bindings of one REGISTER, and tell the others."""
        stamp = (self._now(), self._number)
        stamped = [replace(binding, stamp=stamp) for binding in bindings]
        super().bind(stamped)
        if stamped and not stamped[0].flow.closed:
            self._send(self._told(stamped))

    def unbind(self, aor: str, keys: Iterable[Key] | None = None) -> None:
        """Take back bindings of an AOR, and tell the others."""
        wanted = None if keys is None else tuple(keys)
        if aor in self._users and wanted != ():
            super().unbind(aor, wanted)
            self._send({"to": ALL, "do": "unbind", "aor": aor, "keys": wanted, "until": self._now()})

    def registered(self, aor: str, host: str, seconds: float) -> None:
        """A registrar has our Contact for an AOR; the others are to hear it, too."""
        super().registered(aor, host, seconds)
        self._send({"to": ALL, "do": "registered", "aor": aor, "host": host, "seconds": seconds})

    def _now(self) -> float:
        """A time that is later than every stamp that is known here."""
        self._latest = max(self._clock.seconds(), self._latest + 1e-6)
        return self._latest

    # Changes of others

    def heard(self, change: Change) -> None:
        """Another process tells of a change."""
        if change["do"] == "bind":
            self._heard_bind(change)
        elif change["do"] == "unbind":
            self._heard_unbind(change["aor"], change["keys"], change["until"])
        else:
            super().registered(change["aor"], change["host"], change["seconds"])

    def _heard_bind(self, change: Change) -> None:
        time, number = change["stamp"]
        stamp = (time, number)
        self._latest = max(self._latest, time)
        aor = change["aor"]
        user = self._users.get(aor)
        there = {} if user is None else user.bindings
        if not self._multiple and any(binding.stamp > stamp for binding in there.values()):
            return
        flow = self._flows.known(change["flow"])
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
                call_id=change["call"],
                stamp=stamp,
            )
            for instance, reg_id, text, left, q in change["bindings"]
            for value in (NameAddr.parse(text),)
        ]
        try:
            super().bind([new for new in bindings if new.key not in there or there[new.key].stamp < stamp])
        except Refusal as why:
            log.warn("A binding of worker {worker} is not taken over: {why}", worker=number, why=why)

    def _heard_unbind(self, aor: str, keys: Iterable[Sequence[Any]] | None, until: float) -> None:
        user = self._users.get(aor)
        if user is None:
            return
        wanted = None if keys is None else {(instance, reg_id) for instance, reg_id in keys}
        ended = [
            key
            for key, binding in user.bindings.items()
            if binding.stamp[0] <= until and (wanted is None or key in wanted)
        ]
        super().unbind(aor, ended)

    # The whole state, for a worker that starts

    def changes(self) -> Iterator[Change]:
        """What leads to the present state, for who knows nothing of it."""
        now = self._clock.seconds()
        for aor, user in self._users.items():
            for host, until in user.registrars.items():
                if until > now:
                    yield {"do": "registered", "aor": aor, "host": host, "seconds": until - now}
            for _, bindings in groupby(user.bindings.values(), key=lambda binding: binding.stamp):
                yield self._told(list(bindings))

    def _told(self, bindings: Sequence[Binding]) -> Change:
        """The bindings of one REGISTER."""
        now = self._clock.seconds()
        first = bindings[0]
        return {
            "to": ALL,
            "do": "bind",
            "aor": first.aor,
            "flow": self._flows.facts(first.flow),
            "stamp": first.stamp,
            "call": first.call_id,
            "bindings": [
                (each.instance, each.reg_id, str(each.value), each.expires_at - now, each.q) for each in bindings
            ],
        }

    def _tell(self, what: str, binding: Binding, why: str = "") -> None:
        """The worker whose binding it is logs it."""
        if not isinstance(binding.flow, RemoteFlow):
            super()._tell(what, binding, why)
