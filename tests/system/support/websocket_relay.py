#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""websocket_relay ADDRESS PORT: a relay in the framing of iroh that shares no code with weft: python3-websockets,
python3-nacl, b3sum and Python's TLS. It prints a line for what happens. --seed N: its node key is N x 32, which its
certificate has. --name NAME --certificate FILE: an ECDSA certificate of that host, written to FILE. --proof challenge:
it does not take the proof by TLS, as behind a load balancer. --protocols LIST: those that it knows. --hostile deaf:
it reads nothing behind the proof. oversize: it sends frames beyond every bound. forged: datagrams of keys that it made
up. other: it passes on the challenge of the relay of weft at --victim ADDRESS:PORT, and the answer back."""
import argparse
import base64
import datetime
import os
import pathlib
import queue
import socket
import ssl
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import nacl.exceptions
import nacl.signing
import relay_client as rc
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from websockets.frames import Opcode
from websockets.http11 import Request
from websockets.server import ServerProtocol

QUEUE = 512
clients, lock = {}, threading.Lock()


def say(*words):
    print(*words, flush=True)


def certificate(args):
    """The paths of a certificate and its key, in PEM."""
    key = ec.generate_private_key(ec.SECP256R1()) if args.name else \
        Ed25519PrivateKey.from_private_bytes(bytes([args.seed]) * 32)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, args.name or "relay.invalid")])
    now = datetime.datetime.now(datetime.timezone.utc)
    made = (x509.CertificateBuilder().subject_name(name).issuer_name(name).serial_number(1)
            .public_key(key.public_key()).not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName([x509.DNSName(args.name or "relay.invalid")]), False)
            .sign(key, hashes.SHA256() if args.name else None))
    folder = pathlib.Path(tempfile.mkdtemp(prefix="weft-relay-"))
    paths = pathlib.Path(args.certificate) if args.certificate else folder / "certificate.pem", folder / "key.pem"
    paths[0].write_bytes(made.public_bytes(Encoding.PEM))
    paths[1].write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return paths


class Client:
    def __init__(self, plain, args, paths):
        self.args, self.waiting, self.key = args, queue.Queue(QUEUE), None
        log = pathlib.Path(tempfile.mkstemp(prefix="weft-keys-")[1])
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        context.load_cert_chain(*paths)
        context.set_alpn_protocols(["http/1.1"])
        context.keylog_filename = str(log)
        self.socket = context.wrap_socket(plain, server_side=True)
        secrets = dict(line.split()[::2] for line in log.read_text().splitlines() if not line.startswith("#"))
        log.unlink()
        self.secret = bytes.fromhex(secrets["EXPORTER_SECRET"])
        self.hash = "sha384" if "SHA384" in self.socket.cipher()[0] else "sha256"
        self.core = ServerProtocol(subprotocols=args.protocols.split(","), max_size=1 << 21)
        self.events, self.sending = [], threading.Lock()

    def flush(self):
        for data in self.core.data_to_send():
            if data:
                self.socket.sendall(data)

    def event(self):
        while not self.events:
            data = self.socket.recv(65536)
            if not data:
                raise ConnectionError
            self.core.receive_data(data)
            self.events = self.core.events_received()
            with self.sending:
                self.flush()
        return self.events.pop(0)

    def message(self):
        message = b""
        while True:
            frame = self.event()
            if frame.opcode in (Opcode.BINARY, Opcode.CONT):
                message += frame.data
                if frame.fin:
                    return message
            elif frame.opcode is Opcode.CLOSE:
                raise ConnectionError

    def send(self, data):
        with self.sending:
            self.core.send_binary(data)
            self.flush()

    def tls_proof(self, request):
        """The key that the request proves, or None."""
        field = request.headers.get(rc.AUTH_FIELD)
        if not field or self.args.proof == "challenge":
            return None
        proof = base64.urlsafe_b64decode(field + "=")
        key, signature, suffix = proof[:32], proof[33:97], proof[97:]
        exported = rc.export(self.secret, self.hash, b"iroh-relay handshake v1", key, 32)
        nacl.signing.VerifyKey(key).verify(exported[:16], signature)
        assert proof[32] == 64 and suffix == exported[16:], "it is of another connection"
        say("proved by TLS", key.hex())
        return key

    def challenge_proof(self):
        victim, challenge = None, os.urandom(16)
        if self.args.hostile == "other":
            host, port = self.args.victim.split(":")
            victim = rc.RelayClient((host, int(port)), None, self.core.subprotocol).open()
            challenge = victim.hear(rc.CHALLENGE)
        self.send(bytes([rc.CHALLENGE]) + challenge)
        say("challenged")
        answer = self.message()
        say("answered")
        if victim:
            victim.web.send(answer)
            say("the victim said", victim.frame()[0])
            raise ConnectionError
        key = answer[1:33]
        derived = subprocess.run(["b3sum", "--raw", "--derive-key", "iroh-relay handshake v1 challenge signature"],
                                 input=challenge, capture_output=True, check=True).stdout
        assert answer[0] == rc.AUTH and answer[33] == 64
        nacl.signing.VerifyKey(key).verify(derived, answer[34:])
        say("proved by challenge", key.hex())
        return key

    def open(self):
        request = self.event()
        assert isinstance(request, Request) and request.path == "/relay", request
        response = self.core.accept(request)
        with self.sending:
            self.core.send_response(response)
            self.flush()
        say("protocol", self.core.subprotocol)
        self.key = self.tls_proof(request) or self.challenge_proof()
        self.send(bytes([rc.CONFIRMED]))
        with lock:
            older, clients[self.key] = clients.get(self.key), self
        if older:
            older.send(bytes([rc.STATUS, 1]))
            older.socket.close()
        threading.Thread(target=self.write, daemon=True).start()

    def write(self):
        try:
            while True:
                self.send(self.waiting.get())
        except OSError:
            pass

    def hear(self, message):
        kind, peer = message[0], message[1:33]
        if kind == rc.PING:
            self.send(bytes([rc.PONG]) + message[1:])
        elif kind in (rc.SEND, rc.SEND_BATCH):
            say("datagram", kind, self.key.hex()[:8], peer.hex()[:8], message[33], len(message) - 34)
            receiver = clients.get(peer)
            if not receiver:
                self.send(bytes([rc.GONE]) + peer)
                return
            try:
                receiver.waiting.put_nowait(bytes([kind + 2]) + self.key + message[33:])
            except queue.Full:
                pass
        else:
            assert kind == rc.PONG, kind

    def misbehave(self):
        """A frame of every kind that a relay must not send."""
        initial = b"\xc0\0\0\0\1\x08" + bytes(8) + b"\x08" + bytes(8)
        for i in range(200):
            forged = nacl.signing.SigningKey(bytes([i]) * 32).verify_key.encode()
            if self.args.hostile == "forged":
                self.send(bytes([rc.RECV]) + forged + b"\1" + initial + os.urandom(1200 - len(initial)))
                self.send(bytes([rc.RECV]) + forged + b"\1" + b"\x40" + os.urandom(99))
                self.send(bytes([rc.RECV]) + forged + b"\1")
                self.send(bytes([rc.GONE]) + forged)
            else:
                self.send(bytes([rc.RECV]) + forged + b"\1" + bytes(65536))
                self.send(bytes([rc.RECV]) + forged + b"\1" + bytes(1 << 17))
        say("misbehaved")
        if self.args.hostile == "oversize":
            self.send(bytes([rc.RECV]) + bytes(1 << 20))

    def run(self):
        try:
            self.open()
            if self.args.hostile in ("forged", "oversize"):
                self.misbehave()
            while self.args.hostile == "deaf":
                time.sleep(0.1)
            while True:
                self.hear(self.message())
        except (OSError, AssertionError, nacl.exceptions.BadSignatureError) as end:
            say("ended", type(end).__name__, *str(end).split("\n"))
        finally:
            with lock:
                if clients.get(self.key) is self:
                    del clients[self.key]
            self.socket.close()


def serve(plain, args, paths):
    try:
        Client(plain, args, paths).run()
    except OSError as end:
        say("no TLS", end)
    except KeyError:
        say("no secret")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--seed", type=int, default=77)
    parser.add_argument("--name")
    parser.add_argument("--certificate")
    parser.add_argument("--proof", default="tls")
    parser.add_argument("--protocols", default="iroh-relay-v2")
    parser.add_argument("--hostile")
    parser.add_argument("--victim")
    args = parser.parse_args()
    paths = certificate(args)
    listener = socket.create_server((args.address, args.port), reuse_port=True)
    say("ready", rc.public(rc.new_key(args.seed)).hex())
    while True:
        plain = listener.accept()[0]
        if args.hostile == "deaf":
            plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        threading.Thread(target=serve, args=(plain, args, paths), daemon=True).start()


main()
