#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Power fails at a random instant of a get, and the machine starts again.

The getter's state and target lie on a filesystem of their own. The cut is the shutdown call that
filesystems have for their own tests. After it nothing reaches the disk, and unsynced data is
lost. After each cut a file has its bytes or is not there, and the get ends by itself.
"""
import pathlib
import random
import shutil
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from disk import Disk
from lab import OK, REFUSED, TRACEABLE, Mismatch, check, check_eq, run, same_tree, wait_for

CHUNK = 256 * 1024
FILES = {f"few/{i}.bin": 3 * CHUNK + i for i in range(20)}
FILES |= {f"many/{i // 60}/{i}": 1000 + 97 * (i % 240) for i in range(600)}
FILES |= {"empty": 0, "many/0/twin": 1000}
ROUNDS = 14
AFTER_NAMES_S = 0.03
def placed(out):
    """Files that stand under their own names."""
    paths = out.rglob("*") if out.exists() else ()
    return [path for path in paths if path.is_file() and
            not any(part.startswith(".weft") for part in path.relative_to(out).parts)]


def check_partial(root, out):
    """They are right, however few they are."""
    for path in placed(out):
        inside = path.relative_to(out)
        check(path.read_bytes() == (root / inside).read_bytes(),
              f"{inside} has {path.stat().st_size} bytes, not its own")


class Getter:
    def __init__(self, lab, disk):
        self.lab, self.disk = lab, disk
        self.a = lab.daemon("a", config=TRACEABLE).start()
        self.b = lab.daemon("b", config=TRACEABLE)
        self.b.state = disk.root / "b.state"
        self.b.start()
        self.root = lab.folder("root", FILES)
        (self.root / "many/0/twin").write_bytes((self.root / "many/0/0").read_bytes())
        self.link = self.a.share(self.root)

    def get(self, out):
        return self.b.weft("get", self.link, "--to", out)

    def time(self):
        """How long a get takes here, once there is a session."""
        for _ in range(2):
            begun = time.monotonic()
            check_eq(self.get(self.disk.root / "first").returncode, OK, "get")
            took = time.monotonic() - begun
            shutil.rmtree(self.disk.root / "first")
        return took

    def cut(self, out, after_s, is_placed):
        """So long after it began, or after the first file got its name. False: it was over before."""
        asked = self.b.weft_popen("get", self.link, "--to", out)
        while is_placed and asked.poll() is None and not placed(out):
            pass
        time.sleep(after_s)
        is_over = asked.poll() is not None
        self.disk.cut()
        self.b.kill()
        asked.communicate()
        self.disk.again()
        return not is_over

    def get_again(self, out):
        """weftd resumes it by itself, if it was durably recorded."""
        self.b.start()

        def is_got():
            done = self.get(out)
            check(done.returncode in (OK, REFUSED), f"get again: {done.returncode} {done.stderr}")
            return done.returncode == OK

        wait_for(is_got, "the get comes to its end")
        stopped = [row for row in self.b.json("get", "list")["gets"]
                   if row["state"] == "stopped"]
        check(not stopped, f"stopped for good: {stopped}")
        same_tree(self.root, out)


def cut_and_go_on(lab, kind):
    disk = Disk(lab, kind)
    try:
        getter = Getter(lab, disk)
        took = getter.time()
        dice = random.Random(7)
        cut_cnt = 0
        for number in range(ROUNDS):
            out, is_placed = disk.root / f"out{number}", number % 2 == 1
            after_s = dice.uniform(0, AFTER_NAMES_S) if is_placed else dice.uniform(0.1, 1.1) * took
            try:
                cut_cnt += getter.cut(out, after_s, is_placed)
                check_partial(getter.root, out)
                getter.get_again(out)
            except Mismatch as why:
                raise Mismatch(f"{kind}, cut {number} after {after_s:.3f} s: {why}") from why
            shutil.rmtree(out)
        print(f"# {kind}: {cut_cnt} of {ROUNDS} cuts before the end, of {took:.2f} s")
        check(cut_cnt > 0, "no cut came in time")
    finally:
        disk.close()


def test_power_may_fail_at_any_instant_of_a_get_on_ext4(lab):
    cut_and_go_on(lab, "ext4")


def test_power_may_fail_at_any_instant_of_a_get_on_xfs(lab):
    cut_and_go_on(lab, "xfs")


if __name__ == "__main__":
    run([test_power_may_fail_at_any_instant_of_a_get_on_ext4,
         test_power_may_fail_at_any_instant_of_a_get_on_xfs])
