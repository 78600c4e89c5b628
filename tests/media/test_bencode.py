"""Bencode: what we write can be read, and what we read on the short way is what bencodepy reads."""

from __future__ import annotations

import bencodepy
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.media import bencode, decoder
from webrtcproxy.media.bencode import MalformedReply, NgValue, Reply, from_bencode, to_bencode, to_items

often = settings(derandomize=True, database=None, deadline=None, max_examples=150)

OCTETS = st.binary(max_size=12)
VALUES = st.recursive(
    OCTETS | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(OCTETS, inner), max_leaves=4
)
NOISE = st.text("de0123456789:il-_ +\xff", max_size=40).map(lambda text: text.encode("latin-1"))


def by_bencodepy(data: bytes) -> Reply | None:
    """What bencodepy reads; None where it is no dictionary."""
    try:
        read = decoder.decode(data)
    except bencodepy.BencodeDecodeError:
        return None
    return read if isinstance(read, dict) else None


def ours(data: bytes) -> Reply | None:
    """What is read here; None for MalformedReply."""
    try:
        return from_bencode(data)
    except MalformedReply:
        return None


class Reading(SynchronousTestCase):
    """`from_bencode`, of which most replies see the short way only."""

    def assert_same(self, data: bytes) -> None:
        """Whichever way is taken, the outcome is bencodepy's."""
        self.assertEqual(ours(data), by_bencodepy(data), data)
        self.assertIn(bencode._strings(data), (None, by_bencodepy(data)), data)

    def test_malformed(self) -> None:
        """Whatever comes instead of a dictionary ends in MalformedReply, and soon."""
        for data in (
            b"", b"x", b"d", b"le", b"i1e", b"4:pong", b"d6:result4:pong", b"d6:result4:ponge4:more",
            b"d6:result9:ponge", b"d1:ai1e-6:e", b"d1:al-2:e", b"l-3:e", b"d" * 100_000, b"l" * 5000,
            b"di1ei2ee", b"d1:a\xffe",
        ):  # fmt: skip
            with self.assertRaises(MalformedReply, msg=repr(data[:40])):
                from_bencode(data)

    def test_short_way(self) -> None:
        """Replies of rtpengine that have nothing but strings are read without bencodepy: empty ones, keys in any order,
        the last of two equal keys, digits and ends within strings."""
        for data, read in (
            (b"de", {}),
            (b"d6:result4:ponge", {b"result": b"pong"}),
            (b"d3:sdp9:v=0\r\no=e\n6:result2:oke", {b"sdp": b"v=0\r\no=e\n", b"result": b"ok"}),
            (b"d0:0:1:a1:ee", {b"": b"", b"a": b"e"}),
            (b"d1:a2:de3:b:c4:1:xee", {b"a": b"de", b"b:c": b"1:xe"}),
            (b"d1:a1:b1:a1:ce", {b"a": b"c"}),
            (b"d1:a100000:%be" % (b"x" * 100_000), {b"a": b"x" * 100_000}),
        ):
            self.assertEqual(bencode._strings(data), read, data[:40])
            self.assert_same(data)

    def test_long_way(self) -> None:
        """Anything else is bencodepy's: numbers, lists, dictionaries, lengths of seven digits, what is broken."""
        for data in (
            b"d1:ai1ee", b"d1:ale1:bi-5ee", b"d1:ad1:bi0eee", b"d1:a1000000:%be" % bytes(1_000_000), b"",
            b"d", b"e", b"dd", b"le", b"4:ponge", b"d1:ae", b"d1:a1:b", b"d1:a1:be ", b" d1:a1:be", b"d1:a1:b1:ce",
            b"d1:a2:be", b"d1:a0:be", b"d1:a1:b:e", b"d:1:ae", b"d-1:ae", b"d+1:a1:be", b"d 1:a1:be",
            b"d1_0:aaaaaaaaaa1:be", b"d1:a\xb21:be", b"d01:a1:be", b"d1:a00:e", b"d1:a01:be",
            b"d1:a9999999:be", b"d1:a1:bee",
        ):  # fmt: skip
            self.assertIsNone(bencode._strings(data), data[:40])
            self.assert_same(data)

    def test_cut_anywhere(self) -> None:
        """A reply that lacks its end, or has more after it, is malformed."""
        whole = b"d3:sdp12:v=0\r\no=- e\r\n6:result2:oke"
        for end in range(len(whole)):
            self.assertIsNone(ours(whole[:end]), whole[:end])
            self.assertIsNone(ours(whole + whole[: end + 1]))
        self.assertIsNotNone(ours(whole))

    @often
    @given(st.dictionaries(OCTETS, OCTETS | st.integers()))
    def test_any_reply(self, reply: Reply) -> None:
        """What bencodepy has written is read as it was."""
        data = bencodepy.encode(reply)
        self.assertEqual(from_bencode(data), reply)
        if all(isinstance(value, bytes) for value in reply.values()):
            self.assertEqual(bencode._strings(data), reply)

    @often
    @given(st.dictionaries(OCTETS, VALUES, max_size=4), st.data())
    def test_any_change(self, reply: Reply, data: st.DataObject) -> None:
        """An octet more, less, or another one: the outcome is bencodepy's."""
        octets = bencodepy.encode(reply)
        at = data.draw(st.integers(0, len(octets)))
        there = data.draw(NOISE.filter(lambda noise: len(noise) < 3))
        self.assert_same(octets[:at] + there + octets[at + data.draw(st.integers(0, 2)) :])

    @often
    @given(st.binary() | NOISE | NOISE.map(lambda noise: b"d" + noise + b"e"))
    def test_anything(self, data: bytes) -> None:
        """For any octets the outcome is bencodepy's."""
        self.assert_same(data)


