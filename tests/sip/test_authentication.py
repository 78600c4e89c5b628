"""sip.authentication: challenges and credentials, read and written."""

import time

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.authentication import Challenge, Credentials, parse_challenges, readable_challenges
from webrtcproxy.sip.digest import choose
from webrtcproxy.sip.errors import BadMessage


class ChallengeTests(SynchronousTestCase):
    """WWW-Authenticate and Proxy-Authenticate (RFC 3261 section 20.44)."""

    def test_read(self) -> None:
        """Names in any case, values without quotes, commas in quotes (RFC 7616 section 3.3)."""
        text = 'DIGEST Realm="a, \\"b\\"" , nonce="n,==",qop="auth,auth-int", algorithm=SHA-256, stale=TRUE'
        self.assertEqual(
            Challenge.parse(text),
            Challenge(
                "DIGEST",
                {"realm": 'a, "b"', "nonce": "n,==", "qop": "auth,auth-int", "algorithm": "SHA-256", "stale": "TRUE"},
            ),
        )

    def test_written(self) -> None:
        """realm, nonce, opaque, domain and qop are quoted, stale and algorithm are not (RFC 7616 section 3.3)."""
        challenge = Challenge(
            "Digest", {"realm": 'a"b', "nonce": "n", "qop": "auth", "stale": "true", "algorithm": "MD5"}
        )
        self.assertEqual(str(challenge), 'Digest realm="a\\"b", nonce="n", qop="auth", stale=true, algorithm=MD5')
        self.assertEqual(Challenge.parse(str(challenge)), challenge)
        self.assertEqual(str(Challenge("Negotiate")), "Negotiate")

    def test_several(self) -> None:
        """One a header line, or several in one, in their order (RFC 8760 section 2.4)."""
        challenges = parse_challenges(
            ['Digest realm="a", algorithm=SHA-256, nonce="1", Digest realm="b", nonce="2"', "Basic realm=c", "NTLM", ""]
        )
        self.assertEqual(
            [(challenge.scheme, dict(challenge.params)) for challenge in challenges],
            [
                ("Digest", {"realm": "a", "algorithm": "SHA-256", "nonce": "1"}),
                ("Digest", {"realm": "b", "nonce": "2"}),
                ("Basic", {"realm": "c"}),
                ("NTLM", {}),
            ],
        )

    def test_lenient(self) -> None:
        """Whitespace around ``=`` and a missing value hurt nobody."""
        (challenge,) = parse_challenges(['Digest realm = "a" , opaque= , nonce ="b", domain=""'])
        self.assertEqual(challenge.params, {"realm": "a", "opaque": "", "nonce": "b", "domain": ""})

    def test_broken(self) -> None:
        """An open quote, no scheme, two where one is asked for."""
        for text in (
            'Digest realm="a',
            "",
            "a:b c=d",
            'Digest realm="a", Digest realm="b"',
            'realm="a"',
            "Digest a b",
            'Digest a="b"c',
            "Digest a:b=c",
        ):
            self.assertRaises(BadMessage, Challenge.parse, text)


