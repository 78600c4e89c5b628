"""Failed logins at a trunk's registrar: delayed and refused here, before the registrar bans the proxy."""

from __future__ import annotations

from tests.support.calls.registering import ALICE, JSSIP, RegistrarCase, register_request
from tests.support.exposition import Readings
from tests.support.fakes import FakeFlow
from webrtcproxy.access.relayed_login import check_login
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.message import Request, read, respond

CONTACT = f"{JSSIP};expires=600"
STRANGER = "203.0.113.66"


class LoginCase(RegistrarCase):
    """Each browser has a socket of its own; the registrar has one password for each user."""

    def setUp(self) -> None:
        super().setUp()
        self.asked: list[Request] = []
        self.readings = Readings(self.metrics)

    def credentials(self, user: str = "alice", right: bool = False, nonce: str = "abc") -> str:
        response = "0" if right else "1"
        return (
            f'Authorization: Digest username="{user}", realm="pbx", nonce="{nonce}", uri="sip:x", response="{response}"'
        )

    def ask(self, flow: FakeFlow, *more: str, user: str = "alice") -> None:
        """One REGISTER of a browser."""
        self.cseq += 1
        call_id = f"c{self.cseq}"
        self.send(register_request(CONTACT, cseq=self.cseq, user=user, call_id=call_id, more=more), flow)

    def registrar_answers(self, stale: bool = False, status: int = 0) -> int:
        """Let the registrar answer what it has got, until nothing more comes; how many requests that were.

        :param status: of each answer; 0 for a challenge, or 200 where the password is right.
        """
        (flow,) = self.network.flows.values()
        count = 0
        while len(self.asked) < len(flow.sent):
            request = read(flow.sent[len(self.asked)])
            assert isinstance(request, Request)
            self.asked.append(request)
            count += 1
            right = 'response="0"' in (request.headers.get("Authorization") or "")
            challenge = 'Digest realm="pbx", nonce="abc"' + (", stale=true" if stale else "")
            headers = [] if right else [("WWW-Authenticate", challenge)]
            response = respond(request, status or (200 if right else 401), to_tag="up", headers=headers)
            self.transactions.message_received(response, flow)
            self.clock.advance(0)
        return count

    def login(self, flow: FakeFlow, user: str = "alice", right: bool = True) -> int:
        """Register with a password, after a challenge; the last status."""
        self.ask(flow, user=user)
        self.registrar_answers()
        self.ask(flow, self.credentials(user, right), user=user)
        self.registrar_answers()
        return flow.last_response.status


class FailedTests(LoginCase):
    """What counts as a failed login (docs/access.rst, Strangers; RFC 3261 section 22.3)."""

    def failures(self) -> float:
        return self.readings.moved().get("failed_logins_total", 0)

    def test_wrong_password(self) -> None:
        """A further challenge after an answer in its realm is a failed login; the first challenge is none."""
        flow = FakeFlow.wss(STRANGER)
        self.ask(flow)
        self.registrar_answers()
        self.assertEqual(self.failures(), 0)
        self.ask(flow, self.credentials())
        self.registrar_answers()
        self.assertEqual((flow.last_response.status, self.failures()), (401, 1))

    def test_stale(self) -> None:
        """A nonce that is too old is none (RFC 7616 section 3.3), nor is another realm's challenge."""
        flow = FakeFlow.wss(STRANGER)
        self.ask(flow, self.credentials())
        self.registrar_answers(stale=True)
        self.ask(flow, self.credentials().replace('realm="pbx"', 'realm="other"'))
        self.registrar_answers()
        self.assertEqual(self.failures(), 0)

    def test_refused(self) -> None:
        """403, 404 and 604 with credentials are failed logins; errors of the registrar are none."""
        for number, (status, failures) in enumerate(((403, 1), (404, 1), (604, 1), (500, 0), (503, 0), (423, 0))):
            flow = FakeFlow.wss(f"203.0.113.{number}")
            self.ask(flow, self.credentials())
            self.registrar_answers(status=status)
            self.assertEqual(self.failures(), failures, status)

    def test_registrar_that_tells(self) -> None:
        """Where a registrar says by 404 which users there are not, a stranger that asks for ten of them is banned."""
        flow = FakeFlow.wss(STRANGER)
        for number in range(20):
            self.ask(flow, user=f"u{number}")
            self.registrar_answers(status=404)
            self.clock.advance(60)
        self.assertTrue(self.guard.is_banned(STRANGER))
        self.assertLessEqual(len(self.asked), 14)

    def test_username_of_another(self) -> None:
        """Who is logged in can not guess the passwords of others by their usernames, neither on his own connection nor
        at his own address: they count as failures for them."""
        flow = FakeFlow.wss(STRANGER)
        self.assertEqual(self.login(flow, "mallory"), 200)
        guesses = 0
        for _ in range(100):
            self.ask(flow, self.credentials("bob"), user="mallory")
            guesses += self.registrar_answers()
            self.login(flow, "mallory")
        self.assertLessEqual(guesses, 4)
        self.assertEqual(flow.last_response.status, 200)


