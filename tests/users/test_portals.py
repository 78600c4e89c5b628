"""Who users are is asked of twisted.cred: checkers and portals, in order, and never in clear text."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from twisted.cred.checkers import FilePasswordDB, InMemoryUsernamePasswordDatabaseDontUse
from twisted.cred.credentials import IUsernameDigestHash, IUsernamePassword
from twisted.cred.error import LoginFailed, UnauthorizedLogin, UnhandledCredentials
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from webrtcproxy.config import Domain
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.sip.digest import authorize, ha1
from webrtcproxy.users.credentials import SUPPORTED, IDigestHash, Password, SipDigest
from webrtcproxy.users.domains import Domains, ServedDomain
from webrtcproxy.users.passwd import set_password
from webrtcproxy.users.plugin import IAttributedUser, IPasswordMarks
from webrtcproxy.users.portals import DomainPortals, NotAvailable, checker_for, portal_for
from webrtcproxy.users.user import IUser, User
from webrtcproxy.users.users_file import UsersFile


def digest(
    username: str = "alice",
    password: str = "wonderland",
    algorithm: str = "SHA-256",
    kind: type[SipDigest] = SipDigest,
) -> SipDigest:
    """Credentials as a browser makes them."""
    challenge = Challenge("Digest", {"realm": "example.com", "nonce": "n", "qop": "auth", "algorithm": algorithm})
    given = authorize(challenge, "REGISTER", "sip:example.com", username, password, body=b"")
    return kind(username, username, given.params, "REGISTER", b"")


@implementer(IAttributedUser)
class Avatar:
    """An avatar of somebody else's portal."""

    def __init__(self, name: str, domain: str = "example.com", **attributes: object) -> None:
        self.name = name
        self.domain = domain
        self.attributes = attributes


class Portal:
    """A portal that says what it is told to."""

    def __init__(self, says: object) -> None:
        self.says = says
        self.asked: list[SipDigest] = []
        self.logouts = 0

    def login(self, credentials: SipDigest, mind: object, *interfaces: object) -> Deferred[tuple[object, ...]]:
        self.asked.append(credentials)
        if isinstance(self.says, Exception):
            return fail(self.says)
        return succeed((IUser, self.says, self.logout))

    def logout(self) -> None:
        self.logouts += 1


class CredentialsTests(SynchronousTestCase):
    """`SipDigest` for each kind of checker."""

    def test_interfaces(self) -> None:
        """Credentials for who knows a password, a hash for MD5, or one for any algorithm; not for clear text."""
        for interface in SUPPORTED:
            self.assertTrue(interface.providedBy(digest()))
        self.assertFalse(IUsernamePassword.providedBy(digest()))
        self.assertNotIn("response", repr(digest()))

    def test_password(self) -> None:
        """Right and wrong passwords, octets or text, UTF-8, with each algorithm."""
        for algorithm in ("MD5", "SHA-256", "SHA-512-256", "MD5-sess", "SHA-256-sess"):
            given = digest("älice", "wörld", algorithm)
            self.assertTrue(given.checkPassword("wörld"), algorithm)
            self.assertTrue(given.checkPassword("wörld".encode()), algorithm)
            self.assertFalse(given.checkPassword(b"world"), algorithm)

    def test_md5_hash(self) -> None:
        """A checker with HA1 of MD5, as in a file of Apache's htdigest, can check MD5 only."""
        hashed = ha1("md5", "alice", "example.com", "wonderland")
        for given, right in (
            (digest(algorithm="MD5"), True),
            (digest(), False),
            (digest("bob", algorithm="MD5"), False),
        ):
            self.assertTrue(IUsernameDigestHash.providedBy(given))
            self.assertEqual(given.checkHash(hashed.upper().encode()), right)
            self.assertEqual(given.checkHash(hashed), right)
        self.assertFalse(digest(algorithm="MD5").checkHash(b"\xff"))

    def test_ha1(self) -> None:
        """A checker with a hash in the algorithm of the credentials."""
        given = digest()
        self.assertEqual(given.algorithm, "sha-256")
        self.assertTrue(given.check_ha1(ha1("sha-256", "alice", "example.com", "wonderland")))
        self.assertFalse(given.check_ha1(ha1("md5", "alice", "example.com", "wonderland")))

    def test_looked_up_as(self) -> None:
        """Who is looked up is one thing, what the credentials were made with another."""
        given = digest().looked_up_as("alice@example.com")
        self.assertEqual(given.username, b"alice@example.com")
        self.assertTrue(given.checkPassword("wonderland"))


