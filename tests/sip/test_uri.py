"""sip.uri: sip, sips, tel and what else stands where a URI is expected."""

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.uri import MAX_CACHED, MAX_URI, Uri

LONG = "a" * MAX_CACHED

SAME = [
    # RFC 3261 section 19.1.4
    ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
    ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
    (
        "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
        "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
    ),
    (
        "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:alice@atlanta.com?Priority=urgent&subject=project%20x",
    ),
    ("SIP:a@b", "sip:a@B"),
    ("sip:a@[2001:db8::1]", "sip:a@[2001:DB8:0::0:1]"),
    ("sip:*98#@pbx", "sip:*98%23@pbx"),
    ("sip:j%C3%BCrgen@h", "sip:j%c3%bcrgen@h"),
    ("sip:jürgen@h", "sip:j%C3%BCrgen@h"),
    ("sip:a:s%65cret@h", "sip:a:secret@h"),
    ("sip:a@h;%6C%72", "sip:a@h;lr"),
    ("tel:+1-201-555-0123", "tel:+1(201)555.0123"),
    ("tel:5550;phone-context=EXAMPLE.com", "tel:555-0;Phone-Context=example.com"),
    ("tel:+1-201;ext=1-2;ISUB=a;x=Y", "tel:+1201;x=y;isub=A;ext=12"),
    ("tel:5550;phone-context=+1-201", "tel:5550;phone-context=+1201"),
    ("tel:+1201;rn=+1-2-3;npdi", "tel:+1201;NPDI;rn=+123"),
    # RFC 3261 section 19.1.6
    ("sip:+1-201-555-0123@h;user=phone", "sip:+1(201)5550123@h;user=phone"),
    ("sip:+1-201-555-0123@h", "sip:%2B12015550123@h"),
    ("sip:+1201;ext=1;isub=A@h", "sip:+1201;isub=a;EXT=1@h"),
    ("sip:555-01@h;user=phone", "sip:55501@h;user=PHONE"),
    ("urn:service:sos", "URN:service:sos"),
]
OTHER = [
    # RFC 3261 section 19.1.4
    ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
    ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
    ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
    ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
    ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
    ("sip:a@b", "sips:a@b"),
    ("sip:a@b", "sip:b"),
    ("sip:a@b", "sip:a:secret@b"),
    ("sip:a:one@b", "sip:a:two@b"),
    ("sip:a@b;user=ip", "sip:a@b"),
    ("sip:a@b;ttl=1", "sip:a@b"),
    ("sip:a@b", "sip:a@b;maddr=1.2.3.4"),
    ("sip:a@b;method=INVITE", "sip:a@b"),
    ("sip:a@b;x", "sip:a@b;x=1"),
    ("sip:a%40b@c", "sip:a@c"),
    ("sip:a%3Bb@c", "sip:a;b@c"),
    ("sip:a%00@c", "sip:a@c"),
    ("sip:a@b?x=1", "sip:a@b?x=2"),
    ("tel:5550;phone-context=a.com", "tel:5550;phone-context=b.com"),
    ("tel:5550", "tel:5551"),
    ("tel:+1201", "tel:1201"),
    ("tel:+1201", "tel:+1201;ext=1"),
    ("tel:+1201;ext=1", "tel:+1201;ext=2"),
    ("tel:+1201;rn=+12", "tel:+1201;rn=+13"),
    ("tel:+1201;tgrp=a-b", "tel:+1201;tgrp=ab"),
    ("sip:+1201@h", "sip:1201@h"),
    ("sip:+1201;ext=1@h", "sip:+1201@h"),
    ("sip:555-01@h", "sip:55501@h"),
    ("sip:555-01@h;user=phone", "sip:55501@h"),
    ("sip:a-b@h;user=phone", "sip:ab@h;user=phone"),
    ("tel:5550", "sip:5550@h"),
    ("urn:service:sos", "urn:service:other"),
]


