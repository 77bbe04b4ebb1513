#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The control socket and the command, as people and other programs use them."""
import json
import os
import pathlib
import pty
import re
import shutil
import signal
import socket
import struct
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, NOT_FOUND, NOT_VERIFIED, OK, REFUSED, TIMEOUT, USAGE, WEFT,
                 WEFTD, Skip, check, check_eq, run, static, wait_for, full_name)

NODE = "net.weft.Node"


def varlinkctl(*words):
    if not shutil.which("varlinkctl"):
        raise Skip("varlinkctl is not installed")
    done = subprocess.run(["varlinkctl", *map(str, words)], capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False)
    check_eq(done.returncode, 0, f"varlinkctl {words}: {done.stderr}")
    return done.stdout


class Client:
    """Varlink by hand, for what varlinkctl would not send."""

    def __init__(self, daemon):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(DEADLINE_S)
        self.socket.connect(str(daemon.sock))
        self.buffer = b""

    def send(self, method, parameters=None, **flags):
        call = {"method": method, "parameters": parameters or {}, **flags}
        self.socket.sendall(json.dumps(call).encode() + b"\0")

    def reply(self):
        while b"\0" not in self.buffer:
            data = self.socket.recv(65536)
            check(data, "the daemon closed the connection")
            self.buffer += data
        text, self.buffer = self.buffer.split(b"\0", 1)
        return json.loads(text)

    def call(self, method, parameters=None):
        self.send(method, parameters)
        return self.reply()


def on_terminal(*words, columns="", stop_at=None):
    """Runs weft on a terminal and gives what it showed; SIGINT ends it behind a line with stop_at."""
    leader, follower = pty.openpty()
    process = subprocess.Popen([WEFT, *map(str, words)], stdout=follower, stderr=follower,
                               stdin=follower,
                               env={**os.environ, "TERM": "xterm", "COLUMNS": columns})
    os.close(follower)
    shown = b""
    while True:
        try:
            data = os.read(leader, 65536)
        except OSError:
            break
        if not data:
            break
        shown += data
        if stop_at and b"\n" in shown.partition(stop_at)[2]:
            process.send_signal(signal.SIGINT)
            stop_at = None
    process.wait()
    os.close(leader)
    return shown.decode().replace("\r\n", "\n")


def test_an_error_has_a_line_of_its_own(lab):
    """And what was shown of the progress is wiped first."""
    a = lab.daemon("a").start()
    link = a.share(lab.folder("tree", {"x": 1}))
    shown = on_terminal("-s", a.sock, "get", link, "--to", lab.dir / "out", "--only", "*.nope")
    before, said = shown.split("weft: get 1: ")
    check(not before or before.endswith("\r"), repr(shown))
    check_eq(said.splitlines(), ["no file of the collection is called as --only says, "
                                 "or all are excluded",
                                 "  get it again with another --only, or without"], "what is said")
    for words, wanted in ((("pause", "9"), "get 9: there is no get of that number"),
                          (("resume", "1"), "get 1: no file of the collection"),
                          (("set", "1"), "get set: --priority, --only,"),
                          (("sources", *"abcdefghijklmnop"), '"o" is one argument too many')):
        done = a.weft("get", *words)
        check(wanted in done.stderr, f"{words}: {done.stderr}")


def test_what_is_no_link_is_answered_with_the_link_that_is_wanted(lab):
    a = lab.daemon("a").start()
    for words, wanted in ((("sub", "add", "nonsense"), "weft share link"),
                          (("share", "remove", "mesh"), "weft share list"),
                          (("community", "join", "nonsense"), "weft community link"),
                          (("get", "nonsense", "--to", lab.dir / "out"), "weft sub list")):
        done = a.weft(*words)
        check(wanted in done.stderr, f"{words}: {done.stderr}")


def test_varlinkctl_introspects_and_calls(lab):
    a = lab.daemon("a").start()
    check("weftd" in varlinkctl("info", a.sock), "info")
    interfaces = varlinkctl("list-interfaces", a.sock).split()
    check_eq(sorted(interfaces), ["net.weft.Content", "net.weft.Network", NODE, "net.weft.Services",
                                  "org.varlink.service"], "interfaces")
    for interface in interfaces:
        text = varlinkctl("introspect", a.sock, interface)
        (lab.dir / "idl").write_text(text)
        varlinkctl("validate-idl", lab.dir / "idl")
        methods = re.findall(r"^method (\w+)", text, re.M)
        check_eq(sorted(f"{interface}.{name}" for name in methods),
                 sorted(varlinkctl("list-methods", a.sock, interface).split()), "list-methods")
    check("method AddShare(" in varlinkctl("introspect", a.sock, "net.weft.Content"), "AddShare")
    reply = json.loads(varlinkctl("call", a.sock, f"{NODE}.GetNodeId", "{}"))
    check_eq(reply["node_id"], a.weft("node", "id").stdout.strip(), "node id")


