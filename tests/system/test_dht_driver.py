#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A running daemon whose driver answers for its DHT: an unvalidated source sees no
difference but the time it takes.

    namespace a: 10.77.0.1, daemon a -- veth0 == veth0 -- namespace b: 10.77.0.2, daemon b, an unvalidated source
"""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, Skip, check, check_eq, run, run_plain, wait_for

LISTEN = ["0.0.0.0:7000"]
# The askers are read-only (BEP-43) and so no news to the daemon. Of all
# others the driver leaves it one now and then, by the clock.
PING = b"d1:ad2:id20:abcdefghij0123456789e1:q4:ping2:roi1e1:t2:aa1:y1:qe"
GET_PEERS = (b"d1:ad2:id20:abcdefghij01234567899:info_hash20:mnopqrstuvwxyz123456e1:q9:get_peers"
             b"2:roi1e1:t2:aa1:y1:qe")
NEWS = PING.replace(b"2:roi1e", b"")


def attach(daemon):
    done = daemon.weft("xdp", "attach", "veth0")
    if "kernel refuses the XDP program" in done.stderr or "needs CAP_BPF" in done.stderr:
        raise Skip(done.stderr.strip())
    check_eq(done.returncode, OK, f"attach: {done.stderr}")


def ask(netns, question):
    """The answer that a program in netns gets; what a asks itself meanwhile is not one."""
    script = ("import socket\n"
              "s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n"
              "s.bind(('10.77.0.2', 6881))\n"
              f"s.settimeout({DEADLINE_S})\n"
              f"s.sendto({question!r}, ('10.77.0.1', 7000))\n"
              "answer = s.recv(2000)\n"
              "while answer.startswith(b'd1:a'):\n"
              "    answer = s.recv(2000)\n"
              "print(answer.hex())\n")
    return bytes.fromhex(run_plain("ip", "netns", "exec", netns, sys.executable, "-c", script)
                         .stdout.strip())


def check_judged(daemon, reason, act):
    """One datagram more met with reason during act, and none with the other one."""
    before = daemon.judged()
    act()
    after = daemon.judged()
    for each in ("krpc-sent", "krpc-sender"):
        check_eq(after.get(each, 0) - before.get(each, 0), int(each == reason), each)


def test_driver_and_daemon_give_the_same_answer(lab):
    ns_a, ns_b = lab.veth_pair()
    a = lab.daemon("a", netns=ns_a, listen=LISTEN).start()
    b = lab.daemon("b", netns=ns_b, listen=LISTEN).start()
    by_daemon = {question: ask(ns_b, question) for question in (PING, GET_PEERS)}
    check(b"5:token8:" in by_daemon[GET_PEERS], f"no token: {by_daemon}")
    attach(a)
    attach(b)  # a veth takes what a program answers only while its other end runs one, too
    wait_for(lambda: ask(ns_b, PING) and a.judged().get("krpc-sent", 0) > 0, "the driver answers")
    for question, answer in by_daemon.items():
        check_judged(a, "krpc-sent", lambda: check_eq(ask(ns_b, question), answer, "by the driver"))
    # The daemon hears of an asker that it may not know.
    check_judged(a, "krpc-sender", lambda: check_eq(ask(ns_b, NEWS), by_daemon[PING], "to news"))
    a.weft("xdp", "detach", "veth0")
    check_eq(ask(ns_b, PING), by_daemon[PING], "after it was detached")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
