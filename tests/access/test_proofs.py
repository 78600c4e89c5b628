"""Proofs: what the browser on each flow has proven, and to whom."""

from __future__ import annotations

from dataclasses import replace

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX
from tests.support.fakes import FakeFlow
from webrtcproxy.access.caller import STRANGER, Authority, Caller, authority_of
from webrtcproxy.access.proofs import MAX_CHALLENGES, Proofs, nonces_of, nonces_offered
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.users.user import User

ALICE = "alice@pbx.example.com"
BOB = "bob@carrier.example.net"
AT_PBX: Authority = ("trunk", "pbx")
USER = User("alice", "example.com", trunks=frozenset(["carrier"]))


def register(*nonces: str) -> Request:
    """A REGISTER with credentials for these nonces."""
    return Request("REGISTER", "sip:x", Headers([("Authorization", f'Digest nonce="{nonce}"') for nonce in nonces]))


class ProofCase(SynchronousTestCase):
    """The proofs, and one browser."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.proofs = Proofs(self.clock)
        self.flow = FakeFlow.wss()


class CallerTests(ProofCase):
    """On whose behalf a request is handled."""

    def test_authority(self) -> None:
        """A trunk's registrar is the trunk, any other is its host: nobody is taken for another."""
        self.assertEqual(authority_of(PBX, "pbx.example.com"), ("trunk", "pbx"))
        self.assertEqual(authority_of(None, "pbx"), ("host", "pbx"))

    def test_stranger(self) -> None:
        """Who has proven nothing is nobody, and may use no trunk."""
        self.assertIs(self.proofs.caller(self.flow, ALICE), STRANGER)
        self.assertFalse(STRANGER.may_use(PBX))

    def test_each_trunk(self) -> None:
        """What is proven to one trunk proves nothing to another; several proofs of one connection add up."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        caller = self.proofs.caller(self.flow, ALICE)
        self.assertEqual((caller.aor, caller.may_use(PBX), caller.may_use(CARRIER)), (ALICE, True, False))
        self.assertTrue(self.proofs.has(self.flow, ALICE, AT_PBX))
        self.assertFalse(self.proofs.has(self.flow, ALICE, authority_of(CARRIER, "")))
        self.proofs.add(self.flow, BOB, authority_of(CARRIER, ""), 60)
        self.assertTrue(self.proofs.caller(self.flow, ALICE).may_use(CARRIER))

    def test_also_for(self) -> None:
        """A trunk may be there for the users of others, if its section says so; not the other way round."""
        open_to_pbx = replace(CARRIER, also_for=("pbx",))
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.assertTrue(self.proofs.caller(self.flow).may_use(open_to_pbx))
        other = FakeFlow.wss()
        self.proofs.add(other, BOB, authority_of(open_to_pbx, ""), 60)
        self.assertFalse(self.proofs.caller(other).may_use(PBX))

    def test_another_name(self) -> None:
        """A claimed address that is not proven is not the caller's; what the connection has proven still counts."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        for claimed in (BOB, ""):
            caller = self.proofs.caller(self.flow, claimed)
            self.assertEqual((caller.aor, caller.is_authenticated_by(AT_PBX)), (None, True))

    def test_no_name(self) -> None:
        """Where no address is claimed, the caller is the one that was proven first and still is."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.proofs.add(self.flow, BOB, authority_of(CARRIER, ""), 90)
        self.assertEqual(self.proofs.caller(self.flow).aor, ALICE)
        self.clock.advance(60)
        self.assertEqual(self.proofs.caller(self.flow).aor, BOB)

    def test_user(self) -> None:
        """A user of a domain that is served here may use the trunks of its account."""
        self.proofs.add(self.flow, USER.aor, ("domain", "example.com"), 60, USER)
        caller = self.proofs.caller(self.flow, USER.aor)
        self.assertEqual(caller, Caller(USER.aor, frozenset([("domain", "example.com")]), USER))
        self.assertEqual((caller.may_use(PBX), caller.may_use(CARRIER)), (False, True))

    def test_expired(self) -> None:
        """A proof counts to the second."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.clock.advance(59.9)
        self.assertTrue(self.proofs.has(self.flow, ALICE, AT_PBX))
        self.clock.advance(0.1)
        self.assertFalse(self.proofs.has(self.flow, ALICE, AT_PBX))
        self.assertEqual((self.proofs.any(self.flow), self.proofs.aors(self.flow)), (False, []))
        self.assertEqual(self.proofs.caller(self.flow, ALICE), STRANGER)


