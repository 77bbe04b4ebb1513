#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A relay is found by a node of the same overlay.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) on one switch
"""
import pathlib
import sys

SUPPORT = pathlib.Path(__file__).parent / "support"
sys.path.insert(0, str(SUPPORT))
from lab import check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
LAN = "[lan]\ninterfaces = all\n"
RELAY = LAN + "[relay]\nenabled = yes\n[overlay]\nserve = yes\n"


def relays(daemon):
    return daemon.json("relay", "list")["relays"]


def test_a_relay_of_the_overlay_is_live_at_another_node(lab):
    namespaces = lab.bridge(2)
    relay, node = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "node"), namespaces, (RELAY, LAN))]
    wait_for(lambda: any(row["state"] == "live" for row in relays(node)), "a live relay",
             timeout=100)
    row, = relays(node)
    check_eq(row["node_id"], relay.json("node", "id")["node_id"], "the relay's key")
    check("10.77.0.1:7000" in row["addresses"], f"addresses {row['addresses']}")
    check(row["score"] >= 1 and 0 < row["expires_s"] <= 7200, f"row {row}")
    check_eq(relays(relay), [], "relays that the relay knows")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nodes hear each other on one network")
