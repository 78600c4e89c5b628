"""Sphinx configuration: ``sh etc/docs.sh`` builds the pages, with every warning an error."""

import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parent
sys.path[:0] = [str(ROOT), str(HERE / "_ext")]

from webrtcproxy import __version__  # noqa: E402

project = "webrtcproxy"
copyright = "The webrtcproxy developers"
version = release = __version__
extensions = ["options", "states"]
exclude_patterns = ["_ext"]
nitpicky = True
html_theme = "furo"
html_title = f"webrtcproxy {version}"
html_copy_source = False
html_css_files = ["tables.css"]
html_static_path = ["_static"]
