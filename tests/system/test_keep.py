#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What was got can be given up, its seeding stopped and bounded, and nothing is forgotten silently."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import NOT_FOUND, OK, USAGE, check, check_eq, run, wait_for


def the_get(daemon, get_id=1):
    rows = [row for row in daemon.json("get", "list")["gets"] if row["get_id"] == get_id]
    return rows[0] if rows else None


def got(lab, files, config=""):
    a = lab.daemon("a").start()
    b = lab.daemon("b", config=config).start()
    root = lab.folder("root", files)
    link = a.share(root)
    out = lab.dir / "out"
    done = b.weft("get", link, "--to", out)
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    return a, b, link, root, out


def test_a_get_is_given_up_with_its_files_and_no_others(lab):
    _a, b, _link, _root, out = got(lab, {"one": 300000, "sub/two": 10, "sub/three": 20})
    (out / "mine").write_text("mine")
    (out / "sub/three").write_text("changed")
    done = b.weft("get", "forget", "1", "--delete", "--json")
    check_eq(done.returncode, OK, f"forget: {done.stderr}")
    check('"removed":2' in done.stdout.replace(" ", ""), done.stdout)
    check('"kept":1' in done.stdout.replace(" ", ""), done.stdout)
    check_eq(sorted(str(path.relative_to(out)) for path in out.rglob("*") if path.is_file()),
             ["mine", "sub/three"], "what stays")
    check(the_get(b) is None, "it is not listed")
    check_eq(b.weft("get", "forget", "1").returncode, NOT_FOUND, "again")
    b.kill()
    b.start()
    check(the_get(b) is None, "nor after a restart")


def test_seeding_stops_starts_and_has_bounds(lab):
    a, b, link, root, _out = got(lab, {"one": 300000})
    check_eq(b.weft("seed", "stop", "1").returncode, OK, "stop")
    row = the_get(b)
    check(not row["seeded"] and row["seed_end"] == "asked", row)
    b.kill()
    b.start()
    check(not the_get(b)["seeded"], "after kill -9")
    done = b.weft("seed", "set", "1", "--ratio", "2.5", "--for", "7d")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(b.weft("seed", "start", "1").returncode, OK, "start")
    row = the_get(b)
    check(row["seeded"] and row["seed_percent"] == 250 and row["seed_for_s"] == 7 * 86400, row)
    listed = b.weft("seed", "list")
    check("seeding" in listed.stdout and "of 2.50" in listed.stdout, listed.stdout)
    for words, said in ((("--ratio", "x"), "not a ratio"), (("--ratio", "1000001"), "not a ratio"),
                        (("--for", "x"), "not a time"), ((), "nothing is to change")):
        done = b.weft("seed", "set", "1", *words)
        check_eq(done.returncode, USAGE, f"{words}: {done.stderr}")
        check(said in done.stderr, done.stderr)
    check_eq(b.weft("seed", "stop", "99").returncode, NOT_FOUND, "of none")


def test_a_reached_bound_ends_seeding_and_says_so(lab):
    _a, b, _link, _root, _out = got(lab, {"one": 300000})

    def ended():
        check_eq(b.weft("seed", "set", "1", "--for", "1s").returncode, OK, "set")
        return the_get(b)["seed_end"] == "time"

    wait_for(ended, "its time is over")
    check("time over" in b.weft("seed", "list").stdout, "it is listed")
    check("is not seeded any more: its time is over" in b.log_text(), b.log_text()[-500:])


def test_a_full_table_refuses_and_says_what_to_do(lab):
    a, b, link, _root, _out = got(lab, {"one": 10}, config="[content]\nget_cap = 1\nget_active_cap = 1\n")
    done = b.weft("get", link, "--to", lab.dir / "second")
    check(done.returncode != OK, "one more than there may be")
    check("weft get forget" in done.stderr and "content.get_cap" in done.stderr, done.stderr)
    check(the_get(b) is not None, "the first is not forgotten")
    check_eq(b.weft("get", "forget", "1").returncode, OK, "forget")
    done = b.weft("get", link, "--to", lab.dir / "second")
    check_eq(done.returncode, OK, done.stderr)


run([test_a_get_is_given_up_with_its_files_and_no_others,
     test_seeding_stops_starts_and_has_bounds,
     test_a_reached_bound_ends_seeding_and_says_so,
     test_a_full_table_refuses_and_says_what_to_do])
