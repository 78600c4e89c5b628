"""Digest authentication: the vectors of RFC 2069, 2617, 7616 and of the SIP examples, the choice, the server's side."""

from __future__ import annotations

import hashlib

from twisted.trial.unittest import SynchronousTestCase

from tests.support.messages import request, response
from webrtcproxy.sip.authentication import Challenge, Credentials, parse_challenges
from webrtcproxy.sip.digest import (
    Nonces,
    Verdict,
    algorithm_of,
    authorize,
    choose,
    ha1,
    is_answerable,
    is_right,
    username_of,
    verify,
)

SDP = b"\r\n".join(
    b"""v=0
o=bob 2890844526 2890844526 IN IP4 media.biloxi.com
s=-
c=IN IP4 media.biloxi.com
t=0 0
m=audio 49170 RTP/AVP 0
a=rtpmap:0 PCMU/8000
m=video 51372 RTP/AVP 31
a=rtpmap:31 H261/90000
m=video 53000 RTP/AVP 32
a=rtpmap:32 MPV/90000
""".split(b"\n")
)


def challenge(**params: str) -> Challenge:
    return Challenge("Digest", {"realm": "r", "nonce": "n", **params})


class Vectors(SynchronousTestCase):
    """Known answers."""

    def test_sip(self) -> None:
        """draft-smith-sipping-auth-examples: MD5 and MD5-sess, without qop, auth, auth-int."""
        for algorithm, qop, expected in (
            ("", "", "bf57e4e0d0bffc0fbaedce64d59add5e"),
            ("MD5", "", "bf57e4e0d0bffc0fbaedce64d59add5e"),
            ("", "auth", "89eb0059246c02b2f6ee02c7961d5ea3"),
            ("MD5", "auth", "89eb0059246c02b2f6ee02c7961d5ea3"),
            ("MD5-sess", "auth", "e4e4ea61d186d07a92c9e1f6919902e9"),
            ("MD5", "auth-int", "bdbeebb2da6adb6bca02599c2239e192"),
            ("MD5-sess", "auth-int", "91984da2d8663716e91554859c22ca70"),
        ):
            params = {"realm": "biloxi.com", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
            params.update({"algorithm": algorithm} if algorithm else {}, **({"qop": qop} if qop else {}))
            answer = authorize(
                Challenge("Digest", params),
                "INVITE",
                "sip:bob@biloxi.com",
                "bob",
                "zanzibar",
                body=SDP,
                cnonce="0a4f113b",
            )
            self.assertEqual(answer.params["response"], expected, (algorithm, qop))

    def test_http(self) -> None:
        """RFC 2069 section 2.4 (erratum 749), RFC 2617 section 3.5, RFC 7616 section 3.9 (the second by erratum 4897):
        userhash is ignored."""
        old = {"realm": "testrealm@host.com", "nonce": "dcd98b7102dd2f0e8b11d0f600bfb0c093"}
        new = {"realm": "http-auth@example.org", "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"}
        api = {"realm": "api@example.org", "nonce": "5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK"}
        long = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ"
        index = "/dir/index.html"
        for params, uri, username, password, cnonce, expected in (
            (old, index, "Mufasa", "CircleOfLife", "", "1949323746fe6a43ef61f9606e7febea"),
            (
                {**old, "qop": "auth,auth-int"},
                index,
                "Mufasa",
                "Circle Of Life",
                "0a4f113b",
                "6629fae49393a05397450978507c4ef1",
            ),
            (
                {**new, "qop": "auth, auth-int", "algorithm": "MD5"},
                index,
                "Mufasa",
                "Circle of Life",
                long,
                "8ca523f5e9506fed4657c9700eebdbec",
            ),
            (
                {**new, "qop": "auth, auth-int", "algorithm": "SHA-256"},
                index,
                "Mufasa",
                "Circle of Life",
                long,
                "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1",
            ),
            (
                {**api, "qop": "auth", "algorithm": "SHA-512-256", "userhash": "true", "charset": "UTF-8"},
                "/doe.json",
                "J\u00e4s\u00f8n Doe",
                "Secret, or not?",
                "NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
                "3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5",
            ),
        ):
            answer = authorize(Challenge("Digest", params), "GET", uri, username, password, cnonce=cnonce)
            self.assertEqual(answer.params["response"], expected)
            self.assertEqual(answer.params["username"], username)

    def test_session(self) -> None:
        """RFC 7616 section 3.4.2: A1 of each -sess algorithm is the hash of the plain one, nonce and cnonce; also where
        there is no qop."""
        for name in ("MD5", "SHA-256", "SHA-512-256"):

            def digest(text: str, name: str = name) -> str:
                return hashlib.new(name.replace("512-256", "512_256").replace("-", ""), text.encode()).hexdigest()

            one = digest(f"{digest('u:r:p')}:n:c")
            two = digest("BYE:sip:x")
            answer = authorize(challenge(algorithm=f"{name}-sess"), "BYE", "sip:x", "u", "p", cnonce="c")
            self.assertEqual(answer.params["response"], digest(f"{one}:n:{two}"))
            self.assertEqual(answer.params["cnonce"], "c")
            answer = authorize(
                challenge(algorithm=f"{name}-sess", qop="auth"), "BYE", "sip:x", "u", "p", cnonce="c", count=17
            )
            self.assertEqual(answer.params["response"], digest(f"{one}:n:00000011:c:auth:{two}"))


class Answer(SynchronousTestCase):
    """What the credentials look like."""

    def test_quoting(self) -> None:
        """RFC 7616 section 3.4: algorithm, qop and nc are not quoted, the rest is; opaque and algorithm are those of
        the challenge."""
        asked = challenge(opaque="o", algorithm="sha-256", qop="auth", stale="true", domain="sip:x", charset="UTF-8")
        answer = authorize(asked, "INVITE", "sip:bob@x", "alice", "secret", cnonce="c", count=10)
        given = answer.params["response"]
        self.assertEqual(
            str(answer),
            'Digest username="alice", realm="r", nonce="n", uri="sip:bob@x", algorithm=sha-256, cnonce="c", qop=auth, '
            f'nc=0000000a, opaque="o", response="{given}"',
        )

    def test_escapes(self) -> None:
        """A quote and a backslash in user name, realm, nonce and opaque come out escaped, and are hashed without; line
        ends never come out."""
        asked = parse_challenges([r'Digest realm="a\"b\\c", nonce="n\"\\", opaque="o\"", qop="auth"'])[0]
        answer = authorize(asked, "BYE", "sip:x", 'al"i\\ce\r\nEvil: x', "p", cnonce="c")
        for part in (r'username="al\"i\\ceEvil: x"', r'realm="a\"b\\c"', r'nonce="n\"\\"', r'opaque="o\""'):
            self.assertIn(part, str(answer))
        plain = authorize(asked, "BYE", "sip:x", 'al"i', "p", cnonce="c").params["response"]
        one = hashlib.md5(b'al"i:a"b\\c:p').hexdigest()
        two = hashlib.md5(b"BYE:sip:x").hexdigest()
        self.assertEqual(plain, hashlib.md5(f'{one}:n"\\:00000001:c:auth:{two}'.encode()).hexdigest())
        again = Credentials.parse(str(authorize(asked, "BYE", "sip:x", 'al"i', "p", cnonce="c")))
        self.assertEqual((again.params["username"], again.params["realm"]), ('al"i', 'a"b\\c'))

    def test_octets(self) -> None:
        """A password with umlauts is hashed as UTF-8; octets that are none survive."""
        answer = authorize(challenge(realm="gr\u00fcn"), "BYE", "sip:x", "u\udcff", "\u00e4")
        one = hashlib.md5(b"u\xff:gr\xc3\xbcn:\xc3\xa4").hexdigest()
        two = hashlib.md5(b"BYE:sip:x").hexdigest()
        self.assertEqual(answer.params["response"], hashlib.md5(f"{one}:n:{two}".encode()).hexdigest())

    def test_qop(self) -> None:
        """auth is preferred, auth-int only if alone; none where none is offered: then no nc and no cnonce."""
        for offered, chosen in (
            ("auth", "auth"),
            ("auth-int,auth", "auth"),
            ("AUTH-INT , Auth", "auth"),
            ("auth-int", "auth-int"),
            ("x,auth-int", "auth-int"),
            ("", None),
            (" , ", None),
        ):
            answer = authorize(challenge(qop=offered), "BYE", "sip:x", "u", "p")
            self.assertEqual(answer.params.get("qop"), chosen, offered)
            self.assertEqual({"nc", "cnonce"} <= answer.params.keys(), chosen is not None)

    def test_algorithm_left_out(self) -> None:
        """An absent or empty algorithm is MD5, and is not named in the answer."""
        for asked in (challenge(), challenge(algorithm="")):
            answer = authorize(asked, "BYE", "sip:x", "u", "p")
            self.assertNotIn("algorithm", answer.params)
            self.assertEqual(len(answer.params["response"]), 32)

    def test_cnonce(self) -> None:
        """It is ours to choose, can't be guessed, differs for each nonce, and stays for one nonce: a -sess server may
        remember the first one."""
        asked = challenge(qop="auth", algorithm="MD5-sess")
        first = authorize(asked, "INVITE", "sip:x", "u", "p", count=1).params
        second = authorize(asked, "BYE", "sip:x", "u", "p", count=2).params
        other = authorize(challenge(qop="auth", nonce="m"), "BYE", "sip:x", "u", "p").params
        self.assertEqual((first["cnonce"], second["nc"]), (second["cnonce"], "00000002"))
        self.assertNotEqual(first["cnonce"], other["cnonce"])
        self.assertGreaterEqual(len(first["cnonce"]), 16)

    def test_secrets(self) -> None:
        """Neither password nor signing key are in any repr."""
        answer = authorize(challenge(qop="auth"), "BYE", "sip:x", "u", "hunter2")
        self.assertNotIn("hunter2", repr(answer) + str(answer))
        nonces = Nonces("r", secret=b"hunter2")
        self.assertNotIn("hunter2", repr(nonces) + str(nonces))


class Choice(SynchronousTestCase):
    """Which challenges are answered (RFC 8760 section 2.4)."""

    def chosen(self, *lines: str, realm: str | None = None) -> list[str]:
        """The nonces of the chosen challenges of a 401 with these header lines."""
        answer = response(request("INVITE"), 401, headers=[("WWW-Authenticate", line) for line in lines])
        found = choose(parse_challenges(answer.headers.lines("WWW-Authenticate")), realm)
        return [chosen.params["nonce"] for chosen in found]

    def test_first_supported(self) -> None:
        """The server lists them in its order of preference: unknown schemes, algorithms and qops are skipped."""
        lines = (
            'Basic realm="r"',
            'Digest realm="r", nonce="1", algorithm=SHA3-999',
            'Digest realm="r", nonce="2", algorithm=AKAv1-MD5, qop="auth"',
            'Digest realm="r", nonce="3", algorithm=MD5, qop="auth-conf"',
            'Digest realm="r"',
            'Digest nonce="4"',
            'digest realm="r", nonce="5", algorithm=sha-512-256-SESS, qop="auth"',
            'Digest realm="r", nonce="6", algorithm=MD5',
        )
        self.assertEqual(self.chosen(*lines), ["5"])
        self.assertEqual(self.chosen(*reversed(lines)), ["6"])
        self.assertEqual(self.chosen(*lines[:6]), [])

    def test_one_line(self) -> None:
        """Several challenges in one header line, with commas in quotes and without."""
        line = (
            'Basic realm="a, Digest realm=x", Digest realm="r, s", nonce="1", algorithm=FOO, qop="auth,auth-int", '
            'Digest realm="r, s", nonce="2", qop="auth,auth-int", Digest realm="t", nonce="3"'
        )
        self.assertEqual(self.chosen(line), ["2", "3"])
        self.assertEqual(self.chosen(line, 'Digest realm="u", nonce="4"'), ["2", "3", "4"])

    def test_realms(self) -> None:
        """One for each realm, or only that of a given one."""
        lines = ('Digest realm="a", nonce="1"', 'Digest realm="b", nonce="2"', 'Digest realm="a", nonce="3"')
        self.assertEqual(self.chosen(*lines), ["1", "2"])
        self.assertEqual(self.chosen(*lines, realm="b"), ["2"])
        self.assertEqual(self.chosen(*lines, realm="c"), [])

    def test_all_algorithms(self) -> None:
        """RFC 8760: MD5, SHA-256, SHA-512-256, and -sess of each."""
        for name in ("MD5", "SHA-256", "SHA-512-256", "md5-SESS", "SHA-256-sess", "SHA-512-256-sess"):
            self.assertTrue(is_answerable(challenge(algorithm=name)), name)
        for name in ("SHA-512", "SHA-1", "MD5-sess-sess", "-sess", "MD5 "):
            self.assertFalse(is_answerable(challenge(algorithm=name)), name)


class Server(SynchronousTestCase):
    """The other side: nonces and credentials."""

    def setUp(self) -> None:
        self.nonces = Nonces("example.com", lifetime=300)

    def credentials(self, now: float = 0.0, by: str = "MD5", **more: str) -> Credentials:
        """What a client that knows the password sends, with some parameters changed; an empty one is left out."""
        offered = parse_challenges(self.nonces.challenges(now, algorithms=[by]))[0]
        answer = authorize(offered, "REGISTER", "sip:example.com", "alice", "secret")
        params = {**answer.params, **more}
        return Credentials.parse(str(Credentials("Digest", {name: value for name, value in params.items() if value})))

    def verdict(self, credentials: Credentials, now: float = 0.0, **more: str) -> Verdict:
        given = {"method": "REGISTER", "password": "secret", "uri": "sip:example.com", **more}
        return verify(credentials, self.nonces, now, **given)  # type: ignore[arg-type]

    def test_challenges(self) -> None:
        """The strongest first, one nonce and auth only: JsSIP takes auth-int where it is offered."""
        self.assertEqual(
            [(c.params["algorithm"], c.params["qop"], c.params["realm"]) for c in self.offered()],
            [("SHA-256", "auth", "example.com"), ("MD5", "auth", "example.com")],
        )
        self.assertEqual(len({c.params["nonce"] for c in self.offered()}), 1)
        self.assertEqual([c.params.get("stale") for c in self.offered()], [None, None])
        self.assertEqual([c.params.get("stale") for c in self.offered(stale=True)], ["true", "true"])
        self.assertIn("stale=true", self.nonces.challenges(0, stale=True)[0])
        self.assertNotEqual(self.offered()[0].params["nonce"], self.offered()[0].params["nonce"])

    def offered(self, stale: bool = False) -> list[Challenge]:
        return parse_challenges(self.nonces.challenges(0, stale=stale))

    def test_right(self) -> None:
        """Every algorithm, with and without qop, until the nonce is too old: then stale."""
        for algorithm in ("MD5", "MD5-sess", "SHA-256", "SHA-256-sess", "SHA-512-256", "SHA-512-256-sess"):
            given = self.credentials(100.0, algorithm)
            self.assertIs(self.verdict(given, 100.0), Verdict.RIGHT)
            self.assertIs(self.verdict(given, 400.0), Verdict.RIGHT)
            self.assertIs(self.verdict(given, 401.0), Verdict.STALE)
            self.assertIs(self.verdict(given, 401.0, password="wrong"), Verdict.WRONG)
        plain = Challenge("Digest", {"realm": "example.com", "nonce": self.credentials().params["nonce"]})
        given = authorize(plain, "REGISTER", "sip:example.com", "alice", "secret")
        self.assertIs(self.verdict(given), Verdict.RIGHT)
        whole = Challenge("Digest", {**plain.params, "qop": "auth-int"})
        given = authorize(whole, "REGISTER", "sip:example.com", "alice", "secret", body=b"x")
        self.assertIs(
            verify(given, self.nonces, 0, "REGISTER", "secret", uri="sip:example.com", body=b"x"), Verdict.RIGHT
        )
        self.assertIs(self.verdict(given), Verdict.WRONG)

    def test_wrong(self) -> None:
        """Another password, method or Request-URI, realm, user, scheme, algorithm, qop; a missing parameter."""
        given = self.credentials()
        for more in ({"password": "wrong"}, {"method": "INVITE"}, {"uri": "sip:else"}):
            self.assertIs(self.verdict(given, **more), Verdict.WRONG)
        for name, value in (
            ("realm", "else"),
            ("username", "bob"),
            ("uri", "sip:else"),
            ("algorithm", "SHA-256"),
            ("algorithm", "FOO"),
            ("qop", "auth-conf"),
            ("nc", "00000002"),
            ("cnonce", "else"),
            ("response", "0" * 32),
            ("response", "\u00fc\udcff"),
            ("realm", ""),
            ("username", ""),
            ("uri", ""),
            ("response", ""),
            ("nonce", ""),
        ):
            self.assertIs(self.verdict(self.credentials(**{name: value})), Verdict.WRONG, name)
        self.assertIs(self.verdict(Credentials("Basic", given.params)), Verdict.WRONG)
        self.assertIs(self.verdict(Credentials("Digest", {})), Verdict.WRONG)

    def test_nonces(self) -> None:
        """Signed and timed: one of another realm or key, a changed one, one from the future, nonsense: never ours."""
        nonce = self.credentials().params["nonce"]
        self.assertIs(self.nonces.is_fresh(nonce, 10), True)
        self.assertIs(self.nonces.is_fresh(nonce, 301), False)
        for other in (Nonces("else", secret=self.nonces.secret), Nonces("example.com")):
            self.assertIsNone(other.is_fresh(nonce, 10))
        self.assertIs(Nonces("example.com", secret=self.nonces.secret).is_fresh(nonce, 10), True)
        changed = ("A" if nonce[0] != "A" else "B") + nonce[1:]
        for bad in (changed, nonce[:-4], nonce + "AAAA", "", "x", "\u00fc", "=", "%%%%"):
            self.assertIsNone(self.nonces.is_fresh(bad, 10), bad)
        future = self.credentials(1000.0).params["nonce"]
        self.assertIs(self.nonces.is_fresh(future, 10), False)

    def test_forged_nonce(self) -> None:
        """Credentials that are right but for a nonce that we never gave are wrong, not stale."""
        forged = Challenge("Digest", {"realm": "example.com", "nonce": "deadbeef", "qop": "auth"})
        given = authorize(forged, "REGISTER", "sip:example.com", "alice", "secret")
        self.assertIs(self.verdict(given), Verdict.WRONG)

    def test_consistent_but_not_asked_for(self) -> None:
        """Credentials that are right in themselves, but for another realm or a qop that nobody offered."""
        nonce = self.credentials().params["nonce"]
        elsewhere = Challenge("Digest", {"realm": "else", "nonce": nonce, "qop": "auth"})
        given = authorize(elsewhere, "REGISTER", "sip:example.com", "alice", "secret")
        self.assertIs(self.verdict(given), Verdict.WRONG)
        one, two = (
            hashlib.md5(text).hexdigest() for text in (b"alice:example.com:secret", b"REGISTER:sip:example.com")
        )
        for qop, verdict in (("auth", Verdict.RIGHT), ("auth-conf", Verdict.WRONG)):
            right = hashlib.md5(f"{one}:{nonce}:00000001:c:{qop}:{two}".encode()).hexdigest()
            given = self.credentials(nonce=nonce, qop=qop, cnonce="c", response=right)
            self.assertIs(self.verdict(given), verdict)

    def test_upper_case(self) -> None:
        """Hexadecimal digits in capitals count."""
        given = self.credentials()
        loud = Credentials("DIGEST", {**given.params, "response": given.params["response"].upper()})
        self.assertIs(self.verdict(loud), Verdict.RIGHT)


class HashTests(SynchronousTestCase):
    """What a server does that knows hashes, not passwords (RFC 7616 section 3.4)."""

    def test_examples(self) -> None:
        """The examples of RFC 7616 section 3.9.1: Mufasa, by MD5 and SHA-256."""
        shared = {
            "username": "Mufasa", "realm": "http-auth@example.org", "uri": "/dir/index.html", "nc": "00000001",
            "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", "qop": "auth",
            "cnonce": "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
        }  # fmt: skip
        for algorithm, expected in (
            ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
            ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
        ):
            given = {**shared, "algorithm": algorithm, "response": expected}
            hashed = ha1(algorithm, "Mufasa", "http-auth@example.org", "Circle of Life")
            self.assertTrue(is_right(given, hashed, "GET"))
            self.assertFalse(is_right(given, hashed, "PUT"))
            self.assertFalse(is_right({**given, "nc": "00000002"}, hashed, "GET"))
            self.assertFalse(is_right(given, ha1(algorithm, "Mufasa", "http-auth@example.org", "x"), "GET"))
            self.assertTrue(is_right({**given, "response": expected.upper()}, hashed, "GET"))
            self.assertFalse(is_right({**given, "response": "\udc80"}, hashed, "GET"))

    def test_algorithm(self) -> None:
        """In any case, without -sess; MD5 where there is none (section 3.3); None for an unknown one."""
        for given, algorithm in (
            ({}, "md5"), ({"algorithm": "md5-SESS"}, "md5"), ({"algorithm": "SHA-256"}, "sha-256"),
            ({"algorithm": "SHA-1"}, None),
        ):  # fmt: skip
            self.assertEqual(algorithm_of(given), algorithm)

    def test_username(self) -> None:
        """The username, or ``username*`` (RFC 8187); none where it is a hash, is missing, or stands there twice."""
        for given, username in (
            ({"username": "a"}, "a"),
            ({"username*": "utf-8'de'%C3%A4%20b"}, "ä b"),
            ({"username": "a", "userhash": "false"}, "a"),
            ({"username": "a", "userhash": "TRUE"}, None),
            ({"username": "a", "username*": "UTF-8''a"}, None),
            ({"username*": "ISO-8859-1''a"}, None),
            ({"username*": "UTF-8''%FF"}, None),
            ({"username*": "UTF-8''ä"}, None),
            ({"username*": "a"}, None),
            ({}, None),
        ):
            self.assertEqual(username_of(given), username, given)
