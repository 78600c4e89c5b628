"""What makes ``twistd webrtcproxy`` known."""

from twisted.application.service import ServiceMaker

webrtcproxy = ServiceMaker(
    "webrtcproxy",
    "webrtcproxy.tap",
    "Let browsers call through a SIP trunk or PBX: SIP over WebSocket to SIP over UDP, TCP or TLS.",
    "webrtcproxy",
)
