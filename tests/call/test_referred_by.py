"""By whom a browser may say that it was referred (RFC 3892; docs/access.rst: In whose name)."""

from __future__ import annotations

from tests.call.test_unregistered import AT_PBX, SafeCase
from tests.support.calls.local import DOMAIN, LocalCase, message_to
from tests.support.calls.party import Party
from tests.support.calls.world import Browser, World
from tests.support.configs import PBX, config
from tests.support.messages import request
from webrtcproxy.config import CallsConfig
from webrtcproxy.dialog.referred import Referrers

BOSS = '"The Boss" <sip:boss@pbx.example.com;x=1>;y=2'
FORGED = (
    "<sip:boss@pbx.example.com>",
    "<sip:alice@pbx.example.com:5070>",
    "<sip:alice@evil.example>",
    "tel:+1",
)
UNREADABLE = ("<", "", "<sip:>", "sip:a@b, sip:c@d")
METHODS = ("INVITE", "MESSAGE", "SUBSCRIBE", "INFO", "PUBLISH", "OPTIONS", "REFER", "FOO")


class ReferredCase(SafeCase):
    """Alice has registered at the pbx."""

    def setUp(self) -> None:
        super().setUp()
        self.alice.bind()

    def says(self, method: str, *values: str, by: Browser | None = None, refused: int = 403) -> list[str] | None:
        """What crosses of these Referred-By; None where the request is refused."""
        alice, self.alice = self.alice, by or self.alice
        self.send(method, headers=[("Referred-By", value) for value in values])
        try:
            if not self.pbx.pending():
                reason = "Bad Referred-By" if refused == 400 else "Referred-By Is Not Yours"
                self.assertEqual(self.alice.response(refused).reason, reason)
                return None
            leg = self.pbx.request(method)
            self.pbx.answer(leg, 486)
            if method == "INVITE":
                self.pbx.heard("ACK")
            self.alice.heard(486)
            return leg.headers.lines("Referred-By")
        finally:
            self.alice = alice


class Outside(ReferredCase):
    """In requests outside of dialogs."""

    def test_own(self) -> None:
        """Its own address, in any spelling, and nobody's; what it claims beside it does not cross."""
        for method in METHODS:
            for value, crossing in (
                ("<sip:alice@pbx.example.com>", "<sip:alice@pbx.example.com>"),
                ('"Al" <sip:%61lice@PBX.example.com>;cid="1@x"', '"Al" <sip:%61lice@PBX.example.com>;cid="1@x"'),
                ("<sip:alice:x@pbx.example.com;verstat=a?Subject=x>;verstat=b", "<sip:alice@pbx.example.com>"),
                ("<sip:anonymous@anonymous.invalid>", "<sip:anonymous@anonymous.invalid>"),
            ):
                self.assertEqual(self.says(method, value), [crossing], method)

    def test_another(self) -> None:
        """Nobody else's, in no method, nor beside its own."""
        for method in METHODS:
            for value in FORGED:
                self.assertIsNone(self.says(method, value), (method, value))
                self.assertIsNone(self.says(method, "<sip:alice@pbx.example.com>", value), (method, value))

    def test_unreadable(self) -> None:
        """400 for one that can't be read (RFC 3892 section 3)."""
        for value in UNREADABLE:
            self.assertIsNone(self.says("INVITE", value, refused=400), value)

    def test_malformed(self) -> None:
        """One whose meaning is plain crosses in its right form; it may not be another's either (field.rst O: Odd
        Refer-To)."""
        for value, crossing in (
            ("<sip:alice@pbx.example.com", "<sip:alice@pbx.example.com>"),
            ("alice@pbx.example.com", "<sip:alice@pbx.example.com>"),
            ('"Al <sip:alice@pbx.example.com>', '"Al" <sip:alice@pbx.example.com>'),
            ("<<sip:alice@pbx.example.com>>;;x", "<sip:alice@pbx.example.com>"),
            ("<sip:bob@pbx.example.com", None),
        ):
            self.assertEqual(self.says("REFER", value), crossing and [crossing], value)

    def test_mended(self) -> None:
        """With ``foreign-from = replace`` it is taken out; a REFER says who has sent it."""
        self.start(foreign_from="replace")
        self.alice.bind()
        for method in METHODS:
            expected = ["<sip:alice@pbx.example.com>"] if method == "REFER" else []
            for value in (*FORGED, *UNREADABLE):
                self.assertEqual(self.says(method, value), expected, (method, value))

    def test_mended_in_whose_name(self) -> None:
        """Of several users on the connection it is the one in whose name the REFER is."""
        self.start(foreign_from="replace")
        self.alice.bind()
        other = Browser(self.world, self.alice.flow, "bob")
        other.bind()
        other.forget()
        self.assertEqual(self.says("REFER", BOSS, by=other), ["<sip:bob@pbx.example.com>"])

    def test_opened(self) -> None:
        """Where unregistered browsers may call in any name, they may say anything here, too."""
        self.world = World(config=config(PBX, calls=CallsConfig(limit_unregistered=3)))
        self.alice, self.pbx = self.world.browser(), self.world.trunk()
        self.assertEqual(self.says("INVITE", BOSS), [BOSS])

    def test_trunk(self) -> None:
        """A trunk is believed."""
        self.pbx.invite("sip:alice@192.0.2.1", ("Referred-By", BOSS))
        self.assertEqual(self.alice.request("INVITE").headers.lines("Referred-By"), [BOSS])