def test_varlinkctl_hears_more_than_one_reply(lab):
    a = lab.daemon("a").start()
    root = lab.folder("root", {f"{i}": 5 for i in range(20)})
    out = varlinkctl("call", "--more", "--json=short", a.sock, "net.weft.Content.AddShare",
                     json.dumps({"path": str(root)}))
    replies = [json.loads(line) for line in out.replace("\x1e", "").splitlines()]
    check(len(replies) >= 2, out)
    check(replies[-1]["link"].startswith("mesh:"), out)


def test_every_method_answers_as_described(lab):
    """The daemon checks each reply against the description and logs a difference."""
    a = lab.daemon("a").start()
    client = Client(a)
    path = str(lab.folder("root", {"x": 1}))
    share = client.call("net.weft.Content.AddShare", {"path": path})["parameters"]["share"]
    me = client.call(f"{NODE}.GetNodeId")["parameters"]["node_id"]
    calls = [("Status", {}), ("ListPeers", {}), ("ShowPeer", {"node_id": me}),
             ("ConnectPeer", {"node_id": me, "addresses": [], "timeout_ms": 100}),
             ("PingPeer", {"node_id": me}), ("ListShares", {}), ("CancelImport", {"import_id": 99}),
             ("Get", {"link": "mesh:x", "target": "/tmp/x"}), ("WatchGet", {"get_id": 99}),
             ("ListGets", {}), ("CancelGet", {"get_id": 99}), ("ResumeGet", {"get_id": 99}),
             ("WatchEvents", {}), ("ShowLimits", {}), ("ShowConfig", {}), ("ShowMemory", {}),
             ("PlanGc", {}), ("RunGc", {}), ("CheckStore", {"repair": False}),
             ("CheckFiles", {}), ("Reload", {}),
             ("RemoveShare", {"share": share["collection_id"]})]
    for method, parameters in calls:
        reply = client.call(full_name(method), parameters)
        check(isinstance(reply.get("parameters"), dict), f"{method}: {reply}")
    client.call(f"{NODE}.Shutdown")
    check_eq(a.process.wait(DEADLINE_S), 0, "exit of the daemon")
    check("does not follow the interface" not in a.log_text(), a.log_text())


def test_one_connection_answers_in_order(lab):
    a = lab.daemon("a").start()
    client = Client(a)
    for _ in range(50):
        client.send(f"{NODE}.GetNodeId")
        client.send(f"{NODE}.Status", oneway=True)
        client.send("org.varlink.service.GetInfo")
    for _ in range(50):
        check("node_id" in client.reply()["parameters"], "GetNodeId first")
        check_eq(client.reply()["parameters"]["product"], "weftd", "GetInfo second")


def test_a_pipe_gets_tabs_and_a_terminal_a_table(lab):
    a = lab.daemon("a").start()
    link = a.share(lab.folder("root", {"x": 3000}))
    fields = a.weft("share", "list").stdout.rstrip("\n").split("\t")
    check_eq(len(fields), 8, f"fields {fields}")
    check_eq((fields[1], fields[2], fields[5], fields[7]), ("1", "3000", "root", link), "fields")
    shown = on_terminal("-s", a.sock, "share", "list")
    check(shown.startswith("COLLECTION") and "2.9 KiB" in shown and "\t" not in shown, shown)
    check_eq(a.json("share", "list")["shares"][0]["link"], link, "--json")


def test_sharing_prints_the_link_alone_or_a_story(lab):
    a = lab.daemon("a").start()
    root = lab.folder("root", {"x": 10, "y/z": 20})
    (root / "ln").symlink_to("/etc/passwd")
    done = a.weft("share", "add", root, "--title", "a b")
    check(re.fullmatch(r"mesh:[a-z0-9]+\n", done.stdout), done.stdout)
    check("skipped 1 symbolic link that leads out;" in done.stderr, done.stderr)
    odd = lab.folder("odd", {"x": 10, ".weft-mine": 10})
    (odd / "ln").symlink_to("/etc/passwd")
    os.mkfifo(odd / "pipe")
    with open(os.fsencode(odd) + b"/no\xfftext", "wb"):
        pass
    listed = a.json("share", "add", odd)["import"]["skipped"]
    check_eq(sorted(listed), [".weft-mine: a name that cannot be shared",
                              "ln: a symbolic link that leads out of the folder",
                              "no?text: a name that cannot be shared",
                              "pipe: neither a file nor a directory"], "which and why")
    shown = on_terminal("-s", a.sock, "share", "add", root, "--title", "a b")
    check("weft get 'mesh:" in shown and '"a b": 2 files, 30 B' in shown, shown)
    check_eq(a.weft("share", "remove", done.stdout.strip()).returncode, OK, "remove by link")
    check_eq(a.weft("share", "remove", done.stdout.strip()).returncode, NOT_FOUND, "remove again")
    check_eq(a.weft("share", "add", lab.dir / "none").returncode, NOT_FOUND, "no such folder")
    check_eq(a.weft("share", "cancel", 99).returncode, NOT_FOUND, "cancel of none")


def test_a_share_is_removed_by_what_the_table_shows(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {"x": 10}))
    shown = on_terminal("-s", a.sock, "share", "list").splitlines()[1].split()[0]
    check(len(shown) < 52, shown)
    done = a.weft("share", "remove", shown[:7])
    check(done.returncode == NOT_FOUND and "8 letters" in done.stderr, done.stderr)
    check_eq(a.weft("share", "remove", shown).returncode, OK, "remove")
    check_eq(a.json("share", "list")["shares"], [], "shares")


