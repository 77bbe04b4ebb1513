#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Posts of a real daemon, opened and verified by nacl, cbor2 and b3sum; and the published vectors."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import check, check_eq, run

try:
    import social_objects as social
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

import oracle

KEY0, KEY1, KEY2 = bytes(32), bytes([1]) * 32, bytes([2]) * 32


def refused(what, function, *words):
    try:
        function(*words)
    except social.Refused:
        return
    check(False, f"{what}: it was taken")


def test_the_published_vectors_are_met(lab):
    post, claim, vis = social.make(KEY0, "hello")
    check_eq(social.b3(post).hex(), "ec3884b34e17cf4b2d6fc172c65fd0d5a620e119916bb47896f5871d3a325677", "PostId")
    check_eq(social.Post(post, claim, vis).text_for(KEY2), "hello", "a public text")
    key = social.wrap_key(KEY0, social.public_of(KEY0), social.public_of(KEY1), bytes(range(12)))
    check_eq(key.hex(), "0f0ca237130f3e2b13bb462c5db9b6501dbf2afc8b04bbe6e22b548751669522", "key of a wrap")
    wrapped = social.wrap(KEY0, social.public_of(KEY0), social.public_of(KEY1), bytes(range(12)), b"\x07" * 32,
                          bytes(range(100, 112)))
    check_eq(wrapped.hex(), "6465666768696a6b6c6d6e6f4b2edc97cf80f73a2011d69d8830b6d11de0d952fd4ae9a13f388c23"
                            "2f143f45803fceae6ef0c83d9062e66e5bc298b3", "wrap")
    check_eq(social.seal_text("hello circle", b"\x07" * 32, bytes(range(12))),
             "AAECAwQFBgcICQoLRBCdTwO7zEVlFW2vLTX1KYBmcUzerXIWYYVYWA==", "content")


def test_an_altered_object_is_refused(lab):
    objects = social.make(KEY0, "hello", [social.public_of(KEY1)])
    made = social.Post(*objects)
    check_eq((made.text_for(KEY1), made.text_for(KEY0)), ("hello", "hello"), "reader and author")
    refused("another reader", made.text_for, KEY2)
    other = social.make(KEY1, "hello", [social.public_of(KEY1)])
    refused("a claim of another author", social.Post, objects[0], other[1], objects[2])
    refused("readers by another author", social.Post, objects[0], objects[1], other[2])
    for part in range(3):
        for at in range(0, len(objects[part]), 7):
            bent = [bytearray(object_) for object_ in objects]
            bent[part][at] ^= 1
            try:
                social.Post(*map(bytes, bent)).text_for(KEY1)
            except Exception:
                continue
            check(False, f"object {part}, byte {at}: it was taken")


def test_each_object_is_what_the_vectors_have(lab):
    """tests/unit/conformance/test_social_vectors.c reads, opens and makes the same bytes."""
    kept = json.loads(pathlib.Path("tests/vectors/social.json").read_text())["vectors"]
    made = {name: data.hex() for name, data in social.vectors().items()}
    check_eq(kept, made, "the vectors")


def test_what_was_sealed_opens_for_its_reader_alone(lab):
    made = social.vectors()
    ada, group = social.public_of(KEY1), social.b3(social.public_of(bytes([3]) * 32) + bytes(16))
    sealed = social.verify(made["profilecircle"], "profilecircle", ada)[2]
    check_eq(social.loads(social.open_profile(KEY2, ada, sealed))[2], "for Ben", "a profile for one reader")
    refused("a profile for another", social.open_profile, KEY0, ada, sealed)
    check_eq(social.open_epoch(KEY2, ada, group, 1, made["sealed_epoch"]), bytes([3]) * 32, "the key of an epoch")
    refused("the key of another epoch", social.open_epoch, KEY2, ada, group, 2, made["sealed_epoch"])
    refused("a key for another member", social.open_epoch, KEY0, ada, group, 1, made["sealed_epoch"])
    check_eq(social.open_replica(made["sealed_replica"], bytes([7]) * 32), made["replica"], "a note for readers")
    refused("a note without the key", social.open_replica, made["sealed_replica"], KEY2)


def seed_of(node):
    """The secret key of a node, as it lies in its file: a magic, a kind, the seed, the public key."""
    found = [path for path in node.state.rglob("*") if path.is_file() and "key" in path.name and path.stat().st_size < 200]
    for path in found:
        data = path.read_bytes()
        seed, public = data[-64:-32], data[-32:]
        if len(data) > 64 and social.public_of(seed) == public:
            return seed
    raise AssertionError(f"no key among {found}")


