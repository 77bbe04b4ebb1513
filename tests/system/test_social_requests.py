#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Direct messages of an unknown person, between two daemons. They wait as a request, apart from the
others, until it is accepted. Those of a person that was refused go."""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import OK, check_eq, need_root, run, wait_for


def start(lab):
    """a, and b, which a does not follow."""
    need_root()
    return fabric.start(lab, 2)


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{words}: {result.stderr}")
    return result.stdout


def send(a, b, text):
    """From b, until it is on a's disk; the post's id."""
    post_id = json.loads(done(b, "--json", "dm", "send", fabric.node_id(a), text))["post"]["post_id"]
    done(a, "social", "sync", fabric.node_id(b))
    return post_id


def taken_cnt(daemon):
    return daemon.json("status")["counters"]["posts.put_cnt"]


def threads(daemon):
    return [row["newest"] for row in daemon.json("dm", "list")["threads"]]


def requests(daemon):
    return [(row["person"], row["to"]) for row in daemon.json("request", "list")["requests"]]


def arrived(a, b, cnt):
    wait_for(lambda: taken_cnt(a) >= cnt, f"{cnt} posts came to a")


def test_first_words_wait_apart_and_show_when_they_are_accepted(lab):
    a, b = start(lab)
    send(a, b, "hello")
    wait_for(lambda: requests(a) == [(fabric.node_id(b), 0)], "b's request")
    check_eq(threads(a), [], "apart from other messages")
    check_eq(a.json("feed")["posts"], [], "in no feed")
    send(a, b, "are you there")
    arrived(a, b, 2)
    check_eq(threads(a), [], "further words, too")
    done(a, "request", "accept", fabric.node_id(b))
    wait_for(lambda: threads(a) == ["are you there"], "accepted")
    send(a, b, "thanks")
    wait_for(lambda: threads(a) == ["thanks"], "and what follows")


def test_words_after_a_refusal_are_left_out(lab):
    a, b = start(lab)
    send(a, b, "hello")
    wait_for(lambda: len(requests(a)) == 1, "b's request")
    done(a, "request", "refuse", fabric.node_id(b))
    post_id = send(a, b, "again")
    wait_for(lambda: a.json("status")["counters"]["intake.refused_cnt"] >= 1, "it came to a, and was refused")
    wait_for(lambda: a.weft("post", "show", post_id).returncode != OK, "it is not kept")
    check_eq((threads(a), requests(a)), ([], []), "no message, no request")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
