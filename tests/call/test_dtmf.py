"""Digits by INFO: they cross, or become events in the audio where the trunk's section wants that."""

from __future__ import annotations

from dataclasses import replace

from twisted.logger import capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import Party, inbound, outbound, party_of
from tests.support.calls.world import PLAIN as TRUNK
from tests.support.configs import PBX
from webrtcproxy.call.dtmf import DEFAULT_DURATION, MAX_BODY, MAX_DURATION, MIN_DURATION, read, wanted
from webrtcproxy.config import TrunkMedia
from webrtcproxy.runtime.errors import NgRefused, NgTimeout, Refusal
from webrtcproxy.sip.message import Headers, Request, Response

RELAY = ("Content-Type", "application/dtmf-relay")
PLAIN = ("Content-Type", "application/dtmf")
KINDS = ((RELAY, b"Signal=5\r\nDuration=160\r\n"), (PLAIN, b"5"))


class Pass(SessionChangeCase):
    """Without a word in the section, INFO is INFO (original.rst: INFO, dtmf-relay, any other)."""

    def test_crosses(self) -> None:
        """Both ways, whoever called; the far side's answer comes back, whatever it is."""
        for asker, other in self.all_ways():
            for kind, body in KINDS:
                for status in (200, 415, 603):
                    asker.ask("INFO", body, kind)
                    crossed = other.peer.request("INFO")
                    self.assertEqual((crossed.body, crossed.content_type), (body, kind[1]))
                    other.answer(crossed, status)
                    asker.peer.heard(status)
            self.assertNotIn("play", [command for command, _ in self.world.nodes.log])


