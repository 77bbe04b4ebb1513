#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of an import fails, or weftd is killed there.

Whatever was acknowledged is there after kill -9 and a restart, whatever was
refused can be shared again, and the store never needs repair.
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fault
from lab import FAILED, NO_DAEMON, OK, TRACEABLE, check, check_eq, run, same_tree

CHUNK = 256 * 1024
FILES = {"small": 1000, "one/chunk.bin": CHUNK, "one/two/many.bin": 2 * CHUNK + 77, "empty": 0}


class Shares:
    """A daemon that shares a new folder each time, and one that fetches it."""

    def __init__(self, lab):
        self.lab = lab
        self.daemon = lab.daemon("a", config=TRACEABLE).start()
        self.daemon.listen = self.daemon.json("status")["listen"]
        self.getter = lab.daemon("b", config=TRACEABLE).start()
        self.listed = set()  # acknowledged collections
        self.number = 0

    def folder(self):
        self.number += 1
        return self.lab.folder(f"root{self.number}", FILES, seed=self.number)

    def restart(self):
        self.daemon.kill()
        self.daemon.start()
        shares = self.daemon.json("share", "list")["shares"]
        missing = self.listed - {share["collection_id"] for share in shares}
        check(not missing, f"acknowledged shares are gone: {missing}")
        found = self.daemon.weft("store", "check")
        check_eq(found.returncode, OK, f"store check: {found.stdout}{found.stderr}")

    def note(self, root):
        for share in self.daemon.json("share", "list")["shares"]:
            if share["path"] == str(root):
                self.listed.add(share["collection_id"])
                return share["link"]
        raise AssertionError(f"{root} was acknowledged and is not listed")

    def fetch(self, link, root):
        out = self.lab.dir / f"out{self.number}"
        done = self.getter.weft("get", link, "--to", out)
        check_eq(done.returncode, OK, f"get: {done.stderr}")
        same_tree(root, out)


def test_a_fault_in_an_import_loses_nothing_acknowledged(lab):
    fault.need_strace()
    shares = Shares(lab)
    calls = fault.count_calls(shares.daemon, lambda: shares.daemon.share(shares.folder()))
    calls.setdefault("pread64", 1)

    def work(faulty, now):
        root = shares.folder()
        with faulty:
            done = shares.daemon.weft("share", "add", root)
        is_whole = done.returncode == OK and not done.stderr.strip()
        if now.how == fault.KILL:
            check(done.returncode in (OK, FAILED, NO_DAEMON), f"exit {done.returncode}: {done.stderr}")
        else:
            check(shares.daemon.process.poll() is None, f"weftd died: {shares.daemon.log_text()[-800:]}")
            check(done.returncode in (OK, FAILED), f"exit {done.returncode}: {done.stderr}")
            check(done.returncode == OK or done.stderr.strip(), "it failed without a word")
            if is_whole:
                shares.note(root)
        shares.restart()
        if not is_whole:
            check_eq(shares.daemon.weft("share", "add", root).returncode, OK, "shared again")
        shares.fetch(shares.note(root), root)

    met = fault.drive(shares.daemon, calls, work)
    print(f"# {met} faults in {calls}")
    check(met > 20, f"only {met} faults were met")


if __name__ == "__main__":
    run([test_a_fault_in_an_import_loses_nothing_acknowledged])
