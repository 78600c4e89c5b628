"""Logins of users by digest (RFC 3261 section 22, RFC 7616, RFC 8760)."""

from __future__ import annotations

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.registering import register_request
from tests.support.fakes import FakeFlow
from tests.support.logins import DOMAIN, answer, domain_with
from webrtcproxy.access.guard import LoginGuard
from webrtcproxy.access.login import DigestScheme, Logins
from webrtcproxy.access.nonces import FlowNonces
from webrtcproxy.access.proofs import Proofs
from webrtcproxy.config import BansConfig, Domain
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.runtime.metrics import Metrics
from webrtcproxy.sip.authentication import Challenge
from webrtcproxy.sip.message import Request
from webrtcproxy.users.domains import ServedDomain
from webrtcproxy.users.passwd import set_password
from webrtcproxy.users.user import User

URI = f"sip:{DOMAIN}"


class LoginCase(SynchronousTestCase):
    """The logins at a domain with two users."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_000_000)
        self.metrics = Metrics()
        self.guard = LoginGuard(self.clock, BansConfig(after=1000), metrics=self.metrics)
        self.domains, self.path = domain_with(self.mktemp())
        self.proofs = Proofs(self.clock)
        self.logins = Logins(self.domains, self.proofs, self.guard, [DigestScheme(FlowNonces(self.clock))])
        self.browser = FakeFlow.wss()
        self.cseq = 0

    @property
    def domain(self) -> ServedDomain:
        domain = self.domains.named(DOMAIN)
        assert domain is not None
        return domain

    def request(self, *credentials: str, method: str = "REGISTER", uri: str = URI, body: str = "") -> Request:
        self.cseq += 1
        name = "Authorization" if method == "REGISTER" else "Proxy-Authorization"
        more = tuple(f"{name}: {value}" for value in credentials)
        made = register_request(uri=uri, domain=DOMAIN, cseq=self.cseq, more=more, body=body)
        return Request(method, made.uri, made.headers, made.body)

    def login(self, *credentials: str, flow: FakeFlow | None = None, **how: str) -> User:
        """Log in, or fail with the Refusal."""
        request = self.request(*credentials, **how)
        return self.successResultOf(self.logins.login(self.domain, request, flow or self.browser))

    def refused(self, *credentials: str, flow: FakeFlow | None = None, **how: str) -> Refusal:
        request = self.request(*credentials, **how)
        failure = self.failureResultOf(self.logins.login(self.domain, request, flow or self.browser), Refusal)
        assert isinstance(failure.value, Refusal)
        return failure.value

    def challenges(self, flow: FakeFlow | None = None, **how: str) -> list[str]:
        return [value for _, value in self.refused(flow=flow, **how).headers]

    def answer(
        self, challenges: list[str], username: str = "alice", password: str = "wonderland", **how: object
    ) -> str:
        method, uri = how.pop("method", "REGISTER"), how.pop("uri", URI)
        return answer(challenges, username, password, method, uri, **how)  # type: ignore[arg-type]

    def is_stale(self, refusal: Refusal) -> bool:
        (stale,) = {Challenge.parse(value).params.get("stale") for _, value in refusal.headers}
        return stale == "true"


class ChallengeTests(LoginCase):
    """The challenge."""

    def test_order(self) -> None:
        """SHA-256 stands first, as RFC 8760 section 2.4 wants it, and MD5 last, which JsSIP and SIP.js take."""
        refusal = self.refused()
        self.assertEqual((refusal.status, {name for name, _ in refusal.headers}), (401, {"WWW-Authenticate"}))
        params = [Challenge.parse(value).params for _, value in refusal.headers]
        self.assertEqual([each["algorithm"] for each in params], ["SHA-256", "MD5"])
        self.assertEqual({(each["realm"], each["qop"]) for each in params}, {(DOMAIN, "auth")})
        self.assertNotIn("stale", params[0])

    def test_other_methods(self) -> None:
        """All but REGISTER get 407: the proxy asks, not the registrar (RFC 3261 section 22.3)."""
        refusal = self.refused(method="INVITE")
        self.assertEqual((refusal.status, {name for name, _ in refusal.headers}), (407, {"Proxy-Authenticate"}))

    def test_realm_and_algorithms(self) -> None:
        """Both are configured."""
        self.domains, _ = domain_with(self.mktemp(), realm='S"IP', algorithms=("MD5",))
        (value,) = self.challenges()
        self.assertEqual(Challenge.parse(value).params["realm"], 'S"IP')
        self.assertEqual(self.login(self.answer([value])).name, "alice")


class RightTests(LoginCase):
    """Credentials that let a user in."""

    def test_algorithms(self) -> None:
        """Each algorithm that is offered, and its -sess variant."""
        for algorithm in ("MD5", "SHA-256"):
            self.assertEqual(self.login(self.answer(self.challenges(), algorithm=algorithm)).aor, "alice@example.com")
        for algorithm in ("MD5-sess", "SHA-256-sess"):
            offered = [value.replace("MD5", algorithm) for value in self.challenges()]
            self.assertEqual(self.login(self.answer(offered, algorithm=algorithm)).aor, "alice@example.com")

    def test_nonce_again(self) -> None:
        """A nonce serves several requests, each with the next count, and any method."""
        challenges = self.challenges()
        self.login(self.answer(challenges))
        self.login(self.answer(challenges, count=2))
        self.login(self.answer(challenges, count=3, method="INVITE"), method="INVITE")

    def test_auth_int(self) -> None:
        """``auth-int`` covers the body, though it is not offered."""
        offered = [value.replace('"auth"', '"auth-int"') for value in self.challenges()]
        credentials = self.answer(offered, body=b"hello")
        self.login(credentials, body="hello")
        self.assertFalse(self.is_stale(self.refused(self.answer(offered, body=b"hello", count=2), body="hallo")))

    def test_without_qop(self) -> None:
        """Credentials of RFC 2069 are taken once for each challenge."""
        offered = [value.replace(", qop=auth", "").replace(', qop="auth"', "") for value in self.challenges()]
        credentials = self.answer(offered)
        self.assertNotIn("nc=", credentials)
        self.login(credentials)
        self.assertTrue(self.is_stale(self.refused(credentials)))

    def test_utf8(self) -> None:
        """Names and passwords outside of ASCII: as UTF-8, or encoded in ``username*`` (RFC 7616 section 3.4)."""
        set_password(self.path, "müller@example.com", "schön")
        self.domains.refresh()
        credentials = self.answer(self.challenges(), "müller", "schön")
        self.assertEqual(self.login(credentials).aor, "m%C3%BCller@example.com")
        encoded = self.answer(
            self.challenges(), "müller", "schön", changes={"username": None, "username*": "UTF-8''m%C3%BCller"}
        )
        self.assertEqual(self.login(encoded).aor, "m%C3%BCller@example.com")

    def test_equivalent_uri(self) -> None:
        """The digest's URI may be another spelling of the Request-URI (RFC 3261 section 22.4)."""
        self.login(self.answer(self.challenges(), uri="sip:EXAMPLE.com"))

    def test_other_credentials_beside(self) -> None:
        """Credentials for another realm, of another scheme, or without sense, do not matter."""
        others = 'Digest realm="pbx", username="x", nonce="n"', "Bearer abc", "Digest =", "???"
        self.assertEqual(self.login(*others, self.answer(self.challenges())).name, "alice")


