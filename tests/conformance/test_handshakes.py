#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Handshakes, opened and judged without our code.

tests/vectors/handshakes.json has what two nodes of weft said on the wire, and the secrets of
their TLS (tests/unit/conformance/test_handshake_vectors). Here handshake.py opens the packets,
verifies the proofs of both keys, reads both greetings, and refuses what was changed. The same
program's handshakes of today are judged as well, and aioquic makes one with a daemon.
"""
import copy
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parents[1] / "system" / "support"))
from lab import DEADLINE_S, Skip, check, check_eq, run

try:
    import handshake
    import oracle
except ImportError as missing:
    print(f"python3-cbor2, python3-nacl and python3-cryptography are needed: {missing}")
    sys.exit(77)

VECTORS = pathlib.Path("tests/vectors/handshakes.json")
PROGRAM = os.path.join(os.environ.get("BUILD", "build/release"),
                       "tests/unit/conformance/test_handshake_vectors")
GREETER = pathlib.Path(__file__).parents[1] / "system" / "support" / "hello_client.py"
TCP_GREETER = GREETER.with_name("hello_tcp.py")
BAD_CERTIFICATE, NO_ALPN = 0x100 + 42, 0x100 + 120


def transcripts(path=VECTORS):
    return {t["name"]: t for t in json.loads(path.read_text())["transcripts"]}


def refused(transcript, edit=None):
    try:
        handshake.judge(transcript, edit)
    except handshake.Refused as why:
        return str(why)
    return ""


def judge_all(found):
    for name, raw in (("raw public keys", True), ("X.509", False)):
        facts = handshake.judge(found[name])
        check_eq({side: key.hex() for side, key in facts["keys"].items()},
                 {side: found[name][side] for side in ("dialler", "listener")}, name)
        check_eq(facts["raw"], {"dialler": raw, "listener": raw}, name)
        check(not facts["is_resumed"] and not facts["closes"], name)
        check_eq([ticket[0] for ticket in facts["tickets"]], [handshake.TICKET], name)
    facts = handshake.judge(found["resumed"])
    check(facts["is_resumed"] and not facts["keys"] and found["resumed"]["psk"], "resumed")
    for name in ("raw public keys", "X.509", "resumed"):
        for hello in handshake.judge(found[name])["hellos"].values():
            check(hello[5].startswith("weft"), hello)


def test_keys_and_greetings_are_those_of_the_nodes(_):
    judge_all(transcripts())


def test_handshakes_of_today_are_judged_alike(lab):
    path = lab.dir / "handshakes.json"
    subprocess.run([PROGRAM, str(path)], check=True)
    judge_all(transcripts(path))


def test_a_wrong_key_is_reported_by_the_dialler_alone(_):
    """The listener proves its own key, and hears neither that of the dialler nor its greeting."""
    t = transcripts()["a wrong key"]
    check_eq(refused(t), "another key answered", "judged")
    wire = handshake.opened(t)
    check_eq({(side, code) for side, code, _ in wire.closes}, {("dialler", BAD_CERTIFICATE)}, "closes")
    check_eq(wire.said("dialler", handshake.HANDSHAKE), b"", "said of itself")
    check(refused({**t, "wanted": t["listener"]}), "the dialler said nothing more")


def test_a_wrong_alpn_is_reported_by_the_listener(_):
    t = transcripts()["a wrong ALPN"]
    check(refused(t), "judged")
    wire = handshake.opened(t)
    check_eq({(side, code) for side, code, _ in wire.closes}, {("listener", NO_ALPN)}, "closes")


def flights(transcript):
    """First datagrams of each turn, until both have greeted."""
    at, last = [], None
    for i, (side, _) in enumerate(transcript["datagrams"]):
        if side != last:
            at.append(i)
        last = side
    return at


def test_a_byte_changed_in_any_flight_is_refused(_):
    found = transcripts()
    for name in ("raw public keys", "X.509", "resumed"):
        starts = flights(found[name])
        check(len(starts) >= 4, starts)
        for i in starts[:4]:
            data = bytes.fromhex(found[name]["datagrams"][i][1])
            for at in (0, *range(1, len(data), 61), len(data) - 1):
                mutant = copy.deepcopy(found[name])
                changed = bytearray(data)
                changed[at] ^= 0x40
                mutant["datagrams"][i][1] = changed.hex()
                check(refused(mutant), f"{name}: byte {at} of datagram {i}")


def test_a_byte_changed_in_any_message_is_refused(_):
    """A holder of the secrets could do so: the packets open, and the handshake does not hold."""
    for name, t in transcripts().items():
        if name.startswith("a wrong"):
            continue
        said = []
        handshake.judge(t, lambda side, message, said=said: said.append((side, message)) or message)
        check_eq(len(said), 5 if name == "resumed" else 10, name)
        for victim in said:
            for at in range(4, len(victim[1]), 7):
                changed = victim[1][:at] + bytes([victim[1][at] ^ 1]) + victim[1][at + 1:]

                def edit(side, message, victim=victim, changed=changed):
                    return changed if (side, message) == victim else message
                check(refused(t, edit), f"{name}: byte {at} of message {victim[1][0]} of {victim[0]}")


def test_secrets_of_another_handshake_open_nothing(_):
    found = transcripts()
    mixed = {**found["raw public keys"], "secrets": found["X.509"]["secrets"]}
    check_eq(refused(mixed), "a packet does not open", "judged")
    other = {**found["resumed"], "psk": "00" * 32}
    check_eq(refused(other), "the ticket is not bound to its key", "judged")


def greet(address, key, *words):
    probe = subprocess.run([sys.executable, "-c", "import aioquic"], capture_output=True, check=False)
    if probe.returncode:
        raise Skip("python3-aioquic is not installed")
    done = subprocess.run([sys.executable, GREETER, *address.rsplit(":", 1), key, *words],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check_eq(done.returncode, 0, done.stderr)
    return json.loads(done.stdout)


def test_aioquic_greets_a_daemon_and_is_greeted(lab):
    seed = 32 * "4f"
    public, text, _ = oracle.key(bytes.fromhex(seed), b"")
    a = lab.daemon("a").start()
    said = greet(a.json("status")["listen"][0], seed)
    check_eq(oracle.z32(bytes.fromhex(said["key"])), a.weft("node", "id").stdout.strip(), "the daemon's key")
    check_eq((said["alpn"], said["hello"]["0"]), ("mesh/1", 1), "said")
    check(said["hello"]["5"].startswith("weft"), said)
    peers = a.json("peer", "list")["peers"]
    check_eq([(p["node_id"], p["agent"]) for p in peers], [(oracle.z32(public), "aioquic")], "its peers")


def greet_tcp(address, *words):
    """What OpenSSL heard, and the process, which stays where it offered an ALPN."""
    host, port = address.rsplit(":", 1)
    client = subprocess.Popen([sys.executable, TCP_GREETER, host, str(int(port) + 1), *words],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    line = client.stdout.readline()
    return (json.loads(line) if line else None), client


def test_openssl_greets_a_daemon_over_tcp_and_is_greeted(lab):
    seed = 32 * "5e"
    public, _, _ = oracle.key(bytes.fromhex(seed), b"")
    a = lab.daemon("a").start()
    said, client = greet_tcp(a.json("status")["listen"][0], seed, "mesh/1")
    with client:
        check(said, client.stderr.read() if said is None else "")
        check_eq(oracle.z32(bytes.fromhex(said["key"])), a.weft("node", "id").stdout.strip(), "the daemon's key")
        check_eq((said["tls"], said["alpn"], said["hello"]["0"], said["pong"]),
                 ("TLSv1.3", "mesh/1", 1, "12345678"), "said")
        check(said["hello"]["5"].startswith("weft"), said)
        peers = a.json("peer", "list")["peers"]
        check_eq([(p["node_id"], p["agent"], p["transport"]) for p in peers],
                 [(oracle.z32(public), "openssl", "tcp4")], "its peers")
        client.communicate("")


# By docs/wire/tcp.md: an unknown kind, a PING of 7 bytes, its end, empty DATA, a stream out of
# order, DATA on stream 0.
BROKEN = ("00000006" "00000000", "00000704" "00000000" "31323334353637", "00000884" "00000000" + 8 * "31",
          "00000000" "00000003", "00000500" "00000005" "68656c6c6f", "00000500" "00000000" "68656c6c6f")


def test_frames_over_tcp_that_break_a_rule_end_the_connection(lab):
    a = lab.daemon("a").start()
    address = a.json("status")["listen"][0]
    for i, frame in enumerate(BROKEN):
        said, client = greet_tcp(address, f"{i + 1:064x}", frame)
        with client:
            check(said, client.stderr.read() if said is None else "")
            check_eq(said["close"], 0x7765664, frame)


def test_another_alpn_over_tcp_is_no_session(lab):
    a = lab.daemon("a").start()
    for alpn in ("mesh/2", "h2/x"):
        said, client = greet_tcp(a.json("status")["listen"][0], 32 * "5f", alpn)
        with client:
            check_eq(said, None, alpn)
            check("SSL" in client.stderr.read(), alpn)
    check_eq(a.json("peer", "list")["peers"], [], "peers")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
