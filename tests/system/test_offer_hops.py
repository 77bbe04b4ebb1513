#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How far offers go among real nodes: each in a ring keeps one once, and a line ends at four hops."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from fabric import connect
from lab import OK, check, check_eq, run, wait_for

FLAT = ["room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115"]
NOT_FOUND = 4
# No node looks for others by itself.
CONFIG = "[dht]\nenabled = no\n[overlay]\nserve = off\n"


def start(lab, cnt, first=""):
    """cnt daemons; the first has the sections of first, too."""
    return [lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"],
                       config=CONFIG + (first if number == 1 else "")).start()
            for number, netns in enumerate(lab.bridge(cnt), 1)]


def publish(daemon):
    done = daemon.weft("--json", "offer", "publish", "housing", *FLAT)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def has(daemon, offer):
    return daemon.weft("offer", "show", offer).returncode == OK


def find(daemon, *more):
    done = daemon.weft("--json", "offer", "find", "housing", "max_rent=1000", "--limit", "100", *more)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)["offers"]


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


def test_all_offers_of_a_provider_come_to_the_end_of_a_line(lab):
    """The rates of announces refuse most of them in the flood. Neighbours ask for what they lack."""
    nodes = n1, _, n3 = start(lab, 3)
    for here, there in zip(nodes, nodes[1:]):
        connect(here, there)
    for _ in range(40):
        publish(n1)
    wait_for(lambda: len(find(n3)) == 40, "all at the third", timeout=20)


def test_a_query_brings_what_no_announce_does(lab):
    """The provider's offers go one hop. The third node of the line asks the second one."""
    n1, n2, n3 = start(lab, 3, first="[offers]\nhops_max = 1\n")
    connect(n1, n2)
    connect(n2, n3)
    # A neighbour takes ten announces of a provider in a minute, and asks for the others.
    offers = [publish(n1) for _ in range(30)]
    wait_for(lambda: len(find(n2)) == 30, "all at the second", timeout=20)
    time.sleep(1.5)
    check_eq(len(find(n3)), 0, "none at the third")
    found = find(n3, "--mesh")
    check_eq({offer["offer_id"] for offer in found}, set(offers), "all of them")
    check(not any(offer["own"] for offer in found), "whose they are")
    check_eq(len(find(n3)), 30, "kept")
    done = n3.weft("offer", "find", "housing", "max_rent=1", "--mesh")
    check_eq(done.returncode, NOT_FOUND, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
