"""sip.telephone: telephone numbers in URIs (RFC 3966, RFC 3261 section 19.1.6)."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.telephone import (
    global_number,
    number_in,
    number_of,
    numbers_in_context,
    plain_number,
    subscriber,
    without_separators,
)
from webrtcproxy.sip.uri import Uri, with_plain_number

SPELLINGS = (
    "+49-30-12.34", "+49%20(30)%2012-34", "%2B49301234", "%2b49%2030%201234", "+49%20(0)30%201234",
    "+49%C2%A030%E2%80%AF1234", "+49%E2%80%9130%E2%80%9112%E2%80%9334",
    "%E2%80%AA+49301234%E2%80%AC", "+49301234%20", "(+49)%20301234",
)  # fmt: skip
"""One number, as people write it and as address books give it."""


class Numbers(SynchronousTestCase):
    """Which number a user part is."""

    def test_spellings(self) -> None:
        """Separators, blanks and dashes of any kind, escapes, and the ``(0)`` after a country code mean nothing."""
        for user in SPELLINGS:
            self.assertEqual(number_in(user), "+49301234", user)

    def test_parameters(self) -> None:
        """Parameters do not make another number (RFC 3966 section 5, RFC 4694)."""
        for user in ("+4930;npdi;rn=+49", "+4930;ext=1", "+49-30;phone-context=example.net", "+4930%3Bcpc=x", "+4930;"):
            self.assertEqual(number_in(user), "+4930", user)

    def test_none(self) -> None:
        """What has letters, a plus within, no digit, or more than 32 is none; nor are digits of other scripts."""
        for user in ("", "bob", "12a", "+", "-", "4+9", "++49", "1" * 33, "٠١٢", "%D9%A0", "+49%0030", "1%5C2"):
            self.assertIsNone(number_in(user), user)
            with self.assertRaises(ValueError):
                number_of(user)

    def test_trunk_prefix(self) -> None:
        """``(0)`` is dropped after a country code only, and once."""
        self.assertEqual(without_separators("+49 (0)30"), "+4930")
        self.assertEqual(without_separators("+49(0)(0)30"), "+49030")
        for text, number in (("(0)30", "030"), ("0049 (0)30", "0049030"), ("+(0)30", "+030")):
            self.assertEqual(without_separators(text), number)


class Dialled(SynchronousTestCase):
    """What a page dials, towards a trunk (RFC 3966 section 5.1.1)."""

    def dialled(self, text: str) -> str:
        return str(with_plain_number(Uri.parse(text)))

    def test_numbers(self) -> None:
        """A user of digits has no separators and no needless escapes, with ``user=phone`` or without."""
        for user in SPELLINGS:
            for params in ("", ";user=phone", ";x=1"):
                self.assertEqual(self.dialled(f"sip:{user}@h{params}"), f"sip:+49301234@h{params}", user)
        self.assertEqual(self.dialled("sips:030-12%2034@h:5071"), "sips:0301234@h:5071")
        for user in ("030/1234", "030%2f12/34", "(030)/12-34"):
            self.assertEqual(self.dialled(f"sip:{user}@h"), "sip:0301234@h")
        self.assertEqual(self.dialled("sip:conf/12@h"), "sip:conf/12@h")

    def test_parameters_stay(self) -> None:
        """The parameters of the number cross as they are written: networks route by them."""
        user = "+49-30;ext=1-2;phone-context=a-b.example"
        self.assertEqual(self.dialled(f"sip:{user}@h"), "sip:+4930;ext=1-2;phone-context=a-b.example@h")
        self.assertEqual(plain_number("+49-30%3Bx=1-2", True), "+49-30%3Bx=1-2")

    def test_context(self) -> None:
        """The context of a local number is its parameter, though JsSIP and SIP.js escape it (RFC 3966 section 5.1.5;
        field.rst H: Odd headers)."""
        for context in ("+4930", "a-b.example"):
            for user in (f"12-3%3Bphone-context%3D{context}", f"(12)%203%3bPhone-Context%3d{context}"):
                self.assertEqual(
                    self.dialled(f"sip:{user}@h;user=phone"), f"sip:123;phone-context={context}@h;user=phone"
                )
                self.assertEqual(self.dialled(f"sip:{user}@h"), f"sip:{user}@h", "a name")
        for user in (
            "+123%3Bphone-context%3D+49", "123%3Bphone-context%3D", "bob%3Bphone-context%3D+49", "123%3Bx%3D+49",
            "123%3Bphone-context%3D+49%3Bx", "123%3Bx%3D1%3Bphone-context%3D+49", "123%3Bphone-context%3D+49;x=1",
        ):  # fmt: skip
            self.assertEqual(self.dialled(f"sip:{user}@h;user=phone"), f"sip:{user}@h;user=phone")

    def test_codes(self) -> None:
        """Codes of services are numbers where ``user=phone`` says so."""
        self.assertEqual(self.dialled("sip:*21*030-12%23@h;user=phone"), "sip:*21*03012%23@h;user=phone")
        for text in ("sip:*21*030-12%23@h", "sip:*21*03012#@h;user=phone", "sip:*97@h", "sip:112@h"):
            self.assertEqual(self.dialled(text), text)

    def test_names(self) -> None:
        """Names are never touched, whatever they have."""
        for text in (
            "sip:j.r-smith@h", "sip:j%2Dr@h;user=phone", "sip:a%20b@h", "sip:2001-a@h", "sip:-@h", "sip:h",
            "tel:+49-30", "sip:%E2%80%AA@h", "sip:100%25@h", "sip:100%@h", "sip:1+2-3@h", "sip:sales-1@h;user=phone",
        ):  # fmt: skip
            self.assertEqual(self.dialled(text), text)


class Comparing(SynchronousTestCase):
    """When two numbers are the same (RFC 3966 section 4)."""

    def test_normal_form(self) -> None:
        """A global number has one spelling; ``isub`` and ``ext`` come in this order (RFC 3261 section 19.1.6), and what
        networks add does not count."""
        self.assertEqual({global_number(user) for user in SPELLINGS}, {"+49301234"})
        for user in ("+4930;ext=1-2;isub=AB", "+49-30;ISUB=ab;npdi;Ext=12;rn=+1", "+4930%3bext=12;isub=ab;cpc=x"):
            self.assertEqual(global_number(user), "+4930;isub=ab;ext=12", user)
        for user in ("030", "bob", "+", "%", "%40", "+a", "+49*1"):
            self.assertIsNone(global_number(user), user)

    def test_escapes(self) -> None:
        """What is escaped in a value stays escaped: an address-of-record has one ``@``, and no line end."""
        for value, escaped in (
            ("%40evil.example", "%40evil.example"),
            ("a%0D%0AX%3a%20y", "a%0D%0Ax%3A%20y"),
            ("%3E%25", "%3E%25"),
            ("\udcfc", "%FC"),
        ):
            self.assertEqual(Uri.parse(f"sip:+4930;isub={value}@h").aor, f"+4930;isub={escaped}@h")

    @given(st.text(max_size=40), st.sampled_from(("", ";user=phone")))
    def test_any(self, user: str, params: str) -> None:
        """Whatever a user part has, what is made of it is a URI again, and of that nothing else."""
        try:
            uri = Uri.parse(f"sip:{user}@example.com{params}")
        except BadMessage:
            return
        again = Uri.parse(f"sip:{uri.aor}")
        self.assertEqual(again.host, uri.host.lower())
        if global_number(uri.user or "") is not None:
            self.assertEqual(again.aor, uri.aor)
        plain = with_plain_number(uri)
        self.assertEqual(with_plain_number(Uri.parse(str(plain))), plain)
        self.assertEqual((plain.host, plain.params), (uri.host, uri.params))

    @given(st.text("+0123456789-() %;=@isubext24036CDAZaz.", max_size=40))
    def test_any_number(self, user: str) -> None:
        """So with what is like a number."""
        self.test_any.hypothesis.inner_test(self, user, "")  # type: ignore[attr-defined]

    def test_subscriber(self) -> None:
        """Case, order and separators of parameters do not matter; names and values do, and those of contexts that are
        domains are compared as such."""
        one = subscriber("+49-30;phone-context=+49-3;rn=+4-9;X=Y")
        self.assertEqual(one, subscriber("+4930;x=y;RN=+49;Phone-Context=+493"))
        for other in ("+4930;x=y;rn=+49", "+4930;x=y;rn=+48;phone-context=+493", "4930;x=y;rn=+49;phone-context=+493"):
            self.assertNotEqual(one, subscriber(other))
        self.assertNotEqual(subscriber("7;phone-context=a-b.example"), subscriber("7;phone-context=ab.example"))
        self.assertIsNone(subscriber("bob;ext=1"))

    def test_in_context(self) -> None:
        """A local number with a context of digits may be the global number of both (RFC 3966 section 5.1.5)."""
        for user, numbers in (
            ("12340;phone-context=+4930", ("+493012340",)),
            ("1-23%2040;Phone-Context=%2B49-30", ("+493012340",)),
            ("0612345;phone-context=+39", ("+390612345", "+39612345")),
            ("12340;isub=1;phone-context=+4930", ("+493012340",)),
            ("12340;phone-context=4930", ()),
            ("12340;phone-context=example.com", ()),
            ("+12340;phone-context=+4930", ()),
            ("*97;phone-context=+4930", ()),
            ("12340;phone-context", ()),
            ("12340;phone-context=+" + "4" * 40, ()),
            ("bob;phone-context=+4930", ()),
            ("12340", ()),
        ):
            self.assertEqual(numbers_in_context(user), numbers, user)
