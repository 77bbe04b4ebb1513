#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""One file from several sources to one getter, and from one source to several getters.

Sixteen network namespaces on one switch. Their datagrams leave by a token bucket (tc
tbf), as by the line of a home or a rented host. Time ends when the last getter has all
of it, verified. libtorrent does the same behind the same buckets. It knows every
address, where weft's getters know one source and find the others.

MIB (256) is the file, MBIT (200) each one's line, ROUNDS (3) how often.
"""
import os
import pathlib
import shutil
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
from support import lab

MIB = int(os.environ.get("MIB", "256"))
MBIT = int(os.environ.get("MBIT", "200"))
ROUNDS = int(os.environ.get("ROUNDS", "3"))
NODES = 16
DEADLINE_S = 1800
TORRENT = HERE / "get_torrent.py"
# How many sources, how many getters.
SHAPES = [(1, 1), (3, 1), (5, 1), (1, 5)]


class Net:
    """The namespaces; n1.. are sources, then come getters."""

    def __init__(self):
        self.lab = lab.Lab()
        self.names = self.lab.bridge(NODES)
        for name in self.names:
            subprocess.run(["ip", "netns", "exec", name, "tc", "qdisc", "add", "dev", "veth0",
                            "root", "tbf", "rate", f"{MBIT}mbit", "burst", "256kb", "latency",
                            "50ms"], check=True)
        self.source = self.lab.folder("source", {"file": MIB << 20})
        self.out_cnt = 0

    def address(self, idx):
        return f"10.77.0.{idx + 1}"

    def out(self):
        self.out_cnt += 1
        return self.lab.dir / f"out{self.out_cnt}"

    def drop(self, folder):
        lab.same_tree(self.source, folder)
        shutil.rmtree(folder)

    def close(self):
        self.lab.close()


def cpu_now(pids):
    return report.cpu_of(pids)


class Weft:
    """New daemons for each run. Sources but the first have it from the first."""

    def __init__(self, net):
        self.net, self.run_cnt = net, 0

    def daemon(self, idx):
        return self.net.lab.daemon(f"r{self.run_cnt}n{idx}", netns=self.net.names[idx],
                                   listen=[f"{self.net.address(idx)}:7000"]).start()

    def get_all(self, daemons, link):
        """Starts all, returns (processes, folders)."""
        folders = [self.net.out() for _ in daemons]
        processes = [d.weft_popen("get", link, "--to", folder)
                     for d, folder in zip(daemons, folders)]
        return processes, folders

    def wait(self, processes):
        for process in processes:
            _, err = process.communicate(timeout=DEADLINE_S)
            if process.returncode != 0:
                raise RuntimeError(err)

    def make(self, source_cnt, getter_cnt):
        self.run_cnt += 1
        daemons = [self.daemon(i) for i in range(source_cnt + getter_cnt)]
        link = daemons[0].share(self.net.source)
        self.wait(self.get_all(daemons[1:source_cnt], link)[0])
        return daemons, link

    def discard(self, daemons):
        for daemon in daemons:
            daemon.stop()
            self.net.lab.daemons.remove(daemon)
            shutil.rmtree(daemon.state)

    def run(self, source_cnt, getter_cnt):
        daemons, link = self.make(source_cnt, getter_cnt)
        pids = [d.pid() for d in daemons]
        cpu, start = cpu_now(pids), time.monotonic()
        processes, folders = self.get_all(daemons[source_cnt:], link)
        self.wait(processes)
        sample = report.Sample(getter_cnt * (MIB << 20), time.monotonic() - start,
                               cpu_now(pids) - cpu)
        for folder in folders:
            self.net.drop(folder)
        self.discard(daemons)
        return sample

    def two_of_five_die(self):
        """Seconds, and bytes received beyond those of the file."""
        daemons, link = self.make(5, 1)
        start = time.monotonic()
        processes, folders = self.get_all(daemons[5:], link)
        lab.wait_for(lambda: any(get["bytes_done"] > MIB << 19 for get in
                                 daemons[5].json("get", "list")["gets"]), "half of it",
                     timeout=DEADLINE_S)
        for daemon in daemons[1:3]:
            daemon.kill()
        self.wait(processes)
        took = time.monotonic() - start
        get = daemons[5].json("get", "list")["gets"][0]
        self.net.drop(folders[0])
        self.discard(daemons)
        return took, get["bytes_received"] - get["bytes"]


class Torrent:
    """Every getter knows all addresses; one process each, as of weft."""

    def __init__(self, net):
        self.net, self.torrent = net, net.lab.dir / "file.torrent"
        import libtorrent as lt

        storage = lt.file_storage()
        lt.add_files(storage, str(net.source))
        torrent = lt.create_torrent(storage, 256 * 1024)
        lt.set_piece_hashes(torrent, str(net.source.parent))
        self.torrent.write_bytes(lt.bencode(torrent.generate()))

    def start(self, idx, role, folder, peers):
        process = subprocess.Popen(
            ["ip", "netns", "exec", self.net.names[idx], sys.executable, str(TORRENT), role,
             str(self.torrent), str(folder), self.net.address(idx), "6881",
             *(word for peer in peers for word in (self.net.address(peer), "6881"))],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert process.stdout.readline() == "ready\n"
        return process

    def run(self, source_cnt, getter_cnt):
        everybody = range(source_cnt + getter_cnt)
        seeds = [self.start(i, "seed", self.net.source.parent, []) for i in range(source_cnt)]
        folders = [self.net.out() for _ in range(getter_cnt)]
        getters = [self.start(i, "get", folder, [p for p in everybody if p != i])
                   for i, folder in zip(everybody[source_cnt:], folders)]
        pids = [p.pid for p in seeds + getters]
        cpu, start = cpu_now(pids), time.monotonic()
        for getter in getters:
            getter.stdin.write("go\n")
            getter.stdin.flush()
        for getter in getters:
            assert getter.stdout.readline() == "done\n"
        sample = report.Sample(getter_cnt * (MIB << 20), time.monotonic() - start,
                               cpu_now(pids) - cpu)
        for process in getters + seeds:
            process.stdin.close()
            process.wait()
        for folder in folders:
            self.net.drop(folder / self.net.source.name)
            shutil.rmtree(folder)
        return sample


def main():
    if os.geteuid() != 0:
        sys.exit("bench/multi-source shapes links, which needs root")
    net = Net()
    try:
        weft, torrent = Weft(net), Torrent(net)
        for sources, getters in SHAPES:
            samples = report.measure(
                {"weft": lambda s=sources, g=getters: weft.run(s, g),
                 "libtorrent": lambda s=sources, g=getters: torrent.run(s, g)}, ROUNDS)
            ideal = MIB * 8 * 1.048576 / (MBIT * (sources if getters == 1 else 1))
            times = {name: sorted(s.wall_s for s in runs) for name, runs in samples.items()}
            report.report(f"swarm-{sources}-to-{getters}", samples, "weft", "MB/s", 1e-6, [
                f"{MIB} MiB, lines of {MBIT} Mbit/s; seconds to the last getter: " + "; ".join(
                    f"{name} {runs[len(runs) // 2]:.1f} ({runs[0]:.1f}..{runs[-1]:.1f})"
                    for name, runs in times.items()),
                f"the lines of the sources alone take {ideal:.1f} s for one copy",
                f"load of the machine at the end: {os.getloadavg()[0]:.1f}"])
        took, more = weft.two_of_five_die()
        print(f"two of five sources killed in the middle: {took:.1f} s, "
              f"{more} bytes received beyond the file's (manifest and chunk list)")
    finally:
        net.close()


main()
