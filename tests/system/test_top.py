#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft top: the node's load by peer, piped, as JSON, and on a terminal that it leaves as it was.

    a (10.77.0.1, fd77::1) <- veth -> b (10.77.0.2, fd77::2)
"""
import fcntl
import json
import os
import pathlib
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, USAGE, WEFT, Skip, check, check_eq, run, wait_for
from web import GATEWAY, curl, metrics_parse, url_of

CHUNK = 256 * 1024
TREE = pathlib.Path(__file__).parents[2]


def two(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=["10.77.0.1:7000"])
    b = lab.daemon("b", netns=ns_b, listen=["10.77.0.2:7000"])
    return a.start(), b.start()


def shared(lab, a):
    return a.share(lab.folder("root", {f"f{i}": 60 * CHUNK for i in range(20)}))


def test_a_stream_of_json_has_rates_of_sessions_workers_and_gets(lab):
    a, b = two(lab)
    name = b.weft("node", "id").stdout.strip()
    connected = b.weft("peer", "connect", a.weft("node", "id").stdout.strip(), "10.77.0.1:7000")
    check_eq(connected.returncode, OK, connected.stderr)
    link = shared(lab, a)
    top = a.weft_popen("top", "--json")
    load = json.loads(top.stdout.readline())
    get = b.weft_popen("get", link, "--to", lab.dir / "out")
    best, last_ms, end = 0, load["at_ms"], time.monotonic() + DEADLINE_S
    while best <= CHUNK and time.monotonic() < end:
        load = json.loads(top.stdout.readline())
        check(load["at_ms"] > last_ms, "time goes on")
        last_ms = load["at_ms"]
        best = max([best, *(s["out_per_s"] for s in load["sessions"] if s["node_id"] == name)])
    check(best > CHUNK, f"bytes a second to the one who gets: {best}")
    check_eq([w["worker"] for w in load["workers"]], [0], "workers")
    check(load["rss_bytes"] > 1 << 20 and load["mode"] == "normal", f"node: {load}")
    top.send_signal(signal.SIGINT)
    top.wait(timeout=DEADLINE_S)
    get.kill()
    get.wait()
    check_eq(a.weft("status").returncode, OK, "the daemon after a watcher left")


def test_sessions_of_every_worker_have_rates(lab):
    """Four getters choose among four workers: home has all of them once in 256."""
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=["10.77.0.1:7000"], config="[node]\nworkers = 4\n").start()
    # To each its own: of what two get, one would have much from the other.
    links = [a.share(lab.folder(f"root{i}", {"x": 240 * CHUNK}, seed=i)) for i in range(4)]
    key = a.weft("node", "id").stdout.strip()
    getters = {}
    for i in range(4):
        b = lab.daemon(f"b{i}", netns=ns_b, listen=[f"10.77.0.2:{7000 + i}"]).start()
        getters[b.weft("node", "id").stdout.strip()] = b
        check_eq(b.weft("peer", "connect", key, "10.77.0.1:7000").returncode, OK, "connect")
    top = a.weft_popen("top", "--json")
    best = dict.fromkeys(getters, 0)
    wait_for(lambda: len(json.loads(top.stdout.readline())["sessions"]) == 4, "sessions")
    gets = [b.weft_popen("get", link, "--to", lab.dir / name)
            for link, (name, b) in zip(links, getters.items())]
    end = time.monotonic() + DEADLINE_S
    while min(best.values()) <= CHUNK and time.monotonic() < end:
        for session in json.loads(top.stdout.readline())["sessions"]:
            best[session["node_id"]] = max(best[session["node_id"]], session["out_per_s"])
    check(min(best.values()) > CHUNK, f"bytes a second to each who gets: {best}")
    peers = {p["node_id"]: p["sent_bytes"] for p in a.json("peer", "list")["peers"]}
    check(min(peers.values()) > CHUNK, f"peer list tells as much: {peers}")
    for process in [top, *gets]:
        process.kill()
        process.wait()


def test_piped_it_prints_once_and_devices_and_drops_are_there(lab):
    a, b = two(lab)
    done = a.weft("xdp", "attach", "veth0", "--send", "af_xdp")
    if done.returncode != OK:
        raise Skip(f"XDP does not attach here: {done.stderr.strip()}")
    connect = ["peer", "connect", a.weft("node", "id").stdout.strip(), "10.77.0.1:7000"]
    check_eq(b.weft(*connect).returncode, OK, "connect")
    device = lambda: a.json("xdp", "status")["devices"][0]
    wait_for(lambda: device()["sent"] > 0, "what the device sent")
    check("sending" in device()["frames"], f"frames: {device()}")
    a.weft("ban", "add", "10.77.0.2")
    b.weft(*connect, "--timeout", 1)
    wait_for(lambda: a.json("drops")["drops"], "drops")
    done = a.weft("top")
    check_eq(done.returncode, OK, done.stderr)
    kinds = [line.split("\t")[:2] for line in done.stdout.splitlines()]
    check_eq(kinds, [["node", "normal"], ["worker", "0"], ["device", "veth0"], ["drop", "banned"]],
             "lines")
    check_eq(a.weft("top", "--once", "--json").returncode, OK, "once")
    check_eq(a.weft("top", "--interval", "soon").returncode, USAGE, "interval")


def screen(fd, until):
    text, end = b"", time.monotonic() + DEADLINE_S
    while time.monotonic() < end and until not in text:
        if select.select([fd], [], [], 0.2)[0]:
            text += os.read(fd, 65536)
    check(until in text, f"{until} on the terminal: {text[-2000:]}")
    return text


def test_a_terminal_is_redrawn_in_place_and_given_back(lab):
    a = lab.daemon("a").start()
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 80, 0, 0))
    before = termios.tcgetattr(terminal)
    top = subprocess.Popen([WEFT, "-s", str(a.sock), "top"], stdin=terminal, stdout=terminal,
                           stderr=terminal, env={**os.environ, "TERM": "xterm"})
    try:
        text = screen(main, b"\x1b[3A\x1b[J")  # up over the three lines that stood
        check(text.startswith(b"\x1b[?7l\x1b[?25lmode normal"), f"begin: {text[:200]}")
        check(b"WORKER" in text and b"LOAD %" in text, f"a table: {text}")
        top.send_signal(signal.SIGINT)
        screen(main, b"\x1b[?7h\x1b[?25h")
        check_eq(top.wait(timeout=DEADLINE_S), OK, "Ctrl-C is how it ends")
        check_eq(termios.tcgetattr(terminal), before, "the terminal's settings")
    finally:
        top.kill()
        top.wait()
        os.close(main)
        os.close(terminal)


def counters_of_modules():
    """{"quic.accepted_cnt": True for one that only grows} of every *_counters.def."""
    sections = {"blobs": ["content"], "packet": ["rx", "tx"]}
    named = {}
    for path in TREE.glob("userspace/**/*_counters.def"):
        stem = path.name.removesuffix("_counters.def")
        for kind, field in re.findall(r"^FIGURE\((\w+), +(\w+),", path.read_text(), re.M):
            for section in sections.get(stem, [stem]):
                named[f"{section}.{field}"] = kind == "COUNTER"
    return named


def test_every_counter_of_a_module_is_in_status_metrics_top_and_docs(lab):
    a = lab.daemon("a", config=GATEWAY).start()
    named = counters_of_modules()
    check(len(named) > 250, f"only {len(named)} counters can be read")
    grows = {name for name, is_counter in named.items() if is_counter}
    status = a.json("status")
    check_eq(set(status["counters"]), grows, "status: counters")
    check_eq(set(status["fills"]), set(named) - grows, "status: fills")
    samples = metrics_parse(curl(f"{url_of(a)}/metrics")[2].decode())
    for name in named:
        metric = "weft_" + name.replace(".", "_") + ("_total" if name in grows else "")
        check((metric, None) in samples, f"/metrics has no {metric}")
    load = json.loads(a.weft("top", "--once", "--json").stdout)
    check_eq({c["name"]: c["kind"] == "counter" for c in load["counters"]}, named, "top --json")
    check_eq({c["name"] for c in load["counters"] if "per_s" in c}, grows, "those with a rate")
    lines = [line.split("\t") for line in a.weft("top", "--counters").stdout.splitlines()]
    check_eq({line[1] for line in lines if line[0] == "counter"}, set(named), "top, piped")
    documented = re.findall(r"^\| `([\w.]+)` \| (\w+)", (TREE / "docs/counters.md").read_text(), re.M)
    check_eq({name: kind == "counter" for name, kind in documented}, named, "docs/counters.md")


def test_counters_that_grow_have_rates_and_come_first_on_a_terminal(lab):
    a = lab.daemon("a", config=GATEWAY).start()
    top = a.weft_popen("top", "--json", "--interval", "1s")
    rate, end = 0, time.monotonic() + DEADLINE_S
    while not rate and time.monotonic() < end:
        for _ in range(5):
            curl(f"{url_of(a)}/healthz")
        rows = {c["name"]: c for c in json.loads(top.stdout.readline())["counters"]}
        rate = rows["gateway.request_cnt"]["per_s"]
    check(rate > 0, "requests a second")
    check(rows["gateway.request_cnt"]["value"] >= rate, f"requests in all: {rows['gateway.request_cnt']}")
    check_eq(rows["dht.lookup_cnt"]["kind"], "fill", "what there is now")
    top.kill()
    top.wait()
    main, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 10, 80, 0, 0))
    top = subprocess.Popen([WEFT, "-s", str(a.sock), "top", "--counters"], stdin=terminal,
                           stdout=terminal, stderr=terminal, env={**os.environ, "TERM": "xterm"})
    try:
        text = screen(main, b"worker.turn_cnt")  # a loop always turns
        check(b"COUNTER" in text and b"WORKER" not in text, f"counters alone: {text}")
        screen(main, b"\x1b[9A\x1b[J")  # a screen is full, and no more
    finally:
        top.kill()
        top.wait()
        os.close(main)
        os.close(terminal)


run([test_a_stream_of_json_has_rates_of_sessions_workers_and_gets,
     test_sessions_of_every_worker_have_rates,
     test_piped_it_prints_once_and_devices_and_drops_are_there,
     test_a_terminal_is_redrawn_in_place_and_given_back,
     test_every_counter_of_a_module_is_in_status_metrics_top_and_docs,
     test_counters_that_grow_have_rates_and_come_first_on_a_terminal])
