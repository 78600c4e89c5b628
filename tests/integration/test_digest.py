"""Digest towards trunks: answered by the proxy, or passed back to the browser (RFC 7616, RFC 8760)."""

from typing import ClassVar

from tests.support.real import digest
from tests.support.real.case import LAB, RealCase
from tests.support.real.dialog import Dialog
from tests.support.real.ladder import HANGS_UP, HUNG_UP, SET_UP, TAKEN
from tests.support.real.softphone import Peer
from tests.support.real.speech import CHALLENGES
from webrtcproxy.sip.message import Request

REALM = "trunk.test"
ALGORITHMS = ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess")


def credentials(request: Request) -> list[str]:
    """What a request carries of them."""
    return request.headers.lines("Authorization") + request.headers.lines("Proxy-Authorization")


class ByTheProxy(RealCase):
    """The trunk has a username and a password in the configuration."""

    async def _challenged(self, trunk: Peer, status: int, *challenges: str) -> Request:
        """Challenge the next INVITE, and return what comes then."""
        name = {code: header for code, header, _ in CHALLENGES}[status]
        first = await trunk.request("INVITE")
        self.assertEqual([], credentials(first))
        trunk.reply(first, status, headers=[(name, challenge) for challenge in challenges])
        await trunk.request("ACK")
        second = await trunk.request("INVITE")
        self.assertEqual(
            (first.call_id, first.from_.tag, first.cseq.number + 1, None),
            (second.call_id, second.from_.tag, second.cseq.number, second.to.tag),
        )
        return second

    async def _call(self, status: int, *challenges: str) -> dict[str, str]:
        """A call that is challenged so and then answered. The browser must see nothing of it.

        Returns the credentials, verified.
        """
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        invite = await self._challenged(trunk, status, *challenges)
        name = {code: header for code, _, header in CHALLENGES}[status]
        params = digest.verify(invite.headers.get(name), "INVITE", "secret", invite.body)
        self.assertEqual(("trunk", REALM, invite.uri), (params["username"], params["realm"], params["uri"]))
        callee = trunk.accept(invite)
        answer = await calling.final()
        self.assertEqual(200, answer.status)
        self.assertFalse({401, 407} & {getattr(message, "status", 0) for message in browser.received})
        caller = Dialog.of_caller(browser, calling.invite, answer)
        caller.ack()
        ack = await trunk.request("ACK")
        self.assertEqual(invite.headers.get(name), ack.headers.get(name))
        await self.hang_up(caller, callee)
        await browser.close()
        await trunk.close()
        return params

    async def test_every_algorithm(self) -> None:
        """401 and 407 with MD5, SHA-256 and SHA-512-256, each with -sess too, and qop auth."""
        for number, algorithm in enumerate(ALGORITHMS):
            for status in (401, 407):
                nonce = f"n{number}-{status}"
                params = await self._call(status, digest.challenge(REALM, nonce, algorithm))
                self.assertEqual((algorithm, "auth", nonce), (params["algorithm"], params["qop"], params["nonce"]))

    async def test_every_qop(self) -> None:
        """auth-int covers the body; where both are offered auth is taken; none is the form of RFC 2069."""
        for offered, taken in (("auth-int", "auth-int"), ("auth,auth-int", "auth"), ("", None)):
            params = await self._call(407, digest.challenge(REALM, "q", qop=offered))
            self.assertEqual(taken, params.get("qop"), offered)

    async def test_several_challenges(self) -> None:
        """The first that the proxy can answer is taken; an unknown algorithm is passed over (RFC 8760 2.4)."""
        params = await self._call(
            401,
            digest.challenge(REALM, "a", "SHA-1024"),
            digest.challenge(REALM, "b", "SHA-256", opaque="o p"),
            digest.challenge(REALM, "c", "MD5"),
        )
        self.assertEqual(("SHA-256", "b", "o p"), (params["algorithm"], params["nonce"], params["opaque"]))

    async def test_beside_a_broken_one(self) -> None:
        """A challenge that can be read is answered whatever stands beside it, before or after it (field.rst I:
        Challenge beside a broken one)."""
        good = digest.challenge(REALM, "good")
        for status in (401, 407):
            for broken in (f'Digest realm="{REALM}, nonce="x"', f'Digest realm="{REALM}", nonce="x', "Digest", '"'):
                for challenges in ((broken, good), (good, broken), (f"{broken}, {good}",)):
                    self.assertEqual("good", (await self._call(status, *challenges))["nonce"], challenges)

    async def test_stale_nonce(self) -> None:
        """stale=true is no wrong password: once more with the new nonce (RFC 7616 3.3)."""
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        invite = await self._challenged(trunk, 407, digest.challenge(REALM, "old"))
        again = digest.challenge(REALM, "new", stale="true")
        trunk.reply(invite, 407, headers=[("Proxy-Authenticate", again)])
        await trunk.request("ACK")
        third = await trunk.request("INVITE")
        params = digest.verify(third.headers.get("Proxy-Authorization"), "INVITE", "secret")
        self.assertEqual("new", params["nonce"])
        callee = trunk.accept(third)
        caller = await calling.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)

    async def test_wrong_password_ends(self) -> None:
        """A trunk that is never content gets two tries at most, and the browser a final response."""
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        invite = await self._challenged(trunk, 407, digest.challenge(REALM, "n0"))
        tries = 1
        while True:
            trunk.reply(invite, 407, headers=[("Proxy-Authenticate", digest.challenge(REALM, f"n{tries}"))])
            await trunk.request("ACK")
            try:
                invite = await trunk.request("INVITE", 0.7)
            except AssertionError:
                break
            tries += 1
            self.assertLessEqual(tries, 2)
        self.assertGreaterEqual((await calling.final()).status, 400)

    async def test_bye_is_challenged(self) -> None:
        """A challenge to a request within the dialog is answered too."""
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        trunk.accept(await trunk.request("INVITE"))
        caller = await calling.answered()
        await trunk.request("ACK")
        sent = caller.send("BYE")
        bye = await trunk.request("BYE")
        trunk.reply(bye, 407, headers=[("Proxy-Authenticate", digest.challenge(REALM, "in-dialog"))])
        bye = await trunk.request("BYE")
        digest.verify(bye.headers.get("Proxy-Authorization"), "BYE", "secret")
        trunk.reply(bye, 200)
        self.assertEqual(200, (await browser.response(sent)).status)
        self.assertEqual([*SET_UP, *HANGS_UP], self.ladder.of("alice"))
        self.assertEqual([*TAKEN, "< BYE", "> 407 BYE", *HUNG_UP], self.ladder.of("trunk"))

    async def test_every_request_is_challenged(self) -> None:
        """A trunk may have a new nonce for each request of a call, and gets an answer to every one."""
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        trunk.accept(await self._challenged(trunk, 407, digest.challenge(REALM, "n0")))
        caller = await calling.answered()
        await trunk.request("ACK")
        for method in (*["INFO"] * 5, "BYE"):
            sent = caller.send(method)
            first = await trunk.request(method)
            nonce = f"n{first.cseq.number}"
            trunk.reply(first, 407, headers=[("Proxy-Authenticate", digest.challenge(REALM, nonce))])
            again = await trunk.request(method)
            params = digest.verify(again.headers.get("Proxy-Authorization"), method, "secret")
            self.assertEqual((nonce, first.cseq.number + 1), (params["nonce"], again.cseq.number))
            trunk.reply(again, 200)
            self.assertEqual(200, (await browser.response(sent)).status)

    async def test_another_realm_crosses(self) -> None:
        """`realm`: a challenge of another realm is not answered by the proxy, and never with its password."""
        browser, trunk = await self.browser(), await self.peer(LAB.paid)
        calling = browser.invite(f"sip:echo@{self.paid}")
        invite = await trunk.request("INVITE")
        challenge = digest.challenge("elsewhere.test", "n")
        trunk.reply(invite, 407, headers=[("Proxy-Authenticate", challenge)])
        final = await calling.final()
        self.assertEqual(407, final.status)
        self.assertEqual("elsewhere.test", digest.read(final.headers.get("Proxy-Authenticate") or "")["realm"])
        await trunk.request("ACK")
        await trunk.silence(0.3)


