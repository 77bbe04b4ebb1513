#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A damaged state folder: weftd names the fault and the remedy, and ends with a code
that prevents a restart. The remedy works."""
import mmap
import os
import pathlib
import random
import re
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from disk import Disk
from lab import DEADLINE_S, NO_DAEMON, NOT_VERIFIED, OK, Skip, check, check_eq, run, wait_for

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
    check_eq(a.weft("backup", "create", "--whole", lab.dir / "backup").returncode, OK, "backup create")
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


def test_damage_met_while_it_runs_is_logged_and_heads_the_status(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", FILES))
    check(a.json("status")["health"]["healthy"], "before")
    # LMDB maps the file: what is written there is what it reads.
    damage_row(a, str(lab.dir / "root").encode())
    a.weft("store", "check")
    told = wait_for(lambda: a.json("status")["health"]["problems"], "it is told")
    check("the store is damaged: database" in told[0]["what"], told)
    check("weft backup restore DIR" in told[0]["next"], told)
    wait_for(lambda: "the check of a row does not match" in a.log_text(), "the log has it")
    check_eq(a.log_text().count("what is there is not read"), 1, a.log_text())


PAGE_LEN = 4096


def rot_pages(daemon):
    """All but the two meta pages, while LMDB has them mapped: it follows what they say."""
    path = daemon.state / "db" / "data.mdb"
    with open(path, "r+b") as file:
        for at in range(2 * PAGE_LEN, path.stat().st_size, PAGE_LEN):
            file.seek(at + 8)
            file.write(b"\xff" * 512)


def test_pages_that_rot_while_it_runs_end_in_an_error_or_a_report_and_the_next_start_is_refused(lab):
    if pathlib.Path(os.environ["BUILD"]).name.startswith("san-"):
        raise Skip("machine: a sanitizer reports crashes itself")
    a = lab.daemon("a").start()
    a.share(lab.folder("root", FILES))
    rot_pages(a)
    done = a.weft("share", "add", lab.folder("other", FILES, seed=2))
    if a.process.poll() is None and done.returncode != NO_DAEMON:
        check(done.returncode != OK and done.stderr.strip(), "it says nothing of it")
        a.kill()
    else:
        a.process.wait(timeout=DEADLINE_S)
        said = [line for line in a.log_text().splitlines() if "died of SIG" in line]
        check_eq(len(said), 1, a.log_text())
        check("weft store salvage" in said[0], said[0])
    check("weft backup restore DIR" in refused(a), "the next start")


def check_bad_stays(daemon, root):
    """The next check names it again, and so do the share and the status."""
    again = daemon.weft("store", "check", "--files")
    check_eq(again.returncode, NOT_VERIFIED, f"the next check: {again.stdout}{again.stderr}")
    check(f"{root}/bad.bin: bad" in again.stderr, again.stderr)
    check_eq(daemon.json("share", "list")["shares"][0]["bad_files"], 1, "bad files of the share")
    told = daemon.json("status")["health"]["problems"]
    check(any(f"1 file went bad on the disk: {root}/bad.bin" in each["what"] for each in told), told)


def test_a_flipped_byte_on_the_disk_is_found_by_store_check_files(lab):
    disk = Disk(lab, "ext4")
    try:
        root = disk.root / "shared"
        root.mkdir()
        bad = random.Random(3).randbytes(70000)
        (root / "bad.bin").write_bytes(bad)
        (root / "good.bin").write_bytes(bytes(5000))
        os.sync()
        time.sleep(2.1)  # until the files' times say that they were not written again
        a = lab.daemon("a").start()
        a.share(root)
        sound = a.weft("store", "check", "--files")
        check_eq(sound.returncode, OK, f"of sound files: {sound.stderr}")
        with open(disk.image, "r+b") as image, mmap.mmap(image.fileno(), 0) as at:
            place = at.find(bad[4096:8192])
            check(place > 0, "the file is not in the image")
            at[place] ^= 1
            at.flush()
        done = a.weft("store", "check", "--files")
        check_eq(done.returncode, NOT_VERIFIED, f"of a bad file: {done.stdout}{done.stderr}")
        check(f"{root}/bad.bin: bad" in done.stderr and "good.bin" not in done.stderr, done.stderr)

        check_bad_stays(a, root)
        a.stop()
        a.start()
        check_bad_stays(a, root)
        (root / "bad.bin").unlink()
        (root / "bad.bin").write_bytes(bad)
        check_eq(a.weft("store", "check", "--files").returncode, OK, "of files that were mended")
        wait_for(lambda: a.json("status")["health"]["healthy"], "it is well again")
        check_eq(a.json("share", "list")["shares"][0]["bad_files"], 0, "bad files after it")
    finally:
        disk.close()


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
