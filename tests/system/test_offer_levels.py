#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Levels of verification that change: what watches are given, what relays answer, what expires."""
import base64
import json
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from gateway_pair import join
from lab import OK, check, check_eq, run, wait_for
from links import zbase32_decode
from offer_watches import Events, Watch
from web import GATEWAY, QUICK

try:
    from registry import Registry
except ImportError as missing:
    print(f"python3-cbor2 and python3-nacl are needed: {missing}")
    sys.exit(77)

NOT_FOUND = 4
SPREAD_S = 5
DOCTOR = ["specialties=dermatology", "visit=first-visit", "modes=practice", "cost_bearers=statutory",
          "postcode=10115", "slots=2027-03-01T10:00"]


def start(lab, name, config=""):
    node = lab.daemon(name, config=config).start()
    node.call("AddSchema", name="medical")
    return node


def add(node, endorsement):
    node.call("AddEndorsement", text=base64.b64encode(endorsement).decode())


def publish(node, *words):
    return node.call("PublishOffer", schema="medical", values=[*DOCTOR, *words])["offer"]["offer_id"]


def trust(node, registry, level):
    done = node.weft("endorse", "trust", registry.name, "--service", "medical", "--max-level", str(level))
    check_eq(done.returncode, OK, done.stderr)


def find(node, *words):
    done = node.weft("--json", "offer", "find", "medical", *words)
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return json.loads(done.stdout)


def ids(found):
    return [offer["offer_id"] for offer in found["offers"]]


def key_of(node):
    return zbase32_decode(node.json("node", "id")["node_id"])


def test_a_watch_is_given_what_trust_and_endorsements_lift(lab):
    a, b = start(lab, "a", GATEWAY + QUICK), start(lab, "b")
    join(b, a)
    registry, other = Registry(7), Registry(8)
    watch, events = Watch(a, "plz_prefix=101", schema="medical"), Events(a, path="/offers/medical/events")
    low, high = Watch(a, schema="medical"), a.weft_popen("offer", "find", "medical", "--level", "2", "--watch")
    try:
        offer = publish(b)
        wait_for(lambda: ids(find(a, "--level", "0")) == [offer], "kept, and of no level", timeout=SPREAD_S)
        add(b, registry.full(key_of(b), 2))
        wait_for(lambda: a.json("endorse", "list")["endorsements"], "the endorsement came", timeout=SPREAD_S)
        # It counts as 1, then as 2: then it is given.
        trust(a, registry, 1)
        trust(a, registry, 2)
        check_eq((watch.offer(), events.offer(), low.offer()), (offer, offer, offer), "by trust")
        check(offer[:8] in high.stdout.readline(), "and by the command")
        # A fall is nothing, and neither is the same rise again.
        done = a.weft("endorse", "distrust", registry.name, "--service", "medical")
        check_eq((done.returncode, ids(find(a))), (OK, []), done.stderr)
        trust(a, registry, 2)
        # Another provider is lifted by an endorsement that comes later.
        c = start(lab, "c")
        join(c, a)
        trust(a, other, 3)
        second = publish(c)
        wait_for(lambda: second in ids(find(a, "--level", "0")), "of c", timeout=SPREAD_S)
        add(c, other.full(key_of(c), 3))
        check_eq((watch.offer(), events.offer(), low.offer()), (second, second, second), "by an endorsement")
        check(second[:8] in high.stdout.readline(), "and by the command")
    finally:
        high.kill()
        high.communicate()
        for each in (watch, events, low):
            each.close()


def test_a_watch_that_had_an_offer_is_not_given_it_again_when_it_rises(lab):
    a, b = start(lab, "a"), start(lab, "b")
    join(b, a)
    registry = Registry(7)
    trust(a, registry, 3)
    offer = publish(b)
    wait_for(lambda: ids(find(a, "--level", "0")) == [offer], "kept", timeout=SPREAD_S)
    add(b, registry.full(key_of(b), 2))
    wait_for(lambda: ids(find(a)) == [offer], "of level 2", timeout=SPREAD_S)
    # What is there already when it begins is the find's to show.
    watch = Watch(a, schema="medical")
    add(b, registry.full(key_of(b), 3, made_s=int(time.time()) + 1))
    wait_for(lambda: a.json("offer", "show", offer)["offer"]["level"] == 3, "of level 3", timeout=SPREAD_S)
    second = publish(b)
    check_eq(watch.offer(), second, "only what is new")
    watch.close()


def test_a_relay_answers_with_offers_that_may_be_verified(lab):
    # b's offers go one hop, so c has those alone that a answers with.
    a, b, c = start(lab, "a"), start(lab, "b", "[offers]\nhops_max = 1\n"), start(lab, "c")
    join(b, a)
    registry = Registry(7)
    provider, offer = key_of(b), publish(b)
    wait_for(lambda: ids(find(a, "--level", "0")) == [offer], "a keeps it", timeout=SPREAD_S)
    b.kill()
    join(c, a)
    check_eq(ids(find(c, "--mesh", "--level", "0")), [], "no endorsement: in no answer")
    add(a, registry.full(provider, 1))
    check_eq(ids(find(c, "--mesh", "--level", "0")), [], "one of level 1, where 2 is asked for")
    add(a, registry.full(provider, 2, made_s=int(time.time()) + 1))
    check_eq(ids(find(a)), [], "a trusts nobody")
    check_eq(ids(find(c, "--mesh", "--level", "0")), [offer], "but others may")
    check_eq(ids(find(c)), [], "c does not yet")
    trust(c, registry, 2)
    check_eq(ids(find(c)), [offer], "and now it does: the endorsement came with the answer")


def test_an_offer_falls_when_its_endorsement_expires_and_its_page_says_why(lab):
    a, b = start(lab, "a"), start(lab, "b")
    join(b, a)
    registry = Registry(7)
    trust(a, registry, 2)
    offer = publish(b)
    wait_for(lambda: ids(find(a, "--level", "0")) == [offer], "kept", timeout=SPREAD_S)
    add(a, registry.full(key_of(b), 2, life_s=4))
    check_eq(ids(find(a)), [offer], "verified")
    wait_for(lambda: ids(find(a)) == [], "until it expires", timeout=10)
    found = find(a)
    check_eq(found["left_out"], 1, "left out, and counted")
    shown = a.json("offer", "show", offer)["offer"]
    check_eq((shown["level"], shown["needs"]), (0, 2), "fallen")
    check("the endorsements of its provider have expired" in shown["why"], shown["why"])
    rows = a.json("endorse", "list")["endorsements"]
    check_eq([(row["level"], row["counts"], row["why"]) for row in rows], [(2, 0, "it has expired")], "and the list")
    # Also behind a restart, and a new one counts again.
    a.kill()
    a.start()
    check("have expired" in a.json("offer", "show", offer)["offer"]["why"], "still")
    add(a, registry.full(key_of(b), 2))
    check_eq((ids(find(a)), a.json("offer", "show", offer)["offer"]["why"]), ([offer], ""), "verified again")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
