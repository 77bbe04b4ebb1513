#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Where one way to a node fails, the next is taken; how long that takes is measured and bounded.

    n1 a   n2 b, which looks for a   n3 what helps them: each in a subnet of its own

The way over a relay in place of a stale address is not among them: there is no relay of packets yet.
"""
import json
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run, wait_for
from links import zbase32_decode
from swarm import Swarm

SUPPORT = pathlib.Path(__file__).parent / "support"
HELPER = "10.77.3.1"
NOWHERE = "10.77.3.99:6881"  # datagrams sent there are dropped without notice
AWAY = "10.77.1.99:7000"
DIRECT = "private = yes\npublish = direct\n"
# What docs/data-path.md says of each step, and one second for a busy machine.
SLACK_S = 1.0
SILENCE_S = 2.0  # an address at hand has had its time
MAINLINE_S = 5.0
RELAY_STAGGER_S = 2.0


def places(lab):
    network = lab.topology("star", "3")
    names = {node.name.rsplit("-", 1)[-1]: node.name for node in network.nodes.values()}
    for gone in (NOWHERE, AWAY):
        lab.ip(names["router"], "route", "add", "blackhole", gone.rsplit(":", 1)[0])
    return names


def helper(lab, names, program):
    """A program of support/ in n3, and what it prints first, its URL."""
    process = subprocess.Popen(["ip", "netns", "exec", names["n3"], sys.executable,
                                str(SUPPORT / program), HELPER], stdout=subprocess.PIPE, text=True)
    lab.processes.append(process)
    return process, process.stdout.readline().strip()


def node(lab, names, name, config):
    place = {"a": "n1", "b": "n2"}[name]
    return lab.daemon(name, netns=names[place], listen=["0.0.0.0:7000"], config=config).start()


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def good_nodes(daemon):
    return sum(network["good"] for network in daemon.json("dht", "status")["dht"]["networks"])


def steps_until_connected(daemon, connect):
    """({step: seconds it took}, seconds until there was a session): what connect() led to."""
    watch = daemon.weft_popen("event", "watch", "--json")
    overdue = threading.Timer(DEADLINE_S, watch.kill)
    overdue.start()
    time_of, began, steps = {}, time.monotonic(), {}
    asked = connect()
    for line in watch.stdout:
        event = json.loads(line).get("event", {})
        if event.get("kind") == "peer.looked-for":
            fields = event["fields"]
            steps[fields["step"]] = fields["took_us"] / 1e6
        elif event.get("kind") == "peer.connected":
            time_of["connected"] = time.monotonic() - began
            break
    said = asked.communicate(timeout=DEADLINE_S)[1]
    overdue.cancel()
    watch.kill()
    watch.communicate()
    check_eq(asked.returncode, OK, f"connect: {said}")
    check("connected" in time_of, "no session")
    return steps, time_of["connected"]


def tell(what, steps, took_s, bound_s):
    ways = ", ".join(f"{step} {seconds:.2f} s" for step, seconds in steps.items())
    print(f"# {what}: {took_s:.2f} s until connected (bound {bound_s:.1f} s); {ways}")
    check(took_s <= bound_s, f"{what}: {took_s:.2f} s, more than {bound_s:.1f} s; {ways}")


def test_where_the_bootstrap_fails_a_relay_of_records_is_asked(lab):
    names = places(lab)
    _, url = helper(lab, names, "pkarr_relay.py")
    config = f"[dht]\nbootstrap = {NOWHERE}\n{DIRECT}[pkarr]\nrelays = {url}\n"
    a, b = (node(lab, names, name, config) for name in ("a", "b"))
    wait_for(lambda: subprocess.run(["ip", "netns", "exec", names["n3"], "curl", "-sf",
                                     f"{url}/{node_id(a)}"], capture_output=True,
                                    check=False).returncode == 0, "a's record is at the relay")
    check_eq(good_nodes(b), 0, "nodes of the DHT")
    steps, took_s = steps_until_connected(b, lambda: b.weft_popen("peer", "connect", node_id(a)))
    check("pkarr-relay" in steps, steps)
    tell("bootstrap fails, relay of records", steps, took_s, RELAY_STAGGER_S + SLACK_S)


def test_a_stale_address_is_made_up_for_by_the_dht(lab):
    names = places(lab)
    swarm = Swarm(lab, HELPER, count=10, netns=names["n3"])
    a, b = (node(lab, names, name, swarm.config()) for name in ("a", "b"))
    wait_for(lambda: a.json("route", "publish", "--dry-run")["record"].get("nodes"), "it is out")
    wait_for(lambda: good_nodes(b) >= 2, "b knows whom to ask")
    steps, took_s = steps_until_connected(
        b, lambda: b.weft_popen("peer", "connect", node_id(a), AWAY))
    check("mainline" in steps, steps)
    tell("stale address, DHT", steps, took_s, SILENCE_S + MAINLINE_S + SLACK_S)


def test_without_an_answer_of_the_dht_signaling_is_asked(lab):
    names = places(lab)
    swarm = Swarm(lab, HELPER, count=10, netns=names["n3"])
    endpoint, url = helper(lab, names, "signaling.py")
    more = f"[signaling]\nurl = {url}\n"
    b = node(lab, names, "b", swarm.config() + more)
    a = node(lab, names, "a", f"[dht]\nenabled = no\n{DIRECT}{more}")
    published = {endpoint.stdout.readline().strip() for _ in range(2)}
    check(zbase32_decode(node_id(a)).hex() in published, f"a's record is at the endpoint: {published}")
    wait_for(lambda: good_nodes(b) >= 2, "b knows whom to ask")
    os.kill(swarm.process.pid, signal.SIGSTOP)  # they are known, and answer nothing any more
    steps, took_s = steps_until_connected(b, lambda: b.weft_popen("peer", "connect", node_id(a)))
    os.kill(swarm.process.pid, signal.SIGCONT)
    check("signaling" in steps and "mainline" in steps, steps)
    tell("no answer of the DHT, signaling", steps, took_s, MAINLINE_S + SLACK_S)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
