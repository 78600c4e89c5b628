"""Accounts of users at a trunk that wants a registration for each (docs/tokens.rst: Accounts at a trunk): the real
proxy, which holds the passwords, and Kamailio, which asks for a digest."""

from __future__ import annotations

from pathlib import Path
from tempfile import mkdtemp
from time import monotonic, time
from typing import ClassVar

from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Calling
from tests.support.real.domain import DOMAIN, NUMBER
from tests.support.real.issuer import AUDIENCE
from tests.support.real.kamailio import PASSWORDS, Kamailio
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser, Peer
from tests.support.tokens import SECRET, secret_token
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.users.passwd import set_password

ACCOUNT = "bob"
"""Alice's account at the trunk: neither her name nor that of the trunk's own account."""
PASSWORD = "through the looking-glass"
"""Of the users at the proxy."""


class AccountsCase(RealCase):
    """home.test with alice, who has an account at Kamailio, and carol, who has none there. Nothing of its password is
    in the log, nor in what a browser hears.

    :cvar trunk: the section of the trunk.
    :cvar host: its host.
    :cvar password: of the account, as the proxy has it.
    """

    trunk: ClassVar[str] = "pbx"
    host: ClassVar[str] = "pbx.test"
    password: ClassVar[str] = PASSWORDS[ACCOUNT]
    more: ClassVar[tuple[tuple[str, str], ...]] = ()
    folder: ClassVar[Path]

    async def setUp(self) -> None:
        cls = type(self)
        if "folder" not in cls.__dict__:
            cls.folder = Path(mkdtemp(prefix="accounts", dir=Path.cwd()))
            (cls.folder / "secret").write_text(SECRET)
            domain = f"[domain {DOMAIN}]\nusers = {cls.folder / 'users'}\ntrunk = {cls.trunk}\n\n"
            tokens = f"[tokens]\nsecret-file = {cls.folder / 'secret'}\naudience = {AUDIENCE}\ndomain = {DOMAIN}\n"
            cls.changes = (
                ("[access]\n", f"{domain}{tokens}claims = account=extension\n\n[access]\n"),
                (f"[trunk {cls.trunk}]\n", f"[trunk {cls.trunk}]\naccounts = {cls.folder / 'accounts'}\n"),
                ("@credentials@", "registered"),
                ("level = info", "level = debug"),
                *cls.more,
            )
        self.users, self.accounts = self.folder / "users", self.folder / "accounts"
        self.write_accounts(self.password)
        self.write_users(f"alice@{DOMAIN} account={ACCOUNT}", f"carol@{DOMAIN}")
        self.browsers: list[Browser] = []
        await super().setUp()
        self.addCleanup(self.assert_silent)

    def write_accounts(self, password: str | None) -> None:
        """Have the account with this password, or without it, and one of somebody else; at once as a whole."""
        account = "" if password is None else f"{ACCOUNT} {ACCOUNT} {password}\n"
        new = self.folder / "new"
        new.touch(0o600)
        new.write_text(f"; NAME USERNAME PASSWORD\n{account}alice alice other\n")
        new.replace(self.accounts)

    def write_users(self, *lines: str) -> None:
        """Have a users file with these lines, at once as a whole, each with a password."""
        new = self.folder / "new"
        new.write_text("".join(f"{line}\n" for line in lines))
        for line in lines:
            set_password(new, line.partition(" ")[0], PASSWORD)
        new.replace(self.users)

    def assert_silent(self) -> None:
        """No password of an account is in the log; no browser has heard one, nor a challenge of the trunk's."""
        self.assertNotIn(self.password, self.proxy.log(self._log_start))
        for browser in self.browsers:
            for message in browser.received:
                self.assertNotIn(self.password.encode(), message.to_bytes())
                for name in ("Authorization", "Proxy-Authorization", "WWW-Authenticate"):
                    self.assertNotIn("pbx.test", str(message.headers.get(name)))

    async def logged_in(self, user: str = "alice", **options: object) -> Browser:
        """A browser that is registered at the proxy, as a user of the domain."""
        browser = await self.browser(user, domain=DOMAIN, password=PASSWORD, **options)
        self.browsers.append(browser)
        await browser.register()
        return browser

    def there(self, browser: Browser, user: str = ACCOUNT, **options: object) -> Request:
        """Its REGISTER for an address-of-record at the trunk."""
        aor = f"sip:{user}@{self.host}"
        request = browser.registration(**options)  # type: ignore[arg-type]
        request.uri = f"sip:{self.host}"
        request.headers.set("From", f"<{aor}>;tag=there")
        request.headers.set("To", f"<{aor}>")
        return request

    async def registers(self, browser: Browser, user: str = ACCOUNT, **options: object) -> Response:
        """The final response to that. The browser answers no challenge."""
        request = self.there(browser, user, **options)
        browser.send(request)
        return await browser.response(request)

    async def in_place(self, user: str = "alice") -> Browser:
        """A browser that is registered at the proxy, and at the trunk with the account."""
        browser = await self.logged_in(user)
        self.assertEqual(200, (await self.registers(browser)).status)
        return browser

    async def bindings(self, user: str = ACCOUNT) -> list[str]:
        """What Kamailio has of an account, asked by somebody who has its password (RFC 3261 section 10.2.3)."""
        peer = Peer(LOOPBACK, free_port(), (LOOPBACK, self.registrar.port))
        peer.user, peer.password = user, PASSWORDS[user]
        peer.listen()
        try:
            query = peer.build("REGISTER", "sip:pbx.test", to=f"<sip:{user}@pbx.test>")
            query.headers.remove("Contact")
            response = await peer.ask(query)
        finally:
            await peer.close()
        self.assertEqual(200, response.status)
        return [contact.uri for contact in response.contacts] if "Contact" in response.headers else []

    @property
    def registrar(self) -> Kamailio:
        """The Kamailio of the trunk."""
        return self.kamailio

    async def no_binding(self) -> None:
        """Kamailio has none any more, within seconds."""
        for _ in range(100):
            if not await self.bindings():
                return
            await pause(0.1)
        raise AssertionError("Kamailio still has the binding")

    async def rings(self, *browsers: Browser) -> None:
        """Somebody calls the account by way of Kamailio: all of these browsers ring, and the first one answers."""
        caller = await self.kamailio_peer()
        caller.proxy = (LOOPBACK, self.registrar.port)
        calling = caller.invite(f"sip:{ACCOUNT}@pbx.test")
        invites = [await browser.request("INVITE") for browser in browsers]
        for browser, invite in zip(browsers, invites, strict=True):
            browser.reply(invite, 180)
        await calling.response(180)
        callee = browsers[0].accept(invites[0])
        dialog = await calling.answered()
        await browsers[0].request("ACK")
        for browser, invite in zip(browsers[1:], invites[1:], strict=True):
            browser.reply(await browser.request("CANCEL"), 200)
            browser.reply(invite, 487)
            await browser.request("ACK")
        await self.hang_up(dialog, callee)

    async def pays(self, browser: Browser, calling: Calling, trunk: Peer, account: str = ACCOUNT) -> None:
        """A call that Kamailio challenges arrives behind it, paid by this account; the browser hears no challenge."""
        before = len(browser.received)
        invite = await trunk.request("INVITE")
        self.assertEqual(account, invite.headers.get("X-Account"))
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        self.assertFalse([each for each in browser.received[before:] if getattr(each, "status", 0) in (401, 407)])
        await self.hang_up(caller, callee)


