#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The command, as people use it: what it prints on a terminal and in a pipe, and what Ctrl-C ends."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import (DEADLINE_S, FAILED, NOT_FOUND, NOT_VERIFIED, OK, REFUSED, TIMEOUT, USAGE, WEFT,
                 Skip, check, check_eq, run, static, wait_for)
from terminal import on_terminal


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
                          (("sources", *["x"] * 70, "y"), '"y" is one argument too many')):
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


def test_people_see_the_fields_of_an_event_with_short_ids(lab):
    a = lab.daemon("a").start()
    a.share(lab.folder("root", {"x": 10}))
    shown = on_terminal("-s", a.sock, "event", "watch", "--since", "1", stop_at=b"import.done")
    check(re.search(r"#2 +share\.added +manifest=[a-z0-9]{12} text=\"[^\"]+/root\"\n", shown), shown)
    check(re.search(r"#3 +import\.done +id=1 bytes_done=10 bytes=10 text=\"[^\"]+/root\"\n", shown), shown)


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


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
