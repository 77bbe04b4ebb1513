#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Streams of services on the control socket, as any program may speak them: two daemons, a
provides echo, b is spoken to. Frames: u32 length, u8 kind, bytes (codec/pipe_frame.h)."""
import json
import pathlib
import queue
import random
import select
import socket
import struct
import sys
import threading

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, run, wait_for

CONFIG = "[service]\nbuiltin = echo mesh-stats\n"
BINARY, TEXT, BINARY_MORE, TEXT_MORE, FINISH, END = range(6)
FRAME_MAX = 256 * 1024
INVALID_PAYLOAD = 4


def pair(lab):
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG).start()
    node = a.json("node", "id")["node_id"]
    listen = a.json("status")["listen"][0]
    check_eq(b.weft("peer", "connect", node, listen).returncode, OK, "connect")
    return a, b, node


def frame(kind, data=b""):
    return struct.pack(">IB", len(data), kind) + data


class Stream:
    """An upgraded connection; behind is sent with the call."""

    def __init__(self, daemon, node, service="echo", behind=b"", upgrade=True):
        self.conn = socket.socket(socket.AF_UNIX)
        self.conn.settimeout(DEADLINE_S)
        self.conn.connect(str(daemon.sock))
        call = {"method": "net.weft.Services.OpenServiceStream", "upgrade": upgrade,
                "parameters": {"name": service, "method": "any", "provider": node}}
        self.conn.sendall(json.dumps(call).encode() + b"\0" + behind)
        self.file = self.conn.makefile("rb")
        reply = b""
        while not reply.endswith(b"\0"):
            reply += self.file.read(1)
        self.reply = json.loads(reply[:-1])

    def frame(self):
        head = self.file.read(5)
        if len(head) < 5:
            return None, head
        length, kind = struct.unpack(">IB", head)
        return kind, self.file.read(length)

    def messages(self):
        """All up to the end, and the end's status and text."""
        got, message = [], b""
        while True:
            kind, data = self.frame()
            if kind in (BINARY_MORE, TEXT_MORE):
                message += data
            elif kind in (BINARY, TEXT):
                got, message = got + [(kind, message + data)], b""
            elif kind == END:
                return got, data[0], data[1:].decode()
            else:
                check_eq(kind, FINISH, "kind")

    def close(self):
        self.file.close()
        self.conn.close()


def used(daemon, setting):
    limits = daemon.json("service", "limits")["limits"]
    return next(row["used"] for row in limits if row["setting"] == setting)


def test_messages_keep_their_kind_and_their_borders(lab):
    _, b, node = pair(lab)
    sent = [(BINARY, b""), (TEXT, "ä".encode()), (BINARY, bytes(range(256)) * 1000), (TEXT, b"")]
    behind = b"".join(frame(kind, data) for kind, data in sent)
    behind += frame(TEXT_MORE, b"in ") + frame(TEXT, b"two")
    stream = Stream(b, node, behind=behind + frame(FINISH))
    check_eq(stream.reply, {"parameters": {"provider": node}}, "opened")
    got, *end = stream.messages()
    check(got == sent + [(TEXT, b"in two")], [(kind, len(data)) for kind, data in got])
    check_eq(end, [0, ""], "echo, then the end")
    check_eq(stream.file.read(), b"", "and of the connection")
    stream.close()


def test_a_program_that_shuts_its_side_has_finished(lab):
    _, b, node = pair(lab)
    stream = Stream(b, node, behind=frame(TEXT, b"last words"))
    stream.conn.shutdown(socket.SHUT_WR)
    check_eq(stream.messages(), ([(TEXT, b"last words")], 0, ""), "echo")
    stream.close()


def test_what_is_no_frame_ends_the_stream(lab):
    _, b, node = pair(lab)
    rows = {
        "kind": frame(6),
        "length": struct.pack(">IB", FRAME_MAX + 1, BINARY),
        "mixed": frame(BINARY_MORE, b"x") + frame(TEXT, b"y"),
        "finish in a message": frame(TEXT_MORE, b"x") + frame(FINISH),
        "piece after finish": frame(FINISH) + frame(TEXT, b"x"),
        "end that is no text": frame(END, b"\0\xff"),
    }
    for what, behind in rows.items():
        stream = Stream(b, node, behind=behind)
        _, status, text = stream.messages()
        check_eq((status, "frame" in text), (INVALID_PAYLOAD, True), what)
        check_eq(stream.file.read(), b"", what)
        stream.close()
    wait_for(lambda: used(b, "streams") == 0, "nothing is left open")


