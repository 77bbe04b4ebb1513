#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A file comes through a relay one of whose legs carries 1,280 bytes, and no ICMP says so.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch

The switch's port to b drops what is longer. nftables in n2 and n3 drop what goes between them.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from grants import operator_words
from lab import OK, check, check_eq, need_root, run, wait_for
from netlab import topology

ALONE = "[lan]\ninterfaces =\n[dht]\nenabled = no\n[overlay]\nserve = no\n[relay]\nfind = no\n"
RELAY = ALONE + "enabled = yes\nflow_cap = 1024\noperator = {}\n"
RATE = 5_000_000
HEADERS = {4: 20 + 8 + 16, 6: 40 + 8 + 16}  # IP, UDP, label
LEG = 1280
LEN = 3_000_000
GAP_S = 1.0


def place(lab, family, mtu):
    need_root()
    topology.build(lab.network, "bridge", ["3"], 1500)
    nodes = lab.network.nodes
    address = {4: "10.77.0.{}", 6: "fd77::{}"}[family]
    part(nodes["n2"].name, address.format(3), family)
    part(nodes["n3"].name, address.format(2), family)
    leg(lab, mtu)
    for link in lab.network.links:  # a batch of segments would pass whatever its length is
        for node, device in zip(link.nodes, link.devices):
            nodes[node].offload(device, "tx", False)
    listen = {4: ["0.0.0.0:7000"], 6: ["[::]:7000"]}[family]
    operator = operator_words(lab, "operator", "new", "operator.key")
    relay, a, b = [lab.daemon(name, netns=nodes[node].name, listen=listen, config=config).start()
                   for name, node, config in (("relay", "n1", RELAY.format(operator)),
                                              ("a", "n2", ALONE),
                                              ("b", "n3", ALONE + "use = always\n"))]
    grant = lab.dir / "a.grant"
    grant.write_text(operator_words(lab, "grant", "new", "operator.key", node_id(a), "--content",
                                    "--rate", RATE, "--burst", 100_000) + "\n")
    done = a.weft("relay", "grant-use", grant)
    check_eq(done.returncode, OK, f"a shows the grant: {done.stderr}")
    at = {4: "10.77.0.1:7000", 6: "[fd77::1]:7000"}[family]
    for end in (a, b):
        done = end.weft("peer", "connect", node_id(relay), at)
        check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")
    wait_for(lambda: a.weft("peer", "connect", node_id(b)).returncode == OK, "a reaches b")
    return relay, a, b


def leg(lab, mtu):
    """The switch's port to b and b's device: longer packets vanish at the switch."""
    link = lab.network.link("n3", "switch")
    for node, device in zip(link.nodes, link.devices):
        lab.network.nodes[node].ip("link", "set", device, "mtu", str(mtu))


def row_of(daemon, peer):
    return daemon.json("peer", "show", node_id(peer))["peer"]


def gets(lab, getter, giver, name):
    path = lab.dir / name
    path.write_bytes(name.encode() * (LEN // len(name)))
    began = time.monotonic()
    done = getter.weft("get", giver.share(path), "--to", lab.dir / f"got-{name}", timeout=60)
    check_eq(done.returncode, OK, f"{getter.name} gets {name}: {done.stderr}")
    check_eq((lab.dir / f"got-{name}" / name).read_bytes(), path.read_bytes(), "its bytes")
    return time.monotonic() - began


def through_a_short_leg(lab, family):
    relay, a, b = place(lab, family, LEG)
    for getter, giver, name in ((a, b, "up"), (b, a, "down")):
        took = gets(lab, getter, giver, name)
        print(f"# IPv{family}: {LEN} bytes to {getter.name} in {took:.1f} s", flush=True)
    for end, other in ((a, b), (b, a)):
        row = row_of(end, other)
        check_eq(row["transport"], "relay", f"{end.name}'s way")
        check(1200 <= row["mtu"] <= LEG - HEADERS[family], f"{end.name} shows {row['mtu']}")


def longest_gap(getting, getter, giver):
    """Seconds in which no content came, until the download ends."""
    longest, last, since = 0.0, 0, time.monotonic()
    while getting.poll() is None:
        received = row_of(getter, giver)["received_bytes"]
        if received > last + 10_000:  # more than acknowledgements and questions
            longest = max(longest, time.monotonic() - since)
            last, since = received, time.monotonic()
        time.sleep(0.01)
    return longest


def a_leg_becomes_short(lab, family, giver_is_dialler):
    _, a, b = place(lab, family, 1500)
    getter, giver = (b, a) if giver_is_dialler else (a, b)
    for end, other in ((a, b), (b, a)):
        wait_for(lambda end=end, other=other: row_of(end, other)["mtu"] > LEG,
                 f"{end.name} finds out that longer packets pass")
    path = lab.dir / "file"
    path.write_bytes(bytes(LEN))
    got = lab.dir / "got"
    getting = getter.weft_popen("get", giver.share(path), "--to", got)
    wait_for(lambda: row_of(getter, giver)["received_bytes"] > LEN // 4, "it has begun")
    leg(lab, LEG)
    gap = longest_gap(getting, getter, giver)
    out, err = getting.communicate(timeout=60)
    check_eq(getting.returncode, OK, f"get: {out}{err}")
    check_eq((got / "file").read_bytes(), bytes(LEN), "its bytes")
    print(f"# IPv{family}: nothing came for {gap * 1000:.0f} ms at most", flush=True)
    check(gap < GAP_S, f"nothing came for {gap:.2f} s")
    shown = row_of(giver, getter)
    check_eq(shown["transport"], "relay", "the way")
    check(1200 <= shown["mtu"] <= LEG - HEADERS[family], f"{giver.name} shows {shown['mtu']}")
    check(shown["black_hole"], f"{giver.name} shows why: {shown}")


def test_a_leg_that_becomes_short_does_not_stop_a_download_by_ipv4(lab):
    a_leg_becomes_short(lab, 4, False)


def test_a_leg_that_becomes_short_does_not_stop_a_download_by_ipv6(lab):
    a_leg_becomes_short(lab, 6, True)


def test_a_file_comes_through_a_leg_of_1280_bytes_by_ipv4(lab):
    through_a_short_leg(lab, 4)


def test_a_file_comes_through_a_leg_of_1280_bytes_by_ipv6(lab):
    through_a_short_leg(lab, 6)


def test_a_file_comes_at_the_length_that_longer_legs_carry(lab):
    _, a, b = place(lab, 4, 1500)
    gets(lab, a, b, "up")
    for end, other in ((a, b), (b, a)):
        wait_for(lambda end=end, other=other: row_of(end, other)["mtu"] > LEG,
                 f"{end.name} finds out that longer packets pass")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
