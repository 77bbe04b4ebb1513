#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""weft policy: limits as they are in force, and others tried on what really came.

    a (10.77.0.1, fd77::1) <- veth -> b (10.77.0.2, fd77::2)
"""
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import FAILED, OK, REFUSED, Skip, USAGE, check, check_eq, run, static, wait_for

LIMITS = "[limits]\nkrpc_rate = 100\nkrpc_burst = 200\n"
# Sent by b's namespace: a DHT message each, evenly over the time.
SENDER = """
import socket, sys, time
count, seconds = int(sys.argv[1]), float(sys.argv[2])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin = time.monotonic()
for i in range(count):
    time.sleep(max(0, begin + i * seconds / count - time.monotonic()))
    out.sendto(b"d1:q4:ping1:t2:aa1:y1:qe", ("10.77.0.1", 7000))
"""


def node(lab, config=LIMITS):
    ns_a, ns_b = lab.veth_pair()
    return lab.daemon("a", netns=ns_a, listen=["10.77.0.1:7000"], config=config).start(), ns_b


def attach(daemon):
    done = daemon.weft("xdp", "attach", "veth0")
    if done.returncode != OK:
        raise Skip(f"XDP does not attach here: {done.stderr.strip()}")


def send(netns, count, seconds, sender=SENDER):
    """Returns how long it took, which is longer where the machine is busy."""
    begin = time.monotonic()
    subprocess.run(["ip", "netns", "exec", netns, sys.executable, "-c", sender, str(count),
                    str(seconds)], check=True)
    return time.monotonic() - begin


# Initials that no endpoint can decrypt: their random ids choose among the workers.
INITIALS = """
import os, socket, sys, time
count, seconds = int(sys.argv[1]), float(sys.argv[2])
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
begin = time.monotonic()
for i in range(count):
    time.sleep(max(0, begin + i * seconds / count - time.monotonic()))
    out.sendto(bytes.fromhex("c30000000108") + os.urandom(8) + bytes(1186), ("10.77.0.1", 7000))
