"""Monitoring: gathers what ``/health`` and ``/metrics`` report about a running proxy."""

from __future__ import annotations

from webrtcproxy.call.calls import Calls
from webrtcproxy.media.nodes import Nodes
from webrtcproxy.registration.location import ILocation
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.subscription.subscribe import Subscriptions
from webrtcproxy.transaction.layer import Transactions
from webrtcproxy.transport.wss.server import WebSocketServer


def health(nodes: Nodes, calls: Calls, browsers: WebSocketServer, location: ILocation) -> dict[str, object]:
    """The content of ``/health``. The proxy is healthy while an rtpengine has replied and is alive, and calls are not
    being drained."""
    alive = sum(node.alive and node.answered > 0 for node in nodes.nodes)
    return {
        "healthy": alive > 0 and not calls.draining,
        "rtpengine": f"{alive} of {len(nodes.nodes)}",
        "calls": len(calls),
        "sockets": browsers.connections,
        "bindings": len(location),
    }


def bind_gauges(
    metrics: Metrics,
    calls: Calls,
    subscriptions: Subscriptions,
    browsers: WebSocketServer,
    location: ILocation,
    transactions: Transactions,
) -> None:
    """Connect the gauges of `metrics`, which are read at each export."""
    metrics.active_calls.labels("up").set_function(lambda: calls.answered)
    metrics.active_calls.labels("setup").set_function(lambda: len(calls) - calls.answered)
    metrics.bindings.set_function(lambda: len(location))
    metrics.dialogs.set_function(lambda: len(subscriptions.calls) + len(subscriptions.legs))
    metrics.subscriptions.set_function(lambda: len(subscriptions))
    metrics.sockets.set_function(lambda: browsers.connections)
    metrics.transactions.labels("server").set_function(lambda: transactions.servers)
    metrics.transactions.labels("client").set_function(lambda: transactions.clients)
