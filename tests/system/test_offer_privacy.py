#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a relay of offers sees: all its datagrams, opened by its own secrets, and all of its memory.

        n1 (provider) --- n2 (relay) --- n3 (first hop, keeps the answer) --- n4 (consumer)

n2 is two hops away from the consumer, and the node that is looked into. In the stories with their
transcript n3 is left out, and the relay keeps the answer.
"""
import collections
import hashlib
import hmac
import ipaddress
import json
import pathlib
import socket
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect, key_of
from lab import OK, check, check_eq, run, wait_for
from mesh_trace import Trace, cbor2
from process_memory import memory_of
from sessions import node_id

try:
    import nacl.bindings as sodium
except ImportError as missing:
    print(f"python3-nacl is needed: {missing}")
    sys.exit(77)

FLAT = ("housing", "room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115")
SLOT = ("fapp", "specialities=depression", "modalities=video", "cost_bearers=self-pay", "postcode=10115",
        "slots=2027-01-01T10:00", "slot_type=first-talk")
QUIET = f"{fabric.QUIET}[service]\nenabled = no\n"
SPREAD_S = 20
OVERLAY_S = 5  # for what nodes say of others
ANSWER_S = 70  # a box is looked into after 2, 4, 8, 16, 32 s and each minute
MARKER = "moonlight-sonata-at-half-past-nine"
TYPES = {1: "Announce", 2: "Query", 3: "Response", 4: "Reserve", 5: "Confirm", 6: "Cancel", 7: "Update", 8: "Revoke"}
STORY = ["Announce", "Query", "Response", "Reserve", "Confirm"]
SERVICE_MESSAGE, MAILBOX_PUT = 310, 622
# What the layer of offers sends: service messages, and deposits.
OF_OFFERS = {*range(310, 320), 622, 623, 624}
HEAD = "<IBBH16s64sBBHQ"  # docs/wire/offers.md


def start(lab, cnt, config=QUIET):
    return [lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"], config=config).start()
            for number, netns in enumerate(lab.bridge(cnt), 1)]


def address_of(daemon):
    return f"10.77.0.{daemon.name.removeprefix('n')}"


def publish(daemon, words):
    done = daemon.weft("--json", "offer", "publish", *words)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def has(daemon, offer):
    return daemon.weft("offer", "show", offer).returncode == OK


def find(daemon, schema, *filters):
    done = daemon.weft("--json", "offer", "find", schema, *filters, "--mesh")
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offers"]


def reserve(daemon, offer):
    done = daemon.weft("--json", "offer", "reserve", offer, "--message", MARKER)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["reservation"]["reservation_id"]


def confirm(daemon, reservation):
    done = daemon.weft("reservation", "confirm", reservation)
    check_eq(done.returncode, OK, done.stderr)


def state(daemon, reservation):
    done = daemon.weft("--json", "reservation", "show", reservation)
    return json.loads(done.stdout)["reservation"]["state"] if done.returncode == OK else None


# --- what to look for ---

def marks_of(daemon):
    """Byte strings that name a node: its key, what is made of it, and its address."""
    key, ip = key_of(node_id(daemon)), ipaddress.ip_address(address_of(daemon)).packed
    return {
        "key, Ed25519": key,
        "key in hex": key.hex().encode(),
        "key in z-base-32": node_id(daemon).encode(),
        "key, X25519": sodium.crypto_sign_ed25519_pk_to_curve25519(key),
        "SHA-256 of the key, the address of offers and the place in the overlay": hashlib.sha256(key).digest()[:16],
        "SHA-1 of the key": hashlib.sha1(key).digest(),
        "BLAKE2b of the key": hashlib.blake2b(key, digest_size=32).digest()[:16],
        "IP address in words": address_of(daemon).encode(),
        "struct addr": ip + bytes(12) + bytes(4) + struct.pack("=H", 7000) + b"\4\0",
        "sockaddr_in": struct.pack("=H", socket.AF_INET) + struct.pack("!H", 7000) + ip,
        "IPv4 address in IPv6": bytes(10) + b"\xff\xff" + ip,
        "IP address and port": ip + struct.pack("!H", 7000),
        "port and IP address": struct.pack("!H", 7000) + ip,
    }


def one_time_marks(daemon, token):
    """Keys that the consumer made for the reservation with that token; its X25519 key is no secret."""
    seed = one_time_seed(daemon, token)
    public, secret = sodium.crypto_sign_seed_keypair(seed)
    return {"one-time key, Ed25519": public, "its seed": seed, "its secret": secret[:32]}


def one_time_seed(daemon, token):
    """reservation_made.c, secret_of: of the node's key and the token."""
    key = (daemon.state / "node.key").read_bytes()
    seed = next(key[at:at + 32] for at in range(len(key) - 31)
                if sodium.crypto_sign_seed_keypair(key[at:at + 32])[0] == key_of(node_id(daemon)))
    return hmac.new(seed, b"mesh/svc/consumer/v1/" + token.hex().encode(), hashlib.sha256).digest()


