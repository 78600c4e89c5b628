"""MediaNode: one rtpengine, as ``[rtpengine] nodes`` names it."""

from __future__ import annotations

from typing import NamedTuple

from webrtcproxy.config.addresses import HostPort
from webrtcproxy.config.ini import Section

NG_PORT = 22222
"""The default port."""

MAX_WEIGHT = 100

_DRAIN, _WEIGHT = "drain", "weight="


class MediaNode(NamedTuple):
    """Where a node is, and what it takes.

    :ivar host: an IP address or a name.
    :ivar port: of its ``--listen-ng``.
    :ivar weight: its share of the new sessions, compared with other nodes.
    :ivar drained: whether it takes no new sessions.
    """

    host: str
    port: int = NG_PORT
    weight: int = 1
    drained: bool = False

    def __str__(self) -> str:
        return str(HostPort(self.host, self.port))

    @classmethod
    def parse(cls, text: str) -> MediaNode:
        """Parse ``host:port``, perhaps with ``weight=N`` and ``drain`` after it.

        :raises ValueError: says what is wrong.
        """
        address, *options = text.split()
        host, port = HostPort.parse(address)
        weights = [each.removeprefix(_WEIGHT) for each in options if each != _DRAIN]
        if len(weights) > 1 or options.count(_DRAIN) > 1:
            raise ValueError("one of its options is there twice")
        weight = weights[0] if weights else "1"
        if not (weight.isascii() and weight.isdigit() and 1 <= int(weight[:4]) <= MAX_WEIGHT):
            raise ValueError(f"a weight is 1 to {MAX_WEIGHT}")
        return cls(host, port or NG_PORT, int(weight), _DRAIN in options)


def read_nodes(section: Section, key: str, remedy: str) -> tuple[MediaNode, ...]:
    """The nodes of a setting, in which the options of a node follow its address.

    :raises ConfigError: one is wrong, or all are drained.
    """
    texts: list[str] = []
    for word in section.words(key, remedy):
        if texts and (word == _DRAIN or word.startswith(_WEIGHT)):
            texts[-1] += f" {word}"
        else:
            texts.append(word)
    nodes = section.parsed(key, remedy, texts, MediaNode.parse)
    if all(node.drained for node in nodes):
        raise section.error(key, "each of them is drained, and no call could have media", "leave one without drain")
    return nodes
