#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A provider that restarts: its callers meet a gap, and no punishment."""
import pathlib
import sys
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import DEADLINE_S, OK, check, check_eq, free_port, run, wait_for

CONFIG = "[service]\nbuiltin = echo\n"
DONE = 0
EVERY_S = 0.1
AWAY_S = 0.05
LONG_AWAY_S = (5, 20)
GOOD_AGAIN_S = 1.0


def pair(lab):
    """a calls echo at b, which keeps its port."""
    a = lab.daemon("a", config=CONFIG).start()
    b = lab.daemon("b", config=CONFIG, listen=[f"127.0.0.1:{free_port()}"]).start()
    node = b.json("node", "id")["node_id"]
    done = a.weft("peer", "connect", node, b.listen[0])
    check_eq(done.returncode, OK, done.stderr)
    return a, b, node


def call(a, node):
    """Its status, and when it was known."""
    told = a.call("CallService", name="echo", method="Say", json={}, provider=node, timeout_ms=300)
    return told["status"], time.monotonic()


def good_again_s(a, b, node, end, away_s=AWAY_S):
    """Seconds from the provider's return to the first call that succeeds. It is away for away_s, and called
    each 0.1 s all the time."""
    check_eq(call(a, node)[0], DONE, "before")
    ends = []

    def caller():
        while True:
            status, at = call(a, node)
            if ends and status == DONE and at > ends[-1]:
                ends.append(at)
                return
            time.sleep(EVERY_S)

    calling = threading.Thread(target=caller, daemon=True)
    calling.start()
    time.sleep(2 * EVERY_S)
    end()
    time.sleep(away_s)
    b.start()
    ends.append(time.monotonic())
    calling.join(DEADLINE_S)
    check(len(ends) == 2, "it was never good again")
    return ends[1] - ends[0]


def test_calls_are_good_within_a_second_of_a_polite_restart(lab):
    a, b, node = pair(lab)
    for number in range(3):
        gap_s = good_again_s(a, b, node, b.stop)
        check(gap_s < GOOD_AGAIN_S, f"restart {number}: good again after {gap_s:.2f} s")


def test_calls_are_good_within_a_second_of_a_crash(lab):
    a, b, node = pair(lab)
    gap_s = good_again_s(a, b, node, b.kill)
    check(gap_s < GOOD_AGAIN_S, f"good again after {gap_s:.2f} s")


def test_calls_are_good_within_a_second_of_a_long_absence(lab):
    a, b, node = pair(lab)
    for end in b.stop, b.kill:
        for away_s in LONG_AWAY_S:
            gap_s = good_again_s(a, b, node, end, away_s)
            print(f"# {end.__name__}, {away_s} s away: good again after {gap_s * 1000:.0f} ms")
            check(gap_s < GOOD_AGAIN_S, f"{end.__name__}, {away_s} s: good again after {gap_s:.2f} s")


def test_a_service_that_rests_is_reset_by_hand(lab):
    a, _, node = pair(lab)
    b = lab.daemons[1]
    done = b.weft("service", "publish", "bad", "--exec", "/bin/false", "--unconfined")
    check_eq(done.returncode, OK, done.stderr)

    def bad():
        return a.call("CallService", name="bad", method="Run", json={}, provider=node)

    wait_for(lambda: bad()["status"] == 1, "it fails")
    wait_for(lambda: "rests" in bad()["text"], "it rests")
    for daemon in (a, b):
        daemon.weft("service", "reset", "bad")
    check_eq(bad()["status"], 1, "it is asked again")
    check_eq(a.json("service", "reset", "echo")["closed"], 0, "nothing is held against echo")
    check(a.weft("service", "reset", "No Name").returncode != OK, "no name")


run([value for name, value in sorted(globals().items()) if name.startswith("test_")])
