#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A share gets another key, which its old one signs; followers and links go on.

    n1 (10.77.0.1) publishes -- switch -- n2, n3 (10.77.0.2, .3)
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from fabric import start
from lab import ASKING_S, OK, check, check_eq, run, same_tree, wait_for

SYNC = "[sharing]\nsync_interval = 10s\n"
FILES = {"a.bin": 300_000, "b/d.txt": 1000}


def said(done, what):
    check_eq(done.returncode, OK, f"{what}: {done.stderr}")
    return done.stdout.strip()


def publish(daemon, name, folder):
    said(daemon.weft("share", "new", name, "--public"), f"share new {name}")
    said(daemon.weft("share", "publish", name, folder), f"share publish {name}")
    return said(daemon.weft("share", "link", name), "share link")


def share(daemon, name):
    return daemon.json("share", "show", name)["share"]


def follow(daemon, name):
    return daemon.json("sub", "show", name)["follow"]


def wait_follow(daemon, name, share_id, revision):
    def is_here():
        daemon.weft("sub", "sync", name)
        now = follow(daemon, name)
        return (now["share_id"], now["revision"], now["state"]) == (share_id, revision, "current")
    wait_for(is_here, f"{daemon.name} has revision {revision} of {share_id}", pause=ASKING_S)


def test_a_follower_moves_to_the_new_key_over_kill_9_and_old_links_lead_on(lab):
    n1, n2, n3 = start(lab, 3, more=SYNC)
    folder = lab.folder("docs", FILES)
    link = publish(n1, "docs", folder)
    old_id = share(n1, "docs")["share_id"]
    said(n2.weft("sub", "add", link, "--name", "mine", "--trust", "trusted", "--weight", "70"),
         "sub add")
    wait_follow(n2, "mine", old_id, 1)
    refused = n1.weft("share", "rotate", "docs")
    check(refused.returncode != OK, "it is done without --yes")

    said(n1.weft("share", "rotate", "docs", "--yes"), "share rotate")
    new = share(n1, "docs")
    old = share(n1, "docs.old")
    check(new["share_id"] != old_id, "there is another key")
    check_eq((old["share_id"], old["state"], old["successor"]), (old_id, "revoked", new["share_id"]),
             "the old one says where it went")
    check_eq((new["state"], new["revision"], new["path"]), ("current", 1, str(folder)), "the new")
    wait_follow(n2, "mine", new["share_id"], 1)
    n2.kill()
    n1.kill()
    n1.start()
    check_eq(share(n1, "docs.old")["successor"], new["share_id"], "after kill -9 of n1")
    check_eq(share(n1, "docs")["state"], "current", "after kill -9 of n1")
    n2.start()
    mine = follow(n2, "mine")
    check_eq((mine["share_id"], mine["trust"], mine["weight"]), (new["share_id"], "trusted", 70),
             "after kill -9 of n2")
    check_eq(len(n2.json("sub", "list")["follows"]), 1, "shares that n2 follows")
    said(n2.weft("get", "mine", "--to", lab.dir / "n2"), "get by name")
    same_tree(folder, lab.dir / "n2")

    # A node that never heard of it has the old link alone.
    said(n3.weft("get", link, "--to", lab.dir / "n3"), "get by the old link")
    same_tree(folder, lab.dir / "n3")
    said(n3.weft("sub", "add", link, "--name", "late"), "sub add by the old link")
    wait_follow(n3, "late", new["share_id"], 1)

    # What is published from now on has the new key.
    (folder / "new.txt").write_text("more")
    said(n1.weft("share", "update", "docs"), "share update")
    for daemon, name in ((n2, "mine"), (n3, "late")):
        wait_follow(daemon, name, new["share_id"], 2)


def test_keys_one_after_the_other_are_gone_through_and_no_more_than_eight(lab):
    n1, n2 = start(lab, 2, more=SYNC)
    folder = lab.folder("docs", FILES)
    links = [publish(n1, "docs", folder)]
    for number in range(9):
        said(n1.weft("share", "rotate", "docs", "--yes"), f"rotation {number + 1}")
        links.append(said(n1.weft("share", "link", "docs"), "share link"))
    # From the first key it is nine, from the second eight.
    refused = n2.weft("get", links[0], "--to", lab.dir / "nine")
    check(refused.returncode != OK, f"nine keys were gone through: {refused.stdout}")
    said(n2.weft("get", links[1], "--to", lab.dir / "eight"), "get over eight keys")
    same_tree(folder, lab.dir / "eight")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
