#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Getting what is on the disk already, on a disk that has no room for it twice."""
import os
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from disk import Disk
from lab import OK, check, check_eq, run, same_tree

LONG = 170 << 20
SLACK = 8 << 20


def free_len(path):
    fs = os.statvfs(path)
    return fs.f_bavail * fs.f_frsize


def got_once(lab, disk):
    """b has the collection on the disk; a, which shared it, is gone."""
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    root = lab.folder("root", {"long": LONG, "short": 1000})
    link = a.share(root)
    done = b.weft("get", link, "--to", disk.root / "out")
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    check(free_len(disk.root) < LONG, "there is room for both: nothing is shown")
    a.stop()
    return b, root, link


def test_where_extents_can_be_shared_it_takes_no_room(lab):
    disk = Disk(lab, "xfs")
    try:
        b, root, link = got_once(lab, disk)
        before = free_len(disk.root)
        done = b.weft("get", link, "--to", disk.root / "again")
        check_eq(done.returncode, OK, f"get again: {done.stderr}")
        same_tree(root, disk.root / "again")
        check(before - free_len(disk.root) < SLACK, "it was copied")
    finally:
        disk.close()


def test_where_it_must_be_copied_the_room_is_looked_at_first(lab):
    disk = Disk(lab, "ext4")
    try:
        b, _, link = got_once(lab, disk)
        before = free_len(disk.root)
        done = b.weft("get", link, "--to", disk.root / "again")
        check(done.returncode != OK, "it fits")
        check("MiB are needed and" in done.stderr, done.stderr)
        check(before - free_len(disk.root) < SLACK, "a rest of the copy stays")
        check(not list((disk.root / "again").rglob("*.copy")), "a rest of the copy stays")
    finally:
        disk.close()


if __name__ == "__main__":
    run([test_where_extents_can_be_shared_it_takes_no_room,
         test_where_it_must_be_copied_the_room_is_looked_at_first])
