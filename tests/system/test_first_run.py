#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A first run after installation: default places, and what the command does on
the terminal at hand."""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, OK, USAGE, WEFT, WEFTD, Skip, check, check_eq, free_port, run,
                 wait_for)

NOBODY = 65534
UNREACHABLE = 3


class Someone:
    """An ordinary user with a home of his own, and no session that set variables."""

    def __init__(self, lab):
        self.lab, self.home = lab, lab.dir / "home"
        self.home.mkdir()
        lab.dir.chmod(0o755)
        self.uid = NOBODY if os.geteuid() == 0 else None
        if self.uid:
            os.chown(self.home, NOBODY, NOBODY)
        self.programs = {name: self.reachable(path) for name, path in (("weft", WEFT),
                                                                       ("weftd", WEFTD))}
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "TERM": "xterm",
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}

    def reachable(self, path):
        """A copy where he may go: the tree may lie in root's folder."""
        copy = self.lab.dir / pathlib.Path(path).name
        shutil.copy(path, copy)
        return str(copy)

    def popen(self, name, *words, **options):
        process = subprocess.Popen([self.programs[name], *map(str, words)], env=self.env,
                                   user=self.uid, cwd=self.home, **options)
        self.lab.processes.append(process)
        return process

    def weft(self, *words):
        process = self.popen("weft", *words, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                             text=True)
        out, err = process.communicate(timeout=DEADLINE_S)
        return process.returncode, out, err

    def start(self, *words):
        log = open(self.lab.dir / "weftd.log", "ab")
        daemon = self.popen("weftd", "--listen", f"127.0.0.1:{free_port()}", "--set",
                            "dht.bootstrap=", *words, stdout=log, stderr=log)
        wait_for(lambda: daemon.poll() is not None or self.weft("node", "id")[0] == OK,
                 "it answers where the command looks")
        check(daemon.poll() is None, self.log_text())
        return daemon

    def log_text(self):
        return (self.lab.dir / "weftd.log").read_text()


def test_without_any_variable_the_socket_is_with_the_state(lab):
    someone = Someone(lab)
    status, _, err = someone.weft("status")
    check_eq((status, "Start one with: weftd;" in err), (UNREACHABLE, True), err)
    daemon = someone.start()
    check((someone.home / ".local/state/weft/control.sock").is_socket(), "the socket")
    daemon.send_signal(signal.SIGTERM)
    check_eq(daemon.wait(DEADLINE_S), OK, someone.log_text())
    check(not (someone.home / ".local/state/weft/control.sock").exists(), "it is taken away")
    # Its state elsewhere: the command still finds it, in folders that are made.
    shutil.rmtree(someone.home / ".local")
    someone.start("--state", someone.home / "elsewhere")
    check((someone.home / ".local/state/weft/control.sock").is_socket(), "the socket, again")


def test_variables_of_a_session_move_socket_state_and_configuration(lab):
    someone = Someone(lab)
    for name in ("RUNTIME_DIR", "STATE_HOME", "CONFIG_HOME"):
        folder = someone.home / name
        folder.mkdir()
        if someone.uid:
            os.chown(folder, someone.uid, someone.uid)
        someone.env[f"XDG_{name}"] = str(folder)
    conf = someone.home / "CONFIG_HOME" / "weft" / "weft.conf"
    conf.parent.mkdir()
    conf.write_text("[quic]\nconn_cap = 321\n")
    someone.start()
    check((someone.home / "RUNTIME_DIR/weft/control.sock").is_socket(), "the socket")
    check((someone.home / "STATE_HOME/weft/node.key").exists(), "the state")
    status, out, err = someone.weft("config", "show", "--json")
    rows = {f"{row['section']}.{row['key']}": row for row in json.loads(out)["settings"]}
    check_eq((status, rows["quic.conn_cap"]["value"]), (OK, "321"), err)
    check_eq(rows["quic.conn_cap"]["source"], f"{conf}:2", "where it comes from")


def test_version_is_that_of_both(lab):
    a = lab.daemon("a").start()
    versions = a.json("version")
    check_eq(versions["weft"], versions["weftd"], "of one build")
    check_eq(a.weft("version").stdout, f"weft {versions['weft']}\nweftd {versions['weft']}\n", "text")
    a.stop()
    done = a.weft("version")
    check_eq((done.returncode, done.stdout), (OK, f"weft {versions['weft']}\nweftd -\n"), done.stderr)
    check_eq(a.json("version")["weftd"], None, "no daemon")


