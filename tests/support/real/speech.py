"""A SIP endpoint that does what a test says, and keeps all that it hears. The transports are in softphone.py."""

from collections.abc import Callable, Iterable
from itertools import count
from secrets import token_hex
from typing import TypeVar, cast

from twisted.internet import reactor
from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime

from tests.support.real import digest
from tests.support.real.ladder import Ladder
from tests.support.real.part import pause
from webrtcproxy.sip.errors import BadMessage
from webrtcproxy.sip.message import Headers, Request, Response, read, respond

Pairs = Iterable[tuple[str, str]]
Message = Request | Response
AnyMessage = TypeVar("AnyMessage", Request, Response)
_lines = count(1)

CHALLENGES = (
    (401, "WWW-Authenticate", "Authorization"),
    (407, "Proxy-Authenticate", "Proxy-Authorization"),
)
"""Status, header of the challenge, header of the answer."""

PLAIN_SDP = b"""v=0\r
o=trunk 7 1 IN IP4 127.0.0.1\r
s=-\r
c=IN IP4 127.0.0.1\r
t=0 0\r
m=audio 9000 RTP/AVP 0 101\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=ptime:20\r
a=sendrecv\r
"""
"""What a trunk offers or answers. Nothing listens on the port."""

CHROME_OFFER = b"""v=0\r
o=- 2124965916411266899 2 IN IP4 127.0.0.1\r
s=-\r
t=0 0\r
a=group:BUNDLE 0\r
a=extmap-allow-mixed\r
a=msid-semantic: WMS\r
m=audio 59459 UDP/TLS/RTP/SAVPF 111 63 9 0 8 13 110 126\r
c=IN IP4 127.0.0.1\r
a=rtcp:9 IN IP4 0.0.0.0\r
a=candidate:1560620502 1 udp 2122194687 127.0.0.1 59459 typ host generation 0 network-id 3 network-cost 50\r
a=ice-ufrag:L+wQ\r
a=ice-pwd:LMo/KpeJKOYdnq05vU4w40Eq\r
a=ice-options:trickle\r
a=fingerprint:sha-256 77:33:8F:4A:CC:C8:70:0E:EC:67:2E:FD:A4:82:27:A0:EB:A7:BC:68:66:07:EA:CF:11:35:3C:6E:45:72:50:DD\r
a=setup:actpass\r
a=mid:0\r
a=extmap:1 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r
a=extmap:4 urn:ietf:params:rtp-hdrext:sdes:mid\r
a=sendrecv\r
a=msid:- 2d276aed-633d-4546-88f2-f6839b1244cc\r
a=rtcp-mux\r
a=rtcp-rsize\r
a=rtpmap:111 opus/48000/2\r
a=rtcp-fb:111 transport-cc\r
a=fmtp:111 minptime=10;useinbandfec=1\r
a=rtpmap:63 red/48000/2\r
a=fmtp:63 111/111\r
a=rtpmap:9 G722/8000\r
a=rtpmap:0 PCMU/8000\r
a=rtpmap:8 PCMA/8000\r
a=rtpmap:13 CN/8000\r
a=rtpmap:110 telephone-event/48000\r
a=rtpmap:126 telephone-event/8000\r
a=ssrc:3832123997 cname:V+fiyuRylnHdtx1N\r
a=ssrc:3832123997 msid:- 2d276aed-633d-4546-88f2-f6839b1244cc\r
"""
"""What Chromium offered on a machine with only loopback."""

CHROME_ANSWER = CHROME_OFFER.replace(b"setup:actpass", b"setup:active").replace(b" 111 63 9 0 8 13 110 126", b" 0 126")


