#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""No local user shuts out another, or root: places of the control socket and of the gateway.

One user's programs hold all places and stay idle. Then another user's, and root's, are served at
once, and limits show names the evicted user."""
import json
import os
import pathlib
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Skip, check, check_eq, run, wait_for
from web import GATEWAY, url_of

VIEW_GID = 4002
GREEDY, MODEST = 65533, 65534
# Connects COUNT times as a user, says how often that went well so far, and holds them until its input ends.
HOLDER = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]))
held = []
for _ in range(int(sys.argv[4])):
    path = sys.argv[3]
    one = socket.socket(socket.AF_UNIX if path.startswith("/") else socket.AF_INET)
    one.connect(path if path.startswith("/") else ("127.0.0.1", int(path)))
    try:
        one.sendall(sys.argv[5].encode())
    except BrokenPipeError:
        pass  # closed for others before it said anything
    held.append(one)
print("held", flush=True)
sys.stdin.read()
"""
ASK = """
import os, socket, sys
os.setgroups([]); os.setgid(int(sys.argv[1])); os.setuid(int(sys.argv[2]))
path, text = sys.argv[3], sys.argv[4].encode().decode("unicode_escape").encode()
one = socket.socket(socket.AF_UNIX if path.startswith("/") else socket.AF_INET)
one.settimeout(30)
one.connect(path if path.startswith("/") else ("127.0.0.1", int(path)))
one.sendall(text)
print(one.recv(65536).decode(errors="replace"))
"""


def hold(lab, where, cnt, uid=GREEDY, begin=""):
    held = subprocess.Popen([sys.executable, "-c", HOLDER, str(VIEW_GID), str(uid), str(where), str(cnt), begin],
                            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    lab.processes.append(held)
    check_eq(held.stdout.readline().strip(), "held", "connections")


def ask(where, text, uid=MODEST):
    return subprocess.run([sys.executable, "-c", ASK, str(VIEW_GID), str(uid), str(where), text],
                          capture_output=True, text=True, check=False).stdout


def started(lab, config=""):
    if os.geteuid() != 0:
        raise Skip("becoming other users needs root")
    a = lab.daemon("a", config=f"[control]\nview_group = {VIEW_GID}\n{config}").start()
    os.chmod(lab.dir, 0o755)
    return a


def pool(daemon, name):
    found = next(row for row in daemon.call("ShowLimits")["pools"] if row["name"] == name)
    return found, {row["class"]: row for row in found["classes"]}


def test_slow_readers_of_files_leave_some_to_another_user(lab):
    a = started(lab, GATEWAY + "file_rate = 0\n")
    film = lab.dir / "film"
    with film.open("wb") as file:
        file.truncate(64 << 20)
    check_eq(a.weft("share", "add", film).returncode, OK, "share")
    items = a.json("share", "items", a.json("share", "list")["shares"][0]["collection_id"])["items"]
    port = url_of(a).rsplit(":", 1)[1]
    asked = f"GET /blob/{items[0]['content_id']} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n"
    hold(lab, port, 40, begin=asked)  # more than files are read at once, and none is read on
    text = asked.replace("\r\n", "\\r\\n")
    wait_for(lambda: "503" in ask(port, text, GREEDY)[:12], "the greedy have their part")
    answer = ask(port, text)
    check(answer.startswith("HTTP/1.1 200 "), f"another user reads: {answer[:300]}")


def test_idle_viewers_lock_out_neither_root_nor_another_user(lab):
    a = started(lab)
    status = json.dumps({"method": "net.weft.Node.GetNodeId", "parameters": {}}) + "\\0"
    for _ in range(10):  # 200 connections of ten programs, more than there are places
        hold(lab, a.sock, 20)
    for _ in range(3):
        check('"node_id"' in ask(a.sock, status), "another user is not served")
        check_eq(a.weft("status").returncode, OK, "root is not served")
    (found, classes) = pool(a, "control.client_cap")
    check_eq((found["limit"], classes["admin"]["floor"]), (64, 4), "limits")
    check(classes["view"]["evicted"] >= 1 and classes["admin"]["evicted"] == 0, classes)
    shown = a.weft("limits", "show").stdout
    check("control.client_cap\tview\t" in shown, shown)


def test_a_call_that_runs_is_not_what_gives_way(lab):
    """A watcher is served on while idle connections of its own user fill all places."""
    a = started(lab)
    watch = json.dumps({"method": "net.weft.Node.WatchEvents", "parameters": {}, "more": True}) + "\\0"
    watcher = subprocess.Popen([sys.executable, "-c", ASK, str(VIEW_GID), str(GREEDY), str(a.sock), watch],
                               stdout=subprocess.PIPE, text=True)
    lab.processes.append(watcher)
    wait_for(lambda: pool(a, "control.client_cap")[1]["view"]["used"] == 1, "it watches")
    for _ in range(10):
        hold(lab, a.sock, 20)
    check_eq(a.weft("status").returncode, OK, "root is served")
    check(pool(a, "control.client_cap")[1]["view"]["evicted"] > 0, "others gave way")
    a.share(lab.folder("tree", {"one": 10}))
    told = watcher.communicate(timeout=60)[0]
    check('"event"' in told, f"the watcher lost its place: {told!r}")


def test_one_user_shuts_no_other_out_of_the_gateway(lab):
    """All come from 127.0.0.1; places and rate are counted by user."""
    a = started(lab, GATEWAY + "connections = 40\nconnections_per_address = 40\n")
    port = url_of(a).rsplit(":", 1)[1]
    get = f"GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n"
    check("200 OK" in ask(port, get, GREEDY), "the gateway does not answer")
    # Half a request each, so none is idle.
    hold(lab, port, 40, begin="GET /")
    for uid in (MODEST, 0):
        check("200 OK" in ask(port, get, uid), f"user {uid} is not served")
    for _ in range(40):
        ask(port, get, GREEDY)
    check("429" in ask(port, get, GREEDY), "one asks too often")
    check("200 OK" in ask(port, get), "another is not served then")
    (found, classes) = pool(a, "gateway.connections")
    check_eq(found["limit"], 40, "limit")
    check(classes["other"]["evicted"] >= 1 and classes["own"]["evicted"] == 0, classes)


def test_connections_of_one_user_are_limited_as_those_of_an_address(lab):
    a = started(lab, GATEWAY + "connections = 40\nconnections_per_address = 3\n")
    port = url_of(a).rsplit(":", 1)[1]
    get = f"GET /healthz HTTP/1.1\\r\\nHost: 127.0.0.1:{port}\\r\\nConnection: close\\r\\n\\r\\n"
    hold(lab, port, 3, begin="GET /")
    check("503" in ask(port, get, GREEDY), "a fourth of one user")
    check("200 OK" in ask(port, get), "another user's first")
    refused = [row for row in a.call("ShowLimits")["refusals"] if row["who"] == f"user {GREEDY}"]
    check_eq([(row["pool"], row["times"]) for row in refused],
             [("gateway.connections_per_address", 1)], "who was refused by which pool")
    shown = a.weft("limits", "show").stdout
    check(f"refusal\tuser {GREEDY}\tgateway.connections_per_address\t1\t" in shown, shown)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
