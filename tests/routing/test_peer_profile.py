"""The section of a trunk decides what SDP to it and from it is made of, whoever calls and whatever changes later."""

from __future__ import annotations

from dataclasses import replace

from tests.support.calls.modifying import SessionChangeCase
from tests.support.calls.party import inbound, outbound
from tests.support.configs import PBX
from webrtcproxy.config import TrunkMedia
from webrtcproxy.media.profile import BROWSER_OF_TRUNK, TRUNK, profiles_of
from webrtcproxy.routing.peer_profile import BROWSER_PEER, UNKNOWN_PEER, PeerProfile

MEDIA = TrunkMedia(("PCMU", "telephone-event"), dtmf="rfc4733")


class Profiles(SessionChangeCase):
    """Each offer and answer has the profile of its leg and of the leg that it comes from."""

    trunks = (replace(PBX, media=MEDIA),)

    def test_set_up(self) -> None:
        """Called or calling."""
        trunk, browser = profiles_of(MEDIA)
        for connect, wanted in ((outbound, [trunk, browser]), (inbound, [browser, trunk])):
            self.world = self.make_world()
            connect(self.world)
            self.assertEqual([operation.to for operation in self.media(2)], wanted)

    def test_later(self) -> None:
        """A re-INVITE by either side; one that is refused, and taken back."""
        trunk, browser = profiles_of(MEDIA)
        for asker, other in self.all_ways():
            self.media(0)
            self.exchange(asker, other)
            wanted = [trunk, browser] if asker.browser else [browser, trunk]
            self.assertEqual([operation.to for operation in self.media(2)], wanted)
        for asker, other in self.all_ways():
            self.media(0)
            invite = asker.ask("INVITE", asker.sdp("sendonly"))
            other.answer(other.peer.request("INVITE"), 488)
            other.peer.heard("ACK")
            asker.peer.heard(488)
            asker.ack_refusal(invite)
            operations = self.media(3)
            wanted = [trunk, trunk, browser] if asker.browser else [browser, browser, trunk]
            self.assertEqual([operation.to for operation in operations], wanted)

    def test_late_offer(self) -> None:
        """The far side's offer in the 200 to a re-INVITE without one, the answer in the ACK."""
        trunk, browser = profiles_of(MEDIA)
        for asker, other in self.all_ways():
            self.media(0)
            invite = asker.ask("INVITE")
            crossed = other.peer.request("INVITE")
            other.answer(crossed, 200, other.sdp("sendrecv"))
            asker.peer.heard(200)
            asker.ack(invite, asker.sdp("sendrecv"))
            other.peer.heard("ACK")
            wanted = [browser, trunk] if asker.browser else [trunk, browser]
            self.assertEqual([operation.to for operation in self.media(2)], wanted)

    def test_other_peers(self) -> None:
        """A trunk without a word of media has what strangers have."""
        self.world = self.make_world()
        policy = self.world.context.policy
        for profile in (
            policy.profile(None),
            policy.route(self.world.browser().invite("sip:bob@pbx.example.com")).profile,
        ):
            self.assertEqual(profile.browser, False)
        self.assertEqual(policy.profile(None).media_from(BROWSER_PEER), TRUNK)
        self.assertEqual(policy.profile(None).for_browsers, BROWSER_OF_TRUNK)

    def test_where_packets_come_from(self) -> None:
        """That a trunk is behind NAT follows its own SDP, to whomever that goes (a transfer may join two trunks)."""
        behind_nat = PeerProfile.of(replace(PBX, media=TrunkMedia(nat=True)))
        trunk = PeerProfile.of(PBX)
        for sender, source in (
            (behind_nat, "learned"),
            (trunk, "signalled"),
            (UNKNOWN_PEER, "signalled"),
            (BROWSER_PEER, "browser"),
        ):
            for receiver in (behind_nat, trunk, UNKNOWN_PEER, BROWSER_PEER):
                self.assertEqual(receiver.media_from(sender).source, source)

    def test_unreachable(self) -> None:
        """A browser that is not reached is a user that is not there; on the SIP side it is the gateway's failure."""
        self.world = self.make_world()
        trunk = self.world.context.policy.profile(self.world.config.trunks[0])
        self.assertEqual(str(BROWSER_PEER.unreachable()), "480")
        for profile in (trunk, UNKNOWN_PEER):
            self.assertEqual(str(profile.unreachable()), "502 Trunk Unreachable")

    def test_kinds(self) -> None:
        """A browser is reached by its flow, with a Call-ID of its own, and answers no challenge; on the SIP side it is
        the other way round, whatever the section says."""
        trunk = PeerProfile.of(PBX)
        for profile in (BROWSER_PEER, trunk, UNKNOWN_PEER):
            browser = profile is BROWSER_PEER
            self.assertEqual((profile.flow_bound, profile.keeps_call_id), (browser, not browser))
            self.assertEqual("REGISTER" in profile.allow[1], browser)
            refusal = profile.challenge_refusal()
            self.assertEqual(None if refusal is None else refusal.status, 480 if browser else None)

    def test_for_browsers(self) -> None:
        """Digits become events, and transfers are carried out here, for browsers, where a trunk's section says so."""
        plain, wanting = PeerProfile.of(PBX), PeerProfile.of(replace(PBX, media=MEDIA, refer="local"))
        for target, sender, wanted in (
            (wanting, BROWSER_PEER, True), (wanting, wanting, False), (plain, BROWSER_PEER, False),
            (UNKNOWN_PEER, BROWSER_PEER, False), (BROWSER_PEER, BROWSER_PEER, False),
        ):  # fmt: skip
            self.assertEqual((target.wants_dtmf_events(sender), target.transfers_locally(sender)), (wanted, wanted))
