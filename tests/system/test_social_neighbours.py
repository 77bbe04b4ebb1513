#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Neighbours of people's nodes: bootstrap.json, slots, suggestions, and what is known of a peer."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, check, check_eq, run, wait_for
from sessions import node_id

PORT = 7000
LISTEN = [f"0.0.0.0:{PORT}"]
PRIVATE = "[dht]\nprivate = yes\n[social]\naddresses = yes\n"
ALPHABET = "ybndrfg8ejkmcpqxot1uwisza345h769"
SESSIONS_MAX = 20
POOLS = {"mesh slots", "searches over slots", "routes of the audience", "check-ins at this anchor",
         "nodes that had slots", "nodes that pulled posts", "social.sync", "social.pages", "social.literal"}
LIMITS = {"anchors that profiles of this node name", "routes of people followed", "routes of anchors",
          "searches for people's nodes", "mesh slots that are local", "nodes that neighbours name",
          "sessions that a person waits for"}


def place(number):
    return f"10.77.0.{number}:{PORT}"


def key(number):
    return ALPHABET[number] * 10 + "e" * 41 + "y"


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{words}: {result.stderr}")
    return result.stdout


def write_bootstrap(daemon, rows):
    daemon.state.mkdir(exist_ok=True)
    (daemon.state / "bootstrap.json").write_text(rows if isinstance(rows, str) else json.dumps(rows))


def neighbours(daemon):
    return {row["node"]: row for row in daemon.json("social", "slots")["nodes"]}


def suggestions(daemon):
    return {row["node"]: row for row in daemon.json("peer", "suggest")["peers"]}


def daemons(lab, cnt):
    return [lab.daemon(f"d{number}", netns=netns, listen=LISTEN, config=PRIVATE)
            for number, netns in enumerate(lab.bridge(cnt), 1)]


def test_a_fresh_node_joins_by_the_file_and_without_it_stays_idle(lab):
    first, fresh, idle = daemons(lab, 3)
    idle.start()
    first.start()
    there = node_id(first)
    write_bootstrap(fresh, [{"key": there, "addresses": [place(1)], "name": "a town's library"}])
    fresh.start()
    row = suggestions(fresh)[there]
    check_eq((row["name"], row["reason"]), ("a town's library", "bootstrap"), "a suggestion")
    wait_for(lambda: there in neighbours(fresh), "a slot at the node of the file")
    check(neighbours(fresh)[there]["own"], "it asked for it")
    wait_for(lambda: node_id(fresh) in neighbours(first), "and that node has one for it")
    classes = {row["class"]: row for row in fresh.json("social", "slots")["classes"]}
    check_eq({name: row["limit"] for name, row in classes.items()},
             {"preferred": 10, "local": 71, "wide": 20}, "the classes")
    check_eq(sum(row["used"] for row in classes.values()), 1, "one of them")
    shown = fresh.json("peer", "show", there)
    check_eq(shown["peer"]["via"], "lan, quic4", "the way")
    check(shown["social"]["slot"] in ("local", "wide"), shown["social"])
    check("lan, quic4" in done(fresh, "peer", "list"), "a column")
    check_eq((neighbours(idle), idle.json("peer", "list")["peers"]), ({}, []), "the idle one met none")
    # It had a slot: after a restart it comes back without the file.
    fresh.kill()
    (fresh.state / "bootstrap.json").unlink()
    fresh.start()
    wait_for(lambda: there in neighbours(fresh), "a slot at the node that it had one at")


def test_a_wrong_file_is_said_with_its_row_and_the_node_starts(lab):
    node = lab.daemon("a")
    write_bootstrap(node, [{"key": key(1), "addresses": ["192.0.2.1:7000"]}, {"key": "x"}])
    node.start()
    file = str(node.state / "bootstrap.json")
    for said in (node.log_text(), node.json("peer", "suggest")["fault"]):
        check(f"{file}: row 2: " in said and '"key" is no node id' in said, said)
    check_eq(suggestions(node), {}, "none of its nodes")
    named = lab.daemon("b", config=f"[social]\nbootstrap = {lab.dir}/none.json\n").start()
    said = named.json("peer", "suggest")["fault"]
    check(f"{lab.dir}/none.json: No such file" in said, said)
    usual = lab.daemon("c").start()
    check("fault" not in usual.json("peer", "suggest"), "no file is no fault")


def test_a_node_that_a_third_one_introduced_is_shown(lab):
    reader, person, anchor = daemons(lab, 3)
    anchor.conf.write_text(PRIVATE + "anchor = yes\n")
    for node in (reader, person, anchor):
        node.start()
    there, author = node_id(anchor), node_id(person)
    done(person, "profile", "set", "--name", "Ada")
    done(person, "anchor", "add", there, place(3))
    done(reader, "follow", "add", author)
    done(reader, "peer", "connect", author, place(2))

    def row():
        rows = [row for row in reader.json("anchor", "list")["anchors"] if row["anchor"] == there]
        return rows and rows[0]
    found = wait_for(row, "the anchor of the person")
    check_eq((found["kind"], found["introduced_by"]), ("network", author), "by the profile")
    social = reader.json("peer", "show", there)["social"]
    check_eq((social["relation"], social["introduced_by"]), ("anchor", author), "peer show")
    done(reader, "peer", "connect", there, place(3))
    wait_for(lambda: reader.json("peer", "show", there)["social"]["addresses"], "where it is")
    shown = reader.json("peer", "show", there)
    check(shown["social"]["anchor"] and shown["social"]["last_session_s"] > 0, shown["social"])
    check_eq(shown["social"]["addresses"][0], {"address": place(3), "proved": True}, "and proved")
    said = done(reader, "peer", "show", there)
    check(author[:8] in said and place(3) in said, said)


def test_sessions_that_a_person_waits_for_are_20(lab):
    node = lab.daemon("a").start()
    cnt = 0
    for number in range(1024):
        if cnt > SESSIONS_MAX:
            break
        # Half of such keys are no points of the curve, and are refused.
        reader = (ALPHABET[number % 32] + ALPHABET[number // 32]) * 5 + "e" * 41 + "y"
        if node.weft("dm", "send", reader, f"words {number}").returncode != OK:
            continue
        cnt += 1
        state = node.json("social", "slots")["slots"]
        check_eq((state["sessions"], state["sessions_max"]), (min(cnt, SESSIONS_MAX), SESSIONS_MAX), "of them")
    check_eq(cnt, SESSIONS_MAX + 1, "one more than there are places")


def test_the_node_of_a_direct_messages_reader_is_looked_for(lab):
    writer, reader = daemons(lab, 2)
    for node in (writer, reader):
        node.start()
    there = node_id(reader)
    done(writer, "peer", "connect", there, place(2))
    reader.stop()
    writer.stop()
    writer.start()

    def searches():
        counters = writer.json("status")["counters"]
        return counters["social_search.failed_cnt"]
    check_eq(searches(), 0, "a person that is not followed is not looked for by itself")
    done(writer, "dm", "send", there, "Hello")
    wait_for(lambda: searches() == 1, "a search, which does not find what is off")


def test_each_pool_and_limit_is_shown(lab):
    node = lab.daemon("a").start()
    shown = node.json("limits", "show")
    pools = {row["name"] for row in shown["pools"]}
    limits = {row["name"] for row in shown["limits"]}
    check(POOLS <= pools, POOLS - pools)
    check(LIMITS <= limits, LIMITS - limits)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
