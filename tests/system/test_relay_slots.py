#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node that no datagram reaches is connected to by a slot of its relay, given out of band.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch;
    nftables in n2 and n3 drop what goes between them
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
END = "[dht]\nenabled = no\n[relay]\n"
RELAY = "[dht]\nenabled = no\n[relay]\nenabled = yes\nflow_cap = 1024\n"
NOT_FOUND, REFUSED = 4, 5


def slots(daemon):
    return daemon.json("relay", "slots")["slots"]


def test_a_slot_leads_to_its_node_through_the_relay(lab):
    """a knows neither b nor the relay: it is given the slot and the relay's address."""
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces,
                                                  (RELAY, END, END + "use = always\n"))]
    done = b.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
    check_eq(done.returncode, OK, f"b connects to the relay: {done.stderr}")
    wait_for(lambda: slots(b), "b to have a slot")
    (own,), (given,) = slots(b), slots(relay)
    check_eq((own["side"], own["node_id"]), ("owner", node_id(relay)), "at b")
    check_eq((given["side"], given["node_id"]), ("relay", node_id(b)), "at the relay")
    check_eq(given["slot"], own["slot"], "the slot")
    check(590 < own["expires_s"] <= 600, f"it lives for ten minutes: {own}")

    wrong = ("y" if own["slot"][0] != "y" else "b") + own["slot"][1:]
    done = a.weft("relay", "connect", wrong, "10.77.0.1:7000")
    check_eq(done.returncode, NOT_FOUND, f"another slot: {done.stderr}")
    done = a.weft("relay", "connect", own["slot"], "10.77.0.1:7000")
    check_eq((done.returncode, done.stdout.strip()), (OK, node_id(b)), f"the slot: {done.stderr}")
    row = a.json("peer", "show", node_id(b))["peer"]
    check_eq((row["connected"], row["transport"], row["relayed_by"]), (True, "relay", node_id(relay)), "b at a")
    flow, = relay.call("ShowRelay")["relay"]["flows"]
    check_eq((flow["opener"], flow["peer"], flow["class"]), (node_id(a), node_id(b), "control"),
             "an ordinary flow of the one that connected")

    relay.kill()
    relay.start()
    wait_for(lambda: [row["slot"] for row in slots(relay)] == [own["slot"]],
             "the same slot after kill -9 of the relay", timeout=60)


def test_a_slot_is_not_dialled_where_the_configuration_leaves_relays_out(lab):
    """What leaves them out is named, and nothing is sent."""
    slot = "ybndrfg8ejkmc@" + "ybndrfg8ejkmcpqxot1uwisza345h769ybndrfg8ejkmcpqxot1y"
    for config, word in (("[transport]\ninternet = quic\n" + END, "transport.internet"),
                         (END + "unknown = no\n", "relay.unknown")):
        node = lab.daemon(f"node-{word}", config=config).start()
        done = node.weft("relay", "connect", slot, "127.0.0.1:9")
        check_eq(done.returncode, REFUSED, done.stderr)
        check(word in done.stderr, done.stderr)
        node.stop()


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
