"""Says which page to open once the proxy answers, or why it has ended before that.

Usage: demo_wait.py PORT PID, with the process that is or becomes the proxy; 0 only looks whether the port is free.
"""

import os
import socket
import sys
import time
from pathlib import Path

LOG = Path("run/demo.log")


def answers(port: int) -> bool:
    """True where something listens on `port` of this machine."""
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


def lives(process: int) -> bool:
    """True until the process has ended."""
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def main(port: int, proxy: int) -> str | None:
    """Wait for one or the other.

    :returns: what went wrong, or None.
    """
    if proxy == 0:
        return f"Port {port} is taken: end what uses it, or change it in etc/demo.ini" if answers(port) else None
    while not answers(port):
        time.sleep(0.2)
        if not lives(proxy):
            last = LOG.read_text().splitlines()[-1:] if LOG.exists() else []
            return "\n".join([*last, "The proxy has ended; run/demo.log tells more"])
    sys.stdout.write(f"Open https://localhost:{port}/ and accept its certificate; Ctrl-C ends the demo\n")
    return None


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), int(sys.argv[2])))
