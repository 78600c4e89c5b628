"""A Python package that is missing, as after an update: one line says which, and the remedy."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from webrtcproxy.packages import DISTRIBUTIONS, refusal

ROOT = Path(__file__).parents[1]
TWISTD = "from twisted.scripts.twistd import run; sys.argv = ['twistd', 'webrtcproxy', '--check', '-c', 'x']; run()"
COMMAND = "import runpy; sys.argv = ['webrtcproxy', '--help']; runpy.run_module('webrtcproxy', run_name='__main__')"


class StartTests(SynchronousTestCase):
    """What is started, in a process of its own."""

    def test_missing(self) -> None:
        """twistd and the command exit with 1 and one line that names the package and what to run; no traceback."""
        cases = (
            (TWISTD, "jwt", "pyjwt"),
            (TWISTD, "OpenSSL.SSL", "pyopenssl"),
            (TWISTD, "autobahn", "autobahn"),
            (COMMAND, "jwt", "pyjwt"),
        )
        for start, module, package in cases:
            hidden = f"import sys; sys.modules[{module!r}] = None; {start}"
            result = subprocess.run(
                (sys.executable, "-c", hidden), cwd=ROOT, capture_output=True, text=True, timeout=60, check=False
            )
            self.assertEqual((result.returncode, result.stdout), (1, ""), result.stderr)
            (line,) = result.stderr.splitlines()
            self.assertTrue(line.startswith(f"webrtcproxy: the Python package {package} is missing"), line)
            self.assertIn(f"{sys.executable} -m pip install --upgrade {package}", line)


class RefusalTests(SynchronousTestCase):
    """What is said."""

    def test_package(self) -> None:
        """A package is named as it is installed; one that webrtcproxy's packages need, as it is imported."""
        for module, package in (*DISTRIBUTIONS.items(), ("zope.interface", "zope.interface"), ("txaio.tx", "txaio")):
            told = str(refusal(ModuleNotFoundError(f"No module named {module!r}", name=module)))
            self.assertIn(f"the Python package {package} is missing or too old: No module named {module!r};", told)

    def test_too_old(self) -> None:
        """So is one without a name that is imported from it. What Python says becomes one line."""
        told = str(refusal(ImportError("cannot import name 'PyJWS'\nfrom 'jwt'", name="jwt")))
        self.assertIn("pyjwt is missing or too old: cannot import name 'PyJWS' from 'jwt'; install", told)

    def test_own_mistake(self) -> None:
        """A module of webrtcproxy that can't be imported is a mistake in it, and keeps its traceback."""
        for name in ("webrtcproxy", "webrtcproxy.sip.nothing", None):
            error = ImportError("no", name=name)
            self.assertIs(refusal(error), error)