class ReadTests(SynchronousTestCase):
    """Reading and writing."""

    def test_parts(self) -> None:
        """All parts of a SIP URI, as written (RFC 3261 section 19.1.1)."""
        uri = Uri.parse("SIPS:al%69ce:s;cr?t@Example.COM:5061;Transport=TCP;lr?Subject=x&to=y")
        self.assertEqual(
            uri,
            Uri(
                *("sips", "al%69ce", "s;cr?t", "Example.COM", 5061),
                params=(("Transport", "TCP"), ("lr", None)),
                headers="Subject=x&to=y",
            ),
        )
        self.assertEqual(str(uri), "sips:al%69ce:s;cr?t@Example.COM:5061;Transport=TCP;lr?Subject=x&to=y")
        self.assertEqual([uri.param(name) for name in ("transport", "LR", "ttl")], ["TCP", "", None])

    def test_userinfo(self) -> None:
        """; ? and # may stand in a user part, an escaped @ or : is no separator (RFC 4475 3.1.1.3, 3.1.1.9)."""
        for text, user in (
            ("sip:user;par=u%40example.net@example.com", "user;par=u%40example.net"),
            ("sip:sips%3Auser%40example.com@example.net", "sips%3Auser%40example.com"),
            ("sip:null-%00-null@example.com", "null-%00-null"),
            ("sip:*21*#@pbx", "*21*#"),
            ("sip:a?b/c&d=e+f$g,h;i@pbx", "a?b/c&d=e+f$g,h;i"),
            ("sip:100%@pbx", "100%"),
            ("sip:jürgen@pbx", "jürgen"),
            ("sip:\udcfc@pbx", "\udcfc"),
            ("sip:example.com", None),
        ):
            uri = Uri.parse(text)
            self.assertEqual((uri.user, uri.password, uri.params), (user, None, ()), text)
            self.assertEqual(str(uri), text)

    def test_tolerated(self) -> None:
        """An @ after the host, where some write a Call-ID, and one last semicolon are read."""
        self.assertEqual(Uri.parse("sip:a@h?Replaces=x@y%3Bto-tag=1").headers, "Replaces=x@y%3Bto-tag=1")
        self.assertEqual(Uri.parse("sip:a@h;line=x@y").params, (("line", "x@y"),))
        self.assertEqual(Uri.parse("sip:a@h;lr;").params, (("lr", None),))
        self.assertEqual(Uri.parse("sip:a@h;").params, ())
        self.assertEqual(Uri.parse("sip:a@h;x=").params, (("x", ""),))
        self.assertEqual(Uri.parse("sip:a:@h").password, "")

    def test_tel(self) -> None:
        """tel: has a number, parameters and no host (RFC 3966)."""
        uri = Uri.parse("tel:+1-201-555-0123;phone-context=example.com;tgrp")
        self.assertEqual((uri.scheme, uri.user, uri.host), ("tel", "+1-201-555-0123", ""))
        self.assertEqual((uri.param("phone-context"), uri.param("tgrp")), ("example.com", ""))
        self.assertEqual(str(uri), "tel:+1-201-555-0123;phone-context=example.com;tgrp")
        self.assertEqual(str(Uri.parse("tel:112")), "tel:112")

    def test_unknown_scheme(self) -> None:
        """Any other URI is kept whole; refusing it is not up to the parser (RFC 4475 3.3.2 to 3.3.4)."""
        for text, scheme, opaque in (
            ("urn:service:sos;a?b", "urn", "service:sos;a?b"),
            ("soap.beep://192.0.2.103:3002", "soap.beep", "//192.0.2.103:3002"),
            ("nobodyKnows:this", "nobodyknows", "this"),
        ):
            uri = Uri.parse(text)
            self.assertEqual((uri.scheme, uri.user, uri.host), (scheme, opaque, ""))
            self.assertEqual(str(uri), f"{scheme}:{opaque}")

    def test_broken(self) -> None:
        """What is no URI is refused with 400 (RFC 4475 3.1.2.7, 3.1.2.8, RFC 5118 4.2)."""
        for text in (
            *("", ":", "sip", "sip:", ":a@b", "1sip:a@b", "s ip:a@b", "é:a", "<sip:a@b>", "sip:a@b>", "sip: a@b"),
            *("sip:@b", "sip::x@b", "sip:a@", "sip:a@b@c", "sip:a@b:", "sip:a@b:x", "sip:a@b:70000", "sip:a@;lr"),
            *("sip:a@b;;lr", "sip:a@b;;", "sip:a@b;=x", "sip:a@b;lr ", "sip:a@b\r\n", 'sip:a@b;x="y"', "sip:a\0@b"),
            *("sip:2001:db8::10", "tel:", "tel:;x", "tel:1;;x", "sip:a@b;\x7f", "sip:?x=y", "sip:;lr"),
        ):
            with self.assertRaises(BadMessage, msg=text) as caught:
                Uri.parse(text)
            self.assertEqual(caught.exception.status, 400)

    def test_length(self) -> None:
        """A URI may have 2048 characters; a longer one is too large (513)."""
        longest = "sip:" + "a" * (MAX_URI - 6) + "@h"
        self.assertEqual(str(Uri.parse(longest)), longest)
        with self.assertRaises(BadMessage) as caught:
            Uri.parse(longest + "h")
        self.assertEqual((caught.exception.status, caught.exception.why), (513, "URI Too Long"))

    def test_value(self) -> None:
        """A Uri is a value: it can be kept and compared."""
        self.assertIs(Uri.parse("sip:a@b"), Uri.parse("sip:a@b"))
        self.assertEqual(Uri.parse(f"sip:{LONG}@b"), Uri.parse(f"sip:{LONG}@b"))
        self.assertIsNot(Uri.parse(f"sip:{LONG}@b"), Uri.parse(f"sip:{LONG}@b"), "long ones are not kept")


