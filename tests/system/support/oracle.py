# SPDX-License-Identifier: Apache-2.0
"""What weft's bytes must be, computed without weft: from python3-cbor2,
python3-nacl, hashlib and two short algorithms written down here from their
papers. Test vectors are checked against it, and made by it.
"""
import hashlib
import struct

import cbor2
import nacl.signing

Z32 = "ybndrfg8ejkmcpqxot1uwisza345h769"
CHUNK_LEN = 256 * 1024
DEPTH_MAX = 8


def z32(data):
    bits = "".join(f"{byte:08b}" for byte in data)
    bits += "0" * (-len(bits) % 5)
    return "".join(Z32[int(bits[i:i + 5], 2)] for i in range(0, len(bits), 5))


# BLAKE3 (O'Connor, Aumasson, Neves, Wilcox-O'Hearn), sections 2.1 to 2.5, by the book.
IV = (0x6A09E667, 0xBB67AE85, 0x3C6EF372, 0xA54FF53A, 0x510E527F, 0x9B05688C, 0x1F83D9AB, 0x5BE0CD19)
ORDER = (2, 6, 3, 10, 7, 0, 4, 13, 1, 11, 12, 5, 9, 14, 15, 8)
LEAF_START, LEAF_END, PARENT, ROOT = 1, 2, 4, 8
MASK = 0xFFFFFFFF


def _mix(v, a, b, c, d, x, y):
    for word, turn_d, turn_b in ((x, 16, 12), (y, 8, 7)):
        v[a] = (v[a] + v[b] + word) & MASK
        t = v[d] ^ v[a]
        v[d] = (t >> turn_d | t << (32 - turn_d)) & MASK
        v[c] = (v[c] + v[d]) & MASK
        t = v[b] ^ v[c]
        v[b] = (t >> turn_b | t << (32 - turn_b)) & MASK


def _compress(cv, block, counter, length, flags):
    v = [*cv, *IV[:4], counter & MASK, counter >> 32, length, flags]
    m = list(struct.unpack("<16I", block.ljust(64, b"\0")))
    for _ in range(7):
        _mix(v, 0, 4, 8, 12, m[0], m[1])
        _mix(v, 1, 5, 9, 13, m[2], m[3])
        _mix(v, 2, 6, 10, 14, m[4], m[5])
        _mix(v, 3, 7, 11, 15, m[6], m[7])
        _mix(v, 0, 5, 10, 15, m[8], m[9])
        _mix(v, 1, 6, 11, 12, m[10], m[11])
        _mix(v, 2, 7, 8, 13, m[12], m[13])
        _mix(v, 3, 4, 9, 14, m[14], m[15])
        m = [m[i] for i in ORDER]
    return [v[i] ^ v[i + 8] for i in range(8)]


