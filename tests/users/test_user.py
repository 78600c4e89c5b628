"""User: what belongs to an account."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase
from zope.interface.verify import verifyObject

from webrtcproxy.config.number_format import DIGITS, NATIONAL, PLUS, Country, NumberFormat
from webrtcproxy.sip.uri import Uri
from webrtcproxy.users.user import IUser, TrunkAccount, User

HERE = "49", ("00", "011"), ("9",)
OWN = ("+49301234567", "0301234568", "4711")


class UserTests(SynchronousTestCase):
    """An account of a domain that is served here."""

    def test_aor(self) -> None:
        """Its address-of-record is its name at its domain, and it is an avatar for twisted.cred."""
        user = User("alice", "example.com")
        self.assertEqual(user.aor, "alice@example.com")
        self.assertTrue(verifyObject(IUser, user))

    def test_secret(self) -> None:
        """The password of an account at a trunk is in no text that may reach a log."""
        user = User("alice", "example.com", accounts={"pbx": TrunkAccount("4711@pbx.example", "4711", "topsecret")})
        self.assertNotIn("topsecret", repr(user))
        self.assertIn("4711", repr(user))


class OwnNumbers(SynchronousTestCase):
    """Which number of its own a user means (docs/numbers.rst: Whose number it is)."""

    def user(self, *styles: tuple[str, ...], here: tuple[str, tuple[str, ...], tuple[str, ...]] = HERE) -> User:
        formats = [NumberFormat(style, Country(*country)).at(*here) for style, *country in ((PLUS,), *styles)]
        return User("alice", "example.com", numbers=OWN, formats=tuple(formats))

    def test_spellings(self) -> None:
        """Each spelling is the number as the account has it, whichever form it has there."""
        user = self.user()
        for written in (
            "sip:+49301234567@h", "sip:+49-30-123%20456.7@h", "sip:+49%20(0)30%20123%204567@h", "sip:0301234567@h",
            "sip:030-1234567@h;user=phone", "sip:0049301234567@h", "sip:49301234567@h",
            "tel:+49-30-1234567", "tel:0301234567", "sip:%2B49301234567@h", "sip:+49301234567;ext=5@h",
        ):  # fmt: skip
            self.assertEqual(user.own_number(Uri.parse(written)), OWN[0], written)
        for written in ("sip:0301234568@h", "sip:+49301234568@h", "tel:0049-30-1234568", "sip:49301234568@h"):
            self.assertEqual(user.own_number(Uri.parse(written)), OWN[1], written)
        self.assertEqual(user.own_number(Uri.parse("sip:47-11@h")), OWN[2])

    def test_others(self) -> None:
        """What is not wholly clear, and what is another's, is none: other digits, another country, a local number of
        another place, a name, a code, a short number, one after a dial prefix."""
        user = self.user()
        for written in (
            "sip:+493012345670@h", "sip:+4930123456@h", "sip:0301234569@h", "sip:301234567@h", "sip:1234567@h",
            "sip:00301234567@h", "sip:0043301234567@h", "sip:+43301234567@h", "sip:+490301234567@h",
            "tel:0301234567;phone-context=+43", "sip:0301234567;phone-context=h.example@h", "sip:*31#0301234567@h",
            "sip:90301234567@h", "sip:0301234567x@h", "sip:alice@h", "sip:h", "sip:004711@h", "sip:+4711@h",
            "sip:04711@h", "tel:+", "sip:000493012345670@h",
        ):  # fmt: skip
            self.assertIsNone(user.own_number(Uri.parse(written)), written)

    def test_home_first(self) -> None:
        """What is a number where the proxy is, is no other one in the country of a trunk."""
        user = replace(self.user((NATIONAL, "43", "0")), numbers=("+43301234567",))
        self.assertIsNone(user.own_number(Uri.parse("sip:0301234567@h")))
        self.assertEqual(user.own_number(Uri.parse("sip:0043301234567@h")), "+43301234567")

    def test_without_country(self) -> None:
        """Without a country, national numbers are what they are; where a trunk names one, as it has them."""
        nowhere = "", ("00",), ()
        self.assertIsNone(self.user(here=nowhere).own_number(Uri.parse("sip:0301234567@h")))
        self.assertEqual(self.user(here=nowhere).own_number(Uri.parse("sip:0049301234567@h")), OWN[0])
        for style in ((NATIONAL, "49", "0"), (DIGITS,)):
            user = self.user(style, here=nowhere)
            written = "0301234567" if style[0] == NATIONAL else "49301234567"
            self.assertEqual(user.own_number(Uri.parse(f"sip:{written}@h")), OWN[0])

    def test_north_america(self) -> None:
        """Ten digits are a number of the country there, and never one with another country's code."""
        user = replace(self.user(here=("1", ("011",), ())), numbers=("+12125550123", "+4930123456"))
        for written in ("2125550123", "12125550123", "212-555-0123", "011-1-2125550123"):
            self.assertEqual(user.own_number(Uri.parse(f"sip:{written}@h")), "+12125550123", written)
        self.assertIsNone(user.own_number(Uri.parse("sip:4930123456@h")))

    def test_nothing_known(self) -> None:
        """Without forms, only what the account has is its number."""
        user = User("alice", "example.com", numbers=OWN)
        self.assertEqual(user.own_number(Uri.parse("sip:+49%2030-1234567@h")), OWN[0])
        self.assertIsNone(user.own_number(Uri.parse("sip:0049301234567@h")))
