"""Users of a domain that the proxy serves itself (docs/users.rst): real twistd, rtpengine, and Kamailio as a trunk that
has no account for any of them."""

from __future__ import annotations

from typing import ClassVar

from tests.support.real import digest
from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.domain import DOMAIN, HOME, NUMBER, Home
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import pause, until
from tests.support.real.ports import free_port
from tests.support.real.softphone import Browser
from tests.support.real.speech import CHROME_ANSWER, CHROME_OFFER
from webrtcproxy.sip.message import Response
from webrtcproxy.users.passwd import remove, set_password


class HomeCase(RealCase):
    """A proxy that serves home.test."""

    home: ClassVar[Home]

    @classmethod
    def make_home(cls) -> Home:
        """The domain of the class."""
        return Home()

    async def setUp(self) -> None:
        cls = type(self)
        if "home" not in cls.__dict__:
            cls.home = cls.make_home()
            cls.changes = (*cls.changes, *cls.home.changes)
            cls.path = cls.home.folder
        await super().setUp()

    async def at_home(self, user: str = "alice", password: str | None = None) -> Browser:
        """A scripted browser of a user of the domain, connected."""
        return await self.browser(user, domain=DOMAIN, password=HOME.get(user, "") if password is None else password)

    async def in_house(self, user: str = "alice") -> Browser:
        """The same, registered."""
        browser = await self.at_home(user)
        await browser.register()
        return browser

    async def challenges(self, browser: Browser) -> Response:
        """The 401 to a REGISTER without credentials."""
        request = browser.registration()
        browser.send(request)
        response = await browser.response(request)
        self.assertEqual(401, response.status)
        return response


class Registering(HomeCase):
    """REGISTER at the proxy."""

    async def test_each_algorithm(self) -> None:
        """SHA-256 is offered first, MD5 last (RFC 8760 2.4); a second opinion on digests gets in with either."""
        for place, algorithm in enumerate(("SHA-256", "MD5")):
            browser = await self.at_home()
            lines = (await self.challenges(browser)).headers.lines("WWW-Authenticate")
            self.assertEqual(2, len(lines))
            self.assertEqual(algorithm, digest.read(lines[place])["algorithm"])
            request = browser.registration()
            credentials = digest.answer(lines[place], "REGISTER", request.uri, "alice", HOME["alice"])
            request.headers.add("Authorization", credentials)
            browser.send(request)
            self.assertEqual(200, (await browser.response(request)).status)

    async def test_wrong(self) -> None:
        """A wrong password, the one at the PBX, and a user that there is not: 401, the same for all."""
        for user, password in (("alice", "x"), ("bob", PASSWORDS["bob"]), ("carol", "x")):
            browser = await self.at_home(user, password)
            response = await browser.ask(browser.registration())
            self.assertEqual((401, "Unauthorized"), (response.status, response.reason))
            await pause(0.1)

    async def test_of_another_user(self) -> None:
        """Nobody but alice changes what alice has registered: bob, whose password is right, gets 403 for her address,
        a stranger 401; neither a binding with her Contact and instance nor `*` with Expires 0 does anything. She is
        called where she was, and nowhere else."""
        alice, bob, stranger = await self.in_house(), await self.in_house("bob"), await self.at_home("mallory", "x")
        own = f'<{alice.contact}>;+sip.instance="<urn:uuid:{alice.instance}>";reg-id=1'
        for contacts, expires in (([own], 600), ([own], 0), (["*"], 0), (None, 600)):
            for phone, status in ((bob, 403), (stranger, 401)):
                register = phone.registration(contacts=contacts, expires=expires)
                register.headers.set("To", f"<sip:alice@{DOMAIN}>")
                phone.send(register)
                response = await phone.response(register)
                if response.status == 401 and phone is bob:
                    line = response.headers.lines("WWW-Authenticate")[0]
                    credentials = digest.answer(line, "REGISTER", register.uri, "bob", HOME["bob"])
                    response = await phone.response(phone.again(register, [("Authorization", credentials)]))
                self.assertEqual(status, response.status, contacts)
        calling = bob.invite(f"sip:alice@{DOMAIN}", body=CHROME_OFFER)
        callee = alice.accept(await alice.request("INVITE"), CHROME_ANSWER)
        caller = await calling.answered()
        await alice.request("ACK")
        await stranger.silence(0)
        await self.hang_up(caller, callee)

    async def test_users_file_changes(self) -> None:
        """A new user gets in at once; one that is removed loses its binding within seconds, without a restart."""
        set_password(self.home.users, f"carol@{DOMAIN}", "c")
        carol = await self.at_home("carol", "c")
        await carol.register()
        alice = await self.in_house()
        remove(self.home.users, f"carol@{DOMAIN}")
        await until(lambda: f"User carol@{DOMAIN} is gone" in self.proxy.log(self._log_start), "the change", 10)
        self.assertEqual(404, (await alice.invite(f"sip:carol@{DOMAIN}").final()).status)
        self.assertEqual(401, (await carol.ask(carol.registration())).status)


