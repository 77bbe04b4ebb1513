#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What a program behind publish --exec can reach, and what is left of it. The
programs are scripts; processes are found by a token in their command line."""
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import uuid

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (FAILED, OK, TIMEOUT, WEFT, Skip, check, check_eq, need_root, run, wait_for)

CONFIG = "[service]\nbuiltin =\n"


def daemon_of(lab, **options):
    # Programs of another user have to get there.
    lab.dir.chmod(0o755)
    return lab.daemon("a", config=CONFIG, **options)


def script(lab, text, name="program"):
    path = lab.dir / name
    path.write_text("#!/bin/sh\n" + text + "\n")
    path.chmod(0o755)
    return path


def publish(daemon, name, program, *words):
    done = daemon.weft("service", "publish", name, *words, "--exec", program)
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: state_of(daemon, name) != "checking", f"{name} was checked")
    return done


def row_of(daemon, name):
    return next(offer for offer in daemon.json("service", "list")["offers"]
                if offer["name"] == name)


def state_of(daemon, name):
    return row_of(daemon, name)["state"]


def call(daemon, name, timeout=30):
    return daemon.weft("service", "call", name, "Do", "x", "--timeout", timeout)


def said(daemon, name):
    done = call(daemon, name)
    check_eq(done.returncode, OK, f"{name}: {done.stderr}{daemon.log_text()}")
    return done.stdout


def processes_with(token):
    """Pids of those whose command line has the token, in whichever namespace they are."""
    found = []
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if token.encode() in path.read_bytes():
                found.append(int(path.parent.name))
        except OSError:
            pass
    return found


def ways():
    """Words of publish for a program in namespaces of its own, and for one without."""
    return (("--user", str(os.geteuid())), ("--unconfined",))


def test_a_program_has_no_privilege_and_no_descriptor_of_the_daemon(lab):
    need_root()
    a = daemon_of(lab).start()
    text = "id -u; ls /proc/self/fd | tr '\\n' ' '; grep -E '^(Cap|NoNewPrivs)' /proc/self/status"
    for number, words in enumerate(((), *ways())):
        name = f"look{number}"
        publish(a, name, script(lab, text), *words)
        lines = said(a, name).splitlines()
        check_eq(lines[0], "0" if words else "65534", f"{words}: its user")
        check(lines[1].startswith("0 1 2 3 NoNewPrivs") or lines[1].startswith("0 1 2 3 Cap"),
              f"{words}: {lines[1]}")
        caps = [line.split()[-1] for line in "\n".join(lines).replace("0 1 2 3 ", "").splitlines()
                if line.startswith("Cap")]
        check_eq(caps, ["0" * 16] * 5, f"{words}: its capabilities")
        check("NoNewPrivs:\t1" in "\n".join(lines), f"{words}: {lines}")


def test_a_program_cannot_read_the_key_even_as_the_daemon_s_user(lab):
    a = daemon_of(lab).start()
    key = a.state / "node.key"
    check(key.exists(), "the key lies there")
    text = f"ls -A {a.state} 2>/dev/null; cat {key} 2>/dev/null && echo read; " \
           f"cat /proc/[0-9]*/root{key} 2>/dev/null && echo read; echo end"
    publish(a, "spy", script(lab, text), *ways()[0])
    check_eq(said(a, "spy"), "end\n", "what it found")


def test_a_program_may_not_command_the_daemon(lab):
    need_root()
    a = daemon_of(lab).start()
    text = f"{WEFT} -s {a.sock} status 2>&1; echo $?; (setsid {WEFT} -s {a.sock} status 2>&1; echo $?)"
    publish(a, "command", script(lab, text), "--unconfined")
    told = said(a, "command")
    check_eq(told.count("may not command it"), 2, told)
    check("\n5" in told and "\n0" not in told, told)
    # Others of the same user may.
    check_eq(a.weft("status").returncode, OK, "weft status")


def test_what_a_program_leaves_in_a_session_of_its_own_is_killed(lab):
    a = daemon_of(lab).start()
    for number, words in enumerate(ways()):
        token = uuid.uuid4().hex
        leave = f"setsid sh -c 'sleep 1000; : {token}' <&- >&- 2>&- &"
        # It has left before the call ends.
        wait = f"until grep -qs {token} /proc/[0-9]*/cmdline; do :; done"
        publish(a, f"leaves{number}", script(lab, f"{leave}\n{wait}\necho done", f"l{number}"), *words)
        check_eq(said(a, f"leaves{number}"), "done\n", words)
        wait_for(lambda: not processes_with(token), f"{words}: what it left is gone")
        publish(a, f"hangs{number}", script(lab, f"{leave}\nsleep 1000", f"h{number}"), *words)
        check_eq(call(a, f"hangs{number}", timeout=1).returncode, TIMEOUT, words)
        wait_for(lambda: not processes_with(token), f"{words}: what hung is gone")


def test_kill_9_of_the_daemon_leaves_no_program(lab):
    for number, words in enumerate(ways()):
        a = lab.daemon(f"k{number}", config=CONFIG).start()
        token = uuid.uuid4().hex
        publish(a, "hangs", script(lab, f"setsid sh -c 'sleep 1000; : {token}' &\nsleep 1000",
                                   f"k{number}"), *words)
        asked = a.weft_popen("service", "call", "hangs", "Do", "x")
        wait_for(lambda: processes_with(token), "the program runs")
        os.kill(a.pid(), signal.SIGKILL)
        wait_for(lambda: not processes_with(token), f"{words}: the programs are gone")
        asked.communicate()
        a.process.wait()


def test_the_end_of_the_launcher_is_reported_and_ends_the_programs(lab):
    a = daemon_of(lab).start()
    token = uuid.uuid4().hex
    publish(a, "hangs", script(lab, f"setsid sh -c 'sleep 1000; : {token}' &\nsleep 1000"), *ways()[0])
    asked = a.weft_popen("service", "call", "hangs", "Do", "x")
    wait_for(lambda: processes_with(token), "the program runs")
    for pid in subprocess.run(["pgrep", "-P", str(a.pid()), "-x", "weft-launcher"], text=True,
                              capture_output=True, check=False).stdout.split():
        os.kill(int(pid), signal.SIGKILL)
    wait_for(lambda: state_of(a, "hangs") == "down", "its offer is down")
    check("restart weftd" in row_of(a, "hangs")["why"], row_of(a, "hangs"))
    wait_for(lambda: not processes_with(token), "the program is gone")
    check(asked.wait() != OK, "its call failed")
    check_eq(a.weft("status").returncode, OK, "the daemon goes on")


def test_a_program_has_a_limit_of_memory_and_of_files(lab):
    a = daemon_of(lab).start()
    done = a.weft("service", "publish", "fat", "--memory", "64M", *ways()[0], "--exec", sys.executable,
                  "--", "-c", "print(len(bytes(200 << 20)))")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(call(a, "fat").returncode, FAILED, "200 MiB of 64")
    publish(a, "files", script(lab, "ulimit -n; ulimit -Hn; ulimit -c", "files"), *ways()[0])
    check_eq(said(a, "files"), "256\n256\n0\n", "files and core")


def test_a_program_runs_as_the_user_it_is_to(lab):
    need_root()
    a = daemon_of(lab).start()
    publish(a, "who", script(lab, "id -u; id -g; id -G"), "--user", "daemon")
    check_eq(said(a, "who"), "1\n1\n1\n", "daemon is user 1")
    done = a.weft("service", "publish", "none", "--user", "nosuchuser", "--exec", "/bin/cat")
    check(done.returncode != OK and "no such user" in done.stderr, done.stderr)


def test_publishing_a_program_that_is_not_there_fails_and_says_why(lab):
    a = daemon_of(lab).start()
    done = a.weft("service", "publish", "absent", *ways()[0], "--exec", "/nonexistent")
    check_eq(done.returncode, FAILED, done.stdout)
    check("/nonexistent" in done.stderr and "no such file" in done.stderr, done.stderr)
    check("service withdraw" in done.stderr, done.stderr)
    check_eq(state_of(a, "absent"), "down", "it waits for its program")
    done = a.weft("service", "publish", "there", *ways()[0], "--exec", "/bin/cat")
    check_eq(done.returncode, OK, done.stderr)
    check_eq(state_of(a, "there"), "ready", "checked as the command ends")


def test_unconfined_is_wanted_where_nothing_else_can_be_had(lab):
    need_root()
    if not shutil.which("setpriv"):
        raise Skip("setpriv is not installed")
    # Its user namespace allows no other, and it has no privilege in it.
    inside = "echo 0 > /proc/sys/user/max_user_namespaces && exec setpriv --bounding-set=-all \"$@\""
    a = daemon_of(lab).start(wrap=["unshare", "-Ur", "sh", "-ec", inside, "sh"])
    done = a.weft("service", "publish", "cat", "--exec", "/bin/cat")
    check(done.returncode != OK and "--unconfined" in done.stderr, done.stderr)
    publish(a, "cat", "/bin/cat", "--unconfined")
    check_eq(said(a, "cat"), "x", "it runs")


def test_an_ordinary_user_s_program_is_confined(lab):
    need_root()
    a = daemon_of(lab)
    lab.dir.chmod(0o777)
    for path in (a.conf, a.log):
        path.touch()
        path.chmod(0o666)
    wrap = ["setpriv", "--reuid=1000", "--regid=1000", "--clear-groups", "--bounding-set=-all"]
    if subprocess.run([*wrap, "unshare", "-Um", "true"], check=False, capture_output=True).returncode:
        raise Skip("an ordinary user may make no user namespace here")
    a.start(wrap=wrap)
    text = f"id -u; cat {a.state}/node.key 2>/dev/null && echo read; grep CapEff /proc/self/status"
    publish(a, "spy", script(lab, text))
    check_eq(said(a, "spy").split(), ["1000", "CapEff:", "0" * 16], "what it sees")


if __name__ == "__main__":
    run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
