#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A backup file: the node that is made of it elsewhere is the same one.

    old machine (n1)                 new machine (n2)        reader (n3)
    state, shares, follows, bans --> a folder of its own --> follows the share
"""
import os
import pathlib
import pty
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (ASKING_S, DEADLINE_S, FAILED, NOT_VERIFIED, OK, REFUSED, USAGE, WEFT, check, check_eq,
                 run, wait_for)

PASSPHRASE = "seven words nobody else would think of"
FILES = {"a.txt": 5000, "one/b.bin": 300000}


def words_file(lab, text=PASSPHRASE, name="passphrase"):
    path = lab.dir / name
    path.write_text(f"{text}\n")
    return path


def create(lab, daemon, name="node.backup"):
    path = lab.dir / name
    done = daemon.weft("backup", "create", path, "--passphrase-file", words_file(lab))
    check_eq(done.returncode, OK, f"backup create: {done.stderr}")
    check_eq(path.stat().st_mode & 0o777, 0o600, "mode of the file")
    return path


def restore(lab, path, state, *words):
    passphrase = words or ("--passphrase-file", words_file(lab))
    return subprocess.run([WEFT, "backup", "restore", str(path), "--state", str(state),
                           "--config", "/dev/null", *map(str, passphrase)],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def listing(folder):
    return sorted(str(at.relative_to(folder)) for at in folder.rglob("*"))


def connect(a, b, address):
    done = a.weft("peer", "connect", b.json("node", "id")["node_id"], address)
    check_eq(done.returncode, OK, f"peer connect: {done.stderr}")


def said(daemon, *words):
    done = daemon.weft(*words)
    check_eq(done.returncode, OK, f"{words}: {done.stderr}")
    return done.stdout


def link_of(daemon, name):
    return said(daemon, "share", "link", name).strip()


def published(daemon, name):
    return next(each for each in daemon.json("share", "list")["published"] if each["name"] == name)


def wait_revision(daemon, revision):
    def is_here():
        follow = daemon.json("sub", "sync")["follows"][0]
        return follow["revision"] == revision and follow["state"] == "current"
    wait_for(is_here, f"{daemon.name} has revision {revision}", pause=ASKING_S)


def busy_node(lab, old, reader, root):
    """Shares of both, each followed by the other; a ban, a community and a rate on old."""
    connect(reader, old, "10.77.0.1:7000")
    wait_for(lambda: old.json("overlay", "status")["overlay"]["serving"], "old keeps values")
    for daemon, name, folder in ((old, "photos", root),
                                 (reader, "theirs", lab.folder("their", FILES, seed=2))):
        said(daemon, "share", "new", name, "--public")
        said(daemon, "share", "publish", name, folder)
    said(reader, "sub", "add", link_of(old, "photos"))
    said(old, "sub", "add", link_of(reader, "theirs"))
    said(old, "ban", "add", "192.0.2.7", "--reason", "spam")
    said(old, "community", "create", "friends")
    said(old, "limits", "set", "upload", "20mbit")
    wait_revision(reader, 1)
    wait_revision(old, 1)


def facts(daemon):
    return {"node": daemon.json("node", "id")["node_id"],
            "share": published(daemon, "photos")["share_id"],
            "communities": [each["community_id"]
                            for each in daemon.json("community", "list")["communities"]],
            "bans": [(ban["target"], ban["reason"]) for ban in daemon.json("ban", "list")["bans"]],
            "rates": [row for row in daemon.json("limits", "list")["limits"]
                      if row["limit"] == "upload"]}


def test_a_node_restored_on_a_new_machine_goes_on_as_the_old_one(lab):
    places = lab.bridge(3)
    old, reader = (lab.daemon(name, netns=places[at], listen=["0.0.0.0:7000"])
                   for name, at in (("old", 0), ("reader", 2)))
    old.start()
    reader.start()
    root = lab.folder("root", FILES)
    busy_node(lab, old, reader, root)
    before = facts(old)
    path = create(lab, old)
    check_eq(old.stop(), 0, "stop")
    data = path.read_bytes()
    check(b"photos" not in data and (old.state / "node.key").read_bytes()[-64:] not in data, "open")

    new = lab.daemon("new", netns=places[1], listen=["0.0.0.0:7000"])
    done = restore(lab, path, new.state)
    check_eq(done.returncode, OK, f"restore: {done.stderr}")
    check(f"put back the files of {root}, then: weft share publish photos" in done.stdout,
          done.stdout)
    check("listen = 0.0.0.0:7000" in (new.state / "restored.conf").read_text(), "settings")
    check_eq([each.name for each in (new.state / "segments").iterdir() if each.stat().st_size], [],
             "content came along")
    new.start()
    check_eq(facts(new), before, "what the new one is")

    connect(new, reader, "10.77.0.3:7000")
    (root / "later.txt").write_text("after the move")
    said(new, "share", "publish", "photos", root)
    check_eq(published(new, "photos")["revision"], 2, "the revision behind the last one seen")
    wait_revision(reader, 2)
    (lab.dir / "their" / "later.txt").write_text("meanwhile")
    said(reader, "share", "update", "theirs")
    wait_revision(new, 2)
    said(new, "store", "check")


def test_a_backup_that_is_not_whole_or_not_opened_leaves_the_target_alone(lab):
    a = lab.daemon("a").start()
    path = create(lab, a)
    data = path.read_bytes()
    target = lab.dir / "target"
    cases = {"cut": data[:-40], "flipped": data[:300] + bytes([data[300] ^ 1]) + data[301:],
             "grown": data + b"\0"}
    for name, bad in cases.items():
        (lab.dir / name).write_bytes(bad)
        done = restore(lab, lab.dir / name, target)
        check_eq(done.returncode, NOT_VERIFIED, f"{name}: {done.stderr}")
        check("altered or cut short" in done.stderr, done.stderr)
        check(not target.exists(), f"{name}: the target was made")
    done = restore(lab, path, target, "--passphrase-file", words_file(lab, "another one", "wrong"))
    check_eq(done.returncode, NOT_VERIFIED, f"wrong passphrase: {done.stderr}")
    check("wrong passphrase" in done.stderr, done.stderr)
    check(not target.exists(), "the target was made")
    (lab.dir / "letter").write_text("no backup at all")
    done = restore(lab, lab.dir / "letter", target)
    check_eq(done.returncode, NOT_VERIFIED, done.stderr)
    check("is no backup of weft" in done.stderr, done.stderr)
    check_eq(restore(lab, path, target).returncode, OK, "the sound one")
    check_eq((target / "node.key").read_bytes(), (a.state / "node.key").read_bytes(), "the key")


def test_a_folder_in_use_is_refused_and_stays_as_it_is(lab):
    a = lab.daemon("a").start()
    path = create(lab, a)
    b = lab.daemon("b").start()
    check_eq(b.stop(), 0, "stop")
    before = {name: (b.state / name).read_bytes() for name in ("node.key", "db/data.mdb")}
    names = listing(b.state)
    done = restore(lab, path, b.state)
    check_eq(done.returncode, REFUSED, f"restore: {done.stderr}")
    check(str(b.state / "node.key") in done.stderr and "overwrites none" in done.stderr, done.stderr)
    for name, was in before.items():
        check_eq((b.state / name).read_bytes() == was, True, name)
    check_eq(listing(b.state), names, "files")


def test_a_node_that_still_runs_is_warned_of(lab):
    a = lab.daemon("a").start()
    path = create(lab, a)
    done = restore(lab, path, lab.dir / "twin")
    check_eq(done.returncode, OK, done.stderr)
    address = a.json("status")["listen"][0]
    check("the old node may still run" in done.stderr and address in done.stderr, done.stderr)
    check_eq(a.stop(), 0, "stop")
    done = restore(lab, path, lab.dir / "heir")
    check_eq((done.returncode, done.stderr), (OK, ""), "after it was stopped")


def test_a_file_that_is_there_is_not_overwritten_and_a_short_passphrase_is_refused(lab):
    a = lab.daemon("a").start()
    path = create(lab, a)
    data = path.read_bytes()
    done = a.weft("backup", "create", path, "--passphrase-file", words_file(lab))
    check(done.returncode != OK and "overwrites no file" in done.stderr, done.stderr)
    check_eq(path.read_bytes() == data, True, "the file")
    done = a.weft("backup", "create", lab.dir / "other", "--passphrase-file",
                  words_file(lab, "1234567", "short"))
    check_eq(done.returncode, FAILED, done.stderr)
    check("not of 8 to 1023 bytes" in done.stderr, done.stderr)
    check(not (lab.dir / "other").exists(), "it was made")
    done = a.weft("backup", "create", lab.dir / "other", start_new_session=True)
    check_eq(done.returncode, USAGE, done.stderr)
    check("--passphrase-file" in done.stderr, done.stderr)


def test_the_terminal_is_asked_twice_and_shows_nothing(lab):
    a = lab.daemon("a").start()
    path = lab.dir / "asked"
    child, terminal = pty.fork()
    if child == 0:
        os.execv(WEFT, [WEFT, "-s", str(a.sock), "backup", "create", str(path)])
    shown = b""
    for prompt in (b"Passphrase of the backup: ", b"Once more: "):
        while prompt not in shown:
            shown += os.read(terminal, 1000)
        os.write(terminal, PASSPHRASE.encode() + b"\n")
    _, status = os.waitpid(child, 0)
    check_eq(os.waitstatus_to_exitcode(status), OK, shown)
    os.set_blocking(terminal, False)
    try:
        shown += os.read(terminal, 10000)
    except OSError:
        pass
    check(PASSPHRASE.encode() not in shown, shown)
    read, write = os.pipe()
    os.write(write, PASSPHRASE.encode() + b"\n")
    os.close(write)
    done = subprocess.run([WEFT, "backup", "restore", str(path), "--state", str(lab.dir / "new"),
                           "--config", "/dev/null", "--passphrase-fd", str(read)],
                          pass_fds=(read,), capture_output=True, text=True, check=False)
    check_eq(done.returncode, OK, done.stderr)


def test_a_caller_that_leaves_takes_the_backup_with_it(lab):
    a = lab.daemon("a").start()
    path = lab.dir / "left"
    process = a.weft_popen("backup", "create", path, "--passphrase-file", words_file(lab))
    wait_for(lambda: path.exists() or process.poll() is not None, "it began")
    process.kill()
    process.wait()
    wait_for(lambda: not path.exists(), "what was begun is removed")
    check_eq(create(lab, a, "again").exists(), True, "another")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
