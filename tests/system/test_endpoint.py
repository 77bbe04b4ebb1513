#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Endpoints between two daemons: b connects to a program of a. Each stream is a socket."""
import os
import pathlib
import random
import signal
import socket
import subprocess
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from endpoint import Line, Writing, accepted, asked, connected, node_id, opened, pair, read_all
from lab import DEADLINE_S, OK, check, check_eq, run, wait_for

CALLS = "[service]\ncalls = 100000\npeer_calls = 100000\n"
WAITING_MAX, ENDPOINT_MAX = 32, 32
UNREAD = 64 * 1024 * 1024


def both(a, b, node, name):
    """The two ends of a new stream: b's, a's."""
    near = connected(b, node, name)
    peer, far = accepted(a, name)
    check_eq(peer, node_id(b), "whose stream it is")
    return near, far


def limit(daemon, name):
    row = next(row for row in daemon.json("limits", "show")["limits"] if row["name"] == name)
    return row["used"]


def resident_kib(daemon):
    text = pathlib.Path(f"/proc/{daemon.pid()}/status").read_text()
    return int(next(line for line in text.splitlines() if line.startswith("VmRSS")).split()[1])


def test_bytes_of_any_length_pass_both_ways(lab):
    a, b, node = pair(lab, CALLS)
    line = opened(a, "any")
    dice = random.Random(16)
    for length in (0, 1, 15_999, 16_000, 16_001, dice.randrange(1 << 20), 5 * 1024 * 1024):
        near, far = both(a, b, node, "any")
        there, back = dice.randbytes(length), dice.randbytes(dice.randrange(length + 1))
        writers = [Writing(near, there), Writing(far, back)]
        reading = reading_of(far)
        check(read_all(near) == back, f"{len(back)} bytes to the caller")
        check(reading() == there, f"{length} bytes to the program")
        for writer in writers:
            writer.join()
    wait_for(lambda: limit(a, "streams of endpoints") == 0, "no stream is left there")
    wait_for(lambda: limit(b, "streams that programs opened to endpoints") == 0, "nor here")
    line.close()


def reading_of(stream):
    """Reads in the background; the result waits for all of it."""
    found = []
    thread = threading.Thread(target=lambda: found.append(read_all(stream)), daemon=True)
    thread.start()

    def result():
        thread.join(DEADLINE_S)
        check(found, "the other side ends in time")
        return found[0]
    return result


def test_each_direction_ends_alone(lab):
    a, b, node = pair(lab)
    opened(a, "half")
    for swap in (False, True):
        first, second = both(a, b, node, "half")[::-1 if swap else 1]
        first.sendall(b"question")
        first.shutdown(socket.SHUT_WR)
        check_eq(read_all(second), b"question", "the end is told behind the last byte")
        second.sendall(b"answer " * 1000)
        check_eq(first.recv(6), b"answer", "the other direction goes on")
        second.close()
        check_eq(len(read_all(first)), 7 * 1000 - 6, "what was written before the close is read")


def test_bytes_before_accept_wait(lab):
    a, b, node = pair(lab)
    opened(a, "late")
    near = connected(b, node, "late")
    near.sendall(b"early")
    near.close()
    _, far = accepted(a, "late")
    check_eq(read_all(far), b"early", "though the caller has left")


def test_a_reader_that_never_reads_holds_the_writer_back(lab):
    a, b, node = pair(lab)
    opened(a, "idle")
    near, _far = both(a, b, node, "idle")
    before = [resident_kib(daemon) for daemon in (a, b)]
    near.setblocking(False)
    sent, quiet_since = 0, time.monotonic()
    while time.monotonic() - quiet_since < 3 and sent < UNREAD:
        try:
            sent += near.send(bytes(65536))
            quiet_since = time.monotonic()
        except BlockingIOError:
            time.sleep(0.01)
    check(sent < UNREAD, f"{sent} bytes were taken and not read")
    for daemon, was in zip((a, b), before):
        check(resident_kib(daemon) - was < 48 * 1024, f"{daemon.name} keeps little of it")
    # Another stream is not held back by it.
    other_near, other_far = both(a, b, node, "idle")
    other_near.sendall(b"through")
    check_eq(other_far.recv(7), b"through", "another stream")


HOLDER = """
import os, signal, sys
sys.path.insert(0, sys.argv[1])
import lab, endpoint

class Daemon:
    sock = sys.argv[2]

stream, told = endpoint.asked(Daemon, sys.argv[3], name=sys.argv[4])
stream.sendall(b"begun")
print("ready", flush=True)
signal.pause()
"""


def ended(stream):
    """How reading ends: bytes, and whether by an error."""
    got = b""
    try:
        while part := stream.recv(65536):
            got += part
        return got, False
    except ConnectionResetError:
        return got, True


def test_a_killed_program_ends_the_other_sides_read(lab):
    a, b, node = pair(lab)
    opened(a, "kill")
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(pathlib.Path(__file__).parent / "support"),
                               str(b.sock), node, "kill"], stdout=subprocess.PIPE, text=True)
    lab.processes.append(holder)
    _, far = accepted(a, "kill")
    check_eq(holder.stdout.readline(), "ready\n", "the program runs")
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    check_eq(ended(far)[0], b"begun", "what it wrote, and then the end")
    # Writing to a program that is gone fails, and ends the stream.
    def is_refused():
        try:
            far.send(bytes(1000))
        except (BrokenPipeError, ConnectionResetError):
            return True
        return False
    wait_for(is_refused, "a write fails")
    wait_for(lambda: limit(a, "streams of endpoints") == 0, "nothing is left of it")


