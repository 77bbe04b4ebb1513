#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Sharing needs memory for what is in flight, not for what is shared."""
import os
import pathlib
import re
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, TRACEABLE, Skip, check, check_eq, run, wait_for

GIB = 1 << 30
GROWTH_MAX_KIB = 32 * 1024
IDLE_MAX_KIB = 40 * 1024
SHARE_TIMEOUT_S = 300


def status_kib(daemon, field):
    status = pathlib.Path(f"/proc/{daemon.pid()}/status").read_text()
    return int(re.search(field + r":\s+(\d+)", status).group(1))


def peak_kib(daemon):
    return status_kib(daemon, "VmHWM")


def peak_reset(daemon):
    """The kernel resets the peak of a process of the same user: see proc(5), clear_refs."""
    try:
        pathlib.Path(f"/proc/{daemon.pid()}/clear_refs").write_text("5")
    except OSError as why:
        raise Skip(f"the peak of memory cannot be reset: {why}")


def growth_kib(daemon, path):
    peak_reset(daemon)
    before = peak_kib(daemon)
    done = daemon.weft("share", "add", path, timeout=SHARE_TIMEOUT_S)
    check_eq(done.returncode, OK, f"share add: {done.stderr}")
    return peak_kib(daemon) - before


def test_a_file_of_10_gib_grows_memory_by_less_than_32_mib(lab):
    daemon = lab.daemon("a", config=TRACEABLE).start()
    path = lab.dir / "sparse.bin"
    with open(path, "wb") as sparse:
        os.truncate(sparse.fileno(), 10 * GIB)
    growth = growth_kib(daemon, path)
    print(f"# grew by {growth} KiB")
    check(growth < GROWTH_MAX_KIB, f"memory grew by {growth} KiB")
    share = daemon.json("share", "list")["shares"][0]
    check_eq(share["bytes"], 10 * GIB, "bytes shared")


def folder_of(lab, cnt):
    for number in range(cnt):
        path = lab.dir / "many" / str(number // 1000) / f"file-{number}.txt"
        if number % 1000 == 0:
            path.parent.mkdir(parents=True)
        path.write_text(str(number))
    return lab.dir / "many"


def test_twenty_thousand_files_grow_memory_by_less_than_32_mib(lab):
    daemon = lab.daemon("a", config=TRACEABLE).start()
    growth = growth_kib(daemon, folder_of(lab, 20_000))
    print(f"# grew by {growth} KiB")
    check(growth < GROWTH_MAX_KIB, f"memory grew by {growth} KiB")


def test_what_sharing_many_files_took_is_given_back(lab):
    """Mapped pages of the database (RssFile) all, our own (RssAnon) but for one commit's."""
    daemon = lab.daemon("a", config=TRACEABLE).start()
    done = daemon.weft("share", "add", folder_of(lab, 60_000), timeout=SHARE_TIMEOUT_S)
    check_eq(done.returncode, OK, f"share add: {done.stderr}")
    print(f"# right after: {status_kib(daemon, 'VmRSS')} KiB")
    wait_for(lambda: status_kib(daemon, "VmRSS") <= IDLE_MAX_KIB, "it is given back")
    print(f"# idle: {status_kib(daemon, 'RssFile')} + {status_kib(daemon, 'RssAnon')} KiB")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
