#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A store of 1 GiB, sound and damaged: weftd is ready or has refused it within 5 s. A
SIGTERM ends it within 1 s during the reading behind the start, weft store check, gc or
a compaction.

LARGE_MIB sizes the databases (half as much of blobs beside them). Pages are damaged by the
seeds 1 to SEEDS, or SEED alone."""
import os
import pathlib
import pty
import random
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, WEFT, Mismatch, check, check_eq, run, wait_for

MAKER = os.path.join(os.environ.get("BUILD", "build/release"), "tests/system/support/large_store")
MIB = int(os.environ.get("LARGE_MIB", "1024"))
SEEDS = int(os.environ.get("SEEDS", "3"))
SEED = int(os.environ.get("SEED", "0"))
EXIT_STORE = 7
START_S = 5
STOP_S = 1
PAGE_LEN = 4096
# A store made for one test serves the others.
made = {}
terminals = []


def large_state(lab):
    """A state folder that the test may do with as it likes."""
    if "state" not in made:
        made["dir"] = pathlib.Path(os.environ.get("TMPDIR", "/var/tmp")) / f"weft-large-{os.getpid()}"
        made["dir"].mkdir()
        made["state"] = made["dir"] / "state"
        began = time.monotonic()
        subprocess.run([MAKER, "fill", made["state"], str(MIB), str(MIB // 2)], check=True)
        length = (made["state"] / "db" / "data.mdb").stat().st_size
        print(f"# {length >> 20} MiB of databases made in {time.monotonic() - began:.1f} s")
        check(length > (MIB << 20) * 9 // 10, "the databases are smaller than asked for")
    return made["state"]


def synced(*paths):
    """A copy lies in the page cache, and the first commit on top of it would wait for all of it."""
    for path in paths:
        with open(path, "rb") as file:
            os.fsync(file.fileno())


def forget(daemon):
    """Out of the page cache, so that the disk is read."""
    for path in (daemon.state / "db" / "data.mdb", *(daemon.state / "segments").iterdir()):
        with open(path, "rb") as file:
            os.fsync(file.fileno())
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def large_daemon(lab, name="a"):
    daemon = lab.daemon(name)
    daemon.state = large_state(lab)
    return daemon


def timed(what, most_s, work):
    began = time.monotonic()
    result = work()
    took = time.monotonic() - began
    print(f"# {what}: {took:.2f} s")
    check(took < most_s, f"{what} took {took:.1f} s, at most {most_s} are allowed")
    return result


def end(daemon, what):
    """SIGTERM, and how long it takes."""
    daemon.process.send_signal(signal.SIGTERM)
    status = timed(what, STOP_S, lambda: daemon.process.wait(timeout=DEADLINE_S))
    check_eq(status, 0, f"exit status: {daemon.log_text()[-500:]}")


def test_it_starts_in_time_and_a_signal_ends_the_reading_behind(lab):
    a = large_daemon(lab)
    forget(a)
    timed("start", START_S, a.start)
    end(a, "SIGTERM while it reads behind the start")


def test_a_signal_ends_a_start_that_reads(lab):
    a = large_daemon(lab)
    forget(a)
    for delay in (0.05, 0.1, 0.2, 0.3):
        with open(a.log, "ab") as log:
            a.process = subprocess.Popen(a.command(), stdout=log, stderr=log, start_new_session=True)
        time.sleep(delay)
        a.process.send_signal(signal.SIGTERM)
        status = timed(f"SIGTERM {delay} s after the start", STOP_S,
                       lambda: a.process.wait(timeout=DEADLINE_S))
        # Before its signals are held it dies of them.
        check(status in (0, -signal.SIGTERM), f"exit status {status}: {a.log_text()[-500:]}")


def check_begun(daemon, *words):
    """A store check that has told how far it is, on a terminal."""
    master, slave = pty.openpty()
    process = subprocess.Popen([WEFT, "-s", str(daemon.sock), "store", "check", *words],
                               stdout=subprocess.DEVNULL, stderr=slave,
                               env={**os.environ, "TERM": "xterm"})
    os.close(slave)
    said = b""
    while b"checking" not in said:
        try:
            piece = os.read(master, 1000)
        except OSError:  # no process has the other end any more
            piece = b""
        check(piece, f"it shows no progress but {said!r}")
        said += piece
    terminals.append(master)
    return process


def check_begun_or_busy(daemon):
    try:
        return check_begun(daemon)
    except Mismatch as why:
        if "busy" in str(why):
            return None
        raise


def test_store_check_shows_progress_and_ends_with_its_caller_or_the_daemon(lab):
    a = large_daemon(lab)
    a.start()
    forget(a)
    process = check_begun(a)
    process.send_signal(signal.SIGINT)
    timed("Ctrl-C", STOP_S, lambda: process.wait(timeout=DEADLINE_S))
    check(process.returncode != 0, "it says that all is well")
    # Its job has ended, too: the next is not refused as the second.
    process = timed("the next check begins", STOP_S + 1, lambda: wait_for(
        lambda: check_begun_or_busy(a), "the job ends"))
    end(a, "SIGTERM while store check runs")
    process.wait(timeout=DEADLINE_S)


def test_store_check_reads_all_of_it(lab):
    a = large_daemon(lab)
    a.start()
    forget(a)
    began = time.monotonic()
    done = a.weft("store", "check", timeout=120)
    print(f"# store check: {time.monotonic() - began:.1f} s")
    check_eq(done.returncode, OK, f"store check: {done.stderr}")
    end(a, "SIGTERM")


def test_a_signal_ends_a_compaction(lab):
    copy = large_state(lab).parent / "compacted"
    shutil.copytree(large_state(lab), copy)
    synced(*(path for path in copy.rglob("*") if path.is_file()))
    for stop_ms in (1, 50, 200):
        freed, took_ms = subprocess.run([MAKER, "compact", copy, str(stop_ms)], check=True,
                                        capture_output=True, text=True).stdout.split()
        print(f"# told to end after {stop_ms} ms: {took_ms} ms more")
        check(int(took_ms) < STOP_S * 1000, f"{took_ms} ms until it ended")
    freed, took_ms = subprocess.run([MAKER, "compact", copy, "0"], check=True,
                                    capture_output=True, text=True).stdout.split()
    print(f"# compaction: {took_ms} ms, {int(freed) >> 20} MiB freed")
    check(int(freed) > 0, "nothing was freed")
    shutil.rmtree(copy)


def damaged(path, rng):
    """One page is another's, or noise, or has a bit changed; returns how to mend it."""
    with open(path, "r+b") as file:
        pages = path.stat().st_size // PAGE_LEN
        at = rng.randrange(2, pages) * PAGE_LEN
        file.seek(at)
        was = file.read(PAGE_LEN)
        kind = rng.choice(("flip", "noise", "other"))
        if kind == "flip":
            now = bytearray(was)
            now[rng.randrange(64)] ^= 1 << rng.randrange(8)
        elif kind == "noise":
            now = rng.randbytes(PAGE_LEN)
        else:
            file.seek(rng.randrange(2, pages) * PAGE_LEN)
            now = file.read(PAGE_LEN)
        file.seek(at)
        file.write(now)
    return f"{kind} of page {at // PAGE_LEN}"


