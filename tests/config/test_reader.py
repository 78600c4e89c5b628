"""The configuration file: what is read, what is taken where nothing is written, and each mistake with its remedy."""

import os
import re
import shutil
from dataclasses import replace
from pathlib import Path

from tests.config.case import Case
from webrtcproxy.config import SPAWN, Config, ConfigErrors, HostPort, Trunk, load
from webrtcproxy.config.media_node import MediaNode
from webrtcproxy.config.option import options_of
from webrtcproxy.config.sections import SECTIONS
from webrtcproxy.config.wss import PHONE_PAGE
from webrtcproxy.demo.certificate import write_certificate

ETC = Path(__file__).parents[2] / "etc"


class DefaultsTests(Case):
    """What is taken where nothing is written."""

    def test_defaults(self) -> None:
        """The defaults: same host only, one binding a user, trunks only, credentials for the registered."""
        config = self.load()
        self.assertEqual(config.path, self.folder / "proxy.ini")
        self.assertEqual((config.wss.origins, config.wss.path, config.wss.page), (None, "/", PHONE_PAGE))
        self.assertEqual((config.wss.max_message, config.wss.ping, config.wss.ping_timeout), (65536, 30, 10))
        self.assertEqual((config.sip.listen, config.sip.advertise), (("udp:5060",), None))
        self.assertEqual(config.rtpengine.nodes, (MediaNode("127.0.0.1", 22222),))
        self.assertEqual(config.rtpengine.timeout, 2)
        self.assertFalse(config.registrations.multiple)
        self.assertEqual((config.calls.ring, config.calls.grace, config.calls.limit), (180, 5, 1000))
        self.assertEqual((config.calls.limit_per_connection, config.calls.limit_unregistered), (10, 0))
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

    def example(self, name: str) -> Config:
        self.copy(name)
        return load(self.folder / name)

    def copy(self, name: str) -> str:
        """Copy a file, so that it finds an rtpengine where none is installed."""
        spawn = f"nodes = spawn\nbinary = {shutil.which('true')} "
        text = re.sub("(?m)^nodes = spawn", spawn, (ETC / name).read_text())
        text = re.sub("(?m)^;binary = .*", "", text)
        (self.folder / name).write_text(text)
        return text

    def test_proxy_ini(self) -> None:
        """etc/proxy.ini loads in a clone as it is: a certificate that need not exist yet, pages from the same host
        only, all addresses of this machine, ports above 1023, rtpengine by the proxy itself, no account of anybody
        (field.rst Y1: Sample in a clone)."""
        config = self.example("proxy.ini")
        key, certificate = self.folder / "self-signed" / "key.pem", self.folder / "self-signed" / "cert.pem"
        self.assertEqual(config.wss.listen, (f"ssl:8443:privateKey={key}:certKey={certificate}",))
        self.assertFalse(key.exists())
        self.assertEqual((config.wss.origins, config.sip.listen, config.sip.advertise), (None, ("udp:5060",), None))
        self.assertEqual((config.rtpengine.nodes, config.rtpengine.interface), (SPAWN, "auto"))
        (trunk,) = config.trunks
        self.assertEqual((trunk.name, trunk.host), ("example", "my.voipprovider.example"))
        self.assertEqual((trunk.username, trunk.proxy, trunk.ping), (None, (), 0))
        self.assertEqual(config.web.listen, ("tcp:8080:interface=127.0.0.1",))

    def test_everything(self) -> None:
        """etc/proxy.ini loads too with all options uncommented."""
        text = self.copy("proxy.ini")
        write_certificate(self.folder / "tls")
        shutil.copy(self.folder / "tls" / "cert.pem", self.folder / "tls" / "ca.pem")
        everything = self.folder / "everything.ini"
        everything.write_text(re.sub(r"(?m)^;(?! )", "", text))
        (self.folder / "users").touch()
        (self.folder / "numbers").touch()
        (self.folder / "accounts").touch(0o600)
        (self.folder / "token.secret").write_text("0123456789abcdef" * 2)
        config = load(everything)
        self.assertIsNotNone(config.demo)
        self.assertEqual(config.trunks[0].tls.ca, self.folder / "tls" / "ca.pem")

    def test_defaults_written_out(self) -> None:
        """With the lines of etc/proxy.ini uncommented that show a default, not an example, the values are the same."""
        config = self.example("proxy.ini")
        shown = {
            (name, item.key)
            for name, section in SECTIONS.items()
            for item in options_of(section)
            if item.default_text or item.absent.startswith("``")
        }
        lines, section, uncommented = [], "", 0
        for line in (self.folder / "proxy.ini").read_text().splitlines():
            if heading := re.match(r";?\[([a-z]+)", line):
                section = heading[1]
            key = re.match(r";([a-z-]+) = ", line)
            uncomment = key is not None and section not in ("demo", "domain", "tokens") and (section, key[1]) in shown
            uncommented += uncomment
            lines.append(line[1:] if uncomment else line)
        path = self.folder / "defaults.ini"
        path.write_text("\n".join(lines))
        self.assertGreater(uncommented, 25)
        self.assertEqual(replace(load(path), path=config.path), config)

    def test_demo_ini(self) -> None:
        """etc/demo.ini loads: all on loopback, rtpengine spawned, the demo's registrar as its only trunk."""
        (self.folder / "etc").mkdir()
        (self.folder / "etc" / "demo.ini").write_text(self.copy("demo.ini"))
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

    def test_bootstrap(self) -> None:
        """The path of the bootstrap document, or none; the address of the WebSocket that it names."""
        self.assertEqual(self.load().wss.bootstrap, "/bootstrap.json")
        for value, path in (("/start.json", "/start.json"), ("no", None), ("No", None)):
            self.assertEqual(self.load(wss=f"listen = tcp:1\nbootstrap = {value}").wss.bootstrap, path)
        self.refused("wss", "bootstrap", "a path starts with /", wss="listen = tcp:1\nbootstrap = start.json")
        for url in ("wss://phone.example.com/", "wss://phone.example.com:8443/sip", "ws://[::1]:8080/"):
            self.assertEqual(self.load(wss=f"listen = tcp:1\nurl = {url}").wss.url, url)
        self.assertEqual(self.load(wss="listen = tcp:1\nurl = wss://a.example").wss.url, "wss://a.example/")
        for url in (
            "https://a.example/",
            "wss://",
            "wss://u@a.example/",
            "wss://a.example/?x",
            "a.example",
            "wss:///x",
        ):
            self.refused("wss", "url", wss=f"listen = tcp:1\nurl = {url}")

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

    def test_client_ca(self) -> None:
        """The authorities of clients' certificates are a PEM file, and there is a line with TLS that asks for them."""
        write_certificate(self.folder / "tls")
        listen = "listen = ssl:443:privateKey=tls/key.pem:certKey=tls/cert.pem\nclient-ca ="
        self.assertEqual(self.load(wss=f"{listen} tls/cert.pem").wss.client_ca, self.folder / "tls" / "cert.pem")
        self.refused("wss", "client-ca", "No such file", wss=f"{listen} tls/none.pem")
        self.refused("wss", "client-ca", "there is no certificate", wss=f"{listen} tls/key.pem")
        self.refused("wss", "client-ca", "no line of listen has TLS", wss="listen = tcp:1\nclient-ca = tls/cert.pem")
        sip = f"listen = tls:5061:privateKey=tls/key.pem:certKey=tls/cert.pem\nclient-ca = {self.folder}/tls/cert.pem"
        self.assertEqual(self.load(sip=sip).sip.client_ca, self.folder / "tls" / "cert.pem")

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
        """After the port of each udp: line as many are taken as there are workers; they must exist and be no other
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
        self.assertEqual(nodes, (MediaNode("2001:db8::1", 2223), MediaNode("media.example", 22222)))

    def test_options_of_nodes(self) -> None:
        """A weight and a drain stand after the address of their node, with blanks or commas, in one line or several."""
        text = "nodes = a:1 weight=3, b drain\n  c:2,weight=100 drain\n  [::1]"
        nodes = self.load(rtpengine=text).rtpengine.nodes
        self.assertEqual(
            nodes,
            (
                MediaNode("a", 1, 3),
                MediaNode("b", 22222, 1, True),
                MediaNode("c", 2, 100, True),
                MediaNode("::1", 22222),
            ),
        )
        self.assertEqual(["a:1", "b:22222", "c:2", "[::1]:22222"], [str(node) for node in nodes])

    def test_instance(self) -> None:
        """A name of the proxy's at rtpengine."""
        self.assertIsNone(self.load().rtpengine.instance)
        self.assertEqual("edge-1.a", self.load(rtpengine="nodes = a\ninstance = edge-1.a").rtpengine.instance)
        for wrong in ("a b", "ä", "a_1", "a" * 41):
            self.refused("rtpengine", "instance", "letters", rtpengine=f"nodes = a\ninstance = {wrong}")

    def test_mistakes(self) -> None:
        """No node, spawn beside a node, a node that is no address, an option of no node or out of bounds, all drained,
        a timeout out of bounds."""
        for options in ("weight=0", "weight=101", "weight=1e2", "weight=", "weight=2 weight=2", "drain drain"):
            wrong = f"a {options}"
            self.refused("rtpengine", "nodes", wrong, rtpengine=f"nodes = {wrong}")
        self.refused("rtpengine", "nodes", "weight=2", rtpengine="nodes = weight=2 a")
        self.refused("rtpengine", "nodes", "leave one", rtpengine="nodes = a drain, b drain")
        self.refused("rtpengine", "nodes", "it is missing", "spawn", rtpengine=None)
        self.refused("rtpengine", "nodes", "write either", rtpengine="nodes = spawn 192.0.2.1")
        self.refused("rtpengine", "nodes", "nodes = udp:a:1:", rtpengine="nodes = 192.0.2.1 udp:a:1")
        self.refused("rtpengine", "timeout", "0.1 to 60", rtpengine="nodes = a\ntimeout = 2s")


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
            calls="ring = 60\ngrace = 0\nsilence = 0\nsession-expires = 90\n"
            "limit = 3\nlimit-per-connection = 2\nlimit-unregistered = 0",
            subscriptions="limit = 5\nlimit-per-connection = 4",
            web="listen = tcp:8080:interface=127.0.0.1",
            logging="level = DEBUG",
            demo="listen = udp:5070",
        )
        self.assertTrue(config.registrations.multiple)
        self.assertEqual((config.calls.ring, config.calls.grace, config.calls.limit), (60, 0, 3))
        self.assertEqual((config.calls.limit_per_connection, config.calls.limit_unregistered), (2, 0))
        self.assertEqual((config.calls.session_expires, config.calls.silence), (90, 0))
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
        self.assertIn(f"{path}: No such file", str(self.assertRaises(ConfigErrors, load, path)))
