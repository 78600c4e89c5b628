"""Media that a browser wants to have carried together (BUNDLE, RFC 9143), where rtpengine carries each by itself.

Chromium with ``bundlePolicy: "max-bundle"`` takes no description without a group. A group of one medium is true with
any rtpengine, but not harmless: what the browser adds later then shares the transport of that medium, which is in the
group, and the answer can't move it out (RFC 9143 section 7.3.2). Such media are *joined*. They are answered as carried
together, and inactive, so that nothing is sent there; an offer to the browser then moves them out of the group (section
7.5.2), with a transport of their own, which Chromium accepts whatever its policy.

Firefox takes a description without a group, and refuses such an offer ("Partial ICE restart is unsupported"). But what
it adds has a transport of its own unless the answer joins it, and it is not told of a group in an answer unless it has
agreed to one in an offer. Only what it offers as ``bundle-only`` can't be carried, and is refused.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from webrtcproxy.sip.sdp.attributes import TRANSPORT
from webrtcproxy.sip.sdp.description import DISCARD_PORT, Attribute, Description, Media

_ICE = ("ice-ufrag", "ice-pwd")
_DOCUMENTATION = {"0.0.0.0": "192.0.2.1", "::": "2001:db8::1"}  # noqa: S104 - addresses that nobody has
_OF_TRANSPORT = frozenset((*TRANSPORT, "rtcp-mux", "rtcp-mux-only"))
_FOUND = ("candidate", "end-of-candidates")
_NOT_OF_JOINED = frozenset(("bundle-only", *_FOUND))
_NOT_OF_NEW = frozenset(("ice-options", *_ICE, *_NOT_OF_JOINED))


def groups_in(description: Description) -> list[list[str]]:
    """The mids of each group."""
    return [value.split()[1:] for name, value in description.attributes if name == "group"]


def find_joined(offer: Description, tags: Collection[str] | None) -> None:
    """Mark the media of a browser's offer that are joined: they have no transport but that of another one. None of
    Firefox is marked.

    They get the discard port, and no candidates. With the port 0 of those that stand as ``bundle-only`` rtpengine would
    take them for refused. Of candidates that belong to a transport that is lost, rtpengine (10.5) keeps all, and drops
    those of the next transport, which have the same foundations in Chromium.

    In the first offer they have no ICE at all. With credentials that are not theirs, the answer that moves them would
    seem to restart ICE, which makes rtpengine the controlling one for them alone. But a browser has one role for all
    its media, and changes that of all with each conflict that rtpengine reports (RFC 8445 section 7.3.1.1). In a later
    offer the credentials are needed, since rtpengine forgets the ways to the lost transport for no other reason: where
    the browser has made the first offer, the conflict remains, and the medium that is joined again may fail.

    :param tags: the mids of the first medium of each group that the browser was told last; None where it was told
        nothing as yet. In its first offer a medium has a transport of its own where it has candidates of its own.
    """
    if offer.of_firefox:
        return
    by_mid = {media.mid: media for media in offer.media if media.mid and not media.is_refused}
    for group in groups_in(offer):
        there = [mid for mid in group if mid in by_mid]
        first = by_mid[_tag(there, tags)] if there else None
        for media in map(by_mid.__getitem__, there):
            if first is None or media is first or not _shares_ice(media, first):
                continue
            if media.has("bundle-only") or _is_joined(media, first, tags):
                media.joined = True
                media.port = DISCARD_PORT
                dropped = _NOT_OF_JOINED
                if tags is None:
                    media.address = _DOCUMENTATION.get(first.address, first.address)  # 0.0.0.0 without ICE is a hold
                    dropped = _NOT_OF_NEW
                media.attributes = [each for each in media.attributes if each[0] not in dropped]


def _is_joined(media: Media, first: Media, tags: Collection[str] | None) -> bool:
    if tags is None:
        return first.has("candidate") and not media.has("candidate")
    return first.mid in tags


def _shares_ice(media: Media, first: Media) -> bool:
    own, its = dict(media.attributes), dict(first.attributes)
    return all(own.get(name) == its.get(name) for name in _ICE)


def with_other_peers(offer: Description) -> Description | None:
    """The offer as if what is joined were of another peer, with a fingerprint of nobody; None where nothing is joined.

    What a browser has joined has lost the transport of its own that it may have had, and gets another one. rtpengine
    gives up a DTLS association for no other reason than another fingerprint (10.5).
    """
    if not any(media.joined for media in offer.media):
        return None
    media = [
        replace(each, attributes=[*map(_of_another, each.attributes)]) if each.joined else each for each in offer.media
    ]
    return replace(offer, media=media)


def _of_another(attribute: Attribute) -> Attribute:
    name, value = attribute
    if name != "fingerprint":
        return attribute
    algorithm, _, octets = value.partition(" ")
    first, colon, rest = octets.partition(":")
    return name, f"{algorithm} {int(first, 16) ^ 0xFF:02X}{colon}{rest}"


def answer_groups(answer: Description, offer: Description, tags: Collection[str] | None) -> Description:
    """The answer to a browser with the groups that it has to have, and what is joined as it has to be.

    :param answer: each medium with a transport of its own; unchanged.
    :param offer: of the browser, as `find_joined` has left it.
    :param tags: as there.
    """
    given = {media.mid: media for media in answer.media if media.mid and media.is_usable}
    joined = {media.mid for media in offer.media if media.joined}
    named: list[list[str]] = []
    for group in groups_in(offer):
        there = [mid for mid in group if mid in given]
        if not there:
            continue
        tag = _tag(there, tags)
        members = [mid for mid in there if mid in joined and mid != tag]
        if members or (len(there) == 1 and not offer.of_firefox) or tag in (tags or ()):
            named.append([tag, *members])
            given.update({mid: _with_transport_of(given[mid], given[tag]) for mid in members})
    if not named:
        return answer
    media = [given[each.mid] if each.is_usable and each.mid else each for each in answer.media]
    return Description(media, [*map(_group, named), *answer.attributes], answer.bandwidths)


def offer_group(offer: Description, tags: Collection[str] | None) -> Description:
    """An offer to a browser with a group of one medium: the only one, or that which is in the group.

    A first offer of several media has none. Only a browser with "max-bundle" would need it, and refuses the offer; all
    others would join the further media with their next offer, and those have to be moved again after each.

    :param offer: each medium with a transport of its own; unchanged.
    :param tags: the first medium of each group that the browser was told last; None where it was told nothing as yet.
        It is told of none where it has agreed to none.
    """
    there = [media.mid for media in offer.media if media.mid and media.is_usable]
    if not there or (len(there) > 1 if tags is None else not tags):
        return offer
    named = [mid for mid in there if mid in (tags or ())] or there[:1]
    return replace(offer, attributes=[*(_group([mid]) for mid in named), *offer.attributes])


def _tag(there: list[str], tags: Collection[str] | None) -> str:
    """The mid of the medium whose transport a group has (RFC 9143 section 7.3.1): the same as before, or the first."""
    return next((mid for mid in there if mid in (tags or ())), there[0])


def _group(mids: list[str]) -> Attribute:
    return "group", " ".join(["BUNDLE", *mids])


def _with_transport_of(media: Media, first: Media) -> Media:
    """A medium as it is carried with another one, and nothing is sent. It has no candidates then (RFC 9143 section
    10.1)."""
    own = [each for each in media.attributes if each[0] not in _OF_TRANSPORT]
    shared = [each for each in first.attributes if each[0] in _OF_TRANSPORT and each[0] not in _FOUND]
    return replace(media, port=first.port, address=first.address, direction="inactive", attributes=own + shared)
