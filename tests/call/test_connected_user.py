"""Connected line: what a trunk is shown of the user of a domain that it calls (RFC 5876 section 3, field.rst W4:
Connected line)."""

from __future__ import annotations

from tests.call.test_numbers import AT_TRUNK, NUMBER, SECOND, NumbersCase
from tests.support.calls.local import DOMAIN, TRUNK
from tests.support.calls.party import Pair, hang_up, party_of
from tests.support.calls.world import OFFER
from webrtcproxy.config.numbers import NumberMap
from webrtcproxy.sip.message import Message

PAI = "P-Asserted-Identity"
PREFERRED = ("P-Preferred-Identity", f"<sip:{SECOND}@{DOMAIN}>")


def asserted(message: Message) -> list[str]:
    return message.headers.lines(PAI)


class ConnectedUser(NumbersCase):
    """Alice is called by one of her numbers."""

    def called(self, caller_id: str, trusts: bool, *headers: Pair) -> list[list[str]]:
        """What the trunk is shown by the 180 and by the 200, of which the first one has these headers."""
        self.start(pass_identity=trusts, caller_id=caller_id, numbers=NumberMap(((NUMBER, (f"alice@{DOMAIN}",)),)))
        self.trunk.contact = f"sip:carol@{TRUNK}:5090"
        alice = self.registered()
        invite = self.trunk.invite(f"sip:{NUMBER}@192.0.2.1")
        leg = alice.request("INVITE")
        alice.answer(leg, 180, headers=headers)
        ringing = self.trunk.response(180)
        answer = alice.answer(leg, 200, OFFER.replace(b"actpass", b"active"))
        ok = self.trunk.response(200)
        self.trunk.ack(invite, ok)
        alice.heard("ACK")
        hang_up(party_of(self.trunk, invite, ok), party_of(alice, leg, answer))
        return [asserted(ringing), asserted(ok)]

    def test_in_responses(self) -> None:
        """The number of hers that she asks for, where the trunk wants it in P-Asserted-Identity, whatever else of
        browsers it believes; once. Another's number is hers in its place, as in an INVITE."""
        for trusts in (False, True):
            for caller_id in ("asserted", "both"):
                for header, number in ((PREFERRED, SECOND), ((PAI, "<sip:+49112@example.com>"), NUMBER)):
                    shown = [f'"Alice Liddell" <sip:{number}@{AT_TRUNK}>']
                    self.assertEqual(self.called(caller_id, trusts, header), [shown, []])
            self.assertEqual(self.called("from", trusts, PREFERRED), [[], []])
            self.assertEqual(self.called("both", trusts), [[], []])
