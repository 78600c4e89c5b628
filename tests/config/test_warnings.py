"""What a configuration opens is told: ``twistd webrtcproxy --check`` prints it, and the log has it at the start
(docs/configuration.rst)."""

import re
import shutil
from ipaddress import ip_network
from pathlib import Path

from tests.config.case import SMALLEST, Case
from webrtcproxy.config import load, warnings
from webrtcproxy.config.bans import SCANNERS
from webrtcproxy.config.ini_file import read
from webrtcproxy.config.limits import LimitsConfig, TrunkLimits
from webrtcproxy.config.option import open_section, options_of
from webrtcproxy.config.sections import SECTIONS
from webrtcproxy.config.warnings import is_open, is_public, is_wide, warnings_of
from webrtcproxy.demo.certificate import write_certificate

ETC = Path(__file__).parents[2] / "etc"
BEHIND = "listen = tcp:8443:interface=127.0.0.1\n"
"""A [wss] that opens nothing: a web server in front ends TLS."""


SECURITY = Path(__file__).parents[2] / "docs" / "security.rst"
"""Promises, and the options that open them."""


class WarningsCase(Case):
    """Loads files made of sections, and asks what they open."""

    def warnings(self, **sections: str) -> list[str]:
        """The warnings for the smallest file with these sections."""
        return warnings_of(self.load(**{"wss": BEHIND, **sections}))

    def told(self, section: str, key: str, *words: str, **sections: str) -> None:
        """There is one warning, a line with section, key, all of `words` and a remedy."""
        (line,) = self.warnings(**sections)
        for part in (f"[{section}] {key}", *words, "; "):
            self.assertIn(part, line)
        self.assertNotIn("\n", line)


class FilesTests(WarningsCase):
    """The files in etc/."""

    def test_sample(self) -> None:
        """etc/proxy.ini opens nothing, whoever can read it; its certificate is nobody's yet, which is told."""
        text = (ETC / "proxy.ini").read_text().replace(";binary = rtpengine ", f"binary = {shutil.which('true')} ")
        (self.folder / "proxy.ini").write_text(text)
        (warning,) = warnings_of(load(self.folder / "proxy.ini"))
        self.assertIn("[wss] listen = ssl:8443: browsers can't tell its self-signed certificate", warning)

    def differing(self, text: str) -> set[str]:
        """Section and key of each option in a file whose value is not the default of its declaration."""
        path = self.folder / "sample.ini"
        path.write_text(text)
        found = set()
        for name, keys in read(path).sections.items():
            declared = SECTIONS[name.partition(" ")[0]]
            section = open_section(declared, name, keys, self.folder)
            for option in options_of(declared):
                if option.key in keys and (option.required or option.kind.read(section, option.key) != option.default):
                    found.add(f"[{name}] {option.key}")
        return found

    def test_values_of_the_sample(self) -> None:
        """No value in etc/proxy.ini is another than the default, which is the safe one, but five: what must be there,
        rtpengine's address for media, and the health on loopback."""
        text = (ETC / "proxy.ini").read_text()
        needed = {"[wss] listen", "[rtpengine] nodes", "[rtpengine] interface", "[trunk example] host", "[web] listen"}
        self.assertEqual(self.differing(text), needed)
        for line, opened in (
            ("limit-unregistered = 3", "[calls] limit-unregistered"),
            ("also-for = example", "[trunk example] also-for"),
            ("address-calls = 0", "[limits] address-calls"),
            ("pass-identity = yes", "[trunk example] pass-identity"),
            ("user-agents = gulp", "[bans] user-agents"),
        ):
            key = line.partition(" ")[0]
            uncommented, count = re.subn(rf"(?m)^;{key} = .*(\n +;.*)*", line, text)
            self.assertEqual((count, self.differing(uncommented)), (1, needed | {opened}))

    def test_smallest(self) -> None:
        """Neither does the least that a configuration has, with TLS or behind a web server."""
        self.assertEqual(self.warnings(), [])
        write_certificate(self.folder)
        tls = f"ssl:443:privateKey={self.folder}/key.pem:certKey={self.folder}/cert.pem"
        self.assertEqual(self.warnings(wss=f"listen = {tls}"), [])


class PromisesTests(WarningsCase):
    """docs/security.rst, the column "Opened by"."""

    def test_each_opener(self) -> None:
        """Each option that opens a promise is named by a rule, or is one of the limits: one rule is for all of them."""
        _, _, table = SECURITY.read_text().partition("* - Promise\n")
        cells = re.findall(r"(?m)^   \* - .*\n(?:      .*\n)*?     - (.*)\n     - ", table)
        named = {key for cell in cells for key in re.findall(r"``([a-z-]+)``", cell)}
        self.assertGreater(len(named), 12)
        ruled = set(re.findall(r'"([a-z-]+)"', Path(warnings.__file__).read_text()))
        limits = {option.key for section in (LimitsConfig, TrunkLimits) for option in options_of(section)}
        self.assertLessEqual(named, ruled | limits)


