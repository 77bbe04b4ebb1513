#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A damaged state folder: weftd says what is wrong and what to do, ends with a code that
no restart follows, and what it advises works."""
import os
import pathlib
import re
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run

UNIT = pathlib.Path(__file__).parents[2] / "tools" / "packaging" / "weftd.service"
EXIT_STORE = 7
FILES = {"a.txt": 5000, "one/b.bin": 300000}


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 0x10
    path.write_bytes(data)


def damage_row(daemon, words):
    """Flips a bit in every place of the databases that holds words."""
    path = daemon.state / "db" / "data.mdb"
    data = path.read_bytes()
    places = [found.start() for found in re.finditer(re.escape(words), data)]
    check(places, f"{words} is not in the databases")
    for at in places:
        flip(path, at)


def refused(daemon):
    """What weftd says as it refuses to start."""
    done = subprocess.run(daemon.command(), capture_output=True, timeout=DEADLINE_S, check=False)
    check_eq(done.returncode, EXIT_STORE, f"exit status: {done.stderr}")
    check(done.stderr.isascii() and b"\x00" not in done.stderr, f"raw bytes: {done.stderr}")
    return done.stderr.decode()


def damaged(lab):
    """A daemon, stopped, whose share has a row that is not what was put."""
    a = lab.daemon("a").start()
    a.share(lab.folder("root", FILES))
    a.share(lab.folder("other", FILES, seed=2))
    check_eq(a.weft("backup", "create", lab.dir / "backup").returncode, OK, "backup create")
    check_eq(a.stop(), 0, "stop")
    damage_row(a, str(lab.dir / "root").encode())
    return a


def test_the_unit_does_not_start_again_what_is_refused(lab):
    check(f"\nRestartPreventExitStatus=2 {EXIT_STORE}\n" in UNIT.read_text(), "it would")


def test_a_damaged_store_is_refused_with_its_place_and_the_way_out(lab):
    said = refused(damaged(lab))
    check(re.search(r"database \w+: the check of a row does not match", said), said)
    check("weft backup restore DIR" in said and "weft store salvage" in said, said)


def test_salvage_keeps_all_but_the_damaged_rows(lab):
    a = damaged(lab)
    done = a.weft("store", "salvage", "--state", a.state)
    check_eq(done.returncode, OK, f"salvage: {done.stderr}")
    check("left out" in done.stdout and "db.old1" in done.stdout, done.stdout)
    a.start()
    shares = a.json("share", "list")["shares"]
    check_eq([share["path"] for share in shares], [str(lab.dir / "other")], "shares")
    check_eq(a.weft("store", "check").returncode, OK, "store check")


def test_a_backup_comes_back_whole(lab):
    a = damaged(lab)
    key = (a.state / "node.key").read_bytes()
    (a.state / "node.key").unlink()
    done = a.weft("backup", "restore", lab.dir / "backup", "--state", a.state)
    check_eq(done.returncode, OK, f"restore: {done.stderr}")
    check_eq((a.state / "node.key").read_bytes(), key, "the key")
    a.start()
    check_eq(len(a.json("share", "list")["shares"]), 2, "shares")
    check_eq(a.weft("store", "check").returncode, OK, "store check")
    busy = a.weft("backup", "restore", lab.dir / "backup", "--state", a.state)
    check(busy.returncode != OK and "stop the weftd" in busy.stderr, busy.stderr)


def test_a_database_file_that_is_cut_short_is_named_by_the_dying_process(lab):
    """As a dead disk would: a fault where the file is mapped."""
    if pathlib.Path(os.environ["BUILD"]).name.startswith("san-"):
        raise Skip("machine: a sanitizer reports crashes itself")
    a = lab.daemon("a").start()
    os.truncate(a.state / "db" / "data.mdb", 0)
    a.weft("share", "add", lab.folder("root", FILES))
    a.process.wait(timeout=DEADLINE_S)
    said = [line for line in a.log_text().splitlines() if "died of SIGBUS" in line]
    check_eq(len(said), 1, a.log_text())
    check("the disk fails" in said[0] and "weft store salvage" in said[0], said[0])


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