class RememberedCallerTests(ProofCase):
    """The caller of a connection is found out once for many requests; what changes it counts at once."""

    def test_once(self) -> None:
        """Requests that follow each other are those of one and the same caller."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.assertIs(self.proofs.caller(self.flow, ALICE), self.proofs.caller(self.flow, ALICE))
        self.assertIs(self.proofs.caller(self.flow), self.proofs.caller(self.flow))

    def test_added(self) -> None:
        """A further proof, also for another authority, is one of the next request."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.proofs.caller(self.flow, ALICE)
        self.proofs.add(self.flow, BOB, authority_of(CARRIER, ""), 60)
        self.assertTrue(self.proofs.caller(self.flow, ALICE).may_use(CARRIER))

    def test_removed(self) -> None:
        """After an un-REGISTER the next request may use nothing any more."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.proofs.add(self.flow, BOB, authority_of(CARRIER, ""), 60)
        self.proofs.caller(self.flow, ALICE)
        self.proofs.remove(self.flow, BOB)
        self.assertFalse(self.proofs.caller(self.flow, ALICE).may_use(CARRIER))

    def test_one_of_two_expired(self) -> None:
        """What has expired is no longer among what the others of the connection may use, to the second."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.proofs.add(self.flow, BOB, authority_of(CARRIER, ""), 30)
        self.proofs.caller(self.flow, ALICE)
        self.clock.advance(29.9)
        self.assertTrue(self.proofs.caller(self.flow, ALICE).may_use(CARRIER))
        self.clock.advance(0.1)
        self.assertFalse(self.proofs.caller(self.flow, ALICE).may_use(CARRIER))

    def test_another_user(self) -> None:
        """A user whose account has changed, or is gone, is the changed one with the next request."""
        self.proofs.add(self.flow, USER.aor, ("domain", "example.com"), 60, USER)
        self.assertEqual(self.proofs.caller(self.flow).user, USER)
        changed = replace(USER, trunks=frozenset())
        self.proofs.replace_user(USER.aor, changed)
        self.assertEqual(self.proofs.caller(self.flow).user, changed)
        self.proofs.replace_user(USER.aor, None)
        self.assertEqual(self.proofs.caller(self.flow), STRANGER)


class EndTests(ProofCase):
    """Proofs end, and leave nothing."""

    def test_with_the_flow(self) -> None:
        """A lost connection has proven nothing, and a closed one can't any more."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.flow.lose()
        self.assertEqual((self.proofs.any(self.flow), len(self.proofs)), (False, 0))
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.proofs.challenged(self.flow, ALICE, AT_PBX, ["n"])
        self.assertEqual(len(self.proofs), 0)

    def test_lasting(self) -> None:
        """What was proven for the connection stays when its user un-registers; what a REGISTER has proven does not."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60, lasting=True)
        self.proofs.add(self.flow, BOB, AT_PBX, 60)
        self.proofs.remove(self.flow, ALICE)
        self.proofs.remove(self.flow, BOB)
        self.proofs.remove(self.flow, BOB)
        self.assertEqual(self.proofs.aors(self.flow), [ALICE])

    def test_stop(self) -> None:
        """When the proxy stops, nobody is listened to any more."""
        self.proofs.add(self.flow, ALICE, AT_PBX, 60)
        self.proofs.stop()
        self.assertEqual((len(self.proofs), self.flow.watched), (0, False))


