"""Policy: where a browser's request goes, and which headers cross."""

from __future__ import annotations

from dataclasses import replace

from twisted.trial.unittest import SynchronousTestCase

from tests.support.configs import CARRIER, PBX, config
from webrtcproxy.access.caller import STRANGER, Caller
from webrtcproxy.config import Destinations, SipConfig
from webrtcproxy.routing.header_policy import (
    DEFAULT_HEADER_POLICY,
    TO_BROWSER,
    TO_TRUNK,
    HeaderPolicy,
)
from webrtcproxy.routing.peer_profile import BROWSER_PEER, UNKNOWN_PEER, PeerProfile, filter_headers
from webrtcproxy.routing.policy import Policy, Route
from webrtcproxy.runtime.errors import Refusal
from webrtcproxy.sip.for_browsers import rewrite
from webrtcproxy.sip.message import Headers, Request, Response
from webrtcproxy.sip.names import COMPACT
from webrtcproxy.users.user import User

USER = User("alice", "example.com", trunks=frozenset(["carrier"]))


def invite(uri: str, caller: str = "sip:alice@pbx.example.com", **headers: str) -> Request:
    pairs = [("From", f"<{caller}>;tag=1"), *((name.replace("_", "-"), value) for name, value in headers.items())]
    return Request("INVITE", uri, Headers(pairs))


def crossing(
    headers: Headers,
    *,
    to_browser: bool,
    source: HeaderPolicy = DEFAULT_HEADER_POLICY,
    target: HeaderPolicy = DEFAULT_HEADER_POLICY,
    request: bool = False,
) -> Headers:
    """What crosses of the headers of a request or a response; the other end of it is a trunk with these policies."""
    message = Request("INFO", "sip:a@b", headers) if request else Response(200, "OK", headers)
    ends = replace(UNKNOWN_PEER, headers=source), replace(UNKNOWN_PEER, headers=target)
    return filter_headers(message, ends[0], BROWSER_PEER if to_browser else ends[1])


