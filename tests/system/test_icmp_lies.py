#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""ICMP that lies ends no session and shortens no packet.

    n1 (10.77.0.1) a, n2 (10.77.0.2) b, n3 (10.77.0.3) a stranger on the same switch
"""
import pathlib
import socket
import struct
import subprocess
import sys
import time

LISTEN = ["0.0.0.0:7000"]
MIB = 1024 * 1024
LEAST = 1200
ROUNDS = 50
# (type, code, MTU): fragmentation needed with several, and port, host and protocol unreachable
LIES = [(3, 4, 68), (3, 4, 552), (3, 4, 1000), (3, 4, 0), (3, 3, 0), (3, 1, 0), (3, 2, 0)]


def checksum(data):
    total = sum(struct.unpack(f"!{(len(data) + 1) // 2}H", data + b"\0" * (len(data) % 2)))
    while total >> 16:
        total = (total & 0xffff) + (total >> 16)
    return ~total & 0xffff


def ip_header(source, target, protocol, length):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + length, 1, 0x4000, 64, protocol, 0,
                       socket.inet_aton(source), socket.inet_aton(target))
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:]


def lie(source, target, kind, quoted):
    """An ICMP message to target from source about the datagram quoted = (from, port, to, port)."""
    number, code, mtu = kind
    start, start_port, end, end_port = quoted
    inner = ip_header(start, end, 17, 1408) + struct.pack("!HHHH", start_port, end_port, 1408, 0)
    body = struct.pack("!BBHHH", number, code, 0, 0, mtu) + inner + b"\x40" * 28
    body = body[:2] + struct.pack("!H", checksum(body)) + body[4:]
    return ip_header(source, target, 1, len(body)) + body


def tell():
    """Runs in the stranger's namespace: ROUNDS of all lies, to each end, by any source."""
    raw = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW)
    for turn in range(ROUNDS):
        for own, other in (("10.77.0.1", "10.77.0.2"), ("10.77.0.2", "10.77.0.1")):
            for source in ("10.77.0.3", other, "10.77.0.254"):
                for kind in LIES:
                    for quoted in ((own, 7000, other, 7000), (own, 7001, other, 7000),
                                   (other, 7000, own, 7000), (own, 40000 + turn, other, 7000)):
                        raw.sendto(lie(source, own, kind, quoted), (own, 0))
        time.sleep(0.02)


if sys.argv[1:] == ["tell"]:
    tell()
    sys.exit(0)

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run, same_tree, wait_for
from sessions import node_id


def place(lab, config=""):
    namespaces = lab.bridge(3)
    a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
            for name, netns in zip("ab", namespaces)]
    return namespaces[2], a, b


def session(daemon, peer):
    return daemon.json("peer", "ping", node_id(peer), "--count", "1")["ping"]["session_id"]


def mtu(daemon, peer):
    return daemon.json("peer", "show", node_id(peer))["peer"]["mtu"]


def liar(netns):
    return subprocess.Popen(["ip", "netns", "exec", netns, sys.executable, __file__, "tell"])


def is_heard(namespace_pid):
    """How many ICMP messages of unreachable destinations the kernel of that process took."""
    rows = pathlib.Path(f"/proc/{namespace_pid}/net/snmp").read_text().splitlines()
    names, values = [row.split() for row in rows if row.startswith("Icmp:")]
    return int(values[names.index("InDestUnreachs")])


def test_lies_in_the_middle_of_a_download_change_nothing(lab):
    stranger, a, b = place(lab)
    root = lab.folder("root", {"file": 60 * MIB})
    a.limit_upload("200mbit")
    link = a.share(root)
    done = b.weft("peer", "connect", node_id(a), "10.77.0.1:7000")
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: mtu(b, a) > 1400 and mtu(a, b) > 1400, "the length of packets is found out")
    before = session(b, a), session(a, b), mtu(b, a), mtu(a, b)
    getting = b.weft_popen("get", link, "--to", str(lab.dir / "out"))
    lying = liar(stranger)
    out, err = getting.communicate(timeout=60)
    check_eq(getting.returncode, OK, f"get: {out}{err}")
    lying.wait()
    check(is_heard(a.process.pid) > 1000, "the kernel of a took them")
    same_tree(root, lab.dir / "out")
    check_eq((session(b, a), session(a, b), mtu(b, a), mtu(a, b)), before, "sessions and lengths")
    check(min(before[2:]) >= LEAST, f"lengths: {before}")


def idle_session(lab, config):
    stranger, a, b = place(lab, config)
    done = b.weft("peer", "connect", node_id(a), "10.77.0.1:7000")
    check_eq(done.returncode, OK, done.stderr)
    before = session(b, a), session(a, b)
    liar(stranger).wait()
    check(is_heard(a.process.pid) > 1000, "the kernel of a took them")
    check_eq((session(b, a), session(a, b)), before, "sessions")
    check(min(mtu(b, a), mtu(a, b)) >= LEAST, "lengths")


def test_lies_about_an_idle_session_end_nothing(lab):
    idle_session(lab, "")


def test_lies_about_an_idle_session_end_nothing_without_io_uring(lab):
    idle_session(lab, "[udp]\nio_uring = no\n")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="namespaces of its own")