class PortalsCase(SynchronousTestCase):
    """A domain with a users file and further portals."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        set_password(self.path, "alice@example.com", "wonderland")
        self.path.write_text(self.path.read_text().strip() + " numbers=+4930123\nbob@example.com\n")
        self.file = UsersFile(self.path, ["example.com"])

    def domain(self, *portals: object, file: bool = True, trunks: tuple[str, ...] = ()) -> ServedDomain:
        return ServedDomain(
            Domain("example.com", trunks=trunks),
            self.file if file else None,
            [(portal, False) for portal in portals],  # type: ignore[misc]
        )

    def login(self, domain: ServedDomain, given: SipDigest | Password) -> User | None:
        return self.successResultOf(domain.login(given.username.decode(), given))


class FileTests(PortalsCase):
    """The users file of a domain."""

    def test_right(self) -> None:
        """The right password, with each algorithm that there is a hash for: the user with its attributes, and with the
        trunks of the domain."""
        for algorithm in ("MD5", "SHA-256"):
            user = self.login(self.domain(trunks=("carrier",)), digest(algorithm=algorithm))
            assert user is not None
            self.assertEqual((user.aor, user.numbers), ("alice@example.com", ("+4930123",)))
            self.assertEqual(user.trunks, {"carrier"})

    def test_wrong(self) -> None:
        """A wrong password, an unknown user, one without a hash, an impossible name, an algorithm without a hash."""
        for given in (
            digest(password="x"), digest("carol"), digest("bob"), digest("a b"), digest(algorithm="SHA-512-256"),
        ):  # fmt: skip
            self.assertIsNone(self.login(self.domain(), given))

    def test_same_work(self) -> None:
        """For an unknown user as much is computed as for a wrong password, so that the time tells nothing."""
        checked = []

        class Counting(SipDigest):
            def check_ha1(self, hashed: str) -> bool:
                checked.append(len(hashed))
                return super().check_ha1(hashed)

            def looked_up_as(self, username: str) -> SipDigest:
                return self

        for username in ("alice", "carol", "bob", "a b"):
            self.assertIsNone(self.login(self.domain(), digest(username, "x", kind=Counting)))
        self.assertEqual(checked, [64, 64, 64, 64])

    def test_same_work_over_http(self) -> None:
        """So it is for a password that comes over HTTPS, where the proxy itself computes the hashes."""
        checked: list[dict[str, int]] = []

        class Counting(Password):
            def check_hashes(self, hashes: Mapping[str, str]) -> bool:
                checked.append({algorithm: len(hashed) for algorithm, hashed in hashes.items()})
                return super().check_hashes(hashes)

            def looked_up_as(self, username: str) -> Password:
                return self

        for username in ("alice", "carol", "bob", "a b"):
            self.assertIsNone(self.login(self.domain(), Counting(username, username, "example.com", "x")))
        self.assertEqual(checked, [{"md5": 32, "sha-256": 64, "sha-512-256": 64}] * 4)
        self.assertIsNotNone(self.login(self.domain(), Counting("alice", "alice", "example.com", "wonderland")))

    def test_changed(self) -> None:
        """A new password counts at once: a login looks at the file."""
        domain = self.domain()
        set_password(self.path, "alice@example.com", "new")
        self.assertIsNone(self.login(domain, digest()))
        self.assertIsNotNone(self.login(domain, digest(password="new")))

    def test_directory(self) -> None:
        """Who is in the file is known without a login."""
        domain = self.domain(trunks=("carrier",))
        self.assertTrue(domain.has("bob@example.com"))
        self.assertFalse(domain.has("carol@example.com"))
        bob = domain.user("bob@example.com")
        assert bob is not None
        self.assertEqual(bob.trunks, {"carrier"})
        self.assertIsNone(domain.user("carol@example.com"))
        self.assertFalse(self.domain(file=False).has("bob@example.com"))


class OrderTests(PortalsCase):
    """Several portals."""

    def test_in_order(self) -> None:
        """One after the other is asked until one knows the user: the file first."""
        first, second = Portal(UnauthorizedLogin()), Portal(Avatar("carol", numbers=["+491"]))
        domain = self.domain(first, second)
        self.assertIsNotNone(self.login(domain, digest()))
        self.assertEqual((len(first.asked), len(second.asked)), (0, 0))
        user = self.login(domain, digest("carol"))
        assert user is not None
        self.assertEqual((user.aor, user.numbers), ("carol@example.com", ("+491",)))
        self.assertEqual((len(first.asked), len(second.asked), second.logouts), (1, 1, 1))

    def test_refused(self) -> None:
        """All ways to refuse are the same: the next one is asked."""
        for why in (UnauthorizedLogin(), UnhandledCredentials(), LoginFailed()):
            self.assertIsNone(self.login(self.domain(Portal(why)), digest("carol")))

    def test_fault(self) -> None:
        """Where one can't be asked, others may still know the user; where none does, it is no wrong password."""
        broken = Portal(OSError("no server"))
        self.assertIsNotNone(self.login(self.domain(broken, Portal(Avatar("carol"))), digest("carol")))
        domain = self.domain(broken)
        self.failureResultOf(domain.login("carol", digest("carol")), NotAvailable)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 2)

    def test_avatars(self) -> None:
        """An avatar that is none, can't be a user, or is one of another domain lets nobody in."""
        for avatar in (object(), None, Avatar("a b"), Avatar("carol", numbers="x")):
            self.failureResultOf(self.domain(Portal(avatar)).login("carol", digest("carol")), NotAvailable)
        self.assertEqual(len(self.flushLoggedErrors()), 4)
        self.assertIsNone(self.login(self.domain(Portal(Avatar("carol", "other.com"))), digest("carol")))
        self.assertIsNotNone(self.login(self.domain(Portal(User("carol", "example.com"))), digest("carol")))

    def test_checkers_of_twisted(self) -> None:
        """Checkers that come with Twisted: passwords in memory, and in a file of ``name:password``."""
        memory = InMemoryUsernamePasswordDatabaseDontUse(carol=b"c", alice=b"other")
        path = self.mktemp()
        Path(path).write_text("dave:d\n")
        domain = self.domain(
            *(portal_for(checker, "example.com", self.file) for checker in (memory, FilePasswordDB(path)))
        )
        for username, password, known in (
            ("carol", "c", True), ("carol", "d", False), ("dave", "d", True), ("alice", "other", True),
            ("alice", "wonderland", True), ("erin", "e", False),
        ):  # fmt: skip
            self.assertEqual(self.login(domain, digest(username, password)) is not None, known, username)
        user = self.login(domain, digest("alice", "other"))
        assert user is not None
        self.assertEqual(user.numbers, ("+4930123",), "its attributes stand in the users file")

    def test_whole_address(self) -> None:
        """A checker of several domains is asked for the address-of-record."""
        memory = InMemoryUsernamePasswordDatabaseDontUse()
        memory.addUser(b"carol@example.com", b"c")
        portals = DomainPortals("example.com", [(portal_for(memory, "example.com", None), True)])
        user = self.successResultOf(portals.login("carol", digest("carol", "c")))
        self.assertEqual(user, User("carol", "example.com"))

    def test_no_anonymous(self) -> None:
        """A checker that lets everybody in as nobody lets nobody in."""

        class Anybody:
            credentialInterfaces = (IDigestHash,)

            def requestAvatarId(self, credentials: object) -> Deferred[tuple[()]]:
                return succeed(())

        self.assertIsNone(self.login(self.domain(portal_for(Anybody(), "example.com", None)), digest("carol")))


