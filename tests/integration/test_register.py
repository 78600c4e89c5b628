"""REGISTER through the proxy, to Kamailio and to a scripted registrar (RFC 3261 10)."""

from tests.support.real import digest
from tests.support.real.case import LAB, RealCase
from tests.support.real.kamailio import PASSWORDS
from tests.support.real.part import pause
from tests.support.real.ports import LOOPBACK, free_port
from tests.support.real.softphone import Browser, Peer
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request, Response


def contacts(message: Request | Response) -> dict[str, str | None]:
    """The URIs in the Contact headers, with their `expires`."""
    found = message.contacts
    assert isinstance(found, list), found
    return {contact.uri: contact.param("expires") for contact in found}


class AtKamailio(RealCase):
    """Kamailio challenges with 401 and keeps what it was told."""

    async def _stored(self, user: str = "alice") -> list[NameAddr]:
        """What Kamailio has, asked directly."""
        peer = await self.kamailio_peer()
        peer.user, peer.password = user, PASSWORDS[user]
        query = peer.build("REGISTER", "sip:pbx.test", to=f"<sip:{user}@pbx.test>")
        query.headers.remove("Contact")
        response = await peer.ask(query)
        await peer.close()
        found = response.contacts if "Contact" in response.headers else []
        assert isinstance(found, list)
        return found

    async def test_register_refresh_and_leave(self) -> None:
        """The 200 has the browser's own Contact with expires, Kamailio one of the proxy's; Expires 0 takes both
        away."""
        browser = await self.browser(password=PASSWORDS["alice"])
        response = await browser.register(expires=300)
        self.assertEqual({browser.contact}, set(contacts(response)))
        self.assertLessEqual(int(contacts(response)[browser.contact] or 0), 300)
        stored = await self._stored()
        self.assertEqual(1, len(stored))
        self.assertEqual(("127.0.0.1", self.proxy.sip), stored[0].address.hostport)
        refreshed = await browser.register(expires=300)
        self.assertEqual({browser.contact}, set(contacts(refreshed)))
        self.assertEqual(1, len(await self._stored()))
        left = await browser.register(expires=0)
        self.assertNotIn("Contact", left.headers)
        self.assertEqual([], await self._stored())
        caller = await self.kamailio_peer()
        self.assertEqual(404, (await caller.invite("sip:alice@pbx.test").final()).status)

    async def test_star(self) -> None:
        """`Contact: *` with Expires 0 removes every binding, here and there (RFC 3261 10.2.2)."""
        browser = await self.browser(password=PASSWORDS["alice"])
        await browser.register()
        response = await browser.register(contacts=["*"], expires=0)
        self.assertNotIn("Contact", response.headers)
        self.assertEqual([], await self._stored())

    async def test_star_wants_expires_0(self) -> None:
        """`Contact: *` with another Expires is 400 (RFC 3261 10.3 step 6)."""
        browser = await self.browser(password=PASSWORDS["alice"])
        response = await browser.ask(browser.registration(contacts=["*"], expires=600))
        self.assertEqual(400, response.status)

    async def test_query(self) -> None:
        """REGISTER without Contact changes nothing and tells the bindings (RFC 3261 10.2.3)."""
        browser = await self.browser(password=PASSWORDS["alice"])
        await browser.register()
        response = await browser.register(contacts=[], expires=None)
        self.assertIn(browser.contact, contacts(response))
        self.assertEqual(1, len(await self._stored()))

    async def test_interval_too_brief(self) -> None:
        """423 with its Min-Expires crosses (RFC 3261 10.2.8)."""
        browser = await self.browser(password=PASSWORDS["alice"])
        response = await browser.ask(browser.registration(expires=10))
        self.assertEqual((423, "60"), (response.status, response.headers.get("Min-Expires")))

    async def test_wrong_password_and_unknown_user(self) -> None:
        """The registrar's 401 to a wrong answer crosses; nothing is bound."""
        browser = await self.browser(password="wrong")
        self.assertEqual(401, (await browser.ask(browser.registration())).status)
        caller = await self.kamailio_peer()
        self.assertEqual(404, (await caller.invite("sip:alice@pbx.test").final()).status)

    async def test_not_my_name(self) -> None:
        """403 crosses with its reason: bob's password is no good for alice's name."""
        browser = await self.browser("alice")
        browser.send(browser.registration())
        request = browser.registration()
        browser.send(request)
        value = (await browser.response(request)).headers.get("WWW-Authenticate") or ""
        answer = digest.answer(value, "REGISTER", request.uri, "bob", PASSWORDS["bob"])
        response = await browser.response(browser.again(request, [("Authorization", answer)]))
        self.assertEqual((403, "Not Your Name"), (response.status, response.reason))

    async def test_two_browsers(self) -> None:
        """Two browsers of one user: the one that leaves does not take the other's binding along (`multiple = yes`)."""
        first = await self.registered()
        second = await self.registered()
        await first.register(expires=0)
        caller = await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test")
        second.reply(await second.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        await first.silence(0)

    async def test_reconnect(self) -> None:
        """The same instance on a new connection takes the place of its old binding (RFC 5626): it rings once."""
        first = await self.registered()
        again = await self.browser(password=PASSWORDS["alice"])
        again.instance, again.contact = first.instance, first.contact
        await first.break_off()
        await again.register()
        caller = await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test")
        again.reply(await again.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        self.assertEqual(1, len(again.requests("INVITE")))

    async def test_old_page(self) -> None:
        """A page was reloaded: the old one's un-REGISTER, by parameter or by header and with the same instance, comes
        after the new one's REGISTER. The new one stays registered, and is called (field.rst W10: Old page)."""
        old = await self.registered()
        for parameter in (False, True):
            new = await self.browser(password=PASSWORDS["alice"])
            new.instance = old.instance
            await new.register()
            own = f'<{old.contact}>;+sip.instance="<urn:uuid:{old.instance}>";reg-id=1'
            left = (
                await old.register(contacts=[f"{own};expires=0"], expires=None)
                if parameter
                else await old.register(expires=0)
            )
            self.assertNotIn(old.contact, contacts(left))
            self.assertEqual(1, len(await self._stored()))
            caller, before = await self.kamailio_peer(), len(old.requests("INVITE"))
            calling = caller.invite("sip:alice@pbx.test")
            new.reply(await new.request("INVITE"), 486)
            self.assertEqual(486, (await calling.final()).status)
            self.assertEqual(before, len(old.requests("INVITE")))
            await old.close()
            await caller.close()
            old = new
        await old.register(expires=0)
        self.assertEqual([], await self._stored())


class ServiceRoute(RealCase):
    """A registrar that gives the route of later requests (RFC 3608)."""

    async def test_kamailio(self) -> None:
        """Requests outside of dialogs have it until a 200 comes without it (field.rst J: Service-Route)."""
        browser, port = await self.browser(password=PASSWORDS["alice"]), free_port()
        peer, to = await self.peer(port), f"sip:echo-{port}@pbx.test"
        peer.proxy = (LOOPBACK, self.kamailio.port)
        for asks in (True, False):
            await browser.register(headers=[("X-Service-Route", "please")] if asks else [])
            came_by = [f"<sip:orig@127.0.0.1:{self.kamailio.port};lr>"] if asks else []
            calling = browser.invite(to)
            invite = await peer.request("INVITE")
            self.assertEqual(came_by, invite.headers.lines("X-Came-By"))
            callee = peer.accept(invite)
            caller = await calling.answered()
            await peer.request("ACK")
            message = browser.build("MESSAGE", to, headers=[("Content-Type", "text/plain")], body=b"hello")
            browser.send(message)
            received = await peer.request("MESSAGE")
            self.assertEqual(came_by, received.headers.lines("X-Came-By"))
            peer.reply(received, 200)
            self.assertEqual(200, (await browser.response(message)).status)
            await self.hang_up(caller, callee)


class NewestWins(RealCase):
    """`multiple = no`."""

    changes = (("multiple = yes", "multiple = no"),)

    async def test_newest_wins(self) -> None:
        """Only the browser that registered last rings."""
        first, second = await self.registered(), await self.registered()
        caller = await self.kamailio_peer()
        calling = caller.invite("sip:alice@pbx.test")
        second.reply(await second.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        await first.silence(0)


class AtARegistrar(RealCase):
    """A registrar that the test scripts: what crosses and what is kept."""

    async def _pair(self) -> tuple[Browser, Peer]:
        browser = await self.browser(domain=self.plain)
        return browser, await self.peer()

    async def _accept(self, registrar: Peer, expires: int | None = None) -> Request:
        """Answer the next REGISTER 200 with its Contact."""
        request = await registrar.request("REGISTER")
        granted = expires if expires is not None else request.expires or 600
        own = [f"<{uri}>;expires={granted}" for uri in contacts(request)]
        registrar.reply(request, 200, headers=[("Contact", contact) for contact in own])
        return request

    async def test_what_upstream_sees(self) -> None:
        """The same Request-URI, To and From; a Contact of the proxy's (design.rst: Rules)."""
        browser, registrar = await self._pair()
        register = browser.registration()
        browser.send(register)
        request = await self._accept(registrar, 120)
        self.assertEqual(register.uri, request.uri)
        self.assertEqual((browser.aor, browser.aor), (request.to.uri, request.from_.uri))
        (uri,) = contacts(request)
        self.assertNotIn(".invalid", uri)
        self.assertIn(f"127.0.0.1:{self.proxy.sip}", uri)
        response = await browser.response(register)
        self.assertEqual({browser.contact: "120"}, contacts(response))

    async def test_headers_cross(self) -> None:
        """Service-Route, Path, P-Associated-URI and Date reach the browser as they are."""
        browser, registrar = await self._pair()
        register = browser.registration()
        browser.send(register)
        request = await registrar.request("REGISTER")
        extra = {
            "Service-Route": "<sip:orig@core.test;lr>", "Path": "<sip:edge.test;lr>",
            "P-Associated-URI": "<sip:+4930@core.test>, <tel:+4930>", "Date": "Sat, 13 Nov 2010 23:29:00 GMT",
        }  # fmt: skip
        own = [("Contact", f"<{uri}>;expires=600") for uri in contacts(request)]
        registrar.reply(request, 200, headers=[*own, *extra.items()])
        response = await browser.response(register)
        for name, value in extra.items():
            self.assertEqual([value], response.headers.lines(name), name)

    async def test_refusals_cross(self) -> None:
        """403, 407 with its challenge, 423 with Min-Expires, 503 with Retry-After, as the registrar says them."""
        browser, registrar = await self._pair()
        for status, name, value in (
            (403, "Warning", '399 core.test "no"'),
            (407, "Proxy-Authenticate", digest.challenge("core.test", "n")),
            (423, "Min-Expires", "1800"),
            (503, "Retry-After", "37"),
        ):
            register = browser.registration()
            browser.send(register)
            registrar.reply(await registrar.request("REGISTER"), status, headers=[(name, value)])
            response = await browser.response(register)
            self.assertEqual((status, value), (response.status, response.headers.get(name)))

    async def test_several_contacts(self) -> None:
        """Each of two Contacts is bound, with the expiry that the registrar gave it."""
        browser, registrar = await self._pair()
        other = browser.contact.replace("sip:", "sip:second-")
        register = browser.registration(
            contacts=[f"<{browser.contact}>;expires=300", f"<{other}>;expires=200"], expires=None
        )
        browser.send(register)
        request = await registrar.request("REGISTER")
        upstream = list(contacts(request))
        granted = [f"<{uri}>;expires={seconds}" for uri, seconds in zip(upstream, (300, 200), strict=False)]
        registrar.reply(request, 200, headers=[("Contact", contact) for contact in granted])
        response = await browser.response(register)
        self.assertEqual({browser.contact, other}, set(contacts(response)))

    async def test_contact_beside_ours(self) -> None:
        """Another phone's Contact in the same line is broken: the browser is told the 120 seconds that it was granted,
        and is called (field.rst W9: Contact beside ours)."""
        browser, registrar = await self._pair()
        for line in (
            "{ours};expires=120, <sip:broken@192.0.2.9;expires=300",
            "<sip:broken@192.0.2.9;expires=300, {ours};expires=120",
            '"Joe <sip:joe@192.0.2.9>;expires=300, {ours};expires=120', "{ours};;expires=120;, , <>",
        ):  # fmt: skip
            register = browser.registration()
            browser.send(register)
            request = await registrar.request("REGISTER")
            (uri,) = contacts(request)
            registrar.reply(request, 200, headers=[("Contact", line.format(ours=f"<{uri}>"))])
            self.assertEqual({browser.contact: "120"}, contacts(await browser.response(register)), line)
            calling = registrar.invite(uri)
            browser.reply(await browser.request("INVITE"), 486)
            self.assertEqual(486, (await calling.final()).status)

    async def test_binding_expires(self) -> None:
        """A binding that is not refreshed is gone when its time is up."""
        browser, registrar = await self._pair()
        register = browser.registration()
        browser.send(register)
        (target,) = contacts(await self._accept(registrar, 1))
        await browser.response(register)
        calling = registrar.invite(target)
        browser.reply(await browser.request("INVITE"), 486)
        self.assertEqual(486, (await calling.final()).status)
        await pause(1.5)
        self.assertIn((await registrar.invite(target).final(1)).status, (404, 410, 480))
        await browser.request("ACK")
        await browser.silence(0)

    async def test_rising_cseq(self) -> None:
        """Refreshes go upstream with one Call-ID and rising CSeq (RFC 3261 10.2)."""
        browser, registrar = await self._pair()
        seen = []
        for number in (1, 2, 3):
            register = browser.registration(call_id="one-registration", cseq=number, tag="t")
            browser.send(register)
            seen.append(await self._accept(registrar))
            self.assertEqual(200, (await browser.response(register)).status)
        self.assertEqual(1, len({request.call_id for request in seen}))
        numbers = [request.cseq.number for request in seen]
        self.assertEqual(sorted(set(numbers)), numbers)

    async def test_registrar_silent(self) -> None:
        """A registrar that says nothing is asked again every half second and more (RFC 3261 17.1.2), not for ever."""
        browser, registrar = await self._pair()
        register = browser.registration()
        browser.send(register)
        await registrar.request("REGISTER")
        await pause(2)
        self.assertGreaterEqual(len(registrar.requests("REGISTER")), 2)
        self.assertEqual(1, len({request.via.branch for request in registrar.requests("REGISTER")}))

    async def test_paid_trunks_registrar(self) -> None:
        """A registrar of a trunk with a password is answered by the proxy where its realm is the trunk's."""
        browser, registrar = await self.browser(domain=self.paid), await self.peer(LAB.paid)
        register = browser.registration()
        browser.send(register)
        request = await registrar.request("REGISTER")
        challenge = digest.challenge("trunk.test", "n")
        registrar.reply(request, 401, headers=[("WWW-Authenticate", challenge)])
        again = await registrar.request("REGISTER")
        digest.verify(again.headers.get("Authorization"), "REGISTER", "secret")
        own = [("Contact", f"<{uri}>;expires=60") for uri in contacts(again)]
        registrar.reply(again, 200, headers=own)
        self.assertEqual(200, (await browser.response(register)).status)
