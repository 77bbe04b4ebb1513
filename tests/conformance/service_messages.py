# SPDX-License-Identifier: Apache-2.0
"""Service messages without weft: struct, python3-cbor2, python3-nacl and hashlib make them and read them.

tests/vectors/offers/TYPE.json are made by running this file, and proved by test_service_messages.py.
A vector has the header's fields, the payload's, and both as bytes.
"""
import functools
import hashlib
import hmac
import json
import pathlib
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
import cbor2
import nacl.bindings
import nacl.exceptions
import nacl.signing
import oracle

HEAD = "<IBBH16s64sBBHQ"
VECTORS = pathlib.Path("tests/vectors/offers")
TYPES = {"announce": 1, "query": 2, "response": 3, "reserve": 4, "confirm": 5, "cancel": 6, "update": 7, "revoke": 8}
ANY = 0xfffffffe
NOON = 1800000000
OFFER = bytes(range(16))
KEY0, KEY1 = bytes(32), bytes([1]) * 32


def key_of(seed):
    return nacl.signing.SigningKey(seed)


def public_of(seed):
    return bytes(key_of(seed).verify_key)


def address_of(public):
    return hashlib.sha256(public).digest()[:16]


def canonical(value):
    return cbor2.dumps(value, canonical=True)


def covered(service, kind, version, hop_max, ttl, time, address, payload):
    """What the signature is over; the version's bit 7 says which form."""
    if not version & 0x80:
        return struct.pack("<IBB", service, kind, version) + payload
    body = struct.pack("<IBBBHQ", service, kind, version, hop_max, ttl, time) + address + payload
    return b"MESHSIG1" + b"\x06svcmsg" + len(body).to_bytes(4, "big") + body


def head_of(v):
    return (v["service"], v["type"], v["version"] | (0x80 if v["full_cover"] else 0), v["hop_max"],
            v["ttl_hours"], v["timestamp_s"])


def message(v):
    """The whole message of a vector, signed by its seed, or by nothing."""
    payload = bytes.fromhex(v["payload"])
    service, kind, version, hop_max, ttl, time = head_of(v)
    address, signature = bytes.fromhex(v.get("provider", "00" * 16)), bytes(64)
    if "seed" in v:
        seed = bytes.fromhex(v["seed"])
        address = address_of(public_of(seed))
        signature = key_of(seed).sign(covered(*head_of(v), address, payload)).signature
    return struct.pack(HEAD, service, kind, version, len(payload), address, signature, v["hop_cnt"], hop_max,
                       ttl, time) + payload


def identity(data):
    return oracle.blake3(data[:88] + b"\0" + data[89:])


def read(data):
    """The header's fields and the payload; whatever is no message raises."""
    names = ("service", "type", "version", "len", "address", "signature", "hop_cnt", "hop_max", "ttl_hours",
             "timestamp_s")
    fields = dict(zip(names, struct.unpack(HEAD, data[:100])))
    if fields["len"] != len(data) - 100:
        raise ValueError("a length that lies")
    return fields, data[100:]


def verifies(data, public):
    fields, payload = read(data)
    text = covered(fields["service"], fields["type"], fields["version"], fields["hop_max"], fields["ttl_hours"],
                   fields["timestamp_s"], fields["address"], payload)
    try:
        nacl.signing.VerifyKey(public).verify(text, fields["signature"])
    except nacl.exceptions.BadSignatureError:
        return False
    return fields["address"] == address_of(public)


# --- the terms of an offer ---

TERMS = {"provider_key": 0, "sequence": 240, "offer_id": 241, "base": 242, "units": 243, "reserve_key": 244,
         "schema": 245}
IN_HEX = ("provider_key", "offer_id", "reserve_key")


def terms_payload(terms, fields):
    """The map of the layer's terms and the schema's fields."""
    payload = dict(fields)
    for name, value in terms.items():
        payload[TERMS[name]] = bytes.fromhex(value) if name in IN_HEX and value is not None else value
    return canonical(payload)


def pairs(fields):
    """The schema's fields as pairs without the head of their map, as weft is given them."""
    return b"".join(canonical(key) + canonical(value) for key, value in sorted(fields.items()))


