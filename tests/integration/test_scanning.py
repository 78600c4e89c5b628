"""What a stranger learns: nothing. Not which users, numbers and trunks there are, by no method and on no port; and
whoever guesses is banned, while users log in."""

from __future__ import annotations

import json
import random
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from typing import ClassVar

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase

from tests.support.real.case import RealCase
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.ports import LOOPBACK
from tests.support.real.scanning import NOTHING, Disguise, Seen, Stranger, in_turn, message, times_differ

REGISTERED = ("trunk-credentials = @credentials@", "trunk-credentials = registered")
TCP = (
    "listen = udp:{sip}:interface=127.0.0.1",
    "listen = udp:{sip}:interface=127.0.0.1\n    tcp:{sip}:interface=127.0.0.1",
)
NO_BANS = ("[web]\n", "[bans]\nafter = 0\n\n[web]\n")

METHODS = (
    "INVITE", "OPTIONS", "SUBSCRIBE", "MESSAGE", "PUBLISH", "INFO", "NOTIFY", "REFER", "BYE", "UPDATE", "PRACK",
    "CANCEL", "FROBNICATE",
)  # fmt: skip
EXTRA = {
    "SUBSCRIBE": ("Event: presence", "Expires: 60"), "NOTIFY": ("Event: presence", "Subscription-State: active"),
    "REFER": ("Refer-To: <sip:x@y.test>",), "PUBLISH": ("Event: presence",),
}  # fmt: skip
ROUNDS = 40


class ScanningCase(RealCase):
    """A proxy that lets nobody call without having registered, and a user who has."""

    changes: ClassVar = (REGISTERED, TCP, NO_BANS)

    async def setUp(self) -> None:
        await super().setUp()
        self.stranger = self.at("127.0.0.66")

    def at(self, host: str) -> Stranger:
        """A stranger at an address."""
        stranger = Stranger(host, self.proxy.wss, self.proxy.sip)
        self.addCleanup(stranger.close)
        return stranger

    @property
    def targets(self) -> list[str]:
        """A user that is registered, one that is not, numbers, hosts of trunks and others."""
        return [
            "sip:alice@pbx.test", "sip:bob@pbx.test", "sip:nobody@pbx.test", "sip:+4930123456@pbx.test",
            "tel:+4930123456", "tel:+99999", f"sip:echo@{self.plain}", "sip:echo@127.0.0.1:9",
            "sip:alice@no.test", "sip:alice@10.9.9.9",
        ]  # fmt: skip

    async def assert_same_time(self, *requests: bytes) -> None:
        """Fail where the responses to two requests take different times."""

        def taken() -> list[list[float]]:
            browser = self.stranger.browser()
            return in_turn([lambda one=one: browser.ask(_again(one))[1] for one in requests], ROUNDS)

        await self.assert_same(taken)

    async def assert_same(self, taken: Callable[[], list[list[float]]]) -> None:
        """Fail where two series of times differ three times in a row; a busy machine makes them differ now and then."""
        for _ in range(3):
            one, other = await deferToThread(taken)
            if not times_differ(one, other):
                return
        self.fail(f"the times differ: {sorted(one)} {sorted(other)}")

    async def run_tool(self, host: str, name: str, *arguments: str) -> tuple[str, Disguise]:
        """Run svmap, svwar or svcrack; what it prints, and what has come back.

        :param host: the address from which its datagrams come.
        """
        disguise = Disguise(host, self.proxy.sip)
        self.addCleanup(disguise.close)
        command = [sys.executable, "-m", f"sipvicious.{name}", "-p", str(disguise.port), *arguments, LOOPBACK]

        def run() -> str:
            done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
            return done.stdout + done.stderr

        return await deferToThread(run), disguise

    async def assert_nothing_found(self, host: str, *tools: tuple[str, ...]) -> None:
        """None of these tools, with their arguments, finds anything: not an octet comes back. They run at the same
        time, since each waits for seconds."""
        asked = [Deferred.fromCoroutine(self.run_tool(host, *tool)) for tool in tools]
        for tool, (printed, disguise) in zip(tools, await gatherResults(asked, consumeErrors=True), strict=True):
            self.assertIn("found nothing", printed, tool)
            self.assertEqual(disguise.answers, [], tool)
            self.assertGreater(disguise.sent, 0, printed)


