"""Asterisk behind the proxy: as a PBX that registers its accounts, and as a trunk that has no registrar.

Not among what ``sh etc/test.sh`` runs, since Debian has Asterisk in sid only: ``sh etc/asterisk.sh``.
"""

import tempfile
from pathlib import Path

from tests.asterisk.case import AsteriskCase
from tests.support.real import digest
from tests.support.real.softphone import Browser
from webrtcproxy.users.passwd import set_password

DOMAIN = "example.com"
NUMBER = "+493012340"
USERS = Path(tempfile.mkdtemp(prefix="webrtcproxy-users-")) / "users"

SECTIONS = f"""
[trunk asterisk]
host = 127.0.0.1:@asterisk@
set = X-Trunk: proxy
sources = 127.0.0.1
caller-id = both

[domain {DOMAIN}]
users = {USERS}
trunk = asterisk
"""


class TrunkCase(AsteriskCase):
    """Asterisk is the only trunk of its address."""

    sections = SECTIONS

    async def setUp(self) -> None:
        USERS.write_text(f"alice@{DOMAIN} name=Alice numbers={NUMBER}\n")
        set_password(USERS, f"alice@{DOMAIN}", "wonderland", DOMAIN)
        await super().setUp()

    async def user(self) -> Browser:
        """A browser of alice's that has logged in at the proxy."""
        phone = await self.browser("alice", domain=DOMAIN, password="wonderland")
        await phone.register()
        return phone


class WithRegistrar(TrunkCase):
    """A browser has an account at Asterisk; the proxy has none."""

    async def test_out(self) -> None:
        """It calls, answering Asterisk's challenge itself; Asterisk sees its account."""
        phone = await self.account(domain=self.pbx.host)
        calling = phone.invite(f"sip:600@{self.pbx.host}")
        challenge = await calling.final()
        self.assertEqual(401, challenge.status)
        value, uri = challenge.headers.get("WWW-Authenticate") or "", calling.invite.uri
        answer = digest.answer(value, "INVITE", uri, "1001", "wonderland")
        caller = await calling.again([("Authorization", answer)]).answered()
        await self.pbx.told("CALL 600 FROM 1001")
        bye = caller.send("BYE")
        self.assertEqual(200, (await phone.response(bye)).status)

    async def test_in(self) -> None:
        """Asterisk calls the account, and the browser rings."""
        phone = await self.account(domain=self.pbx.host)
        await self.pbx.order("channel originate PJSIP/1001 application Echo")
        callee = phone.accept(await phone.request("INVITE"))
        await phone.request("ACK")
        await self.pbx.order("channel request hangup all")
        await callee.hung_up()

    async def test_stranger(self) -> None:
        """Who has not registered calls nobody, though Asterisk trusts the proxy's address."""
        phone = await self.browser("mallory", domain=self.pbx.host)
        self.assertEqual(403, (await phone.invite(f"sip:600@{self.pbx.host}").final()).status)


class WithoutRegistrar(TrunkCase):
    """Asterisk is an elastic trunk, which knows the proxy by its address; the accounts are the proxy's."""

    async def test_out(self) -> None:
        """A user dials a number; Asterisk sees the number of its account, in From and in P-Asserted-Identity."""
        phone = await self.user()
        calling = phone.invite(f"sip:+441234567890@{DOMAIN}")
        caller = await calling.answered()
        await self.pbx.told(f"CALL +441234567890 FROM {NUMBER}")
        await self.pbx.told(f"<sip:{NUMBER}@{self.pbx.host}>")
        bye = caller.send("BYE")
        self.assertEqual(200, (await phone.response(bye)).status)

    async def test_in(self) -> None:
        """A called number rings the user that has it."""
        phone = await self.user()
        await self.pbx.order(f"channel originate PJSIP/{NUMBER}@proxy application Echo")
        callee = phone.accept(await phone.request("INVITE"))
        await phone.request("ACK")
        await self.pbx.order("channel request hangup all")
        await callee.hung_up()

    async def test_not_as_another(self) -> None:
        """Nobody shows a number that is not its own."""
        phone = await self.user()
        phone.aor = f"sip:+49112@{DOMAIN}"
        self.assertIn((await phone.invite(f"sip:+441234567890@{DOMAIN}").final()).status, (403, 407))
        self.assertNotIn("FROM +49112", self.pbx.log())
