#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Bans keep out and cut off, in the driver and at the sockets, and outlive kill -9.

    a (10.77.0.1, fd77::1) <- veth -> b (10.77.0.2, fd77::2)
"""
import pathlib
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).parent / "support"))
from lab import FAILED, NOT_FOUND, OK, REFUSED, Skip, TIMEOUT, USAGE, check, check_eq, run, wait_for

WORKERS = "[node]\nworkers = 3\n"
# The overlay dials known nodes at the address that is not banned.
ALONE = "[service]\nenabled = no\n"


def pair(lab, config=""):
    """a, which bans, and b, with sessions over both families to make, and no others."""
    ns_a, ns_b = lab.veth_pair()
    config += ALONE
    a = lab.daemon("a", netns=ns_a, listen=["10.77.0.1:7000", "[fd77::1]:7000"], config=config)
    b = lab.daemon("b", netns=ns_b, listen=["10.77.0.2:7000", "[fd77::2]:7000"], config=ALONE)
    return a.start(), b.start()


def node_id(daemon):
    return daemon.weft("node", "id").stdout.strip()


def connect(b, a, addr, timeout=10):
    return b.weft("peer", "connect", node_id(a), addr, "--timeout", timeout).returncode


def connected(daemon):
    return [p for p in daemon.json("peer", "list")["peers"] if p["connected"]]


def ban(daemon, who, *options):
    done = daemon.weft("ban", "add", who, *options)
    check_eq(done.returncode, OK, f"ban add {who}: {done.stderr}")


def unban(daemon, who):
    done = daemon.weft("ban", "remove", who)
    check_eq(done.returncode, OK, f"ban remove {who}: {done.stderr}")


def banned(daemon):
    return sorted(b["target"] for b in daemon.json("ban", "list")["bans"])


def attach(lab, daemon):
    done = daemon.weft("xdp", "attach", "veth0")
    if done.returncode != OK:
        raise Skip(f"XDP does not attach here: {done.stderr.strip()}")


FAMILIES = (("10.77.0.1:7000", "10.77.0.2", "10.77.0.0/24"),
            ("[fd77::1]:7000", "fd77::2", "fd77::/64"))


def cut_and_kept_out(lab, a, b):
    """For addresses and prefixes of both families: cut, silence, in again."""
    for at, addr, prefix in FAMILIES:
        b.stop()  # or its session over the other family takes over
        b.start()
        wait_for(lambda: not connected(a), "no session")
        for who in (addr, prefix):
            check_eq(connect(b, a, at), OK, f"before the ban of {who}")
            wait_for(lambda: connected(a), "a session")
            ban(a, who)
            wait_for(lambda: not connected(a) and not connected(b),
                     f"the session is cut by the ban of {who}")
            code = connect(b, a, at, timeout=1)
            check(code in (FAILED, TIMEOUT), f"banned {who}: connect ended with {code}")
            check_eq(connected(a), [], f"sessions while {who} is banned")
            unban(a, who)
            wait_for(lambda: connect(b, a, at, timeout=2) == OK, f"in again after {who}")
            wait_for(lambda: connected(a), "a session again")


def test_banned_addresses_are_cut_and_kept_out_at_the_sockets(lab):
    a, b = pair(lab)
    cut_and_kept_out(lab, a, b)


def test_banned_addresses_are_cut_and_kept_out_in_the_driver(lab):
    a, b = pair(lab)
    attach(lab, a)
    cut_and_kept_out(lab, a, b)
    check(a.judged()["banned"] > 0, "the driver dropped nothing")


def test_what_was_banned_before_is_banned_where_xdp_attaches(lab):
    a, b = pair(lab)
    ban(a, "10.77.0.2")
    attach(lab, a)
    check(connect(b, a, "10.77.0.1:7000", timeout=1) != OK, "a banned address came in")
    check_eq(connect(b, a, "[fd77::1]:7000"), OK, "another address of the node")
    check(a.judged()["banned"] > 0, "the driver dropped nothing")


def test_a_banned_key_is_cut_and_refused_both_ways(lab):
    a, b = pair(lab)
    for at, _, _ in FAMILIES:
        check_eq(connect(b, a, at), OK, "before the ban")
        wait_for(lambda: connected(a), "a session")
        ban(a, node_id(b), "--reason", "spam")
        wait_for(lambda: not connected(a) and not connected(b), "the session is cut")
        connect(b, a, at, timeout=2)
        wait_for(lambda: not connected(b), "it is closed again")
        check_eq(connected(a), [], "sessions with a banned key")
        done = a.weft("peer", "connect", node_id(b), "10.77.0.2:7000")
        check_eq(done.returncode, REFUSED, "dialling a banned key")
        check("spam" in done.stderr, f"the reason is said: {done.stderr}")
        unban(a, node_id(b))
        wait_for(lambda: connect(b, a, at, timeout=2) == OK, "in again")


def test_every_worker_cuts_what_is_banned(lab):
    a, b = pair(lab, WORKERS)
    # Their first ids choose the workers: all the same one twice in ten million runs.
    others = [lab.daemon(f"c{i}", netns=b.netns, listen=[f"10.77.0.2:{7001 + i}"], config=ALONE).start()
              for i in range(14)]
    for peer in (b, *others):
        check_eq(connect(peer, a, "10.77.0.1:7000"), OK, "before the ban")
    wait_for(lambda: len(connected(a)) == 15, "15 sessions")
    wait_for(lambda: sum(1 for w in a.json("status")["workers"] if w["sessions"]) > 1,
             "more than one worker has sessions")
    ban(a, node_id(others[0]))
    wait_for(lambda: len(connected(a)) == 14, "one key is cut")
    ban(a, "10.77.0.0/24")
    cut = (b, *others[1:4])
    wait_for(lambda: not any(map(connected, (a, *cut))), "all workers cut the prefix")
    for peer in cut:
        check(connect(peer, a, "10.77.0.1:7000", timeout=1) != OK, "a banned address came in")


# Waits for a datagram with a short header of the session, and sends its id with noise.
REPLAY = """
import os, socket, sys, time
tap = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800))
tap.bind(("veth0", 0))
while True:
    packet, link = tap.recvfrom(2000)
    if link[2] == socket.PACKET_OUTGOING and packet[9] == 17 and packet[28] & 0xc0 == 0x40:
        break
out = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(300):
    out.sendto(b"\x40" + packet[29:45] + os.urandom(60), ("10.77.0.1", 7000))
    time.sleep(0.002)
"""


def replay(a, b):
    with subprocess.Popen(["ip", "netns", "exec", b.netns, sys.executable, "-c", REPLAY]) as sender:
        while sender.poll() is None:
            b.weft("peer", "ping", node_id(a), "--count", 1)


def junk_is_charged_to_its_connection(lab, a, b):
    """b's address is borrowed: what carries the id of a session from elsewhere has its own limit."""
    check_eq(connect(b, a, "10.77.0.1:7000"), OK, "a session")
    replay(a, b)
    wait_for(lambda: a.judged()["replayed-id"] >= 150, "most of it is dropped")
    check_eq(a.json("ban", "list")["bans"], [], "bans")
    check("10.77.0" not in a.log_text(), "an address is in the log")
    check_eq(b.weft("peer", "ping", node_id(a), "--count", 3).returncode, OK, "the session")
    b.kill()
    b.start()
    check_eq(connect(b, a, "10.77.0.1:7000"), OK, "a new session")
    check_eq(b.weft("peer", "ping", node_id(a), "--count", 3).returncode, OK, "over it")
    why = a.json("why", "10.77.0.2")
    check("replayed-id" in [d["reason"] for d in why["drops"]], f"its drops: {why}")


def test_junk_with_real_ids_is_charged_to_its_connection_at_the_sockets(lab):
    a, b = pair(lab)
    junk_is_charged_to_its_connection(lab, a, b)


def test_junk_with_real_ids_is_charged_to_its_connection_in_the_driver(lab):
    a, b = pair(lab)
    attach(lab, a)
    junk_is_charged_to_its_connection(lab, a, b)


def test_bans_outlive_kill_9_and_end_by_themselves(lab):
    a, b = pair(lab)
    ban(a, "10.77.0.2", "--reason", "too loud")
    ban(a, "10.77.0.9", "--for", "1h")
    ban(a, node_id(b), "--for", "5s")
    ends_at = time.monotonic() + 5
    a.kill()
    a.start()
    check({"10.77.0.2", "10.77.0.9"} <= set(banned(a)), f"bans after kill -9: {banned(a)}")
    listed = {x["target"]: x for x in a.json("ban", "list")["bans"]}
    check_eq(listed["10.77.0.2"]["reason"], "too loud", "the reason")
    check("expires_s" not in listed["10.77.0.2"], "by hand and without a length: for good")
    check(connect(b, a, "10.77.0.1:7000", timeout=1) != OK, "a banned address came in")
    wait_for(lambda: node_id(b) not in banned(a), "a ban ends")
    check(time.monotonic() > ends_at - 1.1, "it ended too soon")
    check_eq(connect(b, a, "[fd77::1]:7000"), OK, "after the ban of the key")
    unban(a, "10.77.0.2")
    unban(a, "10.77.0.9")
    a.kill()
    a.start()
    check_eq(banned(a), [], "bans after the last was removed and kill -9")


