#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of a get fails, on either side, or the getter is killed there.

At no time does a file in the target differ from its source. An acknowledged get is
whole, and any other ends later.
"""
import pathlib
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fault
from lab import NO_DAEMON, OK, REFUSED, TRACEABLE, check, check_eq, run, same_tree, wait_for

CHUNK = 256 * 1024
FILES = {"small": 1000, "one/chunk.bin": CHUNK, "one/two/many.bin": 2 * CHUNK + 77, "empty": 0}


class Pair:
    """a shares a new folder each time, b gets it. Ports stay over restarts."""

    def __init__(self, lab):
        self.lab = lab
        self.a = lab.daemon("a", config=TRACEABLE).start()
        self.b = lab.daemon("b", config=TRACEABLE).start()
        for daemon in (self.a, self.b):
            daemon.listen = daemon.json("status")["listen"]
        self.number = 0

    def share(self):
        self.number += 1
        self.root = self.lab.folder(f"root{self.number}", FILES, seed=self.number)
        self.out = self.lab.dir / f"out{self.number}"
        self.link = self.a.share(self.root)

    def get(self):
        return self.b.weft("get", self.link, "--to", self.out)

    def get_again(self):
        """Until the get that weftd took up again by itself leaves the target to us."""
        def is_got():
            done = self.get()
            check(done.returncode in (OK, REFUSED), f"get again: {done.returncode} {done.stderr}")
            return done.returncode == OK

        wait_for(is_got, "the get comes to its end")
        self.check_whole()

    def check_partial(self):
        """What stands under its own name is right, however little it is."""
        for path in self.out.rglob("*") if self.out.exists() else ():
            inside = path.relative_to(self.out)
            if path.is_file() and not any(part.startswith(".weft") for part in inside.parts):
                check(path.read_bytes() == (self.root / inside).read_bytes(), f"{inside} is wrong")

    def check_whole(self, may_have_staging=False):
        """Staging stays only where deleting it was what failed."""
        if may_have_staging:
            for path in self.out.glob(".weft*"):
                shutil.rmtree(path)
        same_tree(self.root, self.out)


def get_with_fault(pair, daemon, faulty, now):
    pair.share()
    with faulty:
        done = pair.get()
    is_killed = now.how == fault.KILL and faulty.fired()
    check(is_killed or daemon.process.poll() is None,
          f"weftd died: {daemon.log_text()[-800:]}")
    check(done.returncode == OK or is_killed or done.stderr.strip(), "it failed without a word")
    check(done.returncode != NO_DAEMON or is_killed, done.stderr)
    pair.check_partial()
    if done.returncode == OK:
        pair.check_whole(may_have_staging=now.call.startswith("unlink"))


def test_a_fault_of_the_getter_loses_nothing_acknowledged(lab):
    fault.need_strace()
    pair = Pair(lab)
    pair.share()
    calls = fault.count_calls(pair.b, lambda: check_eq(pair.get().returncode, OK, "get"))

    def work(faulty, now):
        get_with_fault(pair, pair.b, faulty, now)
        pair.b.kill()
        pair.b.start()
        pair.get_again()

    met = fault.drive(pair.b, calls, work)
    print(f"# {met} faults in {calls}")
    check(met > 40, f"only {met} faults were met")


def test_a_fault_of_the_server_is_got_over(lab):
    fault.need_strace()
    pair = Pair(lab)
    pair.share()
    calls = fault.count_calls(pair.a, lambda: check_eq(pair.get().returncode, OK, "get"))
    calls = {call: n for call, n in calls.items() if call in ("openat", "mmap")} | {"pread64": 1}

    def work(faulty, now):
        get_with_fault(pair, pair.a, faulty, now)
        pair.get_again()

    met = fault.drive(pair.a, calls, work)
    print(f"# {met} faults in {calls}")
    check(met > 2, f"only {met} faults were met")


if __name__ == "__main__":
    run([test_a_fault_of_the_getter_loses_nothing_acknowledged, test_a_fault_of_the_server_is_got_over])