class SameAnswer(ScanningCase):
    """The same response whatever there is (docs/access.rst, Strangers)."""

    async def test_over_websocket(self) -> None:
        """A browser that has not logged in gets the same for each target, by each method, with and without a To tag:
        status, reason, headers and length."""
        await self.registered()
        found = await deferToThread(self.ask_all)
        for case, answers in found.items():
            self.assertEqual(len(set(answers.values())), 1, f"{case}: {answers}")
            self.assertTrue(next(iter(answers.values())).status, case)

    def ask_all(self) -> dict[tuple[str, bool], dict[str, Seen]]:
        browser = self.stranger.browser()
        return {
            (method, tag): {
                uri: browser.ask(message(method, uri, *EXTRA.get(method, ()), to_tag=tag))[0] for uri in self.targets
            }
            for method in METHODS
            for tag in (False, True)
        }

    async def test_as_a_user(self) -> None:
        """It makes no difference if it calls itself alice, who exists and is there."""
        await self.registered()

        def ask() -> set[Seen]:
            browser = self.stranger.browser()
            froms = ("sip:alice@pbx.test", "sip:nobody@pbx.test", "sip:x@no.test")
            return {browser.ask(message("INVITE", "sip:bob@pbx.test", from_=name))[0] for name in froms}

        self.assertEqual(len(await deferToThread(ask)), 1)

    async def test_proxy_itself(self) -> None:
        """At the proxy's own address each user looks the same, too."""
        await self.registered()
        own = f"{LOOPBACK}:{self.proxy.wss}"

        def ask() -> set[Seen]:
            browser = self.stranger.browser()
            return {browser.ask(message("OPTIONS", f"sip:{user}@{own}"))[0] for user in ("alice", "nobody", "+4930")}

        self.assertEqual(len(await deferToThread(ask)), 1)

    async def test_register(self) -> None:
        """A user that exists is challenged and refused as one that does not: the same responses, as far as the
        registrar of the trunk gives them."""
        await self.registered()

        def ask(host: str, user: str) -> list[Seen]:
            browser, aor = self.at(host).browser(), f"sip:{user}@pbx.test"
            first = browser.ask(message("REGISTER", "sip:pbx.test", from_=aor, to=aor))[0]
            return [first, *(browser.timed_login(user, "wrong")[0] for _ in range(5))]

        known = await deferToThread(ask, "127.0.1.1", "alice")
        unknown = await deferToThread(ask, "127.0.1.2", "nobody")
        self.assertEqual(known, unknown)
        statuses = [int(one.status.split()[1]) for one in known]
        self.assertEqual((statuses[:4], statuses[-1]), ([401] * 4, 503))

    async def test_silence(self) -> None:
        """Over UDP and TCP a stranger gets not an octet, whatever it sends: to users, to nobody, to the proxy itself,
        broken messages."""
        await self.registered()
        own = f"sip:{LOOPBACK}:{self.proxy.sip}"

        def ask() -> list[tuple[str, bytes]]:
            heard = []
            for name, send in (("UDP", self.stranger.udp), ("TCP", self.stranger.tcp)):
                for uri in (own, "sip:alice@pbx.test", "sip:nobody@pbx.test"):
                    for method in ("OPTIONS", "INVITE", "REGISTER", "ACK", "CANCEL", "BYE", "FROBNICATE"):
                        for tag in (False, True):
                            answer = send(message(method, uri, to_tag=tag, transport=name), 0.02)
                            heard.append((f"{name} {method} {uri}", answer))
                heard += [
                    (name, send(data, 0.02))
                    for data in (b"SIP/2.0 \r\n\r\n", b"OPTIONS x SIP/2.0\r\n\r\n", b"\r\n\r\n")
                ]
            return [(what, answer) for what, answer in heard if answer.strip()]

        self.assertEqual([], await deferToThread(ask))

    async def test_http(self) -> None:
        """All paths look the same; none tells what is served, where and by what."""

        def ask() -> set[bytes]:
            paths = ("/", "/x", "/bans", "/metrics", "/health", "/alice", "/../../etc/passwd", "/x.php?user=alice")
            lines = [self.stranger.http(path).lower().split(b"\r\n") for path in paths]
            return {b"\n".join(line for line in each if not line.startswith(b"date:")) for each in lines}

        (answer,) = await deferToThread(ask)
        self.assertTrue(answer.startswith(b"http/1.1 404 "))
        for word in (b"twisted", b"python", b"server:", b"webrtcproxy"):
            self.assertNotIn(word, answer)