def head(kind, **more):
    return {"service": 2, "type": TYPES[kind], "version": 1, "full_cover": True, "hop_cnt": 0, "hop_max": 4,
            "ttl_hours": 72, "timestamp_s": NOON} | more


def offer(name, kind, terms, fields, seed=KEY0, **more):
    v = {"name": name, "seed": seed.hex()} | head(kind, **more)
    if terms.pop("named", True):
        terms = {"provider_key": public_of(seed).hex()} | terms
    return finished(v | {"terms": terms, "pairs": pairs(fields).hex(), "pair_cnt": len(fields),
                         "payload": terms_payload(terms, fields).hex()})


def finished(v):
    data = message(v)
    return v | {"id": identity(data).hex(), "hex": data.hex()}


HOUSING = {1: 0, 2: 18, 3: 450, 4: NOON, 5: "10115", 6: ["balcony"]}


def announces():
    yield offer("housing", "announce", {"sequence": 1, "offer_id": OFFER.hex()}, HOUSING)
    yield offer("housing without terms", "announce", {}, HOUSING, hop_max=8)
    yield offer("housing in the seed form", "announce", {}, HOUSING, hop_max=8, full_cover=False)
    yield offer("key not said, seed form", "announce", {"named": False}, HOUSING, full_cover=False, seed=KEY1)
    yield offer("a hundred units", "announce", {"sequence": 2**63 - 1, "units": 100, "reserve_key": "5b" * 32},
                {}, service=0x80000001, version=127, ttl_hours=65535, hop_max=255, hop_cnt=254)
    yield offer("custom service", "announce", {"sequence": 1, "units": 2**32 - 1, "schema": "röntgen"}, {1: -5},
                service=0xffff, seed=KEY1)
    yield offer("no units left", "announce", {"units": 0}, {2: None, 23: True, 24: b"\0", 239: {0: []}})


def updates():
    yield offer("rent", "update", {"sequence": 2, "offer_id": OFFER.hex(), "base": 1}, {3: 430},
                timestamp_s=NOON + 60)
    yield offer("rent and amenities taken back", "update", {"sequence": 9, "base": 0}, {3: None, 6: None})
    yield offer("sequence not said", "update", {"base": 1, "named": False}, {})
    yield offer("seed form", "update", {"sequence": 4, "base": 3, "units": 7}, {3: 430}, full_cover=False)
    yield offer("the provider's own key again", "update", {"sequence": 4, "base": 3, "reserve_key": None}, {})


def revokes():
    yield offer("housing", "revoke", {"sequence": 3, "offer_id": OFFER.hex()}, {})
    yield offer("sequence not said", "revoke", {"named": False}, {}, timestamp_s=NOON + 120)
    yield offer("seed form", "revoke", {"sequence": 3}, {}, full_cover=False, hop_cnt=3, seed=KEY1)


# --- queries and their answers ---

TOKEN = bytes(range(16, 32))


def query(name, token, parts, results, **more):
    """parts: (service, filters)"""
    v = {"name": name} | head("query", full_cover=False, ttl_hours=1, **more)
    is_any = v["service"] == ANY
    filters = [[service, each] for service, each in parts] if is_any else parts[0][1]
    said = {"token": token.hex(), "results": results,
            "parts": [[service, canonical(each).hex()] for service, each in parts]}
    # What the first relay makes of it: a query for each service.
    if is_any:
        said["expanded"] = [query(name, token, [part], results, **more | {"service": part[0]})["hex"] for part in parts]
    return finished(v | {"query": said, "payload": canonical({0: token, 1: filters, 2: results}).hex()})


def response(name, token, entries, has_more=False, endorsements=(), **more):
    """entries: [Announce] or [Announce, Update], of vectors."""
    payload = {0: token, 1: [[bytes.fromhex(each["hex"]) for each in entry] for entry in entries]}
    if has_more:
        payload[2] = True
    if endorsements:
        payload[3] = list(endorsements)
    return finished({"name": name} | head("response", full_cover=False, ttl_hours=1, **more) |
                    {"response": {"token": token.hex(), "entries": [[each["hex"] for each in entry] for entry in entries],
                                  "more": has_more, "endorsements": [each.hex() for each in endorsements]},
                     "payload": canonical(payload).hex()})


