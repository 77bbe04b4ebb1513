# SPDX-License-Identifier: Apache-2.0
"""Reads a handshake of the mesh as it was on the wire, from RFC 8446, 7250, 9000 and 9001.

Knows nothing of weft's code, nor of any TLS or QUIC library: ciphers are those of
python3-cryptography, signatures are verified by PyNaCl. judge() takes datagrams and the
secrets of TLS, as SSLKEYLOGFILE has them, and raises Refused where anything differs from
the RFCs and docs/wire/session.md.
"""
import hashlib
import hmac

import cbor2
import nacl.exceptions
import nacl.signing
from cryptography import x509
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM, ChaCha20Poly1305
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ALPN = b"mesh/1"
INITIAL_SALT = bytes.fromhex("38762cf7f55934b34d179ae6a4c80cadccbb7f0a")
SPKI_HEAD = bytes.fromhex("302a300506032b6570032100")
INITIAL, HANDSHAKE, APP = "initial", "handshake", "app"
SECRETS = {(HANDSHAKE, "dialler"): "CLIENT_HANDSHAKE_TRAFFIC_SECRET",
           (HANDSHAKE, "listener"): "SERVER_HANDSHAKE_TRAFFIC_SECRET",
           (APP, "dialler"): "CLIENT_TRAFFIC_SECRET_0",
           (APP, "listener"): "SERVER_TRAFFIC_SECRET_0"}
# Suite: its hash, AEAD, and length of a key (RFC 8446 B.4).
SUITES = {0x1301: ("sha256", AESGCM, 16), 0x1302: ("sha384", AESGCM, 32),
          0x1303: ("sha256", ChaCha20Poly1305, 32)}
CLIENT_HELLO, SERVER_HELLO, TICKET, EXTENSIONS, CERTIFICATE = 1, 2, 4, 8, 11
CERTIFICATE_REQUEST, CERTIFICATE_VERIFY, FINISHED = 13, 15, 20
X_ALPN, X_CLIENT_TYPE, X_SERVER_TYPE, X_PSK, X_PARAMS = 16, 19, 20, 41, 57
RAW_PUBLIC_KEY = 2


class Refused(Exception):
    pass


def want(condition, text):
    if not condition:
        raise Refused(text)


class Reader:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, length):
        want(length <= len(self.data) - self.at, "a field past the end")
        self.at += length
        return self.data[self.at - length:self.at]

    def number(self, length):
        return int.from_bytes(self.take(length), "big")

    def vector(self, length):
        return self.take(self.number(length))

    def varint(self):
        first = self.number(1)
        more = (1 << (first >> 6)) - 1
        return (first & 0x3f) << 8 * more | self.number(more)

    def rest(self):
        return self.take(len(self.data) - self.at)

    def is_at_end(self):
        return self.at == len(self.data)


# --- keys (RFC 8446 7.1, RFC 9001 5) ---