class SameTime(ScanningCase):
    """The same time, whatever there is (docs/access.rst, Strangers)."""

    async def test_users_numbers_and_hosts(self) -> None:
        """What is and what is not takes equally long, by each method that could tell."""
        await self.registered()
        pairs = [
            ("sip:alice@pbx.test", "sip:nobody@pbx.test"), ("sip:alice@pbx.test", "sip:alice@no.test"),
            ("tel:+4930123456", "tel:+99999"),
        ]  # fmt: skip
        for method in ("INVITE", "OPTIONS", "MESSAGE", "SUBSCRIBE"):
            for pair in pairs:
                await self.assert_same_time(*(message(method, uri, *EXTRA.get(method, ())) for uri in pair))

    async def test_register(self) -> None:
        """So it is with a first REGISTER, and with one that has a wrong password."""
        await self.registered()
        names = [f"sip:{user}@pbx.test" for user in ("alice", "nobody")]
        await self.assert_same_time(*(message("REGISTER", "sip:pbx.test", from_=name, to=name) for name in names))
        numbers = iter(range(1, 60_000))

        def login(user: str) -> float:
            number = next(numbers)  # each from an address of its own, which has no failures yet
            stranger = self.at(f"127.2.{number >> 8}.{number & 255}")
            found, took = stranger.browser().timed_login(user, "wrong")
            self.assertIn(" 401 ", found.status)
            stranger.close()
            return took

        await self.assert_same(lambda: in_turn([lambda: login("alice"), lambda: login("nobody")], ROUNDS))


def _again(request: bytes) -> bytes:
    """The same request with another branch and Call-ID, of the same lengths."""
    new = f"{random.getrandbits(64):016x}"
    lines = request.decode().split("\r\n")
    for index, line in enumerate(lines):
        if line.startswith("Via: "):
            lines[index] = line.partition("z9hG4bK")[0] + f"z9hG4bK{new};rport"
        elif line.startswith("Call-ID: "):
            lines[index] = f"Call-ID: {new}"
    return "\r\n".join(lines).encode()


class TimesTests(SynchronousTestCase):
    """The comparison of times sees what it shall see."""

    def test_differ(self) -> None:
        """Five milliseconds are seen through the noise of a busy machine, and noise alone is not taken for any."""
        dice = random.Random(7)

        def noise() -> list[float]:
            return [1.5 + dice.expovariate(1.0) + (dice.random() < 0.05) * 80 for _ in range(ROUNDS)]

        for _ in range(200):
            self.assertTrue(times_differ([took + 5 for took in noise()], noise()))
            self.assertFalse(times_differ(noise(), noise()))


