#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The n-th system call of a start, a removal or a sweep fails, or weftd is killed there.

A node that once showed its name keeps it, and a stored share stays. A share whose
removal was acknowledged does not come back. The start after a fault is an ordinary one.
"""
import itertools
import pathlib
import shutil
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import fault
from lab import FAILED, NO_DAEMON, OK, TRACEABLE, Mismatch, check, check_eq, run

FILES = {"small": 1000, "one/two/more.bin": 300000}


def start_with(daemon, now):
    """Starts daemon with a fault. Returns (whether it met the fault, its name if it came up)."""
    log = daemon.lab.dir / "strace.log"
    log.unlink(missing_ok=True)
    logged = len(daemon.log_text())
    name = None
    try:
        daemon.start(wrap=now.wrap(log))
        # The fault may come when it is up and writes its state: then no daemon answers.
        name = daemon.weft("node", "id").stdout.strip() or None
    except Mismatch:
        said = daemon.log_text()[logged:].strip()
        check(now.how == fault.KILL or said, "it ended without a word")
        check("broken invariant" not in said, said)
    ended = daemon.process.poll()
    daemon.kill()
    return ended == -signal.SIGKILL if now.how == fault.KILL else now.fired(log), name


def drive_start(daemon, before, after):
    """Starts daemon once for each fault; after(name) once it is up without one."""
    met = 0
    before()
    calls = fault.calls_of_start(daemon)
    for call, how in fault.faults_of(calls):
        for n in itertools.count(1):
            now = fault.Fault(call, how, n)
            before()
            try:
                is_met, name = start_with(daemon, now)
                daemon.start()
                after(name)
            except Mismatch as why:
                raise Mismatch(f"{now}: {why}") from why
            if not is_met:
                break
            met += 1
    print(f"# {met} faults in {calls}")
    return met


def test_a_fault_in_the_first_start_leaves_a_state_that_starts(lab):
    fault.need_strace()
    daemon = lab.daemon("a", config=TRACEABLE)

    def before():
        daemon.kill()
        shutil.rmtree(daemon.state, ignore_errors=True)

    def after(name):
        again = daemon.weft("node", "id").stdout.strip()
        check(name in (None, again), f"it was {name} and is {again} now")

    check(drive_start(daemon, before, after) > 30, "too few faults were met")


def test_a_fault_in_a_later_start_loses_no_share_and_no_name(lab):
    fault.need_strace()
    daemon = lab.daemon("a", config=TRACEABLE).start()
    own_name = daemon.weft("node", "id").stdout.strip()
    daemon.share(lab.folder("root", FILES))
    collection = daemon.json("share", "list")["shares"][0]["collection_id"]

    def after(name):
        check(name in (None, own_name), f"it called itself {name}")
        check_eq(daemon.weft("node", "id").stdout.strip(), own_name, "its name")
        shares = daemon.json("share", "list")["shares"]
        check_eq([share["collection_id"] for share in shares], [collection], "shares")

    check(drive_start(daemon, daemon.kill, after) > 20, "too few faults were met")


class Holder:
    """A daemon with one share that stays and one that comes and goes."""

    def __init__(self, lab):
        self.lab, self.number = lab, 0
        self.daemon = lab.daemon("a", config=TRACEABLE).start()
        self.daemon.share(lab.folder("kept", FILES))
        self.kept = self.ids()

    def ids(self):
        return {share["collection_id"] for share in self.daemon.json("share", "list")["shares"]}

    def add(self):
        self.number += 1
        self.daemon.share(self.lab.folder(f"root{self.number}", FILES, seed=self.number + 10))
        self.added = (self.ids() - self.kept).pop()

    def remove(self):
        return self.daemon.weft("share", "remove", self.added)

    def restart(self):
        self.daemon.kill()
        self.daemon.start()
        found = self.daemon.weft("store", "check")
        check_eq(found.returncode, OK, f"store check: {found.stdout}{found.stderr}")


def check_answer(holder, now, done):
    died = holder.daemon.process.poll() is not None
    check(not died or now.how == fault.KILL, f"weftd died: {holder.daemon.log_text()[-800:]}")
    check(done.returncode in (OK, FAILED, NO_DAEMON), f"exit {done.returncode}: {done.stderr}")
    check(done.returncode == OK or done.stderr.strip(), "it failed without a word")


def test_an_acknowledged_removal_stays_and_a_refused_one_can_be_repeated(lab):
    fault.need_strace()
    holder = Holder(lab)
    holder.add()
    calls = fault.count_calls(holder.daemon, holder.remove)

    def work(faulty, now):
        holder.add()
        with faulty:
            done = holder.remove()
        check_answer(holder, now, done)
        holder.restart()
        if done.returncode == OK:
            check_eq(holder.ids(), holder.kept, "shares after a removal")
        elif holder.ids() != holder.kept:
            check_eq(holder.remove().returncode, OK, "removed again")
            check_eq(holder.ids(), holder.kept, "shares after a second removal")

    met = fault.drive(holder.daemon, calls, work)
    print(f"# {met} faults in {calls}")
    check(met >= 6, f"only {met} faults were met")


def test_a_fault_in_a_sweep_keeps_what_is_shared(lab):
    fault.need_strace()
    holder = Holder(lab)

    def sweep():
        return holder.daemon.weft("gc", "run")

    holder.add()
    check_eq(holder.remove().returncode, OK, "removed")
    calls = fault.count_calls(holder.daemon, sweep)

    def work(faulty, now):
        holder.add()
        check_eq(holder.remove().returncode, OK, "removed")
        with faulty:
            done = sweep()
        check_answer(holder, now, done)
        holder.restart()
        check_eq(holder.ids(), holder.kept, "shares after a sweep")
        check_eq(sweep().returncode, OK, "swept again")

    met = fault.drive(holder.daemon, calls, work)
    print(f"# {met} faults in {calls}")
    check(met >= 4, f"only {met} faults were met")


if __name__ == "__main__":
    run([test_a_fault_in_the_first_start_leaves_a_state_that_starts,
         test_a_fault_in_a_later_start_loses_no_share_and_no_name,
         test_an_acknowledged_removal_stays_and_a_refused_one_can_be_repeated,
         test_a_fault_in_a_sweep_keeps_what_is_shared])
