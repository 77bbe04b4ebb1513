#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a daemon takes: memory when idle, per idle connection, while sharing
10 GiB, after sharing 100,000 files; CPU with 100 idle connections. Defaults throughout, over loopback: as
root one of a namespace, whose MTU is 1500, as ngtcp2 keeps a buffer of the
largest packet seen.

An idle connection's memory is told apart by where it lies: OpenSSL takes its
own from malloc, which is the process's [heap], and our code does not after
start; the rest is ours: QUIC's heap, tables and buffers touched for the first
time.
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

PEERS = report.BUILD.resolve() / "bench" / "memory_peers"
KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30
CONN_CNT, CPU_CONN_CNT = 200, 100
FILE_CNT = 100_000
SETTLE_S, IDLE_S = 3, 30


class Memory:
    """Resident bytes of a daemon: in all, in malloc's heap, in QUIC's heap."""

    def __init__(self, daemon):
        self.rss = self.malloc = 0
        name = ""
        for line in pathlib.Path(f"/proc/{daemon.pid()}/smaps").read_text().splitlines():
            words = line.split()
            if not words[0].endswith(":"):
                name = words[-1]
            elif words[0] == "Rss:":
                self.rss += int(words[1]) * KIB
                self.malloc += int(words[1]) * KIB if name == "[heap]" else 0
        regions = daemon.json("memory", "show")["regions"]
        self.quic = next(r["used_bytes"] for r in regions if "used_bytes" in r)


def status_field(daemon, key):
    for line in pathlib.Path(f"/proc/{daemon.pid()}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * KIB
    raise KeyError(key)


def cpu_ns(daemon):
    return sum(int(task.read_text().split()[0])
               for task in pathlib.Path(f"/proc/{daemon.pid()}/task").glob("*/schedstat"))


class Peers:
    """cnt sessions with daemon, from as many keys in one process."""

    def __init__(self, daemon, cnt):
        status = daemon.json("status")
        prefix = ["ip", "netns", "exec", daemon.netns] if daemon.netns else []
        self.process = subprocess.Popen(
            [*prefix, PEERS, status["listen"][0], daemon.weft("node", "id").stdout.strip(),
             str(cnt)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        if self.process.stdout.readline() != f"connected {cnt}\n":
            raise RuntimeError("the peers did not connect")

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def started(bench, name):
    netns = None
    if os.geteuid() == 0:
        netns = bench.netns(name)
        bench.ip(netns, "link", "set", "lo", "mtu", "1500")
    daemon = bench.daemon(name, netns=netns).start()
    time.sleep(SETTLE_S)
    return daemon


def measure_idle(bench):
    daemon = started(bench, "idle")
    memory = Memory(daemon)
    daemon.stop()
    return {"idle daemon, RSS, MiB (aim <= 40)": memory.rss / MIB}


def measure_connections(bench):
    daemon = started(bench, "conns")
    first = Peers(daemon, 1)  # touches code and tables that no further one has to
    time.sleep(SETTLE_S)
    before = Memory(daemon)
    peers = Peers(daemon, CONN_CNT)
    time.sleep(SETTLE_S)
    after = Memory(daemon)
    peers.close()
    first.close()
    daemon.stop()
    rss, malloc, quic = ((getattr(after, k) - getattr(before, k)) / CONN_CNT / KIB
                         for k in ("rss", "malloc", "quic"))
    return {"idle connection, all, KiB": rss,
            "  of it OpenSSL's (malloc), KiB": malloc,
            "  of it ours, KiB (aim <= 24)": rss - malloc,
            "    of that ngtcp2's objects (quic.heap), KiB": quic,
            "    of that ours alone, KiB": rss - malloc - quic}


def measure_idle_cpu(bench):
    daemon = started(bench, "cpu")
    peers = Peers(daemon, CPU_CONN_CNT)
    time.sleep(SETTLE_S)
    start_ns, start = cpu_ns(daemon), time.monotonic()
    time.sleep(IDLE_S)
    used = (cpu_ns(daemon) - start_ns) / 1e9 / (time.monotonic() - start)
    peers.close()
    daemon.stop()
    return {f"CPU with {CPU_CONN_CNT} idle connections, % of a core (aim < 1)": used * 100}


def measure_share(bench):
    """The file is sparse: its zeros are hashed as any bytes are, but no disk is read."""
    daemon = started(bench, "share")
    path = bench.dir / "sparse"
    with path.open("wb") as file:
        file.truncate(10 * GIB)
    pathlib.Path(f"/proc/{daemon.pid()}/clear_refs").write_text("5")  # forget the peak so far
    before = status_field(daemon, "VmRSS")
    start = time.monotonic()
    done = daemon.weft("share", "add", path, timeout=600)
    wall_s = time.monotonic() - start
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    peak, after = status_field(daemon, "VmHWM"), status_field(daemon, "VmRSS")
    daemon.stop()
    path.unlink()
    return {"sharing 10 GiB (sparse), RSS growth at peak, MiB (aim < 32)": (peak - before) / MIB,
            "  growth that stays, MiB": (after - before) / MIB,
            "  rate, MB/s": 10 * GIB / wall_s / 1e6}


def measure_many(bench):
    """RssFile is what of the program and of the database is mapped: the kernel's to take back."""
    daemon = started(bench, "many")
    for number in range(FILE_CNT):
        path = bench.dir / "many" / str(number // 1000) / str(number)
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(str(number))
    done = daemon.weft("share", "add", bench.dir / "many", timeout=600)
    if done.returncode != 0:
        raise RuntimeError(done.stderr)
    peak = status_field(daemon, "VmHWM")
    time.sleep(SETTLE_S)
    ours, mapped = status_field(daemon, "RssAnon"), status_field(daemon, "RssFile")
    daemon.stop()
    shutil.rmtree(bench.dir / "many")
    return {f"sharing {FILE_CNT:,} files, RSS at peak, MiB": peak / MIB,
            "  RSS afterwards, MiB (aim <= 40)": (ours + mapped) / MIB,
            "    of it our own (RssAnon), MiB": ours / MIB}


def main():
    rounds = min(report.ROUNDS, 3)
    values = {}
    for _ in range(rounds):
        for measure in (measure_idle, measure_connections, measure_idle_cpu, measure_share,
                        measure_many):
            bench = lab.Lab()
            try:
                for name, value in measure(bench).items():
                    values.setdefault(name, []).append(value)
            finally:
                bench.close()
    facts = report.machine()
    print(f"memory: {facts['cpu']}, {facts['cores']} cores, Linux {facts['kernel']}, "
          f"commit {facts['commit']}, {rounds} rounds")
    for name, runs in values.items():
        print(f"{name:64} {statistics.median(runs):10.4g}  {report.spread(runs)}")
    out = report.BUILD.parent / "bench" / "memory.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"bench": "memory", "machine": facts, "samples": values}, indent=1))
    print(f"  raw samples: {out}")


main()
