"""SUBSCRIBE and NOTIFY as the endpoints of the tests send them (RFC 6665)."""

from __future__ import annotations

from tests.support.real.dialog import Dialog
from tests.support.real.speech import Endpoint, Pairs
from webrtcproxy.sip.message import Request, Response, respond

EVENT = ("Event", "message-summary")


def subscribe(phone: Endpoint, target: str, *, expires: int = 600, headers: Pairs = ()) -> Request:
    """A SUBSCRIBE outside of any dialog, not sent yet."""
    return phone.build("SUBSCRIBE", target, headers=[EVENT, ("Expires", str(expires)), *headers])


def subscribed(phone: Endpoint, request: Request, response: Response) -> Dialog:
    """The subscriber's dialog after a 2xx."""
    return Dialog.of_caller(phone, request, response)


def grant(phone: Endpoint, request: Request, *, status: int = 200, expires: int = 600) -> Dialog:
    """Answer a SUBSCRIBE with 2xx: the notifier's dialog."""
    headers = [("Contact", f"<{phone.contact}>"), ("Expires", str(expires))]
    return Dialog.of_callee(phone, request, phone.reply(request, status, headers=headers))


def early(phone: Endpoint, request: Request, tag: str) -> Dialog:
    """The notifier's dialog before the 2xx."""
    return Dialog.of_callee(phone, request, respond(request, 200, to_tag=tag))


def notify(notifier: Dialog, state: str = "active;expires=600", body: bytes = b"Messages-Waiting: no\r\n") -> Request:
    """Send a NOTIFY within a dialog."""
    headers = [
        EVENT, ("Subscription-State", state), ("Contact", f"<{notifier.phone.contact}>"),
        ("Content-Type", "application/simple-message-summary"),
    ]  # fmt: skip
    return notifier.send("NOTIFY", headers, body)


async def told(notifier: Dialog, subscriber: Endpoint, state: str = "active;expires=600", status: int = 200) -> Request:
    """A NOTIFY that crosses, and the subscriber's answer to it: as it arrived."""
    sent = notify(notifier, state)
    heard = await subscriber.request("NOTIFY")
    assert heard.headers.get("Subscription-State") == state, heard
    assert (heard.body, heard.headers.get("Event")) == (sent.body, EVENT[1]), heard
    subscriber.reply(heard, status)
    answer = await notifier.phone.response(sent)
    assert answer.status == status, answer
    return heard
