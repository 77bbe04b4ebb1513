#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Two nodes have the same 100,000 posts, and one has 10 more: what it takes until the other has them.

    messages      both nodes in one process, over the seam of the mesh: bytes of messages alone
    weft          two daemons that meet, in namespaces, and pull from each other. Bytes are all on the
                  wire, with handshake and headers. Time of the core is that of both. Each has 20,000
                  posts more, which the other may not have.
      session     the same daemons without posts: what a session costs by itself
    rsync         the same posts as a file each, over a pipe
    negentropy    the comparison alone, by the C++ code of strfry: where NEGENTROPY is the folder cpp of
                  github.com/hoytech/negentropy

Time of the core is that of the scheduler for all threads, so that what else the machine does is no part
of it. Runs take turns, ROUNDS times (3), and medians are printed. It needs root.
"""
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
from support import lab

POSTS = int(os.environ.get("POSTS", "100000"))
NEW, SECRETS = 10, POSTS // 5
ROUNDS = int(os.environ.get("ROUNDS", "3"))
SETTLE_S, SYNC_S = 4, 6
BENCH = report.BUILD.resolve() / "bench"
CONFIG = "[dht]\nenabled = no\n[social]\ncopies = 0\nposts = 1000000\n"
LETTERS = "ybndrfg8ejkmcpqxot1uwisza345h769"


class Cost:
    def __init__(self, wire_len, core_ms):
        self.wire_len, self.core_ms = wire_len, core_ms


def letters_of(key):
    """A key as the command takes it."""
    number = int.from_bytes(bytes.fromhex(key), "big") << 4
    return "".join(LETTERS[number >> at & 31] for at in range(255, -1, -5))


def core_ms(daemon):
    return sum(int(task.read_text().split()[0]) for task in
               pathlib.Path(f"/proc/{daemon.pid()}/task").glob("*/schedstat")) / 1e6


def wire_len(netns):
    """Bytes that the namespace sent and received."""
    rows = json.loads(lab.run_plain("ip", "-n", netns, "-s", "-j", "link").stdout)
    return sum(row["stats64"][way]["bytes"] for row in rows if row["ifname"] != "lo"
               for way in ("rx", "tx"))


def counters(daemon):
    return daemon.json("status")["counters"]


def fill(folder, post_cnt, new_cnt, secret_cnt):
    folder.mkdir()
    done = lab.run_plain(BENCH / "social-sync_fill", folder, str(post_cnt), str(new_cnt),
                         str(secret_cnt))
    return [letters_of(line) for line in done.stdout.split()]


def daemons_of(made, netns, folder, authors):
    daemons = []
    for name, where in zip("ab", netns):
        daemon = made.daemon(f"{folder.name}-{name}", netns=where, listen=["0.0.0.0:7000"],
                             config=CONFIG)
        shutil.copytree(folder / f"{name}.state", daemon.state)
        daemons.append(daemon.start())
    keys = [daemon.json("node", "id")["node_id"] for daemon in daemons]
    for daemon, other in zip(daemons, reversed(keys)):
        for key in [other, *authors]:
            done = daemon.weft("follow", "add", key)
            lab.check_eq(done.returncode, lab.OK, f"follow {key}: {done.stderr}")
    return daemons, keys


def weft_run(made, netns, folder, authors, want):
    """The cost of a session of SYNC_S in which b gets what it lacks."""
    (a, b), keys = daemons_of(made, netns, folder, authors)
    time.sleep(SETTLE_S)
    before = core_ms(a) + core_ms(b)
    time.sleep(SYNC_S)
    idle = core_ms(a) + core_ms(b) - before
    wire, before = wire_len(netns[0]), core_ms(a) + core_ms(b)
    done = b.weft("peer", "connect", keys[0], "10.77.0.1:7000")
    lab.check_eq(done.returncode, lab.OK, done.stderr)
    time.sleep(SYNC_S)
    cost = Cost(wire_len(netns[0]) - wire, core_ms(a) + core_ms(b) - before - idle)
    lab.check_eq(counters(b)["social_sync.taken_cnt"], want, "posts that came")
    lab.check_eq(counters(b)["social_sync.pulled_cnt"] > 0, True, "a pull ended")
    cost.answers_len = [counters(daemon)["social_sync.taken_len"] for daemon in (a, b)]
    for daemon in (a, b):
        daemon.stop()
        made.daemons.remove(daemon)
        shutil.rmtree(daemon.state)
    return cost


def rsync_run(folder):
    """Over a pipe: its shell and its host are env, which runs what stands behind it."""
    came = folder / "came"
    with came.open("w") as out:
        client = report.timed(["rsync", "-a", "--stats", "--itemize-changes", "-e", "env",
                               f"env:{folder}/a.files/", f"{folder}/b.files/"], NEW, stdout=out)
    lines = came.read_text().splitlines()
    names = [line.split()[1] for line in lines if line.startswith(">f+")]
    lab.check_eq(len(names), NEW, "files that came")
    for name in names:
        (folder / "b.files" / name).unlink()
    wire = sum(int(line.split()[-1].replace(",", "")) for line in lines
               if line.startswith("Total bytes"))
    return Cost(wire, client.cpu_s * 1e3)


def negentropy_rows():
    source = os.environ.get("NEGENTROPY")
    if not source:
        return []
    program = BENCH / "social-sync_negentropy"
    lab.run_plain("g++", "-std=c++20", "-O2", f"-I{source}", "-o", program,
                  HERE / "social-sync_negentropy.cc", "-lcrypto")
    rows = lab.run_plain(program, str(POSTS), str(NEW)).stdout.splitlines()
    return [(f"negentropy, {name}", [Cost(int(sent) + int(received), float(ms))])
            for name, sent, received, ms, *_ in (row.split() for row in rows)]


def show(rows):
    ours = dict(rows)["weft"]
    base = [statistics.median(getattr(cost, field) for cost in ours)
            for field in ("wire_len", "core_ms")]
    facts = report.machine()
    print(f"{'':24} {'bytes':>12} {'core ms':>9} {'to weft: bytes':>15} {'core':>7}   "
          f"{len(ours)} rounds, {facts['cpu']}, commit {facts['commit']}")
    for name, costs in rows:
        wire, core = (statistics.median(getattr(cost, field) for cost in costs)
                      for field in ("wire_len", "core_ms"))
        print(f"{name:24} {wire:12,.0f} {core:9.1f} {wire / base[0]:15.2f} {core / base[1]:7.2f}")
    out = report.BUILD.parent / "bench" / "social-sync.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"machine": facts, "posts": POSTS, "new": NEW, "samples": {
        name: [vars(cost) for cost in costs] for name, costs in rows}}, indent=1))


def main():
    lab.need_root()
    sys.stdout.reconfigure(line_buffering=True)
    print(lab.run_plain(BENCH / "social-sync").stdout, end="")
    made = lab.Lab()
    try:
        netns = made.bridge(2)
        folders = {"weft": (POSTS, NEW, SECRETS), "weft, session": (0, 0, 0)}
        authors = {name: fill(made.dir / name.split()[-1], *counts)
                   for name, counts in folders.items()}
        rsync_run(made.dir / "weft")  # from now on the times of files agree
        costs = {name: [] for name in [*folders, "rsync -a"]}
        for _ in range(ROUNDS):
            for name, (_, new_cnt, _) in folders.items():
                costs[name].append(weft_run(made, netns, made.dir / name.split()[-1],
                                            authors[name], new_cnt))
            costs["rsync -a"].append(rsync_run(made.dir / "weft"))
        show([*costs.items(), *negentropy_rows()])
    finally:
        made.close()


main()
