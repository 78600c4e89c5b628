"""Cluster: what the hub's process says of all workers, and the order in which it ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import config
from webrtcproxy.cluster.cluster import Cluster, of_worker
from webrtcproxy.config import HostPort, ProxyConfig
from webrtcproxy.config.media_node import MediaNode

HEAD = "# HELP webrtcproxy_bindings Registered browsers.\n# TYPE webrtcproxy_bindings gauge\n"
COUNTS = ((0, "0.0"), (1, "4.0"), (2, "3.0"))


class ClusterCase(SynchronousTestCase):
    """A hub with two workers that have not been started."""

    def setUp(self) -> None:
        given = config()
        self.config = replace(
            given, proxy=ProxyConfig(2), wss=replace(given.wss, listen=("tcp:0:interface=127.0.0.1",))
        )
        self.cluster = Cluster(self.config, Clock(), None, lambda event: None)

    def test_metrics(self) -> None:
        """The metrics of each process have its number as a label, the hub's is 0."""
        self.patch(
            self.cluster.hub,
            "query_all",
            self.results({2: HEAD + "webrtcproxy_bindings 3.0\n", 1: HEAD + "webrtcproxy_bindings 4.0\n"}),
        )
        text = self.successResultOf(self.cluster.metrics()).decode()
        lines = [line for line in text.splitlines() if line.startswith("webrtcproxy_bindings")]
        self.assertEqual(lines, [f'webrtcproxy_bindings{{worker="{number}"}} {count}' for number, count in COUNTS])

    def test_health(self) -> None:
        """Health is the sum of the workers that answer, and says how many of all these are."""
        state = {"healthy": True, "rtpengine": "1 of 1", "calls": 2, "sockets": 3, "bindings": 4}
        self.patch(self.cluster.hub, "query_all", self.results({1: state}))
        health = self.successResultOf(self.cluster.health())
        self.assertEqual(health["workers"], "1 of 2")
        self.assertEqual((health["healthy"], health["calls"]), (True, 2))

    def test_bans(self) -> None:
        """A network that several workers have banned is listed once, with the latest end; a ban is lifted in all."""
        one = {"network": "192.0.2.1", "reason": "logins", "seconds": 60.0, "times": 1}
        other = {"network": "192.0.2.2", "reason": "probes", "seconds": 5.0, "times": 1}
        self.patch(self.cluster.hub, "query_all", self.results({1: [one], 2: [{**one, "seconds": 90.0}, other]}))
        self.assertEqual(self.successResultOf(self.cluster.bans()), [{**one, "seconds": 90.0}, other])
        for answers, lifted in (({1: False, 2: True}, True), ({1: False, 2: False}, False), ({}, False)):
            self.patch(self.cluster.hub, "query_all", self.results(answers))
            self.assertEqual(self.successResultOf(self.cluster.lift("192.0.2.1")), lifted)

    def results(self, answers: dict[int, Any]) -> Any:
        """A `query_all` of the hub that has these answers at once."""

        def query_all(what: str, about: str | None = None) -> Deferred[dict[int, Any]]:
            done: Deferred[dict[int, Any]] = Deferred()
            done.callback(answers)
            return done

        return query_all

    def test_end(self) -> None:
        """The workers end first; sockets and all else only when they are gone."""
        order: list[str] = []
        hub_ended: Deferred[None] = Deferred()
        self.patch(self.cluster.hub, "stopService", lambda: order.append("hub") or hub_ended)
        for service in self.cluster:
            if service is not self.cluster.hub:
                self.patch(service, "stopService", lambda: order.append("other"))
        self.cluster.running = self.cluster.hub.running = True
        stopped = self.cluster.stopService()
        self.assertEqual(order, ["hub"])
        hub_ended.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(order, ["hub", "other", "other"])

    def test_signals(self) -> None:
        """What comes by signals is for the workers, and files are read again in this process, too."""
        did: list[str] = []

        class Web(Service):
            def reload(self) -> None:
                did.append("web")

        Web().setServiceParent(self.cluster)
        self.patch(self.cluster.hub, "reload", lambda: did.append("workers"))
        self.patch(self.cluster.hub, "hurry", lambda: did.append("hurry"))
        self.cluster.reload()
        self.assertEqual(did, ["workers", "web"])
        self.cluster.hurry()
        self.assertEqual(did[2:], ["hurry"])


class ShareTests(SynchronousTestCase):
    """What each worker has of the whole."""

    def test_limits(self) -> None:
        """Limits in all are divided, rounded up; the web server is the hub's, and so may be the rtpengine."""
        whole = replace(config(), proxy=ProxyConfig(3))
        node = HostPort("127.0.0.1", 22222)
        part = of_worker(whole, node)
        self.assertEqual(part.calls.limit, -(-whole.calls.limit // 3))
        self.assertEqual((part.rtpengine.nodes, part.web.listen), ((MediaNode(*node),), ()))
