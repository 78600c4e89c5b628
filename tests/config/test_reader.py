"""The configuration file: what is read, what is taken where nothing is written, and each mistake with its remedy."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.config import SPAWN, ClientTls, Config, ConfigError, HostPort, Trunk, TrunkMedia, load
from webrtcproxy.config.reader import KEYS, PAGE
from webrtcproxy.demo.certificate import write_certificate

ETC = Path(__file__).parents[2] / "etc"
SMALLEST = {
    "wss": "listen = tcp:8443",
    "rtpengine": "nodes = 127.0.0.1",
    "trunk a": "host = voip.example",
}
"""The least that a configuration has, by section."""


class Case(SynchronousTestCase):
    """Loads files made of sections."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def load(self, **sections: str | None) -> Config:
        """Load the smallest file, with sections replaced, added, or taken out (None); '_' in names is a blank."""
        written = SMALLEST | {name.replace("_", " "): text for name, text in sections.items()}
        path = self.folder / "proxy.ini"
        path.write_text("".join(f"[{name}]\n{text}\n" for name, text in written.items() if text is not None))
        return load(path)

    def refused(self, section: str, key: str, *told: str, **sections: str | None) -> str:
        """Load what has a mistake in `section` and `key`, and see that its one line tells all of `told`."""
        error = self.assertRaises(ConfigError, self.load, **sections)
        self.assertEqual((error.section, error.key), (section, key))
        line = str(error)
        self.assertNotIn("\n", line)
        for part in (
            str(self.folder / "proxy.ini"),
            f"[{' '.join(section.split())}]",
            key,
            error.value or "",
            error.remedy,
            *told,
        ):
            self.assertIn(part, line)
        self.assertTrue(error.remedy)
        return line


class DefaultsTests(Case):
    """What is taken where nothing is written."""

    def test_defaults(self) -> None:
        """DESIGN's defaults: same host only, one binding a user, trunks only, credentials for the registered."""
        config = self.load()
        self.assertEqual(config.path, self.folder / "proxy.ini")
        self.assertEqual((config.wss.origins, config.wss.path, config.wss.page), (None, "/", PAGE))
        self.assertEqual((config.wss.max_message, config.wss.ping, config.wss.ping_timeout), (65536, 30, 10))
        self.assertEqual((config.sip.listen, config.sip.advertise), (("udp:5060",), None))
        self.assertEqual(config.rtpengine.nodes, (HostPort("127.0.0.1", 22222),))
        self.assertEqual(config.rtpengine.timeout, 2)
        self.assertFalse(config.registrations.multiple)
        self.assertEqual((config.calls.ring, config.calls.grace, config.calls.limit), (180, 5, 1000))
        self.assertEqual((config.calls.limit_per_connection, config.calls.limit_unregistered), (10, 3))
        self.assertEqual(config.trunks, (Trunk("a", "voip.example"),))
        self.assertTrue(config.access.destinations.allows("voip.example", None, config.trunks))
        self.assertFalse(config.access.destinations.allows("other.example", None, config.trunks))
        self.assertEqual(config.access.trunk_credentials, "registered")
        self.assertEqual((config.web.listen, config.logging.level, config.demo), ((), "info", None))

    def test_relative_path_of_the_file(self) -> None:
        """The file's own path is made absolute, since a daemon changes its folder."""
        self.load()
        self.assertTrue(load(Path(os.path.relpath(self.folder)) / "proxy.ini").path.is_absolute())


