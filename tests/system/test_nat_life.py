#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node whose router forgets UDP after 10 s finds that out, stays reachable, and knows it later.

    a (192.168.1.2) -- nat-a (198.18.0.1) -- internet -- p 198.18.0.9
    p (fd77::1) -- switch -- a (fd77::2) with a firewall
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run, wait_for

CONFIG = ("[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\n[service]\nenabled = no\n"
          "[port_mapping]\nmethod = off\n")
FORGETS_S = 10
LIMIT_S = 60
FIREWALL = """table ip6 firewall {
	chain input {
		type filter hook input priority 0;
		meta l4proto udp ct state new drop
	}
}"""


def forgets(node):
    for name in ("udp_timeout", "udp_timeout_stream"):
        node.run("sh", "-c", f"echo {FORGETS_S} >/proc/sys/net/netfilter/nf_conntrack_{name}")


def present_lives(daemon, family):
    rows = daemon.call("ShowReachability")["reachability"]["mapping_lives"]
    return [row for row in rows if row["present"] and row["family"] == family]


def is_known_after_a_restart(daemon, family, life_s):
    daemon.stop()
    daemon.start()
    row, = present_lives(daemon, family)
    check_eq(row["life_s"], life_s, "a start knows it, before a peer is there")
    shown = daemon.call("ShowReachability")["reachability"]
    check_eq(shown["nat_life_s"], life_s, "and goes by it")
    text = daemon.json("status")["health"]["mapping_life"]
    word = {"ipv4": "IPv4", "ipv6": "IPv6"}[family]
    check(text.startswith(f"{word}: {life_s} s, measured 0 min ago"), f"status says: {text}")


def test_a_nat_that_forgets_after_ten_seconds_is_kept_open(lab):
    network = lab.plain("nat", "port-restricted")
    forgets(network.nodes["nat-a"])
    a, p = (lab.daemon(name, netns=network.nodes[name].name, listen=["0.0.0.0:7000"],
                       config=CONFIG).start() for name in ("a", "p"))
    begun_s = time.monotonic()
    done = a.weft("peer", "connect", p.json("node", "id")["node_id"], "198.18.0.9:7000")
    check_eq(done.returncode, OK, f"a connects to p: {done.stderr}")

    def found():
        shown = a.call("ShowReachability")["reachability"]
        return shown if "nat_life_s" in shown else None
    shown = wait_for(found, "a knows its NAT", timeout=LIMIT_S, pause=0.5)
    print(f"# {shown['nat_life_s']} s, kept alive each {shown['keepalive_s']} s, found after "
          f"{time.monotonic() - begun_s:.0f} s", flush=True)
    check(5 <= shown["nat_life_s"] < FORGETS_S, f"the life is {shown['nat_life_s']} s")
    check(shown["keepalive_s"] < FORGETS_S, f"kept alive each {shown['keepalive_s']} s")
    time.sleep(FORGETS_S + 1)
    asked_s = time.monotonic()
    done = p.weft("peer", "ping", a.json("node", "id")["node_id"], "--count", "1")
    took_s = time.monotonic() - asked_s
    check_eq(done.returncode, OK, f"p pings a: {done.stderr}")
    check(took_s < 1, f"a answered after {took_s:.1f} s")
    is_known_after_a_restart(a, "ipv4", shown["nat_life_s"])


def test_a_firewall_of_ipv6_that_forgets_is_measured(lab):
    n1, n2 = lab.bridge(2)
    node = lab.network.nodes["n2"]
    node.run("nft", "-f", "-", text=FIREWALL)
    forgets(node)
    a, p = (lab.daemon(name, netns=netns, listen=["[::]:7000"], config=CONFIG).start()
            for name, netns in (("a", n2), ("p", n1)))
    done = a.weft("peer", "connect", p.json("node", "id")["node_id"], "[fd77::1]:7000")
    check_eq(done.returncode, OK, f"a connects to p: {done.stderr}")
    row, = wait_for(lambda: present_lives(a, "ipv6"), "a knows its firewall", timeout=LIMIT_S,
                    pause=0.5)
    print(f"# {row['life_s']} s in {row['network']}", flush=True)
    check(5 <= row["life_s"] < FORGETS_S, f"the life is {row['life_s']} s")
    check_eq(row["network"], "fd77:0:0:0::/64", "its network")
    is_known_after_a_restart(a, "ipv6", row["life_s"])


run([test_a_nat_that_forgets_after_ten_seconds_is_kept_open,
     test_a_firewall_of_ipv6_that_forgets_is_measured])