def found_in(pieces, marks):
    found, length = set(), 0
    for piece in pieces:
        length += len(piece)
        found |= {name for name, mark in marks.items() if mark in piece}
    return found, length


# --- what went by ---

Service = collections.namedtuple("Service", "type len hop_cnt provider payload")


def service_of(data):
    _, kind, _, length, provider, _, hop_cnt, _, _, _ = struct.unpack(HEAD, data[:100])
    check_eq(len(data), 100 + length, "a message is as long as it says")
    return Service(TYPES[kind], len(data), hop_cnt, provider.hex(), data[100:])


def asked(messages, kind):
    """Requests of that type, in order."""
    return [message for message in messages if message.type == kind and not message.flags]


def services(messages, is_sent=None):
    return [service_of(message.payload) for message in asked(messages, SERVICE_MESSAGE)
            if is_sent in (None, message.is_sent)]


def opened(put, daemon, token):
    """The service message in a deposit for the one-time key (docs/wire/deposits.md)."""
    public, secret = sodium.crypto_sign_seed_keypair(one_time_seed(daemon, token))
    if put[0] != public:
        return None
    sealed = put[3]
    agreed = sodium.crypto_scalarmult(sodium.crypto_sign_ed25519_sk_to_curve25519(secret), sealed[:32])
    prk = hmac.new(sealed[:32] + public, agreed, hashlib.sha256).digest()
    key = hmac.new(prk, b"mesh/deposit/v1\x01", hashlib.sha256).digest()
    text = sodium.crypto_aead_xchacha20poly1305_ietf_decrypt(sealed[56:], put[0] + put[1], sealed[32:56], key)
    # The kind, the receipt and the time until which it is kept come first.
    return service_of(text[25:])


def tell(marks, found):
    return ", ".join(sorted(found)) or f"none of {len(marks)}"


def line_of_four(lab, config, is_apart):
    """is_apart: the provider and the first hop cannot reach each other, either."""
    n1, n2, n3, n4 = start(lab, 4, config)
    for here, there in ((n4, n1), (n4, n2), *(((n3, n1),) if is_apart else ())):
        lab.ip(here.netns, "route", "add", "blackhole", address_of(there))
        lab.ip(there.netns, "route", "add", "blackhole", address_of(here))
    trace = Trace(lab, n2, address_of(n2))
    connect(n2, n1)
    connect(n3, n2)
    connect(n4, n3)
    return n1, n2, n3, n4, trace


def ask_and_reserve(n1, n4):
    """An offer of n1 that came to n4, a query and a reservation of n4."""
    offer = publish(n1, FLAT)

    def is_here():
        find(n4, "housing", "max_rent=900", "plz_prefix=101")
        return has(n4, offer)

    wait_for(is_here, "n4 has the offer", timeout=4 * SPREAD_S)
    mine = reserve(n4, offer)
    wait_for(lambda: state(n1, mine) == "asked", "n1 has the reservation", timeout=SPREAD_S)
    return mine


def test_a_relay_two_hops_away_learns_neither_the_consumer_nor_what_it_writes(lab):
    n1, n2, n3, n4, trace = line_of_four(lab, QUIET, is_apart=False)
    mine = ask_and_reserve(n1, n4)
    marks = {**marks_of(n4), "the text": MARKER.encode()}
    # The provider finds the box by itself where there is a directory.
    connect(n1, n3)
    confirm(n1, mine)
    wait_for(lambda: state(n4, mine) == "confirmed", "n4 has the answer", timeout=ANSWER_S)
    datagrams, messages, unopened = trace.close()
    check_eq(unopened, 0, f"of {len(datagrams)} datagrams none stays closed")
    seen = collections.Counter(service.type for service in services(messages))
    check(all(seen[kind] for kind in STORY[:4]), f"they went by: {seen}")
    token = cbor2.loads(next(service for service in services(messages) if service.type == "Reserve").payload)[0]
    marks.update(one_time_marks(n4, token))
    in_clear, length = found_in([datagram.data for datagram in datagrams], marks)
    print(f"# {len(datagrams)} datagrams, {length} bytes, as they were on the wire: {tell(marks, in_clear)}")
    check_eq(in_clear, set(), "nothing in clear")
    check_eq({datagram.source for datagram in datagrams} & {address_of(n4)}, set(), "nor a datagram of n4")
    in_messages, length = found_in([message.payload for message in messages], marks)
    print(f"# {len(messages)} messages, {length} bytes, opened: {tell(marks, in_messages)}")
    check_eq(in_messages, set(), "nothing in the messages")
    in_memory, length = found_in(memory_of(n2), marks)
    print(f"# {length >> 20} MiB of the relay's memory: {tell(marks, in_memory)}")
    check_eq(in_memory, set(), "nothing in its memory")
    controls(n1, n2, n3, n4, messages, marks)


