"""Telephone numbers of a trunk (docs/numbers.rst): real twistd and rtpengine, Kamailio as the trunk, which knows
numbers in the form that they are sent in, and SIPp as its callers."""

from __future__ import annotations

import subprocess
from pathlib import Path
from tempfile import mkdtemp
from typing import ClassVar

from tests.integration.test_users import HomeCase
from tests.support.real.domain import DOMAIN, Home
from tests.support.real.part import until
from tests.support.real.ports import free_port
from tests.support.real.softphone import Browser
from tests.support.real.speech import CHROME_ANSWER

OWN = "493012345"
"""The number of alice, without ``+``."""


class NumbersCase(HomeCase):
    """alice has a number, bob none; further options of the trunk.

    :cvar host: the line after which they stand.
    :cvar options: lines of the section of the trunk.
    :cvar access: lines of `[access]`.
    """

    host: ClassVar[str] = "host = upstream.test\n"
    options: ClassVar[str] = ""
    access: ClassVar[str] = ""

    @classmethod
    def make_home(cls) -> Home:
        home = Home()
        lines = home.users.read_text().splitlines()
        home.users.write_text("".join(f"{line} {cls.attributes(line)}\n" for line in lines))
        changed = (cls.host, f"{cls.host}{cls.options}\n"), ("[access]\n", f"[access]\n{cls.access}\n")
        home.changes = (*home.changes, *changed)
        return home

    @staticmethod
    def attributes(line: str) -> str:
        """What a line of the users file has besides."""
        return f"numbers=+{OWN}" if line.startswith("alice@") else ""

    async def rung(self, uri: str, *browsers: Browser, to: str = "", headers: tuple[tuple[str, str], ...] = ()) -> str:
        """Have the trunk call: the one browser that rings, which refuses; or the status."""
        trunk = await self.peer(free_port())
        invite = trunk.build("INVITE", uri, to=f"<{to or uri}>", headers=headers)
        before = {browser: len(browser.requests("INVITE")) for browser in browsers}

        def ringing() -> list[Browser]:
            return [browser for browser in browsers if len(browser.requests("INVITE")) > before[browser]]

        trunk.send(invite)
        await until(lambda: ringing() or any(getattr(each, "status", 0) >= 300 for each in trunk.received), "a sign")
        found = ringing()
        for browser in found:
            browser.reply(await browser.request("INVITE"), 486)
            await browser.request("ACK")
        final = await trunk.response(invite)
        return " ".join(browser.user for browser in found) or str(final.status)


class Plus(NumbersCase):
    """`+e164`."""

    options = "number-format = +e164\ncaller-id = both"
    access = "country = 49\ndeny = +49900*"
    called, shown, sent = "+4930{}", f"+{OWN}", "+49301234567"

    async def test_out(self) -> None:
        """However she dials it, Kamailio challenges the number in its own form, and passes the call on; who calls is a
        number in that form, too; the call is answered and ends."""
        alice, trunk = await self.in_house(), await self.peer(free_port())
        number = self.called.format(trunk.port)
        for dialled in (
            f"+4930{trunk.port}",
            f"0049%2030-{trunk.port}",
            f"030%20{str(trunk.port)[:2]}.{str(trunk.port)[2:]}",
        ):
            trunk.received.clear()
            calling = alice.invite(f"sip:{dialled}@{DOMAIN}")
            invite = await trunk.request("INVITE")
            self.assertEqual((f"sip:{number}@upstream.test",) * 2, (invite.uri, invite.to.uri), dialled)
            self.assertEqual(f"sip:{self.shown}@upstream.test", invite.from_.uri)
            self.assertEqual([f"<sip:{self.shown}@upstream.test>"], invite.headers.lines("P-Asserted-Identity"))
            callee = trunk.accept(invite)
            caller = await calling.answered()
            await trunk.request("ACK")
            await self.hang_up(caller, callee)

    async def test_denied(self) -> None:
        """No form is a way around `deny`."""
        alice = await self.in_house()
        for number in ("+49900123456", "0900-123456", "0049%20900123456"):
            self.assertEqual(403, (await alice.invite(f"sip:{number}@{DOMAIN}").final()).status, number)

    async def test_in(self) -> None:
        """Kamailio's number of alice rings her, and she sees who calls as a number that she can dial (field.rst G:
        Number in the Request-URI)."""
        alice, trunk = await self.in_house(), await self.peer(free_port())
        trunk.aor = f"sip:{self.sent}@upstream.test"
        uri = f"sip:{self.shown}@upstream.test"
        calling = trunk.invite(uri, headers=[("P-Asserted-Identity", f"<sip:{self.sent}@upstream.test>")])
        invite = await alice.request("INVITE")
        self.assertEqual("sip:+49301234567@upstream.test", invite.from_.uri)
        self.assertEqual(["<sip:+49301234567@upstream.test>"], invite.headers.lines("P-Asserted-Identity"))
        alice.reply(invite, 486)
        self.assertEqual(486, (await calling.final()).status)


class Digits(Plus):
    """`e164`."""

    options = "number-format = e164\ncaller-id = both"
    called, shown, sent = "4930{}", OWN, "49301234567"


class National(Plus):
    """`national`."""

    options = "number-format = national\ncaller-id = both"
    called, shown, sent = "030{}", "03012345", "0301234567"


