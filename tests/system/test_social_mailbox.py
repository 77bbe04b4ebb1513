#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Direct messages and groups for a person whose node is off, on three daemons on a switch: n1 writes, n2
reads, n3 is n2's anchor. One of n1 and n2 is always off when the other runs, and kill -9 comes between all
steps. What n2 has comes from n3."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import OK, check, check_eq, need_root, run, wait_for

BOUND_MS = 30000  # from the start of a reader's node until it has what was left; machines of any speed


def done(daemon, *words):
    result = daemon.weft(*words)
    check_eq(result.returncode, OK, f"{daemon.name}: {words}: {result.stderr}")
    return result.stdout


def start(lab, follows=False):
    """n3 is the anchor of n2; n1 follows n2, and knows its profile; n2 follows n1 where it is said."""
    need_root()
    n1, n2, n3 = fabric.start(lab, 3)
    fabric.connect(n1, n3)
    fabric.connect(n2, n3)
    for daemon in (n1, n2, n3):
        daemon.id = fabric.node_id(daemon)
    anchor, reader = n3.id, n2.id
    done(n2, "profile", "set", "--name", "Ben")
    done(n2, "anchor", "add", anchor, "10.77.0.3:7000")
    done(n1, "follow", "add", reader)
    if follows:
        done(n2, "follow", "add", n1.id)
    wait_for(lambda: n1.call("ShowProfile", person=reader)["profile"].get("anchors") == [anchor], "n1 knows n2's anchor")
    n2.kill()
    return n1, n2, n3


def delivery(daemon, post_id):
    return daemon.json("post", "show", post_id)["delivery"][0]


def send(n1, n2, text):
    """The id of a message, which is durable, and its first state."""
    reply = n1.json("dm", "send", n2.id, text)
    check(reply["delivery"][0]["state"] in ("waits", "left"), reply)
    return reply["post"]["post_id"]


def is_left(n1, n3, post_id):
    wait_for(lambda: delivery(n1, post_id)["state"] == "left", f"left at the anchor: {delivery(n1, post_id)}")
    check_eq(delivery(n1, post_id)["anchors"], [n3.id], "by its key")


def texts(daemon):
    return [row["newest"] for row in daemon.json("dm", "list")["threads"]]


def requests(daemon):
    return [row["person"] for row in daemon.json("request", "list")["requests"]]


def comes(daemon, what, is_there):
    """daemon starts, and has what was left for it within the bound."""
    began = time.monotonic()
    daemon.start()
    wait_for(is_there, what)
    took_ms = int((time.monotonic() - began) * 1000)
    print(f"# {what}: {took_ms} ms after the start")
    check(took_ms < BOUND_MS, f"{what}: {took_ms} ms")


def test_first_words_wait_at_the_anchor_and_come_as_a_request(lab):
    n1, n2, n3 = start(lab)
    post_id = send(n1, n2, "hello")
    n1.kill()
    n1.start()
    is_left(n1, n3, post_id)
    check_eq(n1.json("dm", "list")["threads"][0]["delivery"], "left", "in the list of threads")
    check("left" in done(n1, "dm", "show", n2.id), "in the thread")
    check("left" in done(n1, "post", "show", post_id), "for people")
    n1.kill()
    n3.kill()
    n3.start()
    comes(n2, "a request", lambda: requests(n2) == [n1.id])
    check_eq(texts(n2), [], "apart from messages")
    n2.kill()
    n2.start()
    check_eq(requests(n2), [n1.id], "once")
    n1.start()
    wait_for(lambda: delivery(n1, post_id)["state"] == "given", "n1 hears that it was opened")


def test_a_message_of_a_friend_comes_once_over_kills(lab):
    n1, n2, n3 = start(lab, follows=True)
    first = send(n1, n2, "one")
    is_left(n1, n3, first)
    second = send(n1, n2, "two")
    is_left(n1, n3, second)
    n1.kill()
    comes(n2, "two messages", lambda: texts(n2) == ["two"])
    n2.kill()
    n3.kill()
    n3.start()
    n2.start()
    shown = n2.json("dm", "show", n1.id)["messages"]
    check_eq([row["post"]["text"] for row in shown], ["two", "one"], "each once")
    wait_for(lambda: held(n3) == 0, "n3 keeps them no more")


def group_of(daemon):
    return next((row for row in daemon.json("group", "list")["groups"] if row["name"] == "boats"), None)


def test_an_invitation_and_a_new_key_of_a_group_come_by_the_anchor(lab):
    n1, n2, n3 = start(lab)
    done(n1, "group", "create", "boats", n2.id)
    wait_for(lambda: held(n3) == 1, "the invitation is at the anchor")
    n1.kill()
    comes(n2, "an invitation", lambda: n2.json("group", "list")["invitations"])
    done(n2, "group", "accept", "boats")
    n2.kill()
    n1.start()
    done(n1, "group", "rekey", "boats")
    n1.kill()
    n1.start()
    wait_for(lambda: held(n3) >= 1, "the new key is at the anchor")
    n1.kill()
    n3.kill()
    n3.start()
    comes(n2, "a new key", lambda: group_of(n2)["epoch"] == 1 and group_of(n2)["has_key"])


def held(daemon):
    return daemon.json("deposits", "status")["room"]["kept"]


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
