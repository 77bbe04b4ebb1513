#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The n-th allocation of a start, share add, get, call, publish or xdp attach fails.

In two modes: that one alone, and that one with the 39 behind it. Each ends well or
with an error that says so. The daemon neither dies nor hangs, keeps what it
acknowledged, and does the same work once there is memory. FAULT_ALL=1 steps through
all allocations, else a sample is taken.

Excepted are OpenSSL's own allocations: they never fail here (malloc_fail.c).
"""
import os
import pathlib
import re
import shutil
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
import scarce
from lab import (FAILED, NOT_FOUND, OK, REFUSED, TIMEOUT, Mismatch, Skip, check, check_eq,
                 run, same_tree)

# Of each scenario; one step is its work twice.
STEPS = int(os.environ.get("FAULT_STEPS", "10"))
STEP_S = 90
FILES = {"small": 1000, "one/chunk.bin": 256 * 1024, "one/two/many.bin": 600000, "empty": 0}
ENDS = (OK, FAILED, REFUSED, NOT_FOUND, TIMEOUT)


def check_alive(daemon):
    check(daemon.process.poll() is None,
          f"{daemon.name} ended with {daemon.process.returncode}: {daemon.log_text()[-1500:]}")


def check_end(daemon, done, words="memory"):
    """Well, or with a sentence that names the want."""
    check_alive(daemon)
    check(done.returncode in ENDS, f"exit {done.returncode}: {done.stderr}")
    check(done.returncode == OK or re.search(words, done.stderr), f"it says {done.stderr!r}")
    check("broken invariant" not in daemon.log_text(), daemon.log_text()[-1500:])


class Scarce:
    """Steps of a daemon that runs."""

    def __init__(self, daemon, memory):
        self.daemon, self.memory = daemon, memory

    def weft(self, *words, **options):
        return self.daemon.weft(*words, timeout=STEP_S, **options)

    def well(self, *words, **options):
        done = self.weft(*words, **options)
        check_alive(self.daemon)
        check_eq(done.returncode, OK, f"with memory again, {' '.join(map(str, words))}: {done.stderr}")
        return done

    def mend(self):
        if self.daemon.process.poll() is not None:
            self.daemon.start()

    def drive(self, work, after, words="memory"):
        """work(number) under a fault, then after(number, done) with memory again."""
        number = iter(range(1, 1 << 30))
        work(next(number))  # what is made once is made now
        first = next(number)
        total = self.memory.count(lambda: work(first))
        check(total > 10, f"it allocates {total} times")

        def step(_):
            now = next(number)
            done = work(now)
            self.memory.disarm()
            check_end(self.daemon, done, words)
            after(now, done)

        met = scarce.drive(self.memory, total, STEPS, step, self.mend)
        print(f"# {met} faults in {total} allocations")
        # A later round may allocate less than the one that was counted.
        check(met >= min(total, STEPS) / 2, f"only {met} faults were met")


def start_scarce(lab, name="a", **options):
    daemon = lab.daemon(name, **options)
    memory = scarce.memory_of(daemon)
    daemon.start()
    return Scarce(daemon, memory)


def test_a_start_without_memory_ends_with_a_sentence_or_goes_well(lab):
    daemon = lab.daemon("a")
    memory = scarce.memory_of(daemon)
    daemon.start()
    own_name = daemon.weft("node", "id").stdout.strip()
    daemon.share(lab.folder("root", FILES))
    daemon.stop()

    def restart():
        daemon.start()
        daemon.kill()

    def step(_):
        logged = len(daemon.log_text())
        try:
            daemon.start()
        except Mismatch:
            said = daemon.log_text()[logged:]
            check_eq(daemon.process.returncode, 1, f"exit code, with {said!r}")
            check(re.search("memory", said), f"it says {said!r}")
        memory.disarm()
        daemon.stop()
        daemon.start()
        check_eq(daemon.weft("node", "id").stdout.strip(), own_name, "its name")
        check_eq(len(daemon.json("share", "list")["shares"]), 1, "shares")
        daemon.kill()

    total = memory.count(restart)
    met = scarce.drive(memory, total, STEPS, step)
    print(f"# {met} faults in {total} allocations")


def test_share_add_without_memory_says_so_and_loses_no_share(lab):
    scarcity = start_scarce(lab)
    kept = set()

    def listed():
        return {share["path"] for share in scarcity.daemon.json("share", "list")["shares"]}

    def work(number):
        return scarcity.weft("share", "add", lab.folder(f"root{number}", FILES, seed=number))

    def after(number, done):
        root = str(lab.dir / f"root{number}")
        if done.returncode == OK:
            kept.add(root)
            check(root in listed(), f"{root} was acknowledged and is not listed")
        scarcity.well("share", "add", root)
        kept.add(root)
        if number % 20 == 0:
            scarcity.daemon.kill()
            scarcity.daemon.start()
        check(kept <= listed(), f"acknowledged shares are gone: {kept - listed()}")

    scarcity.drive(work, after)


def test_a_get_without_memory_says_so_and_can_be_repeated(lab):
    source = lab.daemon("source").start()
    root = lab.folder("root", FILES)
    link = source.share(root)
    scarcity = start_scarce(lab)

    def work(number):
        return scarcity.weft("get", link, "--to", lab.dir / f"out{number}")

    def after(number, done):
        out = lab.dir / f"out{number}"
        if done.returncode == OK:
            same_tree(root, out)
        again = lab.dir / f"again{number}"
        scarcity.well("get", link, "--to", again)
        same_tree(root, again)
        shutil.rmtree(again)

    scarcity.drive(work, after)


SERVICES = "[service]\nbuiltin = echo\ncalls_of = echo:60000\n[overlay]\nserve = on\n"


def test_a_call_without_memory_says_so_and_can_be_repeated(lab):
    provider = lab.daemon("provider", config=SERVICES).start()
    node = provider.json("node", "id")["node_id"]
    scarcity = start_scarce(lab, config=SERVICES)
    listen = provider.json("status")["listen"][0]
    scarcity.well("peer", "connect", node, listen)

    def work(number):
        return scarcity.weft("service", "call", "echo", "Say", f"{number}", "--provider", node)

    def after(number, done):
        if done.returncode == OK:
            check_eq(done.stdout.strip(), f"{number}", "the answer")
        check_eq(scarcity.well("service", "call", "echo", "Say", "x", "--provider", node).stdout.strip(),
                 "x", "the answer after it")

    scarcity.drive(work, after)


def test_publishing_without_memory_says_so_and_loses_no_revision(lab):
    scarcity = start_scarce(lab)
    tree = lab.folder("tree", FILES)
    scarcity.well("share", "new", "docs", "--public")
    kept = [0]

    def revision():
        return scarcity.daemon.json("share", "show", "docs")["share"]["revision"]

    def work(number):
        (tree / "small").write_text(f"{number}")
        return scarcity.weft("share", "publish", "docs", tree)

    def after(number, done):
        now = revision()
        check(now >= kept[0] + (done.returncode == OK and not done.stderr), f"revision {now} after {kept[0]}")
        (tree / "small").write_text(f"again {number}")
        scarcity.well("share", "publish", "docs", tree)
        kept[0] = revision()
        check(kept[0] > now, f"revision {kept[0]} after {now}")

    scarcity.drive(work, after)


def test_attaching_without_memory_says_so_and_can_be_repeated(lab):
    ns_a, _ = lab.veth_pair()
    scarcity = start_scarce(lab, netns=ns_a, listen=["0.0.0.0:7000"])
    probe = scarcity.weft("xdp", "attach", "veth0")
    if "kernel refuses the XDP program" in probe.stderr or "needs CAP_BPF" in probe.stderr:
        raise Skip(probe.stderr.strip())
    scarcity.well("xdp", "detach", "veth0")

    def work(_):
        return scarcity.weft("xdp", "attach", "veth0")

    def after(_, done):
        if done.returncode == OK:
            scarcity.well("xdp", "detach", "veth0")
        scarcity.weft("xdp", "detach", "veth0")
        scarcity.well("xdp", "attach", "veth0")
        scarcity.well("xdp", "detach", "veth0")

    def clean_work(number):
        done = work(number)
        if number <= 2:  # of those that are counted, not stepped
            scarcity.well("xdp", "detach", "veth0")
        return done

    scarcity.drive(clean_work, after)


if __name__ == "__main__":
    run([test_a_start_without_memory_ends_with_a_sentence_or_goes_well,
         test_share_add_without_memory_says_so_and_loses_no_share,
         test_a_get_without_memory_says_so_and_can_be_repeated,
         test_a_call_without_memory_says_so_and_can_be_repeated,
         test_publishing_without_memory_says_so_and_loses_no_revision,
         test_attaching_without_memory_says_so_and_can_be_repeated])