class Routes(SynchronousTestCase):
    """`[access] destinations` and the trunks decide, nothing in the message besides the Request-URI's host."""

    def setUp(self) -> None:
        self.policy = Policy(config(PBX, CARRIER))

    def refused(self, uri: str, policy: Policy | None = None) -> int:
        return self.assertRaises(Refusal, (policy or self.policy).route, invite(uri)).status

    def test_trunk_by_host(self) -> None:
        """The Request-URI's host, in any case, names the trunk; without a proxy the host itself is the way."""
        self.assertEqual(
            self.policy.route(invite("sip:bob@PBX.example.com")), Route(PeerProfile.of(PBX), "pbx.example.com", None)
        )
        self.assertEqual(self.policy.route(invite("sip:bob@pbx.example.com:5060")).trunk, PBX)

    def test_remembered(self) -> None:
        """A route is worked out once; what is refused is not remembered, and what is remembered is bounded."""
        self.assertIs(
            self.policy.route(invite("sip:bob@pbx.example.com")), self.policy.route(invite("sip:a@PBX.example.com"))
        )
        policy = Policy(config(PBX, destinations=Destinations(anywhere=True)))
        for number in range(2 * Policy.REMEMBERED + 10):
            self.assertEqual(policy.route(invite(f"sip:x@h{number}.example")).host, f"h{number}.example")
        self.assertEqual(len(policy._routes), Policy.REMEMBERED)
        self.assertEqual([self.refused("sip:x@nowhere.example") for _ in range(2)], [403, 403])
        self.assertEqual(len(self.policy._routes), 1)

    def test_trunk_with_proxy(self) -> None:
        """A trunk's `proxy` takes the place of its host, port included."""
        route = self.policy.route(invite("sip:1@carrier.example.net:5080"))
        self.assertEqual(route, Route(PeerProfile.of(CARRIER), "192.0.2.7", 5090))

    def test_other_port_is_another_place(self) -> None:
        """A trunk serves its own port only."""
        self.assertEqual(self.refused("sip:1@carrier.example.net"), 403)

    def test_nowhere_else(self) -> None:
        """A host that is no destination gets 403: no relay to arbitrary hosts."""
        self.assertEqual(self.refused("sip:bob@elsewhere.example.org"), 403)
        self.assertEqual(self.refused("sip:bob@127.0.0.1"), 403)

    def test_route_and_maddr_choose_nothing(self) -> None:
        """Route, maddr and transport of a browser's request do not choose where packets go."""
        request = invite("sip:bob@pbx.example.com;maddr=192.0.2.66;transport=tcp", Route="<sip:192.0.2.66;lr>")
        self.assertEqual(self.policy.route(request), Route(PeerProfile.of(PBX), "pbx.example.com", None))
        self.assertEqual(self.refused("sip:bob@192.0.2.66;maddr=pbx.example.com"), 403)

    def test_maddr_does_not_cross(self) -> None:
        """A trunk that is a proxy would obey maddr, in each spelling (RFC 3261 sections 16.5 and 25.1)."""
        for params in (";maddr=192.0.2.66;x=1", ";MADDR=192.0.2.66;x=1;TTL=3", ";m%61dd%72=192.0.2.66;x=1"):
            request = invite(f"sip:bob@pbx.example.com{params}")
            self.assertEqual(self.policy.route(request).uri_for(request), "sip:bob@pbx.example.com;x=1")

    def test_transport_of_browsers_does_not_cross(self) -> None:
        """``transport=ws`` says nothing to a trunk (RFC 3261 section 19.1.1, RFC 7118 section 5.2), in each spelling;
        other transports and parameters stay (field.rst X3: Transport of browsers)."""
        for params in (";transport=ws;x=1", ";x=1;Transport=WSS", ";tr%61nsport=%77s;x=1", ";transport=ws;x=1;maddr=h"):
            request = invite(f"sip:bob@pbx.example.com{params}")
            self.assertEqual(self.policy.route(request).uri_for(request), "sip:bob@pbx.example.com;x=1")
        for params in (";transport=tcp", ";transport", ";transport=wsx", ";x=ws"):
            request = invite(f"sip:bob@pbx.example.com{params}")
            self.assertEqual(self.policy.route(request).uri_for(request), request.uri)

    def test_transport_in_a_digest(self) -> None:
        """Where a browser has made its digest of a Request-URI with ``transport=ws``, that is what the trunk sees;
        not where its digest is for another one (field.rst X3: Transport of browsers)."""
        uri = "sip:bob@pbx.example.com;transport=ws"
        for name in ("Authorization", "Proxy-Authorization"):
            for digest, seen in ((uri, uri), ("sip:bob@pbx.example.com", "sip:bob@pbx.example.com")):
                line = f'Digest username="alice", realm="pbx", nonce="n", uri="{digest}", response="0"'
                request = invite(uri, **{name: line})
                self.assertEqual(self.policy.route(request).uri_for(request), seen)

    def test_visual_separators(self) -> None:
        """A number goes to a trunk without visual separators and blanks (RFC 3966 section 5.1.1), unless the browser
        has made its digest of them; a name stays as it is (field.rst W12: Visual separators)."""
        uri = "sip:+49%2030-123@pbx.example.com"
        for params in ("", ";user=phone", ";transport=ws;maddr=h"):
            request = invite(f"{uri}{params}")
            sent = f"sip:+4930123@pbx.example.com{params.partition(';transport')[0]}"
            self.assertEqual(self.policy.route(request).uri_for(request), sent)
        request = invite(uri, **{"Proxy-Authorization": f'Digest username="a", uri="{uri}", response="0"'})
        self.assertEqual(self.policy.route(request).uri_for(request), uri)
        request = invite("sip:j.r-smith@pbx.example.com")
        self.assertIs(self.policy.route(request).uri_for(request), request.uri)
        request = invite("tel:+1-555;ext=2", "sip:alice@pbx.example.com")
        self.assertEqual(self.policy.route(request).uri_for(request), "sip:+1555;ext=2@pbx.example.com;user=phone")

    def test_destinations_beyond_trunks(self) -> None:
        """A host that `destinations` names is reached by itself, without a trunk's credentials."""
        policy = Policy(config(PBX, destinations=Destinations(domains=(".example.org",))))
        self.assertEqual(policy.route(invite("sip:x@a.example.org:5070")), Route(UNKNOWN_PEER, "a.example.org", 5070))
        self.assertEqual(self.refused("sip:x@pbx.example.com", policy), 403)

    def test_sips(self) -> None:
        """`sips:` where the next hop is reached over TLS, and nowhere else (RFC 3261 section 26.2.2; corners.rst 1: URI
        schemes): the trunk says so, or there is a ``tls:`` line of ours and no trunk."""
        self.assertEqual(self.refused("sips:bob@pbx.example.com"), 416)
        self.assertEqual(self.refused("urn:service:sos"), 416)
        secure = replace(PBX, transport="tls")
        self.policy = Policy(config(secure))
        self.assertEqual(self.policy.route(invite("sips:bob@pbx.example.com")).transport, "tls")
        anywhere = config(secure, destinations=Destinations(anywhere=True))
        self.policy = Policy(anywhere)
        self.assertEqual(self.refused("sips:bob@else.example"), 416)
        self.policy = Policy(replace(anywhere, sip=SipConfig(("udp:5060", "tls:5061:privateKey=k:certKey=c"))))
        self.assertEqual(self.policy.route(invite("sips:bob@else.example")).transport, "tls")
        self.assertIsNone(self.policy.route(invite("sip:bob@else.example")).transport)

    def test_tel_goes_to_the_callers_trunk(self) -> None:
        """A telephone number belongs to the trunk of the From URI, else to the first."""
        request = invite("tel:+1555;ext=2", "sip:alice@carrier.example.net:5080")
        self.assertEqual(self.policy.route(request).trunk, CARRIER)
        self.assertEqual(self.policy.route(invite("tel:+1555", "sip:a@b.invalid")).trunk, PBX)

    def test_tel_becomes_a_user_of_the_trunk(self) -> None:
        """RFC 3261 section 19.1.6: the number with its parameters becomes the user part."""
        request = invite("tel:+1555;ext=2", "sip:alice@carrier.example.net:5080")
        uri = self.policy.route(request).uri_for(request)
        self.assertEqual(uri, "sip:+1555;ext=2@carrier.example.net:5080;user=phone")

    def test_tel_without_trunk(self) -> None:
        """Without any trunk there is nobody to give a number to."""
        self.assertEqual(self.refused("tel:+1555", Policy(config())), 404)

    def test_request_uri_is_kept(self) -> None:
        """The digest `uri` of a passed-back challenge must equal what upstream sees: the text stays as it was."""
        request = invite("sip:%62ob@PBX.example.com;x=1")
        self.assertEqual(self.policy.route(request).uri_for(request), request.uri)

    def test_credentials(self) -> None:
        """A trunk's credentials are for a browser that has authenticated to that trunk, or for any where the section
        says so; the route says it of each browser, whoever has asked for it before."""
        callers = (
            STRANGER,
            Caller("alice@pbx.example.com", frozenset([("trunk", "pbx")])),
            Caller("alice@carrier.example.net", frozenset([("trunk", "carrier")])),
            Caller("alice@example.com", frozenset([("domain", "example.com")]), USER),
            Caller("pbx", frozenset([("host", "pbx"), ("domain", "pbx")])),
        )
        found = []
        for anyone in (False, True):
            policy = Policy(config(PBX, CARRIER, anyone=anyone))
            for caller in callers:
                allowed = [policy.may_use_trunk_credentials(trunk, caller) for trunk in (PBX, CARRIER)]
                found.append(allowed)
                uris = "sip:bob@pbx.example.com", "sip:bob@carrier.example.net:5080"
                self.assertEqual([policy.route(invite(uri), caller).may_use_credentials for uri in uris], allowed)
                self.assertIs(policy.route(invite("tel:+1555"), caller).may_use_credentials, allowed[0])
        expected = [[False, False], [True, False], [False, True], [False, True], [False, False]]
        self.assertEqual(found, [*expected, *[[True, True]] * 5])

    def test_no_trunk_no_credentials(self) -> None:
        """Where a route leads to no trunk there is nothing to pay with."""
        policy = Policy(config(PBX, destinations=Destinations(anywhere=True), anyone=True))
        self.assertFalse(policy.route(invite("sip:bob@else.example")).may_use_credentials)


