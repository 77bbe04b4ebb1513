#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What is bound to a community is its members' alone: three nodes on a switch, of which n3 is
connected and no member. n1 (10.77.0.1) serves the overlay and publishes, n2 is a member."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fabric
from lab import OK, REFUSED, check, check_eq, need_root, run, same_tree, wait_for

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


def listed(daemon, of):
    return [row["share_id"] for row in daemon.json("share", "list", fabric.node_id(of))["shares"]]


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


def expelled(daemon, name):
    row = next(row for row in daemon.json("community", "list")["communities"] if row["name"] == name)
    return row["epoch"], row["expelled"], row["key_epoch"]


def test_an_expelled_member_learns_nothing_more_over_kill_9(lab):
    """n2 has it, too: it heard of the roll from n1, and keeps to it."""
    n1, n2, n3 = start(lab)
    join("club", n1, n2, n3)
    folder = lab.folder("maps", FILES)
    link = publish(n1, "maps", folder, "--community", "club")
    for daemon in (n2, n3):
        wait_for(lambda daemon=daemon: daemon.json("community", "shares", "club")["shares"],
                 f"{daemon.name} sees it", pause=0.2)
    weft(n2, "get", link, "--to", str(lab.dir / "n2"))
    check_eq(expelled(n1, "club"), (1, 0, 1), "the first roll")
    weft(n2, "community", "expel", "club", fabric.node_id(n3), want=REFUSED)
    weft(n1, "community", "expel", "club", fabric.node_id(n3))
    weft(n1, "community", "expel", "club", fabric.node_id(n3), want=REFUSED)
    check_eq(expelled(n1, "club"), (2, 1, 2), "the next one")
    wait_for(lambda: expelled(n2, "club") == (2, 1, 2), "n2 heard of it", pause=0.2)
    for daemon in (n1, n2):
        wait_for(lambda daemon=daemon: members(daemon, "club") == {fabric.node_id(n1), fabric.node_id(n2)},
                 f"{daemon.name} forgot n3", pause=0.2)
    for daemon in (n1, n2):
        daemon.kill()
        daemon.start()
        check_eq(expelled(daemon, "club"), (2, 1, 2), f"{daemon.name} after kill -9")
    fabric.connect(n3, n1)
    refused = n3.weft("get", link, "--to", str(lab.dir / "n3"), "--timeout", REFUSED_S)
    check(refused.returncode != OK, f"n3 got it after all: {refused.stdout}")
    asked = n3.weft("community", "shares", "club", "--from", fabric.node_id(n1))
    check(asked.returncode != OK, f"n3 is told of shares: {asked.stdout}")
    # It may be taken back: its token counts again.
    weft(n1, "community", "expel", "club", fabric.node_id(n3), "--undo")
    check_eq(expelled(n1, "club"), (3, 0, 3), "the third")
    wait_for(lambda: n3.weft("get", link, "--to", str(lab.dir / "again")).returncode == OK,
             "n3 gets it again", pause=0.5)
    same_tree(folder, lab.dir / "again")


def test_members_have_it_from_each_other_without_its_publisher(lab):
    """No public record names the share; n1, that its link names, is gone."""
    n1, n2, n3 = start(lab)
    join("club", n1, n2, n3)
    folder = lab.folder("maps", FILES)
    link = publish(n1, "maps", folder, "--community", "club")
    bare = weft(n1, "share", "link", "maps", "--bare")
    weft(n2, "get", link, "--to", str(lab.dir / "n2"))
    wait_for(lambda: n3.json("community", "shares", "club")["shares"], "n3 sees it", pause=0.2)
    n1.kill()
    wait_for(lambda: n3.weft("get", bare, "--to", str(lab.dir / "n3")).returncode == OK,
             "n3 gets it from n2", pause=0.5)
    same_tree(folder, lab.dir / "n3")


def zbase32(data):
    bits = int.from_bytes(data, "big") << (-8 * len(data) % 5)
    cnt = (8 * len(data) + 4) // 5
    return "".join("ybndrfg8ejkmcpqxot1uwisza345h769"[bits >> 5 * at & 31] for at in reversed(range(cnt)))


def test_a_revocation_list_has_256_nodes_and_no_more(lab):
    (n1,) = start(lab, 1)
    weft(n1, "community", "create", "club", "--strict")
    for number in range(256):
        n1.call("ExpelCommunityMember", name="club", node_id=zbase32(bytes([1, number]) + bytes(30)))
    said = n1.weft("community", "expel", "club", zbase32(bytes([2]) * 32))
    check(said.returncode != OK and "256 nodes are expelled" in said.stderr, said.stderr)
    fill = next(row for row in n1.json("community", "list")["fills"] if "expelled" in row["name"])
    check_eq((fill["used"], fill["cap"]), (256, 256), "shown")
    n1.kill()
    n1.start()
    check_eq(expelled(n1, "club"), (257, 256, 257), "after kill -9")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
