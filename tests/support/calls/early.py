"""The case class of tests of calls that are not answered yet."""

from __future__ import annotations

from collections.abc import Iterator

from tests.support.calls.case import CallCase
from tests.support.calls.party import Pair, Party, party_of
from tests.support.calls.world import Browser, Caller
from tests.support.configs import PBX
from tests.support.ngnode import Operation
from webrtcproxy.sip.message import Request, Response

REL = ("Supported", "timer, 100rel")


class EarlyCase(CallCase):
    """Calls out of a browser and into one."""

    trunks = (PBX,)
    caller: Caller
    callee: Caller
    invite: Request
    """What the caller sent."""
    leg: Request
    """What the callee got."""

    def ways(self, *headers: Pair, offer: bool = True) -> Iterator[Caller]:
        """For each way: the INVITE is out, and with the callee. Each has a world of its own. Gives the caller."""
        for inward in (False, True):
            self.world = self.make_world()
            alice, trunk = self.world.browser(), self.world.trunk()
            self.caller, self.callee = (trunk, alice) if inward else (alice, trunk)
            alice.bind()
            if not offer:
                self.caller.sdp = b""
            to = "sip:alice@192.0.2.1" if inward else "sip:bob@pbx.example.com"
            self.invite = self.caller.invite(to, *headers)
            self.leg = self.callee.request("INVITE")
            yield self.caller

    def way(self, *headers: Pair, offer: bool = True) -> None:
        """Out of a browser only."""
        next(self.ways(*headers, offer=offer))

    def sdp(self, peer: Caller, direction: str = "sendrecv", version: int = 1) -> bytes:
        """A description of this end's, as an answer where it is a browser's."""
        return self.party(peer).sdp(direction, version).replace(b"actpass", b"active")

    def party(self, peer: Caller) -> Party:
        return Party(peer, "", "", "", "", 0)

    def reliable(
        self,
        status: int,
        number: int,
        body: bytes = b"",
        *headers: Pair,
        tag: str = "callee",
        leg: Request | None = None,
    ) -> Response:
        """The callee sends a reliable 1xx."""
        more = [("Require", "100rel"), ("RSeq", str(number)), *headers]
        return self.callee.answer(self.leg, status, body, tag=tag, headers=more)

    def at_caller(self, response: Response) -> Party:
        """The caller, in the dialog that `response` opened."""
        return party_of(self.caller, self.invite, response)

    def at_callee(self, response: Response) -> Party:
        """The callee, in the dialog that its `response` opened."""
        return party_of(self.callee, self.leg, response)

    def prack(self, party: Party, response: Response, body: bytes = b"") -> Request:
        """The caller acknowledges a reliable response."""
        return party.ask("PRACK", body, rack(response))

    def pracked(self, response: Response) -> Request:
        """The callee gets a PRACK for its response, and answers it."""
        prack = self.callee.request("PRACK")
        self.assertEqual(("RAck", prack.headers.get("RAck")), rack(response))
        self.assertEqual(prack.to.tag, response.to.tag)
        self.callee.answer(prack, 200)
        return prack

    def media(self) -> list[Operation]:
        """What rtpengine was asked since the last time."""
        operations = self.world.nodes.sessions[-1].operations
        taken = list(operations)
        operations.clear()
        return taken

    def hang_up(self, ok: Response) -> None:
        """The caller hangs up a call that is up; nothing is left."""
        self.at_caller(ok).ask("BYE")
        self.caller.heard(200)
        self.callee.answer(self.callee.request("BYE"), 200)
        self.assert_over(self.caller, self.callee)

    def profile(self, peer: Caller) -> str:
        return "browser" if isinstance(peer, Browser) else "trunk"


def rack(response: Response) -> Pair:
    """The RAck for a response."""
    return "RAck", f"{response.headers.get('RSeq')} {response.cseq}"