class GuessingTests(LoginCase):
    """Guesses are kept from the registrar, and from the user (docs/access.rst, Strangers)."""

    def test_burst(self) -> None:
        """Of 150 guesses within a moment, on many connections, a handful reaches the registrar; the others get 503 with
        Retry-After."""
        flows = [FakeFlow.wss(STRANGER, 40000 + number) for number in range(150)]
        for flow in flows:
            self.ask(flow, self.credentials())
        self.assertLessEqual(self.registrar_answers(), 6)
        answers = [flow.last_response for flow in flows]
        late = [answer for answer in answers if answer.status == 503]
        self.assertGreaterEqual(len(late), 144)
        self.assertLessEqual({answer.headers.get("Retry-After") for answer in late}, {"1", "2", "600"})
        self.assertEqual(len(self.registrar.logins), 0)

    def test_over_time(self) -> None:
        """In an hour of guessing a few dozen reach the registrar at most."""
        guesses = 0
        for _ in range(3600):
            flow = FakeFlow.wss(STRANGER)
            self.ask(flow, self.credentials())
            guesses += self.registrar_answers()
            self.clock.advance(1)
        self.assertLessEqual(guesses, 40)

    def test_user_is_not_locked_out(self) -> None:
        """While a stranger guesses a user's password, the user registers at once, from elsewhere and from where he was
        before; and an open connection goes on."""
        home, new = FakeFlow.wss("198.51.100.5"), FakeFlow.wss("198.51.100.77")
        self.assertEqual(self.login(home), 200)
        for number in range(100):
            self.ask(FakeFlow.wss(f"203.0.113.{number}"), self.credentials())
        self.registrar_answers()
        self.assertEqual(self.login(new), 200)
        self.assertEqual(self.login(FakeFlow.wss("198.51.100.5")), 200)
        self.ask(home)
        self.registrar_answers()
        self.assertEqual(home.last_response.status, 401)

    def test_connected(self) -> None:
        """Nobody at the same address locks out a user who is connected: guesses at his password delay neither his
        registration nor his calls."""
        home = FakeFlow.wss(STRANGER)
        self.assertEqual(self.login(home), 200)
        for number in range(20):
            self.login(FakeFlow.wss(STRANGER, 50000 + number), right=False)
        self.assertEqual(self.login(FakeFlow.wss(STRANGER, 60000)), 503)
        self.assertEqual(self.login(home), 200)
        self.assertGreater(self.guard.delay(STRANGER, ALICE), 0)
        invite = register_request(CONTACT, cseq=1, more=(self.credentials(),))
        check_login(self.guard, self.registrar.location.proofs, invite, home)
        self.assertRaises(
            Refusal, check_login, self.guard, self.registrar.location.proofs, invite, FakeFlow.wss(STRANGER)
        )
        for _ in range(6):
            self.login(home, right=False)
        self.assertEqual(self.login(home), 503)

    def test_same_for_unknown_users(self) -> None:
        """A user that does not exist is delayed as one that does: same status, reason and headers."""
        answers = []
        for number, user in enumerate(("alice", "nobody")):
            host = f"203.0.113.{number}"
            for _ in range(4):
                self.ask(FakeFlow.wss(host), self.credentials(user), user=user)
                self.registrar_answers()
            flow = FakeFlow.wss(host)
            self.ask(flow, self.credentials(user), user=user)
            response = flow.last_response
            answers.append((response.status, response.reason, response.headers.get("Retry-After")))
        self.assertEqual(answers[0], answers[1])
        self.assertEqual(answers[0], (503, "Too Many Failed Logins", "1"))

    def test_waits_in_vain(self) -> None:
        """Where the registrar is silent, those that wait get 504 after their time, and nothing is left."""
        for number in range(20):
            self.ask(FakeFlow.wss(STRANGER, 40000 + number), self.credentials())
        for _ in range(80):
            self.clock.advance(0.5)
        self.assertEqual(len(self.registrar.logins), 0)
        self.assertEqual(self.guard.delay(STRANGER, ALICE), 0)


