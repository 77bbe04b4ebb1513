#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The overlay of two daemons: the dialled one serves, the dialling one knows it.

    namespace a: 10.77.0.1, daemon a -- veth0 == veth0 -- namespace b: 10.77.0.2, daemon b
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import ASKING_S, OK, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]


def overlay(daemon):
    return daemon.json("overlay", "status")["overlay"]


def test_a_dialled_node_serves_and_is_known(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=LISTEN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN).start()
    check(not overlay(a)["serving"], "nobody was there yet")
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, "10.77.0.1:7000").returncode, OK, "connects")
    wait_for(lambda: overlay(a)["serving"], "a keeps values: b came to it")
    wait_for(lambda: overlay(b)["good"] == 1, "b has it in its table")
    check(not overlay(b)["serving"], "nobody came to b")
    fills = {fill["name"]: fill for fill in overlay(a)["fills"]}
    check_eq(fills["values kept for others"]["setting"], "overlay.value_cap", "says what to set")


def test_a_record_that_failed_alone_is_published_when_a_node_comes(lab):
    """No node stored a's services at the first try; a does not wait a minute to try again."""
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=LISTEN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN).start()
    wait_for(lambda: overlay(a)["puts"] > 0, "a published its services")
    begin = time.monotonic()
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, "10.77.0.1:7000").returncode, OK, "connects")
    wait_for(lambda: node in b.weft("service", "find", "mesh-stats").stdout, "b finds it",
             pause=ASKING_S)
    check(time.monotonic() - begin < 30, "sooner than it would try again by itself")


def test_it_can_be_left_out(lab):
    a = lab.daemon("a", config="[service]\nenabled = no\n").start()
    said = a.weft("overlay", "status")
    check(said.returncode != OK and "service.enabled = yes" in said.stderr, said.stderr)


def test_dead_nodes_cost_a_lookup_little_and_once(lab):
    """Three of six nodes are killed; all keep what is looked up."""
    config = "[service]\nbuiltin = echo\n[overlay]\nserve = on\n"
    nodes = [lab.daemon(name, config=config).start() for name in "abcdef"]
    for daemon in nodes[1:]:
        done = daemon.weft("peer", "connect", nodes[0].json("node", "id")["node_id"],
                           nodes[0].json("status")["listen"][0])
        check_eq(done.returncode, OK, done.stderr)

    def took_ms():
        told = nodes[1].json("service", "find", "echo", "--fresh")
        return told["took_ms"] if len(told["providers"]) == 6 else None
    wait_for(lambda: overlay(nodes[1])["good"] >= 4, "b knows the others")
    wait_for(lambda: took_ms() is not None, "all have published", pause=ASKING_S)
    well_ms = took_ms()
    for daemon in nodes[3:]:
        daemon.kill()
    first_ms, second_ms = took_ms(), took_ms()
    print(f"# all alive {well_ms} ms; half of them dead: {first_ms} ms, then {second_ms} ms")
    check(first_ms < well_ms + 500, f"{first_ms} ms with dead nodes, {well_ms} ms without")
    check(second_ms < well_ms + 100, f"{second_ms} ms the second time")
    pools = {pool["name"]: pool for pool in nodes[1].json("limits", "show")["pools"]}
    silent = pools["overlay nodes that did not answer"]
    check(0 < silent["used"] <= 3 and silent["limit"] == 512, silent)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
