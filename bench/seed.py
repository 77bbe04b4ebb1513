#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A seeder and several getters at once: what a byte costs its sender.

One file, GETTERS of them that fetch all of it at the same time. They know the seeder
alone; weft's find each other and take from each other what they can. The seeder is
counted: bytes that left its device, its processor time, and bytes that it read from
the disk. The latter are those of its first round, when nothing of the file is in the
page cache. What libtorrent has mapped cannot be dropped from it later. The getters
share the machine; their time is not counted.

The floor (seed_floor.c) is what the same datagrams cost when they are read,
encrypted and sent, and nothing else is done.
"""
import os
import pathlib
import re
import signal
import subprocess
import sys
import tempfile
import threading

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
import sides
import get_contenders as peers

MIB = 1 << 20
SIZE = int(os.environ.get("SIZE_MIB", "256")) * MIB
GETTERS = int(os.environ.get("GETTERS", "4"))
DEADLINE_S = 180


def read_bytes(pids):
    """Bytes that processes had the disk read, so far."""
    total = 0
    for pid in pids:
        text = pathlib.Path(f"/proc/{pid}/io").read_text(encoding="ascii")
        total += int(re.search(r"^read_bytes: (\d+)", text, re.M).group(1))
    return total


def sent_bytes(bench):
    """Bytes that left the device of the serving side, so far."""
    device = "veth0" if bench.netns["a"] else "lo"
    out = subprocess.run([*bench.at("a"), "cat", f"/sys/class/net/{device}/statistics/tx_bytes"],
                         check=True, capture_output=True, text=True).stdout
    return int(out)


class Seeder:
    """Runs the getters of one contender at once and counts what its server, pid, did."""

    def __init__(self, bench, contender, pid):
        self.bench, self.contender, self.pid = bench, contender, pid
        self.disk = []

    def forget_pages(self):
        for path in self.contender.source.rglob("*"):
            if path.is_file():
                with path.open("rb") as source:
                    os.fsync(source.fileno())
                    os.posix_fadvise(source.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)

    def fetch(self):
        getters = self.contender.getters(GETTERS)
        self.forget_pages()
        tree = peers.process_tree(self.pid)
        cpu, disk, sent = peers.Cpu(self.pid), read_bytes(tree), sent_bytes(self.bench)
        threads = [threading.Thread(target=getter) for getter in getters]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        used = cpu.used()
        sent = sent_bytes(self.bench) - sent
        self.disk.append((read_bytes(tree) - disk) / sent)
        self.contender.done()
        return report.Sample(sent, used, used)


def run_all(command):
    subprocess.run(["timeout", str(DEADLINE_S), *map(str, command)], check=True,
                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Weft(peers.Weft):
    def getters(self, cnt):
        self.nodes = [self.getter(f"b{i}") for i in range(cnt)]
        return [lambda node=node: run_all(
            [self.bench.weft, "-s", node.sock, "get", self.link, "--to",
             self.bench.new_folder()]) for node in self.nodes]

    def done(self):
        for node in self.nodes:
            self.bench.discard(node)


class WeftByTcp(peers.WeftByTcp, Weft):
    """Getters dial the seeder and each other by TCP alone."""

    def done(self):
        for node in self.nodes:
            self.check(node)
        super().done()


class Nginx(peers.Nginx):
    """curl throws away what it gets: as little as a getter can do."""

    def getters(self, cnt):
        url = f"https://{self.bench.address['a']}:{self.port}/file"
        command = [*self.bench.at("b"), "curl", "--silent", "--show-error", "--fail", "--cacert",
                   self.bench.dir / "nginx.crt", "--output", "/dev/null", url]
        return [lambda: run_all(command)] * cnt

    def done(self):
        pass


class Torrent(peers.Torrent):
    def getters(self, cnt):
        self.gets = [self.session("b", "get", self.bench.new_folder(), self.bench.port(),
                                  self.bench.address["a"], str(self.port)) for _ in range(cnt)]
        return [lambda get=get: self.get(get) for get in self.gets]

    @staticmethod
    def get(session):
        session.stdin.write("\n")
        session.stdin.flush()
        if session.stdout.readline() != "done\n":
            raise RuntimeError("libtorrent failed")

    def done(self):
        for session in self.gets:
            session.stdin.close()
            session.wait(DEADLINE_S)


class Floor:
    """As many bytes as the getters of others fetch, to sockets that throw them away."""
    PROGRAM = report.BUILD / "bench" / "seed_floor"
    SINK = report.BUILD / "bench" / "udp_pipe"

    def __init__(self, bench, source):
        self.bench, self.source = bench, source

    def fetch(self):
        address = self.bench.address["b"]
        ports = [str(self.bench.port()) for _ in range(GETTERS)]
        sinks = [self.sink(address, port) for port in ports]
        sent = sent_bytes(self.bench)
        sample = report.timed([*self.bench.at("a"), str(self.PROGRAM), str(self.source / "file"),
                               str(SIZE * GETTERS), address, *ports], SIZE * GETTERS)
        for sink in sinks:
            sink.wait(DEADLINE_S)
        return report.Sample(sent_bytes(self.bench) - sent, sample.cpu_s, sample.cpu_s)

    def sink(self, address, port):
        sink = subprocess.Popen([*self.bench.at("b"), str(self.SINK), "receive", address, port,
                                 "epoll"], stdout=subprocess.DEVNULL)
        self.bench.wait_bound(sink, int(port))
        return sink


def main():
    sides.share_nice("self")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    # Where there is a disk: /tmp may be memory.
    tempfile.tempdir = str((report.BUILD.parent / "bench").resolve())
    pathlib.Path(tempfile.tempdir).mkdir(parents=True, exist_ok=True)
    bench = sides.Bench()
    try:
        if os.geteuid() == 0:
            bench.join_by_veth()
        sources = [bench.lab.folder(f"source{i}", {"file": SIZE}) for i in range(4)]
        weft, nginx = Weft(bench, sources[0]), Nginx(bench, sources[1])
        torrent = Torrent(bench, sources[2])
        by_tcp = WeftByTcp(bench, sources[3])
        seeders = {"weft": Seeder(bench, weft, weft.a.pid()),
                   "weft, TCP": Seeder(bench, by_tcp, by_tcp.a.pid()),
                   "nginx HTTPS, sendfile": Seeder(bench, nginx, nginx.daemon),
                   "libtorrent, plain TCP": Seeder(bench, torrent, torrent.seed.pid)}
        floor = {"floor: read, AES-GCM, GSO": Floor(bench, sources[0]).fetch}
        samples = report.measure({name: seeder.fetch for name, seeder in seeders.items()} | floor,
                                 int(os.environ.get("ROUNDS", "5")))
        disk = {name: seeder.disk[0] for name, seeder in seeders.items()}
        summary = weft.a.json("seed", "top")["sum"]
        report.report("seed", samples, "weft", "MB/core s", 1e-6, [
            bench.link,
            f"{GETTERS} getters of one file of {SIZE // MIB} MiB; bytes on the wire of the seeder, "
            "per second of its processor time",
            "disk bytes read per byte sent, page cache cold: " +
            ", ".join(f"{name} {ratio:.3f}" for name, ratio in disk.items()),
            f"weft: of {summary['sent_chunks']} chunks sent {summary['shared_chunks']} were read "
            "for another getter",
            "nginx: TLS 1.3, AES-128-GCM; libtorrent sends in the clear; what TCP sends when an "
            "acknowledgement comes is charged to whom that interrupts, mostly the getters",
            f"load of the machine at the end: {os.getloadavg()[0]:.1f}"],
            {"disk_per_byte": disk, "getters": GETTERS, "size": SIZE})
    finally:
        bench.close()


main()
