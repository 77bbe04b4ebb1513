#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Nodes that a serial line joins, and nothing else.

    a -- terminal <- bridge of bytes, with a rate and faults -> terminal -- b
"""
import json
import os
import pathlib
import pty
import random
import sys
import threading
import time
import tty

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import OK, Mismatch, check, check_eq, run, wait_for
from sessions import node_id

QUIET = "[dht]\nenabled = no\n"
FRAME_MAX = 200
NOT_FOUND = 4
OFFER = ("room_type=apartment", "size=62", "available_from=2027-01-01", "postcode=10115")
# An announce, a hop of a second or two, and a line of 9,600 baud that other messages use as well.
SPREAD_S = 60


class Line:
    """Two terminals; what is written to one is read from the other."""

    def __init__(self, baud=None, damage_of=None):
        self.baud, self.damage_of = baud, damage_of
        self.random = random.Random(39)
        ends = [pty.openpty() for _ in range(2)]
        self.masters = [master for master, _ in ends]
        self.slaves = [slave for _, slave in ends]  # held open: a daemon may be started again
        for slave in self.slaves:
            tty.setraw(slave)
        self.paths = [os.ttyname(slave) for slave in self.slaves]
        self.passed = [bytearray(), bytearray()]
        for idx in range(2):
            threading.Thread(target=self.carry, args=(idx,), daemon=True).start()

    def harm(self, data):
        if self.damage_of is None:
            return data
        harmed = bytearray()
        for byte in data:
            fate = self.random.randrange(2 * self.damage_of)
            if fate:
                harmed.append(byte ^ 0x20 if fate == 1 else byte)
        return bytes(harmed)

    def carry(self, idx):
        master, other = self.masters[idx], self.masters[1 - idx]
        while True:
            try:
                data = os.read(master, 96 if self.baud else 4096)
                self.passed[idx] += data
                os.write(other, self.harm(data))
            except OSError:
                return
            if self.baud:
                time.sleep(len(data) * 10 / self.baud)


def start(lab, line, is_tcp=True):
    """b is on the line first, and any node may come; a dials it."""
    more = "" if is_tcp else "[tcp]\nlisten = no\n"
    b = lab.daemon("b", config=f"{QUIET}{more}[line]\ndevices = {line.paths[1]}\n").start()
    a = lab.daemon("a", config=f"{QUIET}{more}[line]\ndevices = "
                               f"{line.paths[0]}@{node_id(b)}\n").start()
    return a, b


def transports(daemon):
    return [peer["transport"] for peer in daemon.json("peer", "list")["peers"] if peer["connected"]]


def wait_joined(a, b, timeout=30):
    wait_for(lambda: transports(a) == transports(b) == ["line"], "a session over the line",
             timeout=timeout)


def publish(daemon, rent):
    done = daemon.weft("--json", "offer", "publish", "housing", *OFFER, f"rent={rent}")
    check_eq(done.returncode, OK, done.stderr)
    return json.loads(done.stdout)["offer"]["offer_id"]


def found(daemon):
    done = daemon.weft("--json", "offer", "find", "housing")
    check(done.returncode in (OK, NOT_FOUND), done.stderr)
    return sorted(offer["offer_id"] for offer in json.loads(done.stdout)["offers"])


def frames(passed):
    return bytes(passed).split(b"\0")


def test_an_announce_crosses_a_slow_line_in_frames_of_200_bytes(lab):
    line = Line(baud=9600)
    a, b = start(lab, line)
    wait_joined(a, b)
    before = len(line.passed[0])
    offer = publish(a, 900)
    wait_for(lambda: found(b) == [offer], "the offer at b", timeout=SPREAD_S)
    check(len(line.passed[0]) - before > FRAME_MAX, "the announce is longer than a frame")
    for idx in range(2):
        longest = max(len(frame) + 1 for frame in frames(line.passed[idx]))
        check(longest <= FRAME_MAX, f"a frame of {longest} bytes")
    check_eq(max(len(frame) + 1 for frame in frames(line.passed[0])), FRAME_MAX, "full frames")
    peer = a.json("peer", "show", node_id(b))["peer"]
    check_eq((peer["transport"], peer["address"], peer["network"]), ("line", "line:1", "lan"),
             "the peer")
    check_eq(peer["mtu"], FRAME_MAX, "its mtu")
    other = publish(b, 700)
    wait_for(lambda: other in found(a), "the offer at a", timeout=SPREAD_S)


def test_a_line_that_loses_bytes_delivers_all_the_same(lab):
    line = Line(damage_of=2000)
    a, b = start(lab, line)
    wait_joined(a, b, timeout=60)
    # What each relays is known: from here on an offer goes to the other at once.
    wait_for(lambda: node_id(b) in a.weft("offer", "relays", "--json").stdout, "b relays",
             timeout=30)
    offers = [publish(a, 500 + i) for i in range(5)]
    wait_for(lambda: found(b) == sorted(offers), "all offers at b", timeout=SPREAD_S)


def test_a_node_that_was_started_again_is_dialled_again(lab):
    line = Line()
    a, b = start(lab, line, is_tcp=False)
    wait_joined(a, b)
    b.kill()
    b.start()
    wait_joined(a, b, timeout=60)
    offer = publish(b, 900)
    wait_for(lambda: found(a) == [offer], "the offer at a", timeout=SPREAD_S)


def test_another_key_than_the_configured_one_gets_no_session(lab):
    line = Line()
    c = lab.daemon("c", config=QUIET).start()
    b = lab.daemon("b", config=f"{QUIET}[line]\ndevices = {line.paths[1]}@{node_id(c)}\n").start()
    a = lab.daemon("a", config=f"{QUIET}[line]\ndevices = {line.paths[0]}@{node_id(b)}\n").start()
    wait_for(lambda: len(line.passed[0]) > 300, "a handshake", timeout=30)
    time.sleep(2)
    for daemon in (a, b):
        check_eq(transports(daemon), [], f"sessions of {daemon.name}")


def test_a_device_that_is_none_is_said_and_the_node_runs(lab):
    plain = lab.dir / "plain"
    plain.write_text("")
    node = lab.daemon("a", config=f"{QUIET}[line]\ndevices = {plain}, {lab.dir}/absent, "
                                     "/dev/urandom\n").start()
    for said in (f"line {plain}: no terminal", "line /dev/urandom: no terminal",
                 f"line {lab.dir}/absent: "):
        check(said in node.log_text(), node.log_text())
    for wrong in ("ttyS0", "/dev/ttyS0:9601", "/dev/ttyS0@abc", "/dev/a, /dev/a",
                  "/dev/a, /dev/b, /dev/c, /dev/d, /dev/e"):
        other = lab.daemon("other", config=f"[line]\ndevices = {wrong}\n")
        try:
            other.start()
        except Mismatch as refused:
            check("line.devices" in str(refused), str(refused))
        else:
            raise Mismatch(f"{wrong} is taken")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
