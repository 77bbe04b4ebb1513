#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weftd is killed at the n-th system call of an update of a mirrored folder, n = 1, 2, 3, ...

An update changes a file, brings one, removes one and moves a folder. A user's files lie beside
weft's, where a new one goes, and in a removed folder. None of them is ever touched. A name of
weft's always has the former file or the new one, whole.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fault
from lab import OK, TRACEABLE, Mismatch, check, check_eq, run, wait_for


def files(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*")
            if path.is_file() and ".weft-" not in str(path)}


def said(done, what):
    check_eq(done.returncode, OK, f"{what}: {done.stderr}")
    return done.stdout


class Follower:
    """a publishes a folder, b keeps another one up to date with it."""

    def __init__(self, lab):
        self.a = lab.daemon("a", config=TRACEABLE).start()
        self.b = lab.daemon("b", config=TRACEABLE + "[sharing]\nsync_interval = 10s\n").start()
        for daemon in (self.a, self.b):
            daemon.listen = daemon.json("status")["listen"]  # the ports stay over restarts
        self.folder, self.out = lab.dir / "docs", lab.dir / "out"
        self.revision, self.theirs, self.former = 0, {}, {}
        self.in_the_way = ()
        self.foreign = {"mine": b"mine", "stays/mine": b"mine, too"}
        said(self.a.weft("share", "new", "docs", "--public"), "share new")
        self.write()
        said(self.a.weft("share", "publish", "docs", self.folder), "publish")
        link = said(self.a.weft("share", "link", "docs"), "share link").strip()
        said(self.b.weft("sub", "add", link, "--name", "mine"), "sub add")
        for name, text in self.foreign.items():
            self.put(self.out / name, text)
        said(self.b.weft("sub", "set", "mine", "--get", self.out, "--mirror",
                         "--keep-versions", "1"), "sub set")
        wait_for(self.is_there, "the first revision is in the folder")

    @staticmethod
    def put(path, text):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text)

    @staticmethod
    def remove(root, name):
        """With the folders that are empty then: else each update has more of them to look at."""
        (root / name).unlink()
        for parent in pathlib.PurePath(name).parents:
            if str(parent) != "." and not any((root / parent).iterdir()):
                (root / parent).rmdir()

    def write(self):
        """The folder as it is next; each update makes the same number of calls."""
        self.revision += 1
        number, self.former = self.revision, self.theirs
        self.theirs = {"stays/changed": f"changed {number}".encode() * 500,
                       "same": b"as ever",
                       f"new{number}": b"new",
                       f"moved{number}/deep/file": b"moved",
                       f"taken{number}": b"theirs"}
        for name in self.former.keys() - self.theirs.keys():
            self.remove(self.folder, name)
        for name, text in self.theirs.items():
            if self.former.get(name) != text:
                self.put(self.folder / name, text)

    def next(self):
        """A new revision, and the user's files that are in its way; older ones the user deletes."""
        for name in self.in_the_way:
            del self.foreign[name]
            self.remove(self.out, name)
        self.in_the_way = (f"taken{self.revision + 1}", f"moved{self.revision}/deep/mine")
        self.write()
        for name in self.in_the_way:
            self.foreign[name] = b"was here before"
            self.put(self.out / name, self.foreign[name])
        said(self.a.weft("share", "update", "docs"), "share update")

    def is_there(self):
        follow = self.b.json("sub", "show", "mine")["follow"]
        return (follow.get("folder_revision") == self.revision
                and follow.get("folder_state") == "finished")

    def sync(self):
        """Until the revision is in the folder, or b is dead."""
        self.b.weft("sub", "sync", "mine")

        def is_over():
            try:
                return self.is_there()
            except Mismatch:  # its socket closes a little before it is dead
                return self.b.process.poll() is not None

        wait_for(is_over, f"revision {self.revision} is in the folder, or weftd dead")

    def check_between(self):
        """After a kill: the user's files are whole, and each of weft's is the old or the new one."""
        there = files(self.out)
        for name, text in self.foreign.items():
            check_eq(there.pop(name, None), text, f"{name}, which is the user's")
        for name, text in there.items():
            check(text in (self.former.get(name), self.theirs.get(name)), f"{name} is wrong")

    def check_end(self):
        check_eq(files(self.out), self.theirs | self.foreign, f"revision {self.revision}")


def test_killed_at_each_call_of_an_update_it_loses_no_foreign_file(lab):
    fault.need_strace()
    pair = Follower(lab)
    pair.next()
    calls = fault.count_calls(pair.b, pair.sync)
    pair.check_end()

    def work(faulty, now):
        pair.next()
        with faulty:
            pair.sync()
        pair.check_between()
        if faulty.fired():
            pair.b.kill()
            pair.b.start()
            pair.sync()
        pair.check_end()

    met = fault.drive(pair.b, calls, work, kills_only=True)
    print(f"# {met} kills in {calls}")
    check(met > 40, f"only {met} kills were met")
    found = pair.b.weft("store", "check")
    check_eq(found.returncode, OK, f"store check: {found.stdout}{found.stderr}")


if __name__ == "__main__":
    run([test_killed_at_each_call_of_an_update_it_loses_no_foreign_file])
