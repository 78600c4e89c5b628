"""Digest challenges of trunks: answered by the proxy, or passed on to the browser (RFC 3261 section 22, RFC 7616)."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import LogEvent, capturedLogs, formatEvent

from tests.support.calls.case import CallCase
from tests.support.calls.world import PLAIN, Browser, TrunkPeer
from tests.support.configs import CARRIER, PBX
from webrtcproxy.routing.authentication import Authentication
from webrtcproxy.sip.authentication import Challenge, Credentials
from webrtcproxy.sip.digest import authorize
from webrtcproxy.sip.message import Request

ALICE_AT_CARRIER = "sip:bob@carrier.example.net:5080"


def challenge(nonce: str = "n1", realm: str = "carrier", **more: str) -> str:
    return str(Challenge("Digest", {"realm": realm, "nonce": nonce, "qop": "auth", **more}))


class CredentialCase(CallCase):
    trunks = (CARRIER, PBX)

    def begin(self, *, authenticated: bool = True) -> tuple[Browser, TrunkPeer, Request]:
        self.alice, self.trunk = self.world.browser(), self.world.trunk("192.0.2.7", 5090)
        self.alice.bind(authenticated=authenticated)
        self.invite = self.alice.invite(ALICE_AT_CARRIER)
        return self.alice, self.trunk, self.trunk.request("INVITE")

    def challenged(self, leg: Request, status: int = 407, *values: str) -> Request:
        name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
        self.trunk.answer(leg, status, headers=[(name, value) for value in values or (challenge(),)])
        self.trunk.heard("ACK")
        return self.trunk.request("INVITE")

    def refused(self, leg: Request, status: int = 407, *values: str) -> None:
        name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
        self.trunk.answer(leg, status, headers=[(name, value) for value in values or (challenge(),)])
        self.trunk.heard("ACK")
        self.trunk.silent()


class Answered(CredentialCase):
    """The trunk has username and password: the browser sees nothing of it."""

    def check(self, request: Request, name: str, nonce: str, algorithm: str = "MD5", count: int = 1) -> None:
        given = Credentials.parse(request.headers.get(name) or "").params
        asked = {"realm": given["realm"], "nonce": nonce, "qop": "auth"}
        if "algorithm" in given:
            asked["algorithm"] = given["algorithm"]
        right = authorize(
            Challenge("Digest", asked), request.method, request.uri, "us", "secret", count=count, cnonce=given["cnonce"]
        )
        self.assertEqual(given["response"], right.params["response"])
        self.assertEqual((given["username"], given.get("algorithm", "MD5")), ("us", algorithm))

    def test_407(self) -> None:
        """Same Call-ID and From tag, CSeq + 1, no To tag, another branch; the digest is for the Request-URI
        (original.rst: digest, credentials in the configuration, 401 and 407)."""
        alice, trunk, leg = self.begin()
        again = self.challenged(leg)
        self.check(again, "Proxy-Authorization", "n1")
        self.assertEqual((again.call_id, again.from_.tag, again.to.tag), (leg.call_id, leg.from_.tag, None))
        self.assertEqual(again.cseq.number, leg.cseq.number + 1)
        self.assertNotEqual(again.via.branch, leg.via.branch)
        self.assertEqual(len(again.headers.lines("Via")), 1)
        trunk.answer(again, 200, PLAIN)
        ack = trunk.request("ACK")
        self.assertEqual(ack.headers.get("Proxy-Authorization"), again.headers.get("Proxy-Authorization"))
        self.assertEqual(alice.pending(), ["200"])

    def test_401(self) -> None:
        """401 is answered in Authorization."""
        *_, leg = self.begin()
        self.check(self.challenged(leg, 401), "Authorization", "n1")

    def test_both(self) -> None:
        """A proxy's 407, then the far side's 401: both credentials are carried."""
        *_, leg = self.begin()
        again = self.challenged(leg)
        third = self.challenged(again, 401, challenge("n2"))
        self.check(third, "Authorization", "n2")
        self.check(third, "Proxy-Authorization", "n1", count=2)
        self.assertEqual(third.cseq.number, 3)

    def test_algorithms(self) -> None:
        """Several challenges in one response: the first that is understood is answered (RFC 8760)."""
        *_, leg = self.begin()
        again = self.challenged(
            leg, 407, challenge(algorithm="WHIRLPOOL"), challenge(algorithm="SHA-256"), challenge(algorithm="MD5")
        )
        self.check(again, "Proxy-Authorization", "n1", "SHA-256")
        self.assertEqual(len(again.headers.lines("Proxy-Authorization")), 1)

    def test_beside_a_broken_one(self) -> None:
        """The good one of two is answered, in whichever order."""
        broken = 'Digest realm="carrier, nonce="n1"'
        for values in ((broken, challenge("n2")), (challenge("n2"), broken), (f"{broken}, {challenge('n2')}",)):
            *_, leg = self.begin()
            again = self.challenged(leg, 407, *values)
            self.check(again, "Proxy-Authorization", "n2")
            self.trunk.answer(again, 486)
            self.trunk.heard("ACK")

    def test_malformed(self) -> None:
        """One that is malformed and alone is answered, to requests within a call as well."""
        for value in (
            'Digest realm="carrier, nonce="n2", qop="auth"',
            'Digest realm="carrier" nonce="n2" qop="auth"',
            "Digest realm=carrier nonce=n2 qop=auth,auth-int",
            'Bearer realm="x", Digest\trealm="carrier",\tnonce="n2", qop="foo,auth", algorithm="MD5"',
        ):
            *_, leg = self.begin()
            again = self.challenged(leg, 407, value)
            self.check(again, "Proxy-Authorization", "n2")
            self.trunk.answer(again, 200, PLAIN)
            self.trunk.heard("ACK")
            self.alice.heard(200)
            self.alice.flow.lose()
            self.world.turn(40)
            self.trunk.answer(self.trunk.request("BYE"), 401, headers=[("WWW-Authenticate", value.replace("n2", "n3"))])
            bye = self.trunk.request("BYE")
            self.check(bye, "Authorization", "n3")
            self.trunk.answer(bye, 200)

    def test_stale(self) -> None:
        """A stale nonce is no refusal: the new one is answered; more than once, if need be."""
        *_, leg = self.begin()
        for nonce in ("n2", "n3", "n4"):
            leg = self.challenged(leg, 407, challenge(nonce, stale="true"))
            self.check(leg, "Proxy-Authorization", nonce)

    def test_wrong_password(self) -> None:
        """Two tries, not a thousand; the browser, which can't help it, gets 502 and not the challenge
        (original.rst: digest, the same with a wrong password)."""
        alice, _, leg = self.begin()
        again = self.challenged(leg, 407, challenge("n1"))
        third = self.challenged(again, 407, challenge("n2"))
        self.refused(third, 407, challenge("n3"))
        heard = alice.response(502)
        self.assertNotIn("Proxy-Authenticate", heard.headers)
        self.assertEqual(len(self.flushLoggedErrors()), 0)

    def test_stale_for_ever(self) -> None:
        """A trunk that calls every nonce stale is asked a few times, not for ever; the browser, which can't help it,
        gets 502 and not the challenge."""
        alice, trunk, leg = self.begin()
        for number in range(20):
            trunk.answer(leg, 407, headers=[("Proxy-Authenticate", challenge(f"s{number}", stale="true"))])
            trunk.heard("ACK")
            if alice.pending():
                break
            leg = trunk.request("INVITE")
        self.assertEqual(leg.cseq.number, 1 + Authentication.ROUNDS)
        self.assertLess(Authentication.ROUNDS, 10)
        self.assertNotIn("Proxy-Authenticate", alice.response(502).headers)

    def test_same_nonce_again(self) -> None:
        """The same nonce without `stale` means a wrong password at once."""
        alice, _, leg = self.begin()
        again = self.challenged(leg)
        self.refused(again)
        alice.heard(502)

    def test_bye_is_challenged(self) -> None:
        """Requests within the dialog carry credentials, nonce count up; their challenges are answered, too."""
        alice, trunk, leg = self.begin()
        again = self.challenged(leg)
        trunk.answer(again, 200, PLAIN)
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(self.invite, ok)
        alice.say(alice.inside("BYE", self.invite, ok))
        bye = trunk.request("BYE")
        self.check(bye, "Proxy-Authorization", "n1", count=2)
        trunk.answer(bye, 407, headers=[("Proxy-Authenticate", challenge("n9", stale="true"))])
        second = trunk.request("BYE")
        self.check(second, "Proxy-Authorization", "n9")
        self.assertEqual(second.cseq.number, bye.cseq.number + 1)
        trunk.answer(second, 200)

    def test_cseq_after_a_challenge(self) -> None:
        """The number of a request that was sent again with credentials is used up (RFC 3261 section 12.2.1.1)."""
        alice, trunk, leg = self.begin()
        trunk.answer(leg, 200, PLAIN)
        trunk.heard("ACK")
        ok = alice.response(200)
        alice.ack(self.invite, ok)
        alice.say(alice.inside("INFO", self.invite, ok, body=b"Signal=1"))
        info = trunk.request("INFO")
        trunk.answer(info, 407, headers=[("Proxy-Authenticate", challenge())])
        again = trunk.request("INFO")
        trunk.answer(again, 200)
        alice.heard(200)
        alice.say(alice.inside("BYE", self.invite, ok, cseq=3))
        alice.heard(200)
        bye = trunk.request("BYE")
        numbers = [request.cseq.number for request in (leg, info, again, bye)]
        self.assertEqual(numbers, [1, 2, 3, 4])
        trunk.answer(bye, 200)


class InDialog(CredentialCase):
    """What is asked within the dialog is challenged, too."""

    def up_after(self, *nonces: str) -> Request:
        """A call whose INVITE was challenged with `nonces`; returns the 200's ACK."""
        alice, trunk, leg = self.begin()
        for nonce in nonces:
            leg = self.challenged(leg, 407, challenge(nonce))
        trunk.answer(leg, 200, PLAIN)
        self.ok = alice.response(200)
        alice.ack(self.invite, self.ok)
        self.cseq = 1
        return trunk.request("ACK")

    def ask(self, method: str = "INFO") -> Request:
        """The browser asks; what the trunk learns of it."""
        self.cseq += 1
        self.alice.say(self.alice.inside(method, self.invite, self.ok, cseq=self.cseq))
        return self.trunk.request(method)

    def challenge_it(self, request: Request, nonce: str, **more: str) -> None:
        self.trunk.answer(request, 407, headers=[("Proxy-Authenticate", challenge(nonce, **more))])

    def answered_again(self, method: str, nonce: str) -> Request:
        """The request comes back with an answer to `nonce`, once."""
        again = self.trunk.request(method)
        self.assertEqual(Credentials.parse(again.headers.get("Proxy-Authorization") or "").params["nonce"], nonce)
        self.trunk.silent()
        return again

    def tried_twice(self, name: str) -> Request:
        """An INFO that was challenged twice, as it came then."""
        info = self.ask()
        for nonce in (f"{name}1", f"{name}2"):
            self.challenge_it(info, nonce)
            info = self.answered_again("INFO", nonce)
        return info

    def test_nonce_for_each_request(self) -> None:
        """A trunk may have a nonce of its own for every request, however long the call: all are answered."""
        self.up_after("n0", "n1")
        for number in range(5):
            self.challenge_it(self.ask(), f"info{number}")
            self.trunk.answer(self.answered_again("INFO", f"info{number}"), 200)
            self.alice.heard(200)
        self.challenge_it(self.ask("BYE"), "bye")
        self.trunk.answer(self.answered_again("BYE", "bye"), 200)
        self.assertEqual(self.alice.pending(), ["200"])

    def test_refused_for_another_reason(self) -> None:
        """Any answer but a challenge says that the credentials are good."""
        self.up_after("n0", "n1")
        for status in (500, 404, 200):
            self.trunk.answer(self.tried_twice(f"{status}"), status)
            self.alice.heard(status)

    def test_wrong_password(self) -> None:
        """Two tries for a request, then the browser gets the refusal; so for the next."""
        self.up_after()
        for name in ("a", "b"):
            self.challenge_it(self.tried_twice(name), f"{name}3")
            self.trunk.silent()
            self.alice.heard(407)
            self.trunk.answer(self.ask(), 200)
            self.alice.heard(200)

    def test_wrong_password_for_ever(self) -> None:
        """Where all requests are refused, each is sent once from the second on."""
        self.up_after()
        self.challenge_it(self.tried_twice("n"), "n3")
        self.alice.heard(407)
        for number in range(3):
            self.challenge_it(self.ask(), f"m{number}")
            self.trunk.silent()
            self.alice.heard(407)

    def test_stale_for_ever(self) -> None:
        """Nonces that are all stale are answered a few times for each request, not for ever."""
        self.up_after()
        for name in ("a", "b"):
            info, sent = self.ask(), 1
            while not self.alice.pending():
                self.challenge_it(info, f"{name}{sent}", stale="true")
                if self.trunk.pending():
                    info, sent = self.trunk.request("INFO"), sent + 1
            self.assertEqual(sent, 1 + Authentication.ROUNDS)
            self.alice.heard(407)
            self.trunk.answer(self.ask(), 200)
            self.alice.heard(200)