class Endpoint:
    """One SIP endpoint.

    :ivar received: every message that came, repeats too, in order.
    :ivar says_odd: whether it sends requests without headers that every message has: responses lack these, too.
    :ivar contact: the URI in the Contact of what it sends.
    :ivar ladder: where what it says and hears is noted; a test may give one to several endpoints.
    """

    def __init__(self, user: str, domain: str, transport: str, sent_by: str, contact: str, password: str = "") -> None:
        self.password = password
        self.user, self.domain, self.contact = user, domain, contact
        self.aor = f"sip:{user}@{domain}"
        self.received: list[Message] = []
        self.says_odd = False
        self.ladder = Ladder()
        self._transport, self._sent_by = transport, sent_by
        self._fresh: list[Message] = []
        self._waiting: list[tuple[Callable[[Message], bool], Deferred[Message]]] = []
        self._tags: dict[str, str] = {}
        self._answers: dict[str, Response] = {}
        self._acks: dict[str, Request] = {}

    def send(self, message: Message) -> None:
        """Put a message on the wire."""
        raise NotImplementedError

    def heard(self, data: bytes) -> None:
        """Take a message off the wire. Repeats are kept in `received`, answered again, and not handed out again."""
        try:
            message = read(data)
        except BadMessage:
            if not self.says_odd:
                raise
            return
        if isinstance(message, Request) and not self.ladder.knows(message):
            if message.method != "ACK":
                self.reply(message, 481)
            return
        self.received.append(message)
        if any(message.to_bytes() == other.to_bytes() for other in self.received[:-1]):
            self._repeat(message)
            return
        self.ladder.add(self, message, "<")
        for waiting in self._waiting:
            if waiting[0](message):
                self._waiting.remove(waiting)
                waiting[1].callback(message)
                return
        self._fresh.append(message)

    def _repeat(self, message: Message) -> None:
        if isinstance(message, Request):
            again: Message | None = self._answers.get(f"{message.via.branch}{message.method}")
        else:
            again = self._acks.get(f"{message.call_id}{message.cseq.number}") if message.status >= 200 else None
        if again is not None:
            self.send(again)

    async def message(self, wanted: Callable[[Message], bool], what: str, seconds: float = 5) -> Message:
        """The next message that is wanted; `what` is what the AssertionError calls it when it does not come."""
        for message in self._fresh:
            if wanted(message):
                self._fresh.remove(message)
                return message
        waiting: Deferred[Message] = Deferred()
        entry = (wanted, waiting)
        self._waiting.append(entry)
        waiting.addTimeout(seconds, cast(IReactorTime, reactor))
        try:
            return await waiting
        except TimeoutError:
            self._waiting.remove(entry)
            heard = "\n".join(f"  {message!r}" for message in self.received) or "  nothing"
            raise AssertionError(f"{self.user} heard no {what} within {seconds} s, but:\n{heard}") from None

    async def request(self, method: str, seconds: float = 5) -> Request:
        """The next request with that method."""

        def wanted(message: Message) -> bool:
            return isinstance(message, Request) and message.method == method

        return cast(Request, await self.message(wanted, method, seconds))

    async def response(self, to: Request, *statuses: int, seconds: float = 5) -> Response:
        """The next response to that request: with one of the statuses, or where none is given, any final one."""

        def wanted(message: Message) -> bool:
            return (
                isinstance(message, Response)
                and (message.status in statuses if statuses else message.status >= 200)
                and message.call_id == to.call_id
                and message.cseq == to.cseq
            )

        return cast(Response, await self.message(wanted, f"{statuses or 'final response'} to {to!r}", seconds))

    async def silence(self, seconds: float = 0.5) -> None:
        """Fail where a message comes within `seconds` that nobody has asked for, or has come before. (100 is none.)"""
        await pause(seconds)
        heard = [message for message in self._fresh if isinstance(message, Request) or message.status > 100]
        assert not heard, f"{self.user} heard {heard}"

    def requests(self, method: str) -> list[Request]:
        """Every request with that method so far, repeats too."""
        return [message for message in self.received if isinstance(message, Request) and message.method == method]

    def build(
        self, method: str, uri: str, *, to: str = "", call_id: str = "", cseq: int = 1, tag: str = "",
        headers: Pairs = (), body: bytes = b"", content_type: str = "application/sdp",
    ) -> Request:  # fmt: skip
        """A request outside of any dialog, from this user; where `to` is empty, to the Request-URI."""
        request = Request(method, uri, Headers(), body)
        request.headers.add("Via", f"SIP/2.0/{self._transport} {self._sent_by};branch=z9hG4bK{token_hex(8)};rport")
        request.headers.add("Max-Forwards", "70")
        request.headers.add("From", f"<{self.aor}>;tag={tag or token_hex(4)}")
        request.headers.add("To", to or f"<{uri}>")
        request.headers.add("Call-ID", call_id or f"{next(_lines)}-{token_hex(8)}")
        request.headers.add("CSeq", f"{cseq} {method}")
        if method in ("INVITE", "REGISTER", "SUBSCRIBE", "UPDATE", "REFER", "OPTIONS"):
            request.headers.add("Contact", f"<{self.contact}>")
        for name, value in headers:
            request.headers.add(name, value)
        if body and "Content-Type" not in request.headers:
            request.headers.add("Content-Type", content_type)
        return request

    def again(self, request: Request, headers: Pairs = ()) -> Request:
        """The same request after a challenge: next CSeq, new branch, these headers besides; sent."""
        copy = Request(request.method, request.uri, request.headers.copy(), request.body)
        copy.headers.set("CSeq", f"{request.cseq.number + 1} {request.method}")
        copy.headers.set_first("Via", str(request.via.with_param("branch", f"z9hG4bK{token_hex(8)}")))
        for name, value in headers:
            copy.headers.set(name, value)
        self.send(copy)
        return copy

    async def ask(self, request: Request) -> Response:
        """Send a request, answer the first challenge for a digest with the password, and return the final response."""
        self.send(request)
        response = await self.response(request)
        for status, asks, answers in CHALLENGES:
            if response.status == status and self.password:
                value = next(line for line in response.headers.lines(asks) if line.lower().startswith("digest"))
                credentials = digest.answer(value, request.method, request.uri, self.user, self.password)
                return await self.response(self.again(request, [(answers, credentials)]))
        return response

    def reply(
        self, request: Request, status: int, reason: str = "", *, headers: Pairs = (), body: bytes = b"", tag: str = "",
    ) -> Response:  # fmt: skip
        """Answer a request; our tag is the same for a whole Call-ID. 18x and 2xx to INVITE get the Contact."""
        tag = tag or self._tags.setdefault(request.call_id, token_hex(4))
        response = respond(request, status, reason, to_tag=tag if status > 100 else "", headers=headers, body=body)
        if request.method in ("INVITE", "UPDATE") and 100 < status < 300 and "Contact" not in response.headers:
            response.headers.add("Contact", f"<{self.contact}>")
        if body and "Content-Type" not in response.headers:
            response.headers.add("Content-Type", "application/sdp")
        self._answers[f"{request.via.branch}{request.method}"] = response
        self.send(response)
        return response

    def remember_ack(self, ack: Request) -> None:
        """Send this ACK again for each repeat of the response that it is for."""
        self._acks[f"{ack.call_id}{ack.cseq.number}"] = ack