class TokensTests(WarningsCase):
    """[tokens]"""

    def setUp(self) -> None:
        super().setUp()
        path = self.folder / "secret"
        path.write_text("0123456789abcdef" * 2)
        path.chmod(0o600)

    def tokens(self, text: str, audience: str = "me") -> dict[str, str]:
        """The sections."""
        return {"tokens": f"audience = {audience}\nsecret-file = secret\n{text}", "domain example.com": ""}

    def test_safe(self) -> None:
        """A token for this proxy, in a subprotocol or a cookie, opens nothing."""
        self.assertEqual(self.warnings(**self.tokens("cookie = session")), [])

    def test_open(self) -> None:
        """Tokens for anybody, in addresses, that never end, and a secret that others can read."""
        self.told("tokens", "audience", "any other service", **self.tokens("", "*"))
        self.told("tokens", "query", "logs", **self.tokens("query = token"))
        self.told("tokens", "on-expiry", "as long as", **self.tokens("on-expiry = keep"))
        (self.folder / "secret").chmod(0o644)
        self.told("tokens", "secret-file", "chmod 600", **self.tokens(""))


class AddressTests(WarningsCase):
    """Which addresses and networks are others'."""

    def test_public(self) -> None:
        """Addresses of the internet, not those of private networks and of documentation (RFC 1918, 4193, 5737)."""
        for host in ("8.8.8.8", "2600::1", "::ffff:8.8.8.8"):
            self.assertTrue(is_public(host), host)
        for host in ("10.1.1.1", "192.0.2.1", "fd00::1", "::1", "127.0.0.1", "100.64.0.1", "media.example", ""):
            self.assertFalse(is_public(host), host)

    def test_open(self) -> None:
        """An endpoint is open where it is on all addresses, or on one of the internet."""
        for line in (
            "tcp:80",
            "tcp:80:interface=0.0.0.0",
            r"tcp:80:interface=\:\:",
            "ssl:443:interface=8.8.8.8",
            "udp:1",
        ):
            self.assertTrue(is_open(line), line)
        for line in ("tcp:80:interface=127.0.0.1", r"tcp6:80:interface=\:\:1", "unix:/run/x", "systemd:domain=INET"):
            self.assertFalse(is_open(line), line)

    def test_wide(self) -> None:
        """A network is wide where it has more of the internet than one company has; private ones are not."""
        for network in ("0.0.0.0/0", "::/0", "8.0.0.0/8", "2600::/16", "10.0.0.0/7"):
            self.assertTrue(is_wide(ip_network(network)), network)
        for network in ("10.0.0.0/8", "172.16.0.0/12", "8.8.0.0/16", "8.8.8.8/32", "fc00::/7", "2600::/32"):
            self.assertFalse(is_wide(ip_network(network)), network)