class WrongTests(LoginCase):
    """Credentials that let nobody in."""

    def test_guesses(self) -> None:
        """A wrong password and an unknown user get the same, and are counted."""
        seen = set()
        for username, password in (("alice", "x"), ("carol", "x"), ("bob", "wonderland"), ("al ice", "x")):
            refusal = self.refused(self.answer(self.challenges(), username, password))
            self.clock.advance(100)  # so that no delay is in the way
            shape = [Challenge.parse(value).params.keys() for _, value in refusal.headers]
            seen.add((refusal.status, refusal.reason, str(shape), self.is_stale(refusal)))
        self.assertEqual(len(seen), 1)
        self.assertIn(401, next(iter(seen)))
        self.assertIn(b"webrtcproxy_failed_logins_total 4.0", self.metrics.text())

    def test_replay(self) -> None:
        """Credentials work once: the same again, or a count that goes back, asks for new ones."""
        challenges = self.challenges()
        second = self.answer(challenges, count=2)
        self.login(second)
        for credentials in (
            second,
            self.answer(challenges, count=1),
            self.answer(challenges, count=2, method="INVITE"),
        ):
            self.assertTrue(self.is_stale(self.refused(credentials)))

    def test_of_another(self) -> None:
        """A nonce of another connection, or one that was made up, asks for new ones, and counts as no guess: whoever
        has recorded credentials can do nothing with them."""
        mallory = FakeFlow.wss("192.0.2.66", 1)
        credentials = self.answer(self.challenges())
        for flow in (mallory, self.browser):
            forged = credentials if flow is mallory else self.answer(self.challenges(), changes={"nonce": "made-up"})
            self.assertTrue(self.is_stale(self.refused(forged, flow=flow)))
        self.login(credentials)

    def test_too_old(self) -> None:
        """A nonce is valid for some minutes; then the browser makes new credentials, without asking its user."""
        credentials = self.answer(self.challenges())
        self.clock.advance(FlowNonces.LIFETIME + 1)
        refusal = self.refused(credentials)
        self.assertTrue(self.is_stale(refusal))
        self.login(self.answer([value for _, value in refusal.headers]))

    def test_malformed(self) -> None:
        """What is no proper answer to the challenge is refused as a wrong password is, without an exception."""
        wrong: list[dict[str, str | None]] = [
            {name: None} for name in ("username", "nonce", "uri", "response", "nc", "cnonce")
        ]
        wrong += [
            {"uri": "sip:other.com"}, {"uri": "?"}, {"algorithm": "SHA-512-256"}, {"algorithm": "x"}, {"qop": "x"},
            {"nc": "x"}, {"nc": ""}, {"nc": "00000000"}, {"nc": "-1"}, {"nc": "1" * 99}, {"userhash": "true"},
            {"response": ""}, {"response": "ä" * 32}, {"username*": "UTF-8''alice"},
            {"username": None, "username*": "UTF-8''%ff"}, {"username": None, "username*": "latin-1''alice"},
            {"username": None, "username*": "alice"}, {"username": "a\udc80"}, {"username": ""},
        ]  # fmt: skip
        for changes in wrong:
            self.clock.advance(100_000)  # so that no delay is in the way
            refusal = self.refused(self.answer(self.challenges(), changes=changes))
            self.assertEqual((refusal.status, len(refusal.headers)), (401, 2), changes)

    def test_password_changed(self) -> None:
        """Another parameter than those that were signed makes the digest wrong."""
        for changes in ({"nc": "00000009"}, {"cnonce": "x"}, {"username": "bob"}, {"qop": "auth-int"}):
            self.clock.advance(100_000)
            refusal = self.refused(self.answer(self.challenges(), changes=changes))
            self.assertFalse(self.is_stale(refusal), changes)

    def test_not_offered(self) -> None:
        """An algorithm that was not offered is not taken, though the digest is right: where MD5 is switched off, nobody
        can bring it back (RFC 8760 section 2.4)."""
        self.domains, _ = domain_with(self.mktemp(), algorithms=("SHA-256",))
        offered = [value.replace("SHA-256", "MD5") for value in self.challenges()]
        self.assertFalse(self.is_stale(self.refused(self.answer(offered))))
        self.login(self.answer(self.challenges(), algorithm="SHA-256"))

    def test_other_uri(self) -> None:
        """Credentials for one Request-URI are no good for another, though they are right (RFC 3261 section 22.4)."""
        for uri in ("sip:other.example", "sip:example.com:5070", "sip:bob@example.com", "?"):
            self.assertEqual(self.refused(self.answer(self.challenges(), uri=uri)).status, 401, uri)

    def test_other_method(self) -> None:
        """Credentials of one method are no good for another."""
        self.refused(self.answer(self.challenges(), method="INVITE"))

    def test_wrong_header(self) -> None:
        """The registrar takes Authorization, the proxy Proxy-Authorization (RFC 3261 sections 22.2 and 22.3)."""
        request = self.request(self.answer(self.challenges(method="INVITE"), method="INVITE"))
        request = Request("INVITE", request.uri, request.headers)
        self.failureResultOf(self.logins.login(self.domain, request, self.browser), Refusal)


