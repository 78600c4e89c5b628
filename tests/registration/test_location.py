"""Location: which browsers an address-of-record has, which registrar knows it, and which flows are authenticated."""

from __future__ import annotations

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.fakes import FakeFlow
from webrtcproxy.registration.binding import Binding, contact_user_of
from webrtcproxy.registration.expiry import SWEEP_INTERVAL
from webrtcproxy.registration.location import REGISTRAR_LINGER, ILocation, Location
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.transport.flow import Flow

ALICE = "alice@pbx.example.com"
REGISTRAR = "192.0.2.1"


class LocationCase(SynchronousTestCase):
    """A location under a clock, and ways to fill it."""

    multiple = True

    def setUp(self) -> None:
        self.clock = Clock()
        self.location = Location(self.clock, self.multiple)
        self.interface: ILocation = self.location
        self.flow = FakeFlow.wss()

    def binding(
        self,
        flow: Flow | None = None,
        instance: str = "one",
        *,
        aor: str = ALICE,
        user: str = "abc",
        reg_id: int = 1,
        seconds: float = 600,
        q: float = 1.0,
    ) -> Binding:
        value = NameAddr.parse(f"<sip:{user}@x.invalid;transport=ws>")
        expires_at = self.clock.seconds() + seconds
        return Binding(aor, instance, reg_id, value.uri, value, flow or self.flow, expires_at, q, "call-1")

    def bind(self, *bindings: Binding) -> None:
        """What a 200 of the registrar does."""
        self.location.bind(bindings)
        self.location.registered(bindings[0].aor, REGISTRAR, 600)

    def lookup(self, aor: str = ALICE) -> list[Binding]:
        return self.location.find(aor).targets()

    def all(self, aor: str = ALICE) -> list[Binding]:
        return self.location.live(aor)


class TokenTests(LocationCase):
    """The user part of our Contact towards upstream."""

    def test_back(self) -> None:
        """It leads back to its AOR for as long as that is known, and nowhere else."""
        token = contact_user_of(ALICE)
        self.assertIsNone(self.location.find_token(token))
        self.bind(self.binding())
        self.assertEqual(self.location.find_token(token).aor, ALICE)
        self.assertIsNone(self.location.find_token("alice"))
        self.location.unbind(ALICE)
        self.location.registered(ALICE, REGISTRAR, 0)
        self.clock.pump([SWEEP_INTERVAL] * 5)
        self.assertIsNone(self.location.find_token(token))


class LookupTests(LocationCase):
    """Who rings."""

    def test_by_user_and_domain(self) -> None:
        """The AOR is user and domain: alice of another domain is somebody else."""
        self.bind(self.binding())
        self.assertEqual([binding.aor for binding in self.lookup()], [ALICE])
        self.assertEqual(self.lookup("alice@elsewhere.example"), [])
        self.assertEqual(self.lookup("bob@pbx.example.com"), [])

    def test_all_newest_first(self) -> None:
        """With `multiple` every browser of a user rings, the newest first (etc/proxy.ini: multiple)."""
        for instance in ("one", "two", "three"):
            self.bind(self.binding(FakeFlow.wss(), instance))
        self.assertEqual([binding.instance for binding in self.lookup()], ["three", "two", "one"])
        self.bind(self.binding(instance="one"))
        self.assertEqual([binding.instance for binding in self.lookup()], ["one", "three", "two"])

    def test_q(self) -> None:
        """A higher q comes first, whenever it registered (RFC 3261 section 16.6)."""
        for instance, q in (("one", 0.5), ("two", 1.0), ("three", 0.1), ("four", 0.5)):
            self.bind(self.binding(instance=instance, q=q))
        self.assertEqual([binding.instance for binding in self.lookup()], ["two", "four", "one", "three"])

    def test_one_flow_of_an_instance(self) -> None:
        """An instance with two flows is called on the newest only (RFC 5626 section 7)."""
        newer = FakeFlow.wss()
        self.bind(self.binding(reg_id=1))
        self.bind(self.binding(newer, reg_id=2))
        self.assertEqual([(binding.flow, binding.reg_id) for binding in self.lookup()], [(newer, 2)])
        self.assertEqual(len(self.all()), 2)
        newer.lose()
        self.assertEqual([binding.reg_id for binding in self.lookup()], [1])

    def test_same_key_replaces(self) -> None:
        """A browser that comes back on a new socket replaces its old self (RFC 5626 section 6), and the loss of the old
        socket does not end the new binding."""
        newer = FakeFlow.wss()
        self.bind(self.binding(user="old"))
        self.bind(self.binding(newer, user="new"))
        self.assertEqual([binding.contact for binding in self.lookup()], ["sip:new@x.invalid;transport=ws"])
        self.flow.lose()
        self.assertEqual([binding.flow for binding in self.lookup()], [newer])
        self.assertEqual(len(self.location), 1)


