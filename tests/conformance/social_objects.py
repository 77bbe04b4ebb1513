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


# --- what people, nodes and groups say of themselves ---

def aead_seal(text, bound, nonce, key):
    return sodium.crypto_aead_chacha20poly1305_ietf_encrypt(text, bound, nonce, key)


def agreed_wrap(seed, other, reader, secret, nonce, context, info):
    """A secret of 32 bytes for reader, by a key that both sides agree on."""
    return nonce + aead_seal(secret, reader, nonce, b3(agreed(seed, other) + info, context))


def agreed_unwrap(seed, other, reader, wrapped, context, info):
    return aead_open(wrapped[12:], reader, wrapped[:12], b3(agreed(seed, other) + info, context))


def seal_profile(seed, reader, text, fresh):
    """What a person shows to one reader; all are of 1,272 bytes. fresh is a key and two nonces."""
    key, first, second = fresh[:32], fresh[32:44], fresh[44:56]
    padded = (len(text).to_bytes(2, "big") + text).ljust(1184, b"\0")
    return (agreed_wrap(seed, reader, reader, key, first, "mesh/distsoc/profile-wrap/v1", reader) + second
            + aead_seal(padded, public_of(seed), second, key))


def open_profile(seed, author, sealed):
    key = agreed_unwrap(seed, author, public_of(seed), sealed[:60], "mesh/distsoc/profile-wrap/v1", public_of(seed))
    padded = aead_open(sealed[72:], author, sealed[60:72], key)
    return padded[2:2 + int.from_bytes(padded[:2], "big")]


def group_info(group, epoch, member):
    return group + epoch.to_bytes(8, "big") + member


def seal_epoch(seed, member, group, epoch, secret, nonce):
    return agreed_wrap(seed, member, member, secret, nonce, "mesh/distsoc/group-wrap/v1", group_info(group, epoch, member))


def open_epoch(seed, sealer, group, epoch, wrapped):
    own = public_of(seed)
    return agreed_unwrap(seed, sealer, own, wrapped, "mesh/distsoc/group-wrap/v1", group_info(group, epoch, own))


def seal_replica(note, content_key, nonce):
    return nonce + aead_seal(note, None, nonce, b3(content_key, "mesh/distsoc/replica-map/v1"))


def open_replica(sealed, content_key):
    return aead_open(sealed[12:], None, sealed[:12], b3(content_key, "mesh/distsoc/replica-map/v1"))


def succession(former_seed, next_seed, time_ms):
    words = {0: public_of(former_seed), 1: public_of(next_seed), 2: time_ms}
    by_former = nacl.signing.SigningKey(former_seed).sign(signed_text("succeeded", canonical(words))).signature
    return sign(next_seed, "successor", {**words, 3: by_former})


def vectors():
    """One of each object, as tests/vectors/social.json has them. Secrets are what they are for."""
    ada, ben, epoch = bytes([1]) * 32, bytes([2]) * 32, bytes([3]) * 32
    one, two, three = map(public_of, (ada, ben, epoch))
    when, post, nonce = 1800000000000, bytes([9]) * 32, bytes(range(12))
    group = b3(three + bytes(16))
    fresh = bytes([7]) * 32 + bytes(range(12)) + bytes(range(100, 112))
    state = {0: group, 1: three, 2: 1, 3: sorted([[one, 3], [two, 5]]), 4: [0, 1], 5: post, 6: bytes([8]) * 32}
    note = sign(ada, "replica", {0: post, 1: one, 2: 0, 3: when})
    return {
        "profile": sign(ada, "profile", {0: one, 1: when, 2: "Ada", 3: "Schreibt\nüber Zahlen", 4: [two], 5: post,
                                         6: [two], 7: b3(three, "mesh/distsoc/next-key/v1")}),
        "profilecircle": sign(ada, "profilecircle", {0: 0, 1: bytes(16), 2: seal_profile(
            ada, two, canonical({0: when, 1: "A.", 2: "for Ben"}), fresh)}),
        "successor": succession(ada, ben, when),
        "address": sign(ada, "address", {0: when, 1: [{0: bytes([192, 0, 2, 1]), 1: 7000, 2: 0}], 2: 3}),
        "replica": note,
        "sealed_replica": seal_replica(note, bytes([7]) * 32, nonce),
        "post": sign(ada, "post", {0: post, 1: bytes(16), 2: bytes([8]) * 32}),
        "delete": sign(ada, "delete", {0: post, 1: when}),
        "vis": sign(ada, "vis", {0: post, 1: 4, 2: GROUP, 4: [group, 1, bytes(60), three]}),
        "group": sign(ada, "group", state),
        "sealed_epoch": seal_epoch(ada, two, group, 1, epoch, nonce),
        "grouphide": sign(ada, "grouphide", {0: group, 1: two, 2: True, 3: when, 4: bytes([5]) * 16}),
        "groupleave": sign(ada, "groupleave", {0: group, 1: when}),
        "groupproof": sign(epoch, "groupproof", {0: group, 1: 1, 2: bytes(16)}),
    }
