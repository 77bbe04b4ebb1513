#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes without contacts that find each other on a Mainline DHT of libtorrent's."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, check, check_eq, run, wait_for
from swarm import Swarm

HASH = "e3223fc38fa85234e09d96799ed2cf0654d59720"  # of mesh-node-v1
QUIET = "[dht]\nenabled = no\n"


def overlay(daemon):
    return daemon.json("overlay", "status")["overlay"]


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def connected(daemon):
    return [peer["node_id"] for peer in daemon.json("peer", "list")["peers"] if peer["connected"]]


def test_a47_what_libtorrent_announces_is_found_and_dialled(lab):
    swarm = Swarm(lab)
    b = lab.daemon("b", config=QUIET + "[overlay]\nserve = on\n").start()
    swarm.ask("announce", 2, HASH, int(b.json("status")["listen"][0].rpartition(":")[2]))
    a = lab.daemon("a", config=swarm.config() + "[overlay]\nrendezvous = yes\n").start()
    wait_for(lambda: node_id(b) in connected(a), "a has found b and dialled it")
    wait_for(lambda: overlay(a)["good"] == 1, "a has it in its table")


def test_a_server_is_announced_and_a_node_that_declines_is_not(lab):
    swarm = Swarm(lab)
    rendezvous = swarm.config() + "[overlay]\nrendezvous = yes\nserve = on\n"
    a = lab.daemon("a", config=rendezvous).start()
    c = lab.daemon("c", config=swarm.config() + "[overlay]\nserve = on\n").start()

    def is_announced(daemon):
        return daemon.json("status")["listen"][0] in [
            f"{host}:{port}" for host, port in swarm.ask("get_peers", 5, HASH)]

    wait_for(lambda: is_announced(a), "a is announced", pause=ASKING_S)
    check(not is_announced(c), "c is not")
    check_eq(connected(c), [], "nor does it look")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
