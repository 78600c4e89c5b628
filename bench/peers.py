"""The proxy's peers, one step after the other: nothing happens but what is asked for, and the same every time."""

from __future__ import annotations

import itertools
import socket
import ssl
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from bench.parts import JSSIP_HEADERS, SDP
from tests.support.calls.world import PLAIN
from tests.support.messages import read_request, read_response, request
from tests.support.real.ports import LOOPBACK
from tests.support.wire import frame, frames, upgrade
from webrtcproxy.media.bencode import NgValue, from_bencode, to_bencode
from webrtcproxy.registration.binding import contact_user_of
from webrtcproxy.sip.headers import NameAddr
from webrtcproxy.sip.message import Request, Response, respond

TIMEOUT = 60.0
"""Seconds for one answer: under valgrind everything takes fifty times as long."""

_numbers = itertools.count(1)
_described = ("Content-Type", "application/sdp")


class Engine(threading.Thread):
    """An rtpengine that answers at once, and always the same.

    :param browser: the SDP that browsers get.
    :ivar address: host:port of its ng socket.
    """

    def __init__(self, browser: bytes) -> None:
        super().__init__(daemon=True)
        self._socket = _udp(None)
        self._browser = browser
        self.address = _address(self._socket)
        self.start()

    def run(self) -> None:
        """Answer."""
        while True:
            data, address = self._socket.recvfrom(65536)
            cookie, _, body = data.partition(b" ")
            asked = from_bencode(body)
            reply: dict[str, NgValue] = {"result": "pong" if asked[b"command"] == b"ping" else "ok"}
            if b"sdp" in asked:
                reply["sdp"] = PLAIN if b"UDP/TLS/RTP/SAVPF" in asked[b"sdp"] else self._browser
            self._socket.sendto(cookie + b" " + to_bencode(reply), address)


class Trunk:
    """A UDP socket: registrar, callee and caller.

    :ivar address: host:port of it.
    :ivar gateway: the port of the proxy's; to be set.
    """

    def __init__(self) -> None:
        self._socket = _udp(TIMEOUT)
        self._had: deque[bytes] = deque(maxlen=10)
        self.address = _address(self._socket)
        self.gateway = 0

    def send(self, message: Request | Response) -> None:
        """Send to the proxy."""
        self._socket.sendto(message.to_bytes(), (LOOPBACK, self.gateway))

    def request(self, method: str) -> Request:
        """The next message, which is such a request."""
        return _request(self._next(), method)

    def response(self, status: int) -> Response:
        """The next message but a 100, which is such a response."""
        return _response(self._next, status)

    def _next(self) -> bytes:
        """The next datagram; where the machine is busy, the proxy repeats one."""
        while (data := self._socket.recv(65536)) in self._had:
            pass
        self._had.append(data)
        return data


class Browser:
    """A WebSocket, opened at once.

    :param port: of the proxy.
    :param domain: of its user: host:port of the trunk.
    :ivar contact: its Contact.
    """

    def __init__(self, port: int, domain: str) -> None:
        number = next(_numbers)
        self.domain = domain
        self.aor = f"u{number}@{domain}"
        self._host = f"qb1x2c3d{number}.invalid"
        self.contact = f"<sip:8h2kq0aa@{self._host};transport=ws;ob>"
        self._instance = f"8f4b{number:08}"
        self._cseq = 0
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        self._socket = context.wrap_socket(socket.create_connection((LOOPBACK, port), TIMEOUT))
        self._socket.sendall(upgrade())
        answer = self._socket.recv(65536)
        assert answer.startswith(b"HTTP/1.1 101 "), answer

    def close(self) -> None:
        """Close the connection, without a word."""
        self._socket.close()

    def send(self, message: Request | Response) -> None:
        """Send one message."""
        self._socket.sendall(frame(message.to_bytes()))

    def request(self, method: str) -> Request:
        """The next message, which is such a request."""
        return _request(self._next(), method)

    def response(self, status: int) -> Response:
        """The next message but a 100, which is such a response."""
        return _response(self._next, status)

    def make(self, method: str, uri: str, to: str, **how: Any) -> Request:
        """A request as JsSIP writes it; `how` is for `request` of tests/support/messages.py."""
        how = {"contact": self.contact, "headers": JSSIP_HEADERS, **how}
        return request(method, uri, transport="WSS", sent_by=self._host, to=to, from_=f"<sip:{self.aor}>", **how)

    def register(self, seconds: int = 600) -> Request:
        """A REGISTER, the next in its sequence."""
        self._cseq += 1
        value = f'{self.contact};+sip.ice;reg-id=1;+sip.instance="<urn:uuid:{self._instance}>";expires={seconds}'
        return self.make(
            "REGISTER", f"sip:{self.domain}", f"<sip:{self.aor}>", contact=value, cseq=self._cseq,
            headers=(("Expires", str(seconds)), *JSSIP_HEADERS), call_id=f"register-{self._instance}",
            from_tag=f"tag{self._cseq}",
        )  # fmt: skip

    def _next(self) -> bytes:
        while True:
            for each in frames(self._socket.recv(65536)):
                if each.opcode == 1:
                    return each.payload