class AskingTests(LoginCase):
    """REGISTERs without a login, each for another user, are kept from the registrar, too, which would ban the
    proxy; pages that log in are let through (docs/access.rst, Strangers)."""

    def burst(self, count: int, *more: str, first: int = 0) -> list[FakeFlow]:
        """So many REGISTERs in one moment, each on a connection of its own and for another user."""
        flows = [FakeFlow.wss(STRANGER, 40000 + first + number) for number in range(count)]
        for number, flow in enumerate(flows, first):
            self.ask(flow, *(line.replace("USER", f"u{number}") for line in more), user=f"u{number}")
        return flows

    def wait(self, seconds: int) -> int:
        """Let time pass while the registrar challenges whatever it gets; how many requests that were."""
        count = 0
        for _ in range(2 * seconds):
            count += self.registrar_answers()
            self.clock.advance(0.5)
        return count

    def test_burst(self) -> None:
        """Of 100 in one moment a handful reaches the registrar, as of guesses; the others get 503 with Retry-After."""
        flows = self.burst(100)
        self.assertLessEqual(self.wait(40), 8)
        late = [flow.last_response for flow in flows if flow.last_response.status == 503]
        self.assertGreaterEqual(len(late), 92)
        self.assertNotIn(None, {answer.headers.get("Retry-After") for answer in late})
        self.assertEqual((len(self.registrar.challenges), self.registrar.challenges.networks), (0, 0))

    def test_over_time(self) -> None:
        """In an hour of this, a new user each second, a few dozen reach the registrar at most."""
        reached = 0
        for number in range(3600):
            self.ask(FakeFlow.wss(STRANGER), user=f"u{number}")
            reached += self.registrar_answers()
            self.clock.advance(1)
        self.assertLessEqual(reached, 40)

    def test_one_after_the_other(self) -> None:
        """So it is where each waits for the challenge of the one before it."""
        reached = 0
        for number in range(100):
            self.ask(FakeFlow.wss(STRANGER), user=f"u{number}")
            reached += self.registrar_answers()
        self.assertLessEqual(reached, 6)

    def test_answers_that_are_none(self) -> None:
        """Nor does it help to send credentials that are never wrong, since they are for another realm, or too old."""
        for number, (realm, stale) in enumerate((("other", False), ("pbx", True))):
            line = self.credentials("USER").replace('realm="pbx"', f'realm="{realm}"')
            self.burst(100, line, first=1000 * number)
            reached = 0
            for _ in range(80):
                reached += self.registrar_answers(stale)
                self.clock.advance(0.5)
            self.assertLessEqual(reached, 8, realm)
            self.guard.lift(STRANGER)

    def test_same_user_again(self) -> None:
        """Nor does it to answer one challenge so, again and again."""
        flow, reached = FakeFlow.wss(STRANGER), 0
        self.ask(flow)
        for _ in range(100):
            reached += self.registrar_answers(stale=True)
            self.ask(flow, self.credentials())
        self.assertLessEqual(reached, 10)

    def come_back(self, count: int, wrong: range = range(0), silent: range = range(0)) -> tuple[int, list[int]]:
        """So many pages behind one address all come back at once, after a restart of the proxy; the round trips until
        nothing more happens, and the last status of each page.

        :param wrong: pages with an old password.
        :param silent: pages that answer no challenge.
        """
        flows = [FakeFlow.wss("198.51.100.5", 1 + number) for number in range(count)]
        for number, flow in enumerate(flows):
            self.ask(flow, user=f"u{number}")
        rounds = 0
        left = dict(enumerate(flows))
        while self.registrar_answers():
            rounds += 1
            for number, flow in [(number, flow) for number, flow in left.items() if flow.responses]:
                del left[number]
                if flow.last_response.status == 401 and number not in silent:
                    right = number not in wrong
                    self.ask(flow, self.credentials(f"u{number}", right), user=f"u{number}")
            self.clock.advance(0.25)
        return rounds, [flow.last_response.status for flow in flows]

    def test_shared_address(self) -> None:
        """50 pages behind one address that all come back at once, after a restart of the proxy, are in within a few
        round trips, without a refusal: each login lets others on."""
        rounds, statuses = self.come_back(50)
        self.assertEqual({*statuses}, {200})
        self.assertLessEqual(rounds, 16)
        self.assertEqual(self.guard.delay("198.51.100.5", "new@example.com"), 0)
        self.assertEqual((len(self.registrar.challenges), self.registrar.challenges.networks), (0, 0))

    def test_many_at_one_address(self) -> None:
        """So are 300, of which a few have an old password, or never answer: these keep nobody out."""
        wrong, silent = range(50, 300, 100), range(90, 300, 100)
        rounds, statuses = self.come_back(300, wrong, silent)
        self.assertEqual({number for number, status in enumerate(statuses) if status != 200}, {*wrong, *silent})
        self.assertEqual({*statuses}, {200, 401})
        self.assertLessEqual(rounds, 24)

    def test_slow_page(self) -> None:
        """A login that comes late counts all the same, and one page that never answers does not delay the others."""
        slow, never = FakeFlow.wss("198.51.100.5", 1), FakeFlow.wss("198.51.100.5", 2)
        self.ask(slow, user="slow")
        self.ask(never, user="never")
        self.wait(60)
        self.ask(slow, self.credentials("slow", right=True), user="slow")
        self.registrar_answers()
        self.assertEqual(slow.last_response.status, 200)
        for number in range(10):
            self.assertEqual(self.login(FakeFlow.wss("198.51.100.5", 10 + number), f"u{number}"), 200)

    def test_registrar_that_challenges_nobody(self) -> None:
        """Where the registrar accepts whoever asks, or is silent, no place is kept."""
        flows = self.burst(300)
        rounds = 0
        while self.registrar_answers(status=200):
            rounds += 1
        self.assertLessEqual(rounds, 10)
        self.assertEqual({flow.last_response.status for flow in flows}, {200})
        self.burst(20, first=100)
        self.clock.pump([0.5] * 100)
        self.assertEqual((len(self.registrar.challenges), self.registrar.challenges.networks), (0, 0))
        self.assertEqual(self.guard.delay(STRANGER, ALICE), 0)
