# SPDX-License-Identifier: Apache-2.0
"""Posts without weft: python3-nacl, python3-cbor2 and b3sum seal, open and verify them (docs/wire/social.md)."""
import base64
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
import cbor2
import nacl.bindings as sodium
import nacl.exceptions
import nacl.signing

WRAP, UNIT = "mesh/distsoc/cek-wrap/v1", "mesh/distsoc/attachment/v1"
PUBLIC, PEOPLE, GROUP = 0, 1, 2
UNIT_TEXT_LEN = 262128
DIRECT, ASKING, RECEIPT, ESCAPE = "\x02", "\x05", "\x06", "\x10"


class Refused(Exception):
    pass


def need(condition, why):
    if not condition:
        raise Refused(why)


def b3(data, context=None):
    words = ["b3sum", "--no-names", "--raw"] + (["--derive-key", context] if context else [])
    return subprocess.run(words, input=data, capture_output=True, check=True).stdout


def canonical(value):
    return cbor2.dumps(value, canonical=True)


def loads(data):
    """A value, if its bytes are the only ones that say it."""
    value = cbor2.loads(data)
    need(canonical(value) == data, "not deterministic")
    return value


def public_of(seed):
    return bytes(nacl.signing.SigningKey(seed).verify_key)


def signed_text(tag, body):
    return b"MESHSIG1" + bytes([len(tag)]) + tag.encode() + len(body).to_bytes(4, "big") + body


def sign(seed, tag, fields):
    body = canonical(fields)
    signature = nacl.signing.SigningKey(seed).sign(signed_text(tag, body)).signature
    return canonical({0: body, 1: public_of(seed), 2: signature})


def verify(data, tag, author):
    """The fields of an object that author signed."""
    wrapper = loads(data)
    need(sorted(wrapper) == [0, 1, 2], "no signed object")
    need(wrapper[1] == author, "another signer")
    try:
        nacl.signing.VerifyKey(author).verify(signed_text(tag, wrapper[0]), wrapper[2])
    except nacl.exceptions.BadSignatureError as bad:
        raise Refused("signature") from bad
    return loads(wrapper[0])


def agreed(seed, other):
    """What both sides agree on: X25519 of their Ed25519 keys."""
    secret = sodium.crypto_sign_ed25519_sk_to_curve25519(seed + public_of(seed))
    return sodium.crypto_scalarmult(secret, sodium.crypto_sign_ed25519_pk_to_curve25519(other))


def wrap_key(seed, author, reader, post_nonce):
    other = reader if public_of(seed) == author else author
    return b3(agreed(seed, other) + post_nonce + author + reader, WRAP)


def aead_open(sealed, bound, nonce, key):
    try:
        return sodium.crypto_aead_chacha20poly1305_ietf_decrypt(sealed, bound, nonce, key)
    except nacl.exceptions.CryptoError as bad:
        raise Refused("it does not open") from bad


def unwrap(seed, author, reader, post_nonce, wrapped):
    need(len(wrapped) == 60, "length of a wrap")
    return aead_open(wrapped[12:], reader, wrapped[:12], wrap_key(seed, author, reader, post_nonce))


def wrap(seed, author, reader, post_nonce, key, nonce):
    return nonce + sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
        key, reader, nonce, wrap_key(seed, author, reader, post_nonce))


def seal_text(text, key, nonce):
    sealed = sodium.crypto_aead_chacha20poly1305_ietf_encrypt(text.encode(), None, nonce, key)
    return base64.b64encode(nonce + sealed).decode()


def open_text(content, key):
    sealed = base64.b64decode(content, validate=True)
    return aead_open(sealed[12:], None, sealed[:12], key).decode()


class Post:
    """A post with what is signed beside it; raises Refused for whatever is none."""

    def __init__(self, post, claim, visibility):
        self.id = b3(post)
        need(len(post) <= 256 << 10 and len(visibility) <= 256 << 10, "length")
        self.fields = loads(post)
        need(self.fields[0] == 1 and set(self.fields) <= set(range(7)), "fields of a post")
        self.author, self.time_ms, self.content = (self.fields[key] for key in (1, 2, 3))
        self.attachments, self.parent = self.fields[4], self.fields.get(5)
        self.claim = verify(claim, "post", self.author)
        self.vis = verify(visibility, "vis", self.author)
        need(self.claim[0] == self.id and self.vis[0] == self.id, "of another post")
        self.kind = self.vis[2]
        self.readers = [row[0] for row in self.vis.get(3, [])]
        need(self.readers == sorted(set(self.readers)) and len(self.readers) <= 500, "readers ascend")

    def nonce(self):
        return base64.b64decode(self.content[:16], validate=True)

    def key_for(self, seed):
        """The key of its content, with the secret of a reader, of the author or of the group's epoch."""
        own, wraps = public_of(seed), dict(map(tuple, self.vis.get(3, [])))
        if self.kind == GROUP:
            _, _, wrapped, group_key = self.vis[4]
            return unwrap(seed, self.author, group_key, self.nonce(), wrapped)
        reader = self.readers[0] if own == self.author else own
        need(reader in wraps, "no reader")
        return unwrap(seed, self.author, reader, self.nonce(), wraps[reader])

    def text_for(self, seed):
        return self.content if self.kind == PUBLIC else open_text(self.content, self.key_for(seed))


def make(seed, text, readers=None, time_ms=1800000000000, logical=bytes(16), secrets=None):
    """The three objects of a post: public without readers, else for them."""
    author = public_of(seed)
    key, nonce, wrap_nonce = secrets or (b"\x07" * 32, bytes(range(12)), bytes(range(100, 112)))
    content = text if readers is None else seal_text(text, key, nonce)
    post = canonical({0: 1, 1: author, 2: time_ms, 3: content, 4: []})
    vis = {0: b3(post), 1: 0, 2: PUBLIC if readers is None else PEOPLE}
    if readers is not None:
        vis[3] = [[reader, wrap(seed, author, reader, nonce, key, wrap_nonce)] for reader in sorted(readers)]
    return post, sign(seed, "post", {0: b3(post), 1: logical}), sign(seed, "vis", vis)


def units_of(key, number, head, data):
    """The sealed units of an attachment of a private post."""
    text = len(head).to_bytes(2, "big") + head + data
    cuts = [text[at:at + UNIT_TEXT_LEN] for at in range(0, len(text), UNIT_TEXT_LEN)]
    return [sodium.crypto_aead_chacha20poly1305_ietf_encrypt(
        cut, None, bytes(12), b3(key + number.to_bytes(4, "big") + unit.to_bytes(4, "big"), UNIT))
        for unit, cut in enumerate(cuts)]


def verify_deletion(data, author, post_id):
    fields = verify(data, "delete", author)
    need(fields[0] == post_id and isinstance(fields[1], int), "of another post")
    return fields
