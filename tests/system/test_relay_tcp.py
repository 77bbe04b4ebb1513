#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes whose network drops all UDP meet others through a relay by TCP, also after kill -9 of it.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch

nftables drop UDP in n2. In n3 they drop all that goes between a and b, and UDP as well, or no more.
"""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, wait_for
from sessions import meets, node_id, pings, transport_of

LISTEN = ["0.0.0.0:7000"]
PLAIN = "[dht]\nenabled = no\n"
PUBLISHES = "[dht]\nprivate = yes\nbootstrap = 10.77.0.1:7000\npublish = relay-only\n"
RELAY = PLAIN + "[relay]\nenabled = yes\nflow_cap = 1024\n"
DROPS = ("table inet apart {{\n"
         "chain input {{ type filter hook input priority 0; {0} drop; }}\n"
         "chain output {{ type filter hook output priority 0; {1} drop; }}\n}}\n")
UDP = DROPS.format("meta l4proto udp", "meta l4proto udp")
# Else a pair would leave the relay for TCP.
APART = DROPS.format("ip saddr 10.77.0.2", "ip daddr 10.77.0.2")
UDP_AND_APART = UDP + APART.replace("inet apart", "inet more")
PLACES = ["10.77.0.1:7000", "tcp:10.77.0.1:7001"]
SOON_S = 5


def drop(netns, rules):
    done = subprocess.run(["ip", "netns", "exec", netns, "nft", "-f", "-"], input=rules, text=True,
                          capture_output=True)
    if done.returncode:
        raise Skip(f"no nftables here: {done.stderr}")


def settles(netns):
    """A change of its addresses would have a daemon forget that UDP is silent."""
    show = ["ip", "netns", "exec", netns, "ip", "-6", "addr", "show"]

    def has_settled():
        text = subprocess.run(show, capture_output=True, check=True, text=True).stdout
        return "scope link" in text and "tentative" not in text
    wait_for(has_settled, f"{netns} has its addresses")


def place(lab, b_rules=UDP_AND_APART, relay_config=RELAY, b_config=PLAIN, a_config=PLAIN):
    """A relay, a without UDP, and b. Both know where the relay is."""
    namespaces = lab.bridge(3)
    for netns in namespaces:
        settles(netns)
    drop(namespaces[1], UDP)
    drop(namespaces[2], b_rules)
    relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces,
                                                  (relay_config, a_config, b_config))]
    for end in (a, b):
        done = end.weft("peer", "connect", node_id(relay), *PLACES)
        check_eq(done.returncode, OK, f"{end.name} connects to the relay: {done.stderr}")
    wait_for(lambda: sum(row["connected"] for row in relay.json("peer", "list")["peers"]) == 2,
             "the relay knows both sessions")
    return relay, a, b


def meets_by_relay(a, b):
    meets(a, b, SOON_S)
    check_eq((transport_of(a, b), transport_of(b, a)), ("relay", "relay"), "by the relay")
    check(pings(a, b) and pings(b, a), "pings both ways")


def test_two_nodes_without_udp_meet(lab):
    relay, a, b = place(lab)
    check_eq((transport_of(a, relay), transport_of(b, relay)), ("tcp4", "tcp4"), "to the relay")
    meets_by_relay(a, b)
    flow, = relay.call("ShowRelay")["relay"]["flows"]
    check(flow["sent"] > 1200 and flow["received"] > 1200, f"its bytes count: {flow}")


def test_a_node_without_udp_reaches_one_with_udp(lab):
    relay, a, b = place(lab, APART, b_config=PLAIN + "[relay]\nuse = always\n")
    check_eq((transport_of(a, relay), transport_of(b, relay)), ("tcp4", "quic4"), "to the relay")
    meets_by_relay(a, b)


def test_a_node_with_udp_reaches_one_without(lab):
    _, a, b = place(lab, APART)
    meets_by_relay(b, a)


def test_several_workers_of_a_relay_pass_datagrams_on(lab):
    _, a, b = place(lab, relay_config=RELAY + "[node]\nworkers = 4\n")
    meets_by_relay(a, b)
    check(all(pings(*pair) for pair in ((a, b), (b, a)) * 10), "twenty pings")


def test_a_node_without_udp_keeps_relays_by_itself(lab):
    """relay.use = auto, as by default. Its record names where the relay is on QUIC."""
    relay, a, _ = place(lab, a_config=PUBLISHES)

    def vias():
        rows = a.call("ShowReachability")["reachability"]["published_relays"]
        return [(row["relay"], row["address"]) for row in rows]
    wait_for(lambda: vias() == [(node_id(relay), PLACES[0])], "a names its relay", timeout=SOON_S)


def test_they_answer_again_soon_after_kill_9_of_the_relay(lab):
    relay, a, b = place(lab)
    meets_by_relay(a, b)
    since = a.json("peer", "show", node_id(b))["peer"]["connected_since_s"]
    relay.kill()
    time.sleep(0.3)
    relay.start()
    up = time.monotonic()
    wait_for(lambda: pings(a, b), "a ping after the restart")
    took = time.monotonic() - up
    print(f"# answered {took:.2f} s after the relay was ready")
    check(took < 2, f"{took:.2f} s")
    row = a.json("peer", "show", node_id(b))["peer"]
    check_eq(row["connected_since_s"], since, "it is the same session")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
