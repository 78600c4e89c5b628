"""`[trunk] number-format`: the form in which a trunk has numbers."""

from __future__ import annotations

from itertools import product

from twisted.trial.unittest import SynchronousTestCase

from tests.config.case import Case
from webrtcproxy.access.numbers import DialPlan
from webrtcproxy.config.number_format import AS_DIALLED, DIGITS, NATIONAL, PLUS, Country, NumberFormat
from webrtcproxy.sip.uri import Uri

HOST = "host = voip.example\n"
PREFIXES = ("00", "011")
UNTOUCHED = (
    "112", "110", "911", "0112", "116117", "11880", "+49112", "+49116117", "0116117", "*21#", "*21*03012345678#",
    "#31#", "4711", "7001", "alice", "", "+", "0", "00", "+4930123456789012345", "00004930123456", "+0301234567",
    "00112", "30123",
)  # fmt: skip
"""Short numbers, those of emergency services, codes of services, extensions, names, and what is too long: as they are
in each format."""


def german(style: str, *country: str, dial_prefixes: tuple[str, ...] = ()) -> NumberFormat:
    """A format where the country code is 49."""
    return NumberFormat(style, Country(*country)).at("49", PREFIXES, dial_prefixes)


class Converting(SynchronousTestCase):
    """What becomes of numbers."""

    def test_as_dialled(self) -> None:
        """By default nothing is touched."""
        for number in (*UNTOUCHED, "+4930123456", "0049301234567", "0301234567"):
            plain = NumberFormat()
            self.assertEqual((plain.outgoing(number), plain.incoming(number)), (number, number))
            self.assertEqual(plain.spellings(number)[0], number)

    def test_untouched(self) -> None:
        """What is not wholly clear stays as it is, in both directions."""
        for style, number in product((PLUS, DIGITS, NATIONAL), UNTOUCHED):
            format = german(style)
            self.assertEqual((format.outgoing(number), format.incoming(number)), (number, number), (style, number))

    def test_outgoing(self) -> None:
        """A number with country code, with what stands for the ``+``, or as it is dialled in the country."""
        for style, home, abroad in (
            (PLUS, "+49301234567", "+43664123456"),
            (DIGITS, "49301234567", "43664123456"),
            (NATIONAL, "0301234567", "0043664123456"),
        ):
            format = german(style)
            for number in ("+49301234567", "0049301234567", "0301234567"):
                self.assertEqual(format.outgoing(number), home, number)
            for number in ("+43664123456", "0043664123456"):
                self.assertEqual(format.outgoing(number), abroad, number)
            for number in ("30123456789", "01149301234567"):
                self.assertEqual(format.outgoing(number), number, "which country is it?")

    def test_incoming(self) -> None:
        """Users see ``+`` and the country code, whatever the trunk sends."""
        for style, numbers in (
            (PLUS, ("+49301234567", "0049301234567")),
            (DIGITS, ("+49301234567", "0049301234567", "49301234567")),
            (NATIONAL, ("+49301234567", "0049301234567", "0301234567")),
        ):
            for number in numbers:
                self.assertEqual(german(style).incoming(number), "+49301234567", (style, number))
        self.assertEqual(german(PLUS).incoming("0301234567"), "0301234567", "it was to have a country code")
        self.assertEqual(german(NATIONAL).incoming("49301234567"), "49301234567", "or an area of the country")

    def test_back(self) -> None:
        """What a trunk sends can be called there again, and is the same."""
        for style in (PLUS, DIGITS, NATIONAL):
            for country in ((), ("43", "0"), ("34", "")):
                format = german(style, *country) if style == NATIONAL else german(style)
                for number in ("+49301234567", "+43664123456", "+34912345678"):
                    self.assertEqual(format.incoming(format.outgoing(number)), number, (style, country))

    def test_other_country(self) -> None:
        """A trunk abroad has national numbers of its own; users dial those of theirs."""
        format = german(NATIONAL, "43", "0")
        self.assertEqual(format.outgoing("0664123456"), "0049664123456")
        self.assertEqual(
            (format.outgoing("+43664123456"), format.incoming("0664123456")), ("0664123456", "+43664123456")
        )
        self.assertEqual(format.outgoing("+43112"), "+43112")

    def test_without_prefix(self) -> None:
        """In some countries nothing stands before national numbers."""
        format = NumberFormat(NATIONAL, Country("34", "")).at("34", PREFIXES, ())
        self.assertEqual((format.outgoing("+34912345678"), format.incoming("912345678")), ("912345678", "+34912345678"))
        self.assertEqual((format.outgoing("912345678"), format.outgoing("112")), ("912345678", "112"))

    def test_north_america(self) -> None:
        """Numbers have ten digits, and a 1 before them or not; 011 stands for ``+``."""
        for style, home, abroad in (
            (PLUS, "+12125550123", "+49301234567"), (DIGITS, "12125550123", "49301234567"),
            (NATIONAL, "12125550123", "01149301234567"),
        ):  # fmt: skip
            format = NumberFormat(style).at("1", PREFIXES, ())
            for number in ("+12125550123", "12125550123", "2125550123"):
                self.assertEqual(format.outgoing(number), home, number)
            self.assertEqual(format.outgoing("01149301234567"), abroad)
            for number in ("911", "411", "5550123", "0125550123", "1125550123", "+1911"):
                self.assertEqual(format.outgoing(number), number)
        ten = NumberFormat(NATIONAL, Country("1", "")).at("1", PREFIXES, ())
        self.assertEqual(ten.outgoing("+12125550123"), "2125550123")

    def test_areas_that_look_international(self) -> None:
        """In a country where 011 does not stand for ``+``, it begins national numbers: of Nottingham, Delhi, São Paulo,
        Turin, Buenos Aires. Neither reading is taken where the configuration says that it stands for ``+`` as well."""
        for code, dialled, known in (
            ("44", "01159123456", "+441159123456"), ("44", "01189123456", "+441189123456"),
            ("91", "01123456789", "+911123456789"), ("55", "01155551234", "+551155551234"),
            ("55", "011955551234", "+5511955551234"), ("39", "01112345678", "+3901112345678"),
            ("54", "01145678901", "+541145678901"),
        ):  # fmt: skip
            for style, sent in ((PLUS, known), (DIGITS, known[1:]), (NATIONAL, dialled)):
                format = NumberFormat(style).at(code, (), ())
                self.assertEqual(format.outgoing(dialled), sent, (code, style))
                self.assertEqual(format.incoming(sent), known, (code, style))
                self.assertNotIn(f"+{dialled[3:]}", format.spellings(dialled))
            as_dialled = NumberFormat().at(code, (), ())
            self.assertEqual(as_dialled.spellings(dialled), (dialled, known))
            self.assertEqual(as_dialled.incoming(dialled), dialled)
            both = NumberFormat(PLUS).at(code, PREFIXES, ())
            self.assertEqual((both.outgoing(dialled), both.incoming(dialled)), (dialled, dialled))
        self.assertEqual(NumberFormat(PLUS).at("", (), ()).outgoing("01159123456"), "01159123456")

    def test_international_prefixes(self) -> None:
        """What stands for ``+`` in the country does so there, and in a national format."""
        for code, prefix in (
            ("1", "011"), ("7", "810"), ("44", "00"), ("61", "0011"), ("81", "010"), ("65", "001"), ("82", "001"),
            ("234", "009"), ("852", "001"), ("", "00"),
        ):  # fmt: skip
            for style, sent in ((PLUS, "+49301234567"), (DIGITS, "49301234567"), (NATIONAL, f"{prefix}49301234567")):
                format = NumberFormat(style).at(code, (), ())
                self.assertEqual(format.outgoing(f"{prefix}49301234567"), sent, (code, style))
                self.assertEqual(format.incoming(sent), "+49301234567", (code, style))
        self.assertEqual(NumberFormat(PLUS).at("81", (), ()).outgoing("0033101234567"), "0033101234567", "a carrier's")
        abroad = NumberFormat(NATIONAL, Country("1", "1")).at("44", (), ())
        self.assertEqual(abroad.outgoing("0049301234567"), "01149301234567")
        self.assertEqual(abroad.incoming("01149301234567"), "+49301234567")

    def test_national_prefixes(self) -> None:
        """What stands before national numbers: something else than 0, or nothing, where their length tells them. The 0
        of an Italian number is a part of it."""
        for code, dialled, known in (
            ("39", "0612345678", "+390612345678"), ("39", "3331234567", "+393331234567"),
            ("36", "0612345678", "+3612345678"), ("7", "84951234567", "+74951234567"),
            ("375", "80172001122", "+375172001122"),
            ("34", "912345678", "+34912345678"), ("45", "32123456", "+4532123456"), ("47", "22123456", "+4722123456"),
            ("48", "221234567", "+48221234567"), ("351", "211234567", "+351211234567"),
            ("420", "221234567", "+420221234567"), ("57", "6012345678", "+576012345678"),
            ("225", "0712345678", "+2250712345678"), ("377", "93123456", "+37793123456"),
            ("377", "612345678", "+377612345678"), ("423", "2361234", "+4232361234"),
            ("598", "29001234", "+59829001234"), ("598", "099123456", "+59899123456"),
        ):  # fmt: skip
            for style, sent in ((PLUS, known), (DIGITS, known[1:]), (NATIONAL, dialled)):
                format = NumberFormat(style).at(code, (), ())
                self.assertEqual(format.outgoing(dialled), sent, (code, style))
                self.assertEqual(format.incoming(sent), known, (code, style))
        for code, number in (
            ("39", "390612345678"), ("39", "112"), ("39", "8001234567"), ("34", "34912345678"), ("34", "0912345678"),
            ("352", "27123456"), ("36", "0112345678"), ("420", "2212345678"), ("34", "091234567"),
            ("598", "99123456"), ("598", "029001234"), ("598", "290012345"), ("377", "093123456"),
        ):  # fmt: skip
            self.assertEqual(NumberFormat(PLUS).at(code, (), ()).outgoing(number), number)
        plain = NumberFormat(NATIONAL, Country("352", "")).at("352", (), ())
        self.assertEqual(plain.incoming("27123456"), "+35227123456", "the configuration says so")

    def test_dial_prefixes(self) -> None:
        """What follows the code of a carrier, or the digit for an outside line, stays as it is dialled."""
        format = german(PLUS, dial_prefixes=("01033",))
        self.assertEqual(format.outgoing("010330301234"), "010330301234")
        self.assertEqual(format.outgoing("0301234567"), "+49301234567")

    def test_spellings(self) -> None:
        """A number may be written in each form where it is looked up."""
        self.assertEqual(german(DIGITS).spellings("49301234567"), ("+49301234567", "49301234567", "0301234567"))
        self.assertEqual(german(NATIONAL, "43", "0").spellings("0049301234567")[0], "+49301234567")
        self.assertEqual(german(PLUS).spellings("112"), ("112",))

    def test_spellings_of_others(self) -> None:
        """What the trunk is not known to send so is looked up as it is sent, then as what it may be: as it is dialled
        where the proxy is, or with its country code and without ``+``. What is not clear is nothing else."""
        plain, abroad = german(AS_DIALLED), german(NATIONAL, "43", "0")
        for number, others in (
            ("0301234567", ("+49301234567",)), ("0049301234567", ("+49301234567", "0301234567")),
            ("+49301234567", ("0301234567",)), ("49301234567", ("+49301234567", "0301234567")),
            ("0043664123456", ("+43664123456",)),
            ("4711", ()), ("112", ()), ("1234567", ()), ("*31#0301234567", ()), ("00", ()), ("1" * 16, ()), ("011", ()),
        ):  # fmt: skip
            self.assertEqual(plain.spellings(number), (number, *others), number)
        self.assertEqual(abroad.spellings("0301234567")[0], "+43301234567", "the trunk's country, not that of home")
        self.assertEqual(abroad.spellings("43301234567"), ("43301234567", "+43301234567"))
        self.assertEqual(NumberFormat().at("", PREFIXES, ()).spellings("0301234567"), ("0301234567",))

    def test_rules_judge_what_is_sent(self) -> None:
        """The number that a trunk gets is one for which the rules for numbers take what is dialled: no format is a way
        around them (`DialPlan`)."""
        numbers = [*UNTOUCHED, "+49900123456", "0900123456", "0049900123456", "01149900123456", "+882123456789"]
        numbers += ["2125550123", "12125550123", "912345678", "0612345678", "01159123456", "84951234567"]
        numbers += ["29001234", "099123456"]
        codes = "49", "1", "34", "39", "44", "36", "7", "81", "61", "352", "598", "377"
        for code, style, written in product(codes, (PLUS, DIGITS, NATIONAL), ((), PREFIXES)):
            format, plan = NumberFormat(style).at(code, written, ()), DialPlan(code, written)
            for number in numbers:
                known = format.dialled(number)
                if known is not None:
                    self.assertIn(known, plan.readings(Uri("sip", number, host="h")), (code, style))
                    self.assertIn(known, plan.readings(Uri("sip", format.outgoing(number), host="h")), (code, style))


