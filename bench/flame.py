"""Stacks that were sampled, and a flame graph of them: wide is what takes long, above it what it calls."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import NamedTuple

Stack = tuple[str, ...]
"""Frames from the outermost to the innermost: ``function (file:line)``, or ``function (library)``."""

WIDTH, HEIGHT = 1600, 17
"""Of the graph, and of one frame, in pixels."""
LETTER = 6.6
"""The width of one."""
NARROWEST = 0.4
COLOURS = {"ours": "#f4a261", "python": "#a8c5da", "native": "#c9c9c9"}


@dataclass(frozen=True, slots=True)
class Stacks:
    """How many samples had which stack. What all of them begin with is left out."""

    counts: Counter[Stack]

    @property
    def total(self) -> int:
        """Samples."""
        return self.counts.total()

    @classmethod
    def read(cls, text: str) -> Stacks:
        """Stacks as py-spy writes them, a line each; frames without a name are left out."""
        counts: Counter[Stack] = Counter()
        for line in text.splitlines():
            frames, _, count = line.rpartition(" ")
            stack = tuple(frame for frame in frames.split(";") if not frame.startswith("0x"))
            counts[stack] += int(count)
        shared = _shared(counts)
        return cls(Counter({stack[shared:]: count for stack, count in counts.items()}))


def _shared(counts: Counter[Stack]) -> int:
    """How many frames all stacks have in common; each keeps one at least."""
    depth = 0
    for frames in zip(*counts, strict=False):
        if len(set(frames)) > 1:
            break
        depth += 1
    return min(depth, *(len(stack) - 1 for stack in counts)) if counts else 0


def is_ours(frame: str) -> bool:
    """Whether a frame is the proxy's own."""
    return "(webrtcproxy/" in frame


def place(frame: str) -> str:
    """The package that a frame is of: ``webrtcproxy/sip``, ``twisted``, ``libc.so.6``."""
    parts = frame.rpartition("(")[2].rstrip(")").partition(":")[0].split("/")
    return "/".join(parts[:2]) if is_ours(frame) else parts[0]


class Box(NamedTuple):
    """One frame in the graph: its place and width in samples."""

    frame: str
    depth: int
    start: int
    width: int


def boxes(stacks: Stacks) -> Iterator[Box]:
    """The frames of the graph: neighbours with the same frame on the same ground are one."""
    open_boxes: list[Box] = []
    start = 0
    for stack, count in sorted(stacks.counts.items()):
        depth = 0
        while depth < min(len(stack), len(open_boxes)) and open_boxes[depth].frame == stack[depth]:
            depth += 1
        while len(open_boxes) > depth:
            box = open_boxes.pop()
            yield box._replace(width=start - box.start)
        open_boxes += [Box(frame, level, start, 0) for level, frame in enumerate(stack) if level >= depth]
        start += count
    while open_boxes:
        box = open_boxes.pop()
        yield box._replace(width=start - box.start)


def svg(stacks: Stacks, title: str) -> str:
    """The graph. A frame tells its name and share where the mouse is over it."""
    found = list(boxes(stacks))
    height = (max((box.depth for box in found), default=0) + 3) * HEIGHT
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="monospace" '
            'font-size="11">',
            f'<text x="4" y="{HEIGHT}">{escape(title)}: {stacks.total} samples</text>',
            *(line for box in found if (line := _drawn(box, stacks.total, height))),
            "</svg>\n",
        ]
    )


def _drawn(box: Box, total: int, height: int) -> str:
    width = box.width * WIDTH / total
    if width < NARROWEST:
        return ""
    left, top = box.start * WIDTH / total, height - (box.depth + 1) * HEIGHT
    name, letters = box.frame, int((width - 4) / LETTER)
    label = escape(name if len(name) <= letters else name[: letters - 2] + "..") if letters > 4 else ""
    return (
        f'<g><title>{escape(name)}: {box.width / total * 100:.2f} %</title><rect x="{left:.1f}" y="{top}" '
        f'width="{width:.1f}" height="{HEIGHT - 1}" fill="{COLOURS[_kind(name)]}"/>'
        f'<text x="{left + 2:.1f}" y="{top + 12}">{label}</text></g>'
    )


def _kind(frame: str) -> str:
    if is_ours(frame):
        return "ours"
    return "python" if ".py:" in frame or "(<string>:" in frame else "native"