class ExampleFilesTests(Case):
    """The files in etc/ load as they are."""

    def example(self, name: str, tls: str) -> Config:
        shutil.copy(ETC / name, self.folder)
        write_certificate(self.folder / tls)
        return load(self.folder / name)

    def test_proxy_ini(self) -> None:
        """etc/proxy.ini loads, and says what DESIGN's example says."""
        config = self.example("proxy.ini", "tls")
        self.assertEqual(
            config.wss.listen,
            (f"ssl:443:privateKey={self.folder}/tls/key.pem:certKey={self.folder}/tls/cert.pem",),
        )
        self.assertEqual(config.wss.origins, ("https://phone.example.com", "https://*.example.org"))
        self.assertEqual((config.sip.listen, config.sip.advertise), (("udp:5060:interface=192.0.2.10",), "203.0.113.7"))
        self.assertEqual(config.rtpengine.nodes, (HostPort("192.0.2.20", 22222), HostPort("192.0.2.21", 22222)))
        (trunk,) = config.trunks
        self.assertEqual(
            (trunk.name, trunk.host, trunk.proxy), ("example", "my.voipprovider.com", (("sip.voipprovider.com", None),))
        )
        self.assertEqual((trunk.username, trunk.password, trunk.realm), ("proxy", "change-me", "voipprovider.com"))
        self.assertEqual(list(map(str, trunk.sources or ())), ["198.51.100.0/24"])
        self.assertEqual(config.web.listen, ("tcp:8080:interface=127.0.0.1",))

    def test_every_option_is_told(self) -> None:
        """etc/proxy.ini names each key there is, set or commented out with its default: uncommented, it loads too."""
        text = (ETC / "proxy.ini").read_text()
        for name, keys in KEYS.items():
            for key in keys:
                self.assertRegex(text, rf"(?m)^;?{key} = ", f"[{name}]")
        (self.folder / "all").mkdir()
        (self.folder / "all" / "proxy.ini").write_text(re.sub(r"(?m)^;(?! )", "", text))
        _, certificate = write_certificate(self.folder / "all" / "tls")
        shutil.copy(certificate, certificate.with_name("ca.pem"))
        everything, config = load(self.folder / "all" / "proxy.ini"), self.example("proxy.ini", "tls")
        same = replace(everything.wss, listen=config.wss.listen, trusted_proxies=())
        self.assertEqual(same, config.wss)
        self.assertEqual(replace(everything.sip, resolver=None), config.sip)
        examples = {"transport": None, "tls": ClientTls(), "stop_codes": None, "ping": 0.0, "strip": (), "set": ()}
        (trunk,) = everything.trunks
        trunk = replace(trunk, media=replace(trunk.media, family=None, interfaces=None), **examples)
        self.assertEqual((trunk,), config.trunks)
        for part in ("rtpengine", "registrations", "calls", "access", "web", "logging"):
            self.assertEqual(getattr(everything, part), getattr(config, part))

    def test_demo_ini(self) -> None:
        """etc/demo.ini loads: all on loopback, rtpengine spawned, the demo's registrar as its only trunk."""
        (self.folder / "etc").mkdir()
        text = (
            (ETC / "demo.ini").read_text().replace("nodes = spawn", f"nodes = spawn\nbinary = {shutil.which('true')}")
        )
        (self.folder / "etc" / "demo.ini").write_text(text)
        write_certificate(self.folder / "run" / "tls")
        config = load(self.folder / "etc" / "demo.ini")
        self.assertEqual(config.rtpengine.nodes, SPAWN)
        assert config.demo is not None
        self.assertEqual(config.demo.listen, f"udp:{config.trunks[0].port}:interface={config.trunks[0].host}")
        for entry in (*config.wss.listen, *config.sip.listen, config.demo.listen):
            self.assertIn(":interface=127.0.0.1", entry)


