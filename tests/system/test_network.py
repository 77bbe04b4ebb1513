#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Gets between network namespaces.

    namespace a: 10.77.0.1 fd77::1 -- veth -- namespace b: 10.77.0.2 fd77::2
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run, same_tree, wait_for

CHUNK = 256 * 1024


def get(lab, listen, mtu=1500, config=""):
    ns_a, ns_b = lab.veth_pair(mtu)
    a = lab.daemon("a", netns=ns_a, listen=listen, config=config).start()
    b = lab.daemon("b", netns=ns_b, listen=listen, config=config).start()
    root = lab.folder("root", {f"{i}.bin": 40 * CHUNK for i in range(4)} | {"small": 5})
    done = b.weft("get", a.share(root), "--to", lab.dir / "out")
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    same_tree(root, lab.dir / "out")
    return a, b


def peer_of(daemon):
    return wait_for(lambda: next((p for p in daemon.json("peer", "list")["peers"] if p["connected"]),
                                 None), f"{daemon.name} has a session")


def test_ipv4_wildcard(lab):
    a, b = get(lab, ["0.0.0.0:7000"])
    check(peer_of(b)["address"] == "10.77.0.1:7000", f"address: {peer_of(b)}")


def test_ipv6_wildcard(lab):
    a, b = get(lab, ["[::]:7000"])
    check(peer_of(b)["address"] == "[fd77::1]:7000", f"address: {peer_of(b)}")


def test_both_families(lab):
    get(lab, ["0.0.0.0:7000", "[::]:7000"])


def test_mtu_1280(lab):
    a, b = get(lab, ["[::]:7000"], mtu=1280)
    check(peer_of(b)["mtu"] <= 1280 - 48, f"mtu: {peer_of(b)}")


def test_mtu_9000_is_discovered(lab):
    a, b = get(lab, ["0.0.0.0:7000"], mtu=9000)
    wait_for(lambda: peer_of(a)["mtu"] > 1500, "larger packets go through")


def test_epoll_fallback(lab):
    a, b = get(lab, ["0.0.0.0:7000"], config="[udp]\nio_uring = no\n")
    check_eq(a.json("status")["receive"]["backend"], "udp/epoll", "backend")


def test_an_address_whose_device_comes_up_later_is_reported(lab):
    """The address was there before; what comes up is the link alone."""
    ns_a, ns_b = lab.veth_pair()
    lab.ip(ns_a, "link", "set", "veth0", "addrgenmode", "none")
    lab.ip(ns_a, "addr", "flush", "dev", "veth0", "scope", "global")
    lab.ip(ns_a, "link", "set", "veth0", "down")
    lab.ip(ns_a, "addr", "add", "10.77.0.1/24", "dev", "veth0")
    a = lab.daemon("a", netns=ns_a, listen=["0.0.0.0:7000"]).start()
    b = lab.daemon("b", netns=ns_b, listen=["0.0.0.0:7000"]).start()
    lab.ip(ns_a, "link", "set", "veth0", "up")
    root = lab.folder("root", {"x": CHUNK})
    done = b.weft("get", a.share(root), "--to", lab.dir / "out")
    check_eq(done.returncode, OK, f"get: {done.stderr}")


def test_an_address_change_in_the_middle_is_survived(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=["0.0.0.0:7000"]).start()
    b = lab.daemon("b", netns=ns_b, listen=["0.0.0.0:7000"]).start()
    root = lab.folder("root", {f"{i}.bin": 24 * CHUNK for i in range(30)})
    a.limit_upload("160mbit")
    waiting = b.weft_popen("get", a.share(root), "--to", str(lab.dir / "out"))
    wait_for(lambda: (gets := b.json("get", "list")["gets"]) and
             gets[0]["bytes_done"] > 50 * CHUNK, "some bytes are done")
    lab.ip(ns_b, "addr", "add", "10.77.0.3/24", "dev", "veth0")
    lab.ip(ns_b, "addr", "del", "10.77.0.2/24", "dev", "veth0")
    lab.ip(ns_b, "addr", "replace", "10.77.0.3/24", "dev", "veth0")
    before = next(t for t in b.json("get", "list")["gets"])
    a.limit_upload("none")
    out, err = waiting.communicate(timeout=DEADLINE_S)
    check_eq(waiting.returncode, OK, f"get: {out}{err}")
    same_tree(root, lab.dir / "out")
    check(before["state"] != "finished", "the get was over before the address changed")
    check(a.json("status")["counters"]["quic.migrated_cnt"] >= 1, "no migration was seen")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
