"""The part of the build that setup.cfg can't say: with WEBRTCPROXY_COMPILE=1 in the environment, the modules on the way
of a call are compiled by mypyc. The sources stay the reference; what is compiled behaves the same, at two thirds of the
CPU time. With WEBRTCPROXY_COMPILE=quick the compiler does not optimize: for tests."""

import os
from configparser import ConfigParser
from pathlib import Path

from setuptools import setup

COMPILED = [
    "webrtcproxy/sip/*.py",
    "webrtcproxy/sip/sdp/*.py",
    "webrtcproxy/runtime/batching.py",
    "webrtcproxy/runtime/deferred.py",
    "webrtcproxy/runtime/errors.py",
    "webrtcproxy/runtime/ids.py",
    "webrtcproxy/runtime/schedule.py",
    "webrtcproxy/transaction/*.py",
    "webrtcproxy/access/caller.py",
    "webrtcproxy/access/calls.py",
    "webrtcproxy/access/control.py",
    "webrtcproxy/access/guard.py",
    "webrtcproxy/access/identity.py",
    "webrtcproxy/access/limits.py",
    "webrtcproxy/access/login_queue.py",
    "webrtcproxy/access/numbers.py",
    "webrtcproxy/access/open_challenges.py",
    "webrtcproxy/access/proofs.py",
    "webrtcproxy/access/rates.py",
    "webrtcproxy/access/relayed_login.py",
    "webrtcproxy/access/rules.py",
    "webrtcproxy/access/scanners.py",
    "webrtcproxy/routing/*.py",
    "webrtcproxy/registration/*.py",
    "webrtcproxy/dialog/*.py",
    "webrtcproxy/session/*.py",
    "webrtcproxy/invite/*.py",
    "webrtcproxy/transfer/*.py",
    "webrtcproxy/subscription/*.py",
    "webrtcproxy/call/*.py",
    "webrtcproxy/cluster/directory.py",
    "webrtcproxy/cluster/referred.py",
    "webrtcproxy/media/bencode.py",
    "webrtcproxy/media/branch_tags.py",
    "webrtcproxy/media/crossing.py",
    "webrtcproxy/media/operations.py",
    "webrtcproxy/media/profile.py",
    "webrtcproxy/media/session.py",
    "webrtcproxy/transport/source.py",
    "webrtcproxy/transport/wss/frame.py",
]


def needed():
    """What compiling needs where pip builds in isolation: the compiler, and all that the modules import."""
    setup_cfg = ConfigParser()
    setup_cfg.read_string(Path("setup.cfg").read_text())
    imported = setup_cfg["options"]["install_requires"].split("\n")
    return ["mypy[mypyc]", "mypy-zope", "types-setuptools", *filter(None, imported)]


how = os.environ.get("WEBRTCPROXY_COMPILE", "")
wanted = how not in ("", "0")
modules = []
if wanted:
    try:
        from mypyc.build import mypycify
    except ImportError:  # while pip asks what the build needs
        pass
    else:
        files = [file for pattern in COMPILED for file in sorted(map(str, Path().glob(pattern)))]
        modules = mypycify(["--strict", *files], opt_level="0" if how == "quick" else "2")

setup(ext_modules=modules, setup_requires=needed() if wanted else [])
