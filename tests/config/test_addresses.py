"""Hosts, networks, origins: what is written, and what matches."""

from ipaddress import ip_network

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import Trunk
from webrtcproxy.config.addresses import Destinations, HostPort, destination, literal, network, origin


class HostPortTests(SynchronousTestCase):
    """`HostPort.parse` reads a host and perhaps a port."""

    def test_read(self) -> None:
        """Names in lower case without final dot, IPv4, IPv6 with and without brackets in its shortest form."""
        for text, host, port in (
            ("PBX1", "pbx1", None),
            ("SIP.example.com.:5080", "sip.example.com", 5080),
            ("192.0.2.1:5060", "192.0.2.1", 5060),
            ("[2001:DB8:0:0::1]:5060", "2001:db8::1", 5060),
            ("2001:db8::1", "2001:db8::1", None),
            ("[2001:db8::1]", "2001:db8::1", None),
            ("_sip._udp.example.com", "_sip._udp.example.com", None),
        ):
            self.assertEqual(HostPort.parse(text), HostPort(host, port))

    def test_refused(self) -> None:
        """Each mistake is a ValueError with a reason: a URI, a bad port, half a bracket, letters that no name has."""
        for text, reason in (
            ("sip:voip.example.com", "port"),
            ("host:", "no port"),
            ("host:0", "1 to 65535"),
            ("host:65536", "1 to 65535"),
            ("host:5060x", "1 to 65535"),
            ("[::1", "brackets"),
            ("[::1]5060", "brackets"),
            ("[host]:5060", "brackets"),
            ("a b", "no host name"),
            ("a..b", "no host name"),
            ("-a", "no host name"),
            ("1.2.3", "no host name"),
            ("256.1.1.1", "no host name"),
            ("::g", "no host name"),
            ("10.0.0.0/8", "'/'"),
            ("bücher.example", "xn--"),
            ("", "no host name"),
        ):
            self.assertIn(reason, str(self.assertRaises(ValueError, HostPort.parse, text)), text)

    def test_written(self) -> None:
        """Written with brackets around IPv6, so that it can be read again."""
        for text in ("a.example", "a.example:5060", "[2001:db8::1]", "[2001:db8::1]:5060"):
            self.assertEqual(str(HostPort.parse(text)), text)


class LiteralTests(SynchronousTestCase):
    """`literal` knows an IP address from a name."""

    def test_addresses(self) -> None:
        """In the shortest form, IPv6 with and without brackets, mapped IPv4 as IPv4."""
        for host, address in (
            ("192.0.2.1", "192.0.2.1"),
            ("2001:DB8:0:0::1", "2001:db8::1"),
            ("[2001:db8::1]", "2001:db8::1"),
            ("[::1]", "::1"),
            ("::ffff:192.0.2.1", "192.0.2.1"),
            ("[::FFFF:c000:201]", "192.0.2.1"),
        ):
            for _ in range(2):
                self.assertEqual(literal(host), address)

    def test_names(self) -> None:
        """Everything else is a name, or nothing: addresses with too little, too much, or leading zeros too."""
        for host in (
            "",
            "[]",
            "pbx",
            "pbx.example.com",
            "192.0.2",
            "192.0.2.1.",
            "192.0.02.1",
            "1",
            "2001:db8::1::",
            " ::1",
        ):
            self.assertIsNone(literal(host), host)


class NetworkTests(SynchronousTestCase):
    """`network` reads networks and single addresses."""

    def test_read(self) -> None:
        """Both families; a single address is a network of one."""
        self.assertEqual(str(network("198.51.100.0/24")), "198.51.100.0/24")
        self.assertEqual(str(network("2001:db8::/32")), "2001:db8::/32")
        self.assertEqual(network("192.0.2.1").num_addresses, 1)

    def test_address_bits(self) -> None:
        """An address with a mask gets told the network that was meant."""
        self.assertIn("198.51.100.0/24", str(self.assertRaises(ValueError, network, "198.51.100.7/24")))

    def test_refused(self) -> None:
        """What is no network at all."""
        for text in ("example.com", "1.2.3.4/33", "1.2.3/24"):
            self.assertIn("no network", str(self.assertRaises(ValueError, network, text)))


