"""Any value of any option is read, or is a mistake that says what to write; no other exception comes out."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config.option import open_section, options_of, read_section
from webrtcproxy.config.sections import NAMED, SECTIONS

ODD = (
    "", "\0", "x\0y", "x", "²", "-1", "nan", "1e999", "[", "[::1", "[::1]:", "a:b:c", "*", "**", "\\", "ssl:\\", "tcp:",
    "udp:0:interface=", "tls:port=", "ssl:1:privateKey=x\0", "x.pem", "/", "..", ".", "folder", "\ud7ff", "ä" * 300,
    "0" * 5000, "sip:", "@", "a@", "@b", "=", "a =", "+1 = a@b", '"', "x\ny", "%s", "https://[", "wss://[", "://",
    "file://", "turn:[", "+", "+*", "#", "none none", "spawn spawn", "99999999999999999999", "1.5", "0x10", "1_0",
    "::%eth0", "fe80::1%1", "/dev/null", "yes no", "null", "\x85", "\u2028", "A: b", "a=b", "udp tls", "4xx 7xx",
    "PCMU *",
)  # fmt: skip


class AnyValueTests(SynchronousTestCase):
    """Each kind of option with each odd value."""

    def test_any(self) -> None:
        """Nothing but values and mistakes comes out, and a mistake is one line with section, key and a remedy."""
        folder = Path(self.mktemp()).absolute()
        (folder / "folder").mkdir(parents=True)
        (folder / "x.pem").write_bytes(b"-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----\n")
        wrong, kinds = 0, set()
        for name, section_class in SECTIONS.items():
            others = {"name": "a"} if name in NAMED else {}
            for option in options_of(section_class):
                values = () if option.kind.remedy in kinds else ODD
                kinds.add(option.kind.remedy)
                for value in values:
                    section = open_section(section_class, name, {option.key: value}, folder)
                    read_section(section_class, section, **others)
                    for error in section.mistakes:
                        wrong += 1
                        self.assertEqual(error.section, name)
                        self.assertNotIn("\n", str(error))
                        self.assertTrue(error.remedy, str(error))
        self.assertGreater(wrong, 1000)