def test_an_error_names_its_setting_once(lab):
    a = lab.daemon("a").start()
    for change, name in (("limits.krpc_rat=5", "limits.krpc_rat"), ("limts.x=5", "limts.x"),
                         ("limits.krpc_rate=x", "limits.krpc_rate"), ("krpc=5", "krpc")):
        done = a.weft("policy", "test", change)
        check(done.returncode != OK and done.stderr.count(f"{name}:") == 1, done.stderr)
    check("did you mean \"krpc_rate\"" in a.weft("policy", "test", "limits.krpc_rat=5").stderr, "near")
    # Where the daemon would be is said as it is.
    check(f"weftd --control {lab.dir}/none.sock;" in
          subprocess.run([WEFT, "-s", str(lab.dir / "none.sock"), "status"], capture_output=True,
                         text=True, check=False).stderr, "the hint")


class Terminal:
    """weft in the foreground of a terminal of its own."""

    def __init__(self, *words, columns=80, rows=24, **env):
        self.leader, follower = pty.openpty()
        fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.before = termios.tcgetattr(follower)
        self.follower = follower
        base = {key: value for key, value in os.environ.items() if key not in ("COLUMNS", "NO_COLOR")}

        def take():
            os.setsid()
            fcntl.ioctl(0, termios.TIOCSCTTY, 0)

        self.process = subprocess.Popen([WEFT, *map(str, words)], stdin=follower, stdout=follower,
                                        stderr=follower, env={**base, "TERM": "xterm", **env},
                                        preexec_fn=take)
        self.text = ""

    def read_until(self, condition, what):
        end = time.monotonic() + DEADLINE_S
        while not condition(self.text) and time.monotonic() < end:
            if select.select([self.leader], [], [], 0.1)[0]:
                try:
                    self.text += os.read(self.leader, 65536).decode(errors="replace")
                except OSError:
                    break
            elif self.process.poll() is not None:
                break
        check(condition(self.text), f"{what}: {self.text[-1500:]!r}")

    def type(self, keys):
        os.write(self.leader, keys)

    def rest(self):
        try:
            return os.read(self.leader, 65536).decode(errors="replace")
        except OSError:
            return ""

    def end(self):
        status = self.process.wait(DEADLINE_S)
        # The terminal of an ended session belongs to no process; the other end asks it.
        settings = termios.tcgetattr(self.leader)
        os.close(self.follower)
        while data := self.rest():
            self.text += data
        os.close(self.leader)
        return status, settings


def test_q_leaves_top_and_the_terminal_is_as_before(lab):
    a = lab.daemon("a").start()
    terminal = Terminal("-s", a.sock, "top")
    terminal.read_until(lambda text: "WORKER" in text, "the first look")
    began = time.monotonic()
    terminal.type(b"xq")
    status, settings = terminal.end()
    check_eq((status, settings), (OK, terminal.before), "q")
    check(time.monotonic() - began < 5, "at once")


def test_a_dumb_terminal_gets_no_escape_sequence(lab):
    a = lab.daemon("a").start()
    for env in ({"TERM": "dumb"}, {"TERM": ""}):
        terminal = Terminal("-s", a.sock, "top", **env)
        terminal.read_until(lambda text: text.count("WORKER") == 2, "two looks")
        terminal.type(b"q")
        check_eq(terminal.end()[0], OK, "q")
        check("\x1b" not in terminal.text, repr(terminal.text[:300]))


def test_bold_is_printed_only_on_request(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    root = lab.folder("papers", {"relay-handbook.txt": 10})
    check_eq(a.weft("share", "new", "papers", "--public").returncode, OK, "new")
    done = a.weft("share", "publish", "papers", root)
    check_eq(done.returncode, OK, done.stderr)
    done = b.weft("sub", "add", a.weft("share", "link", "papers").stdout.strip())
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: "relay-handbook" in b.weft("search", "handbook").stdout, "it is found")
    for env, is_bold in (({}, True), ({"NO_COLOR": "1"}, False), ({"NO_COLOR": ""}, True),
                         ({"TERM": "dumb"}, False)):
        terminal = Terminal("-s", b.sock, "search", "handbook", **env)
        terminal.read_until(lambda text: "1 to 1 of" in text, "hits")
        check_eq(terminal.end()[0], OK, "search")
        check_eq("\x1b[1m" in terminal.text, is_bold, f"{env}: {terminal.text!r}")


def test_tables_fit_the_terminal(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("a" * 120, {"x": 1}))
    for columns in (60, 80, 400):
        terminal = Terminal("-s", a.sock, "share", "list", columns=columns)
        terminal.read_until(lambda text: "aaaa" in text, "the row")
        check_eq(terminal.end()[0], OK, "share list")
        widest = max(map(len, terminal.text.splitlines()))
        check(widest <= columns, f"{columns} columns: {terminal.text}")
        check_eq("…" in terminal.text, columns < 400, terminal.text)
    piped = a.weft("share", "list").stdout
    check("a" * 120 in piped and "…" not in piped, piped)


