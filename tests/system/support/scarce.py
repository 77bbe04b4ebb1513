# SPDX-License-Identifier: Apache-2.0
"""Makes the n-th allocation of a running weftd fail, or that and those behind it.

The program is weftd-scarce, weftd with malloc and its kin replaced
(malloc_fail.c). A drive counts what a piece of work allocates, then repeats
the work with n = 1, 2, 3, ... as often as it allocates: all of them with
FAULT_ALL=1, else a sample of them, which FAULT_SEED chooses.
"""
import mmap
import os
import random
import struct
import subprocess
import time

import lab as weft_lab
from lab import Mismatch, Skip

SCARCE = os.path.join(os.environ.get("BUILD", "build/release"), "weftd-scarce")
FRAME_CAP = 24
FILE_LEN = 8 * (5 + FRAME_CAP)
# In the second mode memory is short for so many allocations.
WHILE_CNT = 40
SLOW_S = 4


class Memory:
    """What the daemon may have of it."""

    def __init__(self, path):
        path.write_bytes(bytes(FILE_LEN))
        with open(path, "r+b") as file:
            self.map = mmap.mmap(file.fileno(), FILE_LEN)

    def word(self, at):
        return struct.unpack_from("=Q", self.map, 8 * at)[0]

    def put(self, at, value):
        struct.pack_into("=Q", self.map, 8 * at, value)

    def arm(self, first, fail_cnt):
        for at, value in ((1, 0), (0, 0), (3, 0), (4, 0), (2, fail_cnt), (1, first)):
            self.put(at, value)

    def disarm(self):
        """Returns how many allocations failed."""
        self.put(1, 0)
        return self.word(3)

    def count(self, work):
        """How many allocations work makes; none of them fails."""
        self.arm(1 << 60, 1)
        work()
        self.disarm()
        return self.word(0)

    def place(self):
        """Where the first that failed was asked for."""
        frames = [self.word(5 + at) for at in range(min(self.word(4), FRAME_CAP))]
        done = subprocess.run(["addr2line", "-f", "-e", SCARCE, *(hex(at - 1) for at in frames if at)],
                              capture_output=True, text=True, check=False)
        lines = done.stdout.splitlines()
        told = [f"{function} {place.rsplit('/userspace/', 1)[-1]}"
                for function, place in zip(lines[::2], lines[1::2])]
        return " < ".join(line for line in told if "malloc_fail" not in line)


def memory_of(daemon):
    """Makes the daemon, which is not started yet, one of scarce memory."""
    if not os.path.exists(SCARCE):
        raise Skip(f"{SCARCE} is not built")
    path = daemon.lab.dir / f"{daemon.name}.scarce"
    memory = Memory(path)
    plain = daemon.command
    daemon.command = lambda *extra: [
        SCARCE if word == weft_lab.WEFTD else word for word in plain(*extra)]
    daemon.environment = {"WEFT_SCARCE": str(path)}
    return memory


def sample(total, cnt):
    if os.environ.get("FAULT_ALL") == "1" or total <= cnt:
        return list(range(1, total + 1))
    return sorted(random.Random(os.environ.get("FAULT_SEED", "1")).sample(range(1, total + 1), cnt))


def drive(memory, total, cnt, step, mend=lambda: None):
    """Calls step(what) for a sample of the total allocations; it arms nothing itself.

    step works with memory armed and calls memory.disarm(); mend comes after a step that
    failed. All that failed are told. Returns how many steps met a fault.
    """
    met, failed = 0, []
    for first in sample(total, cnt):
        for fail_cnt in (1, WHILE_CNT):
            what = f"allocation {first} of {total}, {fail_cnt} fail"
            memory.arm(first, fail_cnt)
            began = time.monotonic()
            try:
                step(what)
                if time.monotonic() - began > SLOW_S:
                    print(f"# {what} took {time.monotonic() - began:.1f} s; at {memory.place()}")
            except (Mismatch, subprocess.TimeoutExpired) as why:
                memory.disarm()
                failed.append(f"{what}: {str(why).strip()[-700:]}; at {memory.place()}")
                mend()
            memory.disarm()
            met += memory.word(3) > 0
    if failed:
        raise Mismatch(f"{len(failed)} of {met} steps: " + "\n".join(failed))
    return met
