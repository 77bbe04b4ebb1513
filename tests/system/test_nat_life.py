#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A node behind a NAT that forgets a mapping after 10 s finds that out, and stays reachable.

    a (192.168.1.2) -- nat-a (198.18.0.1) -- internet -- p 198.18.0.9
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


def test_a_nat_that_forgets_after_ten_seconds_is_kept_open(lab):
    network = lab.plain("nat", "port-restricted")
    for name in ("udp_timeout", "udp_timeout_stream"):
        network.nodes["nat-a"].run(
            "sh", "-c", f"echo {FORGETS_S} >/proc/sys/net/netfilter/nf_conntrack_{name}")
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


run([test_a_nat_that_forgets_after_ten_seconds_is_kept_open])