class Registering(AccountsCase):
    """The account at the trunk's registrar."""

    async def test_registers(self) -> None:
        """Nobody has the account until alice registers it. Then Kamailio has one Contact, of the proxy, and she has
        answered no challenge and has her own Contact in the 200."""
        alice = await self.logged_in()
        self.assertEqual([], await self.bindings())
        response = await self.registers(alice)
        self.assertEqual((200, [alice.contact]), (response.status, [each.uri for each in response.contacts]))
        (uri,) = await self.bindings()
        self.assertIn("@{}:{}".format(*self.proxy.address), uri)

    async def test_nobody_elses(self) -> None:
        """Another account, a user without one, and a stranger who has not logged in: nobody gets in with a password
        that the proxy has, and Kamailio gets no binding."""
        alice, carol = await self.logged_in(), await self.logged_in("carol")
        self.assertEqual(403, (await self.registers(alice, "alice")).status)
        stranger = await self.browser("mallory", domain="pbx.test")
        self.browsers.remove(carol)  # she hears the trunk's challenge
        for browser in (carol, stranger):
            self.assertEqual(401, (await self.registers(browser)).status)
        self.assertEqual(([], []), (await self.bindings(), await self.bindings("alice")))

    async def test_leaves(self) -> None:
        """Two browsers have the account: Kamailio keeps the binding until the second un-REGISTERs."""
        first, second = await self.in_place(), await self.in_place()
        await self.rings(first, second)
        self.assertEqual(200, (await self.registers(first, expires=0)).status)
        self.assertEqual(1, len(await self.bindings()))
        await self.rings(second)
        self.assertEqual(200, (await self.registers(second, expires=0)).status)
        self.assertEqual([], await self.bindings())

    async def test_star(self) -> None:
        """`Contact: *` ends it, too (RFC 3261 section 10.2.2)."""
        alice = await self.in_place()
        self.assertEqual(200, (await self.registers(alice, contacts=["*"], expires=0)).status)
        self.assertEqual([], await self.bindings())

    async def test_too_brief(self) -> None:
        """What the registrar says to the REGISTER itself crosses: 423 with Min-Expires."""
        alice = await self.logged_in()
        response = await self.registers(alice, expires=10)
        self.assertEqual((423, "60"), (response.status, response.headers.get("Min-Expires")))
        self.assertEqual(200, (await self.registers(alice, expires=60)).status)

    async def test_wrong_password(self) -> None:
        """Where Kamailio refuses the account, the browser gets 403 and no challenge; seconds after the right password
        is in the file, it is in, without a new login."""
        self.write_accounts("mistyped")
        alice = await self.logged_in()
        self.assertEqual(403, (await self.registers(alice)).status)
        self.write_accounts(self.password)
        deadline = monotonic() + 15
        while (await self.registers(alice)).status != 200:
            self.assertLess(monotonic(), deadline, "the new password is not used")
            await pause(0.5)
        self.assertEqual(1, len(await self.bindings()))

    async def test_user_is_removed(self) -> None:
        """Alice is taken out of the users file: the binding at Kamailio ends within seconds, though her browser stays
        connected."""
        await self.in_place()
        self.write_users(f"carol@{DOMAIN}")
        await self.no_binding()

    async def test_account_is_removed(self) -> None:
        """So it does where her line no longer names the account; she stays logged in at the proxy."""
        alice = await self.in_place()
        self.write_users(f"alice@{DOMAIN}", f"carol@{DOMAIN}")
        await self.no_binding()
        await alice.register()

    async def test_line_is_removed(self) -> None:
        """So it does where the trunk's file loses the account: from then on she hears the trunk's challenge."""
        alice = await self.in_place()
        self.write_accounts(None)
        await self.no_binding()
        self.assertEqual(401, (await self.registers(alice)).status)
        self.browsers.remove(alice)
        await alice.register()

    async def test_account_moves(self) -> None:
        """The account is another user's now, who registers it: the trunk rings that browser, and not alice's."""
        alice = await self.in_place()
        self.write_users(f"alice@{DOMAIN}", f"carol@{DOMAIN} account={ACCOUNT}")
        await self.no_binding()
        carol = await self.logged_in("carol")
        self.assertEqual(200, (await self.registers(carol)).status)
        await self.rings(carol)
        self.assertEqual([], alice.requests("INVITE"))


