#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Longer packets vanish on a path from now on, and no ICMP message says so: a download goes on.

    n1 (10.77.0.1) a, n2 (10.77.0.2) b on one switch; its port to b comes to carry 1,280 bytes
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run, same_tree, wait_for
from sessions import node_id

LISTEN = ["0.0.0.0:7000"]
MIB = 1024 * 1024
ETHERNET = 1452
PORT_MTU = 1280
GAP_S = 1.0


def place(lab, config=""):
    namespaces = lab.bridge(2)
    for link in lab.network.links:  # a batch of segments would pass whatever its length is
        for node, device in zip(link.nodes, link.devices):
            lab.network.nodes[node].offload(device, "tx", False)
    a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
            for name, netns in zip("ab", namespaces)]
    done = b.weft("peer", "connect", node_id(a), "10.77.0.1:7000")
    check_eq(done.returncode, OK, done.stderr)
    for end, other in ((a, b), (b, a)):
        wait_for(lambda end=end, other=other: row(end, other)["mtu"] == ETHERNET,
                 "the length of packets is found out")
    return a, b


def row(daemon, peer):
    return daemon.json("peer", "show", node_id(peer))["peer"]


def session(daemon, peer):
    return daemon.json("peer", "ping", node_id(peer), "--count", "1")["ping"]["session_id"]


def shorten(lab):
    link = lab.network.link("n2", "switch")
    for node, device in zip(link.nodes, link.devices):
        if node != "n2":
            lab.network.nodes[node].ip("link", "set", device, "mtu", str(PORT_MTU))


def longest_gap(getting, getter, giver):
    """Seconds in which no byte came, until the download ends."""
    longest, last, since = 0.0, 0, time.monotonic()
    while getting.poll() is None:
        received = row(getter, giver)["received_bytes"]
        if received > last + 10_000:  # more than acknowledgements and questions
            longest = max(longest, time.monotonic() - since)
            last, since = received, time.monotonic()
        time.sleep(0.01)
    return max(longest, time.monotonic() - since)


def goes_on(lab, getter, giver):
    root = lab.folder("root", {"file": 30 * MIB})
    giver.limit_upload("80mbit")
    link = giver.share(root)
    before = session(getter, giver)
    start = row(getter, giver)["received_bytes"]
    getting = getter.weft_popen("get", link, "--to", str(lab.dir / "out"))
    wait_for(lambda: row(getter, giver)["received_bytes"] > start + 4 * MIB, "it has begun")
    shorten(lab)
    gap = longest_gap(getting, getter, giver)
    out, err = getting.communicate(timeout=60)
    check_eq(getting.returncode, OK, f"get: {out}{err}")
    same_tree(root, lab.dir / "out")
    print(f"# nothing came for {gap * 1000:.0f} ms at most", flush=True)
    check(gap < GAP_S, f"nothing came for {gap:.2f} s")
    check_eq(session(getter, giver), before, "the session is the same one")
    shown = row(giver, getter)
    check(shown["black_hole"], f"the sender shows it: {shown}")
    check(1200 <= shown["mtu"] <= PORT_MTU - 28, f"it sends {shown['mtu']} bytes")
    check_eq(row(getter, giver).get("black_hole"), None, "the receiver has sent nothing long")


def test_a_download_goes_on_when_its_path_carries_less(lab):
    a, b = place(lab)
    goes_on(lab, b, a)


def test_a_download_from_the_node_that_dialled_goes_on(lab):
    a, b = place(lab)
    goes_on(lab, a, b)


def test_a_download_goes_on_without_io_uring(lab):
    a, b = place(lab, "[udp]\nio_uring = no\n")
    goes_on(lab, b, a)


def test_a_download_that_is_sent_by_af_xdp_goes_on(lab):
    a, b = place(lab)
    done = a.weft("xdp", "attach", "veth0", "--send", "af_xdp")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(a.json("xdp", "status")["send"]["backend"], "af_xdp", "send side")
    goes_on(lab, b, a)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="namespaces of its own")
