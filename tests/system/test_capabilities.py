#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What nodes say that they do for others: n1 (10.77.0.1) serves the overlay, n2 is light."""
import pathlib
import sys
import urllib.request

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from web import url_of
from lab import OK, check, check_eq, need_root, run, wait_for

CONFIG = "[dht]\nenabled = no\n[overlay]\nserve = on\n[mesh]\nlight = %s\n"
RELAY = "[relay]\nenabled = yes\n"


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


def test_relay_store_and_gateway_are_in_the_hello_of_a_peer(lab):
    """The three base capabilities, 0x1, 0x2 and 0x4; n1's gateway listens to other machines."""
    need_root()
    key = lab.dir / "token"
    key.write_text("x" * 43 + "\n")
    key.chmod(0o600)
    gateway = f"[gateway]\nenabled = yes\nexpose = yes\ntoken_file = {key}\nlisten = %s:5030\n"
    (name1, name2) = lab.bridge(2)
    n1 = lab.daemon("n1", netns=name1, listen=["0.0.0.0:7000"], config=CONFIG % "no" + gateway % "10.77.0.1" + RELAY).start()
    n2 = lab.daemon("n2", netns=name2, listen=["0.0.0.0:7000"], config=CONFIG % "no" + gateway % "127.0.0.1").start()
    fabric.connect(n2, n1)
    id1, id2 = fabric.node_id(n1), fabric.node_id(n2)
    wait_for(lambda: can(n2, id1)[0] >= {"relay", "store", "gateway"}, "n2 hears of n1", pause=0.2)
    wait_for(lambda: "store" in can(n1, id2)[0], "n1 hears of n2", pause=0.2)
    check_eq(can(n1, id2)[0] & {"gateway", "relay"}, set(), "one on loopback is not told")
    shown = n2.json("peer", "show", id1)["peer"]
    check_eq(shown["capabilities"] & 7, 7, "as they are in HELLO")


def test_contributions_are_exported(lab):
    node = lab.daemon("n1", config="[dht]\nenabled = no\n[gateway]\nenabled = yes\nlisten = 127.0.0.1:0\n").start()
    with urllib.request.urlopen(f"{url_of(node)}/metrics", timeout=10) as answer:
        names = {line.split()[0] for line in answer.read().decode().splitlines() if not line.startswith("#")}
    check({"weft_relay_role_score_now", "weft_content_served_byte_cnt"} <= names, sorted(names)[:40])


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