class RegisteringInWorkers(Registering):
    """The same with two workers."""

    more = (("workers = @workers@", "workers = 2"),)


class Calls(AccountsCase):
    """Calls from and to the trunk."""

    async def test_in(self) -> None:
        """The trunk calls the account: alice's browser rings, answers, and the caller hangs up."""
        await self.rings(await self.in_place())

    async def test_out(self) -> None:
        """Alice calls a number by her own name, and an address at the trunk by that of the account: Kamailio's 407 is
        answered with the account, and she hears nothing of that."""
        alice, trunk = await self.in_place(), await self.peer(free_port())
        await self.pays(alice, alice.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}"), trunk)
        alice.aor = f"sip:{ACCOUNT}@pbx.test"
        await self.pays(alice, alice.invite(f"sip:auth-{trunk.port}@pbx.test"), trunk)

    async def test_without_registration_there(self) -> None:
        """Calls out are paid with the account also where the page has not registered it."""
        alice, trunk = await self.logged_in(), await self.peer(free_port())
        await self.pays(alice, alice.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}"), trunk)

    async def test_without_account(self) -> None:
        """Who has no account hears the trunk's challenge: the one of somebody else is not used."""
        carol, trunk = await self.logged_in("carol"), await self.peer(free_port())
        self.browsers.remove(carol)
        self.assertEqual(407, (await carol.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}").final()).status)
        await trunk.silence(0.3)

    async def test_wrong_password(self) -> None:
        """Where the trunk refuses the account, the call ends, with no challenge that the browser could not answer."""
        self.write_accounts("mistyped")
        alice, trunk = await self.logged_in(), await self.peer(free_port())
        response = await alice.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}").final()
        self.assertNotIn(response.status, (401, 407))
        await trunk.silence(0.3)


