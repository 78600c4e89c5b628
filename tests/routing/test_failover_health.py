"""Targets that failed a while ago (RFC 3263 section 4.3)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from tests.support.calls.failing import FIRST, THIRD, Case, pbx


class Penalised(Case):
    """What fails is tried last for a while (corners.rst 4: 3263 penalty)."""

    def calls(self, first: Iterable[int], second: Iterable[int] = ()) -> None:
        """One call; what each of the two answers."""
        self.begin_again()
        self.alice.invite("sip:bob@pbx.example.com")
        for peer, statuses in ((self.first, first), (self.second, second)):
            for status in statuses:
                peer.answer(peer.request("INVITE"), status)
                peer.heard("ACK")
        self.first.silent(), self.second.silent()

    def begin_again(self) -> None:
        self.alice = self.world.browser()
        for peer in (self.first, self.second):
            peer.forget()

    def test_half_a_minute(self) -> None:
        """For 30 s the other one is asked first; the dead one is still tried where the other fails, too."""
        self.calls([503], [486])
        self.calls([], [486])
        self.world.turn(29)
        self.calls([], [486])
        self.world.turn(2)
        self.calls([486])

    def test_retry_after(self) -> None:
        """A 503 says for how long (RFC 3261 section 21.5.4), within five minutes."""
        for header, seconds in (("60", 60), ("5 (soon)", 5), ("86400;duration=3", 300), ("soon", 30)):
            self.begin(*self.trunks)
            self.first.answer(self.call(), 503, headers=[("Retry-After", header)])
            self.second.answer(self.second.request("INVITE"), 486)
            self.world.turn(seconds - 1)
            self.calls([], [486])
            self.world.turn(1.5)
            self.calls([486])

    def test_all_are_dead(self) -> None:
        """Where all count as dead they are tried as ever: that may be wrong."""
        self.calls([503], [503])
        self.calls([486])

    def test_answer_clears(self) -> None:
        """An answer, a refusal too, shows that it is there."""
        self.calls([503], [503])
        self.calls([486])
        self.calls([486])

    def test_of_the_target(self) -> None:
        """It is the target that counts as dead, not the name that led there (kamailio#4911): calls that run beside each
        other each go on to the second, which is as good as before; and another trunk with the same address knows."""
        other = replace(pbx(FIRST, THIRD), name="other", host="other.example.net")
        self.begin(*self.trunks, other)
        browsers = [self.world.browser(f"user{number}") for number in range(4)]
        for browser in browsers:
            browser.invite("sip:bob@pbx.example.com")
        legs = [self.first.request("INVITE") for _ in browsers]
        for leg in legs:
            self.first.answer(leg, 503)
        for _ in browsers:
            self.second.answer(self.second.request("INVITE"), 486)
        self.calls([], [486])
        self.world.browser().invite("sip:bob@other.example.net")
        third = self.world.trunk(THIRD)
        third.answer(third.request("INVITE"), 486)

    def test_trouble_is_no_penalty(self) -> None:
        """A 500 may be about this one call: the target stays where it is."""
        self.calls([500], [486])
        self.calls([486])

    def test_silence_is(self) -> None:
        """One that says nothing is tried last."""
        self.call()
        self.world.turn(4.1)
        self.second.answer(self.second.request("INVITE"), 486)
        self.calls([], [486])
