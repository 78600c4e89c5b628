"""Cluster: builds and connects the parts of the hub process: the hub, its sockets, and the shared UDP reader."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from twisted.application.service import MultiService
from twisted.internet.defer import Deferred, maybeDeferred

from webrtcproxy.access.bans import BanReport
from webrtcproxy.cluster.directory import SharedDirectory, is_own
from webrtcproxy.cluster.dispatch import Dispatcher
from webrtcproxy.cluster.hub import Hub
from webrtcproxy.cluster.launcher import Launcher
from webrtcproxy.cluster.listening_sockets import ListeningSockets
from webrtcproxy.cluster.ownership import HUB
from webrtcproxy.cluster.remote import RemoteFlows
from webrtcproxy.cluster.udp_reader import SharedUdpReader
from webrtcproxy.config import Config, HostPort, WebConfig
from webrtcproxy.config.instance import own_instance
from webrtcproxy.config.media_node import NG_PORT, MediaNode
from webrtcproxy.registration.location import Location
from webrtcproxy.runtime.loop_lag import LoopLag
from webrtcproxy.runtime.metrics import Metrics, merged
from webrtcproxy.runtime.signals import Reloads
from webrtcproxy.transport.certificate import server_endpoint


class Cluster(MultiService):
    """The hub, its workers and their sockets; other services of the process are added to it.

    :param config: the whole configuration.
    :param reactor: the only one.
    :param node: the rtpengine that this process runs for its workers, if any.
    :param publish: gets the log events of the workers.
    """

    def __init__(self, config: Config, reactor: Any, node: HostPort | None, publish: Callable[[Any], None]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        for line in config.wss.listen:
            server_endpoint(
                reactor, line, None, config.wss.client_ca
            )  # so that a bad certificate fails the start, as with one process
        workers = config.proxy.workers
        sockets = ListeningSockets(config.wss.listen, config.sip.listen, workers)
        flows = RemoteFlows(reactor, HUB, 0, _no_send)
        location = Location(reactor, config.registrations.multiple, is_own)
        directory = SharedDirectory(reactor, HUB, location, flows, _no_send)
        instance = own_instance(config.rtpengine.instance, config.sip.listen) or secrets.token_hex(4)
        launcher = Launcher(reactor, sockets, of_worker(config, node), instance=instance)
        self.hub = Hub(reactor, workers, launcher, flows, location, directory, config.proxy.drain, publish)
        trunks = [str(HostPort(trunk.host, trunk.port)) for trunk in config.trunks]
        self._metrics = Metrics(process=True)
        dispatcher = Dispatcher(reactor, directory, trunks, lambda: self._metrics.refused("malformed"))
        self._udp_reader = SharedUdpReader(reactor, sockets, dispatcher, self.hub)
        LoopLag(reactor, self._metrics.loop_lag.observe).setServiceParent(self)  # type: ignore[no-untyped-call]
        self._udp_reader.setServiceParent(self)  # type: ignore[no-untyped-call]
        self.hub.setServiceParent(self)  # type: ignore[no-untyped-call]

    def stopService(self) -> Deferred[None]:
        """Stop the workers first, since they need the other services until then.

        :returns: fires with None when everything has stopped.
        """
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await maybeDeferred(self.hub.disownServiceParent)
        await maybeDeferred(super().stopService)

    def hurry(self) -> None:
        """See `webrtcproxy.proxy.Proxy.hurry`."""
        self.hub.hurry()

    def reload(self) -> None:
        """Have all workers read their files again, and read those of this process."""
        for service in self:
            if isinstance(service, Reloads):
                service.reload()

    def metrics(self) -> Deferred[bytes]:
        """Fires with the content of ``/metrics``: the samples of each process, by its number; the hub is 0."""
        return self.hub.query_all("metrics").addCallback(self._merged)

    def _merged(self, texts: dict[int, str]) -> bytes:
        own = {str(HUB): self._metrics.text()}
        return merged(own | {str(number): texts[number].encode() for number in sorted(texts)})

    def bans(self) -> Deferred[list[BanReport]]:
        """Fires with the bans of all workers."""
        return self.hub.query_all("bans").addCallback(lambda lists: joint_bans(lists.values()))

    def lift(self, address: str) -> Deferred[bool]:
        """End the ban of an address in all workers. Fires with whether there was one."""
        return self.hub.query_all("lift", address).addCallback(lambda lifted: any(lifted.values()))

    def health(self) -> Deferred[dict[str, object]]:
        """Fires with the content of ``/health``."""
        return self.hub.query_all("health").addCallback(joint_health, self.hub)


def joint_bans(lists: Iterable[list[BanReport]]) -> list[BanReport]:
    """The bans of several workers: each network once, as it is banned for longest."""
    joint: dict[str, BanReport] = {}
    for ban in (ban for bans in lists for ban in bans):
        known = joint.get(ban["network"])
        if known is None or ban["seconds"] > known["seconds"]:
            joint[ban["network"]] = ban
    return list(joint.values())


def of_worker(config: Config, node: HostPort | None = None) -> Config:
    """The configuration of each worker: its share of the total limits, without the hub's sections.

    :param node: the rtpengine that the hub runs, if any.
    """
    workers = config.proxy.workers
    rtpengine = config.rtpengine
    if node is not None:
        rtpengine = replace(rtpengine, nodes=(MediaNode(node.host, node.port or NG_PORT),))
    return replace(
        config,
        calls=replace(config.calls, limit=-(-config.calls.limit // workers)),
        subscriptions=replace(config.subscriptions, limit=-(-config.subscriptions.limit // workers)),
        wss=replace(config.wss, connections=-(-config.wss.connections // workers)),
        rtpengine=rtpengine,
        web=WebConfig(),
    )


def joint_health(states: dict[int, dict[str, Any]], hub: Hub) -> dict[str, object]:
    """The content of ``/health`` for several workers: their sums; healthy while one of them takes calls."""
    each = states.values()
    return {
        "healthy": any(state["healthy"] for state in each) and not hub.stopping,
        "rtpengine": max((state["rtpengine"] for state in each), key=lambda text: int(text.split()[0]), default="none"),
        **{name: sum(state[name] for state in each) for name in ("calls", "sockets", "bindings")},
        "workers": f"{len(states)} of {len(hub.workers)}",
    }


def _no_send(header: dict[str, object], body: bytes = b"", /) -> bool:
    """Send nothing: the hub has no browser connections of its own, and forwards frames about those of workers."""
    return False
