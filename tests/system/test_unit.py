#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The systemd unit: what systemd says of it, and the daemon in the surroundings
it makes. Telling the manager is tests/system/test_control.py's."""
import os
import pathlib
import re
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import WEFTD, Skip, check, check_eq, need_root, run

UNIT = pathlib.Path(__file__).parents[2] / "tools" / "packaging" / "weftd.service"
# systemd-analyze's scale: 0 is shut in, 10 unconfined. Measured 1.8 with systemd 252.
EXPOSURE_MAX = 2.0


def analyze(*words):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed")
    return subprocess.run(["systemd-analyze", *map(str, words)], capture_output=True, text=True,
                          check=False)


def installed(lab):
    """The unit as make install writes it, for the daemon under test."""
    unit = lab.dir / "weftd.service"
    unit.write_text(UNIT.read_text().replace("@PREFIX@/sbin/weftd", WEFTD))
    return unit


def test_systemd_finds_no_fault_in_the_unit(lab):
    done = analyze("verify", "--man=no", installed(lab))
    check_eq((done.returncode, done.stdout + done.stderr), (0, ""), "systemd-analyze verify")


def test_the_unit_shuts_the_daemon_in(lab):
    done = analyze("security", "--offline=true", "--no-pager", installed(lab))
    level = re.search(r"exposure level for weftd.service: ([0-9.]+)", done.stdout)
    check(level and float(level.group(1)) <= EXPOSURE_MAX, done.stdout + done.stderr)


def test_ipv6_is_listened_to_where_proc_has_processes_alone(lab):
    """As ProcSubset=pid mounts it."""
    need_root()
    if not os.path.exists("/proc/net/if_inet6"):
        raise Skip("the kernel has no IPv6")
    script = f"mount -t proc -o subset=pid proc /proc && exec {WEFTD} --print-config"
    done = subprocess.run(["unshare", "-m", "sh", "-c", script], capture_output=True, text=True,
                          check=False)
    check_eq(done.returncode, 0, done.stderr)
    check("listen = 0.0.0.0:7000, [::]:7000" in done.stdout, done.stdout)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