class OptionTests(WarningsCase):
    """Each option that opens something."""

    def test_listen_without_tls(self) -> None:
        """Browsers' passwords, and calls, go in the clear over a port without TLS that others reach."""
        self.told("wss", "listen", "= tcp:8443:", "without TLS", "ssl:", wss="listen = tcp:8443")

    def test_origins(self) -> None:
        """With `*` any page may connect (RFC 6455 section 10.2); `null` is what a frame in a sandbox sends, of any."""
        self.told("wss", "origins", "= *", "any site", wss=BEHIND + "origins = *")
        self.told("wss", "origins", "= file://", "opened from a file", wss=BEHIND + "origins = file:///")
        self.assertEqual(self.warnings(wss=BEHIND + "origins = app://. capacitor://localhost"), [])
        self.told("wss", "origins", "= null", "any site", wss=BEHIND + "origins = https://a.example null")

    def test_hsts(self) -> None:
        """Where TLS is offered, but not asked for (RFC 6797 section 2.3.1), a browser may be had to come without."""
        (line,) = (each for each in self.warnings(wss="listen = ssl:8443\nhsts = 0") if "hsts" in each)
        for part in ("[wss] hsts = 0: ", "without TLS", "; "):
            self.assertIn(part, line)
        self.assertEqual(self.warnings(wss=BEHIND + "hsts = 0"), [])
        self.assertNotIn("hsts", str(self.warnings(wss="listen = ssl:8443\nhsts = 1")))

    def test_trusted_proxies(self) -> None:
        """Whoever is among the trusted proxies chooses its address by X-Forwarded-For."""
        self.told("wss", "trusted-proxies", "= 0.0.0.0/0", wss=BEHIND + "trusted-proxies = 127.0.0.1 0.0.0.0/0")
        self.assertEqual(self.warnings(wss=BEHIND + "trusted-proxies = 172.16.0.0/12"), [])

    def test_nodes(self) -> None:
        """The ng protocol has no password: a node with an address of the internet is anybody's."""
        self.told("rtpengine", "nodes", "8.8.8.8:22222", "--listen-ng", rtpengine="nodes = 127.0.0.1 8.8.8.8")
        self.assertEqual(self.warnings(rtpengine=f"nodes = spawn\nbinary = {shutil.which('true')}"), [])

    def test_destinations(self) -> None:
        """With `*` a browser reaches whatever this machine reaches; a network of half the world is no better."""
        self.told("access", "destinations", "= *", "a browser", access="destinations = *")
        self.told("access", "destinations", "= 0.0.0.0/1", access="destinations = trunks 0.0.0.0/1")
        self.assertEqual(self.warnings(access="destinations = trunks 10.0.0.0/8"), [])

    def test_deny(self) -> None:
        """Ranges that cost and are not denied are named, unless only some numbers are allowed."""
        self.told("access", "deny", "none", "premium and satellite", access="deny = none")
        self.told("access", "deny", "call satellite", access="country = 44\ndeny = premium +44*")
        for access in ("deny = premium satellite +44*", "deny = none\nallow = +55*", "deny = *"):
            self.assertEqual(self.warnings(access=f"country = 44\n{access}"), [])

    def test_allow(self) -> None:
        """A word of `allow` opens what of the ranges it permits, in whatever form it is written: what lies within one
        and is longer than the word of `deny`, and what has one within it that `deny` does not name."""
        for allow, opened, name in (
            ("* +88161*", "+88161*", "satellite"), ("+49* 0088161*", "0088161*", "satellite"),
            ("* 09005*", "09005*", "premium"), ("* +88161234567", "+88161234567", "satellite"),
            ("* +491371*", "+491371*", "premium"),
        ):  # fmt: skip
            self.told("access", "allow", f"= {opened}: ", name, "leave it out", access=f"country = 1\nallow = {allow}")
            self.told("access", "allow", opened, access=f"country = 49\nallow = {allow}")
            closed = f"country = 1\nallow = {allow}\ndeny = premium satellite {opened}"
            self.assertEqual(self.warnings(access=closed), [], closed)
        self.assertEqual(self.warnings(access="country = 49\nallow = * 0137*"), [])
        self.told("access", "allow", "= 01371*", "premium", access="country = 49\nallow = * 01371*")
        self.told(
            "access", "allow", "= +49*", "premium", "add premium to deny", access="country = 49\ndeny = *\nallow = +49*"
        )
        self.told("access", "allow", "= +*", "premium and satellite", access="deny = none\nallow = +*")
        self.told("access", "allow", "= premium", "add premium", access="deny = satellite\nallow = premium")
        self.told("access", "deny", "call premium", access="country = 49\ndeny = satellite\nallow = * +49*")
        for allow in ("+49* 112 0137*", "* +88* premium", "* +881*", "88*", "trunks voip.example", "1"):
            self.assertEqual(self.warnings(access=f"country = 1\nallow = {allow}"), [], allow)

    def test_country(self) -> None:
        """Words with a country code say nothing of numbers that are dialled within that country, as long as the
        country of the proxy is not known (docs/access.rst: Rules): of allow, of deny, and of a trunk's."""
        for word in ("+49*", "+4930123", "0049*", "+4930/12*"):
            self.told("access", "allow", f"= {word}: ", "not among", "[access] country", access=f"allow = {word} 110")
            self.told("access", "deny", f"= {word}: ", "may be called", access=f"deny = premium satellite {word}")
            trunk = f"host = voip.example\ndeny = 0190* {word}"
            self.told("trunk a", "deny", f"= {word}: ", "may be called", trunk_a=trunk)
            self.told("trunk a", "allow", f"= {word}: ", trunk_a=f"host = voip.example\nallow = {word}")
            self.assertEqual([], self.warnings(access="country = 49", trunk_a=trunk))
        self.told("access", "deny", "= +49* +43*: ", access="deny = premium satellite +49* 0190* +43*")
        for words in ("+*", "00*", "+88*", "+80012345*", "+979*", "112 0900*", "trunks voip.example"):
            self.assertEqual([], self.warnings(access=f"allow = * {words}\ndeny = premium satellite {words}"), words)

    def test_national_numbers(self) -> None:
        """Where nothing stands before national numbers, and their lengths vary, they are not converted, unless the
        format says that nothing stands there."""
        for text in ("+e164", "e164", "national", "national 352"):
            trunk, access = f"host = voip.example\nnumber-format = {text}", "country = 352\ndeny = premium satellite"
            self.told("trunk a", "number-format", "country 352", "not converted", trunk_a=trunk, access=access)
            self.assertEqual([], self.warnings(trunk_a=trunk.replace("352", "34"), access="country = 34"))
            plain = f"{trunk.removesuffix(' 352')} 352 none"
            self.assertEqual([], self.warnings(trunk_a=plain, access=access))
        self.assertEqual([], self.warnings(trunk_a="host = voip.example", access="country = 352"))

    def test_allow_of_a_trunk(self) -> None:
        """That of a trunk permits nothing that [access] denies (docs/access.rst), so it opens nothing."""
        self.assertEqual(self.warnings(trunk_a="host = voip.example\nallow = * +88161*"), [])

    def test_limit_unregistered(self) -> None:
        """Whoever connects reaches the trunks; with trunk-credentials = anyone the warning of that is enough."""
        self.told("calls", "limit-unregistered", "= 3: ", "whoever connects", calls="limit-unregistered = 3")
        self.assertEqual(self.warnings(calls="limit-unregistered = 0"), [])
        anyone = "trunk-credentials = anyone"
        self.told("access", "trunk-credentials", access=anyone, calls="limit-unregistered = 9")

    def test_also_for(self) -> None:
        """The browsers of another trunk call at the expense of this one."""
        trunk = "host = voip.example\nalso-for = b"
        self.told("trunk a", "also-for", "= b: ", "[trunk b]", "expense", trunk_a=trunk, trunk_b="host = b.example")

    def test_limits(self) -> None:
        """A limit that is none is named, if there is one by default, and so is a share that leaves nothing."""
        for option in options_of(LimitsConfig):
            if option.default is None:
                self.told("limits", option.key, "= 0: ", option.key[:4], limits=f"{option.key} = 0")
        self.assertIn("guess passwords", self.warnings(limits="address-messages-per-minute = 0")[0])
        self.assertIn("calls", self.warnings(limits="address-calls = 0")[0])
        self.told("limits", "user-calls-per-minute", "one user", limits="user-calls-per-minute = 0")
        self.told("limits", "address-registrations-per-minute", limits="address-registrations-per-minute = 0")
        self.told("limits", "share", "one address", limits="share = 100")
        self.assertEqual(self.warnings(limits="user-minutes-per-day = 0\nuser-calls = 5"), [])
        self.told("trunk a", "calls-per-minute", "= 0: ", trunk_a="host = voip.example\ncalls-per-minute = 0")
        messages = "host = voip.example\nmessages-to-per-minute = 0"
        self.told("trunk a", "messages-to-per-minute", "= 0: ", "messages to numbers", trunk_a=messages)
        self.assertEqual(self.warnings(trunk_a="host = voip.example\ncalls = 0\nminutes-per-day = 0"), [])

    def test_trunk_credentials(self) -> None:
        """With `anyone` whoever connects calls; the trunks whose accounts pay are named."""
        self.told("access", "trunk-credentials", "whoever connects", access="trunk-credentials = anyone")
        account = SMALLEST["trunk a"] + "\nusername = u\npassword = hidden"
        (self.folder / "proxy.ini").chmod(0o600)
        self.told("access", "trunk-credentials", "[trunk a]", access="trunk-credentials = anyone", trunk_a=account)

    def test_both(self) -> None:
        """Both together are an open relay, and both lines say that it is whoever connects."""
        lines = self.warnings(access="destinations = *\ntrunk-credentials = anyone")
        self.assertEqual(len(lines), 2)
        for line in lines:
            self.assertIn("whoever connects", line)

    def test_pass_identity(self) -> None:
        """P-Asserted-Identity of browsers is believed by the trunk (RFC 3325)."""
        self.told("trunk a", "pass-identity", "= yes", trunk_a="host = voip.example\npass-identity = yes")

    def test_media_nat(self) -> None:
        """rtpengine learns addresses from packets that nobody has authenticated (docs/access.rst: media)."""
        self.told("trunk a", "media-nat", "= yes", trunk_a="host = voip.example\nmedia-nat = yes")

    def test_sources(self) -> None:
        """Whoever is in `sources` is the trunk."""
        self.told("trunk a", "sources", "= ::/0", trunk_a="host = voip.example\nsources = 198.51.100.0/24 ::/0")

    def test_bans(self) -> None:
        """No bans at all, and none for more than a company."""
        self.told("bans", "after", "guess passwords", bans="after = 0")
        self.told("bans", "trusted", "0.0.0.0/0", bans="trusted = 0.0.0.0/0 192.0.2.0/24")

    def test_user_agents(self) -> None:
        """The scanners that are no longer known are named; a beginning that they share is as good as each of them."""
        shorter = " ".join(name for name in SCANNERS if name not in ("gulp", "smap"))
        self.told("bans", "user-agents", "known by gulp smap; ", bans=f"user-agents = {shorter}")
        longer = " ".join(name for name in SCANNERS if not name.startswith("sip"))
        self.assertEqual(self.warnings(bans=f"user-agents = SIP another {longer}"), [])

    def test_web(self) -> None:
        """/metrics is for Prometheus, not for the internet."""
        self.told("web", "listen", "= tcp:8080", web="listen = tcp:8080\n  tcp:8081:interface=127.0.0.1")

    def test_demo(self) -> None:
        """The demo's password is in its page."""
        self.told("demo", "listen", "= udp:5070", demo="listen = udp:5070")
        self.assertEqual(self.warnings(demo="listen = udp:5070:interface=127.0.0.1"), [])