class NewestWinsTests(LocationCase):
    """`multiple = no`."""

    multiple = False

    def test_newest_wins(self) -> None:
        """The newest REGISTER replaces what others bound (etc/proxy.ini: multiple)."""
        newer = FakeFlow.wss()
        self.bind(self.binding())
        self.bind(self.binding(newer, "two"))
        self.assertEqual([binding.flow for binding in self.all()], [newer])
        newer.lose()
        self.assertEqual(self.lookup(), [])
        self.assertTrue(self.location.find(ALICE).known)

    def test_several_contacts_at_once(self) -> None:
        """The Contacts of one REGISTER are equally new."""
        self.bind(self.binding(instance="old"))
        self.bind(self.binding(instance="one"), self.binding(instance="two"))
        self.assertEqual([binding.instance for binding in self.all()], ["two", "one"])

    def test_before_its_registrar_is_known(self) -> None:
        """Replacing the only binding of a user does not lose the user."""
        self.location.bind([self.binding()])
        self.location.bind([self.binding(instance="two")])
        self.assertEqual([binding.instance for binding in self.lookup()], ["two"])
        self.location.registered(ALICE, REGISTRAR, 60)
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)

    def test_replaced_stays_proven(self) -> None:
        """One that is replaced by a newer browser is still registered, as far as it knows, and may call out."""
        self.bind(self.binding())
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 600)
        self.bind(self.binding(FakeFlow.wss(), "two"))
        self.assertTrue(self.location.proofs.any(self.flow))


class GoneTests(LocationCase):
    """Users whose browsers are gone while their registrar still sends calls."""

    def test_known_until_upstream_expiry(self) -> None:
        """The AOR stays known, without a browser, until the registrar's own time is over: its calls get 480."""
        self.bind(self.binding(seconds=60))
        self.flow.lose()
        self.clock.pump([SWEEP_INTERVAL] * 59)
        self.assertEqual((self.location.find(ALICE).known, self.lookup()), (True, []))
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)
        self.clock.pump([SWEEP_INTERVAL] * 2)
        self.assertFalse(self.location.find(ALICE).known)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_linger(self) -> None:
        """A call that crossed the un-REGISTER still finds its registrar known."""
        self.bind(self.binding())
        self.location.unbind(ALICE)
        self.location.registered(ALICE, REGISTRAR, 0)
        self.clock.advance(REGISTRAR_LINGER - 1)
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)
        self.clock.advance(1)
        self.assertNotIn(REGISTRAR, self.location.find(ALICE).registrars)

    def test_linger_is_never_longer(self) -> None:
        """Un-registering does not lengthen what was about to end."""
        self.bind(self.binding())
        self.location.registered(ALICE, REGISTRAR, 5)
        self.location.registered(ALICE, REGISTRAR, 0)
        self.clock.advance(5)
        self.assertNotIn(REGISTRAR, self.location.find(ALICE).registrars)

    def test_unregistered_unknown(self) -> None:
        """An un-REGISTER of somebody unknown leaves nothing behind."""
        self.location.registered(ALICE, REGISTRAR, 0)
        self.assertFalse(self.location.find(ALICE).known)