class Inside(ReferredCase):
    """In requests within a call."""

    def refused(self, ours: Party, *methods: str) -> None:
        for method in methods:
            ours.ask(method, ours.sdp() if method == "INVITE" else b"", ("Referred-By", BOSS))
            self.assertEqual(self.alice.response(403).reason, "Referred-By Is Not Yours")
        self.pbx.silent()

    def test_another(self) -> None:
        """Nobody else's; its own is."""
        ours, theirs = self.out(self.alice, self.pbx)
        self.refused(ours, "INFO", "MESSAGE", "INVITE", "UPDATE", "REFER", "SUBSCRIBE", "NOTIFY")
        ours.ask("INFO", b"", ("Referred-By", "<sip:alice@pbx.example.com>"))
        theirs.answer(self.pbx.request("INFO"), 200)

    def test_bye(self) -> None:
        """A BYE ends the call whatever it says; another's name does not cross."""
        ours, theirs = self.out(self.alice, self.pbx)
        ours.ask("BYE", b"", ("Referred-By", BOSS), ("Reason", "SIP;cause=200"))
        self.alice.heard(200)
        self.world.turn()
        bye = self.pbx.request("BYE")
        self.assertEqual((bye.headers.get("Reason"), bye.headers.lines("Referred-By")), ("SIP;cause=200", []))
        theirs.answer(bye, 200)

    def test_nothing_proven(self) -> None:
        """A browser that was called and has proven nothing is who it was called as."""
        bob = self.world.browser("bob")
        bob.bind(authenticated=False)
        theirs, ours = self.into(self.pbx, bob)
        self.alice = bob
        self.refused(ours, "INFO")
        ours.ask("INFO", b"", ("Referred-By", "<sip:bob@pbx.example.com>"))
        theirs.answer(self.pbx.request("INFO"), 200)