def seed_tried(lab, seed, sound):
    rng = random.Random(seed)
    a = large_daemon(lab, f"a{seed}")
    database = a.state / "db" / "data.mdb"
    shutil.copyfile(sound, database)
    what = f"seed {seed}, {damaged(database, rng)}"
    synced(database)
    with open(a.log, "ab") as log:
        a.process = subprocess.Popen(a.command(), stdout=log, stderr=log, start_new_session=True)
    timed(f"{what}: started or refused", START_S, lambda: wait_for(
        lambda: a.process.poll() is not None or a.weft("node", "id").returncode == OK, what))
    if a.process.poll() is not None:
        check_eq(a.process.returncode, EXIT_STORE, f"{what}: {a.log_text()[-500:]}")
        return
    process = subprocess.Popen([WEFT, "-s", str(a.sock), "store", "check"],
                               stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    time.sleep(rng.random())
    end(a, f"{what}: SIGTERM during store check")
    process.communicate(timeout=DEADLINE_S)


def test_a_damaged_one_is_refused_or_named_in_time_and_a_signal_ends_all(lab):
    a = large_daemon(lab)
    database = a.state / "db" / "data.mdb"
    sound = a.state.parent / "sound.mdb"
    os.rename(database, sound)
    try:
        for seed in [SEED] if SEED else range(1, SEEDS + 1):
            seed_tried(lab, seed, sound)
    finally:
        os.replace(sound, database)


def removed():
    if "dir" in made:
        shutil.rmtree(made["dir"], ignore_errors=True)


try:
    run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
finally:
    removed()