def queries():
    yield query("housing", TOKEN, [(2, {2: 900, 4: "101"})], 20)
    yield query("all of a service", TOKEN, [(0x80000001, {})], 100, service=0x80000001, hop_cnt=1, version=0)
    yield query("psychotherapy or lessons", TOKEN, [(1, {4: "101"}), (4, {7: "101"})], 20, service=ANY, version=0)
    yield query("four services", TOKEN, [(1, {}), (2, {2: 900}), (3, {23: [0, "x"]}), (0xffffffff, {1: {}})], 1,
                service=ANY)


def responses():
    flat, other = list(announces())[:2]
    rent = list(updates())[0]
    yield response("nothing", TOKEN, [])
    yield response("one of each", TOKEN, [[flat, rent], [other]])
    yield response("more than there is room for", TOKEN, [[other]], True, [b"\xa0", bytes(512)])


# --- reservations ---

SECRET, NONCE = b"\2" * 32, bytes(range(32, 44))
PURPOSES = {kind: f"mesh/svc/{kind}/v1".encode() for kind in ("reserve", "confirm", "cancel")}


def hkdf(shared, salt, info):
    extracted = hmac.new(salt, shared, "sha256").digest()
    return hmac.new(extracted, info + b"\1", "sha256").digest()


def reserve_public(seed, secret):
    """The key that a consumer seals for: an offer's own, or the image of the provider's."""
    if secret:
        return nacl.bindings.crypto_scalarmult_base(secret)
    return nacl.bindings.crypto_sign_ed25519_pk_to_curve25519(public_of(seed))


def box_of(r, kind, service):
    """The key of a reservation's box, its nonce, and what it is bound to."""
    secret, seed = bytes.fromhex(r["secret"]), bytes.fromhex(r["provider_seed"])
    public = nacl.bindings.crypto_scalarmult_base(secret)
    shared = nacl.bindings.crypto_scalarmult(secret, reserve_public(seed, bytes.fromhex(r["reserve_secret"])))
    offer_id = bytes.fromhex(r["offer_id"])
    bound = struct.pack("<I", service) + address_of(public_of(seed)) + offer_id + public
    return hkdf(shared, offer_id, PURPOSES[kind]), bytes.fromhex(r["nonce"]), bound


def reservation_payload(r, kind, service):
    inside = {}
    for key, name in enumerate(("consumer", "store", "text", "units")):
        if name in r:
            inside[key] = bytes.fromhex(r[name]) if key < 2 else r[name]
    if r["by_provider"] and kind == "cancel":
        inside[4] = True
    inside |= {key: r[name] for key, name in ((5, "time_s"), (6, "ttl_hours")) if name in r}
    key, nonce, bound = box_of(r, kind, service)
    sealed = nacl.bindings.crypto_aead_chacha20poly1305_ietf_encrypt(canonical(inside), bound, nonce, key)
    return canonical({0: bytes.fromhex(r["token"]), 1: bytes.fromhex(r["offer_id"]), 2: bound[-32:], 3: nonce, 4: sealed})


def reservation(name, kind, said, by_provider=False, seed=KEY0, **more):
    r = {"provider_seed": seed.hex(), "secret": SECRET.hex(), "reserve_secret": "", "token": TOKEN.hex(),
         "offer_id": OFFER.hex(), "nonce": NONCE.hex(), "by_provider": by_provider} | said
    v = {"name": name} | head(kind, full_cover=by_provider, **more)
    if by_provider:
        v["seed"] = seed.hex()
    else:
        v["provider"] = address_of(public_of(seed)).hex()
    return finished(v | {"reservation": r, "payload": reservation_payload(r, kind, v["service"]).hex()})


FOR_ANSWERS = {"consumer": "c0" * 32, "store": "5e" * 32}


def reserves():
    yield reservation("marker", "reserve", FOR_ANSWERS | {"text": "marker"})
    yield reservation("four units under the offer's key", "reserve", FOR_ANSWERS | {"units": 4, "reserve_secret": "03" * 32})
    yield reservation("the longest text", "reserve", FOR_ANSWERS | {"text": "ö" * 1000, "units": 2**32 - 1}, seed=KEY1)
    yield reservation("dated", "reserve", FOR_ANSWERS | {"text": "marker", "time_s": NOON, "ttl_hours": 72})


