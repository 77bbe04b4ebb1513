#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A crash is never silent: one sentence, a report without addresses, and the next start tells."""
import os
import pathlib
import re
import resource
import signal
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, TRACEABLE, WEFTD, Skip, check, check_eq, run

BUILD = pathlib.Path(os.environ["BUILD"])
UNIT = pathlib.Path(__file__).parents[2] / "tools" / "packaging" / "weftd.service"


def need_reports():
    if BUILD.name.startswith("san-"):
        raise Skip("machine: a sanitizer reports crashes itself")


def ranges(pid):
    """The process's mappings, [begin, end) each."""
    lines = pathlib.Path(f"/proc/{pid}/maps").read_text().splitlines()
    return [tuple(int(end, 16) for end in line.split()[0].split("-")) for line in lines]


def crash(daemon, signal_number=signal.SIGSEGV):
    """Kills it so; returns its report."""
    os.kill(daemon.pid(), signal_number)
    daemon.process.wait(timeout=DEADLINE_S)
    check_eq(daemon.process.returncode, -signal_number, "how it ended")
    return (daemon.state / "crash.report").read_text()


def functions(offsets):
    """What the program has at these offsets."""
    done = subprocess.run(["addr2line", "-f", "-e", WEFTD, *offsets], capture_output=True,
                          text=True, check=True)
    return set(done.stdout.splitlines()[::2])


def test_the_next_start_says_what_died(lab):
    need_reports()
    a = lab.daemon("a")
    a.start()
    crash(a)
    check(re.search(r"weftd: died of SIGSEGV in thread home, build \w+ at ", a.log_text()),
          a.log_text())
    a.start()
    told = [line for line in a.log_text().splitlines() if "crash.last" in line]
    check_eq(len(told), 1, a.log_text())
    check("of SIGSEGV (sent by a process) in thread home" in told[0], told[0])
    status = a.json("status")["last_crash"]
    check_eq((status["signal"], status["thread"]), ("SIGSEGV", "home"), "last_crash")
    check("of SIGSEGV" in a.weft("status").stdout, "weft status is silent")
    build = subprocess.run(["readelf", "-n", WEFTD], capture_output=True, text=True, check=True)
    check(status["build_id"] in build.stdout, f"build {status['build_id']} is not the program's")


def test_a_crash_is_reported_once(lab):
    need_reports()
    a = lab.daemon("a")
    a.start()
    crash(a)
    a.start()
    check_eq(a.stop(), 0, "stop")
    check(not (a.state / "crash.report").exists(), "a run that ended well left a report")
    a.start()
    check("last_crash" not in a.json("status"), "an old crash is told again")
    check((a.state / "crash.last").read_text().startswith("weft-crash 1\n"), "it was not kept")


def test_offsets_name_the_functions(lab):
    need_reports()
    a = lab.daemon("a")
    a.start()
    report = crash(a, signal.SIGABRT)
    called = functions(re.findall(r"return \+(0x[0-9a-f]+)", report))
    check({"node_run", "daemon_run"} <= called, f"{sorted(called)} in {report}")


def test_a_report_holds_no_address(lab):
    """No number of it lies in a mapping, and all offsets are short."""
    need_reports()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    a = lab.daemon("a", config=TRACEABLE)
    a.start()
    mapped = ranges(a.pid())
    report = crash(a)
    known = r"(died_at|build|sender|version) .*\n"
    numbers = [int(n, 16) for n in re.findall(r"[0-9a-f]{5,}", re.sub(known, "", report))]
    check(numbers, report)
    size = os.path.getsize(WEFTD)
    for number in numbers:
        check(not any(begin <= number < end for begin, end in mapped), f"{number:x}: {report}")
        check(number < 2 * size, f"{number:x} is no offset in the program: {report}")
    check(len(report) < 2048, f"{len(report)} bytes")
    check(os.stat(a.state / "crash.report").st_mode & 0o777 == 0o600, "others may read it")


def test_a_second_daemon_leaves_the_report_alone(lab):
    need_reports()
    a = lab.daemon("a")
    a.start()
    second = subprocess.run([*a.command("--control", str(lab.dir / "second.sock"))],
                            capture_output=True, text=True, check=False)
    check(second.returncode != 0 and "crash" not in second.stderr, second.stderr)
    report = crash(a)
    check("signal SIGSEGV" in report, report)


def test_the_unit_restarts_what_crashed(lab):
    check("\nRestart=on-failure\n" in UNIT.read_text(), "a crash would be the end")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