class WssTests(Case):
    """[wss]"""

    def test_values(self) -> None:
        """Several endpoints, one a line; origins; limits; no page, or a folder of one's own."""
        (self.folder / "page").mkdir()
        (self.folder / "page" / "index.html").touch()
        wss = self.load(
            wss="listen = tcp:8443\n  ; apart\n  tcp:8444:interface=127.0.0.1 ; second\n"
            "origins = https://a.example, null\n  *\npath = /sip\npage = page\nmax-message = 2048\nping = 0\n"
            "ping-timeout = 2.5\nconnections-per-address = 9\nconnections = 99\n"
            "trusted-proxies = 192.0.2.1 2001:db8::/32"
        ).wss
        self.assertEqual(wss.listen, ("tcp:8443", "tcp:8444:interface=127.0.0.1"))
        self.assertEqual(wss.origins, ("https://a.example", "null", "*"))
        self.assertEqual((wss.path, wss.page), ("/sip", self.folder / "page"))
        self.assertEqual((wss.max_message, wss.ping, wss.ping_timeout), (2048, 0, 2.5))
        self.assertEqual((wss.connections_per_address, wss.connections), (9, 99))
        self.assertEqual(list(map(str, wss.trusted_proxies)), ["192.0.2.1/32", "2001:db8::/32"])
        self.assertIsNone(self.load(wss="listen = tcp:1\npage = no").wss.page)

    def test_no_listen(self) -> None:
        """Without an endpoint for browsers there is nothing to do: an error with an example."""
        self.refused("wss", "listen", "it is missing", "ssl:443:privateKey=", wss=None)
        self.refused("wss", "listen", "it is missing", wss="path = /")
        self.refused("wss", "listen", "the value is missing", wss="listen =")

    def test_endpoint(self) -> None:
        """Of several endpoints, the error shows the wrong one."""
        line = self.refused("wss", "listen", "listen = tcp:x:", "no number", wss="listen = tcp:8443\n tcp:x")
        self.assertNotIn("tcp:8443:", line)

    def test_certificate(self) -> None:
        """A missing certificate is named with key and full path."""
        write_certificate(self.folder / "tls")
        self.refused(
            "wss",
            "listen",
            f"certKey: No such file or directory ({self.folder}/cert.pem)",
            "put the PEM file there, or let certKey name it",
            wss="listen = ssl:443:privateKey=tls/key.pem:certKey=cert.pem",
        )

    def test_origins(self) -> None:
        """An origin without scheme gets one proposed."""
        wss = "listen = tcp:1\norigins = https://a.example phone.example"
        self.refused("wss", "origins", "origins = phone.example:", "https://phone.example", wss=wss)

    def test_others(self) -> None:
        """A path without '/', a page that is no folder, limits that are no numbers or out of bounds, an unknown key."""
        for key, value, told in (
            ("path", "sip", "starts with /"),
            ("path", "/sip?x", "no ?"),
            ("page", "nowhere", f"there is no {self.folder}/nowhere/index.html"),
            ("max-message", "10", "1024 to 1048576"),
            ("max-message", "64k", "1024 to 1048576"),
            ("ping", "-1", "0 to 3600"),
            ("ping-timeout", "0", "1 to 3600"),
            ("connections-per-address", "1.5", "whole number"),
            ("trusted-proxies", "proxy.example", "no network"),
            ("origin", "*", "did you mean 'origins'?"),
        ):
            self.refused("wss", key, told, wss=f"listen = tcp:1\n{key} = {value}")


class SipTests(Case):
    """[sip]"""

    def test_values(self) -> None:
        """Several sockets, UDP, TCP and TLS, with the paths of its files made absolute; the advertised host; a DNS
        server."""
        write_certificate(self.folder / "tls")
        tls = "tls:5061:interface=192.0.2.1:privateKey=tls/key.pem:certKey=tls/cert.pem"
        sip = self.load(
            sip=f"listen = udp:5060:interface=192.0.2.1\n tcp:5060\n {tls}\nadvertise = SIP.example\n"
            "resolver = 192.0.2.53:5353"
        ).sip
        self.assertEqual(sip.listen[:2], ("udp:5060:interface=192.0.2.1", "tcp:5060"))
        self.assertEqual(sip.listen[2], tls.replace("=tls/", f"={self.folder}/tls/"))
        self.assertEqual(sip.advertise, "sip.example")
        self.assertEqual(sip.resolver, HostPort("192.0.2.53", 5353))

    def test_mistakes(self) -> None:
        """Other kinds of sockets, an address with a port."""
        self.refused(
            "sip", "listen", "listen = tls:5061:", "tls:PORT:privateKey=FILE", sip="listen = udp:5060\n tls:5061"
        )
        self.refused("sip", "resolver", "no IP address", sip="resolver = dns.example")
        self.refused("sip", "advertise", "no host name", sip="advertise = 203.0.113.7:5060")


