#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Disk to disk, verified: one file of 1 GiB, and 10,000 files of 16 KiB.

Between two network namespaces joined by a veth pair with XDP_PASS on both
ends; without root over loopback. Each round fetches everything once with each
contender, compares what came with what was shared, and removes it.
"""
import os
import pathlib
import signal
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
import sides
import get_contenders as peers

MIB = 1 << 20
ONE_FILE = {"file": 1024 * MIB}
MANY_FILES = {f"{i // 100:02}/{i % 100:02}": 16384 for i in range(10000)}


def run(title, files, aims, **nginx):
    bench = sides.Bench()
    try:
        if os.geteuid() == 0:
            bench.join_by_veth()
        source = bench.lab.folder("source", files)
        contenders = {
            "weft get": peers.Weft(bench, source),
            **({"weft get, AF_XDP": peers.WeftByAfXdp(bench, source)} if bench.netns["a"] else {}),
            "weft get, TCP": peers.WeftByTcp(bench, source),
            "rsync daemon, plain TCP": peers.Rsync(bench, source),
            "nginx HTTPS, curl": peers.Nginx(bench, source, **nginx),
            "libtorrent, plain TCP": peers.Torrent(bench, source),
        }
        if len(files) == 1 and peers.RawStream.PROGRAM.exists():
            contenders["our raw QUIC stream"] = peers.RawStream(bench)
        samples = report.measure({name: c.fetch for name, c in contenders.items()})
        report.report(f"get-{title}", samples, "weft get", "MB/s", 1e-6,
                      [*notes(bench), aims])
        imports = {"weft share add": peers.Import(bench, source).fetch,
                   "b3sum": lambda: report.timed(
                       ["b3sum", *(p for p in source.rglob("*") if p.is_file())],
                       sum(files.values()))}
        report.report(f"import-{title}", report.measure(imports), "weft share add", "MB/s", 1e-6,
                      ["a new node shares the folder from page cache; b3sum with all threads"])
    finally:
        bench.close()


def notes(bench):
    ulp = pathlib.Path("/proc/sys/net/ipv4/tcp_available_ulp").read_text().split()
    return [bench.link,
            "as much memory as a fetch writes was in use a moment before it",
            "source in page cache; the time ends when all is on the target's disk; compared each round",
            f"nginx: TLS 1.3, AES-128-GCM, kTLS {'available' if 'tls' in ulp else 'not in this kernel'}",
            "rsync and libtorrent send in the clear; libtorrent: limits lifted, 2 hashing threads",
            f"load of the machine at the end: {os.getloadavg()[0]:.1f}"]


def main():
    sides.share_nice("self")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    run("file", ONE_FILE, "aims: >= 2x libtorrent, >= 1x nginx, >= 0.9x our raw stream; AF_XDP >= UDP")
    run("files", MANY_FILES, "aims: >= 2x libtorrent, >= 1x nginx",
        curl_flags=["--parallel", "--parallel-max", "16"])


main()
