#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""node.user: from root to a user without rights, with what attaching XDP takes and no more."""
import os
import pathlib
import pwd
import shutil
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, WEFTD, Skip, check, check_eq, need_root, run

# Of linux/capability.h.
XDP_CAPS = 1 << 12 | 1 << 13 | 1 << 38 | 1 << 39  # NET_ADMIN, NET_RAW, PERFMON, BPF


def need_user():
    """A user that is not root and that this root may become."""
    need_root()
    done = subprocess.run(["setpriv", "--reuid", "nobody", "--clear-groups", "true"],
                          capture_output=True, check=False)
    if done.returncode:
        raise Skip("machine: root of this namespace cannot become another user")
    return pwd.getpwnam("nobody")


def open_to_all(lab):
    os.chmod(lab.dir, 0o777)


def statuses(pid):
    """/proc/PID/task/*/status as dictionaries."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        lines = (task / "status").read_text().splitlines()
        yield dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def refused(daemon):
    done = subprocess.run(daemon.command(), capture_output=True, text=True, timeout=DEADLINE_S,
                          check=False)
    check(done.returncode == 1, f"{done.returncode}: {done.stderr}")
    return done.stderr


def test_every_thread_is_the_users(lab):
    user = need_user()
    open_to_all(lab)
    a = lab.daemon("a", config="[node]\nuser = nobody\nworkers = 2\n")
    a.start()
    for status in statuses(a.pid()):
        check_eq(status["Uid"].split(), [str(user.pw_uid)] * 4, status["Name"])
        check_eq(status["Gid"].split(), [str(user.pw_gid)] * 4, status["Name"])
        check_eq(int(status["CapBnd"], 16) & ~XDP_CAPS, 0, f"{status['Name']}: bounding set")
        check_eq(int(status["CapPrm"], 16) & ~XDP_CAPS, 0, f"{status['Name']}: permitted")
        check_eq(int(status["CapInh"], 16), 0, f"{status['Name']}: inheritable")
        check_eq(status["NoNewPrivs"], "1", status["Name"])
    check_eq(os.stat(a.state / "node.key").st_uid, user.pw_uid, "the key's owner")


def test_home_alone_keeps_what_xdp_takes(lab):
    need_user()
    open_to_all(lab)
    a = lab.daemon("a", config="[node]\nuser = nobody\nworkers = 2\n")
    a.start()
    for status in statuses(a.pid()):
        want = XDP_CAPS if status["Pid"] == status["Tgid"] else 0
        check_eq(int(status["CapEff"], 16), want, f"{status['Name']}: effective")


def test_a_state_folder_of_root_is_refused_with_the_command(lab):
    need_user()
    open_to_all(lab)
    a = lab.daemon("a")
    a.start()
    check_eq(a.stop(), 0, "stop")
    a.conf.write_text("[node]\nuser = nobody\n")
    said = refused(a)
    check(f"run chown -R nobody: {a.state}" in said, said)
    subprocess.run(["chown", "-R", "nobody:", str(a.state)], check=True)
    a.start()


def test_one_file_of_root_is_found(lab):
    need_user()
    open_to_all(lab)
    a = lab.daemon("a", config="[node]\nuser = nobody\n")
    a.start()
    check_eq(a.stop(), 0, "stop")
    os.chown(a.state / "db" / "data.mdb", 0, 0)
    said = refused(a)
    check(f"{a.state}/db/data.mdb is not nobody's" in said, said)


def test_missing_folders_are_made_for_the_user(lab):
    user = need_user()
    os.chmod(lab.dir, 0o755)
    a = lab.daemon("a", config="[node]\nuser = nobody\n")
    a.state, a.sock = lab.dir / "var" / "state", lab.dir / "run" / "weft" / "sock"
    a.start()
    check_eq(os.stat(a.state).st_uid, user.pw_uid, "state folder")
    check_eq(os.stat(a.sock.parent).st_uid, user.pw_uid, "control socket's folder")


def test_unknown_users_and_root_are_refused(lab):
    need_root()
    for name, why in (("no-such-user", "no such user"), ("root", "is root"), ("0", "is root")):
        said = refused(lab.daemon(name, config=f"[node]\nuser = {name}\n"))
        check(why in said and "node.user" in said, said)


def test_an_ordinary_user_cannot_become_another(lab):
    need_user()
    open_to_all(lab)
    a = lab.daemon("a", config="[node]\nuser = daemon\n")
    shutil.chown(a.conf, "nobody")
    done = subprocess.run(["setpriv", "--reuid", "nobody", "--clear-groups", *a.command()],
                          capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check("only root can change to another user" in done.stderr, done.stderr)


def test_root_without_it_is_warned_once_and_stays(lab):
    need_root()
    a = lab.daemon("a")
    a.start()
    check_eq(a.log_text().count("running as root"), 1, a.log_text())
    check(all(status["Uid"].startswith("0") for status in statuses(a.pid())), "it changed")


def test_no_core_and_no_debugger_of_its_own_user(lab):
    if "/san-" in WEFTD:
        raise Skip("machine: a sanitizer looks for leaks as a debugger does")
    for config, want in (("", "0"), ("[node]\ncore_dumps = yes\n", None)):
        a = lab.daemon(f"a{want}", config=config)
        a.start()
        limits = pathlib.Path(f"/proc/{a.pid()}/limits").read_text()
        core = next(line for line in limits.splitlines() if line.startswith("Max core"))
        # What is not dumpable is root's in /proc.
        owner = os.stat(f"/proc/{a.pid()}/fd").st_uid
        if want:
            check_eq(core.split()[4:6], ["0", "0"], "core limit")
        check_eq(owner, 0 if want else os.geteuid(), "owner of /proc/PID/fd")
        a.stop()


def test_the_user_it_changed_to_cannot_look_in(lab):
    if "/san-" in WEFTD:
        raise Skip("machine: a sanitizer looks for leaks as a debugger does")
    need_user()
    open_to_all(lab)
    for core_dumps, want in (("no", False), ("yes", True)):
        a = lab.daemon(core_dumps, config=f"[node]\nuser = nobody\ncore_dumps = {core_dumps}\n")
        a.start("--set", "xdp.keep_privilege=no")
        owner = os.stat(f"/proc/{a.pid()}/fd").st_uid
        check_eq(owner != 0, want, f"node.core_dumps = {core_dumps}: owner of /proc/PID/fd {owner}")
        a.stop()


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
