#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft post pin between two daemons: the original, which its author's deletion takes, and the copy of one's own,
which it does not. And what weft post show says of copies elsewhere."""
import json
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import NOT_FOUND, OK, REFUSED, check, check_eq, need_root, run, wait_for


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{words}: {result.stderr}")
    return result.stdout


def start(lab):
    """a, and b; each follows the other."""
    need_root()
    a, b = fabric.start(lab, 2)
    done(a, "follow", "add", fabric.node_id(b))
    done(b, "follow", "add", fabric.node_id(a))
    return a, b


def has(daemon, post_id):
    return daemon.weft("post", "show", post_id).returncode == OK


def write(a, b, *words):
    """By a, until b has it; the post's id."""
    post_id = json.loads(done(a, "--json", "post", "write", *words))["post"]["post_id"]
    wait_for(lambda: b.weft("social", "sync", fabric.node_id(a)) and has(b, post_id), "b has the post")
    return post_id


def delete(a, b, post_id):
    done(a, "post", "delete", post_id)
    wait_for(lambda: b.weft("social", "sync", fabric.node_id(a)) and not has(b, post_id), "it is deleted at b")


def pins(daemon):
    return [(row["kind"], row["post_id"], row.get("origin")) for row in daemon.json("post", "pins")["pins"]]


def quota(daemon):
    return daemon.json("quota", "show")["quota"]


def test_a_pinned_original_is_counted_apart_and_its_author_s_deletion_takes_it(lab):
    a, b = start(lab)
    post_id = write(a, b, "hello", "--public")
    before = quota(b)
    done(b, "post", "pin", post_id)
    done(b, "post", "pin", post_id)
    b.kill()
    b.start()
    after = quota(b)
    check_eq(pins(b), [("anchor", post_id, None)], "pinned, also behind a kill")
    check_eq((after["pinned"], after["pinned_bytes"], after["wanted_bytes"]),
             (1, before["wanted_bytes"], 0), "outside of the other shares")
    done(b, "post", "unpin", post_id)
    check_eq((pins(b), quota(b)["pinned"]), ([], 0), "unpinned")
    done(b, "post", "pin", post_id)
    watch = b.weft_popen("--json", "event", "watch")
    try:
        watch.stdout.readline()
        delete(a, b, post_id)
        line = ""
        while "post.gone" not in line:
            line = watch.stdout.readline()
            check(line, "the watch ended")
        check(post_id in line, line)
    finally:
        watch.send_signal(signal.SIGTERM)
        watch.communicate(timeout=10)
    check_eq((pins(b), quota(b)["pinned"]), ([], 0), "its author's deletion takes it")
    shown = b.weft("post", "show", post_id)
    check("its author deleted it" in shown.stderr, shown.stderr)


def test_a_fork_stays_when_its_origin_is_deleted(lab):
    a, b = start(lab)
    post_id = write(a, b, "hello", "--public")
    fork = json.loads(done(b, "--json", "post", "pin", post_id, "--fork"))["pin"]
    again = json.loads(done(b, "--json", "post", "pin", post_id, "--fork"))["pin"]
    check_eq((fork["kind"], fork["author"], fork["origin"]), ("fork", fabric.node_id(b), post_id), "a post of b")
    check_eq(again["post_id"], fork["post_id"], "once")
    delete(a, b, post_id)
    b.kill()
    b.start()
    shown = b.json("post", "show", fork["post_id"])["post"]
    check_eq(shown["text"], f"hello\n\n/p/{post_id}/{fabric.node_id(a)}", "it names its origin")
    check_eq((shown["audience"], shown["own"]), ("public", True), "as public as its origin")
    check_eq(pins(b), [("fork", fork["post_id"], post_id)], "listed")
    refused = b.weft("post", "pin", fork["post_id"])
    check_eq(refused.returncode, REFUSED, refused.stderr)
    done(b, "post", "delete", fork["post_id"])
    check_eq(pins(b), [], "b takes it back")


def test_a_fork_of_a_private_post_is_for_its_maker_alone(lab):
    a, b = start(lab)
    post_id = write(a, b, "for friends")
    fork = json.loads(done(b, "--json", "post", "pin", post_id, "--fork"))["pin"]
    shown = b.json("post", "show", fork["post_id"])
    check_eq(shown["readers"], [fabric.node_id(b)], "one reader")
    check("for friends" in shown["post"]["text"], shown)


def test_what_cannot_be_pinned_is_refused(lab):
    node = lab.daemon("a").start()
    own = json.loads(done(node, "--json", "post", "write", "x", "--public"))["post"]["post_id"]
    for words in (("pin", own), ("pin", own, "--fork"), ("unpin", own)):
        refused = node.weft("post", *words)
        check_eq(refused.returncode, REFUSED, f"{words}: {refused.stderr}")
    check_eq(node.weft("post", "pin", "y" * 52).returncode, NOT_FOUND, "none of that name")
    check_eq(node.weft("post", "pin", "y" * 52, "--fork").returncode, NOT_FOUND, "nor a fork of it")


def test_a_post_without_copies_shows_low_redundancy(lab):
    node = lab.daemon("a").start()
    post_id = json.loads(done(node, "--json", "post", "write", "x", "--public"))["post"]["post_id"]
    shown = node.json("post", "show", post_id)["redundancy"]
    check_eq(shown, {"copies": 0, "target": 3, "low": True}, "none of three")
    check("low_redundancy\tyes" in done(node, "post", "show", post_id), "for people, too")
    state = node.json("replica", "show", post_id)["replica"]
    check_eq((state["copies"], state["low"]), (0, True), "as weft replica show has it")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