class Contacts(CredentialCase):
    """The Contact of an answer may lead anywhere; the trunk's credentials do not follow it there."""

    def answered_elsewhere(self, host: str) -> TrunkPeer:
        _, trunk, leg = self.begin()
        again = self.challenged(leg)
        trunk.answer(again, 200, PLAIN, contact=f"<sip:x@{host}:5060>")
        return self.world.trunk(host)

    def test_another_host(self) -> None:
        """Neither ACK nor BYE has them there, and a challenge of that host is not answered."""
        evil = self.answered_elsewhere("203.0.113.66")
        self.assertNotIn("Proxy-Authorization", evil.request("ACK").headers)
        self.alice.flow.lose()
        self.world.turn(5)
        bye = evil.request("BYE")
        self.assertNotIn("Proxy-Authorization", bye.headers)
        evil.answer(bye, 407, headers=[("Proxy-Authenticate", challenge("n2"))])
        evil.silent()

    def test_same_trunk(self) -> None:
        """Another address of the same trunk is the trunk."""
        self.world.names.known["carrier.example.net"] = "192.0.2.8"
        self.successResultOf(self.world.context.sources.refresh())
        other = self.answered_elsewhere("192.0.2.8")
        self.assertIn("Proxy-Authorization", other.request("ACK").headers)