def dropped(daemon, reason):
    return {d["reason"]: d["packets"] for d in daemon.json("drops")["drops"]}.get(reason, 0)


def source_dropped(daemon, source, reason):
    rows = daemon.json("drops", "--by", "source")["sources"]
    return sum(row["packets"] for row in rows if (row["source"], row["reason"]) == (source, reason))


def drops_are_shown(lab, a, b):
    for at, addr, source in (("10.77.0.1:7000", "10.77.0.2", "10.77.0.2"),
                             ("[fd77::1]:7000", "fd77::2", "fd77::/64")):
        before = dropped(a, "banned")
        ban(a, addr)
        check(connect(b, a, at, timeout=1) != OK, f"banned {addr} came in")
        wait_for(lambda: dropped(a, "banned") > before, f"drops of {addr}")
        wait_for(lambda: source_dropped(a, source, "banned"), f"{source} among the sources")
        unban(a, addr)
    total = dropped(a, "banned")
    a.weft("xdp", "detach", "veth0")
    check_eq(dropped(a, "banned"), total, "drops after the driver forgot its counters")


def test_drops_are_shown_by_reason_and_source_at_the_sockets(lab):
    a, b = pair(lab)
    drops_are_shown(lab, a, b)


def test_drops_are_shown_by_reason_and_source_in_the_driver(lab):
    a, b = pair(lab)
    attach(lab, a)
    drops_are_shown(lab, a, b)


def test_drops_of_other_workers_are_shown(lab):
    a, b = pair(lab, WORKERS)
    ban(a, "10.77.0.0/24")
    for _ in range(6):
        check(connect(b, a, "10.77.0.1:7000", timeout=1) != OK, "a banned address came in")
    wait_for(lambda: dropped(a, "banned") >= 6, "drops of all workers")
    wait_for(lambda: source_dropped(a, "10.77.0.2", "banned") >= 3, "the source")


def incidents(daemon, who):
    return [(i["kind"], i.get("why")) for i in daemon.json("why", who)["incidents"]]


def test_why_shows_what_happened_to_a_peer_and_an_address(lab):
    a, b = pair(lab, WORKERS)
    name = node_id(b)
    check_eq(a.json("why", "10.77.0.2"), {"who": "10.77.0.2", "incidents": [], "refusals": [],
                                          "drops": [], "lost": 0}, "before anything happened")
    check_eq(connect(b, a, "10.77.0.1:7000"), OK, "before the ban")
    wait_for(lambda: incidents(a, name) == [("session_opened", None)], "the session")
    ban(a, "10.77.0.0/24", "--reason", "too loud")
    wait_for(lambda: incidents(a, name)[1:] == [("session_closed", "banned")], "why it closed")
    wait_for(lambda: not connected(b), "b has heard of it")
    check(connect(b, a, "10.77.0.1:7000", timeout=1) != OK, "a banned address came in")
    why = wait_for(lambda: a.json("why", "10.77.0.2")["drops"] and a.json("why", "10.77.0.2"),
                   "drops")
    check_eq((why["ban"]["target"], why["ban"]["reason"]), ("10.77.0.0/24", "too loud"), "the ban")
    check_eq({d["reason"] for d in why["drops"]}, {"banned"}, "drops")
    kinds = [i["kind"] for i in why["incidents"]]
    check_eq(sorted(kinds), ["banned", "session_closed", "session_opened"], "incidents")
    check_eq(a.json("why", name)["drops"][0]["source"], "10.77.0.2", "drops where the peer was")
    unban(a, "10.77.0.0/24")
    ban(a, name[:8], "--for", "1s")
    wait_for(lambda: ("ban_ended", None) in incidents(a, name), "a ban ends")
    wait_for(lambda: connect(b, a, "10.77.0.1:7000", timeout=2) == OK, "in again")
    b.stop()
    wait_for(lambda: incidents(a, name)[-1] == ("session_closed", "shutting down"), "the goodbye")
    check(a.json("why", name)["incidents"][-1]["by_peer"], "whose goodbye it was")
    check_eq(a.json("why", "10.77.0.3")["incidents"][0]["kind"], "banned", "a neighbour's ban")
    check_eq(a.weft("why", "nobody").returncode, FAILED, "no such peer")
    lines = a.weft("why", name).stdout.splitlines()
    check(lines[0].startswith("incident\t"), f"piped: {lines}")


def last_incident(daemon, who, kind):
    told = [i for i in daemon.json("why", who)["incidents"] if i["kind"] == kind]
    return told[-1] if told else None


