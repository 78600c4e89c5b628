"""Who may do what (design.rst: origins, destinations, sources; RFC 7118, RFC 6455)."""

from pathlib import Path
from typing import ClassVar

from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Calling, stranger
from tests.support.real.speech import PLAIN_SDP


class Origins(RealCase):
    """`origins`: which pages may connect."""

    changes: ClassVar = (("origins = *", "origins = https://phone.example.com https://*.example.org"),)

    async def test_origins(self) -> None:
        """The ones in the list and below the wildcard connect, any other is refused before the upgrade."""
        for origin in ("https://phone.example.com", "https://a.example.org", "https://PHONE.example.com:443"):
            browser = await self.browser(origin=origin)
            await browser.close()
        for origin in ("https://evil.example.com", "https://example.org.evil.test", "http://phone.example.com", "null"):
            with self.assertRaises(ConnectionError, msg=origin) as caught:
                await self.browser(origin=origin)
            self.assertIn("403", str(caught.exception))


class OriginsOfApps(RealCase):
    """`origins` of apps, as these send them (RFC 6454 section 4)."""

    changes: ClassVar = (("origins = *", "origins = app://. capacitor://localhost file:// ionic://localhost:8080"),)

    async def test_origins(self) -> None:
        """Those that are named connect, in any case; others of the same schemes, and sites, do not (field.rst W11: Page
        of an app)."""
        for origin in (
            "app://.",
            "capacitor://localhost",
            "CAPACITOR://LocalHost",
            "file://",
            "ionic://localhost:8080",
        ):
            browser = await self.browser(origin=origin)
            await browser.close()
        for origin in (
            "app://evil",
            "capacitor://evil",
            "file://evil",
            "null",
            "https://localhost",
            "ionic://localhost",
        ):
            with self.assertRaises(ConnectionError, msg=origin) as caught:
                await self.browser(origin=origin)
            self.assertIn("403", str(caught.exception))


class Destinations(RealCase):
    """`destinations`: where a browser may call and register. And whatever else points somewhere is not followed."""

    async def test_elsewhere_is_forbidden(self) -> None:
        """INVITE and REGISTER to a host that is no trunk's: 403, and not a datagram goes there."""
        elsewhere = await self.peer(address="127.0.0.9", port=5060)
        browser = await self.browser()
        self.assertEqual(403, (await browser.invite("sip:0900@127.0.0.9").final()).status)
        self.assertEqual(403, (await browser.invite("sip:0900@127.0.0.9;transport=tcp").final()).status)
        register = browser.build("REGISTER", "sip:127.0.0.9", to="<sip:alice@127.0.0.9>")
        browser.send(register)
        self.assertEqual(403, (await browser.response(register)).status)
        await elsewhere.silence(0.3)

    async def test_what_points_elsewhere(self) -> None:
        """Route, maddr in the Request-URI and the Via, the browser's Contact: none is followed."""
        elsewhere, trunk = await self.peer(address="127.0.0.9", port=5060), await self.peer()
        browser = await self.browser()
        browser.contact = "sip:alice@127.0.0.9"
        for target, headers in (
            (f"sip:echo@{self.plain}", [("Route", "<sip:127.0.0.9;lr>")]),
            (f"sip:echo@{self.plain};maddr=127.0.0.9", []),
        ):
            calling = browser.invite(target, headers=headers)
            invite = await trunk.request("INVITE")
            self.assertNotIn("Route", invite.headers)
            callee = trunk.accept(invite)
            caller = await calling.answered()
            await trunk.request("ACK")
            await self.hang_up(callee, caller)
        options = browser.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
        options.headers.set("Via", f"SIP/2.0/WSS 127.0.0.9;maddr=127.0.0.9;branch=z9hG4bK{stranger()}")
        browser.send(options)
        self.assertEqual(200, (await browser.response(options)).status)
        await elsewhere.silence(0.3)

    async def test_via_of_a_trunk_is_not_followed(self) -> None:
        """A reply goes to where the request came from, whatever maddr its Via has (RFC 3581)."""
        elsewhere, trunk = await self.peer(address="127.0.0.9", port=5060), await self.peer()
        options = trunk.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
        options.headers.set("Via", f"SIP/2.0/UDP 127.0.0.9;maddr=127.0.0.9;rport;branch=z9hG4bK{stranger()}")
        trunk.send(options)
        self.assertEqual(200, (await trunk.response(options)).status)
        await elsewhere.silence(0.3)