class MarksTests(PortalsCase):
    """Whether a user still exists, and has the same password, as far as somebody can tell."""

    def mark(self, *sources: object, whole: bool = False, file: bool = False, name: str = "carol") -> bytes:
        """What those that know the users say: checkers, or portals."""
        portals = [
            (source if isinstance(source, Portal) else portal_for(source, "example.com", None), whole)
            for source in sources
        ]
        served = ServedDomain(Domain("example.com"), self.file if file else None, portals)  # type: ignore[arg-type]
        return served.password_mark(f"{name}@example.com")

    def test_of_twisted(self) -> None:
        """The checkers ``file`` and ``memory`` tell; the first one that knows the user counts."""
        path = Path(self.mktemp())
        path.write_text("carol:one\ndave:two\n")
        by_file, by_memory = checker_for(f"file:{path}"), checker_for("memory:carol:three:erin:four")
        for sources, name, mark in (
            ((by_file, by_memory), "carol", b"one"), ((by_memory, by_file), "carol", b"three"),
            ((by_file, by_memory), "erin", b"four"), ((by_file, by_memory), "frank", b""), ((), "carol", b""),
        ):  # fmt: skip
            self.assertEqual(self.mark(*sources, name=name), mark)
        self.assertEqual(self.mark(checker_for("memory:carol@example.com:x"), whole=True), b"x")
        self.assertEqual(self.mark(checker_for("memory:carol@example.com:x")), b"")

    def test_of_others(self) -> None:
        """A checker or a portal that provides `IPasswordMarks` is asked; any other one can't tell."""

        @implementer(IPasswordMarks)
        class Marking(Portal):
            def password_mark(self, username: bytes) -> bytes | None:
                return b"mark of " + username if username == b"carol" else None

        @implementer(IPasswordMarks)
        class MarkingChecker:
            credentialInterfaces = (IDigestHash,)

            def password_mark(self, username: bytes) -> bytes | None:
                return b"5"

        for sources, mark in (
            ((Portal(None), Marking(None)), b"mark of carol"), ((MarkingChecker(),), b"5"), ((Portal(None),), b""),
        ):  # fmt: skip
            self.assertEqual(self.mark(*sources), mark)

    def test_users_file(self) -> None:
        """A password in the users file comes first; a line without one has none."""
        memory = checker_for("memory:alice:x:bob:y")
        self.assertIn(b"md5", self.mark(memory, file=True, name="alice"))
        self.assertEqual(self.mark(memory, file=True, name="bob"), b"y")

    def test_not_available(self) -> None:
        """Where one that can tell fails, nobody knows: it is not as if the user were gone."""

        @implementer(IPasswordMarks)
        class Failing(Portal):
            def password_mark(self, username: bytes) -> bytes | None:
                raise ConnectionError("no directory")

        self.assertRaises(NotAvailable, self.mark, Failing(None))
        self.assertEqual(len(self.flushLoggedErrors(ConnectionError)), 1)
        self.assertRaises(NotAvailable, self.mark, checker_for("file:/no/such/file"))
        self.flushLoggedErrors()