class Writing(SynchronousTestCase):
    """`to_bencode` for a whole dictionary, `to_items` for a part of one."""

    def test_lengths_are_bytes(self) -> None:
        """Strings are counted in bytes: UTF-8 SDP survives."""
        sdp = "s=Ünïcode ☎\r\n"
        self.assertEqual(to_bencode({"sdp": sdp}), b"d3:sdp%d:%be" % (len(sdp.encode()), sdp.encode()))
        self.assertEqual(from_bencode(to_bencode({"sdp": sdp})), {b"sdp": sdp.encode()})

    def test_all_kinds_of_values(self) -> None:
        """Lists, dictionaries, numbers and bytes go over the wire."""
        self.assertEqual(
            from_bencode(to_bencode({"flags": ["a", b"\xff"], "delay": 0, "codec": {"strip": ["opus"]}})),
            {b"flags": [b"a", b"\xff"], b"delay": 0, b"codec": {b"strip": [b"opus"]}},
        )

    def test_items(self) -> None:
        """Items, joined with others, are the dictionary of all fields."""
        first: dict[str, NgValue] = {"sdp": b"v=0\r\n", "from-tag": b"\xff:e", "empty": b"", "command": "offer"}
        second: dict[str, NgValue] = {"flags": ["a", "b"], "delete delay": 0, "x": {"y": [b"z", 1]}, "name": "\u00fc"}
        joined = b"d" + to_items(first) + to_items({}) + to_items(second) + b"e"
        self.assertEqual(from_bencode(joined), from_bencode(to_bencode({**first, **second})))
        self.assertEqual(to_items({"sdp": b"v=0"}), b"3:sdp3:v=0")

    @often
    @given(st.dictionaries(st.text("abz -", min_size=1), VALUES | st.text(), max_size=4))
    def test_any_items(self, fields: dict[str, NgValue]) -> None:
        """The same for any fields."""
        self.assertEqual(from_bencode(b"d" + to_items(fields) + b"e"), from_bencode(to_bencode(fields)))
