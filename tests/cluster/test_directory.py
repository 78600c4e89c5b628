"""SharedDirectory: the same bindings everywhere, whoever changes them."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.cluster.net import ALICE, REGISTRAR, Member, Net
from tests.support.directories import DirectoryContract
from tests.support.fakes import FakeFlow
from webrtcproxy.cluster.ownership import HUB
from webrtcproxy.registration.binding import Binding, contact_user_of
from webrtcproxy.registration.expiry import SWEEP_INTERVAL


class SharedDirectoryCase(SynchronousTestCase):
    """Two workers and the hub."""

    multiple = True

    def setUp(self) -> None:
        self.net = Net(self.multiple)
        self.addCleanup(self.net.stop)
        self.first, self.second = FakeFlow.wss(port=40001), FakeFlow.wss(port=40002)

    def everywhere(self, *instances: str) -> None:
        """All replicas have these, the newest first."""
        for member in self.net.members:
            self.assertEqual(member.instances(), list(instances), f"process {member.number}")

    def lookup(self, member: Member) -> list[Binding]:
        return member.found().targets()


class WorkerContract(DirectoryContract, SharedDirectoryCase):
    """A worker's directory keeps what every directory has to."""

    def setUp(self) -> None:
        super().setUp()
        self.clock = self.net.clock
        self.directory = self.other = self.net.one.directory


class OtherWorkerContract(WorkerContract):
    """What one worker changes, another one finds."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.net.two.directory


class HubContract(WorkerContract):
    """So does the hub."""

    def setUp(self) -> None:
        super().setUp()
        self.other = self.net.hub.directory


class SharedTests(SharedDirectoryCase):
    """`multiple = yes`."""

    def test_bind(self) -> None:
        """A binding of one worker is in all replicas, with all that it says."""
        self.net.one.bind(self.first)
        self.everywhere("one")
        (own,), (other,) = self.lookup(self.net.one), self.lookup(self.net.two)
        for name in ("aor", "key", "contact", "value", "expires_at", "q", "call_id", "peer", "stamp"):
            self.assertEqual(getattr(own, name), getattr(other, name), name)
        other.flow.send(b"INVITE")
        self.assertEqual(self.first.sent, [b"INVITE"])

    def test_registrar(self) -> None:
        """The registrar and the token of an AOR are known everywhere."""
        self.net.one.bind(self.first)
        for member in self.net.members:
            self.assertTrue(member.directory.is_registrar(REGISTRAR))
            self.assertEqual(member.found().registrars, [REGISTRAR])
            self.assertEqual(self.successResultOf(member.directory.find_token(contact_user_of(ALICE))).aor, ALICE)

    def test_counted_once(self) -> None:
        """Each worker counts the bindings of its own sockets, so that the sum is right."""
        self.net.one.bind(self.first)
        self.net.two.bind(self.second, "two")
        self.assertEqual([len(member.location) for member in self.net.members], [0, 1, 1])

    def test_holder(self) -> None:
        """The hub finds the worker of the newest live binding."""
        self.net.one.bind(self.first)
        self.net.two.bind(self.second, "two")
        self.assertEqual([member.directory.owner(ALICE) for member in self.net.members], [2, 2, 2])
        self.second.lose()
        self.assertEqual([member.directory.owner(ALICE) for member in self.net.members], [1, 1, 1])
        self.first.lose()
        self.assertEqual(self.net.hub.directory.owner(ALICE), HUB)

    def test_socket_lost(self) -> None:
        """The binding ends everywhere with its socket, and the AOR stays known."""
        self.net.one.bind(self.first)
        self.first.lose()
        self.everywhere()
        self.assertTrue(self.net.two.found().known)

    def test_worker_lost(self) -> None:
        """The same where the worker is gone."""
        self.net.one.bind(self.first)
        self.net.two.bind(self.second, "two")
        for member in (self.net.hub, self.net.two):
            member.flows.worker_ended(1)
            self.assertEqual(member.instances(), ["two"])

    def test_expires(self) -> None:
        """Each replica sees the end of a binding's time by itself."""
        self.net.one.bind(self.first, seconds=60)
        self.net.held = True
        self.net.clock.pump([SWEEP_INTERVAL] * 7)
        self.everywhere()

    def test_removed_by_another_worker(self) -> None:
        """``Contact: *`` on one worker ends the bindings of the other, and the authentication of their flows."""
        self.net.one.bind(self.first)
        self.net.one.location.proofs.add(self.first, ALICE, ("trunk", "pbx"), 600)
        self.net.two.directory.unbind(ALICE)
        self.everywhere()
        self.assertFalse(self.net.one.location.proofs.any(self.first))

    def test_one_removed(self) -> None:
        """By its name, one of two."""
        self.net.one.bind(self.first)
        self.net.two.bind(self.second, "two")
        self.net.two.directory.unbind(ALICE, [("one", 1)])
        self.everywhere("two")
        self.net.two.directory.unbind(ALICE, [])
        self.everywhere("two")

    def test_comes_back_elsewhere(self) -> None:
        """A browser that reconnects to another worker replaces its old self; watchers get its new binding."""
        seen: list[Binding] = []
        self.net.one.bind(self.first)
        self.net.one.directory.watch(seen.append)
        self.net.two.bind(self.second)
        self.everywhere("one")
        self.assertEqual([binding.flow.peer.port for binding in seen], [40002])
        self.assertEqual([len(member.location) for member in self.net.members], [0, 0, 1])
        self.first.lose()
        self.everywhere("one")

    def test_authentication_is_local(self) -> None:
        """That a flow is authenticated is known where its socket is, and not sent to others."""
        self.net.one.location.proofs.add(self.first, ALICE, ("trunk", "pbx"), 600)
        self.assertEqual(self.net.frames, [])
        self.assertTrue(self.net.one.location.proofs.any(self.first))

    def test_lost_before_it_is_bound(self) -> None:
        """A socket that is lost while the registrar was asked is bound nowhere."""
        self.first.lose()
        self.net.one.bind(self.first)
        self.everywhere()

    def test_bound_and_lost_at_once(self) -> None:
        """Binding and loss arrive in their order."""
        self.net.held = True
        self.net.one.bind(self.first)
        self.first.lose()
        self.net.deliver()
        self.everywhere()

    def test_at_the_same_moment(self) -> None:
        """Two workers have the same browser at once: one of the two, everywhere the same."""
        self.net.held = True
        self.net.two.bind(self.second)
        self.net.one.bind(self.first)
        self.net.held = False
        self.net.deliver()
        holders = {member.directory.owner(ALICE) for member in self.net.members}
        self.assertEqual(holders, {2})
        self.everywhere("one")

    def test_newcomer(self) -> None:
        """A worker that starts gets all that there is, and the changes from then on."""
        self.net.one.bind(self.first)
        self.net.two.bind(self.second, "two")
        self.net.two.bind(FakeFlow.wss(port=40003), aor="bob@pbx.example.com")
        newcomer = Member(self.net, 3, True)
        for change in self.net.hub.directory.changes():
            newcomer.hear(dict(change), b"")
        self.net.members.append(newcomer)
        self.everywhere("two", "one")
        self.assertEqual(newcomer.instances("bob@pbx.example.com"), ["one"])
        self.assertTrue(REGISTRAR in newcomer.found().registrars)
        self.first.lose()
        self.everywhere("two")


