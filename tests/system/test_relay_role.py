#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A person switches the role of a relay, and what was answered survives kill -9.

    namespaces n1 (10.77.0.1) relay, n2 (10.77.0.2) a, n3 (10.77.0.3) b on one switch;
    nftables in n2 and n3 drop what goes between them
"""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from apart import node_id, part
from lab import OK, REFUSED, USAGE, check, check_eq, run, wait_for

LISTEN = ["0.0.0.0:7000"]
END = "[dht]\nenabled = no\n[relay]\n"
RELAY = "[dht]\nenabled = no\n[relay]\nenabled = yes\nflow_cap = 1024\n"


def is_relay(daemon):
    role = daemon.json("relay", "status")["role"]
    return role["relay"], role["why"].split(";")[0]


def switch(daemon, verb):
    done = daemon.weft("relay", verb)
    check_eq(done.returncode, OK, f"relay {verb}: {done.stderr}")


def crash(daemon):
    daemon.kill()
    daemon.start()


def test_a_choice_holds_at_once_and_over_kill_9(lab):
    relay = lab.daemon("relay", config=RELAY).start()
    check_eq(is_relay(relay), (True, "relay.enabled is yes"), "as configured")
    switch(relay, "off")
    check_eq(is_relay(relay), (False, "weft relay off"), "off")
    crash(relay)
    check_eq(is_relay(relay), (False, "weft relay off"), "off, after kill -9")
    switch(relay, "on")
    check_eq(is_relay(relay), (True, "weft relay on"), "on")
    crash(relay)
    check_eq(is_relay(relay), (True, "weft relay on"), "on, after kill -9")
    switch(relay, "off")
    switch(relay, "reset")
    crash(relay)
    check_eq(is_relay(relay), (True, "relay.enabled is yes"), "as configured, after kill -9")


def test_a_choice_stands_above_the_contribution(lab):
    relay = lab.daemon("relay", config=RELAY + "auto = yes\n").start()
    check_eq(is_relay(relay)[0], False, "without contribution")
    switch(relay, "on")
    check_eq(is_relay(relay), (True, "weft relay on"), "on")
    switch(relay, "reset")
    wait_for(lambda: not is_relay(relay)[0], "the contribution to decide again")


def test_the_plan_says_what_fits_an_uplink(lab):
    """A flow is 16,000 bytes a second, and 42,854,400,000 a month of 31 days."""
    relay = lab.daemon("relay", config=RELAY).start()
    words = ("relay", "plan", "--uplink", "11M", "--month", "10T")
    plan = relay.json(*words)["plan"]
    check_eq((plan["flow_cap"], plan["rate"], plan["sent"]), (1024, 8000, 1023 * 16000), "as configured")
    check_eq((plan["fits"], plan["fitting_flow_cap"]), (False, 10 * 2**40 // 42854400000 + 1), "of a month")
    check_eq(relay.json("relay", "plan", "--uplink", str(1023 * 16000))["plan"]["fits"], True, "to the byte")
    check("fits\tno" in relay.weft(*words).stdout, "for people")
    check_eq(relay.weft("relay", "plan", "--uplink", "0").returncode, USAGE, "no uplink at all")


def test_a_node_without_the_tables_of_a_relay_refuses(lab):
    node = lab.daemon("node", config=END).start()
    done = node.weft("relay", "on")
    check_eq(done.returncode, REFUSED, f"relay on: {done.stderr}")
    check("relay.enabled = yes" in done.stderr, f"the next step: {done.stderr}")
    check_eq(is_relay(node), (False, "relay.enabled is no"), "still none")


def test_off_opens_no_flow_and_on_opens_one(lab):
    namespaces = lab.bridge(3)
    part(namespaces[1], "10.77.0.3")
    part(namespaces[2], "10.77.0.2")
    relay, a, b = [lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()
                   for name, netns, config in zip(("relay", "a", "b"), namespaces,
                                                  (RELAY, END, END + "use = always\n"))]
    for end in (a, b):
        done = end.weft("peer", "connect", node_id(relay), "10.77.0.1:7000")
        check_eq(done.returncode, OK, f"connects to the relay: {done.stderr}")
    wait_for(lambda: b.json("relay", "slots")["slots"], "b to have a slot")
    slot = b.json("relay", "slots")["slots"][0]["slot"]
    switch(relay, "off")
    done = a.weft("relay", "connect", slot, "10.77.0.1:7000")
    check(done.returncode != OK, f"a flow while it is off: {done.stdout}")
    check_eq(relay.call("ShowRelay")["relay"]["flows"], [], "flows while it is off")
    switch(relay, "on")
    begun = time.monotonic()
    wait_for(lambda: a.weft("relay", "connect", slot, "10.77.0.1:7000").stdout.strip() == node_id(b),
             "a flow while it is on", timeout=15)
    print(f"# a flow {time.monotonic() - begun:.1f} s after the role came back")
    switch(relay, "off")
    done = a.weft("peer", "ping", node_id(b), "--count", "1")
    check_eq(done.returncode, OK, f"the flow that is open goes on: {done.stderr}")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nftables keeps the ends apart")
