"""LoginGuard: failed logins delay the next ones, and ban their address; nobody is locked out by others."""

from __future__ import annotations

from dataclasses import replace
from ipaddress import ip_network

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import PBX, config
from tests.support.exposition import samples
from webrtcproxy.access import guard as module
from webrtcproxy.access.guard import LoginGuard, guard_of
from webrtcproxy.config import BansConfig
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import Metrics

ALICE, BOB, MALLORY = "alice@example.com", "bob@example.com", "mallory@example.com"
STRANGER, SHARED, ELSEWHERE = "203.0.113.66", "198.51.100.5", "198.51.100.77"


class GuardCase(SynchronousTestCase):
    """A guard that bans after ten failures."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.metrics = Metrics()
        self.guard = LoginGuard(self.clock, BansConfig(after=10), metrics=self.metrics)

    def fail_at(self, host: str, *aors: str) -> None:
        for aor in aors:
            self.guard.failed(host, aor)


class Delays(GuardCase):
    """How long a login is not looked at (docs/access.rst, Strangers)."""

    def test_grows(self) -> None:
        """Two mistakes are free; from the third failure on each one doubles the delay, from a second on."""
        delays = []
        for _ in range(6):
            self.fail_at(STRANGER, ALICE)
            delays.append(self.guard.delay(STRANGER, ALICE))
        self.assertEqual(delays, [0, 0, 1, 2, 4, 8])
        self.clock.advance(5)
        self.assertEqual(self.guard.delay(STRANGER, ALICE), 3)
        self.clock.advance(3)
        self.assertEqual(self.guard.delay(STRANGER, ALICE), 0)

    def test_longest(self) -> None:
        """The delay does not grow beyond a minute."""
        self.guard = LoginGuard(self.clock, BansConfig(after=0))
        self.fail_at(STRANGER, *[ALICE] * 200)
        self.assertEqual(self.guard.delay(STRANGER, ALICE), 60)
        self.assertFalse(self.guard.is_banned(STRANGER))

    def test_site(self) -> None:
        """Who has a whole IPv6 site tries one user no more often without a delay than from some addresses: each network
        of it would else have one free try. Others there, and the same user elsewhere, are not delayed."""
        done = 0
        for network in range(5_000):
            host = f"2001:db8:7:{network:x}::1"
            if not self.guard.delay(host, ALICE):
                self.guard.failed(host, ALICE)
                done += 1
        self.assertEqual(done, 10)
        self.assertEqual(self.guard.delay("2001:db8:7:ffff::1", BOB), 0)
        for host in ("2001:db8:8::1", ELSEWHERE, "::ffff:198.51.100.77"):
            self.assertEqual(self.guard.delay(host, ALICE), 0)
        self.clock.advance(1)
        self.assertEqual(self.guard.delay("2001:db8:7:ffff::1", ALICE), 0)
        self.guard.succeeded("2001:db8:7:fffe::1", ALICE)
        self.guard.failed("2001:db8:7:ffff::1", ALICE)
        self.assertGreater(self.guard.delay("2001:db8:7:fffd::1", ALICE), 0)
        self.assertEqual(self.guard.delay("2001:db8:7:fffe::1", ALICE), 0)
        self.guard.lift("2001:db8:7:ffff::1")
        self.assertEqual(self.guard.delay("2001:db8:7:fffd::1", ALICE), 0)

    def test_proven(self) -> None:
        """On a connection that has proven the user, logins wait for failures on such connections only; elsewhere they
        wait for the others only. Neither delays or bans anybody else."""
        self.guard.succeeded(SHARED, ALICE)
        self.fail_at(SHARED, *[ALICE] * 20)
        self.assertEqual(self.guard.delay(SHARED, ALICE), 15)
        self.assertEqual(self.guard.delay(SHARED, ALICE, is_proven=True), 0)
        self.guard.succeeded(SHARED, ALICE, is_proven=True)
        self.assertEqual(self.guard.delay(SHARED, ALICE), 15)
        self.clock.advance(15)
        for _ in range(20):
            self.guard.failed(SHARED, ALICE, is_proven=True)
        self.assertEqual(self.guard.delay(SHARED, ALICE, is_proven=True), 15)
        self.assertEqual([self.guard.delay(SHARED, aor) for aor in (ALICE, BOB)], [0, 0])
        self.assertFalse(self.guard.is_banned(SHARED))
        self.guard.succeeded(SHARED, ALICE)
        self.assertEqual(self.guard.delay(SHARED, ALICE, is_proven=True), 0)

    def test_proven_where_others_are_banned(self) -> None:
        """So does a login on such a connection at a banned address, known to this process or not."""
        for number in range(10):
            self.fail_at(SHARED, f"u{number}@example.com")
        self.assertGreater(self.guard.delay(SHARED, ALICE), 0)
        self.assertEqual(self.guard.delay(SHARED, ALICE, is_proven=True), 0)

    def test_any_user_of_the_address(self) -> None:
        """Who tries another user each time is delayed as well; another address is not."""
        self.fail_at(STRANGER, *(f"u{number}@example.com" for number in range(5)))
        self.assertEqual(self.guard.delay(STRANGER, "next@example.com"), 4)
        self.assertEqual(self.guard.delay(SHARED, "u1@example.com"), 0)

    def test_one_user_from_many_addresses(self) -> None:
        """Guesses for one user from many addresses, each with a single one, delay the second guess of each."""
        for number in range(14):
            self.fail_at(f"203.0.113.{number}", ALICE)
        self.assertEqual(self.guard.delay("203.0.113.1", ALICE), 16)
        self.assertEqual(self.guard.delay("203.0.113.1", BOB), 0)

    def test_right_at_once(self) -> None:
        """While strangers guess a user's password, the user logs in at once from an address that has never failed,
        whether or not he was there before."""
        for number in range(100):
            self.fail_at(f"203.0.113.{number}", ALICE)
        self.assertEqual(self.guard.delay(ELSEWHERE, ALICE), 0)

    def test_forgiven(self) -> None:
        """One failure is forgiven every five minutes, so that a rare mistake never adds up."""
        for _ in range(100):
            self.fail_at(SHARED, ALICE)
            self.assertEqual(self.guard.delay(SHARED, ALICE), 0)
            self.clock.advance(module.FORGIVEN)
        self.fail_at(SHARED, *[ALICE] * 4)
        self.assertEqual(self.guard.delay(SHARED, ALICE), 2)

    def test_networks(self) -> None:
        """The addresses of an IPv6 /64 count as one."""
        for number in range(5):
            self.fail_at(f"2001:db8::{number}", ALICE)
        self.assertEqual(self.guard.delay("2001:db8::ffff", BOB), 4)
        self.assertEqual(self.guard.delay("2001:db8:0:1::1", BOB), 0)

    def test_no_oracle(self) -> None:
        """A name that nobody has is delayed as one that somebody has: the guard does not know which there are."""
        self.guard.succeeded(SHARED, ALICE)
        delays = []
        for aor in (ALICE, "nobody@example.com"):
            self.guard = LoginGuard(self.clock, BansConfig())
            self.guard.succeeded(SHARED, ALICE)
            self.fail_at(STRANGER, *[aor] * 5)
            delays.append((self.guard.delay(STRANGER, aor), self.guard.delay(STRANGER, BOB)))
        self.assertEqual(delays[0], delays[1])


class KnownPairs(GuardCase):
    """Who has logged in from an address before (docs/access.rst, Strangers)."""

    def setUp(self) -> None:
        super().setUp()
        self.guard.succeeded(SHARED, ALICE)

    def test_others_do_not_delay(self) -> None:
        """Neither guesses from elsewhere nor those of others at the same address delay a known user."""
        self.fail_at(STRANGER, *[ALICE] * 9)
        self.fail_at(SHARED, *(f"u{number}@example.com" for number in range(9)))
        self.assertEqual(self.guard.delay(SHARED, ALICE), 0)
        self.assertEqual(self.guard.delay(SHARED, BOB), 60)

    def test_own_failures(self) -> None:
        """Its own failures delay a known user, for a quarter of a minute at most, and nobody else at the address."""
        self.fail_at(SHARED, *[ALICE] * 50)
        self.assertEqual(self.guard.delay(SHARED, ALICE), 15)
        self.assertEqual((self.guard.delay(SHARED, BOB), self.guard.is_banned(SHARED)), (0, False))

    def test_takes_back_own_failures(self) -> None:
        """A login takes back the user's own failures at this address: typing errors of many in one office do not add
        up."""
        for number in range(40):
            aor = f"u{number}@example.com"
            self.fail_at(SHARED, aor, aor)
            self.guard.succeeded(SHARED, aor)
        self.assertEqual(self.guard.delay(SHARED, BOB), 0)

    def test_one_account_washes_nothing_away(self) -> None:
        """Who logs in with an account of his own in between gets no further guesses for others by it."""
        guesses = 0
        for _ in range(1000):
            if self.guard.delay(STRANGER, BOB) == 0:
                guesses += 1
                self.guard.failed(STRANGER, BOB)
            self.guard.succeeded(STRANGER, MALLORY)
            self.clock.advance(0.1)
        self.assertLessEqual(guesses, 10)

    def test_ban_of_others_only(self) -> None:
        """Where users are known at a banned address, others there are refused unseen, and the known ones log in."""
        self.fail_at(SHARED, *[BOB] * 10)
        self.assertFalse(self.guard.is_banned(SHARED))
        self.assertEqual((self.guard.delay(SHARED, BOB), self.guard.delay(SHARED, ALICE)), (600, 0))
        self.assertEqual(self.guard.delay(SHARED, "next@example.com"), 600)

    def test_not_for_ever(self) -> None:
        """After a month without a login a pair is known no more."""
        self.fail_at(SHARED, *[BOB] * 10)
        self.clock.advance(module.KNOWN)
        self.fail_at(SHARED, *[BOB] * 10)
        self.assertTrue(self.guard.is_banned(SHARED))


class Banning(GuardCase):
    """When an address is banned (docs/access.rst, Strangers)."""

    def test_after_failures(self) -> None:
        """After so many failures the address may not even connect, and others may."""
        self.fail_at(STRANGER, *[ALICE] * 9)
        self.assertFalse(self.guard.is_banned(STRANGER))
        self.fail_at(STRANGER, BOB)
        self.assertTrue(self.guard.is_banned(STRANGER))
        self.assertEqual(self.guard.delay(STRANGER, ALICE), 600)
        self.assertFalse(self.guard.is_banned(SHARED))
        self.clock.advance(600)
        self.assertFalse(self.guard.is_banned(STRANGER))

    def test_probes(self) -> None:
        """Each target that a stranger tries without success counts like a failed login, the same one only once."""
        for _ in range(3):
            for number in range(9):
                self.guard.probed(STRANGER, f"sip:{number}@example.com")
        self.assertFalse(self.guard.is_banned(STRANGER))
        self.guard.probed(STRANGER, "sip:9@example.com")
        self.assertTrue(self.guard.is_banned(STRANGER))
        self.assertEqual(samples(self.metrics.text())['bans_total{reason="probes"}'], 1)

    def test_too_early(self) -> None:
        """Who does not wait is banned as well: five logins that come too early count like a failure. They do not
        prolong the delay, so that who has typed the right one a moment too early has not to wait for longer."""
        self.fail_at(STRANGER, *[ALICE] * 3)
        for _ in range(34):
            self.assertRaises(Refusal, self.guard.check, STRANGER, ALICE, "call")
        self.assertEqual((self.guard.delay(STRANGER, ALICE), self.guard.is_banned(STRANGER)), (1, False))
        self.assertRaises(Refusal, self.guard.check, STRANGER, ALICE, "call")
        self.assertTrue(self.guard.is_banned(STRANGER))

    def test_known_and_early(self) -> None:
        """A known user who does not wait bans nobody; nor does anybody in a trusted network."""
        self.guard = LoginGuard(self.clock, BansConfig(trusted=(ip_network("203.0.113.0/24"),)))
        self.guard.succeeded(SHARED, ALICE)
        for host, aor in ((SHARED, ALICE), (STRANGER, BOB)):
            self.fail_at(host, *[aor] * 5)
            for _ in range(200):
                self.assertRaises(Refusal, self.guard.check, host, aor, "call")
            self.assertEqual(self.guard.bans.remaining(host), 0)

    def test_trusted(self) -> None:
        """A trusted network is never banned, and nobody there waits for others; each user waits for his own
        failures."""
        self.guard = LoginGuard(self.clock, BansConfig(trusted=(ip_network("203.0.113.0/24"),)))
        self.fail_at(STRANGER, *[ALICE] * 50)
        for number in range(50):
            self.guard.probed(STRANGER, f"sip:{number}@example.com")
        self.assertFalse(self.guard.is_banned(STRANGER))
        self.assertEqual((self.guard.delay(STRANGER, ALICE), self.guard.delay(STRANGER, BOB)), (60, 0))

    def test_lifted(self) -> None:
        """Who is let in again starts without failures."""
        self.fail_at(STRANGER, *[ALICE] * 10)
        self.assertTrue(self.guard.lift(STRANGER))
        self.assertFalse(self.guard.is_banned(STRANGER))
        self.assertEqual([self.guard.delay(STRANGER, aor) for aor in (ALICE, BOB)], [0, 0])
        self.assertFalse(self.guard.lift(STRANGER))

    def test_counted(self) -> None:
        """Failed logins are counted, those of known pairs and of trusted networks too."""
        self.guard.succeeded(SHARED, ALICE)
        self.fail_at(SHARED, ALICE, BOB)
        self.assertEqual(samples(self.metrics.text())["failed_logins_total"], 2)


class ManyUsers(GuardCase):
    """An address of many known users, as of a company whose pages all come back after a restart, some with an old
    password (docs/access.rst, Strangers)."""

    def known(self, count: int) -> None:
        for number in range(count):
            self.guard.succeeded(SHARED, f"u{number}@example.com")

    def test_more_failures(self) -> None:
        """For each ten of them it may have one failure more before new users are delayed, and before a ban."""
        self.known(109)
        self.fail_at(SHARED, *(f"wrong{number}@example.com" for number in range(12)))
        self.assertEqual(self.guard.delay(SHARED, "new@example.com"), 0)
        self.fail_at(SHARED, "wrong12@example.com")
        self.assertEqual(self.guard.delay(SHARED, "new@example.com"), 1)
        self.fail_at(SHARED, *(f"wrong{number}@example.com" for number in range(6)))
        self.assertEqual(self.guard.bans.remaining(SHARED), 0)
        self.fail_at(SHARED, "wrong19@example.com")
        self.assertEqual(self.guard.bans.remaining(SHARED), 600)

    def test_own_failures(self) -> None:
        """Who guesses the password of one user there waits as anywhere, and those that come too early lead to a ban."""
        self.known(100)
        self.fail_at(SHARED, BOB, BOB, BOB)
        self.assertEqual((self.guard.delay(SHARED, BOB), self.guard.delay(SHARED, ALICE)), (1, 0))
        for _ in range((10 + 10 - 3) * module.EARLY):
            self.assertEqual(self.guard.bans.remaining(SHARED), 0)
            self.assertRaises(Refusal, self.guard.check, SHARED, BOB, "call")
        self.assertEqual(self.guard.bans.remaining(SHARED), 600)

    def test_for_a_month(self) -> None:
        """Those who have not logged in for a month count no longer."""
        self.known(100)
        self.clock.advance(module.KNOWN)
        self.guard.succeeded(SHARED, ALICE)
        self.fail_at(SHARED, "wrong1@example.com", "wrong2@example.com", "wrong3@example.com")
        self.assertEqual(self.guard.delay(SHARED, "new@example.com"), 1)


class Bounds(GuardCase):
    """Nothing that strangers cause grows without a bound."""

    def test_tables(self) -> None:
        """The tables have a size; names are cut."""
        self.patch(module, "REMEMBERED", 50)
        self.guard = guard = LoginGuard(self.clock, BansConfig(after=0))
        for number in range(200):
            guard.failed(f"10.0.0.{number}", f"{number}" + "x" * 60_000)
            guard.succeeded(f"10.0.1.{number}", f"{number}" + "x" * 60_000)
        for table in (guard._of_networks, guard._of_users, guard._of_pairs, guard._known):
            self.assertEqual(len(table), 50)
        self.assertEqual({len(aor) for aor in guard._of_users}, {module.LONGEST_NAME})

    def test_targets(self) -> None:
        """Of the targets of one address so many are remembered; further ones count each time."""
        self.guard = LoginGuard(self.clock, BansConfig(after=0))
        for number in range(200):
            self.guard.probed(STRANGER, f"sip:{number}@example.com" + "x" * 1000)
        (failures,) = self.guard._of_networks.values()
        self.assertEqual((len(failures.targets), max(map(len, failures.targets))), (module.TARGETS, 256))

    def test_users_of_an_address(self) -> None:
        """The known users of one address are so many at most; the newest stay."""
        self.patch(module, "USERS_OF_ADDRESS", 3)
        for number in range(5):
            self.guard.succeeded(SHARED, f"u{number}@example.com")
        self.fail_at(SHARED, *[BOB] * 10)
        delays = [self.guard.delay(SHARED, f"u{number}@example.com") for number in range(5)]
        self.assertEqual(delays, [600, 600, 0, 0, 0])


class OfAProxy(SynchronousTestCase):
    """The guard that a proxy has."""

    def test_exempt(self) -> None:
        """Trunks and the reverse proxies in front are never banned (docs/access.rst, Strangers)."""
        given = config(PBX)
        given = replace(given, wss=replace(given.wss, trusted_proxies=(ip_network("198.51.100.0/28"),)))
        guard = guard_of(given, Clock(), lambda host: [PBX] if host == "192.0.2.1" else [], Metrics())
        for host in ("192.0.2.1", "198.51.100.5", STRANGER, "no address"):
            for number in range(20):
                guard.probed(host, f"sip:{number}@example.com")
        found = [guard.is_banned(host) for host in ("192.0.2.1", "198.51.100.5", STRANGER, "no address")]
        self.assertEqual(found, [False, False, True, True])

    def test_behind_nobody_named(self) -> None:
        """Where the port is on loopback only and without TLS, a reverse proxy is in front of it, even if nobody has
        named it: all browsers seem to be there, and a ban would keep everybody out."""
        for lines, banned in (
            (("tcp:8080:interface=127.0.0.1", "tcp:8080:interface=\\:\\:1"), False),
            (("tcp:8080:interface=127.0.0.1", "tcp:8081"), True),
            (("ssl:443:interface=127.0.0.1",), True),
            (("tcp:8080:interface=192.0.2.1",), True),
        ):
            given = config(PBX)
            given = replace(given, wss=replace(given.wss, listen=lines))
            guard = guard_of(given, Clock(), lambda host: (), Metrics())
            for number in range(20):
                guard.probed("127.0.0.1", f"sip:{number}@example.com")
            self.assertEqual(guard.is_banned("127.0.0.1"), banned, lines)