def confirms():
    yield reservation("one unit", "confirm", {}, True)
    yield reservation("text", "confirm", {"text": "Ring twice.", "units": 4, "reserve_secret": "03" * 32}, True)
    yield reservation("a day later", "confirm", {"text": "x"}, True, timestamp_s=NOON + 86400, service=0x80000001)


def cancels():
    yield reservation("the consumer's", "cancel", {"text": "I am ill."})
    yield reservation("the provider's", "cancel", {"text": "The room is gone."}, True)
    yield reservation("of two units", "cancel", {"units": 2, "reserve_secret": "03" * 32}, seed=KEY1)
    yield reservation("dated", "cancel", {"time_s": NOON + 60, "ttl_hours": 24}, timestamp_s=NOON + 60, ttl_hours=24)


# --- endorsements and capabilities, which are signed objects ---

def signed(seed, tag, body):
    body = canonical(body)
    text = b"MESHSIG1" + bytes([len(tag)]) + tag.encode() + len(body).to_bytes(4, "big") + body
    return canonical({0: body, 1: public_of(seed), 2: key_of(seed).sign(text).signature})


def seed_cover(e):
    return bytes.fromhex(e["provider"]) + struct.pack("<IQ", e["service"], e["made_s"])


def endorsement(name, level=1, seed=KEY1, **said):
    """Of full cover if it says when it expires."""
    e = {"name": name, "seed": seed.hex(), "provider": address_of(public_of(KEY0)).hex(), "service": 2,
         "made_s": NOON, "level": level} | said
    body = {0: bytes.fromhex(e["provider"]), 1: e["service"], 2: e["made_s"], 3: level}
    if "credential" in e:
        body[4] = bytes.fromhex(e["credential"])
    if "reason" in e:
        body[5] = e["reason"]
    if "expires_s" in e:
        return e | {"hex": signed(seed, "endorse", body | {6: e["expires_s"]}).hex()}
    body |= {6: address_of(public_of(seed)), 7: key_of(seed).sign(seed_cover(e)).signature, 8: public_of(seed)}
    return e | {"hex": canonical(body).hex()}


def endorsements():
    yield endorsement("seed form")
    yield endorsement("full cover", 2, expires_s=NOON + 86400)
    yield endorsement("all fields", 3, expires_s=NOON + 1827 * 86400, credential="c4" * 32, reason="ö" * 100)
    yield endorsement("all fields, seed form", 3, credential="c4" * 32, reason="x", service=0xffffffff)
    yield endorsement("withdrawn", 0, expires_s=NOON + 1)


def caps(name, rows, seed=KEY0, made_s=NOON):
    """rows: [service, roles, version]"""
    body = {0: address_of(public_of(seed)), 1: rows, 2: made_s}
    return {"name": name, "seed": seed.hex(), "rows": rows, "made_s": made_s,
            "hex": signed(seed, "svccaps", body).hex()}


def all_caps():
    yield caps("relay of one service", [[1, 2, 1]])
    yield caps("none", [], KEY1)
    yield caps("128 services", [[7 * i + (i > 100) * 2**31, i % 4, i % 128] for i in range(128)])


def random_endorsement(dice):
    made_s, said = dice.getrandbits(dice.randrange(1, 60)), {}
    for name, value in (("credential", dice.randbytes(32).hex()), ("reason", "ü" * dice.randrange(1, 101)),
                        ("expires_s", made_s + dice.randrange(1, 1827 * 86400))):
        if dice.randrange(2):
            said[name] = value
    return endorsement("random", dice.randrange(4), dice.randbytes(32), made_s=made_s,
                       provider=dice.randbytes(16).hex(), service=dice.getrandbits(31), **said)


def random_caps(dice):
    services = sorted(dice.sample(range(2**31), dice.randrange(129)))
    return caps("random", [[each, dice.randrange(4), dice.randrange(128)] for each in services],
                dice.randbytes(32), dice.getrandbits(63))


OBJECTS = {"endorsement": endorsements, "caps": all_caps}


def random_value(dice, depth=2):
    value = dice.choice([dice.getrandbits(dice.randrange(64)), -dice.getrandbits(30), dice.randbytes(dice.randrange(9)),
                         "ü" * dice.randrange(9), dice.choice([True, False, None])])
    return [random_value(dice, depth - 1) for _ in range(dice.randrange(4))] if depth and dice.randrange(3) == 0 else value


