#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Service messages, proved both ways.

service_messages.py made tests/vectors/offers/ without our code. Here they are read by struct,
cbor2 and nacl, and compared with the messages that the project's specification publishes. Then
the program that reads them and writes each again (tests/unit/conformance/test_service_message_vectors)
is given random ones.
"""
import json
import os
import pathlib
import random
import struct
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import check, check_eq, run

try:
    import service_messages as made
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

PROGRAM = pathlib.Path(os.environ.get("BUILD", "build/release"),
                       "tests/unit/conformance/test_service_message_vectors")
# The specification's own, each with the vector that it is.
PUBLISHED = {
    ("announce", "housing"):
        "0200000001815900139e3940e64b5491722088d9a0d741628ceed943e78fceeed47bff1f00b72effc9132dedd15d11aaf6b26e84a018c4"
        "40e02549ac616e997d31ee5645a33d4ae31d1ccda41b7f3bc57c3a3fcd96ca9e0b0004480000d2496b00000000a90058203b6a27bcceb6"
        "a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da2901000212031901c2041a6b49d2000565313031313506816762616c636f"
        "6e7918f00118f150000102030405060708090a0b0c0d0e0f",
    ("update", "rent"):
        "0200000007814100139e3940e64b5491722088d9a0d74162a3b439e8801967c9a8475084a5d4b23b08744326111413a185633a739226a7"
        "caaa79c79507184fa6d72d06290d6bd318d7f56ad1b1d20b4b180130ed5f704c0f000448003cd2496b00000000a50058203b6a27bcceb6"
        "a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da29031901ae18f00218f150000102030405060708090a0b0c0d0e0f18f201",
    ("announce", "housing in the seed form"):
        "0200000001014300139e3940e64b5491722088d9a0d7416232d2fd46c903870591c5da6f7de34ee3797402a32d2cd91c59d88d562e6484"
        "4bb7ebc4b40601ec3511a883bdfe6655384ecdff28b8e88e75973ca6d40bf7b8050008480000d2496b00000000a70058203b6a27bcceb6"
        "a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da2901000212031901c2041a6b49d2000565313031313506816762616c636f"
        "6e79",
    ("query", "housing"):
        "0200000002012000" + "00" * 80 + "0004010000d2496b00000000a30050101112131415161718191a1b1c1d1e1f01a20219038404"
        "633130310214",
    ("announce", "housing without terms"):
        "0200000001814300139e3940e64b5491722088d9a0d74162b5b6004a41594b081f5a9ae7a7f48ef219ec5a51360396cab6b93774739d70"
        "33891c1417b55ebf6b13c42bb3c67106b14dd838167ec376be496c24db8b143e0e0008480000d2496b00000000a70058203b6a27bcceb6"
        "a42d62a3a8d02a6f0d73653215771de243a63ac048a18b59da2901000212031901c2041a6b49d2000565313031313506816762616c636f"
        "6e79",
}


def vectors(kind):
    return json.loads((made.VECTORS / f"{kind}.json").read_text())["vectors"]


def each_vector():
    for kind in made.MADE:
        for v in vectors(kind):
            yield kind, v, bytes.fromhex(v["hex"])


def canonical(data):
    value = made.cbor2.loads(data)
    check_eq(made.canonical(value), data, "re-encoded")
    return value


def test_each_file_is_the_one_that_is_made(lab):
    for kind in made.MADE | made.OBJECTS:
        check_eq((made.VECTORS / f"{kind}.json").read_text(), made.text_of(kind), kind)


def test_published_messages_are_among_them(lab):
    found = {(kind, v["name"]): v["hex"] for kind, v, _ in each_vector()}
    for name, text in PUBLISHED.items():
        check_eq(found[name], text, name)


def test_the_header_has_100_bytes_and_says_what_follows(lab):
    check_eq(made.struct.calcsize(made.HEAD), 100, "header")
    for _, v, data in each_vector():
        fields, payload = made.read(data)
        check_eq(payload.hex(), v["payload"], v["name"])
        canonical(payload)
        check_eq((fields["service"], fields["type"], fields["version"] & 0x7f, fields["version"] >> 7),
                 (v["service"], v["type"], v["version"], int(v["full_cover"])), v["name"])


def test_a_signature_holds_at_any_hop_and_for_its_key_alone(lab):
    for _, v, data in each_vector():
        if "seed" not in v:
            check_eq(data[24:88], bytes(64), v["name"])
            continue
        public = made.public_of(bytes.fromhex(v["seed"]))
        for hop in (0, 1, 5, 255):
            moved = data[:88] + bytes([hop]) + data[89:]
            check(made.verifies(moved, public), v["name"])
            check_eq(made.identity(moved).hex(), v["id"], v["name"])
        check(not made.verifies(data, made.public_of(bytes([9]) * 32)), v["name"])


def test_each_flipped_byte_of_a_full_cover_but_the_hop_count_is_noticed(lab):
    for _, v, data in each_vector():
        if "seed" not in v or not v["full_cover"]:
            continue
        public = made.public_of(bytes.fromhex(v["seed"]))
        for at in {*range(0, 6), *range(8, 88), *range(89, len(data))}:
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
            check(not made.verifies(flipped, public), f"{v['name']}: byte {at}")


def test_an_answer_has_messages_as_their_providers_signed_them(lab):
    for v in vectors("response"):
        payload = canonical(bytes.fromhex(v["payload"]))
        for entry in payload[1]:
            announce, *update = (made.read(data) for data in entry)
            public = canonical(announce[1])[0]
            check(all(made.verifies(data, public) for data in entry), v["name"])
            check_eq([fields["type"] for fields, _ in update], [7] * len(update), v["name"])


def test_a_reservations_box_is_the_published_one(lab):
    r = vectors("reserve")[0]["reservation"]
    key, nonce, bound = made.box_of(r, "reserve", 2)
    check_eq(key.hex(), "13786868695b8188d913bb5ef93ec0a35a0affa6d04e90050018121eef6a7138", "key")
    check_eq(bound[-32:].hex(), "ce8d3ad1ccb633ec7b70c17814a5c76ecd029685050d344745ba05870e587d59", "one-time key")
    sealed = made.nacl.bindings.crypto_aead_chacha20poly1305_ietf_encrypt(b"marker", bound, nonce, key)
    check_eq(sealed.hex(), "c1d7a02e6983c7ba888d0a18497a8e94b8714f26af15", "box")


def test_a_box_opens_for_its_reservation_and_type_alone(lab):
    for kind in made.PURPOSES:
        for v in vectors(kind):
            payload, r = canonical(bytes.fromhex(v["payload"])), v["reservation"]
            for other in made.PURPOSES:
                key, nonce, bound = made.box_of(r, other, v["service"])
                check_eq(nonce, payload[3], "nonce")
                try:
                    inside = canonical(made.nacl.bindings.crypto_aead_chacha20poly1305_ietf_decrypt(
                        payload[4], bound, nonce, key))
                    check_eq((inside.get(2), inside.get(3)), (r.get("text"), r.get("units")), v["name"])
                    check(other == kind, f"{v['name']} as {other}")
                except made.nacl.exceptions.CryptoError:
                    check(other != kind, f"{v['name']} as {other}")


def test_endorsements_verify_in_both_forms(lab):
    for v in vectors("endorsement"):
        public = made.public_of(bytes.fromhex(v["seed"]))
        value = canonical(bytes.fromhex(v["hex"]))
        if "expires_s" in v:
            body = value[0]
            signature, text = value[2], b"MESHSIG1\x07endorse" + len(body).to_bytes(4, "big") + body
            check_eq((canonical(body)[3], canonical(body)[6]), (v["level"], v["expires_s"]), v["name"])
        else:
            signature, text = value[7], made.seed_cover(v)
            check_eq((value[3], value[6]), (v["level"], made.address_of(public)), v["name"])
        made.nacl.signing.VerifyKey(public).verify(text, signature)


def test_the_seed_forms_endorsement_is_the_published_one(lab):
    v = vectors("endorsement")[0]
    check_eq(made.seed_cover(v).hex(), "139e3940e64b5491722088d9a0d741620200000000d2496b00000000", "text")
    check_eq(canonical(bytes.fromhex(v["hex"]))[7].hex(),
             "78e48397ef1ce75c4cd570b27314bae12b7f9603d33004ae5edb181f56819b964cf5ccb66e49da74f16b9661510a12b4823298a8"
             "ea8b71a2ece4b3dfb67fc709", "signature")


def test_capabilities_are_signed_objects(lab):
    for v in vectors("caps"):
        value = canonical(bytes.fromhex(v["hex"]))
        body, text = canonical(value[0]), b"MESHSIG1\x07svccaps" + len(value[0]).to_bytes(4, "big") + value[0]
        made.nacl.signing.VerifyKey(value[1]).verify(text, value[2])
        check_eq((body[0], body[1]), (made.address_of(value[1]), v["rows"]), v["name"])


def test_the_seed_form_leaves_ttl_and_time_open(lab):
    for _, v, data in each_vector():
        if "seed" not in v or v["full_cover"]:
            continue
        public = made.public_of(bytes.fromhex(v["seed"]))
        for at in range(89, 100):
            check(made.verifies(data[:at] + bytes([data[at] ^ 1]) + data[at + 1:], public), f"byte {at}")


def test_the_page_shows_the_published_announce_and_a_query_for_two_services(lab):
    page = "".join(pathlib.Path("docs/wire/offers.md").read_text().split())
    check(PUBLISHED["announce", "housing"] in page, "the example of docs/wire/offers.md")
    two = next(v for v in vectors("query") if v["name"] == "psychotherapy or lessons")
    for hex_text in (two["hex"], *two["query"]["expanded"]):
        check(hex_text in page, "the query for two services, and those that it becomes")


def test_a_query_for_several_services_has_each_once_and_becomes_one_of_each(lab):
    for v in vectors("query"):
        if v["service"] != made.ANY:
            continue
        payload = made.cbor2.loads(bytes.fromhex(v["payload"]))
        services = [service for service, _ in payload[1]]
        check(1 <= len(services) <= 4 and services == sorted(set(services)) and made.ANY not in services, services)
        check_eq(len(v["query"]["expanded"]), len(services), v["name"])
        for (service, filters), text in zip(payload[1], v["query"]["expanded"]):
            data = bytes.fromhex(text)
            head = struct.unpack("<IBBH16s64sBBHQ", data[:100])
            check_eq((head[0], head[1], head[3]), (service, 2, len(data) - 100), v["name"])
            check_eq(made.cbor2.loads(data[100:]), {0: payload[0], 1: filters, 2: payload[2]}, v["name"])
            check_eq((head[2], *head[4:]), (v["version"], bytes(16), bytes(64), v["hop_cnt"], v["hop_max"],
                                            v["ttl_hours"], v["timestamp_s"]), "the rest of the header")


def test_the_program_writes_random_messages_the_same(lab):
    dice = random.Random(17)
    with tempfile.TemporaryDirectory() as folder:
        for kind in made.MADE | made.OBJECTS:
            some = [made.RANDOM[kind](dice) for _ in range(60)]
            pathlib.Path(folder, f"{kind}.json").write_text(json.dumps({"vectors": some}))
        done = subprocess.run([PROGRAM], env=os.environ | {"WEFT_VECTORS": folder}, capture_output=True, text=True)
        check_eq(done.returncode, 0, done.stdout + done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