class Events(SessionChangeCase):
    """`dtmf = rfc4733`: a browser's digits are played."""

    trunks = (replace(PBX, media=TrunkMedia(dtmf="rfc4733")),)

    def press(self, party: Party, kind: tuple[str, str], body: bytes) -> Request:
        return party.ask("INFO", body, kind)

    def ends(self, callers: bool) -> tuple[Party, Party]:
        """A call's browser and trunk; `callers`: the browser has called."""
        self.world = self.make_world()
        caller, callee = (outbound if callers else inbound)(self.world)
        self.world.nodes.sessions[-1].operations.clear()
        return (caller, callee) if callers else (callee, caller)

    def test_played(self) -> None:
        """200 once rtpengine has it; the trunk sees no INFO. The digit is the browser's, whichever side called."""
        for callers in (True, False):
            for kind, body in KINDS:
                browser, trunk = self.ends(callers)
                self.press(browser, kind, body)
                browser.peer.heard(200)
                trunk.peer.silent()
                (played,) = self.world.nodes.sessions[-1].operations
                duration = 160 if kind is RELAY else DEFAULT_DURATION
                self.assertEqual((played.command, played.digit, played.duration), ("play", "5", duration))
                offer = self.names(callers)
                self.assertEqual((played.branch, played.from_tag), offer)

    def names(self, callers: bool) -> tuple[str, str]:
        """Branch and name of the browser, as in a later offer of its own."""
        browser = self.browser_leg(callers)
        return self.branch, browser

    def browser_leg(self, callers: bool) -> str:
        (call,) = (call for call, _ in self.world.calls._alive.values())
        self.branch = call._offer_answer.branch
        leg = call._caller if callers else call._offer_answer.callee
        assert leg is not None
        return leg.party_tag

    def test_early_media(self) -> None:
        """A digit for the one that has not answered yet, but speaks: it is played."""
        self.world = self.make_world()
        alice, trunk = self.world.browser(), self.world.trunk()
        invite = alice.invite("sip:bob@pbx.example.com")
        leg = trunk.request("INVITE")
        for body, status, plays in ((b"", 500, 0), (TRUNK, 200, 1)):
            trunk.answer(leg, 183, body)
            browser = party_of(alice, invite, alice.response(183))
            browser.cseq += plays
            self.press(browser, *KINDS[0])
            browser.peer.heard(status)
            played = [each for each in self.world.nodes.sessions[-1].operations if each.command == "play"]
            self.assertEqual(len(played), plays)
        (offer, *_) = self.world.nodes.sessions[-1].operations
        self.assertEqual((played[0].branch, played[0].from_tag), (offer.branch, offer.from_tag))
        trunk.answer(leg, 486)
        trunk.heard("ACK")
        alice.ack(invite, alice.response(486))

    def test_not_played(self) -> None:
        """What rtpengine says is what the browser hears; the call goes on."""
        for error, status in ((NgRefused("no media"), 488), (NgTimeout("silent"), 503)):
            browser, trunk = self.ends(True)
            self.world.nodes.fail("play", error)
            self.press(browser, *KINDS[0])
            browser.peer.heard(status)
            trunk.peer.silent()
            self.press(browser, *KINDS[0])
            browser.peer.heard(200)

    def test_broken(self) -> None:
        """An internal error is 500 and a log line (the wall behind every request)."""
        browser, _ = self.ends(True)
        self.world.nodes.fail("play", ZeroDivisionError())
        self.press(browser, *KINDS[0])
        browser.peer.heard(500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_unreadable(self) -> None:
        """415 for a body that is no digit, with what is accepted; rtpengine is not asked."""
        browser, trunk = self.ends(True)
        self.press(browser, RELAY, b"Signal=55\r\n")
        heard = browser.peer.response(415)
        self.assertIn("application/dtmf", heard.headers.get("Accept") or "")
        trunk.peer.silent()
        self.assertEqual(self.world.nodes.sessions[-1].operations, [])

    def test_to_a_browser(self) -> None:
        """A trunk's INFO stays one, and so does what is no digit."""
        browser, trunk = self.ends(True)
        self.press(trunk, *KINDS[0])
        browser.answer(browser.peer.request("INFO"), 200)
        trunk.peer.heard(200)
        browser.ask("INFO", b"<x/>", ("Content-Type", "application/media_control+xml"))
        trunk.answer(trunk.peer.request("INFO"), 299)
        browser.peer.heard(299)

    def test_between_trunks(self) -> None:
        """A trunk's INFO is no browser's, whomever it is for: the flag that rtpengine wants is in no answer to it."""
        self.ends(True)
        (call,) = (call for call, _ in self.world.calls._alive.values())
        browser, trunk = call._caller, call._offer_answer.callee
        assert trunk is not None
        info = Request("INFO", "sip:a@b", Headers([RELAY]), b"Signal=5")
        media = self.world.nodes.sessions[-1]
        self.assertTrue(wanted(info, browser, trunk.profile, media, trunk))
        self.assertFalse(wanted(info, trunk, trunk.profile, media, trunk))
        self.assertFalse(wanted(info, trunk, browser.profile, media, browser))

    def test_call_ends_meanwhile(self) -> None:
        """A digit that is still waiting when the call ends gets its answer."""
        browser, trunk = self.ends(True)
        self.world.nodes.hold()
        self.press(browser, *KINDS[0])
        self.press(browser, *KINDS[0])
        trunk.ask("BYE")
        trunk.peer.heard(200)
        self.world.turn()
        self.world.nodes.release()
        self.world.turn()
        heard = [message for message in browser.peer.flow.messages if isinstance(message, Response)]
        self.assertEqual(sorted(message.status for message in heard if message.cseq.method == "INFO"), [200, 488])

    def test_digits_are_secret(self) -> None:
        """No log event has the digit, played, refused or unreadable (corners.rst 5: Privacy)."""
        with capturedLogs() as events:
            browser, _ = self.ends(True)
            self.world.nodes.fail("play", NgRefused("no media"))
            for body in (b"Signal=7\r\nDuration=777", b"Signal=7\r\nDuration=777", b"Signal=77"):
                self.press(browser, RELAY, body)
        # The Call-ID has digits of its own.
        lines = [(formatEvent(event) or "").replace(browser.call_id, "") for event in events]
        self.assertTrue(any("a digit is not played: no media" in line for line in lines), lines)
        self.assertFalse(any("777" in line or "Signal" in line for line in lines), lines)


class LostDigits(SessionChangeCase):
    """A version of rtpengine that loses the digits of half the calls (field.rst X14: Lost digits)."""

    trunks = Events.trunks

    def call(self, allow: str) -> tuple[Party, Party]:
        """A call of a browser to a trunk with such an Allow in its 2xx."""
        self.world = self.make_world()
        self.world.nodes.loses_digits = True
        return outbound(self.world, ("Allow", allow))

    def test_crosses(self) -> None:
        """Where the trunk takes INFO the digit goes there as it came, and the trunk's answer comes back."""
        browser, trunk = self.call("INVITE, ACK, BYE, CANCEL, INFO")
        browser.ask("INFO", b"5", PLAIN)
        crossed = trunk.peer.request("INFO")
        self.assertEqual((crossed.body, crossed.content_type), (b"5", "application/dtmf"))
        trunk.answer(crossed, 200)
        browser.peer.heard(200)
        self.assertNotIn("play", [command for command, _ in self.world.nodes.log])

    def test_played(self) -> None:
        """Where it does not, half a chance is better than none."""
        browser, trunk = self.call("INVITE, ACK, BYE, CANCEL")
        browser.ask("INFO", b"5", PLAIN)
        browser.peer.heard(200)
        trunk.peer.silent()
        self.assertIn("play", [command for command, _ in self.world.nodes.log])


class Bodies(SynchronousTestCase):
    """`read`."""

    def digit(self, body: bytes, kind: str = "application/dtmf-relay") -> tuple[str, int]:
        return read(Request("INFO", "sip:a@b", Headers([("Content-Type", kind)]), body))

    def test_relay(self) -> None:
        """As JsSIP, SIP.js and gateways write it: blanks, line ends, case; without a duration it is the usual one."""
        for body, expected in (
            (b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
            (b"Signal=5\r\nDuration=160", ("5", 160)),
            (b"Signal= *\nDuration= 200\n", ("*", 200)),
            (b"signal = a \r\nduration = 300 \r\n", ("A", 300)),
            (b"Signal=#", ("#", DEFAULT_DURATION)),
            (b"Signal=0\r\nDuration=0", ("0", MIN_DURATION)),
            (b"Signal=0\r\nDuration=70", ("0", MIN_DURATION)),
            (b"Signal=0\r\nDuration=999999", ("0", MAX_DURATION)),
        ):
            self.assertEqual(self.digit(body), expected, body)

    def test_plain(self) -> None:
        """One character."""
        for body, expected in ((b"5", "5"), (b"d\r\n", "D"), (b" * ", "*")):
            self.assertEqual(self.digit(body, "application/dtmf"), (expected, DEFAULT_DURATION))

    def test_refused(self) -> None:
        """Anything else is 415, however long."""
        for body in (
            b"", b"Signal=", b"Signal=55", b"Signal=E", b"Signal=5\r\nDuration=", b"Signal=5\r\nDuration=-1",
            b"Signal=5\r\nDuration=1e3", b"Signal=5\r\nDuration=1000000", b"Signal=5 Duration=160", b"Duration=160",
            b"Signal=5\r\nDuration=160\r\nX=1", b"\xff", b"Signal=\xb2", b"Signal=" + b" " * 60000, b"5",
            b"Signal=5" + b" " * MAX_BODY,
        ):  # fmt: skip
            self.assertEqual(self.assertRaises(Refusal, self.digit, body).status, 415, body[:40])
        for body in (b"", b"55", b"x", b"Signal=5", b" " * 60000 + b"x"):
            self.assertEqual(self.assertRaises(Refusal, self.digit, body, "application/dtmf").status, 415, body[:40])