class Referred(ReferredCase):
    """What the REFER has said that it got."""

    def refer(self, value: str = BOSS) -> list[str]:
        """The pbx refers alice in a call. Returns the Referred-By that she gets."""
        theirs, ours = self.into(self.pbx, self.alice)
        headers = [("Refer-To", f"<{AT_PBX}>"), ("Refer-Sub", "false"), ("Referred-By", value)]
        theirs.ask("REFER", b"", *headers)
        refer = self.alice.request("REFER")
        ours.answer(refer, 202, b"", ("Refer-Sub", "false"))
        self.pbx.heard(202)
        return refer.headers.lines("Referred-By")

    def test_repeated(self) -> None:
        """It may repeat that, letter by letter or less of it, and say nothing else."""
        self.refer()
        for value in (BOSS, '"The Boss" <sip:boss@pbx.example.com;x=1>', "<sip:boss@pbx.example.com;x=1>"):
            self.assertEqual(self.says("INVITE", value), [value])
        for value in (
            '"The Police" <sip:boss@pbx.example.com;x=1>', "<sip:boss@pbx.example.com;x=1>;verstat=a",
            "<sip:boss@pbx.example.com;x=1;verstat=a>", "<sip:boss2@pbx.example.com;x=1>",
        ):  # fmt: skip
            self.assertIsNone(self.says("INVITE", value), value)

    def test_outside(self) -> None:
        """A REFER outside of dialogs may be repeated as well."""
        uri, headers = "sip:alice@192.0.2.1", [("Refer-To", f"<{AT_PBX}>"), ("Referred-By", BOSS)]
        sent = request("REFER", uri, to=f"<{uri}>", contact=f"<{self.pbx.contact}>", headers=headers)
        self.pbx.say(sent)
        self.alice.answer(self.alice.request("REFER"), 603)
        self.pbx.heard(603)
        self.assertEqual(self.says("INVITE", BOSS), [BOSS])

    def test_nobody_else(self) -> None:
        """No other browser may, and none after a while."""
        self.refer()
        eve = self.world.browser("eve")
        eve.bind()
        self.assertIsNone(self.says("INVITE", BOSS, by=eve))
        self.world.turn(Referrers.SECONDS - 1)
        self.assertEqual(self.says("INVITE", BOSS), [BOSS])
        self.world.turn(1)
        self.assertIsNone(self.says("INVITE", BOSS))

    def test_reconnected(self) -> None:
        """It is the same user after it has connected again."""
        self.refer()
        again = self.world.browser()
        again.bind()
        self.assertEqual(self.says("INVITE", BOSS, by=again), [BOSS])

    def test_malformed(self) -> None:
        """One that is malformed is mended, and may be repeated as the browser got it."""
        crossed = self.refer('"The Boss <sip:boss@pbx.example.com;x=1')
        self.assertEqual(crossed, ['"The Boss" <sip:boss@pbx.example.com>;x=1'])
        self.assertEqual(self.says("INVITE", crossed[0]), crossed)

    def test_unreadable(self) -> None:
        """One that can't be read does not cross, and does no harm."""
        self.assertEqual(self.refer("<"), [])
        self.assertIsNone(self.says("INVITE", "<", refused=400))
        self.assertEqual(self.says("INVITE", "<sip:alice@pbx.example.com>"), ["<sip:alice@pbx.example.com>"])


class Users(LocalCase):
    """Users of a domain, among themselves."""

    lines = ("carol@example.com",)

    def setUp(self) -> None:
        super().setUp()
        lines = self.path.read_text().splitlines()
        named = [line + ' name="Alice L." numbers=+4930' if line.startswith("alice@") else line for line in lines]
        self.path.write_text("\n".join(named))
        self.world.context.domains.refresh()
        self.alice, self.bob = self.registered(), self.registered("bob")

    def message(self, browser: Browser, value: str, *headers: tuple[str, str], cseq: int = 1) -> None:
        message_to(browser, f"sip:bob@{DOMAIN}", ("Referred-By", value), *headers, cseq=cseq)

    def test_display_name(self) -> None:
        """The name is that of the account; an address may be one of its numbers."""
        for number, (value, crossing) in enumerate((
            ('"The Boss" <sip:alice@example.com>', '"Alice L." <sip:alice@example.com>'),
            ("<sip:+4930@example.com>", "<sip:+4930@example.com>"),
        )):  # fmt: skip
            self.message(self.alice, value, cseq=number + 1)
            self.assertEqual(self.bob.request("MESSAGE").headers.lines("Referred-By"), [crossing])

    def test_another(self) -> None:
        """Another user's, and another number, get 403."""
        for number, value in enumerate(("<sip:bob@example.com>", "<sip:+4931@example.com>")):
            self.message(self.alice, value, cseq=number + 1)
            self.assertEqual(self.alice.response(403).reason, "Referred-By Is Not Yours")
        self.bob.silent()

    def test_with_its_login(self) -> None:
        """It is looked at after the login that the request itself is."""
        carol = self.browser("alice")
        self.message(carol, "<sip:bob@example.com>")
        sent = request("MESSAGE", f"sip:bob@{DOMAIN}")
        header = self.authorized(carol, carol.response(407), sent)
        self.message(carol, "<sip:bob@example.com>", header, cseq=2)
        self.assertEqual(carol.response(403).reason, "Referred-By Is Not Yours")
        self.bob.silent()

    def test_referred_by_a_user(self) -> None:
        """Who was referred by another user says so."""
        headers = [("Refer-To", f"<sip:alice@{DOMAIN}>"), ("Referred-By", "<sip:alice@example.com>")]
        message_to(self.alice, f"sip:bob@{DOMAIN}", *headers, method="REFER")
        self.bob.answer(self.bob.request("REFER"), 603)
        message_to(self.bob, f"sip:alice@{DOMAIN}", ("Referred-By", "<sip:alice@example.com>"))
        self.alice.heard(603)
        self.assertEqual(self.alice.request("MESSAGE").headers.lines("Referred-By"), ["<sip:alice@example.com>"])