"""


def limit(daemon, name, prefixes=None):
    rows = [row for row in daemon.json("policy", "show")["limits"]
            if row["name"] == name and row.get("prefixes") == prefixes]
    check_eq(len(rows), 1, f"rows of {name} {prefixes}")
    return rows[0]


def krpc(daemon):
    return limit(daemon, "limits.krpc", "/32, /64")


def dropped(daemon):
    return {row["reason"]: row["packets"] for row in daemon.json("drops")["drops"]}


def tried(daemon, *changes):
    reply = daemon.json("policy", "test", *changes)
    classes = {row["class"]: row for row in reply["classes"]}
    return reply, classes.get("krpc")


def what_came_is_shown_and_other_limits_are_tried(a, b, tables=1):
    before = krpc(a)
    check_eq((before["per_s"], before["burst"], before["offered"]), (100, 200, 0), "in force")
    took_s = send(b, 2500, 3)
    # Of two answers one may know of more that came.
    now = wait_for(lambda: (row := krpc(a))["offered"] >= 2490 and
                   row["refused"] == dropped(a).get("krpc-limit") and row, "what came is shown")
    admitted = now["offered"] - now["refused"]
    check(200 <= admitted <= tables * (200 + 100 * took_s), f"what a rate of 100 admits in {took_s} s: {now}")
    check(now["refused"] > 0, f"nothing was refused in {took_s} s")
    check("last_refused_s" in now, "when it last refused")
    check_eq(limit(a, "limits.krpc", "/24, /56")["refused"], 0, "of the network")

    _, more = tried(a, "limits.krpc_rate=1000", "limits.krpc_burst=2000")
    check(abs(more["offered"] - now["offered"]) <= now["offered"] / 10, f"what came: {more}")
    check(abs(more["newly_admitted"] - now["refused"]) <= more["unsure"] + 200, f"all: {more}")
    check_eq((more["newly_refused"], more["newly_admitted_sources"]), (0, 1), "a higher limit")
    reply, less = tried(a, "limits.krpc_rate=10", "limits.krpc_burst=20")
    check(admitted / 2 <= less["newly_refused"] <= admitted + less["unsure"], f"a lower limit: {less}")
    check_eq([(s["source"], s["class"]) for s in reply["sources"]], [("10.77.0.2", "krpc")], "who")
    check_eq(sum(p["newly_refused"] for p in reply["periods"]), less["newly_refused"], "when")
    _, same = tried(a, "limits.krpc_rate=100")
    check_eq((same["newly_refused"], same["newly_admitted"]), (0, 0), "the limit in force")
    check_eq(krpc(a)["per_s"], 100, "nothing was changed")


@static("it counts each datagram that comes")
def test_other_limits_are_tried_on_what_came_to_the_sockets(lab):
    what_came_is_shown_and_other_limits_are_tried(*node(lab))


def test_other_limits_are_tried_on_what_came_to_the_sockets_of_each_worker(lab):
    a, b = node(lab, "[node]\nworkers = 3\n[quic]\nretry_above = 100000\n"
                "[limits]\ninitial_rate = 100\ninitial_burst = 200\n")
    initial = lambda: limit(a, "limits.initial", "/32, /64")
    check_eq(initial()["offered"], 0, "before anybody came")
    send(b, 2000, 3, INITIALS)
    now = wait_for(lambda: (row := initial())["offered"] == 2000 and row, "what came to all workers")
    # Beyond its rate a prefix is asked for a Retry.
    wait_for(lambda: a.judged()["retry-sent"] == now["refused"], "refused, by limit and by reason")
    check(0 < now["refused"] < 2000 and "left_percent" in now, f"in force: {now}")
    reply = a.json("policy", "test", "limits.initial_rate=10000", "limits.initial_burst=20000")
    more = {row["class"]: row for row in reply["classes"]}["initial"]
    check(abs(more["offered"] - 2000) <= 200, f"what came: {more}")
    check(abs(more["newly_admitted"] - now["refused"]) <= more["unsure"] + 200, f"all: {more}")
    check(abs(more["refused"] - now["refused"]) <= more["unsure"] + 200,
          f"each worker has its part of the limit: {more}, {now}")


@static("it counts each datagram that comes")
def test_other_limits_are_tried_on_what_came_to_the_driver(lab):
    a, b = node(lab)
    attach(a)
    what_came_is_shown_and_other_limits_are_tried(a, b)
    # The driver's counts begin anew with its tables; what was counted stays.
    before = krpc(a)["offered"]
    a.weft("xdp", "detach", "veth0")
    attach(a)
    send(b, 50, 0.1)
    after = wait_for(lambda: krpc(a)["offered"] > before and krpc(a)["offered"], "it goes on")
    check(after - before <= 50, f"{before} before, {after} after 50 more")


def test_a_reload_changes_what_is_in_force_by_the_names_that_were_tried(lab):
    a, b = node(lab)
    a.conf.write_text("[limits]\nkrpc_rate = 10\nkrpc_burst = 20\n[xdp]\nflood_above = 777\n"
                      "[quic]\nretry_above = 7\n")
    reply = a.json("daemon", "reload")
    check_eq(sorted(reply["applied"]), ["limits.krpc_burst", "limits.krpc_rate", "quic.retry_above",
                                        "xdp.flood_above"], "applied")
    check_eq((krpc(a)["per_s"], krpc(a)["burst"]), (10, 20), "the rate")
    check_eq(limit(a, "limits.krpc", "/24, /56")["per_s"], 40, "a network's")
    check_eq(limit(a, "xdp.flood_above")["limit"], 777, "what moves the mode")
    check_eq(limit(a, "quic.retry_above")["limit"], 7, "what moves the mode")
    send(b, 200, 0.5)
    wait_for(lambda: krpc(a)["refused"] > 150, "the new limit refuses")


def test_every_limit_is_shown_with_its_setting(lab):
    a = lab.daemon("a").start()
    settings = {f"{s['section']}.{s['key']}" for s in a.json("config", "show")["settings"]}
    # A name with spaces says what follows from settings and is none itself.
    shown = [row for row in a.json("policy", "show")["limits"] if " " not in row["name"]]
    for row in shown:
        named = [row["name"]] if row["kind"] != "rate" else [f"{row['name']}_{k}"
                                                            for k in ("rate", "burst")]
        check(set(named) <= settings, f"no such setting: {named}")
        check(row["where"], f"where {row['name']} is enforced")
    in_rates = {f"{row['name']}_rate" for row in shown if row["kind"] == "rate"}
    check_eq(in_rates, {s for s in settings if s.startswith("limits.") and s.endswith("_rate")},
             "rates")
    named = {row["name"] for row in shown}
    missing = {s for s in settings if s.endswith("_cap")} - named
    check("quic.conn_cap" in named and "xdp.session_cap" in named, f"not shown: {missing}")
    lines = a.weft("policy", "show").stdout.splitlines()
    check(lines[0].startswith("rate\tlimits.initial\t"), f"piped: {lines[0]}")
    a.weft("xdp", "mode", "flood")
    check_eq(krpc(a)["per_s"], 12, "in mode flood an eighth")


def test_bad_input_is_refused_with_what_to_do(lab):
    a = lab.daemon("a").start()
    for words, code, text in (
            (("limits.krpc_rat=5",), FAILED, "krpc_rate"),
            (("limit.krpc_rate=5",), FAILED, "[limits]"),
            (("krpc_rate=5",), FAILED, "section"),
            (("limits.krpc_rate=0",), FAILED, "1 to 1000000"),
            (("limits.krpc_burst=7",), FAILED, "8 to 1000000"),
            (("limits.krpc_rate=many",), FAILED, "limits.krpc_rate"),
            (("limits.validated_rate=5",), REFUSED, "no record"),
            (("limits.all_answers_rate=5",), REFUSED, "no record"),
            (("quic.conn_cap=5",), REFUSED, "no record"),
            (("limits.krpc_rate",), USAGE, "SECTION.KEY=VALUE"),
            (("limits.krpc_rate=5", "--since", "soon"), USAGE, "1h"),
            ((), USAGE, "")):
        done = a.weft("policy", "test", *words)
        check_eq(done.returncode, code, f"{words}: {done.stderr}")
        check(text in done.stderr, f"{words}: {done.stderr}")
    check_eq(a.json("policy", "test", "limits.krpc_rate=5")["classes"], [], "nobody came")
    check_eq(a.json("policy", "test", "xdp.flood_above=5", "--since", "10m")["classes"], [], "since")


run([test_other_limits_are_tried_on_what_came_to_the_sockets,
     test_other_limits_are_tried_on_what_came_to_the_sockets_of_each_worker,
     test_other_limits_are_tried_on_what_came_to_the_driver,
     test_a_reload_changes_what_is_in_force_by_the_names_that_were_tried,
     test_every_limit_is_shown_with_its_setting,
     test_bad_input_is_refused_with_what_to_do])