class RegistrarTests(LocationCase):
    """Whose calls are let in."""

    def test_of_this_user(self) -> None:
        """An AOR is called from the registrar that accepted it, not from another user's."""
        self.bind(self.binding())
        self.location.bind([self.binding(aor="bob@elsewhere.example")])
        self.location.registered("bob@elsewhere.example", "198.51.100.9", 600)
        self.assertIn(REGISTRAR, self.location.find(ALICE).registrars)
        self.assertNotIn("198.51.100.9", self.location.find(ALICE).registrars)
        self.assertNotIn(REGISTRAR, self.location.find("nobody@pbx.example.com").registrars)
        self.assertTrue(self.location.is_registrar("198.51.100.9"))
        self.assertFalse(self.location.is_registrar("203.0.113.5"))

    def test_counted(self) -> None:
        """An address is a registrar's until the last of its users has gone."""
        self.bind(self.binding())
        self.bind(self.binding(aor="bob@pbx.example.com"))
        self.location.unbind(ALICE)
        self.location.registered(ALICE, REGISTRAR, 0)
        self.clock.pump([SWEEP_INTERVAL] * 5)
        self.assertTrue(self.location.is_registrar(REGISTRAR))
        self.assertFalse(self.location.find(ALICE).known)
        self.location.unbind("bob@pbx.example.com")
        self.location.registered("bob@pbx.example.com", REGISTRAR, 0)
        self.clock.pump([SWEEP_INTERVAL] * 5)
        self.assertFalse(self.location.is_registrar(REGISTRAR))

    def test_several_addresses(self) -> None:
        """A registrar may have several addresses; each counts for its own time, and the number is bounded."""
        self.bind(self.binding(seconds=9000))
        for number in range(20):
            self.location.registered(ALICE, f"192.0.2.{number + 10}", 1000 + number)
        known = [number for number in range(256) if self.location.is_registrar(f"192.0.2.{number}")]
        self.assertEqual(known, list(range(22, 30)))
        self.clock.pump([SWEEP_INTERVAL] * 102)
        self.assertFalse(self.location.is_registrar("192.0.2.22"))
        self.assertNotIn("192.0.2.29", self.location.find(ALICE).registrars)
        self.assertEqual(len(self.lookup()), 1)


class ProofTests(LocationCase):
    """Who may use a trunk's credentials ([access] trunk-credentials = registered)."""

    def test_until_it_expires(self) -> None:
        """A proof holds for the granted time on its own socket, to the second."""
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 3 * SWEEP_INTERVAL + 3)
        self.assertTrue(self.location.proofs.any(self.flow))
        self.assertEqual(self.location.proofs.aors(self.flow), [ALICE])
        self.assertFalse(self.location.proofs.any(FakeFlow.wss()))
        self.clock.pump([SWEEP_INTERVAL] * 3 + [3])
        self.assertFalse(self.location.proofs.any(self.flow))
        self.flow.lose()
        self.assertEqual((len(self.location.proofs), self.clock.getDelayedCalls()), (0, []))

    def test_ends_with_the_socket(self) -> None:
        """A proof dies with its socket."""
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 60)
        self.flow.lose()
        self.assertFalse(self.location.proofs.any(self.flow))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ends_with_the_last_binding(self) -> None:
        """Un-registering ends the proof, but not while another Contact of the same user is bound on that socket."""
        self.bind(self.binding(instance="one"), self.binding(instance="two"))
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 60)
        self.location.unbind(ALICE, [("one", 1)])
        self.assertTrue(self.location.proofs.any(self.flow))
        self.location.unbind(ALICE, [("two", 1)])
        self.assertFalse(self.location.proofs.any(self.flow))

    def test_taken_back(self) -> None:
        """A proof can be taken back, also one that was never given."""
        self.location.proofs.add(self.flow, ALICE, ("trunk", "pbx"), 60)
        self.location.proofs.add(self.flow, "bob@pbx.example.com", ("trunk", "pbx"), 60)
        self.location.proofs.remove(self.flow, ALICE)
        self.assertEqual(self.location.proofs.aors(self.flow), ["bob@pbx.example.com"])
        self.location.proofs.remove(self.flow, ALICE)
        self.location.proofs.remove(FakeFlow.wss(), ALICE)


class ObserverTests(LocationCase):
    """A dialog belongs to an instance: calls learn when it moves."""

    def test_new_and_moved(self) -> None:
        """New bindings, new sockets and new Contacts are told; a plain refresh is not."""
        seen: list[Binding] = []
        forget = self.location.watch(seen.append)
        newer = FakeFlow.wss()
        first, refreshed = self.binding(user="a"), self.binding(user="a", seconds=900)
        moved, renamed = self.binding(newer, user="a"), self.binding(newer, user="b")
        for binding in (first, refreshed, moved, renamed):
            self.bind(binding)
        self.assertEqual(seen, [first, moved, renamed])
        forget()
        self.bind(self.binding(instance="two"))
        self.assertEqual(len(seen), 3)

    def test_after_the_fact(self) -> None:
        """Whoever is told finds the binding in place."""
        found: list[list[Binding]] = []
        self.location.watch(lambda binding: found.append(self.location.find(binding.aor).targets()))
        self.bind(self.binding())
        self.assertEqual(len(found[0]), 1)
