#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far offers go among real nodes: each in a ring keeps one once, and a line ends at four hops."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from fabric import connect
from lab import OK, check_eq, run, wait_for

FLAT = ["room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115"]
# No node looks for others by itself.
CONFIG = "[dht]\nenabled = no\n[overlay]\nserve = off\n"


def start(lab, cnt):
    return [lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"], config=CONFIG).start()
            for number, netns in enumerate(lab.bridge(cnt), 1)]


def publish(daemon):
    done = daemon.weft("--json", "offer", "publish", "housing", *FLAT)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def has(daemon, offer):
    return daemon.weft("offer", "show", offer).returncode == OK


def kept(daemon):
    """Announces that were new here."""
    return daemon.json("status")["counters"]["offers_spread.kept_cnt"]


def test_in_a_ring_of_six_each_node_keeps_an_offer_once(lab):
    nodes = start(lab, 6)
    for here, there in zip(nodes, nodes[1:] + nodes[:1]):
        connect(here, there)
    offer = publish(nodes[0])
    for node in nodes[1:]:
        wait_for(lambda node=node: has(node, offer), f"at {node.name}", timeout=5)
    time.sleep(0.5)
    check_eq([kept(node) for node in nodes], [0, 1, 1, 1, 1, 1], "each once, and none its own")


def test_in_a_line_of_ten_an_offer_goes_four_hops(lab):
    nodes = start(lab, 10)
    for here, there in zip(nodes, nodes[1:]):
        connect(here, there)
    offer = publish(nodes[0])
    wait_for(lambda: has(nodes[4], offer), "at the fifth", timeout=5)
    time.sleep(1)
    check_eq([has(node, offer) for node in nodes], [True] * 5 + [False] * 5, "four hops")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
