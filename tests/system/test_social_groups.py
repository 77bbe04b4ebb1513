#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Groups of the people of three nodes on a switch, by the command: created, accepted, roles, removal,
leaving, over kill -9. n1 (10.77.0.1) is the admin's node."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import NOT_FOUND, OK, REFUSED, check_eq, need_root, run, wait_for


def start(lab):
    need_root()
    return fabric.start(lab, 3)


def done(daemon, *words, want=OK):
    result = daemon.weft("group", *words)
    check_eq(result.returncode, want, f"group {' '.join(words)}: {result.stderr}")
    return result


def group_of(daemon, name="boats"):
    return next((row for row in daemon.json("group", "list")["groups"] if row["name"] == name), None)


def invited(daemon):
    return [row["name"] for row in daemon.json("group", "list")["invitations"]]


def founded(lab):
    n1, n2, n3 = start(lab)
    done(n1, "create", "boats", fabric.node_id(n2), fabric.node_id(n3), "--role", "poster")
    for daemon in (n2, n3):
        wait_for(lambda: invited(daemon) == ["boats"], f"{daemon.name} is invited")
        check_eq(group_of(daemon), None, "before it is accepted")
        done(daemon, "accept", "boats")
        wait_for(lambda: group_of(daemon)["has_key"], f"{daemon.name} has the key")
    return n1, n2, n3


def test_members_accept_and_one_that_is_removed_has_no_key_of_what_follows(lab):
    n1, n2, n3 = founded(lab)
    rows = n1.json("group", "show", "boats")["members"]
    check_eq({row["person"]: row["role"] for row in rows},
             {fabric.node_id(n1): "admin", fabric.node_id(n2): "poster", fabric.node_id(n3): "poster"},
             "members")
    done(n2, "remove", "boats", fabric.node_id(n3), want=REFUSED)
    done(n1, "role", "boats", "moderator", fabric.node_id(n2))
    wait_for(lambda: group_of(n2)["role"] == "moderator", "n2 hears of its role")
    done(n2, "remove", "boats", fabric.node_id(n3))
    wait_for(lambda: group_of(n3)["member"] is False, "n3 hears that it is gone")
    wait_for(lambda: group_of(n1)["members"] == 2 and group_of(n1)["has_key"], "n1 follows")
    check_eq(group_of(n1)["epoch"], group_of(n2)["epoch"], "epochs")


def test_a_member_that_was_killed_catches_up_and_one_leaves(lab):
    n1, n2, n3 = founded(lab)
    n2.kill()
    for _ in range(3):
        done(n1, "rekey", "boats")
    n2.start()
    check_eq(group_of(n2)["epoch"], 0, "before it hears")
    fabric.connect(n2, n3)
    wait_for(lambda: group_of(n2)["epoch"] == 3 and group_of(n2)["has_key"], "n2 catches up from n3")
    done(n1, "leave", "boats", want=REFUSED)
    done(n3, "leave", "boats")
    fabric.connect(n3, n1)
    wait_for(lambda: group_of(n1)["members"] == 2, "n1 removes n3")
    done(n1, "show", "ships", want=NOT_FOUND)
    n1.kill()
    n1.start()
    check_eq(group_of(n1)["members"], 2, "members after kill -9")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
