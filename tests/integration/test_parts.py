"""The real parts by themselves: what the other tests here stand on."""

from twisted.trial.unittest import TestCase

from tests.support.real import digest, ng
from tests.support.real.kamailio import PASSWORDS, REALM
from tests.support.real.lab import LAB
from tests.support.real.ports import free_port
from tests.support.real.sipp import Sipp
from tests.support.real.softphone import Peer
from tests.support.real.speech import PLAIN_SDP


class Parts(TestCase):
    """rtpengine, Kamailio and SIPp without the proxy."""

    timeout = 60

    async def _peer(self) -> Peer:
        kamailio = await LAB.kamailio()
        peer = Peer("127.0.0.1", free_port(), ("127.0.0.1", kamailio.port))
        self.addCleanup(peer.close)
        peer.listen()
        return peer

    async def test_kamailio_challenges_and_stores(self) -> None:
        """REGISTER without a password: 401; with it: 200 with the Contact, which the next query still has."""
        peer = await self._peer()
        register = peer.build("REGISTER", "sip:pbx.test", to="<sip:bob@pbx.test>")
        peer.send(register)
        refused = await peer.response(register)
        self.assertEqual(401, refused.status)
        value = refused.headers.get("WWW-Authenticate") or ""
        self.assertEqual(REALM, digest.read(value)["realm"])
        credentials = digest.answer(value, "REGISTER", "sip:pbx.test", "bob", PASSWORDS["bob"])
        accepted = await peer.response(peer.again(register, [("Authorization", credentials)]))
        self.assertEqual(200, accepted.status)
        self.assertIn(peer.contact, accepted.headers.get("Contact") or "")

    async def test_kamailio_passes_a_call_on_to_sipp_after_its_407(self) -> None:
        """INVITE to auth-PORT: 407, and with the password the far end answers through two dialogs' worth of routes."""
        peer = await self._peer()
        peer.user, peer.password = "alice", PASSWORDS["alice"]
        sipp = Sipp("uas")
        self.addCleanup(sipp.stop)
        await sipp.start()
        calling = peer.invite(f"sip:auth-{sipp.port}@pbx.test")
        refused = await calling.final()
        self.assertEqual(407, refused.status)
        value = refused.headers.get("Proxy-Authenticate") or ""
        credentials = digest.answer(value, "INVITE", calling.invite.uri, "alice", peer.password)
        dialog = await calling.again([("Proxy-Authorization", credentials)]).answered()
        self.assertEqual(200, (await dialog.bye()).status)
        await sipp.passed()

    async def test_sipp_calls_sipp(self) -> None:
        """The calling and the called scenario fit each other."""
        called = Sipp("uas")
        self.addCleanup(called.stop)
        await called.start()
        calling = Sipp("uac", target=called.host, words={"target": f"sip:echo@{called.host}"}, hold=100)
        self.addCleanup(calling.stop)
        await calling.start()
        await calling.passed()
        await called.passed()
        self.assertEqual(["INVITE", "ACK", "BYE"], [text.split()[0] for text in called.received()])

    async def test_rtpengine_lists_its_sessions(self) -> None:
        """A session is in the list after its offer; assert_empty() fails on it, and clears up."""
        rtpengine = await LAB.rtpengine()
        offer = {b"command": b"offer", b"call-id": b"leak", b"from-tag": b"a", b"sdp": PLAIN_SDP}
        self.assertEqual(b"ok", (await ng.ask(rtpengine.port, offer))[b"result"])
        self.assertEqual(["leak"], await rtpengine.sessions())
        with self.assertRaises(AssertionError):
            await rtpengine.assert_empty(0.2)
        self.assertEqual([], await rtpengine.sessions())
