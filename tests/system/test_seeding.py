#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A seeder keeps to what it is told, says what it does, and getters pass on what they have."""
import pathlib
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, NOT_FOUND, OK, USAGE, check, check_eq, run, same_tree, wait_for

CHUNK = 256 * 1024
MIB = 4 * CHUNK


def limit(daemon, name):
    return next(row for row in daemon.json("limits", "list")["limits"] if row["name"] == name)


def set_limit(daemon, *words):
    done = daemon.weft("limits", "set", *words)
    check_eq(done.returncode, OK, f"limits set: {done.stderr}")


def fetch_s(lab, getter, link, name):
    """Seconds that a get took."""
    start = time.monotonic()
    done = getter.weft("get", link, "--to", lab.dir / name)
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    return time.monotonic() - start


def test_limits_are_set_kept_and_reset(lab):
    a = lab.daemon("a", config="[sharing]\nupload = 2gbit\n").start()
    check_eq(limit(a, "upload")["value"], "2gbit", "as configured")
    set_limit(a, "upload", "10mbit")
    set_limit(a, "upload-slots", "7")
    a.stop()
    a.start()
    check_eq(limit(a, "upload")["value"], "10mbit", "after a restart")
    check_eq(limit(a, "upload")["limit"], 1250000, "in bytes")
    check(limit(a, "upload")["kept"], "it was set")
    check_eq(limit(a, "upload-slots")["limit"], 7, "slots")
    check_eq(a.weft("limits", "reset", "upload").returncode, OK, "reset")
    check_eq(limit(a, "upload")["value"], "2gbit", "as configured again")
    set_limit(a, "upload", "none")
    check_eq(limit(a, "upload")["limit"], 0, "none")


def test_wrong_limits_are_refused(lab):
    a = lab.daemon("a").start()
    for words, said in ((("sideways", "1mbit"), "no limit of that name"),
                        (("upload", "10"), "not a rate"),
                        (("upload", "10parsec"), "not a rate"),
                        (("upload", "1001gbit"), "more than there can be"),
                        (("upload-slots", "1mbit"), "not a number"),
                        (("upload-slots", "1025"), "more than there can be")):
        done = a.weft("limits", "set", *words)
        check_eq(done.returncode, USAGE, f"{words}: {done.stderr}")
        check(said in done.stderr, f"{words}: {done.stderr}")
    check_eq(a.weft("limits", "reset", "sideways").returncode, USAGE, "reset of none")
    check(all(row["limit"] == 0 for row in a.json("limits", "list")["limits"]), "nothing was set")


def check_took(took, size, per_s):
    """No faster than the limit, but for a chunk and 20 ms. Tests on virtual time check
    how exactly it holds, for here other programs run as well."""
    least = (size - CHUNK) / per_s * 0.95
    check(least <= took, f"{took:.2f} s, not {least:.2f}")


