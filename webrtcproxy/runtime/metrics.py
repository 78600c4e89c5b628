"""Metrics: the metrics that this process exports to Prometheus.

Results of calls, REGISTERs and commands to rtpengine are counted where they happen. Gauges (calls, bindings, sockets,
transactions, nodes) cost nothing until Prometheus reads them: functions that the service sets return their values.

The value of a label is a word of this file or a name of the configuration, never text from a peer.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Literal, get_args

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    GCCollector,
    PlatformCollector,
    ProcessCollector,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

from webrtcproxy.runtime.histogram import Histogram, Observations

# The creation time of each series would double the lines, and is not needed.
disable_created_metrics()  # type: ignore[no-untyped-call]

CONTENT_TYPE = CONTENT_TYPE_PLAIN_0_0_4
"""The content type of `Metrics.text` and `merged`."""

Direction = Literal["outbound", "inbound"]
"""The caller: a browser (outbound), or the SIP side (inbound)."""

CallResult = Literal[
    "answered", "busy", "cancelled", "challenged", "failed", "lost", "media", "no_answer", "not_found", "rejected",
    "shutdown",
]  # fmt: skip
"""How the set-up of a call ended."""

RegistrationResult = Literal["accepted", "challenged", "rejected", "failed"]
"""The outcome of a REGISTER."""

Reason = Literal[
    # Requests
    "banned", "calls_limit", "destination", "extension", "forbidden", "foreign", "login_delay", "loop", "malformed",
    "method", "minutes_limit", "no_dialog", "not_acceptable", "not_found", "other", "overload", "policy", "rate_limit",
    "scanner", "scheme", "transactions_limit", "unknown_source",
    # Connections
    "bootstrap", "connections_limit", "handshake", "login", "origin", "websocket",
]  # fmt: skip
"""Why the proxy itself refused something: a request, before it became a call or was relayed; a browser's connection,
before it was open, or (`websocket`) because it violated the protocol; the bootstrap document."""

BanReason = Literal["logins", "probes", "user_agent"]
"""Why an address is banned: too many failed logins; too many requests that nobody but a scanner sends; the User-Agent
of a scanner."""

NgFailure = Literal["overload", "refused", "timeout"]
"""Why a command to rtpengine failed."""

SET_UP = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 180)
"""Buckets, in seconds, for what a caller waits for: machines at the lower end, people at the upper."""
TALK = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
"""Buckets, in seconds, for the time from the 2xx to the end."""
QUICK = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5)
"""Buckets, in seconds, for responses of machines."""


class CallMeter:
    """Counts the calls of one direction.

    :ivar direction: that one.
    :ivar progress: seconds from the INVITE to the first 101 to 199 that is relayed.
    :ivar set_up: seconds from the INVITE to the 2xx that is relayed.
    :ivar talk: seconds from that 2xx to the end.
    :ivar results: by how the set-up ended.
    """

    __slots__ = ("direction", "progress", "results", "set_up", "talk")

    def __init__(
        self,
        direction: Direction,
        progress: Histogram,
        set_up: Histogram,
        talk: Histogram,
        results: Counter,
    ) -> None:
        self.direction = direction
        self.progress = progress.labels(direction)
        self.set_up = set_up.labels(direction)
        self.talk = talk.labels(direction)
        self.results = {result: results.labels(direction, result) for result in get_args(CallResult)}


class NodeMeter:
    """Counts the commands to one rtpengine.

    :param node: its address in the configuration.
    """

    __slots__ = ("_by_command", "_failures", "_node", "_seconds")

    def __init__(self, node: str, seconds: Histogram, failures: Counter) -> None:
        self._node = node
        self._seconds = seconds
        self._by_command: dict[str, Observations] = {}
        self._failures = {failure: failures.labels(node, failure) for failure in get_args(NgFailure)}

    def replied(self, command: str, seconds: float) -> None:
        """A reply or a refusal has arrived, this many seconds after the command was first sent."""
        child = self._by_command.get(command)
        if child is None:
            child = self._by_command[command] = self._seconds.labels(self._node, command)
        child.observe(seconds)

    def failed(self, failure: NgFailure) -> None:
        """A command failed."""
        self._failures[failure].inc()


class Metrics:
    """All metrics of this process, in a registry of their own.

    :param process: also export figures of the process and of Python: CPU, memory, descriptors, garbage collections.
    :ivar outbound: counts the calls of browsers.
    :ivar inbound: counts the calls of the SIP side.
    :ivar loop_lag: seconds that the reactor is late; see `webrtcproxy.runtime.loop_lag`.
    :ivar active_calls: by `state`; the value of this and of each further gauge comes from a function that the service
        sets.
    :ivar banned_addresses: of IPv6, networks.
    :ivar bindings: of all addresses-of-record.
    :ivar dialogs: of calls and subscriptions, including those that are ending.
    :ivar subscriptions: of both directions.
    :ivar sockets: open WebSockets.
    :ivar transactions: by `kind`.
    """

    def __init__(self, *, process: bool = False) -> None:
        self._registry = registry = CollectorRegistry()
        if process:
            ProcessCollector(registry=registry)
            PlatformCollector(registry=registry)
            GCCollector(registry=registry)
        self.outbound, self.inbound = self._call_meters(registry)
        registrations = Counter(
            "webrtcproxy_registrations", "REGISTERs of browsers, by the answer.", ["result"], registry=registry
        )
        self._registrations = {result: registrations.labels(result) for result in get_args(RegistrationResult)}
        bans = Counter("webrtcproxy_bans", "Bans of addresses, by their cause.", ["reason"], registry=registry)
        self._bans = {reason: bans.labels(reason) for reason in get_args(BanReason)}
        self._failed_logins = Counter(
            "webrtcproxy_failed_logins", "Logins of browsers with wrong credentials.", registry=registry
        )
        refused = Counter(
            "webrtcproxy_refused", "Requests and connections that the proxy turned away.", ["reason"], registry=registry
        )
        self._refused = {reason: refused.labels(reason) for reason in get_args(Reason)}
        self._ng_seconds = Histogram(
            "webrtcproxy_ng_seconds",
            "Time until rtpengine replied to a command.",
            ["node", "command"],
            registry=registry,
            buckets=QUICK,
        )
        self._ng_failures = Counter(
            "webrtcproxy_ng_failures", "Commands that rtpengine did not do.", ["node", "reason"], registry=registry
        )
        self.loop_lag = Histogram(
            "webrtcproxy_loop_lag_seconds", "How late the reactor was, each second.", registry=registry, buckets=QUICK
        ).labels()

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"webrtcproxy_{name}", text, labels, registry=registry)

        self.active_calls = gauge("active_calls", "Calls being set up and calls that are up.", "state")
        self.banned_addresses = gauge("banned_addresses", "Addresses that are banned now.")
        self.bindings = gauge("bindings", "Registered browsers.")
        self.dialogs = gauge("dialogs", "SIP dialogs, those included that only wait for their end.")
        self.subscriptions = gauge("subscriptions", "Subscriptions that cross the proxy.")
        self.sockets = gauge("sockets", "Open WebSockets.")
        self.transactions = gauge("transactions", "SIP transactions, those that only absorb repeats included.", "kind")
        self._ng_up = gauge("ng_up", "1 while an rtpengine answers.", "node")
        self._trunk_up = gauge("trunk_up", "1 while a server of a trunk answers its pings.", "trunk", "target")
        self._ng_pending = gauge("ng_pending", "Commands that wait for rtpengine's reply.", "node")

    @staticmethod
    def _call_meters(registry: CollectorRegistry) -> tuple[CallMeter, CallMeter]:
        def histogram(name: str, text: str, buckets: tuple[float, ...]) -> Histogram:
            return Histogram(
                f"webrtcproxy_call_{name}_seconds", text, ["direction"], registry=registry, buckets=buckets
            )

        counts = (
            histogram("progress", "From INVITE to the first 18x.", SET_UP),
            histogram("setup", "From INVITE to 2xx, of the calls that were answered.", SET_UP),
            histogram("duration", "From 2xx to the end.", TALK),
            Counter(
                "webrtcproxy_calls", "Calls, by how their set-up ended.", ["direction", "result"], registry=registry
            ),
        )
        return CallMeter("outbound", *counts), CallMeter("inbound", *counts)

    def registered(self, result: RegistrationResult) -> None:
        """A browser's REGISTER got its final response."""
        self._registrations[result].inc()

    def refused(self, reason: Reason) -> None:
        """A request or a connection was refused."""
        self._refused[reason].inc()

    def banned(self, why: BanReason) -> None:
        """An address was banned."""
        self._bans[why].inc()

    def login_failed(self) -> None:
        """A browser's credentials were wrong."""
        self._failed_logins.inc()

    def node(self, node: str, *, up: Callable[[], bool], pending: Callable[[], int]) -> NodeMeter:
        """The meter for the commands to one rtpengine.

        :param node: its address in the configuration.
        :param up: returns whether it replies.
        :param pending: returns how many commands have no reply yet.
        """
        self._ng_up.labels(node).set_function(up)
        self._ng_pending.labels(node).set_function(pending)
        return NodeMeter(node, self._ng_seconds, self._ng_failures)

    def trunk_is(self, trunk: str, target: str, *, up: bool) -> None:
        """A ping has shown whether a server of a trunk is up.

        :param target: one of the few hops that the trunk's name resolves to.
        """
        self._trunk_up.labels(trunk, target).set(up)

    def trunk_forgotten(self, trunk: str, target: str) -> None:
        """A server no longer belongs to the trunk."""
        with suppress(KeyError):
            self._trunk_up.remove(trunk, target)

    def text(self) -> bytes:
        """All metrics in the text format 0.0.4 of Prometheus."""
        return generate_latest(self._registry)


def merged(texts: Mapping[str, bytes]) -> bytes:
    """The metrics of several processes as one text: each sample gets the label ``worker``.

    :param texts: name of the process (no name that has to be escaped) -> its `Metrics.text`.
    """
    families: dict[str, list[str]] = {}
    for worker, text in texts.items():
        family: list[str] = []
        known = False
        for line in text.decode().splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                known = name in families
                family = families.setdefault(name, [])
            if not line.startswith("#"):
                family.append(_with_worker(line, worker))
            elif not known:
                family.append(line)
    return "".join(f"{line}\n" for family in families.values() for line in family).encode()


def _with_worker(sample: str, worker: str) -> str:
    """The line of a sample with one more label; a metric's name has neither braces nor blanks."""
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{worker="{worker}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{worker="{worker}"}} {value}'
