"""[domain NAME]"""

from __future__ import annotations

from pathlib import Path

from tests.config.case import Case


class DomainTests(Case):
    """The sections of domains that are served here; docs/configuration.rst, "[domain NAME]"."""

    def test_defaults(self) -> None:
        """A domain needs no option: the realm is its name, and it has no trunk."""
        (domain,) = self.load(**{"domain Example.COM": ""}).domains
        self.assertEqual((domain.name, domain.realm), ("example.com", "example.com"))
        self.assertEqual((domain.users, domain.trunks, domain.portal, domain.auth), (None, (), None, "name"))
        self.assertEqual(domain.algorithms, ("SHA-256", "MD5"))

    def test_all(self) -> None:
        """Each option is read; the path of the users file is relative to the configuration."""
        (self.folder / "people").touch()
        text = (
            "users = people\ntrunk = a, a\nrealm = SIP\nalgorithms = md5 Sha-512-256\nauth = address\n"
            "portal = ldap:x\nmin-expires = 30\nmax-expires = 600"
        )
        (domain,) = self.load(**{"domain example.com": text}).domains
        self.assertEqual(domain.users, Path(self.folder / "people"))
        self.assertEqual((domain.trunks, domain.realm, domain.auth), (("a", "a"), "SIP", "address"))
        self.assertEqual(domain.algorithms, ("MD5", "SHA-512-256"))
        self.assertEqual((domain.min_expires, domain.max_expires), (30, 600))

    def test_several(self) -> None:
        """Several domains, in the order of the file; an IPv6 address is written as in an address-of-record."""
        domains = self.load(**{"domain b.example": "", "domain ::1": ""}).domains
        self.assertEqual([domain.name for domain in domains], ["b.example", "[::1]"])

    def test_without_trunk(self) -> None:
        """A domain alone is enough: its users call each other."""
        self.assertEqual(self.load(trunk_a=None, **{"domain example.com": ""}).trunks, ())

    def test_mistakes(self) -> None:
        """Each mistake is named with section, key and remedy."""
        for name, text, key, remedy in (
            ("domain", "", "", "write [domain example.com]"),
            ("domain exa mple", "", "", "write [domain example.com]"),
            ("domain exämple.com", "", "", "xn--"),
            ("domain voip.example", "", "", "[trunk a] has this host"),
            ("domain example.com", "users = nowhere", "users", "make it with: webrtcproxy passwd -f"),
            ("domain example.com", "trunk = b", "trunk", "known are a"),
            ("domain example.com", "algorithms = sha-1", "algorithms", "SHA-256"),
            ("domain example.com", "auth = maybe", "auth", "name, address, no"),
            ("domain example.com", "min-expires = 4000", "min-expires", "write a shorter one"),
            ("domain example.com", "user = x", "user", "did you mean 'users'?"),
        ):
            self.refused(name, key, remedy, **{name: text})

    def test_twice(self) -> None:
        """Two sections of one domain are a mistake, however they are written."""
        self.refused("domain EXAMPLE.com", "", "join the two", **{"domain example.com": "", "domain EXAMPLE.com": ""})

    def test_no_trunk_of_that_name(self) -> None:
        """Where there is no trunk at all, the remedy is to add one."""
        self.refused("domain a.example", "trunk", "add [trunk b]", trunk_a=None, **{"domain a.example": "trunk = b"})
