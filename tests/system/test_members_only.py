#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is bound to a community is its members' alone: three nodes on a switch, of which n3 is
connected and no member. n1 (10.77.0.1) serves the overlay and publishes, n2 is a member."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import NOT_FOUND, OK, check, check_eq, need_root, run, same_tree, wait_for

CONFIG = "[community]\nsync = 1s\n[sharing]\nsync_interval = 10s\n"
FILES = {"a.map": 300_000, "sub/b.map": 2000}
# How long a node that may not have it is let try.
REFUSED_S = "5s"


def start(lab, cnt=3):
    need_root()
    nodes = fabric.start(lab, cnt, more=CONFIG)
    if cnt > 2:
        fabric.connect(nodes[2], nodes[1])
    return nodes


def weft(daemon, *words, want=OK):
    result = daemon.weft(*words)
    check_eq(result.returncode, want, f"{daemon.name}: {' '.join(words)}: {result.stderr}")
    return result.stdout.strip()


def members(daemon, name):
    return {row["node_id"] for row in daemon.json("community", "members", name)["members"]}


def wait_members(name, *those):
    wanted = {fabric.node_id(each) for each in those}
    for daemon in those:
        wait_for(lambda daemon=daemon: members(daemon, name) == wanted,
                 f"{daemon.name} lists {[each.name for each in those]}", pause=0.2)


def join(name, owner, *others, strict=True):
    """owner makes the community, others join it by token."""
    link = weft(owner, "community", "create", name, *(["--strict"] if strict else []))
    for daemon in others:
        token = weft(owner, "community", "token", name, fabric.node_id(daemon)) if strict else None
        weft(daemon, "community", "join", link, "--name", name,
             *(["--token", token] if token else []))
    wait_members(name, owner, *others)
    return link


def publish(daemon, name, folder, *words):
    weft(daemon, "share", "new", name, "--public", *words)
    weft(daemon, "share", "publish", name, str(folder))
    return weft(daemon, "share", "link", name)


def collection_id(daemon, name):
    row = next(row for row in daemon.json("share", "list")["published"] if row["name"] == name)
    return row["collection_id"] if "collection_id" in row else row["revision"]["collection_id"]


def listed(daemon, of):
    return [row["share_id"] for row in daemon.json("share", "list", fabric.node_id(of))["shares"]]


def get(daemon, link, to, want=OK):
    return weft(daemon, "get", link, "--to", str(to), "--wait", want=want)


def test_a_non_member_neither_lists_nor_fetches(lab):
    n1, n2, n3 = start(lab)
    join("club", n1, n2)
    folder = lab.folder("maps", FILES)
    link = publish(n1, "maps", folder, "--community", "club")
    wait_for(lambda: n2.json("community", "shares", "club")["shares"], "n2 sees it", pause=0.2)
    check_eq(listed(n3, n1), [], "what n3 is told that n1 shares")
    refused = n3.weft("get", link, "--to", str(lab.dir / "n3"), "--timeout", REFUSED_S)
    check(refused.returncode != OK, f"n3 got what it is no member for: {refused.stdout}")
    weft(n2, "get", link, "--to", str(lab.dir / "n2"))
    same_tree(folder, lab.dir / "n2")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