def test_a_count_of_one_is_singular(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    shown = on_terminal("-s", a.sock, "share", "add", lab.folder("root", {"x": 10}))
    check('"root": 1 file, 10 B' in shown, shown)
    done = b.weft("get", re.search("mesh:[a-z0-9]+", shown).group(), "--to", lab.dir / "out")
    check(": 1 file, 10 B in " in done.stderr, done.stderr)


def test_help_shows_all_commands_of_an_object_or_one_command(lab):
    def helped(*words):
        done = subprocess.run([WEFT, *words], capture_output=True, text=True, check=False)
        check_eq((done.returncode, done.stderr), (OK, ""), f"weft {words}")
        return done.stdout

    check_eq(helped(), helped("help"), "weft alone")
    check_eq(helped("--help"), helped("help"), "weft --help")
    check("share add DIR" in helped("help") and "completion bash" in helped("help"), "all")
    check("share remove" in helped("help", "share") and "peer" not in helped("help", "share"),
          helped("help", "share"))
    check_eq(helped("share", "add", "--help"), helped("help", "share", "add"), "two ways")
    check("--range OFF-END" in helped("help", "get") and "get resume ID" in helped("help", "get"),
          helped("help", "get"))
    check(re.fullmatch(r"weft \d+\.\d+\.\d+\n", helped("--version")), helped("--version"))


def test_progress_fits_the_terminal_without_escape_sequences(lab):
    a = lab.daemon("a").start()
    for columns, whole in (("120", "[....................]   0% hashing 0 B of 3.9 KiB, 0/2 files"),
                           ("42", "  0% hashing 0 B of 3.9 KiB, 0/2 files"),
                           ("30", "  0% hashing 0 B of 3.9 KiB"), ("10", "  0% "), ("2", "")):
        root = lab.folder(f"root{columns}", {"x": 2000, "y": 2000})
        shown = on_terminal("-s", a.sock, "share", "add", root, columns=columns)
        lines = shown.split("Shared ")[0].split("\r")
        check(whole in lines, f"{columns} columns: {lines}")
        check(all(len(line) < int(columns) for line in lines), f"{columns} columns: {lines}")
        check("\x1b" not in shown, repr(shown))


def test_a_daemon_that_never_answers_is_given_up(lab):
    for is_accepting in (True, False):
        path = lab.dir / f"deaf{is_accepting}"
        deaf = socket.socket(socket.AF_UNIX)
        deaf.bind(str(path))
        deaf.listen(0)
        queued = []
        while not is_accepting and len(queued) < 3:
            queued.append(socket.socket(socket.AF_UNIX))
            queued[-1].setblocking(False)
            queued[-1].connect_ex(str(path))
        for words in (["status"], ["gc", "run"], ["event", "watch"], ["get", "mesh:y", "--to", "/"]):
            done = subprocess.run([WEFT, "-s", str(path), "--timeout", "1", *words],
                                  capture_output=True, text=True, timeout=DEADLINE_S, check=False)
            check_eq(done.returncode, TIMEOUT, f"{words}: {done.stderr}")
            check("no answer within 1 s" in done.stderr and str(path) in done.stderr, done.stderr)


def test_names_from_afar_cannot_steer_a_terminal(lab):
    a = lab.daemon("a").start()
    root = lab.folder("\x1b[31mred\u009b\ttab", {"x": 10})
    shown = on_terminal("-s", a.sock, "share", "add", root)
    check("?[31mred" in shown, repr(shown))
    check("\x1b[31m" not in shown and "\u009b" not in shown, repr(shown))
    done = subprocess.run([WEFT.encode(), b"share", b"add", b"/x\xff\x9b"], capture_output=True,
                          check=False)
    check_eq(done.returncode, USAGE, "a path that is not UTF-8")
    check(b"\xff" not in done.stderr and b"UTF-8" in done.stderr, done.stderr)


def test_ctrl_c_cancels_an_import(lab):
    a = lab.daemon("a").start()
    root = lab.dir / "big"
    root.mkdir()
    with open(root / "holes", "wb") as file:
        file.truncate(64 << 30)
    adding = a.weft_popen("share", "add", root)
    wait_for(lambda: a.json("share", "list")["imports"], "the import is listed")
    adding.send_signal(signal.SIGINT)
    _, err = adding.communicate(timeout=DEADLINE_S)
    check_eq(adding.returncode, 130, f"exit: {err}")
    check("import cancelled" in err, err)
    wait_for(lambda: not a.json("share", "list")["imports"], "the import is gone")
    check_eq(a.json("share", "list")["shares"], [], "shares")


def branches_break(path):
    """Makes each branch page of a database file say that it has one key, in place. How many."""
    page, cnt = 4096, 0
    data = bytearray(path.read_bytes())
    for at in range(2 * page, len(data), page):
        flags, end = struct.unpack_from("<HH", data, at + 10)
        if flags == 1 and end > 18:
            struct.pack_into("<H", data, at + 12, 18)
            cnt += 1
    with open(path, "r+b") as file:
        file.write(data)
    return cnt


def test_a_damaged_database_is_a_finding_and_kills_no_process(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {f"{i}": i for i in range(200)}))
    check_eq(a.weft("store", "check").returncode, OK, "check of a sound store")
    if os.sysconf("SC_PAGESIZE") != 4096:
        raise Skip("the pages of the database have another size")
    check(branches_break(a.state / "db" / "data.mdb") > 0, "no branch page")
    done = a.weft("store", "check")
    check_eq(done.returncode, NOT_VERIFIED, f"check of a damaged one: {done.stderr}")
    check("database objects" in done.stderr and "weft store salvage" in done.stderr, done.stderr)
    check_eq(a.weft("status").returncode, OK, "the daemon lives")