class Crossing(SynchronousTestCase):
    """A deny-list on names that belong to a leg; all else crosses."""

    def relayed(self, *, to_browser: bool, policy: HeaderPolicy = DEFAULT_HEADER_POLICY, **headers: str) -> list[str]:
        source = Headers((name.replace("_", "-"), value) for name, value in headers.items())
        return [name for name, _ in crossing(source, to_browser=to_browser, source=policy, target=policy)]

    def test_of_the_leg(self) -> None:
        """What belongs to one leg stays there."""
        kept = self.relayed(
            to_browser=True, Via="x", Route="x", Record_Route="x", Contact="x", Call_ID="x", CSeq="x", Max_Forwards="1",
            Content_Length="0", Supported="100rel", Require="100rel", RSeq="1", Session_Expires="90", From="x", To="x",
        )  # fmt: skip
        self.assertEqual(kept, [])

    def test_any_spelling(self) -> None:
        """In whatever case, or in its compact form."""
        for names, kept in ((TO_TRUNK, {"to_browser": False}), (TO_BROWSER, {"to_browser": True})):
            short = [letter for letter, name in COMPACT.items() if name in names.names]
            self.assertTrue({"v", "m", "i", "f", "t", "x"} <= set(short))
            for name in (*names.names, *short):
                for way in (name, name.lower(), name.upper(), name.swapcase()):
                    self.assertEqual(len(crossing(Headers([(way, "x")]), **kept)), 0, way)

    def test_changed_apart(self) -> None:
        """What crosses is nobody else's: it can be changed without harm to the message that it is of."""
        source = Headers([("Via", "x"), ("Subject", "hi"), ("X-Tenant", "7"), ("x-tenant", "8")])
        headers = crossing(source, to_browser=True)
        headers.set("Subject", "no")
        headers.add("Via", "y")
        headers.remove("X-Tenant")
        self.assertEqual(list(headers), [("Subject", "no"), ("Via", "y")])
        self.assertEqual(list(crossing(source, to_browser=True)), list(source)[1:])

    def test_all_else(self) -> None:
        """Unknown and informative headers cross, in order and as they are spelled."""
        names = self.relayed(to_browser=False, X_Tenant="7", Subject="hi", User_Agent="JsSIP", Privacy="id", Reason="x")
        self.assertEqual(names, ["X-Tenant", "Subject", "User-Agent", "Privacy", "Reason"])

    def test_identity(self) -> None:
        """Identity crosses from trunk to browser, and from browser to trunk only where the trunk allows it."""
        trusting = HeaderPolicy.of(replace(PBX, pass_identity=True))
        headers = {"P_Asserted_Identity": "<sip:a@b>", "Diversion": "<sip:c@d>", "Remote_Party_ID": "<sip:a@b>"}
        self.assertEqual(len(self.relayed(to_browser=True, **headers)), 3)
        self.assertEqual(self.relayed(to_browser=False, **headers), [])
        self.assertEqual(len(self.relayed(to_browser=False, policy=trusting, **headers)), 3)

    def test_privacy_of_one_address(self) -> None:
        """Remote-Party-ID and Diversion may say it of one address themselves (RFC 5806 section 3): a browser is not
        told that one, or not its name; what can't be read and says anything of privacy is not told either."""
        for value, shown in (
            ('"A" <sip:a@b>;privacy=full', []), ("<sip:a@b>;party=calling;Privacy=FULL;screen=yes", []),
            ("<sip:a@b>;privacy=uri", []), ('<sip:a@b>;privacy="name,uri"', []), ("<sip:a@b>;privacy=full-network", []),
            ('"A" <sip:a@b>;privacy=name', ["<sip:a@b>;privacy=name"]), ('"A" <sip:a@b>;privacy=off', None),
            ("<sip:a@b>;privacy=full, <sip:c@d>", ["<sip:c@d>"]), ("<sip:a@b;privacy=full", []), ("<sip:a@b", None),
            ('"privacy" <sip:a@b>', None), ("<sip:a@b>;privacy", None),
        ):  # fmt: skip
            for name in ("Remote-Party-ID", "Diversion"):
                message = Request("INVITE", "sip:x@y", Headers([(name, value)]))
                pbx, browser = PeerProfile.of(PBX), BROWSER_PEER
                crossed = filter_headers(message, pbx, browser).lines(name)
                written = "<sip:a@b>" if (name, value) == ("Remote-Party-ID", "<sip:a@b") else value
                self.assertEqual(crossed, [written] if shown is None else shown, (name, value))

    def test_privacy(self) -> None:
        """A caller that wants its identity kept from whom the trunk does not trust: no browser is told it, be it among
        other wishes; who wants none keeps nothing back (corners.rst 4: 3325/3323; RFC 3325 section 7)."""
        headers = {"P_Asserted_Identity": "<sip:a@b>", "Remote_Party_ID": "<sip:a@b>", "Diversion": "<sip:c@d>"}
        for wish in ("id", "ID", "user; id;critical"):
            names = self.relayed(to_browser=True, Privacy=wish, **headers)
            self.assertEqual(["Privacy", "Diversion"], names)
        for wish in ("none", "session", "idle"):
            self.assertEqual(4, len(self.relayed(to_browser=True, Privacy=wish, **headers)))
        trusting = HeaderPolicy.of(replace(PBX, pass_identity=True))
        self.assertEqual(4, len(self.relayed(to_browser=False, policy=trusting, Privacy="id", **headers)))

    def test_stripped(self) -> None:
        """`strip` keeps headers back both ways, in any case, by name or by its beginning; all else crosses."""
        policy = HeaderPolicy.of(replace(PBX, strip=("user-agent", "x-*")))
        for to_browser in (True, False):
            kept = self.relayed(
                to_browser=to_browser, policy=policy, User_Agent="a", user_agent="b", X_Tenant="7", x_y="1", Xy="2",
                Subject="hi", Via="x",
            )  # fmt: skip
            self.assertEqual(kept, ["Xy", "Subject"])

    def test_stripped_on_one_side_only(self) -> None:
        """What comes from a trunk has its section, what goes to another one has that one's."""
        policy = HeaderPolicy.of(replace(PBX, strip=("x-*",)))
        source = Headers([("X-Tenant", "7")])
        self.assertEqual(len(crossing(source, to_browser=True, source=DEFAULT_HEADER_POLICY, target=policy)), 1)
        self.assertEqual(len(crossing(source, to_browser=False, source=policy, target=DEFAULT_HEADER_POLICY)), 1)

    def test_set(self) -> None:
        """`set` stands in each request to the trunk in place of what the browser wrote; in no response, and not on the
        way back."""
        policy = HeaderPolicy.of(replace(PBX, set=(("X-Tenant", "7"), ("Subject", "us"))))
        source = Headers([("x-tenant", "66"), ("X-TENANT", "67")])
        headers = crossing(source, to_browser=False, target=policy, request=True)
        self.assertEqual([value for _, value in headers], ["7", "us"])
        self.assertEqual(crossing(source, to_browser=False, target=policy), source)
        self.assertEqual(crossing(source, to_browser=True, source=policy, request=True), source)

    def test_set_beats_strip(self) -> None:
        """A header that the browser may not choose is set by the section."""
        policy = HeaderPolicy.of(replace(PBX, strip=("x-*",), set=(("X-Tenant", "7"),)))
        headers = crossing(Headers([("X-Tenant", "66"), ("X-Y", "z")]), to_browser=False, target=policy, request=True)
        self.assertEqual(list(headers), [("X-Tenant", "7")])

    def test_nothing_to_compute(self) -> None:
        """A trunk without overrides shares the sets that everybody has."""
        self.assertEqual(HeaderPolicy.of(PBX), DEFAULT_HEADER_POLICY)
        self.assertIs(HeaderPolicy.of(PBX).to_trunk, TO_TRUNK)

    def test_credentials(self) -> None:
        """A browser's answer to a challenge reaches the trunk; a trunk's credentials never reach a browser."""
        headers = {"Authorization": "Digest x=y", "Proxy_Authorization": "Digest x=y"}
        self.assertEqual(len(self.relayed(to_browser=False, **headers)), 2)
        self.assertEqual(self.relayed(to_browser=True, **headers), [])

    def test_challenges_cross(self) -> None:
        """401 and 407 of a trunk are the browser's to answer (the original: the 407 of a registrar was dropped)."""
        self.assertEqual(len(self.relayed(to_browser=True, WWW_Authenticate="D x=y", Proxy_Authenticate="D x=y")), 2)


