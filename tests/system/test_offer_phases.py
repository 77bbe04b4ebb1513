#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The four phases of service messages, a test for each. They are a layer that knows no service, a
second service, verification, and services that are registered while nodes run.

    n2 (the provider) -- n1 (keeps and answers) -- n3 (looks for something)
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect
from lab import OK, check, check_eq, run, wait_for
from sessions import node_id

NOT_FOUND = 4
SPREAD_S = 5
FLAT = ("room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115")
HOUR = ("specialities=anxiety", "modalities=video", "cost_bearers=statutory", "postcode=10115",
        "slots=2027-03-01T10:00", "slot_type=first-talk")
BOATS = """[service]
name = boats
version = 1
title = Boats
description = Boats to hire.
ttl_hours = 24

[field length]
type = number
required = yes
min = 1
max = 100
label = Length

[filter min_length]
field = length
match = at-least
label = Length
"""


def publish(node, schema, *words):
    done = node.weft("--json", "offer", "publish", schema, *words)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def found(node, schema, *words):
    done = node.weft("--json", "offer", "find", schema, *words)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)["offers"]


def ids(offers):
    return sorted(offer["offer_id"] for offer in offers)


def test_1_a_layer_that_knows_no_service(lab):
    """n1 keeps messages of two services apart, and answers when their provider is gone."""
    n1, n2, n3 = fabric.start(lab, 3)
    n3.stop()
    homes, hours = [], []
    for _ in range(3):
        homes.append(publish(n2, "housing", *FLAT))
        hours.append(publish(n2, "fapp", *HOUR))
    wait_for(lambda: (ids(found(n1, "housing")), ids(found(n1, "fapp")))
             == (sorted(homes), sorted(hours)), "each with its own kind", timeout=SPREAD_S)
    provider = node_id(n2)
    n2.kill()
    n3.start()
    connect(n3, n1)
    wait_for(lambda: ids(found(n3, "housing", "--mesh")) == sorted(homes), "n1 answers for n2",
             timeout=SPREAD_S)
    # What n3 takes has the provider's signature, so n1 changed nothing.
    check_eq({offer["provider"] for offer in found(n3, "housing", "--mesh")}, {provider}, "of n2")
    check_eq(ids(found(n3, "fapp", "--mesh")), sorted(hours), "hours, too")


def test_2_a_second_service(lab):
    """The filters of one schema mean nothing to another; both are found by their own."""
    n1, n2 = fabric.start(lab, 2)
    home, hour = publish(n2, "housing", *FLAT), publish(n2, "fapp", *HOUR)
    wait_for(lambda: found(n1, "housing") and found(n1, "fapp"), "at n1", timeout=SPREAD_S)
    check_eq(ids(found(n1, "housing", "max_rent=900")), [home], "by rent")
    shown = [row["name"] for row in n1.json("schema", "show", "fapp")["filters"]]
    check_eq(ids(found(n1, "fapp", f"{shown[0]}=anxiety")), [hour], f"by {shown[0]}")
    done = n1.weft("offer", "find", "fapp", "max_rent=900")
    check(done.returncode not in (OK, NOT_FOUND) and "max_rent" in done.stderr, done.stderr)


def test_3_verification(lab):
    """A key that n1 trusts lifts its provider; without it the offer is kept and left out."""
    n1, n2 = fabric.start(lab, 2)
    home = publish(n2, "housing", *FLAT)
    wait_for(lambda: ids(found(n1, "housing")) == [home], "at n1", timeout=SPREAD_S)
    check_eq(found(n1, "housing", "--level", "1"), [], "of no level")
    done = n1.weft("endorse", "make", node_id(n2), "housing", "--level", "1")
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: ids(found(n1, "housing", "--level", "1")) == [home], "n1 vouches for n2",
             timeout=SPREAD_S)


def test_4_services_registered_while_nodes_run(lab):
    """A schema that is added gives offers that are here their filters, and takes them along."""
    n1, n2 = fabric.start(lab, 2)
    path = lab.dir / "boats.ini"
    path.write_text(BOATS)
    check_eq(n2.weft("schema", "add", str(path)).returncode, OK, "known to n2")
    boat = publish(n2, "boats", "length=12")
    done = n1.weft("offer", "find", "boats")
    check(done.returncode == NOT_FOUND and "weft schema" in done.stderr, done.stderr)
    check_eq(n1.weft("schema", "add", str(path)).returncode, OK, "known to n1")
    wait_for(lambda: ids(found(n1, "boats", "min_length=12", "--mesh")) == [boat], "found",
             timeout=SPREAD_S)
    check_eq(n1.weft("schema", "remove", "boats").returncode, OK, "removed")
    check_eq(n1.weft("offer", "find", "boats").returncode, NOT_FOUND, "unknown again")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
