"""What /health tells, and what is watched."""

from types import SimpleNamespace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.exposition import samples
from webrtcproxy.admin.monitoring import bind_gauges, health
from webrtcproxy.runtime.metrics import Metrics


class SomeCalls:
    """Two calls."""

    def __init__(self, draining: bool) -> None:
        self.draining = draining

    def __len__(self) -> int:
        return 2


class HealthTests(SynchronousTestCase):
    """Calls can be taken while an rtpengine answers."""

    def healthy(self, *nodes: tuple[bool, int], draining: bool = False) -> tuple[object, object]:
        """Of nodes that count as alive and have answered so many times."""
        media = SimpleNamespace(nodes=[SimpleNamespace(alive=alive, answered=times) for alive, times in nodes])
        state = health(media, SomeCalls(draining), SimpleNamespace(connections=3), [1])  # type: ignore[arg-type]
        self.assertEqual((state["calls"], state["sockets"], state["bindings"]), (2, 3, 1))
        return state["healthy"], state["rtpengine"]

    def test_one_is_enough(self) -> None:
        """One that answers, beside others."""
        self.assertEqual(self.healthy((True, 5), (False, 9)), (True, "1 of 2"))

    def test_draining(self) -> None:
        """A proxy that ends takes no calls: a load balancer is to send them elsewhere."""
        self.assertEqual(self.healthy((True, 5), draining=True), (False, "1 of 1"))

    def test_none_has_answered(self) -> None:
        """At the start nothing is known of a node: no calls until it has answered."""
        self.assertEqual(self.healthy((True, 0)), (False, "0 of 1"))


class WatchTests(SynchronousTestCase):
    """Metrics read what there is when they are asked."""

    def test_moment(self) -> None:
        """Each number is that of the object that has it, at that moment."""

        class Calls(list[int]):
            answered = 1

        class Subscriptions(list[int]):
            calls = (1, 2, 3, 4)
            legs = (1, 2, 3, 4, 5)

        metrics, calls = Metrics(), Calls([1, 2, 3])
        browsers = SimpleNamespace(connections=4)
        transactions = SimpleNamespace(servers=5, clients=6)
        subscriptions = Subscriptions([1, 2, 3])
        bind_gauges(metrics, calls, subscriptions, browsers, [1, 2], transactions)  # type: ignore[arg-type]
        for there, connections in ((3, 4), (1, 7)):
            del calls[there:]
            browsers.connections = connections
            found = samples(metrics.text())
            for name, value in (
                ('active_calls{state="up"}', 1),
                ('active_calls{state="setup"}', there - 1),
                ("sockets", connections),
                ("bindings", 2),
                ("dialogs", 9),
                ("subscriptions", 3),
                ('transactions{kind="server"}', 5),
                ('transactions{kind="client"}', 6),
            ):
                self.assertEqual(found[name], value, name)
