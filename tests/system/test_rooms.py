#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Histories of rooms between three nodes on a switch: n1 (10.77.0.1) has the room, n2 keeps its
history, and n3 comes when n1 is gone."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from fabric import DONE, FORBIDDEN, INVALID_PAYLOAD, UNAVAILABLE, ask, call, connect, node_id
from lab import check, check_eq, need_root, run, wait_for

SERVICE = ("builtin = pod-chat\ncalls = 100000\npeer_calls = 100000\npeer_work = 100000\n"
           "lookups = 100000\nfetches = 100000")


def start(lab, cnt=3):
    need_root()
    return fabric.start(lab, cnt, service=SERVICE)


def say(daemon, at, pod, *bodies):
    for body in bodies:
        ask(daemon, "pod-chat", "PostMessage", {"pod": pod, "channel": "general", "body": body}, at)


def history(daemon, pod, at=None, **more):
    """[(sender, body)] of all pages."""
    found, since = [], 0
    while True:
        page = ask(daemon, "pod-chat", "History", {"pod": pod, "since": since, **more}, at or daemon)
        found += [(row["sender"], row["body"]) for row in page["messages"]]
        since = page["next"]
        if not page["has_more"]:
            return found


def has(daemon, pod, host, cnt):
    answer = call(daemon, "pod-chat", "History", {"pod": pod, "host": host}, daemon)
    return answer["status"] == DONE and len(history(daemon, pod, host=host)) == cnt


def test_a_late_joiner_reads_the_history_when_its_host_is_gone(lab):
    n1, n2, n3 = start(lab)
    pod = ask(n1, "pod-chat", "Create", {"name": "tea"})["pod"]
    host = node_id(n1)
    ask(n2, "pod-chat", "Join", {"pod": pod}, n1)
    ask(n2, "pod-chat", "Keep", {"pod": pod, "host": host}, n2)
    say(n1, n1, pod, "first")
    say(n2, n1, pod, "second, süß")
    rows = next(row for row in n1.json("limits", "show")["limits"] if row["name"] == "pod-chat: rows")
    check_eq(rows["used"], 3, "the pod and two messages")
    check(rows["limit"] > 64000, f"as many as are configured: {rows}")
    wanted = [(host, "first"), (node_id(n2), "second, süß")]
    wait_for(lambda: has(n2, pod, host, 2), "n2 has both", timeout=60, pause=0.5)
    n1.kill()
    connect(n3, n2)
    check_eq(call(n3, "pod-chat", "History", {"pod": pod, "host": host}, n3)["status"],
             INVALID_PAYLOAD, "n3 has nothing")
    ask(n3, "pod-chat", "Keep", {"pod": pod, "host": host, "from": node_id(n2)}, n3)
    wait_for(lambda: has(n3, pod, host, 2), "n3 has both", timeout=60, pause=0.5)
    check_eq(history(n3, pod), wanted, "order and authors")
    check_eq(history(n3, pod, at=n2), wanted, "asked of n2 by a call")
    n3.kill()
    n3.start()
    check_eq(history(n3, pod), wanted, "after kill -9")
    ask(n3, "pod-chat", "Forget", {"pod": pod, "host": host}, n3)
    check_eq(call(n3, "pod-chat", "History", {"pod": pod}, n3)["status"], INVALID_PAYLOAD, "forgotten")


def test_a_private_history_is_for_members_alone(lab):
    n1, n2, n3 = start(lab)
    pod = ask(n1, "pod-chat", "Create", {"name": "den", "visibility": "private"})["pod"]
    host = node_id(n1)
    ask(n1, "pod-chat", "Admit", {"pod": pod, "peer": node_id(n2)}, n1)
    ask(n2, "pod-chat", "Keep", {"pod": pod, "host": host}, n2)
    say(n1, n1, pod, "hush")
    wait_for(lambda: has(n2, pod, host, 1), "a member has it", timeout=60, pause=0.5)
    connect(n3, n2)
    ask(n3, "pod-chat", "Keep", {"pod": pod, "host": host, "from": node_id(n2)}, n3)
    wait_for(lambda: "does not have it" in (ask(n3, "pod-chat", "Kept", {}, n3)["rooms"][0].get("fault") or ""),
             "an unknown peer is told that it is not there", timeout=60, pause=0.5)
    for at in (n1, n2):
        check_eq(call(n3, "pod-chat", "History", {"pod": pod}, at)["status"], INVALID_PAYLOAD,
                 f"an unknown peer asks {at.name}")
    check_eq(call(n3, "pod-chat", "Keep", {"pod": pod, "host": host}, n1)["status"], FORBIDDEN,
             "who says what n1 keeps")


def test_16_rooms_are_kept_and_no_more(lab):
    n1, n2 = start(lab, 2)
    host = node_id(n1)
    for number in range(16):
        ask(n2, "pod-chat", "Keep", {"pod": f"pod:{number:032x}", "host": host}, n2)
    answer = call(n2, "pod-chat", "Keep", {"pod": f"pod:{16:032x}", "host": host}, n2)
    check_eq(answer["status"], UNAVAILABLE, answer["text"])
    row = next(row for row in n2.json("limits", "show")["limits"]
               if row["name"] == "kept histories of rooms")
    check_eq((row["limit"], row["used"]), (16, 16), "shown")
    check_eq(len(ask(n2, "pod-chat", "Kept", {}, n2)["rooms"]), 16, "listed")
    ask(n2, "pod-chat", "Forget", {"pod": f"pod:{0:032x}", "host": host}, n2)
    ask(n2, "pod-chat", "Keep", {"pod": f"pod:{16:032x}", "host": host}, n2)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
