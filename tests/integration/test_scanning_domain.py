"""What a stranger learns of a domain that is served here: nothing. Not which users, groups and numbers it has, over
UDP, TCP, WebSocket and HTTP: same answer, same time (docs/access.rst, Strangers)."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Callable, Iterator
from itertools import count
from typing import ClassVar, TypeVar

from twisted.internet.threads import deferToThread

from tests.integration.test_scanning import EXTRA, METHODS, NO_BANS, ROUNDS, TCP, ScanningCase
from tests.support.real.domain import DOMAIN, HOME, Home
from tests.support.real.scanning import Seen, Stranger, in_turn, message
from tests.support.real.softphone import Browser
from webrtcproxy.users.passwd import set_password

ATTRIBUTES = f"{DOMAIN} numbers=+4930123456 groups=sales "
TARGETS = (
    f"sip:alice@{DOMAIN}", f"sip:bob@{DOMAIN}", f"sip:carol@{DOMAIN}", f"sip:nobody@{DOMAIN}", f"sip:sales@{DOMAIN}",
    f"sip:salts@{DOMAIN}", f"sip:+4930123456@{DOMAIN}", f"sip:+4930123457@{DOMAIN}", f"sip:0030123456@{DOMAIN}",
)  # fmt: skip
"""A user that is registered, two that are not, one that there is not; the same of groups, and of numbers."""

Answer = TypeVar("Answer")
USERS = ("alice", "bob", "carol", "nobody")


def login(username: str, password: str) -> str:
    """The header of a login with a password (RFC 7617)."""
    return f"Authorization: Basic {b64encode(f'{username}:{password}'.encode()).decode()}"


class DomainCase(ScanningCase):
    """A proxy that serves home.test: alice is registered, who has a number and is in a group; carol can't log in by
    MD5."""

    home: ClassVar[Home]
    alice: Browser
    addresses: ClassVar[Iterator[int]] = count(1)
    at_first: ClassVar[tuple[tuple[str, str], ...]] = (TCP, NO_BANS)

    async def setUp(self) -> None:
        cls = type(self)
        if "home" not in cls.__dict__:
            cls.home = Home()
            set_password(cls.home.users, f"carol@{DOMAIN}", "c", algorithms=("sha-256",))
            text = cls.home.users.read_text()
            cls.home.users.write_text(text.replace(f"alice@{DOMAIN} ", f"alice@{ATTRIBUTES}"))
            cls.changes = (*cls.at_first, *cls.home.changes)
        await super().setUp()
        self.alice = await self.browser("alice", domain=DOMAIN, password=HOME["alice"])
        await self.alice.register()

    def fresh(self) -> Stranger:
        """A stranger at an address that has no failures yet."""
        number = next(self.addresses)
        return self.at(f"127.3.{number >> 8}.{number & 255}")


class SameAnswer(DomainCase):
    """The same response whatever there is. By one worker: each counts failures by itself, so that the same guesses may
    have to wait at one sooner than at the other."""

    at_first = (TCP, NO_BANS, ("workers = @workers@", "workers = 1"))

    async def test_over_websocket(self) -> None:
        """A browser that has not logged in gets the same for each target, by each method, with and without a To tag:
        status, reason, headers, challenges but for the nonce, and length; whoever it says that it is."""

        def ask(method: str, tag: bool, froms: tuple[str, ...]) -> set[Seen]:
            browser, more = self.stranger.browser(), EXTRA.get(method, ())
            return {
                browser.ask(message(method, uri, *more, to_tag=tag, from_=from_))[0]
                for uri in TARGETS
                for from_ in froms
            }

        found = {
            (method, tag, froms[0]): await deferToThread(ask, method, tag, froms)
            for method in METHODS
            for tag in (False, True)
            for froms in ((f"sip:alice@{DOMAIN}", f"sip:nobody@{DOMAIN}"), ("sip:me@stranger.test",))
        }
        for case, answers in found.items():
            self.assertEqual(len(answers), 1, f"{case}: {answers}")
        ((status, _, values, _),) = found["INVITE", False, "sip:me@stranger.test"]
        self.assertIn(" 407 ", status)
        self.assertIn(f'realm="{DOMAIN}"', "".join(values))

    async def test_calls_elsewhere(self) -> None:
        """So does who says that he is a user of the domain, and calls a number or another host."""

        def ask(user: str) -> list[Seen]:
            browser, aor = self.stranger.browser(), f"sip:{user}@{DOMAIN}"
            uris = ("tel:+4930123456", "sip:echo@pbx.test", f"sip:echo@{self.plain}", "sip:x@no.test")
            return [browser.ask(message("INVITE", uri, from_=aor))[0] for uri in uris]

        answers = [await deferToThread(ask, user) for user in USERS]
        self.assertEqual(answers, [answers[0]] * len(USERS))

    async def test_register(self) -> None:
        """A user that exists is challenged and refused as one that does not, by each algorithm, until it has to
        wait."""

        def ask(user: str, algorithm: str) -> list[Seen]:
            browser, aor = self.fresh().browser(), f"sip:{user}@{DOMAIN}"
            first = browser.ask(message("REGISTER", f"sip:{DOMAIN}", from_=aor, to=aor))[0]
            return [first, *(browser.timed_login(user, "wrong", DOMAIN, algorithm)[0] for _ in range(5))]

        for algorithm in ("SHA-256", "MD5"):
            answers = await self.same_for_users(lambda user, by=algorithm: ask(user, by))
            statuses = [int(one.status.split()[1]) for one in answers]
            self.assertEqual((statuses[0], statuses[-1]), (401, 503))

    async def same_for_users(self, ask: Callable[[str], list[Answer]]) -> list[Answer]:
        """Fail where the answers differ for different users, three times in a row: how long one has to wait depends
        on the clock, and so on a busy machine.

        :returns: the answers.
        """
        for _ in range(3):
            answers = [await deferToThread(ask, user) for user in USERS]
            if answers == [answers[0]] * len(USERS):
                break
        self.assertEqual(answers, [answers[0]] * len(USERS))
        return answers[0]

    async def test_silence(self) -> None:
        """Over UDP and TCP a stranger gets not an octet, as whom and to whom it sends."""

        def ask() -> list[tuple[str, bytes]]:
            heard = []
            for name, send in (("UDP", self.stranger.udp), ("TCP", self.stranger.tcp)):
                for method in ("OPTIONS", "INVITE", "REGISTER", "MESSAGE", "SUBSCRIBE"):
                    for uri in (f"sip:{DOMAIN}", *TARGETS):
                        from_ = uri if method == "REGISTER" else f"sip:alice@{DOMAIN}"
                        request = message(method, uri, *EXTRA.get(method, ()), from_=from_, transport=name)
                        heard.append((f"{name} {method} {uri}", send(request, 0.02)))
            return [(what, answer) for what, answer in heard if answer.strip()]

        self.assertEqual([], await deferToThread(ask))
        await self.alice.silence(0)

    async def test_bootstrap(self) -> None:
        """The bootstrap document: the same response, octet for octet, for a wrong password of a user and of none,
        however it is spelled, until the address has to wait; and none without a login."""

        def ask(*headers: str) -> list[bytes]:
            stranger = self.fresh()
            return [_without_date(stranger.http("/bootstrap.json", *headers)) for _ in range(6)]

        for spelled in ("{}", f"{{}}@{DOMAIN}"):
            answers = await self.same_for_users(lambda user, by=spelled: ask(login(by.format(user), "wrong")))
            statuses = [int(answer.split()[1]) for answer in answers]
            self.assertEqual((statuses[0], statuses[-1]), (401, 429))
        for headers in ((), ("Authorization: Basic !",), ("Authorization: Bearer x.y.z",), (login("", ""),)):
            answer, *_ = await deferToThread(ask, *headers)
            self.assertEqual(401, int(answer.split()[1]), headers)
            self.assertNotIn(b"wss:", answer)


class SameTime(DomainCase):
    """The same time, whatever there is. (That as much is hashed for a user as for none, `tests.users.test_portals` has
    without a clock.)"""

    async def test_requests(self) -> None:
        """A request without a login to a user that is there, one that is not, and none."""
        alice, bob, _, nobody, *_ = TARGETS
        for method in ("INVITE", "MESSAGE", "SUBSCRIBE"):
            for uri in (alice, bob):
                await self.assert_same_time(*(message(method, each, *EXTRA.get(method, ())) for each in (uri, nobody)))

    async def test_register(self) -> None:
        """A first REGISTER, and one that has a wrong password, by each algorithm."""
        names = [f"sip:{user}@{DOMAIN}" for user in ("alice", "nobody")]
        await self.assert_same_time(*(message("REGISTER", f"sip:{DOMAIN}", from_=name, to=name) for name in names))

        def timed(user: str, algorithm: str) -> float:
            stranger = self.fresh()
            found, took = stranger.browser().timed_login(user, "wrong", DOMAIN, algorithm)
            self.assertIn(" 401 ", found.status)
            stranger.close()
            return took

        for algorithm in ("SHA-256", "MD5"):
            users = [lambda user=user, by=algorithm: timed(user, by) for user in ("alice", "nobody")]
            await self.assert_same(lambda users=users: in_turn(users, ROUNDS))

    async def test_bootstrap(self) -> None:
        """A wrong password for the bootstrap document."""

        def timed(user: str) -> float:
            stranger = self.fresh()
            answer, took = stranger.timed_http("/bootstrap.json", login(user, "wrong"))
            self.assertIn(b" 401 ", answer.partition(b"\r\n")[0])
            stranger.close()
            return took

        await self.assert_same(lambda: in_turn([lambda: timed("alice"), lambda: timed("nobody")], ROUNDS))


class Sipvicious(DomainCase):
    """The tools that strangers have (PyPI: sipvicious), told of the domain."""

    timeout = 120

    async def test_finds_nothing(self) -> None:
        """svwar finds no user, and svcrack not the password that is in its list: not an octet comes back. Then the user
        logs in from there at once."""
        names, words = self.proxy.folder / "names.txt", self.proxy.folder / "words.txt"
        names.write_text("\n".join((*USERS, "sales", "+4930123456")))
        words.write_text("\n".join(("secret", "1234", HOME["alice"])))
        scans = [("svwar", "--force", "-m", method, "-d", str(names)) for method in ("REGISTER", "OPTIONS", "INVITE")]
        scans.append(("svcrack", "-u", "alice", "-d", str(words)))
        tools = [(*scan, "--maximumtime=2", "--domain", DOMAIN) for scan in scans]
        await self.assert_nothing_found("127.0.0.78", *tools)
        browser = self.at("127.0.0.78").browser()
        self.assertEqual(200, await deferToThread(browser.log_in, "alice", HOME["alice"], DOMAIN))


def _without_date(answer: bytes) -> bytes:
    """An HTTP response without the time of day."""
    return b"\r\n".join(line for line in answer.split(b"\r\n") if not line.lower().startswith(b"date:"))