def register(browser: Browser, trunk: Trunk) -> None:
    """A REGISTER that refreshes a binding, and its 200."""
    browser.send(browser.register())
    asked = trunk.request("REGISTER")
    contact = f"{asked.headers.get('Contact')}".partition(";expires")[0]
    granted = [("Contact", f"{contact};expires=600"), ("Expires", "600")]
    trunk.send(respond(asked, 200, to_tag="registrar", headers=granted))
    browser.response(200)


def outbound(browser: Browser, trunk: Trunk) -> None:
    """A call from the browser, which hangs up."""
    target = f"sip:bob@{trunk.address}"
    invite = browser.make("INVITE", target, f"<{target}>", body=SDP)
    browser.send(invite)
    leg = trunk.request("INVITE")
    contact = ("Contact", f"<sip:bob@{trunk.address}>")
    trunk.send(respond(leg, 180, to_tag="callee", headers=[contact]))
    browser.response(180)
    trunk.send(respond(leg, 200, to_tag="callee", headers=[contact, _described], body=PLAIN))
    trunk.request("ACK")
    ok = browser.response(200)
    uri, to = _dialog(ok)
    for method, cseq in (("ACK", 1), ("BYE", 2)):
        asked = browser.make(method, uri, "", cseq=cseq, call_id=invite.call_id)
        asked.headers.set("From", invite.headers.get("From") or "")
        asked.headers.set("To", to)
        browser.send(asked)
    trunk.send(respond(trunk.request("BYE"), 200))
    browser.response(200)


def inbound(browser: Browser, trunk: Trunk) -> None:
    """A call to the browser, from the trunk, which hangs up."""
    own, call_id = f"<sip:pstn@{trunk.address}>", f"in-{next(_numbers)}"

    def send(method: str, uri: str, to: str, cseq: int, body: bytes = b"") -> None:
        trunk.send(
            request(
                method,
                uri,
                sent_by=trunk.address,
                from_=own,
                to=to,
                contact=own,
                cseq=cseq,
                call_id=call_id,
                body=body,
                headers=[("User-Agent", "load-trunk")],
            )
        )

    target = f"sip:{contact_user_of(browser.aor)}@{LOOPBACK}:{trunk.gateway}"
    send("INVITE", target, f"<{target}>", 1, PLAIN)
    leg = browser.request("INVITE")
    contact = ("Contact", browser.contact)
    browser.send(respond(leg, 180, to_tag="callee", headers=[contact]))
    trunk.response(180)
    browser.send(respond(leg, 200, to_tag="callee", headers=[contact, _described], body=SDP))
    browser.request("ACK")
    uri, to = _dialog(trunk.response(200))
    for method, cseq in (("ACK", 1), ("BYE", 2)):
        send(method, uri, to, cseq)
    browser.send(respond(browser.request("BYE"), 200))
    trunk.response(200)


def _dialog(ok: Response) -> tuple[str, str]:
    """The remote target and To of the dialog that a 200 opens."""
    return NameAddr.parse(ok.headers.get("Contact") or "").uri, ok.headers.get("To") or ""


def _request(data: bytes, method: str) -> Request:
    made = read_request(data)
    assert made.method == method, made
    return made


def _response(receive: Callable[[], bytes], status: int) -> Response:
    made = read_response(receive())
    while made.status == 100:
        made = read_response(receive())
    assert made.status == status, made
    return made


def _udp(seconds: float | None) -> socket.socket:
    made = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    made.bind((LOOPBACK, 0))
    made.settimeout(seconds)
    return made


def _address(bound: socket.socket) -> str:
    return "{}:{}".format(*bound.getsockname())
