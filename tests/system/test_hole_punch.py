#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The service hole-punch between two nodes that punching alone cannot join.

    a (192.168.1.2) -- nat-a 198.18.0.101, port-restricted -- internet -- nat-b, symmetric -- b
    relays r, s 198.18.0.6, 7

A person has nat-a forward UDP port 9000 to a. Neither node knows that, and a program of a does.
"""
import os
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import DONE, RATE_LIMITED, UNAVAILABLE, node_id
from lab import OK, Skip, check, check_eq, run, static, wait_for
from netlab import topology

MTU = 1500
RELAYS = {"r": "198.18.0.6", "s": "198.18.0.7"}
PUBLIC = {"a": "198.18.0.101", "b": "198.18.0.201"}
CONFIG = ("[limits]\nsite = 198.18.0.0/15:32\n[dht]\nenabled = no\n[port_mapping]\nmethod = off\n"
          "[overlay]\nserve = on\n[service]\nbuiltin = {}\n")
# A search of ports would find a path as well.
END = CONFIG + "[relay]\nuse = always\n[punch]\nsearch = no\n"
RELAY = CONFIG.format("echo") + "[relay]\nenabled = yes\n"
FORWARDED = f"{PUBLIC['a']}:9000"
BY_HAND = f"""table ip byhand {{
	chain pre {{
		type nat hook prerouting priority dstnat - 1;
		ip daddr {PUBLIC['a']} udp dport 9000 dnat to 192.168.1.2:7000
	}}
}}"""
DIRECT_S = 15


def pair(lab):
    """a and b, each with a session with each relay."""
    if os.geteuid() != 0:
        raise Skip("network namespaces need root")
    if not shutil.which("nft"):
        raise Skip("no nft here")
    network = lab.plain("nat", "open")
    for name, address in RELAYS.items():
        topology.behind(network, name, "open", address, MTU)
    topology.behind(network, "a1", "port-restricted", PUBLIC["a"], MTU)
    topology.behind(network, "b1", "symmetric", PUBLIC["b"], MTU)
    network.nodes["nat-a1"].run("nft", "-f", "-", text=BY_HAND)
    configs = {"a1": END.format("echo"), "b1": END.format("hole-punch"), "r": RELAY, "s": RELAY}
    daemons = {name: lab.daemon(name, netns=network.nodes[name].name, listen=["0.0.0.0:7000"],
                                config=config).start() for name, config in configs.items()}
    for name in ("a1", "b1"):
        for relay, address in RELAYS.items():
            done = daemons[name].weft("peer", "connect", node_id(daemons[relay]), f"{address}:7000")
            check_eq(done.returncode, OK, f"{name} connects to {relay}: {done.stderr}")
    return daemons["a1"], daemons["b1"]


def punching(daemon, other):
    return daemon.json("peer", "show", node_id(other))["peer"].get("punching", "")


def used_path(daemon, peer):
    return daemon.json("peer", "paths", peer)["paths"][0]


@static("nodes are dialled by address")
def test_a_port_that_only_the_caller_knows_makes_the_pair_direct(lab):
    a, b = pair(lab)
    peer = node_id(b)
    fabric.wait_found(a, "hole-punch", b)
    done = a.weft("peer", "connect", peer)
    check_eq(done.returncode, OK, f"a reaches b: {done.stderr}")
    wait_for(lambda: "no probe was answered" in punching(a, b) + punching(b, a),
             "the nodes' own rounds find nothing", timeout=DIRECT_S, pause=0.2)
    check("relay" in used_path(a, peer), "the session goes through a relay")

    def ask(method, **fields):
        answer = fabric.call(a, "hole-punch", method, fields, b)
        return answer["status"], answer["text"], answer.get("json") or {}

    def begin():
        """Where b dialled, a round of its own may be under way."""
        status, text, begun = ask("RequestPunch", candidates=[FORWARDED])
        check(status == DONE or (status == RATE_LIMITED and "under way" in text), f"b says: {text}")
        return begun if status == DONE else None
    begun = wait_for(begin, "b begins a round", timeout=DIRECT_S, pause=2.5)

    def progress():
        _, _, shown = ask("ConfirmPunch", punch=begun["punch"])
        return shown if shown["session"] == "direct" and shown["state"] == "found" else None
    shown = wait_for(progress, "the session is direct", timeout=DIRECT_S, pause=0.1)
    check_eq(shown["address"], FORWARDED, "b reaches a at the port that was forwarded")
    check(shown["probed"] >= 1, f"what was probed: {shown}")
    check("relay" not in used_path(a, peer), "a sees it as well")
    check_eq(a.weft("peer", "ping", peer, "--count", "1").returncode, OK, "a ping")
    status, text, _ = ask("RequestPunch", candidates=[FORWARDED])
    check_eq(status, UNAVAILABLE, "one that is direct is not punched")
    check("direct path already" in text, f"the reason: {text}")
    check_eq(ask("CancelPunch", punch=begun["punch"])[0], DONE, "the one that was refused changed nothing")


run([test_a_port_that_only_the_caller_knows_makes_the_pair_direct])
