"""Transfers that the proxy carries out by itself: what the target answers, and when one may begin."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.party import party_of
from tests.support.calls.transferring import BY, NEW, TARGET, LocalTransferCase, name_of, refer_to
from tests.support.calls.world import PLAIN, Browser
from tests.support.configs import CARRIER, PBX
from webrtcproxy.config import HostPort, Trunk, TrunkLimits
from webrtcproxy.sip.message import Headers, Request, Response

DAVE = ("P-Asserted-Identity", "<sip:+49303@carrier.example.net>")
ERIN = ("P-Asserted-Identity", "<sip:+49304@pbx.example.com>")


class Target(LocalTransferCase):
    """Answers that are none at once."""

    def assert_taken_over(self, invite: Request, answer: Response) -> None:
        """The target has answered with NEW: the call goes on with it, the transferor's leg ends, and the target's hangs
        up."""
        self.carrier.heard("ACK")
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.assertEqual(self.world.nodes.sessions[-1].operations[1].sdp, NEW)
        self.bye(party_of(self.carrier, invite, answer), self.bob)

    def test_reliable_answer(self) -> None:
        """The answer is in the first reliable 183, which gets its PRACK (RFC 3262 section 5); what comes after it, or
        has been said by another fork, counts for nothing."""
        invite = self.refer()
        fork, other = NEW.replace(b"60000", b"60002"), NEW.replace(b"60000", b"60004")
        for number, sdp in (("7", NEW), ("8", other)):
            reliable = [("Require", "100rel"), ("RSeq", number)]
            self.carrier.answer(invite, 183, sdp, tag="dave", headers=reliable)
            self.told("183 Session Progress", "active")
            self.carrier.answer(self.carrier.request("PRACK"), 200)
        self.carrier.answer(invite, 183, fork, tag="fork")
        self.told("183 Session Progress", "active")
        answer = self.carrier.answer(invite, 200, other, tag="dave")
        self.assert_taken_over(invite, answer)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_preview(self) -> None:
        """A 2xx without SDP stands by the preview of its own dialog, and by that of no other one; a 1xx that can't be
        read says nothing."""
        invite = self.refer()
        for tag, sdp in (("dave", NEW), ("fork", NEW.replace(b"60000", b"60002"))):
            self.carrier.answer(invite, 183, sdp, tag=tag)
            self.told("183 Session Progress", "active")
        self.carrier.answer(invite, 183, tag="dave", headers=[("Content-Type", "multipart/mixed")])
        self.told("183 Session Progress", "active")
        answer = self.carrier.answer(invite, 200, tag="dave")
        self.assert_taken_over(invite, answer)

    def test_limit_of_the_trunk(self) -> None:
        """The call of a transfer counts at the trunk of its target: where that has as many calls as it may have, the
        transferor gets 503, and the call stands. One that fails counts no more (docs/access.rst: Limits)."""
        self.trunks = (self.trunks[0], replace(self.trunks[1], limits=TrunkLimits(calls=1)))  # type: ignore[misc]
        self.world = self.make_world()
        self.people()
        other = self.world.browser("erin")
        other.bind()
        other.authenticate(self.trunks[1])
        other.invite(TARGET)
        first = self.carrier.request("INVITE")
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"), BY)
        self.pbx.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.told("503 Too Many Calls Of Yours", "terminated")
        self.carrier.answer(first, 486)
        self.carrier.heard("ACK")
        other.heard(486)
        for _ in range(2):
            invite = self.refer()
            other.invite(TARGET)
            other.heard(503)
            self.carrier.answer(invite, 486)
            self.carrier.heard("ACK")
            self.told("486 Busy Here", "terminated")
        invite = self.refer()
        dave = self.answered(invite)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        other.invite(TARGET)
        other.heard(503)
        self.bye(dave, self.bob)

    def test_rate_of_the_trunk(self) -> None:
        """So it is where the trunk has had as many calls in this minute as it may get."""
        self.trunks = (self.trunks[0], replace(self.trunks[1], limits=TrunkLimits(calls_to_per_minute=1)))  # type: ignore[misc]
        self.world = self.make_world()
        self.people()
        invite = self.refer()
        self.carrier.answer(invite, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        self.mine.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"), BY)
        self.pbx.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.told("503 Too Many Calls", "terminated")
        self.carrier.silent()
        self.old_call()

    def test_redirected(self) -> None:
        """A redirect is followed where the trunk's section says so, and else is how it ends (RFC 3261 8.1.3.4)."""
        moved = [("Contact", "<sip:erin@carrier.example.net:5080>")]
        invite = self.refer()
        self.carrier.answer(invite, 302, headers=moved)
        self.carrier.heard("ACK")
        self.told("302 Moved Temporarily", "terminated")
        self.old_call()
        self.trunks = (self.trunks[0], replace(self.trunks[1], redirects="follow"))  # type: ignore[misc]
        self.world = self.make_world()
        self.people()
        invite = self.refer()
        self.carrier.answer(invite, 302, headers=moved)
        self.carrier.heard("ACK")
        again = self.carrier.request("INVITE")
        self.assertEqual(again.uri, "sip:erin@carrier.example.net:5080")
        self.assertEqual(again.headers.lines("Referred-By"), [BY[1]])
        self.carrier.answer(again, 302, headers=moved)
        self.carrier.heard("ACK")
        self.told("302 Moved Temporarily", "terminated")
        invite = self.refer()
        self.carrier.answer(invite, 302, headers=moved)
        self.carrier.heard("ACK")
        dave = self.answered(self.carrier.request("INVITE"))
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)
        self.assert_over(self.alice, self.pbx, self.carrier)

    def test_stray(self) -> None:
        """A late 2xx of a target that was given up is ended with BYE (RFC 3261 section 13.2.2.4)."""
        proxies = HostPort("192.0.2.7", 5090), HostPort("192.0.2.8", 5090)
        self.trunks = (self.trunks[0], replace(self.trunks[1], proxy=proxies))  # type: ignore[misc]
        self.world = self.make_world()
        self.people()
        invite = self.refer()
        self.world.turn(4.1)
        other = self.world.trunk("192.0.2.8", 5090)
        again = other.request("INVITE")
        self.carrier.forget()
        first = self.carrier.answer(invite, 200, NEW, tag="late")
        self.carrier.heard("ACK")
        party_of(self.carrier, invite, first).answer(self.carrier.request("BYE"), 200)
        answer = other.answer(again, 200, NEW, tag="dave")
        other.heard("ACK")
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(party_of(other, again, answer), self.bob)