class Sources(RealCase):
    """`sources`: who may call in."""

    async def test_unknown_source_gets_nothing(self) -> None:
        """An INVITE from an address that is no trunk's and no registrar's: not a byte back, nobody rings."""
        browser = await self.registered()
        scanner = await self.peer(address="127.0.0.9", port=5062)
        for target in ("sip:alice@pbx.test", f"sip:100@127.0.0.1:{self.proxy.sip}"):
            scanner.invite(target)
        to = f"<sip:alice@pbx.test>;tag={stranger()}"
        tagged = scanner.build("INVITE", "sip:alice@pbx.test", to=to, body=PLAIN_SDP)
        scanner.send(tagged)
        await scanner.silence(0.7)
        await browser.silence(0)

    async def test_storm(self) -> None:
        """3000 INVITEs of a scanner: not a byte back, no memory kept, and the next request of a browser is served."""
        browser = await self.browser()
        scanner = await self.peer(address="127.0.0.9", port=5062)
        before = self._memory()
        for number in range(3000):
            scanner.send(scanner.build("INVITE", f"sip:{number}@127.0.0.1:{self.proxy.sip}", body=PLAIN_SDP))
            if number % 100 == 99:
                options = browser.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
                browser.send(options)
                self.assertEqual(200, (await browser.response(options)).status)
        await scanner.silence(0.2)
        self.assertLess(self._memory() - before, 8_000, "kB")

    def _memory(self) -> int:
        """Resident memory of the proxy, in kB."""
        status = Path(f"/proc/{self.proxy.pid}/status").read_text()
        return int(status.partition("VmRSS:")[2].split()[0])

    async def test_made_up_to_tag_is_no_ticket(self) -> None:
        """A To tag that nobody gave out: 481 to a trunk and to a browser (RFC 3261 12.2.2), nothing to a stranger."""
        trunk, browser = await self.peer(), await self.browser()
        scanner = await self.peer(address="127.0.0.9", port=5062)
        for phone in (trunk, browser, scanner):
            for method in ("INVITE", "BYE", "INFO"):
                uri = f"sip:x@127.0.0.1:{self.proxy.sip}"
                body = PLAIN_SDP if method == "INVITE" else b""
                calling = Calling(phone, phone.build(method, uri, to=f"<{uri}>;tag={stranger()}", body=body))
                if phone is not scanner:
                    final = await (calling.final() if method == "INVITE" else phone.response(calling.invite))
                    self.assertEqual(481, final.status, method)
        await scanner.silence(0.5)


