#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""pktgen's datagrams as a kernel's socket sees them, which checks their
checksums, and its sink.

    a: pktgen -- veth -- b: XDP_PASS and a socket, or the sink
"""
import json
import os
import pathlib
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run

BUILD = pathlib.Path(os.environ.get("BUILD", "build/release"))
PKTGEN = str(BUILD / "pktgen")
PORT = 7000
CNT = 500
KEY = bytes(range(16))
WORD_MAX = 0xFFFFFFFFFFFFFFFF
SO_RCVBUFFORCE = 33

# kind: (first bytes, where the id is, its length)
KINDS = {"initial": (b"\xc3\0\0\0\1\x08", 6, 8), "short-junk": (b"\x40", 1, 16),
         "krpc": (b"d1:ad2:id20:", 12, 16),
         "find-node": (b"d1:ad2:id20:pktgenpktgenpktgenpk6:target20:", 43, 16),
         "get-peers": (b"d1:ad2:id20:pktgenpktgenpktgenpk9:info_hash20:", 46, 16),
         "junk": (b"\x3f", 8, 8)}


def siphash24(key, data):
    """SipHash-2-4 of eight bytes (Aumasson and Bernstein, 2012)."""
    k0, k1 = (int.from_bytes(key[i:i + 8], "little") for i in (0, 8))
    v = [k0 ^ 0x736F6D6570736575, k1 ^ 0x646F72616E646F6D, k0 ^ 0x6C7967656E657261,
         k1 ^ 0x7465646279746573]

    def left(word, bits):
        return (word << bits | word >> (64 - bits)) & WORD_MAX

    def rounds(cnt):
        for _ in range(cnt):
            v[0] = (v[0] + v[1]) & WORD_MAX
            v[1] = left(v[1], 13) ^ v[0]
            v[0] = left(v[0], 32)
            v[2] = (v[2] + v[3]) & WORD_MAX
            v[3] = left(v[3], 16) ^ v[2]
            v[0] = (v[0] + v[3]) & WORD_MAX
            v[3] = left(v[3], 21) ^ v[0]
            v[2] = (v[2] + v[1]) & WORD_MAX
            v[1] = left(v[1], 17) ^ v[2]
            v[2] = left(v[2], 32)

    for word in (int.from_bytes(data, "little"), len(data) << 56):
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return (v[0] ^ v[1] ^ v[2] ^ v[3]).to_bytes(8, "little")


def receiver(lab, family=socket.AF_INET):
    """The pair with XDP_PASS at b, and a socket of b that sees every source as one it can answer."""
    lab.veth_pair()
    b = lab.network.nodes["b"]
    b.attach_xdp("veth0", BUILD / "bench" / "pass.bpf.o")
    b.ip("route", "add", "198.18.0.0/15", "dev", "veth0")
    b.ip("route", "add", "2001:2::/32", "dev", "veth0")
    for which in ("all", "veth0"):
        b.sysctl(f"ipv4/conf/{which}/rp_filter", 0)

    def make():
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.bind(("" if family == socket.AF_INET else "::", PORT))
        made.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
        made.settimeout(DEADLINE_S)
        return made
    return b.inside(make)


def mac_of(node, device="veth0"):
    return node.run("cat", f"/sys/class/net/{device}/address").strip()


def send(lab, *words, cnt=CNT):
    nodes = lab.network.nodes
    return json.loads(nodes["a"].run(PKTGEN, "send", "veth0", "--mac", mac_of(nodes["b"]),
                                     "--count", str(cnt), "--rate", "20000", *words))


def receive(from_socket):
    return [from_socket.recvfrom(2000) for _ in range(CNT)]


def test_every_kind_arrives_with_good_checksums_in_both_families(lab):
    for family, to in ((socket.AF_INET, "10.77.0.2"), (socket.AF_INET6, "fd77::2")):
        if lab.network.nodes:
            lab.network.close()
            lab.network.nodes.clear()
            lab.network.links.clear()
        in_b = receiver(lab, family)
        for kind, (first, id_off, id_len) in KINDS.items():
            check_eq(send(lab, "--to", to, "--kind", kind)["frames"], CNT, "frames sent")
            got = receive(in_b)
            check(all(data.startswith(first) for data, _ in got), f"{kind}: {got[0][0][:20]}")
            ids = {data[id_off:id_off + id_len] for data, _ in got}
            check_eq(len(ids), CNT, f"{kind}: different ids")


def test_sources_and_ports_are_as_many_as_asked_for(lab):
    in_b = receiver(lab)
    send(lab, "--to", "10.77.0.2", "--sources", "4", "--ports", "3", "--from", "198.18.255.254")
    got = receive(in_b)
    check_eq({source[0] for _, source in got},
             {"198.18.255.254", "198.18.255.255", "198.19.0.0", "198.19.0.1"}, "sources")
    check_eq({source[1] for _, source in got}, {1024, 1025, 1026}, "ports")


def test_ipv6_sources_are_each_in_a_64_of_their_own(lab):
    in_b = receiver(lab, socket.AF_INET6)
    send(lab, "--to", "fd77::2", "--sources", "3")
    check_eq({source[0] for _, source in receive(in_b)},
             {"2001:2::", "2001:2:0:1::", "2001:2:0:2::"}, "sources")


def test_valid_ids_carry_the_tag_of_the_key(lab):
    in_b = receiver(lab)
    send(lab, "--to", "10.77.0.2", "--kind", "short-valid", "--key", KEY.hex(), "--ids", "7",
         "--generation", "5")
    ids = {data[1:17] for data, _ in receive(in_b)}
    check_eq(len(ids), 7, "different ids")
    for cid in ids:
        check(cid[0] == 0x80 and cid[1] == 5, f"worker 0, generation 5: {cid.hex()}")
        check_eq(cid[8:], siphash24(KEY, cid[:8]), "tag")


def test_each_head_has_a_port_of_its_own(lab):
    in_b = receiver(lab)
    heads = [bytes([i] * 16) for i in range(5)]
    path = lab.dir / "heads"
    path.write_bytes(b"".join(heads))
    send(lab, "--to", "10.77.0.2", "--payload", (bytes(16) + b"rest").hex(), "--heads", str(path))
    check_eq({(source[1], data) for data, source in receive(in_b)},
             {(1024 + i, head + b"rest") for i, head in enumerate(heads)}, "ports and payloads")


def test_sizes_are_kept_at_both_ends(lab):
    in_b = receiver(lab)
    for size in (16, 17, 1472):
        sent = send(lab, "--to", "10.77.0.2", "--size", str(size))
        check_eq(sent["frame_len"], size + 42, "frame")
        check_eq({len(data) for data, _ in receive(in_b)}, {size}, "payload")


def test_the_sink_counts_every_frame_and_leaves_nothing_attached(lab):
    lab.veth_pair()
    a, b = lab.network.nodes.values()
    b.sysctl("ipv6/conf/all/disable_ipv6", 1)
    a.sysctl("ipv6/conf/all/disable_ipv6", 1)
    sink = subprocess.Popen(b.command(PKTGEN, "sink", "veth0", "--quiet"), stdout=subprocess.PIPE,
                            text=True)
    while "xdp" not in b.ip("link", "show", "veth0"):
        check(sink.poll() is None, "the sink ended")
    send(lab, "--to", "10.77.0.2", "--size", "100")
    sink.terminate()
    counted = json.loads(sink.communicate(timeout=DEADLINE_S)[0])
    check_eq((counted["frames"], counted["bytes"]), (CNT, CNT * 142), "frames and bytes")
    check("xdp" not in b.ip("link", "show", "veth0"), "the sink's program is still there")


def test_frames_that_came_back_as_answers_leave_as_new(lab):
    """A page that the far program made a Retry of is used again: addresses, length and all."""
    lab.veth_pair()
    nodes = lab.network.nodes
    daemon = lab.daemon("b", netns=nodes["b"].name, listen=[f"10.77.0.2:{PORT}"]).start()
    for words in (("attach", "veth0"), ("mode", "pressured")):
        done = daemon.weft("xdp", *words)
        check_eq(done.returncode, OK, f"weft xdp {' '.join(words)}: {done.stderr}")
    sink = subprocess.Popen(nodes["a"].command(PKTGEN, "sink", "veth0", "--quiet"),
                            stdout=subprocess.PIPE, text=True)
    while "xdp" not in nodes["a"].ip("link", "show", "veth0"):
        check(sink.poll() is None, "the sink ended")
    send(lab, "--to", "10.77.0.2", "--kind", "initial", "--sources", "1000000", cnt=20 * CNT)
    sink.terminate()
    answers = json.loads(sink.communicate(timeout=DEADLINE_S)[0])["frames"]
    # Without care a page is answered on its first journeys alone.
    check(answers > 18 * CNT, f"{answers} answers to {20 * CNT} Initials")


def test_what_cannot_be_sent_is_refused_in_words(lab):
    lab.veth_pair()
    good = ["send", "veth0", "--mac", "02:00:00:00:00:01", "--to", "10.77.0.2"]
    for words, text in ((["send", "nothing0"], "nothing0"), (["spray", "veth0"], "spray"),
                        (["send", "veth0"], "--to and --mac"), (good + ["--kind", "x"], "--kind x"),
                        (good + ["--size", "15"], "--size 15"), (good + ["--size", "1959"], "1958"),
                        (good + ["--sources", "0"], "--sources 0"),
                        (good + ["--sources", "16777217"], "16777216"),
                        (good + ["--ids", "65537"], "65536"), (good + ["--batch", "257"], "256"),
                        (good + ["--from", "::1"], "family"), (good + ["--kind", "short-valid"], "--key"),
                        (good + ["--heads", "/dev/null"], "1 to 64512 times 16 bytes"),
                        (good + ["--heads", __file__, "--payload", "00"], "of 16 bytes and more"),
                        (good + ["--mac", "02:00"], "six bytes"), (good + ["--key", "00"], "32")):
        done = subprocess.run(lab.network.nodes["a"].command(PKTGEN, *words), capture_output=True,
                              text=True, check=False)
        check(done.returncode == 2 and text in done.stderr, f"{words}: {done.stderr}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
