#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Verification of providers: endorsements of a Python registry and of nodes, and what follows for
the offers that are found.

    n2 (the provider) -- n1 -- n3 (looks for a doctor)
"""
import base64
import json
import pathlib
import struct
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import connect
from lab import OK, check, check_eq, run, wait_for
from links import zbase32_decode
from sessions import node_id

try:
    from registry import MEDICAL, Registry
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

NOT_FOUND = 4
SPREAD_S = 5
DOCTOR = ["specialties=dermatology", "visit=first-visit", "modes=practice", "cost_bearers=statutory",
          "postcode=10115", "slots=2027-03-01T10:00"]
FLAT = ["room_type=apartment", "size=62", "rent=900", "available_from=2027-01-01", "postcode=10115"]


def add(daemon, endorsement):
    return daemon.weft("endorse", "add", base64.b64encode(endorsement).decode())


def publish(daemon, schema, words):
    done = daemon.weft("--json", "offer", "publish", schema, *words)
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def find(daemon, schema, *more):
    done = daemon.weft("--json", "offer", "find", schema, *more)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)


def ids(found):
    return [offer["offer_id"] for offer in found["offers"]]


def endorsements(daemon, *more):
    return daemon.json("endorse", "list", *more)["endorsements"]


def levels(daemon):
    return [(row["level"], row["counts"]) for row in endorsements(daemon)]


def test_a_registry_in_python_verifies_a_doctor(lab):
    n1, n2, n3 = fabric.start(lab, 3)
    registry = Registry(7)
    provider = zbase32_decode(node_id(n2))
    for node in (n2, n3):
        node.call("AddSchema", name="medical")
    offer = publish(n2, "medical", DOCTOR)
    # Kept where it came by, and left out: the schema demands level 2.
    wait_for(lambda: ids(find(n3, "medical", "--level", "0")) == [offer], "at n3", timeout=SPREAD_S)
    found = find(n3, "medical")
    check_eq((ids(found), found["left_out"]), ([], 1), "left out, and counted")
    done = n3.weft("offer", "find", "medical")
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    check("1 more offer would fit, but for the level of its provider" in done.stderr and "--level 0" in done.stderr, done.stderr)
    shown = n3.json("offer", "show", offer)["offer"]
    check_eq((shown["level"], shown["needs"]), (0, 2), "the level and what is needed")
    check("no endorsement" in shown["why"], shown["why"])
    # The registry's word reaches n3 from n1, and does not count before it is trusted.
    done = add(n1, registry.full(provider, 2))
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: levels(n3) == [(2, 0)], "heard of at n3", timeout=SPREAD_S)
    check_eq(ids(find(n3, "medical")), [], "not trusted")
    check("is by a node that is trusted here" in n3.json("offer", "show", offer)["offer"]["why"], "why")
    done = n3.weft("endorse", "trust", registry.name, "--service", "medical")
    check_eq(done.returncode, OK, done.stderr)
    check("count as 1 here" in n3.json("offer", "show", offer)["offer"]["why"], "trusted to 1")
    done = n3.weft("endorse", "trust", registry.name, "--service", "medical", "--max-level", "2")
    check_eq(done.returncode, OK, done.stderr)
    found = find(n3, "medical")
    check_eq((ids(found), found["left_out"]), ([offer], 0), "at level 2 at once")
    check_eq((found["offers"][0]["level"], found["offers"][0]["why"]), (2, ""), "its level")
    check_eq(ids(find(n3, "medical", "--level", "3")), [], "not above")
    check_eq([(row["service"], row["max_level"]) for row in n3.json("endorse", "trusted")["endorsers"]],
             [("medical", 2)], "listed")
    # Trust and endorsement outlive a kill; without the trust it is back at 0.
    n3.kill()
    n3.start()
    check_eq(ids(find(n3, "medical")), [offer], "after a kill")
    done = n3.weft("endorse", "distrust", registry.name, "--service", "medical")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(ids(find(n3, "medical")), [], "back")
    check_eq(n3.weft("endorse", "distrust", registry.name).returncode, NOT_FOUND, "it is not trusted")


def test_both_forms_are_read_and_a_raised_level_is_not(lab):
    node = lab.daemon("a").start()
    registry, other = Registry(8), Registry(9)
    provider = Registry(10).public
    now = int(time.time())
    full = registry.full(provider, 1, now - 10)
    raised = full.replace(b"\x03\x01\x06", b"\x03\x03\x06")
    check(raised != full, "the level lies there")
    done = add(node, raised)
    check(done.returncode not in (OK, NOT_FOUND), f"{done.returncode}")
    check("signature" in done.stderr, done.stderr)
    check_eq(add(node, full).returncode, OK, "as it was signed")
    # Nothing of the level is signed in the seed form, so it counts as 1.
    check_eq(add(node, other.seed_form(provider, 3, now - 10)).returncode, OK, "the seed form")
    check_eq(node.weft("endorse", "trust", other.name).returncode, OK, "trusted to 1")
    check_eq(sorted(levels(node)), [(1, 0), (3, 1)], "1 at most")
    check_eq(node.weft("endorse", "trust", other.name, "--max-level", "3").returncode, OK, "a registry")
    check_eq(sorted(levels(node)), [(1, 0), (3, 3)], "its own form")
    service = struct.pack("<I", MEDICAL)
    check(service not in full, "the service is a small number")
    for broken in (full[:-1], full + b"\0", registry.full(provider, 1, now + 400),
                   registry.full(provider, 1, now - 86400), b"", b"\xa0"):
        check(add(node, broken).returncode != OK, broken.hex())
    check_eq(add(node, registry.full(provider, 0, now)).returncode, OK, "withdrawn")
    check_eq(sorted(levels(node)), [(0, 0), (3, 3)], "level 0")
    check(add(node, full).returncode != OK, "the older one is not taken again")


def test_nodes_vouch_for_providers_and_take_it_back(lab):
    n1, n2, n3 = fabric.start(lab, 3)
    offer = publish(n2, "housing", FLAT)
    wait_for(lambda: ids(find(n3, "housing")) == [offer], "at n3", timeout=SPREAD_S)
    check_eq(ids(find(n3, "housing", "--level", "1")), [], "no level is needed, and it has none")
    done = n1.weft("endorse", "make", node_id(n2), "housing", "--reason", "seen it", "--days", "30")
    check_eq(done.returncode, OK, done.stderr)
    base64.b64decode(done.stdout.strip(), validate=True)
    wait_for(lambda: levels(n3) == [(1, 0)], "heard of", timeout=SPREAD_S)
    check_eq(endorsements(n3)[0]["reason"], "seen it", "the reason")
    check_eq(endorsements(n3)[0]["endorser"], node_id(n1), "its endorser")
    check_eq(len(endorsements(n3, node_id(n2))), 1, "by its provider")
    check_eq(len(endorsements(n3, node_id(n1))), 0, "by another")
    check_eq(ids(find(n1, "housing", "--level", "1")), [offer], "n1 believes itself")
    check_eq(n3.weft("endorse", "trust", node_id(n1)).returncode, OK, "trusted")
    check_eq(ids(find(n3, "housing", "--level", "1")), [offer], "so it counts")
    check(n2.weft("endorse", "make", node_id(n2), "housing").returncode not in (OK, NOT_FOUND),
          "a node does not vouch for itself")
    check_eq(n1.weft("endorse", "revoke", node_id(n2), "housing").returncode, OK, "taken back")
    wait_for(lambda: ids(find(n3, "housing", "--level", "1")) == [], "withdrawn at n3", timeout=SPREAD_S)
    check_eq(n1.weft("endorse", "revoke", node_id(n2), "housing").returncode, NOT_FOUND, "once")
    check_eq(n1.weft("endorse", "make", node_id(n2), "castles").returncode, NOT_FOUND, "no such service")


def test_an_answer_brings_the_endorsements_of_its_offers(lab):
    """n3 comes later, so what it knows it has by asking n1."""
    n1, n2, n3 = fabric.start(lab, 3)
    registry = Registry(11)
    for node in (n1, n2, n3):
        node.call("AddSchema", name="medical")
    n3.stop()
    offer = publish(n2, "medical", DOCTOR)
    wait_for(lambda: ids(find(n1, "medical", "--level", "0")) == [offer], "at n1", timeout=SPREAD_S)
    check_eq(add(n1, registry.full(zbase32_decode(node_id(n2)), 3)).returncode, OK, "n1 knows it")
    n2.stop()
    n3.start()
    connect(n3, n1)
    check_eq(n3.weft("endorse", "trust", registry.name, "--max-level", "3").returncode, OK, "trusted")
    check_eq(ids(find(n3, "medical")), [], "nothing yet")
    # The provider is offline; the relay answers.
    found = find(n3, "medical", "--mesh")
    check_eq(ids(found), [offer], "with its level")
    check_eq(found["offers"][0]["level"], 3, "its level")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