class Bans(ScanningCase):
    """Who guesses is banned, and nobody else (docs/access.rst, Strangers)."""

    changes: ClassVar = (REGISTERED, TCP)

    def guess(self, stranger: Stranger, user: str, count: int) -> list[int]:
        """Guess passwords, each on a connection of its own; the statuses until the connection is refused."""
        statuses = []
        for number in range(count):
            try:
                statuses.append(stranger.browser().log_in(user, f"guess{number}"))
            except OSError:
                break
        return statuses

    def web(self, method: str, path: str) -> tuple[int, bytes]:
        """A request to the operator's port."""
        request = urllib.request.Request(f"http://{LOOPBACK}:{self.proxy.web}{path}", method=method)
        try:
            with urllib.request.urlopen(request, timeout=5) as response:
                return response.status, response.read()
        except urllib.error.HTTPError as error:
            return error.code, error.read()

    async def total(self, name: str) -> float:
        """A figure of ``/metrics``, of all workers."""
        return sum(value for key, value in (await self.proxy.samples()).items() if key.partition("{")[0] == name)

    async def test_guesses(self) -> None:
        """After a few guesses, for one user or for others, on one connection or many, the address is banned: no
        connection, no page. Its user logs in from elsewhere at once; the ban is listed, lifted and counted."""
        before = await self.total("failed_logins_total")
        statuses = await deferToThread(self.guess, self.stranger, "alice", 30)
        statuses += await deferToThread(self.guess, self.stranger, "nobody", 60)
        self.assertLess(statuses.count(401), 10 * self.proxy.workers)
        self.assertLessEqual(set(statuses), {401, 503})
        self.assertLess(len(statuses), 90)
        with self.assertRaises(OSError):
            await deferToThread(self.stranger.http, "/")
        home = self.at("127.0.0.5")
        self.assertEqual(200, await deferToThread(lambda: home.browser().log_in("alice", PASSWORDS["alice"])))
        listed = json.loads((await deferToThread(self.web, "GET", "/bans"))[1])
        self.assertIn("127.0.0.66", [ban["network"] for ban in listed])
        self.assertGreaterEqual(await self.total("banned_addresses"), 1)
        self.assertGreater(await self.total("failed_logins_total"), before)
        self.assertEqual(204, (await deferToThread(self.web, "DELETE", "/bans/127.0.0.66"))[0])
        self.assertEqual(404, (await deferToThread(self.web, "DELETE", "/bans/127.0.0.66"))[0])
        again = await deferToThread(lambda: self.stranger.http("/"))
        self.assertIn(b" 404 ", again)

    async def test_scanner_over_websocket(self) -> None:
        """A scanner over WebSocket gets no response, by its User-Agent; and no second connection."""
        stranger = self.at("127.0.0.67")

        def scan() -> bytes:
            browser = stranger.browser()
            browser.send(message("OPTIONS", "sip:100@pbx.test", agent="friendly-scanner"))
            try:
                return browser.receive(1)
            except OSError:
                return b""

        self.assertEqual(b"", await deferToThread(scan))
        with self.assertRaises(OSError):
            await deferToThread(stranger.browser)

    async def test_extensions_over_websocket(self) -> None:
        """Who tries one extension after the other, as svwar does, learns nothing and is banned."""
        stranger = self.at("127.0.0.68")

        def scan() -> set[Seen]:
            found = set()
            try:
                browser = stranger.browser()
                for number in range(100, 160):
                    found.add(browser.ask(message("INVITE", f"sip:{number}@pbx.test"))[0])
            except OSError:
                pass
            return found

        found = await deferToThread(scan)
        self.assertEqual(len(found - {NOTHING}), 1, found)
        with self.assertRaises(OSError):
            await deferToThread(stranger.browser)

    async def test_extensions_over_tcp(self) -> None:
        """So is who does it over TCP, where nothing is answered."""
        stranger = self.at("127.0.0.69")

        def scan() -> list[bytes]:
            requests = [message("INVITE", f"sip:{number}@{LOOPBACK}", transport="TCP") for number in range(100, 120)]
            return [stranger.tcp(request, 0.05) for request in requests]

        self.assertEqual({b""}, set(await deferToThread(scan)))
        listed = json.loads((await deferToThread(self.web, "GET", "/bans"))[1])
        self.assertIn(("127.0.0.69", "probes"), [(ban["network"], ban["reason"]) for ban in listed])


class Sipvicious(ScanningCase):
    """The tools that strangers have, as they are (PyPI: sipvicious)."""

    changes: ClassVar = (REGISTERED, TCP)
    timeout = 120

    async def test_finds_nothing(self) -> None:
        """svmap finds no server, svwar no extension, svcrack no password: not an octet comes back. Then the user logs
        in at once, from the same address too, since a datagram may have a forged one."""
        await self.registered()
        words = self.proxy.folder / "passwords.txt"
        words.write_text("\n".join(["secret", "1234", PASSWORDS["alice"]]))
        scans = [("svwar", "--force", "-m", method, "-e100-110") for method in ("REGISTER", "OPTIONS", "INVITE")]
        scans += [("svwar", "--force", "-d", str(words)), ("svcrack", "-u", "alice", "-d", str(words))]
        tools = [("svmap",), *((*scan, "--maximumtime=2") for scan in scans)]
        await self.assert_nothing_found("127.0.0.77", *tools)
        for host in ("127.0.0.5", "127.0.0.77"):
            log_in = self.at(host).browser().log_in
            self.assertEqual(200, await deferToThread(log_in, "alice", PASSWORDS["alice"]))

    async def test_finds_something(self) -> None:
        """From a trunk's address it does find the proxy: the tools work, and the test above sees what they see."""
        printed, disguise = await self.run_tool(LOOPBACK, "svmap")
        self.assertIn(str(disguise.port), printed)
        self.assertTrue(disguise.answers)