def exported(node, post_id):
    out = node.call("ExportPost", post=post_id)
    return social.Post(*(bytes.fromhex(out[name]) for name in ("post", "claim", "visibility")))


def write(node, text, **how):
    return node.call("WritePost", **{"text": text, "to": "public", "people": [], "mentions": [], **how})["post"]


def test_posts_of_a_daemon_are_what_the_page_says(lab):
    node = lab.daemon("a").start()
    seed = seed_of(node)
    own, reader = social.public_of(seed), social.public_of(KEY1)
    public = exported(node, write(node, "für alle\n<b>")["post_id"])
    check_eq((public.author, public.kind, public.text_for(KEY2)), (own, social.PUBLIC, "für alle\n<b>"), "public")
    sealed = write(node, "for one", to="people", people=[oracle.z32(reader)])
    made = exported(node, sealed["post_id"])
    check_eq(oracle.z32(made.id), sealed["post_id"], "id")
    check_eq((made.readers, made.text_for(KEY1), made.text_for(seed)), ([reader], "for one", "for one"), "sealed")
    refused("another reader", made.text_for, KEY2)
    friends = exported(node, write(node, "for friends", to="friends")["post_id"])
    check_eq((friends.readers, friends.text_for(seed)), ([own], "for friends"), "it has no friends yet")
    check(made.nonce() != friends.nonce() and made.key_for(seed) != friends.key_for(seed), "keys of their own")
    direct = node.call("SendDirect", people=[oracle.z32(reader)], text="psst")["post"]
    check_eq(exported(node, direct["post_id"]).text_for(KEY1), social.DIRECT + "psst", "a direct message")
    typed = write(node, social.RECEIPT + "d", to="people", people=[oracle.z32(reader)])
    check_eq(exported(node, typed["post_id"]).text_for(KEY1), social.ESCAPE + social.RECEIPT + "d", "no receipt")
    check_eq(typed["text"], social.RECEIPT + "d", "as typed")


def test_attachments_are_sealed_unit_by_unit_and_public_ones_named_by_their_hash(lab):
    node = lab.daemon("a").start()
    reader = oracle.z32(social.public_of(KEY1))
    data = [bytes(at * 7 + at // 251 & 255 for at in range(length)) for length in (0, 5000, 262104, 600001)]
    paths = [lab.dir / f"boat{number}.png" for number in range(len(data))]
    for path, bytes_ in zip(paths, data):
        path.write_bytes(bytes_)
    names = [str(path) for path in paths]
    public = exported(node, write(node, "look", attachments=names)["post_id"])
    check_eq(public.attachments, [[social.b3(bytes_), f'image/png; name="{path.name}"', len(bytes_)]
                                  for path, bytes_ in zip(paths, data)], "public ones")
    sealed = exported(node, write(node, "look", to="people", people=[reader], attachments=names)["post_id"])
    key = sealed.key_for(KEY1)
    for number, (path, bytes_) in enumerate(zip(paths, data)):
        head = social.canonical({0: "image/png", 1: len(bytes_), 2: path.name})
        units = social.units_of(key, number, head, bytes_)
        check(max(map(len, units)) <= 256 << 10, "256 KiB with the tag")
        check_eq(sealed.attachments[number], [b"".join(map(social.b3, units)), "", 0], path.name)
        check_eq(len(units), 1 + (len(head) + 2 + len(bytes_) - 1) // social.UNIT_TEXT_LEN, "no unit is empty")


def test_editions_replies_and_deletions_are_signed(lab):
    node = lab.daemon("a").start()
    own = social.public_of(seed_of(node))
    first = write(node, "frist", to="people", people=[oracle.z32(social.public_of(KEY1))])
    edited = node.call("EditPost", post=first["post_id"], text="first", mentions=[])["post"]
    before, after = exported(node, first["post_id"]), exported(node, edited["post_id"])
    check_eq((after.claim[1], after.claim[2]), (before.claim[1], before.id), "logical id, and what it supersedes")
    check_eq((after.time_ms, after.readers), (before.time_ms + 1, before.readers), "its place and readers")
    check(before.key_for(KEY1) != after.key_for(KEY1), "another key")
    reply = exported(node, write(node, "yes", reply_to=edited["post_id"])["post_id"])
    check_eq(reply.parent, after.id, "parent")
    node.call("DeletePost", post=edited["post_id"])
    for post in (before, after):
        out = node.call("ExportPost", post=oracle.z32(post.id))
        check_eq(out.get("post"), None, "its text is gone")
        social.verify_deletion(bytes.fromhex(out["deletion"]), own, post.id)
        refused("a deletion of another post", social.verify_deletion, bytes.fromhex(out["deletion"]), own, reply.id)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