class GuardTests(LoginCase):
    """After failed logins."""

    def test_delay(self) -> None:
        """Further attempts are refused with Retry-After, even with the right password, and for users that do not exist
        all the same; a request without credentials still gets its challenge."""
        for _ in range(6):
            self.refused(self.answer(self.challenges(), password="x"))
        for username in ("alice", "carol"):
            refusal = self.refused(self.answer(self.challenges(), username))
            self.assertEqual((refusal.status, refusal.reason), (503, "Too Many Failed Logins"))
            self.assertGreater(int(dict(refusal.headers)["Retry-After"]), 0)
        self.clock.advance(120)
        self.login(self.answer(self.challenges()))

    def test_known(self) -> None:
        """Who has logged in before is not delayed by the failures of others at its address."""
        self.login(self.answer(self.challenges()))
        for _ in range(6):
            self.refused(self.answer(self.challenges(), "bob", "x"))
        self.login(self.answer(self.challenges()))

    def test_connected(self) -> None:
        """Nobody at the same address locks out a user who is connected: guesses at his password delay those who guess,
        on whatever connections, and not his own one."""
        self.login(self.answer(self.challenges()))
        self.proofs.add(self.browser, f"alice@{DOMAIN}", self.domain.authority, 600)
        for number in range(20):
            other = FakeFlow.wss(self.browser.peer.host, 50000 + number)
            self.refused(self.answer(self.challenges(other), password="x"), flow=other)
        self.assertEqual(self.refused(self.answer(self.challenges(other)), flow=other).status, 503)
        self.login(self.answer(self.challenges()))
        for _ in range(4):
            self.refused(self.answer(self.challenges(), password="x"))
        self.assertEqual(self.refused(self.answer(self.challenges())).status, 503)

    def test_another_user(self) -> None:
        """A connection that has proven one user guesses no other's password."""
        self.login(self.answer(self.challenges()))
        self.proofs.add(self.browser, f"alice@{DOMAIN}", self.domain.authority, 600)
        for _ in range(6):
            self.refused(self.answer(self.challenges(), "bob", "x"))
        self.assertEqual(self.refused(self.answer(self.challenges(), "bob", "builder")).status, 503)