class PassedOn(CredentialCase):
    """The proxy has no credentials for this, or the browser may not use them: the challenge is the browser's."""

    def said(self, logs: list[LogEvent]) -> list[str]:
        """The lines that name the key which withholds the trunk's credentials."""
        return [text for text in map(formatEvent, logs) if "trunk-credentials" in text]

    def passed(self, leg: Request, status: int = 407, *values: str) -> None:
        self.refused(leg, status, *values)
        name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
        heard = self.alice.response(status)
        self.assertEqual(heard.headers.lines(name), list(values or (challenge(),)))
        self.alice.ack(self.invite, heard)

    def test_not_registered(self) -> None:
        """`trunk-credentials = registered`: nobody else uses them (the original: the toll fraud hole)
        (original.rst: digest, whose calls the trunk's credentials are for)."""
        *_, leg = self.begin(authenticated=False)
        with capturedLogs() as logs:
            self.passed(leg)
        (line,) = self.said(logs)
        self.assertIn("carrier", line)

    def test_foreign_challenge_of_an_unregistered(self) -> None:
        """What the trunk's account would not have answered is nothing to be told about."""
        *_, leg = self.begin(authenticated=False)
        with capturedLogs() as logs:
            self.passed(leg, 407, challenge(realm="elsewhere"))
        self.assertEqual(self.said(logs), [])

    def test_anyone(self) -> None:
        """`trunk-credentials = anyone` is the original's behaviour."""
        self.world = self.make_world(anyone=True)
        *_, leg = self.begin(authenticated=False)
        self.challenged(leg)

    def test_other_realm(self) -> None:
        """With `realm`, challenges of other realms cross."""
        *_, leg = self.begin()
        self.passed(leg, 407, challenge(realm="elsewhere"))

    def test_unreadable(self) -> None:
        """What no browser can read does not cross: it would drop the whole response, and so hears of the refusal."""
        for value in ('Digest realm="carrier', "Digest", "", "NTLM"):
            *_, leg = self.begin()
            self.refused(leg, 407, value)
            self.assertNotIn("Proxy-Authenticate", self.alice.response(407).headers)

    def test_several(self) -> None:
        """JsSIP and SIP.js look at the last challenge of a response and know MD5 only: it is put there. The others keep
        their order (RFC 8760 section 2.4)."""
        *_, leg = self.begin(authenticated=False)
        md5, sha, sha512 = (challenge(algorithm=name) for name in ("MD5", "SHA-256", "SHA-512-256"))
        self.refused(leg, 401, md5, sha, sha512)
        heard = self.alice.response(401)
        self.assertEqual(heard.headers.lines("WWW-Authenticate"), [sha, sha512, md5])

    def test_unreadable_beside_another(self) -> None:
        """Of several, the browser gets those that it can read."""
        *_, leg = self.begin(authenticated=False)
        self.refused(leg, 401, challenge(), 'Digest realm="carrier, nonce="n1"')
        self.assertEqual(self.alice.response(401).headers.lines("WWW-Authenticate"), [challenge()])

    def test_own_realm_then_other(self) -> None:
        """The trunk's own realm is answered; the next hop's crosses, and the browser's CSeq goes on after ours."""
        *_, leg = self.begin()
        again = self.challenged(leg)
        self.passed(again, 401, challenge("n5", "far"))
        self.alice.invite(ALICE_AT_CARRIER, ("Authorization", "Digest mine"), cseq=2, like=self.invite)
        third = self.trunk.request("INVITE")
        self.assertEqual((third.call_id, third.cseq.number), (leg.call_id, 3))

    def test_retry_goes_on(self) -> None:
        """The browser's answer is accepted upstream: Call-ID and From tag stay, CSeq counts on, its header crosses
        (original.rst: digest, none in the configuration)."""
        self.trunks  # noqa: B018
        self.world = self.make_world((), anyone=False)
        alice, trunk = self.world.browser(), self.world.trunk()
        self.alice, self.trunk = alice, trunk
        self.invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        self.passed(leg, 401, challenge(realm="pbx"))
        alice.invite("sip:bob@pbx.example.com", ("Authorization", "Digest mine"), cseq=2, like=self.invite)
        again = trunk.request("INVITE")
        self.assertEqual((again.call_id, again.from_.tag), (leg.call_id, leg.from_.tag))
        self.assertEqual((again.cseq.number, again.uri), (2, leg.uri))
        self.assertEqual(again.headers.get("Authorization"), "Digest mine")

    def test_no_other_host_gets_them(self) -> None:
        """Credentials belong to their trunk: another one's challenge, with the same realm, is not answered."""
        self.world = self.make_world(more=(replace(PBX, name="evil", host="evil.example", proxy=()),))
        self.world.names.known["evil.example"] = "203.0.113.66"
        alice = self.alice = self.world.browser()
        alice.bind()
        self.invite = alice.invite("sip:bob@evil.example")
        self.trunk = self.world.trunk("203.0.113.66")
        self.passed(self.trunk.request("INVITE"))
