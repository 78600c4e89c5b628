"""The table of frames: what is sent and handled is in it, and nothing else."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.cluster import protocol
from webrtcproxy.cluster.protocol import FRAMES

CLUSTER = Path(protocol.__file__).parent
CONSTANTS = {frame.name.upper(): frame for frame in FRAMES}
SENT_BY_NAME = {"STOP", "DRAIN"}
"""Frames without fields that go through `WorkerProcess.command`."""


def headers() -> Iterator[tuple[str, ast.Dict, ast.expr]]:
    """Each header that a module of the cluster builds: where, the dictionary, and its ``do``."""
    for path in sorted(CLUSTER.glob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Dict):
                for key, value in zip(node.keys, node.values, strict=True):
                    if isinstance(key, ast.Constant) and key.value == "do":
                        yield f"{path.name}:{node.lineno}", node, value


class FramesTests(SynchronousTestCase):
    """The table beside the sources of cluster/."""

    def test_names(self) -> None:
        """Each kind has a constant of its name, once."""
        self.assertEqual(len(CONSTANTS), len(FRAMES))
        for name, frame in CONSTANTS.items():
            self.assertEqual(getattr(protocol, name), frame.name)
            self.assertTrue(frame.meaning.endswith("."), name)

    def test_nothing_else_is_sent(self) -> None:
        """Every header names its kind by a constant of the table, has all of its fields, and no others."""
        sent = set()
        for where, node, kind in headers():
            self.assertIsInstance(kind, ast.Name, where)
            if kind.id == "what":
                continue
            sent.add(kind.id)
            fields = {key.value for key in node.keys if isinstance(key, ast.Constant)} - {"do", "to"}
            required = {field for field in CONSTANTS[kind.id].fields if not field.endswith("?")}
            self.assertEqual(fields, required, where)
        self.assertEqual(CONSTANTS.keys() - sent, SENT_BY_NAME)

    def test_everything_is_handled(self) -> None:
        """The worker or the hub knows what to do with each kind: none is sent in vain."""
        texts = {name: (CLUSTER / name).read_text() for name in ("hub.py", "worker.py")}
        for name, frame in CONSTANTS.items():
            known = name in ("INTEND", "BIND", "UNBIND", "REGISTERED") or any(
                f"{name}:" in text or f"what == {name}" in text for text in texts.values()
            )
            self.assertTrue(known, f"{name} {frame.direction}")