class ServiceRoute(LocalTransferCase):
    """The registrar of a trunk has given the transferor a route (RFC 3608 section 6.1)."""

    def store(self, trunk: Trunk, browser: Browser) -> None:
        routes = Headers([("Service-Route", "<sip:orig@core.example;lr>")])
        aor = f"{browser.aor.partition('@')[0]}@{trunk.host}"
        self.world.location.service_routes.store(browser.flow, aor, trunk, routes, 600)

    def routes(self) -> list[str]:
        """The Route of the INVITE of a transfer, which fails."""
        invite = self.refer()
        self.carrier.answer(invite, 486)
        self.carrier.heard("ACK")
        self.told("486 Busy Here", "terminated")
        return invite.headers.all("Route")

    def test_there(self) -> None:
        """The INVITE of the transfer goes to that trunk in the name of who pays for it, and has this Route."""
        self.store(self.trunks[1], self.alice)
        self.assertEqual(self.routes(), ["<sip:orig@core.example;lr>"])
        self.old_call()

    def test_called(self) -> None:
        """So it is where the transferor was called, and in no request within the dialog with the target."""
        self.bye(self.mine, self.bob)
        self.bob, self.mine = self.into(self.pbx, self.alice)
        self.store(self.trunks[1], self.alice)
        invite = self.refer()
        self.assertEqual(invite.headers.all("Route"), ["<sip:orig@core.example;lr>"])
        answer = self.carrier.answer(invite, 200, NEW, tag="dave")
        self.assertNotIn("Route", self.carrier.request("ACK").headers)
        self.agrees(self.bob)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(party_of(self.carrier, invite, answer), self.bob)

    def test_elsewhere(self) -> None:
        """That of another trunk, or of another browser, is not there."""
        other = self.world.browser("erin")
        other.bind()
        self.store(self.trunks[0], self.alice)
        self.store(self.trunks[1], other)
        self.assertEqual(self.routes(), [])
        self.old_call()