class ByTheBrowser(RealCase):
    """The trunk has none: the challenge crosses, and the browser's answer to it is accepted upstream."""

    async def test_challenge_and_answer_cross(self) -> None:
        """Call-ID and CSeq of the second leg go on, and upstream's Request-URI is the `uri` of the digest (design.rst:
        Rules)."""
        browser, trunk = await self.browser(), await self.peer()
        for status, asks, answers in CHALLENGES:
            calling = browser.invite(f"sip:echo@{self.plain}")
            first = await trunk.request("INVITE")
            challenge = digest.challenge("pbx.test", f"n{status}", "MD5", opaque="x, y")
            trunk.reply(first, status, headers=[(asks, challenge)])
            refused = await calling.final()
            await trunk.request("ACK")
            self.assertEqual((status, challenge), (refused.status, refused.headers.get(asks)))
            value = digest.answer(challenge, "INVITE", calling.invite.uri, "alice", "wonderland")
            calling = calling.again([(answers, value)])
            second = await trunk.request("INVITE")
            params = digest.verify(second.headers.get(answers), "INVITE", "wonderland")
            self.assertEqual(second.uri, params["uri"])
            self.assertEqual(
                (first.call_id, first.from_.tag, first.cseq.number + 1),
                (second.call_id, second.from_.tag, second.cseq.number),
            )
            callee = trunk.accept(second)
            caller = await calling.answered()
            await trunk.request("ACK")
            await self.hang_up(caller, callee)

    async def test_sipp_verifies(self) -> None:
        """SIPp challenges with 401 and verifies the browser's answer by itself."""
        sipp = await self.sipp("uas_401")
        browser = await self.browser("trunk", password="secret")
        calling = browser.invite(f"sip:echo@{sipp.host}")
        refused = await calling.final()
        value = refused.headers.get("WWW-Authenticate") or ""
        answer = digest.answer(value, "INVITE", calling.invite.uri, "trunk", "secret")
        caller = await calling.again([("Authorization", answer)]).answered()
        await caller.bye()
        await sipp.passed()

    async def test_never_with_another_trunks_password(self) -> None:
        """A trunk without a password that names another's realm gets no answer of the proxy's."""
        browser, trunk = await self.browser(), await self.peer()
        calling = browser.invite(f"sip:echo@{self.plain}")
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 401, headers=[("WWW-Authenticate", digest.challenge(REALM, "steal"))])
        self.assertEqual(401, (await calling.final()).status)
        await trunk.request("ACK")
        await trunk.silence(0.3)


