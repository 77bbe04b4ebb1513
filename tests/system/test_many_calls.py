#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Many calls of one program at once: 1,000 on one connection of the control socket, all accepted
and pending. The wire has no more than one peer may get, and an operator's commands get through."""
import contextlib
import json
import pathlib
import socket
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run, wait_for

CONFIG = ("[service]\nbuiltin = echo\npeer_calls = 100000\ncalls = 100000\n"
          "[overlay]\nserve = on\n")
MANY = 1000
ON_THE_WIRE = 10  # of one program at one peer; the last two places are others'


def pair(lab, config=""):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG + config).start()
    node = a.json("node", "id")["node_id"]
    check_eq(b.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
    return a, b, node


class Slow:
    """A service whose calls of Hold wait until the test lets them go."""

    def __init__(self, lab, daemon):
        path = lab.dir / "slow.sock"
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(str(path))
        self.listener.listen(256)
        self.let_go = threading.Event()
        self.lock = threading.Lock()
        self.held = self.peak = 0
        threading.Thread(target=self.accept, daemon=True).start()
        done = daemon.weft("service", "publish", "slow", "--socket", path, "--calls", "100000/min")
        check_eq(done.returncode, OK, done.stderr)

    def accept(self):
        while True:
            threading.Thread(target=self.serve, args=(self.listener.accept()[0],), daemon=True).start()

    def serve(self, client):
        call = receive(client)
        if call is None:
            return
        if call["parameters"]["method"] == "Hold":
            with self.lock:
                self.held += 1
                self.peak = max(self.peak, self.held)
            self.let_go.wait(DEADLINE_S)
            with self.lock:
                self.held -= 1
        with contextlib.suppress(OSError):  # the caller may have left
            send(client, {"parameters": {"json": {"done": True}}})
        client.close()


def send(conn, message):
    conn.sendall(json.dumps(message).encode() + b"\0")


def receive(conn, rest=None):
    """The next message; rest keeps what came behind it."""
    rest = bytearray() if rest is None else rest
    while b"\0" not in rest:
        part = conn.recv(65536)
        if not part:
            return None
        rest += part
    text, _, behind = bytes(rest).partition(b"\0")
    rest[:] = behind
    return json.loads(text)


def dial(daemon):
    conn = socket.socket(socket.AF_UNIX)
    conn.settimeout(DEADLINE_S)
    conn.connect(str(daemon.sock))
    return conn


def hold(conn, node, ids):
    for number in ids:
        send(conn, {"method": "net.weft.Services.CallService", "id": number, "parameters": {
            "name": "slow", "provider": node, "method": "Hold", "json": {}, "timeout_ms": 60000}})


def limit(daemon, name):
    return next(row for row in daemon.json("limits", "show")["limits"] if row["name"] == name)


def pending(daemon):
    rows = daemon.json("service", "limits")["limits"]
    return next(row["used"] for row in rows if row["setting"] == "pending")


def test_1000_calls_of_a_program_are_pending_and_commands_get_through(lab):
    a, b, node = pair(lab)
    slow = Slow(lab, a)
    conn = dial(b)
    rest = bytearray()
    hold(conn, node, range(MANY))
    wait_for(lambda: pending(b) == MANY, "all are accepted")
    wait_for(lambda: slow.held == ON_THE_WIRE, "as many as one program may have at a peer are there")
    check_eq(limit(b, "control.calls")["used"], MANY, "calls with an id")
    # An operator's commands: of the daemon itself, of another service there, of the same one.
    check_eq(b.weft("status").returncode, OK, "status")
    done = b.weft("service", "call", "echo", "Say", '{"a": 1}', "--provider", node)
    check_eq((done.returncode, json.loads(done.stdout)), (OK, {"a": 1}), done.stderr)
    done = b.weft("service", "call", "slow", "Now", "--provider", node)
    check_eq(done.returncode, OK, done.stderr)
    # Another call on the same connection, without an id, as varlinkctl makes it.
    send(conn, {"method": "org.varlink.service.GetInfo"})
    check_eq(receive(conn, rest)["parameters"]["product"], "weftd", "a call without an id")
    slow.let_go.set()
    answers = [receive(conn, rest) for _ in range(MANY)]
    check_eq(sorted(answer["id"] for answer in answers), list(range(MANY)), "each is answered once")
    check(all(answer["parameters"]["json"] == {"done": True} for answer in answers), "and well")
    check(slow.peak <= ON_THE_WIRE, f"at once there: {slow.peak}")
    check_eq(pending(b), 0, "none is left")


def test_a_program_beyond_its_share_learns_when_to_retry(lab):
    a, b, node = pair(lab, "[control]\ncalls = 64\n")
    slow = Slow(lab, a)
    conn = dial(b)
    hold(conn, node, range(33))
    refused = receive(conn)
    check_eq((refused["error"], refused["id"]), ("net.weft.Node.Refused", 32), "the call beyond it")
    check(refused["parameters"]["not_before_ms"] > 0, refused)
    row = limit(b, "control.calls")
    check_eq((row["limit"], row["used"], row["refused"]), (64, 32, 1), "it is shown")
    check_eq(b.weft("service", "call", "echo", "Say", "{}", "--provider", node).returncode, OK,
             "an operator's call")
    # A client that leaves ends its calls, those on the wire, too.
    conn.close()
    wait_for(lambda: pending(b) == 0 and limit(b, "control.calls")["used"] == 0, "they are gone")
    slow.let_go.set()


def test_a_call_is_cancelled_by_its_id(lab):
    a, b, node = pair(lab)
    slow = Slow(lab, a)
    conn = dial(b)
    rest = bytearray()
    hold(conn, node, (1, 2))
    wait_for(lambda: pending(b) == 2, "both are pending")
    send(conn, {"method": "net.weft.Node.CancelCall", "parameters": {"call": 1}})
    check_eq(receive(conn, rest), {"parameters": {}}, "cancelled")
    check_eq(pending(b), 1, "the other is")
    slow.let_go.set()
    check_eq(receive(conn, rest)["id"], 2, "and is answered")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