class ProxyTests(Case):
    """[proxy]"""

    def test_values(self) -> None:
        """One process and no drain by default; a number of workers, or as many as there are cores for us."""
        self.assertEqual((self.load().proxy.workers, self.load().proxy.drain), (1, 0))
        proxy = self.load(proxy="workers = 4\ndrain = 2.5").proxy
        self.assertEqual((proxy.workers, proxy.drain), (4, 2.5))
        self.assertEqual(self.load(proxy="workers = auto").proxy.workers, len(os.sched_getaffinity(0)))

    def test_mistakes(self) -> None:
        """No number, none at all, too many; a drain of more than a day."""
        for workers in ("many", "0", "65", "1.5"):
            self.refused("proxy", "workers", "from 1 to 64", proxy=f"workers = {workers}")
        self.refused("proxy", "workers", "or auto", proxy="workers =")
        self.refused("proxy", "drain", "from 0 to 86400", proxy="drain = 86401")

    def test_ports_of_workers(self) -> None:
        """Behind the port of each udp: line as many are taken as there are workers; they must exist and be no other
        line's."""
        for listen, missing in (
            ("udp:5060\n udp:5062", "5062"),
            ("udp:5062\n udp:5060", "5062"),
            ("udp:65534", "65536"),
        ):
            sections = {"sip": f"listen = {listen}", "proxy": "workers = 2"}
            self.refused("sip", "listen", f"no port {missing} for its workers", "leave 2 ports free", **sections)
        self.load(sip="listen = udp:5060\n udp:5063\n tcp:5061\n udp:0", proxy="workers = 2")
        self.load(sip="listen = udp:5060\n udp:5061\n udp:65535")

    def test_endpoints_that_can_be_shared(self) -> None:
        """Several processes share ports only."""
        unix = "listen = unix:/tmp/x"
        self.refused("wss", "listen", "workers can't share it", "ssl: or tcp:", wss=unix, proxy="workers = 2")
        self.load(wss=unix)


class RtpengineTests(Case):
    """[rtpengine]"""

    def test_spawn(self) -> None:
        """'spawn' needs the program, which is looked for at once."""
        true = shutil.which("true") or ""
        spawn = self.load(rtpengine=f"nodes = spawn\nbinary = {true}\ninterface = 192.0.2.1!203.0.113.7").rtpengine
        self.assertEqual((spawn.nodes, spawn.binary, spawn.interface), (SPAWN, true, "192.0.2.1!203.0.113.7"))
        told = ("there is no program 'no-such-program'", "apt-get install rtpengine-daemon")
        self.refused("rtpengine", "nodes", *told, rtpengine="nodes = spawn\nbinary = no-such-program")

    def test_nodes(self) -> None:
        """Addresses and names, in several lines; 22222 where no port stands."""
        nodes = self.load(rtpengine="nodes = [2001:db8::1]:2223\n  media.example\ntimeout = 0.5").rtpengine.nodes
        self.assertEqual(nodes, (HostPort("2001:db8::1", 2223), HostPort("media.example", 22222)))

    def test_mistakes(self) -> None:
        """No node, spawn beside a node, a node that is no address, a timeout out of bounds."""
        self.refused("rtpengine", "nodes", "it is missing", "spawn", rtpengine=None)
        self.refused("rtpengine", "nodes", "write either", rtpengine="nodes = spawn 192.0.2.1")
        self.refused("rtpengine", "nodes", "nodes = udp:a:1:", rtpengine="nodes = 192.0.2.1 udp:a:1")
        self.refused("rtpengine", "timeout", "0.1 to 60", rtpengine="nodes = a\ntimeout = 2s")


