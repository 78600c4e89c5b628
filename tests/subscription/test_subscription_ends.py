"""Subscription: ends that do not answer, that lose their socket, and a proxy that stops."""

from __future__ import annotations

from tests.support.calls.party import Party
from tests.support.calls.subscribing import EVENT, WatchCase, notify
from webrtcproxy.sip.message import Request


class Silence(WatchCase):
    """Ends that do not answer."""

    def test_notifier(self) -> None:
        """A notifier that does not answer a refresh has gone: 504 in time, and a last NOTIFY, so that the subscriber
        tries again (RFC 3261 section 12.2.1.2)."""
        subscriber, notifier = self.watching()
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        self.world.turn(31)
        self.assertEqual(subscriber.peer.pending(), ["100", "504", "NOTIFY"])
        subscriber.peer.forget()
        self.world.turn(40)
        notifier.peer.forget()
        self.assert_gone(subscriber, notifier)

    def test_408(self) -> None:
        """The same where a proxy on the way says it: the 408 itself may not cross (RFC 4320)."""
        subscriber, notifier = self.watching()
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        notifier.answer(notifier.peer.request("SUBSCRIBE"), 408)
        subscriber.peer.heard(504)
        heard = subscriber.peer.request("NOTIFY")
        self.assertEqual(heard.headers.get("Subscription-State"), "terminated;reason=deactivated")
        subscriber.answer(heard, 200)
        self.assert_gone(subscriber, notifier)

    def test_subscriber(self) -> None:
        """A dead watcher keeps nobody waiting: 504 in time, others are told meanwhile, and it is told no more.
        (corners.rst 4: 6665 to browsers)"""
        _, notifier = self.watching()
        first = self.alice
        self.alice = self.world.browser("bob")
        other, other_notifier = self.watching()
        notify(notifier)
        first.request("NOTIFY")
        self.tell(other_notifier, other)
        self.world.turn(31)
        self.assertEqual(self.trunk.pending(), ["100", "504"])
        self.trunk.forget()
        notify(notifier)
        self.trunk.heard(481)
        self.tell(other_notifier, other)

    def test_flood_to_a_dead_watcher(self) -> None:
        """However many NOTIFYs wait for a browser that is gone, each is answered when the grace time is over."""
        subscriber, notifier = self.watching()
        subscriber.peer.flow.lose()
        for _ in range(50):
            notify(notifier)
        self.trunk.silent()
        self.world.turn(5)
        self.assertEqual(self.trunk.pending(), ["100"] * 50 + ["SUBSCRIBE"] + ["481"] * 50)
        self.trunk.forget()

    def test_full_socket(self) -> None:
        """A datagram that can't be sent is no reason to end anything: 502 for the one that asked."""
        subscriber, notifier = self.watching()
        self.trunk.flow.broken = True
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        subscriber.peer.heard(502)
        self.trunk.flow.broken = False
        self.tell(notifier, subscriber)


