#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node is reached by its key alone, through the relays that its address record on the DHT names.

    namespaces n1, n2 (10.77.0.1, .2) relays, n3 (10.77.0.3) a, n4 (10.77.0.4) b on one switch;
    nftables in n3 and n4 drop what goes between them
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
DHT = "[lan]\ninterfaces =\n[dht]\nprivate = yes\nbootstrap = 10.77.0.1:7000, 10.77.0.2:7000\n"
RELAY = DHT + "[relay]\nenabled = yes\nflow_cap = 1024\n"
A = DHT + "publish = off\n"
B = DHT + "publish = relay-only\n[relay]\nuse = always\n[service]\nbuiltin = echo\n"
AGAIN_S = 8  # the peer falls silent, its record is looked up, another relay answers


def place(lab):
    namespaces = lab.bridge(4)
    part(namespaces[2], "10.77.0.4")
    part(namespaces[3], "10.77.0.3")
    return [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
            for name, netns, config in zip(("first", "second", "a", "b"), namespaces,
                                           (RELAY, RELAY, A, B))]


def published(b):
    """The relays of b's record, once the DHT has it."""
    if not b.call("ShowPublished")["record"].get("nodes"):
        return set()
    rows = b.call("ShowReachability")["reachability"]["published_relays"]
    return {(row["relay"], row["address"]) for row in rows}


def relay_of(a, b):
    return a.json("peer", "show", node_id(b))["peer"].get("relayed_by")


def named(a, b):
    rows = a.json("peer", "show", node_id(b))["peer"]["published_relays"]
    return {(row["relay"], row["address"]) for row in rows}


def call(a, b):
    done = a.weft("service", "call", "echo", "Say", "x", "--provider", node_id(b), "--timeout", "30", timeout=40)
    return done.returncode == OK


def test_a_key_is_enough_also_when_a_relay_has_died(lab):
    first, second, a, b = place(lab)
    relays = {node_id(first): first, node_id(second): second}
    for number, relay in enumerate((first, second), 1):
        done = b.weft("peer", "connect", node_id(relay), f"10.77.0.{number}:7000")
        check_eq(done.returncode, OK, f"b connects to {relay.name}: {done.stderr}")
    places = {(node_id(first), "10.77.0.1:7000"), (node_id(second), "10.77.0.2:7000")}
    wait_for(lambda: published(b) == places, "b's record names both relays")
    check("10.77.0.2:7000" in b.weft("reachability", "show").stdout, "weft reachability show names them")
    check_eq(a.json("peer", "list")["peers"], [], "what a knows")
    done = a.weft("peer", "connect", node_id(b))
    check_eq(done.returncode, OK, f"a reaches b by its key: {done.stderr}")
    wait_for(lambda: named(a, b) == places, "weft peer show names them")
    check(call(a, b), "a call")
    dead = relays.pop(relay_of(a, b))
    dead.kill()
    began = time.monotonic()
    wait_for(lambda: call(a, b), "a call by the other relay")
    took = time.monotonic() - began
    print(f"# answered {took:.2f} s after the relay's death")
    check(took < AGAIN_S, f"{took:.2f} s")
    check_eq(relay_of(a, b), *relays, "the relay now")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
