#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Signed objects, proved without our code.

tests/vectors/signed.json has one of every kind of signed object that the program makes
(tests/unit/conformance/test_signed_vectors). Here cbor2 reads each and writes it again in
canonical mode, PyNaCl verifies its signature, and sha256sum and b3sum compute ids. A
reader of the wire needs no more than these.
"""
import json
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import check, check_eq, run

try:
    import cbor2
    import nacl.exceptions
    import nacl.signing
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

VECTORS = json.loads(pathlib.Path("tests/vectors/signed.json").read_text())["vectors"]
REVOKED = 2**64 - 1


def digest(tool, data):
    done = subprocess.run([tool], input=data, capture_output=True, check=True)
    return bytes.fromhex(done.stdout.decode().split()[0])


def sha256(data):
    return digest("sha256sum", data)


def blake3(data):
    return digest("b3sum", data)


def canonical(data):
    """What data says, if these are the only bytes that say it."""
    value = cbor2.loads(data)
    check_eq(cbor2.dumps(value, canonical=True), data, "re-encoded")
    return value


def statement(tag, body):
    return b"MESHSIG1" + bytes([len(tag)]) + tag.encode() + len(body).to_bytes(4, "big") + body


def verifies(tag, wrapper):
    try:
        nacl.signing.VerifyKey(wrapper[1]).verify(statement(tag, wrapper[0]), wrapper[2])
    except nacl.exceptions.BadSignatureError:
        return False
    return True


def wrappers(kind=None):
    for vector in VECTORS:
        if kind is None or vector["kind"].split(",")[0] == kind:
            data = bytes.fromhex(vector["hex"])
            yield vector, data, canonical(data)


def bodies(kind):
    for _, _, wrapper in wrappers(kind):
        yield wrapper, canonical(wrapper[0])


def test_every_object_is_canonical_inside_and_out(lab):
    for vector, _, wrapper in wrappers():
        check_eq(sorted(wrapper), [0, 1, 2], vector["kind"])
        body = canonical(wrapper[0])
        check(all(isinstance(key, int) for key in body), vector["kind"])


def test_every_signature_verifies_under_its_tag_alone(lab):
    tags = {vector["tag"] for vector in VECTORS}
    for vector, _, wrapper in wrappers():
        check(verifies(vector["tag"], wrapper), vector["kind"])
        for other in tags - {vector["tag"]}:
            check(not verifies(other, wrapper), f"{vector['kind']} under {other}")


def test_a_flipped_bit_of_any_field_breaks_the_signature(lab):
    for vector, _, wrapper in wrappers():
        body = wrapper[0]
        for at in range(0, len(body), max(1, len(body) // 40)):
            tampered = body[:at] + bytes([body[at] ^ 1]) + body[at + 1:]
            check(not verifies(vector["tag"], {**wrapper, 0: tampered}), f"{vector['kind']} at {at}")


def test_share_ids_are_hashes_of_keys(lab):
    # The published vector: RFC 8032's first key, and its SHA-256.
    public = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")
    check(sha256(public).hex().startswith("21fe31df"), sha256(public).hex())
    check(sha256(public).hex().endswith("21b9"), sha256(public).hex())
    for wrapper, body in bodies("head"):
        check_eq(wrapper[1], public, "signer")
        check_eq(body[0], sha256(public), "share id")
    for wrapper, body in bodies("manifest"):
        check_eq(body[1], wrapper[1], "share key")
        check_eq(body[2], sha256(wrapper[1]), "share id")


def test_the_overlay_key_of_a_head_is_the_published_one(lab):
    for _, body in bodies("head"):
        key = sha256(b"share:head:" + body[0])
        check(key.hex().startswith("edcfbb3a") and key.hex().endswith("50ed"), key.hex())


def test_manifests_have_the_fields_that_are_documented(lab):
    whole, root = (body for _, body in bodies("manifest"))
    check_eq(sorted(whole), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 13], "a whole")
    check_eq(sorted(root), [0, 1, 2, 3, 4, 8, 12], "a root")
    check_eq((whole[0], whole[3], whole[8], root[8]), (1, 7, 1, 0), "version, number, visibility")
    check_eq([sorted(item) for item in whole[10]], [[0, 1, 2, 3, 4, 5, 6], [0, 1, 2, 6]], "items")
    check_eq(whole[10][0][6], 2, "chunks of 262,145 bytes")
    check_eq(sorted(root[12][0]), [0, 1, 2, 3], "a part")


def test_a_manifest_is_named_by_all_its_bytes(lab):
    names = set()
    for vector, data, wrapper in wrappers():
        if vector["named"]:
            names.add(blake3(data))
            check(blake3(data) != blake3(wrapper[0]), "the body alone is another name")
    check_eq(len(names), 2, "names")


def test_a_revocation_names_nothing(lab):
    revoked = [body for _, body in bodies("head") if body[1] == REVOKED]
    check_eq([body[2] for body in revoked], [bytes(32)] * 2, "manifest id")
    check_eq([4 in body for body in revoked], [False, True], "the second has a successor")
    check(len(revoked[1][4]) == 32, "which is a key")
    check(all(4 not in body for _, body in bodies("head") if body[1] != REVOKED), "no other has")


def test_what_is_nested_is_signed_by_its_own_maker(lab):
    for _, member in bodies("community member"):
        tokens = [value for value in member.values() if isinstance(value, bytes) and len(value) > 100]
        check_eq(len(tokens), 1, "tokens")
        check(verifies("commtoken", canonical(tokens[0])), "token")
    for _, share in bodies("community share"):
        inner = [value for value in share.values() if isinstance(value, bytes) and len(value) > 100]
        check_eq(len(inner), 1, "bindings")
        check(verifies("commbind", canonical(inner[0])), "binding")


def test_a_rooms_segments_are_a_chain_that_its_head_names(lab):
    (_, first, one), (_, second, two) = wrappers("room segment")
    bodies_ = [canonical(each[0]) for each in (one, two)]
    (wrapper, head), = bodies("room head")
    check_eq([body[1] for body in bodies_], [0, 1], "numbers")
    check_eq([body[2] for body in bodies_], [bytes(32), blake3(first)], "hashes of those before")
    check_eq((head[5], head[6], head[7]), (1, blake3(first), blake3(second)), "what the head names")
    check_eq({wrapper[1], one[1], two[1]}, {wrapper[1]}, "all by the host")
    sequences = [event[0] for body in bodies_ for event in body[3]]
    check_eq(sequences, sorted(set(sequences)), "sequences ascend")


def test_a_relay_grant_says_what_is_documented(lab):
    (wrapper, whole), (_, least) = bodies("relay grant")
    check_eq(sorted(whole), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9], "all fields")
    check_eq(sorted(least), [0, 1, 5, 7, 8], "those that are needed")
    check_eq([whole[key] for key in (0, 2, 3, 4, 5, 6)],
             [7, 12500000, 2**20, 10**12, 16, True], "serial, rate, burst, month, flows, content")
    check_eq([len(relay) for relay in whole[9]], [32, 32], "relays")
    (inner_set, named), = bodies("key set of a relay grant")
    inner = canonical(named[0])
    check(verifies("relaygrant", inner), "the grant in the set")
    check_eq((inner[1], canonical(inner[0])[1]), (wrapper[1], inner_set[1]), "operator; holder")
    (list_wrapper, revoked), = bodies("relay revocations")
    check_eq(list_wrapper[1], wrapper[1], "the operator signs both")
    check_eq((revoked[0], revoked[2], revoked[3]), (2, 5, [7, 300]), "serial, below, serials")


def test_a_relay_receipt_has_both_signatures(lab):
    (claim_wrapper, claim), = bodies("relay claim")
    (wrapper, receipt), = bodies("relay receipt")
    check_eq(canonical(receipt[0]), claim_wrapper, "the claim in the receipt")
    check(verifies("relayclaim", canonical(receipt[0])), "the owner's signature")
    check(verifies("relayreceipt", wrapper), "the relay's signature")
    check(not verifies("relayreceipt", claim_wrapper), "a claim is no receipt")
    check_eq((claim[0], wrapper[1] != claim_wrapper[1]), (wrapper[1], True), "the relay, and another key")
    check_eq([claim[key] for key in range(2, 5)], [2, 5000000, 80000000], "serial and counts")
    check_eq((receipt[1], receipt[2]), (4990000, 80010000), "the relay's counts")
    for own, other in ((claim[3], receipt[1]), (claim[4], receipt[2])):
        check(abs(own - other) <= 2**18 + max(own, other) // 4, "they agree")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
