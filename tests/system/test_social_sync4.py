#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A program in Python exchanges posts with a node over distsoc/sync/4. aioquic has the connection,
PyNaCl the signatures, cbor2 the bytes of a post, and b3sum its id."""
import json
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
sys.path.append(str(pathlib.Path(__file__).parents[1] / "conformance"))
import fabric
from lab import Skip, check, check_eq, run

try:
    import cbor2
    import nacl.signing
    import oracle
    import social_objects
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

CLIENT = pathlib.Path(__file__).parent / "support" / "sync4_client.py"
ALICE, BOB = "a1" * 32, "b0" * 32
NO_APPLICATION_PROTOCOL = "0x178"
PUBLIC, RECIPIENTS = 0, 1


def signing(seed):
    return nacl.signing.SigningKey(bytes.fromhex(seed))


def signed(seed, tag, fields):
    """A signed object (docs/wire/descriptor.md)."""
    key, body = signing(seed), cbor2.dumps(fields, canonical=True)
    text = b"MESHSIG1" + bytes([len(tag)]) + tag.encode() + len(body).to_bytes(4, "big") + body
    return cbor2.dumps({0: body, 1: bytes(key.verify_key), 2: key.sign(text).signature}, canonical=True)


def post_bytes(post):
    """The CBOR of a post, made of its JSON."""
    attachments = [[b"".join(map(bytes.fromhex, row["cids"])), row["mime_type"], row["size"]]
                   for row in post["attachments"]]
    fields = {0: 1, 1: bytes.fromhex(post["author"]), 2: post["timestamp"], 3: post["content"], 4: attachments}
    if "parent" in post:
        fields[5] = bytes.fromhex(post["parent"])
    if "mentions" in post:
        fields[6] = list(map(bytes.fromhex, post["mentions"]))
    return cbor2.dumps(fields, canonical=True)


def b3sum(data):
    try:
        done = subprocess.run(["b3sum", "--no-names"], input=data, capture_output=True, check=True)
    except FileNotFoundError as missing:
        raise Skip("b3sum is not installed") from missing
    return done.stdout.decode().strip()


def made(seed, text, reader):
    """A post for one reader; its wrapped key is zeros, as no test opens it."""
    post = {"author": bytes(signing(seed).verify_key).hex(), "timestamp": int(time.time() * 1000), "content": text,
            "attachments": []}
    post_id = b3sum(post_bytes(post))
    claim = signed(seed, "post", {0: bytes.fromhex(post_id), 1: bytes(16)})
    visibility = signed(seed, "vis", {0: bytes.fromhex(post_id), 1: 1, 2: RECIPIENTS, 3: [[reader, bytes(60)]]})
    return {"id": post_id, "post": post, "visibility": {"Encrypted": {"recipients": [
        {"recipient": reader.hex(), "wrapped_cek": bytes(60).hex()}]}}, "claim": claim.hex(),
        "signed_visibility": visibility.hex()}


class Program:
    def __init__(self, lab, daemon, seed, alpn="distsoc/sync/4"):
        probe = subprocess.run([sys.executable, "-c", "import aioquic"], capture_output=True, check=False)
        if probe.returncode:
            raise Skip("python3-aioquic is not installed")
        address = daemon.json("status")["listen"][0].rsplit(":", 1)
        self.process = subprocess.Popen([sys.executable, CLIENT, *address, seed, alpn], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)
        lab.processes.append(self.process)

    def say(self, name, body, answers):
        self.process.stdin.write(json.dumps({name: body}) + f"\t{answers}\n")
        self.process.stdin.flush()
        return [json.loads(self.process.stdout.readline()) for _ in range(answers)]

    def hello(self, ids=(), follows=()):
        """The ids that the node names, its follows, and the posts that it gives."""
        said, posts = self.say("Hello", {"post_ids": list(ids), "follows": list(follows)}, 2)
        return said["Hello"]["post_ids"], said["Hello"]["follows"], posts["Posts"]["posts"]


def own_key(daemon):
    return fabric.key_of(daemon.json("node", "id")["node_id"])


def test_a_program_completes_hello_and_posts_and_its_post_comes_back(lab):
    a = lab.daemon("a").start()
    alice = Program(lab, a, ALICE)
    check_eq(alice.hello(), ([], [], []), "an empty node")
    post = made(ALICE, "c2VhbGVk", own_key(a))
    alice.say("Posts", {"posts": [post]}, 0)
    deadline = time.monotonic() + 20
    while not alice.hello()[0]:
        check(time.monotonic() < deadline, f"the post is not kept: {a.json('status')['counters']}")
        time.sleep(0.3)
    ids, _, posts = alice.hello()
    check_eq(ids, [post["id"]], "the id is named")
    check_eq(posts, [post], "the author has it, as it was")
    check_eq(b3sum(post_bytes(posts[0]["post"])), post["id"], "b3sum of the post")
    check_eq(alice.hello(ids)[2], [], "what is named is not given")
    asked, = alice.say("PostRequest", {"post_ids": [post["id"], "00" * 32]}, 1)
    check_eq([row["id"] for row in asked["Posts"]["posts"]], [post["id"]], "asked for by its id")


def as_json(post, claim, visibility):
    """The objects of a post as sync/4 has them."""
    made_post = social_objects.Post(post, claim, visibility)
    readers = [{"recipient": row[0].hex(), "wrapped_cek": row[1].hex()} for row in made_post.vis.get(3, [])]
    return {"id": made_post.id.hex(),
            "post": {"author": made_post.author.hex(), "timestamp": made_post.time_ms, "content": made_post.content,
                     "attachments": []},
            "visibility": {"Encrypted": {"recipients": readers}} if readers else "Public",
            "claim": claim.hex(), "signed_visibility": visibility.hex()}


def test_posts_that_python_sealed_are_read_by_the_node(lab):
    a = lab.daemon("a").start()
    alice = bytes.fromhex(ALICE)
    a.call("FollowPerson", person=oracle.z32(social_objects.public_of(alice)))
    program, now_ms = Program(lab, a, ALICE), int(time.time() * 1000)
    program.hello()
    texts = {"public": "for all, from Python", "sealed": "for one, from Python", "direct": "psst, from Python"}
    how = {"public": (texts["public"], None), "sealed": (texts["sealed"], [own_key(a)]),
           "direct": (social_objects.DIRECT + texts["direct"], [own_key(a)])}
    ids = {}
    for number, (name, (text, readers)) in enumerate(sorted(how.items())):
        fresh = [bytes([number + at]) * size for at, size in ((1, 32), (11, 12), (21, 12))]
        objects = social_objects.make(alice, text, readers, now_ms + number, bytes([number]) * 16, fresh)
        ids[name] = oracle.z32(social_objects.b3(objects[0]))
        program.say("Posts", {"posts": [as_json(*objects)]}, 0)
    deadline = time.monotonic() + 20
    while len(program.hello()[0]) < len(ids):
        check(time.monotonic() < deadline, f"they are not kept: {a.json('status')['counters']}")
        time.sleep(0.3)
    for name, post_id in ids.items():
        check_eq(a.call("ShowPost", post=post_id)["post"]["text"], texts[name], name)


def test_another_program_hears_of_an_id_and_gets_no_content(lab):
    a = lab.daemon("a").start()
    alice, bob = Program(lab, a, ALICE), Program(lab, a, BOB)
    post = made(ALICE, "c2VhbGVk", own_key(a))
    alice.say("Posts", {"posts": [post]}, 0)
    deadline = time.monotonic() + 20
    while not alice.hello()[0]:
        check(time.monotonic() < deadline, "the post is kept")
        time.sleep(0.3)
    author = post["post"]["author"]
    check_eq(bob.hello(follows=[author]), ([post["id"]], [], []), "literal: its id, and not more")
    asked, = bob.say("PostRequest", {"post_ids": [post["id"]]}, 1)
    check_eq(asked, {"Posts": {"posts": []}}, "asked for and missing")


def test_a_forged_and_an_unsigned_post_are_not_kept(lab):
    a = lab.daemon("a").start()
    bob = Program(lab, a, BOB)
    forged = made(ALICE, "forged", own_key(a))
    forged["claim"] = made(BOB, "forged", own_key(a))["claim"]
    unsigned = made(ALICE, "unsigned", own_key(a))
    del unsigned["claim"], unsigned["signed_visibility"]
    bob.say("Posts", {"posts": [forged, unsigned]}, 0)
    check_eq(bob.hello()[0], [], "nothing is kept")
    counters = a.json("status")["counters"]
    check_eq(counters["social_sync.unsigned_cnt"], 1, "unsigned, of another")


def places_used(daemon):
    slots = daemon.json("social", "slots")
    return {row["class"]: row["used"] for row in slots["classes"]}, slots["nodes"]


def test_a_single_request_takes_no_place(lab):
    a = lab.daemon("a").start()
    post = a.call("WritePost", text="for all", to="public", people=[], mentions=[])["post"]
    post_id = fabric.key_of(post["post_id"]).hex()
    before = places_used(a)
    check_eq(sum(before[0].values()), 0, "no place is used")
    for seed in (ALICE, BOB):
        program = Program(lab, a, seed)
        program.hello(follows=[own_key(a).hex()])
        asked, = program.say("PostRequest", {"post_ids": [post_id]}, 1)
        check_eq([row["id"] for row in asked["Posts"]["posts"]], [post_id], "a stranger gets it")
        check_eq(places_used(a), before, "and takes no place")


def test_version_3_is_refused(lab):
    a = lab.daemon("a").start()
    said, = Program(lab, a, ALICE, "distsoc/sync/3").say("Hello", {}, 1)
    check_eq(said["closed"], NO_APPLICATION_PROTOCOL, "the node ends it")
    check_eq(a.json("status")["counters"]["quic.refused_alpn_cnt"], 1, "refused")


def test_a_node_without_posts_speaks_it_not(lab):
    a = lab.daemon("a", config="[social]\nenabled = no\n").start()
    said, = Program(lab, a, ALICE).say("Hello", {}, 1)
    check_eq(said["closed"], NO_APPLICATION_PROTOCOL, "the node ends it")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
