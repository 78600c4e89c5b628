"""bench/flame.py and the tables of bench/profiling.py: what is made of sampled stacks."""

from xml.etree import ElementTree

from twisted.trial.unittest import SynchronousTestCase

from bench.flame import Box, Stacks, boxes, place, svg
from bench.profiling import tables

SAMPLED = """\
0x7f95 (libc.so.6);run (twisted/base.py:1);read (webrtcproxy/sip/message.py:5) 3
0x7f95 (libc.so.6);run (twisted/base.py:1);read (webrtcproxy/sip/message.py:5);<lambda> (webrtcproxy/sip/uri.py:7) 1
run (twisted/base.py:1);send (webrtcproxy/transport/udp.py:9);sendto (libc.so.6) 4
"""
READ, LAMBDA = "read (webrtcproxy/sip/message.py:5)", "<lambda> (webrtcproxy/sip/uri.py:7)"
SEND, SENDTO = "send (webrtcproxy/transport/udp.py:9)", "sendto (libc.so.6)"


class FlameTests(SynchronousTestCase):
    """Stacks and what is drawn of them."""

    def test_read(self) -> None:
        """Frames without a name are left out, and so is what all stacks begin with."""
        stacks = Stacks.read(SAMPLED)
        self.assertEqual(stacks.counts, {(READ,): 3, (READ, LAMBDA): 1, (SEND, SENDTO): 4})
        self.assertEqual(stacks.total, 8)

    def test_shared_keeps_one(self) -> None:
        """Where all stacks are the same, their last frame stays."""
        self.assertEqual(Stacks.read("a (x.py:1);b (x.py:2) 5\n").counts, {("b (x.py:2)",): 5})
        self.assertEqual(Stacks.read("").counts, {})

    def test_boxes(self) -> None:
        """Neighbours with the same frame on the same ground are one box, as wide as their samples."""
        self.assertEqual(
            sorted(boxes(Stacks.read(SAMPLED))),
            [Box(LAMBDA, 1, 3, 1), Box(READ, 0, 0, 4), Box(SEND, 0, 4, 4), Box(SENDTO, 1, 4, 4)],
        )

    def test_svg(self) -> None:
        """The graph is well-formed, and names are quoted."""
        graph = ElementTree.fromstring(svg(Stacks.read(SAMPLED), "a < b"))
        space = "{http://www.w3.org/2000/svg}"
        titles = {title.text for title in graph.iter(space + "title")}
        self.assertEqual(titles, {f"{READ}: 50.00 %", f"{LAMBDA}: 12.50 %", f"{SEND}: 50.00 %", f"{SENDTO}: 50.00 %"})

    def test_place(self) -> None:
        """The proxy is told by folder, libraries as a whole."""
        self.assertEqual(
            [place(frame) for frame in (READ, SEND, SENDTO)], ["webrtcproxy/sip", "webrtcproxy/transport", "libc.so.6"]
        )
        self.assertEqual(place("encode (bencodepy/encoder.py:3)"), "bencodepy")

    def test_tables(self) -> None:
        """Shares are of all samples; a function that is in a stack twice counts once there."""
        text = tables(Stacks.read(SAMPLED + f"run (twisted/base.py:1);{READ};{LAMBDA};{READ} 2\n"))
        self.assertIn("60.0 %  " + READ, text.partition("with what it calls")[2])
        self.assertIn("40.0 %  libc.so.6", text)
        self.assertIn("50.0 %  " + READ, text)