class RegistrarAsSource(RealCase):
    """A registrar that is no trunk: `destinations` names it."""

    changes: ClassVar = (("destinations = trunks", "destinations = trunks 127.0.0.9"),)

    async def test_heard_while_it_has_a_binding(self) -> None:
        """Before that it gets nothing; then it may call the browser that is registered there, and nobody else."""
        registrar = await self.peer(address="127.0.0.9", port=5064)
        browser = await self.browser(domain="127.0.0.9:5064")
        other = await self.registered("bob")
        registrar.invite("sip:x@127.0.0.1")
        await registrar.silence(0.3)
        register = browser.registration()
        browser.send(register)
        request = await registrar.request("REGISTER")
        contact = request.headers.get("Contact") or ""
        registrar.reply(request, 200, headers=[("Contact", contact), ("Expires", "600")])
        self.assertEqual(200, (await browser.response(register)).status)
        calling = registrar.invite(contact.partition("<")[2].partition(">")[0])
        browser.reply(await browser.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        self.assertIn((await registrar.invite("sip:bob@pbx.test").final()).status, (403, 404, 480))
        await other.silence(0)


class NamedSources(RealCase):
    """`sources` where they are named."""

    changes: ClassVar = (("host = pbx.test\n", "host = pbx.test\nsources = 127.0.0.1 127.0.0.8/31\n"),)

    async def test_named_network(self) -> None:
        """An address of the network may call in."""
        browser = await self.registered()
        trunk = await self.peer(address="127.0.0.9", port=5062)
        calling = trunk.invite("sip:alice@pbx.test")
        browser.reply(await browser.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)


class Mirror(RealCase):
    """A trunk that is the proxy itself."""

    changes: ClassVar = (("[trunk paid]", "[trunk mirror]\nhost = 127.0.0.1:{sip}\n\n[trunk paid]"),)

    async def test_call_to_itself_ends(self) -> None:
        """A call that the configuration leads back to the proxy ends with a final answer, and does not go round."""
        browser = await self.browser()
        final = await browser.invite(f"sip:echo@127.0.0.1:{self.proxy.sip}").final(3)
        self.assertIn(final.status, (404, 480, 482, 483))
        options = browser.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
        browser.send(options)
        self.assertEqual(200, (await browser.response(options)).status)


class BadRequests(RealCase):
    """Issue: "Bad input"."""

    async def test_refused_with_the_right_code(self) -> None:
        """Method: 501/405 with Allow where it has nowhere to go, scheme: 416, Require: 420, Max-Forwards 0: 483
        (RFC 3261 8.2, 16.3)."""
        browser, trunk = await self.browser(), await self.peer()
        target = f"sip:echo@{self.plain}"
        unknown = trunk.build("FROBNICATE", f"sip:127.0.0.1:{self.proxy.sip}")
        scheme = browser.build("INVITE", "soap:echo@pbx.test", body=PLAIN_SDP)
        require = browser.build("INVITE", target, headers=[("Require", "nothingSupportsThis")], body=PLAIN_SDP)
        hops = browser.build("INVITE", target, body=PLAIN_SDP)
        hops.headers.set("Max-Forwards", "0")
        for request, statuses, header in (
            (unknown, (405, 501), "Allow"), (scheme, (416,), "Via"),
            (require, (420,), "Unsupported"), (hops, (483,), "Via"),
        ):  # fmt: skip
            phone = trunk if request is unknown else browser
            phone.send(request)
            response = await phone.response(request)
            self.assertIn(response.status, statuses)
            self.assertIn(header, response.headers)

    async def test_tel_is_the_trunks(self) -> None:
        """A tel: URI is handled by the trunk's host (the original: segmentation fault)."""
        browser = await self.browser()
        final = await browser.invite("tel:+493012345").final()
        self.assertNotIn(final.status, (400, 416))

    async def test_broken_names_the_header(self) -> None:
        """400 with a reason phrase that names the header."""
        browser = await self.browser()
        for header, value in (("CSeq", "x REGISTER"), ("To", "<sip:a@b"), ("From", '"broken <sip:a@b>;tag=1')):
            broken = browser.build("REGISTER", f"sip:127.0.0.1:{self.proxy.sip}")
            data = broken.to_bytes().replace(
                f"{header}: {broken.headers.get(header)}".encode(), f"{header}: {value}".encode()
            )
            browser.send_bytes(data)
            response = await browser.message(
                lambda message: getattr(message, "status", 0) >= 400, f"400 for {header}", 3
            )
            self.assertEqual(400, response.status)
            self.assertIn(header, response.reason)

    async def test_too_large(self) -> None:
        """A WebSocket message over the limit ends that connection with 1009, and no other (RFC 6455 7.4.1)."""
        browser, other = await self.browser(), await self.browser("bob")
        browser.send_bytes(b"x" * 70000)
        code, _ = await browser.closed
        self.assertEqual(1009, code)
        options = other.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
        other.send(options)
        self.assertEqual(200, (await other.response(options)).status)

    async def test_options(self) -> None:
        """OPTIONS tells what the proxy can, to browsers and trunks (RFC 3261 11)."""
        for phone in (await self.browser(), await self.peer(LAB.plain)):
            options = phone.build("OPTIONS", f"sip:127.0.0.1:{self.proxy.sip}")
            phone.send(options)
            response = await phone.response(options)
            self.assertEqual(200, response.status)
            for name in ("Allow", "Accept", "Supported"):
                self.assertIn(name, response.headers)