def controls(n1, n2, n3, n4, messages, marks):
    """The same search finds what is there."""
    by_first, _ = found_in(memory_of(n3), marks)
    print(f"# the first hop's memory: {tell(marks, by_first)}")
    check({"key, Ed25519", "struct addr", "one-time key, Ed25519"} <= by_first and "the text" not in by_first,
          f"the first hop knows n4: {by_first}")
    check("the text" in found_in(memory_of(n1), marks)[0], "the provider has the text")
    check({"the text", "key, Ed25519"} <= found_in(memory_of(n4), marks)[0], "the consumer has both")
    relayed = {f"{node.name} {name}": mark for node in (n1, n3) for name, mark in marks_of(node).items()}
    by_relay, _ = found_in(memory_of(n2), relayed)
    check({"n1 key, Ed25519", "n3 key, Ed25519", "n3 struct addr"} <= by_relay, f"the relay knows its own: {by_relay}")
    said, _ = found_in([message.payload for message in messages], relayed)
    check("n1 key, Ed25519" in said, "the offer names its provider, in messages, too")


def test_where_nodes_find_each_other_no_message_of_offers_names_the_consumer(lab):
    """As people run it, with services and the overlay. A node is known there; what it asks for is not."""
    n1, n2, _, n4, trace = line_of_four(lab, "[dht]\nenabled = no\n[lan]\ninterfaces =\n", is_apart=True)
    ask_and_reserve(n1, n4)
    time.sleep(OVERLAY_S)
    _, messages, _ = trace.close()
    marks = {**marks_of(n4), "the text": MARKER.encode()}
    peers = {peer["node_id"] for peer in n2.json("peer", "list")["peers"] if peer.get("connected", True)}
    check(node_id(n4) not in peers, "the relay has no session with n4")
    naming = collections.Counter()
    for message in messages:
        found, _ = found_in([message.payload], marks)
        if found:
            naming[message.type] += 1
        check(message.type not in OF_OFFERS or not found, f"message {message.type} names n4 by {found}")
        check("the text" not in found, f"message {message.type} has the text")
    print(f"# messages that name n4, by number: {dict(naming) or 'none'}")
    seen = collections.Counter(service.type for service in services(messages))
    print(f"# of offers: {dict(seen)}")
    check(all(seen[kind] for kind in STORY[:4]), f"they went by: {seen}")
    check("the text" not in found_in(memory_of(n2), marks)[0], "nor is the text in its memory")


def transcript(lab, words, filters):
    """The three-node story: provider, relay and consumer; the relay's messages."""
    n1, n2, n3 = start(lab, 3)
    trace = Trace(lab, n2, address_of(n2))
    connect(n2, n1)
    connect(n3, n2)
    time.sleep(0.5)
    offer = publish(n1, words)
    wait_for(lambda: has(n3, offer) or find(n3, words[0]) and has(n3, offer), "n3 has the offer", timeout=4 * SPREAD_S)
    check_eq([row["offer_id"] for row in find(n3, words[0], *filters)], [offer], "it is found")
    mine = reserve(n3, offer)
    wait_for(lambda: state(n1, mine) == "asked", "n1 has the reservation", timeout=SPREAD_S)
    confirm(n1, mine)
    wait_for(lambda: state(n3, mine) == "confirmed", "n3 has the answer", timeout=ANSWER_S)
    _, messages, unopened = trace.close()
    check_eq(unopened, 0, "no datagram stays closed")
    came = steps(messages, n3)
    provider = hashlib.sha256(key_of(node_id(n1))).digest()[:16].hex()
    print("# type      way              bytes  hop count  provider's address")
    for way, step in came:
        print(f"# {step.type:9} {way:16} {step.len:5}  {step.hop_cnt:9}  {step.provider}")
    order = list(dict.fromkeys(step.type for _, step in came))
    check_eq(order, STORY, "the five types, in order")
    for _, step in came:
        check_eq(step.provider, "00" * 16 if step.type in ("Query", "Response") else provider, step.type)
    check(MARKER.encode() not in b"".join(message.payload for message in messages), "and the text is in none")


def steps(messages, consumer):
    """Service messages from hand to hand; that in a deposit is opened with the consumer's key."""
    names, token, out = {"10.77.0.1": "provider", "10.77.0.3": "consumer"}, None, []
    for message in messages:
        if message.flags or message.type not in (SERVICE_MESSAGE, MAILBOX_PUT):
            continue
        peer = names[message.peer]
        way = f"relay->{peer}" if message.is_sent else f"{peer}->relay"
        if message.type == SERVICE_MESSAGE:
            step = service_of(message.payload)
            if step.type == "Reserve":
                token = cbor2.loads(step.payload)[0]
        else:
            step = token and opened(cbor2.loads(message.payload), consumer, token)
        if step:
            out.append((way, step))
    return out


def test_the_relays_transcript_of_a_flat_has_five_types_in_order(lab):
    transcript(lab, FLAT, ("max_rent=900", "plz_prefix=101"))


def test_the_relays_transcript_of_a_therapists_slot_has_five_types_in_order(lab):
    transcript(lab, SLOT, ("plz_prefix=101",))


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="the relay has no datagrams but those of the mesh")