def test_a_start_on_a_damaged_database_is_refused_with_the_way_out(lab):
    a = lab.daemon("a").start()
    for number in range(60):
        a.share(lab.folder(f"root{number}", {"x": number}))
    a.stop()
    if os.sysconf("SC_PAGESIZE") != 4096:
        raise Skip("the pages of the database have another size")
    check(branches_break(a.state / "db" / "data.mdb") > 0, "no branch page")
    done = subprocess.run(a.command(), capture_output=True, text=True, timeout=DEADLINE_S, check=False)
    check_eq(done.returncode, NOT_VERIFIED, f"start: {done.stderr}")
    check("weft store salvage" in done.stderr, done.stderr)


def clients_of(daemon):
    limits = daemon.json("limits", "show")["limits"]
    return next(l["used"] for l in limits if l["name"] == "control.client_cap") - 1  # and this one


def test_ctrl_c_leaves_an_import_to_the_other_callers(lab):
    a = lab.daemon("a").start()
    root = lab.dir / "big"
    root.mkdir()
    with open(root / "holes", "wb") as file:
        file.truncate(64 << 30)
    first, second = (a.weft_popen("share", "add", root) for _ in range(2))
    imports = wait_for(lambda: a.json("share", "list")["imports"], "the import is listed")
    wait_for(lambda: clients_of(a) == 2, "both have asked")
    check_eq(len(a.json("share", "list")["imports"]), 1, "imports of one path")
    first.send_signal(signal.SIGINT)
    first.communicate(timeout=DEADLINE_S)
    check_eq(first.returncode, 130, "exit of the first")
    check_eq([i["import_id"] for i in a.json("share", "list")["imports"]],
             [imports[0]["import_id"]], "the import of the second")
    check(second.poll() is None, "the second was ended")
    third = a.weft_popen("share", "add", root, "--title", "another")
    wait_for(lambda: len(a.json("share", "list")["imports"]) == 2, "another title is another share")
    third.send_signal(signal.SIGINT)
    wait_for(lambda: len(a.json("share", "list")["imports"]) == 1, "the third's is gone")
    # An explicit cancel ends it for all.
    check_eq(a.weft("share", "cancel", imports[0]["import_id"]).returncode, OK, "cancel")
    _, err = second.communicate(timeout=DEADLINE_S)
    check(second.returncode not in (OK, 130) and "cancelled" in err, err)
    wait_for(lambda: not a.json("share", "list")["imports"], "the import is gone")


