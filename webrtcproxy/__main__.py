"""``webrtcproxy``, also ``python -m webrtcproxy``: the command for administrators."""

import sys

from webrtcproxy.packages import refusal

try:
    from webrtcproxy.command import main
except ImportError as error:
    raise refusal(error) from error

if __name__ == "__main__":
    sys.exit(main())