class NewestWinsTests(SharedDirectoryCase):
    """`multiple = no`."""

    multiple = False

    def test_newest_wins(self) -> None:
        """On whatever worker."""
        self.net.one.bind(self.first)
        self.net.two.bind(self.second, "two")
        self.everywhere("two")
        self.net.one.bind(self.first, "three")
        self.everywhere("three")

    def test_same_winner(self) -> None:
        """Two that are bound at the same moment: the same one stays everywhere, in whatever order they arrive."""
        for sooner, later in ((self.net.one, self.net.two), (self.net.two, self.net.one)):
            self.net.held = True
            sooner.bind(self.first, "sooner")
            self.net.clock.advance(0.001)
            later.bind(self.second, "later")
            self.net.held = False
            self.net.deliver()
            self.everywhere("later")
            self.net.clock.advance(1)

    def test_same_time(self) -> None:
        """Of two with the same time the larger number of worker counts."""
        self.net.held = True
        self.net.one.bind(self.first, "one")
        self.net.two.bind(self.second, "two")
        self.net.held = False
        self.net.deliver()
        self.everywhere("two")

    def test_newcomer(self) -> None:
        """Two Contacts of one REGISTER are sent together, so that neither replaces the other."""
        (one,) = self._bindings("a")
        (two,) = self._bindings("b")
        self.net.one.directory.bind([one, two], 1)
        newcomer = Member(self.net, 3, False)
        for change in self.net.hub.directory.changes():
            newcomer.hear(dict(change), b"")
        self.assertEqual(sorted(newcomer.instances()), ["a", "b"])
        newcomer.location.stop()

    def _bindings(self, instance: str) -> list[Binding]:
        other = Net()
        other.one.bind(self.first, instance)
        found = self.lookup(other.one)
        other.stop()
        return found
