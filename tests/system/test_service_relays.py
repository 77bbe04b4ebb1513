#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Which node relays which service: neighbours tell each other, and messages go to the right ones."""
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect
from lab import OK, check, check_eq, run, wait_for
from sessions import node_id

CORE = {"fapp", "housing", "repair"}
FLAT = ["room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115"]
SLOT = ["specialities=depression", "modalities=video", "cost_bearers=self-pay", "postcode=10115",
        "slots=2027-01-01T10:00", "slot_type=first-talk"]
BOATS = ("[service]\nname = boats\nversion = 1\ntitle = Boats\ndescription = Boats to hire.\n"
         "[field length]\ntype = number\nrequired = yes\nmin = 1\nmax = 100\nlabel = Length\n"
         "[filter min_length]\nfield = length\nmatch = at-least\nlabel = Length\n")


def relays(daemon, *service):
    return {row["node_id"]: row for row in daemon.json("offer", "relays", *service)["relays"]}


def relayed(daemon, of):
    row = relays(daemon).get(node_id(of))
    return set(row["relayed"].split()) if row else set()


def find(daemon, schema="housing"):
    done = daemon.weft("--json", "offer", "find", schema)
    return json.loads(done.stdout)["offers"]


def test_a_relay_of_one_service_says_and_keeps_that_one_alone(lab):
    n1, n2 = fabric.start(lab, 2, more="[offers]\nservices = FAPP\n")
    wait_for(lambda: relayed(n1, n2) == {"fapp"}, "what n2 says", timeout=3)
    check_eq(n1.weft("offer", "publish", "housing", *FLAT).returncode, OK, "an own offer is no other's")
    check_eq(n1.weft("offer", "publish", "fapp", *SLOT).returncode, OK, "published")
    wait_for(lambda: find(n2, "fapp"), "n2 keeps what it relays", timeout=3)
    check_eq(find(n2), [], "and nothing else")
    check_eq(n2.weft("offer", "find", "housing", "--mesh").returncode, OK, "but what it asks for itself")
    wait_for(lambda: relays(n2)[node_id(n1)]["offered"] == "fapp housing", "a provider of both", timeout=3)
    check_eq(relayed(n2, n1), {"fapp"}, "and a relay of one")


def test_neighbours_know_each_others_services_and_hear_changes_within_a_second(lab):
    n1, n2 = fabric.start(lab, 2)
    for here, there in ((n1, n2), (n2, n1)):
        wait_for(lambda here=here, there=there: CORE <= relayed(here, there),
                 f"{here.name} knows the core's of {there.name}", timeout=3)
        check(CORE <= relayed(here, here), "its own, too")
    row = n1.json("peer", "show", node_id(n2))["peer"]
    check("housing" in row["service_roles"] and "offers" not in row["service_roles"], row)
    path = lab.dir / "boats.ini"
    path.write_text(BOATS)
    check("boats" not in relayed(n1, n2), "not yet")
    check_eq(n2.weft("schema", "add", str(path)).returncode, OK, "added")
    # n1 has no such schema, so it knows the service's number alone.
    wait_for(lambda: len(relayed(n1, n2)) == len(relayed(n1, n1)) + 1, "added", timeout=1)
    check_eq(n2.weft("schema", "remove", "boats").returncode, OK, "removed")
    wait_for(lambda: relayed(n1, n2) == relayed(n1, n1), "removed", timeout=1)
    # That a node has offers is said, too, and nothing of what it looks for.
    check_eq(n2.weft("offer", "publish", "housing", *FLAT).returncode, OK, "published")
    wait_for(lambda: relays(n1)[node_id(n2)]["offered"] == "housing", "a provider", timeout=1)
    check_eq(n2.weft("offer", "find", "repair").returncode, 4, "nothing")
    time.sleep(1)
    check_eq(relays(n1)[node_id(n2)]["offered"], "housing", "the consumer's role is not said")
    check_eq(set(relays(n1, "housing")), {node_id(n1), node_id(n2)}, "by service")


def test_with_endorsed_relays_alone_others_get_nothing(lab):
    n1, n2, n3 = fabric.start(lab, 3)
    n3.stop()
    n3.conf.write_text(n3.conf.read_text() + "[offers]\nrelays = endorsed\n")
    n3.start()
    connect(n3, n1)
    wait_for(lambda: CORE <= relayed(n3, n1), "a session", timeout=3)
    check_eq(n3.weft("offer", "publish", "housing", *FLAT).returncode, OK, "published")
    # Nor when a session begins.
    n3.kill()
    n3.start()
    connect(n3, n1)
    wait_for(lambda: CORE <= relayed(n3, n1), "a session", timeout=3)
    time.sleep(1)
    check_eq(find(n1), [], "n1 is not endorsed")
    check_eq(n3.weft("endorse", "make", node_id(n1), "housing").returncode, OK, "endorsed")
    done = n3.weft("--json", "offer", "publish", "housing", *FLAT)
    check_eq(done.returncode, OK, done.stderr)
    offer = json.loads(done.stdout)["offer"]["offer_id"]
    for node in (n1, n2):
        wait_for(lambda node=node: offer in [found["offer_id"] for found in find(node)],
                 f"at {node.name}", timeout=5)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