class Calling(HomeCase):
    """Calls."""

    async def test_browser_to_browser(self) -> None:
        """Alice calls bob: he rings, both descriptions are rtpengine's with DTLS and ICE; BYE ends both; Kamailio gets
        nothing."""
        alice, bob = await self.in_house(), await self.in_house("bob")
        calling = alice.invite(f"sip:bob@{DOMAIN}", body=CHROME_OFFER)
        invite = await bob.request("INVITE")
        self.assertEqual(f"sip:alice@{DOMAIN}", invite.from_.uri)
        callee = bob.accept(invite, CHROME_ANSWER)
        ok = await calling.final()
        caller = Dialog.of_caller(alice, calling.invite, ok)
        caller.ack()
        await bob.request("ACK")
        for body in (invite.body, ok.body):
            for line in (b"UDP/TLS/RTP/SAVPF", b"a=fingerprint:", b"a=ice-ufrag:"):
                self.assertIn(line, body)
            self.assertNotIn(b"a=ice-ufrag:" + ufrag(CHROME_OFFER), body)
        await self.hang_up(callee, caller)

    async def test_number(self) -> None:
        """She dials a number: the domain's trunk gets it as one of its own, its 407 is answered with the trunk's
        account, and she hears nothing of that."""
        alice, trunk = await self.in_house(), await self.peer(free_port())
        calling = alice.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}")
        invite = await trunk.request("INVITE")
        self.assertEqual(f"sip:{NUMBER}{trunk.port}@upstream.test", invite.uri)
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_without_registration(self) -> None:
        """A browser that has not registered answers the 407, and calls; one that can't is told nothing else."""
        bob, alice = await self.in_house("bob"), await self.at_home()
        message = alice.build("MESSAGE", f"sip:bob@{DOMAIN}")
        alice.send(message)
        challenge = await alice.response(message)
        self.assertEqual(407, challenge.status)
        value = digest.answer(
            challenge.headers.lines("Proxy-Authenticate")[1], "MESSAGE", message.uri, "alice", HOME["alice"]
        )
        again = alice.again(message, [("Proxy-Authorization", value)])
        received = await bob.request("MESSAGE")
        self.assertNotIn("Proxy-Authorization", received.headers)
        bob.reply(received, 200)
        self.assertEqual(200, (await alice.response(again)).status)
        stranger = await self.browser("mallory", domain="elsewhere.test")
        for user in ("bob", "nobody", f"{NUMBER}1"):
            self.assertEqual(407, (await stranger.invite(f"sip:{user}@{DOMAIN}").final()).status)
        await bob.silence(0)

    async def test_from_trunk(self) -> None:
        """From the address of the trunk that the section names alice is called; a stranger gets no answer."""
        alice, trunk = await self.in_house(), await self.peer()
        calling = trunk.invite(f"sip:alice@{DOMAIN}")
        alice.reply(await alice.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        stranger = await self.peer(free_port(), "127.0.0.9")
        stranger.invite(f"sip:alice@{DOMAIN}")
        await stranger.silence(0.5)


class Workers(HomeCase):
    """With two workers."""

    changes = (("workers = @workers@", "workers = 2"),)

    async def test_call(self) -> None:
        """Users reach each other whichever workers have their connections: of several pairs some are on two."""
        bob = await self.in_house("bob")
        for _ in range(4):
            alice = await self.in_house()
            calling = alice.invite(f"sip:bob@{DOMAIN}")
            callee = bob.accept(await bob.request("INVITE"), CHROME_ANSWER)
            caller = await calling.answered()
            await bob.request("ACK")
            await self.hang_up(caller, callee)


class Plugins(HomeCase):
    """Who the users are is asked of plugins of somebody else's: those of docs/users.rst."""

    arguments = ("--auth", "memory:dave:d", "--auth", "house:sesame")

    @classmethod
    def make_home(cls) -> Home:
        home = Home("portal = tenants:+4930")
        home.plugin("house")
        home.plugin("tenants")
        return home

    async def test_in_order(self) -> None:
        """The users file, the portal, and both checkers of the command line: each lets in whom it knows."""
        for user, password, status in (
            ("bob", HOME["bob"], 200), ("alice", "wonderland", 200), ("dave", "d", 200), ("anybody", "sesame", 200),
            ("anybody", "x", 401),
        ):  # fmt: skip
            browser = await self.at_home(user, password)
            self.assertEqual(status, (await browser.ask(browser.registration())).status, user)

    async def test_call(self) -> None:
        """Users of different portals are users of one domain."""
        alice, erin = await self.at_home("alice", "wonderland"), await self.at_home("erin", "sesame")
        await alice.register()
        await erin.register()
        calling = alice.invite(f"sip:erin@{DOMAIN}")
        erin.reply(await erin.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)


class PluginsInWorkers(Plugins):
    """The same with two workers: each makes its own checkers."""

    changes = (("workers = @workers@", "workers = 2"),)


def ufrag(body: bytes) -> bytes:
    """The first ICE username fragment of a description."""
    return body.partition(b"a=ice-ufrag:")[2].partition(b"\r\n")[0]
