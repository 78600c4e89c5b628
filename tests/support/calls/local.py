"""A proxy that serves example.com itself, with two trunks: one of the domain, and one that is not."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.case import CallCase
from tests.support.calls.registering import register_request
from tests.support.calls.world import Browser, World
from tests.support.configs import CARRIER, PBX, config
from tests.support.logins import DOMAIN, answer, domain_with
from webrtcproxy.config import Config, Domain, TokensConfig
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Headers, Request, Response

PASSWORDS = {"alice": "wonderland", "bob": "builder"}
TRUNK = CARRIER.proxy[0].host
OTHER_TRUNK = "192.0.2.50"


class LocalCase(CallCase):
    """Users of example.com; its trunk is the carrier."""

    options: dict[str, object] = {"trunks": ("carrier",)}
    lines: tuple[str, ...] = ()
    carrier = CARRIER
    others: tuple[str, ...] = ()
    tokens: TokensConfig | None = None
    multiple = True

    def make_world(self, more: object = (), slow: bool = False, **options: object) -> World:
        _, self.path = domain_with(self.mktemp(), *self.lines)
        domain = Domain(DOMAIN, users=self.path, **{"realm": DOMAIN, **self.options})  # type: ignore[arg-type]
        whole = config(self.carrier, PBX, multiple=self.multiple, **options)  # type: ignore[arg-type]
        domains = (domain, *map(Domain, self.others))
        world = World(config=self.configured(replace(whole, domains=domains, tokens=self.tokens)), slow=slow)
        self.worlds.append(world)
        self.cseq = 0
        return world

    def configured(self, config: Config) -> Config:
        """The configuration of the case, from that of all."""
        return config

    def browser(self, user: str = "alice", domain: str = DOMAIN) -> Browser:
        return self.world.browser(user, domain)

    def ask(self, browser: Browser, *credentials: str, expires: int | None = 600, **how: object) -> Response:
        """Send a REGISTER; returns its response."""
        self.cseq += 1
        user = browser.aor.partition("@")[0]
        contacts = how.pop("contacts", (f"<{browser.contact}>",))
        more = tuple(f"Authorization: {value}" for value in credentials)
        given = {"user": user, "domain": DOMAIN, "uri": f"sip:{DOMAIN}", "call_id": f"reg{user}", **how}
        browser.say(register_request(*contacts, expires=expires, cseq=self.cseq, more=more, **given))  # type: ignore
        message = browser.next()
        assert isinstance(message, Response)
        return message

    def register(self, browser: Browser, password: str = "", expires: int | None = 600, **how: object) -> Response:
        """Register with a password; returns the last response."""
        challenges = self.ask(browser, expires=expires, **how).headers.lines("WWW-Authenticate")
        user = browser.aor.partition("@")[0]
        uri = str(how.get("uri", f"sip:{DOMAIN}"))
        credentials = answer(challenges, user, password or PASSWORDS[user], "REGISTER", uri)
        return self.ask(browser, credentials, expires=expires, **how)

    def registered(self, user: str = "alice") -> Browser:
        """A browser whose user has registered."""
        browser = self.browser(user)
        assert self.register(browser).status == 200
        return browser

    def authorized(
        self, browser: Browser, challenge: Response, request: Request, password: str = ""
    ) -> tuple[str, str]:
        """The header that answers a 407."""
        user = browser.aor.partition("@")[0]
        lines = challenge.headers.lines("Proxy-Authenticate")
        value = answer(lines, user, password or PASSWORDS[user], request.method, request.uri, body=request.body)
        return "Proxy-Authorization", value


def message_to(browser: Browser, to: str, *headers: tuple[str, str], method: str = "MESSAGE", cseq: int = 1) -> Request:
    """A request outside of dialogs, which the browser sends."""
    fields = Headers(
        [
            ("Via", f"SIP/2.0/WSS x.invalid;branch=z9hG4bK{method}{cseq}{to}{browser.aor}{len(headers)}"),
            ("Max-Forwards", "69"),
            ("From", f"<{browser.uri}>;tag=m"),
            ("To", f"<{to}>"),
            ("Call-ID", f"{method}{browser.aor}"),
            ("CSeq", f"{cseq} {method}"),
            ("Contact", f"<{browser.contact}>"),
            *headers,
        ]
    )
    request = Request(method, to, fields, b"")
    browser.say(Request(method, to, fields.copy(), b""))
    return request


def contacts(response: Response) -> dict[str, int]:
    """The Contacts of a 200 and their seconds."""
    values = [NameAddr.parse(value) for value in response.headers.all("Contact")]
    return {value.uri: int(value.param("expires") or -1) for value in values}