def expand_label(secret, label, length, name, context=b""):
    label = b"tls13 " + label
    info = length.to_bytes(2, "big") + bytes([len(label)]) + label + bytes([len(context)]) + context
    out, block = b"", b""
    while len(out) < length:
        block = hmac.digest(secret, block + info + bytes([len(out) // hashlib.new(name).digest_size + 1]), name)
        out += block
    return out[:length]


class Keys:
    def __init__(self, secret, suite):
        name, aead, key_len = SUITES[suite]
        key = expand_label(secret, b"quic key", key_len, name)
        self.aead = aead(key)
        self.iv = expand_label(secret, b"quic iv", 12, name)
        self.mask_key = expand_label(secret, b"quic hp", key_len, name)

    def mask(self, sample):
        if isinstance(self.aead, AESGCM):
            cipher, data = Cipher(algorithms.AES(self.mask_key), modes.ECB()), sample
        else:
            cipher, data = Cipher(algorithms.ChaCha20(self.mask_key, sample), None), bytes(5)
        return cipher.encryptor().update(data)[:5]

    def open(self, number, sealed, header):
        nonce = (int.from_bytes(self.iv, "big") ^ number).to_bytes(12, "big")
        try:
            return self.aead.decrypt(nonce, sealed, header)
        except InvalidTag as error:
            raise Refused("a packet does not open") from error


# --- packets and frames (RFC 9000 17, 19) ---

# Fields: v a number, s a number of bytes and these, c one byte of length and these, 8 and t bytes.
FIELDS = {0x04: "vvv", 0x05: "vv", 0x07: "s", 0x10: "v", 0x11: "vv", 0x12: "v", 0x13: "v", 0x14: "v",
          0x15: "vv", 0x16: "v", 0x17: "v", 0x18: "vvct", 0x19: "v", 0x1a: "8", 0x1b: "8", 0x1d: "vs",
          0x1c: "vvs", 0x00: "", 0x01: "", 0x1e: ""}


def skip_ack(reader, kind):
    reader.varint()
    reader.varint()
    ranges = reader.varint()
    for _ in range(1 + 2 * ranges + (3 if kind == 3 else 0)):
        reader.varint()


class Pieces:
    """Bytes that come by offset."""

    def __init__(self):
        self.data = {}

    def add(self, off, data):
        for i, byte in enumerate(data, off):
            want(self.data.setdefault(i, byte) == byte, "two words for one place")

    def whole(self):
        out = bytearray()
        while len(out) in self.data:
            out.append(self.data[len(out)])
        return bytes(out)


class Wire:
    """What both sides said, opened."""

    def __init__(self, secrets):
        self.secrets = dict(line.split()[::2] for line in secrets)
        self.suite, self.keys, self.largest, self.id_len = None, {}, {}, {}
        self.crypto, self.streams, self.closes = {}, {}, []

    def keys_of(self, side, level, destination):
        if (side, level) not in self.keys:
            if level == INITIAL:
                self.initial_keys(destination)
            else:
                name = SECRETS[level, side]
                want(self.suite and name in self.secrets, f"no keys of {side} for {level}")
                self.keys[side, level] = Keys(bytes.fromhex(self.secrets[name]), self.suite)
        return self.keys[side, level]

    def initial_keys(self, destination):
        secret = hmac.digest(INITIAL_SALT, destination, "sha256")
        for side, label in (("dialler", b"client in"), ("listener", b"server in")):
            self.keys[side, INITIAL] = Keys(expand_label(secret, label, 32, "sha256"), 0x1301)

    def datagram(self, side, data):
        while data:
            data = self.packet(side, data)

    def packet(self, side, data):
        reader = Reader(data)
        first, level, length = reader.number(1), APP, None
        want(first & 0x40, "no fixed bit")
        if first & 0x80:
            want(reader.number(4) == 1, "another version")
            level = {0: INITIAL, 2: HANDSHAKE}.get(first >> 4 & 3)
            want(level, "a kind of packet that no handshake has here")
            destination, source = reader.vector(1), reader.vector(1)
            self.id_len[side] = len(source)
            if level == INITIAL:
                reader.take(reader.varint())
            length = reader.varint()
        else:
            other = "listener" if side == "dialler" else "dialler"
            want(other in self.id_len, "a short header before all")
            destination = reader.take(self.id_len[other])
        number_at = reader.at
        length = length if length is not None else len(data) - number_at
        end = number_at + length
        want(20 <= length <= len(data) - number_at, "no room for a sealed packet")
        self.payload(side, level, self.opened(side, level, destination, data[:end], number_at))
        return data[end:]

    def opened(self, side, level, destination, data, number_at):
        keys = self.keys_of(side, level, destination)
        mask = keys.mask(data[number_at + 4:number_at + 20])
        first = data[0] ^ mask[0] & (0x0f if data[0] & 0x80 else 0x1f)
        number_len = 1 + (first & 3)
        short = bytes(a ^ b for a, b in zip(data[number_at:number_at + number_len], mask[1:]))
        header = bytes([first]) + data[1:number_at] + short
        number = self.number(side, level, int.from_bytes(short, "big"), 8 * number_len)
        return keys.open(number, data[len(header):], header)

    def number(self, side, level, short, bits):
        expected = self.largest.get((side, level), -1) + 1
        number = expected & ~((1 << bits) - 1) | short
        if number + (1 << bits - 1) <= expected:
            number += 1 << bits
        elif number > expected + (1 << bits - 1) and number >= 1 << bits:
            number -= 1 << bits
        self.largest[side, level] = max(number, expected - 1)
        return number

    def payload(self, side, level, payload):
        reader = Reader(payload)
        want(payload, "a packet of nothing")
        while not reader.is_at_end():
            self.frame(side, level, reader)

    def frame(self, side, level, reader):
        kind = reader.varint()
        if kind in (2, 3):
            skip_ack(reader, kind)
        elif kind == 6:
            off = reader.varint()
            self.crypto.setdefault((side, level), Pieces()).add(off, reader.take(reader.varint()))
            self.learn_suite()
        elif 8 <= kind <= 15:
            stream = reader.varint()
            off = reader.varint() if kind & 4 else 0
            data = reader.take(reader.varint()) if kind & 2 else reader.rest()
            self.streams.setdefault((side, stream), Pieces()).add(off, data)
        elif kind in (0x1c, 0x1d):
            code = reader.varint()
            if kind == 0x1c:
                reader.varint()
            self.closes.append((side, code, reader.take(reader.varint())))
        else:
            want(kind in FIELDS, f"frame {kind}")
            for field in FIELDS[kind]:
                {"v": reader.varint, "s": lambda: reader.take(reader.varint()),
                 "c": lambda: reader.vector(1), "8": lambda: reader.take(8),
                 "t": lambda: reader.take(16)}[field]()

    def learn_suite(self):
        said = self.said("listener", INITIAL)
        if not self.suite and len(said) >= 4 and len(said) >= 4 + int.from_bytes(said[1:4], "big"):
            reader = Reader(said[4 + 2 + 32:])
            reader.vector(1)
            self.suite = reader.number(2)
            want(self.suite in SUITES, "another suite")

    def said(self, side, level):
        return self.crypto[side, level].whole() if (side, level) in self.crypto else b""


# --- messages (RFC 8446 4) ---

def messages(data):
    reader = Reader(data)
    while not reader.is_at_end():
        head = reader.take(4)
        yield head + reader.take(int.from_bytes(head[1:], "big"))


def extensions(data):
    reader, found = Reader(data), {}
    body = Reader(reader.vector(2))
    want(reader.is_at_end(), "bytes behind the extensions")
    while not body.is_at_end():
        kind = body.number(2)
        want(kind not in found, f"extension {kind} twice")
        found[kind] = body.vector(2)
    return found


def hello_extensions(message, is_client):
    reader = Reader(message[4:])
    want(reader.number(2) == 0x0303, "another legacy version")
    reader.take(32)
    reader.vector(1)
    if is_client:
        reader.vector(2)
        reader.vector(1)
    else:
        reader.take(3)
    return extensions(reader.rest())


def names(body):
    reader, found = Reader(Reader(body).vector(2)), []
    while not reader.is_at_end():
        found.append(reader.vector(1))
    return found


def certified_key(message, is_raw):
    reader = Reader(message[4:])
    want(reader.vector(1) == b"", "a context")
    entries = Reader(reader.vector(3))
    shown = entries.vector(3)
    entries.vector(2)
    want(reader.is_at_end() and entries.is_at_end(), "more than one certificate")
    if not is_raw:
        try:
            key = x509.load_der_x509_certificate(shown).public_key()
        except ValueError as error:
            raise Refused("no certificate") from error
        shown = key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    want(shown[:12] == SPKI_HEAD and len(shown) == 44, "no Ed25519 key")
    return shown[12:]


class Handshake:
    """Follows the messages of both sides; edit(side, message) may change one before it is read."""

    def __init__(self, wire, edit=None):
        self.wire, self.edit = wire, edit or (lambda side, message: message)
        self.name = SUITES[wire.suite][0]
        self.transcript, self.keys, self.facts = b"", {}, {}
        self.queues = {side: [message for level in (INITIAL, HANDSHAKE)
                              for message in messages(wire.said(side, level))]
                       for side in ("dialler", "listener")}

    def next(self, side, kind):
        want(self.queues[side], f"{side} said no {kind}")
        message = self.edit(side, self.queues[side].pop(0))
        want(message[0] == kind, f"{side} said {message[0]}, not {kind}")
        return message

    def hear(self, side, kind):
        message = self.next(side, kind)
        self.transcript += message
        return message

    def digest(self):
        return hashlib.new(self.name, self.transcript).digest()

    def prove(self, side, is_raw):
        """Certificate and CertificateVerify: the key that side has."""
        key = certified_key(self.hear(side, CERTIFICATE), is_raw)
        role = b"server" if side == "listener" else b"client"
        covered = b" " * 64 + b"TLS 1.3, " + role + b" CertificateVerify\0" + self.digest()
        reader = Reader(self.hear(side, CERTIFICATE_VERIFY)[4:])
        want(reader.number(2) == 0x0807, "no Ed25519 signature")
        signature = reader.vector(2)
        want(reader.is_at_end(), "bytes behind the signature")
        try:
            nacl.signing.VerifyKey(key).verify(covered, signature)
        except (nacl.exceptions.BadSignatureError, ValueError) as error:
            raise Refused(f"the key of {side} is not proved") from error
        self.keys[side] = key

    def finish(self, side):
        secret = bytes.fromhex(self.wire.secrets[SECRETS[HANDSHAKE, side]])
        size = hashlib.new(self.name).digest_size
        mac = hmac.digest(expand_label(secret, b"finished", size, self.name), self.digest(), self.name)
        want(hmac.compare_digest(self.hear(side, FINISHED)[4:], mac), f"Finished of {side}")

    def begin(self, psk):
        """The hellos; True: they resume a session."""
        hello = self.hear("dialler", CLIENT_HELLO)
        offered = hello_extensions(hello, True)
        want(ALPN in names(offered.get(X_ALPN, b"\0\0")), "ALPN is not offered")
        want(X_PARAMS in offered, "no parameters of QUIC")
        if X_PSK in offered and psk:
            self.bind(hello, offered[X_PSK], psk)
        taken = hello_extensions(self.hear("listener", SERVER_HELLO), False)
        said = extensions(self.hear("listener", EXTENSIONS)[4:])
        want(names(said.get(X_ALPN, b"\0\0")) == [ALPN], "ALPN is not taken")
        want(X_PARAMS in said, "no parameters of QUIC")
        self.raw = {"dialler": said.get(X_CLIENT_TYPE) == bytes([RAW_PUBLIC_KEY]),
                    "listener": said.get(X_SERVER_TYPE) == bytes([RAW_PUBLIC_KEY])}
        return X_PSK in taken

    def bind(self, hello, body, psk):
        """The binder of the only ticket, by the key that came with it (RFC 8446 4.2.11.2)."""
        reader = Reader(body)
        reader.vector(2)
        binders = reader.vector(2)
        empty = hashlib.new(self.name).digest()
        early = hmac.digest(bytes(len(empty)), psk, self.name)
        key = expand_label(early, b"res binder", len(empty), self.name, empty)
        digest = hashlib.new(self.name, hello[:-2 - len(binders)]).digest()
        mac = hmac.digest(expand_label(key, b"finished", len(empty), self.name), digest, self.name)
        want(binders[1:] == mac, "the ticket is not bound to its key")

    def run(self, wanted, psk):
        is_resumed = self.begin(psk)
        if not is_resumed:
            self.hear("listener", CERTIFICATE_REQUEST)
            self.prove("listener", self.raw["listener"])
            want(self.keys["listener"] == wanted, "another key answered")
        self.finish("listener")
        if not is_resumed:
            self.prove("dialler", self.raw["dialler"])
        self.finish("dialler")
        want(not self.queues["dialler"] and not self.queues["listener"], "more was said")
        return is_resumed


# --- HELLO (docs/wire/session.md, frames.md) ---

def canonical(data):
    try:
        value = cbor2.loads(data)
    except Exception as error:
        raise Refused("no CBOR") from error
    want(cbor2.dumps(value, canonical=True) == data, "not canonical")
    return value


def greeting(wire, side):
    stream = wire.streams.get((side, 0))
    want(stream, f"{side} said nothing on the control stream")
    frame = canonical(Reader(stream.whole()).vector(4))
    want(list(frame) == [0, 1, 2, 3] and frame[0] == 8 and frame[2] == 0, "no HELLO")
    hello = canonical(frame[3])
    want(hello[0] == 1 and isinstance(hello[1], int) and isinstance(hello[2], int), "another HELLO")
    return hello


def opened(transcript):
    wire = Wire(transcript["secrets"])
    for side, data in transcript["datagrams"]:
        wire.datagram(side, bytes.fromhex(data))
    return wire


def judge(transcript, edit=None):
    """What a whole handshake proves: keys, kinds of certificates, greetings. Else Refused."""
    wire = opened(transcript)
    want(wire.suite, "no ServerHello")
    handshake = Handshake(wire, edit)
    is_resumed = handshake.run(bytes.fromhex(transcript["wanted"]), bytes.fromhex(transcript["psk"]))
    return {"keys": handshake.keys, "raw": handshake.raw, "is_resumed": is_resumed,
            "closes": wire.closes, "tickets": [m for m in messages(wire.said("listener", APP))],
            "hellos": {side: greeting(wire, side) for side in ("dialler", "listener")}}
