"""webrtcproxy/demo/service.py: the demo on real UDP sockets of this machine."""

from __future__ import annotations

from twisted.internet import reactor
from twisted.internet.interfaces import IDelayedCall
from twisted.trial.unittest import TestCase

from tests.demo.world import answered
from tests.support.messages import ack, request
from tests.support.phones import UdpPhone
from webrtcproxy.demo.service import DemoService, demo_service
from webrtcproxy.sip.message import Request, Response
from webrtcproxy.transport.flow import Address

PACKET = bytes.fromhex("80000001000000a0") + b"them" + b"audio"


class Borrowed:
    """The reactor, whose delayed calls can be given back: transactions remember for half a minute."""

    def __init__(self) -> None:
        self.seconds = reactor.seconds
        self.listenUDP = reactor.listenUDP
        self._calls: list[IDelayedCall] = []

    def callLater(self, *arguments: object) -> IDelayedCall:
        self._calls.append(reactor.callLater(*arguments))
        return self._calls[-1]

    def give_back(self) -> None:
        """Cancel what still waits."""
        for call in self._calls:
            if call.active():
                call.cancel()


class ServiceTest(TestCase):
    timeout = 20

    def setUp(self) -> None:
        self.reactor = Borrowed()
        self.addCleanup(self.reactor.give_back)
        self.service: DemoService = demo_service(self.reactor, port=0, password="secret")
        self.service.startService()
        self.addCleanup(self.service.stopService)
        self.at = Address("127.0.0.1", self.service.port)
        self.phone = UdpPhone.listen(reactor)
        self.addCleanup(self.phone.close)

    async def final(self) -> Response:
        """The next final response."""
        while True:
            message = await self.phone.receive()
            if isinstance(message, Response) and message.status >= 200:
                return message

    def asked(self, method: str, user: str = "", **more: object) -> Request:
        domain = f"{self.at.host}:{self.at.port}"
        sent_by = f"{self.phone.address.host}:{self.phone.address.port}"
        uri = f"sip:{user}@{domain}" if user else f"sip:{domain}"
        alice = f"<sip:alice@{domain}>"
        to = f"<{uri}>" if user else alice
        return request(method, uri, **{"from_": alice, "to": to, "sent_by": sent_by, **more})  # type: ignore[arg-type]

    async def proven(self, asked: Request) -> tuple[Request, Response]:
        """Send a request, and again with credentials."""
        self.phone.send(asked, self.at)
        challenged = await self.final()
        if asked.method == "INVITE":
            self.phone.send(ack(asked, challenged), self.at)
        again = answered(asked, challenged, "alice", password="secret")
        again.headers.set("Via", (asked.headers.get("Via") or "") + "again")
        self.phone.send(again, self.at)
        return again, await self.final()

    async def test_register_and_echo(self) -> None:
        """With the real sockets, layers and clock: registered, called, heard, hung up."""
        _, registered = await self.proven(self.asked("REGISTER"))
        self.assertEqual(registered.status, 200)
        rtp = UdpPhone.listen(reactor)
        self.addCleanup(rtp.close)
        sdp = f"v=0\r\nc=IN IP4 127.0.0.1\r\nm=audio {rtp.address.port} RTP/AVP 0\r\n".encode()
        invite, answer = await self.proven(self.asked("INVITE", "echo", body=sdp))
        self.assertEqual(answer.status, 200)
        self.phone.send(ack(invite, answer), self.at)
        self.assertIn(b"c=IN IP4 127.0.0.1", answer.body)
        port = int(answer.body.split(b"m=audio ")[1].split()[0])
        rtp.send(PACKET, Address("127.0.0.1", port))
        echoed, source = await rtp.receive_raw()
        self.assertEqual((echoed[:8], echoed[12:], source.port), (PACKET[:8], PACKET[12:], port))
        self.assertNotEqual(echoed[8:12], PACKET[8:12])
        bye = self.asked("BYE", "echo", call_id=invite.call_id, to_tag=answer.to.tag or "", cseq=9)
        self.phone.send(bye, self.at)
        self.assertEqual((await self.final()).status, 200)

    async def test_stop_hangs_up(self) -> None:
        """Stopping the service sends a BYE for what is up, and frees its ports."""
        _, answer = await self.proven(self.asked("INVITE", "echo"))
        self.assertEqual(answer.status, 200)
        await self.service.stopService()
        while not (isinstance(message := await self.phone.receive(), Request) and message.method == "BYE"):
            pass
        again = demo_service(self.reactor, port=self.at.port, password="secret")
        again.startService()
        await again.stopService()

    def test_one_address(self) -> None:
        """The demo listens on this machine only unless told; a wildcard can't stand in SDP, so it is refused."""
        self.assertEqual(demo_service(reactor, "", password="secret").address, "127.0.0.1")
        self.assertRaises(ValueError, demo_service, reactor, "0.0.0.0", password="secret")