class AvailableTests(LoginCase):
    """Where those that know the users can't be asked."""

    def test_not_available(self) -> None:
        """503, so that a browser does not take its password for wrong; it is no failed login."""

        class Broken:
            def login(self, credentials: object, mind: object, *interfaces: object) -> Deferred[object]:
                return fail(OSError("no server"))

        domain = ServedDomain(Domain(DOMAIN, realm=DOMAIN), None, [(Broken(), False)])  # type: ignore[list-item]
        request = self.request(self.answer(self.challenges()))
        failure = self.failureResultOf(self.logins.login(domain, request, self.browser), Refusal)
        self.assertEqual(failure.value.status, 503)
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        self.assertIn(b"webrtcproxy_failed_logins_total 0.0", self.metrics.text())


class NeededTests(LoginCase):
    """Which requests need a login, and what one by another request than REGISTER proves."""

    def ask(self, uri: str, *credentials: str, user: str = "alice", domain: str = DOMAIN) -> Request:
        self.cseq += 1
        more = tuple(f"Proxy-Authorization: {value}" for value in credentials)
        made = register_request(uri=uri, user=user, domain=domain, cseq=self.cseq, more=more)
        return Request("INVITE", made.uri, made.headers)

    def needed(self, request: Request, flow: FakeFlow | None = None) -> bool:
        return self.logins.needed(request, flow or self.browser) is not None

    def admit(self, request: Request) -> None:
        self.successResultOf(self.logins.admit(self.domain, request, self.browser))

    def test_whom(self) -> None:
        """From of the domain, or a Request-URI of the domain; anything else is no matter of it."""
        self.assertTrue(self.needed(self.ask("sip:+49@carrier.example")))
        self.assertTrue(self.needed(self.ask("tel:+49")))
        self.assertTrue(self.needed(self.ask(f"sip:bob@{DOMAIN}", domain="elsewhere.example")))
        self.assertFalse(self.needed(self.ask("sip:bob@elsewhere.example", domain="elsewhere.example")))
        self.assertFalse(self.needed(self.ask("tel:+49", domain="elsewhere.example")))

    def test_proves(self) -> None:
        """It proves the user to its domain on this connection, for some minutes; nobody else."""
        uri = f"sip:bob@{DOMAIN}"
        first = self.ask(uri)
        failure = self.failureResultOf(self.logins.admit(self.domain, first, self.browser), Refusal)
        challenges = [value for _, value in failure.value.headers]
        self.admit(self.ask(uri, self.answer(challenges, method="INVITE", uri=uri)))
        self.assertFalse(self.needed(self.ask(uri)))
        self.assertFalse(self.needed(self.ask(uri, user="x", domain="anonymous.invalid")))
        self.assertTrue(self.needed(self.ask(uri, user="bob")), "it has not proven to be bob")
        self.assertTrue(self.needed(self.ask(uri), FakeFlow.wss("192.0.2.9", 9)))
        self.clock.advance(Logins.LASTS)
        self.assertTrue(self.needed(self.ask(uri)))

    def test_numbers(self) -> None:
        """A user may call from its own numbers, at its domain; not from those of others."""
        self.path.write_text(self.path.read_text().replace("alice@example.com", "alice@example.com numbers=+4930"))
        self.domains.refresh()
        uri = f"sip:bob@{DOMAIN}"
        failure = self.failureResultOf(self.logins.admit(self.domain, self.ask(uri), self.browser), Refusal)
        challenges = [value for _, value in failure.value.headers]
        for count, (number, admitted) in enumerate((("+4940", False), ("+4930", True)), 1):
            request = self.ask(uri, self.answer(challenges, method="INVITE", uri=uri, count=count), user=number)
            work = self.logins.admit(self.domain, request, self.browser)
            if admitted:
                self.successResultOf(work)
            else:
                self.assertEqual(self.failureResultOf(work, Refusal).value.status, 403)
        self.assertFalse(self.needed(self.ask(uri, user="+4930")))
        self.assertTrue(self.needed(self.ask(uri, user="+4940")))

    def test_taken(self) -> None:
        """Credentials for the domain end here, and so does what can't be read, which may be for it (RFC 3261
        section 22.3); others cross as they are."""
        others = ['Digest realm="pbx", nonce="n"', "Basic abc"]
        ours = f'Digest realm="{DOMAIN}", nonce="n"'
        request = self.ask("sip:x@y.example", ours, *others, "???", f'{ours}, Digest realm="pbx", nonce="n"')
        self.logins.take_credentials(request)
        self.assertEqual(request.headers.lines("Proxy-Authorization"), others)
        self.logins.take_credentials(self.ask("sip:x@y.example"))