def test_ctrl_c_leaves_a_get_to_the_daemon(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    link = a.share(lab.folder("root", {"x": 100000}))
    os.kill(a.pid(), signal.SIGSTOP)
    getting = b.weft_popen("get", link, "--to", lab.dir / "out")
    wait_for(lambda: b.json("get", "list")["gets"], "the get is listed")
    getting.send_signal(signal.SIGINT)
    _, err = getting.communicate(timeout=DEADLINE_S)
    check_eq(getting.returncode, 130, f"exit: {err}")
    check("weft get" in err, err)
    os.kill(a.pid(), signal.SIGCONT)
    done = b.weft("get", "watch", b.json("get", "list")["gets"][0]["get_id"])
    check_eq(done.returncode, OK, f"watch: {done.stderr}")
    check('Fetched "root"' in done.stderr, done.stderr)


def test_the_same_get_again_follows_the_one_that_runs(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    link = a.share(lab.folder("root", {"x": 100000}))
    out = lab.dir / "out"
    os.kill(a.pid(), signal.SIGSTOP)
    first = b.weft_popen("get", link, "--to", out)
    wait_for(lambda: b.json("get", "list")["gets"], "the get is listed")
    others = [b.weft_popen("get", link, "--to", f"{out}/"), b.weft_popen("get", "resume", 1)]
    wait_for(lambda: clients_of(b) == 3, "all have asked")
    check_eq(b.weft("get", link, "--to", out, "--detach").stdout, "1\n", "get --detach again")
    done = b.weft("get", link, "--to", out, "--replace")
    check_eq(done.returncode, REFUSED, done.stderr)
    check("with other options" in done.stderr, done.stderr)
    check_eq(len(b.json("get", "list")["gets"]), 1, "gets")
    os.kill(a.pid(), signal.SIGCONT)
    for getting in (first, *others):
        _, err = getting.communicate(timeout=DEADLINE_S)
        check_eq(getting.returncode, OK, err)
        check('Fetched "root"' in err, err)


@static("it dials addresses where no node is")
def test_a_connect_that_fails_says_which_way(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    a_id, b_id = (node.weft("node", "id").stdout.strip() for node in (a, b))
    a_addr = a.json("status")["listen"][0]
    other_id = "y" * 51 + "o"
    silent = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    silent.bind(("127.0.0.1", 0))
    silent_addr = f"127.0.0.1:{silent.getsockname()[1]}"
    for words, code, why in (
            ((other_id, silent_addr, "--timeout", 1), TIMEOUT, f"no answer from {silent_addr} "),
            ((other_id, silent_addr, "127.0.0.1:9", "--timeout", 1), TIMEOUT, "and 1 more within 1."),
            ((other_id, "[2001:db8::1]:9", "--timeout", 1), TIMEOUT, None),
            ((other_id, a_addr), NOT_VERIFIED, f"another node answers there: {a_id}"),
            ((other_id,), TIMEOUT, "no address of it is known"),
            ((b_id, a_addr), FAILED, "that is this node itself"),
            ((other_id[:12], a_addr), FAILED, "no known peer begins with that"),
            (("short", a_addr), FAILED, "52 letters"),
            ((other_id[:-1] + "l", a_addr), FAILED, "52 letters"),
            ((a_id, "nowhere"), FAILED, "not an address with a port"),
            ((a_id, *["127.0.0.1:9"] * 8, a_addr), USAGE, "one argument too many")):
        done = b.weft("peer", "connect", *words)
        check_eq(done.returncode, code, f"{words}: {done.stderr}")
        check((why or "") in done.stderr, f"{why!r} is not in: {done.stderr}")
        check(done.stderr.count("\n") == 2, f"no next step: {done.stderr}")
    check_eq(b.weft("peer", "connect", a_id, a_addr).returncode, OK, "connect")
    check_eq(b.weft("peer", "connect", a_id[:8]).returncode, OK, "connect by 8 letters")


@static("its network has no way out")
def test_an_unreachable_address_is_reported_apart_from_silence(lab):
    netns = lab.netns("alone")
    a = lab.daemon("a", netns=netns).start()
    done = a.weft("peer", "connect", "y" * 51 + "o", "192.0.2.1:7000", "--timeout", 1)
    check_eq(done.returncode, TIMEOUT, done.stderr)
    check("no way from this machine to 192.0.2.1:7000: Network is unreachable" in done.stderr,
          done.stderr)


def test_check_says_how_a_node_is_found_and_which_step_fails(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    a_id, a_addr = a.weft("node", "id").stdout.strip(), a.json("status")["listen"][0]
    b_id = b.weft("node", "id").stdout.strip()
    for words, why in (((b_id,), "this node itself"), (("short",), "52 letters"),
                       (("y" * 51 + "o",), "y" * 12 + ": record: ")):
        done = b.weft("check", *words)
        check_eq(done.returncode, FAILED, f"{words}: {done.stderr}")
        check(why in done.stderr and done.stderr.count("\n") == 2, done.stderr)
    check_eq(b.weft("peer", "connect", a_id, a_addr).returncode, OK, "connect")
    done = b.weft("check", a_id[:8])
    check_eq(done.returncode, OK, done.stderr)
    steps = [line.split("\t") for line in done.stdout.splitlines()]
    check_eq((steps[0][0], steps[0][2], steps[0][3].strip()), ("cache", "a session is open", a_addr),
             "what is known")
    check_eq((steps[-1][0], steps[-1][2]), ("dial", "it answers"), "the dial")
    a.kill()
    done = b.weft("check", a_id, "--timeout", 1)
    check_eq(done.returncode, FAILED, done.stdout)
    check("dial" in done.stderr and "answer" in done.stderr, done.stderr)


def test_ping_measures_round_trips_and_loss(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    a_id, a_addr = a.weft("node", "id").stdout.strip(), a.json("status")["listen"][0]
    done = b.weft("peer", "ping", a_id)
    check_eq(done.returncode, NOT_FOUND, done.stderr)
    check("no session" in done.stderr and "peer connect" in done.stderr, done.stderr)
    check_eq(b.weft("peer", "connect", a_id, a_addr).returncode, OK, "connect")
    ping = b.json("peer", "ping", a_id[:8], "--count", 3)["ping"]
    check_eq((ping["sent"], ping["answered"], ping["node_id"]), (3, 3, a_id), "counts")
    check(0 < ping["min_us"] <= ping["avg_us"] <= ping["max_us"], ping)
    check_eq(ping["address"], a_addr, "path")
    b_id = b.weft("node", "id").stdout.strip()
    check_eq(a.json("peer", "ping", b_id, "--count", 1)["ping"]["session_id"], ping["session_id"],
             "the session's name on the other side")
    fields = dict(line.split("\t") for line in
                  b.weft("peer", "ping", a_id, "--count", 1).stdout.splitlines())
    check_eq((fields["answered"], fields["lost_percent"]), ("1", "0"), "a pipe")
    shown = on_terminal("-s", b.sock, "peer", "ping", a_id, "--count", 2)
    check(f"answer to 2 from {a_addr}: " in shown and "longest" in shown, shown)
    os.kill(a.pid(), signal.SIGSTOP)
    done = b.weft("peer", "ping", a_id, "--count", 1)
    os.kill(a.pid(), signal.SIGCONT)
    check_eq(done.returncode, TIMEOUT, f"{done.stdout}{done.stderr}")
    check("lost_percent\t100" in done.stdout, done.stdout)
    check_eq(b.weft("peer", "ping", a_id, "--count", 0).returncode, USAGE, "--count 0")


def test_a_peer_counts_as_many_in_fair_shares_also_after_a_restart(lab):
    a, b = lab.daemon("a", config="[node]\nworkers = 2\n").start(), lab.daemon("b").start()
    b_id = b.json("node", "id")["node_id"]
    done = a.weft("peer", "set", b_id, "share=8")
    check_eq(done.returncode, NOT_FOUND, "a peer that was not met")
    check("has not met" in done.stderr and "weft peer connect" in done.stderr, done.stderr)
    where = b.json("status")["listen"][0]
    check_eq(a.weft("conns").stdout, "", "connections before")
    check_eq(a.weft("peer", "connect", b_id, where).returncode, OK, "connect")
    lines = [line.split("\t") for line in a.weft("conns").stdout.splitlines()]
    check_eq([line[:2] for line in lines], [[b_id, where]], "peer and path of its connection")
    check(all(number.isdigit() for number in lines[0][2:]) and len(lines[0]) == 7, str(lines))
    check_eq(len(a.json("conns")["peers"]), 1, "connections as JSON")
    check_eq(a.json("peer", "show", b_id)["peer"]["share"], 1, "before")
    for word in ("share=0", "share=65", "share=", "share=x", "weight=2"):
        done = a.weft("peer", "set", b_id, word)
        check(done.returncode == USAGE and "1 to 64" in done.stderr,
              f"{word}: {done.returncode} {done.stderr}")
    check_eq(a.json("peer", "set", b_id[:8], "share=8")["peer"]["share"], 8, "set")
    a.kill()
    a.start()
    check_eq(a.json("peer", "show", b_id)["peer"]["share"], 8, "after kill -9")
    check_eq(a.json("peer", "list")["peers"][0]["share"], 8, "in the list")
    done = a.weft("peer", "set", b_id, "share=1")
    check(done.returncode == OK and "share\t1\n" in done.stdout, done.stdout)


def test_a_range_of_one_file_is_fetched(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    root = lab.folder("root", {"x": 100000})
    done = b.weft("get", a.share(root / "x"), "--to", lab.dir / "out", "--range", "1K+2K")
    check_eq(done.returncode, OK, f"get: {done.stderr}")
    got = next(path for path in (lab.dir / "out").rglob("*") if path.is_file()).read_bytes()
    check((root / "x").read_bytes()[1024:3072] in got, f"{len(got)} bytes")


def test_a_detached_get_prints_its_number(lab):
    a, b = lab.daemon("a").start(), lab.daemon("b").start()
    done = b.weft("get", a.share(lab.folder("root", {"x": 10})), "--to", lab.dir / "out",
                  "--detach")
    check_eq((done.returncode, done.stdout), (OK, "1\n"), f"get --detach: {done.stderr}")
    check_eq(b.weft("get", "watch", 1).returncode, OK, "watch")
    shown = on_terminal("-s", b.sock, "get", "list")
    check("finished" in shown and "root" in shown, shown)


def test_events_are_numbered(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {"x": 10}))
    watch = a.weft_popen("event", "watch", "--since", "1")
    first = watch.stdout.readline().rstrip("\n").split("\t")
    check_eq((first[0], len(first)), ("1", 4), f"first event {first}")
    json.loads(first[3])
    watch.send_signal(signal.SIGINT)
    watch.communicate(timeout=DEADLINE_S)
    a.share(lab.folder("other", {"x": 11}))
    watch = a.weft_popen("event", "watch", "--since", "1", "--json")
    events = [json.loads(watch.stdout.readline())["event"] for _ in range(2)]
    check_eq([event["seq"] for event in events], [1, 2], "without holes")
    watch.kill()
    watch.communicate()


def test_people_see_the_fields_of_an_event_with_short_ids(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {"x": 10}))
    shown = on_terminal("-s", a.sock, "event", "watch", "--since", "1", stop_at=b"import.done")
    check(re.search(r"#2 +share\.added +manifest=[a-z0-9]{12} text=\"[^\"]+/root\"\n", shown), shown)
    check(re.search(r"#3 +import\.done +id=1 bytes_done=10 bytes=10 text=\"[^\"]+/root\"\n", shown), shown)


def test_sighup_applies_what_is_live(lab):
    a = lab.daemon("a", config="[log]\nlevel = info\n").start()
    a.share(lab.folder("one", {"x": 1}))
    a.conf.write_text("[log]\nlevel = debug\n[quic]\nconn_cap = 99\n[content]\nshare_cap = 1\n")
    os.kill(a.pid(), signal.SIGHUP)
    wait_for(lambda: "content.share_cap = 1 applied, was 1024" in a.log_text(), "the reload")
    check("log.level = debug applied, was info" in a.log_text(), a.log_text())
    check("quic.conn_cap = 99 waits for a restart, 1024 stays in force" in a.log_text(),
          a.log_text())
    done = a.weft("share", "add", lab.folder("two", {"x": 2}))
    check_eq(done.returncode, REFUSED, f"a share over the new limit: {done.stderr}")
    shown = a.weft("config", "show").stdout
    check(f"log\tlevel\tdebug\t{a.conf}:2\tyes\t-\n" in shown, shown)
    check("quic\tconn_cap\t1024\tdefault\tno\t99\n" in shown, shown)
    limit = next(l for l in a.json("limits", "show")["limits"] if l["name"] == "content.share_cap")
    check_eq((limit["limit"], limit["unit"]), (1, "count"), "the limit that is shown")
    done = a.weft("daemon", "reload")
    check_eq(done.stdout, "quic.conn_cap\twaits for a restart\n", "what still waits")
    a.conf.write_text("[log]\nlevle = info\n")
    done = a.weft("daemon", "reload")
    check(done.returncode == FAILED and "levle" in done.stderr, done.stderr)
    check("log\tlevel\tdebug" in a.weft("config", "show").stdout, "after a bad reload")


def test_every_limit_has_the_name_of_its_setting(lab):
    a = lab.daemon("a").start()
    known = {f"{s['section']}.{s['key']}" for s in a.json("config", "show")["settings"]}
    # A name with spaces says what follows from settings and is none itself.
    names = {l["name"] for l in a.json("limits", "show")["limits"] if " " not in l["name"]}
    check_eq(names - known, set(), "limits that no setting has the name of")
    shown = on_terminal("-s", a.sock, "limits", "show")
    check("128.0 MiB" in shown and "64.0 GiB" in shown, shown)


def test_every_pool_that_unknown_peers_take_from_is_shown(lab):
    shown = lab.daemon("a").start().json("limits", "show")
    pools = {pool["name"]: [row["class"] for row in pool["classes"]] for pool in shown["pools"]}
    for name in ("quic.conn_cap", "handshakes with a token", "mesh.incoming_cap",
                 "mesh.medium_buffers", "mesh.large_buffers", "calls with chunk buffers",
                 "calls with manifest buffers", "calls waiting for chunk buffers",
                 "calls waiting for manifest buffers", "questions which contents are here",
                 "range proofs in work", "overlay nodes that did not answer"):
        check_eq(pools.get(name), ["unknown", "known", "useful", "chosen"], name)
    check("control.client_cap" in pools, pools)
    check_eq(pools.get("service.processes"), ["peers", "programs"], pools)
    limits = {row["name"]: row for row in shown["limits"]}
    check_eq(limits["manifest buffers"]["limit"], 8, "manifest buffers")
    check_eq(limits["service.processes"]["limit"], 32, "programs")
    check_eq({row["reason"] for row in shown["drops"]},
             {"initial-limit", "replayed-id", "krpc-limit", "krpc-flood", "krpc-budget",
              "stun-limit", "stun-flood", "stun-budget", "probe-limit", "answer-limit"}, "limits of the driver")
    check_eq((shown["networks"], shown["refusals"]), ([], []), "nobody came")


def test_sigterm_ends_it_and_takes_the_socket_away(lab):
    a = lab.daemon("a").start()
    check_eq(a.stop(), 0, "exit")
    check(not a.sock.exists(), "the socket file stays")


def test_the_service_manager_is_notified(lab):
    a = lab.daemon("a")
    manager = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    manager.settimeout(DEADLINE_S)
    manager.bind(str(lab.dir / "notify"))
    a.start(wrap=["env", f"NOTIFY_SOCKET={lab.dir}/notify", "WATCHDOG_USEC=200000"])
    heard = []
    while not (any("READY=1" in text for text in heard) and "WATCHDOG=1" in heard):
        heard.append(manager.recv(4096).decode())
    os.kill(a.pid(), signal.SIGHUP)
    while not heard[-1].startswith("RELOADING=1\nMONOTONIC_USEC="):
        heard.append(manager.recv(4096).decode())
    a.stop()
    while not heard[-1].startswith("STOPPING=1"):
        heard.append(manager.recv(4096).decode())


def test_the_configuration_prints_and_reads_back(lab):
    conf = lab.dir / "weft.conf"
    conf.write_text("[quic]\nconn_cap = 77\n[node]\nlisten = 127.0.0.1:7123\n")

    def printed(file):
        done = subprocess.run([WEFTD, "--config", str(file), "--print-config"], check=True,
                              capture_output=True, text=True)
        return done.stdout

    first = printed(conf)
    (lab.dir / "again.conf").write_text(first)
    values = [line for line in first.splitlines() if not line.startswith("# From:")]
    again = [line for line in printed(lab.dir / "again.conf").splitlines()
             if not line.startswith("# From:")]
    check_eq(again, values, "printed again")
    check("conn_cap = 77" in values, first)
    check(f"# A change takes a restart.\n# From: {conf}:2\nconn_cap = 77" in first, first)
    check("# A change takes a reload.\n# From: default\nretry_above = " in first, first)


def test_weftd_says_what_its_options_lack(lab):
    for words, said in ((["--sate", "x"], "did you mean --state?"), (["--state"], "takes a value"),
                        (["--listen", "nowhere"], "ADDRESS:PORT"), (["x"], "no arguments"),
                        (["--set", "quic.conn_kap=1"], "conn_cap"),
                        (["--set", "conn_cap"], "SECTION.KEY=VALUE")):
        done = subprocess.run([WEFTD, "--check-config", *words], capture_output=True, text=True,
                              check=False)
        check_eq(done.returncode, 2, f"{words}: {done.stderr}")
        check(said in done.stderr, f"{words}: {done.stderr}")
    done = subprocess.run([WEFTD, "--plan"], capture_output=True, text=True, check=True)
    check("in all, at worst" in done.stdout, done.stdout)


def test_weft_says_what_was_meant(lab):
    for words, said in ((["shar"], "weft share"), (["share", "ad"], "weft share add"),
                        (["get", "lst"], "weft get list"), (["limit", "show"], "weft limits"),
                        (["share", "add"], "DIR is missing"),
                        (["status", "x"], "one argument too many"),
                        (["get", "mesh:x", "--too", "/"], "did you mean --to?"),
                        (["get", "mesh:x"], "--to DIR is missing"),
                        (["get", "mesh:x", "--to", "/", "--range", "9-3"], "not a range"),
                        (["get", "mesh:x", "--to", "/", "--to", "/x"], "--to is there twice"),
                        (["get", "cancel", "x"], "not the number of a get"),
                        (["event", "watch", "--since"], "--since takes N"),
                        (["share"], "share: a verb is missing"), (["share"], "share add DIR"),
                        (["share", "xyzzy"], "there is add list"),
                        (["help", "shar"], "weft share"), (["help", "get", "lst"], "weft get list"),
                        (["status", "--timeout", "0"], "--timeout takes SECONDS"),
                        (["status", "--timeout"], "--timeout takes SECONDS"),
                        (["--socket"], "--socket takes PATH"), (["--jsn"], "did you mean --json?")):
        done = subprocess.run([WEFT, *words], capture_output=True, text=True, check=False)
        check_eq(done.returncode, USAGE, f"{words}: {done.stderr}")
        check(said in done.stderr, f"{words}: {done.stderr}")


def test_an_unknown_peer_is_refused(lab):
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    a = lab.daemon("a", config="[control]\nview_group = 4002\n").start()
    os.chmod(lab.dir, 0o755)
    shutil.copy(WEFT, lab.dir / "weft")

    def as_group(gid, *words):
        return subprocess.run([str(lab.dir / "weft"), "-s", str(a.sock), *words], user=65534,
                              group=gid, extra_groups=[], capture_output=True, text=True,
                              check=False)

    check_eq(as_group(4001, "status").returncode, REFUSED, "an unknown peer")
    check_eq(as_group(4002, "status").returncode, OK, "a viewer")
    done = as_group(4002, "daemon", "stop")
    check(done.returncode == REFUSED and "operate group" in done.stderr, done.stderr)


def test_a_read_only_caller_sees_no_addresses(lab):
    if os.geteuid() != 0:
        raise Skip("becoming another user needs root")
    groups = "[control]\nview_group = 4002\noperate_group = 4003\n"
    a, b = lab.daemon("a", config=groups).start(), lab.daemon("b").start()
    node = b.weft("node", "id").stdout.strip()
    where = b.json("status")["listen"][0]
    a.weft("peer", "connect", node, where)
    os.chmod(lab.dir, 0o755)
    shutil.copy(WEFT, lab.dir / "weft")

    def addresses(gid):
        for words in (["peer", "list"], ["peer", "show", node]):
            done = subprocess.run([str(lab.dir / "weft"), "-s", str(a.sock), *words, "--json"],
                                  user=65534, group=gid, extra_groups=[], capture_output=True,
                                  text=True, check=True)
            reply = json.loads(done.stdout)
            for peer in reply.get("peers") or [reply["peer"]]:
                yield peer["address"]

    for address in addresses(4002):
        check(re.fullmatch("[0-9a-f]{16}", address), f"a viewer sees {address}")
    for address in addresses(4003):
        check_eq(address, where, "who operates")


def test_the_key_is_shown_to_no_caller(lab):
    a = lab.daemon("a", config="[log]\nlevel = debug\n").start()
    a.share(lab.folder("root", {"x": 10}))
    seed = (a.state / "node.key").read_bytes()[9:41]
    told = a.log_text().encode()
    for words in (("status",), ("config", "show"), ("memory", "show"), ("peer", "list")):
        told += a.weft(*words, "--json").stdout.encode()
    check(seed not in told and seed.hex().encode() not in told.lower(), "the seed is in there")
    # Its own address is told once, where it listens.
    elsewhere = [line for line in a.log_text().splitlines() if "listening on" not in line]
    check(not any("127.0.0.1" in line for line in elsewhere), "an address is in the log")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