def test_refusals_are_errors_and_the_connection_goes_on(lab):
    _, b, node = pair(lab)
    stream = Stream(b, node, service="mesh-stats")
    check_eq((stream.reply["error"], stream.reply["parameters"]["status"]),
             ("net.weft.Node.NotFound", 3), "it takes no streams")
    stream.conn.sendall(b'{"method": "net.weft.Node.GetNodeId"}\0')
    check(b"node_id" in stream.file.read(10) + stream.file.read(20), "varlink goes on")
    stream.close()
    stream = Stream(b, node, upgrade=False)
    check_eq(stream.reply["error"], "net.weft.Node.Refused", "not offered the connection")
    stream.close()


class Program:
    """A program that provides "slow" on a unix socket: takes a stream, and does no more."""

    def __init__(self, lab, daemon):
        path = str(lab.dir / "slow.sock")
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen()
        self.taken = queue.Queue()
        threading.Thread(target=self.serve, daemon=True).start()
        done = daemon.weft("service", "publish", "slow", "--socket", path)
        check_eq(done.returncode, OK, done.stderr)
        wait_for(lambda: any(row["name"] == "slow" and row["state"] == "ready"
                             for row in daemon.json("service", "list")["offers"]), "it is well")

    def serve(self):
        while True:
            conn, _ = self.listener.accept()
            text = b""
            while not text.endswith(b"\0"):
                more = conn.recv(1)
                if not more:
                    break
                text += more
            if b"net.weft.Service.Open" in text:
                conn.sendall(b'{"parameters": {}}\0')
                self.taken.put(conn)


def push(conn, data):
    """Sends until nothing moves for a while; what was taken."""
    conn.setblocking(False)
    off = 0
    while off < len(data) and select.select([], [conn], [], 2)[1]:
        off += conn.send(data[off:off + 65536])
    conn.setblocking(True)
    return off


def drain(conn, length):
    """The bytes of pieces, length of them."""
    file, got = conn.makefile("rb"), []
    while length:
        size, kind = struct.unpack(">IB", file.read(5))
        check(kind <= TEXT_MORE, f"kind {kind}")
        got.append(file.read(size))
        length -= size
    return b"".join(got)


def test_a_reader_that_pauses_stops_the_sender_and_loses_nothing(lab):
    b = lab.daemon("b", config=CONFIG).start()
    node = b.json("node", "id")["node_id"]
    program = Program(lab, b)
    data = random.Random(1).randbytes(16 << 20)
    sent = b"".join(frame(BINARY, data[at:at + 65536]) for at in range(0, len(data), 65536))
    for is_up in (True, False):
        stream = Stream(b, node, service="slow")
        inside = program.taken.get(timeout=DEADLINE_S)
        sender, reader = (stream.conn, inside) if is_up else (inside, stream.conn)
        off = push(sender, sent)
        check(0 < off < 4 << 20, f"up {is_up}: {off} bytes were taken that nobody reads")
        rest = threading.Thread(target=sender.sendall, args=(sent[off:],))
        rest.start()
        check(drain(reader, len(data)) == data, f"up {is_up}: byte for byte")
        rest.join()
        stream.close()
        inside.close()


def test_an_unread_stream_does_not_stop_the_session(lab):
    a, b, node = pair(lab)
    program = Program(lab, a)
    stream = Stream(b, node, service="slow")
    inside = program.taken.get(timeout=DEADLINE_S)
    push(stream.conn, frame(BINARY, bytes(65536)) * 100)
    for _ in range(3):
        done = b.weft("service", "call", "echo", "Say", "x", "--provider", node, "--timeout", "60")
        check_eq((done.returncode, done.stdout), (OK, "x"), done.stderr)
    stream.close()
    inside.close()


def test_an_end_that_leaves_in_the_middle_ends_the_stream_on_both_nodes(lab):
    a, b, node = pair(lab)
    stream = Stream(b, node, behind=frame(TEXT_MORE, b"half a mess"))
    wait_for(lambda: used(a, "streams") == 1 and used(b, "streams") == 1, "it is open")
    stream.close()
    wait_for(lambda: used(a, "streams") == 0 and used(b, "streams") == 0, "it is gone")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