class Reading(Case):
    """The option in the file."""

    access = "country = 49\n"

    def test_values(self) -> None:
        """A style, perhaps with the country code and prefix of the trunk's national numbers."""
        for text, style, code, prefix in (
            ("as-dialled", "as-dialled", "", "0"), ("+E164", "+e164", "49", "0"), ("e164", "e164", "49", "0"),
            ("national", "national", "49", "0"), ("national 49 0", "national", "49", "0"),
            ("national +43", "national", "43", "0"), ("national 34 none", "national", "34", ""),
            ("national 7", "national", "7", "8"), ("+e164 49 06", "+e164", "49", "06"),
        ):  # fmt: skip
            config = self.load(trunk_a=f"{HOST}number-format = {text}", access=self.access)
            format = config.trunks[0].number_format
            self.assertEqual((format.style, format.country), (style, Country(code, prefix)), text)
        self.assertEqual(self.load(trunk_a=HOST).trunks[0].number_format, NumberFormat())

    def test_mistakes(self) -> None:
        """What can't be meant is named."""
        for text in (
            "international",
            "national 049",
            "national 49 0 1",
            "national 49 x",
            "as-dialled 49",
            "national 49 ++",
        ):
            self.refused("trunk a", "number-format", "", trunk_a=f"{HOST}number-format = {text}", access=self.access)

    def test_country(self) -> None:
        """The rules for numbers have to know how national numbers are dialled; only those may be another country's."""
        for text in ("national", "national 49 0", "+e164 49"):
            self.refused(
                "trunk a", "number-format", "country = 49 in [access]", trunk_a=f"{HOST}number-format = {text}"
            )
        for text in ("+e164", "e164"):
            self.load(trunk_a=f"{HOST}number-format = {text}")
        self.refused(
            "trunk a", "number-format", "write e164", trunk_a=f"{HOST}number-format = e164 43", access=self.access
        )