class TrunkTests(Case):
    """[trunk NAME]"""

    def test_values(self) -> None:
        """Everything that a trunk may have."""
        (trunk,) = self.load(
            trunk_a='host = VoIP.example:5080\nproxy = 192.0.2.1\ntransport = TCP\nusername = me\npassword = "a ;b"\n'
            "realm = Voip Example\nredirects = Follow\npass-identity = yes\nstrip = User-Agent\n X-*\n"
            'set = X-Tenant: 7\n "Subject: a ;b: c"\nrefer = local\n'
            "sources = 192.0.2.0/24 2001:db8::/32\n 198.51.100.1",
            sip="listen = tcp:5060",
        ).trunks
        self.assertEqual((trunk.name, trunk.host, trunk.port, trunk.transport), ("a", "voip.example", 5080, "tcp"))
        self.assertEqual(trunk.proxy, (HostPort("192.0.2.1", None),))
        self.assertEqual(trunk.places, trunk.proxy)
        self.assertEqual((trunk.username, trunk.password, trunk.realm), ("me", "a ;b", "Voip Example"))
        self.assertEqual(trunk.redirects, "follow")
        self.assertTrue(trunk.pass_identity)
        self.assertEqual(trunk.refer, "local")
        self.assertEqual(trunk.strip, ("user-agent", "x-*"))
        self.assertEqual(trunk.set, (("X-Tenant", "7"), ("Subject", "a ;b: c")))
        sources = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.1/32"]
        self.assertEqual(list(map(str, trunk.sources or ())), sources)

    def test_ways(self) -> None:
        """Several proxies, the time that each has, the responses that end the search, and pings; what is taken where
        nothing is written."""
        (trunk,) = self.load(
            trunk_a="host = a\nproxy = b.example c.example:5070\n [2001:db8::1]\nfailover = 2\nping = 30\n"
            "stop-codes = 404, 486 6xx"
        ).trunks
        places = [HostPort("b.example", None), HostPort("c.example", 5070), HostPort("2001:db8::1", None)]
        self.assertEqual(list(trunk.places), places)
        self.assertEqual((trunk.failover, trunk.ping), (2, 30))
        self.assertEqual(trunk.stop_codes, {404, 486, *range(600, 700)})
        (trunk,) = self.load().trunks
        self.assertEqual(trunk.places, (HostPort("voip.example", None),))
        self.assertEqual((trunk.failover, trunk.ping, trunk.stop_codes), (4, 0, None))
        self.assertEqual((trunk.transport, trunk.large), (None, False))

    def test_transports(self) -> None:
        """UDP, TCP, TLS, or UDP with TCP for what is too large (RFC 3261 section 18.1.1): each with a listen line."""
        key, certificate = write_certificate(self.folder / "tls")
        sip = f"listen = udp:5060\n tcp:5060\n tls:5061:privateKey={key}:certKey={certificate}"
        for text, found in (
            ("udp", ("udp", False)), ("TLS", ("tls", False)), ("udp tcp", ("udp", True)), ("tcp udp", ("udp", True)),
        ):  # fmt: skip
            (trunk,) = self.load(sip=sip, trunk_a=f"host = a\ntransport = {text}").trunks
            self.assertEqual((trunk.transport, trunk.large), found)
        for text, missing in (("tcp", "tcp:"), ("tls", "tls:"), ("udp tcp", "tcp:")):
            self.refused("trunk a", "transport", f"no {missing} line", trunk_a=f"host = a\ntransport = {text}")

    def test_tls(self) -> None:
        """Authorities, and a certificate of ours with its key: files that are there, relative to the file."""
        write_certificate(self.folder / "tls")
        write_certificate(self.folder / "other")
        (trunk,) = self.load(
            trunk_a="host = a\ntls-ca = tls/cert.pem\ntls-certificate = tls/cert.pem\ntls-key = tls/key.pem"
        ).trunks
        tls = self.folder / "tls"
        self.assertEqual(trunk.tls, ClientTls(tls / "cert.pem", tls / "cert.pem", tls / "key.pem"))
        for key, told, text in (
            ("tls-ca", "No such file", "tls-ca = none.pem"),
            ("tls-ca", "there is no certificate in", "tls-ca = tls/key.pem"),
            ("tls-key", "it is missing", "tls-certificate = tls/cert.pem"),
            ("tls-certificate", "it is missing", "tls-key = tls/key.pem"),
            ("tls-key", "no private key", "tls-certificate = tls/cert.pem\ntls-key = tls/cert.pem"),
            ("tls-key", "does not belong", "tls-certificate = tls/cert.pem\ntls-key = other/key.pem"),
        ):
            self.refused("trunk a", key, told, trunk_a=f"host = a\n{text}")

    def test_stop_codes(self) -> None:
        """What is no final response, or one that ends every search."""
        for text in ("busy", "200", "4x", "700", "1xx"):
            self.refused("trunk a", "stop-codes", "no final response", trunk_a=f"host = a\nstop-codes = {text}")

    def test_pings(self) -> None:
        """Not more than one a second."""
        self.refused("trunk a", "ping", "too often", trunk_a="host = a\nping = 0.5")
        self.assertEqual(self.load(trunk_a="host = a\nping = 0").trunks[0].ping, 0)

    def test_refer(self) -> None:
        """A transfer that the trunk refuses is refused, unless its section says otherwise."""
        self.assertEqual(self.load(trunk_a="host = a").trunks[0].refer, "pass")
        self.refused("trunk a", "refer", "pass, local", trunk_a="host = a\nrefer = yes")

    def test_password_is_masked(self) -> None:
        """No repr of the configuration has the password."""
        config = self.load(
            trunk_a="host = a\nusername = me\npassword = s3cret", demo="listen = udp:1\npassword = s3cret"
        )
        self.assertNotIn("s3cret", repr(config))
        self.assertNotIn("s3cret", f"{config} {config.trunks[0]}")

    def test_serves(self) -> None:
        """A trunk serves its host and port in any spelling; 5060 is no port (RFC 3261 section 19.1.2)."""
        trunk = Trunk("a", "2001:db8::1", None)
        self.assertTrue(trunk.serves(("[2001:DB8:0::1]", 5060)))
        self.assertTrue(trunk.serves(("2001:db8::1", None)))
        self.assertFalse(trunk.serves(("2001:db8::1", 5061)))
        self.assertFalse(trunk.serves(("2001:db8::2", None)))

    def test_serves_by_tls(self) -> None:
        """With TLS no port is 5061, too; what is written is what it is."""
        for own, ports in ((None, {None, 5060, 5061}), (5061, {None, 5061}), (5060, {None, 5060}), (5080, {5080})):
            trunk = Trunk("a", "a.example", own, transport="tls")
            served = {port for port in (None, 5060, 5061, 5080) if trunk.serves(("A.example", port))}
            self.assertEqual(served, ports, own)
            self.assertFalse(trunk.serves(("b.example", own)))

    def test_headers(self) -> None:
        """What can't be stripped or set, and a header that is set twice."""
        self.refused("trunk a", "strip", "belongs to one leg", "= Via:", trunk_a="host = a\nstrip = X-A Via")
        self.refused("trunk a", "set", "'Name: value'", "= X-B:", trunk_a="host = a\nset = X-A: 1\n X-B")
        self.refused("trunk a", "set", "set twice", trunk_a="host = a\nset = X-A: 1\n x-a: 2")

    def test_media(self) -> None:
        """Codecs in any spelling, once each, the preferred one first; `*` and nothing are all that there is."""
        text = "host = a\ncodecs = pcmu, PCMA\n telephone-event h264 PCMU\nmedia = SRTP\naddress-family = ipv6"
        (trunk,) = self.load(trunk_a=f"{text}\ninterfaces = web far\ndtmf = rfc4733").trunks
        codecs = ("PCMU", "PCMA", "telephone-event", "H264")
        self.assertEqual(
            trunk.media, TrunkMedia(codecs, srtp=True, family="ipv6", interfaces=("web", "far"), dtmf="rfc4733")
        )
        self.assertTrue(trunk.media.video)
        for text in ("host = a", "host = a\ncodecs = *\nmedia = rtp\ndtmf = pass"):
            (trunk,) = self.load(trunk_a=text).trunks
            self.assertEqual(trunk.media, TrunkMedia())
        self.assertFalse(TrunkMedia(("PCMU",)).video)

    def test_media_mistakes(self) -> None:
        """A codec that nobody knows, `*` beside another, nothing that anything can be made into, an unknown word."""
        self.refused("trunk a", "codecs", "known are PCMU, PCMA,", "= PCMUU:", trunk_a="host = a\ncodecs = PCMA PCMUU")
        self.refused("trunk a", "codecs", "does not go with others", trunk_a="host = a\ncodecs = PCMA *")
        self.refused("trunk a", "codecs", "codec for speech", trunk_a="host = a\ncodecs = telephone-event VP8")
        self.refused("trunk a", "codecs", "is missing", trunk_a="host = a\ncodecs =")
        self.refused("trunk a", "media", "rtp, srtp", trunk_a="host = a\nmedia = dtls")
        self.refused("trunk a", "address-family", "ipv4, ipv6", trunk_a="host = a\naddress-family = 6")
        for value in ("web", "web far away"):
            self.refused("trunk a", "interfaces", "not two", trunk_a=f"host = a\ninterfaces = {value}")
        self.refused("trunk a", "dtmf", "pass, rfc4733", trunk_a="host = a\ndtmf = info")

    def test_half_an_account(self) -> None:
        """Username without password, password without username, a realm without either: and no password is shown."""
        self.refused("trunk a", "password", "beside username", trunk_a="host = a\nusername = me")
        line = self.refused("trunk a", "username", "beside password", trunk_a="host = a\npassword = s3cret")
        self.assertNotIn("s3cret", line)
        self.refused("trunk a", "realm", "without an account", trunk_a="host = a\nrealm = r")

    def test_password_never_shown(self) -> None:
        """Whatever is wrong around a password, the error does not tell it."""
        for text in (
            "host = a\nusername = me\npassword = s3\n cret",
            "host = a\nusername = me\npassword = s3cret\n more",
            "host = a\n password = s3cret",
            "host = a\npassword: s3cret",
            "host = a\npasword = s3cret",
            "host = a\npassword s3cret",
            "host = a\nsources =\n  password = s3cret",
            "host = a\nusername = me\npassword = s3cret\npassword = s3cret",
        ):
            line = str(self.assertRaises(ConfigError, self.load, trunk_a=text))
            self.assertNotIn("cret", line, text)

    def test_duplicate_host(self) -> None:
        """Two trunks with one host: a Request-URI could belong to either."""
        self.refused("trunk b", "host", "[trunk a] has it too", trunk_b="host = VOIP.example:5060")
        self.assertEqual(len(self.load(trunk_b="host = voip.example:5061").trunks), 2)

    def test_names(self) -> None:
        """A trunk has a name, and a name of its own."""
        self.refused("trunk", "", "write [trunk NAME]", trunk="host = b")
        self.refused("trunk   a", "", "another trunk has this name", trunk___a="host = b")
        self.assertEqual(self.load(trunk_my_pbx="host = b").trunks[1].name, "my pbx")

    def test_mistakes(self) -> None:
        """No host, a URI for a host, an address with mask bits, another transport, an option that is none."""
        self.refused("trunk a", "host", "it is missing", trunk_a="proxy = b")
        self.refused("trunk a", "host", "write a host such as", trunk_a="host = sip:voip.example")
        self.refused("trunk a", "proxy", "write a host such as", trunk_a="host = a\nproxy = b:sip")
        self.refused("trunk a", "sources", "192.0.2.0/24", trunk_a="host = a\nsources = 192.0.2.1/24")
        self.refused("trunk a", "transport", "write udp, tcp or tls", trunk_a="host = a\ntransport = sctp")
        self.refused("trunk a", "user", "did you mean 'username'?", trunk_a="host = a\nuser = me")


