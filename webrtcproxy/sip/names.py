"""The registered names of SIP: header names, their compact forms, which of them are lists; reason phrases (IANA)."""

from __future__ import annotations

COMPACT = {
    "a": "Accept-Contact",
    "b": "Referred-By",
    "c": "Content-Type",
    "d": "Request-Disposition",
    "e": "Content-Encoding",
    "f": "From",
    "i": "Call-ID",
    "j": "Reject-Contact",
    "k": "Supported",
    "l": "Content-Length",
    "m": "Contact",
    "n": "Identity-Info",
    "o": "Event",
    "r": "Refer-To",
    "s": "Subject",
    "t": "To",
    "u": "Allow-Events",
    "v": "Via",
    "x": "Session-Expires",
    "y": "Identity",
}

_lists = """
    Accept Accept-Contact Accept-Encoding Accept-Language Accept-Resource-Priority Alert-Info Allow Allow-Events
    Call-Info Contact Content-Encoding Content-Language Diversion Error-Info Feature-Caps Geolocation History-Info
    In-Reply-To P-Access-Network-Info P-Asserted-Identity P-Associated-URI P-Early-Media P-Media-Authorization
    P-Preferred-Identity P-Visited-Network-ID Path Permission-Missing Proxy-Require Reason Record-Route Recv-Info
    Reject-Contact Remote-Party-ID Request-Disposition Require Resource-Priority Route Security-Client
    Security-Server Security-Verify Service-Route Supported Trigger-Consent Unsupported User-to-User Via Warning
"""
_others = """
    Additional-Identity AlertMsg-Error Answer-Mode Attestation-Info Authentication-Info Authorization CSeq Call-ID
    Cellular-Network-Info Content-Disposition Content-ID Content-Length Content-Type DC-Info Date Encryption Event
    Expires Flow-Timer From Geolocation-Error Geolocation-Routing Hide Identity Identity-Info Info-Package Join
    MIME-Version Max-Breadth Max-Forwards Min-Expires Min-SE Organization Origination-Id P-Answer-State
    P-Asserted-Service P-Called-Party-ID P-Charge-Info P-Charging-Function-Addresses P-Charging-Vector
    P-DCS-Billing-Info P-DCS-LAES P-DCS-OSPS P-DCS-Redirect P-DCS-Trace-Party-ID P-Preferred-Service
    P-Private-Network-Indication P-Profile-Key P-Refused-URI-List P-Served-User P-User-Database Policy-Contact
    Policy-ID Priority Priority-Share Priority-Verstat Priv-Answer-Mode Privacy Proxy-Authenticate
    Proxy-Authentication-Info Proxy-Authorization RAck RPID-Privacy RSeq Refer-Events-At Refer-Sub Refer-To
    Referred-By Relayed-Charge Replaces Reply-To Resource-Share Response-Key Response-Source Restoration-Info
    Retry-After SIP-ETag SIP-If-Match Server Service-Interact-Info Session-Expires Session-ID Subject
    Subscription-State Suppress-If-Match Target-Dialog Timestamp To User-Agent WWW-Authenticate
"""

LISTS = frozenset(_lists.split())
"""Headers whose value is a comma list, equivalent to several headers (RFC 3261 section 7.3.1)."""

REQUIRED = ("Via", "From", "To", "Call-ID", "CSeq")
"""Headers of every message (RFC 3261 sections 8.1.1 and 8.2.6.2)."""

AT_MOST_ONE = (*REQUIRED[1:], "Max-Forwards", "Content-Length", "Content-Type", "Expires")
"""Headers of which a message has one."""

SPELLINGS: dict[str, str] = {}
"""The usual spellings of known names (canonical, in one case, capitalized, compact), each with its canonical name."""

for _name in (_lists + _others).split():
    for _way in (_name, _name.lower(), _name.upper(), _name.title()):
        SPELLINGS[_way] = _name
for _short, _name in COMPACT.items():
    SPELLINGS[_short] = SPELLINGS[_short.upper()] = _name

PHRASES: dict[int, str] = {
    100: "Trying",
    180: "Ringing",
    181: "Call Is Being Forwarded",
    182: "Queued",
    183: "Session Progress",
    199: "Early Dialog Terminated",
    200: "OK",
    202: "Accepted",
    204: "No Notification",
    300: "Multiple Choices",
    301: "Moved Permanently",
    302: "Moved Temporarily",
    305: "Use Proxy",
    380: "Alternative Service",
    400: "Bad Request",
    401: "Unauthorized",
    402: "Payment Required",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    406: "Not Acceptable",
    407: "Proxy Authentication Required",
    408: "Request Timeout",
    410: "Gone",
    412: "Conditional Request Failed",
    413: "Request Entity Too Large",
    414: "Request-URI Too Long",
    415: "Unsupported Media Type",
    416: "Unsupported URI Scheme",
    417: "Unknown Resource-Priority",
    420: "Bad Extension",
    421: "Extension Required",
    422: "Session Interval Too Small",
    423: "Interval Too Brief",
    424: "Bad Location Information",
    425: "Bad Alert Message",
    428: "Use Identity Header",
    429: "Provide Referrer Identity",
    430: "Flow Failed",
    433: "Anonymity Disallowed",
    436: "Bad Identity-Info",
    437: "Unsupported Certificate",
    438: "Invalid Identity Header",
    439: "First Hop Lacks Outbound Support",
    440: "Max-Breadth Exceeded",
    469: "Bad Info Package",
    470: "Consent Needed",
    480: "Temporarily Unavailable",
    481: "Call/Transaction Does Not Exist",
    482: "Loop Detected",
    483: "Too Many Hops",
    484: "Address Incomplete",
    485: "Ambiguous",
    486: "Busy Here",
    487: "Request Terminated",
    488: "Not Acceptable Here",
    489: "Bad Event",
    491: "Request Pending",
    493: "Undecipherable",
    494: "Security Agreement Required",
    500: "Server Internal Error",
    501: "Not Implemented",
    502: "Bad Gateway",
    503: "Service Unavailable",
    504: "Server Time-out",
    505: "Version Not Supported",
    513: "Message Too Large",
    555: "Push Notification Service Not Supported",
    580: "Precondition Failure",
    600: "Busy Everywhere",
    603: "Decline",
    604: "Does Not Exist Anywhere",
    606: "Not Acceptable",
    607: "Unwanted",
    608: "Rejected",
}
