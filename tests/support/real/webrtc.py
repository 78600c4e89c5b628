"""A browser's media without a browser: ICE (RFC 8445), DTLS-SRTP (RFC 5764) and audio, on one socket of loopback."""

from __future__ import annotations

import hmac
import re
from collections import Counter
from contextlib import suppress
from hashlib import sha1
from pathlib import Path
from secrets import token_bytes, token_hex
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from OpenSSL import SSL
from twisted.internet import reactor
from twisted.internet.defer import maybeDeferred
from twisted.internet.protocol import DatagramProtocol
from twisted.internet.task import LoopingCall

from tests.support.real.ports import LOOPBACK
from tests.support.real.rtp import SOUND
from tests.support.real.srtp import Context
from webrtcproxy.demo.certificate import write_certificate

COOKIE = b"\x21\x12\xa4\x42"
_BINDING, _SUCCESS = 0x0001, 0x0101
_ADDRESS, _USERNAME, _INTEGRITY, _FINGERPRINT = 0x0020, 0x0006, 0x0008, 0x8028
_PRIORITY, _NOMINATE, _CONTROLLED, _CONTROLLING = 0x0024, 0x0025, 0x8029, 0x802A
PCMU, EVENTS = 0, 101


class WebPhone(DatagramProtocol):
    """One browser: it talks PCMU as soon as its keys are there.

    :ivar heard: audio packets that came and could be decrypted, by SSRC.
    :ivar sources: datagrams of any kind that came, by the port of their sender.
    """

    def __init__(self) -> None:
        self.heard: Counter[int] = Counter()
        self.sources: Counter[int] = Counter()
        self._listening: Any = reactor.listenUDP(0, self, LOOPBACK)  # type: ignore[attr-defined]
        self.port: int = self._listening.getHost().port
        self.ssrc = self.port
        self._ufrag, self._password = token_hex(4), token_hex(12)
        self._version = 0
        self._controlling = True
        self._remote: tuple[str, str, int] | None = None  # ufrag, password, port
        self._works = False
        self._context = _context()
        self._tls = _client(self._context)
        own = self._tls.get_certificate()
        assert own is not None
        self._print = own.digest("sha256").decode()
        self._out: Context | None = None
        self._in: Context | None = None
        self._count = 0
        self._clock = LoopingCall(self._tick)
        self._clock.start(0.02)

    # -- its descriptions

    def offer(self, direction: str = "sendrecv") -> bytes:
        """An offer; the DTLS role is left open."""
        return self._sdp("actpass" if self._out is None else "active", direction)

    def answer(self, offer: bytes, direction: str = "sendrecv") -> bytes:
        """The answer to an offer, which it remembers; it is the client of DTLS."""
        self._controlling = self._remote is not None and self._controlling
        self.take(offer)
        return self._sdp("active", direction, re.findall(rb"a=mid:(\S+)", offer)[0].decode())

    def answer_restart(self, offer: bytes, direction: str = "sendrecv") -> bytes:
        """The answer to an offer that restarts ICE and DTLS, since it comes from another machine. The roles of ICE stay
        (RFC 8445 section 6.1.1), unless the other side claims the same one (section 7.3.1.1)."""
        self._ufrag, self._password = token_hex(4), token_hex(12)
        self._tls = _client(self._context)
        self._out = self._in = None
        self._works = False
        return self.answer(offer, direction)

    def take(self, sdp: bytes) -> None:
        """Remember the other side's description."""
        text = sdp.decode()
        ufrag, password = (re.findall(rf"a=ice-{name}:(\S+)", text)[0] for name in ("ufrag", "pwd"))
        self._remote = ufrag, password, int(re.findall(r"m=audio (\d+)", text)[0])

    def _sdp(self, setup: str, direction: str, mid: str = "0") -> bytes:
        self._version += 1
        lines = [
            "v=0", f"o=- 7 {self._version} IN IP4 {LOOPBACK}", "s=-", "t=0 0",
            f"m=audio {self.port} UDP/TLS/RTP/SAVPF {PCMU} {EVENTS}", f"c=IN IP4 {LOOPBACK}", "a=rtcp-mux",
            f"a=candidate:1 1 udp 2130706431 {LOOPBACK} {self.port} typ host", f"a=ice-ufrag:{self._ufrag}",
            f"a=ice-pwd:{self._password}", f"a=fingerprint:sha-256 {self._print}", f"a=setup:{setup}", f"a=mid:{mid}",
            f"a=rtpmap:{PCMU} PCMU/8000", f"a=rtpmap:{EVENTS} telephone-event/8000", f"a={direction}", "",
        ]  # fmt: skip
        return "\r\n".join(lines).encode()

    # -- the socket

    def datagramReceived(self, data: bytes, addr: tuple[str, int]) -> None:
        """STUN, DTLS, RTP or RTCP (RFC 7983)."""
        self.sources[addr[1]] += 1
        if data[4:8] == COOKIE and data[0] < 4:
            self._stun(data, addr)
        elif 20 <= data[0] <= 63:
            self._tls.bio_write(data)
            self._shake()
        elif self._in is not None and not 64 <= data[1] & 0x7F <= 95:
            packet = self._in.unprotect(data)
            if packet is not None:
                self.heard[int.from_bytes(packet[8:12], "big")] += 1

    def _tick(self) -> None:
        if self._remote is None:
            return
        self._count += 1
        if self._out is not None:
            head = bytes([0x80, PCMU]) + self._count.to_bytes(2, "big") + (self._count * 160).to_bytes(4, "big")
            self._send(self._out.protect(head + self.ssrc.to_bytes(4, "big") + SOUND[PCMU]))
        elif self._works and not self._count % 5:
            self._shake()
        if self._count % (50 if self._works else 5) == 1:
            self._check(*self._remote)

    def _send(self, data: bytes) -> None:
        if self._remote is not None and self.transport is not None:
            self.transport.write(data, (LOOPBACK, self._remote[2]))

    # -- ICE

    def _check(self, ufrag: str, password: str, port: int) -> None:
        """A connectivity check (RFC 8445 section 7.2.4)."""
        attributes = [(_USERNAME, f"{ufrag}:{self._ufrag}".encode()), (_PRIORITY, (1 << 30).to_bytes(4, "big"))]
        if self._controlling:
            attributes += [(_CONTROLLING, bytes(7) + b"\x01"), (_NOMINATE, b"")]
        else:
            attributes.append((_CONTROLLED, bytes(7) + b"\x01"))
        self._send(_stun(_BINDING, token_bytes(12), attributes, password))

    def _stun(self, data: bytes, addr: tuple[str, int]) -> None:
        kind = int.from_bytes(data[:2], "big")
        if kind == _SUCCESS:
            self._works = True
        elif kind == _BINDING and self.transport is not None:
            if b"%b\0\x08" % _CONTROLLING.to_bytes(2, "big") in data:  # who has the greater number keeps that role
                self._controlling = False
            mask = COOKIE + data[8:20]
            place = addr[1].to_bytes(2, "big") + bytes(map(int, addr[0].split(".")))
            mapped = bytes(one ^ other for one, other in zip(place, mask[:2] + mask[:4], strict=True))
            answer = _stun(_SUCCESS, data[8:20], [(_ADDRESS, b"\0\x01" + mapped)], self._password)
            self.transport.write(answer, addr)

    # -- DTLS

    def _shake(self) -> None:
        """Go on with the handshake; when it is done, there are keys (RFC 5764 section 4.2)."""
        with suppress(SSL.WantReadError):
            self._tls.do_handshake()
            if self._out is None:
                keys = self._tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 60)
                self._out, self._in = Context(keys[:16], keys[32:46]), Context(keys[16:32], keys[46:60])
        self._tls.DTLSv1_handle_timeout()
        with suppress(SSL.WantReadError):
            while True:
                self._send(self._tls.bio_read(1200))

    async def close(self) -> None:
        """Fall silent and close the socket."""
        if self._clock.running:
            self._clock.stop()
        await maybeDeferred(self._listening.stopListening)


