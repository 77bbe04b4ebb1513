# SPDX-License-Identifier: Apache-2.0
"""A client of relays over WebSocket that shares no code with weft. It is python3-websockets, python3-nacl, b3sum and
Python's TLS. The exporter is computed here, from the key log (RFC 8446, 7.1 and 7.5)."""
import base64
import hashlib
import hmac
import pathlib
import socket
import ssl
import struct
import subprocess
import tempfile
import time

import nacl.signing
from websockets.client import ClientProtocol
from websockets.exceptions import InvalidHandshake
from websockets.frames import Opcode
from websockets.http11 import Response
from websockets.uri import parse_uri

CHALLENGE, AUTH, CONFIRMED, DENIED, SEND, SEND_BATCH, RECV, RECV_BATCH, GONE, PING, PONG, HEALTH, RESTARTING, STATUS = \
    range(14)
DEADLINE_S = 20
PROTOCOLS = ["iroh-relay-v1", "iroh-relay-v2", "mesh-relay-v1"]
AUTH_FIELD = "x-iroh-relay-client-auth-v1"


def new_key(seed):
    return nacl.signing.SigningKey(bytes([seed]) * 32)


def public(key):
    return bytes(key.verify_key)


def hkdf_expand_label(secret, label, context, length, name):
    text = b"tls13 " + label
    info = struct.pack(">HB", length, len(text)) + text + bytes([len(context)]) + context
    made, block, number = b"", b"", 1
    while len(made) < length:
        block = hmac.new(secret, block + info + bytes([number]), name).digest()
        made, number = made + block, number + 1
    return made[:length]


def export(secret, name, label, context, length):
    derived = hkdf_expand_label(secret, label, hashlib.new(name).digest(), hashlib.new(name).digest_size, name)
    return hkdf_expand_label(derived, b"exporter", hashlib.new(name, context).digest(), length, name)


class Tls:
    """One TLS connection to addr, by way of an HTTP proxy if there is one."""

    def __init__(self, addr, proxy=None, alpn=("http/1.1",), receive_buffer=None):
        with tempfile.NamedTemporaryFile(prefix="weft-keys-") as log:
            self.socket = self.connected(pathlib.Path(log.name), addr, proxy, alpn, receive_buffer)
            secrets = dict(line.split()[::2] for line in pathlib.Path(log.name).read_text().splitlines()
                           if not line.startswith("#"))
        self.secret = bytes.fromhex(secrets["EXPORTER_SECRET"])
        self.hash = "sha384" if "SHA384" in self.socket.cipher()[0] else "sha256"

    def connected(self, log, addr, proxy, alpn, receive_buffer):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.keylog_filename = str(log)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        plain = socket.socket()
        if receive_buffer:
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        plain.settimeout(DEADLINE_S)
        plain.connect(proxy or addr)
        if proxy:
            self.ask_proxy(plain, addr)
        return context.wrap_socket(plain, server_hostname="mesh.invalid")

    @staticmethod
    def ask_proxy(plain, addr):
        plain.sendall(b"CONNECT %s:%d HTTP/1.1\r\nHost: relay\r\n\r\n" % (addr[0].encode(), addr[1]))
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += plain.recv(1)
        assert answer.startswith(b"HTTP/1.1 200 "), answer

    def relay_key(self):
        """The Ed25519 key in the relay's certificate (RFC 8410, 4)."""
        shown = self.socket.getpeercert(binary_form=True)
        return shown[shown.index(bytes.fromhex("06032b6570032100")) + 8:][:32]

    def proof(self, key):
        exported = export(self.secret, self.hash, b"iroh-relay handshake v1", public(key), 32)
        proof = public(key) + b"\x40" + key.sign(exported[:16]).signature + exported[16:]
        return base64.urlsafe_b64encode(proof).decode().rstrip("=")


def challenge_answer(key, challenge, relay_key=None):
    """relay_key: that of the relay, which mesh-relay-v1 signs as well."""
    context = "mesh-relay-v1 challenge signature" if relay_key else "iroh-relay handshake v1 challenge signature"
    derived = subprocess.run(["b3sum", "--raw", "--derive-key", context], input=challenge + (relay_key or b""),
                             capture_output=True, check=True).stdout
    return bytes([AUTH]) + public(key) + b"\x40" + key.sign(derived).signature


class Closed(Exception):
    """The relay ended the connection: code is that of its close frame, None without one."""

    def __init__(self, code):
        super().__init__(f"closed with {code}")
        self.code = code


