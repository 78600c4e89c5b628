"""What twistd loads for ``twistd webrtcproxy``: `Options` and `makeService` of ``service.py``."""

from webrtcproxy.packages import refusal

try:
    from webrtcproxy.service import Options, makeService
except ImportError as error:
    raise refusal(error) from error

__all__ = ["Options", "makeService"]
