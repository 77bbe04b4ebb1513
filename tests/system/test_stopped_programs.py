#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Programs behind services that are stopped by SIGSTOP: the kernel accepts connections for them,
and nothing answers. Times are in milliseconds and are printed."""
import pathlib
import signal
import subprocess
import sys
import textwrap
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, TIMEOUT, check, check_eq, free_port, run, wait_for

CONFIG = "[service]\nbuiltin =\npeer_calls = 100000\n"
TIMEOUT_S = 2
SLACK_MS = 2500  # for a loaded machine
PAUSE_MS = 5000  # the first, as docs/providers.md has it
CHECK_MS = 1000  # between two checks of a program that is down

WEB = """
    import http.server, sys

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self):
            try:
                self.send_response(200)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            except OSError:
                pass  # of a request from before it went on

        def log_message(self, *words):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
    print("ready")
    server.serve_forever()
"""

DESK = """
    import socket, sys

    listener = socket.socket(socket.AF_UNIX)
    listener.bind(sys.argv[1])
    listener.listen(64)
    print("ready")
    while True:
        client = listener.accept()[0]
        if client.recv(65536):
            try:
                client.sendall(b'{"parameters":{"base64":"b2s="}}\\0')
            except OSError:
                pass
        client.close()
"""


def program(lab, text, *words):
    process = subprocess.Popen([sys.executable, "-u", "-c", textwrap.dedent(text), *map(str, words)],
                               stdout=subprocess.PIPE, text=True)
    lab.processes.append(process)
    check_eq(process.stdout.readline(), "ready\n", "the program starts")
    return process


def pair(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG).start()
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
    return a, b, node


def row_of(daemon, name):
    return next(offer for offer in daemon.json("service", "list")["offers"] if offer["name"] == name)


def publish(daemon, name, *words):
    done = daemon.weft("service", "publish", name, "--timeout", TIMEOUT_S, *words)
    check_eq(done.returncode, OK, done.stderr)
    wait_for(lambda: row_of(daemon, name)["state"] == "ready", f"{name} is ready")


def ms_until(condition, what, since):
    wait_for(condition, what)
    return round(1000 * (time.monotonic() - since))


def stop_and_go_on(a, process, name, ask):
    """ask() asks the program once, as another node, and returns how that ended."""
    check_eq(ask(), OK, "it answers")
    process.send_signal(signal.SIGSTOP)
    stopped = time.monotonic()
    for _ in range(2):
        check_eq(ask(), TIMEOUT, "a stopped program does not answer")
    down_ms = ms_until(lambda: row_of(a, name)["state"] == "down", "it is set down", stopped)
    check(down_ms <= 2 * 1000 * TIMEOUT_S + SLACK_MS, f"{name} is down after {down_ms} ms")
    check_eq(row_of(a, name)["why"], "it does not answer its calls", row_of(a, name))
    asked = time.monotonic()
    check(ask() not in (OK, TIMEOUT), "it is said to be unavailable")
    refused_ms = round(1000 * (time.monotonic() - asked))
    check(refused_ms < 1000, f"at once: {refused_ms} ms")
    process.send_signal(signal.SIGCONT)
    went_on = time.monotonic()
    ready_ms = ms_until(lambda: row_of(a, name)["state"] == "ready", "it is back", went_on)
    check(ready_ms <= PAUSE_MS + CHECK_MS + SLACK_MS, f"{name} is back after {ready_ms} ms")
    check_eq(ask(), OK, "it answers again")
    print(f"# {name}: down {down_ms} ms after SIGSTOP, refused in {refused_ms} ms, "
          f"ready {ready_ms} ms after SIGCONT")


def test_a_stopped_web_server_is_set_down_and_comes_back(lab):
    a, b, node = pair(lab)
    port = free_port()
    web = program(lab, WEB, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}", "--calls", "10000/min")
    stop_and_go_on(a, web, "site", lambda: b.weft("service", "call", "site", "GET", "/", "--provider", node).returncode)


def test_a_stopped_program_on_a_socket_is_set_down_and_comes_back(lab):
    a, b, node = pair(lab)
    desk = program(lab, DESK, lab.dir / "desk.sock")
    publish(a, "desk", "--socket", lab.dir / "desk.sock", "--calls", "10000/min")
    stop_and_go_on(a, desk, "desk",
                   lambda: b.weft("service", "call", "desk", "Do", "x", "--provider", node).returncode)


def test_a_stopped_web_server_with_a_health_path_is_set_down_without_a_call(lab):
    a, _, _ = pair(lab)
    port = free_port()
    web = program(lab, WEB, port)
    publish(a, "site", "--http", f"127.0.0.1:{port}", "--health", "/")
    web.send_signal(signal.SIGSTOP)
    down_ms = ms_until(lambda: row_of(a, "site")["state"] == "down", "it is set down", time.monotonic())
    check(down_ms <= 12000 + SLACK_MS, f"down after {down_ms} ms")
    web.send_signal(signal.SIGCONT)
    ready_ms = ms_until(lambda: row_of(a, "site")["state"] == "ready", "it is back", time.monotonic())
    check(ready_ms <= CHECK_MS + SLACK_MS, f"back after {ready_ms} ms")
    print(f"# with --health: down {down_ms} ms after SIGSTOP, ready {ready_ms} ms after SIGCONT")


def test_a_stopped_process_of_one_call_does_not_hold_up_other_calls(lab):
    a, b, node = pair(lab)
    # The daemon's user has to reach it.
    script = lab.dir / "stops"
    script.write_text("#!/bin/sh\nread what\n[ \"$what\" = stop ] && kill -STOP $$\necho \"$what\"\n")
    script.chmod(0o755)
    publish(a, "stops", "--unconfined", "--exec", script, "--concurrency", "2", "--calls", "10000/min")
    words = ("service", "call", "stops", "Do")
    asked = time.monotonic()
    stopped = b.weft_popen(*words, "stop\n", "--provider", node)
    wait_for(lambda: row_of(a, "stops")["in_hand"] == 1, "one is stopped")
    slowest_ms = 0
    for i in range(10):
        began = time.monotonic()
        check_eq(b.weft(*words, f"{i}\n", "--provider", node).stdout, f"{i}\n", "another call")
        slowest_ms = max(slowest_ms, round(1000 * (time.monotonic() - began)))
    check(slowest_ms < 1000, f"others are answered at once: {slowest_ms} ms")
    check_eq(stopped.wait(), TIMEOUT, "the stopped one times out")
    took_ms = round(1000 * (time.monotonic() - asked))
    check(took_ms <= 1000 * TIMEOUT_S + SLACK_MS, f"after the offer's time: {took_ms} ms")
    wait_for(lambda: row_of(a, "stops")["in_hand"] == 0, "its process is killed, and its place free")
    check_eq(row_of(a, "stops")["state"], "ready", "a program that is run anew each time is not set down")
    print(f"# others beside a stopped process: {slowest_ms} ms at most; the stopped one {took_ms} ms")


if __name__ == "__main__":
    run([test_a_stopped_web_server_is_set_down_and_comes_back,
         test_a_stopped_program_on_a_socket_is_set_down_and_comes_back,
         test_a_stopped_web_server_with_a_health_path_is_set_down_without_a_call,
         test_a_stopped_process_of_one_call_does_not_hold_up_other_calls])