class WebSocket:
    """A WebSocket on a connected socket. The thread of the test alone reads and writes, so a client that does not
    read is one whose test does not call receive(). Every wait has a deadline."""

    def __init__(self, sock, protocol, field=None):
        self.socket, self.waiting = sock, []
        self.core = ClientProtocol(parse_uri("ws://relay/relay"), subprotocols=[protocol], max_size=1 << 20)
        request = self.core.connect()
        if field:
            request.headers[AUTH_FIELD] = field
        self.core.send_request(request)
        self.flush()
        end = time.monotonic() + DEADLINE_S
        while not isinstance(self.event(end), Response):
            pass
        if self.core.handshake_exc:
            raise self.core.handshake_exc

    def flush(self):
        for data in self.core.data_to_send():
            if data:
                self.socket.sendall(data)

    def event(self, end):
        """The response of HTTP or a frame; end is the time of the monotonic clock at which it has come."""
        while not self.waiting:
            if self.core.close_rcvd:
                raise Closed(self.core.close_rcvd.code)
            self.socket.settimeout(max(end - time.monotonic(), 0.001))
            try:
                data = self.socket.recv(65536)
            except ConnectionError:
                data = b""
            finally:
                self.socket.settimeout(DEADLINE_S)
            if not data:
                self.ended()
            self.core.receive_data(data)
            self.waiting = self.core.events_received()
            self.answer()
        return self.waiting.pop(0)

    def ended(self):
        self.core.receive_eof()
        if isinstance(self.core.handshake_exc, InvalidHandshake):
            raise self.core.handshake_exc
        raise Closed(None)

    def answer(self):
        """Pongs, and the answer to a close. The relay may be gone by then: the next receive says so."""
        try:
            self.flush()
        except (ConnectionError, ssl.SSLError):
            pass

    def receive(self, timeout):
        """The next message."""
        end, message = time.monotonic() + timeout, b""
        while True:
            frame = self.event(end)
            if frame.opcode in (Opcode.BINARY, Opcode.CONT):
                message += frame.data
                if frame.fin:
                    return message
            else:
                assert frame.opcode in (Opcode.PING, Opcode.PONG, Opcode.CLOSE), frame

    def send(self, *parts):
        """A message, of one frame for each part."""
        self.core.send_binary(parts[0], fin=len(parts) == 1)
        for i, part in enumerate(parts[1:], 2):
            self.core.send_continuation(part, fin=i == len(parts))
        self.flush()

    def ping(self, data):
        """The data of the pong, which is the next frame."""
        self.core.send_ping(data)
        self.flush()
        frame = self.event(time.monotonic() + DEADLINE_S)
        assert frame.opcode == Opcode.PONG, frame
        return frame.data


class RelayClient:
    """open() leaves the WebSocket before its proof; prove() and prove_by_tls() are the two proofs."""

    def __init__(self, addr, key, protocol="iroh-relay-v2", **options):
        self.key, self.protocol = key, protocol
        self.tls = Tls(addr, **options)

    def open(self, field=None):
        self.web = WebSocket(self.tls.socket, self.protocol, field)
        assert self.web.core.subprotocol == self.protocol, self.web.core.subprotocol
        return self

    def prove(self):
        self.open()
        relay_key = self.tls.relay_key() if self.protocol == "mesh-relay-v1" else None
        self.web.send(challenge_answer(self.key, self.hear(CHALLENGE), relay_key))
        self.hear(CONFIRMED)
        return self

    def prove_by_tls(self):
        self.open(self.tls.proof(self.key))
        self.hear(CONFIRMED)
        return self

    def frame(self, timeout=DEADLINE_S):
        frame = self.web.receive(timeout)
        return frame[0], frame[1:]

    def hear(self, wanted, timeout=DEADLINE_S):
        """The body of the next frame, which is of the wanted type."""
        kind, body = self.frame(timeout)
        assert kind == wanted, f"frame {kind} in place of {wanted}: {body[:80]!r}"
        return body

    def send(self, to, data, ecn=0):
        self.web.send(bytes([SEND]) + public(to) + bytes([ecn]) + data)

    def ask(self, peer, data):
        """Sends data to peer, which hears it from here; how long that took."""
        begin = time.monotonic()
        self.send(peer.key, data)
        body = peer.hear(RECV)
        assert body == public(self.key) + b"\0" + data, body[:80]
        return time.monotonic() - begin

    def close(self):
        self.tls.socket.close()
