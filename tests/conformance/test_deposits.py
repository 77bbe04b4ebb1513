#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Deposits by foreign tools: the published PUT is made and opened by nacl, cbor2, hmac and b3sum.

tests/unit/deposits/test_deposit_record.c makes the same one of the same secrets.
"""
import hashlib
import hmac
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import check, check_eq, run

try:
    import cbor2
    import nacl.bindings as sodium
    import nacl.exceptions
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

VECTOR = bytes.fromhex(pathlib.Path("tests/vectors/deposits/put.hex").read_text())
PAGE = pathlib.Path("docs/wire/deposits.md")
RECIPIENT, SECRET = sodium.crypto_sign_seed_keypair(bytes(32))
ONE_TIME = bytes([2]) * 32
NONCE = bytes(range(0x20, 0x38))
RECEIPT = bytes(range(16))
EXPIRES = 1800000000
CONTENT = b"marker"


def name_of(receipt):
    made = subprocess.run(["b3sum", "--derive-key", "mesh/deposit/id/v1", "--raw"], input=receipt,
                          capture_output=True, check=True)
    return made.stdout[:16]


def key_of(one_time_public, agreed):
    prk = hmac.new(one_time_public + RECIPIENT, agreed, hashlib.sha256).digest()
    return hmac.new(prk, b"mesh/deposit/v1\x01", hashlib.sha256).digest()


def test_a_deposit_is_made_by_foreign_tools(lab):
    name = name_of(RECEIPT)
    public = sodium.crypto_scalarmult_base(ONE_TIME)
    agreed = sodium.crypto_scalarmult(ONE_TIME, sodium.crypto_sign_ed25519_pk_to_curve25519(RECIPIENT))
    box = sodium.crypto_aead_xchacha20poly1305_ietf_encrypt(
        b"\x01" + RECEIPT + EXPIRES.to_bytes(8, "big") + CONTENT, RECIPIENT + name, NONCE, key_of(public, agreed))
    put = cbor2.dumps({0: RECIPIENT, 1: name, 2: EXPIRES, 3: public + NONCE + box}, canonical=True)
    check_eq(put.hex(), VECTOR.hex(), "PUT")


def test_its_recipient_opens_it_with_foreign_tools(lab):
    put = cbor2.loads(VECTOR)
    sealed, bound = put[3], put[0] + put[1]
    own = sodium.crypto_sign_ed25519_sk_to_curve25519(SECRET)
    key = key_of(sealed[:32], sodium.crypto_scalarmult(own, sealed[:32]))
    text = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[56:], bound, sealed[32:56], key)
    check_eq(text[0], 1, "kind")
    check_eq(name_of(text[1:17]), put[1], "name")
    check_eq(int.from_bytes(text[17:25], "big"), put[2], "expires")
    check_eq(text[25:], CONTENT, "content")
    try:
        sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[56:], bound[::-1], sealed[32:56], key)
    except nacl.exceptions.CryptoError:
        return
    check(False, "it opens for another recipient")


def test_the_page_shows_that_put(lab):
    shown = "".join(re.findall(r"^    ([0-9a-f]{2,})$", PAGE.read_text(), re.M))
    check_eq(shown, VECTOR.hex(), PAGE.name)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