class Sockets(WatchCase):
    """A browser that has registered loses its socket, and comes back. (corners.rst 4: 6665 to browsers)"""

    def people(self) -> None:
        super().people()
        self.alice.bind()

    def back(self, old: Party) -> Party:
        """The browser registers on a new socket; its end of the subscription is there now."""
        contact = self.alice.contact
        self.alice = self.world.browser()
        self.alice.contact = contact
        self.alice.bind()
        return Party(self.alice, old.call_id, old.local, old.remote, old.target, old.cseq)

    def test_moved(self) -> None:
        """It registers on a new socket: NOTIFYs go there, whether the old one is known to be lost or not."""
        for lost in (True, False):
            subscriber, notifier = self.watching()
            old = subscriber.peer
            if lost:
                old.flow.lose()
            subscriber = self.back(subscriber)
            self.tell(notifier, subscriber)
            subscriber.ask("SUBSCRIBE", b"", EVENT)
            notifier.answer(notifier.peer.request("SUBSCRIBE"), 200)
            subscriber.peer.heard(200)
            old.silent()

    def test_by_a_refresh(self) -> None:
        """A refresh on another socket moves it, too, where the same user has authenticated there."""
        subscriber, notifier = self.watching()
        old = subscriber.peer
        self.alice = self.world.browser()
        self.alice.bind()
        subscriber = Party(
            self.alice, subscriber.call_id, subscriber.local, subscriber.remote, subscriber.target, subscriber.cseq
        )
        subscriber.ask("SUBSCRIBE", b"", EVENT)
        notifier.answer(notifier.peer.request("SUBSCRIBE"), 200)
        subscriber.peer.heard(200)
        self.tell(notifier, subscriber)
        old.flow.lose()
        self.world.turn(10)
        self.tell(notifier, subscriber)

    def test_notify_meanwhile(self) -> None:
        """A NOTIFY while it is away waits, and is delivered when it is back."""
        subscriber, notifier = self.watching()
        subscriber.peer.flow.lose()
        sent = notify(notifier)
        self.world.turn(3)
        notifier.peer.silent()
        subscriber = self.back(subscriber)
        subscriber.answer(subscriber.peer.request("NOTIFY"), 200)
        self.assertEqual(notifier.peer.response(200).cseq, sent.cseq)

    def test_notify_on_the_lost_socket(self) -> None:
        """One that was on its way when the socket was lost is sent again, once."""
        subscriber, notifier = self.watching()
        notify(notifier)
        subscriber.peer.request("NOTIFY")
        subscriber.peer.flow.lose()
        notifier.peer.silent()
        subscriber = self.back(subscriber)
        subscriber.peer.request("NOTIFY")
        subscriber.peer.flow.lose()
        notifier.peer.heard(480)
        self.world.turn(6)
        notifier.peer.heard("SUBSCRIBE")

    def test_answer_on_the_new_socket(self) -> None:
        """What it waited for comes where it is now."""
        sent = self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        old = self.alice
        old.flow.lose()
        contact = old.contact
        self.alice = self.world.browser()
        self.alice.contact = contact
        self.alice.bind()
        self.accept(leg)
        self.assertEqual(self.alice.response(200).call_id, sent.call_id)

    def test_refreshed_on_the_new_socket(self) -> None:
        """The same for a refresh."""
        subscriber, notifier = self.watching()
        sent = subscriber.ask("SUBSCRIBE", b"", EVENT)
        heard = notifier.peer.request("SUBSCRIBE")
        subscriber = self.back(subscriber)
        notifier.answer(heard, 200)
        self.assertEqual(subscriber.peer.response(200).cseq, sent.cseq)

    def test_subscriber_gone(self) -> None:
        """It does not come back within the grace time: the notifier is told that nobody listens."""
        subscriber, notifier = self.watching()
        subscriber.peer.flow.lose()
        self.world.turn(5)
        heard = notifier.peer.request("SUBSCRIBE")
        self.assertEqual((heard.headers.get("Expires"), heard.headers.get("Event")), ("0", EVENT[1]))
        self.assertEqual(heard.call_id, notifier.call_id)
        notify(notifier, "terminated")
        notifier.peer.heard(481)
        notifier.answer(heard, 200)
        self.assert_gone(notifier)

    def test_notifier_gone(self) -> None:
        """The same where the browser was watched: the subscriber is told that it is over."""
        subscriber, notifier = self.watched()
        notifier.peer.flow.lose()
        self.world.turn(5)
        heard = subscriber.peer.request("NOTIFY")
        self.assertEqual(heard.headers.get("Subscription-State"), "terminated;reason=deactivated")
        self.assertEqual((heard.call_id, heard.headers.get("Event")), (subscriber.call_id, EVENT[1]))
        subscriber.answer(heard, 200)
        self.assert_gone(subscriber)

    def test_gone_before_the_answer(self) -> None:
        """It is gone when the 2xx comes: the notifier learns that at once."""
        self.subscribe()
        leg = self.trunk.request("SUBSCRIBE")
        self.alice.flow.lose()
        self.world.turn(6)
        self.trunk.forget()
        self.accept(leg)
        heard = self.trunk.request("SUBSCRIBE")
        self.assertEqual((heard.headers.get("Expires"), heard.to.tag), ("0", "box"))
        self.trunk.answer(heard, 481)


class Stop(WatchCase):
    """The proxy ends."""

    def test_stop(self) -> None:
        """Subscribers learn that they may try again, notifiers that they need not go on."""
        subscriber, notifier = self.watching()
        self.world.subscriptions.stop()
        heard: Request = subscriber.peer.request("NOTIFY")
        self.assertEqual(heard.headers.get("Subscription-State"), "terminated;reason=deactivated")
        subscriber.answer(heard, 200)
        self.assertEqual(notifier.peer.request("SUBSCRIBE").headers.get("Expires"), "0")
        self.assertEqual(len(self.world.subscriptions), 0)

    def test_challenged(self) -> None:
        """A trunk that challenges the end of a subscription gets the credentials of its section, though the browser may
        not use them: it would go on sending what nobody hears."""
        self.trunk = self.world.trunk("192.0.2.7", 5090)
        self.subscribe(uri="sip:box@carrier.example.net:5080")
        self.accept(self.trunk.request("SUBSCRIBE"))
        self.world.subscriptions.stop()
        leave = self.trunk.request("SUBSCRIBE")
        self.trunk.answer(leave, 401, headers=[("WWW-Authenticate", 'Digest realm="carrier", nonce="n"')])
        again = self.trunk.request("SUBSCRIBE")
        self.assertEqual(again.headers.get("Expires"), "0")
        self.assertIn("Authorization", again.headers)
