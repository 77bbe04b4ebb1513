#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A crowd of hostile peers takes no place of a daemon from others.

    crowd (127.0.0.1, many keys) -> a (127.0.0.1) <- honest nodes (127.0.1.1 and on, new to a)

Keys cost nothing, so the crowd has as many as it wants and comes back as often
as it is sent away. Each honest node is started anew, with a key that a has never
seen, and has to be served while the crowd presses.
"""
import json
import os
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import Mismatch, OK, Skip, check, check_eq, run, run_plain, wait_for

CROWD = str(pathlib.Path(os.environ.get("BUILD", "build/release")) / "tests/system/support/crowd")
CHUNK = 256 * 1024
HONEST_CNT = 8
# Of one get beside a crowd; without one it takes some 40 ms, and the machine may be busy.
SERVED_S = 10
QUIET = "[dht]\nenabled = no\n[service]\nenabled = no\n"
SERVING = "[dht]\nenabled = no\n[service]\nbuiltin = echo\n"


class Crowd:
    """Hostile peers of a daemon, until the end of a with block."""

    def __init__(self, lab, daemon, *words):
        self.words = [CROWD, daemon.json("status")["listen"][0],
                      daemon.json("node", "id")["node_id"], *map(str, words)]
        self.lab = lab
        self.result = None

    def __enter__(self):
        self.process = subprocess.Popen(self.words, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        text=True)
        self.lab.processes.append(self.process)
        check_eq(self.process.stdout.readline(), "ready\n", "the crowd")
        return self

    def __exit__(self, *_):
        check(self.process.poll() is None, "the crowd has died")
        self.process.stdin.close()
        self.result = json.loads(self.process.stdout.read())
        self.process.wait()


def attacked(lab, config=QUIET):
    """a, which is to be attacked, and what it shares, with a manifest longer than a stream's credit."""
    a = lab.daemon("a", config=config).start()
    files = {f"{number} of some small files": 10 for number in range(600)}
    link = a.share(lab.folder("root", {"x": CHUNK, **files}))
    return a, link


def newcomer(lab, number, at=None):
    return lab.daemon(f"honest{number}", listen=[f"{at or f'127.0.1.{number}'}:0"],
                      config=QUIET).start()


def node_id(daemon):
    return daemon.json("node", "id")["node_id"]


def connect(daemon, to):
    done = daemon.weft("peer", "connect", node_id(to), to.json("status")["listen"][0])
    check_eq(done.returncode, OK, f"{daemon.name} connects to {to.name}: {done.stderr}")


def is_known(a, friend_id):
    return friend_id in {peer["node_id"] for peer in a.json("peer", "list")["peers"]}


def serves_newcomers(lab, link, at=None):
    """Each is new to the daemon and has all of it within SERVED_S."""
    took = []
    for number in range(1, HONEST_CNT + 1):
        node = newcomer(lab, number, at)
        begun = time.monotonic()
        try:
            done = node.weft("get", link, "--to", lab.dir / f"out{number}", timeout=SERVED_S)
        except subprocess.TimeoutExpired as late:
            raise Mismatch(f"newcomer {number} is not served in {SERVED_S} s") from late
        took.append(time.monotonic() - begun)
        check_eq(done.returncode, OK, f"newcomer {number}: {done.stderr}")
        node.stop()
    took.sort()
    print(f"# gets took {took[0]:.2f} to {took[-1]:.2f} s, median {took[len(took) // 2]:.2f}")


def manifest_of(link):
    """The id of the manifest that a link of a collection names, in hex."""
    alphabet = "ybndrfg8ejkmcpqxot1uwisza345h769"
    bits = "".join(f"{alphabet.index(letter):05b}" for letter in link.removeprefix("mesh:")[:64])
    return f"{int(bits[8:8 + 256], 2):064x}"


def test_idle_sessions_of_one_address_shut_out_no_newcomer(lab):
    a, link = attacked(lab)
    with Crowd(lab, a, "idle", 1000, 0):
        serves_newcomers(lab, link)


