"""What every test with Asterisk has in common: it runs, and the proxy knows it by the names of several tenants."""

import tempfile
from pathlib import Path
from typing import ClassVar

from tests.browser.case import BrowserCase, Phone
from tests.support.authority import Authority
from tests.support.real.asterisk import PASSWORD, Asterisk
from tests.support.real.case import RealCase
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser

MUSIC_HERTZ = 500
MILLIWATT_HERTZ = 1004
DOMAIN = "asterisk.test"
TLS_PORT = free_port()
SECTIONS = """
[trunk asterisk]
host = asterisk.test
proxy = 127.0.0.1:@asterisk@

[trunk asterisk-tcp]
host = tcp.asterisk.test
proxy = 127.0.0.1:@asterisk@
transport = tcp

[trunk asterisk-tls]
host = tls.asterisk.test
proxy = 127.0.0.1:@asterisk-tls@
transport = tls
tls-ca = @authority@

[trunk asterisk-srtp]
host = srtp.asterisk.test
proxy = 127.0.0.1:@asterisk@
media = srtp
"""
LISTENS = f"""listen = udp:{{sip}}:interface={LOOPBACK}
  tcp:{{sip}}:interface={LOOPBACK}
  tls:{TLS_PORT}:interface={LOOPBACK}:privateKey=key.pem:certKey=cert.pem
"""


class AsteriskCase(RealCase):
    """A proxy that is as safe as it comes, and an Asterisk, which all tests of a run share.

    :cvar sections: of the proxy's configuration, for its trunks.
    :cvar options: further changes of that configuration.
    """

    sections: ClassVar[str] = SECTIONS
    options: ClassVar[tuple[tuple[str, str], ...]] = ()
    asterisk: ClassVar[Asterisk | None] = None
    authority: ClassVar[Authority | None] = None
    pbx: Asterisk

    async def setUp(self) -> None:
        cls = AsteriskCase
        if cls.authority is None:
            cls.authority = Authority(Path(tempfile.mkdtemp(prefix="webrtcproxy-authority-")))
        if cls.asterisk is None or not cls.asterisk.alive:
            cls.asterisk = Asterisk()
        words = {
            "asterisk": cls.asterisk.port, "asterisk-tls": cls.asterisk.tls, "authority": cls.authority.file,
        }  # fmt: skip
        text = self.sections
        for word, value in words.items():
            text = text.replace(f"@{word}@", str(value))
        self.changes = (
            ("[access]\n", f"{text}\n[access]\n"), ("@credentials@", "registered"),
            (f"listen = udp:{{sip}}:interface={LOOPBACK}\n", LISTENS), *self.options,
        )  # fmt: skip
        await super().setUp()
        if cls.asterisk.proxy != self.proxy.sip:
            if cls.asterisk.alive:
                cls.asterisk.kill()
            cls.asterisk.lead_to(self.proxy.sip, cls.authority)
            await cls.asterisk.start()
        self.pbx = cls.asterisk
        self._heard = self.pbx.log_size()
        self.addCleanup(self._show)

    def _show(self) -> None:
        """With a new failure, Asterisk's log is shown as the others' are."""
        if self._count(self._result) > self._failures:
            print(f"\n--- {self.id()}: Asterisk's log\n{self.pbx.log(self._heard)[-6000:]}")

    async def account(self, number: str = "1001", domain: str = DOMAIN) -> Browser:
        """A WebSocket client that has registered at Asterisk, which challenges it."""
        phone = await self.browser(number, domain=domain, password=PASSWORD)
        await phone.register()
        return phone

    async def told(self, text: str) -> None:
        """Wait until Asterisk's log has this text, from the test's start on."""
        await self.pbx.told(text, self._heard)


class AsteriskBrowserCase(AsteriskCase, BrowserCase):
    """The same with pages in a browser."""

    async def page(self, number: str = "1001", library: str = "jssip", domain: str = DOMAIN) -> Phone:
        """A page that has registered at Asterisk, which challenges it."""
        phone = await self.phone(library, number, PASSWORD, uri=f"sip:{number}@{domain}")
        self.assertEqual(200, (await phone.register())["code"])
        return phone

    async def call(self, caller: Phone, callee: Phone, domain: str = DOMAIN) -> None:
        """A page calls another one by way of Asterisk, and they hear each other."""
        await caller.do("call", f"sip:{callee.user}@{domain}")
        incoming = await callee.event("incoming")
        self.assertIn(f"sip:{caller.user}@", incoming["from"])
        await callee.do("answer")
        for phone in (callee, caller):
            await phone.event("confirmed")
        await self.heard(caller, callee)

    async def dial(self, phone: Phone, number: str) -> None:
        """A page calls a number that Asterisk answers itself."""
        await phone.do("call", f"sip:{number}@{DOMAIN}")
        await phone.event("confirmed")

    async def heard(self, *phones: Phone) -> None:
        """Each page is heard and hears."""
        for phone in phones:
            await phone.assert_audio()

    async def change(self, phone: Phone, how: str) -> None:
        """A page holds its call, or goes on with it, and the other side has agreed."""
        await phone.do("change", how)
        await phone.event("changed")

    async def hang_up(self, by: Phone, *others: Phone) -> None:  # type: ignore[override]
        """A page hangs up, and the others are told."""
        await by.do("hangup")
        for other in others:
            self.assertEqual("remote", (await other.event("ended"))["by"])
        await by.event("ended")

    async def tone(self, phone: Phone, hertz: int) -> None:
        """The page hears a tone that lasts."""
        heard: list[int] = []
        for _ in range(10):
            heard = await phone.do("tones", 1000)
            if sum(abs(pitch - hertz) < 50 for pitch in heard) > len(heard) * 0.8:
                return
        raise AssertionError(f"{phone.user} hears no {hertz} Hz, but {heard}")

    async def music(self, phone: Phone) -> None:
        """The page hears Asterisk's music on hold."""
        await self.tone(phone, MUSIC_HERTZ)

    async def no_music(self, phone: Phone) -> None:
        """The page hears no music, or no longer."""
        heard: list[int] = []
        for _ in range(3):
            heard = await phone.do("tones", 1000)
            if not any(abs(pitch - MUSIC_HERTZ) < 50 for pitch in heard):
                return
        raise AssertionError(f"{phone.user} hears music: {heard}")
