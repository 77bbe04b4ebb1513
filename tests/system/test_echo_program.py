#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The built-in service echo, linked into weftd and run as a program, answers its callers alike."""
import json
import os
import pathlib
import random
import signal
import socket
import struct
import subprocess
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from endpoint import node_id
from lab import DEADLINE_S, OK, check, check_eq, run, wait_for

ECHO = pathlib.Path(os.environ.get("BUILD", "build")) / "weft-echo"
BINARY, TEXT, BINARY_MORE, TEXT_MORE, FINISH, END = range(6)
RATES = "calls = 100000\npeer_calls = 100000\n"


def started(lab, daemon):
    program = subprocess.Popen([str(ECHO), str(lab.dir / f"{daemon.name}.echo.sock")],
                               env={**os.environ, "WEFT_SOCKET": str(daemon.sock)})
    lab.processes.append(program)
    wait_for(lambda: daemon.weft("service", "call", "echo", "Any", "up").stdout.strip() == "up", "it answers")
    return program


def both(lab):
    """A caller, and the two daemons whose echo it calls: linked in; run as a program."""
    linked = lab.daemon("linked", config=f"[service]\nbuiltin = echo\n{RATES}").start()
    apart = lab.daemon("apart", config=f"[service]\nbuiltin = mesh-stats\n{RATES}").start()
    caller = lab.daemon("caller", config="[service]\nbuiltin = mesh-stats\n").start()
    for daemon in (linked, apart):
        done = caller.weft("peer", "connect", node_id(daemon), daemon.json("status")["listen"][0])
        check_eq(done.returncode, OK, done.stderr)
    return caller, linked, apart, started(lab, apart)


def provider_of(daemon):
    return next(row for row in daemon.json("service", "list")["offers"] if row["name"] == "echo")["provider"]


class Stream:
    """A stream of the caller to the echo of a daemon."""

    def __init__(self, caller, daemon):
        self.conn = socket.socket(socket.AF_UNIX)
        self.conn.settimeout(DEADLINE_S)
        self.conn.connect(str(caller.sock))
        call = {"method": "net.weft.Services.OpenServiceStream", "upgrade": True,
                "parameters": {"name": "echo", "method": "any", "provider": node_id(daemon)}}
        self.conn.sendall(json.dumps(call).encode() + b"\0")
        self.file = self.conn.makefile("rb")
        reply = b""
        while not reply.endswith(b"\0"):
            reply += self.file.read(1)
        check("error" not in json.loads(reply[:-1]), reply)

    def send(self, kind, data=b""):
        self.conn.sendall(struct.pack(">IB", len(data), kind) + data)

    def frames(self):
        while len(head := self.file.read(5)) == 5:
            length, kind = struct.unpack(">IB", head)
            yield kind, self.file.read(length)

    def messages(self):
        """(is text, bytes) of each message until the other side finishes; then how it ends."""
        whole = b""
        for kind, data in self.frames():
            if kind in (FINISH, END):
                yield kind, data
                continue
            whole += data
            if kind in (BINARY, TEXT):
                yield kind == TEXT, whole
                whole = b""


def test_calls_are_answered_alike(lab):
    caller, linked, apart, _ = both(lab)
    check_eq((provider_of(linked), provider_of(apart)), ("builtin", "socket"), "which is which")
    for payload in ("", "x", '{"a":[1]}', "é" * 1000, "y" * 300_000):
        for daemon in (linked, apart):
            done = caller.weft("service", "call", f"echo@{node_id(daemon)}", "Any", "-", input=payload)
            check_eq((done.returncode, done.stdout.rstrip("\n")), (OK, payload), f"{daemon.name}: {done.stderr}")


def test_streams_return_their_messages_alike(lab):
    caller, linked, apart, _ = both(lab)
    dice = random.Random(36)
    sent = [(bool(dice.getrandbits(1)), dice.randbytes(size)) for size in (0, 1, 15_999, 16_001, 200_000, 7)]
    for daemon in (linked, apart):
        stream = Stream(caller, daemon)
        for is_text, data in sent:
            half = len(data) // 2
            stream.send(TEXT_MORE if is_text else BINARY_MORE, data[:half])
            stream.send(TEXT if is_text else BINARY, data[half:])
        stream.send(FINISH)
        got = list(stream.messages())
        check(got[:len(sent)] == sent, f"{daemon.name}: messages and their kinds")
        check_eq([kind for kind, _ in got[len(sent):]][0], FINISH, f"{daemon.name}: it finishes, too")


def test_a_reader_that_does_not_read_holds_the_sender_back_alike(lab):
    caller, linked, apart, _ = both(lab)
    for daemon in (linked, apart):
        stream = Stream(caller, daemon)
        stream.conn.settimeout(2)
        taken = 0
        try:
            while taken < 128 << 20:
                stream.send(BINARY, bytes(65536))
                taken += 65536
        except TimeoutError:
            pass
        check(taken < 64 << 20, f"{daemon.name} took {taken} bytes that nothing read")
        stream.conn.close()
        again = Stream(caller, daemon)
        again.send(BINARY, b"after")
        check_eq(next(again.messages()), (False, b"after"), f"{daemon.name} goes on")


def test_many_streams_at_once(lab):
    caller, _, apart, _ = both(lab)
    failed = []

    def talk(number):
        stream = Stream(caller, apart)
        data = random.Random(number).randbytes(100_000)
        stream.send(BINARY, data)
        stream.send(FINISH)
        if next(stream.messages()) != (False, data):
            failed.append(number)

    threads = [threading.Thread(target=talk, args=[number]) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE_S)
    check(not failed and not any(thread.is_alive() for thread in threads), f"streams {failed}")


def test_a_killed_program_comes_back(lab):
    caller, _, apart, program = both(lab)
    stream = Stream(caller, apart)
    program.kill()
    program.wait()
    check_eq([kind for kind, _ in stream.messages()], [END], "its stream ends")
    program = started(lab, apart)
    wait_for(lambda: caller.weft("service", "call", f"echo@{node_id(apart)}", "Any", "again").returncode == OK,
             "callers find it again")
    program.send_signal(signal.SIGTERM)
    check_eq(program.wait(DEADLINE_S), 0, "it ends by itself")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
