"""The sections of trunks: what is read, what is taken where nothing is written, and each mistake with its remedy."""

from tests.config.case import Case
from webrtcproxy.config import ClientTls, ConfigErrors, HostPort, Trunk, TrunkMedia
from webrtcproxy.demo.certificate import write_certificate


class TrunkTests(Case):
    """[trunk NAME]"""

    def test_also_for(self) -> None:
        """The trunks whose users may use another one exist."""
        other = "host = b.example"
        trunks = self.load(trunk_a="host = a.example\nalso-for = b", trunk_b=other).trunks
        self.assertEqual([trunk.also_for for trunk in trunks], [("b",), ()])
        wrong = "host = a.example\nalso-for = c"
        self.refused("trunk a", "also-for", "there is no such trunk", trunk_a=wrong, trunk_b=other)

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
        self.assertEqual(trunk.servers, trunk.proxy)
        self.assertEqual((trunk.username, trunk.password, trunk.realm), ("me", "a ;b", "Voip Example"))
        self.assertEqual(trunk.redirects, "follow")
        self.assertTrue(trunk.pass_identity)
        self.assertEqual(trunk.refer, "local")
        self.assertEqual(trunk.strip, ("user-agent", "x-*"))
        self.assertEqual(trunk.set, (("X-Tenant", "7"), ("Subject", "a ;b: c")))
        sources = ["192.0.2.0/24", "2001:db8::/32", "198.51.100.1/32"]
        self.assertEqual(list(map(str, trunk.sources or ())), sources)

    def test_targets(self) -> None:
        """Several proxies, the time that each has, the responses that end the search, and pings; what is taken where
        nothing is written."""
        (trunk,) = self.load(
            trunk_a="host = a\nproxy = b.example c.example:5070\n [2001:db8::1]\nfailover = 2\nping = 30\n"
            "stop-codes = 404, 486 6xx"
        ).trunks
        places = [HostPort("b.example", None), HostPort("c.example", 5070), HostPort("2001:db8::1", None)]
        self.assertEqual(list(trunk.servers), places)
        self.assertEqual((trunk.failover, trunk.ping), (2, 30))
        self.assertEqual(trunk.stop_codes, {404, 486, *range(600, 700)})
        (trunk,) = self.load().trunks
        self.assertEqual(trunk.servers, (HostPort("voip.example", None),))
        self.assertEqual((trunk.failover, trunk.ping, trunk.stop_codes), (4, 0, None))
        self.assertEqual((trunk.transport, trunk.tcp_over_mtu), (None, False))

    def test_transports(self) -> None:
        """UDP, TCP, TLS, or UDP with TCP for what is too large (RFC 3261 section 18.1.1): each with a listen line."""
        key, certificate = write_certificate(self.folder / "tls")
        sip = f"listen = udp:5060\n tcp:5060\n tls:5061:privateKey={key}:certKey={certificate}"
        for text, found in (
            ("udp", ("udp", False)), ("TLS", ("tls", False)), ("udp tcp", ("udp", True)), ("tcp udp", ("udp", True)),
        ):  # fmt: skip
            (trunk,) = self.load(sip=sip, trunk_a=f"host = a\ntransport = {text}").trunks
            self.assertEqual((trunk.transport, trunk.tcp_over_mtu), found)
        for text, missing in (("tcp", "tcp:"), ("tls", "tls:"), ("udp tcp", "tcp:")):
            self.refused("trunk a", "transport", f"no {missing} line", trunk_a=f"host = a\ntransport = {text}")

    def test_tls(self) -> None:
        """Authorities, and our certificate with its key: files that are there, relative to the file."""
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
            ("tls-key", "no PEM private key", "tls-certificate = tls/cert.pem\ntls-key = tls/cert.pem"),
            ("tls-key", "does not belong", "tls-certificate = tls/cert.pem\ntls-key = other/key.pem"),
        ):
            self.refused("trunk a", key, told, trunk_a=f"host = a\n{text}")

    def test_tls_of_two_at_one_server(self) -> None:
        """Two trunks at one server have one connection to it, and so one word on whom to believe and what to show; one
        that is not reached over TLS has no say."""
        write_certificate(self.folder)
        ca = "tls-ca = cert.pem\n"
        sip = "listen = udp:5060\n tls:5061:privateKey=key.pem:certKey=cert.pem"
        for one, two in (("", ca), (ca, "")):
            self.refused(
                "trunk b", "proxy", "[trunk a] is at sbc.example too", "same tls-ca", sip=sip,
                trunk_a=f"host = a.example\nproxy = sbc.example\ntransport = tls\n{one}",
                trunk_b=f"host = b.example\nproxy = c.example sbc.example:5063\n{two}",
            )  # fmt: skip
        for one, two in ((f"transport = tls\n{ca}", "transport = udp"), ("transport = tls", ""), (ca, ca)):
            self.load(trunk_a=f"host = a.example\n{one}", trunk_b=f"host = a.example:5080\n{two}", sip=sip)

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
        self.refused("trunk a", "set", "x-a is there twice", trunk_a="host = a\nset = X-A: 1\n x-a: 2")

    def test_media(self) -> None:
        """Codecs in any spelling, once each, the preferred one first; `*` and nothing are all that there is."""
        text = "host = a\ncodecs = pcmu, PCMA\n telephone-event h264 PCMU\nmedia = SRTP\naddress-family = ipv6"
        (trunk,) = self.load(trunk_a=f"{text}\ninterfaces = web far\ndtmf = rfc4733\nmedia-nat = yes").trunks
        codecs = ("PCMU", "PCMA", "telephone-event", "H264")
        self.assertEqual(
            trunk.media,
            TrunkMedia(codecs, srtp=True, family="ipv6", interfaces=("web", "far"), dtmf="rfc4733", nat=True),
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
            "host = a\nsources = 192.0.2.1\n  pasword = s3cret",
            "host = a\nset = X: y\n  password = s3cret",
            "host = a\ncodecs =\n password = s3cret",
            "host = a\nnumbers =\n password = s3cret",
            "host = a\nstop-codes = 404\n password=s3cret",
            "host = a\nusername = me\npassword = s3cret\npassword = s3cret",
        ):
            line = str(self.assertRaises(ConfigErrors, self.load, trunk_a=text))
            self.assertNotIn("cret", line, text)

    def test_accounts(self) -> None:
        """The file with passwords of users is there, and nobody else on the machine may read it."""
        path = self.folder / "accounts"
        self.refused("trunk a", "accounts", "No such file", trunk_a="host = a.example\naccounts = accounts")
        path.touch(0o640)
        self.refused("trunk a", "accounts", "chmod 600", trunk_a="host = a.example\naccounts = accounts")
        path.chmod(0o600)
        (trunk,) = self.load(trunk_a="host = a.example\naccounts = accounts").trunks
        self.assertEqual(trunk.accounts, path)

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