def held(lab, config, per_s, cnt):
    """Getters of 12 MiB in all, one after the other, take as long as the limit says.
    Each gets another file, so that none can pass it on."""
    a = lab.daemon("a", config=config).start()
    links = [a.share(lab.folder(f"root{i}", {"x": 12 * MIB // cnt}, seed=i)) for i in range(cnt)]
    set_limit(a, "upload", f"{per_s * 8 // 1000000}mbit")
    getters = [lab.daemon(f"b{i}").start() for i in range(cnt)]
    start = time.monotonic()
    for i, getter in enumerate(getters):
        fetch_s(lab, getter, links[i], f"out{i}")
    took = time.monotonic() - start
    check_took(took, 12 * MIB, per_s)
    return a


def test_upload_keeps_to_its_limit(lab):
    held(lab, "", 4000000, 1)


def test_upload_of_several_workers_keeps_to_one_limit(lab):
    a = held(lab, "[node]\nworkers = 3\n", 4000000, 3)
    seeding = wait_for(lambda: (s := a.json("seed", "top")) and
                       sum(p["bytes"] for p in s["peers"]) >= 12 * MIB and
                       sum(c["bytes"] for c in s["contents"]) >= 12 * MIB and s, "all workers told")
    check_eq(len(seeding["peers"]), 3, "peers")
    check_eq(sum(p["bytes"] for p in seeding["peers"]), 12 * MIB, "bytes by peer")
    check_eq([c["bytes"] for c in seeding["contents"]], [4 * MIB] * 3, "bytes by content")
    check_eq({pathlib.Path(c["path"]).parent.name for c in seeding["contents"]},
             {"root0", "root1", "root2"}, "paths")


def test_download_keeps_to_its_limits(lab):
    """Of all, and of each source; in a second of each."""
    a = lab.daemon("a").start()
    for name in "download", "download-peer":
        link = a.share(lab.folder(name, {"x": 8 * MIB}, seed=len(name)))
        b = lab.daemon(f"b-{name}").start()
        set_limit(b, name, "32mbit")
        took = fetch_s(lab, b, link, f"out-{name}")
        check_took(took, 8 * MIB, 4000000)


def test_getters_pass_on_what_they_have(lab):
    """The seeder is slow; every node with some of it serves that, whichever worker is asked."""
    config = "[node]\nworkers = 3\n"
    a = lab.daemon("a", config=config).start()
    root = lab.folder("root", {"x": 8 * MIB})
    link = a.share(root)
    set_limit(a, "upload", "16mbit")
    getters = [lab.daemon(f"b{i}", config=config).start() for i in range(3)]
    gets = [getter.weft_popen("get", link, "--to", str(lab.dir / f"out{i}"))
            for i, getter in enumerate(getters)]
    for i, get in enumerate(gets):
        check_eq(get.wait(DEADLINE_S), OK, f"get {i}")
        same_tree(root, lab.dir / f"out{i}")

    def sent_bytes(*daemons):
        return sum(daemon.json("seed", "top")["sum"]["sent_bytes"] for daemon in daemons)

    # Workers tell what they sent some times a second.
    wait_for(lambda: sent_bytes(a, *getters) >= 3 * 8 * MIB, "all that was got is told")
    sent, passed_on = sent_bytes(a), sent_bytes(*getters)
    check(passed_on > 0, f"the seeder sent all {sent} bytes")
    check(sent < 3 * 8 * MIB, f"the seeder sent {sent}, getters {passed_on}")


def test_items_of_a_share_and_its_servers_are_listed(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    files = {"one": 5, "sub/two": 3 * MIB, "z": 0}
    link = a.share(lab.folder("root", files))
    set_limit(a, "upload", "6mbit")
    fetch_s(lab, b, link, "out")
    told = wait_for(lambda: (t := a.json("share", "items", link))["seeders"] == 1 and t,
                    "b serves it, too")
    check_eq({i["path"]: i["bytes"] for i in told["items"]}, files, "items")
    check_eq(told["total"], 3, "in all")
    rest = a.json("share", "items", link, "--from", "2")
    check_eq([i["path"] for i in rest["items"]], ["z"], "from the third on")
    a.json("share", "new", "papers")
    a.json("share", "publish", "papers", lab.dir / "root")
    check_eq(a.json("share", "items", "papers")["total"], 3, "by the name of a share")
    check_eq(a.weft("share", "items", "nothing").returncode, NOT_FOUND, "no such share")
    check_eq(a.weft("share", "items", link[:-20]).returncode == OK, False, "a cut link")
    c = lab.daemon("c").start()
    check_eq(c.weft("share", "items", link).returncode, NOT_FOUND, "what is not here")


run([test_limits_are_set_kept_and_reset, test_wrong_limits_are_refused,
     test_upload_keeps_to_its_limit, test_upload_of_several_workers_keeps_to_one_limit,
     test_download_keeps_to_its_limits, test_getters_pass_on_what_they_have, test_items_of_a_share_and_its_servers_are_listed])
