"""The numbers for which a provider may take a URI (RFC 3966; docs/access.rst: Numbers)."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.access.numbers import DialPlan
from webrtcproxy.sip.uri import Uri

HOST = "pbx.example.com"


class DialPlanCase(SynchronousTestCase):
    """Reads URIs."""

    plan = DialPlan()

    def readings(self, uri: str) -> tuple[str, ...]:
        """All readings of a URI; without a scheme, of a user at the trunk."""
        text = uri if uri.startswith(("sip", "tel:", "http")) else f"sip:{uri}@{HOST}"
        return tuple(self.plan.readings(Uri.parse(text)))

    def assert_reads(self, number: str, *uris: str) -> None:
        """Each URI may be taken for a number."""
        for uri in uris:
            self.assertIn(number, self.readings(uri), uri)


class Spellings(DialPlanCase):
    """Every spelling of a number is one."""

    def test_international(self) -> None:
        """With ``+``, with a prefix for it, or without either; with separators, escapes, digits of other scripts, more
        zeros than one."""
        self.assert_reads(
            "+88212345678",
            "+88212345678", "0088212345678", "01188212345678", "88212345678", "+882-1234-5678", "+882.1234.5678",
            "(+882)12345678", "%2B88212345678", "%2b882%201234%205678", "+882%2D12345678", "00%2088212345678",
            "00-882-12345678", "00088212345678", "++88212345678", "+0088212345678", "00+88212345678", "0+88212345678",
            "+882_1234~5678", "+882!12345678'", "+882/12345678", "%D9%A0%D9%A0%D9%A8%D9%A8%D9%A21%32345678",
            "%EF%BC%8B%EF%BC%98%EF%BC%98212345678", "+88212345678:secret", "88212345678:900",
        )  # fmt: skip

    def test_after_the_number(self) -> None:
        """What is dialled later, and the parameters of the user part and of the URI, change nothing."""
        self.assert_reads(
            "+88212345678",
            "+88212345678,,1", "+88212345678p1", "0088212345678w9", "+88212345678x12", "+88212345678;ext=12",
            "+88212345678;phone-context=pbx.example.com", "+88212345678;npdi", "88212345678;isub=1,2",
            f"sip:+88212345678@{HOST};user=phone", f"sip:88212345678@{HOST};transport=tcp", "tel:+88212345678",
            "tel:+882-(1234)-5678;ext=1", "tel:88212345678;phone-context=x.example",
        )  # fmt: skip

    def test_codes_of_services(self) -> None:
        """A code before a number: to withhold one's own, or to forward one's calls."""
        self.assert_reads(
            "+88212345678",
            "*31#+88212345678", "*31#0088212345678", "%2331%230088212345678", "#31#0088212345678".replace("#", "%23"),
            "*670088212345678", "*6788212345678", "**21*0088212345678%23", "*31%23*31%230088212345678",
            "*1310088212345678",
        )  # fmt: skip

    def test_routing_number(self) -> None:
        """A routing number is where the call goes (RFC 4694 section 5.2), wherever it stands."""
        self.assert_reads(
            "+88212345678",
            "+493012345;npdi;rn=+88212345678", "+493012345;RN=+882-12345678;npdi", "+493012345;rn=0088212345678",
            "tel:+493012345;npdi;rn=+88212345678", f"sip:+493012345@{HOST};rn=+88212345678",
            "+493012345;r%6E=+88212345678", "bob;rn=%2B88212345678", f"sip:+493012345@{HOST};r%6e=+88212345678",
            "tel:+493012345;r%6E=+88212345678", "tel:+493012345;R%4E=%2B88212345678",
        )  # fmt: skip

    def test_unknown_parameters(self) -> None:
        """Those of a ``tel:`` URI become a part of the user: there and here, digits in one that nobody knows may be
        dialled."""
        for uri in (
            "+493012345;x=+88212345678", "tel:+493012345;x=+88212345678", "tel:+493012345;+88212345678",
            "tel:+493012345;%78=%2B88212345678",
        ):  # fmt: skip
            readings = self.readings(uri)
            self.assertIn("+88212345678", readings, uri)
            self.assertEqual(readings[-1], "?", uri)
        self.assertEqual(self.readings("tel:+493012345;isub=88212345678;npdi"), ("+493012345",))

    def test_context(self) -> None:
        """A context is the beginning of the number (RFC 3966 section 5.1.5)."""
        self.assert_reads(
            "+88212345678",
            "tel:12345678;phone-context=+882", "tel:212345678;phone-context=+88", "12345678;phone-context=+882",
            "tel:012345678;phone-context=+882", "tel:12345678;phone-context=00882", "tel:12345678;phone-context=882",
            "tel:12345678;phone-context=(00)88-2", "tel:12345678;phone%2Dcontext=%2B882",
        )  # fmt: skip
        for domain in ("192.0.2.7", "882.example.com", "x"):
            self.assertEqual(self.readings(f"tel:1234;phone-context={domain}"), ("1234",))

    def test_no_number(self) -> None:
        """Names are none, nor are URIs of other schemes."""
        for uri in ("bob", "bob7", "alice22", "alice5x", "a1b2c3", f"sip:{HOST}", "http://x.example/0900", "-", "%2A"):
            self.assertFalse([reading for reading in self.readings(uri) if reading.strip("*#+")], uri)

    def test_letters_of_a_phone(self) -> None:
        """With ``user=phone`` or ``tel:`` it is one, whatever it has besides digits."""
        self.assert_reads("0900123", f"sip:x0900123@{HOST};user=phone", "tel:0900A123;phone-context=x")

    def test_among_letters(self) -> None:
        """Providers drop what they can't dial: digits among letters are a number, however they are escaped, and nobody
        knows which."""
        for uri in (
            "b.88212345678", "+88212345678abc", "abc+88212345678", "+88212345678_a", "+88212345678%40x",
            "T+88212345678", "O088212345678", "00882I2345678", "882abc12345678", "+l88212345678",
            f"sip:d+88212345678@{HOST};user=dialstring", f"sip:d+88212345678@{HOST};user=phone",
            f"sip:sip:+88212345678@{HOST}", "tel%3A+88212345678", "x;+88212345678", "x%3Btel=+88212345678",
            f"sip:x0088212345678@{HOST};transport=tcp", "%D1%8E8821234567%38y",
        ):  # fmt: skip
            readings = self.readings(uri)
            self.assertIn("+88212345678", readings, uri)
            self.assertEqual(readings[-1], "?", uri)

    def test_escapes_of_escapes(self) -> None:
        """Escapes are decoded until nothing changes."""
        self.assert_reads("+88212345678", "%252B88212345678", "%25252B%2538%38212345678", "%EF%BC%85%32B88212345678")

    def test_half_decoded(self) -> None:
        """Where escapes are escaped, or stand for no text, the digits of the escapes may be what is dialled."""
        for user in ("+8%8212345678", "+8%258212345678", "+%8821234567%38", "+88%00%2512345678", "%C2%88+8%8212345678"):
            readings = self.readings(user)
            self.assertEqual(readings[-1], "?", user)
        for user in ("+8%8212345678", "+8%258212345678", "+8%25258212345678", "+%882%312345678"):
            self.assertIn("+882", {reading[:4] for reading in self.readings(user)}, user)
        for user in ("%2B4930%20123", "+4930%2D123", "%D9%A0%D9%A0493012", "+49(0)30"):
            self.assertNotIn("?", self.readings(user), user)

    def test_names_with_digits(self) -> None:
        """A run of three digits may be dialled; the name of an extension is no foreign number."""
        self.assertEqual(self.readings("echo-5060"), ("5060", "?"))
        self.assertEqual(self.readings("room-101"), ("101", "?"))

    def test_plus_within(self) -> None:
        """A plus that is not the first sign is not of a number."""
        for uri in ("+49+33123456", "112+33123456", "1010288+33123", "++33123456", "*31%2349+33123456"):
            self.assertEqual(self.readings(uri)[-1], "?", uri)
        for uri in ("(+33)123456", "*31%23+33123456", "*67+33123456", "%20+33123456"):
            self.assertEqual(self.readings(uri)[0], "+33123456", uri)
            self.assertNotIn("?", self.readings(uri), uri)

    def test_extensions(self) -> None:
        """A short number has no country code: extension 881 is no satellite."""
        self.assertEqual(self.readings("881"), ("881",))
        self.assertEqual(self.readings("8812345"), ("8812345",))
        self.assertEqual(self.readings("*97")[-1], "*97")


class OneCountry(DialPlanCase):
    """With `country`."""

    plan = DialPlan("49", dial_prefixes=("0", "01033"))

    def test_national(self) -> None:
        """A national number is an international one, the likeliest first."""
        self.assertEqual(self.readings("0900123456")[0], "+49900123456")
        self.assertEqual(self.readings("112"), ("112",))
        self.assertEqual(self.readings("9001"), ("9001",))
        self.assertEqual(self.readings("0044201234")[0], "+44201234")
        self.assert_reads(
            "+49900123456",
            "0900123456", "0049900123456", "49900123456", "+490900123456", "+49(0)900123456", "0049(0)900123456",
            "900123456", "00900123456", "010330900123456", "tel:0900-123456;phone-context=+49", "*31%230900123456",
        )  # fmt: skip

    def test_rules(self) -> None:
        """The numbers of rules have the same form."""
        for rule, normal in (
            ("0900", "+49900"), ("+49900", "+49900"), ("0088", "+88"), ("00", "+"), ("0", "+49"), ("11", "11"),
            ("+", "+"), ("*97", "*97"),
        ):  # fmt: skip
            self.assertEqual(self.plan.normal_prefix(rule), normal, rule)
        for rule, normal in (("030123456", "+4930123456"), ("112", "112"), ("004412345", "+4412345"), ("*97", "*97")):
            self.assertEqual(self.plan.normal(rule), normal, rule)
        self.assertEqual(DialPlan().normal_prefix("0900"), "0900")
        self.assertEqual(DialPlan().normal_prefix("0088"), "+88")
        self.assertEqual(DialPlan("1").normal_prefix("1900"), "+1900")

    def test_011(self) -> None:
        """Where 011 begins national numbers, what it begins is one of these first, and what a provider elsewhere would
        take it for; in rules it is a national one."""
        for code, dialled, known, other in (
            ("44", "01159123456", "+441159123456", "+59123456"), ("91", "01188123456", "+911188123456", "+88123456"),
            ("39", "01188123456", "+3901188123456", "+88123456"),
        ):  # fmt: skip
            for written in ((), ("00", "011")):
                self.plan = DialPlan(code, written)
                readings = self.readings(dialled)
                self.assertEqual({known, other} - set(readings), set())
            self.plan = DialPlan(code)
            self.assertEqual(self.readings(dialled)[0], known)
            self.assertEqual(self.plan.normal_prefix("0115"), f"+{code}{'0' if code == '39' else ''}115")
        self.assertEqual(DialPlan("1").normal_prefix("0115"), "+5")
        self.assertEqual(DialPlan().normal_prefix("0115"), "+5")

    def test_italy(self) -> None:
        """The 0 is a part of an Italian number; where else nothing precedes them, one may be dialled all the same."""
        self.plan = DialPlan("39")
        self.assertEqual(self.readings("0612345678"), ("+390612345678", "0612345678"))
        self.assertEqual((self.plan.normal_prefix("06"), self.plan.twin("+39612")), ("+3906", ""))
        self.plan = DialPlan("34")
        self.assert_reads("+34912345678", "912345678", "0912345678", "0034912345678")

    def test_america(self) -> None:
        """In North America 1 is the country code and the prefix of national numbers, and is often left out."""
        self.plan = DialPlan("1")
        self.assert_reads("+19005551212", "19005551212", "9005551212", "+19005551212", "01119005551212")
        self.assertEqual(self.readings("2125551212")[0], "+12125551212")