def test_requests_that_never_go_on_hold_up_no_other(lab):
    a, link = attacked(lab)
    with Crowd(lab, a, "head", 40, 120):
        serves_newcomers(lab, link)


def test_a_refusal_names_the_peer_and_the_pool(lab):
    """limits show names keys and addresses that a pool refused, why says the same of each."""
    def refused_of(kind):
        rows = a.json("limits", "show")["refusals"]
        return next((row for row in rows if kind(row["who"])), None)

    a, _ = attacked(lab)
    with Crowd(lab, a, "head", 40, 120):
        wait_for(lambda: refused_of(lambda who: who == "127.0.0.1"), "the crowd is refused", timeout=60)
        address = refused_of(lambda who: who == "127.0.0.1")
        key = refused_of(lambda who: len(who) == 52)
        check(key, "a key of the crowd is named")
        for row in (address, key):
            told = a.json("why", row["who"])["refusals"]
            same = next((t for t in told if (t["who"], t["pool"]) == (row["who"], row["pool"])), None)
            check(same and same["times"] >= row["times"], f"{row} is not in {told}")
            shown = a.weft("why", row["who"]).stdout
            check(f"refusal\t{row['pool']}\t{row['who']}\t" in shown, shown)
        wait_for(lambda: "127.0.0.0/24" in {pool.get("largest_network") for pool in
                                            a.json("limits", "show")["pools"]},
                 "the network that holds most is named", timeout=60)


def test_large_requests_that_never_end_hold_up_no_other(lab):
    a, link = attacked(lab)
    with Crowd(lab, a, "store", 40, 120):
        serves_newcomers(lab, link)


def test_unread_manifests_delay_no_other_get(lab):
    a, link = attacked(lab)
    with Crowd(lab, a, "manifest", 10, 100, manifest_of(link)):
        serves_newcomers(lab, link)


def test_unread_chunks_delay_no_other_get(lab):
    a, link = attacked(lab)
    content = run_plain("b3sum", "--no-names", str(lab.dir / "root" / "x")).stdout.strip()
    with Crowd(lab, a, "chunk", 10, 100, content):
        serves_newcomers(lab, link)


def test_malformed_calls_of_one_key_shut_out_no_neighbour(lab):
    """The newcomers are at the very address of the offenders."""
    a, link = attacked(lab, SERVING)
    with Crowd(lab, a, "call", 2, 20):
        serves_newcomers(lab, link, at="127.0.0.1")


def test_a_crowd_that_comes_and_goes_displaces_no_known_peer(lab):
    a, _ = attacked(lab)
    friend = newcomer(lab, 1)
    connect(a, friend)
    name = node_id(friend)
    friend.stop()
    with Crowd(lab, a, "churn", 4300, 0):
        check(is_known(a, name), "the friend is forgotten")
    a.kill()
    a.start()
    check(is_known(a, name), "the friend is forgotten on disk")


def forged(lab, rate):
    if os.geteuid() != 0:
        raise Skip("raw sockets need root")
    a, link = attacked(lab)
    with Crowd(lab, a, "forge", rate, 0, "127.0.1.1:1"):
        serves_newcomers(lab, link, at="127.0.1.1")


def test_thirty_forged_initials_a_second_lock_out_no_peer_at_that_address(lab):
    forged(lab, 30)


def test_three_hundred_forged_initials_a_second_lock_out_no_peer_there(lab):
    forged(lab, 300)


run([test_idle_sessions_of_one_address_shut_out_no_newcomer,
     test_requests_that_never_go_on_hold_up_no_other,
     test_a_refusal_names_the_peer_and_the_pool,
     test_large_requests_that_never_end_hold_up_no_other,
     test_unread_manifests_delay_no_other_get,
     test_unread_chunks_delay_no_other_get,
     test_malformed_calls_of_one_key_shut_out_no_neighbour,
     test_a_crowd_that_comes_and_goes_displaces_no_known_peer,
     test_thirty_forged_initials_a_second_lock_out_no_peer_at_that_address,
     test_three_hundred_forged_initials_a_second_lock_out_no_peer_there])
