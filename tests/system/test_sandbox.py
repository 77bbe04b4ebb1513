#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What confines the daemon's threads is in force, said, and can be left off."""
import ctypes
import pathlib
import signal
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, WEFTD, Skip, check, check_eq, run, same_tree

KINDS = {"weftd", "store", "jobs", "import", "worker-1"}
ON = "on"


def threads(pid):
    """Names of threads and their status files."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        status = dict(line.split(":\t", 1) for line in lines if ":\t" in line)
        yield status["Name"], status


def need_sandbox(daemon):
    if "/san-" in WEFTD:
        raise Skip("machine: sanitizers make calls of their own: no filters in their builds")
    said = daemon.json("status")["sandbox"]
    if said["calls"] != ON or not said["files"].startswith(ON):
        raise Skip(f"machine: calls {said['calls']}; files {said['files']}")


def test_every_thread_is_filtered(lab):
    a = lab.daemon("a", config="[node]\nworkers = 2\n")
    a.start()
    need_sandbox(a)
    a.share(lab.folder("src", {"f": 300000}))
    seen = dict(threads(a.pid()))
    check(KINDS <= set(seen), f"{sorted(seen)}")
    for name, status in seen.items():
        check_eq(status["Seccomp"], "2", f"{name}: filter")
        check_eq(status["NoNewPrivs"], "1", name)


def test_gets_go_on_as_if_there_were_none(lab):
    """Two workers each: chunks are read by jobs, for a worker opens nothing."""
    a = lab.daemon("a", config="[node]\nworkers = 2\n")
    b = lab.daemon("b", config="[node]\nworkers = 2\n")
    a.start()
    b.start()
    source = lab.folder("src", {"f": 3000000, "d/g": 70000})
    done = b.weft("get", a.share(source), "--to", lab.dir / "dst")
    check_eq(done.returncode, OK, done.stderr)
    same_tree(source, lab.dir / "dst")
    for daemon in (a, b):
        check_eq(daemon.json("status")["sandbox"]["refused"], 0, daemon.name)


def test_it_can_be_left_off(lab):
    a = lab.daemon("a", config="[node]\nsandbox = no\n")
    a.start()
    if "/san-" not in WEFTD:
        check_eq(a.json("status")["sandbox"]["calls"], "off: node.sandbox = no", "what is said")
    filtered = {status["Seccomp"] for _, status in threads(a.pid())}
    outer = dict(line.split(":\t", 1)
                 for line in pathlib.Path("/proc/self/status").read_text().splitlines())
    check_eq(filtered, {outer["Seccomp"]}, "filters")


def test_a_thread_without_signals_still_reports_its_crash(lab):
    """Threads for disks block signals: a fault would kill without a word."""
    if "/san-" in WEFTD:
        raise Skip("machine: a sanitizer reports crashes itself")
    for kind in ("jobs", "store"):
        a = lab.daemon(kind)
        a.start()
        thread = next(int(status["Pid"]) for name, status in threads(a.pid()) if name == kind)
        check_eq(ctypes.CDLL(None).tgkill(a.pid(), thread, signal.SIGSEGV), 0, "tgkill")
        a.process.wait(timeout=DEADLINE_S)
        check(f"in thread {kind}" in a.log_text(), a.log_text())


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
