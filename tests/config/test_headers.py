"""`strip` and `set` of a trunk's section: what is read, and what is refused."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.headers import header_line, header_pattern
from webrtcproxy.sip.names import COMPACT, SPELLINGS


class PatternTests(SynchronousTestCase):
    """`header_pattern` reads a name or the beginning of one."""

    def test_read(self) -> None:
        """In any case; a `*` ends the beginning of a name."""
        self.assertEqual(header_pattern("User-Agent"), "user-agent")
        self.assertEqual(header_pattern("X-*"), "x-*")

    def test_refused(self) -> None:
        """What is no name, a compact form, a `*` elsewhere, and what never crosses."""
        for text, reason in (
            ("*", "end of a name"),
            ("*-X", "end of a name"),
            ("X-*-Y", "end of a name"),
            ("s", "compact form"),
            ("Subject:", "no name"),
            ("Süd", "no name"),
            ("contact", "belongs to one leg"),
            ("VIA", "belongs to one leg"),
        ):
            self.assertIn(reason, str(self.assertRaises(ValueError, header_pattern, text)), text)

    def test_all_known_names(self) -> None:
        """Each header that SIP has can be named, but for those of the leg; a compact form can not."""
        for name in set(SPELLINGS.values()):
            for text in (name, name.lower()):
                try:
                    self.assertEqual(header_pattern(text), name.lower())
                except ValueError as error:
                    self.assertIn("belongs to one leg", str(error))
        for name in COMPACT:
            self.assertRaises(ValueError, header_pattern, name)


class LineTests(SynchronousTestCase):
    """`header_line` reads name and value."""

    def test_read(self) -> None:
        """The value may have colons and whatever else stands in one line."""
        self.assertEqual(header_line("X-Tenant: 7"), ("X-Tenant", "7"))
        self.assertEqual(header_line("P-Asserted-Identity:<sip:a@b>"), ("P-Asserted-Identity", "<sip:a@b>"))

    def test_refused(self) -> None:
        """No colon, no value, no name; a header of the leg; credentials; anything that would break the line."""
        for text, reason in (
            ("X-Tenant 7", "Name: value"),
            ("X-Tenant:", "Name: value"),
            (": 7", "no name"),
            ("X Y: 7", "no name"),
            ("X-*: 7", "no name"),
            ("call-id: 7", "belongs to one leg"),
            ("s: hi", "compact form"),
            ("Proxy-Authorization: Digest x", "username and password"),
            ("X-Tenant: 7\rVia: x", "control characters"),
            ("X-Tenant: 7\nVia: x", "control characters"),
            ("X-Tenant: 7\0", "control characters"),
        ):
            self.assertIn(reason, str(self.assertRaises(ValueError, header_line, text)), text)
