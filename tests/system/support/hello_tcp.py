#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""hello_tcp ADDR PORT SEED [ALPN | FRAME]: OpenSSL, as Python has it, makes a session of the mesh
over TCP and greets (docs/wire/tcp.md). Its node key is made from the 32 bytes SEED in hexadecimal.
Prints, as JSON, the TLS version, the key that the other side proved, the ALPN and its HELLO; then
PONG's bytes. With ALPN it offers that one. With FRAME, in hexadecimal, it sends that in place of a
PING, and prints the code of CLOSE."""
import json
import socket
import ssl
import sys
import tempfile
import time

import cbor2
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from no_params import certificate

HELLO, CONTROL_STREAM, DEADLINE_S = 8, 1, 30
DATA, CLOSE, PING, PONG = 0, 3, 4, 5


def frame(kind, stream, data):
    return len(data).to_bytes(3, "big") + bytes([kind]) + stream.to_bytes(4, "big") + data


def message(kind, payload):
    body = cbor2.dumps({0: kind, 1: 0, 2: 0, 3: cbor2.dumps(payload, canonical=True)}, canonical=True)
    return len(body).to_bytes(4, "big") + body


class Connection:
    def __init__(self, addr, port, key, alpn):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.set_alpn_protocols([alpn])
        context.set_ecdh_curve("X25519")
        with tempfile.NamedTemporaryFile() as pem:
            pem.write(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            pem.write(certificate(key).public_bytes(Encoding.PEM))
            pem.flush()
            context.load_cert_chain(pem.name)
        plain = socket.create_connection((addr, port), timeout=DEADLINE_S)
        self.tls = context.wrap_socket(plain, server_hostname="mesh.invalid")

    def send(self, kind, stream, data):
        self.tls.sendall(frame(kind, stream, data))

    def take(self, length):
        data = b""
        while len(data) < length:
            piece = self.tls.recv(length - len(data))
            if not piece:
                raise EOFError
            data += piece
        return data

    def hear(self):
        head = self.take(8)
        return head[3], int.from_bytes(head[4:], "big"), self.take(int.from_bytes(head[:3], "big"))

    def hear_until(self, wanted):
        while True:
            kind, stream, data = self.hear()
            if kind == wanted:
                return stream, data

    def greeting(self):
        said = b""
        while len(said) < 4 or len(said) < 4 + int.from_bytes(said[:4], "big"):
            stream, data = self.hear_until(DATA)
            assert stream == CONTROL_STREAM, stream
            said += data
        return cbor2.loads(said[4:4 + int.from_bytes(said[:4], "big")])


def main(addr, port, seed, more="mesh/1"):
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(seed))
    is_alpn = "/" in more
    peer = Connection(addr, int(port), key, more if is_alpn else "mesh/1")
    peer.send(DATA, CONTROL_STREAM, message(HELLO, {0: 1, 1: 0, 2: int(time.time()), 5: "openssl"}))
    said = peer.greeting()
    shown = x509.load_der_x509_certificate(peer.tls.getpeercert(binary_form=True)).public_key()
    heard = {"tls": peer.tls.version(), "alpn": peer.tls.selected_alpn_protocol(), "type": said[0],
             "key": shown.public_bytes(Encoding.Raw, PublicFormat.Raw).hex(),
             "hello": {str(k): v for k, v in cbor2.loads(said[3]).items() if isinstance(v, (int, str))}}
    if is_alpn:
        peer.send(PING, 0, b"12345678")
        heard["pong"] = peer.hear_until(PONG)[1].decode()
        print(json.dumps(heard), flush=True)
        sys.stdin.read()
        return
    peer.tls.sendall(bytes.fromhex(more))
    heard["close"] = int.from_bytes(peer.hear_until(CLOSE)[1][:8], "big")
    print(json.dumps(heard), flush=True)


main(*sys.argv[1:])