class When(LocalTransferCase):
    """What is under way meanwhile."""

    def test_too_early(self) -> None:
        """491 before the call is answered: nobody can be offered anything by INVITE then (RFC 3261 section 14)."""
        invite = self.alice.invite("sip:bob@pbx.example.com", ("Supported", "100rel"))
        leg = self.pbx.request("INVITE")
        reliable = [("Require", "100rel"), ("RSeq", "1")]
        early = party_of(self.pbx, leg, self.pbx.answer(leg, 183, PLAIN, headers=reliable))
        early.answer(self.pbx.request("PRACK"), 200)
        progress = self.alice.response(183)
        asker = party_of(self.alice, invite, progress)
        asker.ask("PRACK", b"", ("RAck", f"{progress.headers.get('RSeq')} 1 INVITE"))
        self.alice.heard(200)
        asker.ask("REFER", b"", ("Refer-To", f"<{TARGET}>"))
        early.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(491)
        self.mine.ask("REFER", b"", refer_to(asker.target, name_of(asker)))
        self.bob.answer(self.pbx.request("REFER"), 405)
        self.alice.heard(491)
        self.pbx.answer(leg, 486)
        self.pbx.heard("ACK")
        self.alice.heard(486)
        self.old_call()

    def test_refresh_meanwhile(self) -> None:
        """Our session refresh waits until the transfer is over: it would meet our offer (RFC 3261 14.1)."""
        self.bye(self.mine, self.bob)
        timer = ("Supported", "timer"), ("Require", "timer"), ("Session-Expires", "90;refresher=uac")
        invite = self.alice.invite("sip:bob@pbx.example.com")
        leg = self.pbx.request("INVITE")
        answer = self.pbx.answer(leg, 200, PLAIN, tag="bob", headers=timer)
        self.pbx.heard("ACK")
        ok = self.alice.response(200)
        self.alice.ack(invite, ok)
        self.mine, self.bob = party_of(self.alice, invite, ok), party_of(self.pbx, leg, answer)
        self.world.turn(20)
        target = self.refer()
        self.carrier.answer(target, 180, tag="dave")
        self.told("180 Ringing", "active")
        self.world.turn(25)
        self.world.turn(5)
        self.pbx.silent()
        dave = self.answered(target)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(dave, self.bob)
        self.assert_over(self.alice, self.pbx, self.carrier)


class Identity(LocalTransferCase):
    """Each of the two is shown whom it is connected with from now on, as far as that crosses (RFC 5876 section 3)."""

    trunks = (replace(PBX, refer="local", pass_identity=True), replace(CARRIER, refer="local", pass_identity=True))

    def test_shown(self) -> None:
        """What dave has said in his 200."""
        for _ in range(2):
            invite = self.refer()
            answer = self.carrier.answer(invite, 200, NEW, tag="dave", headers=[DAVE])
            self.carrier.heard("ACK")
            dave = party_of(self.carrier, invite, answer)
            self.agrees(self.bob)
            shown = self.pbx.request("INVITE")
            self.assertEqual(shown.headers.lines(DAVE[0]), [DAVE[1]])
            self.bob.answer(shown, 200, self.bob.sdp())
            self.pbx.heard("ACK")
            self.told("200 OK", "terminated")
            self.mine.answer(self.alice.request("BYE"), 200)
            self.bye(dave, self.bob)
            self.people()

    def test_attended(self) -> None:
        """What both have said in their 200 of before."""
        self.bye(self.mine, self.bob)
        names = ERIN, DAVE
        self.mine, self.bob = self.out(self.alice, self.pbx, "bob", [names[0]])
        self.second, self.carol = self.out(self.alice, self.pbx, "carol", [names[1]])
        self.mine.ask("REFER", b"", refer_to(self.second.target, name_of(self.second)), BY)
        self.bob.answer(self.pbx.request("REFER"), 501)
        self.alice.heard(202)
        self.told("100 Trying", "active")
        self.agrees(self.carol)
        self.agrees(self.bob)
        shown = {}
        for _ in names:
            invite = self.pbx.request("INVITE")
            party = self.bob if invite.call_id == self.bob.call_id else self.carol
            shown[party] = invite.headers.lines(DAVE[0])
            party.answer(invite, 200, party.sdp())
            self.pbx.heard("ACK")
        self.assertEqual(shown, {self.bob: [DAVE[1]], self.carol: [ERIN[1]]})
        self.second.answer(self.alice.request("BYE"), 200)
        self.told("200 OK", "terminated")
        self.mine.answer(self.alice.request("BYE"), 200)
        self.bye(self.bob, self.carol)
        self.assert_over(self.alice, self.pbx)