class ChangesTests(PortalsCase):
    """What a change of the users file means for those that are logged in."""

    def test_watch(self) -> None:
        """Who is gone or has a new password is reported as gone, who has other attributes with these."""
        changes: list[tuple[User, User | None]] = []
        domains = Domains([self.domain(trunks=("carrier",))], [self.file])
        domains.watch(lambda before, user: changes.append((before, user)))
        set_password(self.path, "alice@example.com", "new")
        self.path.write_text(self.path.read_text().replace("bob@example.com", "bob@example.com name=Bob"))
        domains.refresh()
        alice, bob = (User(name, "example.com", trunks=frozenset({"carrier"})) for name in ("alice", "bob"))
        named = replace(bob, display_name="Bob")
        self.assertEqual(changes, [(replace(alice, numbers=("+4930123",)), None), (bob, named)])
        changes.clear()
        set_password(self.path, "alice@example.com", "new", algorithms=["md5", "sha-256", "sha-512-256"])
        self.path.write_text(self.path.read_text().partition("bob")[0])
        domains.refresh()
        self.assertEqual(changes, [(named, None)], "a further hash of the same password ends nothing")

    def test_of(self) -> None:
        """A domain is found by the host of a URI, in any case and with any port: nothing else gets its requests."""
        domain = replace(self.domain().config, name="example.com")
        domains = Domains([ServedDomain(domain)])
        for hostport in (("example.com", None), ("EXAMPLE.com", 5060), ("example.com", 5070), ("example.com.", None)):
            self.assertIsNotNone(domains.of(hostport), hostport)
        self.assertIsNone(domains.of(("sub.example.com", None)))
        self.assertIsNone(Domains().of(("example.com", None)))
