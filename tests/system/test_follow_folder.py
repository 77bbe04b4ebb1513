#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A folder is kept up to date with a followed share, and nothing of the user's is touched in it.

    n1 (10.77.0.1) -- switch -- n2 (10.77.0.2), n3 (10.77.0.3)
"""
import os
import pathlib
import random
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from fabric import start
from lab import ASKING_S, OK, REFUSED, USAGE, check, check_eq, run, same_tree, wait_for

SYNC = "[sharing]\nsync_interval = 10s\n"


def said(done, what):
    check_eq(done.returncode, OK, f"{what}: {done.stderr}")
    return done.stdout


def shown(daemon):
    return daemon.json("sub", "show", "mine")["follow"]


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and ".weft-" not in str(path)}


def wait_folder(daemon, revision):
    def is_there():
        daemon.weft("sub", "sync", "mine")
        follow = shown(daemon)
        return (follow.get("folder_revision") == revision
                and follow.get("folder_state") == "finished")
    wait_for(is_there, f"revision {revision} is in the folder", pause=ASKING_S)


def begun(lab, contents, *options):
    """Publisher, follower, its folder and the published one."""
    nodes = start(lab, 2, more=SYNC)
    folder = lab.dir / "docs"
    for name, text in contents.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(text)
    said(nodes[0].weft("share", "new", "docs", "--public"), "share new")
    said(nodes[0].weft("share", "publish", "docs", folder), "publish")
    link = said(nodes[0].weft("share", "link", "docs"), "link").strip()
    said(nodes[1].weft("sub", "add", link, "--name", "mine"), "sub add")
    out = lab.dir / "out"
    out.mkdir()
    (out / "foreign").write_text("mine")
    said(nodes[1].weft("sub", "set", "mine", "--get", out, *options), "sub set")
    wait_folder(nodes[1], 1)
    return nodes[0], nodes[1], folder, out


def update(daemon, revision=None):
    said(daemon.weft("share", "update", "docs"), "share update")


def test_a_new_revision_updates_the_folder_and_fetches_only_what_changed(lab):
    big = random.Random(1).randbytes(3_000_000)
    a, b, folder, out = begun(lab, {"big": big, "one": b"one", "sub/two": b"two", "gone": b"x"})
    check_eq(files(out), files(folder) | {"foreign": b"mine"}, "revision 1")
    inode = (out / "big").stat().st_ino
    (folder / "one").write_bytes(b"one, again")
    (folder / "new").write_bytes(b"new")
    (folder / "gone").unlink()
    (out / "sub/two").write_bytes(b"changed here")
    (folder / "sub/two").write_bytes(b"changed there")
    (out / "new").write_bytes(b"was here before")
    update(a)
    wait_folder(b, 2)
    check_eq(files(out), {"big": big, "one": b"one, again", "sub/two": b"changed here",
                          "new": b"was here before", "foreign": b"mine", "gone": b"x"},
             "changed and foreign files stay; without --mirror also what was removed")
    check_eq((out / "big").stat().st_ino, inode, "what is as it was is not written again")
    follow = shown(b)
    check_eq(follow["kept_files"], 2, follow)
    check("sub/two in its folder" in b.log_text() and "new in its folder" in b.log_text(), "told")
    rows = b.json("get", "list")["gets"]
    check_eq(len(rows), 1, "the former revision's get is gone")
    check(rows[0]["bytes_received"] < 100_000, rows[0])
    done = b.weft("get", "forget", str(rows[0]["get_id"]), "--delete")
    check_eq(done.returncode, REFUSED, done.stderr)
    check("--no-get" in done.stderr, done.stderr)


def test_a_mirror_removes_what_was_removed_and_keeps_versions(lab):
    a, b, folder, out = begun(lab, {"one": b"1", "sub/gone": b"x", "sub/changed": b"y", "way": b"z"},
                              "--mirror", "--keep-versions", "2")
    (folder / "one").write_bytes(b"2")
    (folder / "sub/gone").unlink()
    (folder / "sub/changed").unlink()
    (out / "sub/changed").write_bytes(b"my own")
    (folder / "way").unlink()
    (folder / "way").mkdir()
    (folder / "way/in").write_bytes(b"a folder now")
    update(a)
    wait_folder(b, 2)
    check_eq(files(out), {"one": b"2", "sub/changed": b"my own", "way/in": b"a folder now",
                          "foreign": b"mine"}, "mirrored")
    check_eq((out / ".weft-versions/1/one").read_bytes(), b"1", "the former version")
    check_eq((out / ".weft-versions/1/sub/gone").read_bytes(), b"x", "of what was removed, too")
    for number in (3, 4):
        (folder / "one").write_bytes(str(number).encode())
        update(a)
        wait_folder(b, number)
    check_eq(sorted(path.name for path in (out / ".weft-versions").iterdir()), ["2", "3"],
             "so many as were asked for")
    check_eq((out / ".weft-versions/3/one").read_bytes(), b"3", "the last")
    # A version too many is refused, a folder that is another's, too.
    done = b.weft("sub", "set", "mine", "--keep-versions", "1001")
    check_eq(done.returncode, USAGE, done.stderr)
    said(b.weft("sub", "set", "mine", "--no-get"), "no-get")
    check_eq(shown(b)["folder"], "", "none any more")
    said(b.weft("get", "forget", str(b.json("get", "list")["gets"][0]["get_id"])), "forget")


def test_updates_survive_kill_9(lab):
    contents = {f"d{i}/f{i}": f"{i}".encode() * 2000 for i in range(40)}
    a, b, folder, out = begun(lab, contents, "--mirror", "--keep-versions", "1")
    for revision in range(2, 6):
        for i in range(40):
            path = folder / f"d{i}/f{i}"
            path.write_bytes(f"{revision}-{i}".encode() * 2000)
        (folder / f"only{revision}").write_bytes(b"x")
        (folder / f"only{revision - 1}").unlink(missing_ok=True)
        update(a)
        b.weft_popen("sub", "sync", "mine")
        time.sleep(0.05 + 0.12 * (revision - 2))  # a point to die at, whichever it is
        b.kill()
        b.start()
        wait_folder(b, revision)
        check_eq(files(out), files(folder) | {"foreign": b"mine"}, f"revision {revision}")
        check_eq(shown(b)["kept_files"], 0, "nothing of its own is taken for foreign")


def links(folder):
    return {str(path.relative_to(folder)): os.readlink(path) for path in folder.rglob("*")
            if path.is_symlink()}


def relink(path, text):
    path.unlink(missing_ok=True)
    path.symlink_to(text)


def test_links_that_weft_made_are_updated_and_no_others(lab):
    names = ("moved", "gone", "mine", "same", "file", "back")
    nodes = start(lab, 2, more=SYNC)
    a, b = nodes
    folder, out = lab.dir / "docs", lab.dir / "out"
    (folder / "sub").mkdir(parents=True)
    for text in ("one", "two"):
        (folder / text).write_bytes(text.encode())
    for name in names:
        (folder / name).symlink_to("one")
    (folder / "sub/in").symlink_to("../one")
    (folder / "was-here").symlink_to("one")
    out.mkdir()
    (out / "was-here").symlink_to("one")  # the user's, though it leads to the same
    said(a.weft("share", "new", "docs", "--public"), "share new")
    said(a.weft("share", "publish", "docs", folder), "publish")
    link = said(a.weft("share", "link", "docs"), "link").strip()
    said(b.weft("sub", "add", link, "--name", "mine"), "sub add")
    said(b.weft("sub", "set", "mine", "--get", out, "--mirror"), "sub set")
    wait_folder(b, 1)
    check_eq(links(out), links(folder), "revision 1")
    relink(folder / "moved", "two")
    (folder / "gone").unlink()
    (folder / "sub/in").unlink()
    relink(folder / "mine", "two")
    relink(out / "mine", "sub")  # altered here
    relink(folder / "was-here", "two")
    (folder / "file").unlink()
    (folder / "file").write_bytes(b"a file now")
    (folder / "two").unlink()
    (folder / "two").symlink_to("one")  # and a link that was a file
    update(a)
    wait_folder(b, 2)
    want = {"moved": "two", "mine": "sub", "same": "one", "back": "one", "was-here": "one",
            "two": "one"}
    check_eq(links(out), want, "revision 2")
    check_eq(files(out)["file"], b"a file now", "a file in the place of a link")
    check_eq(shown(b)["kept_files"], 2, "altered and foreign ones are counted")
    # A kill while one is fetched leaves none that weft takes for the user's.
    for number in range(3, 9):
        for name in ("moved", "same", "back"):
            relink(folder / name, f"target-{number}" if number % 2 else "one")
        (folder / f"target-{number}").write_bytes(b"x")
        update(a)
        b.weft_popen("sub", "sync", "mine")
        time.sleep(0.01 * (number - 2))
        b.kill()
        b.start()
        wait_folder(b, number)
        found = links(out)
        check_eq({name: found[name] for name in ("moved", "same", "back")},
                 {name: os.readlink(folder / name) for name in ("moved", "same", "back")},
                 f"revision {number}")
    said(b.weft("sub", "set", "mine", "--no-get"), "no-get")
    row, = b.json("get", "list")["gets"]
    said(b.weft("get", "forget", row["get_id"], "--delete"), "forget")
    check_eq(links(out), {"mine": "sub", "was-here": "one"}, "those that weft made go")


def test_a_folder_goes_on_under_the_successor_of_a_rotated_key(lab):
    big = random.Random(2).randbytes(2_000_000)
    a, b, folder, out = begun(lab, {"big": big, "one": b"1", "gone": b"x", "mine": b"y"},
                              "--mirror", "--keep-versions", "2")
    former = shown(b)["share_id"]
    inode = (out / "big").stat().st_ino
    (out / "mine").write_bytes(b"changed here")
    (folder / "one").write_bytes(b"2")
    (folder / "gone").unlink()
    said(a.weft("share", "rotate", "docs", "--yes"), "rotate")
    b.weft_popen("sub", "sync", "mine")
    time.sleep(0.3)
    b.kill()
    b.start()

    def is_moved():
        b.weft("sub", "sync", "mine")
        follow = shown(b)
        return follow["share_id"] != former and follow.get("folder_state") == "finished"
    wait_for(is_moved, "the successor's revision is in the folder", pause=ASKING_S)
    wait_for(lambda: files(out) == {"big": big, "one": b"2", "mine": b"changed here",
                                    "foreign": b"mine"}, f"mirrored: {sorted(files(out))}")
    check_eq((out / "big").stat().st_ino, inode, "what is as it was is not written again")
    versions = out / ".weft-versions"
    check_eq(sorted(path.name for path in versions.rglob("*") if path.is_file()), ["gone", "one"],
             "the former versions are kept")
    rows = b.json("get", "list")["gets"]
    check_eq(len(rows), 1, f"one get is the folder's: {rows}")
    for number in (2, 3):  # of the successor
        (folder / "one").write_bytes(f"again {number}".encode())
        update(a)
        wait_folder(b, number)
        check_eq((out / "one").read_bytes(), f"again {number}".encode(), f"revision {number}")
        check_eq(shown(b)["kept_files"], 1, "only what was changed here is foreign")
    check_eq(len(list(versions.iterdir())), 2, "so many versions as were asked for")


run([test_a_new_revision_updates_the_folder_and_fetches_only_what_changed,
     test_a_mirror_removes_what_was_removed_and_keeps_versions,
     test_updates_survive_kill_9, test_links_that_weft_made_are_updated_and_no_others,
     test_a_folder_goes_on_under_the_successor_of_a_rotated_key])