def test_a_killed_daemon_ends_all_reads(lab):
    a, b, node = pair(lab)
    opened(a, "down")
    near, far = both(a, b, node, "down")
    far.sendall(b"last")
    check_eq(near.recv(4), b"last", "it is there")
    a.kill()
    check_eq(ended(far)[0], b"", "the program of the killed daemon")
    check_eq(ended(near)[0], b"", "the other side")


def test_streams_that_wait_are_bounded(lab):
    a, b, node = pair(lab, CALLS)
    line = opened(a, "full")
    streams = [connected(b, node, "full") for _ in range(WAITING_MAX)]
    check_eq(limit(a, "streams that one endpoint did not accept"), WAITING_MAX, "all wait")
    stream, told = asked(b, node, name="full")
    check_eq((stream, "as many streams" in str(told)), (None, True), f"one more: {told}")
    accepted(a, "full")
    streams.append(connected(b, node, "full"))
    # The endpoint closes: those that wait end.
    line.close()
    wait_for(lambda: ended(streams[-1]) == (b"", False), "one that waits ends")
    stream, told = asked(b, node, name="full")
    check(stream is None, "nobody listens any more")


def test_endpoints_are_bounded_and_names_are_theirs(lab):
    a = lab.daemon("a").start()
    lines = [opened(a, f"n{number}") for number in range(ENDPOINT_MAX)]
    told, _ = Line(a).ask("OpenEndpoint", more=True, name="more").reply()
    check("as many endpoints are open" in str(told), f"one more: {told}")
    lines.pop().close()
    wait_for(lambda: limit(a, "endpoints of programs") == ENDPOINT_MAX - 1, "one is closed")
    told, _ = Line(a).ask("OpenEndpoint", more=True, name="n0").reply()
    check("is open" in str(told), f"a name that is taken: {told}")
    for name in ("", "x" * 56, "Upper", "a_b"):
        told, _ = Line(a).ask("OpenEndpoint", more=True, name=name).reply()
        check("error" in told, f"no name: {name}")
    told, _ = Line(a).ask("OpenEndpoint", name="once").reply()
    check("more" in str(told), f"without more: {told}")
    told, _ = Line(a).ask("AcceptEndpoint", name="absent").reply()
    check("error" in told, f"none to accept at: {told}")


def test_only_allowed_nodes_connect(lab):
    a, b, node = pair(lab)
    c = lab.daemon("c").start()
    check_eq(c.weft("peer", "connect", node, a.json("status")["listen"][0]).returncode, OK, "connect")
    opened(a, "some", allow=[node_id(c)])
    connected(c, node, "some").close()
    stream, told = asked(b, node, name="some")
    check_eq((stream, "error" in told), (None, True), f"b is not: {told}")


def test_a_node_connects_to_itself(lab):
    a = lab.daemon("a").start()
    opened(a, "own")
    near, far = both(a, a, node_id(a), "own")
    data = random.Random(5).randbytes(1_000_000)
    Writing(near, data)
    check(read_all(far) == data, "bytes")
    far.sendall(b"done")
    far.shutdown(socket.SHUT_WR)
    check_eq(read_all(near), b"done", "the other way")


def test_a_closed_endpoint_keeps_its_accepted_streams(lab):
    a, b, node = pair(lab)
    line = opened(a, "kept")
    near, far = both(a, b, node, "kept")
    line.close()
    wait_for(lambda: asked(b, node, name="kept")[0] is None, "it is closed")
    near.sendall(b"still")
    check_eq(far.recv(5), b"still", "an accepted stream goes on")
    opened(a, "kept")
    both(a, b, node, "kept")


def test_pipe_copies_standard_input_and_output(lab):
    a, b, node = pair(lab)
    data = random.Random(7).randbytes(300_000)
    listening = subprocess.Popen([os.environ.get("WEFT", "build/weft"), "-s", str(a.sock), "pipe",
                                  "--listen", "files"], stdin=subprocess.PIPE,
                                 stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    lab.processes.append(listening)
    check(b"waiting at files@" in listening.stderr.readline(), "it listens")
    sending = subprocess.Popen([os.environ.get("WEFT", "build/weft"), "-s", str(b.sock), "pipe", node,
                                "files"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    lab.processes.append(sending)
    Writing(PipeEnd(listening.stdin), b"back" * 5000)
    Writing(PipeEnd(sending.stdin), data)
    there = reading_of(PipeEnd(listening.stdout))
    check_eq(sending.stdout.read(), b"back" * 5000, "one way")
    check(there() == data, "the other way")
    check_eq((sending.wait(DEADLINE_S), listening.wait(DEADLINE_S)), (OK, OK), "both end")
    absent = b.weft("pipe", node, "absent")
    check_eq((absent.returncode, absent.stdout), (4, ""), absent.stderr)


class PipeEnd:
    """A file as Writing and read_all have sockets."""

    def __init__(self, file):
        self.file = file

    def sendall(self, data):
        self.file.write(data)

    def shutdown(self, _how):
        self.file.close()

    def recv(self, length):
        return self.file.read(length)


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
