"""Connected line: what the 200 to a request of the proxy's own says (RFC 5876 section 3, field.rst W4: Connected
line)."""

from __future__ import annotations

from tests.session.test_connected_line import DAVE, ERIN, NO_UPDATES, PAI, UPDATES, ConnectedCase, identity
from tests.support.calls.party import Party
from webrtcproxy.sip.message import Request


class Answers(ConnectedCase):
    """A peer that is shown somebody says who it is itself."""

    def test_update(self) -> None:
        """In the 200 to the UPDATE: the other side is shown that at once, and only once."""
        for party, other in self.both_sides(UPDATES):
            self.refresh(party, DAVE)
            other.answer(other.peer.request("UPDATE"), 200, b"", ERIN)
            self.shown(party, ERIN)
            self.refresh(other, ERIN)
            party.peer.silent()

    def test_reinvite(self) -> None:
        """In the 200 to a re-INVITE, whoever takes no UPDATE."""
        for party, other in self.both_sides(NO_UPDATES):
            self.refresh(party, DAVE)
            self.offered(other, ERIN)
            self.offered(party)

    def offered(self, party: Party, *headers: tuple[str, str]) -> Request:
        """A re-INVITE that shows something; answered with these headers."""
        invite = party.peer.request("INVITE")
        party.answer(invite, 200, party.sdp(version=1), *headers)
        party.peer.heard("ACK")
        return invite

    def test_ever_new(self) -> None:
        """Two peers whose each message has another identity do not keep the proxy busy: what the response to an answer
        says is shown with the next news."""
        for party, other in self.both_sides(UPDATES):
            self.refresh(party, DAVE)
            other.answer(other.peer.request("UPDATE"), 200, b"", (PAI, "<sip:1@pbx.example.com>"))
            party.answer(party.peer.request("UPDATE"), 200, b"", (PAI, "<sip:2@pbx.example.com>"))
            self.world.turn(5)
            party.peer.silent()
            other.peer.silent()
            self.refresh(party)
            self.shown(other, (PAI, "<sip:2@pbx.example.com>"))
            self.refresh(party, ERIN)
            other.answer(other.peer.request("UPDATE"), 200, b"", (PAI, "<sip:3@pbx.example.com>"))
            self.shown(party, (PAI, "<sip:3@pbx.example.com>"))

    def test_ever_new_without_update(self) -> None:
        """Nor do two that take no UPDATE, and answer each re-INVITE with another identity: one exchange in each
        direction, and the next news."""
        for party, other in self.both_sides(NO_UPDATES):
            self.refresh(party, DAVE)
            self.offered(other, (PAI, "<sip:1@pbx.example.com>"))
            self.offered(party, (PAI, "<sip:2@pbx.example.com>"))
            self.world.turn(5)
            party.peer.silent()
            other.peer.silent()
            self.refresh(party, ERIN)
            self.offered(other, (PAI, "<sip:3@pbx.example.com>"))
            self.offered(party, (PAI, "<sip:4@pbx.example.com>"))

    def test_news_of_others(self) -> None:
        """What a peer says in a request of its own is news as ever, whatever it has answered before; with it, the other
        side's answer is shown."""
        for party, other in self.both_sides(NO_UPDATES):
            self.refresh(party, DAVE)
            self.offered(other, (PAI, "<sip:1@pbx.example.com>"))
            self.offered(party, (PAI, "<sip:2@pbx.example.com>"))
            self.refresh(other, ERIN)
            self.assertEqual([ERIN], identity(self.offered(party).headers))
            self.assertEqual([(PAI, "<sip:2@pbx.example.com>")], identity(self.offered(other).headers))
