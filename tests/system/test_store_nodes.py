#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""STORE nodes: a node says that it keeps deposits, shows its room, and keeps none where that is off."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import OK, check, check_eq, need_root, run, wait_for

REFUSED = 5
ROOM = 8 << 20


def can(daemon, peer):
    return daemon.json("peer", "show", peer)["peer"]["can"].split()


def room(daemon):
    return daemon.json("deposits", "status")["room"]


def test_a_store_node_says_so_and_shows_its_room(lab):
    need_root()
    keeper, other = (lab.daemon(f"n{number}", netns=netns, listen=["0.0.0.0:7000"],
                                config=f"[dht]\nenabled = no\n[deposits]\n{line}\n").start()
                     for number, (netns, line)
                     in enumerate(zip(lab.bridge(2), (f"room = {ROOM}", "enabled = no")), 1))
    fabric.connect(other, keeper)
    ids = fabric.node_id(keeper), fabric.node_id(other)
    wait_for(lambda: "store" in can(other, ids[0]), "the STORE node says so", pause=0.2)
    check("store" not in can(keeper, ids[1]), "and the other one does not")
    shown = room(keeper)
    check_eq((shown["store_node"], shown["room_bytes"], shown["used_bytes"], shown["kept"]),
             (True, ROOM, 0, 0), "its room")
    check_eq(room(other)["store_node"], False, "no room for others")
    pools = {pool["name"] for pool in keeper.json("limits", "show")["pools"]}
    check("deposits" in pools, f"the pool is shown: {pools}")
    done = keeper.weft("deposits", "status")
    check_eq((done.returncode, "store_node\tyes" in done.stdout), (OK, True), done.stdout)
    check_eq(keeper.json("deposits", "list"), {"deposits": [], "more": 0}, "nothing is on its way")
    # A restart reads what is there, which is nothing.
    keeper.kill()
    keeper.start()
    check_eq(room(keeper)["room_bytes"], ROOM, "behind a restart")


def test_without_deposits_offers_and_social_a_command_says_what_to_set(lab):
    config = "".join(f"[{part}]\nenabled = no\n" for part in ("deposits", "offers", "social"))
    node = lab.daemon("a", config=config).start()
    for verb in ("list", "status"):
        done = node.weft("deposits", verb)
        check_eq(done.returncode, REFUSED, done.stdout)
        check("deposits.enabled" in done.stderr, done.stderr)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
