#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Without the Internet a relay is found on the LAN.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b, n4 a listener on one switch;
    nftables in n2 and n3 drop what goes between them

There is no DHT, no overlay, and no node is given an address of another.
"""
import json
import pathlib
import subprocess
import sys

SUPPORT = pathlib.Path(__file__).parent / "support"
sys.path.insert(0, str(SUPPORT))
from apart import node_id, part
from lab import OK, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
LAN = "[lan]\ninterfaces = all\n[dht]\nenabled = no\n[overlay]\nserve = no\n[relay]\n"


def listener(lab, netns):
    out = open(lab.dir / "listener", "w+", encoding="ascii")
    lab.processes.append(subprocess.Popen(
        ["ip", "netns", "exec", netns, sys.executable, SUPPORT / "lan_listener.py", "beacon"],
        stdout=out))

    def said():
        return [json.loads(line) for line in pathlib.Path(out.name).read_text().splitlines()
                if line.endswith("}")]
    return said


def kept(daemon):
    return {row["relay"]: row["state"] for row in daemon.json("relay", "status")["role"]["kept"]}


def test_nodes_of_a_lan_reach_each_other_through_its_relay(lab):
    namespaces = lab.bridge(4)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    said = listener(lab, namespaces[3])
    wait_for(said, "the listener listens")
    relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces,
                                                  (LAN + "enabled = yes\nflow_cap = 1024\n",
                                                   LAN + "use = always\n", LAN + "use = always\n"))]
    # A third party reads that it is a relay.
    wait_for(lambda: any(row.get("source") == "10.77.0.1" and row["capabilities"]["relay"]
                         for row in said()), "the relay's beacon")
    check(not any(row["capabilities"]["relay"] for row in said()
                  if row.get("source") in ("10.77.0.2", "10.77.0.3")), "the others are none")
    for daemon in (a, b):
        wait_for(lambda: kept(daemon) == {node_id(relay): "up"}, f"{daemon.name} keeps the relay",
                 timeout=30)
    done = a.weft("peer", "connect", node_id(b), timeout=40)
    check_eq(done.returncode, OK, f"a connects to b by its key: {done.stderr}")
    row = a.json("peer", "show", node_id(b))["peer"]
    check_eq((row["connected"], row.get("relayed_by")), (True, node_id(relay)), "b at a")
    check(not a.json("relay", "list")["relays"], "the overlay told a of no relay")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nodes hear each other on one network")