class ChallengeTests(ProofCase):
    """A REGISTER that was accepted proves something where it answers a challenge."""

    def accepted(self, *nonces: str, aor: str = ALICE, authority: Authority = AT_PBX) -> bool:
        """A REGISTER with these nonces is accepted; whether that has proven it."""
        self.proofs.accepted(self.flow, register(*nonces), aor, authority, 60)
        return self.proofs.has(self.flow, aor, authority)

    def test_own_challenge(self) -> None:
        """The nonce, the address-of-record and the authority have to be those of the challenge."""
        self.assertFalse(self.accepted("n"))
        self.proofs.challenged(self.flow, ALICE, AT_PBX, ["m", "n"])
        self.assertFalse(self.accepted())
        self.assertFalse(self.accepted("o"))
        self.assertFalse(self.accepted("n", aor=BOB))
        self.assertFalse(self.accepted("n", authority=("trunk", "carrier")))
        self.assertTrue(self.accepted("o", "n"))

    def test_refresh(self) -> None:
        """A refresh needs no new challenge while the proof lasts."""
        self.proofs.challenged(self.flow, ALICE, AT_PBX, ["n"])
        self.assertTrue(self.accepted("n"))
        self.clock.advance(59)
        self.assertTrue(self.accepted())
        self.clock.advance(61)
        self.assertFalse(self.accepted())

    def test_bounded(self) -> None:
        """Of challenges that nobody answers, the last ones are remembered."""
        self.proofs.challenged(self.flow, ALICE, AT_PBX, map(str, range(MAX_CHALLENGES + 1)))
        self.assertFalse(self.accepted("0"))
        self.assertTrue(self.accepted(str(MAX_CHALLENGES)))

    def test_unreadable(self) -> None:
        """Credentials that can't be read have no nonce."""
        headers = Headers([("Authorization", 'Digest nonce="'), ("Proxy-Authorization", 'Digest nonce="n"')])
        self.assertEqual(nonces_of(Request("REGISTER", "sip:x", headers)), ["n"])

    def test_malformed_challenges(self) -> None:
        """The nonces that were offered are those that a browser is told, also where the challenge is malformed."""
        lines = ('Digest realm="a" nonce="n1"', 'Digest realm="b, nonce="n2"', 'Digest realm="c", nonce="n3"', "?")
        headers = Headers([("WWW-Authenticate", line) for line in lines])
        self.assertEqual(sorted(nonces_offered(Response(401, "", headers))), ["n1", "n2", "n3"])


class UserTests(ProofCase):
    """Users of domains that are served here."""

    AT_HOME: Authority = ("domain", "example.com")

    def test_lasting(self) -> None:
        """A login for the whole connection says which user it was, to that authority, until it ends."""
        self.proofs.add(self.flow, USER.aor, self.AT_HOME, 60, USER)
        self.assertIsNone(self.proofs.lasting(self.flow, USER.aor, self.AT_HOME))
        self.proofs.add(self.flow, USER.aor, self.AT_HOME, 60, USER, lasting=True)
        self.assertIs(self.proofs.lasting(self.flow, USER.aor, self.AT_HOME), USER)
        self.assertIsNone(self.proofs.lasting(self.flow, USER.aor, AT_PBX))
        self.assertIsNone(self.proofs.lasting(self.flow, BOB, self.AT_HOME))
        self.assertIsNone(self.proofs.lasting(FakeFlow.wss(), USER.aor, self.AT_HOME))
        self.clock.advance(60)
        self.assertIsNone(self.proofs.lasting(self.flow, USER.aor, self.AT_HOME))

    def test_changed(self) -> None:
        """A user that has changed is another one in every proof, which lasts as long as before."""
        self.proofs.add(self.flow, USER.aor, self.AT_HOME, 60, USER, lasting=True)
        changed = User("alice", "example.com", "Alice")
        self.proofs.replace_user(USER.aor, changed)
        self.assertIs(self.proofs.lasting(self.flow, USER.aor, self.AT_HOME), changed)
        self.clock.advance(60)
        self.assertEqual(self.proofs.aors(self.flow), [])

    def test_gone(self) -> None:
        """A user that is gone has proven nothing any more, a lasting login included; what others have, stays."""
        other = FakeFlow.wss("192.0.2.7", 7)
        self.proofs.add(self.flow, USER.aor, self.AT_HOME, 60, USER, lasting=True)
        self.proofs.add(other, USER.aor, self.AT_HOME, 60, USER)
        self.proofs.add(other, ALICE, AT_PBX, 60)
        self.proofs.replace_user(USER.aor, None)
        self.assertEqual((self.proofs.aors(self.flow), self.proofs.aors(other)), ([], [ALICE]))
        self.assertEqual(len(self.proofs), 1)
        self.proofs.replace_user(ALICE, None)
        self.assertEqual(self.proofs.aors(other), [ALICE], "it is no user of a domain that is served here")
