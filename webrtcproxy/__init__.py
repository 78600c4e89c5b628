"""A gateway between browsers (SIP over WebSocket, DTLS-SRTP) and SIP trunks, on Twisted and rtpengine."""

__version__ = "0.2.0"