def _context() -> SSL.Context:
    """The client's side of DTLS, with a certificate."""
    context = SSL.Context(SSL.DTLS_CLIENT_METHOD)
    with TemporaryDirectory() as folder:
        key, certificate = write_certificate(Path(folder), ["browser.test"])
        context.use_privatekey_file(str(key))
        context.use_certificate_file(str(certificate))
    context.set_tlsext_use_srtp(b"SRTP_AES128_CM_SHA1_80")
    context.set_verify(SSL.VERIFY_NONE)
    return context


def _client(context: SSL.Context) -> SSL.Connection:
    """The client's side of one connection."""
    connection = SSL.Connection(context, None)
    connection.set_connect_state()
    connection.set_ciphertext_mtu(1200)
    return connection


def _stun(kind: int, transaction: bytes, attributes: list[tuple[int, bytes]], password: str) -> bytes:
    """A STUN message with MESSAGE-INTEGRITY and FINGERPRINT (RFC 8489)."""
    body = b"".join(_attribute(number, value) for number, value in attributes)
    head = kind.to_bytes(2, "big") + (len(body) + 24).to_bytes(2, "big") + COOKIE + transaction
    body += _attribute(_INTEGRITY, hmac.new(password.encode(), head + body, sha1).digest())
    head = kind.to_bytes(2, "big") + (len(body) + 8).to_bytes(2, "big") + COOKIE + transaction
    return head + body + _attribute(_FINGERPRINT, (crc32(head + body) ^ 0x5354554E).to_bytes(4, "big"))


def _attribute(number: int, value: bytes) -> bytes:
    return number.to_bytes(2, "big") + len(value).to_bytes(2, "big") + value + bytes(-len(value) % 4)
