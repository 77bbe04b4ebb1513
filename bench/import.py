#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Publishing a large tree: FILES small files (default a million, of 100 bytes, a hundred in
a folder), and the update after one file more. Then one sparse file of SPARSE_GIB
(default 50), whose zeros are hashed as any bytes are while no disk is read. Seconds of
the wall and of the CPU, peak memory, and how many manifests an update makes new.

Folders are made in TMPDIR. CPU is all of the daemon's threads; the wall has the disk's and
the neighbours' share in it.
"""
import json
import os
import pathlib
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "tests" / "system"))

import report
from support import lab

FILES = int(os.environ.get("FILES", "1000000"))
SPARSE_GIB = int(os.environ.get("SPARSE_GIB", "50"))
FOLDER_CNT = 100
TIMEOUT_S = 3600
MIB, GIB = 1 << 20, 1 << 30


def status_field(daemon, key):
    for line in pathlib.Path(f"/proc/{daemon.pid()}/status").read_text().splitlines():
        if line.startswith(key + ":"):
            return int(line.split()[1]) * 1024
    raise KeyError(key)


def make_tree(root):
    """Every file has other bytes, so that nothing is stored once for two."""
    for first in range(0, FILES, FOLDER_CNT):
        folder = root / f"{first // 10000:04}" / f"{first // FOLDER_CNT % 100:02}"
        folder.mkdir(parents=True)
        for n in range(first, min(first + FOLDER_CNT, FILES)):
            (folder / f"{n:07}.txt").write_bytes(b"%07d " % n * 12 + b"end.")


def measured(daemon, what, *words):
    """What a command answered, and what it took of the daemon."""
    pathlib.Path(f"/proc/{daemon.pid()}/clear_refs").write_text("5")  # forget the peak so far
    cpu, start = report.cpu_of([daemon.pid()]), time.monotonic()
    reply = daemon.json(*words, timeout=TIMEOUT_S)
    wall = time.monotonic() - start
    return reply, {f"{what}, s": wall, f"{what}, CPU s": report.cpu_of([daemon.pid()]) - cpu,
                   f"{what}, peak RSS, MiB": status_field(daemon, "VmHWM") / MIB}


def manifests(reply):
    return f"{reply['new_manifests']} of {reply['manifests']}"


def measure_small(bench):
    root = bench.dir / "small"
    make_tree(root)
    time.sleep(2.1)  # until a file's times say that it was not written again
    daemon = bench.daemon("small").start()
    daemon.json("share", "new", "small")
    first, figures = measured(daemon, "publish", "share", "publish", "small", str(root))
    figures["publish, files/s"] = FILES / figures["publish, s"]
    figures["publish, manifests new"] = manifests(first)
    (root / "0000" / "00" / "0000050a.txt").write_bytes(b"one more")
    second, update = measured(daemon, "update by one file", "share", "update", "small")
    update["update, files read"] = (second["import"]["files_done"] -
                                    second["import"]["files_reused"])
    update["update, manifests new"] = manifests(second)
    third, same = measured(daemon, "update by nothing", "share", "update", "small")
    if not third["unchanged"]:
        raise RuntimeError("a revision was made of nothing")
    told, diff = measured(daemon, "diff", "share", "diff", "small")
    if told["added"] != 1:
        raise RuntimeError(f"diff: {told}")
    figures["store, MiB"] = sum(at.stat().st_blocks * 512 for at in daemon.state.rglob("*")
                                if at.is_file()) / MIB
    daemon.stop()
    return {**figures, **update, **same, **diff}


def measure_sparse(bench):
    path = bench.dir / "sparse"
    with path.open("wb") as file:
        file.truncate(SPARSE_GIB * GIB)
    daemon = bench.daemon("sparse").start()
    daemon.json("share", "new", "sparse")
    _, figures = measured(daemon, "sparse file", "share", "publish", "sparse", str(path))
    figures["sparse file, GiB/s"] = SPARSE_GIB / figures["sparse file, s"]
    daemon.stop()
    return figures


def main():
    rows = {}
    print(f"# {FILES} files of 100 bytes; a sparse file of {SPARSE_GIB} GiB")
    for measure in (measure_small, measure_sparse):
        bench = lab.Lab()
        try:
            figures = measure(bench)
            # Before the folders go: a million files take the disk longer to delete than to hash.
            for name, value in figures.items():
                text = value if isinstance(value, (str, int)) else f"{value:.1f}"
                print(f"{name:36} {text}", flush=True)
            rows.update(figures)
        finally:
            bench.close()
    out = report.BUILD / "bench" / "import.json"
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text(json.dumps({"files": FILES, "sparse_gib": SPARSE_GIB, "rows": rows}, indent=1))


main()