class AccessTests(Case):
    """[access]"""

    def test_values(self) -> None:
        """A list of all kinds of destinations; credentials for anyone, as the original has it."""
        access = self.load(
            access="destinations = trunks *.example.com 10.0.0.0/8\n pbx.example:5080\ntrunk-credentials = anyone"
        ).access
        for host, port in (("voip.example", None), ("a.example.com", 1), ("10.9.9.9", 2), ("pbx.example", 5080)):
            self.assertTrue(access.destinations.allows(host, port, self.load().trunks))
        self.assertEqual(access.trunk_credentials, "anyone")

    def test_no_trunk(self) -> None:
        """Trunks alone as destination and no trunk: nobody could call anywhere. With another destination it is fine."""
        self.refused("access", "destinations", "there is no trunk", "[trunk NAME]", trunk_a=None)
        self.assertEqual(self.load(trunk_a=None, access="destinations = pbx.example").trunks, ())

    def test_mistakes(self) -> None:
        """An empty list, a word that is none of these, credentials for others."""
        self.refused("access", "destinations", "the value is missing", access="destinations =")
        self.refused("access", "destinations", "= sip:a.example:", access="destinations = trunks sip:a.example")
        self.refused("access", "trunk-credentials", "registered, anyone", access="trunk-credentials = all")


