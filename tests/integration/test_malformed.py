"""What decides nothing kills nothing, with a real rtpengine: malformed datagrams of a trunk, and messages of a browser
that counts characters (docs/decisions.rst)."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial

from tests.support.real.case import RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.softphone import Browser, Peer
from tests.support.real.speech import CHROME_OFFER, PLAIN_SDP

MIXED = (
    b"--o\nContent-Type: multipart/alternative;boundary=i\n\n--i\nContent-Type: text/plain\n\nhello\n"
    b"--i\nContent-Type: application/sdp\n\n" + PLAIN_SDP + b"\n--i--\n--o--\n"
)


TEXT = [("Content-Type", "text/plain")]
TWO_TYPES = b"Content-Type: text/plain\r\nContent-Type: application/sdp"


def replacing(old: bytes, new: bytes) -> Callable[[bytes], bytes]:
    """Replaces text that is there, once."""

    def change(data: bytes) -> bytes:
        assert old in data, (old, data)
        return data.replace(old, new, 1)

    return change


LENGTH = re.compile(rb"\r\nContent-Length: \d+")
ANSWERS: tuple[Callable[[bytes], bytes], ...] = (
    lambda data: LENGTH.sub(lambda found: found[0] * 2, data, count=1),
    replacing(b"\r\nContent-Type: ", b"\r\nContent-Type: application/sdp\r\nContent-Type: "),
    replacing(b"\r\nContact: <", b"\r\nContact: <sip:x@, <"),
    replacing(b">\r\nContent", b">;;q=;x\r\nContent"),
    replacing(b"\r\nContent-Length: ", b"\r\nContent-Length: 3\r\nContent-Length: "),
    replacing(b"\r\nContent-Length: ", b"\r\nNonsense\r\nl: 1"),
    replacing(b"\r\nContact: <", b'\r\nContact: ""a"" <'),
    lambda data: re.sub(rb"Contact: <([^;>]*)[^\r]*", rb'Contact: "a b" \1', data),
    lambda data: data.partition(b"Content-Type")[0] + b"c: multipart/mixed;boundary=o\r\n\r\n" + MIXED,
    lambda data: data.partition(b"Content-Type")[0] + b"c: multipart/mixed;boundary='p'\r\n\r\n--p\r\n" + PLAIN_SDP,
    replacing(b"SIP/2.0 200 OK", b" SIP/2.1  200"),
    lambda data: re.sub(rb"(CSeq: [0-9]+) INVITE", rb"\1 invite", data),
    lambda data: re.sub(rb"CSeq: [0-9]+", b"CSeq: x", data),
    lambda data: re.sub(rb"Contact: <([^;>]*)[^\r]*", rb"Contact: \1;x=;;", data),
    lambda data: re.sub(rb"Contact: <[^@>]*@([^;>]*)[^\r]*", rb"\g<0>\r\nRecord-Route: <sip:\1;;lr=on;x=>;=", data),
)
"""How a 200 to an INVITE is malformed."""


FROMS = {
    b'"Anonymous" <sip:@10.0.0.1>': "sip:anonymous@10.0.0.1",
    b"<sip:Front Desk@h>": "sip:Front%20Desk@h",
    b'""unknown"" <sip:7001@h>': "sip:7001@h",
    b"<sip:7001@h>;;x=": "sip:7001@h",
    b'"Joe <sip:7001@h>': "sip:7001@h",
    b"<sip:7001#1@h>": "sip:7001%231@h",
    b"<tel:+49 30 123>": "sip:+4930123@127.0.0.1;user=phone",
    b"<tel:123;phone-context=+49-30>": "sip:123;phone-context=+4930@127.0.0.1;user=phone",
    b'"Front Desk" sip:7001@h': "sip:7001@h",
    b"<sip:7001>": "sip:7001@127.0.0.1",
    b"Anonymous": "sip:anonymous@anonymous.invalid",
}
"""What a trunk writes into From, and whom the browser sees."""
INVITES: tuple[Callable[[bytes], bytes], ...] = (
    replacing(b";rport", b";rport="), replacing(b";branch", b";;branch"), replacing(b"\r\nMax", b"\r\nNonsense\r\nMax"),
    replacing(b"\r\nMax", b"\r\nExpires: Thu, 01 Dec 2027 16:00:00 GMT\r\nMax"),
    replacing(b"\r\nMax", b"\r\nSession-Expires: soon\r\nMin-SE: x\r\nMax"),
    replacing(b"\r\nMax-Forwards: 70", b"\r\nMax-Forwards: lots"),
    replacing(b"\r\nMax", b"\r\nSubject: a\0b\r\nMax"), replacing(b"From: ", b'From: "a\0b" '),
    lambda data: data.partition(b"Content-Type")[0] + b"c: multipart/mixed;boundary=o\r\n\r\n" + MIXED,
    lambda data: LENGTH.sub(lambda found: found[0] * 2, data, count=1),
    lambda data: LENGTH.sub(b"\r\nl:", data, count=1),
)  # fmt: skip
"""What else may be odd in its INVITE."""


def odd_invites(host: str) -> Iterator[tuple[Callable[[bytes], bytes], str]]:
    """What a trunk at `host` may do to its INVITE, and whom the browser sees then."""
    for text, shown in FROMS.items():
        yield replacing(b"From: <sip:trunk@%s>" % host.encode(), b"From: " + text), shown
    for change in INVITES:
        yield change, f"sip:trunk@{host}"


def changing(trunk: Peer, change: Callable[[bytes], bytes]) -> None:
    """From now on, what the trunk sends is changed."""
    trunk.send_bytes = lambda data, to=None: Peer.send_bytes(trunk, change(data), to)  # type: ignore[method-assign]


async def trunk_registers(browser: Browser, trunk: Peer) -> str:
    """The browser registers at the trunk. Returns the URI that calls it there."""
    register = browser.registration()
    browser.send(register)
    request = await trunk.request("REGISTER")
    contact = request.headers.get("Contact") or ""
    trunk.reply(request, 200, headers=[("Contact", contact)])
    await browser.response(register)
    return contact[1:].partition(">")[0]


class Malformed(RealCase):
    """One proxy, many messages."""

    async def test_trunk(self) -> None:
        """Calls come up by a 200, and end by a BYE, that are malformed (field.rst E: SDP deep in a multipart body;
        field.rst M: Malformed 200)."""
        browser, trunk = await self.browser(), await self.peer()
        for change in ANSWERS:
            changing(trunk, lambda data: data)
            calling = browser.invite(f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            changing(trunk, change)
            callee = trunk.accept(invite)
            answer = await calling.final()
            self.assertIn(b"UDP/TLS/RTP/SAVPF", answer.body)
            caller = Dialog.of_caller(browser, calling.invite, answer)
            caller.ack()
            await trunk.request("ACK")
            changing(trunk, replacing(b"\r\nFrom: ", b'\r\nExpires: soon\r\nl: 7\r\nFrom: "x '))
            await self.hang_up(callee, caller)
        self.assertIn("is malformed, and taken as far as it can be read", self.proxy.log(self._log_start))

    async def test_invites(self) -> None:
        """An INVITE with whatever in From, and with other odd headers, rings with a From that can be read; the call
        comes up and ends (field.rst H: Odd headers; field.rst E: SDP deep in a multipart body)."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        for change, shown in odd_invites(self.plain):
            changing(trunk, change)
            calling = trunk.invite(target)
            invite = await browser.request("INVITE")
            changing(trunk, lambda data: data)
            self.assertEqual(shown, invite.from_.uri)
            called = browser.accept(invite)
            caller = await calling.answered()
            await browser.request("ACK")
            await self.hang_up(caller, called)

    async def test_invites_of_browsers(self) -> None:
        """From and To of a browser's INVITE reach a trunk in their right form, and the call comes up and ends: none of
        their parameters is empty, nor is a tag in To, by which it would be in a dialog (field.rst H: Odd headers)."""
        browser, trunk = await self.browser(), await self.peer()
        callee, own = f"<sip:echo@{self.plain}>", f"<{browser.aor}>"
        for to, shown in (
            (f"{callee};tag=", callee),
            (f"{callee};;x=", callee),
            (f'""Echo"" {callee}', f'"Echo" {callee}'),
            (f'"Echo" {callee[1:-1]}', f'"Echo" {callee}'),
        ):
            calling = browser.build("INVITE", callee[1:-1], to=to, body=CHROME_OFFER)
            calling.headers.set("From", f'"Jo "J" Smith" {own};;x=;tag=a')
            browser.send(calling)
            invite = await trunk.request("INVITE")
            self.assertEqual(shown, invite.headers.get("To"))
            self.assertRegex(invite.headers.get("From") or "", f'^"Jo J Smith" {own};x;tag=[^;]+$')
            called = trunk.accept(invite)
            answer = await browser.response(calling, 200)
            calling.headers.set("To", answer.headers.get("To") or "")
            caller = Dialog.of_caller(browser, calling, answer)
            caller.ack()
            await trunk.request("ACK")
            await self.hang_up(called, caller)

    async def test_lines(self) -> None:
        """An INVITE whose Request-URI, Via or Content-Length has what decides nothing comes up (field.rst T: Odd
        INVITE)."""
        browser, trunk = await self.browser(domain=self.plain), await self.peer()
        target = await trunk_registers(browser, trunk)
        length = b"Content-Length: %d" % len(PLAIN_SDP)
        changes = [
            *(replacing(b" SIP/2.0\r\n", tail + b" SIP/2.0\r\n") for tail in (b";;", b';x="a"', b"?X=a")),
            lambda data: re.sub(rb"(Via: SIP/2.0/UDP )[^;]*", rb"\1(null):5060", data, count=1),
            replacing(length, length.replace(b": ", b": +")),
            replacing(length, b"%s,%s" % (length, length[15:])),
            replacing(length, b"Content-Length: (null)"),
        ]
        for change in changes:
            changing(trunk, change)
            calling = trunk.invite(target)
            invite = await browser.request("INVITE")
            changing(trunk, lambda data: data)
            called = browser.accept(invite)
            caller = await calling.answered()
            await browser.request("ACK")
            await self.hang_up(caller, called)

    async def test_type_of_the_answer(self) -> None:
        """SDP that a reliable 183, a 200 and an answer to a re-INVITE or UPDATE call plain text, alone or beside the
        right type, is SDP (field.rst W: Odd type of an answer)."""
        browser, trunk = await self.browser(), await self.peer()
        right = b"Content-Type: application/sdp"
        for new in (b"Content-Type: text/plain", TWO_TYPES, b"\r\n".join(reversed(TWO_TYPES.split(b"\r\n")))):
            calling = browser.invite(f"sip:echo@{self.plain}")
            invite = await trunk.request("INVITE")
            changing(trunk, lambda data, new=new: data.replace(right, new))  # type: ignore[misc]
            trunk.reply(invite, 183, headers=[("Require", "100rel"), ("RSeq", "1")], body=PLAIN_SDP)
            trunk.reply(await trunk.request("PRACK"), 200)
            allow = [("Allow", "INVITE, ACK, BYE, UPDATE, PRACK")]
            callee = Dialog.of_callee(trunk, invite, trunk.reply(invite, 200, headers=allow, body=PLAIN_SDP))
            caller = await calling.answered()
            await trunk.request("ACK")
            for method, said, heard in (("INVITE", b"sendonly", b"recvonly"), ("UPDATE", b"inactive", b"inactive")):
                asked = caller.send(method, body=CHROME_OFFER.replace(b"sendrecv", said))
                trunk.reply(await trunk.request(method), 200, body=PLAIN_SDP.replace(b"sendrecv", heard))
                self.assertIn(b"a=" + heard, (await browser.response(asked, 200)).body)
                if method == "INVITE":
                    caller.ack()
                    await trunk.request("ACK")
            trunk.send_bytes = partial(Peer.send_bytes, trunk)  # type: ignore[method-assign]
            await self.hang_up(callee, caller)

    async def test_browser(self) -> None:
        """A text whose Content-Length counts characters arrives whole, and the connection stays (field.rst W5:
        Characters counted)."""
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