def random_offer(dice, kind):
    base = dice.getrandbits(dice.randrange(1, 62))
    terms = {"named": dice.choice([True, True, False])}
    more = {"full_cover": dice.choice([True, False]), "version": dice.randrange(128), "hop_cnt": dice.randrange(256),
            "hop_max": dice.randrange(256), "ttl_hours": dice.randrange(65536),
            "timestamp_s": dice.getrandbits(63), "service": dice.choice([1, 2, 0x80000000 + dice.getrandbits(31)])}
    terms["named"] |= kind == "announce" and more["full_cover"]
    terms["sequence"] = base + dice.randrange(1, 99)
    if kind != "update" and dice.randrange(3) == 0:
        del terms["sequence"]
    if kind == "update":
        terms["base"] = base
    for name, value in (("offer_id", dice.randbytes(16).hex()), ("units", dice.getrandbits(32)),
                        ("reserve_key", dice.randbytes(32).hex()), ("schema", "x" * dice.randrange(1, 65))):
        if dice.randrange(2):
            terms[name] = value
    fields = {key: random_value(dice) for key in dice.sample(range(1, 240), dice.choice([0, 1, 8, 30]))}
    return offer("random", kind, terms, fields, seed=dice.randbytes(32), **more)


def random_filters(dice):
    return {key: random_value(dice) for key in dice.sample(range(1, 300), dice.choice([0, 1, 8]))}


def random_query(dice):
    service = dice.choice([1, 2, 0x80000000 + dice.getrandbits(30), ANY])
    some = dice.sample(range(1, 2**31), dice.randrange(1, 5)) if service == ANY else [service]
    return query("random", dice.randbytes(16), [(each, random_filters(dice)) for each in sorted(some)],
                 dice.randrange(1, 101), service=service, version=dice.randrange(128), hop_cnt=dice.randrange(256))


def random_response(dice):
    entries = []
    for _ in range(dice.choice([0, 1, 3, 30])):
        own, offered = dice.randbytes(32), {1: random_value(dice)}
        entries.append([offer("random", "announce", {"sequence": 1}, offered, seed=own)])
        if dice.randrange(2):
            entries[-1].append(offer("random", "update", {"sequence": 2, "base": 1}, {}, seed=own))
    return response("random", dice.randbytes(16), entries, dice.choice([True, False]),
                    [dice.randbytes(dice.randrange(1, 200)) for _ in range(dice.choice([0, 0, 1, 30]))])


def random_reservation(dice, kind):
    said = {name: dice.randbytes(length).hex() for name, length in
            (("secret", 32), ("token", 16), ("offer_id", 16), ("nonce", 12), ("reserve_secret", dice.choice([0, 32])))}
    if kind == "reserve":
        said |= {"consumer": dice.randbytes(32).hex(), "store": dice.randbytes(32).hex()}
    if dice.randrange(2):
        said["text"] = "ü" * dice.randrange(1, 1001)
    if dice.randrange(2):
        said["units"] = dice.randrange(2, 2**32)
    return reservation("random", kind, said, kind == "confirm" or kind == "cancel" and dice.choice([True, False]),
                       seed=dice.randbytes(32), service=dice.choice([1, 0x80000000 + dice.getrandbits(30)]))


RANDOM = {kind: functools.partial(random_offer, kind=kind) for kind in ("announce", "update", "revoke")}
RANDOM |= {"endorsement": random_endorsement, "caps": random_caps}
RANDOM |= {"query": random_query, "response": random_response}
RANDOM |= {kind: functools.partial(random_reservation, kind=kind) for kind in PURPOSES}
MADE = {"announce": announces, "query": queries, "response": responses, "reserve": reserves, "confirm": confirms,
        "cancel": cancels, "update": updates, "revoke": revokes}


def text_of(kind):
    return json.dumps({"source": "tests/conformance/service_messages.py, by struct, cbor2, nacl and hashlib",
                       "vectors": list((MADE | OBJECTS)[kind]())}, indent=1) + "\n"


if __name__ == "__main__":
    VECTORS.mkdir(exist_ok=True)
    for each in MADE | OBJECTS:
        (VECTORS / f"{each}.json").write_text(text_of(each))
