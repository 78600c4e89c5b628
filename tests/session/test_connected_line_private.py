"""Connected line: identities that are withheld (RFC 3323, RFC 3325 section 7; field.rst W4: Connected line)."""

from __future__ import annotations

from tests.session.test_connected_line import DAVE, ERIN, PAI, UPDATES, ConnectedCase, identity

NOBODY = (PAI, '"Anonymous" <sip:anonymous@anonymous.invalid>')
ID = ("Privacy", "id")
REMOTE = "Remote-Party-ID"


class Withheld(ConnectedCase):
    """What its owner wants withheld."""

    def test_nobody(self) -> None:
        """A browser that knows an identity is shown nobody in place of one that is withheld, not the former one still;
        once, and until there is another."""
        for trunk, browser in self.ways(UPDATES):
            for withheld in (
                (ERIN, ID), ((REMOTE, "<sip:304@pbx.example.com>;party=calling;privacy=full"),),
                (ERIN, (REMOTE, "<sip:304@pbx.example.com>;privacy=uri"), ("Privacy", "user;id")),
            ):  # fmt: skip
                self.refresh(trunk, DAVE)
                self.shown(browser, DAVE)
                for _ in range(2):
                    self.refresh(trunk, *withheld)
                    if browser.peer.pending():
                        self.shown(browser, NOBODY)
                self.assertEqual(browser.peer.pending(), [])
            self.refresh(trunk, ERIN)
            self.shown(browser, ERIN)

    def test_nobody_known(self) -> None:
        """A browser that knows no identity is told nothing."""
        for trunk, browser in self.ways(UPDATES):
            self.refresh(trunk, DAVE, ID)
            self.refresh(trunk, (REMOTE, "<sip:304@pbx.example.com>;privacy=full"))
            browser.peer.silent()

    def test_of_a_change(self) -> None:
        """So it is where a request that changes the session has it: that shows nobody, and an UPDATE follows."""
        for trunk, browser in self.ways(UPDATES, DAVE):
            invite = trunk.ask("INVITE", trunk.sdp("sendonly"), ERIN, ID)
            crossed = browser.peer.request("INVITE")
            self.assertEqual(identity(crossed.headers), [ID])
            browser.answer(crossed, 200, browser.sdp("recvonly"))
            browser.peer.heard("ACK")
            trunk.peer.heard(200)
            trunk.ack(invite)
            self.shown(browser, NOBODY)

    def test_parameter(self) -> None:
        """The parameter of Remote-Party-ID is for this address alone: nothing of it, or all but the name."""
        for trunk, browser in self.ways(UPDATES):
            named = (REMOTE, '"Dave" <sip:303@pbx.example.com>;party=calling;privacy=name')
            self.refresh(trunk, named)
            self.shown(browser, (REMOTE, "<sip:303@pbx.example.com>;party=calling;privacy=name"))
            two = "<sip:303@pbx.example.com>;privacy=full, <sip:305@pbx.example.com>;privacy=off"
            self.refresh(trunk, (REMOTE, two))
            self.shown(browser, (REMOTE, "<sip:305@pbx.example.com>;privacy=off"))

    def test_trusted(self) -> None:
        """A trunk that is trusted with identities is trusted with wishes."""
        for trunk, browser in self.ways(UPDATES):
            full = (REMOTE, "<sip:303@pbx.example.com>;privacy=full")
            self.refresh(browser, full)
            self.shown(trunk, full)