def test_why_shows_how_a_session_ended_and_which_peer_was_refused(lab):
    a, b = pair(lab, "[quic]\nidle_timeout = 2s\nkeepalive = 0s\n")
    name = node_id(b)
    check_eq(connect(b, a, "10.77.0.1:7000"), OK, "a session")
    wait_for(lambda: last_incident(a, name, "session_opened"), "the session is told")
    b.kill()
    told = wait_for(lambda: last_incident(a, name, "session_closed"), "silence is told")
    check_eq((told["why"], told["by_peer"]), ("nothing was heard for too long", False), "silence")
    b.start()
    check_eq(connect(b, a, "[fd77::1]:7000"), OK, "at another address")
    ban(a, name)

    def refused():
        connect(b, a, "10.77.0.1:7000", timeout=2)
        told = last_incident(a, name, "refused")
        return told and told.get("times", 1) >= 2 and told
    told = wait_for(refused, "refusals, and a count of them")
    check_eq((told["why"], told["err"]), ("banned", -1008), "refused")
    unban(a, name)
    b.stop()
    check(a.weft("peer", "connect", name, "10.77.0.2:7000", "--timeout", 1).returncode != OK,
          "a daemon that is down answered")
    told = wait_for(lambda: last_incident(a, name, "dial_failed"), "the dial")
    check_eq((told["why"], told["address"]),
             ("no answer until it was given up", "10.77.0.2:7000"), "no answer")


def test_why_shows_drops_at_all_addresses_of_a_peer(lab):
    a, b = pair(lab)
    name = node_id(b)
    for at, addr, _ in FAMILIES:
        check_eq(connect(b, a, at), OK, f"a session at {at}")
        wait_for(lambda: connected(a), "a session")
        ban(a, addr)
        wait_for(lambda: not connected(a) and not connected(b), "the session is cut")
        check(connect(b, a, at, timeout=1) != OK, f"banned {addr} came in")
        unban(a, addr)
        b.stop()
        b.start()
    wait_for(lambda: {d["source"] for d in a.json("why", name)["drops"]} ==
             {"10.77.0.2", "fd77::/64"}, "drops of both addresses")


def test_why_shows_that_another_key_answered(lab):
    a, b = pair(lab)
    c = lab.daemon("c", netns=b.netns, listen=["10.77.0.2:7001"]).start()
    done = a.weft("peer", "connect", node_id(b), "10.77.0.2:7001")
    check(done.returncode != OK, "another node passed for b")
    told = a.json("why", node_id(b))["incidents"][0]
    check_eq((told["kind"], told["actual_key"], told["address"]),
             ("wrong_key", node_id(c), "10.77.0.2:7001"), "incident")


def test_bad_input_is_refused_with_what_to_do(lab):
    a = lab.daemon("a").start()
    for words, code, text in (
            (("add", "10.0.0.0/0"), FAILED, "1 to 32"),
            (("add", "10.0.0.1/24"), FAILED, "10.0.0.0/24"),
            (("add", "10.0.0.1:7000"), FAILED, "no port"),
            (("add", "nobody"), FAILED, "52"),
            (("add", node_id(a)), FAILED, "itself"),
            (("add", "10.0.0.1", "--for", "soon"), USAGE, "12h"),
            (("add", "10.0.0.1", "--for", "0s"), USAGE, "12h"),
            (("add", "10.0.0.1", "--for", "99999999d"), FAILED, "hundred years"),
            (("add", "10.0.0.1", "--reason", "x" * 128), FAILED, "127"),
            (("remove", "10.0.0.1"), NOT_FOUND, "ban list")):
        done = a.weft("ban", *words)
        check_eq(done.returncode, code, f"{words}: {done.stderr}")
        check(text in done.stderr, f"{words}: {done.stderr}")
    check_eq(banned(a), [], "bans")
    ban(a, "10.0.0.1", "--reason", "x" * 127)
    ban(a, "10.0.0.1", "--reason", "changed")
    check_eq([b["reason"] for b in a.json("ban", "list")["bans"]], ["changed"], "the same again")


run([test_banned_addresses_are_cut_and_kept_out_at_the_sockets,
     test_banned_addresses_are_cut_and_kept_out_in_the_driver,
     test_what_was_banned_before_is_banned_where_xdp_attaches,
     test_a_banned_key_is_cut_and_refused_both_ways,
     test_every_worker_cuts_what_is_banned,
     test_bans_outlive_kill_9_and_end_by_themselves,
     test_drops_are_shown_by_reason_and_source_at_the_sockets,
     test_drops_are_shown_by_reason_and_source_in_the_driver,
     test_drops_of_other_workers_are_shown,
     test_why_shows_what_happened_to_a_peer_and_an_address,
     test_why_shows_how_a_session_ended_and_which_peer_was_refused,
     test_why_shows_drops_at_all_addresses_of_a_peer,
     test_why_shows_that_another_key_answered,
     test_bad_input_is_refused_with_what_to_do],
    static_why="peers are dialled at the address that is banned, and at no other")