class ReadableTests(SynchronousTestCase):
    """Challenges beside others that are malformed: the good ones can be answered."""

    GOOD = 'Digest realm="r", nonce="good", qop="auth"'

    def nonces(self, *values: str) -> list[str]:
        """The nonces of those that can be answered, with that of the first choice in front."""
        return [each.params["nonce"] for each in choose(readable_challenges(values))]

    def test_beside_broken_ones(self) -> None:
        """In lines of their own or in one, whichever comes first."""
        for broken in (
            'Digest realm="r, nonce="n1"',
            'Digest realm="r", nonce="n1',
            'Digest realm="r" nonce="n1"',
            'Digest realm="r", nonce',
            "Digest realm=r nonce=n1 x",
            'Digest "r", nonce="n1"',
            "@, =",
            'NTLM abc="',
        ):
            for values in (
                (broken, self.GOOD),
                (self.GOOD, broken),
                (f"{broken}, {self.GOOD}",),
                (f"{self.GOOD}, {broken}",),
            ):
                self.assertIn(self.nonces(*values), (["good"], ["good", "n1"]), values)

    def test_what_there_is(self) -> None:
        """One that is alone is read as far as its parameters are whole."""
        for text in (
            'Digest realm="r"; nonce="n1"; qop="auth"',
            'Digest realm="r" nonce="n1"',
            'Digest realm="r", nonce="n1", opaque="x',
            'Digest realm="r", nonce="n1", =, x y',
        ):
            self.assertEqual(self.nonces(text), ["n1"], text)
        for text in ("", 'Digest realm="r', 'Digest realm="r, nonce="n1"', "Digest", '"'):
            self.assertEqual(self.nonces(text), [], text)

    def test_in_order(self) -> None:
        """The server's order of preference stays; what had to be mended comes last (RFC 8760 section 2.4)."""
        values = ['Digest realm="a"; nonce="1"', 'Digest realm="b", nonce="2", Digest realm="c", nonce="3"']
        self.assertEqual([each.params["realm"] for each in readable_challenges(values)], ["b", "c", "a"])

    def test_linear(self) -> None:
        """A line as long as allowed takes no time."""
        for text in ("Digest a=", ',Digest a="', "a " * 4000, 'a="' * 2700, "Digest a=b c=d," * 500 + '"'):
            began = time.process_time()
            readable_challenges([(text * 8192)[:8192]])
            self.assertLess(time.process_time() - began, 0.5, text[:20])


class CredentialsTests(SynchronousTestCase):
    """Authorization and Proxy-Authorization (RFC 3261 section 20.7)."""

    def test_repr_has_no_secret(self) -> None:
        """What might be logged says who, and not what it proved it with."""
        text = repr(Credentials("Digest", {"username": "bob", "response": "d00f", "nonce": "n1"}))
        self.assertEqual(text, "<Credentials Digest of 'bob'>")

    def test_read(self) -> None:
        """nc, qop and algorithm come without quotes and with them from some (RFC 7616 section 3.4)."""
        text = 'Digest username="a",realm="b",uri="sip:c;d=e",nc=00000001,qop="auth",response="f"'
        credentials = Credentials.parse(text)
        self.assertEqual(credentials.scheme, "Digest")
        self.assertEqual([credentials.params[name] for name in ("uri", "nc", "qop")], ["sip:c;d=e", "00000001", "auth"])

    def test_written(self) -> None:
        """nc, qop and algorithm are never quoted (RFC 7616 section 3.4)."""
        credentials = Credentials(
            "Digest",
            {"username": "a", "uri": "sip:b", "cnonce": "c", "nc": "00000001", "qop": "auth", "algorithm": "MD5"},
        )
        self.assertEqual(
            str(credentials), 'Digest username="a", uri="sip:b", cnonce="c", nc=00000001, qop=auth, algorithm=MD5'
        )
        self.assertEqual(Credentials.parse(str(credentials)), credentials)

    def test_other_schemes(self) -> None:
        """Other schemes are read, not refused (RFC 4475 3.3.7); a lone token is kept (RFC 8898)."""
        self.assertEqual(Credentials.parse("NoOneKnows opaque-data=here").params, {"opaque-data": "here"})
        for text in ("Bearer abc.def-_~+/==", "Basic QWxhZGRpbg=="):
            credentials = Credentials.parse(text)
            self.assertEqual(credentials.params, {"": text.partition(" ")[2]})
            self.assertEqual(str(credentials), text)

    def test_broken(self) -> None:
        """No scheme, an open quote, two credentials in one header."""
        for text in ("", 'Digest response="a', 'Digest uri="a", Digest uri="b"', ", ,", '"Digest" a=b'):
            self.assertRaises(BadMessage, Credentials.parse, text)
