#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Pairs of nodes behind NATs of each kind, made by nftables, meet through a relay and then directly.

    a1 .. a6 (192.168.1.2), each behind a NAT of its own (198.18.0.101 ..) -- internet
    b1 .. b6 likewise (198.18.0.201 ..); relays r 198.18.0.7, s 198.18.0.8
"""
import os
import pathlib
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, static, wait_for
from netlab import nat, topology
from netlab.nat import ADDRESS_AND_PORT, INDEPENDENT

MTU = 1500
RELAYS = {"r": "198.18.0.7", "s": "198.18.0.8"}
CONFIG = ("[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\n[service]\nenabled = no\n"
          "[port_mapping]\nmethod = off\n")
END = CONFIG + "[relay]\nuse = always\n"
RELAY = CONFIG + "[relay]\nenabled = yes\nflow_cap = 1024\n"
OPEN = "open"
KINDS = [OPEN, "full-cone", "address-restricted", "port-restricted", "symmetric", nat.BLOCKED]
TALK_S, DIRECT_S = 5, 15


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def passes(sender, receiver):
    """Does a probe of one arrive at the address by which the other is known?"""
    if nat.BLOCKED in (sender, receiver):
        return False
    if receiver == OPEN:
        return True
    mapping, filtering = nat.pair_of(receiver)
    has_port = sender == OPEN or nat.pair_of(sender)[0] == INDEPENDENT
    return mapping == INDEPENDENT and (filtering != ADDRESS_AND_PORT or has_port)


def place(lab, sides):
    """Two relays, and for each name of sides a node behind that kind with a session with both."""
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if not shutil.which("nft"):
        raise Skip("no nft here")
    network = lab.plain("nat", OPEN)
    places = {name: (OPEN, address, RELAY) for name, address in RELAYS.items()}
    places.update({name: (kind, f"198.18.0.{100 * (name[0] == 'b') + 100 + int(name[1:])}", END)
                   for name, kind in sides.items()})
    daemons = {}
    for name, (kind, address, config) in places.items():
        topology.behind(network, name, kind, address, MTU)
        daemons[name] = lab.daemon(name, netns=network.nodes[name].name, listen=["0.0.0.0:7000"],
                                   config=config).start()
    for name in sides:
        for relay, address in RELAYS.items():
            done = daemons[name].weft("peer", "connect", node_id(daemons[relay]), f"{address}:7000",
                                      f"tcp:{address}:7001")
            check_eq(done.returncode, OK, f"{name} connects to {relay}: {done.stderr}")
    return network, daemons


def is_direct(daemon, peer):
    row = daemon.json("peer", "show", peer)["peer"]
    return row["connected"] and row["transport"] == "quic4"


@static("nodes are dialled by address")
def test_pairs_of_nats_are_direct_where_one_socket_is_enough(lab):
    sides = {f"a{i}": kind for i, kind in enumerate(KINDS, 1)}
    sides.update({f"b{i}": kind for i, kind in enumerate(KINDS, 1)})
    _, daemons = place(lab, sides)
    time_to = {}
    for a in (name for name in sides if name[0] == "a"):
        for b in (name for name in sides if name[0] == "b"):
            begin, peer = time.monotonic(), node_id(daemons[b])
            done = daemons[a].weft("peer", "connect", peer)
            check_eq(done.returncode, OK, f"{sides[a]} reaches {sides[b]}: {done.stderr}")
            took = time.monotonic() - begin
            check(took < TALK_S, f"{sides[a]} talks to {sides[b]} after {took:.1f} s")
            time_to[a, b] = begin
    names = " ".join(f"{kind:>18}" for kind in KINDS)
    print(f"# {'from, to':>18} {names}")
    for a in (name for name in sides if name[0] == "a"):
        row = []
        for b in (name for name in sides if name[0] == "b"):
            peer, kinds = node_id(daemons[b]), (sides[a], sides[b])
            can = passes(*kinds) or passes(*reversed(kinds))
            if can:
                left = time_to[a, b] + DIRECT_S - time.monotonic()
                wait_for(lambda: is_direct(daemons[a], peer), f"{kinds} are direct",
                         timeout=max(left, 1), pause=0.1)
            else:
                check(not is_direct(daemons[a], peer), f"{kinds} stay relayed")
            check_eq(daemons[a].weft("peer", "ping", peer, "--count", "1").returncode, OK,
                     f"a ping between {kinds}")
            row.append(f"{'direct' if can else 'relayed':>18}")
        print(f"# {sides[a]:>18} {' '.join(row)}", flush=True)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