class OthersTests(Case):
    """The smaller sections."""

    def test_values(self) -> None:
        """[registrations], [calls], [subscriptions], [web], [logging], [demo]."""
        config = self.load(
            registrations="multiple = Yes",
            calls="ring = 60\ngrace = 0\nsession-expires = 90\n"
            "limit = 3\nlimit-per-connection = 2\nlimit-unregistered = 0",
            subscriptions="limit = 5\nlimit-per-connection = 4",
            web="listen = tcp:8080:interface=127.0.0.1",
            logging="level = DEBUG",
            demo="listen = udp:5070",
        )
        self.assertTrue(config.registrations.multiple)
        self.assertEqual((config.calls.ring, config.calls.grace, config.calls.limit), (60, 0, 3))
        self.assertEqual((config.calls.limit_per_connection, config.calls.limit_unregistered), (2, 0))
        self.assertEqual(config.calls.session_expires, 90)
        self.assertEqual((config.subscriptions.limit, config.subscriptions.limit_per_connection), (5, 4))
        self.assertEqual(config.web.listen, ("tcp:8080:interface=127.0.0.1",))
        self.assertEqual(config.logging.level, "debug")
        assert config.demo is not None
        self.assertEqual((config.demo.listen, config.demo.password), ("udp:5070", "demo"))

    def test_mistakes(self) -> None:
        """Each of them."""
        self.refused("registrations", "multiple", "yes or no", registrations="multiple = many")
        self.refused("calls", "ring", "1 to 3600", calls="ring = forever")
        self.refused("calls", "limit", "whole number", calls="limit = 2.5")
        self.refused("calls", "session-expires", "90 to 86400", calls="session-expires = 60")
        self.refused("subscriptions", "limit", "1 to", subscriptions="limit = 0")
        self.refused("web", "listen", "no number", web="listen = tcp:http")
        self.refused("logging", "level", "debug, info, warn, error, critical", logging="level = loud")
        self.refused("demo", "listen", "it is missing", demo="password = x")
        self.refused("demo", "listen", "udp:PORT", demo="listen = tcp:5070")

    def test_unknown_section(self) -> None:
        """An unknown section is an error with the closest known one; [DEFAULT] is no exception."""
        self.refused("registration", "", "did you mean 'registrations'?", registration="multiple = yes")
        self.refused("trunks x", "", "did you mean 'trunk'?", trunks_x="host = a")
        self.refused("DEFAULT", "", "there is no such section", DEFAULT="host = a")

    def test_no_file(self) -> None:
        """A missing file is named."""
        path = self.folder / "nowhere.ini"
        self.assertIn(f"{path}: No such file", str(self.assertRaises(ConfigError, load, path)))
