"""sip.authentication: challenges and credentials, read and written."""

import time

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.authentication import (
    Challenge,
    Credentials,
    parse_challenges,
    plain_challenges,
    readable_challenges,
)
from webrtcproxy.sip.digest import authorize, choose
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
    """Challenges beside others that are malformed: the good ones can be answered (field.rst I: Challenge beside a
    broken one)."""

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
        """One that is alone is read as far as its meaning is plain, whatever stands between its parameters."""
        for text in (
            'Digest realm="r"; nonce="n1"; qop="auth"',
            'Digest realm="r" nonce="n1"',
            "Digest realm=r nonce=n1 qop=auth",
            'Digest realm="r", nonce="n1", opaque="x',
            'Digest realm="r", nonce="n1", =, x y',
            'Digest realm="r, nonce="n1"',
            'Digest realm="r", nonce="n1, qop="auth"',
            'Digest realm="r", nonce="n1',
            'Digest realm="r", domain="sip:a, nonce="n1"',
            'Digest\trealm="r",\tnonce="n1"\t,\tqop="auth"',
            ' Digest  realm = "r" ,nonce= "n1",,',
            'Digest: realm="r", nonce="n1", x="',
            'realm="r", nonce="n1"',
            "Digest realm='r', nonce='n1' x",
            'Digest, realm="r", nonce="n1"',
            'digest REALM="r", NONCE="n1"',
        ):
            (chosen,) = choose(readable_challenges([text]))
            self.assertEqual((chosen.params["nonce"], chosen.params["realm"]), ("n1", "r"), text)
        for text in ("", 'Digest realm="r', "Digest", '"', 'Digest nonce="n1"', "=", 'Digest realm="r", nonce'):
            self.assertEqual(self.nonces(text), [], text)

    def test_qop(self) -> None:
        """Of several, whatever stands between them; one that is unknown does not matter beside ``auth``."""
        for text in (
            *(
                '"auth,foo"',
                '"foo, auth"',
                '"auth auth-int"',
                '"auth;auth-int"',
                "auth,auth-int",
                '"AUTH"',
                "auth",
                '",auth"',
            ),
            *("auth-int,auth", "auth, auth-int, auth-conf"),
        ):
            (found,) = choose(readable_challenges([f'Digest realm="r", nonce="n", qop={text}, opaque="o"']))
            answer = authorize(found, "BYE", "sip:a@b", "u", "p").params
            self.assertEqual((answer["qop"], answer["opaque"]), ("auth", "o"), text)
        (found,) = choose(readable_challenges(['Digest realm="r", nonce="n", algorithm="MD5", qop="auth"']))
        self.assertIn("algorithm=MD5,", str(authorize(found, "BYE", "sip:a@b", "u", "p")))

    def test_other_schemes(self) -> None:
        """Beside others, in one line or in several, with or without a comma between them."""
        for other in ('Bearer realm="b", error="x"', 'Basic realm="b"', "Negotiate", 'Bearer realm="b" error="x"'):
            for values in (
                (other, self.GOOD),
                (self.GOOD, other),
                (f"{other}, {self.GOOD}",),
                (f"{self.GOOD}, {other}",),
            ):
                self.assertEqual(self.nonces(*values), ["good"], values)
        self.assertEqual(self.nonces(f'Basic realm="b" {self.GOOD}'), ["good"])
        self.assertEqual(self.nonces(f'Digest realm="q", nonce="n1" {self.GOOD}'), ["n1", "good"])

    def test_for_browsers(self) -> None:
        """Browsers get each challenge in a line for itself, and of the grammar (RFC 3261 section 25.1)."""
        good = self.GOOD
        for values, plain in (
            ([good, 'Bearer realm="b", scope="x y"'], [good, 'Bearer realm="b", scope="x y"']),
            ([f"{good}, {good}"], [good, good]),
            ([f'{good}, algorithm="MD5", stale="false"'], [f"{good}, algorithm=MD5, stale=false"]),
            ([good, "Digest a b", 'Digest realm="r, nonce="n"'], [good]),
            (['Digest realm="r" nonce="n" algorithm="MD5"'], ['Digest realm="r", nonce="n", algorithm=MD5']),
            (['Digest realm="r", nonce="n", x="a b", y="c'], ['Digest realm="r", nonce="n", x="a b", y=c']),
            ([good, 'Bearer realm="b", Digest realm="r, nonce="n"'], [good, 'Bearer realm="b"']),
            (['Bearer realm="b"', 'Digest realm="r, nonce="n"'], ['Bearer realm="b"', 'Digest realm="r", nonce="n"']),
            (['Digest realm="ä\\ß", nonce="n"'], ['Digest realm="äß", nonce="n"']),
        ):
            self.assertEqual(plain_challenges(values), plain)

    def test_not_for_browsers(self) -> None:
        """What no browser can read is left out, in a line for itself or within one: JsSIP and SIP.js would drop the
        whole response (field.rst I: Challenge beside a broken one)."""
        good = self.GOOD
        sess = f"{good}, algorithm=MD5-sess"
        for odd in (
            "NTLM",
            "Negotiate abc==",
            "Bearer abc",
            "Digest",
            "x",
            "Digest a b",
            "",
            "@",
            sess,
            "Digest realm",
        ):
            for values in ([odd, good], [good, odd], [odd, good, odd], [f"{good}, {odd}"]):
                self.assertEqual(plain_challenges(values), [good], values)
            self.assertEqual(plain_challenges([odd]), [], odd)
        for kept in ("MD5", "md5", "SHA-256", "SHA-256-sess", "AKAv1-MD5"):
            self.assertEqual(plain_challenges([f"{good}, algorithm={kept}"]), [f"{good}, algorithm={kept}"])
        self.assertEqual(plain_challenges([f'{good}, algorithm="MD5-sess"']), [])

    def test_in_order(self) -> None:
        """The server's order of preference stays; what had to be mended comes last (RFC 8760 section 2.4)."""
        values = ['Digest realm="a"; nonce="1"', 'Digest realm="b", nonce="2", Digest realm="c", nonce="3"']
        self.assertEqual([each.params["realm"] for each in readable_challenges(values)], ["b", "c", "a"])

    def test_linear(self) -> None:
        """A line as long as allowed takes no time."""
        for text in (
            "Digest a=",
            ',Digest a="',
            "a " * 4000,
            'a="' * 2700,
            "Digest a=b c=d," * 500 + '"',
            "a",
            "Digest a=b ",
            "'=",
            'Digest a="b, ',
            "a=' ",
        ):
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
