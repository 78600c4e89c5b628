"""The directive ``webrtcproxy-options``: the reference of all options, made of their declarations."""

from __future__ import annotations

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective
from sphinx.util.typing import ExtensionMetadata

from webrtcproxy.config import reference


class Options(SphinxDirective):
    """Stands for a heading and a table for each section."""

    def run(self) -> list[nodes.Node]:
        return self.parse_text_to_nodes("\n".join(reference.reference()), allow_section_headings=True)


def setup(app: Sphinx) -> ExtensionMetadata:
    """Register the directive."""
    app.add_directive("webrtcproxy-options", Options)
    return {"parallel_read_safe": True}