class MeaningTests(SynchronousTestCase):
    """What two spellings have in common."""

    def test_same(self) -> None:
        """URIs that RFC 3261 section 19.1.4 calls equivalent, and RFC 3966 section 4."""
        for one, other in SAME:
            self.assertTrue(Uri.parse(one).same_as(Uri.parse(other)), (one, other))
            self.assertTrue(Uri.parse(other).same_as(Uri.parse(one)), (one, other))

    def test_other(self) -> None:
        """URIs that RFC 3261 section 19.1.4 does not call equivalent."""
        for one, other in OTHER:
            self.assertFalse(Uri.parse(one).same_as(Uri.parse(other)), (one, other))
            self.assertFalse(Uri.parse(other).same_as(Uri.parse(one)), (one, other))

    def test_aor(self) -> None:
        """An address-of-record has one spelling (RFC 3261 section 10.3 step 5)."""
        for text, aor in (
            ("sip:alice@Example.COM;transport=ws?x=y", "alice@example.com"),
            ("sip:%61l%69ce@example.com:5060", "alice@example.com"),
            ("sip:alice@example.com:5061", "alice@example.com:5061"),
            ("sips:alice@example.com:5061", "alice@example.com"),
            ("sip:a%3bb%40c@h", "a%3Bb%40c@h"),
            ("sip:*21#@h", "*21%23@h"),
            ("sip:%00@h", "%00@h"),
            ("sip:100%@h", "100%25@h"),
            ("sip:jürgen@h", "j%C3%BCrgen@h"),
            ("sip:\udcfc@h", "%FC@h"),
            ("sip:alice:secret@h", "alice@h"),
            ("sip:Example.com", "example.com"),
            ("sip:a@[2001:DB8:0::1]:5060", "a@[2001:db8::1]"),
            ("tel:+1-201.555(0123);phone-context=x", "+12015550123"),
            ("tel:*0A#;phone-context=x", "*0a#"),
            ("tel:+1-201;ext=1-2;npdi;isub=7A", "+1201;isub=7a;ext=12"),
            ("sip:+1-201.555(0123)@h;user=phone", "+12015550123@h"),
            ("sip:%2b1%20201;npdi;rn=+12@h", "+1201@h"),
            ("sip:+1201;EXT=1-2;ISUB=7@h", "+1201;isub=7;ext=12@h"),
            ("sip:+49%20(0)30-1@h", "+49301@h"),
            ("sip:%E2%80%AA+49%C2%A030%E2%80%AC@h", "+4930@h"),
            ("sip:+49%C2%A030%E2%80%9112%E2%80%AC@h", "+493012@h"),
            ("sip:030-1@h", "030-1@h"),
            ("sip:+49-x@h", "+49-x@h"),
            ("sip:+@h", "+@h"),
            ("urn:service:sos", "urn:service:sos"),
        ):
            self.assertEqual(Uri.parse(text).aor, aor, text)

    def test_hostport(self) -> None:
        """The host as a resolver wants it."""
        self.assertEqual(Uri.parse("sip:a@PBX1:5080").hostport, ("pbx1", 5080))
        self.assertEqual(Uri.parse("sip:a@[2001:DB8::1]").hostport, ("2001:db8::1", None))
        self.assertEqual(Uri.parse("tel:112").hostport, ("", None))
