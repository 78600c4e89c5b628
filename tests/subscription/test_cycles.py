"""What a subscription or a relayed request leaves behind is freed at once, as with calls (test_cycles.py)."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.calls.subscribing import BOX, WatchCase, notify
from tests.support.garbage import kinds_left
from tests.support.messages import request


class Cycles(WatchCase):
    """No object of the call layer needs the collector, however it ends."""

    def left(self, live: Callable[[], None]) -> list[str]:
        """The kinds of objects of this layer that only the collector can free when `live` is over."""

        def rested() -> None:
            live()
            self.world.rest()

        kinds = kinds_left(self, rested)
        return sorted(kind.__name__ for kind in kinds if kind.__module__.startswith("webrtcproxy.call"))

    def test_subscriptions(self) -> None:
        """Refused, never told of, ended by the notifier, by its subscriber, by time, with a browser that is gone."""

        def live() -> None:
            self.subscribe()
            self.trunk.answer(self.trunk.request("SUBSCRIBE"), 489)
            self.alice.forget()
            self.subscribe()
            self.accept(self.trunk.request("SUBSCRIBE"))
            self.alice.forget()
            subscriber, notifier = self.watching()
            self.tell(notifier, subscriber, "terminated")
            subscriber, notifier = self.watching()
            self.tell(notifier, subscriber, status=481)
            self.watching(expires="10")
            for status in (603, 202):
                self.alice.say(request("REFER", BOX, contact=f"<{self.alice.contact}>", headers=[("Refer-To", BOX)]))
                self.accept(self.trunk.request("REFER"), status)
            self.world.turn(60)
            self.alice.forget()
            self.trunk.forget()
            self.watching()
            notify(notifier)
            self.alice.flow.lose()

        self.assertEqual(self.left(live), [])

    def test_out_of_dialog(self) -> None:
        """Answered, and not answered at all."""

        def live() -> None:
            for _ in range(2):
                self.alice.say(request("MESSAGE", BOX))
            self.trunk.answer(self.trunk.request("MESSAGE"), 200)

        self.assertEqual(self.left(live), [])
