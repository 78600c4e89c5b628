"""The domains that a configuration serves, and what is checked before they are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from twisted.plugin import IPlugin
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from tests.support.configs import config
from tests.users.test_portals import Avatar, Portal, digest
from webrtcproxy.config import Config, Domain, Trunk
from webrtcproxy.config.numbers import NumberMap
from webrtcproxy.config.tokens import TokensConfig
from webrtcproxy.users import plugin
from webrtcproxy.users.domains import broken_lines, domain_mistakes, domains_of, silent_numbers
from webrtcproxy.users.plugin import IPortalPlugin, NoSuchPlugin


@implementer(IPortalPlugin, IPlugin)
class House:
    """A plugin whose portal knows carol; without an argument it refuses."""

    name = "house"

    def portal(self, domain: str, argument: str) -> Portal:
        if not argument:
            raise ValueError("which house?")
        return Portal(Avatar("carol", domain, numbers=[argument]))


class DomainsCase(SynchronousTestCase):
    """Configurations with domains."""

    def setUp(self) -> None:
        self.patch(plugin, "getPlugins", lambda interface: [House()])

    def config(self, *domains: Domain, auth: tuple[str, ...] = ()) -> Config:
        return replace(config(), domains=domains, auth=auth)

    def domain(self, name: str = "example.com", **options: object) -> Domain:
        return Domain(name, **{"realm": "example.com", **options})  # type: ignore[arg-type]


class DomainsOfTests(DomainsCase):
    """`domains_of`."""

    def knows(self, whole: Config, username: str, password: str, domain: str = "example.com") -> bool:
        served = domains_of(whole).named(domain)
        assert served is not None
        return self.successResultOf(served.login(username, digest(username, password))) is not None

    def test_auth(self) -> None:
        """The checkers of the command line are asked as each domain wants it."""
        auth = ("memory:alice:a", "memory:alice@example.com:b:bob:c")
        for how, passwords in (("name", "a"), ("address", "b"), ("no", "")):
            whole = self.config(self.domain(auth=how), auth=auth)
            for password in "ab":
                self.assertEqual(self.knows(whole, "alice", password), password == passwords, (how, password))
        self.assertTrue(self.knows(self.config(self.domain(), auth=auth), "bob", "c"), "the second one is asked, too")

    def test_portal(self) -> None:
        """A plugin makes the portal of a domain, with its argument."""
        served = domains_of(self.config(self.domain(portal="house:+49-1"))).named("example.com")
        assert served is not None
        user = self.successResultOf(served.login("carol", digest("carol")))
        assert user is not None
        self.assertEqual((user.aor, user.numbers), ("carol@example.com", ("+491",)))

    def test_shared_file(self) -> None:
        """Several domains may have one users file; each has its own users."""
        path = Path(self.mktemp())
        path.write_text("alice@a.example\nalice@b.example groups=x\n")
        domains = domains_of(self.config(self.domain("a.example", users=path), self.domain("b.example", users=path)))
        a, b = domains.named("a.example"), domains.named("b.example")
        assert a is not None and b is not None
        self.assertEqual((list(a.members("x")), list(b.members("X"))), ([], ["alice@b.example"]))
        self.assertEqual([a.has(f"alice@{name}.example") for name in "ab"], [True, True])
        self.assertEqual([domain.name for domain in domains], ["a.example", "b.example"])


class CheckTests(DomainsCase):
    """`domain_mistakes`, before anything is started."""

    def refused(self, whole: Config) -> str:
        (mistake,) = domain_mistakes(whole)
        return str(mistake)

    def test_right(self) -> None:
        """What can be served is no mistake."""
        for whole in (
            self.config(),
            self.config(self.domain(portal="house:a"), auth=("memory:a:b",)),
            self.config(self.domain(), self.domain("b.example", auth="address"), auth=("memory:a:b",)),
            self.config(self.domain(), self.domain("b.example")),
        ):
            self.assertEqual(list(domain_mistakes(whole)), [])

    def test_portal(self) -> None:
        """A plugin that is not installed is named with those that are; one that refuses its argument says why."""
        why = self.refused(self.config(self.domain(portal="hosue:a")))
        self.assertIn("[domain example.com] portal: there is no plugin 'hosue' for portals; installed are: house", why)
        self.assertIn("refuses its argument: which house?", self.refused(self.config(self.domain(portal="house"))))
        self.patch(plugin, "getPlugins", lambda interface: [])
        self.assertIn("installed are: none", self.refused(self.config(self.domain(portal="house:a"))))
        self.assertRaises(NoSuchPlugin, domains_of, self.config(self.domain(portal="house:a")))

    def test_auth_of_several(self) -> None:
        """A checker that knows names only must not be asked for two domains: alice of one would be alice of both."""
        why = self.refused(self.config(self.domain(), self.domain("b.example"), auth=("memory:a:b",)))
        self.assertIn("[domain b.example] auth", why)
        self.assertIn("auth = address", why)

    def test_auth_of_none(self) -> None:
        """A checker that nobody asks is a mistake."""
        for whole in (self.config(auth=("memory:a:b",)), self.config(self.domain(auth="no"), auth=("memory:a:b",))):
            self.assertIn("--auth", self.refused(whole))

    def test_silent_numbers(self) -> None:
        """A number that rings nobody is told: its address is of a domain that is served here, and no user's and no
        group's (docs/numbers.rst: Whom a called number rings). Of others nothing is known."""
        path, listed = Path(self.mktemp()), Path(self.mktemp())
        path.write_text("alice@example.com groups=sales\n")
        listed.write_text("+493099* = bob@example.com alice@example.com\n")
        rung = ("alice@example.com", "alicia@example.com", "sales@example.com", "x@other.example", "registered")
        numbers = NumberMap([("+4930", rung), ("+4931", ("+4917012345@example.com",))])
        trunk = Trunk("one", "one.example", numbers=numbers, numbers_file=listed)
        whole = replace(self.config(self.domain(users=path)), trunks=(trunk,))
        own, of_file = map(str, silent_numbers(whole))
        self.assertTrue(own.startswith("[trunk one] numbers: +4930 can't ring alicia@example.com, "), own)
        self.assertTrue(of_file.startswith("[trunk one] numbers-file: +493099* can't ring bob@example.com, "), of_file)
        for unknown in (
            self.domain(users=path, portal="house:a"), self.domain(), self.domain(users=Path("nowhere")),
        ):  # fmt: skip
            self.assertEqual([], list(silent_numbers(replace(whole, domains=(unknown,)))))
        self.assertEqual([], list(silent_numbers(replace(whole, auth=("memory:a:b",)))))
        only = replace(whole, domains=(self.domain(users=path, auth="no"),), auth=("memory:a:b",))
        self.assertEqual(2, len(list(silent_numbers(only))))
        self.assertEqual([], list(silent_numbers(replace(whole, tokens=TokensConfig(("x",))))))

    def test_many_silent_numbers(self) -> None:
        """Each address is told once, with one of its numbers, and of many the first ten."""
        path = Path(self.mktemp())
        path.write_text("alice@example.com\n")
        lines = [(f"+4930{each:05}", ("bob@example.com",)) for each in range(10_000)]
        lines += [(f"+4931{each:05}", (f"x{each}@example.com",)) for each in range(10_000)]
        trunk = Trunk("one", "one.example", numbers=NumberMap(lines))
        told = list(map(str, silent_numbers(replace(self.config(self.domain(users=path)), trunks=(trunk,)))))
        self.assertEqual(10, len(told))
        self.assertIn("+493000000 and 9999 more can't ring bob@example.com, ", told[0])

    def test_broken_lines(self) -> None:
        """The lines of users files that can't be used are told, with file and number."""
        path = Path(self.mktemp())
        path.write_text("alice@example.com\nbob\n")
        whole = self.config(self.domain(users=path))
        (line,) = broken_lines(whole)
        self.assertTrue(str(line).startswith(f"{path}:2: "), line)
        path.unlink()
        (line,) = broken_lines(whole)
        self.assertIn(f"{path}: No such file", str(line))
