#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running relay daemon, as seen by a client whose flow was lost. Its label is known by the tag
alone, over kill -9 and wherever it is judged. The answer is the label of kind 2.

    namespace a: 10.77.0.1, daemon a -- veth0 == veth0 -- namespace b: 10.77.0.2, daemon b, the client
"""
import hashlib
import hmac
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, run_plain, wait_for

LISTEN = ["0.0.0.0:7000"]
RELAY = "[relay]\nenabled = yes\nflow_cap = 1024\n"
MASK = (1 << 64) - 1


def rotate(word, bits):
    return (word << bits | word >> 64 - bits) & MASK


def siphash(key, word):
    """SipHash-2-4 of one word, as docs/wire/relay.md has it."""
    v0, v1 = key[0] ^ 0x736f6d6570736575, key[1] ^ 0x646f72616e646f6d
    v2, v3 = key[0] ^ 0x6c7967656e657261, key[1] ^ 0x7465646279746573

    def turn(cnt):
        nonlocal v0, v1, v2, v3
        for _ in range(cnt):
            v0 = v0 + v1 & MASK
            v1 = rotate(v1, 13) ^ v0
            v0 = rotate(v0, 32)
            v2 = v2 + v3 & MASK
            v3 = rotate(v3, 16) ^ v2
            v0 = v0 + v3 & MASK
            v3 = rotate(v3, 21) ^ v0
            v2 = v2 + v1 & MASK
            v1 = rotate(v1, 17) ^ v2
            v2 = rotate(v2, 32)

    for each in (word, 8 << 56):
        v3 ^= each
        turn(2)
        v0 ^= each
    v2 ^= 0xff
    turn(4)
    return v0 ^ v1 ^ v2 ^ v3


def label_of(daemon, hour, kind=0):
    """The label of flow 5 and salt 7, which only the owner of the node's key can make."""
    seed = (daemon.state / "node.key").read_bytes()[-64:-32]
    derived = hmac.new(seed, f"weft relay flow {hour}".encode(), hashlib.sha256).digest()
    head = struct.pack("<BBBBHH", 0x9e, 0, 0x80, hour & 0xff, 5, 7)
    tag = siphash(struct.unpack("<QQ", derived[:16]), struct.unpack("<Q", head)[0])
    return bytes([head[0], kind]) + head[2:] + struct.pack("<Q", tag)


def tell(netns, datagram, wait_s):
    """What the daemon in the other namespace answers to a datagram, or nothing."""
    script = ("import socket\n"
              "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
              "s.bind(('10.77.0.2', 6881))\n"
              f"s.settimeout({wait_s})\n"
              f"s.sendto({datagram!r}, ('10.77.0.1', 7000))\n"
              "try:\n"
              "    print(s.recv(2000).hex())\n"
              "except TimeoutError:\n"
              "    pass\n")
    return bytes.fromhex(run_plain("ip", "netns", "exec", netns, sys.executable, "-c", script)
                         .stdout.strip())


def check_unknown(daemon, netns, hour, why):
    packet = label_of(daemon, hour) + b"\x40" + bytes(40)
    wait_for(lambda: tell(netns, packet, 1) == label_of(daemon, hour, kind=2), why)


def attach(daemon):
    done = daemon.weft("xdp", "attach", "veth0")
    if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
        raise Skip(done.stderr.strip())
    check_eq(done.returncode, OK, f"attach: {done.stderr}")


def test_a_lost_flow_is_reported_by_socket_driver_and_after_kill_9(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=RELAY).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN).start()
    hour = int(time.time()) // 3600
    check_unknown(a, ns_b, hour, "by a socket")
    check_unknown(a, ns_b, hour - 2, "of an hour before")
    a.kill()
    a.start()
    check_unknown(a, ns_b, hour, "after kill -9")
    check(a.judged().get("relay-unknown", 0) > 0, a.judged())
    attach(a)
    attach(b)  # a veth takes what a program answers only while its other end runs one, too
    check_unknown(a, ns_b, hour, "by the driver")
    a.weft("xdp", "detach", "veth0")
    check_unknown(a, ns_b, hour, "after it was detached")


def test_a_forged_tag_is_dropped_and_a_node_that_is_no_relay_knows_none(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=LISTEN, config=RELAY).start()
    hour = int(time.time()) // 3600
    label = label_of(a, hour)
    packet = b"\x40" + bytes(40)
    for forged in (label[:-1] + bytes([label[-1] ^ 1]), label_of(a, hour - 5), label_of(a, hour + 2)):
        check_eq(tell(ns_b, forged + packet, 0.3), b"", "an answer to a forged label")
    check_eq(a.judged()["relay-tag"], 3, "forged labels")
    check_eq(a.json("status")["fills"]["relay.open_cnt"], 0, "flows")
    a.stop()
    a.conf.write_text("")
    a.start()
    check_eq(tell(ns_b, label_of(a, hour) + packet, 0.3), b"", "an answer of a node that is no relay")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
