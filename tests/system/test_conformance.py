#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The test vectors are right, and our code keeps to far more of them.

tests/vectors/*.json hold what our C code is tested with. Here each vector is
made anew without that code, by support/oracle.py; then the program that reads
them is fed random ones of the same kinds.
"""
import json
import os
import pathlib
import random
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import Skip, check, check_eq, run

try:
    import oracle
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

VECTORS = pathlib.Path("tests/vectors")
PROGRAM = os.path.join(os.environ.get("BUILD", "build/release"),
                       "tests/unit/conformance/test_vectors")
FILES = ("keys", "content", "wire", "cbor")


def vectors(name):
    return json.loads((VECTORS / f"{name}.json").read_text())["vectors"]


def b3sum(data):
    done = subprocess.run(["b3sum", "--no-names"], input=data, capture_output=True, check=True)
    return done.stdout.decode().strip()


def test_keys_are_those_of_nacl(lab):
    for v in vectors("keys"):
        public, text, signature = oracle.key(bytes.fromhex(v["seed"]), bytes.fromhex(v["message"]))
        check_eq((v["public"], v["text"], v["signature"]), (public.hex(), text, signature.hex()), v["seed"])


def test_content_ids_are_those_of_b3sum(lab):
    for v in vectors("content"):
        check_eq(v["id"], b3sum(oracle.pattern(v["len"])), v["len"])


def test_chunks_are_subtrees_of_the_content(lab):
    for v in vectors("content"):
        data = oracle.pattern(v["len"])
        check_eq(v["chunks"], [chunk.hex() for chunk in oracle.chunks(data)], v["len"])


def test_the_oracle_hashes_as_b3sum_does(lab):
    dice = random.Random(4)
    for length in [0, 1, 64, 65, 1023, 1024, 1025, 2048, 3072, 5000, *(dice.randrange(20000) for _ in range(5))]:
        data = dice.randbytes(length)
        check_eq(oracle.blake3(data).hex(), b3sum(data), length)


def test_wire_bytes_are_canonical_cbor_of_their_fields(lab):
    for v in vectors("wire"):
        made = oracle.WIRE[v["kind"]](v)
        check_eq(v.get("hex") or v["text"].encode().hex(), made.hex(), v["kind"])


def test_descriptors_are_read_by_foreign_tools(lab):
    """Decoded by cbor2, verified by nacl, the id hashed by sha256sum; any other byte is refused."""
    for v in (v for v in vectors("wire") if v["kind"] == "descriptor"):
        data = bytes.fromhex(v["hex"])
        body = oracle.descriptor_read(data)
        check_eq((body[1], body[2], body[5], body[6], body[7], body[8]),
                 tuple(v[k] for k in ("name", "version", "metadata", "created_s", "expires_s", "seq")), v["name"])
        name = f"svc:{body[1]}:peer:{oracle.z32(body[3])}"
        done = subprocess.run(["sha256sum"], input=name.encode(), capture_output=True, check=True)
        check_eq(body[0].hex(), done.stdout.decode().split()[0], name)
        for at in range(len(data)):
            flipped = data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]
            try:
                oracle.descriptor_read(flipped)
            except Exception:  # of cbor2, nacl or ours, as the byte is of this or that
                continue
            check(False, f"byte {at} of {v['name']} may be another")


def test_cbor_verdicts_are_those_of_cbor2(lab):
    for v in vectors("cbor"):
        check_eq(v["ours"], oracle.cbor_is_ours(bytes.fromhex(v["hex"])), v["hex"])


def random_id(dice):
    return dice.randbytes(32).hex()


def random_number(dice, bits=62):
    return dice.getrandbits(dice.randrange(bits + 1))


def random_text(dice, length=20):
    return "".join(dice.choice("az09 -_.äß水😀") for _ in range(dice.randrange(length)))


def random_value(dice, depth):
    kind = dice.randrange(8 if depth else 6)
    if kind == 0:
        return random_number(dice, 64)
    if kind == 1:
        return -1 - random_number(dice, 63)
    if kind == 2:
        return dice.randbytes(dice.randrange(40))
    if kind == 3:
        return random_text(dice)
    if kind < 6:
        return dice.choice([True, False, None])
    count = dice.choice([0, 1, 2, 3, 25])
    if kind == 6:
        return [random_value(dice, depth - 1) for _ in range(count)]
    random_key = dice.choice([random_number, random_text])
    return {random_key(dice): random_value(dice, depth - 1) for _ in range(count)}


def mutated(dice, data):
    data = bytearray(data)
    for _ in range(dice.randrange(3)):
        at = dice.randrange(len(data)) if data else 0
        action = dice.randrange(4)
        if action == 0 and data:
            data[at] = dice.randrange(256)
        elif action == 1 and data:
            data[at] ^= 1 << dice.randrange(8)
        elif action == 2:
            data.insert(at, dice.randrange(256))
        elif data:
            del data[at:at + dice.randrange(1, 3)]
    return bytes(data)


def random_cbor(dice):
    for _ in range(6000):
        data = mutated(dice, oracle.canonical(random_value(dice, dice.randrange(5))))
        if data:
            yield {"hex": data.hex(), "ours": oracle.cbor_is_ours(data)}


def random_keys(dice):
    for _ in range(200):
        seed, message = dice.randbytes(32), dice.randbytes(dice.randrange(64))
        public, text, signature = oracle.key(seed, message)
        yield {"seed": seed.hex(), "message": message.hex(), "public": public.hex(), "text": text,
               "signature": signature.hex()}


def random_content(dice):
    for length in (dice.randrange(1, 40000), dice.randrange(262144, 600000)):
        data = oracle.pattern(length)
        yield {"len": length, "id": oracle.blake3(data).hex(),
               "chunks": [chunk.hex() for chunk in oracle.chunks(data)]}


def random_items(dice):
    """In the order of manifest.h: byte by byte, with '/' before all others."""
    paths = {f"{dice.choice('abc')}{dice.choice(['/', '-', ''])}{dice.randrange(40)}-ü" for _ in range(30)}
    paths = sorted(paths, key=lambda path: path.encode().replace(b"/", b"\0"))
    return [{"path": path, "id": random_id(dice), "size": random_number(dice, 40),
             "mtime_ns": dice.choice([0, random_number(dice, 63)]),
             "executable": dice.choice([False, True])} for path in paths]


def random_addrs(dice):
    return [{"ip": dice.randbytes(dice.choice([4, 16])).hex(), "port": dice.randrange(1, 65536)}
            for _ in range(dice.randrange(9))]


def random_headers(dice):
    names = ["accept", "Content-Type", "X-" + "y" * dice.randrange(1, 60), "etag", "!#$%&'*+-.^`|~1"]
    return [[dice.choice(names), bytes(dice.choice(b" \t!az~\x80\xff") for _ in range(dice.randrange(40))).hex()]
            for _ in range(dice.randrange(40))]


def random_http(dice):
    for _ in range(100):
        head = {"headers": random_headers(dice)}
        if dice.randrange(2):
            head["body_len"] = random_number(dice)
        yield head | {"kind": "http_request", "verb": dice.choice(["GET", "POST", "M-SEARCH"]),
                      "target": "/" + "".join(dice.choice("az09/%?&=._~") for _ in range(dice.randrange(300)))}
        yield head | {"kind": "http_answer", "status": dice.randrange(200, 600)}


def random_descriptor(dice):
    created = random_number(dice, 40)
    keys = {f"k{dice.choice(['', '-', 'ö'])}{i}" for i in range(dice.randrange(11))}
    return {"kind": "descriptor", "seed": random_id(dice), "name": dice.choice(["a", "pod-chat", "x" * 64]),
            "version": f"{random_number(dice, 20)}.{random_number(dice, 9)}.0{dice.choice(['', '-rc.1', '+b'])}",
            "addrs": random_addrs(dice), "metadata": {key: random_text(dice) for key in keys},
            "created_s": created, "expires_s": created + dice.randrange(60, 3601), "seq": random_number(dice),
            "gone": dice.choice([False, True])}


def random_wire(dice):
    yield from random_http(dice)
    for _ in range(300):
        number, first = random_number(dice, 31), random_number(dice)
        yield {"kind": "frame", "type": random_number(dice, 16), "req_id": random_number(dice, 32),
               "flags": random_number(dice, 2), "payload": dice.randbytes(random_number(dice, 9)).hex()}
        yield {"kind": "hello", "caps": number, "unix_s": first, "addrs": random_addrs(dice),
               "agent": random_text(dice, 15)}
        yield {"kind": "goodbye", "reason": first, "not_before_ms": number}
        yield {"kind": "error", "code": number & 0xffff, "text": random_text(dice), "not_before_ms": first}
        for kind, shapes in (("request", oracle.REQUESTS), ("answer", oracle.ANSWERS)):
            number, fields = dice.choice(list(shapes.items()))
            v = {"kind": kind, "type": number, "id": random_id(dice)}
            for field in fields:
                is_bytes = field == "bytes"
                v[field] = dice.randbytes(random_number(dice, 9)).hex() if is_bytes else random_number(dice)
            yield v
        yield {"kind": "link", "manifest_id": random_id(dice), "node_key": random_id(dice),
               "addrs": random_addrs(dice)}
        yield {"kind": "signed", "seed": random_id(dice), "tag": "abcdefghijklmnop"[:dice.randrange(17)],
               "body": oracle.canonical(random_value(dice, 3)).hex()}
        yield random_descriptor(dice)
    for _ in range(20):
        yield {"kind": "manifest", "created_s": random_number(dice), "title": random_text(dice),
               "items": random_items(dice), "dirs": sorted({f"empty{dice.randrange(99):02}" for _ in range(4)}),
               "links": [[f"to{i}/l", dice.choice(["..", "../a", "x/y", "ü"])] for i in range(dice.randrange(4))]}


def with_bytes(v):
    made = oracle.WIRE[v["kind"]](v)
    return v | ({"text": made.decode()} if v["kind"] == "link" else {"hex": made.hex()})


def test_our_code_agrees_on_random_vectors(lab):
    if not os.path.exists(PROGRAM):
        raise Skip(f"{PROGRAM} is not built")
    seed = int(os.environ.get("SEED", "1"))
    dice = random.Random(seed)
    made = {"cbor": list(random_cbor(dice)), "keys": list(random_keys(dice)),
            "content": list(random_content(dice)), "wire": [with_bytes(v) for v in random_wire(dice)]}
    check(500 < sum(v["ours"] for v in made["cbor"]) < len(made["cbor"]) - 500, "verdicts are one-sided")
    for name in FILES:
        (lab.dir / f"{name}.json").write_text(json.dumps({"vectors": made[name]}))
    done = subprocess.run([PROGRAM], env=os.environ | {"WEFT_VECTORS": str(lab.dir)}, text=True,
                          capture_output=True, check=False)
    check_eq(done.returncode, 0, f"SEED={seed}: {done.stdout[-2000:]}{done.stderr}")


if __name__ == "__main__":
    run([test_keys_are_those_of_nacl, test_content_ids_are_those_of_b3sum,
         test_chunks_are_subtrees_of_the_content, test_the_oracle_hashes_as_b3sum_does,
         test_wire_bytes_are_canonical_cbor_of_their_fields, test_descriptors_are_read_by_foreign_tools,
         test_cbor_verdicts_are_those_of_cbor2, test_our_code_agrees_on_random_vectors])