class Abroad(NumbersCase):
    """`national` of another country."""

    options = "number-format = national 43 0"
    access = "country = 49"

    async def test_out(self) -> None:
        """Numbers of that country are dialled as they are there, those of others with 00."""
        alice, trunk = await self.in_house(), await self.peer(free_port())
        for dialled, sent in (
            (f"+4330{trunk.port}", f"030{trunk.port}"),
            (f"0043%2030{trunk.port}", f"030{trunk.port}"),
        ):
            trunk.received.clear()
            calling = alice.invite(f"sip:{dialled}@{DOMAIN}")
            invite = await trunk.request("INVITE")
            self.assertEqual(f"sip:{sent}@upstream.test", invite.uri)
            trunk.reply(invite, 486)
            self.assertEqual(486, (await calling.final()).status)


class Separators(NumbersCase):
    """By default only what people write between digits is left out."""

    async def test_out(self) -> None:
        """From a user of the domain, and from a browser that has registered at Kamailio, until its own digest is for
        the number as it is written (field.rst W12: Visual separators)."""
        alice, bob, trunk = await self.in_house(), await self.registered("bob"), await self.peer(free_port())
        number = f"+49%20(30)%20{str(trunk.port)[:3]}-{str(trunk.port)[3:]}"
        calling = alice.invite(f"sip:{number}@{DOMAIN}")
        invite = await trunk.request("INVITE")
        self.assertEqual(f"sip:+4930{trunk.port}@upstream.test", invite.uri)
        trunk.reply(invite, 486)
        self.assertEqual(486, (await calling.final()).status)
        self.assertEqual(407, (await bob.invite(f"sip:{number}@pbx.test").final()).status)
        digest = f'Digest username="bob", realm="x", nonce="x", uri="sip:{number}@pbx.test", response="x"'
        answering = bob.invite(f"sip:{number}@pbx.test", headers=[("Proxy-Authorization", digest)])
        self.assertEqual(404, (await answering.final()).status, "Kamailio knows no number that is written so")


class File(NumbersCase):
    """`numbers-file`."""

    folder: ClassVar[Path]

    @classmethod
    def make_home(cls) -> Home:
        cls.folder = Path(mkdtemp(prefix="numbers", dir=Path.cwd()))
        cls.write("+493099912 = bob@home.test\n+4930999* = alice@home.test\n")
        cls.options = f"numbers-file = {cls.folder / 'numbers'}"
        return super().make_home()

    @classmethod
    def write(cls, text: str) -> None:
        """Write the file, with 10 000 other lines in front."""
        others = "".join(f"+4940{each:07} = carol@home.test\n" for each in range(10_000))
        (cls.folder / "numbers").write_text(others + text)

    async def test_rings_and_changes(self) -> None:
        """A call of SIPp is answered by whom the file names, and after a change by another one; ``--check`` names a
        line that can't be used, by its number (field.rst G: Number in the Request-URI)."""
        alice, bob = await self.in_house(), await self.in_house("bob")
        self.assertEqual("alice", await self.rung("sip:+49309991@upstream.test", alice, bob))
        self.assertEqual("404", await self.rung("sip:+49309@upstream.test", alice, bob))
        for browser in (bob, alice):
            sipp = await self.sipp(
                "uac",
                port=None,
                target="{}:{}".format(*self.proxy.address),
                words={"target": "sip:+49-30-99912@upstream.test"},
            )
            browser.accept(await browser.request("INVITE"), CHROME_ANSWER)
            await browser.request("ACK")
            bye = await browser.request("BYE")
            browser.reply(bye, 200)
            await sipp.passed()
            self.write("+493099912 = alice@home.test\n")
            if browser is bob:
                await until(lambda: "has changed: 10001 lines" in self.proxy.log(self._log_start), "the change", 10)
        self.write("+49301 = nobody\n")
        command, environment = [*self.proxy.command(), "--check"], self.proxy.environment()
        run = subprocess.run(
            command, cwd=self.proxy.folder, env=environment, capture_output=True, text=True, timeout=30, check=False
        )
        self.assertIn(f"{self.folder / 'numbers'}:10001: 'nobody' is no USER@DOMAIN", run.stdout + run.stderr)
        self.assertNotEqual(0, run.returncode)


class InTo(NumbersCase):
    """`called-number = to`."""

    options = "called-number = to"

    async def test_rings(self) -> None:
        """Whatever is in the Request-URI (field.rst F: Telephone subscriber)."""
        alice, bob = await self.in_house(), await self.in_house("bob")
        for uri, to, rung in (
            ("sip:trunk@upstream.test", f"sip:+{OWN}@upstream.test", "alice"),
            ("sip:+4930@upstream.test", "sip:+49-30-12345;npdi@upstream.test;user=phone", "alice"),
            (f"sip:+{OWN}@upstream.test", "sip:+49309@upstream.test", "404"),
        ):
            self.assertEqual(rung, await self.rung(uri, alice, bob, to=to), (uri, to))


class InHeader(NumbersCase):
    """`called-number = p-called-party-id`, at a trunk that calls the Contact of its registration."""

    host = "host = pbx.test\n"
    options = f"called-number = p-called-party-id\nnumbers = +{OWN} = alice@{DOMAIN}"

    async def test_rings(self) -> None:
        """The number in the header, wherever the Request-URI leads; without one who has registered is called
        (field.rst G: Number in the Request-URI)."""
        alice, bob, caller = await self.in_house(), await self.registered("bob"), await self.kamailio_peer()
        for header, browser in (
            (f"<sip:+{OWN}@h>", alice),
            ("<tel:+49-30-12345>, <sip:x@h>", alice),
            ("<sip:x@h>", bob),
        ):
            calling = caller.invite("sip:bob@pbx.test", headers=[("P-Called-Party-ID", header)])
            browser.reply(await browser.request("INVITE"), 486)
            self.assertEqual(486, (await calling.final()).status)
