# SPDX-License-Identifier: Apache-2.0
"""Makes the n-th system call of a running weftd fail, or kills it there.

strace does it, so the program is the one that ships. n counts per thread and
kind of call, from the moment of attaching; a drive repeats its work with
n = 1, 2, 3, ... until a run meets no fault.
"""
import itertools
import os
import pathlib
import re
import shutil
import signal
import subprocess
import time

from lab import DEADLINE_S, WEFTD, Mismatch, Skip

# Every call by which weftd changes or reads its disk, and how it may fail. write is for
# eventfds too, which do not fail, so there weftd is only killed.
ERRORS = {
    "openat": ("EIO", "ENOMEM"), "mkdirat": ("ENOSPC",), "mkdir": ("ENOSPC",),
    "pread64": ("EIO",), "pwrite64": ("EIO", "ENOSPC"), "pwritev": ("EIO", "ENOSPC"),
    "write": (), "fdatasync": ("EIO",), "fsync": ("EIO",), "syncfs": ("EIO",),
    "ftruncate": ("ENOSPC",),
    "fallocate": ("ENOSPC",), "rename": ("EIO",), "renameat": ("EIO",), "renameat2": ("EIO",),
    "unlinkat": ("EIO",), "unlink": ("EIO",), "linkat": ("EIO",), "link": ("EIO",),
    "mmap": ("ENOMEM",), "mremap": ("ENOMEM",), "msync": ("EIO",),
}
KILL = "KILL"
if "/san-" in WEFTD:
    # A sanitizer ends the program when its own mmap fails, and looks for leaks by ptrace, as strace.
    del ERRORS["mmap"], ERRORS["mremap"]
    os.environ.setdefault("ASAN_OPTIONS", "detect_leaks=0")
# Where dying can tear something; the rest changes nothing on the disk.
TEARING = ("mkdirat", "mkdir", "pwrite64", "pwritev", "write", "fdatasync", "fsync", "syncfs",
           "ftruncate", "fallocate", "rename", "renameat", "renameat2", "unlinkat", "unlink",
           "linkat", "link", "msync")


def need_strace():
    if not shutil.which("strace"):
        raise Skip("strace is not installed")
    probe = subprocess.run(["strace", "-e", "inject=getpid:error=EIO", "-o", "/dev/null", "true"],
                           capture_output=True, text=True, check=False)
    if probe.returncode:
        raise Skip("machine: strace may not trace here: " + probe.stderr.strip()[:200])


class Fault:
    """One fault: call, how (an errno's name or KILL), the n-th time; n 0: none, only counted."""

    def __init__(self, call, how, n):
        self.call, self.how, self.n = call, how, n

    def __str__(self):
        return f"{self.call} number {self.n}: {self.how}"

    def wrap(self, log):
        """In front of a command: strace runs beside it, so that the process made is the command."""
        strace, *words = self.words(log)
        return [strace, "-D", *words]

    def words(self, log):
        words = ["strace", "-f", "-qq", "-o", str(log), "-e", "signal=none"]
        if self.n == 0:
            return [*words, "-e", f"trace={','.join(ERRORS)}"]
        action = "signal=KILL" if self.how == KILL else f"error={self.how}"
        words += ["-e", f"trace={self.call},io_uring_setup",
                  "-e", f"inject={self.call}:{action}:when={self.n}"]
        if self.call == "pread64":  # else the reads are io_uring's, out of strace's sight
            words += ["-e", "inject=io_uring_setup:error=EPERM"]
        return words

    def fired(self, log):
        text = log.read_text(errors="replace") if log.exists() else ""
        return re.search(rf"\b{self.call}\b.*\(INJECTED\)", text) is not None


def threads_of(pid):
    return {int(task) for task in os.listdir(f"/proc/{pid}/task")}


def traced_threads(pid):
    """Threads that have a tracer."""
    traced = set()
    for task in threads_of(pid):
        try:
            status = pathlib.Path(f"/proc/{pid}/task/{task}/status").read_text()
        except FileNotFoundError:
            continue
        if not re.search(r"^TracerPid:\t0$", status, re.M):
            traced.add(task)
    return traced


class Faulty:
    """with Faulty(daemon, fault) as faulty: the daemon meets the fault in here, if it gets so far."""

    def __init__(self, daemon, fault):
        self.daemon, self.fault = daemon, fault
        self.log = daemon.lab.dir / "strace.log"

    def __enter__(self):
        self.log.unlink(missing_ok=True)
        self.pid = self.daemon.pid()
        self.strace = subprocess.Popen([*self.fault.words(self.log), "-p", str(self.pid)],
                                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = time.monotonic() + DEADLINE_S
        while traced_threads(self.pid) != threads_of(self.pid):
            if time.monotonic() > end or self.strace.poll() is not None:
                raise Mismatch("strace does not attach")
            time.sleep(0.005)
        return self

    def __exit__(self, *_):
        self.strace.send_signal(signal.SIGTERM)
        self.strace.wait()
        if self.fault.how == KILL:
            self.was_killed = self.was_killed_soon()

    def was_killed_soon(self):
        """strace says nothing of a signal it sends; the call it killed is its log's last line."""
        end = time.monotonic() + (1 if f"{self.fault.call}(" in self.log.read_text() else 0)
        while self.daemon.process.poll() is None and time.monotonic() < end:
            time.sleep(0.002)
        return self.daemon.process.poll() == -signal.SIGKILL

    def fired(self):
        return self.was_killed if self.fault.how == KILL else self.fault.fired(self.log)


def calls_of(log):
    """{call: most times in one thread}, in order of ERRORS."""
    seen = {}
    for line in log.read_text(errors="replace").splitlines():
        match = re.match(r"(\d+) +(\w+)\(", line)
        if match:
            thread, call = match.groups()
            seen[call, thread] = seen.get((call, thread), 0) + 1
    most = {}
    for (call, _), times in seen.items():
        most[call] = max(times, most.get(call, 0))
    return {call: most[call] for call in ERRORS if call in most}


def count_calls(daemon, work):
    """What work makes the daemon call."""
    with Faulty(daemon, Fault("", "", 0)) as counted:
        work()
    return calls_of(counted.log)


def calls_of_start(daemon):
    """What a start calls; the daemon is down before and after."""
    log = daemon.lab.dir / "strace.log"
    daemon.start(wrap=Fault("", "", 0).wrap(log))
    daemon.kill()
    return calls_of(log)


def faults_of(calls):
    """Every way to fail in every kind of call: (call, how)."""
    for call in calls:
        for how in ERRORS[call]:
            yield call, how
    for call in calls:
        if call in TEARING:
            yield call, KILL


def drive(daemon, calls, work, kills_only=False):
    """Calls work(faulty, fault) for each way to fail and n = 1, 2, 3, ... until it met no fault.

    work returns after the daemon is up again. Returns the number of faults met.
    """
    met = 0
    for call, how in faults_of(calls):
        if kills_only and how != KILL:
            continue
        for n in itertools.count(1):
            fault = Fault(call, how, n)
            faulty = Faulty(daemon, fault)
            try:
                work(faulty, fault)
            except Mismatch as why:
                raise Mismatch(f"{fault}: {why}") from why
            if not faulty.fired():
                break
            met += 1
    return met
