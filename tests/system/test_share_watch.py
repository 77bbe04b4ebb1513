#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A folder that is watched is published by itself."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import NOT_FOUND, OK, USAGE, check, check_eq, run, wait_for


def said(done, what):
    check_eq(done.returncode, OK, f"{what}: {done.stderr}")
    return done.stdout


def shown(daemon, name):
    return daemon.json("share", "show", name)["share"]


def paths(daemon, name):
    return sorted(item["path"] for item in daemon.json("share", "items", name)["items"])


def wait_paths(daemon, name, want):
    wait_for(lambda: paths(daemon, name) == want, f"{name} has {want}")


def test_what_changes_is_published_after_a_quiet_time(lab):
    a = lab.daemon("a").start()
    folder = lab.folder("docs", {"one": 10, "sub/two": 20})
    said(a.weft("share", "watch", folder, "--quiet", "1s"), "watch")
    share = shown(a, "docs")
    check(share["watch"] == "inotify" and share["watch_quiet_s"] == 1, share)
    wait_for(lambda: shown(a, "docs")["watched_dirs"] == 2, "both directories are watched")
    (folder / "sub/deep/er").mkdir(parents=True)
    (folder / "sub/deep/er/three").write_text("3")
    wait_paths(a, "docs", ["one", "sub/deep/er/three", "sub/two"])
    (folder / "sub/deep/er/four").write_text("4")
    wait_paths(a, "docs", ["one", "sub/deep/er/four", "sub/deep/er/three", "sub/two"])
    (folder / "sub/deep").rename(folder / "moved")
    (folder / "one").unlink()
    wait_paths(a, "docs", ["moved/er/four", "moved/er/three", "sub/two"])
    # A change made while the daemon is down is published at the next start.
    a.kill()
    (folder / "five").write_text("5")
    a.start()
    wait_paths(a, "docs", ["five", "moved/er/four", "moved/er/three", "sub/two"])
    (folder / "five").unlink()
    wait_paths(a, "docs", ["moved/er/four", "moved/er/three", "sub/two"])
    # No more, and not after a restart either.
    said(a.weft("share", "watch", "docs", "--off"), "off")
    check("watch" not in shown(a, "docs"), "it is watched no more")
    a.stop()
    a.start()
    check("watch" not in shown(a, "docs"), "nor after a restart")


def test_too_many_directories_are_looked_at_now_and_then(lab):
    a = lab.daemon("a", config="[sharing]\nwatch_dirs = 2\nwatch_rescan = 10s\n").start()
    folder = lab.folder("docs", {"one": 10, "sub/two": 20})
    said(a.weft("share", "watch", folder, "--quiet", "1s"), "watch")
    wait_for(lambda: shown(a, "docs").get("watched_dirs") == 2, "as many as may be")
    (folder / "more").mkdir()
    (folder / "more/three").write_text("3")
    wait_for(lambda: shown(a, "docs")["watch"] == "rescan", "one too many")
    check("sharing.watch_dirs" in a.log_text(), "it is said")
    (folder / "more/four").write_text("4")
    wait_paths(a, "docs", ["more/four", "more/three", "one", "sub/two"])
    (folder / "more/three").unlink()
    (folder / "more/four").unlink()
    (folder / "more").rmdir()
    wait_paths(a, "docs", ["one", "sub/two"])
    wait_for(lambda: shown(a, "docs")["watch"] == "inotify", "it can be watched again")


def test_a_watch_follows_a_rotated_key(lab):
    a = lab.daemon("a").start()
    folder = lab.folder("docs", {"one": 10})
    said(a.weft("share", "watch", folder, "--quiet", "1s"), "watch")
    wait_paths(a, "docs", ["one"])
    former = shown(a, "docs")["share_id"]
    said(a.weft("share", "rotate", "docs", "--yes"), "rotate")
    a.kill()  # before the watch looked again
    (folder / "two").write_text("2")
    a.start()
    wait_paths(a, "docs", ["one", "two"])
    share = wait_for(lambda: "watch" in shown(a, "docs") and shown(a, "docs"), "it is watched")
    check(share["share_id"] != former and share["watch_quiet_s"] == 1, share)
    check("watch" not in shown(a, "docs.old"), "the former key is watched no more")
    (folder / "three").write_text("3")
    wait_paths(a, "docs", ["one", "three", "two"])
    # And without a kill; what is told to the successor at once holds.
    said(a.weft("share", "rotate", "docs", "--yes"), "rotate again")
    (folder / "four").write_text("4")
    wait_paths(a, "docs", ["four", "one", "three", "two"])
    said(a.weft("share", "rotate", "docs", "--yes"), "a third time")
    said(a.weft("share", "watch", "docs", "--off"), "off")
    a.stop()
    a.start()
    check("watch" not in shown(a, "docs"), "nothing is watched after a restart")


def test_wrong_watches_are_refused(lab):
    a = lab.daemon("a", config="[sharing]\nwatch_cap = 1\n").start()
    one, two = lab.folder("one", {"x": 1}), lab.folder("two", {"y": 1})
    said(a.weft("share", "watch", one), "watch")
    done = a.weft("share", "watch", two)
    check(done.returncode != OK and "sharing.watch_cap" in done.stderr, done.stderr)
    said(a.weft("share", "watch", "one", "--off"), "off")
    said(a.weft("share", "watch", two), "there is a place again")
    rows = {row["name"]: row for row in a.json("limits", "show")["limits"]}
    check_eq(rows["sharing.watch_cap"]["used"], 1, "shown")
    check_eq(a.weft("share", "watch", lab.dir / "none").returncode, NOT_FOUND, "no folder")
    check_eq(a.weft("share", "watch", two, "--quiet", "25h").returncode, USAGE, "too long")


run([test_what_changes_is_published_after_a_quiet_time,
     test_too_many_directories_are_looked_at_now_and_then,
     test_a_watch_follows_a_rotated_key, test_wrong_watches_are_refused])
