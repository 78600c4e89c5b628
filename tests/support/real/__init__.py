"""Real parts for the tests in tests/integration and tests/browser: started on free ports, watched, ended by their pid.

Nothing here is skipped where a part is missing: a test that cannot start rtpengine, kamailio, sipp, baresip or chromium
fails.

RTPENGINE in the environment is the path of another rtpengine than the system's, such as one of ``etc/rtpengine.sh``.
Whatever a test starts finds that one.
"""

import os
from pathlib import Path


def find_first(program: str) -> None:
    """Have `program`, the path of an executable file, found first by its name, by this process and its children.

    :raises FileNotFoundError: there is none.
    """
    path = Path(program).resolve()
    if not os.access(path, os.X_OK):
        raise FileNotFoundError(f"there is no program {program}")
    folder = str(path.parent)
    if os.environ["PATH"].split(os.pathsep)[0] != folder:
        os.environ["PATH"] = os.pathsep.join((folder, os.environ["PATH"]))


if os.environ.get("RTPENGINE"):
    find_first(os.environ["RTPENGINE"])
