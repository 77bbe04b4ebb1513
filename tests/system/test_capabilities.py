#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What nodes say that they do for others: n1 (10.77.0.1) serves the overlay, n2 is light."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import OK, check_eq, need_root, run, wait_for

CONFIG = "[dht]\nenabled = no\n[overlay]\nserve = on\n[mesh]\nlight = %s\n"


def can(daemon, node):
    told = daemon.json("peer", "show", node)["peer"]
    return set(told["can"].split()), told["connected"]


def test_capabilities_are_reported_and_outlive_a_restart(lab):
    need_root()
    n1, n2 = (lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"], config=CONFIG % light)
              .start() for number, (netns, light) in enumerate(zip(lab.bridge(2), ("no", "yes")), 1))
    fabric.connect(n2, n1)
    id1, id2 = fabric.node_id(n1), fabric.node_id(n2)
    heavy, light = {"dht", "store", "content_seed"}, {"mobile_light"}
    wait_for(lambda: can(n2, id1)[0] >= heavy, "n2 hears what n1 does", pause=0.2)
    wait_for(lambda: can(n1, id2)[0] >= light, "n1 hears that n2 is light", pause=0.2)
    check_eq((can(n2, id1)[0] & light, can(n1, id2)[0] & heavy), (set(), set()), "and nothing else")
    check_eq(n2.json("overlay", "status")["overlay"]["serving"], False, "n2 serves nothing, whatever overlay.serve says")
    done = n1.weft("peer", "show", id2)
    check_eq((done.returncode, "mobile_light" in done.stdout), (OK, True), done.stdout)
    before = can(n2, id1)[0]
    n1.kill()
    check_eq(n2.stop(), 0, "n2 stops")
    n2.start()
    check_eq(can(n2, id1), (before, False), "after a restart, without a session")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
