#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Services on the LAN: subtypes of DNS-SD, to zeroconf, to a raw question, and to another weft.

    namespaces n1 (10.77.0.1, fd77::1) .. on one switch
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lan_lab import LAN, LISTEN, third_party
from lab import OK, check, check_eq, run, wait_for
from sessions import node_id

# Of weft-schema(5), the smallest.
SCHEMA = """[service]
name = boats
version = 1
title = Boats

[field title]
type = text
required = yes
max = 40
"""


def services_of(daemon, other):
    """What daemon says of other's services, by each of its instances on DNS-SD."""
    return [set(node.get("services", "").split()) for node in daemon.json("lan", "list")["nodes"]
            if node["way"] == "dns-sd" and node.get("node_id") == other]


def daemon(lab, name, netns, config=LAN):
    return lab.daemon(name, netns=netns, listen=LISTEN, config=config).start()


def test_c32_zeroconf_finds_the_node_by_the_service_and_by_subtype(lab):
    ns_a, ns_c, ns_d, ns_e = lab.bridge(4)
    by_type = third_party(lab, ns_c, "browse", "10.77.0.2")
    by_subtype = third_party(lab, ns_d, "browse", "10.77.0.3", "_fapp._sub._mesh._udp.local.")
    by_another = third_party(lab, ns_e, "browse", "10.77.0.4", "_boats._sub._mesh._udp.local.")
    a = daemon(lab, "a", ns_a)
    for said in (by_type, by_subtype):
        found = wait_for(said, "zeroconf finds a")[0]
        check_eq(found["properties"]["id"], node_id(a), "key")
        check_eq(found["port"], 7000, "port")
    check_eq(by_another(), [], "no node relays boats yet")
    schema = lab.dir / "boats.ini"
    schema.write_text(SCHEMA)
    done = a.weft("schema", "add", schema)
    check_eq(done.returncode, OK, done.stderr)
    found = wait_for(by_another, "a schema that is added is a subtype at once")[0]
    check_eq(found["properties"]["id"], node_id(a), "key")
    check_eq(a.weft("schema", "remove", "boats").returncode, OK, "remove")
    wait_for(lambda: {"gone": found["name"]} in by_another(), "and gone with it")
    check({"gone": found["name"]} not in by_subtype(), "the others stay")


def test_c32_a_raw_question_for_the_literal_name_is_answered(lab):
    ns_a, ns_c, ns_d = lab.bridge(3)
    a = daemon(lab, "a", ns_a)
    literal = third_party(lab, ns_c, "ask", "10.77.0.2", "_fapp._mesh._udp.local.")
    instances = third_party(lab, ns_d, "ask", "10.77.0.3", "_mesh._udp.local.")
    wait_for(lambda: literal() and instances(), "both are answered")
    check_eq({(one["source"], one["alias"]) for one in literal()},
             {("10.77.0.1", instances()[0]["alias"])}, "by the instance of a")
    check_eq(a.json("lan", "list")["nodes"], [], "an asker is no node")


def test_two_nodes_find_each_other_as_relays_of_the_same_services(lab):
    ns_a, ns_b = lab.bridge(2)
    a = daemon(lab, "a", ns_a)
    b = daemon(lab, "b", ns_b, LAN + "[offers]\nenabled = no\n")
    ids = {one: node_id(one) for one in (a, b)}
    wait_for(lambda: services_of(b, ids[a]), "b lists a")
    check_eq(services_of(b, ids[a]), [set()] * len(services_of(b, ids[a])), "b relays nothing")
    check_eq(b.stop(), 0, "b ends")
    b.conf.write_text(LAN)
    b.start()
    core = {"fapp", "housing", "repair"}
    for one, other in ((a, b), (b, a)):
        # An address that b had for its first moments may be listed until its time ends.
        wait_for(lambda: any(core <= services for services in services_of(one, ids[other])),
                 f"{one.name} lists the services of {other.name}")
        wait_for(lambda: [row for row in one.json("offer", "relays")["relays"]
                          if row["node_id"] == ids[other]],
                 f"{other.name} is a service relay of {one.name}")


def foreign(daemon):
    return daemon.json("lan", "foreign")["nodes"]


def test_c41_instances_of_older_programs_are_listed_and_never_dialled(lab):
    ns_a, ns_b, ns_c, ns_d = lab.bridge(4)
    ready = [third_party(lab, ns_c, "other", "10.77.0.3", "1"),
             third_party(lab, ns_d, "other", "10.77.0.4", "2", "_quicprochat._udp.local.")]
    wait_for(lambda: all(said() for said in ready), "zeroconf offers")
    a = daemon(lab, "a", ns_a, LAN + "foreign = yes\n")
    b = daemon(lab, "b", ns_b)
    wait_for(lambda: len(foreign(a)) == 3, "a lists them")
    row = next(row for row in foreign(a) if row["service"] == "quicproquo")
    row.pop("heard_s")
    interface = row.pop("interface")
    check_eq(row, {"service": "quicproquo", "instance": "office 0", "server": "10.77.0.3:5001",
                   "domain": "d0?.example", "version": "1", "addr": "10.77.0.3:5001"}, "its words")
    check("\x1b" not in a.weft("lan", "foreign").stdout, "and printed they are harmless")
    check_eq({row["instance"] for row in foreign(a) if row["service"] == "quicprochat"},
             {"office 0", "office 1"}, "the later name")
    check_eq({row["interface"] for row in foreign(a)}, {interface}, "interface")
    wait_for(lambda: [peer["node_id"] for peer in a.json("peer", "list")["peers"]] == [node_id(b)],
             "the node of the LAN is the only peer")
    check_eq({node.get("node_id") for node in a.json("lan", "list")["nodes"]}, {node_id(b)},
             "and the only node of the LAN")
    check_eq(foreign(b), [], "b was not told to ask")
    a.conf.write_text(LAN)
    check_eq(a.weft("daemon", "reload").returncode, OK, "reload")
    wait_for(lambda: foreign(a) == [], "switched off, nothing is listed")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")],
    static_why="nodes hear each other on one network")