def test_nothing_of_a_progress_line_is_left_by_ctrl_c(lab):
    a = lab.daemon("a").start()
    root = lab.folder("big", {"x": 300 << 20})
    terminal = Terminal("-s", a.sock, "share", "add", root)
    terminal.read_until(lambda text: "hashing" in text, "progress")
    terminal.type(b"\x03")
    check(terminal.end()[0] != OK, "it was stopped")
    # What a terminal shows in the line: each \r begins it again.
    shown = ""
    for part in terminal.text.split("\n")[0].split("\r"):
        shown = part + shown[len(part):]
    check(shown.startswith("weft: import cancelled") and "^" not in shown, f"left: {terminal.text!r}")


def test_the_user_unit_is_one(lab):
    if not shutil.which("systemd-analyze"):
        raise Skip("systemd-analyze is not installed")
    unit = lab.dir / "weftd.service"
    source = pathlib.Path(__file__).parents[2] / "tools/packaging/weftd-user.service"
    unit.write_text(source.read_text().replace("@PREFIX@/sbin/weftd", WEFTD))
    done = subprocess.run(["systemd-analyze", "verify", "--user", "--man=no", str(unit)],
                          capture_output=True, text=True, check=False,
                          env={**os.environ, "XDG_RUNTIME_DIR": str(lab.dir)})
    check_eq((done.returncode, done.stdout + done.stderr), (0, ""), "systemd-analyze verify --user")


def test_status_begins_with_a_verdict(lab):
    a = lab.daemon("a").start()
    rows = [line.split("\t") for line in a.weft("status").stdout.splitlines()]
    check_eq([row[0] for row in rows[:7]],
             ["verdict", "reachability", "mapping_life", "dht", "xdp", "gateway", "follows"], "first lines")
    check_eq(rows[0][1], "healthy", "a fresh node")
    check("loopback" in rows[1][1], rows[1])
    # A get that stopped is wrong, and it is said what to do.
    b = lab.daemon("b").start()
    link = a.share(lab.folder("tree", {"x": 1}))
    b.weft("get", link, "--to", lab.dir / "out", "--only", "*.nope")
    health = b.json("status")["health"]
    check_eq((health["healthy"], len(health["problems"])), (False, 1), health)
    check("get resume" in health["problems"][0]["next"], health)
    check("problem\t1 get stopped\t" in b.weft("status").stdout, "piped")
    check("dialled by others" in a.json("status")["health"]["reachability"], "a was dialled")


def test_the_log_names_events_and_no_address(lab):
    a, b = lab.daemon("a").start("--log-level", "debug"), lab.daemon("b").start()
    link = a.share(lab.folder("tree", {"x": 1}))
    check_eq(b.weft("get", link, "--to", lab.dir / "out").returncode, OK, "get")
    name = b.weft("node", "id").stdout.strip()
    wait_for(lambda: f"peer: connected dialled=no peer={name[:8]}" in a.log_text(), "a session")
    for line in ("share: added ", "get: started id=1", "get: done id=1"):
        wait_for(lambda: line in a.log_text() + b.log_text(), line)
    check("listening on 127.0.0.1:" in a.log_text(), "where it listens")
    check_eq(a.weft("ban", "add", "192.0.2.77").returncode, OK, "ban")
    check_eq(a.weft("ban", "remove", "192.0.2.77").returncode, OK, "unban")
    sources = re.findall(r"source (\S+) was (banned|let in again) by hand", a.log_text())
    check_eq([what for _, what in sources], ["banned", "let in again"], a.log_text())
    check_eq(sources[0][0], sources[1][0], "one name for one source")
    check("192.0.2.77" not in a.log_text() and name not in a.log_text(), "no address, no whole id")
    b.stop()
    wait_for(lambda: "peer: disconnected why=" in a.log_text(), "its end")


def test_help_begins_with_what_is_needed_every_day(lab):
    text = subprocess.run([WEFT, "help"], capture_output=True, text=True, check=True).stdout
    first, rest = text.split("Every day:\n")[1].split("\n\n", 1)
    check_eq(len(first.splitlines()), 10, first)
    check("Sharing:\n" in rest and "The daemon:\n" in rest, rest)
    check_eq(subprocess.run([WEFT, "hlep"], capture_output=True, check=False).returncode, USAGE, "typo")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
