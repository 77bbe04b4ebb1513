#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node is reached through the relay that its descriptor names, by one that knew no relay.

    namespaces n1 (10.77.0.1) book, n2 (10.77.0.2) relay, n3 (10.77.0.3) a, n4 (10.77.0.4) b on one
    switch; nftables in n3 and n4 drop what goes between them

The book serves the overlay and is no relay. a knows the book alone, has no DHT and looks for no
relays.
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
NO_DHT = "[lan]\ninterfaces =\n[dht]\nenabled = no\n"
BOOK = NO_DHT + "[overlay]\nserve = yes\n"
RELAY = NO_DHT + "[overlay]\nserve = no\n[relay]\nenabled = yes\nflow_cap = 1024\nfind = no\n"
A = NO_DHT + "[overlay]\nserve = no\n[relay]\nfind = no\n"
B = (NO_DHT + "[overlay]\nserve = no\n[relay]\nuse = always\nfind = no\n"
     "[service]\nbuiltin = echo\n")


def connect(daemon, other, address):
    done = daemon.weft("peer", "connect", node_id(other), address)
    check_eq(done.returncode, OK, f"{daemon.name} connects to {other.name}: {done.stderr}")


def place(lab):
    namespaces = lab.bridge(4)
    part(namespaces[2], "10.77.0.4")
    part(namespaces[3], "10.77.0.3")
    book, relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                         for name, netns, config in zip(("book", "relay", "a", "b"), namespaces,
                                                        (BOOK, RELAY, A, B))]
    connect(b, relay, "10.77.0.2:7000")
    connect(b, book, "10.77.0.1:7000")
    connect(a, book, "10.77.0.1:7000")
    return relay, a, b


def relay_of(a, b):
    rows = [row for row in a.json("peer", "list")["peers"] if row["node_id"] == node_id(b)]
    return rows[0].get("relayed_by") if rows else None


def call(a):
    return a.weft("service", "call", "echo", "Say", "x", "--timeout", "10", timeout=20).returncode == OK


def test_a_service_is_called_through_the_relay_that_its_descriptor_names(lab):
    relay, a, b = place(lab)
    known = {row["node_id"] for row in a.json("peer", "list")["peers"]}
    check(node_id(relay) not in known and node_id(b) not in known, f"a knows {known}")
    wait_for(lambda: call(a), "a call by the service's name", timeout=60)
    check_eq(relay_of(a, b), node_id(relay), "the relay")
    began = time.monotonic()
    check(call(a), "one more")
    print(f"# the next call took {time.monotonic() - began:.2f} s")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