class Challenges(SynchronousTestCase):
    """JsSIP and SIP.js look at the last challenge of a response, and know MD5 only."""

    def test_md5_is_last(self) -> None:
        """The others keep their order; one without an algorithm is for MD5."""
        for md5 in ('Digest realm="a", nonce="n", algorithm=MD5', 'Digest realm="a", nonce="n"'):
            headers = Headers([("Proxy-Authenticate", md5), ("X", "y")])
            headers.add("Proxy-Authenticate", 'Digest realm="a", nonce="n", algorithm=SHA-512-256')
            headers.add("Proxy-Authenticate", 'Digest realm="a", nonce="n", algorithm=SHA-256')
            rewrite(headers, False)
            kinds = [value.rpartition("=")[2] for value in headers.lines("Proxy-Authenticate")]
            self.assertEqual(kinds[:2], ["SHA-512-256", "SHA-256"])
            self.assertEqual(headers.lines("Proxy-Authenticate")[2], md5)

    def test_other_schemes_are_first(self) -> None:
        """A challenge for tokens (RFC 8898) is none for MD5, though it names no algorithm."""
        values = ['Digest realm="a", nonce="n"', 'Bearer realm="a"']
        headers = Headers([("WWW-Authenticate", value) for value in values])
        rewrite(headers, False)
        self.assertEqual(headers.lines("WWW-Authenticate"), values[::-1])
