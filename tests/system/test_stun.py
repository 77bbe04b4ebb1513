#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""STUN, against coturn's client and server. weftd answers with the source address of a
request, from its driver and without it.

    namespace a: 10.77.0.1, daemon a -- veth0 == veth0 -- namespace b: 10.77.0.2, the client
"""
import pathlib
import re
import socket
import struct
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run, run_plain, wait_for

LISTEN = ["0.0.0.0:7000", "[::]:7000"]
COOKIE = bytes.fromhex("2112a442")


def attach(daemon):
    done = daemon.weft("xdp", "attach", "veth0")
    if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
        raise Skip(done.stderr.strip())
    check_eq(done.returncode, OK, f"attach: {done.stderr}")


def turnutils(netns, server):
    """The reflexive address that coturn's client is told, from a port that it chooses itself."""
    done = run_plain("ip", "netns", "exec", netns, "turnutils_stunclient", "-p", "7000", server,
                     timeout=DEADLINE_S)
    found = re.search(r"UDP reflexive addr: ([\d.]+):(\d+)", done.stdout)
    check(found, f"no reflexive address: {done.stdout} {done.stderr}")
    return found[1], int(found[2])


def ask(netns, server, request, port=4000):
    """What weftd answers to the bytes of request; b"" if it answers nothing within a second."""
    family = "AF_INET6" if ":" in server else "AF_INET"
    script = ("import socket\n"
              f"s = socket.socket(socket.{family}, socket.SOCK_DGRAM)\n"
              f"s.bind(('{'::' if ':' in server else '0.0.0.0'}', {port}))\n"
              "s.settimeout(1)\n"
              f"s.sendto({request!r}, ({server!r}, 7000))\n"
              "try:\n"
              "    print(s.recv(2000).hex())\n"
              "except TimeoutError:\n"
              "    print()\n")
    return bytes.fromhex(run_plain("ip", "netns", "exec", netns, sys.executable, "-c", script)
                         .stdout.strip())


def message(kind, *attributes):
    body = b"".join(struct.pack("!HH", number, len(value)) + value + bytes(-len(value) % 4)
                    for number, value in attributes)
    return struct.pack("!HH", kind, len(body)) + COOKIE + b"transaction." + body


def mapped(answer):
    """The address in XOR-MAPPED-ADDRESS, which is all that an answer holds."""
    check_eq(answer[:2] + answer[4:20], b"\x01\x01" + COOKIE + b"transaction.", "the header")
    check_eq(answer[20:22], b"\0\x20", "the attribute")
    mask = answer[4:20]
    port = struct.unpack("!H", answer[26:28])[0] ^ 0x2112
    ip = bytes(a ^ b for a, b in zip(answer[28:], mask))
    return socket.inet_ntop(socket.AF_INET if len(ip) == 4 else socket.AF_INET6, ip), port


def check_answers(ns_b):
    answer = ask(ns_b, "10.77.0.1", message(1))
    check_eq(len(answer), 32, "bytes of an answer")
    check_eq(mapped(answer), ("10.77.0.2", 4000), "over IPv4")
    answer = ask(ns_b, "fd77::1", message(1))
    check_eq(len(answer), 44, "bytes of an answer")
    check_eq(mapped(answer), ("fd77::2", 4000), "over IPv6")
    # SOFTWARE need not be known, CHANGE-REQUEST must.
    check_eq(mapped(ask(ns_b, "10.77.0.1", message(1, (0x8022, b"a test")))), ("10.77.0.2", 4000),
             "with SOFTWARE")
    refused = ask(ns_b, "10.77.0.1", message(1, (3, bytes(4))))
    check_eq(refused[:2], b"\x01\x11", "an error")
    check_eq(refused[20:], bytes.fromhex("0009000400000414000a000200030000"), "420, unknown 3")
    for kind in (0x0101, 0x0111, 0x0011, 0x0003):
        check_eq(ask(ns_b, "10.77.0.1", message(kind)), b"", f"an answer to {kind:#06x}")


def pair(lab):
    ns_a, ns_b = lab.veth_pair()
    return lab.daemon("a", netns=ns_a, listen=LISTEN).start(), ns_a, ns_b


def test_daemon_answers_at_its_socket(lab):
    a, _, ns_b = pair(lab)
    address, _ = turnutils(ns_b, "10.77.0.1")
    check_eq(address, "10.77.0.2", "coturn's client")
    check_answers(ns_b)
    check(a.json("status")["counters"]["reachability.stun_answered_cnt"] >= 3, "counted")


def test_driver_answers_for_the_daemon(lab):
    a, _, ns_b = pair(lab)
    other = lab.daemon("b", netns=ns_b, listen=LISTEN).start()
    attach(a)
    attach(other)  # a veth takes what a program answers only while its other end runs one, too
    wait_for(lambda: ask(ns_b, "10.77.0.1", message(1)) and a.judged().get("stun-sent", 0) > 0,
             "the driver answers")
    before = a.json("status")["counters"]["reachability.stun_answered_cnt"]
    address, _ = turnutils(ns_b, "10.77.0.1")
    check_eq(address, "10.77.0.2", "coturn's client")
    check_answers(ns_b)
    # Requests with attributes alone, coturn's client may send some, are the daemon's.
    done = a.json("status")["counters"]["reachability.stun_answered_cnt"] - before
    check(done <= 2, f"by the daemon: {done} {a.judged()}")


def test_flood_answers_no_unvalidated_source(lab):
    a, _, ns_b = pair(lab)
    check(ask(ns_b, "10.77.0.1", message(1)), "an answer in mode normal")
    check_eq(a.weft("xdp", "mode", "flood").returncode, OK, "mode flood")
    check_eq(ask(ns_b, "10.77.0.1", message(1)), b"", "an answer in mode flood")
    check_eq(a.weft("xdp", "mode", "normal").returncode, OK, "mode normal")
    wait_for(lambda: ask(ns_b, "10.77.0.1", message(1)), "answers again")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