def subtree(data, first_leaf=0, is_root=False):
    """The chaining value (or the hash) of the subtree over data."""
    root = ROOT if is_root else 0
    if len(data) <= 1024:
        cv = IV
        count = max(1, -(-len(data) // 64))
        for i in range(count):
            flags = (LEAF_START if i == 0 else 0) | (LEAF_END | root if i == count - 1 else 0)
            block = data[64 * i:64 * i + 64]
            cv = _compress(cv, block, first_leaf, len(block), flags)
        return struct.pack("<8I", *cv)
    left = 1024
    while left * 2 < len(data):
        left *= 2
    both = subtree(data[:left], first_leaf) + subtree(data[left:], first_leaf + left // 1024)
    return struct.pack("<8I", *_compress(IV, both, 0, 64, PARENT | root))


def blake3(data):
    return subtree(data, is_root=True)


def pattern(length):
    return bytes(i % 251 for i in range(length))


def chunks(data):
    """The chunk list of a file's bytes; an empty file has none."""
    if len(data) <= CHUNK_LEN:
        return [blake3(data)] if data else []
    return [subtree(data[at:at + CHUNK_LEN], at // 1024) for at in range(0, len(data), CHUNK_LEN)]


# Wire forms (docs/wire). Each takes the fields of a vector and gives its bytes.
def canonical(value):
    return cbor2.dumps(value, canonical=True)


def frame(v):
    body = canonical({0: v["type"], 1: v["req_id"], 2: v["flags"], 3: bytes.fromhex(v["payload"])})
    return struct.pack(">I", len(body)) + body


def hello(v):
    addrs = [{0: bytes.fromhex(a["ip"]), 1: a["port"], 2: 0} for a in v["addrs"]]
    return canonical({0: 1, 1: v["caps"], 2: v["unix_s"], 3: addrs, 4: [], 5: v["agent"]})


def goodbye(v):
    return canonical({0: v["reason"], 1: v["not_before_ms"]})


def error(v):
    return canonical({0: v["code"], 1: v["text"], 2: v["not_before_ms"]})


REQUESTS = {400: (), 500: ("first",), 502: ("first", "cnt"), 504: ("first", "cnt")}
ANSWERS = {401: ("bytes",), 501: ("first", "bytes"), 503: ("first", "bytes", "total"),
           504: ("first", "total", "bytes")}


def _message(v, fields):
    values = {"bytes": bytes.fromhex(v.get("bytes", "")), **{k: v.get(k) for k in ("first", "cnt", "total")}}
    return canonical({0: bytes.fromhex(v["id"]), **{i: values[f] for i, f in enumerate(fields, 1)}})


def request(v):
    return _message(v, REQUESTS[v["type"]])


def answer(v):
    return _message(v, ANSWERS[v["type"]])


def _http_headers(v):
    """Header fields as they cross: the length of the body is one of them, and the first."""
    told = [["content-length", str(v["body_len"]).encode()]] if "body_len" in v else []
    return told + [[name, bytes.fromhex(value)] for name, value in v["headers"]]


def http_request(v):
    return canonical({0: v["verb"], 1: v["target"], 2: _http_headers(v)})


def http_answer(v):
    return canonical({0: v["status"], 2: _http_headers(v)})


def manifest(v):
    items = []
    for item in v["items"]:
        *above, name = item["path"].split("/")
        fields = {0: bytes.fromhex(item["id"]), 1: item["size"], 2: name,
                  6: -(-item["size"] // CHUNK_LEN)}
        fields |= {3: item["path"]} if above else {}
        fields |= {7: item["mtime_ns"]} if item.get("mtime_ns") else {}
        items.append(fields | ({8: True} if item.get("executable") else {}))
    whole = {0: 1, 4: v["created_s"], 10: items}
    if v["title"]:
        whole[6] = v["title"]
    if v["dirs"]:
        whole[13] = v["dirs"]
    if v.get("links"):
        whole[14] = [{0: path, 1: text} for path, text in v["links"]]
    return canonical(whole)


def link(v):
    body = bytes([1]) + bytes.fromhex(v["manifest_id"]) + bytes.fromhex(v["node_key"])
    body += bytes([len(v["addrs"])])
    for addr in v["addrs"]:
        ip = bytes.fromhex(addr["ip"])
        body += bytes([4 if len(ip) == 4 else 6]) + ip + struct.pack(">H", addr["port"])
    return ("mesh:" + z32(body + blake3(body)[:4])).encode()


def signed(v):
    body, tag = bytes.fromhex(v["body"]), v["tag"].encode()
    signing = nacl.signing.SigningKey(bytes.fromhex(v["seed"]))
    text = b"MESHSIG1" + bytes([len(tag)]) + tag + struct.pack(">I", len(body)) + body
    return canonical({0: body, 1: bytes(signing.verify_key), 2: signing.sign(text).signature})


def service_id(name, owner):
    return hashlib.sha256(f"svc:{name}:peer:{z32(owner)}".encode()).digest()


def descriptor(v):
    owner = bytes(nacl.signing.SigningKey(bytes.fromhex(v["seed"])).verify_key)
    body = {0: service_id(v["name"], owner), 1: v["name"], 2: v["version"], 3: owner,
            4: [{0: bytes.fromhex(a["ip"]), 1: a["port"], 2: 0} for a in v["addrs"]],
            5: v["metadata"], 6: v["created_s"], 7: v["expires_s"], 8: v["seq"]}
    if v["gone"]:
        body[9] = True
    return signed({"seed": v["seed"], "tag": "svcdesc", "body": canonical(body).hex()})


def _canonical_read(data):
    value = cbor2.loads(data)
    if canonical(value) != data:
        raise ValueError("not in the one encoding")
    return value


def descriptor_read(data):
    """The body of a descriptor, once everything about it is proved."""
    fields = _canonical_read(data)
    if set(fields) != {0, 1, 2}:
        raise ValueError("not a signed object")
    wrapped, owner, signature = fields[0], fields[1], fields[2]
    body = _canonical_read(wrapped)
    text = b"MESHSIG1\x07svcdesc" + struct.pack(">I", len(wrapped)) + wrapped
    nacl.signing.VerifyKey(owner).verify(text, signature)
    if (body[0], body[3]) != (service_id(body[1], owner), owner):
        raise ValueError("id, owner and signer do not belong together")
    return body


WIRE = {f.__name__: f for f in (frame, hello, goodbye, error, request, answer, http_request, http_answer, manifest,
                             link, signed, descriptor)}


def key(seed, message):
    """(public key, its text, signature)"""
    signing = nacl.signing.SigningKey(seed)
    public = bytes(signing.verify_key)
    return public, z32(public), signing.sign(message).signature


def _depth(value):
    if isinstance(value, dict):
        return 1 + max([0, *map(_depth, value.values())])
    if isinstance(value, list):
        return 1 + max([0, *map(_depth, value)])
    return 0


def _is_ours(value, is_key=False):
    """Of the types our formats have; map keys are all numbers or all text."""
    if is_key:
        return type(value) is str or (type(value) is int and 0 <= value < 1 << 64)
    if isinstance(value, dict):
        return (len({type(k) for k in value}) <= 1 and all(_is_ours(k, True) for k in value) and
                all(map(_is_ours, value.values())))
    if type(value) is list:  # a simple value is a kind of tuple
        return all(map(_is_ours, value))
    if type(value) is int:
        return -(1 << 64) <= value < 1 << 64
    return value is None or type(value) in (bool, bytes, str)


def cbor_is_ours(data):
    """Whether data is one item in the one encoding that weft accepts."""
    try:
        value = cbor2.loads(data)
        return _is_ours(value) and _depth(value) <= DEPTH_MAX and canonical(value) == data
    except Exception:  # cbor2 raises many kinds; each means: not well-formed
        return False
