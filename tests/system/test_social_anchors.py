#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Anchors of a person: named in profiles, checked in with, disabled, and the last resort."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import FAILED, NOT_FOUND, OK, REFUSED, check, check_eq, run, wait_for
from sessions import node_id

PORT = 7000
LISTEN = [f"0.0.0.0:{PORT}"]
# Addresses of a private network are what these nodes have to say of themselves.
PERSON = "[dht]\nprivate = yes\n[social]\naddresses = yes\nanchor = no\n"
ANCHOR = "[dht]\nprivate = yes\n[social]\nanchor = yes\n"
ANCHORS_MAX = 8
ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"


def place(number):
    return f"10.77.0.{number}:{PORT}"


def key(number):
    return ALPHABET[number] * 10 + "e" * 41 + "y"


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{words}: {result.stderr}")
    return result.stdout


def fails(daemon, status, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, status, f"{words}: {result.stdout}{result.stderr}")
    return result.stderr


def anchors(daemon):
    return {row["anchor"]: row for row in daemon.json("anchor", "list")["anchors"]}


def state(daemon, anchor):
    row = anchors(daemon).get(anchor)
    return row and (row["kind"], row["state"])


def role(daemon):
    return daemon.json("anchor", "list")["role"]


def pair(lab, extra=""):
    """A person's node, and an anchor."""
    places = lab.bridge(2)
    anchor = lab.daemon("anchor", netns=places[1], listen=LISTEN, config=ANCHOR).start()
    conf = PERSON + extra.format(anchor=f"{node_id(anchor)}@{place(2)}")
    person = lab.daemon("person", netns=places[0], listen=LISTEN, config=conf).start()
    return person, anchor


def test_an_anchor_that_is_added_takes_check_ins_and_is_kept(lab):
    person, anchor = pair(lab)
    there = node_id(anchor)
    said = fails(person, NOT_FOUND, "anchor", "add", there, place(2))
    check("weft profile set --name" in said, said)
    done(person, "profile", "set", "--name", "Ada")
    done(person, "anchor", "add", there, place(2))
    check_eq(person.json("profile", "show")["profile"]["anchors"], [there], "the profile names it")
    wait_for(lambda: state(person, there) == ("own", "checked_in"), "a check-in")
    row = anchors(person)[there]
    check(row["age_s"] < 120 and row["checked_in_s"] > 0 and row["persona"] == 0, row)
    check_eq((role(person)["anchor"], role(anchor)["anchor"]), (False, True), "which of them is one")
    check_eq(role(anchor)["check_ins"], 1, "what the anchor has")
    fails(person, REFUSED, "anchor", "add", there)
    person.kill()
    person.start()
    wait_for(lambda: state(person, there) == ("own", "checked_in"), "a check-in where it was before")
    done(person, "anchor", "remove", there)
    check_eq(anchors(person), {}, "none any more")
    check_eq(person.json("profile", "show")["profile"]["anchors"], [], "nor in the profile")
    fails(person, NOT_FOUND, "anchor", "remove", there)


def test_anchors_that_profiles_say_are_checked_in_with(lab):
    person, anchor = pair(lab)
    there = node_id(anchor)
    done(person, "peer", "connect", there, place(2))
    done(person, "profile", "set", "--name", "Ada", "--anchors", there)
    wait_for(lambda: state(person, there) == ("own", "checked_in"), "a check-in")


def test_a_disabled_anchor_stays_disabled(lab):
    person, anchor = pair(lab)
    there = node_id(anchor)
    done(person, "profile", "set", "--name", "Ada")
    done(person, "anchor", "add", there, place(2))
    wait_for(lambda: state(person, there) == ("own", "checked_in"), "a check-in")
    done(person, "anchor", "disable", there)
    fails(person, REFUSED, "anchor", "disable", there)
    person.kill()
    person.start()
    check_eq(state(person, there), ("own", "disabled"), "after a crash")
    check_eq(person.json("profile", "show")["profile"]["anchors"], [there], "the profile names it")
    done(person, "anchor", "enable", there)
    wait_for(lambda: state(person, there) == ("own", "checked_in"), "a check-in")


def test_the_last_resort_can_be_disabled_and_not_removed(lab):
    person, anchor = pair(lab, "last_resort = {anchor}\n")
    there = node_id(anchor)
    wait_for(lambda: state(person, there) == ("last_resort", "checked_in"), "a check-in")
    said = fails(person, REFUSED, "anchor", "remove", there)
    check("last resort" in said and "weft anchor disable" in said, said)
    done(person, "anchor", "disable", there)
    person.kill()
    person.start()
    check_eq(state(person, there), ("last_resort", "disabled"), "after a crash")
    fails(person, REFUSED, "anchor", "remove", there)
    done(person, "anchor", "enable", there)
    wait_for(lambda: state(person, there) == ("last_resort", "checked_in"), "a check-in")


def test_personas_share_no_anchor(lab):
    node = lab.daemon("a").start()
    done(node, "profile", "set", "--name", "Ada")
    done(node, "persona", "add", "work")
    done(node, "persona", "add", "apart", "--via-anchors")
    for persona in ("1", "2"):
        done(node, "profile", "set", "--name", "Dr. A", "--persona", persona)
    done(node, "anchor", "add", key(1), "192.0.2.1:7000")
    said = fails(node, REFUSED, "anchor", "add", key(1), "--persona", "1")
    check("another persona" in said, said)
    done(node, "anchor", "add", key(2), "192.0.2.2:7000", "--persona", "1")
    done(node, "anchor", "add", key(3), "192.0.2.3:7000", "--persona", "2")
    rows = anchors(node)
    check_eq({at: row["persona"] for at, row in rows.items()}, {key(1): 0, key(2): 1, key(3): 2}, "each")
    check_eq(rows[key(3)]["state"], "apart", "the node's own key does not check in with it")
    fails(node, NOT_FOUND, "anchor", "disable", key(3))
    done(node, "persona", "remove", "1")
    check(key(2) not in anchors(node), "it goes with its persona")


def test_a_profile_names_8_anchors(lab):
    node = lab.daemon("a").start()
    done(node, "profile", "set", "--name", "Ada")
    for number in range(1, ANCHORS_MAX + 1):
        done(node, "anchor", "add", key(number), f"192.0.2.{number}:7000")
    said = fails(node, REFUSED, "anchor", "add", key(ANCHORS_MAX + 1))
    check("weft anchor remove" in said, said)
    fails(node, FAILED, "anchor", "add", key(ANCHORS_MAX + 1), "nowhere")
    fails(node, FAILED, "anchor", "add", node_id(node))
    done(node, "anchor", "remove", key(1))
    done(node, "anchor", "add", key(ANCHORS_MAX + 1))
    node.kill()
    node.start()
    check_eq(set(anchors(node)), {key(number) for number in range(2, ANCHORS_MAX + 2)}, "all of them")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