class OnlyForTheRegistered(RealCase):
    """`trunk-credentials = registered`."""

    changes: ClassVar = (
        ("trunk-credentials = @credentials@", "trunk-credentials = registered"),
        ("password = secret\n", "password = secret\nalso-for = pbx\n"),
    )

    async def test_registered_and_not(self) -> None:
        """A browser that has registered at one of ``also-for`` may use the trunk's password; of another nothing reaches
        it."""
        trunk = await self.peer(LAB.paid)
        stranger, member = await self.browser("mallory"), await self.registered()
        calling = stranger.invite(f"sip:echo@{self.paid}")
        self.assertEqual(403, (await calling.final()).status)
        await trunk.silence(0.3)
        calling = member.invite(f"sip:echo@{self.paid}")
        invite = await trunk.request("INVITE")
        trunk.reply(invite, 407, headers=[("Proxy-Authenticate", digest.challenge(REALM, "m"))])
        await trunk.request("ACK")
        invite = await trunk.request("INVITE")
        digest.verify(invite.headers.get("Proxy-Authorization"), "INVITE", "secret")
        callee = trunk.accept(invite)
        caller = await calling.answered()
        await trunk.request("ACK")
        await self.hang_up(caller, callee)


class OnlyAtTheirTrunk(RealCase):
    """`trunk-credentials = registered`, and no `also-for`."""

    changes: ClassVar = (("trunk-credentials = @credentials@", "trunk-credentials = registered"),)

    async def test_another_trunk(self) -> None:
        """Whoever has registered at one trunk does not use another one's password: nothing reaches that trunk."""
        trunk, member = await self.peer(LAB.paid), await self.registered()
        calling = member.invite(f"sip:echo@{self.paid}")
        self.assertEqual(403, (await calling.final()).status)
        await trunk.silence(0.3)
