#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which relays a node uses, by its trust in them.

    namespaces n1 (10.77.0.1) own, n2 (10.77.0.2) and n3 (10.77.0.3) relays of unknown nodes,
    n4 (10.77.0.4) a, n5 (10.77.0.5) b on one switch; nftables in n4 and n5 drop what goes between

All hear each other on the LAN, and nothing else names a relay, but for relay.own.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, check, check_eq, run, wait_for
from sessions import pings

LISTEN = ["0.0.0.0:7000"]
LAN = "[lan]\ninterfaces = all\n[dht]\nenabled = no\n[overlay]\nserve = no\n[relay]\n"
RELAY = LAN + "enabled = yes\nflow_cap = 1024\n"


class Place:
    def __init__(self, lab, others):
        self.lab, self.netns = lab, lab.bridge(5)
        part(self.netns[3], "10.77.0.5")
        part(self.netns[4], "10.77.0.4")
        # Its key is known before it runs for good.
        self.own = self.daemon("own", 0, RELAY).start()
        self.own_id = node_id(self.own)
        self.own.kill()
        self.others = [self.daemon(f"other{i}", i, RELAY).start()
                          for i in range(1, 1 + others)]

    def daemon(self, name, at, config):
        return self.lab.daemon(name, netns=self.netns[at], listen=LISTEN, config=config)

    def ends(self, more):
        self.a, self.b = [self.daemon(name, at, LAN + "use = always\n" + more).start()
                          for name, at in (("a", 3), ("b", 4))]


def role(daemon):
    return daemon.json("relay", "status")["role"]


def kept(daemon):
    return {row["relay"]: (row["trust"], row["state"]) for row in role(daemon)["kept"]}


def up(daemon):
    return {relay for relay, (_, state) in kept(daemon).items() if state == "up"}


def test_an_own_relay_replaces_an_unknown_one_and_its_flows_go_on(lab):
    place = Place(lab, 2)
    place.ends(f"own = {place.own_id}@10.77.0.1:7000\n")
    a, b = place.a, place.b
    others = {node_id(relay) for relay in place.others}
    for end in (a, b):
        wait_for(lambda: up(end) == others, f"{end.name} keeps the unknown relays",
                 timeout=60)
        check_eq({trust for trust, state in kept(end).values() if state == "up"}, {"unknown"},
                 "trust")
        check("no_relay" not in role(end), f"{role(end)}")
    done = a.weft("peer", "connect", node_id(b), timeout=40)
    check_eq(done.returncode, OK, f"a connects to b: {done.stderr}")

    def session():
        row = a.json("peer", "show", node_id(b))["peer"]
        return row["connected"], row.get("relayed_by"), row.get("connected_since_s")
    before = session()
    check(before[1] in others, f"through an unknown relay: {before}")
    place.own.start()
    for end in (a, b):
        wait_for(lambda: place.own_id in up(end) and len(kept(end)) == 2,
                 f"{end.name} keeps its own relay", timeout=90)
        check_eq(kept(end)[place.own_id], ("own", "up"), "its trust")
    for _ in range(5):
        check(pings(a, b), "a ping")
    check_eq(session(), before, "the session and its relay")


def test_unknown_relays_are_kept_out_and_the_node_says_so(lab):
    place = Place(lab, 1)
    place.ends("unknown = no\n")
    a, b = place.a, place.b
    wait_for(lambda: role(a).get("no_relay"), "a to say that no relay is left", timeout=60)
    check("relay.unknown" in role(a)["no_relay"], role(a)["no_relay"])
    check_eq((role(a)["unknown"], role(a)["kept"]), (False, []), "at a")
    text = a.weft("relay", "status").stdout
    check("relay.unknown" in text, text)
    done = a.weft("peer", "connect", node_id(b), timeout=40)
    check(done.returncode != OK, "no way to b")
    check("relay.unknown" in done.stderr, done.stderr)
    text = a.weft("why", node_id(b)).stdout
    check("relay.unknown" in text, text)

    # With a relay of its own nothing is missing, and the unknown one is not used beside it.
    place.own.start()
    for end in (a, b):
        end.stop()
        end.conf.write_text(LAN + f"use = always\nunknown = no\nown = {place.own_id}@10.77.0.1:7000\n")
        end.start()
    for end in (a, b):
        wait_for(lambda: up(end) == {place.own_id}, f"{end.name} keeps its own relay", timeout=60)
        check("no_relay" not in role(end), f"{role(end)}")
    done = a.weft("peer", "connect", node_id(b), timeout=40)
    check_eq(done.returncode, OK, f"a connects to b: {done.stderr}")
    check_eq(a.json("peer", "show", node_id(b))["peer"].get("relayed_by"), place.own_id, "by")
    check_eq(set(kept(a)), {place.own_id}, "kept")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