class OriginTests(SynchronousTestCase):
    """`origin` checks what a browser sends as Origin (RFC 6454 section 6.2)."""

    def test_read(self) -> None:
        """Scheme and host, a port, a pattern for subdomains, any, and the origin of local files."""
        for text in ("https://phone.example.com", "http://localhost:3000", "https://*.example.org", "*", "null"):
            self.assertEqual(origin(text), text)
        self.assertEqual(origin("HTTPS://Phone.Example.Com"), "https://phone.example.com")
        self.assertEqual(origin("NULL"), "null")

    def test_apps(self) -> None:
        """The pages of apps have schemes of their own, with or without host (RFC 6454 section 4): those of Electron,
        Cordova, Ionic, Tauri, extensions (field.rst W11: Page of an app)."""
        for text in (
            "file://",
            "app://.",
            "app://-",
            "app://bundle",
            "capacitor://localhost",
            "ionic://localhost:8080",
            "tauri://localhost",
            "chrome-extension://abcdefghijklmnop",
            "ms-appx-web://0a1b-2c3d",
            "app://",
        ):
            self.assertEqual(origin(text), text)
        self.assertEqual(origin("file:///"), "file://")
        self.assertEqual(origin("safari-web-extension://0A-1B"), "safari-web-extension://0a-1b")

    def test_refused(self) -> None:
        """A host without scheme gets one proposed; an origin has no path, not even '/'."""
        for text, reason in (
            ("phone.example.com", "write https://phone.example.com"),
            ("https://phone.example.com/", "write https://phone.example.com"),
            ("https://phone.example.com/phone?x", "write https://phone.example.com"),
            ("https://*.", "host name"),
            ("https://a.*.b", "host name"),
            ("https://", "host name"),
            ("https://a:b", "port"),
            ("https://user@a", "write https://a"),
            ("://a", "no scheme"),
            ("1a://a", "no scheme"),
            ("app://bundle/index.html", "write app://bundle"),
            ("file:///srv/phone.html", "write file://"),
            ("app://*", "without *"),
            ("app://*.example", "without *"),
            ("app://ä", "without *"),
        ):
            self.assertIn(reason, str(self.assertRaises(ValueError, origin, text)), text)


class DestinationsTests(SynchronousTestCase):
    """`Destinations.allows`: where browsers may call and register."""

    trunks = (Trunk("a", "voip.example"), Trunk("b", "192.0.2.5", 5080))

    def allows(self, words: str, host: str, port: int | None = None) -> bool:
        allowed = Destinations()
        for word in words.split():
            allowed |= destination(word)
        return allowed.allows(host, port, self.trunks)

    def test_nothing(self) -> None:
        """Nothing written, nothing allowed."""
        self.assertFalse(Destinations().allows("voip.example", None, self.trunks))

    def test_anywhere(self) -> None:
        """'*' is any host and port."""
        self.assertTrue(self.allows("*", "premium.example", 9))

    def test_trunks(self) -> None:
        """'trunks' is host and port of each trunk, whatever the spelling; 5060 is the port where none is written."""
        self.assertTrue(self.allows("trunks", "VoIP.example."))
        self.assertTrue(self.allows("trunks", "voip.example", 5060))
        self.assertTrue(self.allows("trunks", "192.0.2.5", 5080))
        self.assertFalse(self.allows("trunks", "192.0.2.5"))
        self.assertFalse(self.allows("trunks", "voip.example", 5061))
        self.assertFalse(self.allows("trunks", "sub.voip.example"))

    def test_hosts(self) -> None:
        """A host alone is any port of it; with a port, only that one."""
        self.assertTrue(self.allows("pbx.example", "PBX.example", 5080))
        self.assertTrue(self.allows("pbx.example:5080", "pbx.example", 5080))
        self.assertTrue(self.allows("pbx.example:5060", "pbx.example"))
        self.assertFalse(self.allows("pbx.example:5080", "pbx.example"))
        self.assertTrue(self.allows("[2001:db8::1]:5080", "[2001:DB8:0::1]", 5080))

    def test_domains(self) -> None:
        """'*.example.com' is what is below example.com, not example.com and not what ends alike."""
        self.assertTrue(self.allows("*.example.com", "a.b.Example.com", 5080))
        self.assertFalse(self.allows("*.example.com", "example.com"))
        self.assertFalse(self.allows("*.example.com", "badexample.com"))

    def test_networks(self) -> None:
        """A network matches addresses within it, also IPv4 within IPv6; no name, and no odd spelling of an address."""
        self.assertTrue(self.allows("10.0.0.0/8", "10.1.2.3", 5080))
        self.assertTrue(self.allows("10.0.0.0/8", "[::ffff:10.1.2.3]"))
        self.assertTrue(self.allows("2001:db8::/32", "[2001:db8::9]"))
        for host in ("11.0.0.1", "10.1", "0x0a000001", "10.1.2.3.example", "010.1.2.3"):
            self.assertFalse(self.allows("10.0.0.0/8", host), host)

    def test_refused(self) -> None:
        """Words that are none of these are refused."""
        for word in ("sip:a.example", "*.", "10.0.0.1/8", "a*b", "**"):
            self.assertRaises(ValueError, destination, word)

    def test_network_value(self) -> None:
        """The networks are kept as values that compare."""
        self.assertEqual(destination("10.0.0.0/8").networks, (ip_network("10.0.0.0/8"),))