class BesideOwnAccount(AccountsCase):
    """A trunk that has an account of its own, which users without one share."""

    trunk, host = "upstream", "upstream.test"

    async def test_out(self) -> None:
        """Alice calls with hers, carol with the trunk's."""
        alice, carol, trunk = await self.logged_in(), await self.logged_in("carol"), await self.peer(free_port())
        for browser, account in ((alice, ACCOUNT), (carol, "alice")):
            await self.pays(browser, browser.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}"), trunk, account)


class ByToken(AccountsCase):
    """A claim names the account (`claims = account=extension`)."""

    async def with_token(self, **claims: object) -> Browser:
        """A browser that connects with a token of dave's, who stands in no file."""
        now = time()
        token = secret_token(sub="dave", aud=AUDIENCE, iat=now, exp=now + 600, **claims)
        browser = await self.browser("dave", domain=DOMAIN, protocols=("sip", f"token.{token}"))
        self.browsers.append(browser)
        return browser

    async def test_claim(self) -> None:
        """Dave registers the account without a word of a password, is called by the trunk, calls by it, and leaves."""
        dave, trunk = await self.with_token(extension=ACCOUNT), await self.peer(free_port())
        self.assertEqual(200, (await self.registers(dave)).status)
        self.assertEqual(1, len(await self.bindings()))
        await self.rings(dave)
        await self.pays(dave, dave.invite(f"sip:{NUMBER}{trunk.port}@{DOMAIN}"), trunk)
        self.assertEqual(200, (await self.registers(dave, expires=0)).status)
        self.assertEqual([], await self.bindings())

    async def test_at_trunk(self) -> None:
        """`TRUNK/NAME` names that trunk's; one of another trunk is nothing here."""
        dave = await self.with_token(extension=f"pbx/{ACCOUNT}")
        self.assertEqual(200, (await self.registers(dave)).status)
        other = await self.with_token(extension=f"paid/{ACCOUNT}")
        self.browsers.remove(other)  # it hears the trunk's challenge
        self.assertEqual(401, (await self.registers(other)).status)

    async def test_without_claim(self) -> None:
        """Without the claim, and with one that no line has, there is no account."""
        for claims in ({}, {"extension": "nobody"}, {"account": ACCOUNT}):
            dave = await self.with_token(**claims)
            self.browsers.remove(dave)  # he hears the trunk's challenge
            self.assertEqual(401, (await self.registers(dave)).status)
        self.assertEqual([], await self.bindings())


class Sha256(AccountsCase):
    """A registrar that asks for SHA-256 (RFC 8760)."""

    trunk, host = "modern", "modern.test"

    async def setUp(self) -> None:
        self.modern = Kamailio("SHA-256", LAB.modern)
        self.addCleanup(self.modern.stop)
        await self.modern.start()
        await super().setUp()

    @property
    def registrar(self) -> Kamailio:
        return self.modern

    async def test_registers(self) -> None:
        """The account is registered and called there."""
        await self.rings(await self.in_place())