class FileTests(WarningsCase):
    """Files with secrets that others may read."""

    def setUp(self) -> None:
        super().setUp()
        write_certificate(self.folder)
        self.key = self.folder / "key.pem"
        self.tls = f":privateKey={self.key}:certKey={self.folder / 'cert.pem'}"

    def test_key_of_a_listener(self) -> None:
        """A key that its group or all may read or change is told, with mode and remedy; 600 and 400 are right."""
        for mode, who in ((0o640, "its group"), (0o644, "everybody"), (0o602, "everybody")):
            self.key.chmod(mode)
            words = (who, str(self.key), f"mode {mode:03o}", f"chmod 600 {self.key}")
            self.told("wss", "listen", *words, wss=f"listen = ssl:443{self.tls}")
            self.told("sip", "listen", *words, sip=f"listen = udp:5060\n  tls:5061{self.tls}")
            self.told("web", "listen", *words, web=f"listen = ssl:8080:interface=127.0.0.1{self.tls}")
        for mode in (0o600, 0o400):
            self.key.chmod(mode)
            self.assertEqual(self.warnings(wss=f"listen = ssl:443{self.tls}"), [])

    def test_key_of_a_trunk(self) -> None:
        """The same for the key that is shown to a trunk."""
        self.key.chmod(0o644)
        files = f"tls-certificate = {self.folder / 'cert.pem'}\ntls-key = {self.key}"
        self.told("trunk a", "tls-key", "everybody", trunk_a=f"host = voip.example\n{files}")

    def test_password(self) -> None:
        """The configuration itself, where it has a password; its group may read it, as packages set it up."""
        file = self.folder / "proxy.ini"
        account = "host = voip.example\nusername = u\npassword = hidden"
        file.touch(0o644)
        file.chmod(0o644)
        self.told("trunk a", "password", "everybody", f"chmod 640 {file}", trunk_a=account)
        self.assertNotIn("hidden", self.warnings(trunk_a=account)[0])
        file.chmod(0o640)
        self.assertEqual(self.warnings(trunk_a=account), [])

    def test_secret(self) -> None:
        """Any option whose value is secret counts, and the file is told of once."""
        (self.folder / "proxy.ini").touch(0o644)
        (self.folder / "proxy.ini").chmod(0o644)
        turn = "servers = turn:turn.example.com\nsecret = hidden-hidden-hidden"
        self.told("turn", "secret", "everybody", turn=turn)
        account = "host = voip.example\nusername = u\npassword = hidden"
        self.assertEqual(len(self.warnings(turn=turn, trunk_a=account, trunk_b=account.replace("voip", "b"))), 1)

    def test_users(self) -> None:
        """A users file has what is as good as its users' passwords (RFC 7616 section 5.4)."""
        users = self.folder / "users"
        users.touch()
        users.chmod(0o644)
        words = ("everybody", f"chmod 640 {users}")
        self.told("domain d.example", "users", *words, **{"domain d.example": f"users = {users}"})

    def test_gone(self) -> None:
        """A file that is gone meanwhile is no matter of this check."""
        config = self.load(wss=f"listen = ssl:443{self.tls}")
        self.key.unlink()
        self.assertEqual(warnings_of(config), [])
