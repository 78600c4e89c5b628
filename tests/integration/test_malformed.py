"""What decides nothing kills nothing, with a real rtpengine: malformed datagrams of a trunk, and messages of a browser
that counts characters (docs/decisions.rst)."""

from __future__ import annotations

from collections.abc import Callable

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.softphone import Peer
from tests.support.real.speech import PLAIN_SDP

MIXED = (
    b"--o\nContent-Type: multipart/alternative;boundary=i\n\n--i\nContent-Type: text/plain\n\nhello\n"
    b"--i\nContent-Type: application/sdp\n\n" + PLAIN_SDP + b"\n--i--\n--o--\n"
)


TEXT = [("Content-Type", "text/plain")]


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replaces text once."""
    return lambda data: data.replace(old, new, 1)


ANSWERS: tuple[Callable[[bytes], bytes], ...] = (
    replacing(b"\r\nContent-Length: ", b"\r\nContent-Length: 3\r\nContent-Length: "),
    replacing(b"\r\nContent-Length: ", b"\r\nNonsense\r\nl: 1"),
    replacing(b"\r\nContact: <", b'\r\nContact: ""a"" <'),
    lambda data: data.partition(b"Content-Type")[0] + b"c: multipart/mixed;boundary=o\r\n\r\n" + MIXED,
)
"""How a 200 to an INVITE is malformed."""


class Malformed(RealCase):
    """One proxy, many messages."""

    def sending(self, trunk: Peer, change: Callable[[bytes], bytes]) -> None:
        """From now on, what the trunk sends is changed."""
        self.patch(trunk, "send_bytes", lambda data, to=None: Peer.send_bytes(trunk, change(data), to))

    async def test_trunk(self) -> None:
        """Calls come up by a 200, and end by a BYE, that are malformed."""
        browser, trunk = await self.browser(), await self.peer()
        for change in ANSWERS:
            self.sending(trunk, lambda data: data)
            calling = browser.invite(f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            self.sending(trunk, change)
            callee = trunk.accept(invite)
            answer = await calling.final()
            self.assertIn(b"UDP/TLS/RTP/SAVPF", answer.body)
            caller = Dialog.of_caller(browser, calling.invite, answer)
            caller.ack()
            await trunk.request("ACK")
            self.sending(trunk, replacing(b"\r\nFrom: ", b'\r\nExpires: soon\r\nl: 7\r\nFrom: "x '))
            await self.hang_up(callee, caller)
        self.assertIn("is malformed, and taken as far as it can be read", self.proxy.log(self._log_start))

    async def test_browser(self) -> None:
        """A text whose Content-Length counts characters arrives whole, and the connection stays."""
        browser, trunk = await self.browser(), await self.peer()
        text = "Привет, как дела?".encode()
        for length in (len(text.decode()), len(text) + 5):
            message = browser.build("MESSAGE", f"sip:bob@{self.plain}", headers=TEXT, body=text)
            data = message.to_bytes()
            browser.send_bytes(data.replace(b"Content-Length: %d" % len(text), b"Content-Length: %d" % length))
            heard = await trunk.request("MESSAGE")
            self.assertEqual(heard.body, text)
            trunk.reply(heard, 200)
            self.assertEqual(200, (await browser.response(message)).status)
