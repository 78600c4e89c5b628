"""A call as an endpoint of the tests sees it: before it is answered, and as a dialog."""

from __future__ import annotations

from secrets import token_hex

from tests.support.real.speech import Endpoint, Pairs
from webrtcproxy.sip.message import Headers, Request, Response


class Calling:
    """An INVITE that is out."""

    def __init__(self, phone: Endpoint, invite: Request, already_sent: bool = False) -> None:
        self.phone, self.invite = phone, invite
        if not already_sent:
            phone.send(invite)

    async def response(self, *statuses: int, seconds: float = 5) -> Response:
        """The next response with one of these statuses."""
        return await self.phone.response(self.invite, *statuses, seconds=seconds)

    async def final(self, seconds: float = 10) -> Response:
        """The final response. ACKed where it is none of success."""
        response = await self.phone.response(self.invite, seconds=seconds)
        if response.status >= 300:
            self.ack_refusal(response)
        return response

    def ack_refusal(self, response: Response) -> None:
        """ACK a response that is none of success (RFC 3261 17.1.1.3)."""
        ack = self.again_as("ACK")
        ack.headers.set("To", response.headers.get("To") or "")
        self.phone.remember_ack(ack)
        self.phone.send(ack)

    async def answered(self, seconds: float = 10) -> Dialog:
        """The dialog, with the 2xx ACKed. AssertionError where the call is refused."""
        response = await self.final(seconds)
        assert response.status < 300, response
        dialog = Dialog.of_caller(self.phone, self.invite, response)
        dialog.ack()
        return dialog

    def again(self, headers: Pairs = ()) -> Calling:
        """The same call after a challenge, with these headers."""
        return Calling(self.phone, self.phone.again(self.invite, headers), already_sent=True)

    def cancel(self, headers: Pairs = ()) -> Request:
        """Send CANCEL (RFC 3261 section 9.1), and return it."""
        cancel = self.again_as("CANCEL")
        for name, value in headers:
            cancel.headers.add(name, value)
        self.phone.send(cancel)
        return cancel

    def again_as(self, method: str) -> Request:
        """ACK or CANCEL with what it takes from the INVITE, not sent."""
        request = Request(method, self.invite.uri, Headers())
        for name in ("Via", "Max-Forwards", "From", "To", "Call-ID"):
            request.headers.add(name, self.invite.headers.get(name) or "")
        request.headers.add("CSeq", f"{self.invite.cseq.number} {method}")
        return request


class Dialog:
    """An established call: requests within it."""

    def __init__(
        self, phone: Endpoint, call_id: str, local: str, remote: str, target: str, route: list[str], cseq: int
    ) -> None:
        self.phone, self.call_id, self.local, self.remote = phone, call_id, local, remote
        self.target, self.route, self.cseq = target, route, cseq

    @classmethod
    def of_caller(cls, phone: Endpoint, invite: Request, response: Response) -> Dialog:
        """As the caller has it (RFC 3261 section 12.1.2)."""
        return cls(
            phone, invite.call_id, invite.headers.get("From") or "", response.headers.get("To") or "",
            _contact(response), response.headers.all("Record-Route")[::-1], invite.cseq.number,
        )  # fmt: skip

    @classmethod
    def of_callee(cls, phone: Endpoint, invite: Request, response: Response) -> Dialog:
        """As the callee has it (RFC 3261 section 12.1.1)."""
        return cls(
            phone, invite.call_id, response.headers.get("To") or "", invite.headers.get("From") or "",
            _contact(invite), invite.headers.all("Record-Route"), 100,
        )  # fmt: skip

    def build(self, method: str, cseq: int, headers: Pairs = (), body: bytes = b"") -> Request:
        """A request within the dialog."""
        more = [("Route", route) for route in self.route]
        request = self.phone.build(
            method, self.target, to=self.remote, call_id=self.call_id, cseq=cseq, headers=[*more, *headers], body=body
        )
        request.headers.set("From", self.local)
        return request

    def send(self, method: str, headers: Pairs = (), body: bytes = b"") -> Request:
        """Send a request within the dialog, and return it."""
        self.cseq += 1
        request = self.build(method, self.cseq, headers, body)
        self.phone.send(request)
        return request

    async def ask(self, method: str, headers: Pairs = (), body: bytes = b"") -> Response:
        """Send a request and wait for its final response."""
        return await self.phone.response(self.send(method, headers, body))

    def ack(self, body: bytes = b"") -> Request:
        """Send the ACK of the last INVITE's 2xx, and return it."""
        ack = self.build("ACK", self.cseq, body=body)
        self.phone.remember_ack(ack)
        self.phone.send(ack)
        return ack

    async def bye(self) -> Response:
        """Hang up: the response to BYE."""
        return await self.ask("BYE")

    async def hung_up(self, seconds: float = 5) -> Request:
        """Wait for the other side's BYE, and answer it 200."""
        bye = await self.phone.request("BYE", seconds)
        assert bye.call_id == self.call_id, bye
        self.phone.reply(bye, 200)
        return bye


def _contact(message: Request | Response) -> str:
    contacts = message.contacts
    assert isinstance(contacts, list) and len(contacts) == 1, message.headers.lines("Contact")
    return contacts[0].uri


def stranger() -> str:
    """A tag that nobody has given out."""
    return token_hex(8)
