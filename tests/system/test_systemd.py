#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The installed unit under a running systemd: permissions of the daemon and of
its services' programs, and which ends are followed by a restart."""
import json
import pathlib
import re
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import check, check_eq, run, wait_for
from systemd import Machine

# From a death to READY=1; the unit waits 100 ms in between.
BACK_S = 3
CONFIG_FAULT, STORE_REFUSED = 2, 7

PROGRAM = """#!/bin/sh
cat /proc/self/status /proc/self/cgroup
head -c 1 /var/lib/weft/node.key >/dev/null 2>&1 && echo key is read
setsid sleep 600 >/dev/null 2>&1 </dev/null &
"""


def pid_of(machine):
    return machine.property("MainPID")


def fields_of(machine, pid):
    text = machine.run("cat", f"/proc/{pid}/status").stdout
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def started(lab):
    machine = Machine(lab)
    machine.run("systemctl", "start", "weftd")
    return machine


def offered(machine):
    machine.put("srv/who", PROGRAM, 0o755)
    machine.weft("service", "publish", "who", "--exec", "/srv/who")
    wait_for(lambda: "ready" in [row["state"] for row in json.loads(
        machine.weft("service", "list", "--json"))["offers"] if row["name"] == "who"],
             "the service is ready")


def called(machine):
    """What the program printed of itself; its child sleeps unless it was ended."""
    said = machine.weft("service", "call", "who", "run", "{}")
    wait_for(lambda: machine.run("pgrep", "-x", "sleep", code=None).returncode == 1,
             "what the program left behind is gone")
    return said


def test_the_daemon_and_its_programs_are_shut_in(lab):
    machine = started(lab)
    fields = fields_of(machine, pid_of(machine))
    for name in ("CapEff", "CapPrm", "CapBnd", "CapAmb"):
        check_eq(int(fields[name], 16), 0, name)
    check_eq(fields["NoNewPrivs"], "1", "NoNewPrivs")
    check(fields["Uid"].split()[0] != "0", "weftd is root")
    users = machine.run("cat", f"/proc/{pid_of(machine)}/uid_map").stdout
    check(users.split() != ["0", "0", "4294967295"], f"PrivateUsers= has no effect: {users}")
    check("healthy" in machine.weft("status"), "weftd is not healthy")
    offered(machine)
    said = called(machine)
    check(re.search(r"CapBnd:\s0+\n", said) and re.search(r"NoNewPrivs:\s1\n", said), said)
    check("key is read" not in said, "the program read the node's key")


def test_a_delegated_control_group_holds_each_program(lab):
    machine = Machine(lab)
    machine.drop_in("[Service]\nDelegate=memory pids\nDelegateSubgroup=daemon\n"
                    "ProtectControlGroups=no\n")
    machine.run("systemctl", "start", "weftd")
    offered(machine)
    said = called(machine)
    check(re.search(r"^0::.*/weftd\.service/weft-call-", said, re.MULTILINE), said)
    group = "/sys/fs/cgroup/system.slice/weftd.service"
    wait_for(lambda: "weft-call-" not in machine.run("ls", group).stdout,
             "the program's group is gone")


def test_a_crash_is_reported_and_the_daemon_started_again(lab):
    machine = started(lab)
    before = pid_of(machine)
    machine.run("kill", "-SEGV", before)
    began = time.monotonic()
    wait_for(lambda: pid_of(machine) not in ("0", before) and
             machine.property("ActiveState") == "active", "weftd is back")
    check(time.monotonic() - began < BACK_S, f"back after {time.monotonic() - began:.1f} s")
    check("SIGSEGV (sent by a process) in thread" in machine.journal(), machine.journal())


def test_a_hang_is_ended_by_the_watchdog(lab):
    machine = Machine(lab)
    machine.drop_in("[Service]\nWatchdogSec=1\nTimeoutAbortSec=1\n")
    machine.run("systemctl", "start", "weftd")
    before = pid_of(machine)
    machine.run("kill", "-STOP", before)
    wait_for(lambda: pid_of(machine) not in ("0", before) and
             machine.property("ActiveState") == "active", "weftd is back", timeout=20)
    check_eq(machine.property("NRestarts"), "1", "restarts")


def test_what_no_restart_mends_is_not_started_again(lab):
    machine = started(lab)
    machine.put("etc/weft/weft.conf", "[node]\nnonsense = 1\n")
    machine.run("systemctl", "restart", "weftd", code=1)
    check_eq(machine.property("ExecMainStatus"), str(CONFIG_FAULT), "exit status")
    check("unknown key \"nonsense\"" in machine.journal(), machine.journal())

    machine.put("etc/weft/weft.conf", "")
    store = pathlib.Path(f"/proc/{machine.pid}/root/var/lib/weft/db/data.mdb")
    with open(store, "r+b") as file:
        for page in (0, 4096):
            file.seek(page)
            file.write(b"\xa5" * 64)
    machine.run("systemctl", "reset-failed", "weftd")
    machine.run("systemctl", "start", "weftd", code=1)
    check_eq(machine.property("ExecMainStatus"), str(STORE_REFUSED), "exit status")
    check_eq(machine.property("NRestarts"), "0", "restarts")
    check("weft backup restore" in machine.journal(), machine.journal())


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
