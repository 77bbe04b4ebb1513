#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node finds out whether others can write to it first: behind each kind of NAT, behind a firewall,
and with nothing in between. The word is a third node's, which the asked peer has write to it.

    a (192.168.1.2) -- nat-a (198.18.0.1) -- internet -- b 198.18.0.2
                                             internet -- p 198.18.0.9, coturn beside it

a has sessions with p alone; p has one with b, and asks b to write to a.
"""
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run, run_plain, wait_for

# All of the laboratory is one /24: each address counts as a network of its own. The overlay and
# peer exchange are off, for a would learn b by them: a node that was written to proves nothing.
CONFIG = "[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\n[service]\nenabled = no\n"
LISTEN = ["0.0.0.0:7000"]


def connect(a, b, address):
    link = f"{b.json('node', 'id')['node_id']}"
    done = a.weft("peer", "connect", link, address)
    check_eq(done.returncode, OK, f"{a.name} connects to {b.name}: {done.stderr}")


def netns(network, node):
    return network.nodes[node].name


def place(lab, kind, extra=""):
    """Daemons at a, b and p; p has dialled b, and a dials p."""
    network = lab.plain("nat", kind)
    daemons = {name: lab.daemon(name, netns=netns(network, name), listen=LISTEN,
                                config=CONFIG + (extra if name == "a" else "")).start()
               for name in ("a", "b", "p")}
    connect(daemons["p"], daemons["b"], "198.18.0.2:7000")
    connect(daemons["a"], daemons["p"], "198.18.0.9:7000")
    return network, daemons


def shown(daemon):
    return daemon.call("ShowReachability", again=True)["reachability"]


def wait_for_state(daemon, state):
    def is_it():
        now = shown(daemon)
        return now if now["state"] == state else None
    try:
        return wait_for(is_it, f"{daemon.name} is {state}", timeout=DEADLINE_S, pause=0.5)
    except AssertionError as wrong:
        raise AssertionError(f"{wrong}: {shown(daemon)}") from wrong


def test_open_node_is_direct(lab):
    _, daemons = place(lab, "open")
    now = wait_for_state(daemons["a"], "direct")
    check_eq(now["address"], "198.18.0.1:7000", "its address")
    check("198.18.0.2:7000" in now["evidence"], f"who wrote: {now['evidence']}")
    check("direct" in daemons["a"].json("status")["health"]["reachability"], "weft status")
    said = wait_for(lambda: (lambda text: text if "198.18.0.9" in text else None)(
        daemons["a"].weft("reachability", "show").stdout), "weft reachability show", timeout=DEADLINE_S, pause=0.5)
    check("direct" in said, said)


def test_full_cone_is_mapped(lab):
    _, daemons = place(lab, "full-cone")
    now = wait_for_state(daemons["a"], "mapped")
    check_eq(now["address"].split(":")[0], "198.18.0.1", "the router's address")


def test_port_restricted_nat_is_punchable(lab):
    # Not b: its probe would come through the mapping that a's own request to it opens.
    network, daemons = place(lab, "port-restricted", "[stun]\nservers = 198.18.0.10:7000\n")
    lab.ip(netns(network, "p"), "addr", "add", "198.18.0.10/24", "dev", "veth0")
    now = wait_for_state(daemons["a"], "punchable")
    check_eq(now["address"].split(":")[0], "198.18.0.1", "the router's address")
    seen = {row["voter"]: row["seen"] for row in now["observations"]}
    check_eq(len(seen), 2, f"two networks: {seen}")
    check_eq(len(set(seen.values())), 1, f"one port: {seen}")


def test_symmetric_nat_is_hard(lab):
    _, daemons = place(lab, "symmetric", "[stun]\nservers = 198.18.0.2:7000, 198.18.0.9:7000\n")
    now = wait_for_state(daemons["a"], "hard")
    seen = {row["voter"]: row["seen"] for row in now["observations"]}
    check_eq(len(set(seen.values())), 2, f"another port each: {seen}")


def test_blocked_udp_is_said(lab):
    network = lab.plain("nat", "open")
    rules = "table inet f { chain i { type filter hook input priority 0; meta l4proto udp drop; }; }"
    run_plain("ip", "netns", "exec", netns(network, "a"), "nft", rules)
    a = lab.daemon("a", netns=netns(network, "a"), listen=LISTEN,
                   config=CONFIG + "[stun]\nservers = 198.18.0.2:3478, 198.18.0.9:3478\n").start()
    now = wait_for_state(a, "blocked")
    check("STUN" in now["evidence"], now["evidence"])


def test_firewall_rules_that_change_are_noticed(lab):
    network, daemons = place(lab, "open")
    a = daemons["a"]
    wait_for_state(a, "direct")
    firewall = ("table inet f { chain raw { type filter hook prerouting priority -300; "
                "iifname lo accept; meta l4proto udp ip saddr 198.18.0.2 drop; }; }")
    run_plain("ip", "netns", "exec", netns(network, "a"), "nft", firewall)
    now = wait_for(lambda: (lambda row: row if row["state"] != "direct" else None)(shown(a)),
                   "a is not direct any more", timeout=DEADLINE_S, pause=0.5)
    check("did not arrive" in now["evidence"], now["evidence"])
    run_plain("ip", "netns", "exec", netns(network, "a"), "nft", "delete", "table", "inet", "f")
    wait_for_state(a, "direct")


def test_coturn_reports_the_address(lab):
    network, ports = lab.plain("nat", "port-restricted"), []
    for node, address in (("b", "198.18.0.2"), ("p", "198.18.0.9")):
        log = open(lab.dir / f"coturn-{node}.log", "wb")
        ports.append(address)
        lab.processes.append(subprocess.Popen(
            ["ip", "netns", "exec", netns(network, node), "turnserver", "-n", "-S", "-L", address,
             "-p", "3478", "--no-tls", "--no-dtls", "--no-cli", "--pidfile", "",
             "--log-file", "stdout", "--db", str(lab.dir / f"turn-{node}.db")],
            stdout=log, stderr=log))
    a = lab.daemon("a", netns=netns(network, "a"), listen=LISTEN,
                   config=CONFIG + "[stun]\nservers = 198.18.0.2:3478, 198.18.0.9:3478\n").start()
    rows = wait_for(lambda: (lambda seen: seen if len(seen) == 2 else None)(
        shown(a)["observations"]), "both servers answer", timeout=DEADLINE_S, pause=0.5)
    check_eq({row["voter"] for row in rows}, {"198.18.0.2:3478", "198.18.0.9:3478"}, "who said it")
    check_eq({row["seen"] for row in rows}, {"198.18.0.1:7000"}, "what they say")
    check_eq({row["by"] for row in rows}, {"stun"}, "how")
    # Nothing was written by a third node: an address alone makes no node direct.
    check_eq(shown(a)["state"], "unknown", "the state")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
